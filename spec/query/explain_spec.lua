-- SPDX-License-Identifier: MIT
--
-- map:explain (lua/luabpf/query/explain.lua): the plan that it tells is the one that runs, in
-- every kind of query, and nothing is run. What estimates are made of is in cost_spec.lua.

local bpf = require "luabpf"
local core = require "luabpf.core"
local helper = require "spec.support.helper"
local math, tostring = math, tostring

local function filled(given)
  local map = helper.map(given)
  local keys = {}
  for i = 1, 1000 do keys[i] = i end
  assert.equal(1000, map:update_batch(keys, keys))
  return map
end

-- The reports of queries that explain is asked about: method, its arguments, what explain gets.
local QUERIES <const> = {
  { "entries", function(map, more)
    local where = more.where
    more.where = nil
    return select(2, map:count(where, more))
  end },
  { "select", function(map, more)
    more.report, more.columns = {}, "value"
    for _ in map:select(more) do end -- luacheck: ignore
    return more.report
  end, { columns = "value" } },
  { "aggregate", function(map, more)
    more.group = "key % 3 as g"
    return select(2, map:aggregate(more))
  end, { group = "key % 3 as g" } },
  { "delete", function(map, more)
    local where = more.where
    more.where = nil
    return map:delete_where(where, more)
  end, { delete = true } },
}

local function with(...)
  local all = {}
  for _, part in ipairs { ... } do
    for name, value in pairs(part) do all[name] = value end
  end
  return all
end

