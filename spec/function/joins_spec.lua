-- SPDX-License-Identifier: MIT
--
-- Paths that meet: code grows with the function, not with its paths.

local agree = require "spec.support.agree"

local map = agree.map()

describe("paths that meet", function()
  it("are one", function()
    local compile = require "luabpf.function.compile"
    local prepare = require "luabpf.query.prepare"
    local function f(k, v)
      local s = 0
      if v.on then s = s + k.port end
      if v.delta > 0 then s = s + v.packets end
      if v.packets > 50 then s = s - 3 end
      if k.port > 20 then s = s * 2 end
      if k.id > 20 then s = s + 1 end
      if k.id > 50 then s = s + 2 end
      if k.id > 90 then s = s + 3 end
      if k.id > 120 then s = s + 4 end
      return s > 60
    end
    agree.on(map, f, true)
    assert(compile.where(f, prepare.facts(map)).n < 1000)
  end)

  it("swap variables at once", function()
    agree.on(map, function(k, v)
      local a, b = v.delta, k.port
      for _ = 1, 5 do if a < b then a, b = b, a + 1 end end
      return a > b + 2
    end, true)
  end)

  it("move what reads a variable, also where a loop has it", function()
    for n = 1, 8 do
      local squares = ("i = i * i + i "):rep(n)
      agree.on(map, load("return function(_, v) for i = 1, 2 do i = v.packets " .. squares
        .. "if i % 3 == 1 then return true end end end")(), true)
    end
    agree.on(map, function(k, v)
      local n = v.n[1]
      if v.on then n = n + 1 end
      if k.port > 3 then n = n + v.n[2] end
      if k.port > 9 then n = n + 1 end
      if k.port > 12 then n = n - v.n[1] end
      if k.port > 17 then n = n + 1 end
      local sum = 0
      n = n & 3
      for i = 1, n do
        n = n + i
        sum = sum + n
        if i == 3 then return sum > 11 end
      end
      return sum > 6
    end, true)
  end)
end)
