-- SPDX-License-Identifier: MIT
--
-- Networks in functions: what bpf.prefix and bpf.within say is what they say outside.

local agree = require "spec.support.agree"
local bpf = require "luabpf"
local helper = require "spec.support.helper"
local ipairs = ipairs

local map = helper.map { max_entries = 300, key = { "ipv4 v4", "ipv6 v6", "u32 id" },
  value = { "prefix4 net", "prefix6 wide", "ip any", "ipv4 gate" } }
for i = 1, 250 do
  local v4 = ("10.%d.%d.%d"):format(i % 3, i % 7, i)
  local v6 = ("2001:db8:%x:%x::%x"):format(i % 3, i % 5 << 12, i)
  assert(map:update({ v4 = v4, v6 = v6, id = i }, { gate = ("10.%d.%d.9"):format(i % 2, i % 7),
    net = ("10.%d.0.0/16"):format(i % 2), wide = ("2001:db8:%x::/48"):format(i % 2),
    any = i % 2 == 0 and v4 or v6 }))
end

describe("bpf.prefix in a function", function()
  it("is compared with text", function()
    assert(agree.on(map, function(k) return bpf.prefix(k.v4, 16) == "10.1.0.0/16" end, true) > 0)
    assert(agree.on(map, function(k) return bpf.prefix(k.v6, 47) == "2001:db8::/47" end, true) > 0)
    assert(agree.on(map, function(k) return bpf.prefix(k.v6, 68) ~= "2001:db8:1:1000::/68" end,
      true) > 0)
    assert(agree.on(map, function(k)
      return bpf.prefix(k.v4, 0) == "0.0.0.0/0" and bpf.prefix(k.v4, 32) == "10.1.1.1/32"
    end, true) > 0)
    -- No network shows as these.
    assert.equal(0, agree.on(map, function(k)
      return bpf.prefix(k.v4, 16) == "10.1.1.0/16" or bpf.prefix(k.v4, 16) == "10.1.0.0/15"
        or bpf.prefix(k.v4, 16) == "10.1.0.0" or bpf.prefix(k.v6, 32) == "2001:DB8::/32"
        or bpf.prefix(k.v4, 16) == 5
    end, true))
  end)

  it("takes text, lengths and sets from outside", function()
    local function of(n, text, set)
      return function(k)
        return bpf.prefix(k.v4, n) == text or bpf.prefix(k.v6, n) == text
          or set[bpf.prefix(k.v4, n)]
      end
    end
    for _, n in ipairs { 0, 8, 16, 23, 24, 32 } do
      for _, text in ipairs { "10.1.0.0/16", "10.1.1.0/24", "0.0.0.0/0", "2001::/16", "x" } do
        agree.on(map, of(n, text, { ["10.2.2.0/24"] = true, ["10.0.0.0/16"] = true }), true)
      end
    end
  end)

  -- A network's bytes are cut into other integers than those of a field that is a prefix.
  it("is looked for in the same set as fields that are prefixes", function()
    local set = { ["10.1.0.0/16"] = true, ["10.2.0.0/16"] = true, ["2001:db8:1::/48"] = true }
    local function some(n) return n > 0 and n < 250 end
    assert(some(agree.on(map, function(k, v)
      return set[v.net] and set[bpf.prefix(k.v4, 16)]
    end, true)))
    assert(some(agree.on(map, function(k, v)
      return set[bpf.prefix(k.v6, 48)] and not set[v.net] or set[v.wide] and set[v.net]
    end, true)))
    assert(some(agree.on(map, function(k, v)
      return set[v.wide] and set[bpf.prefix(k.v6, 48)] and set[bpf.prefix(v.gate, 16)]
    end, true)))
  end)

  it("is another length without another program", function()
    local n = 8
    local function f(k) return bpf.prefix(k.v4, n) == "10.1.1.0/24" end
    assert.equal(0, agree.on(map, f, true))
    local before = require("luabpf.query.prepare").facts(map).n
    n = 24
    assert(agree.on(map, f, true) > 0)
    assert.equal(before, require("luabpf.query.prepare").facts(map).n)
  end)

  it("raises for what is no length", function()
    local n = 33
    local function f(k) return k.id > 5 and bpf.prefix(k.v4, n) == "10.0.0.0/8" end
    local ok, err = pcall(map.count, map, f)
    assert.is_false(ok)
    assert.matches("a length from 0 to 32 expected, got 33", err.message)
    n = 8
    assert(agree.on(map, f, true) > 0)
    n = -1
    assert.is_false(pcall(map.count, map, f))
  end)

  it("is compared with others, and with fields", function()
    assert(agree.on(map, function(k, v)
      return bpf.prefix(k.v4, 24) == bpf.prefix(v.gate, 24)
    end, true) > 0)
    assert(agree.on(map, function(k, v) return bpf.prefix(k.v4, 16) == v.net end, true) > 0)
    assert(agree.on(map, function(k, v) return v.wide == bpf.prefix(k.v6, 48) end, true) > 0)
    assert.equal(0, agree.on(map, function(k, v)
      return bpf.prefix(k.v4, 24) == bpf.prefix(v.gate, 23)
    end, true))
    assert.equal(0, agree.on(map, function(k)
      return k.id % 2 == 0 and bpf.prefix(k.v4, 32) == k.v4
    end, "partly"))
  end)

  it("lies in networks", function()
    assert(agree.on(map, function(k) return bpf.within(bpf.prefix(k.v4, 16), "10.1.0.0/16") end,
      true) > 0)
    assert.equal(0, agree.on(map, function(k)
      return bpf.within(bpf.prefix(k.v4, 15), "10.0.0.0/16")
    end, true))
    for _, n in ipairs { 0, 15, 16, 17 } do
      agree.on(map, function(k) return bpf.within(bpf.prefix(k.v4, n), "10.0.0.0/16") end, true)
    end
  end)

  it("is Lua's of what depends on the entry", function()
    agree.on(map, function(k) return bpf.prefix(k.v4, k.id % 33) == "10.0.0.0/8" end, false)
    agree.on(map, function(_, v)
      return bpf.prefix(v.any, 8) == "10.0.0.0/8"
    end, false)
  end)
end)

