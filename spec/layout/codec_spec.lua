-- SPDX-License-Identifier: MIT
--
-- Bytes to Lua values and back, by way of maps in the kernel: what was encoded
-- is read as raw bytes, what is decoded was written as raw bytes.

local bpf = require "luabpf"
local core = require "luabpf.core"

local cpus = bpf.cpus()

-- Encodes and decodes by a layout, through the only entry of an array of that type.
local function codec(declared, kind)
  local map = assert(bpf.create { type = kind or "array", value = declared, max_entries = 1 })
  return {
    encode = function(value)
      assert.is_true(map:update(0, value))
      return map:lookup(0, { raw = true })
    end,
    decode = function(bytes)
      assert.is_true(map:update(0, bytes, { raw = true }))
      return map:lookup(0)
    end,
    refusal = function(value, options)
      local ok, message = pcall(map.update, map, 0, value, options)
      assert.is_false(ok)
      return (message:gsub("^[^:]+:%d+: ", ""))
    end,
    close = function() map:close() end,
  }
end

-- The same for one field, x; its bytes alone.
local function field(declared)
  local whole = codec { declared .. " x" }
  return {
    encode = function(value) return whole.encode { x = value } end,
    decode = function(bytes) return whole.decode(bytes).x end,
    refusal = function(value) return whole.refusal { x = value } end,
    close = whole.close,
  }
end

local function nan(bits) return (string.unpack("<d", string.pack("<I8", bits))) end

describe("integers", function()
  local bounds = {
    u8 = { 0, 255 }, u16 = { 0, 65535 }, u32 = { 0, 4294967295 }, s8 = { -128, 127 },
    s16 = { -32768, 32767 }, s32 = { -2147483648, 2147483647 }, be16 = { 0, 65535 },
    be32 = { 0, 4294967295 },
  }

  it("have the range of their type", function()
    for name, range in pairs(bounds) do
      local c = field(name)
      for _, value in ipairs(range) do assert.equal(value, c.decode(c.encode(value)), name) end
      for _, value in ipairs { range[1] - 1, range[2] + 1, math.mininteger, math.maxinteger } do
        assert.equal(("value.x: %d is not within %d and %d"):format(value, range[1], range[2]),
          c.refusal(value))
      end
      c.close()
    end
  end)

  it("lie in the byte order of the machine, be types in network order", function()
    local c = codec({ "u16 a", "be16 b", "u32 c", "be32 d", "be64 e", packed = true })
    local bytes = string.pack("<I2>I2<I4>I4>i8", 0x1234, 0x1234, 0x12345678, 0x12345678, -2)
    local value = { a = 0x1234, b = 0x1234, c = 0x12345678, d = 0x12345678, e = -2 }
    assert.equal(bytes, c.encode(value))
    assert.same(value, c.decode(bytes))
  end)

  it("of 64 bits are the pattern in a Lua integer", function()
    for _, name in ipairs { "u64", "s64", "be64" } do
      local c = field(name)
      for _, value in ipairs { 0, -1, math.mininteger, math.maxinteger } do
        assert.equal(value, c.decode(c.encode(value)))
      end
      c.close()
    end
  end)

  it("take floats that are exact integers, and nothing else that is no integer", function()
    local u32, u64, s64 = field "u32", field "u64", field "s64"
    assert.equal(7, u32.decode(u32.encode(7.0)))
    assert.equal(math.mininteger, u64.decode(u64.encode(2.0 ^ 63)))
    assert.equal(-2048, u64.decode(u64.encode(2.0 ^ 64 - 2048)))
    assert.equal("value.x: 1.5 has no integer representation", u32.refusal(1.5))
    assert.equal("value.x: inf has no integer representation", u64.refusal(math.huge))
    assert.equal("value.x: 1.844674407371e+19 has no integer representation", u64.refusal(2.0 ^ 64))
    assert.equal("value.x: 9.2233720368548e+18 has no integer representation",
      s64.refusal(2.0 ^ 63))
    assert.equal("value.x: integer expected, got string", u32.refusal "7")
    assert.equal("value.x: integer expected, got boolean", u32.refusal(true))
    assert.equal("value.x: integer expected, got table", u32.refusal {})
  end)

  it("alone are plain integers", function()
    local map <close> = bpf.create { type = "hash", key = "u32", value = "be16", max_entries = 4 }
    assert.is_true(map:update(7, 80))
    assert.equal(80, map:lookup(7))
    assert.equal("\0\80", map:lookup(7, { raw = true }))
    assert.error_matches(function() map:lookup(-1) end, "key: %-1 is not within 0 and 4294967295$")
    assert.error_matches(function() map:lookup "abcd" end, "key: integer expected, got string$")
  end)
end)

