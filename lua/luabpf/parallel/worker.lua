-- SPDX-License-Identifier: MIT
--
-- What a thread of map:parallel runs, in a Lua state of its own: opens the map,
-- reads its part of it or takes the batches that it is given, and sums up.

local core = require "luabpf.core"
local errors = require "luabpf.base.errors"
local transfer = require "luabpf.parallel.transfer"

-- Makes globals of modules, by name: each is loaded when a function first uses it.
local function offer(modules)
  setmetatable(_G, { __index = function(globals, name)
    if not modules[name] then return nil end
    local module = require(modules[name])
    rawset(globals, name, module)
    return module
  end })
end

local function open_map(job)
  local map, message, errno = core.open_fd(job.fd)
  if not map then errors.throw(message, errno) end
  core.set_types(map, job.key and core.layout(job.key), job.value and core.layout(job.value))
  return map
end

-- An iterator of batches: the worker's own buckets, or what comes through the queue.
local function source(job, map, hooks)
  if not job.last then return function() return hooks.take(map) end end
  local cursor = core.cursor(map, { batch_size = job.batch_size, first = job.first,
    last = job.last })
  return function()
    if hooks.cancelled() then return nil end
    return cursor:next()
  end, nil, nil, cursor
end

-- The function that takes from a batch what where says yes to.
local function filter_of(job, map)
  if not job.where then return function(batch) return batch end end
  local judge = require "luabpf.query.judge"
  local run = { what = "parallel", given = {} }
  if job.by_lua then run.given.compile = false end
  local where, report = job.where, { asked = 0 }
  if type(where) == "function" then where = judge.take(map, run, where, 1) end
  if run.filter then return function(batch) return judge.filtered(batch, run.filter) end end
  local query = require("luabpf.query.prepare").query(map, "entries", { where = where,
    params = job.given })
  run.packed = job.params or judge.params(query, run)
  return function(batch)
    local also = run.ask and select(2, judge.match(query, batch, run, report)) or nil
    return query.core:pick(batch, run.packed, also)
  end
end

-- Adds what map returned for one batch.
local function add(done, result, reduce)
  if result == nil then return end
  if not reduce then
    done.list[#done.list + 1] = result
  elseif done.has then
    done.result = reduce(done.result, result)
  else
    done.result, done.has = result, true
  end
end

return function(text, hooks)
  local job = transfer.unpack(text)
  offer(job.modules)
  local map <close> = open_map(job)
  local filter = filter_of(job, map)
  local done = { batches = 0, entries = 0, matched = 0, list = {}, has = false }
  for batch in source(job, map, hooks) do
    done.batches, done.entries = done.batches + 1, done.entries + #batch
    local some = filter(batch)
    done.matched = done.matched + #some
    if #some > 0 then add(done, job.map(some), job.reduce) end
  end
  return transfer.pack(done, "parallel: the result")
end
