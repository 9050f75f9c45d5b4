-- SPDX-License-Identifier: MIT

--- Tables from outside. With a constant key a field is read like any other value of
-- outside. With a key that depends on the entry the table is a set if all its values
-- are alike: its keys are parameters, searched by halving, and other keys later need no
-- new program. Else its contents are constants of the program, searched too.
--
-- @module luabpf.function.tables

local outside = require "luabpf.function.outside"
local run = require "luabpf.function.run"
local texts = require "luabpf.function.texts"

-- Elements of a table whose contents are constants.
local MOST_CONSTANT <const> = 1024
-- Bounds of a set (LB_MAX_PARAMS slots, about).
local MOST_BOUNDS <const> = 1024
local FEWEST_BOUNDS <const> = 8

-- register = table[constant].
function run:read_table(frame, register, value, key)
  if key == nil then
    frame.r[register] = self:const(nil)
    return nil
  end
  if not select(2, outside.field(value.v, key)) then
    return self:lua(frame, "a table whose metatable asks a function is indexed")
  elseif not value.src then
    return self:lua(frame, "a table made here is indexed")
  end
  local name = ("%s[%s]"):format(value.src.name, tostring(key))
  if type(key) == "string" and key:find "^[%a_][%w_]*$" then
    name = value.src.name == "_ENV" and key or value.src.name .. "." .. key
  end
  frame.r[register] = self:outside(self:source("get", value.src, key, name))
  return nil
end

-- ---- sets -----------------------------------------------------------------------
--
-- The bounds of a set are where its runs of integers begin, and where they have ended, in
-- order: an integer is in the set if an odd number of them is not above it. One that holds the
-- largest integer has no such end, and is no set here.

local set = {}
set.__index = set

