-- SPDX-License-Identifier: MIT
--
-- The compiler: the tree of an expression to a fragment, a run of BPF
-- instructions that luabpf/lib/code/fragment.h defines (r6 key, r7 value, r8 parameters,
-- r9 per-CPU slots, result in r0; no instruction newer than Linux 5.15).
--
-- HOW IT WORKS. lower.lua leaves integers and conditions. An integer is
-- computed into the register of its depth, r0 to r3; the operand that needs more
-- registers comes first, and when they run out the first waits in the frame. A
-- condition is no value but a jump: branch(node, sense, label) goes to the label
-- if the condition is as sense says and falls through otherwise. r4 holds the
-- second operand of an instruction whose first came out of the frame, r5 is the
-- scratch register within one step.

local asm = require "luabpf.expr.asm"
local expr = require "luabpf.expr.parse"
local literal = require "luabpf.expr.literal"
local lexer = require "luabpf.expr.lexer"
local lower = require "luabpf.expr.lower"

local compile = {}

local KEY <const>, VALUE <const>, PARAMS <const>, PERCPU <const> = "r6", "r7", "r8", "r9"
local FRAME <const>, SECOND <const>, SCRATCH <const> = "r10", "r4", "r5"
local LAST <const> = 3 -- registers of depths 0 to LAST

local MAX_WAITING <const> = 16 -- slots of the frame (LB_FRAME_SIZE)
local MAX_INSTRUCTIONS <const> = 16384 -- LB_MAX_FRAGMENT
local MAX_PERCPU <const> = 32 -- LB_MAX_REDUCTIONS
local MAX_PARAMS <const> = 2048 -- LB_MAX_PARAMS

local generator = {}
generator.__index = generator

local emit = {} -- by op: puts an integer into the register of a depth
local branches = {} -- by op: jumps on a condition

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
  self.asm:note(lower.text(node))
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

