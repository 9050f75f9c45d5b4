-- SPDX-License-Identifier: MIT
--
-- Long lists after `in`: constants are searched, not walked. What is looked for is one
-- integer, or the parts of text or an address, and the constants are rows of as many.
--
-- HOW IT WORKS. The first parts, in order, are the leaves of a tree of comparisons,
-- sixteen to a leaf, which a processor runs through faster than it takes a branch that it cannot
-- foresee; where one is equal, a tree of the second parts that go with it
-- follows, and so on. So 200 constants take some twenty comparisons. The node is
-- { op = "search", args = the parts, rows = }.

local generator = require "luabpf.expr.branch"
local tree = require "luabpf.expr.tree"
local word = require "luabpf.base.word"

local search = {}

local LEAF <const> = 16 -- constants that are compared one after the other
local FRAME <const> = "r10"
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

-- The condition that the parts are one of the rows, of as many integers each.
function search.node(node, parts, rows)
  return tree.new(node, "search", false, parts, { rows = in_order(rows, parts[1].signed) })
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
  walk(self, s, runs(s.rows, 1, #s.rows + 1, 1), 1)
  self.asm:place(past)
  for i = 2, #s.parts do self:release(s.slots[i]) end
  self.asm.conditional = before + (self.asm.conditional - before) // CHEAPER
end

return search
