-- SPDX-License-Identifier: MIT
--
-- Text, addresses and bytes: whether a field matches becomes comparisons of whole
-- loads with the bytes of a pattern (literal.lua), of a parameter, or of another field.

local load = require "luabpf.expr.load"
local params = require "luabpf.expr.params"
local tree = require "luabpf.expr.tree"

local arithmetic, compare, const = tree.arithmetic, tree.compare, tree.const
local logical, truth = tree.logical, tree.truth

local match = {}

local function slot(node, index, signed)
  return tree.new(node, "slot", signed, nil, { index = index })
end

-- field & mask == bytes, in one load.
local function part_matches(node, value, bytes, mask)
  if mask then value = arithmetic(node, "&", false, value, mask) end
  return compare(node, "==", value, bytes)
end

local function unpacked(node, bytes, offset, size)
  return const(node, (string.unpack("<I" .. size, bytes, offset + 1)), false)
end

local function matches_pattern(context, node, field, pattern)
  local terms, start = {}, field.bit // 8
  local used = field.desc.kind == "text" and #pattern.mask:gsub("\0+$", "") or #pattern.bytes
  if pattern.length then
    local length = const(node, pattern.length, false)
    terms[1] = compare(node, ">=", load.piece(context, field, start, 4), length)
  end
  for _, piece in ipairs(load.parts(used)) do
    local offset, size = piece[1], piece[2]
    local mask = unpacked(node, pattern.mask, offset, size)
    local full = pattern.mask:sub(offset + 1, offset + size) == ("\xff"):rep(size)
    if mask.value ~= 0 then
      terms[#terms + 1] = part_matches(node, load.piece(context, field, start + offset, size),
        unpacked(node, pattern.bytes, offset, size), not full and mask or nil)
    end
  end
  return logical(node, "and", terms)
end

local function matches_param(context, node, field, param)
  local known = params.entry(context, param.name, param.param)
  local terms, start, index = {}, field.bit // 8, known.slot
  if params.has_length(known) then
    terms[1] = compare(node, ">=", load.piece(context, field, start, 4), slot(param, index, false))
    index = index + 1
  end
  for _, piece in ipairs(load.parts(known.desc.size)) do
    local mask = params.masked(known) and slot(param, index + 1, false)
    local value = load.piece(context, field, start + piece[1], piece[2])
    terms[#terms + 1] = part_matches(node, value, slot(param, index, false), mask)
    index = index + (mask and 2 or 1)
  end
  return logical(node, "and", terms)
end

-- Text is equal when each byte is, up to a NUL or the end of both.
local function same_text(context, node, a, b)
  local at, bt = a.bit // 8, b.bit // 8
  local rest = truth(node, true)
  if a.desc.size > b.desc.size then a, b, at, bt = b, a, bt, at end
  if a.desc.size < b.desc.size then
    local past = load.piece(context, b, bt + a.desc.size, 1)
    rest = compare(node, "==", past, const(node, 0, false))
  end
  for i = a.desc.size - 1, 0, -1 do
    local x, y = load.piece(context, a, at + i, 1), load.piece(context, b, bt + i, 1)
    local ended = compare(node, "==", x, const(node, 0, false))
    rest = logical(node, "and", { compare(node, "==", x, y), logical(node, "or", { ended, rest }) })
  end
  return rest
end

local function same_bytes(context, node, a, b)
  local terms = {}
  for i, piece in ipairs(load.parts(a.desc.size)) do
    terms[i] = compare(node, "==", load.piece(context, a, a.bit // 8 + piece[1], piece[2]),
      load.piece(context, b, b.bit // 8 + piece[1], piece[2]))
  end
  return logical(node, "and", terms)
end

--- Whether a field equals, or lies in, a string, a parameter or another field.
function match.any(context, node, field, other)
  if other.op == "string" then return matches_pattern(context, node, field, other.pattern) end
  if other.op == "param" then return matches_param(context, node, field, other) end
  return (field.desc.kind == "text" and same_text or same_bytes)(context, node, field, other)
end

return match
