-- SPDX-License-Identifier: MIT
--
-- Declarations to layouts: sizes and offsets as in C, descriptions, errors,
-- and types of fields overridden.

local core = require "luabpf.core"
local layout = require "luabpf.layout.layout"

local function describe_layout(declared)
  return layout.new(declared, "key"):describe()
end

-- { name = offset in bytes, or "byte:bit" of a bitfield } of the fields, and the size.
local function offsets(declared)
  local desc, result = describe_layout(declared), {}
  local function add(fields, base)
    for _, field in ipairs(fields) do
      local bit = base + field.bit
      if not field.name then
        add(field.type.fields, bit)
      else
        result[field.name] = field.bits and ("%d:%d"):format(bit // 8, bit % 8) or bit // 8
      end
    end
  end
  add(desc.fields, 0)
  return result, desc.size
end

-- The message of an error, without the place it blames.
local function message_of(fn, ...)
  local ok, message = pcall(fn, ...)
  assert.is_false(ok)
  return (message:gsub("^[^:]+:%d+: ", ""))
end

local function refusal(declared)
  return message_of(function()
    local made = layout.new(declared, "key")
    return made
  end)
end

describe("declarations", function()
  it("give every type its size", function()
    local sizes = {
      u8 = 1, u16 = 2, u32 = 4, u64 = 8, s8 = 1, s16 = 2, s32 = 4, s64 = 8, be16 = 2, be32 = 4,
      be64 = 8, bool = 1, float = 4, double = 8, char = 1, ["char[7]"] = 7, ["bytes[3]"] = 3,
      ipv4 = 4, ipv6 = 16, ip = 16, mac = 6, prefix4 = 8, prefix6 = 20, ["u16[3]"] = 6,
      ["enum8 { a }"] = 1, ["enum16 { a }"] = 2, ["enum32 { a }"] = 4, ["enum64 x { a }"] = 8,
      __be16 = 2, uint32_t = 4, int8_t = 1, __s64 = 8,
    }
    for name, size in pairs(sizes) do
      assert.equal(size, describe_layout(name).size, name)
    end
  end)

  it("align fields as C does", function()
    local at, size = offsets { "u8 a", "u32 b", "u16 c", "u64 d", "u8 e" }
    assert.same({ a = 0, b = 4, c = 8, d = 16, e = 24 }, at)
    assert.equal(32, size)
  end)

  it("leave no gaps when packed", function()
    local at, size = offsets { "u8 a", "u32 b", "u16 c", "u64 d", "u8 e", packed = true }
    assert.same({ a = 0, b = 1, c = 5, d = 7, e = 15 }, at)
    assert.equal(16, size)
  end)

  it("pack nested structs too, unless they say otherwise", function()
    local tuple = { name = "tuple", "u8 a", "u32 b" }
    local at, size = offsets { "u8 x", tuple, "u8 y", packed = true }
    assert.same({ x = 0, tuple = 1, y = 6 }, at)
    assert.equal(7, size)
    tuple.packed = false
    at, size = offsets { "u8 x", tuple, "u8 y", packed = true }
    assert.same({ x = 0, tuple = 1, y = 9 }, at)
    assert.equal(10, size)
  end)

  it("align nested structs by their fields", function()
    local at, size = offsets { "u8 a", { name = "t", "u8 b", "u16 c" }, { name = "s", "u64 d" } }
    assert.same({ a = 0, t = 2, s = 8 }, at)
    assert.equal(16, size)
  end)

  it("put the fields of structs without a name into the parent", function()
    local at, size = offsets { "u8 a", { "u16 b", "u32 c" }, "u8 d" }
    assert.same({ a = 0, b = 4, c = 8, d = 12 }, at)
    assert.equal(16, size)
  end)

  it("lay the fields of unions over each other", function()
    local at, size = offsets { "u8 a", { union = true, "u16 b", "bytes[7] c", { "u8 d", "u8 e" } } }
    assert.same({ a = 0, b = 2, c = 2, d = 2, e = 3 }, at)
    assert.equal(10, size)
  end)

  it("place bitfields as the System V ABI does", function()
    local at, size = offsets { "u32 a : 3", "u32 b : 30", "u8 c : 1", "u8 d : 7", "u8 e : 5",
      "u16 f : 4", "u8 g" }
    assert.same({ a = "0:0", b = "4:0", c = "7:6", d = "8:0", e = "9:0", f = "10:0", g = 11 }, at)
    assert.equal(12, size)
  end)

  it("place packed bitfields one after the other", function()
    local at, size = offsets { "u32 a : 3", "u32 b : 30", "u8 c", packed = true }
    assert.same({ a = "0:0", b = "0:3", c = 5 }, at)
    assert.equal(6, size)
  end)

  it("take array lengths behind the name and behind the type", function()
    local desc = describe_layout { "u16 m[2][3]", "bytes[6] ids[4]", "char names[4][16]",
      { name = "slots[5]", "u8 a", "u16 b" } }
    local m, ids, names, slots = table.unpack(desc.fields)
    assert.same({ 2, 3, "u16" }, { m.type.n, m.type.elem.n, m.type.elem.elem.name })
    assert.same({ 4, "bytes", 6 }, { ids.type.n, ids.type.elem.kind, ids.type.elem.size })
    assert.same({ 4, "text", 16 }, { names.type.n, names.type.elem.kind, names.type.elem.size })
    assert.same({ 5, "struct", 4 }, { slots.type.n, slots.type.elem.kind, slots.type.elem.size })
    assert.equal(12 + 24 + 64 + 20, desc.size)
  end)

  it("number the values of enums as C does", function()
    local desc = describe_layout "enum16 state { new, old = 7, older, oldest = 0x10, }"
    assert.same({ { name = "new", value = 0 }, { name = "old", value = 7 },
      { name = "older", value = 8 }, { name = "oldest", value = 16 } }, desc.values)
    assert.is_nil(desc.signed)
    assert.is_true(describe_layout("enum8 { lost = -1, found }").signed)
  end)

  it("may be layouts already", function()
    local made = layout.new({ "u32 a" }, "key")
    assert.equal(made, layout.new(made, "value"))
  end)
end)

describe("descriptions", function()
  local declared = { "u8 a", "be16 b[2]", "s32 c : 5", "bool d", "char e[4]", "char f",
    "bytes[3] g", "enum8 h { x, y = -4 }", "prefix6 i", "double j",
    { union = true, "u32 k", "ipv4 l" },
    { name = "m[2]", "mac n", packed = true }, "u64 o[2][2]" }

  it("come back from the layout made of them", function()
    local desc = describe_layout(declared)
    assert.same(desc, core.layout(desc):describe())
  end)

  local function refused(change)
    local desc = describe_layout { "u32 a", "u32 b : 3", "u16 c[3]", "enum8 e { x }" }
    change(desc)
    return message_of(core.layout, desc)
  end

  it("that lie are refused, naming the place", function()
    local cases = {
      { function(d) d.kind = "strukt" end, "layout.kind: there is no kind 'strukt'" },
      { function(d) d.kind = nil end, "layout.kind: string expected, got nil" },
      { function(d) d.size = -1 end, "layout.size: -1 is not within 0 and 536870911" },
      { function(d) d.size = 8 end, "layout.fields[3]: the field ends outside of its 8 bytes" },
      { function(d) d.size = 1 << 40 end,
        "layout.size: 1099511627776 is not within 0 and 536870911" },
      { function(d) d.align = 3 end, "layout: align: 3 is not a power of 2" },
      { function(d) d.fields = 1 end, "layout.fields: list expected, got number" },
      { function(d) d.fields[1] = 1 end, "layout.fields[1]: table expected, got number" },
      { function(d) d.fields[1].bit = 3 end, "layout.fields[1]: bit 3 is not the start of a byte" },
      { function(d) d.fields[1].bit = 2^40 | 0 end,
        "layout.fields[1].bit: 1099511627776 is not within 0 and 4294967295" },
      { function(d) d.fields[1].name = "x\0y" end,
        "layout.fields[1].name: empty name, or one with a zero byte" },
      { function(d) d.fields[1].name = "c" end, "layout.c: the name is used twice" },
      { function(d) d.fields[1].type = nil end,
        "layout.fields[1].type: description of a type expected, got nil" },
      { function(d) d.fields[1].type.size = 9 end,
        "layout.fields[1].type.size: 9 is no size of kind 'int'" },
      { function(d) d.fields[1].type.size = 0 end,
        "layout.fields[1].type.size: 0 is no size of kind 'int'" },
      { function(d) d.fields[2].bits = 33 end, "layout.fields[2]: 33 bits are more than u32 has" },
      { function(d) d.fields[2].bits = 0 end,
        "layout.fields[2].bits: 0 is not within 1 and 64" },
      { function(d) d.fields[2].bit = 8 * d.size - 2 end,
        "layout.fields[2]: the bitfield ends outside of its 16 bytes" },
      { function(d) d.fields[3].bits = 3 end, "layout.fields[3]: u16 cannot be a bitfield" },
      { function(d) d.fields[3].type.n = 4 end,
        "layout.fields[3].type: 4 elements of 2 bytes are not 6 bytes" },
      { function(d) d.fields[4].type.values[1].value = 256 end,
        "layout.fields[4].type.values[1].value: 256 is not within 0 and 255" },
      { function(d) d.fields[4].type.values[1].name = nil end,
        "layout.fields[4].type.values[1]: a value without a name" },
    }
    for _, case in ipairs(cases) do assert.equal(case[2], refused(case[1])) end
  end)

  it("that contain themselves are refused", function()
    local message = refused(function(d) d.fields[1].type = d end)
    assert.truthy(message:find("types nest deeper than 64", 1, true))
  end)

  it("that name one table very often are refused", function()
    local desc = { kind = "struct", size = 0, fields = {} }
    for _ = 1, 20 do
      local up = { kind = "struct", size = 0, fields = {} }
      for i = 1, 4 do up.fields[i] = { name = "f" .. i, bit = 0, type = desc } end
      desc = up
    end
    assert.truthy(message_of(core.layout, desc):find("more than 65536 types", 1, true))
  end)
end)

describe("wrong declarations", function()
  local function is_refused(declared, expected)
    assert.equal(expected, refusal(declared))
  end

  it("raise, naming the declaration and what is wrong", function()
    is_refused({ "u32 a", "u32 a" }, "key: the name 'a' is used twice")
    is_refused({ "u32 a", { "u8 a" } }, "key: the name 'a' is used twice")
    is_refused({}, "key: a struct without fields")
    is_refused({ { name = "t" } }, "key.t: a struct without fields")
    is_refused({ "u32 a[0]" }, [[key: "u32 a[0]": [0] is no length from 1 to 536870911]])
    is_refused({ "u32 a[x]" }, [[key: "u32 a[x]": [x] is no length from 1 to 536870911]])
    is_refused({ "u32 9a" }, [[key: "u32 9a": '9a' is not a name]])
    is_refused({ "u32 a-b" }, [[key: "u32 a-b": 'a-b' is not a name]])
    is_refused({ "u32 a b" }, [[key: "u32 a b": 'b' is too much]])
    is_refused({ "u32" }, [[key: "u32": the name of the field is missing]])
    is_refused({ "" }, [[key: "": a declaration such as "u32 name" expected]])
    is_refused({ "bytes a" }, 'key: "bytes a": bytes needs a length: bytes[N]')
    is_refused({ "be32 a : 3" }, [[key: "be32 a : 3": be32 cannot be a bitfield]])
    is_refused({ "u32 a : 33" },
      [[key: "u32 a : 33": the width of a bitfield of this type is 1 to 32]])
    is_refused({ "u32 a : 0" },
      [[key: "u32 a : 0": the width of a bitfield of this type is 1 to 32]])
    is_refused({ "u32 a[2] : 3" }, [[key: "u32 a[2] : 3": u32 cannot be a bitfield]])
    is_refused({ "enum8 a" }, [[key: "enum8 a": an enum needs its values: { a = 0, b = 5 }]])
    is_refused({ "enum8 a {}" }, [[key: "enum8 a {}": an enum without values]])
    is_refused({ "enum8 a { x, x }" }, [[key: "enum8 a { x, x }": the name 'x' is used twice]])
    is_refused({ "enum8 a { x = y }" },
      [[key: "enum8 a { x = y }": 'x = y' is not NAME or NAME = INTEGER]])
    is_refused({ "enum8 a { x = 256 }" },
      [[key: "enum8 a { x = 256 }": x = 256 is not within 0 and 255]])
    is_refused({ "u8 a { x }" }, [[key: "u8 a { x }": only enums have values in braces]])
    is_refused({ 5 }, "key: declaration expected, got number")
    is_refused({ "u8 a", pack = true }, "key: unknown option 'pack'")
    is_refused({ "u8 a", packed = 1 }, "key: packed: boolean expected, got number")
    is_refused({ "u8 a", { name = 5, "u8 b" } }, "key: name: string expected, got number")
    is_refused({ "u8 a", { name = "b-", "u8 b" } },
      [[key: "b-": not a name, or NAME[n] for an array]])
    is_refused({ "u8 a", nil, "u8 b", [5] = "u8 c" }, "key: unknown option '5'")
    is_refused("u32 a", [[key: "u32 a": a type alone, or a list of fields: { "u32 a" }]])
    is_refused(5, "key: type name or list of declarations expected, got number")
    is_refused(nil, "key: type name or list of declarations expected, got nil")
    is_refused({ "u64 a[536870911]" }, [[key: "u64 a[536870911]": larger than 536870911 bytes]])
    is_refused({ "u8 a[536870911]", "u8 b" }, "key: larger than 536870911 bytes")
  end)

  it("with an unknown type name those there are", function()
    local message = refusal { "u8 a", { name = "t", "u31 x" } }
    assert.truthy(message:find([[key.t: "u31 x": no type 'u31' (types: u8 u16]], 1, true))
  end)

  it("that contain themselves raise", function()
    local cyclic = { "u8 a" }
    cyclic[2] = cyclic
    assert.truthy(refusal(cyclic):find("structs nest deeper than 32", 1, true))
  end)

  it("blame the caller's caller, or the level asked for", function()
    local function facade(level)
      local made = layout.new("u31", "key", level)
      return made
    end
    local line = debug.getinfo(1, "l").currentline
    local _, outer = pcall(function() return (facade()) end)
    local _, inner = pcall(function() return (facade(2)) end)
    assert.truthy(outer:find(("layout_spec.lua:%d:"):format(line + 1), 1, true), outer)
    assert.truthy(inner:find(("layout_spec.lua:%d:"):format(line - 3), 1, true), inner)
  end)
end)

describe("overriding", function()
  local base = layout.new({ "u32 addr", "u8 id[16]", { "u16 port", "u16 flags : 4" },
    { name = "tuple", "u32 src", "u32 dst" }, { name = "slots[2]", "u64 at" }, "s64 n" }, "key")

  local function field(desc, name)
    for _, f in ipairs(desc.fields) do
      if f.name == name then return f.type end
      local inner = not f.name and f.type.fields and field(f.type, name)
      if inner then return inner end
    end
  end

  local function override(declared)
    return layout.override(base, declared, "key"):describe()
  end

  it("changes the types of the named fields only", function()
    local desc, before = override { "ipv4 addr", "be16 port" }, base:describe()
    assert.equal("ipv4", field(desc, "addr").kind)
    assert.is_true(field(desc, "port").big)
    for _, name in ipairs { "id", "flags", "tuple", "slots", "n" } do
      assert.same(field(before, name), field(desc, name))
    end
    assert.equal(before.size, desc.size)
    for i, f in ipairs(before.fields) do assert.equal(f.bit, desc.fields[i].bit) end
  end)

  it("goes into nested structs and arrays of them", function()
    local desc = override { { name = "tuple", "ipv4 dst" }, { name = "slots", "double at" } }
    assert.equal("int", field(field(desc, "tuple"), "src").kind)
    assert.equal("ipv4", field(field(desc, "tuple"), "dst").kind)
    assert.equal("float", field(field(desc, "slots").elem, "at").kind)
  end)

  it("puts structs in place of bytes, and bytes in place of structs", function()
    local desc = override { { name = "id", "u64 high", "be64 low" }, "bytes[8] tuple" }
    assert.equal("struct", field(desc, "id").kind)
    assert.equal("bytes", field(desc, "tuple").kind)
  end)

  it("takes new types for bitfields of the same width", function()
    assert.equal("enum", field(override { "enum16 flags { none, syn } : 4" }, "flags").kind)
  end)

  it("replaces a plain type by a name", function()
    local plain = layout.new("u32", "key")
    assert.equal("ipv4", layout.override(plain, "ipv4", "key"):describe().kind)
    assert.equal("ip", layout.override(layout.new("u8[16]", "key"), "ip", "key"):describe().kind)
  end)

  it("leaves the base as it was", function()
    local before = base:describe()
    override { "ipv4 addr" }
    assert.same(before, base:describe())
  end)

  it("raises for fields that there are not, other sizes, and bitfields that are none", function()
    local cases = {
      { { "u32 adr" }, "key.adr: the map has no such field; did you mean 'addr'?" },
      { { { name = "tuple", "u32 x" } }, "key.tuple.x: the map has no such field" },
      { { "u64 addr" }, "key.addr: u64 has 8 bytes, the map's u32 has 4" },
      { { "u16 flags" }, "key.flags: the map has a bitfield of 4 bits here" },
      { { "u16 port : 4" }, "key.port: the map has no bitfield here" },
      { { "ipv4 addr", "u32 addr" }, "key: the name 'addr' is used twice" },
      { { 5 }, "key: declaration expected, got number" },
      { "u32", "key: u32 has 4 bytes, the map's key has 56" },
      { 5, "key: type name or list of declarations expected, got number" },
    }
    for _, case in ipairs(cases) do
      assert.equal(case[2], message_of(function()
        local made = layout.override(base, case[1], "key")
        return made
      end))
    end
  end)

  it("say that fields are a list where a table names them", function()
    assert.error_matches(function()
      layout.new({ hits = "u64" }, "key")
    end, [[key: declarations are texts in the order of the C struct: "u64 hits", not hits = "u64"]],
      1, true)
  end)
end)
