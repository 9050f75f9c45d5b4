-- SPDX-License-Identifier: MIT
--
-- What operators mean: the types of their operands, checked, and the type of the
-- result. A loose node, a string or a parameter, gets its meaning from what it
-- stands beside. The methods here are the parser's.

local literal = require "luabpf.expr.literal"
local parser = require "luabpf.expr.parser"

local is, is_integer, remedy, text_of = parser.is, parser.is_integer, parser.remedy, parser.text_of

-- The operator when its sides are exchanged.
local mirrored = {
  ["<"] = ">", [">"] = "<", ["<="] = ">=", [">="] = "<=", ["=="] = "==", ["~="] = "~=",
}

local closing = { ["("] = ")", ["["] = "]", ["{"] = "}" }

-- ---- meaning of strings and parameters ---------------------------------------

-- A parameter has the type of what it is compared or computed with; beside constants it is signed.
local function settle_param(self, param, other, within)
  if other.kind == "condition" then return self:need_condition(param) end
  if other.kind ~= "raw" then
    param.kind = other.const and "signed" or other.kind
    param.param = { kind = other.enum and "enum" or "integer", desc = other.enum }
    return
  end
  if not other.desc.size then self:fail(param, "the size of %s is not known", text_of(other)) end
  param.kind, param.param = "raw", { kind = other.desc.kind, desc = other.desc, within = within }
end

local SIZES <const> = { ipv4 = 4, ipv6 = 16, mac = 6 }

-- What to write for an integer that is an address: its layout does not say so.
local function address_hint(node, text)
  local as = literal.is_address(text)
  local name = text_of(node):match "([%w_]+)$"
  local size = node.desc and node.desc.size
  if not as or not name or size and size ~= SIZES[as] then return "" end
  local side = text_of(node):match "^%a+"
  return (": where it is an address, open the map with %s = { \"%s %s\" }"):format(side, as, name)
end

