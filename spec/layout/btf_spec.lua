-- SPDX-License-Identifier: MIT
--
-- Keys and values by the types that BTF gives them: read as bpftool reads them,
-- written back bit for bit, and BTF made for maps that Lua creates. The maps are those
-- of bpf/layouts.bpf.c; what no compiler makes is in spec/engine/btf.c.

local bpf = require "luabpf"
local bpftool = require "spec.support.bpftool"
local core = require "luabpf.core"

local OBJECT <const> = "bpf/layouts.bpf.o"
local ENTRIES <const> = 64

-- ---- random contents -------------------------------------------------------------

-- Bytes that make names, texts that end early, and enumerators likely.
local LIKELY <const> = "\0\0\0\0\1\5\200\255abcXYZ 09\""

-- No backslashes: bpftool writes "\\n" for them (tools/bpf/bpftool/json_writer.c).
local function random_bytes(n)
  local chars = {}
  local likely = math.random(2) == 1
  for i = 1, n do
    local at = math.random(#LIKELY)
    chars[i] = likely and LIKELY:sub(at, at) or string.char(math.random(0, 255))
  end
  return (table.concat(chars):gsub("\\", "/"))
end

-- bytes with those bits zero: padding is a list of { first bit, bits }.
local function without_padding(bytes, padding)
  local clear = {}
  for _, range in ipairs(padding or {}) do
    for bit = range[1], range[1] + range[2] - 1 do
      clear[bit // 8] = (clear[bit // 8] or 0) | 1 << bit % 8
    end
  end
  local at = -1
  return (bytes:gsub(".", function(char)
    at = at + 1
    return clear[at] and string.char(char:byte() & ~clear[at]) or nil
  end))
end

local function per_cpu(info, one)
  if not info.type:find "percpu" then return one() end
  local values = {}
  for cpu = 1, bpf.cpus() do
    values[cpu] = one() .. ("\0"):rep(-info.value_size % 8)
  end
  return table.concat(values)
end

-- Fills the map with random entries: its key bytes and value bytes, as packed strings.
local function fill(map, padding)
  local info = map:info()
  local keys, values, seen = {}, {}, {}
  for i = 1, ENTRIES do
    local key
    repeat
      key = without_padding(random_bytes(info.key_size), padding.key)
      if info.type:find "array" then key = string.pack("<I4", i - 1) end
    until not seen[key]
    seen[key] = true
    keys[i] = key
    values[i] = per_cpu(info, function()
      return without_padding(random_bytes(info.value_size), padding.value)
    end)
  end
  assert(map:update_batch(table.concat(keys), table.concat(values)))
  return keys, values
end

-- What is in the map: a table by key bytes, of value bytes.
local function contents(map)
  local found = {}
  for batch in map:batches() do
    local keys, values = batch:packed()
    local key_size, value_size = #keys // #batch, #values // #batch
    for i = 0, #batch - 1 do
      found[keys:sub(i * key_size + 1, (i + 1) * key_size)] =
        values:sub(i * value_size + 1, (i + 1) * value_size)
    end
  end
  return found
end

-- ---- as bpftool has it -------------------------------------------------------------

local function swapped(size)
  return function(n)
    return (string.unpack(">I" .. size, string.pack("<I" .. size, n & (1 << 8 * size) - 1)))
  end
end

local function swapped_long(n)
  return (string.unpack(">i8", string.pack("<i8", n)))
end

-- The list of 16 bytes that an address in text stands for.
local function address_bytes(address)
  if address:find "^%d+%.%d+%.%d+%.%d+$" then
    local bytes = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255 }
    for byte in address:gmatch "%d+" do bytes[#bytes + 1] = tonumber(byte) end
    return bytes
  end
  local function groups(part)
    local bytes = {}
    for group in part:gmatch "[^:]+" do
      if group:find "%." then
        for byte in group:gmatch "%d+" do bytes[#bytes + 1] = tonumber(byte) end
      else
        local n = tonumber(group, 16)
        bytes[#bytes + 1], bytes[#bytes + 2] = n >> 8, n & 255
      end
    end
    return bytes
  end
  local before, after = address:match "^(.-)::(.*)$"
  local head, tail = groups(before or address), groups(after or "")
  for _ = 1, 16 - #head - #tail do head[#head + 1] = 0 end
  return table.move(tail, 1, #tail, #head + 1, head)
end

-- Fields that luabpf reads otherwise, by name: from what bpftool shows to what is expected.
local MEANING <const> = {
  be_port = swapped(2), be_number = swapped(4), be_long = swapped_long,
  to = function(n) return ("%d.%d.%d.%d"):format(string.pack("<I4", n):byte(1, 4)) end,
  card = function(list) return ("%02x:%02x:%02x:%02x:%02x:%02x"):format(table.unpack(list)) end,
}
-- Enums of unsigned type; bpftool shows numbers without a name as signed.
local UNSIGNED <const> = { state = 32, tiny = 8 }
-- bpftool shows bitfields as unsigned hex numbers.
local STATES <const> = { NEW = 1, OPEN = 5, CLOSED = 200 }
local WIDTH <const> = { d = 5 }
-- The kernel's own, zeros to everyone else.
local SPECIAL <const> = { lock = true, timer = true }

local same

-- Members of anonymous members come under the name "".
local function flattened(shown, into)
  for name, member in pairs(shown) do
    if name == "" then flattened(member, into) else into[name] = member end
  end
  return into
end

local function same_struct(shown, got, path)
  shown = flattened(shown, {})
  for name, member in pairs(shown) do same(member, got[name], path .. "." .. name, name) end
  for name in pairs(got) do
    assert(shown[name] ~= nil or name == "_padding",
      path .. "." .. name .. ": not a field for bpftool")
  end
end

local function same_list(shown, got, path, name)
  if name == "from" then got = address_bytes(got) end
  if type(got) == "string" then got = { (got .. ("\0"):rep(#shown - #got)):byte(1, -1) } end
  assert(#shown == #got, path .. ": another length")
  for i, item in ipairs(shown) do
    local byte = type(got[i]) == "number" and type(item) == "number" and item < 0 and got[i] > 127
    same(byte and item & 255 or item, got[i], path .. "[" .. i .. "]", name)
  end
end

local function as_bits(got, name)
  if type(got) == "boolean" then return got and 1 or 0 end
  got = STATES[got] or got
  return WIDTH[name] and got & (1 << WIDTH[name]) - 1 or got
end

-- The form that got has where both tools agree.
local function alike(shown, got, name)
  if type(shown) == "boolean" and math.type(got) == "integer" then return got ~= 0 end
  if name == "letter" and type(got) == "string" then return string.unpack("b", got .. "\0") end
  if type(shown) == "string" and shown:find "^0x%x+$" then
    return ("0x%x"):format(as_bits(got, name))
  end
  -- bpftool stops at a NUL, luabpf only at one that nothing follows.
  if type(shown) == "string" and type(got) == "string" then return got:match "^[^\0]*" end
  local bits = UNSIGNED[name]
  if bits and math.type(got) == "integer" and got >> bits - 1 == 1 then return got - (1 << bits) end
  return got
end

-- Raises unless got is what bpftool shows.
function same(shown, got, path, name)
  if MEANING[name] then shown = MEANING[name](shown) end
  if SPECIAL[name] then
    assert(got:find "^\0+$", path .. ": not zeros")
  elseif type(shown) ~= "table" then
    local form = alike(shown, got, name)
    assert(shown == form, ("%s: bpftool has %s, luabpf %s"):format(path, shown, got))
  elseif name == "from" or #shown > 0 then
    same_list(shown, got, path, name)
  else
    same_struct(shown, got, path)
  end
end

-- Raises unless the map is read as bpftool reads it. A key that is no struct has that name.
local function compare(map, key_name)
  local shown, n = bpftool.dump(map), 0
  for batch in map:batches() do
    local keys = batch:packed()
    local size = #keys // #batch
    for i = 1, #batch do
      local entry = assert(shown[keys:sub((i - 1) * size + 1, i * size)], "bpftool has no such key")
      same(entry.key, batch:key(i), "key", key_name)
      same(entry.values or entry.value, batch:value(i), "value")
      n = n + 1
    end
  end
  assert.equal(ENTRIES, n)
end

-- ---- the maps ------------------------------------------------------------------------

-- Bits of values that are the kernel's: { first, number }.
local KERNEL <const> = { guarded = { value = { { 0, 32 }, { 64, 128 } } } }
local NAMES <const> = { "anonymous", "bits", "enums", "guarded", "lists", "nested", "packed",
  "peers", "percpu", "percpu_list", "unions" }

describe("maps with BTF", function()
  local object

  setup(function()
    object = assert(bpf.load(OBJECT))
    math.randomseed(20)
  end)

  teardown(function() object:close() end)

  before_each(function()
    for _, name in ipairs(NAMES) do object.maps[name]:clear() end
  end)

  for _, name in ipairs(NAMES) do
    it("are read as bpftool reads them: " .. name, function()
      for _ = 1, 2 do
        object.maps[name]:clear()
        fill(object.maps[name], {})
        compare(object.maps[name], name == "enums" and "state" or nil)
      end
    end)

    it("are written as they are read, bit for bit: " .. name, function()
      local map = object.maps[name]
      for _ = 1, 5 do
        fill(map, KERNEL[name] or {})
        local before, decoded = contents(map), {}
        for key, value in map:entries() do decoded[#decoded + 1] = { key, value } end
        map:clear()
        for _, entry in ipairs(decoded) do assert(map:update(entry[1], entry[2])) end
        assert.same(before, contents(map))
        map:clear()
      end
    end)
  end
end)

describe("values with BTF", function()
  local maps

  setup(function() maps = assert(bpf.load(OBJECT)).maps end)

  -- What one entry is read as, by a key as it is read.
  local function read(map, key, format, ...)
    local bytes = string.pack(format, ...)
    assert(map:update_batch({ key }, bytes, { raw = true }))
    local decoded = map:next()
    local value = map:lookup(decoded)
    map:delete(decoded)
    return value
  end

  it("show structs, arrays, enums and unions", function()
    local key = { number = 7, part = 1 }
    assert.same({
      ["in"] = { a = 1, b = -2 },
      list = { { a = 3, b = 4 }, { a = 5, b = 6 } },
      word = { number = 0x04030201, bytes = { 1, 2, 3, 4 },
        halves = { low = 0x201, high = 0x403 } },
      grid = { { 1, 2, 3 }, { -4, -5, -6 } },
      state = "OPEN", level = "LOW", tiny = "THREE",
      letter = "x", flag = true, small = -128,
      name = "conns", lines = { "ab", "wxyz" },
      where = 0x1234, last = 65535,
    }, read(maps.nested, key, "<!8 I2 xxxxxx i8 I2 xxxxxx i8 I2 xxxxxx i8 c4 i4i4i4i4i4i4 I4 i4"
      .. "I1 c1 I1 i1 c8 c4c4 I8 I2 xxxxxx", 1, -2, 3, 4, 5, 6, "\1\2\3\4", 1, 2, 3, -4, -5, -6,
      5, -1, 3, "x", 1, -128, "conns\0\0\0", "ab\0\0", "wxyz", 0x1234, 65535))
  end)

  it("show bitfields", function()
    local low <const> = 1 | 5 << 1 | 0x123 << 4 | (-3 & 31) << 16 | 5 << 28
    assert.same({ a = 1, b = 5, c = 0x123, d = -3, state = "OPEN", flag = true,
      wide = 0xfedcba9876, whole = 9 },
      read(maps.bits, ("\0"):rep(16), "<I4 I4 I5 I1 xx", low, 1, 0xfedcba9876, 9))
  end)

  it("show the fields of anonymous members in the struct around them", function()
    assert.same({ before = 1, x = 2, y = 3, both = 2 | 3 << 16, after = 4 },
      read(maps.anonymous, 1, "<I4 I2 I2 I8", 1, 2, 3, 4))
  end)

  it("show packed fields, and big-endian ones", function()
    assert.same({ a = 1, b = 2, be_port = 443, c = 3 },
      read(maps.packed, ("\0"):rep(15), "<I1 I4 c2 I8", 1, 2, "\x01\xbb", 3))
  end)

  it("show what typedefs with luabpf's names are", function()
    local card = "\2\0\0\0\0\x2a"
    assert.same({ from = "fe80::1", to = "10.0.0.1", card = "02:00:00:00:00:2a", be_port = 80,
      be_number = 1, be_long = 2 },
      read(maps.peers, ("\0"):rep(40), "c16 c4 c6 >I2 I4 I8",
        "\xfe\x80" .. ("\0"):rep(13) .. "\1", "\10\0\0\1", card, 80, 1, 2))
  end)

  it("take the members of a union that are given", function()
    local key = { number = 1 }
    assert(maps.unions:update(key, { halves = { low = 1, high = 2 } }))
    assert.equal(0x20001, maps.unions:lookup(key).number)
    assert.has_error(function()
      maps.unions:update(key, { number = 1, halves = { low = 2 } })
    end)
    maps.unions:delete(key)
  end)

  it("leave a lock and a timer to the kernel", function()
    assert(maps.guarded:update(1, { n = 5, m = 6 }))
    local value = maps.guarded:lookup(1)
    assert.equal(5, value.n)
    assert.equal(6, value.m)
    assert(maps.guarded:update(1, value))
    assert.same(value, maps.guarded:lookup(1))
    maps.guarded:delete(1)
  end)

  it("[case 40] are locked by batch calls, and read without the lock's bytes", function()
    local keys, values = {}, {}
    for i = 1, ENTRIES do keys[i], values[i] = i, { n = i, m = i * 10 } end
    assert.equal(ENTRIES, maps.guarded:update_batch(keys, values))
    local n = 0
    for key, value in maps.guarded:entries{ raw = true } do
      local lock, number, timer, m = ("<I4 I4 c16 I8"):unpack(value)
      local i = ("<I4"):unpack(key)
      assert.same({ 0, i, ("\0"):rep(16), i * 10 }, { lock, number, timer, m })
      n = n + 1
    end
    assert.equal(ENTRIES, n)
    assert.equal(ENTRIES, (maps.guarded:delete_batch(keys)))
  end)

  it("may be told what a field means", function()
    local map <close> = bpf.open{ id = maps.packed:info().id, value = { "ipv4 b" } }
    local key = ("\0"):rep(15)
    local raw = { raw = true }
    assert(map:update(key, { b = "10.0.0.1" }, raw))
    assert.equal(0x0100000a, string.unpack("<I4", maps.packed:lookup(key, raw), 2))
    assert.equal("10.0.0.1", map:lookup(map:next()).b)
    map:delete(key, raw)
  end)
end)

describe("maps created in Lua", function()
  local function create(key, value)
    return assert(bpf.create{ type = "hash", name = "btf_spec", key = key, value = value,
      max_entries = ENTRIES })
  end

  local KEY <const> = { "ip from", "ipv4 to", "mac card", "be16 be_port", "be32 be_number",
    "be64 be_long", "ipv6 six", "bytes[5] id" }
  local VALUE <const> = {
    "u8 a", "s16 b", "u64 c", "s64 d", "bool flag", "char letter", "char name[8]",
    "char lines[2][4]", "u32 grid[2][3]", "enum8 tiny { ZERO, ONE, THREE = 3 }",
    "enum16 some { A = 300 }",
    "enum32 state { NEW = 1, OPEN = 5, CLOSED = 200 }", "enum32 level { LOW = -1, MIDDLE, HIGH }",
    "float f", "double g", "u32 low : 3", "s32 high : 7",
    { name = "inner[2]", "u16 x", { union = true, "u32 y", "u8 z[4]" } },
    { name = "tight", packed = true, "u8 p", "u32 q", "be64 r", "double s" },
  }

  -- Raises unless a map of these types has them when it is opened again.
  local function survives(key, value)
    local map <close> = create(key, value)
    local again <close> = assert(bpf.open(map:info().id))
    assert.is_not.equal(0, map:info().btf_key_type_id)
    local key_before, value_before = core.layouts(map)
    local key_after, value_after = core.layouts(again)
    assert.same(key_before:describe(), key_after:describe())
    assert.same(value_before:describe(), value_after:describe())
  end

  it("have the same types when they are opened again", function()
    survives(KEY, VALUE)
    survives({ "prefix4 to", "prefix6 from" }, "enum8 { A, B }")
    for _, plain in ipairs{ "u8", "s16", "u32", "s64", "be16", "be64", "bool", "double", "char",
      "char[3]", "bytes[3]", "ipv4", "ipv6", "ip", "mac", "prefix4", "prefix6", "u8[3]",
      "enum16 some { A = -3, B }" } do
      survives(plain, plain)
    end
  end)

  it("keep the types of one side when the other has a size only", function()
    local map <close> = assert(bpf.create{ type = "hash", name = "btf_spec", key_size = 5,
      value = { "u32 n" }, max_entries = ENTRIES })
    assert(map:update("12345", { n = 7 }))
    local again <close> = assert(bpf.open(map:info().id))
    assert.same({ n = 7 }, again:lookup("12345"))
    assert.equal("12345", again:next())
    local other <close> = assert(bpf.create{ type = "hash", name = "btf_spec", key = { "u32 n" },
      value_size = 3, max_entries = ENTRIES })
    assert(other:update({ n = 7 }, "abc"))
    local reopened <close> = assert(bpf.open(other:info().id))
    assert.equal("abc", reopened:lookup{ n = 7 })
  end)

  it("are read as they were written when they are opened again", function()
    local map <close> = create(KEY, VALUE)
    local again <close> = assert(bpf.open(map:info().id))
    fill(map, { key = { { 488, 24 } } })
    local n = 0
    for batch in map:batches() do
      for i = 1, #batch do
        local key, value = batch:key(i), batch:value(i)
        -- NaN differs from itself.
        value.f, value.g, value.tight.s = 1.5, 2.5, 3.5
        assert(map:update(key, value))
        assert.same(value, again:lookup(key))
        n = n + 1
      end
    end
    assert.equal(ENTRIES, n)
  end)

  it("show their fields to bpftool", function()
    local map <close> = create({ "u32 number", "u8 part" }, {
      { name = "in", "u16 a", "s64 b" }, "char name[8]", "s32 grid[2][3]",
      "enum32 state { NEW = 1, OPEN = 5, CLOSED = 200 }", "u64 n", "bool flag",
      "u32 a : 1", "s32 d : 5", "be16 be_port", "ipv4 to", "mac card", "ip from",
      { union = true, "u32 x", "u8 y[4]" } })
    fill(map, {})
    compare(map)
  end)

  it("show numbers to bpftool", function()
    local map <close> = create("u32", "s64")
    fill(map, {})
    compare(map)
  end)

  it("show the values of each CPU to bpftool", function()
    local map <close> = assert(bpf.create{ type = "percpu_hash", name = "btf_spec", key = "u64",
      value = { "u32 packets", "u32 bytes", "u32 errors" }, max_entries = ENTRIES })
    fill(map, {})
    compare(map)
  end)

  it("have tries with prefixes as keys", function()
    local map <close> = assert(bpf.create{ type = "lpm_trie", name = "btf_spec", key = "prefix4",
      value = "u32", max_entries = 4 })
    assert(map:update("10.0.0.0/8", 1))
    local again <close> = assert(bpf.open(map:info().id))
    assert.equal(1, again:lookup("10.1.2.3/32"))
    assert.equal("10.0.0.0/8", again:next())
    assert.same({ prefixlen = 8, data = { 10, 0, 0, 0 } },
      bpftool.dump(map)["\8\0\0\0\10\0\0\0"].key)
  end)
end)
