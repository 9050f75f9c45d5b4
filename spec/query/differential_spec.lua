-- SPDX-License-Identifier: MIT
--
-- Random expressions over random layouts and entries in real maps: every engine
-- gives what a direct evaluation (evaluator.lua) gives.
--
-- LUABPF_SEED=n runs the expressions of that seed only, LUABPF_SEEDS=n fewer seeds (emulated
-- machines are slow), LUABPF_FUZZ=s new seeds for so many seconds (make fuzz).

local bpf = require "luabpf"
local core = require "luabpf.core"
local evaluator = require "spec.support.evaluator"
local expr = require "luabpf.expr.parse"
local generator = require "spec.support.generator"
local helper = require "spec.support.helper"

local SEED <const> = math.tointeger(os.getenv("LUABPF_SEED"))
local FUZZ <const> = tonumber(os.getenv("LUABPF_FUZZ"))
-- Of eight expressions each: about four seconds of CPU time.
local SEEDS <const> = math.tointeger(os.getenv "LUABPF_SEEDS") or 250
local EXPRESSIONS <const>, ENTRIES <const> = 8, 14

local U32 <const> = { kind = "int", size = 4, align = 4, name = "u32" }

local KINDS <const> = {
  { type = "hash" },
  { type = "hash", flags = { "no_prealloc" } },
  { type = "lru_hash", room = 40 },
  { type = "percpu_hash", percpu = true },
  { type = "percpu_hash", percpu = true, flags = { "no_prealloc" } },
  { type = "array", fixed = true },
  { type = "percpu_array", fixed = true, percpu = true },
}

-- ---- maps with random contents -----------------------------------------------------

local function environment(random, kind)
  local env = { key = kind.fixed and U32 or random:root(), value = random:root(),
    ncpu = kind.percpu and bpf.cpus() or nil }
  env.key_size, env.value_size = env.key.size, env.value.size
  return env
end

local function make_map(kind, env)
  local map = helper.map { type = kind.type, flags = kind.flags, key_size = env.key_size,
    value_size = env.value_size, max_entries = kind.room or ENTRIES }
  core.set_types(map, core.layout(env.key), core.layout(env.value))
  return map
end

