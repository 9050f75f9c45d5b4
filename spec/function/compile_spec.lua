-- SPDX-License-Identifier: MIT
--
-- Functions that are compiled, and what is used again of them.

local bpf = require "luabpf"
local helper = require "spec.support.helper"

-- Globals of a spec are looked up by a function of busted's.
local ipairs, math = ipairs, math

local function flows()
  local map = assert(bpf.create { type = "hash", name = helper.name(), max_entries = 2000,
    key = { "u32 id", "u16 port" }, value = { "u64 packets", "char comm[8]", "bool on",
    "enum8 state { new = 0, up = 1 }", "u32 n[3]" } })
  for i = 1, 1000 do
    assert(map:update({ id = i, port = i % 100 }, { packets = i % 10, n = { i, 2, 3 },
      comm = i % 2 == 0 and "nginx" or "curl", on = i % 3 == 0,
      state = i % 5 == 0 and "up" or "new" }))
  end
  return map
end

-- The program that a count was run by: loading another one is another query.
local function queries_of(map)
  return require("luabpf.query.prepare").facts(map).n
end

describe("a function", function()
  local map = flows()

  it("is compiled, with what it reads from outside", function()
    local port, name, limits = 7, "nginx", { low = 2 }
    local function f(key, value)
      return key.port ~= port and value.comm == name and value.packets > limits.low
    end
    local n, report = map:count(f)
    assert.same({ true, 0 }, { report.compiled, report.asked })
    local plain = map:count(f, { compile = false })
    assert.equal(plain, n)
    port, name, limits.low = 8, "curl", 5
    n, report = map:count(f)
    assert.is_true(report.compiled)
    assert.equal(map:count(f, { compile = false }), n)
    assert.not_equal(plain, n)
  end)

  it("is the same program for other numbers, strings and sets", function()
    local function make(port, name, set)
      return function(key, value)
        return key.port == port or value.comm == name or set[key.port]
      end
    end
    assert(map:count(make(1, "nginx", { [5] = true })))
    local before = queries_of(map)
    for i = 1, 20 do
      local f = make(i, i % 2 == 0 and "curl" or "longer than the field",
        { [i] = true, [2 * i] = true })
      assert.equal(map:count(f, { compile = false }), (map:count(f, { compile = true })))
    end
    assert.equal(before, queries_of(map))
  end)

  it("compiles what Lua functions from outside do, and tables of constants", function()
    local names = { [0] = "no", "one", "two" }
    local lib = { double = function(x) return x * 2 end }
    local function small(x) return lib.double(x) < 10 end
    local function f(key, value) return small(value.packets) and names[key.port] == "two" end
    local n, report = map:count(f, { compile = true })
    assert.same({ 10, true }, { n, report.compiled })
    function lib.double(x) return x * 4 end
    assert.equal(map:count(f, { compile = false }), (map:count(f)))
    names[3] = "two"
    assert.equal(map:count(f, { compile = false }), (map:count(f)))
  end)

  it("searches large sets", function()
    for _, many in ipairs { 400, 3000, 40000 } do
      local set = {}
      for i = 1, many do set[i * 2] = true end
      local function f(key) return set[key.id] end
      for _, engine in ipairs { "kernel", "batch" } do
        local n, report = map:count(f, { engine = engine, compile = true })
        assert.same({ math.min(many, 500), engine }, { n, report.engine })
      end
      local before = queries_of(map)
      set[2], set[7] = nil, true
      assert.equal(map:count(f, { compile = false }), (map:count(f)))
      assert.equal(before, queries_of(map))
      assert.equal(math.min(many, 500), map:delete_where(f, { dry_run = true }).matched)
    end
  end)

  it("leaves sets to Lua that are too large, and large tables that are none", function()
    local set = {}
    for i = 1, 300000 do set[i * 2] = true end
    local n, report = map:count(function(key) return set[key.id] end)
    assert.same({ 500, false }, { n, report.compiled })
    assert.matches("compile_spec%.lua:%d+: a table of more than", report.why)
    for i = 1, 3000 do set[i] = i end
    report = select(2, map:count(function(key) return set[key.id] == 5 end))
    assert.is_false(report.compiled)
  end)

  it("loops over lists", function()
    local function f(_, value)
      local sum = 0
      for _, x in ipairs(value.n) do sum = sum + x end
      for i = 1, #value.n do if value.n[i] == 500 then return true end end
      return sum > 900
    end
    assert.equal(map:count(f, { compile = false }), (map:count(f, { compile = true })))
  end)

  it("knows clocks, math and text", function()
    local function f(key, value)
      return bpf.now() > 0 and bpf.boottime() > 0 and math.max(key.id, 500) == key.id
        and value.comm:sub(1, 2) == "ng" and #value.comm == 5 and value.comm:find("^ngi")
        and math.ult(key.port, 50) and math.abs(-key.port) >= 0
    end
    assert.equal(map:count(f, { compile = false }), (map:count(f, { compile = true })))
  end)

  it("is given up where it takes too much work, whatever it is", function()
    local facts = require("luabpf.query.prepare").facts(map)
    local compile = require "luabpf.function.compile"
    local function of(head, part, between)
      local parts = {}
      for i = 1, 1000 do parts[i] = part:gsub("@", i) end
      return ("local U = ... return function(key, value) %s %s"):format(head,
        table.concat(parts, between))
    end
    local names = {}
    for i = 1, 1000 do names["u" .. i] = 1 + i % 3 end
    for i, text in ipairs {
      of("return", "value.n[U.u@] == @", " or ") .. " end",
      of("local s = 0", "if value.packets > @ then s = s + key.id end", " ") .. " return s > 5 end",
      of("return", "#value.comm == @ % 8", " or ") .. " end",
      of("local s = 0", "s = s * 3 + (value.packets == @ and key.id or s)", " ")
        .. " return s > 5 end",
      of("return", "(value.packets // (key.id + @)) % (key.port + @) > @", " or ") .. " end",
    } do
      -- Work is counted in instructions of Lua: what compiles is some million.
      local f, thousands = load(text, "=big")(names), 0
      debug.sethook(function() thousands = thousands + 1 end, "", 1000)
      local made = compile.where(f, facts)
      debug.sethook()
      assert(thousands < 20000, i .. ": " .. thousands)
      assert.is_false(made.compiled)
      assert.matches("too", made.why)
      assert.equal((map:count(f, { compile = false })), (map:count(f)))
    end
  end)

  it("of per-CPU values is over lists", function()
    local percpu = helper.map { type = "percpu_hash", value = { "u64 n", "s16 d" } }
    for i = 1, 50 do
      local list = {}
      for cpu = 1, (bpf.cpus()) do list[cpu] = { n = i * cpu, d = -i } end
      assert(percpu:update(i, list))
    end
    local function f(key, value)
      local sum = 0
      for i = 1, #value do sum = sum + value[i].n end
      for _, one in ipairs(value) do sum = sum + one.d end
      return sum > 20 and key % 2 == 0
    end
    for _, engine in ipairs { "kernel", "batch" } do
      local n, report = percpu:count(f, { engine = engine, compile = true })
      assert.equal(engine, report.engine)
      assert.equal(percpu:count(f, { compile = false }), n)
    end
  end)

  it("is kept without what it closes over", function()
    local weak = setmetatable({}, { __mode = "k" })
    do
      local big, other = {}, assert(bpf.create { type = "hash", max_entries = 10,
        name = helper.name(), key = "u32", value = "u32" })
      weak[big], weak[other] = true, true
      map:count(function(key) return big[key.id] end)
      map:count(function(key) return key.id > 990 and other:count() > 0 end)
      big, other = nil, nil -- luacheck: ignore
    end
    collectgarbage()
    collectgarbage()
    assert.is_nil(next(weak))
  end)
end)

describe("bpf.compile of a function", function()
  local map = flows()

  it("prints its instructions under the lines of the source", function()
    local made = bpf.compile(function(key, value)
      if value.packets == 0 then return false end
      return key.port > 5
    end, map)
    local text = tostring(made)
    assert.matches("compile_spec%.lua:%d+: if value%.packets == 0 then return false end\n", text)
    assert.matches("compile_spec%.lua:%d+: return key%.port > 5\n", text)
    assert.equal(map:count("value.packets ~= 0 and key.port > 5"), (map:count(made)))
  end)

  it("raises with the line that is Lua's", function()
    local ok, err = pcall(bpf.compile, function(key) return key.id / 2 > 5 end, map)
    assert.is_false(ok)
    assert.matches("compile: .*compile_spec%.lua:%d+: '/' gives a float; '//' divides", err)
    assert.error_matches(function() bpf.compile(print, map) end, "it is no Lua function")
    assert.error_matches(function() bpf.compile(function() end, 5) end, "map or snapshot expected")
  end)
end)
