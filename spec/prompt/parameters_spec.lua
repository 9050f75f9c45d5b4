-- SPDX-License-Identifier: MIT
--
-- Parameters of functions that a query is given; what is offered is in complete_spec.lua.

local helper = require "spec.support.helper"
local parameters = require "luabpf.prompt.parameters"
local tokens = require "luabpf.prompt.tokens"

describe("a parameter", function()
  after_each(helper.close_all)

  local function names(text)
    local map = helper.map { value = { "u32 n", { name = "inner", "u8 x" } } }
    local list = tokens.of(text)
    local scope = { locals = { map = { value = map } }, globals = {} }
    local found = parameters.names(list, #list, scope)
    return found and table.concat(found, " ")
  end

  it("has the fields of what it stands for", function()
    assert.equal("n inner", names "map:count(function(k, v) return v")
    assert.equal("x", names "map:count(function(k, v) return v.inner")
    assert.equal("", names "map:count(function(k, v) return k")
  end)

  it("is the closest of that name", function()
    assert.equal("n inner", names "map:count(function(k, v) map:count(function(a, b) return v")
    assert.equal("", names "map:count(function(k, v) map:count(function(v, b) return v")
  end)

  it("is none of other functions, and no other thing", function()
    for _, text in ipairs { "v", "f(function(v) return v", "map:count(function(k, v) return x",
      "map:count(function(k, v) return (v)", "map:count(function v", "function(k, v) return v",
      "map:lookup(function(k, v) return v", "v.", "" } do
      assert.is_nil(names(text), text)
    end
  end)
end)
