-- SPDX-License-Identifier: MIT
--
-- Expressions: text to a tree with types. docs/expressions.md defines the
-- language; fields and their types come from the layouts of key and value.
--
-- A node is { op =, kind =, args =, source =, first =, last =, ... }; expr.text(node)
-- is its part of the source:
--
--   number   value                       param   name, param = { kind, desc, within }
--   boolean  value                       string  value, pattern (see literal.pattern)
--   clock    name "now" or "boottime"    field   of "key" or "value", desc, bit, bits;
--   if       condition, a, b                     reduce "sum" "max" "min" "cpu", cpu (from 1)
--   in       left, elements...           neg bnot not, + - * / // % & | ~ << >>,
--   and or   conditions...               == ~= < <= > >=
--
-- kind is "signed", "unsigned", "condition", or "raw" (text, addresses, and
-- whatever else is no integer). Strings and parameters are of kind "loose" until
-- the node they stand beside gives them a meaning (settle). Of two compared
-- nodes a loose one comes second. `const` marks what no entry changes.
-- Nothing is folded: the tree says what the text says.

local lexer = require "luabpf.expr.lexer"
local literal = require "luabpf.expr.literal"
local fields = require "luabpf.expr.fields"

local expr = {}

local parser = {}
parser.__index = parser

-- Lua's own precedence, lowest first. All are left associative.
local precedence = {
  ["or"] = 1, ["and"] = 2,
  ["<"] = 3, [">"] = 3, ["<="] = 3, [">="] = 3, ["~="] = 3, ["=="] = 3, ["in"] = 3,
  ["|"] = 4, ["~"] = 5, ["&"] = 6, ["<<"] = 7, [">>"] = 7,
  ["+"] = 9, ["-"] = 9, ["*"] = 10, ["/"] = 10, ["//"] = 10, ["%"] = 10,
}
local UNARY <const> = 11

-- The operator when its sides are exchanged.
local mirrored = {
  ["<"] = ">", [">"] = "<", ["<="] = ">=", [">="] = "<=", ["=="] = "==", ["~="] = "~=",
}

local closing = { ["("] = ")", ["["] = "]", ["{"] = "}" }
local reserved = { ["and"] = true, ["or"] = true, ["not"] = true, ["in"] = true, ["as"] = true }

local MAX_NESTING <const> = 100 -- parentheses and the like within each other
local MAX_DEPTH <const> = 1000 -- nodes from the root to a leaf

--- The part of the source that a node stands for.
function expr.text(node)
  return node.source:sub(node.first, node.last)
end

local text_of = expr.text

local function new(text, env)
  if type(text) ~= "string" then
    error(("an expression is text, got %s"):format(type(text)), 0)
  end
  return setmetatable({
    text = text, env = env, tokens = lexer.tokens(text), at = 1, nesting = 0,
  }, parser)
end

-- ---- tokens ------------------------------------------------------------------

function parser:fail(where, message, ...)
  lexer.fail(self.text, where.first, message:format(...))
end

function parser:peek()
  return self.tokens[self.at]
end

function parser:next()
  local token = self.tokens[self.at]
  self.at = self.at + 1
  return token
end

-- Whether the next token is the word or operator.
function parser:sees(word)
  local token = self:peek()
  return token.type == word or (token.type == "name" and token.value == word)
end

function parser:accept(word)
  return self:sees(word) and self:next() or nil
end

function parser:unexpected(wanted)
  local token = self:peek()
  if token.type == "end" then self:fail(token, "%s expected at the end", wanted) end
  self:fail(token, "%s expected, found '%s'", wanted, self.text:sub(token.first, token.last))
end

function parser:expect(type, wanted)
  if self:peek().type ~= type then self:unexpected(wanted or ("'%s'"):format(type)) end
  return self:next()
end

-- ---- nodes -------------------------------------------------------------------

function parser:node(op, kind, first, last, extra)
  local node = extra or {}
  node.op, node.kind, node.args = op, kind, node.args or {}
  node.source, node.first, node.last = self.text, first, last
  node.depth = 1
  for _, arg in ipairs(node.args) do node.depth = math.max(node.depth, arg.depth + 1) end
  if node.depth > MAX_DEPTH then self:fail(node, "the expression is too deep") end
  return node
end

local function is_integer(node)
  return node.kind == "signed" or node.kind == "unsigned"
end

-- What a node is, for messages.
local function what(node)
  if node.kind == "raw" then return node.desc and fields.what(node.desc) or "a string" end
  if node.kind == "loose" then return node.op == "string" and "a string" or "a parameter" end
  return node.kind == "condition" and "a condition" or "an integer"
