-- SPDX-License-Identifier: MIT
--
-- Endpoints as people write them: "10.0.0.1:80", "[::1]:80". What counts of an address are its
-- 16 bytes, as core.parse_address gives them.

local core = require "luabpf.core"

local endpoint = {}

-- Whether address and port sort after others, as the tracker's keys have them: by bytes.
-- @tparam string x, y 16 bytes each
-- @tparam integer x_port, y_port
function endpoint.after(x, x_port, y, y_port)
  if x == y then return x_port > y_port end
  local x_high, x_low = (">I8I8"):unpack(x)
  local y_high, y_low = (">I8I8"):unpack(y)
  if x_high ~= y_high then return math.ult(y_high, x_high) end
  return math.ult(y_low, x_low)
end

-- Takes an endpoint apart: "10.0.0.1:80", "[::1]:80", "10.0.0.1", "::1", "[::1]", ":80".
-- @tparam string text
-- @treturn string|nil address, integer|nil port: nil where left out, both if it is no endpoint
function endpoint.parse(text)
  local address, port = text:match("^%[(.*)%]:(%d+)$")
  if not address then address, port = text:match("^([^:]*):(%d+)$") end
  address, port = address or text:match("^%[(.*)%]$") or text, tonumber(port)
  if address == "" and text:find("^:") then address = nil end
  if address and not core.parse_address("ip", address) or port and port > 65535 then return nil end
  return address, port
end

-- An endpoint as text.
function endpoint.text(address, port)
  return (address:find(":", 1, true) and "[%s]:%d" or "%s:%d"):format(address, port)
end

return endpoint