describe("bitfields", function()
  local c = codec { "u32 a : 3", "s32 b : 5", "u64 c : 40", "u8 d : 1", "bool e : 1",
    "enum8 f { x, y, z = 5 } : 2" }

  it("come back, signed ones with their sign", function()
    for _, value in ipairs { { a = 7, b = -16, c = (1 << 40) - 1, d = 1, e = true, f = "y" },
      { a = 0, b = 15, c = 0, d = 0, e = false, f = 3 } } do
      assert.same(value, c.decode(c.encode(value)))
    end
  end)

  it("leave their neighbours alone", function()
    assert.equal(string.pack("<I4I4I8", 0xf8, 0, 0):sub(1, 8), c.encode({ b = -1 }):sub(1, 8))
  end)

  it("have the range of their width", function()
    assert.equal("value.a: 8 is not within 0 and 7", c.refusal { a = 8 })
    assert.equal("value.b: 16 is not within -16 and 15", c.refusal { b = 16 })
    assert.equal("value.c: -1 is not within 0 and 1099511627775", c.refusal { c = -1 })
    assert.equal("value.f: 'z' (5) does not fit in 2 bits", c.refusal { f = "z" })
  end)
end)

describe("bool", function()
  local c = field "bool"

  it("is true and false", function()
    for value, byte in pairs { [true] = "\1", [false] = "\0" } do
      assert.equal(byte, c.encode(value))
      assert.equal(value, c.decode(byte))
    end
  end)

  it("loses nothing of other bytes", function()
    assert.equal(200, c.decode "\200")
    assert.equal("\200", c.encode(200))
  end)

  it("takes no numbers for true and false, no strings, nothing over a byte", function()
    assert.equal("value.x: boolean expected, got number", c.refusal(1))
    assert.equal("value.x: boolean expected, got string", c.refusal "true")
    assert.equal("value.x: 256 is not within 0 and 255", c.refusal(256))
  end)
end)

describe("floats", function()
  it("come back", function()
    local c = codec { "float f", "double d" }
    local values = { { f = 1.5, d = 0.1 }, { f = -math.huge, d = 1e308 }, { f = 0, d = 3 } }
    for _, value in ipairs(values) do
      assert.same({ f = value.f + 0.0, d = value.d + 0.0 }, c.decode(c.encode(value)))
    end
    assert.equal("value.f: 1e+39 is too large for a float", c.refusal { f = 1e39 })
    assert.equal("value.d: number expected, got string", c.refusal { d = "1" })
  end)

  it("keep all bits of a NaN", function()
    local f, d = field "float", field "double"
    for _, bits in ipairs { 0x7fc00000, 0x7f800001, 0xffc12345, 0xff812345 } do
      local bytes = string.pack("<I4", bits)
      assert.equal(bytes, f.encode(f.decode(bytes)))
    end
    local bytes = string.pack("<I8", 0x7ff0000000000001)
    assert.equal(bytes, d.encode(d.decode(bytes)))
    assert.equal(string.pack("<I4", 0x7fc00000), f.encode(nan(0x7ff0000000000001)))
  end)
end)

