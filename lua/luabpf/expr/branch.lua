-- SPDX-License-Identifier: MIT
--
-- Conditions in code. A condition is no value but a jump: branch(node, sense, label)
-- goes to the label if the condition is as sense says and falls through otherwise. The
-- methods here are the generator's.

local asm = require "luabpf.expr.asm"
local generator = require "luabpf.expr.generator"

local register = generator.register
local SCRATCH <const> = "r5"

local branches = {} -- by op: jumps on a condition
generator.branches = branches

local inverse = {
  ["=="] = "~=", ["~="] = "==", ["<"] = ">=", [">="] = "<", [">"] = "<=", ["<="] = ">",
}

-- Jumps to the label if the condition is as sense says; computes from the register of depth on.
function generator:branch(node, sense, label, depth)
  branches[node.op](self, node, sense, label, depth)
end

branches["not"] = function(self, node, sense, label, depth)
  self:branch(node.args[1], not sense, label, depth)
end

-- Each arg may decide at once: `or` when one holds, `and` when one does not.
local function chain(self, node, sense, label, depth)
  local decisive = node.op == "or"
  local past = sense ~= decisive and {} or nil
  local outer = self.scope
  for i = 1, #node.args - 1 do
    self:enter(node, i, depth)
    self:branch(node.args[i], decisive, past or label, depth)
  end
  self:enter(node, #node.args, depth)
  self:branch(node.args[#node.args], sense, label, depth)
  self:leave(outer)
  if past then self.asm:place(past) end
end

branches["and"] = chain
branches["or"] = chain

branches["if"] = function(self, node, sense, label, depth)
  local otherwise, done, outer = {}, {}, self.scope
  self:branch(node.args[1], false, otherwise, depth)
  self:enter(node, 2, depth)
  self:branch(node.args[2], sense, label, depth)
  self:leave(outer)
  self.asm:always(done)
  self.asm:place(otherwise)
  self:enter(node, 3, depth)
  self:branch(node.args[3], sense, label, depth)
  self:leave(outer)
  self.asm:place(done)
end

-- Whether a node is below 2^32 without a sign.
local function is_narrow(node)
  return node.op == "load" and node.size <= 4
end

-- Jumps if the register's value, which is x's, compares so with the constant.
function generator:jump_const(op, r, x, value, label)
  if asm.fits(value) then
    self:jump(op, x.signed, r, value, label)
  elseif is_narrow(x) and value >= 0 and value <= 0xffffffff then
    self.asm:jump(op, r, value, label, true)
  else
    self.asm:mov(SCRATCH, value)
    self:jump(op, x.signed, r, SCRATCH, label)
  end
end

function generator:jump(op, signed, a, b, label)
  local ordered = op ~= "==" and op ~= "~="
  self.asm:jump(signed and ordered and "s" .. op or op, a, b, label)
end

-- a is signed and b is not. A negative a is below any b, else the bits compare.
function generator:jump_mixed(op, a, b, label)
  if op == "<" or op == "<=" or op == "~=" then
    self.asm:jump("s<", a, 0, label)
    self.asm:jump(op, a, b, label)
  else
    local past = {}
    self.asm:jump("s<", a, 0, past)
    self.asm:jump(op, a, b, label)
    self.asm:place(past)
  end
end

local function compare(self, node, sense, label, depth)
  local op, a, b = sense and node.op or inverse[node.op], node.args[1], node.args[2]
  if b.op == "const" then
    self:integer(a, depth)
    self:note(node)
    return self:jump_const(op, register(depth), a, b.value, label)
  end
  local left, right = self:both(a, b, depth)
  self:note(node)
  if node.mixed then return self:jump_mixed(op, left, right, label) end
  self:jump(op, a.signed, left, right, label)
end

for op in pairs(inverse) do branches[op] = compare end

-- The left side in a register, compared with constants.
branches["in"] = function(self, node, sense, label, depth)
  local past, x = {}, node.args[1]
  self:integer(x, depth)
  for i, value in ipairs(node.values) do
    self:note(value)
    if i == #node.values and not sense then
      self:jump_const("~=", register(depth), x, value.value, label)
    else
      self:jump_const("==", register(depth), x, value.value, sense and label or past)
    end
  end
  self.asm:place(past)
end

-- The result of a whole condition: 0 in r0 until it is known to hold.
function generator:result(node)
  if node.op == "truth" then
    self:note(node)
    return self.asm:mov("r0", node.value and 1 or 0)
  end
  local done = {}
  self.asm:note("false")
  self.asm:mov("r0", 0)
  self:enter(node, 0, 1)
  self:branch(node, false, done, 1)
  self.asm:note("true")
  self.asm:mov("r0", 1)
  self.asm:place(done)
end

return generator
