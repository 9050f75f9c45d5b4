-- SPDX-License-Identifier: MIT

--- Which bytes of a field show as a given string: the reverse of what the codec
-- makes of text, addresses and bytes. At most one sequence of bytes does.
--
-- @module luabpf.function.texts

local core = require "luabpf.core"

local texts = {}

-- The address in a prefix.
local INNER <const> = { prefix4 = "ipv4", prefix6 = "ipv6" }

local function parse_address(desc, text)
  return core.parse_address(desc.kind, text)
end

-- core.parse_address clears the bits behind a prefix; they show.
local function parse_prefix(desc, text)
  local front, length = text:match("^(.*)/(%d+)$")
  local bytes = front and core.parse_address(INNER[desc.kind], front)
  local n = bytes and math.tointeger(tonumber(length))
  return n and n <= 0xffffffff and ("<I4"):pack(n) .. bytes
end

-- Of what an address is written in several ways, one is shown.
local function shown_of(parse)
  return function(desc, text)
    local bytes = parse(desc, text)
    return bytes and core.format_address(desc.kind, bytes) == text and bytes
  end
end

local kinds = {}
for _, kind in ipairs { "ipv4", "ipv6", "ip", "mac" } do kinds[kind] = shown_of(parse_address) end
for kind in pairs(INNER) do kinds[kind] = shown_of(parse_prefix) end

function kinds.bytes(desc, text)
  return #text == desc.size and text
end

-- Text ends at its first NUL if only NULs follow; else it has all bytes.
function kinds.text(desc, text)
  if #text > desc.size then return nil end
  local bytes = text .. ("\0"):rep(desc.size - #text)
  local shown = bytes:match("^([^\0]*)\0*$") or bytes
  return shown == text and bytes
end

-- Whether a type's values are strings that this knows.
function texts.known(desc)
  return kinds[desc.kind] ~= nil
end

-- The bytes that show as text; nil when none do.
function texts.bytes(desc, text)
  return kinds[desc.kind](desc, text) or nil
end

return texts