describe("text", function()
  local c = field "char[8]"

  it("ends at its NUL", function()
    assert.equal("lo", c.decode "lo\0\0\0\0\0\0")
    assert.equal("lo\0\0\0\0\0\0", c.encode "lo")
    assert.equal("", c.decode(("\0"):rep(8)))
  end)

  it("may fill its field", function()
    assert.equal("12345678", c.decode "12345678")
    assert.equal("12345678", c.encode "12345678")
  end)

  it("comes back at full length if bytes follow its NUL", function()
    assert.equal("lo\0\0\0\0\0x", c.decode "lo\0\0\0\0\0x")
    assert.equal("lo\0\0\0\0\0x", c.encode "lo\0\0\0\0\0x")
  end)

  it("is refused when it is longer, or no string", function()
    assert.equal("value.x: text of 9 bytes does not fit in 8", c.refusal "123456789")
    assert.equal("value.x: string expected, got number", c.refusal(5))
  end)

  it("of one char is a string too", function()
    local char = field "char"
    assert.equal("a", char.decode "a")
    assert.equal("\0", char.encode "")
  end)

  it("in arrays is a list", function()
    local names = field "char[4][2]"
    assert.same({ "ab", "", "c", "" }, names.decode "ab\0\0c\0\0\0")
    names = codec { "char x[2][4]" }
    assert.same({ "ab", "cdef" }, names.decode("ab\0\0cdef").x)
  end)
end)

describe("bytes", function()
  it("are strings of exactly their size", function()
    local c = field "bytes[3]"
    assert.equal("a\0b", c.decode "a\0b")
    assert.equal("a\0b", c.encode "a\0b")
    assert.equal("value.x: binary string of 3 bytes expected, got 2", c.refusal "ab")
    assert.equal("value.x: binary string expected, got number", c.refusal(123))
  end)
end)

describe("addresses", function()
  local function check(kind, pairs_of)
    local c = field(kind)
    for text, bytes in pairs(pairs_of) do
      assert.equal(bytes, c.encode(text))
      assert.equal(text, c.decode(bytes))
    end
    c.close()
  end

  local function check_refused(kind, called, texts)
    local c = field(kind)
    for _, text in ipairs(texts) do
      assert.equal(("value.x: %s expected, got '%s'"):format(called, text), c.refusal(text))
    end
    assert.equal(("value.x: %s expected, got number"):format(called), c.refusal(1))
    c.close()
  end

  local v6 = "\x20\x01\x0d\xb8" .. ("\0"):rep(11) .. "\1"
  local mapped = ("\0"):rep(10) .. "\xff\xff\10\0\0\1"

  it("of IPv4 are dotted", function()
    check("ipv4", { ["10.0.0.1"] = "\10\0\0\1", ["255.100.19.0"] = "\255\100\19\0" })
    check_refused("ipv4", "IPv4 address", { "10.0.0", "10.0.0.256", "::1", "", "10.0.0.1 " })
  end)

  it("of IPv6 follow RFC 5952", function()
    check("ipv6", {
      ["2001:db8::1"] = v6, ["::"] = ("\0"):rep(16), ["::ffff:10.0.0.1"] = mapped,
      ["2001:db8:0:1:1:1:1:1"] = "\x20\x01\x0d\xb8\0\0\0\1\0\1\0\1\0\1\0\1",
      ["2001:0:0:1::1"] = "\x20\x01\0\0\0\0\0\1\0\0\0\0\0\0\0\1",
    })
    check_refused("ipv6", "IPv6 address", { "10.0.0.1", ":::", "1::2::3", "fe80::1%eth0" })
  end)

  it("of either kind show IPv4-mapped ones as IPv4", function()
    check("ip", { ["2001:db8::1"] = v6, ["10.0.0.1"] = mapped })
    local c = field "ip"
    assert.equal(mapped, c.encode "::ffff:10.0.0.1")
    check_refused("ip", "IP address", { "10.0.0", "::g" })
  end)

  it("of the MAC kind are six pairs of digits", function()
    check("mac", { ["02:00:5e:10:00:ff"] = "\2\0\x5e\x10\0\xff" })
    local c = field "mac"
    assert.equal("\2\0\x5e\x10\0\xff", c.encode "02-00-5E-10-00-FF")
    check_refused("mac", "MAC address", { "02:00:5e:10:00", "02:00:5e:10:00:fg",
      "02-00:5e:10:00:ff", "02.00.5e.10.00.ff", "02:00:5e:10:00:ff:00" })
  end)

  it("with a prefix length are the keys of tries", function()
    check("prefix4", { ["10.0.0.0/8"] = string.pack("=I4", 8) .. "\10\0\0\0",
      ["0.0.0.0/0"] = ("\0"):rep(8) })
    check("prefix6", { ["2001:db8::/32"] = string.pack("=I4", 32) .. v6:sub(1, 15) .. "\0" })
    check_refused("prefix4", "IPv4 prefix", { "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/08",
      "10.0.0.0/-1", "::/0", "/8", "10.0.0.0/8 ", "10.0.0.0/99999999999" })
    check_refused("prefix6", "IPv6 prefix", { "::/129", "10.0.0.0/8", ("1"):rep(99) .. "/8" })
  end)

  it("end where their text ends", function()
    local c = field "ipv4"
    assert.equal("value.x: IPv4 address expected, got '10.0.0.1'", c.refusal "10.0.0.1\0x")
  end)

  it("with a prefix length lose the bits behind it, and have full length without one", function()
    local c = field "prefix4"
    assert.equal("10.128.0.0/9", c.decode(c.encode "10.255.3.4/9"))
    assert.equal("10.1.2.3/32", c.decode(c.encode "10.1.2.3"))
    local map <close> = bpf.create { type = "lpm_trie", key = "prefix6", value = "u32",
      max_entries = 4, flags = { "no_prealloc" } }
    map:update("2001:db8::/32", 5)
    assert.equal(5, map:lookup "2001:db8:1::9")
    assert.equal("2001:db8::/32", (map:next(nil)))
  end)
end)

