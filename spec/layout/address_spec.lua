-- SPDX-License-Identifier: MIT
--
-- Addresses as text and bytes: what core gives to Lua is what keys are read and written with.

local core = require "luabpf.core"
local helper = require "spec.support.helper"

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
