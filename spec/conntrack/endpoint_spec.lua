-- SPDX-License-Identifier: MIT
--
-- luabpf.address and luabpf.endpoint: addresses and endpoints as people write them.

local address = require "luabpf.expr.address"
local endpoint = require "luabpf.conntrack.endpoint"

local function hex(bytes)
  return bytes and (bytes:gsub(".", function(c) return ("%02x"):format(c:byte()) end))
end

local MAPPED <const> = ("00"):rep(10) .. "ffff"

describe("an address", function()
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
    it("has 16 bytes: " .. text, function() assert.equal(bytes, hex(address.ip(text))) end)
  end

  local bad = { "", "1.2.3", "1.2.3.4.5", "256.1.1.1", "01.2.3.4", "1.2.3.4 ", "a.b.c.d", ":",
    ":::", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "1::2::3", "12345::", "g::", ":1:2:3:4:5:6:7",
    "1:2:3:4:5:6:7:", "1:2:3:4::5:6:7:8", "1.2.3.4::", "::1.2.3.4:5", "::1.2.3", "fe80::1%lo",
    "1.2.3.4:1:2:3:4:1.2.3.4" }
  for _, text in ipairs(bad) do
    it(("is none: %q"):format(text), function() assert.is_nil(address.ip(text)) end)
  end
end)

describe("an endpoint", function()
  local good = {
    ["10.0.0.1:80"] = { "10.0.0.1", 80 }, ["[::1]:443"] = { "::1", 443 }, [":53"] = { nil, 53 },
    ["10.0.0.1"] = { "10.0.0.1" }, ["::1"] = { "::1" }, ["[::1]"] = { "::1" },
    ["::"] = { "::" }, ["10.0.0.1:0"] = { "10.0.0.1", 0 },
  }
  for text, parts in pairs(good) do
    it("has address and port: " .. text, function()
      assert.same(parts, { endpoint.parse(text) })
    end)
  end

  local bad = { "", ":", "x", "10.0.0.1:", "10.0.0.1:65536", "[::1]:", "[]:80", "[::1", "80" }
  for _, text in ipairs(bad) do
    it(("is none: %q"):format(text), function()
      local host, port = endpoint.parse(text)
      assert.is_nil(host)
      assert.is_nil(port)
    end)
  end

  it("is written so that it can be read", function()
    assert.equal("10.0.0.1:80", endpoint.text("10.0.0.1", 80))
    assert.equal("[::1]:80", endpoint.text("::1", 80))
  end)

  it("sorts by its bytes, then by port", function()
    local function after(x, y, x_port, y_port)
      return endpoint.after(address.ip(x), x_port or 1, address.ip(y), y_port or 1)
    end
    assert.is_true(after("10.0.0.2", "10.0.0.1"))
    assert.is_false(after("10.0.0.1", "10.0.0.2"))
    assert.is_true(after("200.0.0.1", "9.0.0.1"))
    assert.is_true(after("ff02::1", "1::"))
    assert.is_true(after("1::1", "10.0.0.1"))
    assert.is_true(after("::1", "::1", 2, 1))
    assert.is_false(after("::1", "::1", 1, 1))
  end)
end)
