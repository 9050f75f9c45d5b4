-- SPDX-License-Identifier: MIT

--- Lua functions run on symbols: what makes function(key, value) a graph of decisions.
--
-- HOW IT WORKS. A register holds a value: a constant, an integer that depends on the
-- entry (a tree), or a place in the key or value. Where a test depends on the entry the
-- run splits in two; a constant test takes one way, so loops with known bounds unroll
-- and calls of Lua functions run in line. Every truth is a constant after a split: `and`,
-- `or`, `not` need no rules. Where paths meet again with equal live registers they are
-- one (joins.lua). What cannot be compiled, what Lua would raise, and whatever has an
-- effect ends a path in the leaf "Lua decides": nothing has happened until then.
--
-- A value is a table, one for equal values, with a number, id:
--
--   { t = "const", v =, src = }    any Lua value; src: where it was read from
--   { t = "int", tree = }          an integer that depends on the entry or on a parameter
--   { t = "text", src = }          a string that is a parameter
--   { t = "view", of =, place =, path = }    a struct; "array": a list
--   { t = "raw", ... }             a string of the entry; "enum": a name, or a number
--   { t = "opaque", why = }        true in a test, else unknown
--
-- and a node of the graph { test =, yes =, no = }, { moves =, next = } or { result = }, an
-- answer of fragment.h. The methods of a run are in this folder's other files.
--
-- @module luabpf.function.run

local core = require "luabpf.core"

local run = {}
run.__index = run

-- What one compilation may cost: an instruction run on symbols, a tree, a frame that is compared
-- with others are one each, all three some microseconds.
local MOST_WORK <const> = 24000
local MOST_NODES <const> = 4000

-- The leaves.
run.NO, run.YES = { result = 0, id = -2 }, { result = 1, id = -1 }
run.LUA = { result = 2, id = -3 }

-- Ends the compilation. src: it begins again with that parameter as a constant.
function run.give_up(why, src)
  error({ gave_up = true, why = why, src = src }, 0)
end

-- Counts work; gives up where it is too much.
function run:spend(n)
  local spent = self.spent
  spent.n = spent.n + n
  if spent.n > MOST_WORK then
    run.give_up("it takes too much work to compile, or a loop has no known end")
  end
end

-- A run of f on entries of env; fixed: by path, what is no parameter; spent: { n = work } of this
-- and earlier ones; purpose: nil for a condition, else what it gives (compile.lua).
function run.new(f, env, fixed, spent, purpose)
  local self = setmetatable({ made = {}, ids = 0, objects = {}, nobjects = 0, root = f, env = env,
    fixed = fixed, params = {}, guards = {}, relations = {}, snapshots = {}, sets = {},
    reasons = {}, nodes = 0, spent = spent, places = {}, slots = {}, nslots = 0, percpu = {},
    purpose = purpose }, run)
  self.slots_of_frame = env.ncpu and core.limits.frame_percpu or core.limits.frame
  self.root_src = self:source("root", nil, 0, "")
  return self
end

-- ---- values ---------------------------------------------------------------------

-- The table made once for a key, which gets a number.
function run:unique(key, make)
  local found = self.made[key]
  if not found then
    found = make()
    self.ids = self.ids + 1
    found.id, self.made[key] = self.ids, found
  end
  return found
end

local function number_of(self, object)
  local n = self.objects[object]
  if not n then
    self.nobjects = self.nobjects + 1
    n = self.nobjects
    self.objects[object] = n
  end
  return n
end

local texts = {
  integer = function(v) return ("%d"):format(v) end,
  float = function(v) return ("%a"):format(v) end,
  ["nil"] = tostring, boolean = tostring,
  string = function(v) return v end,
}

-- A constant.
function run:const(v, src)
  local kind = math.type(v) or type(v)
  local text = texts[kind] and texts[kind](v) or number_of(self, v)
  return self:unique("c" .. kind .. text, function() return { t = "const", v = v, src = src } end)
end

-- The integer of a tree.
function run:int(tree)
  if tree.op == "const" then return self:const(tree.value) end
  return self:unique("i" .. tree.id, function() return { t = "int", tree = tree } end)
end

