-- SPDX-License-Identifier: MIT
--
-- Functions as a whole: arguments that are left out, scalars, sizes.

local agree = require "spec.support.agree"

local map = agree.map()

describe("a function", function()
  it("may have fewer or more parameters", function()
    agree.on(map, function() return true end, true)
    agree.on(map, function(k) return k.port == 3 end, true)
    agree.on(map, function(k, v, w) return w == nil and v.delta == 1 or k.port == 1 end, true)
    agree.on(map, function(...) return select("#", ...) == 2 end, false)
  end)

  it("that is too long is Lua's", function()
    local lines = { "return function(k, v) local s = 0" }
    for i = 1, 600 do lines[#lines + 1] = ("if v.n[%d] > %d then s = s + %d end"):format(i % 3 + 1,
      i, i) end
    lines[#lines + 1] = "return s > 5000 end"
    local _, report = map:count(load(table.concat(lines, "\n"))())
    assert.is_false(report.compiled)
    assert(#report.why > 0)
  end)
end)
