-- SPDX-License-Identifier: MIT
--
-- Fields, nested structs, lists, bools, as views show them.

local agree = require "spec.support.agree"

local map = agree.map()

describe("places", function()
  it("are fields of all kinds", function()
    agree.on(map, function(k, v) return v.on and v.sub.x < -5 and k.port > 3 end, true)
    agree.on(map, function(_, v) return v.n[1] == 2 or v.n[4] == nil and v.n[3] > 100 end, true)
    agree.on(map, function(k, v) return (v.n[k.port] or 7) == 2 end, true)
    agree.on(map, function(_, v) return v.on == true or v.on == nil end, true)
  end)

  it("that there are not raise in Lua", function()
    local ok, err = pcall(map.count, map, function(_, v) return v.delta == 1 and v.nothing end)
    assert.is_false(ok)
    assert.matches("no field 'nothing'", tostring(err))
  end)
end)
