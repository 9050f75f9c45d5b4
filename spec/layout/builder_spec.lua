-- SPDX-License-Identifier: MIT
--
-- Tables of structs that are decoded often are made by a compiled function, those that are
-- encoded often are read by known names (luabpf/bind/value/builder.c): the same as the first
-- ones, which are not.

local bpf = require "luabpf"
local helper = require "spec.support.helper"

local USES <const> = 32 -- after so many the function is made

local VALUES <const> = {
  ["a name too long to be one string"] = { "u32 " .. ("n"):rep(60), "u32 b" },
  ["numbers"] = { "u64 a", "s64 b", "u32 c", "s16 d", "be16 e", "be64 f", "u8 g" },
  ["structs within structs"] = { "u8 a", { name = "to", "ipv4 addr", "be16 port",
    { name = "deep", "u64 x", "u8 y[3]" } }, "u64 z" },
  ["text, bytes, addresses"] = { "char name[9]", "bytes[5] raw", "ipv6 v6", "mac hw", "ip any" },
  ["names that Lua reserves"] = { "u32 end", "u32 nil", "u32 _ENV", "u32 function", "u32 self" },
  ["bitfields, enums, bools, floats"] = { "u32 lo : 3", "u32 mid : 17", "s32 hi : 12",
    "enum8 state { a = 0, b = 200 }", "bool on", "double d", "float f" },
  ["anonymous members and unions"] = { "u32 a", { union = true, "u64 whole",
    "u8 parts[8]" }, { name = "u", union = true, "u32 x", "s32 y" } },
  ["arrays of structs"] = { { name = "slots[3]", "u16 a", "u8 b" }, "u32 m[2][2]" },
}

local function random_bytes(n)
  local bytes = {}
  for i = 1, n do bytes[i] = string.char(math.random(0, 255)) end
  return table.concat(bytes)
end

-- Bools of random bytes are 0 or 1 or integers; NaNs are not equal to themselves.
local function comparable(value)
  if type(value) ~= "table" then return value ~= value and "nan" or value end
  local copy = {}
  for name, field in pairs(value) do copy[name] = comparable(field) end
  return copy
end

