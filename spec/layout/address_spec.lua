-- SPDX-License-Identifier: MIT
--
-- Addresses as text and bytes: what core gives to Lua is what keys are read and written with.

local core = require "luabpf.core"
local helper = require "spec.support.helper"

local function hex(bytes)
  return bytes and (bytes:gsub(".", function(c) return ("%02x"):format(c:byte()) end))
end

local MAPPED <const> = ("00"):rep(10) .. "ffff"

describe("an address", function()
  it("is the same for Lua as in keys and values", function()
    for kind, texts in pairs {
      ipv4 = { "0.0.0.0", "10.1.2.3", "255.255.255.255" },
      ipv6 = { "::", "::1", "2001:db8::1", "fe80::1:2:3:4" },
      ip = { "10.1.2.3", "2001:db8::1", "::1" },
      mac = { "02:00:5e:10:00:01", "ff:ff:ff:ff:ff:ff" },
      prefix4 = { "10.0.0.0/8", "0.0.0.0/0", "1.2.3.4/32" },
      prefix6 = { "2001:db8::/32", "::/0" },
    } do
      local map = helper.map { value = kind }
      for _, text in ipairs(texts) do
        local bytes = core.parse_address(kind, text)
        map:update(1, text)
        assert.equal(map:lookup(1, { raw = true }), bytes)
        assert.equal(text, map:lookup(1))
        assert.equal(text, core.format_address(kind, bytes))
      end
    end
  end)

  it("is read in each of the ways it is written in", function()
    local parse = core.parse_address
    assert.equal(parse("ipv6", "::1"), parse("ipv6", "0:0::1"))
    assert.equal(parse("ip", "10.0.0.1"), parse("ip", "::ffff:10.0.0.1"))
    assert.equal(parse("mac", "02:00:5E:10:00:01"), parse("mac", "02-00-5e-10-00-01"))
    assert.equal(parse("prefix4", "10.1.2.3/8"), parse("prefix4", "10.0.0.0/8"))
    assert.equal(parse("prefix4", "10.1.2.3"), parse("prefix4", "10.1.2.3/32"))
  end)

  it("is nil for what is none", function()
    for kind, texts in pairs {
      ipv4 = { "", "10.1.2", "10.1.2.256", "010.1.2.3", "10.1.2.3\0", "10.1.2.3/8", "::1" },
      ipv6 = { "10.1.2.3", ":::", "1:2:3:4:5:6:7", "::12345", "fe80::1%lo" },
      ip = { "ten", "10.0.0.0/8" },
      mac = { "02:00:5e:10:00", "02:00-5e:10:00:01", "0g:00:5e:10:00:01" },
      prefix4 = { "10.0.0.0/33", "10.0.0.0/08", "10.0.0.0/" },
    } do
      for _, text in ipairs(texts) do assert.is_nil(core.parse_address(kind, text), text) end
    end
    assert.has_error(function() core.parse_address("address", "::1") end)
    assert.has_error(function() core.format_address("ipv4", "123") end)
  end)
end)

describe("an IP address", function()
  local good = {
    ["0.0.0.0"] = MAPPED .. "00000000", ["10.1.2.255"] = MAPPED .. "0a0102ff",
    ["::"] = ("00"):rep(16), ["::1"] = ("00"):rep(15) .. "01", ["1::"] = "0001" .. ("00"):rep(14),
    ["2001:DB8::a:0b"] = "20010db8" .. ("00"):rep(8) .. "000a000b",
    ["1:2:3:4:5:6:7:8"] = "00010002000300040005000600070008",
    ["1:2:3:4:5:6:7::"] = "00010002000300040005000600070000",
    ["::2:3:4:5:6:7:8"] = "00000002000300040005000600070008",
    ["::ffff:10.0.0.1"] = MAPPED .. "0a000001", ["64:ff9b::1.2.3.4"] = "0064ff9b"
      .. ("00"):rep(8) .. "01020304", ["1:2:3:4:5:6:1.2.3.4"] = "00010002000300040005000601020304",
  }
  for text, bytes in pairs(good) do
    it("has 16 bytes: " .. text, function()
      assert.equal(bytes, hex(core.parse_address("ip", text)))
    end)
  end

  local bad = { "", "1.2.3", "1.2.3.4.5", "256.1.1.1", "01.2.3.4", "1.2.3.4 ", "a.b.c.d", ":",
    ":::", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "1::2::3", "12345::", "g::", ":1:2:3:4:5:6:7",
    "1:2:3:4:5:6:7:", "1:2:3:4::5:6:7:8", "1.2.3.4::", "::1.2.3.4:5", "::1.2.3", "fe80::1%lo",
    "1.2.3.4:1:2:3:4:1.2.3.4" }
  for _, text in ipairs(bad) do
    it(("is none: %q"):format(text), function() assert.is_nil(core.parse_address("ip", text)) end)
  end
end)
