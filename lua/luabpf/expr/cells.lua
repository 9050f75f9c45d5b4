-- SPDX-License-Identifier: MIT
--
-- How fields are stored: in which cells of a value, words of 1 to 8 bytes, and how each
-- of these (luabpf/lib/code/edit.h). A cell is { offset, size, how }, how being
--
--   exchange   compared with what was read, and exchanged
--   plain      stored like any other: the verifier takes no atomics there
--   add        added to, atomically
--   take       exchanged with zero

local cells = {}

local function cell(offset, size, how) return { offset = offset, size = size, how = how } end

-- The aligned word of that size around the bytes first to last; nil if the value has not all of it.
local function around(first, last, size, value_size)
  local offset = first // size * size
  if last < offset + size and offset + size <= value_size then
    return cell(offset, size, "exchange")
  end
end

-- So many bytes that hold first to last, wherever they begin.
local function plainly(first, last, value_size)
  local size = 1
  while size < last - first + 1 do size = size * 2 end
  local offset = math.min(first, value_size - size)
  if size <= 8 and offset >= 0 then return cell(offset, size, "plain") end
end

-- The cell of a place { desc, bit, bits }. Or nil and why there is none.
function cells.of(place, value_size)
  local desc = place.desc
  local first = place.bit // 8
  local bits = place.bits or 8 * desc.size
  local last = (place.bit + bits - 1) // 8
  local size = place.bits and 4 or math.max(desc.size, 4)
  if size > 8 then return nil, "it is larger than 8 bytes" end
  local found = around(first, last, size, value_size)
  if not found and place.bits then found = around(first, last, 8, value_size) end
  found = found or plainly(first, last, value_size)
  if not found then return nil, "it lies in more than 8 bytes" end
  return found
end

-- Where a place begins in bits, and how many it has.
function cells.extent(place)
  return place.bit, place.bits or 8 * place.desc.size
end

-- Whether two places have bits in common.
function cells.touches(a, b)
  local bit, bits = cells.extent(a)
  local other_bit, other_bits = cells.extent(b)
  return bit < other_bit + other_bits and other_bit < bit + bits
end

-- Whether a place is a whole word that an atomic instruction takes as a number.
function cells.is_word(place, size)
  local desc = place.desc
  return desc.kind == "int" and not place.bits and desc.size == size and not desc.big
    and place.bit % (8 * size) == 0
end

local function overlap(a, b)
  return a.offset < b.offset + b.size and b.offset < a.offset + a.size
end

-- Two exchanged cells as one that holds both, both being of one word of 8 bytes.
local function joined(a, b)
  return cell(math.min(a.offset, b.offset) // 8 * 8, 8, "exchange")
end

-- Puts stores into as few cells as they need: those that overlap become one.
-- @tparam table list of { cell =, name =, at = (its first bit), ... }
-- @treturn table the cells, by their offset; each store gets the number of its cell from 0 as word,
--   and its first bit there as bit; the list is put in their order. Raises where two cannot be
--   stored together
function cells.share(list)
  for i, store in ipairs(list) do
    for j = 1, i - 1 do
      local a, b = list[j].cell, store.cell
      if overlap(a, b) then
        if a.how ~= "exchange" or b.how ~= "exchange" then
          error(("%s and %s share bytes and cannot be changed in one call"):format(list[j].name,
            store.name), 0)
        end
        local both = a.offset == b.offset and a.size == b.size and a or joined(a, b)
        for k = 1, i do
          if overlap(list[k].cell, both) and list[k].cell.how == "exchange" then
            list[k].cell = both
          end
        end
      end
    end
  end
  table.sort(list, function(a, b)
    if a.cell.offset ~= b.cell.offset then return a.cell.offset < b.cell.offset end
    return a.at < b.at
  end)
  local made = {}
  for _, store in ipairs(list) do
    if made[#made] ~= store.cell then made[#made + 1] = store.cell end
    store.word, store.bit = #made - 1, store.at - 8 * store.cell.offset
  end
  return made
end

return cells