-- Whether a value is an integer for sure.
function run.is_int(v)
  return v.t == "int" or v.t == "const" and math.type(v.v) == "integer"
end

-- The tree of a value that is one.
function run:integer(v)
  return v.t == "int" and v.tree or self:number(v.v)
end

-- Begins again with a parameter as a constant where only that will do.
function run.need_constant(value)
  local src = value.t == "text" and value.src
    or value.t == "int" and value.tree.op == "slot" and value.tree.src
  if src then run.give_up("again", src.path) end
end

local whats = { int = "an integer", view = "a struct", array = "a list", raw = "a string",
  enum = "an enum", text = "a string", found = "what find gives", made = "a table made in it",
  acc = "the accumulators" }

-- What a value is, in a reason.
function run.what(v)
  if v.t == "opaque" then return v.why end
  if v.t == "const" then
    return type(v.v) == "table" and "a table" or v.v == nil and "nil" or "a " .. type(v.v)
  end
  return v.path and ("'%s' (%s)"):format(v.path, whats[v.t]) or whats[v.t]
end

-- ---- graphs ---------------------------------------------------------------------

-- Calls see(node) for all nodes of a graph, each once, those that it goes to after it.
function run.each_node(graph, see)
  local seen = {}
  local function visit(node)
    if not node or seen[node] then return end
    seen[node] = true
    see(node)
    visit(node.yes)
    visit(node.no)
    visit(node.next)
  end
  visit(graph)
end

-- ---- frames, leaves, splits -----------------------------------------------------

-- A copy of a frame: { p, f, pc, r (registers), up, to, depth, top, state (effects.lua) }.
function run.copied(frame)
  local made, r = {}, {}
  for k, v in pairs(frame) do made[k] = v end
  for k, v in pairs(frame.r) do r[k] = v end
  made.r = r
  return made
end

-- Ends a path: Lua decides. The reason is kept with its line.
function run:lua(frame, why, ...)
  local p = frame.p
  local line = p.lines[frame.pc]
  why = why:format(...)
  local key = ("%s:%s: %s"):format(p.name, line or "?", why)
  if not self.reasons[key] then
    self.reasons[key] = true
    self.reasons[#self.reasons + 1] = { source = p.source, line = line, text = why }
  end
  return run.LUA
end

-- A node that tests; a test whose sides are equal is none.
function run:branch(frame, test, yes, no)
  if yes == no then return yes end
  return self:unique(("b%d %d %d"):format(test.id, yes.id, no.id), function()
    self.nodes = self.nodes + 1
    if self.nodes > MOST_NODES then run.give_up("there are too many ways through it") end
    return { test = test, yes = yes, no = no, line = frame.p.lines[frame.pc],
      source = frame.p.source }
  end)
end

-- Goes both ways where the test does not say which. yes and no are functions that change the
-- frame and may give a node.
function run:split(frame, test, yes, no)
  if test == true then return self:go(frame, yes) end
  if test == false then return self:go(frame, no) end
  local other = run.copied(frame)
  local at = { p = frame.p, pc = frame.pc }
  return self:branch(at, test, self:go(frame, yes), self:go(other, no))
end

-- One side: the node that step gives, or that of what follows.
function run:go(frame, step)
  return step(frame) or self:explore(frame)
end

-- ---- running --------------------------------------------------------------------

-- By name of an instruction: function(run, frame, instruction) that changes the frame, with its
-- pc, or gives a node where the path ends or splits.
run.steps_of = {}

-- Why an instruction that is not in steps_of ends a path, by its name.
run.ends = {}

-- Runs from the frame's instruction on, until the path ends or splits: its node.
function run:follow(frame)
  local first = true
  while true do
    local pc = frame.pc
    if not first and (frame.p.meets[pc] or 0) > 1 then return self:meet(frame) end
    first = false
    self:spend(1)
    local i = frame.p.code[pc]
    local step = run.steps_of[i.op]
    if not step then return self:lua(frame, "%s", run.ends[i.op] or ("has " .. i.op)) end
    local node = step(self, frame, i)
    if node then return node end
  end
end

-- The node of what follows from a frame on.
function run:explore(frame)
  if (frame.p.meets[frame.pc] or 0) > 1 then return self:meet(frame) end
  return self:follow(frame)
end

return run
