-- SPDX-License-Identifier: MIT

--- What a function gives beside an answer: the table that it returns, as columns, and the
-- accumulators that it changes. Tables made here and accumulators have no place in the
-- program: what their fields hold is known on each path. It goes with the frames, as an
-- immutable table:
--
--   { n = tables made so far, order = { key... }, fields = { key = value } }
--
-- where a key stands for a field of one of them. At the end of a path it becomes stores.
--
-- @module luabpf.function.effects

local run = require "luabpf.function.run"

local steps, is_int = run.steps_of, run.is_int

-- ---- what fields hold -------------------------------------------------------------

local NOTHING <const> = { n = 0, order = {}, fields = {} }

-- The key of an object's field; nil where it has no such fields.
local function key_of(object, name)
  local kind = math.type(name) or type(name)
  if kind == "string" or kind == "integer" and object.t == "acc" then
    return ("%s %s %s"):format(object.at, kind, name)
  end
end

-- The same with one field more, or another value of it.
local function with(state, key, value, n)
  local made = { n = n or state.n, order = state.order, fields = {} }
  for k, v in pairs(state.fields) do made.fields[k] = v end
  if key and not made.fields[key] then
    made.order = table.move(state.order, 1, #state.order, 1, {})
    made.order[#made.order + 1] = key
  end
  if key then made.fields[key] = value end
  return made
end

run.with_field = with

-- The frame of a function's beginning: what accumulators hold are their slots.
function run:begin_effects(frame)
  frame.state = NOTHING
  local acc = self.purpose.acc
  if self.purpose.targets then self:begin_changes(frame) end
  for i, name in ipairs(acc or {}) do
    local slot = self:tree("acc", {}, { index = i - 1 }, "acc." .. name)
    frame.state = with(frame.state, key_of(self:acc(), name), self:int(slot))
  end
end

-- The value that stands for the accumulators.
function run:acc()
  return self:unique("acc", function() return { t = "acc", at = "acc" } end)
end

-- ---- instructions -------------------------------------------------------------------

local function where_of(frame)
  local at, parts = frame, {}
  while at do
    parts[#parts + 1] = ("%s:%d"):format(at.p.name, at.pc)
    at = at.up
  end
  return table.concat(parts, " ")
end

function steps.NEWTABLE(self, frame, i)
  if not frame.state then return self:lua(frame, run.ends.NEWTABLE) end
  local n = frame.state.n + 1
  local at = ("table %d at %s"):format(n, where_of(frame))
  frame.r[i.a] = self:unique(at, function() return { t = "made", at = at } end)
  frame.state = with(frame.state, nil, nil, n)
  frame.pc = frame.pc + 2
end

-- Whether a value is a table that fields are known of.
function run.has_fields(v)
  return v.t == "made" or v.t == "acc"
end

-- register = object[key], of such a table.
function run:read_field(frame, register, object, key)
  run.need_constant(key)
  local name = key.t == "const" and key_of(object, key.v)
  if not name then
    return self:lua(frame, "%s indexed with %s", object.t == "acc" and "the accumulators are"
      or "a table is", run.what(key))
  end
  frame.r[register] = frame.state.fields[name] or self:const(nil)
  frame.pc = frame.pc + 1
end

local function assign(self, frame, object, key, value, why)
  if run.is_change(self) and not run.has_fields(object) then
    return self:assign_place(frame, object, key, value)
  end
  if not run.has_fields(object) then return self:lua(frame, why) end
  run.need_constant(key)
  local name = key.t == "const" and key_of(object, key.v)
  if not name then
    return self:lua(frame, "assigns to a field that is named by %s", run.what(key))
  end
  if object.t == "acc" and not frame.state.fields[name] then
    return self:lua(frame, "adds '%s' to the accumulators", tostring(key.v))
  end
  frame.state = with(frame.state, name, value)
  frame.pc = frame.pc + 1
end

local function operand(self, frame, i)
  return i.k == 1 and self:const(frame.p.k[i.c + 1][1]) or frame.r[i.c]
end

function steps.SETFIELD(self, frame, i)
  return assign(self, frame, frame.r[i.a], self:const(frame.p.k[i.b + 1][1]),
    operand(self, frame, i), run.ends.SETFIELD)
end

function steps.SETTABLE(self, frame, i)
  return assign(self, frame, frame.r[i.a], frame.r[i.b], operand(self, frame, i),
    run.ends.SETTABLE)
end

function steps.SETI(self, frame, i)
  return assign(self, frame, frame.r[i.a], self:const(i.b), operand(self, frame, i),
    run.ends.SETI)
end

-- ---- where paths meet ---------------------------------------------------------------

-- As describe of joins.lua, of the fields that go with a frame.
function run:describe_effects(frame, open, text)
  local state = frame.state
  if not state then return end
  self:spend(1 + #state.order // 8)
  text[#text + 1] = "fields " .. state.n
  for _, key in ipairs(state.order) do
    local v = state.fields[key]
    if is_int(v) then
      open[#open + 1] = { frame = frame, field = key, depth = 0, value = v }
      text[#text + 1] = key .. "#"
    else
      text[#text + 1] = key .. "=" .. v.id
    end
  end
end

-- What a value is, in a reason.
local function what(v)
  return v.t == "const" and math.type(v.v) == "float" and "a float" or run.what(v)
end

-- ---- the end of a fold ----------------------------------------------------------------

local function fold_leaf(self, frame)
  local stores, key = {}, {}
  for i, name in ipairs(self.purpose.acc) do
    local v = frame.state.fields[key_of(self:acc(), name)]
    if not is_int(v) then
      return self:lua(frame, "accumulator '%s' gets %s", tostring(name), what(v))
    end
    local tree = self:integer(v)
    if not (tree.op == "acc" and tree.index == i - 1) then
      stores[#stores + 1] = { index = i - 1, tree = tree }
      key[#key + 1] = ("%d %d"):format(i - 1, tree.id)
    end
  end
  if #stores == 0 then return run.YES end
  return self:unique("stores " .. table.concat(key, " "), function()
    return { stores = stores, next = run.YES }
  end)
end

-- ---- the end of what makes rows ---------------------------------------------------------

-- The columns of what is returned: a list of { name, value }; nil and why Lua has to.
local function columns_of(self, frame, values)
  local v, single = values[1] or self:const(nil), self.purpose.single
  if #values > 1 then return nil, "gives several results" end
  if v.t ~= "made" then
    if not single then return nil, "gives no table that is made in it" end
    return { { single, v } }
  end
  local list, prefix = {}, v.at .. " string "
  for _, key in ipairs(frame.state.order) do
    if key:sub(1, #prefix) == prefix then
      list[#list + 1] = { key:sub(#prefix + 1), frame.state.fields[key] }
    end
  end
  return list
end

-- The leaf of a path that gives columns: { row = { { name, kind... }... } }, of which rows.lua
-- makes stores when all are known.
local function row_leaf(self, frame, values)
  local list, why = columns_of(self, frame, values)
  if not list then return self:lua(frame, why) end
  local row, key, wraps = {}, {}, {}
  for i, one in ipairs(list) do
    local column, reason = self:column_of(one[1], one[2])
    if not column then
      return self:lua(frame, "column '%s' is %s", one[1], reason or what(one[2]))
    end
    row[i] = column
    key[i] = ("%s %s"):format(one[1], column.key)
    if column.named then wraps[#wraps + 1] = column end
  end
  local node = self:unique("row " .. table.concat(key, "\1"), function()
    return { row = row, line = frame.p.lines[frame.pc], source = frame.p.source }
  end)
  for _, column in ipairs(wraps) do node = self:named_only(frame, column.value, node) end
  return node
end

-- What follows the end of the function that was begun with.
function run:leaf(frame, values)
  if self.purpose.acc then return fold_leaf(self, frame) end
  if self.purpose.targets then return self:change_leaf(frame) end
  return row_leaf(self, frame, values)
end

return run
