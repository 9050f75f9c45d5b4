-- SPDX-License-Identifier: MIT
--
-- Core trees: what lowering makes of an expression, 64-bit integers and conditions
-- only. The functions here make their nodes and fold what is constant. A node is
-- { op =, args =, signed =, node = } (node: of the expression, what it is for):
--
--   const   value                        load     of "key" or "value", offset, size, big;
--                                                 wide: part of a field over 8 bytes
--   slot    index, of a parameter        reduced  index, of a per-CPU slot
--   neg bnot, + - * / % & | ~ << >>, s>> (keeps the sign)
--   if      condition, a, b              keep: worth a place in the frame
--
-- and the conditions
--
--   == ~= < <= > >=    mixed: the first is signed, the second is not
--   not, and, or, if   any number of args in and, or; an if has condition = true
--   in                 an integer, values (constants)
--   search             the parts of what is looked for, rows (constants); see search.lua
--   truth              value: only as a whole tree
--
-- `signed` is how the result counts; it changes no bits.

local word = require "luabpf.base.word"

local tree = {}

-- Makes a node.
function tree.new(node, op, signed, args, extra)
  local made = extra or {}
  made.op, made.signed, made.args, made.node = op, signed, args or {}, node
  return made
end

function tree.const(node, value, signed)
  return tree.new(node, "const", signed, nil, { value = value })
end

function tree.truth(node, value)
  return tree.new(node, "truth", false, nil, { value = value })
end

-- An unsigned slot of a parameter.
function tree.slot(node, index)
  return tree.new(node, "slot", false, nil, { index = index })
end

-- The same bits, counted as signed or not.
function tree.retyped(made, signed)
  if made.signed == signed then return made end
  local copy = {}
  for k, v in pairs(made) do copy[k] = v end
  copy.signed = signed
  return copy
end

-- Whether a node, or one that it is made of, fits: fits(node).
function tree.any(node, fits)
  if fits(node) then return true end
  for _, arg in ipairs(node.args or {}) do
    if tree.any(arg, fits) then return true end
  end
  return false
end

-- ---- arithmetic --------------------------------------------------------------

local fold = {
  ["+"] = function(a, b) return a + b end,
  ["-"] = function(a, b) return a - b end,
  ["*"] = function(a, b) return a * b end,
  ["&"] = function(a, b) return a & b end,
  ["|"] = function(a, b) return a | b end,
  ["~"] = function(a, b) return a ~ b end,
  ["<<"] = function(a, b) return a << b end,
  [">>"] = function(a, b) return a >> b end,
  ["/"] = word.div,
  ["%"] = word.mod,
}

function tree.arithmetic(node, op, signed, a, b)
  if a.op == "const" and b.op == "const" and fold[op] then
    return tree.const(node, fold[op](a.value, b.value, a.signed, b.signed), signed)
  end
  return tree.new(node, op, signed, { a, b })
end

-- By a constant count.
function tree.shift(node, op, signed, a, count)
  return count == 0 and a or tree.arithmetic(node, op, signed, a, tree.const(node, count, false))
end

function tree.unary(node, op, a)
  local signed = node.kind == "signed"
  if a.op == "const" then
    return tree.const(node, op == "neg" and -a.value or ~a.value, signed)
  end
  return tree.new(node, op, signed, { a })
end

-- ---- logic -------------------------------------------------------------------

function tree.negated(node, a)
  if a.op == "truth" then return tree.truth(node, not a.value) end
  if a.op == "not" then return a.args[1] end
  return tree.new(node, "not", false, { a })
end

-- `and` or `or` of conditions: what decides it stands alone, what does not matter is dropped.
function tree.logical(node, op, args)
  local kept = {}
  for _, arg in ipairs(args) do
    if arg.op ~= "truth" then
      kept[#kept + 1] = arg
    elseif arg.value == (op == "or") then
      return tree.truth(node, arg.value)
    end
  end
  if #kept == 0 then return tree.truth(node, op == "and") end
  return #kept == 1 and kept[1] or tree.new(node, op, false, kept)
end

-- if() of conditions, where neither branch is left constant.
function tree.choose(node, c, a, b)
  if c.op == "truth" then return c.value and a or b end
  if a.op == "truth" then
    return a.value and tree.logical(node, "or", { c, b })
      or tree.logical(node, "and", { tree.negated(node, c), b })
  end
  if b.op == "truth" then
    return b.value and tree.logical(node, "or", { tree.negated(node, c), a })
      or tree.logical(node, "and", { c, a })
  end
  return tree.new(node, "if", false, { c, a, b }, { condition = true })
end

-- ---- comparisons -------------------------------------------------------------

local mirrored = {
  ["<"] = ">", [">"] = "<", ["<="] = ">=", [">="] = "<=", ["=="] = "==", ["~="] = "~=",
}

local function holds(op, a, b)
  local less = word.less(a.value, b.value, a.signed, b.signed)
  local equal = word.equal(a.value, b.value, a.signed, b.signed)
  if op == "==" then return equal end
  if op == "~=" then return not equal end
  if op == "<" or op == ">=" then return less == (op == "<") end
  return (less or equal) == (op == "<=")
end

-- A constant of the other signedness: the same bits, or beyond all that x can be.
local function compare_const(node, op, x, c)
  if x.signed == c.signed or c.value >= 0 then
    return tree.new(node, op, false, { x, tree.retyped(c, x.signed) })
  end
  local above = x.signed
  return tree.truth(node, op == "~=" or (op:find("^<") ~= nil) == above and op ~= "==")
end

function tree.compare(node, op, a, b)
  if a.op == "const" and b.op == "const" then return tree.truth(node, holds(op, a, b)) end
  if a.op == "const" then a, b, op = b, a, mirrored[op] end
  if b.op == "const" then return compare_const(node, op, a, b) end
  if a.signed == b.signed then return tree.new(node, op, false, { a, b }) end
  if b.signed then a, b, op = b, a, mirrored[op] end
  return tree.new(node, op, false, { a, b }, { mixed = true })
end

function tree.not_zero(node, value)
  return tree.compare(node, "~=", value, tree.const(node, 0, false))
end

return tree
