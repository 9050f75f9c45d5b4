-- SPDX-License-Identifier: MIT
--
-- Columns of what a function returns (lua/luabpf/function/rows.lua): types, empty places, texts.

local agree = require "spec.support.agree"
local compile = require "luabpf.function.compile"
local prepare = require "luabpf.query.prepare"

local facts = prepare.facts(agree.map())

local function made_of(f, single)
  return compile.where(f, facts, { key = "\1rows " .. tostring(single), single = single or false })
end

describe("columns of a function", function()
  it("have the words of their types", function()
    local made = made_of(function(key, value)
      return { id = key.id, name = value.name, peer = value.peer, on = value.on, sub = value.sub,
        n = value.n }
    end)
    assert.equal("partly", made.compiled) -- a bool may be neither 0 nor 1
    assert.same({ "id", "name", "peer", "on", "sub", "n" }, made.names)
    assert.same({ id = "number", name = "string", peer = "string", on = "boolean", sub = "table",
      n = "table" }, made.types)
    assert.equal(1 + 2 + 2 + 1 + 1 + 2, made.words)
  end)

  it("may be empty, and be one of some texts", function()
    local made = made_of(function(key, value)
      return { size = value.packets > 50 and "large" or "small", id = key.id < 9 and key.id or nil }
    end)
    assert.is_true(made.compiled)
    assert.same({ "large", "small" }, { table.unpack(made.texts.size) })
    assert.equal(1, #made.empty)
    assert.equal("id", made.empty[1].name)
    assert.equal(3, made.words)
  end)

  it("are a value by itself where that is named", function()
    assert.same({ "group" }, made_of(function(key) return key.id end, "group").names)
    assert.is_false(made_of(function(_, value) return value.sub end, "group").compiled)
  end)

  it("are Lua's where they have several types, or too much in them", function()
    assert.matches("column 'x' has more than one type",
      made_of(function(key, value) return { x = key.id > 3 and key.id or value.comm } end).why)
    assert.matches("its rows have no columns", made_of(function() return {} end).why)
    assert.matches("column 'x' is a float", made_of(function() return { x = 1.5 } end).why)
    assert.matches("makes a list", made_of(function(key) return { x = { key.id } } end).why)
    assert.matches("column 'x' is a part of a text",
      made_of(function(_, value) return { x = value.comm:sub(1, 2) } end).why)
    local partly = made_of(function(_, value) return { state = value.state } end)
    assert.equal("partly", partly.compiled)
    assert.matches("'value.state' may have no name", partly.reasons[1])
    partly = made_of(function(_, value) return { on = value.on } end)
    assert.matches("column 'on' is a number where the bool is neither 0 nor 1; '== true' makes",
      partly.reasons[1])
    assert.is_true(made_of(function(_, value) return { on = value.on == true } end).compiled)
  end)
end)
