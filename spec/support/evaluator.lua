-- SPDX-License-Identifier: MIT
--
-- What an expression means, computed from its tree in the plainest way, for
-- comparison with compiled fragments. It shares nothing with the compiler but the
-- rows of functions, which say what they mean: it reads fields by string.unpack or
-- bit by bit, divides by hand, and writes addresses as text to compare them.

local functions = require "luabpf.expr.functions"

local evaluator = {}

local eval = {}

local function value_of(node, entry)
  local rule = eval[node.op] or functions[node.op].run
  return rule(node, entry, value_of)
end

-- ---- numbers -----------------------------------------------------------------

local function is_negative(a, kind)
  return kind == "signed" and a < 0
end

-- By the values: negative ones first, then by magnitude.
local function less(a, a_kind, b, b_kind)
  local an, bn = is_negative(a, a_kind), is_negative(b, b_kind)
  if an ~= bn then return an end
  return math.ult(a, b)
end

-- Unsigned long division, bit by bit.
local function long_division(n, d)
  local q, r = 0, 0
  for i = 63, 0, -1 do
    local carry = r < 0
    r = r << 1 | (n >> i & 1)
    if carry or not math.ult(r, d) then q, r = q | 1 << i, r - d end
  end
  return q, r
end

local function divide(a, a_kind, b, b_kind)
  if b == 0 then return 0, a end
  local an, bn = is_negative(a, a_kind), is_negative(b, b_kind)
  local q, r = long_division(an and -a or a, bn and -b or b)
  return an ~= bn and -q or q, an and -r or r
end

local function number_operator(op, compute)
  eval[op] = function(node, entry)
    local a, b = node.args[1], node.args[2]
    return compute(value_of(a, entry), value_of(b, entry), a.kind, b.kind)
  end
end

number_operator("+", function(a, b) return a + b end)
number_operator("-", function(a, b) return a - b end)
number_operator("*", function(a, b) return a * b end)
number_operator("&", function(a, b) return a & b end)
number_operator("|", function(a, b) return a | b end)
number_operator("~", function(a, b) return a ~ b end)
number_operator("<<", function(a, b) return a << (b % 64) end)
number_operator(">>", function(a, b) return a >> (b % 64) end)
number_operator("/", function(a, b, ak, bk) return (divide(a, ak, b, bk)) end)
number_operator("//", function(a, b, ak, bk) return (divide(a, ak, b, bk)) end)
number_operator("%", function(a, b, ak, bk) return select(2, divide(a, ak, b, bk)) end)
number_operator("<", function(a, b, ak, bk) return less(a, ak, b, bk) end)
number_operator(">", function(a, b, ak, bk) return less(b, bk, a, ak) end)
number_operator("<=", function(a, b, ak, bk) return not less(b, bk, a, ak) end)
number_operator(">=", function(a, b, ak, bk) return not less(a, ak, b, bk) end)

function eval.number(node) return node.value end
function eval.boolean(node) return node.value end
function eval.clock(node, entry) return entry[node.name] end
function eval.neg(node, entry) return -value_of(node.args[1], entry) end
function eval.bnot(node, entry) return ~value_of(node.args[1], entry) end

-- ---- logic -------------------------------------------------------------------

eval["not"] = function(node, entry) return not value_of(node.args[1], entry) end

eval["and"] = function(node, entry)
  for _, arg in ipairs(node.args) do
    if not value_of(arg, entry) then return false end
  end
  return true
end

eval["or"] = function(node, entry)
  for _, arg in ipairs(node.args) do
    if value_of(arg, entry) then return true end
  end
  return false
end

-- ---- fields ------------------------------------------------------------------

