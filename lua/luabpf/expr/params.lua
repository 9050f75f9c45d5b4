-- SPDX-License-Identifier: MIT
--
-- Parameters: the slots that a fragment reads them from, and the values that a run
-- puts there. A parameter is { name, kind, desc, within, slot, slots }; the clocks are
-- parameters too.

local literal = require "luabpf.expr.literal"
local load = require "luabpf.expr.load"

local params = {}

-- ---- slots -------------------------------------------------------------------

local function slots_of(list, is_table)
  for i = #list, 1, -1 do
    if list[i].is_table == is_table then return list[i].slot + list[i].slots end
  end
  return 0
end

-- How many slots they take, without those of tables.
function params.slots(list)
  return slots_of(list, false)
end

-- How many slots tables take, which come after all others.
function params.table_slots(list)
  return slots_of(list, true)
end

-- Slots of a parameter beside text or an address: a prefix length, then of each part the bytes
-- and, where only some of them count, the mask.
local function pattern_slots(param)
  local masked = params.masked(param)
  local parts = #load.parts_of(param.desc)
  return (params.has_length(param) and 1 or 0) + parts * (masked and 2 or 1)
end

-- Whether a parameter's pattern has a mask beside the bytes.
function params.masked(param)
  return param.kind == "text" or (param.within and param.kind ~= "mac" and param.kind ~= "bytes")
    or false
end

-- Whether it has a prefix length.
function params.has_length(param)
  return param.within and param.kind:find("^prefix") ~= nil or false
end

