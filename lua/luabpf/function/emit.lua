-- SPDX-License-Identifier: MIT

--- A graph of decisions to a fragment: nodes in an order in which each comes before what
-- it goes to, as fragments jump forward only. Trees are written by the generator of
-- expressions (expr/generator.lua, expr/branch.lua); here are what only functions have:
-- variables, division that rounds down, sets.
--
-- @module luabpf.function.emit

local core = require "luabpf.core"
local emit_sets = require "luabpf.function.emit_sets"
local generator = require "luabpf.expr.branch"
local params = require "luabpf.expr.params"
local tree_of = require "luabpf.expr.tree"

local emit = {}

local FRAME <const>, PARAMS <const>, PERCPU <const>, SCRATCH <const> = "r10", "r8", "r9", "r5"
local limits <const> = core.limits

-- Comparisons of a search cost the verifier so many times less than those of a chain.
local CHEAPER <const> = 16

local register = generator.register

local writer = setmetatable({}, { __index = generator })
writer.__index = writer

-- ---- trees ----------------------------------------------------------------------

local integers, conditions = {}, {} -- by op

-- Puts an integer into the register of a depth.
function writer:integer(node, depth)
  if integers[node.op] then return integers[node.op](self, node, depth) end
  return generator.integer(self, node, depth)
end

-- Jumps to the label if the condition is as sense says.
function writer:branch(node, sense, label, depth)
  if conditions[node.op] then return conditions[node.op](self, node, sense, label, depth) end
  return generator.branch(self, node, sense, label, depth)
end

-- A slot of the frame for what waits, given back by release; the far end has the variables.
function writer:wait(_, depth)
  if self.waiting == self.room then error({ gave_up = true, why = "it is too deep" }, 0) end
  self.waiting = self.waiting + 1
  self.asm:store(FRAME, -8 * self.waiting, register(depth))
  return self.waiting
end

function writer:release()
  self.waiting = self.waiting - 1
end

function integers.held(self, node, depth)
  self:note(node)
  self.asm:load(8, register(depth), FRAME, -8 * node.slot)
end

-- A field of one CPU, in the slot that it has in the whole query.
function integers.reduced(self, node, depth)
  self:note(node)
  self.asm:load(8, register(depth), PERCPU, 8 * self.cpu_slots[node.index])
end

-- What an accumulator holds before the entry.
function integers.acc(self, node, depth)
  self:note(node)
  self.asm:load(8, register(depth), PARAMS, 8 * node.index)
end

-- BPF divides unsigned, so the four cases of signs differ: a // b is ~(~a / b) where only a is
-- negative, -a / -b where both are, ~((a - 1) / -b) where only b is and a is not 0. What is left
-- over accordingly. Each case: function(asm, op, a, b).
local function only_first(asm, op, a, b)
  asm:alu("xor", a, -1)
  asm:alu(op, a, b)
  asm:alu("xor", a, -1)
  if op == "mod" then asm:alu("add", a, b) end
end

local function both_negative(asm, op, a, b)
  asm:neg(a)
  asm:neg(b)
  asm:alu(op, a, b)
  if op == "mod" then asm:neg(a) end
end

local function only_second(asm, op, a, b)
  asm:neg(b)
  asm:alu("sub", a, 1)
  asm:alu(op, a, b)
  if op == "div" then return asm:alu("xor", a, -1) end
  asm:alu("sub", a, b)
  asm:alu("add", a, 1)
end

local function floor(self, op, node, depth)
  local asm, dst = self.asm, register(depth)
  local a, b = self:both(node.args[1], node.args[2], depth)
  local slow, down, up, done = {}, {}, {}, {}
  self:note(node)
  asm:jump("s<", a, 0, slow)
  asm:jump("s<", b, 0, down)
  asm:alu(op, a, b)
  asm:always(done)
  asm:place(slow)
  asm:jump("s<", b, 0, up)
  only_first(asm, op, a, b)
  asm:always(done)
  asm:place(up)
  both_negative(asm, op, a, b)
  asm:always(done)
  asm:place(down)
  asm:jump("==", a, 0, done)
  only_second(asm, op, a, b)
  asm:place(done)
  if a ~= dst then asm:mov(dst, a) end
end

-- By a positive constant k. With m = -1 where a < 0, else 0: a // k is ((a ~ m) // k) ~ m, and
-- a % k is (((a ~ m) % k) ~ m) + (k & m).
local function floor_by_constant(op)
  return function(self, node, depth)
    local a, k = register(depth), node.args[2].value
    if node.args[2].op ~= "const" or k <= 0 or k > 0x7fffffff then
      return floor(self, op, node, depth)
    end
    self:integer(node.args[1], depth)
    self:note(node)
    self.asm:mov(SCRATCH, a)
    self.asm:alu("arsh", SCRATCH, 63)
    self.asm:alu("xor", a, SCRATCH)
    self.asm:alu(op, a, k)
    self.asm:alu("xor", a, SCRATCH)
    if op == "div" then return end
    self.asm:alu("and", SCRATCH, k)
    self.asm:alu("add", a, SCRATCH)
  end
end

integers["//"], integers["%%"] = floor_by_constant("div"), floor_by_constant("mod")

-- Halves the bounds in slots from..to: r is in the set if an odd number of all is not above it.
local function halve(self, r, first, from, to, labels)
  local function leaf(count) return count % 2 == 1 and labels.yes or labels.no end
  local mid, left = (from + to) // 2, {}
  self.asm:load(8, SCRATCH, PARAMS, 8 * (first + mid - 1))
  local leftmost = mid == from
  self.asm:jump("s<", r, SCRATCH, leftmost and leaf(from - 1) or left)
  if mid == to then
    self.asm:always(leaf(to))
  else
    halve(self, r, first, mid + 1, to, labels)
  end
  if leftmost then return end
  self.asm:place(left)
  halve(self, r, first, from, mid - 1, labels)
