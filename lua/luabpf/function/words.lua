-- SPDX-License-Identifier: MIT

--- What expressions have beside Lua's own, for functions: bpf.within, bpf.prefix and bpf.text,
-- which are instructions inside a function that is compiled, and bpf.duration and bpf.size, which
-- are constants there; these are the same outside.
--
-- @module luabpf.function.words

local core = require "luabpf.core"
local later = require "luabpf.base.later"
local options = require "luabpf.base.options"

local pattern_of = later.call("luabpf.expr.literal", "pattern")
local mask_of = later.call("luabpf.expr.literal", "mask")

local words = {}

-- The kind of address that a text is, with how many bytes, or nil.
local function family(text)
  for _, kind in ipairs { "ipv4", "ipv6" } do
    local pattern = pattern_of({ kind = kind }, text)
    if pattern then return kind, pattern.bytes end
  end
end

local function masked(bytes, mask)
  local list = { bytes:byte(1, -1) }
  for i = 1, #list do list[i] = string.char(list[i] & mask:byte(i)) end
  return table.concat(list)
end

-- How many bits are set: of a mask, the length of its prefix.
local function length_of(mask)
  local n = 0
  for _, byte in ipairs { mask:byte(1, -1) } do
    while byte ~= 0 do n, byte = n + 1, byte & byte - 1 end
  end
  return n
end

local MAPPED <const> = ("\0"):rep(10) .. "\xff\xff"

-- The bytes of an address, the pattern of a prefix, and the bits before the address, all of one
-- family: IPv4 beside IPv6 counts as mapped.
local function both(address, prefix)
  local kind, bytes = family(address)
  if not kind then return nil end
  local pattern = pattern_of({ kind = kind }, prefix, true)
  if pattern then return bytes, pattern, 0 end
  pattern = pattern_of({ kind = "ip" }, prefix, true)
  if kind == "ipv6" then return bytes, pattern, 0 end
  return MAPPED .. bytes, pattern, 96
end

--- Whether an address lies in a prefix, as `in` has it in expressions.
-- @function bpf.within
-- @tparam string address as a view shows it: "10.0.0.1", "2001:db8::1", or a prefix
-- @tparam string prefix "10.0.0.0/8", "2001:db8::/32", or an address
-- @treturn boolean whether it does; false for what is no address
-- @raise if prefix is no address or prefix
-- @usage
-- print((map:count(function(key) return bpf.within(key.addr, "10.0.0.0/8") end)))
function words.within(address, prefix)
  if type(prefix) ~= "string" or not pattern_of({ kind = "ip" }, prefix, true) then
    error(("within: %q is no address or prefix"):format(tostring(prefix)), 2)
  end
  if type(address) ~= "string" then return false end
  local front, length = address:match "^(.*)/(%d+)$"
  local bytes, pattern, more = both(front or address, prefix)
  if not bytes then return false end
  if length and tonumber(length) + more < length_of(pattern.mask) then return false end
  return masked(bytes, pattern.mask) == pattern.bytes
end

--- The network of an address, as `prefix` has it in expressions.
-- @function bpf.prefix
-- @tparam string address as a view shows it: "10.1.2.3", "2001:db8::1"
-- @tparam integer length how many bits of it count
-- @treturn string "10.1.2.0/24"
-- @raise for what is no address, or no length of one
-- @usage
-- print((map:count(function(key) return bpf.prefix(key.addr, 8) == "10.0.0.0/8" end)))
function words.prefix(address, length)
  local kind, bytes
  if type(address) == "string" then kind, bytes = family(address) end
  if not kind then
    error(("prefix: %q is no IPv4 or IPv6 address"):format(tostring(address)), 2)
  end
  local n, most = type(length) == "number" and math.tointeger(length), 8 * #bytes
  if not n or n < 0 or n > most then
    error(("prefix: a length from 0 to %d expected, got %s"):format(most, tostring(length)), 2)
  end
  return ("%s/%d"):format(core.format_address(kind, masked(bytes, mask_of(n, #bytes))), n)
end

--- Text up to its first NUL, as expressions compare it; views show all of it.
-- @function bpf.text
-- @tparam string text what a view shows
-- @treturn string what is before the NUL
-- @raise for what is no string
-- @usage
-- print((bpf.text("nginx\\0\\1")))
function words.text(text)
  if type(text) ~= "string" then
    error(("text: string expected, got %s"):format(type(text)), 2)
  end
  return text:match "^[^\0]*"
end

--- The nanoseconds of a time.
-- @function bpf.duration
-- @tparam time time an integer, or text as "1.5s" or "-30s"
-- @treturn integer nanoseconds
-- @raise a text that is no time, or has a fraction of a nanosecond
-- @usage
-- print(bpf.duration "1.5s") -- 1500000000
function words.duration(value)
  local ns = options.duration(value, "duration", 2)
  return ns
end

--- The bytes of a size.
-- @function bpf.size
-- @tparam size size an integer, or text as "64KiB"
-- @treturn integer bytes
-- @raise a text that is no size
-- @usage
-- print(bpf.size "64KiB") -- 65536
function words.size(value)
  local bytes = options.size(value, "size", 2)
  return bytes
end

return words
