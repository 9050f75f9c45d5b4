-- SPDX-License-Identifier: MIT
--
-- One C-like declaration, "be16 ports[2]", to the description of its type
-- (luabpf/bind/value/layout.c has the form of descriptions).
--
--   TYPE                          alone: the layout of a plain key or value
--   TYPE NAME
--   TYPE NAME[n]... , TYPE[n] NAME   arrays; the last length of char and bytes is the text's
--   TYPE NAME : bits              a bitfield, of an integer, bool or enum
--   enum8 NAME { a, b = 5 }       8, 16, 32 or 64 bits; signed if a value is negative
--   char NAME[], bytes NAME[]     the rest of an event, at the end of its layout
--
-- Errors are plain strings that begin with the path given: "key: "u33 x": no type 'u33'".

local declaration = {}

-- Offsets in bits fit 32 bits.
local MAX_SIZE <const> = (1 << 29) - 1

-- Sizes and alignment as in C: ipv4 is __be32, ipv6 struct in6_addr, ip __u8[16], mac __u8[6],
-- a prefix the u32 of its length and bytes.
local TYPES = {
  bool = { kind = "bool", size = 1, align = 1 },
  float = { kind = "float", size = 4, align = 4 },
  double = { kind = "float", size = 8, align = 8 },
  ipv4 = { kind = "ipv4", size = 4, align = 4 },
  ipv6 = { kind = "ipv6", size = 16, align = 4 },
  ip = { kind = "ip", size = 16, align = 1 },
  mac = { kind = "mac", size = 6, align = 1 },
  prefix4 = { kind = "prefix4", size = 8, align = 4 },
  prefix6 = { kind = "prefix6", size = 20, align = 4 },
  char = { kind = "text", size = 1, align = 1 },
  bytes = { kind = "bytes", size = 0, align = 1 },
}
local ENUMS <const> = { enum8 = 1, enum16 = 2, enum32 = 4, enum64 = 8 }

-- What C headers call them.
local ALIASES = {}

for bits = 8, 64, 8 do
  local size = bits // 8
  if size & (size - 1) == 0 then
    TYPES["u" .. bits] = { kind = "int", size = size, align = size }
    TYPES["s" .. bits] = { kind = "int", size = size, align = size, signed = true }
    ALIASES["__u" .. bits], ALIASES["uint" .. bits .. "_t"] = "u" .. bits, "u" .. bits
    ALIASES["__s" .. bits], ALIASES["int" .. bits .. "_t"] = "s" .. bits, "s" .. bits
    if size > 1 then
      TYPES["be" .. bits] = { kind = "int", size = size, align = size, big = true }
      ALIASES["__be" .. bits] = "be" .. bits
    end
  end
end
for name, desc in pairs(TYPES) do desc.name = name end

local KNOWN <const> = "u8 u16 u32 u64 s8 s16 s32 s64 be16 be32 be64 bool float double char[N] "
  .. "bytes[N] ipv4 ipv6 ip mac prefix4 prefix6 enum8|16|32 name { a = 0, b = 5 }"

-- Raises for the declaration at hand: at = { path =, text = }.
local function fail(at, message, ...)
  error(("%s: %q: "):format(at.path, at.text) .. message:format(...), 0)
end

-- ---- arrays --------------------------------------------------------------------

