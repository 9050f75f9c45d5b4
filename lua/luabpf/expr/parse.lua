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

local parser = require "luabpf.expr.grammar"

local expr = {}

-- The part of the source that a node stands for.
expr.text = parser.text_of

local new, text_of = parser.new, parser.text_of

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

-- The tree of an expression.
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

-- As expr.parse, for what must be a condition.
function expr.condition(text, env)
  local self = new(text, env)
  local node = self:expression()
  self:finish()
  self:need_condition(node)
  return self:root_node(node)
end

-- As expr.parse, for what must be an integer.
function expr.integer(text, env)
  local self = new(text, env)
  local node = self:root_node(self:expression())
  self:finish()
  self:need_integer(node)
  return node
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

-- Columns such as "value.bytes as b": text (several with commas), a list, or name = expression.
-- @param given
-- @tparam table env as for expr.parse
-- @tparam[opt] table names the names taken so far; those of these columns are added
-- @treturn table list of { name =, ast = } in the order given, those with name = last, by name
function expr.columns(given, env, names)
  return items(given, env, names, column)
end

local ends_item = { [","] = true, ["end"] = true, asc = true, desc = true }

-- What is sorted by: a column, or an expression where there is an env; then asc or desc.
local function sort_item(self, names)
  local token, after, item = self:peek(), self.tokens[self.at + 1], {}
  local word = after and (after.type == "name" and after.value or after.type)
  local alone = token.type == "name" and ends_item[word]
  if alone and (names[token.value] or not self.env) then
    item.name = self:next().value
  elseif not self.env then
    self:fail(token, "the name of a group or a result expected; '... as name' gives one")
  else
    item.ast = self:root_node(self:expression())
  end
  item.text = self.text:sub(token.first, self.tokens[self.at - 1].last)
  item.direction = (self:accept("asc") or self:accept("desc") or {}).value
  return item
end

-- What `sort` names: columns, or expressions.
-- @tparam string text such as "bytes desc, key.src_addr"
-- @tparam table|nil env as for expr.parse; nil: there are columns only
-- @tparam table names the columns there are, as a set
-- @treturn table list of { name = or ast =, text =, direction = "asc", "desc" or nil }
function expr.orders(text, env, names)
  local list, self = {}, new(text, env)
  repeat list[#list + 1] = sort_item(self, names) until not self:accept(",")
  self:finish()
  return list
end

-- Aggregates such as "sum(value.bytes) as bytes", given as columns are.
-- @treturn table list of { fn =, arg = tree or nil, name = }
function expr.aggregates(given, env, names)
  return items(given, env, names, aggregate)
end

return expr