-- The parameter of that name and what it is (param of a node); made when there is none. One with
-- `read` takes so many slots, and is no name of the caller's: read() gives what they hold in a run.
-- is_table: they are slots of tables.
function params.entry(context, name, param)
  for _, known in ipairs(context.params) do
    if known.name == name and known.kind == param.kind and known.desc == param.desc
      and known.within == param.within then
      return known
    end
  end
  local made = { name = name, kind = param.kind, desc = param.desc, within = param.within,
    read = param.read, is_table = param.is_table or false }
  made.slot = slots_of(context.params, made.is_table)
  made.slots = param.slots or literal.has_pattern(param) and pattern_slots(param)
    or param.kind == "length" and 1 + param.desc.size // 4 or 1
  context.params[#context.params + 1] = made
  return made
end

-- Takes so many slots, the first of all: writable ones, which are zeros unless others put numbers
-- there. To be called before anything else is compiled.
function params.reserve(list, n)
  local zeros = ("\0"):rep(8 * n)
  params.entry({ params = list }, "\1writable", { kind = "outside", slots = n,
    read = function() return zeros end })
end

-- ---- values ------------------------------------------------------------------

local function bad_param(param, reason)
  error(("params.%s: %s"):format(param.name, reason), 0)
end

local function pack_pattern(param, value)
  if type(value) ~= "string" then
    bad_param(param, ("text expected, got %s"):format(type(value)))
  end
  local pattern, reason = literal.pattern(param.desc, value, param.within)
  if not pattern then bad_param(param, reason) end
  local packed = { params.has_length(param) and string.pack("<I8", pattern.length) or nil }
  for _, part in ipairs(load.parts_of(param.desc)) do
    for _, bytes in ipairs { pattern.bytes, params.masked(param) and pattern.mask or nil } do
      local chunk = bytes:sub(part[1] + 1, part[1] + part[2])
      packed[#packed + 1] = chunk .. ("\0"):rep(8 - part[2])
    end
  end
  return table.concat(packed)
end

local function pack_integer(param, value)
  local n, reason
  if param.kind == "enum" and type(value) == "string" then
    n, reason = literal.enumerator(param.desc, value)
  else
    n, reason = literal.quantity(value)
  end
  if not n then bad_param(param, reason) end
  return string.pack("<i8", n)
end

local function pack_bool(param, value)
  if type(value) ~= "boolean" then
    bad_param(param, ("true or false expected, got %s"):format(type(value)))
  end
  return string.pack("<i8", value and 1 or 0)
end

-- The length of a prefix, then its mask, four bytes a slot.
local function pack_length(param, value)
  local n, size = literal.quantity(value), param.desc.size
  if not n or n < 0 or n > 8 * size then
    bad_param(param, ("a length from 0 to %d expected, got %s"):format(8 * size, tostring(value)))
  end
  local mask = literal.mask(n, size):gsub("....", "%0\0\0\0\0")
  return string.pack("<i8", n) .. mask
end

-- The elements of a list, or of a set, whose values are true: integers, then text.
local function elements(param, value)
  local numbers, texts, is_set = {}, {}, next(value) ~= nil
  for _, given in pairs(value) do is_set = is_set and type(given) == "boolean" end
  for key, given in pairs(value) do
    local element = is_set and key or given
    if not is_set and not math.tointeger(key) then
      bad_param(param, "a list, or a set with true for what is in it, expected")
    elseif given ~= false and type(element) == "string" then
      texts[#texts + 1] = element
    elseif given ~= false and math.tointeger(element) then
      numbers[#numbers + 1] = math.tointeger(element)
    elseif given ~= false then
      bad_param(param, ("integers and text expected in a list, got %s"):format(tostring(element)))
    end
  end
  table.sort(numbers)
  table.sort(texts)
  return table.move(texts, 1, #texts, #numbers + 1, numbers)
end

-- It is in the code; the slot is what tells one set from another, for who compares parameters.
local function pack_set(param, value)
  if type(value) ~= "table" then
    bad_param(param, ("a list or a set expected, got %s"):format(type(value)))
  end
  local hash = 0xcbf29ce484222325 -- FNV-1a
  for _, element in ipairs(elements(param, value)) do
    for _, byte in ipairs { (element .. "\0"):byte(1, -1) } do
      hash = (hash ~ byte) * 0x100000001b3
    end
  end
  return string.pack("<i8", hash)
end

local function pack_param(param, value)
  if value == nil then bad_param(param, "missing") end
  if param.kind == "length" then return pack_length(param, value) end
  if param.kind == "set" then return pack_set(param, value) end
  if param.kind == "bool" then return pack_bool(param, value) end
  return (literal.has_pattern(param) and pack_pattern or pack_integer)(param, value)
end

-- The lists and sets among the values of parameters: what they have in this run is compiled in.
-- @tparam[opt] table values as for params.pack
-- @treturn table|nil name to the list of its values, in an order; nil where there are none
-- @treturn string text that is different for others
function params.sets(values)
  local sets, keys = nil, {}
  for name, value in pairs(values or {}) do
    if type(value) == "table" then
      sets = sets or {}
      sets[name] = elements({ name = name }, value)
      keys[#keys + 1] = tostring(name) .. "=" .. table.concat(sets[name], "\3")
    end
  end
  table.sort(keys)
  return sets, table.concat(keys, "\4")
end

-- The names of the caller's parameters in a list, as a set and as a list.
local function names_of(list)
  local known, names = {}, {}
  for _, param in ipairs(list) do
    if param.kind ~= "clock" and not param.read then
      known[param.name], names[#names + 1] = true, param.name
    end
  end
  return known, names
end

-- The values for one list of parameters, of those that several lists get: what only the other has
-- is left out.
function params.own(list, values, other)
  local own, known, others = {}, names_of(list), names_of(other)
  for name, value in pairs(values or {}) do
    if known[name] or not others[name] then own[name] = value end
  end
  return own
end

-- Raises where there is a value for a parameter that is not in the list.
function params.check_names(list, values)
  local known, names = names_of(list)
  for name in pairs(values) do
    if not known[name] then
      name = tostring(name)
      error(("params.%s: no such parameter%s"):format(name, literal.suggest(name, names)), 0)
    end
  end
end

-- Those of the values that the list has parameters for.
function params.named(list, values)
  local found = {}
  for name in pairs(names_of(list)) do found[name] = values and values[name] end
  return found
end

-- The slots of the parameters, for one run.
-- @tparam table list of a fragment, or shared by several
-- @tparam[opt] table values name = integer, text such as "30s", an address, a name, a boolean, as
--   the place it is used at wants; raises "params.NAME: ..." when one is missing, unknown or unfit
-- @tparam integer now
-- @tparam integer boottime ns, what `now` and `boottime` are
-- @treturn string u64 slots
function params.pack(list, values, now, boottime)
  local packed, tables, clock = {}, {}, { now = now, boottime = boottime }
  values = values or {}
  params.check_names(list, values)
  for _, param in ipairs(list) do
    local to = param.is_table and tables or packed
    to[#to + 1] = param.read and param.read()
      or param.kind == "clock" and string.pack("<i8", clock[param.name])
      or pack_param(param, values[param.name])
  end
  return table.concat(packed) .. table.concat(tables)
end

return params