describe("enums", function()
  local c = codec { "enum8 x { new, old = 5, lost = -1, gone = -1 }" }

  it("go by name", function()
    for name, byte in pairs { new = "\0", old = "\5", lost = "\xff" } do
      assert.equal(byte, c.encode { x = name })
      assert.equal(name, c.decode(byte).x)
    end
    assert.equal("\xff", c.encode { x = "gone" })
  end)

  it("decode numbers without a name as integers, and take integers", function()
    assert.equal(7, c.decode("\7").x)
    assert.equal(-2, c.decode("\xfe").x)
    assert.equal("\xfe", c.encode { x = -2 })
    assert.equal("\5", c.encode { x = 5 })
  end)

  it("refuse other names and numbers that do not fit", function()
    assert.equal("value.x: x has no value named 'odl'", c.refusal { x = "odl" })
    assert.equal("value.x: 128 is not within -128 and 127", c.refusal { x = 128 })
    assert.equal("value.x: name or integer expected, got boolean", c.refusal { x = true })
  end)
end)

describe("structs", function()
  local c = codec { "u8 a", "u32 b", { name = "t", "u16 c", "u16 d" }, { "u8 e" }, "u64 f" }
  local value = { a = 1, b = 2, t = { c = 3, d = 4 }, e = 5, f = 6 }

  it("are tables by the names of their fields, those of nameless ones among them", function()
    local bytes = string.pack("<I1xxxI4I2I2I1xxxI8", 1, 2, 3, 4, 5, 6)
    assert.equal(bytes, c.encode(value))
    assert.same(value, c.decode(bytes))
  end)

  it("have zeros for missing fields and as padding", function()
    c.decode(("\xff"):rep(24))
    assert.equal(("\0"):rep(24), c.encode {})
    assert.equal(string.pack("<I1xxxI4I2I2I1xxxI8", 255, 0, 0, 65535, 0, 0),
      c.encode { a = 255, t = { d = 65535 } })
  end)

  it("are binary strings only where raw = true asks for it [fault 16]", function()
    local bytes = c.encode(value)
    assert.same(value, c.decode(bytes))
    assert.equal("value: binary string of 24 bytes expected, got 23",
      c.refusal(bytes:sub(2), { raw = true }))
    local hint = ": table expected, got string (binary strings are taken with raw = true only)"
    assert.equal("value" .. hint, c.refusal(bytes))
    assert.equal("value.t" .. hint, c.refusal { t = "\3\0\4\0" })
    assert.equal("value.t" .. hint, c.refusal({ t = "\3\0\4\0" }, { raw = true }))
    assert.equal("update: option 'raw': boolean expected, got string",
      c.refusal(bytes, { raw = "yes" }))
  end)

  it("refuse what they do not know, naming it", function()
    assert.equal("value.x: unknown field (there are: a, b, t, e, f)", c.refusal { a = 1, x = 1 })
    assert.equal("value.t.x: unknown field (there are: c, d)", c.refusal { t = { x = 1 } })
    assert.equal("value[1]: unknown field (there are: a, b, t, e, f)", c.refusal { 1 })
    assert.equal("value: names of fields expected, got a key of type boolean",
      c.refusal { [true] = 1 })
    assert.equal("value.t: table expected, got number", c.refusal { t = 1 })
    assert.equal("value: table expected, got nil", c.refusal(nil))
    assert.equal("value.t.c: integer expected, got table", c.refusal { t = { c = {} } })
  end)

  it("run no metamethod of what they are made from", function()
    local touched = false
    local function touch() touched = true end
    local meta = { __index = touch, __pairs = touch, __len = touch, __name = "t" }
    assert.equal(c.encode { a = 1 }, c.encode(setmetatable({ a = 1 }, meta)))
    assert.is_false(touched)
  end)

  it("nest as deep as the kernel's BTF", function()
    local declared, bytes = { "u8 x" }, "\7"
    for _ = 1, 31 do declared = { "u8 a", { name = "t", table.unpack(declared) } } end
    local deep = codec(declared)
    bytes = ("\0"):rep(31) .. bytes
    local inner = deep.decode(bytes)
    assert.equal(bytes, deep.encode(inner))
    for _ = 1, 31 do inner = inner.t end
    assert.same({ x = 7 }, inner)
  end)
end)

