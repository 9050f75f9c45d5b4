-- SPDX-License-Identifier: MIT
--
-- Functions of expressions: each row has all its parts, and what prefix does in
-- queries. Their meaning is compared in compile_spec and differential_spec.

local compile = require "luabpf.expr.compile"
local expr = require "luabpf.expr.parse"
local functions = require "luabpf.expr.functions"
local helper = require "spec.support.helper"
local layouts = require "spec.support.layouts"

local ENGINES <const> = { "kernel", "batch" }

describe("a function", function()
  it("is parsed by its row, and lowered and run by it where its nodes are its own", function()
    for name, row in pairs(functions) do
      assert.equal("function", type(row.parse), name)
      assert.equal(row.run ~= nil, (row.lower or row.piece) ~= nil, name)
    end
  end)

  it("is suggested where a name is nearly right, and unknown otherwise", function()
    assert.error_matches(function() expr.parse("perfix", layouts.env) end, "did you mean 'prefix'?")
    assert.error_matches(function() expr.parse("floor(1)", layouts.env) end,
      "unknown function 'floor'")
  end)
end)

describe("prefix", function()
  after_each(helper.close_all)

  local function filled()
    local map = helper.map { key = { "ipv4 v4", "ipv6 v6" }, value = { "u64 n" } }
    for i = 1, 9 do
      local key = { v4 = ("10.%d.0.%d"):format(i % 3, i),
        v6 = ("2001:db8:%d::%d"):format(i % 2, i) }
      map:update(key, { n = i })
    end
    return map
  end

  it("selects, is a column and groups", function()
    local map = filled()
    for _, engine in ipairs(ENGINES) do
      local function count(where, params)
        return (map:count(where, { params = params, engine = engine }))
      end
      assert.equal(3, count("prefix(key.v4, 16) == '10.1.0.0/16'"))
      assert.equal(3, count("prefix(key.v4, $n) == $net", { n = 16, net = "10.1.0.0/16" }))
      assert.equal(6, count("prefix(key.v4, 16) ~= '10.1.0.0/16'"))
      assert.equal(9, count("prefix(key.v4, 16) in '10.0.0.0/8'"))
      assert.equal(0, count("prefix(key.v4, 7) in '10.0.0.0/8'"))
      assert.equal(5, count("prefix(key.v6, 48) == '2001:db8:1::/48'"))
      assert.equal(5, count("prefix(key.v6, $n) in $net", { n = 65, net = "2001:db8:1::/64" }))
      local rows = map:aggregate { group = "prefix(key.v4, $n) as net, prefix(key.v6, 47) as wide",
        select = "sum(value.n) as n", params = { n = 16 }, engine = engine }
      assert.same({ { net = "10.0.0.0/16", wide = "2001:db8::/47", n = 18 },
        { net = "10.1.0.0/16", wide = "2001:db8::/47", n = 12 },
        { net = "10.2.0.0/16", wide = "2001:db8::/47", n = 15 } }, setmetatable(rows, nil))
      for row in map:select { columns = "prefix(key.v6, 128) as a, prefix(key.v4, 0) as b, value.n",
          engine = engine } do
        assert.equal(("2001:db8:%s:%d/128"):format(row.n % 2 == 1 and "1:" or "", row.n), row.a)
        assert.equal("0.0.0.0/0", row.b)
      end
    end
  end)

  it("says what it does not take", function()
    local function fails(text, message)
      assert.error_matches(function()
        compile.fragment(expr.condition(text, layouts.env), layouts.env)
      end, message)
    end
    fails("prefix(key.gateway, 8) == '10.0.0.0/8'", "prefix takes a field that is an IPv4 or an")
    fails("prefix(key.src_port, 8) == 1", "prefix takes a field that is an IPv4 or an IPv6 address")
    fails("prefix(key.src_addr, 33) == '10.0.0.0/8'", "a length from 0 to 32 or a parameter")
    fails("prefix(key.src_addr, key.protocol) == '10.0.0.0/8'", "a length from 0 to 32")
    fails("prefix(key.src_addr, 8) == 'ten'", "\"ten\" is not an IPv4 prefix")
    fails("prefix(key.src_addr, 8) == key.dst_addr", "do not compare")
    local map = filled()
    helper.raises("params.n: a length from 0 to 32 expected, got 33", map.count, map,
      "prefix(key.v4, $n) == '10.0.0.0/8'", { params = { n = 33 } })
  end)
end)
