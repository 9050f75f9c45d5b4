-- SPDX-License-Identifier: MIT
--
-- Literals: what the text of a number or a string means to a type. Shared by
-- the parser of expressions and by the values of parameters. Each function
-- returns nil and the reason when the text does not fit; none raises.
--
-- A string beside a field becomes a pattern over the bytes of the field (see
-- literal.pattern), so that the compiler knows nothing of addresses or text.

local core = require "luabpf.core"
local suggest = require "luabpf.base.suggest"
local units = require "luabpf.base.units"

local literal = {}

-- ---- names -------------------------------------------------------------------

-- " (did you mean 'x'?)" when a candidate is close to the name, else "".
function literal.suggest(name, candidates)
  local best = suggest.closest(name, candidates)
  return best and (" (did you mean '%s'?)"):format(best) or ""
end

-- The number of an enum's name.
function literal.enumerator(desc, name)
  local names = {}
  for i, value in ipairs(desc.values) do
    if value.name == name then return value.value end
    names[i] = value.name
  end
  return nil, ("enum %s has no '%s'%s"):format(desc.name, name, literal.suggest(name, names))
end

-- ---- numbers -----------------------------------------------------------------

local known = {}
for _, kind in ipairs { units.TIMES, units.SIZES } do
  for unit, factor in pairs(kind) do known[unit] = factor end
end

local function hexadecimal(digits)
  digits = digits:gsub("^0+(.)", "%1")
  return #digits <= 16 and tonumber(digits, 16) or nil
end

-- Why units.read takes a text for no number.
local REASONS <const> = {
  form = "'%s' is not an integer",
  unit = "'%s' has an unknown unit; there are ns us ms s m h d B KiB MiB GiB",
  fraction = "'%s' is a fraction, and expressions have integers only",
  large = "'%s' does not fit in 64 bits",
}

-- An integer as written in an expression: decimal, hexadecimal, with a unit.
function literal.number(text)
  local hex = text:match("^0[xX](%x+)$")
  local n, why = hex and hexadecimal(hex), "large"
  if not hex then n, why = units.read(text, known) end
  if n then return n end
  return nil, REASONS[why]:format(text)
end

-- A quantity from outside an expression: an integer, or text such as "30s", "-5", "64KiB".
function literal.quantity(value)
  if math.type(value) == "integer" then return value end
  if math.type(value) == "float" and math.tointeger(value) then return math.tointeger(value) end
  if type(value) ~= "string" then
    return nil, ("an integer or text such as \"30s\" expected, got %s")
      :format(math.type(value) == "float" and "a fraction" or type(value))
  end
  local sign, digits = value:match("^%s*(%-?)(.-)%s*$")
  local n, reason = literal.number(digits)
  if not n then return nil, reason end
  return sign == "-" and -n or n
end

-- ---- addresses ---------------------------------------------------------------

-- The address in each kind, and what messages call the kind.
local addresses = {
  ipv4 = { of = "ipv4", what = "an IPv4 address" },
  ipv6 = { of = "ipv6", what = "an IPv6 address" },
  ip = { of = "ip", what = "an IP address" },
  mac = { of = "mac", what = "a MAC address" },
  prefix4 = { of = "ipv4", what = "an IPv4 prefix" },
  prefix6 = { of = "ipv6", what = "an IPv6 prefix" },
}

-- The bytes of the address in a kind, in network order; nil for what is none.
local function read(kind, text)
  return core.parse_address(addresses[kind].of, text)
end

-- n bits set, then zeros, in size bytes.
function literal.mask(n, size)
  local bytes = {}
  for i = 1, size do
    local bits = math.max(0, math.min(8, n - 8 * (i - 1)))
    bytes[i] = string.char((0xff00 >> bits) & 0xff)
  end
  return table.concat(bytes)
end

