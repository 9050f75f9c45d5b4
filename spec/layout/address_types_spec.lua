-- SPDX-License-Identifier: MIT
--
-- Addresses in the maps of BPF programs: struct in_addr and in6_addr are text, and keys of LPM
-- tries are taken as text whatever their fields are called.

local bpf = require "luabpf"

describe("maps of BPF programs", function()
  local object

  setup(function() object = assert(bpf.load "bpf/addresses.bpf.o") end)
  teardown(function() object:close() end)

  it("have addresses as text, and __be32 as a number in network order", function()
    local peers = object.maps.peers
    local value = { v4 = "10.0.0.1", v6 = "2001:db8::1", number = 0x0a000001, port = 443, rest = 7 }
    assert(peers:update("fe80::1", value))
    assert.same(value, peers:lookup "fe80::1")
    assert.equal("\10\0\0\1" .. "\x20\1\x0d\xb8" .. ("\0"):rep(11) .. "\1" .. "\10\0\0\1\1\xbb\7\0",
      peers:lookup("\xfe\x80" .. ("\0"):rep(13) .. "\1", { raw = true }))
    assert.equal("fe80::1", peers:next())
    assert.equal(1, (peers:count "value.v4 in '10.0.0.0/8' and value.v6 == '2001:db8::1'"))
    assert.equal(1, (peers:count "key == 'fe80::1'"))
    local named <close> = assert(bpf.open { fd = peers:fd(), value = { "ipv4 number" } })
    assert.equal("10.0.0.1", named:lookup("fe80::1").number)
    peers:clear()
  end)

  it("say how to name a __be32 that is compared with an address", function()
    for _, text in ipairs { "value.number == '10.0.0.1'", "value.number in ('10.0.0.0/8')" } do
      assert.error_matches(function() object.maps.peers:count(text) end,
        'open the map with value = { "ipv4 number" }', 1, true)
    end
    local ok, message = pcall(object.maps.peers.count, object.maps.peers, "value.number == 'x'")
    assert.is_false(ok)
    assert.is_nil(tostring(message):find("open the map", 1, true))
  end)

  it("take the keys of tries as text, host bits cleared", function()
    local routes, raw = object.maps.routes4, { raw = true }
    assert(routes:update("10.1.2.3/8", 1))
    assert.equal("\8\0\0\0\10\0\0\0", routes:next(nil, raw))
    assert.same({ length = 8, network = 0x0a000000 }, routes:next())
    assert.equal(1, routes:lookup "10.9.9.9")
    assert(routes:update({ length = 16, network = 0xac10ffff }, 2))
    assert.equal(2, routes:lookup { length = 32, network = 0xac100101 })
    assert.equal(2, (routes:lookup_batch({ "172.16.0.0/16" }))[1])
    assert.is_true(routes:delete { length = 16, network = 0xac100505 })
    assert.equal(1, (routes:delete_batch { "10.0.0.0/8" }))
    assert.equal(0, routes:count())
    local six = object.maps.routes6
    assert(six:update("2001:db8:1:2::5/32", 3))
    assert.same({ length = 32, network = "2001:db8::" }, six:next())
    assert.equal(3, six:lookup "2001:db8:ffff::")
    assert.equal(3, six:lookup { length = 128, network = "2001:db8::7" })
    assert.is_true(six:delete(six:next()))
    assert.error_matches(function() six:lookup "10.0.0.0/8" end,
      "key: IPv6 prefix expected, got '10.0.0.0/8'", 1, true)
    local named <close> = assert(bpf.open { fd = routes:fd(), key = "prefix4" })
    named:update("192.168.0.0/16", 4)
    assert.equal("192.168.0.0/16", named:next())
    assert.is_true(routes:delete "192.168.0.0/16")
  end)
end)
