-- SPDX-License-Identifier: MIT
--
-- Columns that a Lua function computes. They come through writable slots, the first of a
-- query's parameters: the function's program stores them there, or Lua puts them there,
-- and the columns of the rows are what is in the slots.
--
-- What is computed is a table: computed = true, key (that stands for it), words (how many), outputs
-- (as add_column of prepare.lua makes them), build (nil where Lua puts the words there), asks.

local asm = require "luabpf.expr.asm"
local core = require "luabpf.core"
local expr = require "luabpf.expr.parse"

local slots = {}

-- The column of a group whose number Lua puts into the slot.
slots.NUMBER = "\1group"

-- Groups that have a number each.
slots.numbered = { computed = true, key = "\1numbered", words = 1,
  outputs = { { name = slots.NUMBER, ast = { kind = "signed" }, word = 0, words = 1,
    signed = true } } }

-- Whether that is computed; texts of columns are not.
function slots.are(columns)
  return type(columns) == "table" and rawget(columns, "computed") == true
end

-- What is computed of a query: its columns or groups; nil where they are texts.
function slots.of(given)
  for _, name in ipairs { "columns", "group", "fold" } do
    if slots.are(given[name]) then return given[name] end
  end
end

-- A fragment that is one after the other: the second where the first says yes.
function slots.joined(first, second)
  if not first then return second end
  local past = { 0x55, 0, second.n, 1 } -- if r0 != 1 goto the end
  local listing = table.move(first.listing, 1, #first.listing, 1, {})
  listing[#listing + 1] = { first.n, "if r0 != 1 goto " .. first.n + 1 + second.n, "no" }
  for _, one in ipairs(second.listing) do
    listing[#listing + 1] = { one[1] + first.n + 1, one[2], one[3], one[4] }
  end
  return { code = first.code .. ("<I1I1i2i4"):pack(table.unpack(past)) .. second.code,
    n = first.n + 1 + second.n, listing = listing,
    run = (first.run or first.n) + (second.run or second.n) + 1 }
end

-- The fragment that reads a slot.
local function load_of(slot, bits)
  local self = asm.new()
  self:load(8, "r0", "r8", 8 * slot)
  local code, listing = self:assemble()
  return { code = code, n = self.n, comparisons = 0, listing = listing, bits = bits or 64 }
end

-- Columns as given: texts, parsed, or what is computed; their names go into names.
function slots.columns(given, env, names)
  if not slots.are(given) then return expr.columns(given, env, names) end
  for _, output in ipairs(given.outputs) do names[output.name] = true end
  return given
end

local function add_computed(parts, made)
  local n = #parts.columns
  for slot = 0, made.words - 1 do
    local fragment = load_of(slot, made.bits and made.bits[slot + 1])
    parts.columns[n + slot + 1], parts.bits[n + slot + 1] = fragment.code, fragment.bits
  end
  for _, output in ipairs(made.outputs) do
    local added = {}
    for name, value in pairs(output) do added[name] = value end
    added.word = n + output.word
    added.layout = output.desc and core.layout(output.desc) or nil
    parts.outputs[#parts.outputs + 1] = added
  end
end

-- A text that stands for a list, a table or text of columns.
function slots.canonical(columns)
  if type(columns) ~= "table" then return tostring(columns) end
  if slots.are(columns) then return columns.key end
  local parts, names = {}, {}
  for i, text in ipairs(columns) do parts[i] = tostring(text) end
  for name in pairs(columns) do
    if type(name) == "string" then names[#names + 1] = name end
  end
  table.sort(names)
  for _, name in ipairs(names) do
    -- Not as an item of a list could be written.
    parts[#parts + 1] = name .. "\3" .. tostring(columns[name])
  end
  return table.concat(parts, "\1")
end

-- Adds columns to the parts of a query; those that are texts by add_column(parts, name, tree).
function slots.add(parts, columns, add_column)
  if slots.are(columns) then return add_computed(parts, columns) end
  for _, column in ipairs(columns) do add_column(parts, column.name, column.ast) end
end

-- A row of what is compiled with the empty places and texts that it has.
function slots.completed(made, row)
  local mask = made.mask and row[made.mask]
  if mask then row[made.mask] = nil end
  for _, column in ipairs(made.empty) do
    if mask >> column.bit & 1 == 0 then row[column.name] = nil end
  end
  for name, texts in next, made.texts do row[name] = texts[row[name]] end
  return row
end

return slots