end

-- "'value.comm' is text"
local function is(node)
  return ("'%s' is %s"):format(text_of(node), what(node))
end

local remedies = {
  condition = "; if(c, 1, 0) makes a number of it",
  float = "; expressions have integers only",
  struct = "; name one of its fields", union = "; name one of its fields",
  array = "; name one of its elements, counted from 1",
}

local function remedy(node)
  return remedies[node.desc and node.kind == "raw" and node.desc.kind or node.kind] or ""
end

function parser:need_integer(node)
  if node.kind == "loose" and node.op == "param" then
    node.kind, node.param = "signed", { kind = "integer" }
  end
  if is_integer(node) then return end
  self:fail(node, "%s where an integer is needed%s", is(node), remedy(node))
end

function parser:need_condition(node)
  if node.kind == "loose" and node.op == "param" then
    node.kind, node.param = "condition", { kind = "bool" }
  end
  if node.kind == "condition" then return end
  self:fail(node, "%s where a condition is needed; compare it with something", is(node))
end

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

local function settle_string(self, string, other, within)
  local value, reason
  if other.enum then
    value, reason = literal.enumerator(other.enum, string.value)
    if not value then self:fail(string, "%s", reason) end
    string.op, string.kind, string.value, string.const = "number", other.kind, value, true
    return
  end
  if other.kind ~= "raw" then
    self:fail(string, "%s and does not compare with a string", is(other))
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
local function result_kind(op, a, b)
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
  return self:node(op, result_kind(op, a, b), a.first, b.last,
    { args = { a, b }, const = a.const and b.const })
end

local function is_simple(node)
  return node.op == "boolean" or node.op == "field" or node.op == "param"
end

-- Whether a raw node has bytes that mean the same as those of a field.
local function comparable(field, other)
  if other.op ~= "field" then return other.kind == "raw" end
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

