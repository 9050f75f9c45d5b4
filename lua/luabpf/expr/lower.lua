-- SPDX-License-Identifier: MIT
--
-- Lowering: the tree of an expression (parse.lua) to a core tree (tree.lua), from
-- which code is generated (compile.lua). Addresses and text become comparisons of
-- whole loads; what is known before any entry is seen becomes a constant, so that no
-- code is unreachable.

local expr = require "luabpf.expr.parse"
local functions = require "luabpf.expr.functions"
local lexer = require "luabpf.expr.lexer"
local load = require "luabpf.expr.load"
local match = require "luabpf.expr.match"
local params = require "luabpf.expr.params"
local search = require "luabpf.expr.search"
local tree = require "luabpf.expr.tree"

local arithmetic, compare, const, core = tree.arithmetic, tree.compare, tree.const, tree.new
local logical, negated, retyped, truth = tree.logical, tree.negated, tree.retyped, tree.truth

-- Constants that are compared one after the other.
local FEW <const> = 4

local lower = {}

local rules = {} -- by op

local function lowered(context, node)
  local rule = rules[node.op] or functions[node.op].lower
  return rule(context, node, lowered)
end

local function check_shift(node, count)
  if count.op == "const" and (count.value < 0 or count.value > 63) then
    lexer.fail(node.source, node.args[2].first, "a constant shift is from 0 to 63")
  end
end

local function binary(context, node)
  local op, signed = node.op == "//" and "/" or node.op, node.kind == "signed"
  local a, b = lowered(context, node.args[1]), lowered(context, node.args[2])
  if op == "<<" or op == ">>" then check_shift(node, b) end
  if (op == "/" or op == "%") and b.op == "const" and b.value == 0 then
    return op == "/" and const(node, 0, signed) or retyped(a, signed)
  end
  return arithmetic(node, op, signed, a, b)
end

for _, op in ipairs { "+", "-", "*", "/", "//", "%", "&", "|", "~", "<<", ">>" } do
  rules[op] = binary
end

local function unary(context, node)
  return tree.unary(node, node.op, lowered(context, node.args[1]))
end

rules.neg, rules.bnot = unary, unary

function rules.number(_, node) return const(node, node.value, node.kind == "signed") end
function rules.boolean(_, node) return truth(node, node.value) end

rules["and"] = function(context, node)
  local args = {}
  for i, arg in ipairs(node.args) do args[i] = lowered(context, arg) end
  return logical(node, node.op, args)
end
rules["or"] = rules["and"]

rules["not"] = function(context, node)
  return negated(node, lowered(context, node.args[1]))
end

function rules.field(context, node)
  local signed = node.kind == "signed"
  local value = load.integer(context, node, signed)
  return node.kind == "condition" and tree.not_zero(node, value) or retyped(value, signed)
end

local function slot(node, index, signed)
  return core(node, "slot", signed, nil, { index = index })
end

function rules.clock(context, node)
  return slot(node, params.entry(context, node.name, { kind = "clock" }).slot, false)
end

function rules.param(context, node)
  local known = params.entry(context, node.name, node.param)
  local value = slot(node, known.slot, node.kind == "signed")
  return node.kind == "condition" and tree.not_zero(node, value) or value
end

local function same_truth(node, a, b)
  return tree.choose(node, a, b, negated(node, b))
end

local function comparison(context, node)
  local a, b = node.args[1], node.args[2]
  local equal
  if a.kind == "raw" then
    equal = match.any(context, node, a, b)
  elseif a.kind == "condition" then
    equal = same_truth(node, lowered(context, a), lowered(context, b))
  else
    return compare(node, node.op, lowered(context, a), lowered(context, b))
  end
  return node.op == "~=" and negated(node, equal) or equal
end

for _, op in ipairs { "==", "~=", "<", "<=", ">", ">=" } do rules[op] = comparison end

-- ---- in ----------------------------------------------------------------------

-- The constants that x can be at all; nil when an element is no constant.
local function constants(x, elements)
  local values = {}
  for _, element in ipairs(elements) do
    if element.op ~= "const" then return nil end
    if x.signed == element.signed or element.value >= 0 then values[#values + 1] = element end
  end
  return values
end

-- x is computed once, and the elements compared with it one after the other.
local function in_integers(context, node, x, elements)
  local values, terms = constants(x, elements), {}
  if x.op ~= "const" and values and #values > FEW then
    local rows = {}
    for i, value in ipairs(values) do rows[i] = { value.value } end
    return search.node(context, node, { x }, rows)
  elseif x.op ~= "const" and values and #values > 1 then
    return core(node, "in", false, { x }, { values = values })
  end
  x.keep = true
  for i, element in ipairs(elements) do terms[i] = compare(element.node, "==", x, element) end
  return logical(node, "or", terms)
end

rules["in"] = function(context, node)
  local left, elements = node.args[1], {}
  if node.set then params.entry(context, node.set, { kind = "set" }) end
  if left.kind == "raw" then return match.list(context, node, left) end
  for i = 2, #node.args do elements[i - 1] = lowered(context, node.args[i]) end
  return in_integers(context, node, lowered(context, left), elements)
end

-- ---- whole trees -------------------------------------------------------------

-- The core tree of an expression that is an integer or a condition.
-- @tparam table ast
-- @tparam table context `env`, and the lists `params` and `percpu`, which are added to
function lower.expression(ast, context)
  return lowered(context, ast)
end

-- The bytes [offset, offset + n) of what is raw, n up to 8, as one unsigned integer.
function lower.bytes(ast, context, offset, n)
  local all
  for _, piece in ipairs(load.parts(n)) do
    local value = match.piece(context, ast, offset + piece[1], piece[2])
    value = tree.shift(ast, "<<", false, value, 8 * piece[1])
    all = all and arithmetic(ast, "|", false, all, value) or value
  end
  return all
end

-- What a core node is for, on one line.
function lower.text(made)
  return (expr.text(made.node):gsub("%s+", " "))
end

return lower
