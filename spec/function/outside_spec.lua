-- SPDX-License-Identifier: MIT
--
-- What is read from outside is read at the start of each run.

local agree = require "spec.support.agree"

local map = agree.map()

-- A global of the name of a variable below.
local environment = { LIMIT = 2 }
local reaches = load("return function(v) return v >= LIMIT end", "=f", "t", environment)()

describe("what is outside", function()
  it("is told apart from others of its name", function()
    local LIMIT = 1
    local function f(_, v) return reaches(v.delta) and v.packets >= LIMIT end
    for low = -3, 3 do
      for limit = 0, 90, 30 do
        environment.LIMIT, LIMIT = low, limit
        agree.on(map, f, true)
      end
    end
  end)

  it("is read again by each run", function()
    local limit, name, on = 2, "ng", true
    local conf = { deep = { limit = 1 } }
    local function f(_, v)
      return v.delta > limit and v.comm == name and on or v.delta == conf.deep.limit
    end
    local seen = {}
    for i = -3, 3 do
      limit, conf.deep.limit = i, -i
      seen[#seen + 1] = agree.on(map, f, true)
    end
    assert(seen[1] ~= seen[#seen])
    name, on = "nginx", false
    agree.on(map, f, true)
    limit = 1.5
    agree.on(map, f, true)
    limit = "x"
    assert.is_false(pcall(map.count, map, f))
    limit, conf.deep = 1, nil
    assert.is_false(pcall(map.count, map, f))
  end)

  it("is compared by what it is", function()
    local one, other, mode = {}, {}, nil
    local conf = {}
    local function f(_, v) return mode == one and v.delta > 0 or conf.mode == mode end
    for _, now in ipairs { one, other, one } do
      mode = now
      for _, set in ipairs { one, other } do
        conf.mode = set
        agree.on(map, f, true)
      end
    end
    local by_mode = { [one] = 1, [other] = 2 }
    local function g(_, v) return by_mode[mode] == 1 and v.on end
    assert.equal(0 < map:count "value.on", 0 < map:count(g))
    mode = other
    assert.equal(0, (map:count(g)))
  end)

  it("may be functions of one text", function()
    local function made() return load "return function() return 1 end" () end
    local one, other = made(), made()
    local current = one
    local function f() return current == one end
    assert.equal(200, agree.on(map, f, true))
    current = other
    assert.equal(0, agree.on(map, f, true))
  end)

  it("may be the same in two places for a while", function()
    local low = { limit = -1 }
    local high = low
    local function f(_, v) return v.delta > low.limit and v.delta < high.limit + 2 end
    local before = agree.on(map, f, true)
    high = { limit = 2 }
    assert(agree.on(map, f, true) > before)
    local function at_most(n) return function(x) return x <= n end end
    local first = at_most(1)
    local second = first
    local function g(_, v) return first(v.delta) ~= second(v.delta) end
    assert.equal(0, agree.on(map, g, true))
    second = at_most(2)
    assert(agree.on(map, g, true) > 0)
  end)

  it("is asked again where a metatable has got a function", function()
    local meta = {}
    local conf = setmetatable({}, meta)
    local function f() return conf.limit == nil end
    assert.equal(200, agree.on(map, f, true))
    meta.__index = function() return 3 end
    assert.equal(0, (map:count(f)))
    local strings = getmetatable ""
    local function g(_, v) return v.comm:sub(1, 2) == "ng" end
    assert.equal(200, agree.on(map, g, true))
    strings.__index = setmetatable({ sub = function() return "none" end }, { __index = string })
    local ok, n = pcall(map.count, map, g)
    strings.__index = function(_, name) return name == "sub" and rawlen or string[name] end
    local also, raised = pcall(map.count, map, g)
    strings.__index = string
    assert.same({ true, 0, true, 0 }, { ok, n, also, raised })
  end)

  it("tells zeros apart", function()
    local zero, by_port = 0.0, { [3] = 0.0 }
    local function f() return 1 / zero > 0 end
    local function g(k) return 1 / (by_port[k.port] or 1) > 0 end
    assert.equal(200, agree.on(map, f, true))
    assert.equal(200, agree.on(map, g, true))
    zero, by_port[3] = -0.0, -0.0
    assert.equal(0, agree.on(map, f, true))
    assert.equal(196, agree.on(map, g, true))
  end)
end)
