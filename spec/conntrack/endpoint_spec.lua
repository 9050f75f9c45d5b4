-- SPDX-License-Identifier: MIT
--
-- Endpoints as people write them (lua/luabpf/conntrack/endpoint.lua).

local core = require "luabpf.core"
local endpoint = require "luabpf.conntrack.endpoint"

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
      return endpoint.after(core.parse_address("ip", x), x_port or 1,
        core.parse_address("ip", y), y_port or 1)
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
