-- SPDX-License-Identifier: MIT
--
-- How many instructions ten typical functions become: spec/golden/functions.txt. What changes
-- them shows there.

local agree = require "spec.support.agree"
local compile = require "luabpf.function.compile"
local prepare = require "luabpf.query.prepare"

local PORT, NAME, SET = 443, "nginx", { [22] = true, [80] = true, [443] = true }
local ipairs, math = ipairs, math

local FUNCTIONS <const> = {
  { "one condition", function(_, v) return v.packets == 0 end },
  { "two conditions", function(k, v) return v.packets == 0 and k.port ~= PORT end },
  { "text", function(_, v) return v.comm == "nginx" end },
  { "text from outside", function(_, v) return v.name == NAME end },
  { "a set", function(k) return SET[k.port] end },
  { "an enum and a bool", function(_, v) return v.state == "up" and not v.on end },
  { "division", function(_, v) return v.delta // 7 > 3 and v.packets % 10 == 1 end },
  { "a loop", function(_, v)
    local sum = 0
    for _, x in ipairs(v.n) do sum = sum + x end
    return sum > 100
  end },
  { "branches", function(k, v)
    local score = 0
    if v.on then score = score + 10 end
    if v.packets > 1000 then score = score + 5 end
    if k.port < 1024 then score = score - 3 end
    return score > 7
  end },
  { "math", function(_, v) return math.max(v.delta, 0) + math.min(v.packets, 9) == 5 end },
}

describe("typical functions", function()
  it("have as many instructions as before", function()
    local facts, lines = prepare.facts(agree.map()), {}
    for i, one in ipairs(FUNCTIONS) do
      lines[i] = ("%-20s %d"):format(one[1], compile.where(one[2], facts).n)
    end
    local file <close> = assert(io.open "spec/golden/functions.txt")
    assert.equal(file:read "a", table.concat(lines, "\n") .. "\n")
  end)
end)
