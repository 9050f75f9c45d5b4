-- SPDX-License-Identifier: MIT
--
-- Plans of changes (lua/luabpf/query/changes.lua), and what map:explain says of them.

local helper = require "spec.support.helper"

describe("the plan of a change", function()
  after_each(helper.close_all)

  local function filled()
    local map = helper.map { value = { "u64 n", "u8 a", "char name[7]" } }
    for i = 1, 10 do map:update(i, { n = i }) end
    return map
  end

  it("is explained: text, and functions as far as they are compiled", function()
    local map = filled()
    local plan = map:explain { where = "value.n > 3", change = "value.n = value.n + 1" }
    assert.is_nil(plan.compiled)
    assert.matches("value.n", tostring(plan))
    plan = map:explain { change = function(_, value) value.n = 7 end }
    assert.same({ true, 0, "change" }, { plan.compiled, #plan.reasons, plan.fragments[1].name })
    plan = map:explain { change = function(_, value) value.a = value.a + 1 end }
    assert.equal("partly", plan.compiled)
    assert.matches("changes_spec.lua:%d+: what 'value.a' gets may not fit", plan.reasons[1])
    plan = map:explain { change = function(_, value) value.n = value.n / 2 end }
    assert.is_false(plan.compiled)
    assert.matches("'/' gives a float", plan.reasons[1])
    plan = helper.map { type = "percpu_hash" }:explain { change = "value = 0" }
    assert.same({ "batch", "values of CPUs are changed each on its own CPU, a batch at a time" },
      { plan.engine, plan.why })
    assert.equal(1, map:lookup(1).n)
  end)

  it("blames the caller's line", function()
    local map = filled()
    local line = debug.getinfo(1, "l").currentline
    for i, call in ipairs {
      function() map:update_where(nil, 3) end,
      function() map:update_where(nil, function(_, value) value.n = "" end, { compile = true }) end,
      function() map:explain { change = 3 } end,
      function() map:explain { change = function(_, value) value.n = "" end, compile = true } end,
    } do
      local ok, message = pcall(call)
      assert.is_false(ok)
      assert.matches(("changes_spec.lua:%d: .*change"):format(line + 1 + i), tostring(message))
    end
  end)
end)
