-- SPDX-License-Identifier: MIT
--
-- A small assembler for BPF: instructions are appended one by one, jumps go
-- forward to labels that are placed later, and assemble() gives the packed code
-- and a listing. Registers are the strings "r0" to "r10"; an operand that is
-- not a register is an integer. Integers that do not fit the instruction's 32
-- bits are the caller's concern, except in mov, which has a long form.
--
-- Encoding: Documentation/bpf/standardization/instruction-set.rst (Linux).

local asm = {}
asm.__index = asm

-- Classes, and bits beside them.
local LDX <const>, STX <const>, ALU <const> = 1, 3, 4
local JMP <const>, JMP32 <const>, ALU64 <const> = 5, 6, 7
local PSEUDO_MAP_VALUE <const> = 2 -- BPF_PSEUDO_MAP_VALUE
local MEM <const>, REGISTER <const>, LDDW <const> = 0x60, 0x08, 0x18

-- operation = { code, what the listing writes }
local alu = {
  add = { 0x00, "+=" }, sub = { 0x10, "-=" }, mul = { 0x20, "*=" }, div = { 0x30, "/=" },
  ["or"] = { 0x40, "|=" }, ["and"] = { 0x50, "&=" }, lsh = { 0x60, "<<=" }, rsh = { 0x70, ">>=" },
  mod = { 0x90, "%=" }, xor = { 0xa0, "^=" }, mov = { 0xb0, "=" }, arsh = { 0xc0, "s>>=" },
}
local jumps = {
  ["=="] = 0x10, [">"] = 0x20, [">="] = 0x30, ["~="] = 0x50, ["s>"] = 0x60, ["s>="] = 0x70,
  ["<"] = 0xa0, ["<="] = 0xb0, ["s<"] = 0xc0, ["s<="] = 0xd0,
}
local sizes = {
  [1] = { 0x10, "u8" }, [2] = { 0x08, "u16" }, [4] = { 0x00, "u32" }, [8] = { 0x18, "u64" },
}

-- An empty program. `conditional` counts its conditional jumps.
function asm.new()
  return setmetatable({ list = {}, n = 0, conditional = 0, part = "" }, asm)
end

-- Whether n can stand in an instruction, which has 32 bits and extends their sign.
function asm.fits(n)
  return n >= -0x80000000 and n <= 0x7fffffff
end

local function number(register)
  return tonumber(register:sub(2))
end

-- fields: code, dst, src, off, imm, text, label, high (second half of a long immediate).
local function append(self, fields)
  fields.at, fields.part, fields.line = self.n, self.part, self.line
  self.n = self.n + (fields.high and 2 or 1)
  self.list[#self.list + 1] = fields
end

-- An instruction whose second operand is a register or an integer.
local function append_operand(self, fields, operand)
  if type(operand) == "string" then
    fields.code, fields.src = fields.code | REGISTER, number(operand)
  else
    fields.imm = operand
  end
  append(self, fields)
end

-- What the following instructions are for: the text beside them in the listing. The field `line`
-- stands in the listing too.
function asm:note(part)
  self.part = part
end

-- dst = dst op operand, on 64 bits. Division is unsigned.
function asm:alu(op, dst, operand)
  append_operand(self, {
    code = alu[op][1] | ALU64, dst = number(dst),
    text = ("%s %s %s"):format(dst, alu[op][2], operand),
  }, operand)
end

function asm:mov(dst, operand)
  if type(operand) == "string" or asm.fits(operand) then return self:alu("mov", dst, operand) end
  append(self, {
    code = LDDW, dst = number(dst), imm = operand & 0xffffffff, high = operand >> 32,
    text = ("%s = %d ll"):format(dst, operand),
  })
end

-- dst = the address of a byte of the fragment's tables (fragment.h).
function asm:table(dst, offset)
  append(self, {
    code = LDDW, dst = number(dst), src = PSEUDO_MAP_VALUE, imm = 0, high = offset,
    text = ("%s = tables %+d"):format(dst, offset),
  })
end

function asm:neg(dst)
  append(self, { code = 0x80 | ALU64, dst = number(dst), text = ("%s = -%s"):format(dst, dst) })
end

-- The low `bits` (16, 32 or 64) of dst from big-endian; the rest becomes zero.
function asm:be(dst, bits)
  append(self, {
    code = 0xd0 | REGISTER | ALU, dst = number(dst), imm = bits,
    text = ("%s = be%d %s"):format(dst, bits, dst),
  })
end

-- dst = the `size` (1, 2, 4, 8) bytes at base + off, zero-extended.
function asm:load(size, dst, base, off)
  append(self, {
    code = sizes[size][1] | MEM | LDX, dst = number(dst), src = number(base), off = off,
    text = ("%s = *(%s *)(%s %+d)"):format(dst, sizes[size][2], base, off),
  })
end

-- The 8 bytes at base + off = src.
function asm:store(base, off, src)
  append(self, {
    code = 0x18 | MEM | STX, dst = number(base), src = number(src), off = off,
    text = ("*(u64 *)(%s %+d) = %s"):format(base, off, src),
  })
end

-- Jumps to the label if dst op operand; `narrow` compares the low 32 bits only (Linux 5.1).
-- op: == ~= < <= > >=, with an s before it for signed operands.
function asm:jump(op, dst, operand, label, narrow)
  self.conditional = self.conditional + 1
  local left, right = dst, operand
  if narrow then left, right = dst:gsub("r", "w"), tostring(operand):gsub("r", "w") end
  append_operand(self, {
    code = jumps[op] | (narrow and JMP32 or JMP), dst = number(dst), label = label,
    text = ("if %s %s %s goto "):format(left, op == "~=" and "!=" or op, right),
  }, operand)
end

function asm:always(label)
  append(self, { code = JMP, label = label, text = "goto " })
end

function asm:place(label)
  label.at = self.n
end

-- 32 bits as the signed integer string.pack wants.
local function imm32(n)
  return ((n & 0xffffffff) ~ 0x80000000) - 0x80000000
end

local function encode(fields)
  local code = string.pack("<I1I1i2i4", fields.code, (fields.src or 0) << 4 | (fields.dst or 0),
    fields.off or 0, imm32(fields.imm or 0))
  return fields.high and code .. string.pack("<I4i4", 0, imm32(fields.high)) or code
end

-- Ends the program, which is shorter than 32768 instructions, as far as a jump reaches.
-- @treturn string 8 bytes per instruction (a long immediate is two)
-- @treturn table the listing: { index, text, part, line } each
function asm:assemble()
  local code, listing = {}, {}
  for i, fields in ipairs(self.list) do
    local text = fields.text
    if fields.label then
      fields.off, text = fields.label.at - fields.at - 1, text .. fields.label.at
    end
    code[i], listing[i] = encode(fields), { fields.at, text, fields.part, fields.line }
  end
  return table.concat(code), listing
end

return asm
