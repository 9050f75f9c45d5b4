-- SPDX-License-Identifier: MIT
--
-- Sets from outside: integers, addresses and text, few and many, in every engine.

local agree = require "spec.support.agree"
local helper = require "spec.support.helper"
local prepare = require "luabpf.query.prepare"
local ipairs, math, pairs = ipairs, math, pairs

local function hosts()
  return helper.map { max_entries = 400, key = { "u32 id", "ipv6 v6", "s64 n" },
    value = { "ip any", "char name[24]", "mac hw", "prefix4 net", "prefix6 wide",
      "bytes raw[11]" } }
end

local function fill(map)
  for i = 1, 300 do
    local n = i % 5 == 0 and math.mininteger + i or i % 7 == 0 and math.maxinteger - i or i * i
    assert(map:update({ id = i, v6 = ("2001:db8::%x"):format(i), n = n },
      { any = i % 2 == 0 and ("10.0.0.%d"):format(i % 250) or ("2001:db8::%x"):format(i),
        name = ("name %d of some"):format(i % 40), hw = ("02:00:00:00:00:%02x"):format(i % 256),
        net = ("10.%d.0.0/16"):format(i % 9), wide = ("2001:%x::/32"):format(i % 9),
        raw = ("%011d"):format(i % 50) }))
  end
  return map
end

local map = fill(hosts())

-- Values of a field of all entries, every so many of them.
local function some(field, every)
  local set, i = {}, 0
  for key, value in map:views() do
    i = i + 1
    if i % every == 0 then set[field(key, value)] = true end
  end
  return set
end

local FIELDS <const> = {
  function(k) return k.n end, function(k) return k.v6 end, function(_, v) return v.any end,
  function(_, v) return v.name end, function(_, v) return v.hw end, function(_, v) return v.net end,
  function(_, v) return v.wide end, function(_, v) return v.raw end,
}

describe("a set", function()
  it("is of fields of all kinds", function()
    for i, field in ipairs(FIELDS) do
      for _, every in ipairs { 1, 2, 7, 400 } do
        local set = some(field, every)
        local function f(k, v) return set[field(k, v)] end
        local n = agree.on(map, f, true)
        assert(every == 400 and n == 0 or every < 400 and n > 0, i)
        set["no such"], set[5] = true, true
        agree.on(map, f, true)
      end
    end
  end)

  it("of many keys is searched in memory that is shared with the program", function()
    for _, field in ipairs(FIELDS) do
      local set = some(field, 3)
      for i = 1, 5000 do
        set[i * 3] = true
        set[("2001:db8:1::%x"):format(i)], set[("name %d"):format(i)] = true, true
      end
      for _, n in ipairs { math.mininteger, math.maxinteger, 0, -1 } do set[n] = true end
      agree.on(map, function(k, v) return set[field(k, v)] end, true)
      agree.on(map, function(k, v) return not set[field(k, v)] and k.id % 2 == 0 end, true)
    end
  end)

  it("with other keys needs no other program", function()
    local set = some(FIELDS[3], 2)
    local function f(_, v) return set[v.any] end
    agree.on(map, f, true)
    local before = prepare.facts(map).n
    for i = 1, 20 do
      set[("10.0.0.%d"):format(i)] = i % 3 ~= 0 or nil
      agree.on(map, f, true)
    end
    for key in pairs(set) do set[key] = nil end
    assert.equal(0, agree.on(map, f, true))
    assert.equal(before, prepare.facts(map).n)
  end)

  it("says what is deleted, with threads and in every engine", function()
    local set = some(FIELDS[2], 2)
    for i = 1000, 3000 do set[("2001:db8::%x"):format(i)] = true end
    local function f(k) return set[k.v6] end
    for _, given in ipairs { { engine = "kernel" }, { engine = "batch" },
      { engine = "batch", workers = 2 } } do
      local other <close> = fill(hosts())
      assert.equal(150, (other:count(f, given)))
      given.workers = nil
      assert.equal(150, other:delete_where(f, given).deleted)
      assert.equal(0, (other:count(f, { compile = false })))
      assert.equal(150, other:count())
    end
  end)

  it("of one value gives that value", function()
    local set = { ["10.0.0.2"] = 7, ["10.0.0.4"] = 7 }
    agree.on(map, function(_, v) return (set[v.any] or 1) == 7 end, true)
    set["10.0.0.6"] = 8
    agree.on(map, function(_, v) return (set[v.any] or 1) == 7 end, true)
  end)

  it("that was empty may be of several values the next time", function()
    local set = {}
    local function f(_, v) return (set[v.any] or 1) == 7 end
    assert.equal(0, agree.on(map, f, true))
    set["10.0.0.2"], set["10.0.0.4"] = 7, 8
    assert(agree.on(map, f, true) > 0)
    set = {}
    assert.equal(0, agree.on(map, f, true))
    set["10.0.0.4"] = { 7 }
    assert.equal(0, (map:count(f)))
  end)

  it("is looked up with a field and with a network of its type", function()
    local prefix = require("luabpf.function.words").prefix
    local set = { ["10.3.0.0/16"] = true, ["10.0.0.0/8"] = true, ["2001:db8::/32"] = true,
      ["2001:4::/32"] = true }
    assert.equal(33, agree.on(map, function(k, v)
      return set[v.wide] and set[prefix(k.v6, 32)]
    end, true))
    agree.on(map, function(k, v)
      if set[prefix(k.v6, 32)] then return set[v.wide] end
      return set[v.net]
    end, true)
  end)
end)
