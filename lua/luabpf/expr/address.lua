-- SPDX-License-Identifier: MIT
--
-- Addresses as people write them: text to bytes in network order, nil for what is
-- no address. What is written in several ways ("::1", "0:0::1") gives the same
-- bytes. As 16 bytes an IPv4 address is ::ffff:a.b.c.d, as in keys of the type `ip`.
-- They are read by what reads them in keys and values (lib/layout/address.c).

local core = require "luabpf.core"

local address = {}

-- The 4 bytes of an IPv4 address.
function address.ipv4(text) return core.parse_address("ipv4", text) end

-- The 16 bytes of an IPv6 address.
function address.ipv6(text) return core.parse_address("ipv6", text) end

-- The 16 bytes of an IP address of either kind.
function address.ip(text) return core.parse_address("ip", text) end

-- The 6 bytes of a MAC address.
function address.mac(text) return core.parse_address("mac", text) end

return address
