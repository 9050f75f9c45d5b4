-- SPDX-License-Identifier: MIT
--
-- The cost model (lua/luabpf/query/cost.lua), and what map:explain makes of it. How far it is
-- off on a machine is for the benchmark to say.

local cost = require "luabpf.query.cost"
local helper = require "spec.support.helper"

local ENGINES <const> = { "kernel", "batch", "walk" }

local function size(changes)
  local list = { entries = 10000, entry_bytes = 48, max_entries = 16384, hashed = true, ncpu = 4,
    rows = 1000, row_bytes = 8, tables = 500, matches = 1000, deletes = true, sums = 1,
    workers = 1 }
  for name, value in pairs(changes or {}) do list[name] = value end
  return list
end

describe("the cost model", function()
  after_each(helper.close_all)

  for _, engine in ipairs(ENGINES) do
    it("has a price for each of its terms: " .. engine, function()
      for _, changes in ipairs { {}, { hashed = false }, { unallocated = true } } do
        for name in pairs(cost.terms(engine, size(changes))) do
          assert.is_number(cost.prices[engine][name], name)
        end
      end
    end)

    it("asks more for more work: " .. engine, function()
      local base = cost.run(engine, size())
      for _, more in ipairs { { entries = 16000 }, { rows = 2000 }, { tables = 1000 },
        { matches = 2000 }, { max_entries = 1000000 }, { ncpu = 128 } } do
        local name, value = next(more)
        assert(cost.run(engine, size(more)) > base, ("%s = %s"):format(name, value))
      end
      assert(cost.run(engine, size { deletes = false }) < base)
    end)
  end

  it("asks more for an entry of a table that no cache holds, but not of an array", function()
    for _, engine in ipairs { "kernel", "batch" } do
      local function entry(n, hashed)
        return cost.run(engine, size { entries = n, max_entries = n, hashed = hashed, rows = 0,
          tables = 0, matches = 0, ncpu = 0, sums = 0 }) / n
      end
      assert(entry(8000000, true) > 1.2 * entry(100000, true), engine)
      assert(math.abs(entry(8000000, false) - entry(100000, false)) < 1, engine)
    end
  end)

  it("divides the work of the batch engine by its workers", function()
    assert.equal(cost.run("batch", size()) // 4, cost.run("batch", size { workers = 4 }))
    assert.equal(cost.run("kernel", size()), cost.run("kernel", size { workers = 4 }))
  end)

  it("estimates what explain says, after the first run without loading", function()
    local map = helper.map { max_entries = 20000 }
    local first = map:explain { where = "value > 7" }
    map:count "value > 7"
    local plan = map:explain { where = "value > 7" }
    assert.equal("kernel", plan.engine)
    assert.equal(20000, plan.size.entries)
    for _, engine in ipairs { "kernel", "batch" } do
      assert.equal(cost.run(engine, plan.size), plan.estimates[engine])
    end
    assert.equal(cost.load, first.estimates.kernel - plan.estimates.kernel)
  end)

  it("leaves a map that is almost empty to the batch engine", function()
    if not helper.kernel_has(6, 6) then
      pending("needs Linux 6.6: the kernel counts a map's entries")
      return
    end
    local map = helper.map { max_entries = 1000000, flags = { "no_prealloc" } }
    map:update(1, 1)
    local plan = map:explain { where = "value > 7" }
    assert.equal(1, plan.entries)
    assert.equal("batch", plan.engine)
    assert.equal("it is cheaper", plan.why)
  end)

  it("tells rows that become tables from those that are summed up", function()
    local map = helper.map { max_entries = 1000 }
    assert.equal(100, map:explain({ where = "value > 7", columns = "value" }).size.tables)
    assert.equal(0, map:explain({ where = "value > 7", group = "value % 5 as g" }).size.tables)
    assert.equal(100, map:explain({ where = "value > 7", group = "value % 5 as g" }).size.rows)
  end)
end)
