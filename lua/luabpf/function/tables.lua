-- SPDX-License-Identifier: MIT

--- Tables from outside. With a constant key a field is read like any other value of
-- outside. With a key that depends on the entry the table is a set if all its values
-- are alike (sets.lua). Else its contents are constants of the program, searched too.
--
-- @module luabpf.function.tables

local outside = require "luabpf.function.outside"
local run = require "luabpf.function.run"
local sets = require "luabpf.function.sets"

-- Elements of a table whose contents are constants.
local MOST_CONSTANT <const> = 1024

-- register = table[constant].
function run:read_table(frame, register, value, key)
  if key == nil then
    frame.r[register] = self:const(nil)
    return nil
  end
  if outside.is_object(key) then
    return self:lua(frame, "a table is indexed with a %s", type(key))
  elseif not select(2, outside.field(value.v, key)) then
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

-- ---- tables of constants --------------------------------------------------------

-- Sorted runs of integers with one value: { first, last, value }.
local function ranges(all)
  local list = {}
  for _, k in ipairs(sets.integers(all)) do
    local last = list[#list]
    if last and last[2] + 1 == k and outside.alike(last[3], all[k]) then
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
  local made, test = sets.test(self, value, key)
  if not made then return search_constants(self, frame, register, value, key) end
  local found, missing = self:const(made.value), self:const(nil)
  frame.pc = frame.pc + 1
  return self:split(frame, test, function(f)
    f.r[register] = found
  end, function(f) f.r[register] = missing end)
end

return run