-- ---- conditions --------------------------------------------------------------

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
  for i = 1, #node.args - 1 do self:branch(node.args[i], decisive, past or label, depth) end
  self:branch(node.args[#node.args], sense, label, depth)
  if past then self.asm:place(past) end
end

branches["and"] = chain
branches["or"] = chain

branches["if"] = function(self, node, sense, label, depth)
  local otherwise, done = {}, {}
  self:branch(node.args[1], false, otherwise, depth)
  self:branch(node.args[2], sense, label, depth)
  self.asm:always(done)
  self.asm:place(otherwise)
  self:branch(node.args[3], sense, label, depth)
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
local function in_constants(self, node, sense, label, depth)
  local past = {}
  self:integer(node.x, depth)
  for i, value in ipairs(node.values) do
    self:note(value)
    if i == #node.values and not sense then
      self:jump_const("~=", register(depth), node.x, value.value, label)
    else
      self:jump_const("==", register(depth), node.x, value.value, sense and label or past)
    end
  end
  self.asm:place(past)
end

-- The left side in the frame, compared with anything.
local function in_held(self, node, sense, label, depth)
  self:integer(node.x, depth)
  node.held.slot = self:wait(node.x, depth)
  chain(self, { op = "or", args = node.args }, sense, label, depth)
  self.waiting = self.waiting - 1
end

branches["in"] = function(self, node, ...)
  return (node.values and in_constants or in_held)(self, node, ...)
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
  self:branch(node, false, done, 1)
  self.asm:note("true")
  self.asm:mov("r0", 1)
  self.asm:place(done)
end

-- ---- fragments ---------------------------------------------------------------

local function slots(params)
  local last = params[#params]
  return last and last.slot + last.slots or 0
end

local function check_limits(ast, context, n)
  if n > MAX_INSTRUCTIONS then
    fail(ast, ("the expression is too large: %d instructions, at most %d")
      :format(n, MAX_INSTRUCTIONS))
  elseif #context.percpu > MAX_PERCPU then
    fail(ast, ("more than %d fields are read over CPUs"):format(MAX_PERCPU))
  elseif slots(context.params) > MAX_PARAMS then
    fail(ast, ("the parameters take more than %d slots"):format(MAX_PARAMS))
  end
end

local function context_of(env, shared)
  shared = shared or {}
  shared.params, shared.percpu = shared.params or {}, shared.percpu or {}
  return { env = env, params = shared.params, percpu = shared.percpu }
end

local function generate(ast, core, kind, context)
  local self = setmetatable({ asm = asm.new(), waiting = 0 }, generator)
  if kind == "condition" then
    self:result(core)
  else
    self:integer(core, 0)
  end
  check_limits(ast, context, self.asm.n)
  local code, listing = self.asm:assemble()
  return {
    code = code, n = self.asm.n, kind = kind, params = context.params, percpu = context.percpu,
    comparisons = self.asm.conditional, listing = listing,
  }
end

--- Compiles an expression that is an integer or a condition.
-- @tparam table ast from expr.parse
-- @tparam table env the env it was parsed with
-- @tparam[opt] table shared `params` and `percpu`, lists that the fragments of one query have in
--   common; they are made and added to
-- @treturn table `code` (packed instructions), `n` (how many), `kind` ("condition", "signed",
--   "unsigned"), `params` ({ name, kind, slot, slots, ... } each), `percpu` (reductions, as struct
--   lb_reduction in fragment.h), `comparisons` (conditional jumps), `listing` ({ index, text,
--   part } each). Raises "expression:LINE:COLUMN: ..." when the expression cannot be compiled
function compile.fragment(ast, env, shared)
  if ast.kind == "raw" then
    fail(ast, ("%s is neither an integer nor a condition"):format(expr.text(ast)))
  end
  local context = context_of(env, shared)
  return generate(ast, lower.expression(ast, context), ast.kind, context)
end

--- Compiles a column: an expression of any kind.
-- @treturn table list of fragments, each giving one u64: the result; or, of text, an address or
--   another field that is no integer, its bytes, eight at a time, the first in the lowest byte
-- @treturn[opt] table the description of the field whose bytes they are; of an enum too, with
--   one fragment. nil for other integers and for conditions
function compile.column(ast, env, shared)
  if ast.kind ~= "raw" then
    return { compile.fragment(ast, env, shared) }, ast.op == "field" and ast.enum or nil
  end
  local context, list = context_of(env, shared), {}
  for offset = 0, ast.desc.size - 1, 8 do
    local core = lower.bytes(ast, context, offset, math.min(8, ast.desc.size - offset))
    list[#list + 1] = generate(ast, core, "unsigned", context)
  end
  return list, ast.desc
end

--- The instructions as text: index, instruction, and the part of the expression that it and the
-- following ones are for.
function compile.listing(fragment)
  local lines, width, part = {}, 0, nil
  for _, line in ipairs(fragment.listing) do width = math.max(width, #line[2]) end
  for i, line in ipairs(fragment.listing) do
    local beside = line[3] ~= part and line[3] or ""
    local text = ("%4d  %-" .. width .. "s  %s"):format(line[1], line[2], beside)
    lines[i], part = text:gsub(" +$", "") .. "\n", line[3]
  end
  return table.concat(lines)
end

-- ---- values of parameters ----------------------------------------------------

local function bad_param(param, reason)
  error(("params.%s: %s"):format(param.name, reason), 0)
end

local function pack_pattern(param, value)
  if type(value) ~= "string" then
    bad_param(param, ("text expected, got %s"):format(type(value)))
  end
  local pattern, reason = literal.pattern(param.desc, value, param.within)
  if not pattern then bad_param(param, reason) end
  local packed = { lower.has_length(param) and string.pack("<I8", pattern.length) or nil }
  for _, part in ipairs(lower.parts(param.desc.size)) do
    for _, bytes in ipairs { pattern.bytes, lower.masked(param) and pattern.mask or nil } do
      local chunk = bytes:sub(part[1] + 1, part[1] + part[2])
      packed[#packed + 1] = chunk .. ("\0"):rep(8 - part[2])
    end
  end
  return table.concat(packed)
end

local function pack_integer(param, value)
  local n, reason
  if param.kind == "enum" and type(value) == "string" then
    n, reason = literal.enumerator(param.desc, value)
  else
    n, reason = literal.quantity(value)
  end
  if not n then bad_param(param, reason) end
  return string.pack("<i8", n)
end

local function pack_bool(param, value)
  if type(value) ~= "boolean" then
    bad_param(param, ("true or false expected, got %s"):format(type(value)))
  end
  return string.pack("<i8", value and 1 or 0)
end

local function pack_param(param, value)
  if value == nil then bad_param(param, "missing") end
  if param.kind == "bool" then return pack_bool(param, value) end
  return (literal.has_pattern(param) and pack_pattern or pack_integer)(param, value)
end

local function check_names(params, values)
  local known, list = {}, {}
  for _, param in ipairs(params) do
    if param.kind ~= "clock" then
      known[param.name], list[#list + 1] = true, param.name
    end
  end
  for name in pairs(values) do
    if not known[name] then
      name = tostring(name)
      error(("params.%s: no such parameter%s"):format(name, literal.suggest(name, list)), 0)
    end
  end
end

--- The slots of the parameters, for one run.
-- @tparam table params of a fragment, or shared by several
-- @tparam[opt] table values name = integer, text such as "30s", an address, a name, a boolean, as
--   the place it is used at wants; raises "params.NAME: ..." when one is missing, unknown or unfit
-- @tparam integer now
-- @tparam integer boottime ns, what `now` and `boottime` are
-- @treturn string u64 slots
function compile.pack_params(params, values, now, boottime)
  local packed, clock = {}, { now = now, boottime = boottime }
  values = values or {}
  check_names(params, values)
  for i, param in ipairs(params) do
    packed[i] = param.kind == "clock" and string.pack("<i8", clock[param.name])
      or pack_param(param, values[param.name])
  end
  return table.concat(packed)
end

return compile
