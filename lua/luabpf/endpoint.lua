-- SPDX-License-Identifier: MIT
--
-- IP addresses and endpoints as people write them: "10.0.0.1:80", "[::1]:80".
-- An address may be written in several ways ("::1", "0:0::1"); what counts are its 16 bytes, in
-- which an IPv4 address is ::ffff:a.b.c.d, as in keys of the type `ip`.

local endpoint = {}

local function ipv4_bytes(text)
  local parts = { text:match("^(%d+)%.(%d+)%.(%d+)%.(%d+)$") }
  for i, part in ipairs(parts) do
    parts[i] = tonumber(part)
    if parts[i] > 255 or part:find("^0%d") then return nil end
  end
  return parts[1] and string.char(table.unpack(parts))
end

-- The groups on one side of a "::" (16 bits, or an IPv4 address at the end), packed; nil if wrong.
local function ipv6_groups(text)
  local packed, last = {}, text:match("[^:]*$")
  for group in text:gmatch("[^:]+") do
    local v4 = group == last and ipv4_bytes(group)
    if not v4 and not group:match("^%x%x?%x?%x?$") then return nil end
    packed[#packed + 1] = v4 or string.pack(">I2", tonumber(group, 16))
  end
  return table.concat(packed)
end

-- Source: RFC 4291, 2.2. "::" stands for at least one group.
local function ipv6_bytes(text)
  local left, right = text:match("^(.-)::(.*)$")
  for _, side in ipairs { left or text, right or "" } do
    if side:find("^:") or side:find(":$") or side:find("::", 1, true) then return nil end
  end
  if left and left:find(".", 1, true) then return nil end
  local head, tail = ipv6_groups(left or text), ipv6_groups(right or "")
  local gap = head and tail and 16 - #head - #tail
  if not gap or (left and gap < 2) or (not left and gap ~= 0) then return nil end
  return head .. ("\0"):rep(gap) .. tail
end

--- The 16 bytes of an address.
-- @tparam string text
-- @treturn string|nil nil if it is no IP address
function endpoint.bytes(text)
  local v4 = ipv4_bytes(text)
  return v4 and ("\0"):rep(10) .. "\xff\xff" .. v4 or ipv6_bytes(text)
end

--- Whether address and port sort after others, as the tracker's keys have them: by bytes.
-- @tparam string x, y 16 bytes each
-- @tparam integer x_port, y_port
function endpoint.after(x, x_port, y, y_port)
  if x == y then return x_port > y_port end
  local x_high, x_low = (">I8I8"):unpack(x)
  local y_high, y_low = (">I8I8"):unpack(y)
  if x_high ~= y_high then return math.ult(y_high, x_high) end
  return math.ult(y_low, x_low)
end

--- Takes an endpoint apart: "10.0.0.1:80", "[::1]:80", "10.0.0.1", "::1", "[::1]", ":80".
-- @tparam string text
-- @treturn string|nil address, integer|nil port: nil where left out, both if it is no endpoint
function endpoint.parse(text)
  local address, port = text:match("^%[(.*)%]:(%d+)$")
  if not address then address, port = text:match("^([^:]*):(%d+)$") end
  address, port = address or text:match("^%[(.*)%]$") or text, tonumber(port)
  if address == "" and text:find("^:") then address = nil end
  if (address and not endpoint.bytes(address)) or (port and port > 65535) then return nil end
  return address, port
end

--- An endpoint as text.
function endpoint.text(address, port)
  return (address:find(":", 1, true) and "[%s]:%d" or "%s:%d"):format(address, port)
end

return endpoint