local function both(a, b)
  local bytes = { a:byte(1, -1) }
  for i = 1, #bytes do bytes[i] = string.char(bytes[i] & b:byte(i)) end
  return table.concat(bytes)
end

-- "10.0.0.0/8" to the address with the bits past the length zeroed, the mask, and the length.
local function prefix(kind, text)
  local front, length = text:match("^([^/]*)/(%d%d?%d?)$")
  local bytes = read(kind, front or text)
  if not bytes then return nil end
  local n = length and tonumber(length) or 8 * #bytes
  if length and kind == "ip" and read("ipv4", front) then n = n + 96 end
  if n > 8 * #bytes then return nil end
  local bits = literal.mask(n, #bytes)
  return both(bytes, bits), bits, n
end

-- ---- patterns ----------------------------------------------------------------

local FULL <const> = "\xff"

local function text_pattern(desc, value)
  if value:find("\0", 1, true) then return nil, "text to compare with cannot have a zero byte" end
  if #value > desc.size then
    return nil, ("%q has %d characters and there is room for %d"):format(value, #value, desc.size)
  end
  local fixed = math.min(#value + 1, desc.size)
  local rest = ("\0"):rep(desc.size - fixed)
  return { bytes = value .. ("\0"):rep(desc.size - #value), mask = FULL:rep(fixed) .. rest }
end

local function bytes_pattern(desc, value)
  if #value ~= desc.size then
    return nil, ("%d bytes to compare with %d"):format(#value, desc.size)
  end
  return { bytes = value, mask = FULL:rep(#value) }
end

-- Within an address: a prefix. Within a prefix: one that is contained, so the field is longer.
local function within_pattern(desc, text)
  local bytes, bits, n = prefix(desc.kind, text)
  if not bytes then return nil end
  if not desc.kind:find("^prefix") then return { bytes = bytes, mask = bits } end
  return { bytes = ("\0"):rep(4) .. bytes, mask = ("\0"):rep(4) .. bits, length = n }
end

local function equal_pattern(desc, text)
  if not desc.kind:find("^prefix") then
    local bytes = read(desc.kind, text)
    return bytes and { bytes = bytes, mask = FULL:rep(#bytes) }
  end
  local bytes, _, n = prefix(desc.kind, text)
  return bytes and { bytes = string.pack("<I4", n) .. bytes, mask = FULL:rep(4 + #bytes) }
end

-- The type of layouts that a text is an address of, or nil.
function literal.is_address(text)
  local front = text:match "^[^/]*"
  for _, kind in ipairs { "ipv4", "ipv6", "mac" } do
    if read(kind, front) then return kind end
  end
end

-- Whether strings stand for values of this type, other than names of an enum.
function literal.has_pattern(desc)
  return desc.kind == "text" or desc.kind == "bytes" or addresses[desc.kind] ~= nil
end

-- What to do with a prefix that is none here.
local function prefix_hint(kind, text, within)
  local front = text:match "^([^/]*)/%d+$"
  if kind == "mac" or not front or not read(kind, front) then return "" end
  if not within and prefix(kind, text) then return ": 'in' asks whether it is within a prefix" end
  return ": the length of the prefix is too large"
end

-- What a string means beside a field of this type.
-- @tparam table desc the type
-- @tparam string text
-- @tparam boolean within after `in`: an address may be a prefix
-- @treturn table `bytes` and `mask`, as long as the field, which matches when field & mask ==
--   bytes; `length` when it must also begin with a prefix length of at least that. Or nil, reason
function literal.pattern(desc, text, within)
  if desc.kind == "text" then return text_pattern(desc, text) end
  if desc.kind == "bytes" then return bytes_pattern(desc, text) end
  local pattern = (within and desc.kind ~= "mac" and within_pattern or equal_pattern)(desc, text)
  if pattern then return pattern end
  return nil, ("%q is not %s%s"):format(text, addresses[desc.kind].what,
    prefix_hint(desc.kind, text, within))
end

return literal