end

function conditions.member(self, node, sense, label, depth)
  local past = {}
  self:integer(node.args[1], depth)
  self:note(node)
  local before, conditional = self.asm.n, self.asm.conditional
  halve(self, register(depth), node.first.index, 1, node.n,
    { yes = sense and label or past, no = sense and past or label })
  self.asm.conditional = conditional + (self.asm.conditional - conditional) // CHEAPER
  -- Of a search only one way is gone, two instructions a step.
  local steps = #("%x"):format(node.n) * 4
  self.passed = (self.passed or 0) + math.max(self.asm.n - before - 2 * steps, 0)
  self.asm:place(past)
end

conditions.recorded = emit_sets.recorded

-- ---- nodes ----------------------------------------------------------------------

-- All nodes of a graph, each before what it goes to.
local function in_order(root)
  local list, seen = {}, {}
  local function visit(node)
    if seen[node] then return end
    seen[node] = true
    if node.test then
      visit(node.yes)
      visit(node.no)
    elseif node.next then
      visit(node.next)
    end
    list[#list + 1] = node
  end
  visit(root)
  for i = 1, #list // 2 do list[i], list[#list + 1 - i] = list[#list + 1 - i], list[i] end
  return list
end

-- Puts values into variables; all are read before one is written.
local function assign(self, moves)
  if #moves == 1 then
    self:integer(moves[1].tree, 0)
    return self.asm:store(FRAME, -8 * moves[1].slot, register(0))
  end
  local first = self.waiting
  for _, move in ipairs(moves) do
    self:integer(move.tree, 0)
    self:wait(move.tree, 0)
  end
  for i, move in ipairs(moves) do
    self.asm:load(8, register(0), FRAME, -8 * (first + i))
    self.asm:store(FRAME, -8 * move.slot, register(0))
  end
  self.waiting = first
end

-- Whether a tree reads an accumulator.
local function reads(tree, index)
  return tree_of.any(tree, function(node) return node.op == "acc" and node.index == index end)
end

-- Whether what a store writes is read by one of those after it.
local function is_read_later(stores, i)
  for j = i + 1, #stores do
    if reads(stores[j].tree, stores[i].index) then return true end
  end
  return false
end

-- Stores numbers in writable slots; all are computed from what those held before.
local function store_all(self, stores)
  local first, waiting = self.waiting, {}
  for i, store in ipairs(stores) do
    self:integer(store.tree, 0)
    if is_read_later(stores, i) then
      waiting[#waiting + 1] = { index = store.index, at = self:wait(store.tree, 0) }
    else
      self.asm:store(PARAMS, 8 * store.index, register(0))
    end
  end
  for _, one in ipairs(waiting) do
    self.asm:load(8, register(0), FRAME, -8 * one.at)
    self.asm:store(PARAMS, 8 * one.index, register(0))
  end
  self.waiting = first
end

local answers <const> = { [0] = "no", "yes", "ask Lua" }

-- Writes a node; returns where it goes on, which may be what follows.
local function write(self, node, following, labels)
  if node.test and node.yes == following then
    self:branch(node.test, false, labels[node.no], 1)
    return node.yes
  elseif node.test then
    self:branch(node.test, true, labels[node.yes], 1)
    return node.no
  elseif node.moves then
    assign(self, node.moves)
    return node.next
  elseif node.stores or node.values then
    store_all(self, node.stores or self.stores_of(node))
    return node.next
  end
  self.asm:note(answers[node.result])
  self.asm:mov("r0", node.result)
  return nil
end

local function check_size(n)
  if n <= limits.instructions then return end
  error({ gave_up = true, why = ("it is too large: more than %d instructions"):format(
    limits.instructions) }, 0)
end

local function write_all(self, list)
  local labels, done = {}, {}
  for _, node in ipairs(list) do labels[node] = {} end
  for i, node in ipairs(list) do
    self.asm:place(labels[node])
    self.asm.line = node.line and node or nil
    local to = write(self, node, list[i + 1], labels)
    check_size(self.asm.n)
    if to and to ~= list[i + 1] then self.asm:always(labels[to]) end
    if not to and i < #list then self.asm:always(done) end
  end
  self.asm:place(done)
end

local function check_limits(context)
  if params.slots(context.params) > limits.params
    or params.table_slots(context.params) > limits.tables then
    error({ gave_up = true, why = "what it reads from outside is too large" }, 0)
  elseif #context.percpu > limits.reductions then
    error({ gave_up = true, why = ("more than %d fields of CPUs are read"):format(
      limits.reductions) }, 0)
  end
end

-- The fragment of a graph.
-- @tparam table root
-- @tparam table context params and percpu, of expr/compile.lua, and cpu_slots: where in percpu a
--   reduction of the graph is
-- @tparam integer slots of the frame
-- @tparam integer variables in how many of them, from the far end
-- @tparam[opt] function stores_of of a leaf with values: { index, tree } each
-- @treturn table as of compile.fragment, by_line, and run (instructions, without those of a search
--   that are passed over); raises { gave_up, why }
function emit.graph(root, context, slots, variables, stores_of)
  local self = setmetatable(generator.new {}, writer)
  self.room, self.stores_of, self.cpu_slots = slots - variables, stores_of, context.cpu_slots
  write_all(self, in_order(root))
  check_limits(context)
  local code, listing = self.asm:assemble()
  return { code = code, n = self.asm.n, kind = "condition", params = context.params,
    percpu = context.percpu, comparisons = self.asm.conditional, listing = listing,
    by_line = true, run = self.asm.n - (self.passed or 0) }
end

return emit
