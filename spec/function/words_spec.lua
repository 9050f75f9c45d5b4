-- SPDX-License-Identifier: MIT
--
-- bpf.within, bpf.prefix and bpf.text outside of compiled functions; inside, they give the same.

local bpf = require "luabpf"
local helper = require "spec.support.helper"

describe("bpf.within", function()
  it("says whether an address lies in a prefix", function()
    for _, case in ipairs {
      { "10.1.2.3", "10.0.0.0/8", true }, { "11.1.2.3", "10.0.0.0/8", false },
      { "10.1.2.3", "10.1.2.3", true }, { "10.1.2.3", "0.0.0.0/0", true },
      { "2001:db8::1", "2001:db8::/32", true }, { "2001:db9::1", "2001:db8::/32", false },
      { "10.1.2.3", "::/0", true }, { "2001:db8::1", "10.0.0.0/8", false },
      { "::ffff:10.0.0.1", "10.0.0.0/8", true }, { "10.0.0.0/9", "10.0.0.0/8", true },
      { "10.0.0.0/7", "10.0.0.0/8", false }, { "x", "10.0.0.0/8", false },
    } do
      assert.equal(case[3], bpf.within(case[1], case[2]), case[1] .. " in " .. case[2])
    end
    assert.is_false(bpf.within(7, "10.0.0.0/8"))
  end)

  it("refuses what is no prefix", function()
    assert.error_matches(function() bpf.within("10.0.0.1", "10.0.0") end,
      'within: "10.0.0" is no address or prefix')
    assert.error_matches(function() bpf.within("10.0.0.1") end, "no address")
  end)
end)

describe("bpf.prefix", function()
  it("is the network of an address", function()
    for _, case in ipairs {
      { "10.1.2.3", 24, "10.1.2.0/24" }, { "10.1.2.3", 0, "0.0.0.0/0" },
      { "10.1.2.3", 32, "10.1.2.3/32" }, { "10.1.255.3", 17, "10.1.128.0/17" },
      { "2001:db8:1:2::3", 48, "2001:db8:1::/48" }, { "2001:DB8::1", 128, "2001:db8::1/128" },
      { "::ffff:10.0.0.1", 104, "::ffff:10.0.0.0/104" }, { "10.1.2.3", 8.0, "10.0.0.0/8" },
    } do
      assert.equal(case[3], bpf.prefix(case[1], case[2]))
    end
  end)

  it("refuses what is no address, and lengths that it has not", function()
    assert.error_matches(function() bpf.prefix("ten", 8) end,
      'prefix: "ten" is no IPv4 or IPv6 address')
    assert.error_matches(function() bpf.prefix(10, 8) end, "is no IPv4")
    assert.error_matches(function() bpf.prefix("10.0.0.1", 33) end,
      "prefix: a length from 0 to 32 expected, got 33")
    for _, length in ipairs { -1, 1.5, "8" } do
      assert.error_matches(function() bpf.prefix("10.0.0.1", length) end, "a length from 0 to 32")
    end
  end)
end)

describe("bpf.text", function()
  it("is text up to its first NUL", function()
    assert.equal("ng", bpf.text "ng\0x")
    assert.equal("nginx", bpf.text "nginx")
    assert.error_matches(function() bpf.text(5) end, "text: string expected, got number")
  end)
end)

describe("bpf.duration and bpf.size", function()
  it("are constants in a function, of text from outside too", function()
    local map = helper.map { value = "u64" }
    for i = 1, 9 do map:update(i, i * 1000000000) end
    local idle = "5s"
    local function f(_, value) return value > bpf.duration(idle) and value ~= bpf.size "1KiB" end
    for _, text in pairs { "5s", "7s", "0.5m" } do
      idle = text
      local n, report = map:count(f, { compile = true })
      assert.same({ math.max(9 - bpf.duration(text) // 1000000000, 0), 0 }, { n, report.asked })
    end
    idle = "soon"
    local ok, err = pcall(map.count, map, f)
    assert.is_false(ok)
    assert.matches("words_spec.lua:%d+: duration: ", tostring(err))
    local _, report = map:count(function(key, value) return bpf.duration(value) == key end)
    assert.matches("calls 'bpf.duration', which only Lua can do", report.why)
  end)
end)

describe("inside functions they", function()
  it("are compiled", function()
    local map = helper.map { key = { "ip addr" }, value = { "char comm[8]" } }
    assert(map:update({ addr = "10.0.0.1" }, { comm = "ng\0\1" }))
    assert(map:update({ addr = "2001:db8::1" }, { comm = "ng" }))
    local n, report = map:count(function(key, value)
      return bpf.within(key.addr, "10.0.0.0/8") and bpf.text(value.comm) == "ng"
    end, { compile = true })
    assert.same({ 1, true, 0 }, { n, report.compiled, report.asked })
  end)
end)
