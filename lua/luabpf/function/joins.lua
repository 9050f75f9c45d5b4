-- SPDX-License-Identifier: MIT

--- Where paths meet. Frames that agree in all registers that matter there are one node.
-- Past some versions of a place the integers in which they differ go into variables,
-- slots of the program's frame, so that code grows with the function and not with its
-- paths. Constants of for loops never do: that they are known unrolls the loops. What
-- moves into variables does so at once, all read before one is written, and whatever
-- else reads a variable that changes moves too.
--
-- @module luabpf.function.joins

local opcodes = require "luabpf.base.opcodes"
local run = require "luabpf.function.run"

local is_int = run.is_int

local MOST_VERSIONS <const> = 8 -- of one place, before integers go into variables
local REGISTERS <const> = 8 -- that cost as much as an instruction to compare
local WAITING <const> = 8 -- slots of the frame that emit.lua needs for itself

-- ---- where a frame is -----------------------------------------------------------

-- The slots that a tree reads.
local function slots_in(tree, found)
  if tree.op == "held" then found[tree.slot] = true end
  for _, arg in ipairs(tree.args or {}) do slots_in(arg, found) end
  return found
end

-- Of one frame: adds what its registers hold to the text, and integers to open. What reads
-- variables and is no integer (an enum that was assigned to) is noted in open.stuck.
local function describe(self, frame, at, waits, open, text)
  local p, pc = at.p, at.pc
  self:spend(1 + p.stack // REGISTERS)
  local live, loops = p.live[pc] or 0, p.loops[pc] or 0
  -- A call gives its results from the register of its function on.
  if waits then live = live & ~opcodes.bits(waits.a, p.stack - 1) end
  if at == frame and frame.asked then live = live | 1 << frame.asked end
  -- Closures of one function differ in what they read from outside.
  text[#text + 1] = ("%s:%d:%s:%s"):format(at.f.id, pc, at.top, at.rounds)
  for r = 0, p.stack - 1 do
    local v = live >> r & 1 == 1 and at.r[r]
    if v and is_int(v) and (v.t == "int" or loops >> r & 1 == 0) then
      open[#open + 1] = { frame = at, register = r, depth = at.depth or 1, value = v }
      text[#text + 1] = r .. "#"
    elseif v then
      text[#text + 1] = r .. "=" .. v.id
      if v.tree then open.stuck = slots_in(v.tree, open.stuck or {}) end
    end
  end
end

-- Where a frame is: a text without what may go into variables, and these.
local function place_of(self, frame)
  local text, open, at, waits = {}, {}, frame, nil
  while at do
    describe(self, frame, at, waits, open, text)
    at, waits = at.up, at.to
  end
  self:describe_effects(frame, open, text)
  return table.concat(text, " "), open
end

-- ---- variables ------------------------------------------------------------------

-- A slot of the frame that is taken for good; nil where there is none left.
function run:new_slot()
  if self.nslots >= self.slots_of_frame - WAITING then return nil end
  self.nslots = self.nslots + 1
  return self.slots_of_frame + 1 - self.nslots
end

-- The variable in a slot.
function run:held(slot)
  return self:tree("held", {}, { slot = slot }, ("variable %d"):format(
    self.slots_of_frame + 1 - slot))
end

local function slot_of(self, one)
  local key = one.field or ("%d %d"):format(one.depth, one.register)
  if not self.slots[key] then
    self.slots[key] = self:new_slot() or run.give_up "too many variables change at once"
  end
  return self.slots[key]
end

-- Adds to those chosen whatever reads a slot that they are written to.
local function with_readers(self, open, chosen)
  local written, again = {}, true
  while again do
    again = false
    for n in pairs(chosen) do written[slot_of(self, open[n])] = true end
    for n, one in ipairs(open) do
      if not chosen[n] and one.value.t == "int" then
        for slot in pairs(slots_in(one.value.tree, {})) do
          if written[slot] then chosen[n], again = true, true end
        end
      end
    end
  end
  for slot in pairs(open.stuck or {}) do
    if written[slot] then run.give_up "an enum that was assigned to changes with variables" end
  end
end

-- A copy of a frame and those around it, which paths share; and all of them by depth.
local function copied_stack(frame)
  local top = run.copied(frame)
  local frames, at = { [top.depth or 1] = top }, top
  while at.up do
    at.up = run.copied(at.up)
    at = at.up
    frames[at.depth or 1] = at
  end
  return top, frames
end

-- Puts those chosen into variables: a frame where they are that, and the moves.
local function into_variables(self, frame, open, chosen)
  with_readers(self, open, chosen)
  local top, frames = copied_stack(frame)
  local moves = {}
  for n, one in ipairs(open) do
    if chosen[n] then
      local slot = slot_of(self, one)
      local held = self:held(slot)
      if not (one.value.t == "int" and one.value.tree == held) then
        moves[#moves + 1] = { slot = slot, tree = self:integer(one.value) }
      end
      if one.field then
        top.state = run.with_field(top.state, one.field, self:int(held))
      else
        frames[one.depth].r[one.register] = self:int(held)
      end
    end
  end
  return top, moves
end

-- What follows the moves.
local function after_moves(self, moves, rest)
  if #moves == 0 or rest.result then return rest end
  self.ids = self.ids + 1
  return { moves = moves, next = rest, id = self.ids }
end

-- Goes on with a register in a variable, as its tree has become large.
function run:settle(frame, register)
  frame.asked = register
  local _, open = place_of(self, frame)
  frame.asked = nil
  for n, one in ipairs(open) do
    if one.frame == frame and one.register == register then
      local top, moves = into_variables(self, frame, open, { [n] = true })
      return after_moves(self, moves, self:explore(top))
    end
  end
  return self:explore(frame) -- a register of a loop
end

-- ---- meeting --------------------------------------------------------------------

local BUSY <const> = {}

-- The record of a place: how many versions, in which of its open registers they differ.
local function place_record(self, text, open)
  local place = self.places[text]
  if not place then
    place = { n = 0, first = {}, differs = {}, memo = {} }
    self.places[text] = place
  end
  local ids = {}
  for n, one in ipairs(open) do ids[n] = one.value.id end
  return place, ids
end

local function count_version(place, ids)
  place.n = place.n + 1
  for n, id in ipairs(ids) do
    place.first[n] = place.first[n] or id
    if place.first[n] ~= id then place.differs[n] = true end
  end
end

local function merged(self, frame, open, place)
  if place.n <= MOST_VERSIONS or not next(place.differs) then return nil end
  local chosen = {}
  for n in pairs(place.differs) do chosen[n] = true end
  local top, moves = into_variables(self, frame, open, chosen)
  if #moves > 0 then return after_moves(self, moves, self:meet(top)) end
end

-- The node for a place where paths meet.
function run:meet(frame)
  local text, open = place_of(self, frame)
  local place, ids = place_record(self, text, open)
  local key = table.concat(ids, " ")
  local node = place.memo[key]
  if node == BUSY then return self:lua(frame, "a loop whose end is not known") end
  if node then return node end
  place.memo[key] = BUSY
  count_version(place, ids)
  node = merged(self, frame, open, place) or self:follow(frame)
  place.memo[key] = node
  return node
end

return run
