-- SPDX-License-Identifier: MIT
--
-- Tables of structs that are decoded often are made by a compiled function
-- (luabpf/builder.c): the same tables as the first ones, which are not.

local bpf = require "luabpf"
local helper = require "spec.helper"

local USES <const> = 32 -- after so many the function is made

local VALUES <const> = {
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
      for i = 1, 60 do assert(map:update(i, random_bytes(size))) end
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
