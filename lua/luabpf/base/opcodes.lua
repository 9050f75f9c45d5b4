-- SPDX-License-Identifier: MIT

--- What is known of Lua 5.4's instructions, all in one table, in the order of their
-- numbers (lopcodes.h of 5.4.0 to 5.4.8): the name, which registers an instruction
-- reads and sets, and which instructions may follow it.
--
-- Registers are written "a", "b", "c": the one that the argument names; "a:2" is a and
-- the two behind it, "a:b" a and as many as b says; "c?" is c unless the k bit says that
-- it is a constant. How the rest is counted is in the functions of `special`.
--
-- @module luabpf.base.opcodes

local opcodes = {}

-- name, reads, sets, what follows: steps from the instruction (1 if left out).
local LIST <const> = {
  { "MOVE", "b", "a" }, { "LOADI", "", "a" }, { "LOADF", "", "a" }, { "LOADK", "", "a" },
  { "LOADKX", "", "a", { 2 } }, { "LOADFALSE", "", "a" }, { "LFALSESKIP", "", "a", { 2 } },
  { "LOADTRUE", "", "a" }, { "LOADNIL", "", "a:b" },
  { "GETUPVAL", "", "a" }, { "SETUPVAL", "a", "" },
  { "GETTABUP", "", "a" }, { "GETTABLE", "b c", "a" }, { "GETI", "b", "a" },
  { "GETFIELD", "b", "a" },
  { "SETTABUP", "c?", "" }, { "SETTABLE", "a b c?", "" }, { "SETI", "a c?", "" },
  { "SETFIELD", "a c?", "" },
  { "NEWTABLE", "", "a", { 2 } }, { "SELF", "b c?", "a:1" }, { "ADDI", "b", "a", { 2 } },
  { "ADDK", "b", "a", { 2 } }, { "SUBK", "b", "a", { 2 } }, { "MULK", "b", "a", { 2 } },
  { "MODK", "b", "a", { 2 } }, { "POWK", "b", "a", { 2 } }, { "DIVK", "b", "a", { 2 } },
  { "IDIVK", "b", "a", { 2 } }, { "BANDK", "b", "a", { 2 } }, { "BORK", "b", "a", { 2 } },
  { "BXORK", "b", "a", { 2 } }, { "SHRI", "b", "a", { 2 } }, { "SHLI", "b", "a", { 2 } },
  { "ADD", "b c", "a", { 2 } }, { "SUB", "b c", "a", { 2 } }, { "MUL", "b c", "a", { 2 } },
  { "MOD", "b c", "a", { 2 } }, { "POW", "b c", "a", { 2 } }, { "DIV", "b c", "a", { 2 } },
  { "IDIV", "b c", "a", { 2 } }, { "BAND", "b c", "a", { 2 } }, { "BOR", "b c", "a", { 2 } },
  { "BXOR", "b c", "a", { 2 } }, { "SHL", "b c", "a", { 2 } }, { "SHR", "b c", "a", { 2 } },
  { "MMBIN", "", "" }, { "MMBINI", "", "" }, { "MMBINK", "", "" },
  { "UNM", "b", "a" }, { "BNOT", "b", "a" }, { "NOT", "b", "a" }, { "LEN", "b", "a" },
  { "CONCAT", "list", "a" }, { "CLOSE", "", "" }, { "TBC", "a", "" }, { "JMP", "", "", {} },
  { "EQ", "a b", "", { 1, 2 } }, { "LT", "a b", "", { 1, 2 } }, { "LE", "a b", "", { 1, 2 } },
  { "EQK", "a", "", { 1, 2 } }, { "EQI", "a", "", { 1, 2 } }, { "LTI", "a", "", { 1, 2 } },
  { "LEI", "a", "", { 1, 2 } }, { "GTI", "a", "", { 1, 2 } }, { "GEI", "a", "", { 1, 2 } },
  { "TEST", "a", "", { 1, 2 } }, { "TESTSET", "b", "", { 1, 2 } },
  { "CALL", "call", "called" }, { "TAILCALL", "call", "called" },
  { "RETURN", "results", "", {} }, { "RETURN0", "", "", {} }, { "RETURN1", "a", "", {} },
  { "FORLOOP", "a:2", "a:3", { 1 } }, { "FORPREP", "a:2", "a:3", { 1 } },
  { "TFORPREP", "a:2", "", {} }, { "TFORCALL", "a:2", "iterated" },
  { "TFORLOOP", "a:1 a+4", "a+2", { 1 } }, { "SETLIST", "a", "" }, { "CLOSURE", "", "a" },
  { "VARARG", "", "varargs" }, { "VARARGPREP", "", "" }, { "EXTRAARG", "", "" },
}

