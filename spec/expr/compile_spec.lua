-- SPDX-License-Identifier: MIT
--
-- The compiler: golden listings, a comparison of compiled fragments with a
-- direct evaluation of thousands of random expressions, parameters, limits.
-- Needs no kernel: fragments run in a machine in Lua (bpf_machine.lua).

local bpf_machine = require "spec.support.bpf_machine"
local compile = require "luabpf.expr.compile"
local evaluator = require "spec.support.evaluator"
local expr = require "luabpf.expr.parse"
local generator = require "spec.support.generator"
local layouts = require "spec.support.layouts"
local parameters = require "luabpf.expr.params"
local word = require "luabpf.base.word"

-- LUABPF_SEED=n runs the random expressions of that seed only, LUABPF_GOLDEN=1 writes the golden
-- listings anew.
local SEED <const> = tonumber(os.getenv("LUABPF_SEED") or nil)
local SEEDS <const> = 150 -- of ten expressions each, five entries for each: about two seconds

local function fragment(text, env)
  return compile.fragment(expr.parse(text, env), env)
end

-- The per-CPU slots as an executor computes them, by the evaluator's reading of a field.
local function reduce(percpu, values)
  local slots = {}
  for i, reduction in ipairs(percpu) do
    local field = {
      op = "field", of = "value", reduce = reduction.op, cpu = reduction.cpu + 1,
      desc = { size = reduction.size, signed = reduction.signed, big = reduction.big },
      bit = reduction.offset * 8 + reduction.bit,
      bits = reduction.bits ~= 0 and reduction.bits or nil,
    }
    slots[i] = string.pack("<i8", evaluator.run(field, { value = values }))
  end
  return table.concat(slots)
end

-- r0 of a fragment for an entry.
local function run(compiled, env, entry)
  local packed = parameters.pack(compiled.params, entry.params, entry.now, entry.boottime)
  return bpf_machine.run(compiled.code, {
    key = entry.key, value = not env.ncpu and entry.value or nil,
    slots = env.ncpu and reduce(compiled.percpu, entry.value),
    params = packed, tables = packed:sub(8 * parameters.slots(compiled.params) + 1),
  })
end

local function evaluate(ast, entry)
  local value = evaluator.run(ast, entry)
  return value == true and 1 or value == false and 0 or value
end

local function contents(path)
  local file <close> = io.open(path)
  return file and file:read("a")
end