-- Takes lengths "[2][3]" off the start of text: list of lengths, what follows them.
local function take_lengths(text, at)
  local lengths = {}
  while true do
    local n, rest = text:match("^%s*%[%s*([^%]]-)%s*%](.*)$")
    if not n then return lengths, text end
    local length = math.tointeger(tonumber(n))
    if not length or length < 1 or length > MAX_SIZE then
      fail(at, "[%s] is no length from 1 to %d", n, MAX_SIZE)
    end
    lengths[#lengths + 1], text = length, rest
  end
end

local function sized(desc, n, elem, at)
  local result = {}
  for name, value in pairs(desc) do result[name] = value end
  result.n, result.size = n, (elem and elem.size or 1) * n
  if elem then result.kind, result.elem = "array", elem end
  if result.size > MAX_SIZE then fail(at, "larger than %d bytes", MAX_SIZE) end
  return result
end

-- desc with the lengths behind its name, the outermost first.
local function arrays(desc, lengths, at)
  local inner = #lengths
  if desc.name == "bytes" and inner == 0 then fail(at, "bytes needs a length: bytes[N]") end
  if desc.name == "bytes" then
    desc, inner = sized(desc, lengths[inner], nil, at), inner - 1
    desc.n = nil
  elseif desc.name == "char" and inner > 0 then
    desc, inner = sized(desc, lengths[inner], nil, at), inner - 1
  end
  for i = inner, 1, -1 do
    desc = sized({ name = desc.name, align = desc.align }, lengths[i], desc, at)
  end
  return desc
end

-- ---- enums ---------------------------------------------------------------------

local function check_range(at, value, size, signed)
  local bits = 8 * size
  if bits == 64 then return end
  local min = signed and -(1 << bits - 1) or 0
  local max = signed and (1 << bits - 1) - 1 or (1 << bits) - 1
  if value.value < min or value.value > max then
    fail(at, "%s = %d is not within %d and %d", value.name, value.value, min, max)
  end
end

-- "{ a, b = 5 }" to the list of names and values, and whether one is negative.
local function enumerators(body, at)
  local values, seen, signed, last = {}, {}, false, -1
  for item in body:sub(2, -2):gsub(",%s*$", ""):gmatch("[^,]+") do
    local name, number = item:match("^%s*([%a_][%w_]*)%s*=?%s*(%-?%w*)%s*$")
    local value = name and (number == "" and last + 1 or math.tointeger(tonumber(number)))
    if not value then fail(at, "'%s' is not NAME or NAME = INTEGER", item:match("^%s*(.-)%s*$")) end
    if seen[name] then fail(at, "the name '%s' is used twice", name) end
    values[#values + 1] = { name = name, value = value }
    seen[name], signed, last = true, signed or value < 0, value
  end
  if #values == 0 then fail(at, "an enum without values") end
  return values, signed
end

local function enum(size, body, tag, at)
  if not body then fail(at, "an enum needs its values: { a = 0, b = 5 }") end
  local values, signed = enumerators(body, at)
  for _, value in ipairs(values) do check_range(at, value, size, signed) end
  return { kind = "enum", name = tag or "enum", size = size, align = size, signed = signed or nil,
    values = values }
end

-- ---- the rest of an event -------------------------------------------------------

local RESTS <const> = { char = "text", bytes = "bytes" }

-- The field of "char name[]", or nil if the text is no such declaration.
local function rest_of(text)
  local word, name = text:match("^%s*(%l+)%s+([%a_][%w_]*)%s*%[%s*%]%s*$")
  local kind = RESTS[word]
  if not kind then return nil end
  local desc = { kind = kind, name = word, size = 0, align = 1, n = kind == "text" and 0 or nil }
  return { type = desc, name = name, rest = true }
end

-- ---- declarations --------------------------------------------------------------

local function base_type(word, body, tag, at)
  if ENUMS[word] then return enum(ENUMS[word], body, tag, at) end
  if body then fail(at, "only enums have values in braces") end
  local desc = TYPES[ALIASES[word] or word]
  if not desc then fail(at, "no type '%s' (types: %s)", word, KNOWN) end
  return desc
end

local function bitfield_width(text, desc, at)
  local width = math.tointeger(tonumber(text))
  local number = desc.kind == "int" or desc.kind == "bool" or desc.kind == "enum"
  if not number or desc.big then fail(at, "%s cannot be a bitfield", desc.name) end
  if not width or width < 1 or width > 8 * desc.size then
    fail(at, "the width of a bitfield of this type is 1 to %d", 8 * desc.size)
  end
  return width
end

-- A name with array lengths, "slots[4]".
-- @treturn string name
-- @treturn function wraps a description into the arrays
function declaration.name(text, path)
  local at = { path = path, text = tostring(text) }
  local name, rest = at.text:match("^%s*([^%s%[]*)(.*)$")
  local lengths, tail = take_lengths(rest, at)
  if not name:find("^[%a_][%w_]*$") or tail:find("%S") then
    fail(at, "not a name, or NAME[n] for an array")
  end
  return name, function(desc) return arrays(desc, lengths, at) end
end

-- A declaration.
-- @tparam string text
-- @tparam string path begins the messages of errors
-- @treturn table { type = description, name = string or nil, bits = width or nil, rest = true
--   for what has no length of its own }
function declaration.parse(text, path)
  local at = { path = path, text = text }
  local rest_field = rest_of(text)
  if rest_field then return rest_field end
  local head, body, tail = text:match("^(.-)(%b{})(.*)$")
  head = head and head .. tail or text
  local plain, bits = head:match("^(.-)%s*:%s*(.-)%s*$")
  local word, rest = (plain or head):match("^%s*([%a_][%w_]*)(.*)$")
  if not word then fail(at, "a declaration such as \"u32 name\" expected") end
  local inner, name, outer
  inner, rest = take_lengths(rest, at)
  name, rest = rest:match("^%s*([^%s%[]*)(.*)$")
  outer, rest = take_lengths(rest, at)
  if rest:find("%S") then fail(at, "'%s' is too much", rest:match("^%s*(.-)%s*$")) end
  if name ~= "" and not name:find("^[%a_][%w_]*$") then fail(at, "'%s' is not a name", name) end
  name = name ~= "" and name or nil
  table.move(inner, 1, #inner, #outer + 1, outer)
  local desc = arrays(base_type(word, body, name, at), outer, at)
  return { type = desc, name = name, bits = bits and bitfield_width(bits, desc, at) }
end

return declaration
