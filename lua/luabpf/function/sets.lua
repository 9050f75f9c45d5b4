-- SPDX-License-Identifier: MIT

--- Sets: tables from outside all of whose values are alike. Their keys are parameters, so
-- that other keys later need no new program, as long as they are not many more.
--
-- Small sets of integers, or of what is as short as one, are bounds: where runs of integers
-- begin, and where they have ended, in order. An integer is in the set if an odd number
-- of them is not above it; instructions halve them (emit.lua). All other sets are tables
-- in memory that a program shares with this process: the keys as records of one to four
-- integers, in order, which are halved by arithmetic (emit_sets.lua).
--
-- @module luabpf.function.sets

local core = require "luabpf.core"
local outside = require "luabpf.function.outside"
local run = require "luabpf.function.run"
local texts = require "luabpf.function.texts"

local sets = {}

-- Of the slots that all parameters and all tables have.
local MOST_BOUNDS <const>, MOST_SLOTS <const> = core.limits.params // 4, core.limits.tables // 4
local FEWEST_BOUNDS <const> = 8
local FEWEST_RECORDS <const> = 8
local MOST_WORDS <const> = 4 -- of a record

-- ---- keys -----------------------------------------------------------------------

local function integer_key(key)
  return type(key) == "number" and math.tointeger(key) or nil
end

