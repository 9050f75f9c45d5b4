-- SPDX-License-Identifier: MIT
--
-- Loops unroll; what has no known end is left to Lua.

local agree = require "spec.support.agree"
local ipairs = ipairs

local map = agree.map()

describe("loops", function()
  it("are over numbers and lists", function()
    local most = 3
    agree.on(map, function(_, v)
      local sum = 0
      for i = 1, most do sum = sum + v.n[i] end
      for i = 3, 1, -2 do sum = sum - v.n[i] end
      for _, x in ipairs(v.n) do if x == 2 then sum = sum + 10 end end
      return sum > 11
    end, true)
  end)

  it("to a field go on for some rounds", function()
    local function counted(k)
      local n = 0
      for _ = 1, k.id do n = n + 1 end
      return n > 50
    end
    agree.on(map, counted, "partly")
  end)

  it("without a known end are Lua's", function()
    agree.on(map, function(_, v)
      local x = v.packets
      while x > 10 do x = x - 10 end
      return x == 3
    end, "partly")
  end)
end)