describe("arrays", function()
  it("are lists from 1", function()
    local c = codec { "u16 m[2][3]", { name = "s[2]", "u8 a", "u8 b" } }
    local value = { m = { { 1, 2, 3 }, { 4, 5, 6 } }, s = { { a = 7, b = 8 }, { a = 9, b = 10 } } }
    local bytes = string.pack("<I2I2I2I2I2I2BBBB", 1, 2, 3, 4, 5, 6, 7, 8, 9, 10)
    assert.equal(bytes, c.encode(value))
    assert.same(value, c.decode(bytes))
  end)

  it("have zeros for what is missing", function()
    local c = codec "u16[3]"
    assert.equal("\1\0\0\0\3\0", c.encode { 1, nil, 3 })
    assert.equal("\0\0\0\0\0\0", c.encode {})
  end)

  it("refuse other indexes, other keys, other types", function()
    local c = codec "u16[3]"
    assert.equal("value[4]: index is not within 1 and 3", c.refusal { 1, 2, 3, 4 })
    assert.equal("value[0]: index is not within 1 and 3", c.refusal { [0] = 1 })
    assert.equal("value: list expected, got a key of type string", c.refusal { 1, x = 1 })
    assert.equal("value[2]: 65536 is not within 0 and 65535", c.refusal { 1, 65536 })
    assert.equal("value: table expected, got number", c.refusal(1))
    assert.equal("value: binary string of 6 bytes expected, got 5",
      c.refusal("12345", { raw = true }))
    assert.same({ 0x3231, 0x3433, 0x3635 }, c.decode "123456")
  end)
end)

