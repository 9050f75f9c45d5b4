-- SPDX-License-Identifier: MIT
--
-- The generator: instructions for core trees. It puts an integer into the register of
-- its depth, r0 to r3; the operand that needs more registers comes first, and when they
-- run out the first waits in the frame. r4 holds the second operand of an instruction
-- whose first came out of the frame, r5 is the scratch register within one step.
-- Conditions are in branch.lua. What sharing.lua has found to be used again is kept in
-- the frame from where it is first computed to its last use.

local asm = require "luabpf.expr.asm"
local core = require "luabpf.core"
local lexer = require "luabpf.expr.lexer"
local parser = require "luabpf.expr.parser"
local sharing = require "luabpf.expr.sharing"

local KEY <const>, VALUE <const>, PARAMS <const>, PERCPU <const> = "r6", "r7", "r8", "r9"
local FRAME <const>, SECOND <const>, SCRATCH <const> = "r10", "r4", "r5"
local LAST <const> = 3 -- registers of depths 0 to LAST

local MAX_WAITING <const> = 16 -- slots of the frame, for operands
local SPARE <const> = 6 -- of them, left by what can as well be computed again

local generator = {}
generator.__index = generator

local emit = {} -- by op: puts an integer into the register of a depth

-- A generator of a new fragment, for an env as of expr.parse.
-- `again` is set when a value was first needed in a narrower scope than its own: it is
-- in the scope's `hoisted` now, and the fragment has to be made anew.
function generator.new(env)
  local room = env.ncpu and core.limits.frame_percpu or core.limits.frame
  return setmetatable({ asm = asm.new(), room = room, waiting = 0, slots = {}, saved = {},
    left = {} }, generator)
end

-- The register of a depth.
local function register(depth)
  return "r" .. depth
end

local function fail(node, message)
  lexer.fail(node.source, node.first, message)
end

-- ---- registers ---------------------------------------------------------------

local function immediate(node)
  return node.op == "const" and asm.fits(node.value)
end

local function most(list, least)
  local n = least
  for _, arg in ipairs(list) do n = math.max(n, arg) end
  return n
end

local one_by_one = { ["and"] = true, ["or"] = true, ["if"] = true, ["in"] = true }

-- How many registers a node takes.
local function need(node)
  if node.need then return node.need end
  local needs = {}
  for i, arg in ipairs(node.args) do needs[i] = need(arg) end
  local together = #needs == 2 and not one_by_one[node.op] and not immediate(node.args[2])
  node.need = most(needs, 1) + (together and needs[1] == needs[2] and 1 or 0)
  return node.need
end

function generator:note(node)
  self.asm:note((parser.text_of(node.node):gsub("%s+", " ")))
end

-- ---- the frame ---------------------------------------------------------------

-- A free slot of the frame, or nil when no more than so many are free.
local function free_slot(self, spare)
  local first, n = nil, 0
  for slot = self.room, 1, -1 do
    if not self.slots[slot] then first, n = slot, n + 1 end
  end
  if n <= spare then return nil end
  self.slots[first] = true
  return first
end

-- An operand into the frame; release gives its slot back.
function generator:wait(node, depth)
  local slot = self.waiting < MAX_WAITING and free_slot(self, 0)
  if not slot then
    fail(node.node, "the expression is too deep: more than 16 results would wait at once")
  end
  self.waiting = self.waiting + 1
  self.asm:store(FRAME, -8 * slot, register(depth))
  return slot
end

function generator:release(slot)
  self.waiting, self.slots[slot] = self.waiting - 1, nil
end

-- A value into the frame, from the register of a depth. What finds no room there is computed
-- again, which a field must not be.
local function save(self, node, depth)
  local v = node.v
  local slot = free_slot(self, v.load and not v.wide and 0 or SPARE)
  if slot then
    self.saved[v] = { slot = slot, scope = self.scope }
    self.asm:store(FRAME, -8 * slot, register(depth))
  elseif v.load and not v.wide then
    fail(node.node, "the expression has too many fields that are named more than once")
  end
  self.crowded = self.crowded or not slot
end

local function forget(self, v)
  self.slots[self.saved[v].slot], self.saved[v] = nil, nil
end

-- One of the uses of a value is over. Where some are computed again, so are their args.
local function used(self, v)
  self.left[v] = (self.left[v] or v.refs) - 1
  if self.left[v] == 0 and self.saved[v] and not self.crowded then forget(self, v) end
end

-- Begins scope i of a node, with what has to be at hand in it.
function generator:enter(node, i, depth)
  local scope = node.scopes and node.scopes[i]
  if not scope then return end
  self.scope = scope
  for _, each in ipairs(scope.hoisted) do
    if not self.saved[each.v] then
      self:compute(each, depth)
      save(self, each, depth)
    end
  end
end

-- Goes back to an outer scope: what was saved further in is not at hand there.
function generator:leave(scope)
  self.scope = scope
  for v, saved in pairs(self.saved) do
    if not sharing.around(saved.scope, scope) then forget(self, v) end
  end
end

-- ---- values ------------------------------------------------------------------

function generator:compute(node, depth)
  emit[node.op](self, node, depth)
end

