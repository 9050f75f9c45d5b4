-- SPDX-License-Identifier: MIT
--
-- Random Lua functions that give columns or groups, or fold: in the kernel, over batches and by Lua
-- the rows and accumulators are those that plain Lua makes of each entry, and what raises there
-- raises here.
-- spec/support/fuzz.lua says how to run others.

local bpf = require "luabpf"
local effects = require "spec.support.effects"
local fuzz = require "spec.support.fuzz"
local helper = require "spec.support.helper"
local prepare = require "luabpf.query.prepare"

local ENTRIES <const> = 24

local TYPES <const> = { { "hash" }, { "hash" }, { "lru_hash" }, { "percpu_hash" } }
local KINDS <const> = { "columns", "group", "fold" }

local WAYS <const> = {
  kernel = { engine = "kernel" }, batch = { engine = "batch", batch_size = 8 },
  ["by Lua"] = { engine = "batch", compile = false },
}

local counts = { functions = 0, wholly = 0, partly = 0, compared = 0, raised = 0 }
local reasons = {}

local function make_map(random, kind)
  local key, value = random:layout()
  local map = assert(bpf.create { type = kind[1], name = helper.name(), key = key, value = value,
    max_entries = kind[1] == "lru_hash" and 200 or ENTRIES })
  local env, keys, values = prepare.facts(map).env, {}, {}
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
  return map, env.ncpu
end

-- ---- what Lua makes ---------------------------------------------------------------------