-- The integers that keys of a table stand for, sorted; key_of: function(key) to one, or nil.
local function integers_of(all, key_of)
  local list = {}
  for key in pairs(all) do
    local n = key_of(key)
    if n then list[#list + 1] = n end
  end
  table.sort(list)
  return list
end

local function bounds_of(list)
  local bounds, i = {}, 1
  while i <= #list do
    local last = i
    while list[last + 1] == list[last] + 1 and list[last] ~= math.maxinteger do last = last + 1 end
    bounds[#bounds + 1] = list[i]
    if list[last] ~= math.maxinteger then bounds[#bounds + 1] = list[last] + 1 end
    i = last + 1
  end
  return bounds
end

local function packed(bounds, room)
  local parts = {}
  for i, bound in ipairs(bounds) do parts[i] = ("<i8"):pack(bound) end
  -- Pairs of bounds that are alike mean nothing.
  local filler = ("<i8"):pack(math.maxinteger)
  for i = #bounds + 1, room do parts[i] = filler end
  return table.concat(parts)
end

local function alike(a, b)
  return rawequal(a, b) and math.type(a) == math.type(b)
end

-- The value that all keys have; nil if there are several, or tables among them.
local function only_value(all)
  local _, first = next(all)
  local kind = type(first)
  if kind == "table" or kind == "function" or kind == "userdata" then return nil end
  for _, v in pairs(all) do
    if not alike(v, first) then return nil end
  end
  return first
end

-- Takes the contents of a table; whether they fit the program's set.
function set:fill(all, n)
  local bounds = bounds_of(integers_of(all, self.key_of))
  if #bounds > self.room or #bounds % 2 == 1 then return false end
  if n > 0 and not alike(only_value(all), self.value) then return false end
  self.all, self.n, self.packed = all, n, packed(bounds, self.room)
  return true
end

-- Takes what the table holds now; whether that fits.
function set:refill(t)
  if type(t) ~= "table" or debug.getmetatable(t) then return false end
  local same, n = true, 0
  for k, v in next, t do
    same = same and alike(self.all[k], v)
    n = n + 1
  end
  if same and n == self.n then return true end
  local all = {}
  for k, v in next, t do all[k] = v end
  return self:fill(all, n)
end

local function copy_of(t)
  local all, n = {}, 0
  for k, v in next, t do all[k], n = v, n + 1 end
  return all, n
end

-- The set of a table from outside, by keys of one kind (name); nil where it is none.
local function set_of(self, value, name, key_of)
  local key = ("set %s %s"):format(value.src.id, name)
  if self.sets[key] then return self.sets[key], key end
  local all, n = copy_of(value.v)
  local only = only_value(all)
  if n > 0 and only == nil then return nil end
  local room = FEWEST_BOUNDS
  local bounds = bounds_of(integers_of(all, key_of))
  while room < #bounds do room = room * 2 end
  if room > MOST_BOUNDS then return nil end
  local made = setmetatable({ src = value.src, key_of = key_of, value = only, room = room }, set)
  if not made:fill(all, n) then return nil end
  self.sets[key] = made
  return made, key
end

-- The condition that an integer is in a set.
local function is_in(self, tree, made, key)
  local src = made.src
  local first = self:tree("slot", {}, { key = key, src = src, n = made.room,
    pack = function() return made.packed end }, src.name)
  return self:tree("member", { tree }, { key = key, first = first, n = made.room },
    ("%s[%s]"):format(src.name, tree.text))
end

local function integer_key(key)
  return type(key) == "number" and math.tointeger(key) or nil
end

-- What a field of at most 8 bytes shows as keys of the table, as integers of its bytes.
local function bytes_key(desc)
  return function(key)
    local bytes = type(key) == "string" and texts.bytes(desc, key)
    return bytes and ("<i8"):unpack(bytes .. ("\0"):rep(8 - #bytes)) or nil
  end
end

-- The integer that is looked for, and how keys become integers; nil for other values.
local function search_key(self, key)
  if key.t == "int" then return key.tree, "int", integer_key end
  if key.t ~= "raw" or key.desc.size > 8 or key.first or key.cut then return nil end
  return self:bytes(key.of, key.place, key.path, key.desc.size),
    ("%s%d"):format(key.desc.kind, key.desc.size), bytes_key(key.desc)
end

-- ---- tables of constants --------------------------------------------------------

-- Sorted runs of integers with one value: { first, last, value }.
local function ranges(all)
  local list = {}
  for _, k in ipairs(integers_of(all, integer_key)) do
    local last = list[#list]
    if last and last[2] + 1 == k and alike(last[3], all[k]) then
      last[2] = k
    else
      list[#list + 1] = { k, k, all[k] }
    end
  end
  return list
end

-- By halving: register = the value of the run that the tree is in, or nil.
local function halve(self, frame, register, tree, list, from, to)
  local function set_to(v)
    return function(f) f.r[register] = self:const(v) end
  end
  if from > to then return self:go(frame, set_to(nil)) end
  local mid = (from + to) // 2
  local one = list[mid]
  if from == to and one[1] == one[2] then
    return self:split(frame, self:compare("==", tree, self:number(one[1])), set_to(one[3]),
      set_to(nil))
  end
  return self:split(frame, self:compare("<", tree, self:number(one[1])), function(f)
    return halve(self, f, register, tree, list, from, mid - 1)
  end, function(f)
    return self:split(f, self:compare("<=", tree, self:number(one[2])), set_to(one[3]),
      function(g) return halve(self, g, register, tree, list, mid + 1, to) end)
  end)
end

-- One key after the other: of text and enums.
local function walk(self, frame, register, all, key)
  local names = {}
  for k in pairs(all) do names[#names + 1] = k end
  table.sort(names, function(a, b) return tostring(a) < tostring(b) end)
  local function set_to(v)
    return function(f) f.r[register] = self:const(v) end
  end
  local function from(f, i)
    if i > #names then return self:go(f, set_to(nil)) end
    local test, why = self:equal_const(key, names[i])
    if test == nil then return self:lua(f, "%s", why) end
    return self:split(f, test, set_to(all[names[i]]), function(g) return from(g, i + 1) end)
  end
  return from(frame, 1)
end

local function has_objects(all)
  for _, v in pairs(all) do
    local kind = type(v)
    if kind == "table" or kind == "function" or kind == "userdata" then return true end
  end
  return false
end

local function search_constants(self, frame, register, value, key)
  local all = self:contents(value, MOST_CONSTANT)
  if not all then
    return self:lua(frame, "a table of more than %d keys is indexed", MOST_CONSTANT)
  elseif has_objects(all) then
    return self:lua(frame, "a table of objects is indexed with what depends on the entry")
  end
  frame.pc = frame.pc + 1
  if key.t == "int" then
    local list = ranges(all)
    return halve(self, frame, register, key.tree, list, 1, #list)
  end
  return walk(self, frame, register, all, key)
end

-- register = table[what depends on the entry].
function run:search_table(frame, register, value, key)
  if debug.getmetatable(value.v) then
    return self:lua(frame, "a table with a metatable is indexed")
  elseif not value.src then
    return self:lua(frame, "a table made here is indexed")
  elseif key.t ~= "int" and key.t ~= "raw" and key.t ~= "enum" then
    return self:lua(frame, "a table is indexed with %s", run.what(key))
  end
  local tree, name, key_of = search_key(self, key)
  local made, set_key
  if tree then made, set_key = set_of(self, value, name, key_of) end
  if not made then return search_constants(self, frame, register, value, key) end
  local found, missing = self:const(made.value), self:const(nil)
  frame.pc = frame.pc + 1
  return self:split(frame, is_in(self, tree, made, set_key), function(f)
    f.r[register] = found
  end, function(f) f.r[register] = missing end)
end

return run