-- As bpf(2) takes the values of all CPUs.
local function record(value)
  if type(value) == "string" then return value end
  local parts = {}
  for i, one in ipairs(value) do parts[i] = one .. ("\0"):rep(-#one % 8) end
  return table.concat(parts)
end

-- Entries in the map, by packed key.
local function fill(random, map, kind, env)
  local entries, keys, values = {}, {}, {}
  for i = 1, ENTRIES do
    local entry = random:entry(env)
    if kind.fixed then entry.key = string.pack("<I4", i - 1) end
    keys[i], values[i], entries[entry.key] = entry.key, record(entry.value), entry
  end
  assert(map:update_batch(table.concat(keys), table.concat(values)))
  return entries
end

-- ---- what must come out --------------------------------------------------------------

local Case = {}
Case.__index = Case

-- The evaluator's answer for each entry: by key, and as a list.
function Case:evaluate(ast)
  local by_key = {}
  for key, entry in pairs(self.entries) do
    entry.params, entry.now, entry.boottime = self.params, core.now(), core.boottime()
    by_key[key] = evaluator.run(ast, entry)
  end
  return by_key
end

-- A list as text, sorted.
local function texts(list)
  local all = {}
  for i, value in ipairs(list) do all[i] = tostring(value) end
  table.sort(all)
  return table.concat(all, " ")
end

-- map:<method>(...) by one engine.
function Case:options(engine, more)
  local given = { engine = engine, params = next(self.params) and self.params or nil,
    batch_size = 5 }
  for name, value in pairs(more or {}) do given[name] = value end
  return given
end

function Case:engines()
  return self.number % 5 == 0 and { "kernel", "batch", "walk" } or { "kernel", "batch" }
end

-- ---- conditions ----------------------------------------------------------------------

local function hits(by_key)
  local keys = {}
  for key, holds in pairs(by_key) do
    if holds then keys[#keys + 1] = key end
  end
  return keys
end

local conditions = {}

function conditions:count(by_key, engine)
  local n, report = self.map:count(self.text, self:options(engine))
  assert.equal(#hits(by_key), n, report)
  assert.equal(engine, report.engine)
end

function conditions:select(by_key, engine)
  local n = 0
  for _ in self.map:select(self:options(engine, { where = self.text })) do n = n + 1 end
  assert.equal(#hits(by_key), n)
end

function conditions:column(by_key, engine)
  local wanted, got = {}, {}
  for _, holds in pairs(by_key) do wanted[#wanted + 1] = holds end
  for row in self.map:select(self:options(engine, { columns = { c = self.text } })) do
    got[#got + 1] = row.c
  end
  assert.equal(texts(wanted), texts(got))
end

function conditions:group(by_key, engine)
  local wanted = {}
  for _, holds in pairs(by_key) do wanted[holds] = (wanted[holds] or 0) + 1 end
  local got = {}
  for _, row in ipairs(assert(self.map:aggregate(self:options(engine,
    { group = { c = self.text }, select = "count() as n" })))) do got[row.c] = row.n end
  assert.same(wanted, got)
end

-- What is left afterwards; then all is put back.
function conditions:delete(by_key, engine)
  if self.kind.fixed then return end
  local report = assert(self.map:delete_where(self.text, self:options(engine)))
  assert.equal(#hits(by_key), report.deleted)
  for key, holds in pairs(by_key) do
    local entry = self.entries[key]
    local _, found = self.map:lookup_batch(key)
    assert.equal(holds and 0 or 1, found)
    assert(self.map:update_batch(key, record(entry.value)))
  end
end

-- ---- integers ------------------------------------------------------------------------

local integers = {}

function integers:column(by_key, engine)
  local wanted, got = {}, {}
  for _, value in pairs(by_key) do wanted[#wanted + 1] = self.shown(value) end
  for row in self.map:select(self:options(engine, { columns = { c = self.text } })) do
    got[#got + 1] = row.c
  end
  assert.equal(texts(wanted), texts(got))
end

local function less(a, b, signed)
  if signed then return a < b end
  return math.ult(a, b)
end

function integers:sorted(by_key, engine)
  local wanted, got = {}, {}
  for _, value in pairs(by_key) do wanted[#wanted + 1] = value end
  table.sort(wanted, function(a, b) return less(b, a, self.signed) end)
  for row in self.map:select(self:options(engine, { columns = { c = self.text }, sort = "c",
    limit = 5 })) do got[#got + 1] = row.c end
  assert.same(table.move(wanted, 1, 5, 1, {}), got)
end

-- Sums over everything, which programs compute, and over one group, which they do not.
local function totals(by_key, signed)
  local row = { n = 0, s = 0 }
  for _, value in pairs(by_key) do
    row.n, row.s = row.n + 1, row.s + value
    if not row.lo or less(value, row.lo, signed) then row.lo = value end
    if not row.hi or less(row.hi, value, signed) then row.hi = value end
  end
  return row
end

function integers:sums(by_key, engine)
  local columns = { n = "count()", s = ("sum(%s)"):format(self.text),
    lo = ("min(%s)"):format(self.text), hi = ("max(%s)"):format(self.text) }
  assert.same({ totals(by_key, self.signed) },
    (assert(self.map:aggregate(self:options(engine, { select = columns })))))
  local grouped = assert(self.map:aggregate(self:options(engine,
    { select = columns, group = { g = "1" } })))
  local wanted = totals(by_key, self.signed)
  wanted.g = 1
  assert.same({ wanted }, grouped)
end

function integers:group(by_key, engine)
  local wanted, got = {}, {}
  for _, value in pairs(by_key) do
    value = self.shown(value)
    wanted[value] = (wanted[value] or 0) + 1
  end
  for _, row in ipairs(assert(self.map:aggregate(self:options(engine,
    { group = { c = self.text }, select = "count() as n" })))) do got[row.c] = row.n end
  assert.same(wanted, got)
end

-- ---- running -------------------------------------------------------------------------

local function names(checks)
  local list = {}
  for name in pairs(checks) do list[#list + 1] = name end
  table.sort(list)
  return list
end

local CONDITIONS <const>, INTEGERS <const> = names(conditions), names(integers)

-- How a column shows a value: an enum's field by its name.
local function shown(ast)
  local known = {}
  for _, value in ipairs(ast.op == "field" and ast.desc.values or {}) do
    known[value.value] = value.name
  end
  return function(value) return known[value] or value end
end

local function check(case, random)
  local ast = expr.parse(case.text, case.env)
  case.signed = ast.kind == "signed"
  local by_key = case:evaluate(ast)
  case.shown = shown(ast)
  local checks, list = conditions, CONDITIONS
  if ast.kind ~= "condition" then checks, list = integers, INTEGERS end
  local name = random:pick(list)
  for _, engine in ipairs(case:engines()) do
    local ok, err = pcall(checks[name], case, by_key, engine)
    if not ok then
      error(("LUABPF_SEED=%d, %s, %s, engine %s: %s\n%s"):format(case.seed, case.kind.type, name,
        engine, case.text, tostring(type(err) == "table" and err.message or err)), 0)
    end
  end
end

local function run_seed(seed)
  local random = generator.new(seed)
  local kind = random:pick(KINDS)
  local env = environment(random, kind)
  random:enter(env)
  if kind.percpu and not env.ncpu then kind = KINDS[1] end
  local map = make_map(kind, env)
  local case = setmetatable({ seed = seed, kind = kind, env = env, map = map,
    entries = fill(random, map, kind, env) }, Case)
  for number = 1, EXPRESSIONS do
    case.number, case.text = number, random:expression()
    case.params = random.params
    check(case, random)
  end
  helper.close_all()
end

describe("every engine gives what the expression means", function()
  local now, boottime = core.now, core.boottime

  -- The clocks stand still: all engines and the evaluator read the same.
  before_each(function()
    local at, booted = now(), boottime()
    core.now, core.boottime = function() return at end, function() return booted end
  end)

  after_each(function()
    core.now, core.boottime = now, boottime
    helper.close_all()
  end)

  it("for random layouts, entries and expressions", function()
    if FUZZ then
      local seed, stop = os.time() << 20, os.time() + FUZZ
      repeat
        run_seed(seed)
        seed = seed + 1
      until os.time() >= stop
    else
      for seed = SEED or 1, SEED or SEEDS do run_seed(seed) end
    end
  end)
end)
