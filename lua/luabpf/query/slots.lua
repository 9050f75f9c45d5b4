-- SPDX-License-Identifier: MIT
--
-- Columns that a Lua function computes. They come through writable slots, the first of a
-- query's parameters: the function's program stores them there, or Lua puts them there,
-- and the columns of the rows are what is in the slots.
--
-- What is computed is a table: computed = true, key (that stands for it), slots (how many), outputs
-- (as add_column of prepare.lua makes them), build (nil where Lua puts the words there), asks.

local asm = require "luabpf.expr.asm"
local core = require "luabpf.core"
local expr = require "luabpf.expr.parse"
local params = require "luabpf.expr.params"

local slots = {}

-- The column of a group whose number Lua puts into the slot.
slots.NUMBER = "\1group"

-- Groups that have a number each.
slots.numbered = { computed = true, key = "\1numbered", slots = 1,
  outputs = { { name = slots.NUMBER, ast = { kind = "signed" }, word = 0, words = 1,
    signed = true } } }

-- Whether that is computed; texts of columns are not.
function slots.are(columns)
  return type(columns) == "table" and rawget(columns, "computed") == true
end

-- What is computed of a query: its columns or groups; nil where they are texts.
function slots.of(given)
  return slots.are(given.columns) and given.columns or slots.are(given.group) and given.group or nil
end

-- Takes the slots; to be called before anything else is compiled.
function slots.reserve(made, shared)
  local zeros = ("\0"):rep(8 * made.slots)
  params.entry({ params = shared.params }, "\1computed", { kind = "outside", slots = made.slots,
    read = function() return zeros end })
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
  for slot = 0, made.slots - 1 do
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

-- Adds columns to the parts of a query; those that are texts by add_column(parts, name, tree).
function slots.add(parts, columns, add_column)
  if slots.are(columns) then return add_computed(parts, columns) end
  for _, column in ipairs(columns) do add_column(parts, column.name, column.ast) end
end

return slots