-- The names, by number from 0.
opcodes.names = {}
-- By name.
opcodes.by_name = {}
for i, one in ipairs(LIST) do
  opcodes.names[i - 1] = one[1]
  opcodes.by_name[one[1]] = one
end

-- The bits for the registers from one to another.
function opcodes.bits(from, to)
  local set = 0
  for r = from, to do set = set | 1 << r end
  return set
end

local bits = opcodes.bits

-- Sets of registers that no argument names, by p (the prototype) and i (the instruction).
local special = {
  list = function(_, i) return bits(i.a, i.a + i.b - 1) end,
  call = function(p, i) return bits(i.a, i.b == 0 and p.stack - 1 or i.a + i.b - 1) end,
  -- A call leaves nothing in the registers above its function.
  called = function(p, i)
    return bits(i.a, p.stack - 1) & ~bits(i.a, i.b == 0 and p.stack - 1 or i.a + i.b - 1)
  end,
  results = function(p, i) return bits(i.a, i.b == 0 and p.stack - 1 or i.a + i.b - 2) end,
  iterated = function(_, i) return bits(i.a + 4, i.a + 3 + i.c) end,
  varargs = function(p, i) return bits(i.a, i.c == 0 and p.stack - 1 or i.a + i.c - 2) end,
}

-- function(p, i) to the registers of one word.
local function reader(word)
  if special[word] then return special[word] end
  local name, op, more = word:match "^([abc])([:+?]?)(%w*)$"
  local n = tonumber(more)
  if op == ":" then return function(_, i) return bits(i[name], i[name] + (n or i[more])) end end
  if op == "+" then return function(_, i) return 1 << i[name] + n end end
  if op == "?" then return function(_, i) return i.k == 0 and 1 << i[name] or 0 end end
  return function(_, i) return 1 << i[name] end
end

-- The same of several.
local function readers(text)
  local list = {}
  for word in text:gmatch "%S+" do list[#list + 1] = reader(word) end
  return list
end

for _, one in ipairs(LIST) do one[2], one[3] = readers(one[2]), readers(one[3]) end

local function registers(p, i, list)
  local set = 0
  for n = 1, #list do set = set | list[n](p, i) end
  return set
end

-- Where instructions lead that jump.
local jumps = {
  JMP = function(i) return 1 + i.sj end,
  FORPREP = function(i) return i.bx + 2 end,
  FORLOOP = function(i) return 1 - i.bx end,
  TFORPREP = function(i) return 1 + i.bx end,
  TFORLOOP = function(i) return 1 - i.bx end,
}

local ONE <const> = { 1 }

-- What an instruction reads and sets, as bits, and the places of those that may follow it.
-- @tparam table p a prototype of bytecode.lua
-- @tparam integer pc from 1
function opcodes.flow(p, pc)
  local i = p.code[pc]
  local known, after = opcodes.by_name[i.op], {}
  for n, step in ipairs(known[4] or ONE) do after[n] = pc + step end
  if jumps[i.op] then after[#after + 1] = pc + jumps[i.op](i) end
  return registers(p, i, known[2]), registers(p, i, known[3]), after
end

return opcodes
