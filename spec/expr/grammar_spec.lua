-- SPDX-License-Identifier: MIT
--
-- The grammar (lua/luabpf/expr/grammar.lua): expressions without parentheses mean what they do in
-- Lua, and what is no expression is refused where it stands.

local helper = require "spec.support.helper"

local INTEGER <const> = { "|", "~", "&", "<<", ">>", "+", "*", "//", "%" }
local COMPARING <const> = { "==", "~=", "<", ">", "<=", ">=" }
local LOGICAL <const> = { "and", "or" }

local function random_of(seed)
  return function(n)
    seed = seed * 6364136223846793005 + 1442695040888963407
    return (seed >> 33) % n + 1
  end
end

-- As text for luabpf and for Lua, which has the fields as locals: a chain of integers.
local function chain(random, most)
  local words = {}
  for i = 1, random(most) do
    if i > 1 then words[#words + 1] = INTEGER[random(#INTEGER)] end
    -- Unary operators bind tighter than any of these.
    words[#words + 1] = (random(6) == 1 and "~ ~" or "") .. ("abcd"):sub(random(4)):sub(1, 1)
  end
  return table.concat(words, " ")
end

local function in_luabpf(text)
  return (text:gsub("%f[%a][abcd]%f[%A]", "value.%0"))
end

local VALUE <const> = { a = 3, b = 1, c = 2, d = 5 }

local function in_lua(text)
  return assert(load("local a, b, c, d = ... return " .. text))(VALUE.a, VALUE.b, VALUE.c, VALUE.d)
end

describe("an expression without parentheses", function()
  local map

  before_each(function()
    map = helper.map { key = "u32", value = { "u64 a", "u64 b", "u64 c", "u64 d" } }
    assert(map:update(1, VALUE))
  end)
  after_each(helper.close_all)

  local function value_of(text)
    for row in map:select { columns = in_luabpf(text) .. " as x", engine = "batch" } do
      return row.x
    end
  end

  it("groups its operators as Lua does", function()
    local random, checked = random_of(5), 0
    for _ = 1, 400 do
      local text = chain(random, 4)
      local ok, expected = pcall(in_lua, text) -- Lua has no division by zero
      if ok then
        assert.equal(expected, value_of(text), text)
        checked = checked + 1
      end
    end
    assert(checked > 200)
  end)

  it("groups comparisons and conditions as Lua does", function()
    local random, checked = random_of(6), 0
    for _ = 1, 200 do
      local words = {}
      for i = 1, random(4) do
        if i > 1 then words[#words + 1] = LOGICAL[random(#LOGICAL)] end
        words[#words + 1] = ("%s %s %s"):format(chain(random, 2), COMPARING[random(#COMPARING)],
          chain(random, 2))
      end
      local text = table.concat(words, " ")
      local ok, expected = pcall(in_lua, text)
      if ok then
        assert.equal(expected and 1 or 0, (map:count(in_luabpf(text), { engine = "batch" })), text)
        checked = checked + 1
      end
    end
    assert(checked > 100)
  end)

  it("has unary operators before all others, and a list after arithmetic", function()
    assert.equal(-3 + 5, value_of "-a + d")
    assert.equal(~3 & 5, value_of "~a & d")
    assert.equal(1, (map:count "not (value.a == 4) and value.a == 3"))
    assert.equal(1, (map:count "value.a + 1 in (3, 4) and value.b == 1"))
  end)
end)

describe("what is no expression", function()
  after_each(helper.close_all)

  it("is refused where it stands", function()
    local map = helper.map { key = "u32", value = { "u64 packets" } }
    for text, message in pairs {
      ["value.packets =="] = "1:17: ",
      ["and value.packets == 1"] = "1:1: ",
      ["value.packets == in"] = "1:18: ",
      ["(value.packets == 1"] = "1:20: ",
      ["packets == 1"] = "unknown name 'packets' %(did you mean 'value.packets'%?%)",
      ["valeu.packets == 1"] = "unknown name 'valeu' %(did you mean 'value'%?%)",
      ["perfix(key, 1) == 1"] = "unknown function 'perfix' %(did you mean 'prefix'%?%)",
      ["value.packets == $now"] = "a parameter cannot be called 'now': that is the clock",
      [("("):rep(101) .. "1" .. (")"):rep(101) .. " == 1"] = "nested too deeply",
    } do
      assert.error_matches(function() map:count(text) end, message)
    end
    assert.equal(0, (map:count(("("):rep(98) .. "1" .. (")"):rep(98) .. " == 1")))
  end)
end)
