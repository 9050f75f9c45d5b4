-- SPDX-License-Identifier: MIT

--- Functions that assign to fields of the value. A field that is assigned to anywhere is a
-- target: what it holds, a number, goes with the frames from the beginning (effects.lua), so that
-- paths meet as those of other variables do. At the end of a path all targets are stored; a
-- program passes over those that hold what they held. A value that does not fit its field ends the
-- path: Lua raises.
--
-- The function is run again from the start for each target that is found.
--
-- @module luabpf.function.changes

local cells = require "luabpf.expr.cells"
local core = require "luabpf.core"
local fields = require "luabpf.expr.fields"
local run = require "luabpf.function.run"
local tree_of = require "luabpf.expr.tree"

local changes = {}

local is_int = run.is_int
local MOST <const> = core.limits.stores

-- ---- targets ------------------------------------------------------------------------

local function is_same(a, b)
  local x, y = a.desc, b.desc
  return a.bit == b.bit and a.bits == b.bits and x.kind == y.kind and x.size == y.size
    and x.signed == y.signed and x.big == y.big and x.values == y.values
end

-- The target in a place; false where another one shares bytes with it; nil where there is none.
local function target_at(self, place)
  for _, target in ipairs(self.purpose.targets) do
    if is_same(target.place, place) then return target end
    if cells.touches(target.place, place) then return false end
  end
end

-- Into the frame of the beginning: what the targets hold.
function run:begin_changes(frame)
  for i, target in ipairs(self.purpose.targets) do
    target.key = "target " .. i
    target.old = self:number_at("value", target.place, target.path)
    frame.state = run.with_field(frame.state, target.key, self:int(target.old))
  end
end

-- What a place of the value holds after what was assigned: a tree; false where only a part of it
-- was assigned to; nil where nothing was.
function run:changed_at(frame, place)
  local target = target_at(self, place)
  return target and self:integer(frame.state.fields[target.key]) or target
end

-- ---- what is assigned ------------------------------------------------------------------

local function integer_of(self, value)
  return is_int(value) and self:integer(value) or nil
end

local numbers = { int = integer_of, pointer = integer_of }

function numbers.bool(self, value)
  local is_bool = value.t == "const" and type(value.v) == "boolean"
  return is_bool and self:number(value.v and 1 or 0) or nil
end

-- The first of an enum's values that is called so.
local function named(desc, name)
  for _, value in ipairs(desc.values) do
    if value.name == name then return value.value end
  end
end

function numbers.enum(self, value, desc)
  if value.t == "const" and type(value.v) == "string" then
    local n = named(desc, value.v)
    return n and self:number(n)
  end
  return integer_of(self, value)
end

-- By op: the most that a number can be that is not negative; nil where that is not known.
local bounds = {}

local function most(tree)
  return bounds[tree.op] and bounds[tree.op](tree)
end

bounds["const"] = function(tree) return tree.value end
bounds.load = function(tree) return tree.size < 8 and (1 << 8 * tree.size) - 1 or nil end
bounds["if"] = function(tree)
  local a, b = most(tree.args[2]), most(tree.args[3])
  return a and b and math.max(a, b)
end
bounds["&"] = function(tree)
  local a, b = most(tree.args[1]), most(tree.args[2])
  if a and a < 0 then a = nil end
  return b and b >= 0 and math.min(a or b, b) or a
end
bounds[">>"] = function(tree)
  local n = most(tree.args[2])
  return n and n > 0 and n < 64 and (1 << 64 - n) - 1 or nil
end
bounds["%"] = function(tree)
  local by = tree.args[2]
  return by.op == "const" and by.value > 0 and by.value - 1 or nil
end
bounds["%%"] = bounds["%"]

-- The least and the greatest that fit a field of less than 64 bits.
local function range(place)
  local _, bits = cells.extent(place)
  if place.desc.signed then return -(1 << bits - 1), (1 << bits - 1) - 1 end
  return 0, (1 << bits) - 1
end

-- Sets a target, where the number fits; else Lua raises.
local function set(self, frame, target, tree)
  local function unfit(f) return self:lua(f, "what '%s' gets may not fit", target.path) end
  local function store(f)
    f.state = run.with_field(f.state, target.key, self:int(tree))
    f.pc = f.pc + 1
  end
  if select(2, cells.extent(target.place)) == 64 then return store(frame) end
  local low, high = range(target.place)
  local bound = most(tree)
  local below = bound ~= nil and tree.nonneg and bound <= high
    or self:compare("<=", tree, self:number(high))
  return self:split(frame, below, function(f)
    return self:split(f, self:compare("<", tree, self:number(low)), unfit, store)
  end, unfit)
end

-- The place of list[key]; nil, why.
local function place_in_list(self, list, key)
  local n = key.t == "const" and math.type(key.v) and math.tointeger(key.v)
  if not n then return nil, ("assigns to an element of '%s' that is named by %s"):format(list.path,
    run.what(key)) end
  local place = self:element(list, n)
  if not place then return nil, ("raises: '%s' has no element %d"):format(list.path, n) end
  return place, run.element_path(list, n)
