-- SPDX-License-Identifier: MIT
--
-- The arithmetic of Lua: it wraps, rounds down, and shifts by any count.

local agree = require "spec.support.agree"

local map = agree.map()

describe("arithmetic", function()
  it("rounds down", function()
    local k = 7
    agree.on(map, function(_, v) return v.delta // 2 == -1 end, true)
    agree.on(map, function(_, v) return v.delta % 5 == 3 and v.delta % -5 ~= -2 end, true)
    agree.on(map, function(_, v) return v.packets // k + v.delta // -k > 3 end, "partly")
    agree.on(map, function(_, v) return v.delta // -1 == 2 and v.sub.x // 9 < -2 end, true)
  end)

  it("wraps and shifts", function()
    agree.on(map, function(_, v) return v.packets * 0x7fffffffffffffff < 0 end, true)
    agree.on(map, function(k, v) return v.packets << 64 == 0 and v.packets >> -k.port > 500 end,
      true)
    agree.on(map, function(_, v) return ~v.packets & 0xff == -v.delta | 0xf0 end, true)
  end)

  it("may be long, though each step has its operand twice", function()
    local function f(step) return load(("return function(k, v) local m = v.packets %s "
      .. "return m %% 5 > 2 end"):format(step:rep(40)))() end
    agree.on(map, f "m = math.max(m, ~m) ", true)
    agree.on(map, f "m = math.max(m, v.delta) - math.min(m, 3) ", true)
    agree.on(map, f "m = math.abs(m) - math.abs(k.port - m) ", true)
    agree.on(map, f "m = m * m + m ", true)
    -- In a register that is no variable: given up.
    assert.equal(0, (map:count(load("return function(k, v) for i = 1, 2 do i = v.delta "
      .. ("i = math.max(i * i, i) + i "):rep(40) .. "end end")())))
  end)

  it("leaves division by zero to Lua", function()
    local ok = pcall(map.count, map, function(_, v) return 5 // v.delta == 1 end)
    assert.is_false(ok)
    agree.on(map, function(_, v) return v.delta ~= 0 and 5 // v.delta == 1 end, "partly")
  end)
end)