-- Bits [bit, bit + bits) of the little-endian bytes, one by one.
local function read_bits(raw, bit, bits, signed)
  local v = 0
  for i = bits - 1, 0, -1 do
    local at = bit + i
    local one = raw:byte(at // 8 + 1) >> at % 8 & 1
    if i == bits - 1 and signed and one == 1 then v = -1 end
    v = v << 1 | one
  end
  return v
end

local function read_integer(node, raw)
  local desc = node.desc
  if node.bits then return read_bits(raw, node.bit, node.bits, desc.signed) end
  local format = (desc.big and ">" or "<") .. (desc.signed and "i" or "I") .. desc.size
  return (string.unpack(format, raw, node.bit // 8 + 1))
end

local over = {
  sum = function(a, b) return a + b end,
  max = function(a, b, kind) return less(a, kind, b, kind) and b or a end,
  min = function(a, b, kind) return less(b, kind, a, kind) and b or a end,
}

local function reduce(node, values)
  local kind = node.desc.signed and "signed" or "unsigned"
  local all = read_integer(node, values[1])
  for i = 2, #values do all = over[node.reduce](all, read_integer(node, values[i]), kind) end
  return all
end

-- The bytes that a field is read from.
local function bytes_of(node, entry)
  local raw = entry[node.of]
  return node.reduce == "cpu" and raw[node.cpu] or raw
end

function eval.field(node, entry)
  local number
  if node.reduce and node.reduce ~= "cpu" then
    number = reduce(node, entry.value)
  else
    number = read_integer(node, bytes_of(node, entry))
  end
  if node.kind == "condition" then return number ~= 0 end
  return number
end

-- ---- parameters --------------------------------------------------------------

function eval.param(node, entry)
  local value = entry.params[node.name]
  if node.param.kind == "enum" and type(value) == "string" then
    for _, known in ipairs(node.param.desc.values) do
      if known.name == value then return known.value end
    end
  end
  return value
end

-- ---- text and addresses ------------------------------------------------------

local function ipv4_text(raw)
  return ("%d.%d.%d.%d"):format(raw:byte(1, 4))
end

local function ipv6_text(raw)
  local groups = {}
  for i = 1, 8 do groups[i] = ("%x"):format((string.unpack(">I2", raw, i * 2 - 1))) end
  return table.concat(groups, ":")
end

-- How a value is written; only addresses of all eight groups are.
local text = {
  text = function(raw) return raw:match("^[^\0]*") end,
  bytes = function(raw) return raw end,
  ipv4 = ipv4_text,
  ipv6 = ipv6_text,
  ip = function(raw)
    local v4 = raw:match("^\0\0\0\0\0\0\0\0\0\0\xff\xff(....)$")
    return v4 and ipv4_text(v4) or ipv6_text(raw)
  end,
  mac = function(raw) return ("%02x:%02x:%02x:%02x:%02x:%02x"):format(raw:byte(1, 6)) end,
}

local function raw_text(node, entry)
  if node.op == "string" then return node.value end
  if node.op == "param" or node.op == "number" then return value_of(node, entry) end
  if functions[node.op] then return functions[node.op].run(node, entry, raw_text) end
  local raw = bytes_of(node, entry)
  local start = node.bit // 8
  local size = node.desc.size or #raw
  return text[node.desc.kind](raw:sub(start + 1, start + size))
end

-- The bits of an address, as text of 0 and 1.
local function address_bits(address)
  local bits = {}
  if address:find(".", 1, true) then
    for byte in address:gmatch("%d+") do bits[#bits + 1] = { tonumber(byte), 8 } end
  else
    for group in address:gmatch("%x+") do bits[#bits + 1] = { tonumber(group, 16), 16 } end
  end
  local digits = {}
  for _, part in ipairs(bits) do
    for i = part[2] - 1, 0, -1 do digits[#digits + 1] = part[1] >> i & 1 end
  end
  return table.concat(digits)
end

local function within(address, prefix)
  local base, length = prefix:match("^(.*)/(%d+)$")
  if not base then return address == prefix end
  local own, own_length = address:match("^(.*)/(%d+)$")
  if own and tonumber(own_length) < tonumber(length) then return false end
  address = own or address
  local bits, wanted = address_bits(address), address_bits(base)
  return #bits == #wanted and bits:sub(1, length) == wanted:sub(1, length)
end

-- ---- equality and in ---------------------------------------------------------

local function equal(node, entry)
  local a, b = node.args[1], node.args[2]
  if a.kind == "raw" then return raw_text(a, entry) == raw_text(b, entry) end
  local x, y = value_of(a, entry), value_of(b, entry)
  if a.kind == "condition" then return x == y end
  return not less(x, a.kind, y, b.kind) and not less(y, b.kind, x, a.kind)
end

eval["=="] = equal
eval["~="] = function(node, entry) return not equal(node, entry) end

eval["in"] = function(node, entry)
  local left = node.args[1]
  for i = 2, #node.args do
    local element = node.args[i]
    if left.kind ~= "raw" then
      if equal({ args = { left, element } }, entry) then return true end
    elseif left.desc.kind == "text" or left.desc.kind == "bytes" or left.desc.kind == "mac" then
      if raw_text(left, entry) == raw_text(element, entry) then return true end
    elseif within(raw_text(left, entry), raw_text(element, entry)) then
      return true
    end
  end
  return false
end

--- The value of an expression.
-- @tparam table ast from expr.parse
-- @tparam table entry key, value (strings; in per-CPU maps value is a list of them), params, now,
--   boottime
-- @return an integer or a boolean
function evaluator.run(ast, entry)
  return value_of(ast, entry)
end

return evaluator
