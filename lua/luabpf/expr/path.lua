-- SPDX-License-Identifier: MIT
--
-- Paths in a text: key.a.b, value.c[2], and in per-CPU maps value[2].f. A path
-- becomes a node of the field that it leads to. The methods here are the parser's.

local fields = require "luabpf.expr.fields"
local parser = require "luabpf.expr.parser"

local text_of = parser.text_of

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
    self:fail(self.tokens[self.at + 1], "the %s has no layout and so no fields%s; open the map " ..
      "with one, %s = { ... }", token.value, env.unread and (", as reading the map's BTF needs " ..
      "CAP_SYS_ADMIN") or "", token.value)
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
  if node.reduce == "cpu" or node.reduce == "all" or kind == "int" then return end
  if node.reduce ~= "sum" and (kind == "enum" or kind == "bool") then return end
  self:fail(node, "'%s' is %s, which has no %s over CPUs; name a CPU, value[1]", text_of(node),
    fields.what(node.desc), node.reduce == "sum" and "sum" or node.reduce .. "imum")
end

-- key.a.b, value.c[2]; reduce: what stands over CPUs in place of the sum; "all": it is assigned to.
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

return parser
