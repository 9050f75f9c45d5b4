-- SPDX-License-Identifier: MIT

--- Columns of what a function returns: the words that a program stores of each, and what
-- they decode to. A column has one type on all paths; a path that leaves it out clears
-- its bit in a word of their own.
--
-- @module luabpf.function.rows

local run = require "luabpf.function.run"

local rows = {}

local MOST_WORDS <const> = 16 -- of one column
local MOST_SLOTS <const> = 256 -- of a row
local MOST_NAMES <const> = 32 -- of an enum that is a column
local MOST_EMPTY <const> = 62 -- columns with empty places

local MASK <const> = "\1mask" -- the column of the bits

-- ---- one column of one path -----------------------------------------------------------

-- The bytes of a place as words.
local function words_of(self, v)
  local list = {}
  for offset = 0, v.desc.size - 1, 8 do
    local place = {}
    for k, one in pairs(v.place) do place[k] = one end
    place.bit, place.bits = v.place.bit + 8 * offset, nil
    list[#list + 1] = self:bytes(v.of, place, v.path, math.min(8, v.desc.size - offset))
  end
  return list
end

local function has_special(desc)
  if desc.kind == "special" then return true end
  if desc.elem and has_special(desc.elem) then return true end
  for _, field in ipairs(desc.fields or {}) do
    if has_special(field.type) then return true end
  end
  return false
end

local of_type = {}

-- The byte of a bool is a number where it is neither 0 nor 1.
function of_type.int(_, v)
  if v.tree.of_bool then
    return nil, "a number where the bool is neither 0 nor 1; '== true' makes a truth of it"
  end
  return { kind = "integer", words = { v.tree } }
end

function of_type.const(self, v)
  local kind = math.type(v.v) or type(v.v)
  if kind == "nil" then return { kind = "nil", words = {} } end
  if kind == "integer" then return { kind = kind, words = { self:number(v.v) } } end
  if kind == "boolean" then return { kind = kind, words = { self:number(v.v and 1 or 0) } } end
  if kind == "string" then return { kind = "choice", text = v.v, words = { self:number(0) } } end
  return nil
end

function of_type.raw(self, v)
  if v.first or v.cut then return nil, "a part of a text" end
  if v.network then return { kind = "bytes", desc = v.desc, words = self:network_words(v) } end
  if v.desc.size > 8 * MOST_WORDS then return nil, "too long" end
  return { kind = "bytes", desc = v.desc, words = words_of(self, v) }
end

-- A struct or a list, as the table that it is.
local function whole(self, v)
  if self.purpose.single or v.place.percpu or v.place.cpu or has_special(v.desc) then return nil end
  return of_type.raw(self, v)
end

of_type.view, of_type.array = whole, whole

-- Names of numbers that are all different.
local function are_clear(desc)
  local names, numbers, n = {}, {}, 0
  for _, value in ipairs(desc.values) do
    if numbers[value.value] == nil then
      if names[value.name] then return false end
      numbers[value.value], names[value.name], n = true, true, n + 1
    end
  end
  return n <= MOST_NAMES
end

function of_type.enum(_, v)
  if v.desc.big or v.place.bits or v.place.cpu or not are_clear(v.desc) then return nil end
  return { kind = "bytes", desc = v.desc, words = { v.tree }, named = true }
end

-- A column's value as words: { name, kind, words (trees), desc, text, named, key, value }; nil and
-- why Lua has to make it.
function run:column_of(name, v)
  run.need_constant(v)
  local make = of_type[v.t]
  if not make then return nil end
  local column, why = make(self, v)
  if not column then return nil, why end
  column.name, column.value = name, v
  column.key = ("%s %s"):format(column.kind, v.id)
  return column
end

-- The node for an enum that has a name, else Lua's: a number is of another type.
function run:named_only(frame, v, node)
  local other, seen = self:lua(frame, "'%s' may have no name", v.path), {}
  for _, value in ipairs(v.desc.values) do
    if not seen[value.value] then
      seen[value.value] = true
      other = self:branch(frame, self:compare("==", v.tree, self:number(value.value)), node, other)
    end
  end
  return other
end

-- ---- all columns ------------------------------------------------------------------------

-- The leaves of a graph that are rows, each once.
local function leaves_of(graph)
  local list = {}
  run.each_node(graph, function(node)
    if node.row then list[#list + 1] = node end
  end)
  return list
end

local function is_alike(a, b)
  if a.kind ~= b.kind then return false end
  if a.kind ~= "bytes" then return true end
  return a.desc == b.desc
    or a.desc.kind == b.desc.kind and a.desc.size == b.desc.size and a.desc.kind ~= "enum"
      and not a.desc.fields and not a.desc.elem
end

-- Columns by name over all leaves, in the order in which they are first written.
local function gather(leaves)
  local list, by_name = {}, {}
  local function add(column)
    local known = by_name[column.name]
    if not known then
      known = { name = column.name, kind = column.kind, desc = column.desc,
        words = #column.words, seen = 0, texts = {} }
      by_name[column.name], list[#list + 1] = known, known
    elseif not is_alike(known, column) then
      run.give_up(("column '%s' has more than one type"):format(column.name))
    end
    known.seen = known.seen + 1
  end
  for _, leaf in ipairs(leaves) do
    for _, column in ipairs(leaf.row) do
      if column.kind ~= "nil" then add(column) end
    end
  end
  return list, by_name
end

local function check_size(list, n)
  if #list == 0 then run.give_up "its rows have no columns" end
  if n > MOST_SLOTS or #list > MOST_EMPTY then run.give_up "its rows are too wide" end
end

-- Gives columns their slots; the mask, where some may be empty, comes last.
local function place(list, leaves)
  local n, masked = 0, false
  for i, column in ipairs(list) do
    column.slot, n = n, n + column.words
    column.may_be_empty = column.seen < #leaves
    column.bit = i - 1
    masked = masked or column.may_be_empty
  end
  check_size(list, n)
  return n, masked
end

-- The number of a text among those of its column.
local function text_number(column, text)
  for i, known in ipairs(column.texts) do
    if known == text then return i end
  end
  column.texts[#column.texts + 1] = text
  return #column.texts
end

-- Turns a leaf into stores of its columns.
local function store(self, leaf, list, by_name, n, masked)
  local stores, mask, filled = {}, 0, {}
  local function put(index, tree) stores[#stores + 1] = { index = index, tree = tree } end
  for _, one in ipairs(leaf.row) do
    local column = by_name[one.name]
    if one.kind ~= "nil" then
      mask, filled[one.name] = mask | 1 << column.bit, true
      if one.kind == "choice" then
        put(column.slot, self:number(text_number(column, one.text)))
      else
        for i, tree in ipairs(one.words) do put(column.slot + i - 1, tree) end
      end
    end
  end
  for _, column in ipairs(list) do
    for i = 1, filled[column.name] and 0 or column.words do
      put(column.slot + i - 1, self:number(0))
    end
  end
  if masked then put(n, self:number(mask)) end
  leaf.row, leaf.stores, leaf.next = nil, stores, run.YES
end

local BOOL <const> = { kind = "bool", name = "bool", size = 1, align = 1 }

-- How its words are ordered.
local AS <const> = { boolean = "unsigned", bytes = "raw" }

-- What a column is in the rows of a query (slots.lua).
local function output_of(column)
  local desc = column.kind == "boolean" and BOOL or column.desc
  return { name = column.name, word = column.slot, words = column.words, signed = true,
    desc = desc, ast = { kind = AS[column.kind] or "signed", desc = desc } }
end

local TYPES <const> = { integer = "number", boolean = "boolean", choice = "string" }

-- What type() says of a column.
local function type_of(column)
  local desc = column.desc
  return TYPES[column.kind] or (desc.fields or desc.elem) and "table" or "string"
end

-- Turns the leaves of a graph into stores.
-- @treturn table words (how many), outputs, names (of the columns, in order; sorted_names),
--   types (by name, as type() says), empty (columns that may be: { name, bit }), texts (by name
--   the list of texts that its numbers stand for), mask (the column whose bits say which places are
--   filled, if some are not)
function rows.finish(self, graph)
  local leaves = leaves_of(graph)
  local list, by_name = gather(leaves)
  local n, masked = place(list, leaves)
  local made = { words = masked and n + 1 or n, outputs = {}, names = {}, empty = {}, texts = {},
    types = {} }
  for _, leaf in ipairs(leaves) do store(self, leaf, list, by_name, n, masked) end
  for i, column in ipairs(list) do
    made.outputs[i], made.names[i] = output_of(column), column.name
    made.types[column.name] = type_of(column)
    if column.may_be_empty then made.empty[#made.empty + 1] = column end
    if column.kind == "choice" then made.texts[column.name] = column.texts end
  end
  if masked then
    made.mask = MASK
    made.outputs[#list + 1] = { name = MASK, word = n, words = 1, signed = true,
      ast = { kind = "signed" } }
  end
  made.sorted_names = table.move(made.names, 1, #made.names, 1, {})
  table.sort(made.sorted_names)
  return made
end

return rows