describe("explain", function()
  after_each(helper.close_all)

  it("expects what the map holds now, and what this run does to it", function()
    local map = filled { max_entries = 100000 }
    local counted = core.element_count(map)
    assert.equal(counted and 1000 or 100000, map:explain({ where = "value > 1" }).entries)
    map:update(5000, 5000)
    assert.equal(counted and 1001 or 100000, map:explain({ where = "value > 1" }).entries)
    assert.equal(1, map:delete_where("value > 1000", { dry_run = true }).matched)
    local plan = map:explain { where = "value > 1000", delete = true }
    assert.is_true(plan.size.deletes)
    plan.size.entries = 7
    assert.same(plan.entries, map:explain({ where = "value > 1000", delete = true }).size.entries)
    assert.falsy(map:explain({ where = "value > 1000" }).size.deletes)
  end)

  for _, query in ipairs(QUERIES) do
    local name, run, options = table.unpack(query)
    it("tells the engine that runs: " .. name, function()
      for _, given in ipairs { { max_entries = 1000 }, { max_entries = 60000 },
        { max_entries = 60000, type = "array" } } do
        local map = filled(given)
        for _, ask in ipairs { {}, { engine = "walk" }, { engine = "kernel" }, { exact = true },
          { budget = 0 }, { memory = "40KiB" } } do
          -- Of no entry: the plan knows nothing of that, so that it is a deletion's too.
          local where = { where = "value > 1000" }
          if not (given.type and name == "delete") then
            run(map, with(where, ask)) -- loads what it needs
            local plan = map:explain(with(where, ask, options or {}))
            local report = run(map, with(where, ask))
            assert.equal(plan.engine, report.engine)
            assert.equal(plan.why, report.why)
            for _, ns in pairs(plan.estimates) do assert.is_true(ns > 0) end
          end
        end
      end
    end)
  end

  it("counts what deleting costs, and the rows that do not fit", function()
    local map = filled { max_entries = 60000 }
    map:count "value > 0"
    local plan, deleting = map:explain { where = "value > 0" },
      map:explain { where = "value > 0", delete = true }
    for _, engine in ipairs { "kernel", "batch" } do
      assert.is_true(deleting.estimates[engine] > plan.estimates[engine])
    end
    assert.equal("the rows would not fit in the memory allowed",
      map:explain({ columns = "value", memory = "40KiB" }).why)
    assert.equal("a run inside the kernel would take longer than the budget allows",
      map:explain({ where = "value > 0", budget = 0 }).why)
  end)

  it("runs nothing", function()
    local map = filled { max_entries = 1000 }
    map:explain { where = "value > 0", delete = true, engine = "kernel" }
    map:explain { delete = true, where = function() error "called" end }
    assert.equal(1000, map:count())
  end)

  it("of a Lua function that is not compiled says what its source costs", function()
    local map = filled { max_entries = 60000 }
    local plan = map:explain { where = function() return true end, compile = false }
    assert.is_false(plan.compiled)
    assert.same({ "compile = false" }, plan.reasons)
    assert.equal(60000, plan.size.rows)
    assert.equal(12, plan.size.row_bytes)
    assert.same({}, plan.fragments)
    local _, report = map:count(function() return true end, { compile = false })
    assert.equal(plan.engine, report.engine)
  end)

  it("of a Lua function shows its lines, and which are Lua's", function()
    local map = filled { max_entries = 2000 }
    local plan = map:explain { where = function(key, value)
      if key > 5 then return value / 2 > 7 end
      return value == 3
    end }
    assert.equal("partly", plan.compiled)
    assert.equal(1, #plan.reasons)
    assert.matches("explain_spec%.lua:%d+: '/' gives a float; '//' divides integers$",
      plan.reasons[1])
    assert.matches("explain_spec%.lua:%d+: if key > 5 then return value / 2 > 7 end\n *0  r1 = ",
      plan.fragments[1].listing)
    assert.matches("Lua judges entries that come to\n  [^\n]*explain_spec", tostring(plan))
  end)

  it("of what the kernel cannot do names the reason, and gives no price for it", function()
    local map = helper.map { type = "lpm_trie", key = "prefix4", flags = { "no_prealloc" } }
    local plan = map:explain { where = "value > 0" }
    assert.is_nil(plan.estimates.kernel)
    assert.not_equal("kernel", plan.engine)
    local _, report = map:count "value > 0"
    assert.equal(plan.engine, report.engine)
    assert.equal(plan.why, report.why)
    assert.equal(bpf.errno.ENOTSUPP,
      select(3, map:count("value > 0", { engine = "kernel" })))
  end)

  it("says how functions that compute run", function()
    local map = helper.map { key = "u32", value = { "u64 packets", "u64 bytes" } }
    local plan = map:explain { columns = function(key, value)
      return { k = key, pace = value.bytes // math.max(value.packets, 1) }
    end, where = "value.packets > 3" }
    assert.is_true(plan.compiled)
    assert.same({ "where", "columns" }, { plan.fragments[1].name, plan.fragments[2].name })
    assert.equal(16, plan.row_bytes)
    plan = map:explain { group = function(key, value)
      if key == 3 then return #tostring(value.bytes) end
      return key // 10
    end, where = function(_, value) return value.packets > 3 end }
    assert.equal("partly", plan.compiled)
    assert.matches("explain_spec.lua:%d+: calls 'tostring', which only Lua can do", plan.reasons[1])
    assert.equal("by hash", plan.groups)
    plan = map:explain { fold = function(acc, _, value) acc.n = acc.n + value.packets end,
      initial = { n = 0 } }
    assert.is_true(plan.compiled)
    assert.matches("acc.n", plan.fragments[1].listing)
    plan = map:explain { fold = function(acc, key) acc[key] = 1 end, initial = {} }
    assert.is_false(plan.compiled)
    assert.matches("Lua judges all entries", tostring(plan))
    plan = map:explain { fold = function() end, initial = { x = 1.5 } }
    assert.same({ "accumulator 'x' is no integer" }, plan.reasons)
    local ok, err = pcall(function() map:explain { fold = print } end)
    assert.is_false(ok)
    assert.matches("explain_spec.lua:%d+: explain: option 'initial': the accumulators", err)
  end)
end)
