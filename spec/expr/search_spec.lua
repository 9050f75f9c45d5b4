-- SPDX-License-Identifier: MIT
--
-- Long lists after `in`, and lists and sets given at run time: numbers, names, text,
-- addresses and prefixes, in every engine, against a look at each entry in Lua.

local bpf = require "luabpf"
local compile = require "luabpf.expr.compile"
local expr = require "luabpf.expr.parse"
local helper = require "spec.support.helper"
local layouts = require "spec.support.layouts"
local params = require "luabpf.expr.params"

local N <const> = 500
local ENGINES <const> = { "kernel", "batch", "walk" }

local function address(i) return ("10.%d.%d.%d"):format(i % 3, i % 7, i % 251) end
local function wide(i) return ("2001:db8:%x::%x"):format(i % 5, i % 97) end
local function name(i) return ("name %d of many"):format(i % 50):sub(1, i % 16) end

local function filled()
  local map = helper.map { max_entries = N, key = { "be32 id" }, value = { "s64 n", "be16 port",
    "enum8 state { new = 0, open = 5, closed = 9 }", "u8 pad", "ipv4 v4", "ipv6 v6", "mac hw",
    "char name[16]" } }
  local values, keys = {}, {}
  for i = 1, N do
    keys[i] = { id = i }
    values[i] = { n = (i % 100 - 50) * 0x123456789, port = i % 300, v4 = address(i), v6 = wide(i),
      state = ({ "new", "open", "closed" })[i % 3 + 1], name = name(i),
      hw = ("02:00:00:00:00:%02x"):format(i % 200) }
  end
  assert(map:update_batch(keys, values))
  return map, values
end

local function quoted(element)
  return type(element) == "string" and ("%q"):format(element) or ("%d"):format(element)
end

local function in_list(field, list)
  local texts = {}
  for i, element in ipairs(list) do texts[i] = quoted(element) end
  return ("value.%s in (%s)"):format(field, table.concat(texts, ", "))
end

-- Lists by field: some elements that are there, some that are not, more than once.
local function lists(n)
  local made = { n = {}, port = {}, v4 = {}, v6 = {}, hw = {}, name = {}, state = {} }
  for i = 1, n do
    local x = math.random(1000)
    made.n[i], made.port[i] = (x % 140 - 50) * 0x123456789, x
    made.v4[i], made.v6[i], made.name[i] = address(x), wide(x), name(x)
    made.hw[i] = ("02:00:00:00:%02x:%02x"):format(x % 2, x % 256)
    made.state[i] = ({ "new", "closed" })[x % 2 + 1]
  end
  return made
end

local function expected(values, field, list)
  local set, n = {}, 0
  for _, element in ipairs(list) do set[element] = true end
  for _, value in ipairs(values) do n = n + (set[value[field]] and 1 or 0) end
  return n
end

