-- SPDX-License-Identifier: MIT
--
-- Calls: functions run in line, others are left to Lua.

local agree = require "spec.support.agree"
local bpf = require "luabpf"
local helper = require "spec.support.helper"

local map = agree.map()

describe("calls", function()
  it("of Lua functions run in line", function()
    local lib = {}
    function lib.two(a, b) if a > b then return a, b end return b, a end
    function lib.fact(n) if n <= 1 then return 1 end return n * lib.fact(n - 1) end
    agree.on(map, function(_, v) local a, b = lib.two(v.delta, 1) return a - b > 1 end, true)
    agree.on(map, function(_, v) return lib.fact(5) > v.packets end, true)
  end)

  it("of functions of other modules run in line, with what those read from outside", function()
    package.preload["spec.calls.limits"] = function() return { most = 2 } end
    package.preload["spec.calls.rules"] = function()
      local limits = require "spec.calls.limits"
      local rules = { names = { ng = true } }
      function rules.is_high(v) return v.delta > limits.most end
      function rules.is_known(v) return rules.names[v.comm] or rules.is_high(v) end
      return rules
    end
    local rules, limits = require "spec.calls.rules", require "spec.calls.limits"
    local function f(_, v) return rules.is_known(v) and not rules.is_high(v) end
    local seen = {}
    for most = -2, 2 do
      limits.most, rules.names.nginx = most, most > 0 or nil
      seen[#seen + 1] = agree.on(map, f, true)
    end
    assert(seen[1] ~= seen[5])
    -- One that is exchanged is another function.
    function rules.is_high(v) return v.packets > 50 end
    agree.on(map, f, true)
  end)

  it("of several closures are each their own, whatever they share", function()
    local function above(n) return function(x)
      local more = 0
      if x > 2 then more = 1 end
      return more + n > 1
    end end
    local low, high = above(0), above(1)
    agree.on(map, function(k, v) local f = v.on and low or high return f(k.port) end, true)
    agree.on(map, function(k, v) local f = v.on and high or low return f(k.port) end, true)
    -- Of one line, and of what has no lines.
    local texts = "local n = 0 if x > 2 then n = 1 end return n == %d"
    local a, b = load(("return function(x) %s end, function(x) %s end"):format(texts, texts)
      :format(0, 1), "=f")()
    agree.on(map, function(k, v) local f = v.on and a or b return f(k.port) end, true)
    a, b = load(string.dump(a, true)), load(string.dump(b, true))
    agree.on(map, function(k, v) local f = v.on and a or b return f(k.port) end, true)
  end)

  it("of constants are made once", function()
    local net = "10.1.2.3"
    agree.on(map, function(k) return k.port == 5 and bpf.prefix(net, 8) == "10.0.0.0/8" end, true)
    agree.on(map, function(k) return k.port == 5 or bpf.within(net, "10.0.0.0/8") end, true)
  end)

  it("that make long texts of constants are left to Lua", function()
    local before = collectgarbage "count"
    agree.on(map, function(_, v)
      if v.delta == 100 then return #("x"):rep(1 << 28) == v.delta end
      return v.on
    end, "partly")
    agree.on(map, function(_, v)
      if v.delta == 100 then
        local text = "x"
        for _ = 1, 28 do text = text .. text end
        return #text == v.delta
      end
      return v.on
    end, "partly")
    assert(collectgarbage "count" < before + (1 << 16))
    agree.on(map, function(_, v) return ("x"):rep(4) == "xxxx" and v.comm .. "" ~= "" end, false)
    agree.on(map, function(_, v) return ("n"):rep(1) .. "g" == v.comm end, true)
  end)

  it("of other maps are left to Lua, which is told", function()
    local other = helper.map { key = { "u32 id" }, value = { "u32 n" } }
    assert(other:update({ id = 7 }, { n = 1 }))
    local function f(k) return other:lookup { id = k.id } ~= nil end
    assert.equal(1, (map:count(f)))
    assert.matches("calls_spec%.lua:%d+: calls 'other:lookup', which only Lua can do",
      map:explain { where = f }.reasons[1])
    local function g(k) return k.id == 7 and other:count() == 1 end
    local n, report = map:count(g)
    assert.same({ 1, "partly", 1 }, { n, report.compiled, report.asked })
    assert.matches("calls_spec%.lua:%d+: calls 'other:count', which only Lua can do",
      map:explain { where = g }.reasons[1])
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
