-- SPDX-License-Identifier: MIT
--
-- Tables made in a function, and accumulators (lua/luabpf/function/effects.lua): what is compiled,
-- and why the rest is not.

local agree = require "spec.support.agree"
local compile = require "luabpf.function.compile"
local prepare = require "luabpf.query.prepare"

local map = agree.map()
local facts = prepare.facts(map)

local COLUMNS <const> = { key = "\1columns", single = false }

local function fold(f, ...)
  return compile.where(f, facts, { key = "\1fold " .. table.concat({ ... }, " "), acc = { ... } })
end

describe("effects of a function", function()
  it("are the fields of the table that it returns", function()
    local made = compile.where(function(key, value)
      local row = { b = value.packets }
      row.a = key.id
      if value.on then row.b = row.b + 1 end
      return row
    end, facts, COLUMNS)
    assert.is_true(made.compiled)
    assert.same({ "b", "a" }, made.names)
    assert.equal(2, made.words)
  end)

  it("are stores of accumulators, in functions in line too", function()
    local function add(acc, n) acc.sum = acc.sum + n end
    local made = fold(function(acc, key, value)
      for i = 1, 3 do if value.n[i] > 1 then add(acc, value.n[i]) end end
      acc.n, acc.sum = acc.sum, acc.n + key.id
    end, "n", "sum")
    assert.is_true(made.compiled)
    assert.equal(2, made.words)
  end)

  it("grow with the function, not with its paths", function()
    local made = fold(function(acc, key, value)
      for i = 1, 12 do
        if key.id % i == 0 then acc.n = acc.n + value.packets else acc.n = acc.n ~ i end
      end
    end, "n")
    assert.is_true(made.compiled)
    assert.is_true(made.n < 2000, made.n)
  end)

  it("are Lua's where they are none", function()
    local function why(f, ...)
      local made = fold(f, "n", ...)
      return made.why or made.reasons[1]
    end
    assert.matches("adds 'm' to the accumulators", why(function(acc) acc.m = 1 end))
    assert.matches("the accumulators are indexed with ",
      why(function(acc, key) acc[key.id] = acc[key.id] + 1 end))
    assert.matches("assigns to a field that is named by ",
      why(function(acc, key) acc[key.id] = 1 end))
    assert.matches("accumulator 'n' gets a float", why(function(acc) acc.n = 1.5 end))
    assert.matches("accumulator 'n' gets 'value.comm'",
      why(function(acc, _, value) acc.n = value.comm end))
    assert.matches("assigns to a field", why(function(_, _, value) value.packets = 1 end))
    assert.matches("gives no table that is made in it",
      compile.where(function(_, value) return value end, facts, COLUMNS).why)
    assert.matches("gives several results",
      compile.where(function() return {}, 1 end, facts, COLUMNS).why)
  end)
end)
