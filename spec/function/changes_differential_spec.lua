-- SPDX-License-Identifier: MIT
--
-- Random Lua functions that assign to fields: in the kernel, over batches and by Lua entries become
-- what plain Lua makes of copies of them; where it raises this does, and nothing of that entry is
-- stored.
-- spec/support/fuzz.lua says how to run others.

local bpf = require "luabpf"
local changes = require "spec.support.changes"
local core = require "luabpf.core"
local fuzz = require "spec.support.fuzz"
local helper = require "spec.support.helper"
local prepare = require "luabpf.query.prepare"

local ENTRIES <const> = 16

local WAYS <const> = {
  kernel = { engine = "kernel" }, batch = { engine = "batch", batch_size = 8 },
  ["by Lua"] = { compile = false },
}

local counts = { functions = 0, wholly = 0, partly = 0, compared = 0, raised = 0, refused = 0 }
local reasons = {}

local function make_map(random)
  local key, value = random:layout()
  local map = assert(bpf.create { type = random:pick { "hash", "lru_hash" }, name = helper.name(),
    key = key, value = value, max_entries = 200 })
  local env, keys, values = prepare.facts(map).env, {}, {}
  for i = 1, ENTRIES do keys[i], values[i] = random:key(env.key, i), random:record(env.value) end
  local case = { map = map, keys = table.concat(keys), values = table.concat(values), was = {},
    size = #values[1] }
  for i = 1, ENTRIES do case.was[i] = values[i] end
  return case
end

local function restore(case)
  assert(case.map:update_batch(case.keys, case.values))
end

-- By id the bytes of the values.
local function contents(map)
  local found = {}
  for batch in map:batches() do
    local _, all = batch:packed()
    local size = #all // #batch
    for i = 1, #batch do found[batch:key(i).id] = all:sub((i - 1) * size + 1, i * size) end
  end
  return found
end

-- What plain Lua makes of the entries: by id the bytes, and those that it raises for.
local function plain(case, f)
  local wanted, raises, n = {}, {}, 0
  for batch in case.map:batches() do
    local copy, failed = batch:copy(), {}
    local i = 0
    for key, value in core.edits(copy) do
      i = i + 1
      if not pcall(f, key, value) then failed[i], raises[key.id], n = true, true, n + 1 end
    end
    local _, all = copy:packed()
    local size = #all // #copy
    for j = 1, #copy do
      local id = copy:key(j).id
      wanted[id] = failed[j] and case.was[id] or all:sub((j - 1) * size + 1, j * size)
    end
  end
  return wanted, raises, n
end

local function fail(text, format, ...)
  error(format:format(...) .. "\n" .. text, 0)
end

local function is_refusal(message)
  return tostring(message):find 'engine "kernel"' ~= nil
end

local function hex(bytes)
  return (bytes:gsub(".", function(c) return ("%02x"):format(c:byte()) end))
end

local function note(report, text)
  counts.wholly = counts.wholly + (report.compiled == true and 1 or 0)
  counts.partly = counts.partly + (report.compiled == "partly" and 1 or 0)
  if report.compiled then return end
  fuzz.note(reasons, report.why)
  if report.why:find "cannot be compiled" then fail(text, "%s", report.why) end
end

local function compare(case, way, f, text, wanted, given, raises)
  restore(case)
  local options = {}
  for name, value in pairs(WAYS[way]) do options[name] = value end
  for name, value in pairs(given) do options[name] = value end
  local ok, report, why = pcall(case.map.update_where, case.map, given.params and "key.id in $ids",
    f, options)
  if ok and not report and is_refusal(why) then
    counts.refused = counts.refused + 1
    return
  end
  if ok and not report then fail(text, "%s: %s", way, why) end
  if ok == (raises ~= nil) then fail(text, "%s: raised: %s", way, report) end
  local differ = 0
  for id, is in pairs(contents(case.map)) do
    counts.compared = counts.compared + 1
    local was = case.was[id]
    differ = differ + (is ~= was and 1 or 0)
    if is ~= wanted[id] and not (raises and is == was) then
      fail(text, "%s: entry %d: %s, Lua: %s, was %s", way, id, hex(is), hex(wanted[id]), hex(was))
    end
  end
  if ok and (report.updated ~= differ or report.matched ~= differ) then
    fail(text, "%s: %d updated, %d matched, %d are others", way, report.updated, report.matched,
      differ)
  end
  if ok and way == "kernel" then note(report, text) end
end

local function check(case, random, text, chunk)
  local f = chunk(bpf, random:upvalues())
  counts.functions = counts.functions + 1
  restore(case)
  local wanted, raises, n = plain(case, f)
  counts.raised = counts.raised + n
  for way in pairs(WAYS) do
    local good = {}
    for id = 1, ENTRIES do good[#good + 1] = not raises[id] and id or nil end
    compare(case, way, f, text, wanted, n > 0 and { params = { ids = good } } or {})
    if n > 0 then compare(case, way, f, text, wanted, {}, raises) end
  end
end

-- Where some entries raise those are not in `wanted` of the call that leaves them out.
local function run_seed(seed)
  local random = changes.new(seed)
  local case = make_map(random)
  local map <close> = case.map
  for _ = 1, fuzz.BY_SEED do
    local text = random:source()
    local chunk, why = load(text, "=f", "t", random:globals())
    if chunk then
      for _ = 1, 2 do check(case, random, text, chunk) end
    else
      assert(why:find "registers" or why:find "expected", why .. "\n" .. text)
    end
  end
  return map
end

local function report()
  return ("%d functions: %d wholly compiled, %d partly; %d entries compared, %d raised, %d refused")
    :format(counts.functions, counts.wholly, counts.partly, counts.compared, counts.raised,
      counts.refused) .. "\n" .. fuzz.frequent(reasons)
end

describe("Lua functions that assign to fields", function()
  it("make the same of entries everywhere", function()
    fuzz.run(400, run_seed, report)
    assert(fuzz.is_one or counts.wholly + counts.partly >= 0.6 * counts.functions, report())
  end)
end)
