-- SPDX-License-Identifier: MIT
--
-- Comparisons: of integers with floats, of text, addresses and enums.

local agree = require "spec.support.agree"
local ipairs = ipairs

local map = agree.map()

describe("comparisons", function()
  it("are of integers and floats", function()
    agree.on(map, function(_, v) return v.delta < 1.5 and -0.5 <= v.delta end, true)
    agree.on(map, function(_, v) return v.delta == 2.0 or v.delta > 1e300 or v.delta < -1e300 end,
      true)
    agree.on(map, function(_, v) return v.delta ~= v.delta or v.delta < 0/0 end, true)
  end)

  it("are of what views show", function()
    assert(agree.on(map, function(_, v) return v.comm == "nginx" end, true) > 0)
    assert(agree.on(map, function(_, v) return v.name == "sixteen letters." end, true) > 0)
    assert(agree.on(map, function(_, v) return v.state == "up" or v.state == 5 end, true) > 0)
    assert(agree.on(map, function(k, v) return k.addr == v.peer end, false) > 0)
    assert(agree.on(map, function(_, v) return v.peer == "10.0.0.1" end, true) > 0)
    assert.equal(0, agree.on(map, function(k, v)
      return v.state == "upx" or k.addr == "10.0.0.01" or v.comm == 5 or v.on == 1
    end, true))
  end)

  it("are with strings from outside", function()
    for _, name in ipairs { "nginx", "ng", "longer than the field", "sixteen letters.", "up",
      "" } do
      agree.on(map, function(_, v) return v.comm == name or v.name == name end, true)
      agree.on(map, function(_, v) return v.state ~= name end, true)
    end
  end)
end)