describe("padding [fault 2]", function()
  it("is absent while it is zero, and decodes to a field of its struct", function()
    local c = codec { "u8 a", { name = "t", "u32 b", "u8 c" }, "u64 d" }
    local plain = "\1\0\0\0" .. "\2\0\0\0\3\0\0\0" .. "\0\0\0\0" .. ("\0"):rep(8)
    assert.same({ a = 1, t = { b = 2, c = 3 }, d = 0 }, c.decode(plain))
    local bytes = "\1\xaa\xbb\0" .. "\2\0\0\0\3\0\xcc\0" .. "\0\0\0\xdd" .. ("\0"):rep(8)
    local value = { a = 1, t = { b = 2, c = 3, _padding = "\0\xcc\0" }, d = 0,
      _padding = "\xaa\xbb\0\0\0\0\xdd" }
    assert.same(value, c.decode(bytes))
    assert.equal(bytes, c.encode(value))
  end)

  it("is checked as fields are", function()
    local c = codec { "u8 a", "u32 b : 3", "u32 d" }
    local part = c.decode "\1\xff\2\3\4\0\0\0"
    assert.same({ a = 1, b = 7, d = 4, _padding = "\xf8\2\3" }, part)
    assert.equal("value._padding: binary string of 3 bytes expected, got 2",
      c.refusal { _padding = "ab" })
    assert.equal("value._padding: binary string expected, got number", c.refusal { _padding = 1 })
    assert.equal("value._padding: byte 1 has bits of fields",
      c.refusal { b = 7, _padding = "\xff\2\3" })
    local full = codec { "u32 a" }
    assert.equal("value._padding: unknown field (there are: a)", full.refusal { _padding = "" })
  end)

  it("is called otherwise where a field has its name", function()
    local c = codec { "u8 _padding", "u32 a" }
    assert.same({ _padding = 1, a = 2, __padding = "\0\0\3" }, c.decode "\1\0\0\3\2\0\0\0")
    assert.equal("\1\0\0\3\2\0\0\0", c.encode(c.decode "\1\0\0\3\2\0\0\0"))
  end)

  it("keeps keys apart that differ nowhere else", function()
    local map <close> = assert(bpf.create { type = "hash", max_entries = 8, value = "u32",
      key = { "u32 addr", "u8 proto" } })
    map:update_batch("\1\0\0\0\6\0\0\0" .. "\1\0\0\0\6\xaa\xbb\xcc", string.pack("<I4I4", 10, 20))
    for key, value in map:entries() do
      assert.equal(value, map:lookup(key))
      assert.is_true(map:delete(key))
    end
    assert.equal(0, map:count())
  end)
end)

describe("unions", function()
  local c = codec { "u32 tag", { name = "u", union = true, "u32 word", "u8 bytes[4]", "u16 half",
    { name = "s", "u8 a", "u16 b" }, "u32 low : 4" } }

  it("decode to all of their members", function()
    assert.same({ tag = 1, u = { word = 0x04030201, bytes = { 1, 2, 3, 4 }, half = 0x0201,
      s = { a = 1, b = 0x0403, _padding = "\2" }, low = 1 } }, c.decode "\1\0\0\0\1\2\3\4")
  end)

  it("encode what they decoded", function()
    assert.equal("\1\0\0\0\1\2\3\4", c.encode(c.decode "\1\0\0\0\1\2\3\4"))
  end)

  it("encode one member or several that agree", function()
    assert.equal("\0\0\0\0\4\3\2\1", c.encode { u = { word = 0x01020304 } })
    assert.equal("\0\0\0\0\4\3\0\0", c.encode { u = { half = 0x0304 } })
    assert.equal("\0\0\0\0\4\3\2\1", c.encode { u = { half = 0x0304, word = 0x01020304 } })
    assert.equal("\0\0\0\0\4\0\2\1", c.encode { u = { s = { a = 4, b = 0x0102 }, low = 4 } })
    assert.equal("\0\0\0\0\4\3\2\1", c.encode { u = { s = { a = 4, b = 0x0102,
      _padding = "\3" } } })
  end)

  it("refuse members that disagree", function()
    assert.equal("value.u.bytes[2]: differs from another member of the same union",
      c.refusal { u = { word = 0x01020304, bytes = { 4, 9, 2, 1 } } })
    assert.equal("value.u.half: differs from another member of the same union",
      c.refusal { u = { word = 0x01020304, half = 0 } })
    assert.equal("value.u.low: differs from another member of the same union",
      c.refusal { u = { word = 0x01020304, low = 5 } })
    local changed = c.decode "\1\0\0\0\1\2\3\4"
    changed.u.word = 7
    assert.truthy(c.refusal(changed):find "differs")
    assert.equal("value.u.s._padding: differs from another member of the same union",
      c.refusal { u = { half = 0x0104, s = { a = 4, _padding = "\3" } } })
  end)

  it("without a name show their members in the parent", function()
    local flat = codec { { union = true, "u32 word", "char text[4]" }, "u32 other" }
    assert.same({ word = 0x64636261, text = "abcd", other = 1 }, flat.decode "abcd\1\0\0\0")
    assert.equal("abcd\1\0\0\0", flat.encode { text = "abcd", other = 1 })
    assert.equal("value.text: differs from another member of the same union",
      flat.refusal { text = "abcd", word = 1 })
  end)

  it("may be large", function()
    local large = codec { { union = true, "u8 a[4096]", "bytes[4096] b" } }
    local bytes = ("0123456789abcdef"):rep(256)
    local value = large.decode(bytes)
    assert.equal(bytes, large.encode(value))
    value.a[4096] = 0
    assert.equal("value.b: differs from another member of the same union", large.refusal(value))
  end)
end)

