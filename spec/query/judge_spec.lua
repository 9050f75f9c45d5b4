-- SPDX-License-Identifier: MIT
--
-- What a function leaves to Lua, in every engine: entries that reach what does not
-- compile, errors, functions that ask often.

local bpf = require "luabpf"
local helper = require "spec.support.helper"

local function numbers(n, given)
  given = given or {}
  given.max_entries = given.max_entries or n
  local map = helper.map(given)
  local keys, values = {}, {}
  for i = 1, n do keys[i], values[i] = ("<I4"):pack(i), ("<I8"):pack(i % 100) end
  assert(map:update_batch(table.concat(keys), table.concat(values)))
  return map
end

-- Lua judges those whose value is 7.
local function partly(key, value)
  if value == 7 then return ("%d"):format(key):find "07$" ~= nil and key % 200 == 107 end
  return value < 3
end

local ENGINES <const> = { "kernel", "batch", "walk" }

describe("what a function leaves to Lua", function()
  for _, engine in ipairs(ENGINES) do
    it("is judged by Lua: " .. engine, function()
      local map = numbers(1000)
      local given = { engine = engine }
      local n, report = map:count(partly, given)
      assert.same({ 35, "partly", 10, 1000 }, { n, report.compiled, report.asked, report.visited })
      assert.equal(engine, report.engine)
      local rows = {}
      for key in map:select { where = partly, engine = engine } do rows[#rows + 1] = key end
      assert.equal(35, #rows)
      local list
      list, report = map:aggregate { where = partly, engine = engine,
        select = "count() as n, sum(value) as s, min(value) as lo, max(key) as hi" }
      assert.same({ { n = 35, s = 30 + 35, lo = 0, hi = 1000 } }, { table.unpack(list) })
      assert.equal(10, report.asked)
      list = map:aggregate { where = partly, engine = engine, group = "value", select = "count()" }
      assert.equal(4, #list)
    end)

    it("is deleted if Lua says so and it is unchanged: " .. engine, function()
      local map, told = numbers(1000), 0
      local report = map:delete_where(partly, { engine = engine, dry_run = true })
      assert.same({ 35, 0 }, { report.matched, report.deleted })
      report = map:delete_where(partly, { engine = engine,
        on_delete = function(key, value)
          assert(partly(key, value))
          told = told + 1
        end })
      assert.same({ 35, 35, 0, 35 }, { report.matched, report.deleted, report.kept, told })
      assert.equal(965, map:count())
    end)
  end

  it("is judged by the threads' caller", function()
    local map = numbers(20000, { max_entries = 40000 })
    for _, workers in ipairs { 1, 2, 5 } do
      local given = { engine = "batch", workers = workers }
      local n, report = map:count(partly, given)
      assert.same({ 700, 200, 20000 }, { n, report.asked, report.visited })
      given.where, given.group, given.select = partly, "value", "count() as n, max(key) as hi"
      local list = map:aggregate(given)
      assert.same({ { value = 0, n = 200, hi = 20000 }, { value = 1, n = 200, hi = 19901 },
        { value = 2, n = 200, hi = 19902 }, { value = 7, n = 100, hi = 19907 } },
        { table.unpack(list) })
    end
  end)

  -- What is filled for no entry is no place: for the sanitizers.
  it("may be nothing", function()
    local map = helper.map()
    local function by_lua(_, value) return value / 2 > 3 end
    for _, engine in ipairs(ENGINES) do
      for _, where in ipairs { by_lua, partly } do
        assert.equal(0, #map:aggregate { where = where, group = "key", engine = engine })
        assert.equal(0, #map:rows { where = where, columns = "key, value", engine = engine })
        assert.equal(0, map:count(where, { engine = engine }))
        assert.equal(0, map:delete_where(where, { engine = engine }).matched)
        assert.equal(0, map:update_where(where, "value = 1", { engine = engine }).matched)
      end
    end
  end)

  it("keeps to limits", function()
    local map = numbers(1000)
    for limit = 1, 40, 13 do
      local n = 0
      for _ in map:select { where = partly, limit = limit } do n = n + 1 end
      assert.equal(math.min(limit, 35), n)
      assert.equal(math.min(limit, 35),
        map:delete_where(partly, { limit = limit, dry_run = true }).matched)
    end
    assert.equal(33, map:delete_where(partly, { limit = 33 }).deleted)
    assert.equal(2, map:delete_where(partly).deleted)
  end)

  it("is drained, exported, in snapshots and in parallel", function()
    local map = numbers(1000)
    local seen = 0
    assert.equal(35, #map:snapshot { where = partly })
    local report = assert(map:export(function(text) seen = seen + #text end, { where = partly }))
    assert.same({ 35, "partly", 10 }, { report.entries, report.compiled, report.asked })
    assert(seen > 0)
    report = assert(map:export(function() end, { where = partly, workers = 2 }))
    assert.same({ 35, 10 }, { report.entries, report.asked })
    local sum, parallel = map:parallel { workers = 2, where = partly, initial = 0,
      map = function(batch) return #batch end, reduce = function(a, b) return a + b end }
    assert.same({ 35, 35 }, { sum, parallel.matched })
    seen = 0
    for batch in map:drain { where = partly } do seen = seen + #batch end
    assert.same({ 35, 965 }, { seen, map:count() })
  end)

  it("does not stand in the way of what others change", function()
    local map = numbers(200)
    local report = map:delete_where(function(_, value)
      if value ~= 7 then return false end
      map:update(107, 8)
      return true
    end)
    assert.same({ 2, 1, 1 }, { report.matched, report.deleted, report.kept })
    assert.equal(8, map:lookup(107))
  end)
end)

describe("errors of a function", function()
  for _, engine in ipairs(ENGINES) do
    it("are Lua's own, with the report: " .. engine, function()
      local map = numbers(100)
      local ok, err = pcall(map.delete_where, map, function(key, value)
        if key == 50 then return value < nil end
        return key < 20
      end, { engine = engine })
      assert.is_false(ok)
      assert.matches("judge_spec%.lua:%d+: attempt to compare number with nil", tostring(err))
      assert.matches("judge_spec%.lua:%d+: in ", err.traceback)
      assert.equal(100 - map:count(), err.partial.deleted)
      assert(err.partial.asked >= 1)
      assert(map:lookup(50))
    end)
  end
end)

describe("a function that asks often", function()
  it("is noticed and begun in Lua", function()
    local map = numbers(100000, { max_entries = 131072 })
    local function f(_, value) return ("%d"):format(value) == "5" end
    local function often(key, value)
      if key % 3 == 0 then return f(key, value) end
      return value == 5
    end
    local n, report = map:count(often)
    assert.same({ 1000, "partly" }, { n, report.compiled })
    n, report = map:count(often)
    assert.same({ 1000, 100000 }, { n, report.asked })
    assert.matches("it left too many entries to Lua: .*judge_spec%.lua:%d+: ", report.why)
    assert.equal(1000, map:delete_where(often).deleted)
  end)
end)

describe("compile", function()
  local map = numbers(100)

  it("= false leaves all to Lua", function()
    local n, report = map:count(function(_, value) return value == 1 end, { compile = false })
    assert.same({ 1, false, 100, "compile = false" },
      { n, report.compiled, report.asked, report.why })
    bpf.defaults.compile = false
    finally(function() bpf.defaults.compile = true end)
    report = select(2, map:count(function(_, value) return value == 1 end))
    assert.is_false(report.compiled)
  end)

  it("= true raises unless all is compiled", function()
    assert.equal(1, (map:count(function(_, value) return value == 1 end, { compile = true })))
    assert.error_matches(function() map:count(partly, { compile = true }) end,
      "calls 'string.format'")
    assert.error_matches(function()
      map:parallel { where = partly, compile = true, map = print }
    end, "calls 'string.format'")
  end)

  it("is left where a debug hook has to see the function", function()
    local lines = 0
    debug.sethook(function() lines = lines + 1 end, "l")
    local _, report = map:count(function(_, value) return value == 1 end)
    debug.sethook()
    assert.is_false(report.compiled)
    assert.matches("debug hook", report.why)
    assert(lines > 100)
  end)

  it("of what is no Lua function is Lua's", function()
    local _, report = map:count(rawequal)
    assert.same({ false, "it is no Lua function" }, { report.compiled, report.why })
  end)
end)