-- A value that is used again: out of the frame, or computed and put there.
local function shared(self, node, depth)
  local v = node.v
  if self.saved[v] then
    self:note(node)
    self.asm:load(8, register(depth), FRAME, -8 * self.saved[v].slot)
  else
    if v.scope ~= self.scope and not v.hoisted then
      v.hoisted, self.again = true, true
      v.scope.hoisted[#v.scope.hoisted + 1] = node
    end
    self:compute(node, depth)
    save(self, node, depth)
  end
  used(self, v)
end

-- Puts an integer into the register of a depth.
function generator:integer(node, depth)
  if node.v and node.v.kept then return shared(self, node, depth) end
  return self:compute(node, depth)
end

-- Computes both; returns their registers, the one of `depth` and another, in the order of a, b.
function generator:both(a, b, depth)
  local first, second = a, b
  if need(b) > need(a) then first, second = b, a end
  local one, other = register(depth), register(depth + 1)
  self:integer(first, depth)
  if depth < LAST then
    self:integer(second, depth + 1)
  else
    local slot = self:wait(first, depth)
    self:integer(second, depth)
    other = SECOND
    self.asm:mov(other, one)
    self.asm:load(8, one, FRAME, -8 * slot)
    self:release(slot)
  end
  if first == b then one, other = other, one end
  return one, other
end

-- ---- integers ----------------------------------------------------------------

function emit.const(self, node, depth)
  self:note(node)
  self.asm:mov(register(depth), node.value)
end

function emit.load(self, node, depth)
  local dst, base, offset = register(depth), node.of == "key" and KEY or VALUE, node.offset
  self:note(node)
  if offset > 0x7fff then -- an instruction's offset has 16 bits
    self.asm:mov(SCRATCH, base)
    self.asm:alu("add", SCRATCH, offset)
    base, offset = SCRATCH, 0
  end
  self.asm:load(node.size, dst, base, offset)
  if node.big then self.asm:be(dst, node.size * 8) end
end

function emit.slot(self, node, depth)
  self:note(node)
  self.asm:load(8, register(depth), PARAMS, 8 * node.index)
end

function emit.reduced(self, node, depth)
  self:note(node)
  self.asm:load(8, register(depth), PERCPU, 8 * node.index)
end

function emit.neg(self, node, depth)
  self:integer(node.args[1], depth)
  self:note(node)
  self.asm:neg(register(depth))
end

function emit.bnot(self, node, depth)
  self:integer(node.args[1], depth)
  self:note(node)
  self.asm:alu("xor", register(depth), -1)
end

local names = {
  ["+"] = "add", ["-"] = "sub", ["*"] = "mul", ["/"] = "div", ["%"] = "mod", ["&"] = "and",
  ["|"] = "or", ["~"] = "xor", ["<<"] = "lsh", [">>"] = "rsh", ["s>>"] = "arsh",
}

-- Jumps over the negation of a register that is not negative.
local function make_positive(self, r, sign)
  local label = {}
  self.asm:jump("s>=", sign or r, 0, label)
  self.asm:neg(r)
  self.asm:place(label)
end

-- BPF divides unsigned: the magnitudes are divided, and the result gets its sign. A quotient is
-- negative when the signs differ, a remainder has the sign of the dividend.
local function divide(self, node, a, b)
  local x, y = node.args[1], node.args[2]
  local by_sign = y.signed and type(b) == "string"
  local keep = x.signed or (by_sign and node.op == "/")
  if keep then self.asm:mov(SCRATCH, x.signed and a or b) end
  if x.signed and by_sign and node.op == "/" then self.asm:alu("xor", SCRATCH, b) end
  if x.signed then make_positive(self, a) end
  if by_sign then make_positive(self, b) end
  self.asm:alu(names[node.op], a, b)
  if keep then make_positive(self, a, SCRATCH) end
end

local function operate(self, node, a, b)
  if node.op == "/" or node.op == "%" then return divide(self, node, a, b) end
  local shifts = node.op == "<<" or node.op == ">>"
  if shifts and type(b) == "string" then self.asm:alu("and", b, 63) end
  self.asm:alu(names[node.op], a, b)
end

local function binary(self, node, depth)
  local a, b = node.args[1], node.args[2]
  local dst = register(depth)
  local divisor = node.op == "/" or node.op == "%"
  if immediate(b) and not (divisor and b.value < 0) then
    self:integer(a, depth)
    self:note(node)
    return operate(self, node, dst, b.value)
  end
  local left, right = self:both(a, b, depth)
  self:note(node)
  operate(self, node, left, right)
  if left ~= dst then self.asm:mov(dst, left) end
end

for op in pairs(names) do emit[op] = binary end

emit["if"] = function(self, node, depth)
  local otherwise, done, outer = {}, {}, self.scope
  self:branch(node.args[1], false, otherwise, depth)
  self:enter(node, 2, depth)
  self:integer(node.args[2], depth)
  self:leave(outer)
  self.asm:always(done)
  self.asm:place(otherwise)
  self:enter(node, 3, depth)
  self:integer(node.args[3], depth)
  self:leave(outer)
  self.asm:place(done)
end

generator.register = register

return generator
