-- SPDX-License-Identifier: MIT
--
-- The generator: instructions for core trees. It puts an integer into the register of
-- its depth, r0 to r3; the operand that needs more registers comes first, and when they
-- run out the first waits in the frame. r4 holds the second operand of an instruction
-- whose first came out of the frame, r5 is the scratch register within one step.
-- Conditions are in branch.lua.

local asm = require "luabpf.expr.asm"
local lexer = require "luabpf.expr.lexer"
local parser = require "luabpf.expr.parser"

local KEY <const>, VALUE <const>, PARAMS <const>, PERCPU <const> = "r6", "r7", "r8", "r9"
local FRAME <const>, SECOND <const>, SCRATCH <const> = "r10", "r4", "r5"
local LAST <const> = 3 -- registers of depths 0 to LAST

local MAX_WAITING <const> = 16 -- slots of the frame (LB_FRAME_SIZE)

local generator = {}
generator.__index = generator

local emit = {} -- by op: puts an integer into the register of a depth

--- A generator of a new fragment.
function generator.new()
  return setmetatable({ asm = asm.new(), waiting = 0 }, generator)
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
  if node.x then needs[#needs + 1] = need(node.x) end
  local together = #needs == 2 and not one_by_one[node.op] and not immediate(node.args[2])
  node.need = most(needs, 1) + (together and needs[1] == needs[2] and 1 or 0)
  return node.need
end

function generator:note(node)
  self.asm:note((parser.text_of(node.node):gsub("%s+", " ")))
end

function generator:integer(node, depth)
  emit[node.op](self, node, depth)
end

-- A slot of the frame, given back by self.waiting = self.waiting - 1.
function generator:wait(node, depth)
  if self.waiting == MAX_WAITING then
    fail(node.node, "the expression is too deep: more than 16 results would wait at once")
  end
  self.waiting = self.waiting + 1
  self.asm:store(FRAME, -8 * self.waiting, register(depth))
  return self.waiting
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
    self.waiting = self.waiting - 1
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

function emit.held(self, node, depth)
  self:note(node)
  self.asm:load(8, register(depth), FRAME, -8 * node.slot)
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
  local otherwise, done = {}, {}
  self:branch(node.args[1], false, otherwise, depth)
  self:integer(node.args[2], depth)
  self.asm:always(done)
  self.asm:place(otherwise)
  self:integer(node.args[3], depth)
  self.asm:place(done)
end

generator.register = register

return generator
