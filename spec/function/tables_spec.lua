-- SPDX-License-Identifier: MIT
--
-- Tables from outside that are indexed with fields.

local agree = require "spec.support.agree"
local ipairs, math = ipairs, math

local map = agree.map()

describe("tables", function()
  it("are sets", function()
    for _, set in ipairs { {}, { [1] = true }, { [1] = true, [2] = true, [49] = true }, { 7, 7, 7 },
      { [math.mininteger] = true, [math.maxinteger] = true, [3] = true } } do
      agree.on(map, function(k) return set[k.port] end, true)
      agree.on(map, function(k, v) return set[v.delta] == 7 or not set[k.port] end, true)
    end
  end)

  it("are sets of addresses and text", function()
    local hosts = { ["10.0.1.1"] = true, ["10.0.2.1"] = true, x = true }
    assert(agree.on(map, function(k, v) return hosts[k.addr] or hosts[v.comm] end, true) > 0)
    assert(agree.on(map, function(_, v) return hosts[v.name] end, true) > 0)
  end)

  it("of several values are searched", function()
    local names = { [0] = "a", "b", "b", nil, 5 }
    agree.on(map, function(k) return names[k.port] == "b" end, true)
    agree.on(map, function(_, v) return (names[v.delta] or 9) == 5 end, true)
  end)

  it("with metatables are read through", function()
    local base = { limit = 3 }
    local conf = setmetatable({}, { __index = base })
    agree.on(map, function(_, v) return v.delta == conf.limit end, true)
    base.limit = 2
    agree.on(map, function(_, v) return v.delta == conf.limit end, true)
    local other = setmetatable({}, { __index = function() return 1 end })
    agree.on(map, function(_, v) return v.delta == other.limit end, false)
  end)
end)
