-- SPDX-License-Identifier: MIT
--
-- Addresses as people write them: text to bytes in network order, nil for what is
-- no address. What is written in several ways ("::1", "0:0::1") gives the same
-- bytes. As 16 bytes an IPv4 address is ::ffff:a.b.c.d, as in keys of the type `ip`.

local address = {}

local MAPPED <const> = ("\0"):rep(10) .. "\xff\xff"

-- The 4 bytes of an IPv4 address.
function address.ipv4(text)
  local parts = { text:match("^(%d%d?%d?)%.(%d%d?%d?)%.(%d%d?%d?)%.(%d%d?%d?)$") }
  for i, part in ipairs(parts) do
    if tonumber(part) > 255 or part:find("^0.") then return nil end
    parts[i] = tonumber(part)
  end
  return parts[1] and string.char(table.unpack(parts))
end

-- The groups on one side of "::", packed; the last may be an IPv4 address.
local function groups(text)
  local packed = {}
  if text:find("^:") or text:find(":$") or text:find("::", 1, true) then return nil end
  for group, colon in text:gmatch("([^:]+)(:?)") do
    local tail = colon == "" and address.ipv4(group)
    if not tail and not group:match("^%x%x?%x?%x?$") then return nil end
    packed[#packed + 1] = tail or string.pack(">I2", tonumber(group, 16))
  end
  return table.concat(packed)
end

-- The 16 bytes of an IPv6 address. Source: RFC 4291, 2.2; "::" stands for at least one group.
function address.ipv6(text)
  local left, right = text:match("^(.-)::(.*)$")
  if not left then
    local all = groups(text)
    return all and #all == 16 and all or nil
  end
  local head, tail = groups(left), groups(right)
  local gap = head and tail and not left:find(".", 1, true) and 16 - #head - #tail
  return gap and gap >= 2 and head .. ("\0"):rep(gap) .. tail or nil
end

-- The 16 bytes of an IP address of either kind.
function address.ip(text)
  local v4 = address.ipv4(text)
  return v4 and MAPPED .. v4 or address.ipv6(text)
end

-- The 6 bytes of a MAC address.
function address.mac(text)
  if not text:find("^%x%x[:-]%x%x[:-]%x%x[:-]%x%x[:-]%x%x[:-]%x%x$") then return nil end
  local bytes = {}
  for byte in text:gmatch("%x%x") do bytes[#bytes + 1] = string.char(tonumber(byte, 16)) end
  return table.concat(bytes)
end

return address
