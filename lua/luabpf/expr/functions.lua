-- SPDX-License-Identifier: MIT
--
-- The functions of expressions, one row each:
--
--   parse(parser, token)          the node of a call whose "(" was just read, types checked
--   lower(context, node, lower)   its core node (tree.lua); lower does an argument
--   run(node, entry, value_of)    what it means, in the plainest way: a number or a boolean;
--                                 value_of computes an argument
--
-- The op of the node is the function's name; one whose node has another op, that of
-- what it parses to, has no lower and run of its own. A function is added here and in
-- docs/expressions.md, nowhere else.

local parser = require "luabpf.expr.parser"
local tree = require "luabpf.expr.tree"

local functions = {}

-- ---- if(condition, a, b) -----------------------------------------------------

local function parse_if(self, token)
  local condition = self:expression()
  self:need_condition(condition)
  self:expect(",")
  local a = self:expression()
  self:expect(",")
  local b = self:expression()
  local last = self:expect(")").last
  if a.kind == "condition" or b.kind == "condition" then
    self:need_condition(a)
    self:need_condition(b)
    return self:node("if", "condition", token.first, last, { args = { condition, a, b } })
  end
  self:both_integers(a, b)
  local kind = parser.result_kind("if", a, b)
  return self:node("if", kind, token.first, last, { args = { condition, a, b } })
end

local function lower_if(context, node, lower)
  local c = lower(context, node.args[1])
  local a, b = lower(context, node.args[2]), lower(context, node.args[3])
  if node.kind == "condition" then return tree.choose(node, c, a, b) end
  local signed = node.kind == "signed"
  if c.op == "truth" then return tree.retyped(c.value and a or b, signed) end
  return tree.new(node, "if", signed, { c, a, b })
end

local function run_if(node, entry, value_of)
  return value_of(node.args[value_of(node.args[1], entry) and 2 or 3], entry)
end

functions["if"] = { parse = parse_if, lower = lower_if, run = run_if }

-- ---- cpu_max(field), cpu_min(field) ------------------------------------------

-- A field of value, over the CPUs otherwise than by their sum: what is read is a field.
local function over_cpus(reduce)
  local function parse(self, token)
    local start = self:peek()
    if not self.env.ncpu then self:fail(token, "%s is for per-CPU maps", token.value) end
    if not self:sees("value") then self:unexpected("a field of value") end
    local node = self:field(self:next(), reduce)
    if node.cpu then self:fail(start, "'%s' is one CPU's already", parser.text_of(node)) end
    node.first, node.last = token.first, self:expect(")").last
    return node
  end
  return { parse = parse }
end

functions.cpu_max = over_cpus("max")
functions.cpu_min = over_cpus("min")

return functions
