-- SPDX-License-Identifier: MIT

--- The search of a table of records (sets.lua), as instructions: no tree of comparisons but
-- one step for each halving, so that a hundred thousand keys take some three hundred of
-- them.
--
-- A step has no jump. The verifier follows numbers that it knows, so a position that depends
-- on jumps would be another one on each of the 2^17 ways through 17 steps. Comparisons are
-- computed: a < b is the highest bit of ((a ~ b) & (a ~ (a - b))) ~ (a - b).
--
-- @module luabpf.function.emit_sets

local emit_sets = {}

local FRAME <const>, PARAMS <const> = "r10", "r8"
local AT <const>, LESS <const>, WORD <const>, RECORD <const> = "r0", "r1", "r2", "r3"
local DIFFERENCE <const>, SOUGHT <const> = "r4", "r5"

-- By how many slots a record has: the bits that its number is shifted by.
local SHIFTS <const> = { 3, 4, nil, 5 }

-- RECORD = the address of the record so many behind AT.
local function address(asm, node, behind)
  asm:mov(WORD, AT)
  asm:alu("lsh", WORD, SHIFTS[node.stride])
  asm:table(RECORD, 8 * (node.first.index + node.stride * behind))
  asm:alu("add", RECORD, WORD)
end

local function load_word(asm, slots, i)
  asm:load(8, WORD, RECORD, 8 * (i - 1))
  asm:load(8, SOUGHT, FRAME, -8 * slots[i])
end

-- WORD = whether WORD < SOUGHT, which becomes WORD ~ SOUGHT.
local function less(asm)
  asm:mov(DIFFERENCE, WORD)
  asm:alu("sub", DIFFERENCE, SOUGHT)
  asm:alu("xor", SOUGHT, WORD)
  asm:alu("xor", WORD, DIFFERENCE)
  asm:alu("and", WORD, SOUGHT)
  asm:alu("xor", WORD, DIFFERENCE)
  asm:alu("rsh", WORD, 63)
end

-- LESS = WORD, or LESS if SOUGHT is 0.
local function or_equal_and(asm)
  asm:mov(DIFFERENCE, SOUGHT)
  asm:neg(DIFFERENCE)
  asm:alu("or", DIFFERENCE, SOUGHT)
  asm:alu("rsh", DIFFERENCE, 63)
  asm:alu("xor", DIFFERENCE, 1)
  asm:alu("and", LESS, DIFFERENCE)
  asm:alu("or", LESS, WORD)
end

-- AT, a multiple of twice 2^bit, moves on by 2^bit if the last record of those is before what is
-- sought.
local function advance(asm, node, slots, bit)
  local step = 1 << bit
  address(asm, node, step - 1)
  for i = #slots, 1, -1 do
    load_word(asm, slots, i)
    less(asm)
    if i == #slots then asm:mov(LESS, WORD) else or_equal_and(asm) end
  end
  if bit > 0 then asm:alu("lsh", LESS, bit) end
  asm:alu("or", AT, LESS)
  asm:alu("and", AT, node.n - step)
end

-- Jumps to the label if what is sought is in the table, or not, as sense says. This is a test of
-- the graph: nothing else is in registers then.
-- @tparam table self a writer of emit.lua
-- @tparam table node args (the words that are sought), first, used (whether there are records), n
--   (records, a power of two), stride
function emit_sets.recorded(self, node, sense, label, depth)
  local asm, slots, past, bit = self.asm, {}, {}, 0
  for i, word in ipairs(node.args) do
    self:integer(word, depth)
    slots[i] = self:wait(word, depth)
  end
  self:note(node)
  asm:mov(AT, 0)
  while 2 << bit < node.n do bit = bit + 1 end
  for b = bit, 0, -1 do advance(asm, node, slots, b) end
  address(asm, node, 0)
  local no = sense and past or label
  asm:load(8, DIFFERENCE, PARAMS, 8 * node.used.index)
  asm:jump("==", DIFFERENCE, 0, no)
  for i = 1, #slots do
    load_word(asm, slots, i)
    asm:jump("~=", WORD, SOUGHT, no)
    self:release()
  end
  if sense then asm:always(label) end
  asm:place(past)
end

return emit_sets
