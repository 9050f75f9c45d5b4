-- SPDX-License-Identifier: MIT

--- Trees of integers and conditions, with the meaning that Lua gives its operators:
-- nodes as of expr/tree.lua, all signed, one for equal trees. Beside those there are
-- "//" and "%%", which round down (emit.lua), and "held", a variable in the frame.
-- nonneg is set where an integer is known not to be negative.
--
-- @module luabpf.function.trees

local run = require "luabpf.function.run"

local MOST_TEXT <const> = 60
-- Nodes of a tree, each as often as it is computed. Larger ones go into variables (steps.lua), but
-- for those of registers that are none.
local MOST_SIZE <const> = 1024

-- At most so much of a text, for listings.
function run.short(text)
  return #text > MOST_TEXT and text:sub(1, MOST_TEXT - 3) .. "..." or text
end

local PARTS <const> = { "value", "offset", "size", "slot", "key", "unsigned", "index" }

-- The tree for an operator. extra: its other fields.
function run:tree(op, args, extra, text)
  self:spend(1)
  local key = { "t", op }
  for _, arg in ipairs(args) do key[#key + 1] = arg.id end
  for _, name in ipairs(PARTS) do
    if extra and extra[name] ~= nil then key[#key + 1] = name .. tostring(extra[name]) end
  end
  return self:unique(table.concat(key, " "), function()
    text = run.short(text)
    local made = extra or {}
    made.op, made.args, made.text, made.size_of = op, args, text, 1
    for _, arg in ipairs(args) do made.size_of = made.size_of + (arg.size_of or 3) end
    if made.size_of > MOST_SIZE then run.give_up "an expression is too large" end
    made.signed = not made.unsigned
    made.node = { source = text, first = 1, last = #text }
    return made
  end)
end

-- Whether a tree is a constant, or that one.
function run.is_number(tree, value)
  return tree.op == "const" and (value == nil or tree.value == value)
end

local is_number = run.is_number

function run:number(n)
  return self:tree("const", {}, { value = n, nonneg = n >= 0 }, ("%d"):format(n))
end

-- The same bits as an unsigned number.
function run:unsigned(tree)
  return self:unique("u" .. tree.id, function()
    return setmetatable({ signed = false }, { __index = tree })
  end)
end

local function plain(self, op, a, b, extra)
  return self:tree(op, { a, b }, extra, ("(%s %s %s)"):format(a.text, op, b.text))
end

-- ---- conditions: a tree, true or false ------------------------------------------

local mirrored <const> = { ["<"] = ">", ["<="] = ">=", ["=="] = "==" }

local holds <const> = {
  ["<"] = function(a, b) return a < b end, ["<="] = function(a, b) return a <= b end,
  ["=="] = function(a, b) return a == b end,
}

-- By op, whether a number that is not less than least is so related to a constant for sure: what
-- the condition is then.
local by_least <const> = {
  ["=="] = function(v, least) return v < least, false end,
  ["<"] = function(v, least) return v <= least, false end,
  ["<="] = function(v, least) return v < least, false end,
  [">"] = function(v, least) return v < least, true end,
  [">="] = function(v, least) return v <= least, true end,
}

-- a < b, a <= b or a == b.
function run:compare(op, a, b)
  if a.op == "const" and b.op == "const" then return holds[op](a.value, b.value) end
  if a.op == "const" then a, b, op = b, a, mirrored[op] end
  if a == b then return op ~= "<" end
  if a.least and b.op == "const" then
    local sure, holds_so = by_least[op](b.value, a.least)
    if sure then return holds_so end
  end
  if a.nonneg and b.op == "const" then
    if b.value < 0 then return op == ">" or op == ">=" end
    if b.value == 0 and (op == "<" or op == ">=") then return op == ">=" end
  end
  return self:tree(op, { a, b }, nil, ("%s %s %s"):format(a.text, op, b.text))
end

-- math.ult(a, b).
function run:below(a, b)
  if a.op == "const" and b.op == "const" then return math.ult(a.value, b.value) end
  if b.op == "const" and b.value == 0 or a == b then return false end
  a, b = self:unsigned(a), self:unsigned(b)
  if a.op == "const" then return self:tree(">", { b, a }, nil, b.text .. " u> " .. a.text) end
  return self:tree("<", { a, b }, nil, a.text .. " u< " .. b.text)
end

-- ---- arithmetic -----------------------------------------------------------------

-- a where the condition holds, else b.
function run:choice(test, a, b)
  if type(test) == "boolean" then return test and a or b end
  if a == b then return a end
  return self:tree("if", { test, a, b }, { nonneg = a.nonneg and b.nonneg },
    ("if(%s, %s, %s)"):format(test.text, a.text, b.text))
end

-- What Lua's operators give for constants.
run.folds = {
  ["+"] = function(a, b) return a + b end, ["-"] = function(a, b) return a - b end,
  ["*"] = function(a, b) return a * b end, ["&"] = function(a, b) return a & b end,
  ["|"] = function(a, b) return a | b end, ["~"] = function(a, b) return a ~ b end,
  ["<<"] = function(a, b) return a << b end, [">>"] = function(a, b) return a >> b end,
  ["//"] = function(a, b) return a // b end, ["%"] = function(a, b) return a % b end,
  ["/"] = function(a, b) return a / b end, ["^"] = function(a, b) return a ^ b end,
}

-- Counts of 64 and more give 0, negative ones shift the other way.
local function shift(self, a, n, op, back)
  if n <= -64 or n >= 64 then return self:number(0) end
  if n == 0 then return a end
  if n < 0 then op, n = back, -n end
  return plain(self, op, a, self:number(n), { nonneg = op == ">>" })
end

local arithmetic = {}

arithmetic["<<"] = function(self, a, b)
  if is_number(b) then return shift(self, a, b.value, "<<", ">>") end
  local back, limit = self:negative(b), self:number(64)
  return self:choice(self:below(b, limit), plain(self, "<<", a, b),
    self:choice(self:below(back, limit), plain(self, ">>", a, back), self:number(0)))
end

arithmetic[">>"] = function(self, a, b)
  if is_number(b) then return shift(self, a, b.value, ">>", "<<") end
  return arithmetic["<<"](self, a, self:negative(b))
end

-- Divided by what is not zero, rounding down.
arithmetic["//"] = function(self, a, b)
  if is_number(b, 1) then return a end
  if is_number(b, -1) then return self:negative(a) end
  if a.nonneg and b.nonneg then
    return plain(self, "/", self:unsigned(a), self:unsigned(b), { nonneg = true })
  end
  return plain(self, "//", a, b)
end

arithmetic["%"] = function(self, a, b)
  if is_number(b, 1) or is_number(b, -1) then return self:number(0) end
  if a.nonneg and b.nonneg then
    return plain(self, "%", self:unsigned(a), self:unsigned(b), { nonneg = true })
  end
  return plain(self, "%%", a, b, { nonneg = b.nonneg })
end

-- a op b, of integers; what is divided by is not zero.
function run:arith(op, a, b)
  if a.op == "const" and b.op == "const" then
    return self:number(run.folds[op](a.value, b.value))
  end
  if arithmetic[op] then return arithmetic[op](self, a, b) end
  -- An instruction takes a constant as its second operand.
  if a.op == "const" and op ~= "-" then a, b = b, a end
  if op == "*" and is_number(b, 1) or op ~= "*" and op ~= "&" and is_number(b, 0) then return a end
  local nonneg = op == "&" and (a.nonneg or b.nonneg)
    or (op == "|" or op == "~") and a.nonneg and b.nonneg
  return plain(self, op, a, b, { nonneg = nonneg or nil })
end

function run:negative(a)
  if is_number(a) then return self:number(-a.value) end
  return self:tree("neg", { a }, nil, "-" .. a.text)
end

function run:inverted(a)
  return self:tree("bnot", { a }, nil, "~" .. a.text)
end

return run
