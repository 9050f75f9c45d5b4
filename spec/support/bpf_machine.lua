-- SPDX-License-Identifier: MIT
--
-- A BPF machine in Lua, for fragments: what the instructions mean, after
-- Documentation/bpf/standardization/instruction-set.rst of Linux, and the
-- contract of luabpf/lib/code/fragment.h, which it enforces: a load outside of what it
-- reads, a jump backwards or past the end, an instruction newer than Linux 5.15
-- raise.

local machine = {}

local U32 <const> = 0xffffffff
local FRAME <const> = 208 -- bytes (LB_FRAME_SIZE)

local function udiv(n, d)
  if d == 0 then return 0 end
  if d < 0 then return math.ult(n, d) and 0 or 1 end
  local q = n >= 0 and n // d or ((n >> 1) // d) << 1
  return not math.ult(n - q * d, d) and q + 1 or q
end

local function arsh(v, n)
  return v < 0 and ~(~v >> n) or v >> n
end

local alu = {
  [0x00] = function(a, b) return a + b end,
  [0x10] = function(a, b) return a - b end,
  [0x20] = function(a, b) return a * b end,
  [0x30] = udiv,
  [0x40] = function(a, b) return a | b end,
  [0x50] = function(a, b) return a & b end,
  [0x60] = function(a, b) return a << (b & 63) end,
  [0x70] = function(a, b) return a >> (b & 63) end,
  [0x80] = function(a) return -a end,
  [0x90] = function(a, b) return b == 0 and a or a - b * udiv(a, b) end,
  [0xa0] = function(a, b) return a ~ b end,
  [0xb0] = function(_, b) return b end,
  [0xc0] = function(a, b) return arsh(a, b & 63) end,
}

local jumps = {
  [0x00] = function() return true end,
  [0x10] = function(a, b) return a == b end,
  [0x20] = function(a, b) return math.ult(b, a) end,
  [0x30] = function(a, b) return not math.ult(a, b) end,
  [0x50] = function(a, b) return a ~= b end,
  [0x60] = function(a, b) return a > b end,
  [0x70] = function(a, b) return a >= b end,
  [0xa0] = function(a, b) return math.ult(a, b) end,
  [0xb0] = function(a, b) return not math.ult(b, a) end,
  [0xc0] = function(a, b) return a < b end,
  [0xd0] = function(a, b) return a <= b end,
}

local signs = { [0x60] = true, [0x70] = true, [0xc0] = true, [0xd0] = true }

local TABLES <const> = 2 -- BPF_PSEUDO_MAP_VALUE

local widths = { [0x00] = 4, [0x08] = 2, [0x10] = 1, [0x18] = 8 }

local function load(memory, offset, size)
  assert(offset >= 0 and offset + size <= #memory, "load outside")
  return (string.unpack("<I" .. size, memory, offset + 1))
end

-- Pointers are { memory, offset }; the frame is a table of slots.
local function load_from(base, off, size, frame)
  if base == frame then
    assert(size == 8 and off % 8 == 0 and off >= -FRAME and off < 0, "load outside the frame")
    return assert(frame[off], "load of an unwritten slot")
  end
  assert(type(base) == "table", "load from what is no pointer")
  return load(base[1], base[2] + off, size)
end

local function step_alu(r, code, dst, operand)
  local op = code & 0xf0
  if op == 0xd0 then
    assert(code == 0xdc and operand > 8, "only byte swaps of Linux 5.15")
    local bytes = string.pack("<i8", r[dst]):sub(1, operand // 8)
    r[dst] = string.unpack(">I" .. operand // 8, bytes)
  elseif type(operand) == "table" or (op ~= 0xb0 and type(r[dst]) == "table") then
    assert(op == 0xb0 or op == 0x00 and math.type(operand) == "integer", "arithmetic on a pointer")
    r[dst] = op == 0xb0 and operand or { r[dst][1], r[dst][2] + operand }
  else
    assert(code & 7 == 7, "32-bit arithmetic is not generated")
    assert(code & 8 ~= 0 or (op ~= 0x30 and op ~= 0x90) or operand ~= 0, "division by constant 0")
    assert((op ~= 0x60 and op ~= 0x70) or not math.ult(63, operand), "shift out of range")
    r[dst] = alu[op](r[dst], operand)
  end
end

local function jumps_to(r, code, dst, operand)
  local a = r[dst]
  if code & 7 == 6 then
    assert(signs[code & 0xf0] == nil, "signed 32-bit jumps are not generated")
    a, operand = a & U32, operand & U32
  end
  return jumps[code & 0xf0](a, operand)
end

--- Runs a fragment.
-- @tparam string code
-- @tparam table env key, value, params, slots, tables: strings
-- @treturn integer r0
-- @treturn table the indexes of the instructions that ran
function machine.run(code, env)
  local frame, n, pc, ran = {}, #code // 8, 0, {}
  local r = {
    [6] = { env.key or "", 0 }, [7] = env.value and { env.value, 0 }, [8] = { env.params or "", 0 },
    [9] = { env.slots or "", 0 }, [10] = frame,
  }
  while pc < n do
    local op, registers, off, imm = string.unpack("<I1I1i2i4", code, pc * 8 + 1)
    local dst, src, class = registers & 15, registers >> 4, op & 7
    ran[#ran + 1] = pc
    assert(class == 3 or class >= 5 or dst <= 5, "write to r6 to r10")
    pc = pc + 1
    if op == 0x18 and src == TABLES then
      assert(imm == 0, "no such tables")
      r[dst] = { env.tables or "", (string.unpack("<i4", code, pc * 8 + 5)) }
      pc = pc + 1
    elseif op == 0x18 then
      r[dst] = (imm & U32) | string.unpack("<i4", code, pc * 8 + 5) << 32
      pc = pc + 1
    elseif class == 1 then
      r[dst] = load_from(r[src], off, widths[op & 0x18], frame)
    elseif class == 3 then
      assert(dst == 10 and op == 0x7b and off % 8 == 0 and off >= -FRAME and off < 0, "bad store")
      frame[off] = assert(math.tointeger(r[src]))
    elseif class == 4 or class == 7 then
      step_alu(r, op, dst, op & 8 ~= 0 and op ~= 0xdc and r[src] or imm)
    else
      assert(off >= 0 and pc + off <= n, "jump that is not forward and inside")
      if jumps_to(r, op, dst, op & 8 ~= 0 and r[src] or imm) then pc = pc + off end
    end
  end
  assert(pc == n, "ends past its end")
  return math.tointeger(r[0]), ran
end

--- The index of an instruction that no path reaches; nil if there is none.
function machine.unreachable(code)
  local n, reached, pc = #code // 8, { [0] = true }, 0
  while pc < n do
    if not reached[pc] then return pc end
    local op, _, off = string.unpack("<I1I1i2", code, pc * 8 + 1)
    local jump = op & 7 == 5 or op & 7 == 6
    local step = op == 0x18 and 2 or 1
    if jump then reached[pc + 1 + off] = true end
    if op ~= 0x05 then reached[pc + step] = true end
    pc = pc + step
  end
  return nil
end

return machine
