-- SPDX-License-Identifier: MIT
--
-- Functions that assign to fields (lua/luabpf/function/changes.lua); against Lua on random ones in
-- changes_differential_spec.lua.

local compile = require "luabpf.function.compile"
local helper = require "spec.support.helper"
local prepare = require "luabpf.query.prepare"

describe("a function that assigns to fields", function()
  after_each(helper.close_all)

  local function made_of(f)
    local map = helper.map { value = { "u64 n", "u64 m", "u32 state", "u8 a", "bool on",
      "enum8 mode { slow = 0, fast = 1 }", "u8 b", "char name[8]" } }
    return compile.where(f, prepare.facts(map), { key = "\1change", targets = {} })
  end

  local function added(f)
    local list = {}
    for _, target in ipairs(made_of(f).targets) do
      if target.added then list[#list + 1] = target.path end
    end
    return table.concat(list, " ")
  end

  it("adds where a field of 64 bits is only added to", function()
    assert.equal("value.n", added(function(_, value) value.n = value.n + 1 end))
    assert.equal("value.n value.m", added(function(_, value)
      value.n = value.n + value.state
      if value.on then value.m = value.m - 3 end
    end))
    assert.equal("", added(function(_, value) value.n = value.n + value.n end))
    assert.equal("", added(function(_, value) value.n = 3 - value.n end))
    assert.equal("", added(function(_, value) value.state = value.state + 1 end))
    -- What a test or another field reads is compared.
    assert.equal("", added(function(_, value) if value.n > 3 then value.n = value.n - 3 end end))
    assert.equal("value.m", added(function(_, value)
      value.n, value.m = value.n + 1, value.m + value.n
    end))
  end)

  it("is compiled wholly where all that is assigned fits", function()
    local made = made_of(function(_, value)
      value.n, value.on, value.mode = 0, value.n > 5, "fast"
      value.state = value.state & 0xff
    end)
    assert.same({ true, 4 }, { made.compiled, #made.targets })
  end)

  it("leaves to Lua what may not fit, text, and what is no field", function()
    for reason, f in pairs {
      ["what 'value.a' gets may not fit"] = function(_, value) value.a = value.a + 1 end,
      ["assigns to 'value.name', which is text"] = function(_, value)
        if value.n > 1 then value.name = "x" else value.n = 2 end
      end,
      ["raises: no field 'nope' in value"] = function(_, value) value.nope = 1 end,
      ["'value.n' gets a number"] = function(_, value) value.n = 1.0 end,
      ["'value.on' gets a number"] = function(_, value) value.on = 1 end,
      ["'value.mode' gets a string"] = function(_, value) value.mode = "quick" end,
    } do
      local made = made_of(f)
      assert.truthy(table.concat(made.reasons, "\n"):find(reason, 1, true),
        table.concat(made.reasons, "\n"))
      assert.is_not.equal(true, made.compiled)
    end
  end)
end)
