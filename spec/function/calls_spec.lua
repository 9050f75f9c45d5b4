-- SPDX-License-Identifier: MIT
--
-- Calls: functions run in line, others are left to Lua.

local agree = require "spec.support.agree"

local map = agree.map()

describe("calls", function()
  it("of Lua functions run in line", function()
    local lib = {}
    function lib.two(a, b) if a > b then return a, b end return b, a end
    function lib.fact(n) if n <= 1 then return 1 end return n * lib.fact(n - 1) end
    agree.on(map, function(_, v) local a, b = lib.two(v.delta, 1) return a - b > 1 end, true)
    agree.on(map, function(_, v) return lib.fact(5) > v.packets end, true)
  end)

  it("with an effect are left to Lua", function()
    local seen = {}
    local f = function(k, v)
      if v.delta == 3 then seen[#seen + 1] = k.id end
      return v.delta > 1
    end
    agree.on(map, f, "partly")
    assert.equal(3 * 28, #seen)
  end)
end)