local function settle_string(self, string, other, within)
  local value, reason
  if other.enum then
    value, reason = literal.enumerator(other.enum, string.value)
    if not value then self:fail(string, "%s", reason) end
    string.op, string.kind, string.value, string.const = "number", other.kind, value, true
    return
  end
  if other.kind ~= "raw" then
    self:fail(string, "%s and does not compare with a string%s", is(other),
      address_hint(other, string.value))
  end
  local desc = other.desc.size and other.desc or { kind = "bytes", size = #string.value }
  string.pattern, reason = literal.pattern(desc, string.value, within)
  if not string.pattern then self:fail(string, "%s", reason) end
  string.kind, string.desc = "raw", desc
end

-- Gives a loose node its meaning beside the other; within: it is an element after `in`.
function parser:settle(node, other, within)
  if node.kind ~= "loose" then return end
  if other.kind == "loose" then
    if node.op == "string" or other.op == "string" then
      self:fail(node, "%s and %s do not compare; one side must be a field",
        text_of(node), text_of(other))
    end
    self:need_integer(other)
  end
  if other.kind == "raw" and not (other.desc and literal.has_pattern(other.desc)) then
    self:fail(other, "%s and does not compare%s", is(other), remedy(other))
  end
  return (node.op == "param" and settle_param or settle_string)(self, node, other, within)
end

-- ---- operators ---------------------------------------------------------------

-- A difference, a negation and anything with a signed operand is signed.
function parser.result_kind(op, a, b)
  return (op == "-" or a.kind == "signed" or b.kind == "signed") and "signed" or "unsigned"
end

-- Types of an operator on two integers; also of the branches of if().
function parser:both_integers(a, b)
  if a.op == "param" then self:settle(a, b) end
  if b.op == "param" then self:settle(b, a) end
  self:need_integer(a)
  self:need_integer(b)
end

function parser:arithmetic(op, a, b)
  self:both_integers(a, b)
  return self:node(op, parser.result_kind(op, a, b), a.first, b.last,
    { args = { a, b }, const = a.const and b.const })
end

local function is_simple(node)
  return node.op == "boolean" or node.op == "field" or node.op == "param"
end

-- Whether a raw node has bytes that mean the same as those of a field.
local function comparable(field, other)
  if other.op == "string" or other.op == "param" then return other.kind == "raw" end
  if not (field.desc and other.desc) then return false end
  local x, y = field.desc, other.desc
  if not (literal.has_pattern(x) and literal.has_pattern(y)) then return false end
  if x.kind == "text" or y.kind == "text" then return x.kind == y.kind end
  local address = { ip = "ipv6", ipv6 = "ipv6" }
  return x.size and x.size == y.size and (address[x.kind] or x.kind) == (address[y.kind] or y.kind)
end

function parser:check_equality(op, a, b)
  if op ~= "==" and op ~= "~=" then
    self:fail(a, "%s; only == ~= and in compare it", is(a))
  elseif a.kind == "condition" and not is_simple(b) then
    self:fail(b, "a condition compares only with a bool field, a parameter, true or false")
  elseif a.kind == "raw" and not comparable(a, b) then
    self:fail(b, "%s and %s do not compare%s", text_of(a), text_of(b), remedy(a))
  end
end

function parser:compare(op, a, b)
  local first, last = a.first, b.last
  local exchange = a.kind == "condition" and is_simple(a) and not is_simple(b)
  if exchange or a.kind == "loose" then a, b, op = b, a, mirrored[op] end
  self:settle(b, a)
  if a.kind == "raw" and b.kind == "raw" or a.kind == "condition" and b.kind == "condition" then
    self:check_equality(op, a, b)
  elseif not (is_integer(a) and is_integer(b)) then
    self:fail(b, "%s and %s: they do not compare", is(a), is(b))
  end
  return self:node(op, "condition", first, last, { args = { a, b } })
end

-- `a and b and c` is one node with three args, so that long chains are not deep.
function parser:logical(op, a, b)
  self:need_condition(a)
  self:need_condition(b)
  if a.op ~= op then
    return self:node(op, "condition", a.first, b.last, { args = { a, b } })
  end
  local args = a.args
  args[#args + 1] = b
  a.last, a.depth = b.last, math.max(a.depth, b.depth + 1)
  return a
end

function parser:element(left, element)
  self:settle(element, left, true)
  if left.kind == "raw" then
    if not comparable(left, element) then
      self:fail(element, "%s and %s do not compare", text_of(left), text_of(element))
    end
  else
    self:need_integer(element)
  end
  return element
end

-- Nodes for the values that a parameter's list or set has in this run (sets.lua).
function parser:set_elements(left, token)
  local args = { left }
  for i, value in ipairs(self.env.sets and self.env.sets[token.value] or {}) do
    local is_text = type(value) == "string"
    local node = self:node(is_text and "string" or "number", is_text and "loose" or "signed",
      token.first, token.last, { value = value, const = not is_text or nil })
    local ok, reason = pcall(self.element, self, left, node)
    if not ok then
      error(("params.%s: element %d: %s"):format(token.value, i,
        (tostring(reason):gsub("^expression:%d+:%d+: ", ""):gsub("\n.*", ""))), 0)
    end
    args[#args + 1] = node
  end
  return args
end

-- Whether what follows `in` is a parameter that is a list or a set: beside an integer it is one
-- always, else where it is given so.
function parser:sees_set(left)
  local token = self:peek()
  if token.type ~= "param" then return false end
  return is_integer(left) or (self.env.sets and self.env.sets[token.value]) ~= nil
end

-- After `in`: a list in brackets of any kind, one prefix, or a parameter.
function parser:membership(left)
  if left.op == "string" or left.kind == "condition" then
    self:fail(left, "%s; a field or an integer stands before 'in'", is(left))
  end
  if left.kind == "loose" then self:need_integer(left) end
  local open, args, set = self:peek(), { left }, nil
  if self:sees_set(left) then
    set = self:next().value
    args = self:set_elements(left, open)
  elseif closing[open.type] then
    self:next()
    repeat args[#args + 1] = self:element(left, self:expression()) until not self:accept(",")
    self:expect(closing[open.type])
  elseif left.kind == "raw" and (open.type == "string" or open.type == "param") then
    args[2] = self:element(left, self:primary())
  else
    self:unexpected(left.kind == "raw" and "a list or a prefix" or "a list")
  end
  local last = self.tokens[self.at - 1].last
  return self:node("in", "condition", left.first, last, { args = args, set = set })
end

return parser
