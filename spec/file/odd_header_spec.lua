-- SPDX-License-Identifier: MIT
--
-- Snapshot files whose checksums are right and whose headers are not: every field is of every
-- other type in turn (a part of them, all with LUABPF_FUZZ). Such a file is refused in plain words,
-- or read.

local bpf = require "luabpf"
local core = require "luabpf.core"
local helper = require "spec.support.helper"
local json = require "luabpf.file.json"
local odd = require "spec.support.odd"
local support = require "spec.support.snapshots"

-- The parts of a snapshot file: its header as a table, what lies between the heads, the footer.
local function parts_of(text)
  local length = string.unpack("<I4", text, 13)
  local head = 32 + length
  return json.decode(text:sub(33, head)), text:sub(head + 1, -head - 41), text:sub(-40)
end

-- A file with another header. docs/snapshot-format.md has the format.
local function joined(text, header, body, footer)
  local line = json.encode(header)
  local preface = text:sub(1, 12) .. string.pack("<I4", #line) .. text:sub(17, 24)
    .. string.pack("<I4", core.crc32c(line))
  local head = preface .. string.pack("<I4", core.crc32c(preface)) .. line
  footer = footer:sub(1, 4) .. string.pack("<I4", #head) .. footer:sub(9, 24)
    .. string.pack("<I8", 2 * #head + #body + 40) .. footer:sub(33, 36)
  return head .. body .. head .. footer .. string.pack("<I4", core.crc32c(footer))
end

-- All that may be done with a snapshot, by name.
local function uses(taken, map, other)
  local path = support.new_path()
  local function drained(...)
    local n = 0
    for _ in ... do n = n + 1 end
    return n
  end
  return {
    header = function() return tostring(taken:header()) end,
    text = function() return tostring(taken) end,
    describe = function() return tostring(taken:describe()) end,
    head = function() return tostring(taken:head(3)) end,
    entries = function() return drained(taken:entries()) end,
    raw = function() return drained(taken:entries { raw = true }) end,
    views = function()
      for key, value in taken:views() do tostring(key) tostring(value) end
    end,
    count = function() return taken:count "value ~= 0" end,
    count_field = function() return taken:count "value.bytes > 3 and key.port > 2" end,
    func = function() return taken:count(function(key) return key ~= nil end) end,
    select = function() return drained(taken:select { columns = "key, value", limit = 2 }) end,
    aggregate = function()
      return tostring(taken:aggregate { group = "key", select = "count() as n" })
    end,
    diff = function() return drained(taken:diff(other)) end,
    diff_back = function() return drained(other:diff(taken)) end,
    export = function() return taken:export(path) end,
    csv = function() return taken:export(path, { format = "csv" }) end,
    import = function() return map:import(taken) end,
    create = function()
      local made, message = bpf.create { from = taken, name = "odd", max_entries = 10 }
      return made and tostring(made:info()), message
    end,
    create_as = function()
      local made, message = bpf.create { from = taken }
      return made and tostring(made:info()), message
    end,
  }
end

-- Tries it all; the faults found are added to the list.
local function try(path, what, map, other, faults)
  local function note(use, err)
    local text = odd.internal(err)
    if text then faults[#faults + 1] = ("%s: %s: %s"):format(what, use, text) end
  end
  local ok, taken, message = pcall(bpf.snapshot, path)
  if not ok or not taken then
    note("open", ok and message or taken)
    if not ok then faults[#faults + 1] = what .. ": raised: " .. tostring(taken) end
    return false
  end
  local list = uses(taken, map, other)
  for _, use in ipairs { "header", "text", "describe", "head", "entries", "raw", "views", "count",
    "count_field", "func", "select", "aggregate", "diff", "diff_back", "export", "csv", "import",
    "create", "create_as" } do
    local result = table.pack(pcall(list[use]))
    for i = 2, result.n do
      local is_text = type(result[i]) == "string" and use ~= "text"
      if not result[1] or is_text then note(use, result[i]) end
    end
  end
  taken:close()
  return true
end

describe("a snapshot with an odd header", function()
  after_each(support.clean_up)

  local function check(map, options)
    local path = support.new_path()
    assert(map:export(path, { format = "snapshot", where = options.where,
      columns = options.columns }))
    local text = support.read(path)
    local header, body, footer = parts_of(text)
    local other <close> = assert(bpf.snapshot(path))
    assert.equal(text, joined(text, header, body, footer))
    local faults, opened, n = {}, 0, 0
    odd.each_change(header, function(field, value)
      if not odd.is_chosen() then return end
      support.write(path, joined(text, header, body, footer))
      n = n + 1
      if try(path, ("%s = %s"):format(field, odd.text(value)), map, other, faults) then
        opened = opened + 1
      end
    end)
    assert.equal("", table.concat(faults, "\n"))
    assert.is_true(n > 100 and opened > 3 and opened < n)
  end

  it("of whole entries is read or refused in plain words [fault 26]", function()
    check(support.structs(3), {})
  end)

  it("of columns is read or refused in plain words [fault 26]", function()
    check(support.structs(3), { columns = { "value.bytes as b", "value.via" },
      where = "value.bytes > 0" })
  end)

  it("of values for each CPU is read or refused in plain words [fault 26]", function()
    local map = helper.map { type = "percpu_hash", value = "u32" }
    local list = {}
    for cpu = 1, (bpf.cpus()) do list[cpu] = cpu end
    map:update(1, list)
    check(map, {})
  end)
end)
