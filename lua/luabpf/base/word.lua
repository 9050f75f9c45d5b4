-- SPDX-License-Identifier: MIT
--
-- Words: the 64-bit arithmetic of expressions on constants. A word is a Lua
-- integer, the 64-bit pattern; whether it is signed stands beside it. Sums and
-- products are Lua's own; here is what Lua does otherwise: unsigned division,
-- division that truncates and does not fail on zero, comparison by value.

local word = {}

-- Quotient of two unsigned words; 0 when divided by 0, as in BPF.
function word.udiv(n, d)
  if d == 0 then return 0 end
  if d < 0 then return math.ult(n, d) and 0 or 1 end
  if n >= 0 then return n // d end
  local q = ((n >> 1) // d) << 1
  return math.ult(n - q * d, d) and q or q + 1
end

local function magnitude(a, signed)
  return signed and a < 0 and -a or a
end

-- Quotient of the values, rounded towards zero; 0 when divided by 0.
function word.div(a, b, a_signed, b_signed)
  local q = word.udiv(magnitude(a, a_signed), magnitude(b, b_signed))
  return (a_signed and a < 0) ~= (b_signed and b < 0) and -q or q
end

-- What that quotient leaves, with the sign of a; a when divided by 0.
function word.mod(a, b, a_signed, b_signed)
  return a - b * word.div(a, b, a_signed, b_signed)
end

-- Whether the value of a is less than that of b.
function word.less(a, b, a_signed, b_signed)
  if a_signed and b_signed then return a < b end
  if a_signed and a < 0 then return true end
  if b_signed and b < 0 then return false end
  return math.ult(a, b)
end

-- Whether they are the same value.
function word.equal(a, b, a_signed, b_signed)
  return a == b and (a_signed == b_signed or a >= 0)
end

-- Decimal text of an unsigned word.
function word.text(a)
  if a >= 0 then return ("%d"):format(a) end
  local tens = word.udiv(a, 10)
  return ("%d%d"):format(tens, a - tens * 10)
end

return word
