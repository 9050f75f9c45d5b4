-- SPDX-License-Identifier: MIT
--
-- Quantities as people write them: "30s", "1.5h", "64KiB". What they mean to options,
-- to bpf.duration and bpf.size, and in expressions. All of it is exact: a fraction of
-- the smallest unit is refused, not rounded.

local word = require "luabpf.base.word"

local units = {}

-- Times, in ns.
units.TIMES = { ns = 1, us = 1000, ms = 1000000, s = 1000000000, m = 60000000000,
  h = 3600000000000, d = 86400000000000 }

-- Sizes, in bytes.
units.SIZES = { B = 1, KiB = 1 << 10, MiB = 1 << 20, GiB = 1 << 30 }

-- The product, or nil past 2^64 - 1; n and by are unsigned.
local function times(n, by)
  if not math.ult(word.udiv(-1, by), n) then return n * by end
end

local function plus(a, b)
  if not math.ult(a + b, a) then return a + b end
end

-- The number that decimal digits make: unsigned, nil past 2^64 - 1.
function units.decimal(digits)
  local n = 0
  for digit in digits:gmatch("%d") do
    n = times(n, 10)
    n = n and plus(n, tonumber(digit))
    if not n then return nil end
  end
  return n
end

-- What the digits after the point are of a unit; nil if that is no whole number.
local function part_of(digits, unit)
  digits = digits:gsub("0+$", "")
  if digits == "" then return 0 end
  local scale = #digits < 19 and math.tointeger(10 ^ #digits)
  local n = scale and times(units.decimal(digits), unit)
  if not n then return nil end
  local quotient = word.udiv(n, scale)
  return quotient * scale == n and quotient or nil
end

-- A number with a unit, or without one.
-- @tparam string text digits, a fraction, a unit; no sign and no spaces
-- @tparam table known unit to its factor
-- @treturn integer unsigned; nil and why not: "form", "unit" (not known), "fraction" (of what
--   cannot be divided), "large" (past 2^64 - 1)
function units.read(text, known)
  local digits, point, fraction, unit = text:match "^(%d+)(%.?)(%d*)(%a*)$"
  if not digits or (point == "") ~= (fraction == "") then return nil, "form" end
  local factor = unit == "" and 1 or known[unit]
  if not factor then return nil, "unit" end
  local part = part_of(fraction, factor)
  if not part or (point ~= "" and unit == "") then return nil, "fraction" end
  local n = units.decimal(digits)
  n = n and times(n, factor)
  n = n and plus(n, part)
  if n then return n end
  return nil, "large"
end

return units