describe("a compiled fragment", function()
  it("gives what the expression means, for random layouts, expressions and entries", function()
    for seed = SEED or 1, SEED or SEEDS do
      local random = generator.new(seed)
      local env = random:env()
      random:enter(env)
      for _ = 1, 10 do
        local text = random:expression()
        local ast = expr.parse(text, env)
        local compiled = compile.fragment(ast, env)
        local where = ("LUABPF_SEED=%d: %s"):format(seed, text)
        assert.is_nil(bpf_machine.unreachable(compiled.code), where)
        assert.equal(#compiled.code // 8, compiled.n)
        for _ = 1, 5 do
          local entry = random:entry(env, random.params)
          assert.equal(evaluate(ast, entry), run(compiled, env, entry), where)
        end
      end
    end
  end)

  it("is what the golden listings say", function()
    for name, case in pairs(layouts.golden) do
      local path = ("spec/golden/%s.txt"):format(name)
      local listing = case[1] .. "\n\n" .. compile.listing(fragment(case[1], case[2]))
      if os.getenv("LUABPF_GOLDEN") then io.open(path, "w"):write(listing):close() end
      assert.equal(contents(path), listing)
    end
  end)

  it("uses the frame when registers run out, and says when that does too", function()
    -- A balanced tree of 256 leaves takes nine registers.
    local function balanced(depth, i)
      if depth == 0 then return i % 3 == 0 and "value.delta" or "value.packets" end
      return ("(%s %s %s)"):format(balanced(depth - 1, 2 * i), i % 2 == 0 and "-" or "*",
        balanced(depth - 1, 2 * i + 1))
    end
    local text = balanced(8, 1)
    local ast, compiled = expr.parse(text, layouts.env), fragment(text, layouts.env)
    assert.truthy(compile.listing(compiled):find("*(u64 *)(r10 -40) =", 1, true))
    local random = generator.new(5)
    for _ = 1, 20 do
      local entry = random:entry(layouts.env, {})
      assert.equal(evaluate(ast, entry), run(compiled, layouts.env, entry))
    end

    -- All elements are named twice, and all of them are needed until the end.
    local array = { kind = "array", n = 64, size = 64, align = 1, name = "u8[64]",
      elem = { kind = "int", size = 1, align = 1, name = "u8" } }
    local function twice(n)
      local up, down = {}, {}
      for i = 1, n do up[i], down[n + 1 - i] = ("value[%d]"):format(i), ("value[%d]"):format(i) end
      return table.concat(up, " + ") .. " - (" .. table.concat(down, " * ") .. ")"
    end
    local env = { key = layouts.key, value = array }
    assert.equal(8 - 1, run(fragment(twice(8), env), env, { key = "", value = ("\1"):rep(64) }))
    assert.error_matches(function() fragment(twice(64), env) end,
      "the expression has too many fields that are named more than once")
  end)

  it("reaches fields beyond what an instruction's offset can say", function()
    local wide = { kind = "array", n = 40000, size = 40000, align = 1, name = "u8[40000]",
      elem = { kind = "int", size = 1, align = 1, name = "u8" } }
    local env = { key = layouts.key, value = wide }
    local compiled = fragment("value[40000] + value[2]", env)
    assert.equal(9, run(compiled, env, { key = "", value = "\0\2" .. ("\0"):rep(39997) .. "\7" }))
  end)

  it("reads bitfields that lie in nine bytes", function()
    for _, signed in ipairs { false, true } do
      local type = { kind = "int", size = 8, name = "u64", signed = signed }
      local value = { kind = "struct", name = "s", size = 9, align = 1,
        fields = { { name = "f", type = type, bit = 3, bits = 63 } } }
      local env = { key = layouts.key, value = value }
      local ast, compiled = expr.parse("value.f", env), fragment("value.f", env)
      for _, raw in ipairs { ("\0"):rep(8) .. "\2",
        "\0\0\0\0\0\0\0\0\1", "\xa5\1\2\3\4\5\6\7\xfd" } do
        local entry = { key = "", value = raw }
        assert.equal(evaluate(ast, entry), run(compiled, env, entry))
      end
    end
  end)

  it("reads bitfields of per-CPU values inside the value", function()
    local u32 = { kind = "int", size = 4, name = "u32" }
    local s32 = { kind = "int", size = 4, name = "s32", signed = true }
    local narrow = { kind = "struct", name = "s", size = 3, align = 1, fields = {
      { name = "a", type = u32, bit = 5, bits = 9 }, { name = "b", type = s32, bit = 17, bits = 7 },
      { name = "c", type = u32, bit = 2, bits = 20 },
    } }
    local env = { key = layouts.key, value = narrow, ncpu = 1 }
    local value = { "\xe0\x3f\xff" }
    assert.equal(511, run(fragment("value.a", env), env, { value = value }))
    assert.equal(-1, run(fragment("value.b", env), env, { value = value }))
    assert.error_matches(function() fragment("value.c", env) end,
      "this bitfield cannot be read over CPUs")
  end)

  it("folds what is constant and keeps what is not reachable out", function()
    for text, wanted in pairs {
      ["7 / 2 * 3 % 5"] = 4, ["-7 / 2"] = -3, ["-7 % 2"] = -1, ["1 / 0 + 5 % 0"] = 5,
      ["0xffffffffffffffff / 3"] = 0x5555555555555555, ["1 << 63 >> 62"] = 2,
      ["if(1 < 2, 3, value.bytes)"] = 3, ["value.bytes / (2 - 2)"] = 0, ["~0 ~ 5"] = ~5,
    } do
      local compiled = fragment(text, layouts.env)
      assert.truthy(compiled.n <= 2, compile.listing(compiled))
      assert.equal(wanted, run(compiled, layouts.env, { key = "", value = "" }), text)
    end
    for text, wanted in pairs {
      ["value.bytes > -1"] = 1, ["value.delta < 0xffffffffffffffff"] = 1,
      ["value.bytes == -1"] = 0, ["value.delta ~= 0x8000000000000000"] = 1,
      ["value.bytes <= -1 or value.delta >= 0xffffffffffffffff"] = 0,
      ["value.bytes in (-1, -2)"] = 0, ["5 in (1, value.bytes, 5)"] = 1,
      ["key.src_addr in '0.0.0.0/0'"] = 1, ["not (value.alive and false)"] = 1,
      ["if(value.alive, true, true)"] = 1, ["true == false"] = 0,
    } do
      local compiled = fragment(text, layouts.env)
      assert.equal(1, compiled.n, text .. "\n" .. compile.listing(compiled))
      assert.equal(wanted, run(compiled, layouts.env, { key = "", value = "" }), text)
    end
    assert.error_matches(function() fragment("value.bytes << 64", layouts.env) end,
      "a constant shift is from 0 to 63\n  value.bytes << 64\n                 ^")
    assert.error_matches(function() fragment("1 >> (2 - 3)", layouts.env) end, "from 0 to 63")
  end)

  it("compares prefixes of LPM tries by containment", function()
    local prefix = { kind = "prefix4", size = 8, align = 4, name = "prefix4" }
    local env = { key = prefix, value = layouts.value }
    local function key(length, ...) return string.pack("<I4", length) .. string.char(...) end
    local entry = { key = key(16, 10, 1, 0, 0), value = "", params = { p = "10.0.0.0/8" } }
    for text, wanted in pairs {
      ["key in '10.0.0.0/8'"] = 1, ["key in '10.1.0.0/24'"] = 0, ["key in '10.1.0.0/16'"] = 1,
      ["key in '0.0.0.0/0'"] = 1, ["key == '10.1.0.0/16'"] = 1, ["key == '10.1.0.0/17'"] = 0,
      ["key in ('11.0.0.0/8', $p)"] = 1, ["key == $p"] = 0,
    } do
      entry.params = text:find("$", 1, true) and { p = "10.0.0.0/8" } or {}
      assert.equal(wanted, run(fragment(text, env), env, entry), text)
    end
  end)

  it("counts its conditional jumps and keeps to its limits", function()
    local function list(n)
      local elements = {}
      for i = 1, n do elements[i] = tostring(i * 7) end
      return ("value.bytes in (%s)"):format(table.concat(elements, ", "))
    end
    local chain = ("value.bytes == value.packets + 7 or "):rep(999) .. "value.bytes == 3"
    assert.equal(1000, fragment(chain, layouts.env).comparisons)
    assert.truthy(fragment(list(1000), layouts.env).comparisons < 200)
    assert.equal(2, fragment("value.bytes > 1 and value.packets > 2", layouts.env).comparisons)
    assert.error_matches(function() fragment(list(20000), layouts.env) end,
      "the expression is too large: %d+ instructions, at most 16384")
    local wide = { kind = "array", n = 40, size = 40, align = 1, name = "u8[40]",
      elem = { kind = "int", size = 1, align = 1, name = "u8" } }
    local sum = {}
    for i = 1, 33 do sum[i] = ("value[1][%d]"):format(i) end
    local env = { key = layouts.key, value = wide, ncpu = 1 }
    assert.equal(32, #fragment(table.concat(sum, "+", 1, 32), env).percpu)
    assert.error_matches(function() fragment(table.concat(sum, "+"), env) end,
      "more than 32 fields are read over CPUs")
    for i = 1, 900 do sum[i] = "$p" .. i end
    assert.equal(900, #fragment(table.concat(sum, "+", 1, 900), layouts.env).params)
    local big = { kind = "bytes", size = 20000, align = 1, name = "bytes[20000]" }
    assert.error_matches(function() fragment("value == $x", { key = layouts.key, value = big }) end,
      "the parameters take more than 2048 slots")
  end)
end)

describe("fragments of one query", function()
  it("share parameters and per-CPU slots", function()
    local shared = { params = {}, percpu = {} }
    local where = compile.fragment(expr.parse("value.bytes > $limit and now > 5", layouts.percpu),
      layouts.percpu, shared)
    local column = compile.fragment(
      expr.parse("value.packets + value.bytes + $limit + $other", layouts.percpu), layouts.percpu,
      shared)
    assert.equal(shared.params, where.params)
    assert.equal(shared.percpu, column.percpu)
    local names = {}
    for i, param in ipairs(shared.params) do names[i] = ("%d %s"):format(param.slot, param.name) end
    assert.same({ "0 limit", "1 now", "2 other" }, names)
    assert.equal(2, #shared.percpu)
    assert.same({ op = "sum", cpu = 0, offset = 16, size = 8, bit = 0, bits = 0, signed = false,
      big = false }, shared.percpu[1])
  end)

  it("give the bytes of columns that are no integers", function()
    local function columns(text, env)
      local list, desc = compile.column(expr.parse(text, env), env)
      return list, desc and desc.kind
    end
    local random = generator.new(3)
    for _, case in ipairs {
      { "key.src_addr", layouts.env, 0, 4, "ipv4" }, { "key.peer", layouts.env, 16, 16, "ipv6" },
      { "key.hw", layouts.env, 48, 6, "mac" }, { "value.comm", layouts.env, 32, 16, "text" },
      { "value.ratio", layouts.env, 86, 8, "float" },
      { "value.tuple", layouts.env, 68, 12, "struct" },
    } do
      local text, env, offset, size, kind = table.unpack(case)
      local list, found = columns(text, env)
      assert.equal(kind, found)
      local entry = random:entry(env, {})
      local bytes = {}
      for i, part in ipairs(list) do bytes[i] = string.pack("<i8", run(part, env, entry)) end
      local raw = (text:find("^key") and entry.key or entry.value):sub(offset + 1, offset + size)
      assert.equal(raw, table.concat(bytes):sub(1, size), text)
    end
    local list, kind = columns("value[2].comm", layouts.percpu)
    assert.same({ 2, "text", 1 }, { #list, kind, list[2].percpu[1].cpu })
    list, kind = columns("value.state", layouts.env)
    assert.same({ 1, "enum" }, { #list, kind })
    list, kind = columns("value.bytes + 1", layouts.env)
    assert.same({ 1 }, { #list, kind })
    assert.error_matches(function() fragment("key.src_addr", layouts.env) end,
      "key.src_addr is neither an integer nor a condition")
  end)
end)

describe("parameters", function()
  local function pack(text, values, env)
    return parameters.pack(fragment(text, env or layouts.env).params, values, 11, 22)
  end

  local function refused(wanted, text, values)
    local ok, message = pcall(pack, text, values)
    assert.is_false(ok, text)
    assert.truthy(message:find(wanted, 1, true), message)
  end

  it("are converted as what they are compared with", function()
    assert.equal(string.pack("<i8i8i8", 11, 30000000000, 22),
      pack("now - value.last_seen > $idle or boottime < $idle", { idle = "30s" }))
    for _, value in ipairs { 65536, 65536.0, "64KiB", "0x10000", " 65536 " } do
      assert.equal(string.pack("<i8", 65536), pack("value.bytes > $n", { n = value }))
    end
    assert.equal(string.pack("<i8", -5), pack("value.delta > $n", { n = "-5" }))
    assert.equal(string.pack("<i8", 7), pack("value.state == $s", { s = "closed" }))
    assert.equal(string.pack("<i8", 3), pack("value.state == $s", { s = 3 }))
    assert.equal(string.pack("<i8", 1), pack("value.alive == $b", { b = true }))
    assert.equal("\10\1\2\3\0\0\0\0", pack("key.src_addr == $a", { a = "10.1.2.3" }))
    assert.equal("\10\1\0\0\0\0\0\0\xff\xff\0\0\0\0\0\0",
      pack("key.src_addr in $a", { a = "10.1.2.3/16" }))
    assert.equal("\0\x16\x3e\1\0\0\0\0\2\3\0\0\0\0\0\0",
      pack("key.hw == $m", { m = "00:16:3e:01:02:03" }))
    assert.equal("hi\0\0\0\0\0\0\xff\xff\xff" .. ("\0"):rep(21),
      pack("value.comm == $t", { t = "hi" }))
  end)

  it("of one name share their slots, unless they are of different kinds", function()
    assert.equal(8, #pack("value.bytes > $n and value.packets > $n", { n = 1 }))
    local both = "value.state == $n and value.bytes > $n"
    assert.equal(string.pack("<i8i8", 3, 3), pack(both, { n = 3 }))
    assert.equal(24, #pack("key.src_addr == $a or key.peer == $b", { a = "1.1.1.1", b = "::" }))
    assert.equal(24, #pack("key.src_addr == $a or key.src_addr in $a", { a = "1.1.1.1" }))
    local function enum(value)
      return { kind = "enum", size = 1, name = "e", values = { { name = "up", value = value } } }
    end
    local env = { key = enum(3), value = enum(4) }
    assert.equal(string.pack("<i8i8", 3, 4), pack("key == $n and value == $n", { n = "up" }, env))
  end)

  it("are named when they do not fit", function()
    refused("params.idle: missing", "value.bytes > $idle", {})
    refused("params.idle: missing", "value.bytes > $idle", nil)
    refused("params.idel: no such parameter (did you mean 'idle'?)", "value.bytes > $idle",
      { idle = 1, idel = 2 })
    refused("params.1: no such parameter", "value.bytes > 1", { 5 })
    refused("params.n: 'much' is not an integer", "value.bytes > $n", { n = "much" })
    refused("params.n: an integer or text such as \"30s\" expected, got a fraction",
      "value.bytes > $n", { n = 1.5 })
    refused("params.n: an integer or text such as \"30s\" expected, got table",
      "value.bytes > $n", { n = {} })
    refused("params.a: \"1.2.3\" is not an IPv4 address", "key.src_addr == $a", { a = "1.2.3" })
    refused("params.a: text expected, got number", "key.src_addr == $a", { a = 5 })
    refused("params.s: enum state has no 'close'", "value.state == $s", { s = "close" })
    refused("params.b: true or false expected, got number", "value.alive == $b", { b = 1 })
    refused("params.now: no such parameter", "now > 5", { now = 5 })
  end)
end)

describe("64-bit words", function()
  it("divide, compare and print as unsigned numbers", function()
    assert.equal("18446744073709551615", word.text(-1))
    assert.equal("9223372036854775808", word.text(math.mininteger))
    assert.equal("42", word.text(42))
    assert.equal(1, word.udiv(-1, -1))
    assert.equal(0, word.udiv(5, -1))
    assert.equal(math.mininteger, word.div(math.mininteger, -1, true, true))
    assert.equal(0, word.mod(math.mininteger, -1, true, true))
    assert.is_true(word.less(-1, 0, true, false))
    assert.is_false(word.less(-1, 0, false, false))
    assert.is_false(word.equal(-1, -1, true, false))
  end)
end)
