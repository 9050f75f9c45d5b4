-- SPDX-License-Identifier: MIT
--
-- Which registers matter at an instruction.

local liveness = require "luabpf.function.liveness"

local function find(p, op)
  for pc, i in ipairs(p.code) do
    if i.op == op then return pc, i end
  end
end

describe("liveness", function()
  it("knows what later instructions read", function()
    local p = liveness.of(function(a, b)
      local c = a.x
      if b then c = 2 end
      return c
    end)
    local test = find(p, "TEST")
    assert.equal(2 | 4, p.live[test])
    assert.equal(4, p.live[find(p, "RETURN1")])
    assert.equal(2, p.meets[find(p, "RETURN1")])
  end)

  it("keeps the arguments of a call", function()
    local p = liveness.of(function(f, a) return f(a and 1 or 2, a) == 3 end)
    local pc, call = find(p, "CALL")
    assert.equal(call.b - 1, 2)
    for r = call.a, call.a + 2 do assert(p.live[pc] >> r & 1 == 1, r) end
  end)

  it("knows the registers of loops", function()
    local p = liveness.of(function(t) for i = 1, 3 do t = t + i end return t end)
    local pc, loop = find(p, "FORLOOP")
    assert.equal(0xf << loop.a, p.loops[pc])
    assert.is_nil(p.loops[#p.code])
  end)

  it("is of Lua functions", function()
    local p, why = liveness.of(print)
    assert.is_nil(p)
    assert.equal("it is no Lua function", why)
    local names = {}
    for i = 1, 70 do names[i] = "v" .. i end
    local text = "return function(a) local " .. table.concat(names, ", ") .. " = a return v1 end"
    assert.same({ nil, "it has more than 62 registers" }, { liveness.of(load(text)()) })
  end)
end)
