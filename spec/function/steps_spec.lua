-- SPDX-License-Identifier: MIT
--
-- Every instruction, and values that are carried by and, or, not.

local agree = require "spec.support.agree"

local map = agree.map()

describe("instructions", function()
  it("carry values", function()
    agree.on(map, function(_, v) return (v.on and v.delta or 7) == 7 end, true)
    agree.on(map, function(_, v) local x = not v.on; return x == (v.delta > 0) end, true)
    agree.on(map, function(_, v)
      local a, b, c = v.delta, nil, nil
      return a == 1 and b == c
    end, true)
    agree.on(map, function(_, v)
      local a, b = v.delta, 2
      if v.on then a, b = b, a end
      return a > b
    end, true)
  end)

  it("that need Lua say what to write", function()
    local function why(f) return select(2, map:count(f)).why end
    assert.matches("'//' divides integers$", why(function(_, v) return v.packets / 2 > 3 end))
    assert.matches("'%*' multiplies", why(function(_, v) return v.packets ^ 2 > 3 end))
    assert.matches("makes a table$", why(function(_, v) return { v } ~= nil end))
    assert.matches("arithmetic with a float; 2 is an integer$",
      why(function(_, v) return v.packets * 2.0 > 3 end))
  end)
end)
