-- SPDX-License-Identifier: MIT
--
-- Random Lua functions over random layouts and entries in real maps: the kernel, the
-- batch engine and threads say of each entry what Lua says of it, and raise where Lua
-- raises; deletions leave what Lua would leave.
-- spec/support/fuzz.lua says how to run others.

local bpf = require "luabpf"
local compile = require "luabpf.function.compile"
local functions = require "spec.support.functions"
local fuzz = require "spec.support.fuzz"
local helper = require "spec.support.helper"
local prepare = require "luabpf.query.prepare"

local ENTRIES <const> = 24

local KINDS <const> = { { type = "hash" }, { type = "hash" }, { type = "lru_hash" },
  { type = "percpu_hash", percpu = true } }

local counts = { functions = 0, wholly = 0, partly = 0, judged = 0, asked = 0, raised = 0,
  refused = 0, asked_raised = 0 }
local reasons = {} -- why functions are not compiled, and how many for it

-- ---- maps -----------------------------------------------------------------------

local function make_map(random, kind)
  local key, value = random:layout()
  local map = assert(bpf.create { type = kind.type, name = helper.name(), key = key, value = value,
    max_entries = kind.type == "lru_hash" and 200 or ENTRIES })
  local keys, values = {}, {}
  local env = prepare.facts(map).env
  for i = 1, ENTRIES do
    keys[i] = random:key(env.key, i)
    local one = {}
    for cpu = 1, env.ncpu or 1 do
      local bytes = random:record(env.value)
      one[cpu] = env.ncpu and bytes .. ("\0"):rep(-#bytes % 8) or bytes
    end
    values[i] = table.concat(one)
  end
  assert(map:update_batch(table.concat(keys), table.concat(values)))
  return { map = map, keys = table.concat(keys), values = table.concat(values), kind = kind,
    ncpu = env.ncpu }
end

-- By id: "yes", "no" or "raises".
local function by_lua(case, f)
  local answers = {}
  for key, value in case.map:views() do
    local ok, result = pcall(f, key, value)
    answers[key.id] = ok and (result and "yes" or "no") or "raises"
    counts.raised = counts.raised + (ok and 0 or 1)
  end
  return answers
end

-- ---- entry by entry -------------------------------------------------------------

-- By id what a scan inside the kernel says; nil where the verifier refuses it.
local function by_kernel(query, packed)
  local answers = {}
  local result, rows = query.core:scan { params = packed, rows = ENTRIES, budget = 10000000000 }
  if not result then return nil, rows end
  for key in rows:batch():views() do answers[key.id] = "yes" end
  if result.asked > 0 then
    for key in rows:asked():views() do answers[key.id] = "ask" end
  end
  rows:close()
  return answers
end

local function by_batch(case, query, packed)
  local answers = {}
  for batch in case.map:batches() do
    local _, asked = query.core:match(batch, packed)
    for key in query.core:pick(batch, packed):views() do answers[key.id] = "yes" end
    if asked then
      for key in batch:pick(asked):views() do answers[key.id] = "ask" end
    end
  end
  return answers
end

local function compare(what, text, lua, answers)
  for id = 1, ENTRIES do
    local got = answers[id] or "no"
    counts.judged = counts.judged + 1
    if got == "ask" then
      counts.asked = counts.asked + 1
      counts.asked_raised = counts.asked_raised + (lua[id] == "raises" and 1 or 0)
    elseif got ~= lua[id] then
      error(("%s: entry %d: Lua: %s, here: %s\n%s"):format(what, id, lua[id], got, text), 0)
    end
  end
end

-- A refusal has its reason and goes to the batch engine.
local function check_refusal(case, f, why)
  counts.refused = counts.refused + 1
  local ok, _, report = pcall(case.map.count, case.map, f)
  if ok then
    assert(report.engine == "batch" and report.why, tostring(report))
    assert(why:find "verifier" or report.why:find "comparisons", why)
  end
end

local function entry_by_entry(case, f, made, text, lua)
  local query = prepare.query(case.map, "entries", { where = made, rows = true })
  made:read_outside(f)
  local packed = prepare.params(query)
  compare("batch", text, lua, by_batch(case, query, packed))
  local answers, why = by_kernel(query, packed)
  if not answers then return check_refusal(case, f, why) end
  compare("kernel", text, lua, answers)
end

-- ---- as people call it ----------------------------------------------------------

local function count_of(lua, answer)
  local n = 0
  for _, one in pairs(lua) do n = n + (one == answer and 1 or 0) end
  return n
end

local function check_count(case, f, text, lua, given)
  local ok, n, why = pcall(case.map.count, case.map, f, given)
  if ok and not n and why:find "comparisons" then return end
  local raises = count_of(lua, "raises") > 0
  if ok == raises or ok and n ~= count_of(lua, "yes") then
    error(("count (%s): %s, Lua: %d, raises: %s\n%s"):format(given.engine, n,
      count_of(lua, "yes"), raises, text), 0)
  end
end

local function check_delete(case, f, text, lua, given)
  local ok, report, why = pcall(case.map.delete_where, case.map, f, given)
  if ok and not report and why:find "comparisons" then return end
  local left = {}
  for key in case.map:views() do left[key.id] = true end
  assert(case.map:update_batch(case.keys, case.values))
  if ok ~= (count_of(lua, "raises") == 0) then
    error(("delete: %s\n%s"):format(report, text), 0)
  end
  for id = 1, ENTRIES do
    if not left[id] and lua[id] ~= "yes" or ok and left[id] and lua[id] == "yes" then
      error(("delete (%s): entry %d is left: %s, Lua: %s\n%s"):format(given.engine, id, left[id],
        lua[id], text), 0)
    end
  end
end

local function as_called(case, f, made, text, lua)
  check_count(case, f, text, lua, { engine = "batch", workers = 2 })
  if made.refused then return end
  check_count(case, f, text, lua, { engine = "kernel" })
  check_delete(case, f, text, lua, { engine = "kernel" })
  check_delete(case, f, text, lua, { engine = "batch" })
end

-- ---- one function ---------------------------------------------------------------

local function check(case, random, text, chunk, through_methods)
  local f = chunk(bpf, random:upvalues())
  local made = compile.where(f, prepare.facts(case.map))
  counts.functions = counts.functions + 1
  if made.why and made.why:find "cannot be compiled" then error(made.why .. "\n" .. text, 0) end
  if not made.compiled then
    return fuzz.note(reasons, made.why)
  end
  counts[made.asks and "partly" or "wholly"] = counts[made.asks and "partly" or "wholly"] + 1
  local lua = by_lua(case, f)
  local before = counts.refused
  entry_by_entry(case, f, made, text, lua)
  made.refused = counts.refused > before
  if through_methods then as_called(case, f, made, text, lua) end
end

local function run_seed(seed)
  local random = functions.new(seed)
  local case = make_map(random, random:pick(KINDS))
  local map <close> = case.map
  for n = 1, fuzz.BY_SEED do
    local text = random:source(case.ncpu)
    local chunk, why = load(text, "=f", "t", random:globals())
    if chunk then
      for _ = 1, 2 do check(case, random, text, chunk, n % 5 == 0) end
    else
      assert(why:find "registers", why)
    end
  end
  return map
end

-- What was found, and why functions are not compiled, the most frequent first.
local function report()
  return ("%d functions: %d wholly compiled, %d partly; %d entries judged, %d left to Lua, which "
    .. "raises for %d of them; Lua raised %d times; %d refused by the verifier"):format(
    counts.functions, counts.wholly, counts.partly, counts.judged, counts.asked,
    counts.asked_raised, counts.raised, counts.refused) .. "\n" .. fuzz.frequent(reasons)
end

describe("Lua functions", function()
  it("are the same in every engine", function()
    fuzz.run(2000, run_seed, report)
    assert(fuzz.is_one or counts.wholly + counts.partly >= 0.95 * counts.functions, report())
    assert(fuzz.is_one or counts.wholly >= 0.65 * counts.functions, report())
  end)
end)
