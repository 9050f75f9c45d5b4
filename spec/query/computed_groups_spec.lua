-- SPDX-License-Identifier: MIT
--
-- Groups by a function (lua/luabpf/query/computed_groups.lua): by what is compiled, in threads too,
-- and by Lua from the start where one entry needs it. computed_spec.lua has the rest.

local helper = require "spec.support.helper"
local tostring = tostring

local N <const> = 2000

local function filled()
  local map = helper.map { key = "u32", value = "u64", max_entries = N }
  local keys, values = {}, {}
  for i = 1, N do keys[i], values[i] = i, i * 7 end
  assert(map:update_batch(keys, values))
  return map
end

local SELECT <const> = { "count() as n", "avg(value) as mean", "distinct(value % 5) as d" }

describe("groups by a function", function()
  after_each(helper.close_all)

  it("are those of texts, in every engine and in threads", function()
    local map = filled()
    local wanted = assert(map:aggregate { group = "key // 300 as group", select = SELECT })
    for _, given in ipairs { { engine = "kernel" }, { engine = "batch" },
      { engine = "batch", workers = 2 }, { compile = false } } do
      given.group, given.select = function(key) return key // 300 end, SELECT
      local list, report = map:aggregate(given)
      assert.equal(#wanted, #list)
      for i, row in ipairs(wanted) do
        assert.same({ row.group, row.n, row.mean, row.d },
          { list[i].group, list[i].n, list[i].mean, list[i].d })
      end
      assert.equal(given.compile == nil, report.compiled)
      assert.equal(given.compile == nil and 0 or N, report.asked)
      assert.equal(N, report.matched)
    end
  end)

  it("are Lua's from the start where one entry needs it, and the next times", function()
    local map = filled()
    local function group(key) return key == 1234 and #tostring(key) or key // 1000 end
    local list, report = map:aggregate { group = group, select = "count() as n" }
    assert.equal("partly", report.compiled)
    assert.equal(N, report.asked)
    assert.equal(N, report.matched)
    assert.matches("some entry needs Lua", report.why)
    local n = 0
    for _, row in ipairs(list) do n = n + row.n end
    assert.same({ 4, N }, { #list, n })
    report = select(2, map:aggregate { group = group, select = "count() as n" })
    assert.matches("it left too many entries to Lua", report.why)
  end)
end)
