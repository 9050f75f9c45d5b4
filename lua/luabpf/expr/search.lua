-- SPDX-License-Identifier: MIT
--
-- Long lists after `in`: constants are searched, not walked. What is looked for is one
-- integer, or the parts of text or an address, and the constants are rows of as many.
--
-- HOW IT WORKS. The first parts, in order, are the leaves of a tree of comparisons,
-- sixteen to a leaf, which a processor runs through faster than it takes a branch that it cannot
-- foresee; where one is equal, a tree of the second parts that go with it
-- follows, and so on. So 200 constants take some twenty comparisons.
--
-- A branch that cannot be foreseen costs more than all else, and most entries are in no list. So a
-- sieve comes first: a table of bits (fragment.h) with one set for each first part, by its hash,
-- and sixteen times as many bits as parts. Where the bit is not set, which can be foreseen, the
-- part is none of them. The node is { op = "search", args = the parts, rows =, sieve = }.

local generator = require "luabpf.expr.branch"
local params = require "luabpf.expr.params"
local tree = require "luabpf.expr.tree"
local word = require "luabpf.base.word"

local search = {}

local LEAF <const> = 16 -- constants that are compared one after the other
local FRAME <const>, OTHER <const>, SCRATCH <const> = "r10", "r4", "r5"
local LAST <const> = 3 -- registers of depths 0 to LAST
local FEWEST_SIEVED <const> = 32
local LEAST_BITS <const>, MOST_BITS <const> = 9, 15 -- of a sieve, as powers of two
local MOST_TABLE_SLOTS <const> = 4096 -- of all sieves of a query
-- Odd, and its bits are as good as random: the golden ratio's (Knuth, TAOCP 3, 6.4).
local FACTOR <const> = 0x9e3779b97f4a7c15
-- Comparisons of a tree cost the verifier so many times less than those of a chain.
local CHEAPER <const> = 16

-- ---- nodes -------------------------------------------------------------------

-- Rows in the order of their parts, without doubles.
local function in_order(rows, signed)
  table.sort(rows, function(a, b)
    for i = 1, #a do
      if a[i] ~= b[i] then return word.less(a[i], b[i], signed, signed) end
    end
    return false
  end)
  local kept = {}
  for _, row in ipairs(rows) do
    local last, new = kept[#kept], false
    for i = 1, #row do new = new or not last or last[i] ~= row[i] end
    if new then kept[#kept + 1] = row end
  end
  return kept
end

-- Slots whose bits are set for the first parts.
local function sieve_of(rows, bits)
  local words, packed = {}, {}
  for _, row in ipairs(rows) do
    local at = (row[1] * FACTOR) >> (64 - bits)
    words[at >> 6] = (words[at >> 6] or 0) | 1 << (at & 63)
  end
  for i = 0, (1 << bits - 6) - 1 do packed[#packed + 1] = ("<i8"):pack(words[i] or 0) end
  return table.concat(packed)
end

-- The sieve of rows, a parameter, and how many bits it has; nil where there is none.
local function new_sieve(context, rows)
  local bits = LEAST_BITS
  while bits < MOST_BITS and 1 << bits < 16 * #rows do bits = bits + 1 end
  local slots = 1 << bits - 6
  if #rows < FEWEST_SIEVED or params.table_slots(context.params) + slots > MOST_TABLE_SLOTS then
    return nil
  end
  local packed = sieve_of(rows, bits)
  local param = params.entry(context, "sieve " .. packed, { kind = "sieve", slots = slots,
    is_table = true, read = function() return packed end })
  return { first = 8 * param.slot, bits = bits }
end

-- The condition that the parts are one of the rows, of as many integers each.
function search.node(context, node, parts, rows)
  rows = in_order(rows, parts[1].signed)
  return tree.new(node, "search", false, parts, { rows = rows, sieve = new_sieve(context, rows) })
end

-- ---- code --------------------------------------------------------------------

-- Where rows [from, to) that are equal at level end.
local function run_end(rows, from, to, level)
  local i = from + 1
  while i < to and rows[i][level] == rows[from][level] do i = i + 1 end
  return i
end

-- The runs of rows [from, to) that are equal at level: { value, from, to } each.
local function runs(rows, from, to, level)
  local list = {}
  while from < to do
    local stop = run_end(rows, from, to, level)
    list[#list + 1] = { rows[from][level], from, stop }
    from = stop
  end
  return list
end

local walk

-- A leaf: each value in turn; where it is equal and there are further parts, those, which decide.
local function leaf(self, s, list, level)
  local r, part = generator.register(s.depth), s.parts[level]
  for _, run in ipairs(list) do
    if level == #s.parts then
      self:jump_const("==", r, part, run[1], s.yes)
    else
      local past = {}
      self:jump_const("~=", r, part, run[1], past)
      self.asm:load(8, r, FRAME, -8 * s.slots[level + 1])
      walk(self, s, runs(s.rows, run[2], run[3], level + 1), level + 1)
      self.asm:place(past)
    end
  end
  self.asm:always(s.no)
end

-- The tree of values from the first to the last of the list.
function walk(self, s, list, level)
  if #list <= LEAF then return leaf(self, s, list, level) end
  local half, right = #list // 2, {}
  self:jump_const(">", generator.register(s.depth), s.parts[level], list[half][1], right)
  walk(self, s, { table.unpack(list, 1, half) }, level)
  self.asm:place(right)
  walk(self, s, { table.unpack(list, half + 1) }, level)
end

-- Jumps to s.no where the sieve says so of the first part.
local function sift(self, s, sieve)
  local asm, part, bit = self.asm, generator.register(s.depth), generator.register(s.depth + 1)
  asm:mov(bit, part)
  asm:mov(SCRATCH, FACTOR)
  asm:alu("mul", bit, SCRATCH)
  asm:alu("rsh", bit, 64 - sieve.bits)
  asm:mov(OTHER, bit)
  asm:alu("rsh", OTHER, 3)
  asm:alu("and", OTHER, (1 << sieve.bits - 3) - 8)
  asm:table(SCRATCH, sieve.first)
  asm:alu("add", SCRATCH, OTHER)
  asm:load(8, OTHER, SCRATCH, 0)
  asm:alu("and", bit, 63)
  asm:alu("rsh", OTHER, bit)
  asm:alu("and", OTHER, 1)
  asm:jump("==", OTHER, 0, s.no)
end

generator.branches.search = function(self, node, sense, label, depth)
  local past, before = {}, self.asm.conditional
  local s = { parts = node.args, rows = node.rows, depth = depth, slots = {},
    yes = sense and label or past, no = sense and past or label }
  for i = 2, #s.parts do
    self:integer(s.parts[i], depth)
    s.slots[i] = self:wait(s.parts[i], depth)
  end
  self:integer(s.parts[1], depth)
  self:note(node)
  if node.sieve and depth < LAST then sift(self, s, node.sieve) end
  walk(self, s, runs(s.rows, 1, #s.rows + 1, 1), 1)
  self.asm:place(past)
  for i = 2, #s.parts do self:release(s.slots[i]) end
  self.asm.conditional = before + (self.asm.conditional - before) // CHEAPER
end

return search