-- After `in`: a list in brackets of any kind, or one prefix.
function parser:membership(left)
  if left.op == "string" or left.kind == "condition" then
    self:fail(left, "%s; a field or an integer stands before 'in'", is(left))
  end
  if left.kind == "loose" then self:need_integer(left) end
  local open, args = self:peek(), { left }
  if closing[open.type] then
    self:next()
    repeat args[#args + 1] = self:element(left, self:expression()) until not self:accept(",")
    self:expect(closing[open.type])
  elseif left.kind == "raw" and (open.type == "string" or open.type == "param") then
    args[2] = self:element(left, self:primary())
  else
    self:unexpected(left.kind == "raw" and "a list or a prefix" or "a list")
  end
  local last = self.tokens[self.at - 1].last
  return self:node("in", "condition", left.first, last, { args = args })
end

-- ---- fields ------------------------------------------------------------------

local function kind_of(desc)
  if desc.kind == "int" or desc.kind == "pointer" or desc.kind == "enum" then
    return desc.signed and "signed" or "unsigned"
  end
  return desc.kind == "bool" and "condition" or "raw"
end

function parser:root(token)
  local env = self.env
  local desc = env[token.value]
  if desc then return fields.root(desc) end
  if self:sees(".") then
    self:fail(self.tokens[self.at + 1], "the %s has no layout and so no fields; open the map " ..
      "with one, %s = { ... }", token.value, token.value)
  end
  return fields.root { kind = "bytes", size = env[token.value .. "_size"] }
end

function parser:index()
  local token = self:expect("number", "a constant index")
  self:expect("]")
  return token
end

-- [n] right after `value` in a per-CPU map: the CPU, from 1.
function parser:cpu(token)
  local n = self.env.ncpu
  if token.value ~= "value" or not n or not self:accept("[") then return nil end
  local index = self:index()
  if index.value < 1 or index.value > n then
    self:fail(index, "there is no CPU %d: they are 1 to %d", index.value, n)
  end
  return index.value
end

-- Follows .name and [n] from the place.
function parser:follow(place, first)
  while true do
    local path = self.text:sub(first, self.tokens[self.at - 1].last)
    local step, found, reason
    if self:accept(".") then
      step = self:expect("name", "a field's name")
      found, reason = fields.member(place, step.value, path)
    elseif self:accept("[") then
      step = self:index()
      found, reason = fields.element(place, step.value, path)
    else
      return place
    end
    if not found then self:fail(step, "%s", reason) end
    place = found
  end
end

-- How a field of a per-CPU value is read: one CPU's, or over all CPUs.
function parser:check_reduction(node)
  local kind = node.desc.kind
  if node.reduce == "cpu" or kind == "int" then return end
  if node.reduce ~= "sum" and (kind == "enum" or kind == "bool") then return end
  self:fail(node, "'%s' is %s, which has no %s over CPUs; name a CPU, value[1]", text_of(node),
    fields.what(node.desc), node.reduce == "sum" and "sum" or node.reduce .. "imum")
end

-- key.a.b, value.c[2]; reduce: what stands over CPUs in place of the sum.
function parser:field(token, reduce)
  local cpu = self:cpu(token)
  local place = self:follow(self:root(token), token.first)
  local desc = place.desc
  local node = self:node("field", kind_of(desc), token.first, self.tokens[self.at - 1].last, {
    of = token.value, desc = desc, bit = place.bit, bits = place.bits,
    enum = desc.kind == "enum" and desc or nil, cpu = cpu,
  })
  node.path = text_of(node)
  if desc.kind == "special" then
    self:fail(node, "'%s' is the kernel's own (%s) and cannot be read", text_of(node), desc.name)
  end
  if token.value == "value" and self.env.ncpu then
    node.reduce = cpu and "cpu" or reduce or "sum"
    self:check_reduction(node)
  end
  return node
end

-- ---- primaries ---------------------------------------------------------------

local functions = {}

functions["if"] = function(self, token)
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
  return self:node("if", result_kind("if", a, b), token.first, last, { args = { condition, a, b } })
end

local function over_cpus(reduce)
  return function(self, token)
    local start = self:peek()
    if not self.env.ncpu then self:fail(token, "%s is for per-CPU maps", token.value) end
    if not self:sees("value") then self:unexpected("a field of value") end
    local node = self:field(self:next(), reduce)
    if node.cpu then self:fail(start, "'%s' is one CPU's already", text_of(node)) end
    node.first, node.last = token.first, self:expect(")").last
    return node
  end
end

functions.cpu_max = over_cpus("max")
functions.cpu_min = over_cpus("min")

local function unknown_name(self, token)
  local candidates = { "key", "value", "now", "boottime", "true", "false", "cpu_max", "cpu_min" }
  for _, of in ipairs { "key", "value" } do
    local desc = self.env[of]
    for _, field in ipairs(desc and desc.fields or {}) do
      if field.name == token.value then
        self:fail(token, "unknown name '%s' (did you mean '%s.%s'?)", token.value, of, token.value)
      end
    end
  end
  self:fail(token, "unknown name '%s'%s", token.value, literal.suggest(token.value, candidates))
end

local function name(self, token)
  local word, first, last = token.value, token.first, token.last
  if reserved[word] then
    self.at = self.at - 1
    self:unexpected("a value")
  end
  if self:sees("(") then
    if not functions[word] then self:fail(token, "unknown function '%s'", word) end
    self:next()
    return functions[word](self, token)
  end
  if word == "key" or word == "value" then return self:field(token) end
  if word == "now" or word == "boottime" then
    return self:node("clock", "unsigned", first, last, { name = word })
  end
  if word == "true" or word == "false" then
    return self:node("boolean", "condition", first, last, { value = word == "true" })
  end
  unknown_name(self, token)
end

function parser:primary()
  local token = self:next()
  local first, last = token.first, token.last
  if token.type == "number" then
    return self:node("number", "unsigned", first, last, { value = token.value, const = true })
  elseif token.type == "string" then
    return self:node("string", "loose", first, last, { value = token.value })
  elseif token.type == "param" then
    if token.value == "now" or token.value == "boottime" then
      self:fail(token, "a parameter cannot be called '%s': that is the clock", token.value)
    end
    return self:node("param", "loose", first, last, { name = token.value })
  elseif token.type == "name" then
    return name(self, token)
  elseif token.type == "(" then
    local inner = self:expression()
    inner.first, inner.last = first, self:expect(")").last
    return inner
  end
  self.at = self.at - 1
  self:unexpected("a value")
end

local unary = { ["-"] = "neg", ["~"] = "bnot", ["not"] = "not" }

function parser:prefixed()
  local token = self:peek()
  local op = unary[token.type == "name" and token.value or token.type]
  if not op then return self:primary() end
  self:next()
  local arg = self:expression(UNARY)
  if op == "not" then
    self:need_condition(arg)
  else
    self:need_integer(arg)
  end
  local kind = op == "not" and "condition" or op == "neg" and "signed" or arg.kind
  return self:node(op, kind, token.first, arg.last, { args = { arg }, const = arg.const })
end

function parser:combine(op, left, limit)
  if op == "in" then return self:membership(left) end
  local right = self:expression(limit)
  if op == "and" or op == "or" then return self:logical(op, left, right) end
  if mirrored[op] then return self:compare(op, left, right) end
  return self:arithmetic(op, left, right)
end

-- Reads operators that bind tighter than limit.
function parser:expression(limit)
  self.nesting = self.nesting + 1
  if self.nesting > MAX_NESTING then
    self:fail(self:peek(), "the expression is nested too deeply")
  end
  local left = self:prefixed()
  while true do
    local token = self:peek()
    local op = token.type == "name" and token.value or token.type
    if not precedence[op] or precedence[op] <= (limit or 0) then break end
    self:next()
    left = self:combine(op, left, precedence[op])
  end
  self.nesting = self.nesting - 1
  return left
end

-- ---- whole texts -------------------------------------------------------------

-- Ends a tree: what is still loose gets a meaning.
function parser:root_node(node)
  if node.kind == "loose" then self:need_integer(node) end
  if node.kind == "raw" and not node.desc.size then
    self:fail(node, "the size of %s is not known", text_of(node))
  end
  return node
end

function parser:finish()
  if self:peek().type ~= "end" then self:unexpected("an operator") end
end

--- The tree of an expression.
-- @tparam string text
-- @tparam table env what fields mean: `key` and `value`, descriptions of layouts (nil: bytes
--   without layout, `key_size` and `value_size` of them); `ncpu`, the number of possible CPUs, when
--   the map is per-CPU
-- @treturn table the root; raises "expression:LINE:COLUMN: ..." and a line with a caret
function expr.parse(text, env)
  local self = new(text, env)
  local node = self:root_node(self:expression())
  self:finish()
  return node
end

--- As expr.parse, for what must be a condition.
function expr.condition(text, env)
  local self = new(text, env)
  local node = self:expression()
  self:finish()
  self:need_condition(node)
  return self:root_node(node)
end

local aggregate_functions = {
  count = true, sum = true, min = true, max = true, avg = true, distinct = true, hist = true,
}

-- The name of a column without `as`: the last name of its path.
local function default_name(self, node, fallback)
  if node and node.op == "field" then
    return node.path:gsub("%b[]", ""):match("([%w_]+)%s*$")
  end
  if not fallback then
    self:fail(node, "the column '%s' needs a name: '%s as name'", text_of(node), text_of(node))
  end
  return fallback
end

local function column(self)
  local node = self:root_node(self:expression())
  return { ast = node, first = node.first }
end

local function aggregate(self)
  local token = self:expect("name", "an aggregate such as sum(value.bytes)")
  if not aggregate_functions[token.value] then
    self:fail(token, "unknown aggregate '%s'; there are count sum min max avg distinct hist",
      token.value)
  end
  self:expect("(")
  local arg = nil
  if token.value == "count" then
    if not self:sees(")") then
      self:fail(self:peek(), "count() counts entries; nothing stands inside")
    end
  else
    arg = self:root_node(self:expression())
    if token.value ~= "distinct" then self:need_integer(arg) end
  end
  self:expect(")")
  return { fn = token.value, arg = arg, first = token.first }
end

-- Names the item, from `as` or from itself.
local function name_item(self, item, given)
  if self:accept("as") then
    local token = self:expect("name", "a name")
    item.name = token.value
  else
    item.name = given or default_name(self, item.ast or item.arg, item.fn)
  end
  return item
end

local function add_items(list, names, text, env, item, given)
  local self = new(text, env)
  repeat
    local found = name_item(self, item(self), given)
    if names[found.name] then
      self:fail(found, "there are two columns '%s'; name one otherwise: '... as name'", found.name)
    end
    names[found.name], list[#list + 1] = true, found
    found.first = nil
  until not self:accept(",")
  self:finish()
end

local function items(given, env, names, item)
  local list, keys = {}, {}
  names = names or {}
  if type(given) ~= "table" then given = { given } end
  for _, text in ipairs(given) do add_items(list, names, text, env, item) end
  for key in pairs(given) do
    if type(key) == "string" then keys[#keys + 1] = key end
  end
  table.sort(keys)
  for _, key in ipairs(keys) do add_items(list, names, given[key], env, item, key) end
  return list
end

--- Columns such as "value.bytes as b": text (several with commas), a list, or name = expression.
-- @param given
-- @tparam table env as for expr.parse
-- @tparam[opt] table names the names taken so far; those of these columns are added
-- @treturn table list of { name =, ast = } in the order given, those with name = last, by name
function expr.columns(given, env, names)
  return items(given, env, names, column)
end

--- Aggregates such as "sum(value.bytes) as bytes", given as columns are.
-- @treturn table list of { fn =, arg = tree or nil, name = }
function expr.aggregates(given, env, names)
  return items(given, env, names, aggregate)
end

return expr