describe("types that only BTF has", function()
  it("are special fields, zeros both ways, and pointers, integers", function()
    local c = codec(core.layout { kind = "struct", size = 24, align = 8, fields = {
      { name = "lock", bit = 0, type = { kind = "special", size = 8, align = 8, name = "kptr" } },
      { name = "p", bit = 64, type = { kind = "pointer", size = 8, align = 8 } },
      { name = "n", bit = 128, type = { kind = "int", size = 4, align = 1 } } } })
    local zeros = ("\0"):rep(8)
    local bytes = zeros .. string.pack("<i8I4", -1, 0x04030201) .. ("\0"):rep(4)
    assert.same({ lock = zeros, p = -1, n = 0x04030201 }, c.decode(bytes))
    assert.equal(bytes, c.encode { lock = ("x"):rep(8), p = -1, n = 0x04030201 })
    assert.equal("value.n: 4294967296 is not within 0 and 4294967295", c.refusal { n = 1 << 32 })
    assert.equal("value.lock: binary string expected, got number", c.refusal { lock = 1 })
  end)
end)

describe("values per CPU", function()
  local c = codec({ "u32 a", "u8 b" }, "percpu_array")

  local function list(value)
    local result = {}
    for cpu = 1, cpus do result[cpu] = value end
    return result
  end

  it("are lists of one value per possible CPU", function()
    local value = {}
    for cpu = 1, cpus do value[cpu] = { a = cpu, b = 2 * cpu } end
    c.encode(value)
    assert.same(value, c.decode(value))
  end)

  it("are lists of binary strings when raw", function()
    assert.same(list "\1\0\0\0\2\0\0\0", c.encode(list { a = 1, b = 2 }))
    assert.same(list { a = 1, b = 2 }, c.decode(list "\1\0\0\0\2\0\0\0"))
    assert.same(list { a = 1, b = 2 }, c.decode(("\1\0\0\0\2\0\0\0"):rep(cpus)))
  end)

  it("must be as many as there are CPUs", function()
    local long, short = list {}, list {}
    long[cpus + 1], short[cpus] = {}, nil
    assert.equal(("value: list of %d values expected, one per possible CPU, got %d")
      :format(cpus, cpus + 1), c.refusal(long))
    assert.equal(("value: list of %d values expected, one per possible CPU, got %d")
      :format(cpus, cpus - 1), c.refusal(short))
    assert.equal("value: list of a value per CPU expected, got number", c.refusal(5))
    assert.equal(("value: binary string of %d bytes expected, got 8"):format(8 * cpus),
      cpus > 1 and c.refusal(("x"):rep(8), { raw = true })
        or ("value: binary string of 8 bytes expected, got 8"))
    assert.equal("value: list expected, got a key of type string", c.refusal { a = 1 })
  end)

  it("name the CPU in errors", function()
    local bad = list {}
    bad[cpus] = { a = -1 }
    assert.equal(("value[%d].a: -1 is not within 0 and 4294967295"):format(cpus), c.refusal(bad))
  end)

  it("without a layout are lists of strings", function()
    local map <close> = bpf.create { type = "percpu_hash", key_size = 3, value_size = 5,
      max_entries = 2 }
    assert.is_true(map:update("abc", list "12345"))
    assert.same(list "12345", map:lookup "abc")
  end)
end)