describe("a table", function()
  after_each(helper.close_all)

  for what, layout in pairs(VALUES) do
    it("by a compiled function equals one without: " .. what, function()
      local map = helper.map { value = layout, max_entries = 64 }
      local size = map:info().value_size
      for i = 1, 60 do assert(map:update(i, random_bytes(size), { raw = true })) end
      for _ = 1, USES + 1 do map:lookup(1) end
      local plain
      for i = 1, 60 do
        if i % (USES // 2) == 1 then plain = assert(bpf.open { fd = map:fd(), value = layout }) end
        assert.same(comparable(plain:lookup(i)), comparable(map:lookup(i)))
      end
      local n = 0
      for key, value in map:entries() do
        assert.same(comparable(map:lookup(key)), comparable(value))
        n = n + 1
      end
      assert.equal(60, n)
    end)
  end

  for what, layout in pairs(VALUES) do
    it("of a key and one of its value are made together: " .. what, function()
      local map, other = helper.map { key = layout, value = layout }, helper.map { value = layout }
      local size = map:info().key_size
      local function decoded(bytes)
        assert(other:update(1, bytes, { raw = true }))
        return comparable(other:lookup(1))
      end
      for _ = 1, 60 do
        assert(map:update(random_bytes(size), random_bytes(size), { raw = true }))
      end
      for batch in map:batches() do
        local keys, values = batch:packed()
        local at = 1
        for key, value in batch:entries() do
          assert.same(decoded(keys:sub(at, at + size - 1)), comparable(key))
          assert.same(decoded(values:sub(at, at + size - 1)), comparable(value))
          at = at + size
        end
        assert.equal(#keys + 1, at)
      end
    end)
  end

  it("of more fields than a function takes is made all the same", function()
    local layout = {}
    for i = 1, 300 do layout[i] = "u32 f" .. i end
    local map = helper.map { value = layout, max_entries = 2 }
    local given = {}
    for i = 1, 300 do given["f" .. i] = i * 7 end
    map:update(1, given)
    for _ = 1, USES + 5 do assert.same(given, map:lookup(1)) end
  end)

  it("is a new one each time", function()
    local map = helper.map { value = { "u32 a", { name = "in", "u32 b" } } }
    map:update(1, { a = 1, ["in"] = { b = 2 } })
    local first
    for _ = 1, USES + 5 do
      local value = map:lookup(1)
      assert.not_equal(first, value)
      value.a, value["in"].b = 99, 99
      first = value
    end
    assert.same({ a = 1, ["in"] = { b = 2 } }, map:lookup(1))
  end)

  it("per CPU is made that way too", function()
    local map = helper.map { type = "percpu_hash", value = { "u32 a", "u64 b" } }
    local list = {}
    for cpu = 1, (bpf.cpus()) do list[cpu] = { a = cpu, b = cpu * 10 } end
    map:update(1, list)
    for _ = 1, USES + 5 do assert.same(list, map:lookup(1)) end
  end)
end)

describe("a table that is encoded", function()
  after_each(helper.close_all)

  for what, layout in pairs(VALUES) do
    it("by known names gives the bytes that were decoded: " .. what, function()
      local map = helper.map { value = layout, max_entries = 64 }
      local size = map:info().value_size
      for i = 1, 60 do assert(map:update(i, random_bytes(size), { raw = true })) end
      for i = 1, 60 do
        local value = map:lookup(i)
        -- NaNs differ from themselves in tables.
        assert(map:update(61, value))
        local first = map:lookup(61, { raw = true })
        assert.equal(map:lookup(i, { raw = true }), first)
        assert(map:update(61, map:lookup(61)))
        assert.equal(first, map:lookup(61, { raw = true }))
        local plain <close> = assert(bpf.open { fd = map:fd(), value = layout })
        assert(plain:update(62, value))
        assert.equal(plain:lookup(62, { raw = true }), first)
      end
    end)
  end

  local LAYOUT <const> = { "u32 a", "s16 b", "u8 bits : 3", { name = "in", "u32 c" }, "u64 d" }

  -- A map whose values have been encoded often.
  local function used_map()
    local map = helper.map { value = LAYOUT }
    for _ = 1, USES + 1 do map:update(1, { a = 1, b = -2, ["in"] = { c = 3 }, d = 4 }) end
    return map
  end

  it("is refused for the same reasons", function()
    for reason, value in pairs {
      ["value.e: unknown field"] = { a = 1, e = 2 },
      ["value[1]: unknown field"] = { 7, a = 1 },
      ["value: names of fields expected, got a key of type boolean"] = { [true] = 1 },
      ["value.in.x: unknown field"] = { ["in"] = { x = 1 } },
      ["value.a: -1 is not within 0 and 4294967295"] = { a = -1 },
      ["value.b: 32768 is not within -32768 and 32767"] = { b = 32768 },
      ["value.bits: 8 is not within 0 and 7"] = { bits = 8 },
      ["value.d: 0.5 has no integer representation"] = { d = 0.5 },
      ["value.d: integer expected, got string"] = { d = "4" },
    } do
      local fresh = helper.map { value = LAYOUT }
      assert.error_matches(function() fresh:update(1, value) end, reason, 1, true)
      assert.error_matches(function() used_map():update(1, value) end, reason, 1, true)
    end
  end)

  it("has zeros for what is missing, whatever was encoded before", function()
    local map = used_map()
    local zeros = map:lookup(1, { raw = true }):gsub(".", "\0")
    for value, expected in pairs {
      [{}] = { a = 0, b = 0, bits = 0, ["in"] = { c = 0 }, d = 0 },
      [{ b = 32767, bits = 5 }] = { a = 0, b = 32767, bits = 5, ["in"] = { c = 0 }, d = 0 },
      [{ d = -1, a = 3.0 }] = { a = 3, b = 0, bits = 0, ["in"] = { c = 0 }, d = -1 },
    } do
      map:update(1, value)
      assert.same(expected, map:lookup(1))
    end
    map:update(1, {})
    assert.equal(zeros, map:lookup(1, { raw = true }))
  end)

  it("is read without its metamethods", function()
    local map = used_map()
    local value = setmetatable({ a = 7 }, { __index = function() return 9 end,
      __pairs = function() return function() return nil end end })
    map:update(1, value)
    assert.equal(7, map:lookup(1).a)
    assert.equal(0, map:lookup(1).d)
  end)

  it("per CPU is read that way too", function()
    local map = helper.map { type = "percpu_hash", value = { "u32 a", "u64 b" } }
    local list = {}
    for cpu = 1, (bpf.cpus()) do list[cpu] = { a = cpu, b = cpu * 10 } end
    for _ = 1, USES + 1 do map:update(1, list) end
    list[1] = { b = 5 }
    map:update(1, list)
    list[1].a = 0
    assert.same(list, map:lookup(1))
  end)
end)
