-- SPDX-License-Identifier: MIT
--
-- Assignments: "value.state = 2, value.hits = value.hits + 1". The right sides read the
-- entry as it was before any of them is stored. cells.lua says how each is stored.

local fields = require "luabpf.expr.fields"
require "luabpf.expr.parse"
local parser = require "luabpf.expr.grammar"

local assign = {}

local text_of = parser.text_of

local assignable = { int = true, bool = true, enum = true }
local holds = { array = "its elements", struct = "its fields", union = "its fields" }

-- Raises where a field is none that can be assigned to.
local function check_target(self, node)
  if node.op ~= "field" or node.of ~= "value" then
    self:fail(node, "'%s' cannot be assigned to; fields of the value can, value.field = ...",
      text_of(node))
  elseif not assignable[node.desc.kind] then
    self:fail(node, "'%s' is %s; assignments in text are to %s", text_of(node),
      fields.what(node.desc),
      holds[node.desc.kind] or "integers, bools and enums, a function assigns to this too")
  end
end

-- The right side, as what the field takes.
local function check_value(self, target, value)
  if target.kind == "condition" then
    self:need_condition(value)
  else
    self:settle(value, target)
    self:need_integer(value)
  end
  return value
end

-- Raises for a name that is not "value".
local function no_field(self, token)
  if token.value == "key" then self:fail(token, "the key of an entry cannot be changed") end
  local desc = self.env.value
  if desc and desc.fields and fields.member(fields.root(desc), token.value, "value") then
    self:fail(token, "a field of the value expected (did you mean 'value.%s'?)", token.value)
  end
  self:fail(token, "a field of the value expected, such as value.packets")
end

local function assignment(self)
  local token = self:expect("name", "a field such as value.packets")
  if token.value ~= "value" then no_field(self, token) end
  local target = self:field(token, "all")
  check_target(self, target)
  self:expect("=", "'='")
  local value = check_value(self, target, self:expression())
  return { target = target, value = value, name = text_of(target),
    text = text_of(target) .. " = " .. text_of(value) }
end

-- The assignments of a text.
-- @tparam string text
-- @tparam table env as for expr.parse
-- @treturn table list of { target = field node, value = tree, name =, text = }; raises as
--   expr.parse does
function assign.parse(text, env)
  local list, self = {}, parser.new(text, env, true)
  repeat list[#list + 1] = assignment(self) until not self:accept(",")
  self:finish()
  return list
end

return assign