describe("bpf.prefix as a group and a column", function()
  -- The rows in an order, as text.
  local function rows_of(what, options, compile)
    options.compile = compile
    local rows, report = map[what](map, options)
    local list = {}
    for i, row in ipairs(rows) do
      list[i] = ("%s %s %s"):format(row.group or row.four, row.six or "", row.n)
    end
    if compile then assert.equal(0, report.asked) end
    table.sort(list)
    return list
  end

  it("is compiled, and the same as by Lua", function()
    for _, n in ipairs { 0, 1, 13, 24, 31, 32, 33, 47, 64, 65, 96, 97, 127, 128 } do
      local short = math.min(n, 32)
      for _, engine in ipairs { "kernel", "batch" } do
        local by_six = { group = function(k) return bpf.prefix(k.v6, n) end, engine = engine,
          select = "sum(key.id) as n" }
        assert.same(rows_of("aggregate", by_six, false), rows_of("aggregate", by_six, true))
        local both = { columns = function(k)
          return { four = bpf.prefix(k.v4, short), six = bpf.prefix(k.v6, 48), n = k.id }
        end, engine = engine }
        assert.same(rows_of("rows", both, false), rows_of("rows", both, true))
      end
    end
    local list = map:aggregate { group = function(k) return bpf.prefix(k.v4, 16) end }
    assert.same({ group = "10.0.0.0/16", count = 83 }, list[1])
  end)

  it("is one column with fields that are prefixes", function()
    local options = { columns = function(k, v)
      return { four = k.id % 2 == 0 and bpf.prefix(k.v4, 24) or v.net, n = k.id }
    end }
    assert.same(rows_of("rows", options, false), rows_of("rows", options, true))
  end)
end)

describe("bpf.within in a function", function()
  it("is of addresses and prefixes", function()
    assert(agree.on(map, function(k) return bpf.within(k.v4, "10.1.0.0/16") end, true) > 0)
    assert(agree.on(map, function(k) return bpf.within(k.v6, "2001:db8:1::/48") end, true) > 0)
    assert(agree.on(map, function(_, v) return bpf.within(v.any, "10.0.0.0/8") end, true) > 0)
    assert(agree.on(map, function(_, v) return bpf.within(v.net, "10.1.0.0/16") end, true) > 0)
    assert(agree.on(map, function(k) return bpf.within(k.v4, "::/0") end, false) > 0)
  end)
end)
