-- SPDX-License-Identifier: MIT

--- Loops. One from a constant to a constant unrolls, as does one over ipairs; one to a
-- limit that depends on the entry goes on for so many rounds, then Lua decides.
--
-- @module luabpf.function.loops

local run = require "luabpf.function.run"

local steps, is_int = run.steps_of, run.is_int

local MOST_ROUNDS <const> = 64 -- of a loop whose limit depends on the entry
local MOST_TURNS <const> = 10000 -- of one that unrolls
local FAR <const> = 1 << 40 -- numbers that cannot overflow on the way

local ipairs_step <const> = ipairs({})

-- ipairs over lists of the entry, and tables from outside.
run.known[ipairs] = function(self, args)
  local list = args[1]
  if not list or list.t ~= "array" and not (list.t == "const" and type(list.v) == "table") then
    return nil, "over what is no list"
  end
  return { self:const(ipairs_step), list, self:const(0) }
end

local function is_far(v)
  return v.t == "const" and (v.v > FAR or v.v < -FAR)
end

local function bad_loop(from, to, step)
  return math.type(from.v) ~= "integer" or math.type(step.v) ~= "integer" or step.v == 0
    or not is_int(to) or to.t == "int" and step.v < 0 or is_far(from) or is_far(to) or is_far(step)
end

-- In register a + 1 stands how often it goes on; where the limit is not constant, that.
function steps.FORPREP(self, frame, i)
  local a = i.a
  local from, to, step = frame.r[a], frame.r[a + 1], frame.r[a + 2]
  run.need_constant(from)
  run.need_constant(step)
  run.need_constant(to)
  if bad_loop(from, to, step) then
    return self:lua(frame, "a loop other than from a constant to an integer")
  end
  local function begin(f) f.r[a + 3], f.pc = from, f.pc + 1 end
  local function skip(f) f.pc = f.pc + i.bx + 2 end
  if to.t == "int" then
    return self:split(frame, self:compare("<=", self:integer(from), to.tree), begin, skip)
  end
  if step.v > 0 and from.v > to.v or step.v < 0 and from.v < to.v then return skip(frame) end
  local turns = math.abs(to.v - from.v) // math.abs(step.v)
  if turns > MOST_TURNS then run.give_up("a loop runs too often") end
  frame.r[a + 1] = self:const(turns)
  return begin(frame)
end

function steps.FORLOOP(self, frame, i)
  local a = i.a
  local at, left, step = frame.r[a].v, frame.r[a + 1], frame.r[a + 2].v
  local function on(f)
    f.r[a] = self:const(at + step)
    f.r[a + 3], f.pc = f.r[a], f.pc + 1 - i.bx
  end
  local function done(f) f.pc = f.pc + 1 end
  if left.t == "int" then
    frame.rounds = (frame.rounds or 0) + 1
    if frame.rounds > MOST_ROUNDS then
      return self:lua(frame, "a loop of more than %d rounds", MOST_ROUNDS)
    end
    return self:split(frame, self:compare("<=", self:number(at + step), left.tree), on, done)
  end
  if left.v == 0 then return done(frame) end
  frame.r[a + 1] = self:const(left.v - 1)
  return on(frame)
end

function steps.TFORPREP(_, frame, i) frame.pc = frame.pc + 1 + i.bx end

-- Element at + 1 into the register; a node where the path ends.
local function next_element(self, frame, register, list, at)
  if list.t == "const" then return self:read_table(frame, register, list, at + 1) end
  local node = self:peek_element(frame, register, list, at + 1)
  return node
end

-- An element that splits nothing: ipairs over bools is Lua's.
function run:peek_element(frame, register, list, i)
  local desc = list.place.desc.elem
  if desc.kind == "bool" then return self:lua(frame, "a loop over bools") end
  return self:read_element(frame, register, list, i)
end

function steps.TFORCALL(self, frame, i)
  local a = i.a
  if frame.r[a].v ~= ipairs_step then
    return self:lua(frame, "a loop other than over numbers or ipairs")
  end
  local list, at = frame.r[a + 1], frame.r[a + 2].v
  frame.r[a + 4] = self:const(at + 1)
  for r = a + 5, a + 3 + i.c do frame.r[r] = self:const(nil) end
  local node = next_element(self, frame, a + 5, list, at)
  if node then return node end
  frame.pc = frame.pc + 1
  local element = frame.r[a + 5]
  if element.t == "const" and element.v == nil then frame.r[a + 4] = self:const(nil) end
end

function steps.TFORLOOP(_, frame, i)
  local control = frame.r[i.a + 4]
  if control.t == "const" and control.v == nil then
    frame.pc = frame.pc + 1
  else
    frame.r[i.a + 2] = control
    frame.pc = frame.pc + 1 - i.bx
  end
end

return run
