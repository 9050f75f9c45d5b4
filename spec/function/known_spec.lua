-- SPDX-License-Identifier: MIT
--
-- Functions of C that are known.

local agree = require "spec.support.agree"
local math = math

local map = agree.map()

describe("known functions", function()
  it("are of math", function()
    agree.on(map, function(_, v) return math.max(v.delta, 1, v.sub.x) == 1 end, true)
    agree.on(map, function(_, v) return math.min(v.delta, 2) == math.abs(v.delta) end, true)
    agree.on(map, function(_, v)
      return math.ult(v.delta, 3) and math.type(v.delta) == "integer"
    end, true)
    agree.on(map, function(_, v) return math.tointeger(v.delta) == 1 or math.sqrt(4) == 3 end, true)
    agree.on(map, function(_, v)
      return math.floor(v.delta) == 1 or math.ceil(v.delta // 2) == -1
    end, true)
    agree.on(map, function(_, v) return math.sqrt(v.packets) == 3 end, false)
  end)

  it("are of text", function()
    agree.on(map, function(_, v) return #v.comm == 2 or #v.name == 16 end, true)
    agree.on(map, function(_, v) return v.comm:sub(1, 2) == "ng" and v.comm:sub(1, 3) ~= "ng" end,
      true)
    agree.on(map, function(_, v) return v.comm:find("^ngi") == 1 end, true)
    agree.on(map, function(_, v) return v.comm:match("^ngi") == "ngi" end, true)
    agree.on(map, function(_, v) return v.comm:find("ngi", 1, true) == 1 end, true)
    agree.on(map, function(_, v) return v.comm:find("x$") ~= nil end, false)
  end)

  it("say what to call for addresses", function()
    for name, f in pairs {
      find = function(_, v) return v.peer:find("^10%.") end,
      match = function(_, v) return v.peer:match("^10") end,
      sub = function(_, v) return v.peer:sub(1, 3) == "10." end,
    } do
      local _, report = map:count(f)
      assert.matches("string." .. name .. " of an address; bpf.within asks whether one lies in a",
        report.why)
    end
  end)

  it("knows that the greatest of several is no less than one of them", function()
    for n = -3, 4 do
      for _, text in ipairs { "math.max(v.delta, 2) == %d", "math.max(v.delta, 2) < %d",
        "math.max(v.delta, 2) <= %d", "math.max(2, v.delta) > %d",
        "math.max(2, v.delta, -1) >= %d" } do
        local chunk = assert(load("return function(_, v) return " .. text:format(n) .. " end"))
        agree.on(map, chunk(), true)
      end
    end
    agree.on(map, function(_, v) return v.packets // math.max(v.delta, 1) > 20 end, true)
    agree.on(map, function(_, v) return v.packets % math.max(v.delta, 1) == 1 end, true)
  end)
end)
