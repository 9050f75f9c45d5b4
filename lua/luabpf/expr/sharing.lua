-- SPDX-License-Identifier: MIT
--
-- What is computed once: equal integers of a core tree (tree.lua) become one value,
-- which is kept in the frame when it is used again. A load is always kept, so that all
-- that an expression says of a field is about one reading of it, whoever writes to the
-- map meanwhile; other values where they are worth more than the way to the frame.
--
-- HOW IT WORKS. What is computed at a place is at hand later only if every way leads
-- through that place. So the tree has scopes: the second and later args of `and` and
-- `or`, and the branches of `if`, are scopes within that of what comes before them,
-- and a value belongs to the innermost scope that all its uses are within. It is
-- computed at its first use if that is in its scope; else at the scope's beginning,
-- where the generator finds it in `hoisted`.
--
-- sharing.plan copies the tree; in the copy a node has
--
--   v        of an integer worth keeping, the same for equal ones: { refs (its uses), kept
--            (whether it is used again), scope, load, wide (part of a field over 8 bytes), ... }
--   scopes   by number of the arg that is one, 0 for all of the tree: { parent, depth, hoisted }

local sharing = {}

-- Instructions, about, that it takes to be worth a place in the frame.
local WORTHWHILE <const> = 4
local weights = { ["*"] = 3, ["/"] = 10, ["%"] = 10, ["if"] = 3, load = 1, const = 0, slot = 1 }

local conditions = { ["=="] = true, ["~="] = true, ["<"] = true, ["<="] = true, [">"] = true,
  [">="] = true, ["and"] = true, ["or"] = true, ["not"] = true, ["in"] = true, search = true,
  truth = true }

local function is_condition(node)
  return conditions[node.op] or node.condition or false
end

-- ---- values ------------------------------------------------------------------

local plan = {}
plan.__index = plan

-- What a node computes, in terms of what its args do: equal for equal nodes.
function plan:name(node)
  local parts = { node.op, node.mixed and "m" or "", node.of or "", node.offset or "",
    node.size or "", node.big and "b" or "", node.index or "", tostring(node.value) }
  for _, arg in ipairs(node.args) do
    parts[#parts + 1] = self:id(arg) .. (arg.signed and "s" or "u")
  end
  for _, value in ipairs(node.values or {}) do parts[#parts + 1] = value.value end
  parts[#parts + 1] = node.rows and tostring(node.rows) or nil
  return table.concat(parts, " ")
end

-- A number, the same for equal nodes.
function plan:id(node)
  if self.ids[node] then return self.ids[node] end
  local name = self:name(node)
  if not self.named[name] then
    self.n = self.n + 1
    self.named[name] = self.n
  end
  self.ids[node] = self.named[name]
  return self.ids[node]
end

function plan:weight(node)
  local weight = self.weights[node] or weights[node.op] or 1
  if self.weights[node] then return weight end
  for _, arg in ipairs(node.args) do weight = weight + self:weight(arg) end
  self.weights[node] = weight
  return weight
end

-- Whether an integer is worth keeping; what is not is as cheaply computed again.
function plan:keepable(node)
  if is_condition(node) then return false end
  return node.op == "load" or node.keep or self:weight(node) >= WORTHWHILE
end

-- Puts copies in the place of the args, each a use of its value.
function plan:copy_args(copy)
  local args = {}
  for i, arg in ipairs(copy.args) do
    args[i] = self:copy(arg)
    if args[i].v then args[i].v.refs = args[i].v.refs + 1 end
  end
  copy.args = args
end

-- The copy of a node. Of equal integers that may be kept the first has the args of all.
function plan:copy(node)
  local copy, id = { scopes = {} }, self:id(node)
  for k, v in pairs(node) do copy[k] = v end
  local known = self.values[id]
  if not self:keepable(node) then
    self:copy_args(copy)
  elseif known then
    copy.v, copy.args, copy.scopes = known, known.first.args, known.first.scopes
  else
    self:copy_args(copy)
    copy.v = { first = copy, refs = 0, load = node.op == "load", wide = node.wide }
    self.values[id] = copy.v
  end
  return copy
end

-- ---- scopes ------------------------------------------------------------------

local function new_scope(parent)
  return { parent = parent, depth = parent and parent.depth + 1 or 0, hoisted = {} }
end

local function common(a, b)
  while a ~= b do
    if a.depth < b.depth then a, b = b, a end
    a = a.parent
  end
  return a
end

-- Whether a scope is another one or around it.
function sharing.around(outer, scope)
  while scope.depth > outer.depth do scope = scope.parent end
  return scope == outer
end

local place

-- A node is used in a scope; once all uses of a value are known, so is its scope.
local function use(node, scope)
  local v = node.v
  if not v then return place(node, scope) end
  v.scope = v.scope and common(v.scope, scope) or scope
  v.seen = (v.seen or 0) + 1
  if v.seen == v.refs then place(v.first, v.scope) end
end

function place(node, scope)
  for i, arg in ipairs(node.args) do
    if i > 1 and (node.op == "and" or node.op == "or") then
      scope = new_scope(scope)
      node.scopes[i] = scope
      use(arg, scope)
    elseif i > 1 and node.op == "if" then
      node.scopes[i] = new_scope(scope)
      use(arg, node.scopes[i])
    else
      use(arg, scope)
    end
  end
end

-- A copy of the tree in which equal values are one.
-- @treturn table the root, its scope in root.scopes[0]
function sharing.plan(root)
  local self = setmetatable({ ids = {}, named = {}, n = 0, weights = {}, values = {} }, plan)
  local copy = self:copy(root)
  local scope = new_scope(nil)
  if copy.v then copy.v.refs = copy.v.refs + 1 end
  use(copy, scope)
  for _, v in pairs(self.values) do v.kept = v.refs > 1 end
  copy.scopes[0] = scope
  return copy
end

return sharing