describe("without a layout", function()
  it("keys and values are binary strings of exactly their size", function()
    local map <close> = bpf.create { type = "hash", key_size = 3, value_size = 5, max_entries = 2 }
    assert.is_true(map:update("a\0c", "1\0" .. "345"))
    assert.equal("1\0" .. "345", map:lookup "a\0c")
    assert.error_matches(function() map:lookup "ab" end,
      "key: binary string of 3 bytes expected, got 2$")
    assert.error_matches(function() map:update("abc", "123456") end,
      "value: binary string of 5 bytes expected, got 6$")
    assert.error_matches(function() map:lookup(123) end, "key: binary string expected, got number$")
    assert.error_matches(function() map:lookup {} end, "key: binary string expected, got table$")
  end)
end)

describe("bulk calls", function()
  it("name the key or value and the field that cannot be encoded, before anything is stored",
    function()
      local map <close> = bpf.create { type = "hash", max_entries = 100,
        key = { "u32 src", "be16 src_port", "u16 pad" }, value = { { name = "n[2]", "u8 a" } } }
      local keys, values = {}, {}
      for i = 1, 20 do keys[i], values[i] = { src = i, src_port = i }, {} end
      keys[17].src_port = 70000
      assert.error_matches(function() map:update_batch(keys, values) end,
        "keys%[17%]%.src_port: 70000 is not within 0 and 65535$")
      keys[17].src_port = 17
      values[19] = { n = { {}, { a = 256 } } }
      assert.error_matches(function() map:update_batch(keys, values) end,
        "values%[19%]%.n%[2%]%.a: 256 is not within 0 and 255$")
      assert.equal(0, map:count())
      values[19] = {}
      assert.equal(20, map:update_batch(keys, values))
    end)
end)

describe("any bytes", function()
  local seed = tonumber(os.getenv "SEED") or os.time()
  local types = { "u8", "u16", "u32", "u64", "s8", "s16", "s32", "s64", "be16", "be32", "be64",
    "bool", "float", "double", "char", "char[5]", "bytes[3]", "ipv4", "ipv6", "ip", "mac",
    "u8[3]", "s32[2][2]", "char[2][3]" }

  local function random_layout(depth)
    local declared = { packed = true, union = math.random(4) == 1 }
    for i = 1, math.random(5) do
      local name = ("f%d_%d"):format(depth, i)
      if depth < 3 and math.random(4) == 1 then
        local inner = random_layout(depth + 1)
        if math.random(2) == 1 then inner.name = name .. (math.random(2) == 1 and "[2]" or "") end
        declared[#declared + 1] = inner
      elseif not declared.union and math.random(8) == 1 then
        local width = math.random(31)
        declared[#declared + 1] = ("s32 %s : %d"):format(name, width)
        declared[#declared + 1] = ("u32 %sb : %d"):format(name, 32 - width)
      elseif math.random(8) == 1 then
        declared[#declared + 1] = ("enum16 %s { a%d, b%d = 300, c = 0x%x }"):format(name, i, i,
          math.random(0, 65535))
      else
        declared[#declared + 1] = types[math.random(#types)] .. " " .. name
      end
    end
    return declared
  end

  -- Names of fields in nameless structs must differ from all others'.
  local function unique(declared, counter)
    for i, item in ipairs(declared) do
      counter.n = counter.n + 1
      if type(item) == "string" then
        declared[i] = item:gsub("f%d_%d", "f" .. counter.n)
      else
        item.name = item.name and item.name:gsub("f%d_%d", "f" .. counter.n)
        unique(item, counter)
      end
    end
    return declared
  end

  it("come back from decoding and encoding (SEED=" .. seed .. ")", function()
    math.randomseed(seed)
    for _ = 1, 100 do
      local c = codec(unique(random_layout(1), { n = 0 }))
      local size = #c.encode {}
      for _ = 1, 10 do
        local bytes = {}
        for i = 1, size do bytes[i] = string.char(math.random(0, 255)) end
        bytes = table.concat(bytes)
        assert.equal(bytes, c.encode(c.decode(bytes)))
      end
      c.close()
    end
  end)
end)
