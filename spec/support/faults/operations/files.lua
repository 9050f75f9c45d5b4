-- SPDX-License-Identifier: MIT
--
-- Exports and imports. A file is there whole, or not at all.

local operations = require "spec.support.faults.operations"

local add = operations.add

local function lines(text)
  return select(2, text:gsub("\n", ""))
end

-- The file is there and has a line per entry, and a header for CSV.
local function written(header)
  return function(e, report)
    return report.entries == e.N and lines(e:read(e:path "out")) == e.N + header
  end
end

-- What must hold after failures too: a file under its own name is a whole one.
local function whole(header)
  return function(e)
    local text = e:read(e:path "out")
    assert(not text or lines(text) == e.N + header, "half a file is there")
    assert(e:is_whole(e.map), "an export has changed its map")
  end
end

for format, header in pairs { jsonl = 0, csv = 1 } do
  add { name = "map:export", as = format, right = written(header), after = whole(header),
    makes = "^out$",
    run = function(e) return e.map:export(e:path "out", { format = format, batch_size = 16 }) end }
end
add { name = "map:export", as = "snapshot", makes = "^out$", run = function(e)
  return e.map:export(e:path "out", { format = "snapshot" })
end, right = function(e, report) return report.entries == e.N end }
add { name = "map:export", as = "columns and where", makes = "^out$", run = function(e)
  return e.map:export(e:path "out", { where = "value > 200", columns = { "key" } })
end, right = function(e, report)
  return report.entries == 20 and lines(e:read(e:path "out")) == 20
end }
add { name = "map:export", as = "by threads", right = written(0), after = whole(0),
  makes = "^out$",
  run = function(e) return e.map:export(e:path "out", { workers = 2, batch_size = 8 }) end }
add { name = "map:export", as = "checkpoint", right = written(0), after = whole(0),
  makes = "^out$", keeps = "^out%.part$\0^c", run = function(e)
    return e.map:export(e:path "out", { checkpoint = e:path "c", batch_size = 8,
      checkpoint_interval = 0 })
  end }
add { name = "map:export", as = "to a function", run = function(e)
  local parts = {}
  local report, message, errno, partial = e.map:export(function(text)
    parts[#parts + 1] = text
  end)
  if report and lines(table.concat(parts)) ~= e.N then return "wrong" end
  return report, message, errno, partial
end, right = function(e, report) return report.entries == e.N end }
add { name = "map:export", as = "to an open file", run = function(e)
  return e.map:export(e.file)
end, setup = function(e)
  e.map = e:filled()
  e.file = e:own(assert(io.open(e:path "open", "w")))
end, right = function(e, report) return report.entries == e.N end }

-- Each entry is in the map, in the file, or in what a failure leaves to go on with.
local function nothing_lost(e)
  local map = e:contents(e.map)
  local text = (e:read(e:path "out") or "") .. (e:read(e:path "out.drain.part") or "")
  for i = 1, e.N do
    assert(map[i] or text:find(('{"key":%d,'):format(i), 1, true), "an entry is lost")
  end
end

-- One that was begun goes on where it was: what is stored before that, and what was written and
-- not deleted, stays for the next.
add { name = "map:export", as = "drain", after = nothing_lost, renew = function(e)
  if e:read(e:path "out.ckpt") then return end
  e:fill(e.map)
  os.remove(e:path "out")
end, makes = "^out$", keeps = "^out%.", run = function(e)
  return e.map:export(e:path "out", { drain = true, batch_size = 8, checkpoint_interval = 0 })
end, right = function(e, report)
  return (report.resumed or e.map:next() == nil) and lines(e:read(e:path "out")) >= e.N
end }

-- ---- imports --------------------------------------------------------------------------

local function source(format)
  return function(e)
    local from = e:filled()
    assert(from:export(e:path "in", { format = format }))
    e.map = e:make()
  end
end

-- Whatever happened: nothing that is not in the file.
local function only_rows(e)
  for key, value in pairs(e:contents(e.map)) do
    assert(key >= 1 and key <= e.N and value == key * 10, "an entry that is not in the file")
  end
end

local function stored(e) return e:is_whole(e.map) end

local function clear(e)
  e.map:clear()
  os.remove(e:path "c")
end

local function import(as, format, options)
  add { name = "map:import", as = as, setup = source(format), after = only_rows, right = stored,
    renew = clear, keeps = options.checkpoint and "^c" or nil, run = function(e)
      local given = {}
      for name, value in pairs(options) do given[name] = value end
      given.checkpoint = options.checkpoint and e:path(options.checkpoint)
      return e.map:import(e:path "in", given)
    end }
end

import("jsonl", "jsonl", { batch_size = 8 })
import("csv", "csv", { format = "csv" })
import("snapshot", "snapshot", { format = "snapshot" })
import("noexist", "jsonl", { mode = "noexist" })
import("by threads", "jsonl", { workers = 2, batch_size = 8 })
import("checkpoint", "jsonl", { checkpoint = "c", batch_size = 8 })
add { name = "map:import", as = "dry run", setup = source "jsonl",
  run = function(e) return e.map:import(e:path "in", { dry_run = true }) end,
  after = function(e) assert(e.map:next() == nil, "a dry run has stored") end }
