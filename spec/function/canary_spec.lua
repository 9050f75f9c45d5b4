-- SPDX-License-Identifier: MIT
--
-- A Lua whose instructions are not known compiles nothing.

local bpf = require "luabpf"
local canary = require "luabpf.function.canary"
local helper = require "spec.support.helper"
local judge = require "luabpf.query.judge"

describe("the canary", function()
  it("knows this Lua", function()
    assert.is_nil(canary.obstacle())
    assert.is_true(bpf.features().functions)
  end)

  it("notices other instructions under the same header", function()
    local chunk = string.dump(function(a) return a end)
    assert.equal("this Lua has other instructions than Lua 5.4", canary.check(chunk))
    assert.equal("bytecode of Lua 5.5: only that of 5.4 is known",
      canary.check("\27Lua\x55\0" .. chunk:sub(7)))
  end)

  it("leaves functions to Lua then", function()
    local map = helper.map()
    assert(map:update(1, 5))
    local obstacle = canary.obstacle
    finally(function() canary.obstacle = obstacle end)
    function canary.obstacle() return "another Lua" end
    local n, report = map:count(function(_, value) return value == 5 end)
    assert.equal(1, n)
    assert.is_false(report.compiled)
    assert.equal("another Lua", report.why)
    assert.error_matches(function() judge.compile(function() return true end, map) end,
      "another Lua")
  end)
end)