-- A text of a value, which tells integers from floats.
local function shown(v)
  if type(v) == "table" or type(v) == "userdata" then
    local parts, names = {}, {}
    local there, t = true, v
    if type(v) == "userdata" then there, t = pcall(bpf.copy, v) end
    if not there then return "a view of an entry that is past" end
    for k in pairs(t) do names[#names + 1] = k end
    table.sort(names, function(a, b) return tostring(a) < tostring(b) end)
    for i, k in ipairs(names) do parts[i] = ("%s=%s"):format(k, shown(t[k])) end
    return "{" .. table.concat(parts, ",") .. "}"
  end
  return ("%s %q"):format(math.type(v) or type(v), v)
end

-- What plain Lua makes of all entries: by id a text, or nil where it raises; and the entries whose
-- rows have columns of one type each.
local function plain(map, f, single)
  local rows, types, good = {}, {}, {}
  for key, value in map:views() do
    local results = table.pack(pcall(f, key, value))
    local row = results[2]
    if results[1] and single and type(row) ~= "table" and type(row) ~= "userdata" then
      row = { [single] = row }
    end
    local fits = results[1] and results.n <= 2 and type(row) == "table"
    for name, v in pairs(fits and row or {}) do
      local kind = type(v) == "userdata" and "table" or type(v)
      fits = fits and (types[name] or kind) == kind and not (single and kind == "table")
    end
    for name, v in pairs(fits and row or {}) do
      types[name] = type(v) == "userdata" and "table" or type(v)
    end
    local id = value ~= nil and key.id
    rows[id] = fits and shown(row) or nil
    if fits then good[#good + 1] = id end
  end
  return rows, good
end

-- ---- comparing ---------------------------------------------------------------------------

local function with(way, given)
  for name, value in pairs(WAYS[way]) do given[name] = value end
  return given
end

-- A function that says yes to entries of those ids. It has variables from outside, and fields of
-- CPUs, that are none of the function's that the query has beside it.
local function is_one_of(map, good)
  local ids, a, b, c, d, e, f = {}, 1, 2, 3, 4, 5, 6
  for _, id in ipairs(good) do ids[id] = true end
  if map:info().type:find "percpu" then
    return function(key, value)
      return a + b + c + d + e + f == 21 and ids[key.id] and value[1].i1 | 1 ~= 0
        and value[1].packets | 1 ~= 0
    end
  end
  return function(key) return a + b + c + d + e + f == 21 and ids[key.id] end
end

-- The options for entries of those ids, by text or a function.
local function of_those(map, way, good, given)
  given = with(way, given)
  given.where, given.params = "key.id in $ids", { ids = good }
  if way == "batch" then given.where, given.params = is_one_of(map, good), nil end
  return given
end

-- Whether a failure is the verifier's, or of what a program has no room for.
local function is_refusal(message)
  message = tostring(message)
  return message:find 'engine "kernel"' ~= nil or message:find "with the rest of the query" ~= nil
end

local function fail(text, format, ...)
  error(format:format(...) .. "\n" .. text, 0)
end

local function note(report, text)
  if not report then return end
  local compiled = report.compiled
  counts.wholly = counts.wholly + (compiled == true and 1 or 0)
  counts.partly = counts.partly + (compiled == "partly" and 1 or 0)
  if not compiled and report.why then
    fuzz.note(reasons, report.why)
    if report.why:find "cannot be compiled" then fail(text, "%s", report.why) end
  end
end

local function compare_columns(map, way, f, text, rows, good)
  local found, report, n = {}, {}, 0
  local ok, err = pcall(function()
    for row in map:select(of_those(map, way, good, { columns = f, report = report })) do
      found[row.id], n = shown(row), n + 1
    end
  end)
  if not ok and is_refusal(err) then return end
  if not ok then fail(text, "%s: raised: %s", way, err) end
  if n ~= #good then fail(text, "%s: %d rows, %d expected", way, n, #good) end
  for _, id in ipairs(good) do
    counts.compared = counts.compared + 1
    if found[id] ~= rows[id] then
      fail(text, "%s: entry %d: %s, Lua: %s", way, id, found[id], rows[id])
    end
  end
  if way == "kernel" then note(report, text) end
  if #good == ENTRIES then return end
  ok, err = pcall(map.rows, map, with(way, { columns = f }))
  if ok and not err then return end
  if ok and not is_refusal(err) then fail(text, "%s: Lua raises, and this does not", way) end
end

local function compare_groups(map, way, f, text, rows, good)
  local expected, found = {}, {}
  for _, id in ipairs(good) do
    local group = rows[id]
    local one = expected[group] or { 0, 0 }
    expected[group] = { one[1] + 1, one[2] + id }
  end
  local ok, list, report = pcall(map.aggregate, map, of_those(map, way, good, { group = f,
    select = "count() as nn, sum(key.id) as total" }))
  if is_refusal(not ok and list or report) then return end
  if not ok then fail(text, "%s: raised: %s", way, list) end
  for _, row in ipairs(list) do
    local n, total = row.nn, row.total
    row.nn, row.total = nil, nil
    found[shown(row):gsub("float (%-?)0x1p%+0", "float %10x1p+0")] = { n, total }
  end
  for group, one in pairs(expected) do
    counts.compared = counts.compared + one[1]
    local got = found[group]
    if not got or got[1] ~= one[1] or got[2] ~= one[2] then
      fail(text, "%s: group %s: %s, Lua: %d %d", way, group,
        got and got[1] .. " " .. got[2] or "none", one[1], one[2])
    end
    found[group] = nil
  end
  if next(found) then fail(text, "%s: group %s, which Lua has not", way, (next(found))) end
  if way == "kernel" then note(report, text) end
end

local function copied(acc)
  local made = {}
  for k, v in pairs(acc) do made[k] = v end
  return made
end

-- Ids of entries that the function takes one after the other without an error.
local function takes(map, f, acc)
  local good, mine = {}, copied(acc)
  for key, value in map:views() do
    local before = copied(mine)
    if pcall(f, mine, key, value) then good[#good + 1] = key.id else mine = before end
  end
  return good, mine
end

local function compare_fold(map, way, f, text, acc, expected, good)
  local mine = copied(acc)
  local ok, got, report = pcall(map.fold, map, mine, f, of_those(map, way, good, {}))
  if is_refusal(not ok and got or report) then return end
  if not ok then fail(text, "%s: raised: %s", way, got) end
  counts.compared = counts.compared + #good
  if shown(mine) ~= shown(expected) then
    fail(text, "%s: %s, Lua: %s", way, shown(mine), shown(expected))
  end
  if way == "kernel" then note(report, text) end
  if #good == ENTRIES then return end
  mine = copied(acc)
  ok, got = pcall(map.fold, map, mine, f, with(way, {}))
  if ok and got then fail(text, "%s: Lua raises, and this does not", way) end
  if shown(mine) ~= shown(acc) then fail(text, "%s: accumulators are changed", way) end
end

-- ---- one function --------------------------------------------------------------------------

-- Groups of floats that are integers are those of integers: what plain Lua shows is not compared.
local function has_floats(rows)
  for _, row in pairs(rows) do
    if row:find "float" then return true end
  end
  return false
end

local function check(map, random, text, chunk)
  local f = chunk(bpf, random:upvalues())
  counts.functions = counts.functions + 1
  if random.kind == "fold" then
    local acc = random:accumulators()
    local good, expected = takes(map, f, acc)
    counts.raised = counts.raised + ENTRIES - #good
    for way in pairs(WAYS) do compare_fold(map, way, f, text, acc, expected, good) end
    return
  end
  local rows, good = plain(map, f, random.kind == "group" and "group" or nil)
  counts.raised = counts.raised + ENTRIES - #good
  if random.kind == "group" and has_floats(rows) then return end
  local compare = random.kind == "group" and compare_groups or compare_columns
  for way in pairs(WAYS) do compare(map, way, f, text, rows, good) end
end

local function run_seed(seed)
  local random = effects.new(seed, KINDS[seed % #KINDS + 1])
  local map <close>, ncpu = make_map(random, random:pick(TYPES))
  for _ = 1, fuzz.BY_SEED do
    local text = random:source(ncpu)
    local chunk, why = load(text, "=f", "t", random:globals())
    if chunk then
      for _ = 1, 2 do check(map, random, text, chunk) end
    else
      assert(why:find "registers" or why:find "unreachable", why .. "\n" .. text)
    end
  end
  return map
end

local function report()
  return ("%d functions: %d wholly compiled, %d partly; %d entries compared, %d raised"):format(
    counts.functions, counts.wholly, counts.partly, counts.compared, counts.raised) .. "\n"
    .. fuzz.frequent(reasons)
end

-- ---- twins in text -------------------------------------------------------------------------

local FIELDS <const> = { "key.id", "key.port", "key.proto", "key.lev", ".i1", ".i2", ".i3", ".i4",
  ".b1", ".b2", ".packets", ".n[1]", ".m[3]", ".sub.x", ".sub.y" }
local OTHERS <const> = { "key.addr", ".comm", ".hw", ".any", ".peer", ".raw", ".net" }

-- A field, of one CPU where there are several.
local function field(random, list, ncpu)
  local name = random:pick(list)
  if name:find "^key" then return name end
  return (ncpu and ("value[%d]"):format(random:int(1, ncpu)) or "value") .. name
end

-- What text and Lua say alike.
local function expression(random, ncpu, depth)
  if depth == 0 or random:int(1, 3) == 1 then
    return random:int(1, 5) == 1 and tostring(random:int(0, 1000)) or field(random, FIELDS, ncpu)
  end
  return ("(%s %s %s)"):format(expression(random, ncpu, depth - 1),
    random:pick { "+", "-", "*", "&", "|", "~" }, expression(random, ncpu, depth - 1))
end

local function sorted_rows(list)
  local texts = {}
  for i, row in ipairs(list) do texts[i] = shown(row) end
  table.sort(texts)
  return table.concat(texts, "\n")
end

local function loaded(body, ...)
  return assert(load(("return function(%s) %s end"):format(body, table.concat({ ... }, " "))))()
end

local function check_twins(map, random, ncpu, given)
  local a, b = expression(random, ncpu, 2), expression(random, ncpu, 2)
  local c = field(random, OTHERS, ncpu)
  local columns = { "key.id as id", a .. " as a", b .. " as b", c .. " as c" }
  local made = loaded("key, value",
    ("return { id = key.id, a = %s, b = %s, c = %s }"):format(a, b, c))
  local text = ("%s | %s | %s"):format(a, b, c)
  local function both(what, one, other)
    counts.compared = counts.compared + ENTRIES
    if one ~= other then fail(text, "%s: text: %s\nfunction: %s", what, one, other) end
  end
  local function ask(options)
    for name, value in pairs(given) do options[name] = value end
    return options
  end
  both("columns", sorted_rows(assert(map:rows(ask { columns = columns }))),
    sorted_rows(assert(map:rows(ask { columns = made }))))
  local group = loaded("key, value", ("return { a = (%s) & 3, c = %s }"):format(a, c))
  local select = { "count() as n", ("sum(%s) as s"):format(b) }
  both("groups",
    sorted_rows(assert(map:aggregate(ask { group = { ("(%s) & 3 as a"):format(a), c .. " as c" },
      select = select }))),
    sorted_rows(assert(map:aggregate(ask { group = group, select = select }))))
  local acc = assert(map:fold({ n = 0, s = 0 }, loaded("acc, key, value",
    ("acc.n, acc.s = acc.n + 1, acc.s + %s"):format(b)), ask {}))
  both("fold", sorted_rows(assert(map:aggregate(ask { select = select }))), sorted_rows { acc })
end

describe("Lua functions that compute", function()
  it("give the same everywhere", function()
    fuzz.run(600, run_seed, report)
    assert(fuzz.is_one or counts.wholly + counts.partly >= 0.6 * counts.functions, report())
  end)

  it("give what text gives", function()
    fuzz.seeds(12, function(seed)
      local random = effects.new(seed, "columns")
      local map <close>, ncpu = make_map(random, random:pick(TYPES))
      for _ = 1, 4 do
        for _, given in ipairs { { engine = "kernel" }, { engine = "batch" } } do
          fuzz.with_seed(seed, check_twins, map, random, ncpu, given)
        end
      end
    end)
  end)
end)
