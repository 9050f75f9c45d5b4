-- SPDX-License-Identifier: MIT
--
-- Conditions in code (lua/luabpf/expr/branch.lua): each as count finds it in every engine,
-- against the same condition in Lua over the entries.

local bpf = require "luabpf"
local helper = require "spec.support.helper"

local ENGINES <const> = { "kernel", "batch", "walk" }

-- Values at the edges of what an instruction's constant, 32 and 64 bits hold, with and without
-- sign.
local EDGES <const> = { 0, 1, 2, -1, -2, 0x7fffffff, 0x80000000, 0x80000001, 0xfffffffe, 0xffffffff,
  0x100000000, -0x80000000, -0x80000001, math.maxinteger, math.mininteger }

local FIELDS <const> = { "s", "u", "m", "n" }

local function edge(random) return EDGES[random(#EDGES)] end

-- s and u are 64 bits, m and n 32; s and m have a sign.
local function filled(random)
  local map = helper.map { key = "u32", max_entries = 500,
    value = { "s64 s", "u64 u", "s32 m", "u32 n" } }
  local values = {}
  for i = 1, 400 do
    local m = edge(random) << 32 >> 32
    values[i] = { s = edge(random), u = edge(random), n = edge(random) & 0xffffffff,
      m = m >= 0x80000000 and m - 0x100000000 or m }
    assert(map:update(i, values[i]))
  end
  return map, values
end

local SIGNED <const> = { s = true, m = true }

local function negative(n, signed) return signed == true and n < 0 end

-- As expressions compare: by value, whichever sides have a sign.
local function below(a, a_signed, b, b_signed)
  if negative(a, a_signed) then return not negative(b, b_signed) or a < b end
  return not negative(b, b_signed) and math.ult(a, b)
end

local function same(a, a_signed, b, b_signed)
  return a == b and negative(a, a_signed) == negative(b, b_signed)
end

local OPS <const> = {
  ["<"] = below,
  [">"] = function(a, as, b, bs) return below(b, bs, a, as) end,
  ["<="] = function(a, as, b, bs) return not below(b, bs, a, as) end,
  [">="] = function(a, as, b, bs) return not below(a, as, b, bs) end,
  ["=="] = same,
  ["~="] = function(...) return not same(...) end,
}
local OP_NAMES <const> = { "<", ">", "<=", ">=", "==", "~=" }

-- Each: text, and a function of a value. Constants are written as signed numbers.
local make = {}

function make.compare(random)
  local op, left = OP_NAMES[random(#OP_NAMES)], FIELDS[random(#FIELDS)]
  local judge = OPS[op]
  if random(2) == 1 then
    local right = FIELDS[random(#FIELDS)]
    return ("value.%s %s value.%s"):format(left, op, right), function(v)
      return judge(v[left], SIGNED[left], v[right], SIGNED[right])
    end
  end
  local constant = edge(random)
  if constant == math.mininteger then constant = -1 end -- its digits alone are 2^63
  return ("value.%s %s %d"):format(left, op, constant), function(v)
    return judge(v[left], SIGNED[left], constant, constant < 0)
  end
end

-- Of a field without a sign of 32 bits, whose elements are numbers as they stand.
make["in"] = function(random)
  local list, has = {}, {}
  for i = 1, random(12) do
    list[i] = edge(random) & 0xffffffff
    has[list[i]] = true
  end
  return ("value.n in (%s)"):format(table.concat(list, ", ")), function(v)
    return has[v.n] == true
  end
end

local condition

make["not"] = function(random, depth)
  local text, judge = condition(random, depth - 1)
  return ("not (%s)"):format(text), function(v) return not judge(v) end
end

local function joined(word, all)
  return function(random, depth)
    local texts, judges = {}, {}
    for i = 1, 1 + random(3) do
      local text, judge = condition(random, depth - 1)
      texts[i], judges[i] = ("(%s)"):format(text), judge
    end
    return table.concat(texts, (" %s "):format(word)), function(v)
      for _, judge in ipairs(judges) do
        if judge(v) ~= all then return not all end
      end
      return all
    end
  end
end

make["and"] = joined("and", true)
make["or"] = joined("or", false)

make["if"] = function(random, depth)
  local a, is_a = condition(random, depth - 1)
  local b, is_b = condition(random, depth - 1)
  local c, is_c = condition(random, depth - 1)
  return ("if(%s, %s, %s)"):format(a, b, c), function(v)
    if is_a(v) then return is_b(v) end
    return is_c(v)
  end
end

local KINDS <const> = { "and", "or", "not", "if", "compare", "in" }

function condition(random, depth)
  local kind = depth > 0 and KINDS[random(#KINDS)] or random(4) == 1 and "in" or "compare"
  return make[kind](random, depth)
end

local function count(values, judge)
  local n = 0
  for _, value in ipairs(values) do
    if judge(value) then n = n + 1 end
  end
  return n
end

-- Numbers from 1 to n, the same in every run.
local function random_of(seed)
  return function(n)
    seed = seed * 6364136223846793005 + 1442695040888963407
    return (seed >> 33) % n + 1
  end
end

describe("a condition", function()
  after_each(helper.close_all)

  it("holds where it does in Lua: comparisons of all kinds, not, and, or, if, in", function()
    local random = random_of(11)
    local map, values = filled(random)
    for i = 1, 150 do
      local text, judge = condition(random, i % 4)
      for _, engine in ipairs(i % 3 == 0 and ENGINES or { "batch" }) do
        assert.equal(count(values, judge), (map:count(text, { engine = engine })),
          ("%s: %s"):format(engine, text))
      end
    end
  end)

  it("of one comparison, each operator, each pair of fields, and the other way round", function()
    local map, values = filled(random_of(12))
    for _, op in ipairs(OP_NAMES) do
      for _, left in ipairs(FIELDS) do
        for _, right in ipairs(FIELDS) do
          local judge = function(v)
            return OPS[op](v[left], SIGNED[left], v[right], SIGNED[right])
          end
          local text, expected = ("value.%s %s value.%s"):format(left, op, right),
            count(values, judge)
          assert.equal(expected, (map:count(text, { engine = "batch" })), text)
          assert.equal(#values - expected, (map:count(("not (%s)"):format(text),
            { engine = "batch" })), text)
        end
      end
    end
  end)

  it("that is known before any entry is seen is no jump", function()
    local map = filled(random_of(13))
    assert.equal(400, (map:count "1 < 2"))
    assert.equal(0, (map:count "not (1 < 2)"))
    assert.equal("   0  r0 = 1  1 < 2", tostring(bpf.compile("1 < 2", map)))
  end)
end)