-- The integers among the keys of a table, sorted.
function sets.integers(all)
  local list = {}
  for key in pairs(all) do list[#list + 1] = integer_key(key) end
  table.sort(list)
  return list
end

-- What a field shows as keys of the table, as records: integers of its bytes, so many at a time as
-- the pieces say. A record of one is that integer.
local function bytes_key(desc, pieces)
  return function(key)
    local bytes = type(key) == "string" and texts.bytes(desc, key)
    if not bytes then return nil end
    local record = run.numbers_in(bytes, pieces)
    return #pieces == 1 and record[1] or record
  end
end

-- How a key that is looked for is searched: { words (trees), name, record_of }, where record_of
-- gives the record of a key of the table, or nil. nil for other values.
local function search_of(self, key)
  if key.t == "int" then return { words = { key.tree }, name = "int", record_of = integer_key } end
  if key.t ~= "raw" or key.first or key.cut then return nil end
  local pieces, words, name = self:pieces(key), {}, key.desc.kind
  if #pieces > MOST_WORDS then return nil end
  -- The pieces are of the name: those of a network and of a field that is a prefix differ.
  for i, piece in ipairs(pieces) do words[i], name = piece[1], ("%s %d"):format(name, piece[2]) end
  return { words = words, name = name, record_of = bytes_key(key.desc, pieces) }
end

local function before(a, b)
  for i = 1, #a do
    if a[i] ~= b[i] then return a[i] < b[i] end
  end
  return false
end

-- The records of a table's keys, in order.
local function records_of(all, record_of)
  local list = {}
  for key in pairs(all) do list[#list + 1] = record_of(key) end
  table.sort(list, type(list[1]) == "table" and before or nil)
  return list
end

-- ---- what is kept of a set ------------------------------------------------------

-- The value that all keys have; nil if there are several, or tables among them.
local function only_value(all)
  local _, first = next(all)
  local kind = type(first)
  if kind == "table" or kind == "function" or kind == "userdata" then return nil end
  for _, v in pairs(all) do
    if not outside.alike(v, first) then return nil end
  end
  return first
end

local function copy_of(t)
  local all, n = {}, 0
  for k, v in next, t do all[k], n = v, n + 1 end
  return all, n
end

local set = {}
set.__index = set

-- Takes what the table holds now; whether that fits the program.
function set:refill(t)
  if outside.same(self, t) then return true end
  if type(t) ~= "table" or debug.getmetatable(t) then return false end
  local all, n = copy_of(t)
  local only = only_value(all)
  if n > 0 and (only == nil or not outside.alike(only, self.value)) then return false end
  return self:take(all, n, records_of(all, self.record_of))
end

-- ---- bounds ---------------------------------------------------------------------

-- One that holds the largest integer has no end there, and is no such set.
local function bounds_of(records)
  local bounds, i = {}, 1
  while i <= #records do
    local last = i
    while records[last + 1] == records[last] + 1 and records[last] ~= math.maxinteger do
      last = last + 1
    end
    bounds[#bounds + 1] = records[i]
    if records[last] ~= math.maxinteger then bounds[#bounds + 1] = records[last] + 1 end
    i = last + 1
  end
  return bounds
end

local function pack_bounds(bounds, room)
  local parts = {}
  for i, bound in ipairs(bounds) do parts[i] = ("<i8"):pack(bound) end
  -- Pairs of bounds that are alike mean nothing.
  local filler = ("<i8"):pack(math.maxinteger)
  for i = #bounds + 1, room do parts[i] = filler end
  return table.concat(parts)
end

local function take_bounds(self, all, n, records)
  local bounds = bounds_of(records)
  if #bounds > self.room or #bounds % 2 == 1 then return false end
  self.all, self.n, self.packed = all, n, pack_bounds(bounds, self.room)
  return true
end

local function room_for(n, fewest)
  local room = fewest
  while room < n do room = room * 2 end
  return room
end

-- ---- tables ---------------------------------------------------------------------

-- How many slots a record of so many words has.
local function stride_of(words)
  return words > 2 and 4 or words
end

-- What is behind the last record repeats it, which changes no search.
local function pack_records(records, room, words)
  local stride, parts = stride_of(words), {}
  local format = "<" .. ("i8"):rep(words) .. ("xxxxxxxx"):rep(stride - words)
  for i, record in ipairs(records) do
    parts[i] = words == 1 and format:pack(record) or format:pack(table.unpack(record))
  end
  local last = parts[#parts] or ("\0"):rep(8 * stride)
  return table.concat(parts) .. last:rep(room - #records)
end

local function take_records(self, all, n, records)
  if #records > self.room then return false end
  self.all, self.n = all, n
  self.packed = pack_records(records, self.room, self.words)
  self.used = ("<i8"):pack(#records)
  return true
end

-- ---- making one -----------------------------------------------------------------

local function new_set(value, only, search, records)
  local made = setmetatable({ src = value.src, value = only, record_of = search.record_of,
    words = #search.words }, set)
  local bounds = #search.words == 1 and bounds_of(records)
  if bounds and #bounds <= MOST_BOUNDS and #bounds % 2 == 0 then
    made.room, made.take = room_for(#bounds, FEWEST_BOUNDS), take_bounds
  else
    made.room, made.take = room_for(#records, FEWEST_RECORDS), take_records
    if made.room * stride_of(made.words) > MOST_SLOTS then return nil end
  end
  return made
end

-- The set of a table from outside, by keys of one kind; nil where it is none.
local function set_of(self, value, search)
  local key = ("set %s %s"):format(value.src.id, search.name)
  if self.sets[key] then return self.sets[key], key end
  local all, n = copy_of(value.v)
  local only = only_value(all)
  if n > 0 and only == nil then return nil end
  local records = records_of(all, search.record_of)
  local made = new_set(value, only, search, records)
  if not made or not made:take(all, n, records) then return nil end
  self.sets[key] = made
  return made, key
end

local function packed_by(made, name)
  return function() return made[name] end
end

-- The condition that what is looked for is in a set.
local function is_in(self, made, key, words)
  local src = made.src
  local text = ("%s[%s]"):format(src.name, words[1].text)
  if made.take == take_bounds then
    local first = self:tree("slot", {}, { key = key, src = src, n = made.room,
      pack = packed_by(made, "packed") }, src.name)
    return self:tree("member", words, { key = key, first = first, n = made.room }, text)
  end
  local stride = stride_of(made.words)
  local first = self:tree("slot", {}, { key = key, src = src, n = made.room * stride,
    pack = packed_by(made, "packed"), is_table = true }, src.name)
  local used = self:tree("slot", {}, { key = key .. " used", src = src,
    pack = packed_by(made, "used") }, src.name)
  return self:tree("recorded", words, { key = key, first = first, used = used, n = made.room,
    stride = stride }, text)
end

-- The set that a table from outside is, and whether it has what a key is; nil where it is none.
-- @tparam table value of the table
-- @tparam table key a value that depends on the entry
function sets.test(self, value, key)
  local search = search_of(self, key)
  if not search then return nil end
  local made, name = set_of(self, value, search)
  if not made then return nil end
  return made, is_in(self, made, name, search.words)
end

return sets
