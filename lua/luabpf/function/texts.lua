-- SPDX-License-Identifier: MIT

--- Which bytes of a field show as a given string: the reverse of what the codec
-- makes of text, addresses and bytes. At most one sequence of bytes does.
--
-- @module luabpf.function.texts

local address = require "luabpf.expr.address"

local texts = {}

local function show4(bytes)
  return ("%d.%d.%d.%d"):format(bytes:byte(1, 4))
end

-- As inet_ntop writes it.
local function show6(bytes)
  local g = { (">I2I2I2I2I2I2I2I2"):unpack(bytes) }
  local best, length, at = nil, 1, nil
  for i = 1, 9 do
    if g[i] == 0 and i < 9 then
      at = at or i
    elseif at then
      if i - at > length then best, length = at, i - at end
      at = nil
    end
  end
  local mapped = best == 1 and (length == 6 or length == 5 and g[6] == 0xffff)
  local parts, i = {}, 1
  while i <= 8 do
    if i == best then
      parts[#parts + 1] = i == 1 and "::" or ":"
      i = i + length
    elseif mapped and i == 7 then
      return table.concat(parts) .. show4(bytes:sub(13))
    else
      parts[#parts + 1] = ("%x%s"):format(g[i], i < 8 and ":" or "")
      i = i + 1
    end
  end
  return table.concat(parts)
end

local MAPPED <const> = ("\0"):rep(10) .. "\xff\xff"

local function prefix(read, show)
  return function(_, text)
    local front, length = text:match("^(.*)/(%d+)$")
    local n, bytes = math.tointeger(tonumber(length)), front and read(front)
    if not (bytes and n and n <= 0xffffffff and length == ("%d"):format(n)) then return nil end
    return show(bytes) == front and ("<I4"):pack(n) .. bytes
  end
end

local function plain(read, show)
  return function(_, text)
    local bytes = read(text)
    return bytes and show(bytes) == text and bytes
  end
end

local kinds = {
  ipv4 = plain(address.ipv4, show4), ipv6 = plain(address.ipv6, show6),
  prefix4 = prefix(address.ipv4, show4), prefix6 = prefix(address.ipv6, show6),
}

kinds.ip = plain(address.ip, function(bytes)
  return bytes:sub(1, 12) == MAPPED and show4(bytes:sub(13)) or show6(bytes)
end)

kinds.mac = plain(address.mac, function(bytes)
  return ("%02x:%02x:%02x:%02x:%02x:%02x"):format(bytes:byte(1, 6))
end)

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
