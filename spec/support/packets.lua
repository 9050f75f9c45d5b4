-- SPDX-License-Identifier: MIT
--
-- Packets made by hand, for program:run: Ethernet frames with an IPv4 or IPv6
-- packet in them. What a table does not say is right: lengths, versions, header
-- sizes. Checksums are 0; the tracker does not look at them.

local core = require "luabpf.core"

local packets = {}

local PROTOCOLS <const> = { icmp = 1, tcp = 6, udp = 17, icmpv6 = 58 }
local FLAGS <const> = { fin = 1, syn = 2, rst = 4, psh = 8, ack = 16 }

local function number(protocol)
  return PROTOCOLS[protocol] or protocol
end

--- A TCP header and payload: src_port, dst_port, flags ("syn ack"), seq, ack_seq, doff, payload.
function packets.tcp(given)
  local options, flags = given.options or "", 0
  for flag in (given.flags or "ack"):gmatch("%a+") do flags = flags | FLAGS[flag] end
  local doff = given.doff or 5 + #options // 4
  return string.pack(">I2I2I4I4BBI2I2I2", given.src_port or 40000, given.dst_port or 80,
    given.seq or 1, given.ack_seq or 1, doff << 4, flags, 65535, 0, 0) .. options
    .. (given.payload or ""), "tcp"
end

--- A UDP header and payload.
function packets.udp(given)
  local payload = given.payload or ""
  return string.pack(">I2I2I2I2", given.src_port or 40000, given.dst_port or 53, 8 + #payload, 0)
    .. payload, "udp"
end

--- An ICMP or ICMPv6 message with identifier: type (8: echo request), id, sequence, payload.
function packets.icmp(given)
  return string.pack(">BBI2I2I2", given.type or 8, 0, 0, given.id or 7, given.sequence or 1)
    .. (given.payload or ""), "icmp"
end

--- An IPv4 packet around what one of the above gave, or around bytes and a protocol.
-- given: src, dst, options, ihl, total, fragment (the 16 bits), version.
function packets.ipv4(given, inner, protocol)
  local options = given.options or ""
  local ihl = given.ihl or 5 + #options // 4
  return string.pack(">BBI2I2I2BBI2", (given.version or 4) << 4 | ihl, 0,
    given.total or 20 + #options + #inner, 1, given.fragment or 0, 64, number(protocol), 0)
    .. core.parse_address("ipv4", given.src or "10.0.0.2")
    .. core.parse_address("ipv4", given.dst or "10.0.0.1")
    .. options .. inner, 0x0800
end

--- An IPv6 packet. given: src, dst, length, version, extensions: list of { kind, bytes }, where the
-- first of the bytes is left out (it says what comes next).
function packets.ipv6(given, inner, protocol)
  local chain, next_header = "", number(protocol)
  for i = #(given.extensions or {}), 1, -1 do
    local kind, bytes = table.unpack(given.extensions[i])
    chain = string.char(next_header) .. bytes .. chain
    next_header = kind
  end
  return string.pack(">I4I2BB", (given.version or 6) << 28, given.length or #chain + #inner,
    next_header, 64) .. core.parse_address("ip", given.src or "2001:db8::2")
    .. core.parse_address("ip", given.dst or "2001:db8::1") .. chain .. inner, 0x86dd
end

--- A frame around a packet; ethertype comes with it.
function packets.frame(packet, ethertype)
  return ("\2"):rep(12) .. string.pack(">I2", ethertype) .. packet
end

return packets
