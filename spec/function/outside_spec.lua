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
end)