describe("in", function()
  after_each(helper.close_all)

  it("finds what a list or a set has, written out or given at run time", function()
    local map, values = filled()
    for _, n in ipairs { 1, 2, 5, 30, 200 } do
      for field, list in pairs(lists(n)) do
        local want, set = expected(values, field, list), {}
        for _, element in ipairs(list) do set[element] = true end
        set[field == "name" and "no such name" or list[1]] = field ~= "name"
        for _, engine in ipairs(ENGINES) do
          local where = ("value.%s in $set"):format(field)
          assert.equal(want, (map:count(in_list(field, list), { engine = engine })), field)
          for _, given in ipairs { list, set } do
            local options = { engine = engine, params = { set = given } }
            assert.equal(want, (map:count(where, options)), field)
            assert.equal(N - want, (map:count(("not (%s)"):format(where), options)), field)
          end
        end
      end
    end
  end)

  it("takes prefixes of several lengths, and what is not in any", function()
    local map, values = filled()
    local nets = { "10.0.0.0/16", "10.1.3.0/24", "10.2.0.0/17", "10.1.4.0/24", "10.1.5.0/24",
      "10.1.6.0/24", "192.168.0.0/16", "10.2.6.77" }
    local n = 0
    for _, value in ipairs(values) do
      local b, c, d = value.v4:match("^10%.(%d+)%.(%d+)%.(%d+)$")
      local within = b == "0" or b == "1" and tonumber(c) >= 3 or b == "2" and tonumber(c) < 128
      n = n + (within and d and 1 or 0)
    end
    for _, engine in ipairs(ENGINES) do
      local given = { params = { nets = nets }, engine = engine }
      assert.equal(n, (map:count("value.v4 in $nets", given)))
      assert.equal(n, (map:count(in_list("v4", nets), { engine = engine })))
      assert.equal(0, (map:count("value.v4 in $nets", { params = { nets = {} }, engine = engine })))
      assert.equal(N, (map:count("value.v6 in $nets", { engine = engine,
        params = { nets = { ["2001:db8::/32"] = true, ["::/1"] = false } } })))
      assert.equal(N, (map:count("value.v4 in $net", { params = { net = "10.0.0.0/8" },
        engine = engine })))
    end
  end)

  it("takes other lists in the next run, and elsewhere than in where", function()
    local map, values = filled()
    for _, list in ipairs { { 1, 2, 3 }, { 4 }, { 1, 2, 3 }, {} } do
      assert.equal(expected(values, "port", list),
        (map:count("value.port in $ports", { params = { ports = list } })))
      local row = map:aggregate { params = { ports = list },
        select = "sum(if(value.port in $ports, 1, 0)) as n" }[1]
      assert.equal(expected(values, "port", list), row.n)
    end
    local report = map:delete_where("value.port in $ports", { params = { ports = { 5, 6 } } })
    assert.equal(expected(values, "port", { 5, 6 }), report.deleted)
    local gone = {}
    for key in map:drain { where = "value.port in $ports", params = { ports = { [7] = true } } } do
      gone[#gone + 1] = key
    end
    assert.truthy(#gone > 0)
    assert.equal(0, (map:count("value.port in $p", { params = { p = { 5, 6, 7 } } })))
  end)

  it("is compiled without a list too", function()
    local map = filled()
    assert.truthy(tostring(bpf.compile("value.port in $ports", map)):find("r0 = 0", 1, true))
    local where = bpf.compile("value.port in $ports and value.n > 0", map)
    assert.truthy(map:count(where, { params = { ports = { 60, 61 } } }) > 0)
  end)

  it("says what is no list or no element", function()
    local map = filled()
    local function fails(text, where, set)
      helper.raises(text, map.count, map, where, { params = { set = set } })
    end
    fails("params.set: missing", "value.port in $set", nil)
    fails("params.set: a list or a set expected, got number", "value.port in $set", 5)
    fails("params.set: a list, or a set with true", "value.port in $set", { a = 1 })
    fails("params.set: integers and text expected in a list, got 1.5", "value.n in $set", { 1.5 })
    fails("params.set: element 1: 'value.port' is an integer", "value.port in $set", { "http" })
    fails("params.set: element 2:", "value.v4 in $set", { "10.0.0.1", "ten" })
    fails("\"ten\" is not an IPv4 address", "value.v4 in $set", { "10.0.0.1", "ten" })
    fails("enum", "value.state in $set", { "open", "shut" })
    fails("params.set: an integer or text", "value.port == $set", { 1 })
  end)

  it("compares a few times where a list is long", function()
    local function most_steps(n)
      local list = {}
      for i = 1, n do list[i] = i * 7 end
      local compiled = compile.fragment(expr.parse(("value.bytes in (%s)")
        :format(table.concat(list, ", ")), layouts.env), layouts.env)
      local machine, most = require "spec.support.bpf_machine", 0
      local tables = params.pack(compiled.params, nil, 0, 0)
      for i = 0, n * 7, 5 do
        local value = string.pack("<I8I8I8", 0, 0, i) .. ("\0"):rep(layouts.value.size - 24)
        local r0, ran = machine.run(compiled.code,
          { key = "", value = value, tables = tables })
        assert.equal(i % 7 == 0 and i > 0 and 1 or 0, r0)
        most = math.max(most, #ran)
      end
      return most
    end
    -- With those of the sieve, which are fourteen.
    assert.truthy(most_steps(200) <= 28 + 14)
    assert.truthy(most_steps(2000) <= 32 + 14)
  end)
end)
