-- SPDX-License-Identifier: MIT
--
-- Text, addresses and bytes: whether a field matches becomes comparisons of whole
-- loads with the bytes of a pattern (literal.lua), of a parameter, or of another field.

local functions = require "luabpf.expr.functions"
local load = require "luabpf.expr.load"
local params = require "luabpf.expr.params"
local search = require "luabpf.expr.search"
local tree = require "luabpf.expr.tree"

local arithmetic, compare, const = tree.arithmetic, tree.compare, tree.const
local logical, truth = tree.logical, tree.truth

local slot = tree.slot
-- Strings that are compared one after the other.
local FEW <const> = 3

local match = {}

-- The unsigned integer of size bytes at an offset within a raw node: a field, or a function.
function match.piece(context, node, offset, size)
  local row = functions[node.op]
  if row then return row.piece(context, node, offset, size, match.piece) end
  return load.piece(context, node, node.bit // 8 + offset, size)
end

local piece_of = match.piece

-- field & mask == bytes, in one load.
local function part_matches(node, value, bytes, mask)
  if mask then value = arithmetic(node, "&", false, value, mask) end
  return compare(node, "==", value, bytes)
end

local function unpacked(node, bytes, offset, size)
  return const(node, (string.unpack("<I" .. size, bytes, offset + 1)), false)
end

local function matches_pattern(context, node, field, pattern)
  local terms = {}
  if pattern.length then
    local length = const(node, pattern.length, false)
    terms[1] = compare(node, ">=", piece_of(context, field, 0, 4), length)
  end
  for _, piece in ipairs(load.parts_of(field.desc)) do
    local offset, size = piece[1], piece[2]
    local mask = unpacked(node, pattern.mask, offset, size)
    local full = pattern.mask:sub(offset + 1, offset + size) == ("\xff"):rep(size)
    if mask.value ~= 0 then
      terms[#terms + 1] = part_matches(node, piece_of(context, field, offset, size),
        unpacked(node, pattern.bytes, offset, size), not full and mask or nil)
    end
  end
  return logical(node, "and", terms)
end

local function matches_param(context, node, field, param)
  local known = params.entry(context, param.name, param.param)
  local terms, index = {}, known.slot
  if params.has_length(known) then
    terms[1] = compare(node, ">=", piece_of(context, field, 0, 4), slot(param, index))
    index = index + 1
  end
  for _, piece in ipairs(load.parts_of(known.desc)) do
    local mask = params.masked(known) and slot(param, index + 1)
    local value = piece_of(context, field, piece[1], piece[2])
    terms[#terms + 1] = part_matches(node, value, slot(param, index), mask)
    index = index + (mask and 2 or 1)
  end
  return logical(node, "and", terms)
end

-- Byte i of the field, from 0, out of the piece that it is in.
local function byte_of(context, node, field, i)
  for _, piece in ipairs(load.parts_of(field.desc)) do
    local offset, size = piece[1], piece[2]
    if i < offset + size then
      local value = piece_of(context, field, offset, size)
      value = tree.shift(node, ">>", false, value, 8 * (i - offset))
      if i == offset + size - 1 then return value end
      return arithmetic(node, "&", false, value, const(node, 0xff, false))
    end
  end
end

-- Text is equal when each byte is, up to a NUL or the end of both.
local function same_text(context, node, a, b)
  local rest = truth(node, true)
  if a.desc.size > b.desc.size then a, b = b, a end
  if a.desc.size < b.desc.size then
    rest = compare(node, "==", byte_of(context, node, b, a.desc.size), const(node, 0, false))
  end
  for i = a.desc.size - 1, 0, -1 do
    local x, y = byte_of(context, node, a, i), byte_of(context, node, b, i)
    local ended = compare(node, "==", x, const(node, 0, false))
    rest = logical(node, "and", { compare(node, "==", x, y), logical(node, "or", { ended, rest }) })
  end
  return rest
end

local function same_bytes(context, node, a, b)
  local terms = {}
  for i, piece in ipairs(load.parts_of(a.desc)) do
    terms[i] = compare(node, "==", piece_of(context, a, piece[1], piece[2]),
      piece_of(context, b, piece[1], piece[2]))
  end
  return logical(node, "and", terms)
end

-- Whether a field equals, or lies in, a string, a parameter or another field.
function match.any(context, node, field, other)
  if other.op == "string" then return matches_pattern(context, node, field, other.pattern) end
  if other.op == "param" then return matches_param(context, node, field, other) end
  return (field.desc.kind == "text" and same_text or same_bytes)(context, node, field, other)
end

-- ---- lists -------------------------------------------------------------------

-- Strings with the same mask, which are looked for together: in the order they came in.
local function by_mask(elements)
  local groups, list = {}, {}
  for _, element in ipairs(elements) do
    local pattern = element.pattern
    local key = ("%s %s"):format(pattern.length or "", pattern.mask)
    if not groups[key] then
      groups[key] = {}
      list[#list + 1] = groups[key]
    end
    table.insert(groups[key], element)
  end
  return list
end

-- Whether the field matches one of many strings of one mask.
local function one_of(context, node, field, group)
  local pattern, parts, rows = group[1].pattern, {}, {}
  for i in ipairs(group) do rows[i] = {} end
  for _, piece in ipairs(load.parts_of(field.desc)) do
    local mask = unpacked(node, pattern.mask, piece[1], piece[2])
    if mask.value ~= 0 then
      local value = piece_of(context, field, piece[1], piece[2])
      parts[#parts + 1] = arithmetic(node, "&", false, value, mask)
      for i, element in ipairs(group) do
        rows[i][#parts] = unpacked(node, element.pattern.bytes, piece[1], piece[2]).value
      end
    end
  end
  if not pattern.length then return search.node(context, node, parts, rows) end
  local length = compare(node, ">=", piece_of(context, field, 0, 4),
    const(node, pattern.length, false))
  return logical(node, "and", { length, search.node(context, node, parts, rows) })
end

-- Whether a field lies in one of the elements of an `in`, of which there may be none.
function match.list(context, node, field)
  local terms, strings = {}, {}
  for i = 2, #node.args do
    local element = node.args[i]
    if element.op == "string" then
      strings[#strings + 1] = element
    else
      terms[#terms + 1] = match.any(context, element, field, element)
    end
  end
  for _, group in ipairs(by_mask(strings)) do
    if #group > FEW and group[1].pattern.mask:find("[^\0]") then
      terms[#terms + 1] = one_of(context, node, field, group)
    else
      for _, each in ipairs(group) do terms[#terms + 1] = match.any(context, each, field, each) end
    end
  end
  return logical(node, "or", terms)
end

return match