end

-- The place of struct[key]; nil, why.
local function place_in_struct(object, key)
  if key.t ~= "const" or type(key.v) ~= "string" then
    return nil, "assigns to a field that is named by " .. run.what(key)
  end
  local place, why = fields.member(object.place, key.v, object.path)
  if not place then return nil, "raises: " .. why end
  return place, object.path .. "." .. key.v
end

-- The place of object[key] where that is a number of the value that can be assigned to; nil, why.
local function place_of(self, object, key)
  local is_list = object.t == "array"
  if not is_list and object.t ~= "view" or object.of ~= "value" or self.env.ncpu then
    return nil, ("assigns to a field of %s"):format(run.what(object))
  end
  local place, path
  if is_list then
    place, path = place_in_list(self, object, key)
  else
    place, path = place_in_struct(object, key)
  end
  if place and not numbers[place.desc.kind] then
    return nil, ("assigns to '%s', which is %s"):format(path, fields.what(place.desc))
  end
  return place, path
end

-- One target more: the function is run again, from the start, with it.
local function add_target(self, place, path)
  local targets = self.purpose.targets
  if #targets == MOST then run.give_up(("it assigns to more than %d fields"):format(MOST)) end
  targets[#targets + 1] = { place = place, path = path }
  run.give_up("again", "target " .. path)
end

-- object[key] = value, of a view of a struct or a list.
function run:assign_place(frame, object, key, value)
  run.need_constant(key)
  if value.t == "text" then run.need_constant(value) end
  local place, path = place_of(self, object, key)
  if not place then return self:lua(frame, "%s", path) end
  local target = target_at(self, place)
  if target == false then return self:lua(frame, "'%s' shares bytes with another field", path) end
  if not target then add_target(self, place, path) end
  local tree = numbers[place.desc.kind](self, value, place.desc)
  if not tree then return self:lua(frame, "'%s' gets %s", path, run.what(value)) end
  return set(self, frame, target, tree)
end

-- ---- the end of a path --------------------------------------------------------------------

-- Whether a tree has another in it.
local function contains(tree, part)
  return tree_of.any(tree, function(node) return node == part end)
end

-- What is added to old where a tree is old and something else; nil where it is not that.
local function addend(self, tree, old)
  if tree == old then return self:number(0) end
  if tree.op ~= "+" and tree.op ~= "-" then return nil end
  local a, b = tree.args[1], tree.args[2]
  if tree.op == "+" and contains(b, old) then a, b = b, a end
  if contains(b, old) then return nil end
  local rest = addend(self, a, old)
  return rest and self:arith(tree.op, rest, b)
end

-- Of a target that is added to, so that concurrent additions are all there.
local function is_counter(target)
  return cells.is_word(target.place, 8)
end

-- The leaf of a path: all is as it was, or { values, addends = by target, next }.
function run:change_leaf(frame)
  local values, addends, ids = {}, {}, {}
  for i, target in ipairs(self.purpose.targets) do
    values[i] = self:integer(frame.state.fields[target.key])
    addends[i] = is_counter(target) and addend(self, values[i], target.old) or false
    ids[i] = values[i].id
  end
  local node = self:unique("change " .. table.concat(ids, " "), function()
    return { values = values, addends = addends, next = run.YES }
  end)
  local after = run.NO
  for i, target in ipairs(self.purpose.targets) do
    local same = addends[i] and self:compare("==", addends[i], self:number(0))
      or not addends[i] and self:compare("==", values[i], target.old)
    if same == false then return node end
    if same ~= true then after = self:branch(frame, same, after, node) end
  end
  return after
end

-- ---- all paths --------------------------------------------------------------------------------

-- Calls see(tree, leaf, i) for all trees of a graph: leaf and i where target i gets it.
local function each_tree(graph, see)
  run.each_node(graph, function(node)
    if node.test then see(node.test) end
    for _, move in ipairs(node.moves or {}) do see(move.tree) end
    for i, tree in ipairs(node.values or {}) do see(tree, node, i) end
  end)
end

-- Whether target i is only added to, and read for nothing else.
local function is_added(graph, targets, i)
  local old, added = targets[i].old, is_counter(targets[i])
  each_tree(graph, function(tree, leaf, of)
    if of == i then
      added = added and leaf.addends[i]
    else
      local part = leaf and leaf.addends[of] or tree
      added = added and not contains(part, old)
    end
  end)
  return added and true or false
end

-- What a graph computes: { targets, words }; each target has added, and its number of the stores as
-- index from 0, until query/edit.lua puts them in order.
function changes.finish(self, graph)
  local targets = self.purpose.targets
  for i, target in ipairs(targets) do
    target.added, target.index = is_added(graph, targets, i), i - 1
  end
  return { targets = targets, words = #targets, outputs = {} }
end

-- The stores of a leaf, for emit.lua.
function changes.stores(leaf, targets)
  local stores = {}
  for i, target in ipairs(targets) do
    stores[i] = { index = target.index, tree = target.added and leaf.addends[i] or leaf.values[i] }
  end
  return stores
end

return changes
