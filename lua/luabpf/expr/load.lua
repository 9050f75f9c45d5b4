-- SPDX-License-Identifier: MIT
--
-- Loads: how a field of the key or the value becomes an integer of 64 bits. Odd
-- sizes, bitfields and sign extension become shifts; in a per-CPU map a field is a
-- slot that the executor has filled.

local lexer = require "luabpf.expr.lexer"
local tree = require "luabpf.expr.tree"

local core, shift = tree.new, tree.shift

local load = {}

-- The largest of 8, 4, 2, 1 that is in n.
local function part(n)
  return n >= 8 and 8 or n >= 4 and 4 or n >= 2 and 2 or 1
end

-- Cuts n bytes into loads: a list of { offset, size }.
function load.parts(n)
  local list, offset = {}, 0
  while offset < n do
    local size = part(n - offset)
    list[#list + 1] = { offset, size }
    offset = offset + size
  end
  return list
end

-- The same for the bytes of a type: what is compared with them is cut so, always, and no byte
-- is loaded twice. A prefix begins with its length.
function load.parts_of(desc)
  if not desc.kind:find("^prefix") then return load.parts(desc.size) end
  local list = load.parts(desc.size - 4)
  for _, part_of_address in ipairs(list) do part_of_address[1] = part_of_address[1] + 4 end
  table.insert(list, 1, { 0, 4 })
  return list
end

local function same(a, b)
  for k, v in pairs(a) do
    if b[k] ~= v then return false end
  end
  return true
end

-- The slot of a reduction in a list of them, which gets it if it is not there.
local function slot_of(list, reduction)
  for i = 1, #list + 1 do
    if not list[i] then list[i] = reduction end
    if same(list[i], reduction) then return i - 1 end
  end
end

-- The slot for a reduction of a per-CPU value; see struct lb_reduction in
-- luabpf/lib/code/fragment.h.
local function reduced(context, node, reduction)
  reduction.op, reduction.cpu = node.reduce, (node.cpu or 1) - 1
  return core(node, "reduced", reduction.signed, nil,
    { index = slot_of(context.percpu, reduction) })
end

-- Adds the reductions of one list to another: by slot in the first that in the other.
function load.merged(list, other)
  local slots = {}
  for i, reduction in ipairs(list) do slots[i - 1] = slot_of(other, reduction) end
  return slots
end

-- The unsigned integer of size bytes (1, 2, 4, 8) at the offset, or one CPU's.
function load.piece(context, node, offset, size)
  if node.reduce then
    return reduced(context, node, { offset = offset, size = size, bit = 0, bits = 0,
      signed = false, big = false })
  end
  local wide = (node.desc.size or 0) > 8
  return core(node, "load", false, nil, { of = node.of, offset = offset, size = size, wide = wide })
end

-- The unsigned integer of 1 to 8 bytes at the offset.
function load.bytes(context, node, offset, n)
  local sum
  for _, piece in ipairs(load.parts(n)) do
    local value = load.piece(context, node, offset + piece[1], piece[2])
    value = shift(node, "<<", false, value, 8 * piece[1])
    sum = sum and core(node, "|", false, { sum, value }) or value
  end
  return sum
end

-- The low `bits` of value >> low, extended to 64 bits.
local function extract(node, value, low, bits, signed)
  local up = shift(node, "<<", signed, value, 64 - low - bits)
  return shift(node, signed and "s>>" or ">>", signed, up, 64 - bits)
end

local function load_bits(context, node, signed)
  local offset, low, bits = node.bit // 8, node.bit % 8, node.bits
  local n = (low + bits + 7) // 8
  if n <= 8 then
    local value = load.bytes(context, node, offset, n)
    if not signed and low + bits == 8 * n then return shift(node, ">>", false, value, low) end
    return extract(node, value, low, bits, signed)
  end
  local head = shift(node, ">>", false, load.piece(context, node, offset, 8), low)
  local tail = shift(node, "<<", false, load.piece(context, node, offset + 8, 1), 64 - low)
  return extract(node, core(node, "|", false, { head, tail }), 0, bits, signed)
end

-- A bitfield lies in a power of two of bytes, which lies in the value.
local function reduced_bits(context, node, signed)
  local offset, low, bits = node.bit // 8, node.bit % 8, node.bits
  local size = 1
  while size * 8 < low + bits do size = size * 2 end
  local back = math.max(0, offset + size - context.env.value.size)
  if size > 8 or back > offset or back * 8 + low + bits > size * 8 then
    lexer.fail(node.source, node.first, "this bitfield cannot be read over CPUs")
  end
  return reduced(context, node, { offset = offset - back, size = size, bit = low + back * 8,
    bits = bits, signed = signed, big = false })
end

function load.integer(context, node, signed)
  local desc, offset = node.desc, node.bit // 8
  if node.bits then return (node.reduce and reduced_bits or load_bits)(context, node, signed) end
  local big = desc.big == true and desc.size > 1
  if node.reduce then
    return reduced(context, node, { offset = offset, size = desc.size, bit = 0, bits = 0,
      signed = signed, big = big })
  end
  local value = core(node, "load", false, nil,
    { of = node.of, offset = offset, size = desc.size, big = big })
  return signed and extract(node, value, 0, 8 * desc.size, true) or value
end

return load
