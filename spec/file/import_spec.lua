-- SPDX-License-Identifier: MIT
--
-- map:import: what exports wrote comes back bit for bit, counts are exact, and
-- what is wrong in a file is named by line and field.

local bpf = require "luabpf"
local core = require "luabpf.core"
local folder = require "spec.support.folder"
local helper = require "spec.support.helper"

local path, write = folder.path, folder.write
local contents, counts = helper.contents, helper.import_counts

before_each(function()
  folder.make()
end)

after_each(function()
  folder.remove()
  helper.close_all()
end)

-- ---- there and back --------------------------------------------------------------

-- Bytes that make text, names of enums, bools and floats likely, or any.
local function random_bytes(n)
  local likely, chars = "\0\0\0\1\1\2\5\200\255abc ,\"\n\\\xc3\xa9\xee\xbe\x80", {}
  local any = math.random(2) == 1
  for i = 1, n do
    local at = math.random(#likely)
    chars[i] = any and string.char(math.random(0, 255)) or likely:sub(at, at)
  end
  return table.concat(chars)
end

-- Fills a map with random bytes, each value as decoding and encoding leaves it.
local function fill(map, n)
  local info = map:info()
  for _ = 1, n do
    local value = random_bytes(info.value_size)
    if info.type:find "percpu" then
      value = ""
      for _ = 1, (bpf.cpus()) do
        value = value .. random_bytes(info.value_size) .. ("\0"):rep(-info.value_size % 8)
      end
    end
    local key = info.type:find "array" and string.pack("<I4", math.random(info.max_entries) - 1)
      or random_bytes(info.key_size)
    assert(map:update_batch(key, value))
  end
  local keys, values = {}, {}
  for key, decoded in map:entries() do keys[#keys + 1], values[#values + 1] = key, decoded end
  map:clear()
  assert(map:update_batch(keys, values))
end

local function there_and_back(map)
  local before = contents(map)
  for _, format in ipairs { "jsonl", "csv", "snapshot" } do
    local file = path("x." .. format)
    local exported, message = map:export(file)
    assert(exported, message)
    for workers = 1, 2 do
      map:clear()
      local report = assert(map:import(file, { workers = workers }))
      assert.equal(exported.entries, report.inserted + report.updated)
      assert.same(before, contents(map))
    end
  end
end

describe("an import", function()
  it("brings back what every type of map had", function()
    for _, kind in ipairs(helper.types) do
      local map = helper.make(kind, 300)
      local keys, values = helper.entries(kind, 0, 299)
      assert(map:update_batch(keys, values))
      there_and_back(map)
    end
  end)

  it("brings back every type of field, whatever bytes it had", function()
    math.randomseed(7)
    local key = { "u32 id", "s16 s", "char name[6]", "bytes raw[3]", "be64 big" }
    local value = { "u8 a", "s8 b", "be16 c", "s32 d", "be32 e", "u64 f", "s64 g", "bool h",
      "float i", "double j", "char k", "char l[9]", "bytes m[5]", "ipv4 n", "ipv6 o", "ip p",
      "mac q", "enum8 r { one = 1, two = 2, also = 2, big = 200 }", "enum32 s { x, y = 255 }",
      "u32 t : 5", "s32 u : 11", "bool v : 1", "enum32 w { p, q } : 3", "u16 x[3]",
      { name = "y[2]", "u8 in1", { name = "deep", "char t[2]", "s16 n[2]" } },
      { name = "z", union = true, "u64 whole", "bytes parts[8]", { name = "st", "u16 l", "s8 h" },
        "u32 words[2]", "char text[3]", "double d", "u8 bits : 3" }, packed = true }
    for _, type in ipairs { "hash", "percpu_hash" } do
      local map = helper.map { type = type, key = key, value = value, max_entries = 300 }
      fill(map, 200)
      there_and_back(map)
    end
    local raw = helper.map { key_size = 5, value_size = 3 }
    fill(raw, 50)
    there_and_back(raw)
    for _, scalar in ipairs { "u8", "s64", "be32", "double", "float", "char[5]", "bytes[2]",
      "ipv6", "bool", "enum8 { a, b = 7 }" } do
      local map = helper.map { value = scalar }
      fill(map, 50)
      there_and_back(map)
    end
  end)

  it("brings back what layouts of BTF have", function()
    math.randomseed(8)
    local object <close> = assert(bpf.load("bpf/layouts.bpf.o"))
    local n = 0
    for _, map in pairs(object.maps) do
      local kind = core.maptypes[map:info().type]
      if kind.can_update and not kind.map_values and not kind.fd_values and not kind.keyless then
        fill(map, 20)
        there_and_back(map)
        n = n + 1
      end
    end
    assert.truthy(n > 3)
  end)

  it("brings back padding [fault 2]", function()
    local key = { "u32 addr", "u8 proto" }
    local map = helper.map { key = key, value = { "u8 a", { name = "t[2]", "u16 b", "u8 c" } } }
    map:update_batch("\1\0\0\0\6\0\0\0" .. "\1\0\0\0\6\xaa\xbb\xcc",
      "\1\0\2\0\3\xdd\4\0\5\0" .. ("\0"):rep(10))
    there_and_back(map)
    assert(map:export(path "x.jsonl", { where = "value.a == 1" }))
    assert.equal('{"key":{"addr":1,"proto":6},"value":{"a":1,"t":[{"b":2,"c":3,"_padding":"dd"},'
      .. '{"b":4,"c":5}]}}\n', folder.content "x.jsonl")
    local function refusal(row)
      return (select(2, map:import(write("bad", row), { format = "jsonl" })))
    end
    assert.error_matches(function() error(refusal '{"key":{"_padding":"aabb"},"value":{}}') end,
      "key._padding: 6 hexadecimal digits expected", 1, true)
    assert.error_matches(function()
      error(refusal '{"key":{"_padding":"aabbcc","_padding":"aabbcc"},"value":{}}')
    end, "key._padding: given twice", 1, true)
    local bits = helper.map { value = { "u8 a : 3" } }
    assert.error_matches(function()
      error((select(2, bits:import(write("bad", '{"key":1,"value":{"_padding":"ff"}}')))))
    end, "value._padding: byte 1 has bits of fields", 1, true)
  end)

  it("brings back prefixes", function()
    local map = helper.map { type = "lpm_trie", key = "prefix6", value = "prefix4" }
    map:update("2001:db8::/32", "10.0.0.0/8")
    map:update("::/0", "0.0.0.0/0")
    there_and_back(map)
  end)

  it("reads a snapshot as well, and the output of a program", function()
    local map = helper.map()
    for i = 1, 50 do map:update(i, i * 2) end
    local snapshot <close> = assert(map:snapshot())
    map:clear()
    assert.same({ 50, 0, 0 }, counts(assert(map:import(snapshot))))
    local rows = [[printf '{"key":1,"value":5}\n{"value":6,"key":99}']]
    local pipe <close> = assert(io.popen(rows))
    assert.same({ 1, 1, 0 }, counts(assert(map:import(pipe))))
    assert.equal(6, map:lookup(99))
  end)
end)

-- ---- counts ------------------------------------------------------------------------

describe("the counts of an import", function()
  local map, file

  before_each(function()
    map = helper.map { max_entries = 10000 }
    local lines = {}
    for i = 1, 5000 do lines[i] = ('{"key":%d,"value":%d}\n'):format(i, i * 2) end
    file = write("x.jsonl", table.concat(lines))
    for i = 1, 1000 do map:update(i, 7) end
  end)

  it("are exact in every mode", function()
    assert.same({ 0, 1000, 4000 }, counts(assert(map:import(file, { mode = "exist" }))))
    assert.equal(1000, map:count())
    assert.equal(2000, map:lookup(1000))
    map:update(1, 7)
    assert.same({ 4000, 0, 1000 }, counts(assert(map:import(file, { mode = "noexist" }))))
    assert.equal(7, map:lookup(1))
    assert.same({ 0, 5000, 0 }, counts(assert(map:import(file))))
    map:clear()
    assert.same({ 5000, 0, 0 }, counts(assert(map:import(file))))
  end)

  it("of a key that stands twice are one insertion and one update", function()
    map:clear()
    local twice = write("y", '{"key":1,"value":1}\n{"key":1,"value":2}\n')
    assert.same({ 1, 1, 0 }, counts(assert(map:import(twice))))
    assert.equal(2, map:lookup(1))
  end)

  it("of a dry run are what would be, and nothing is done", function()
    for mode, wanted in pairs { any = { 4000, 1000, 0 }, noexist = { 4000, 0, 1000 },
      exist = { 0, 1000, 4000 } } do
      assert.same(wanted, counts(assert(map:import(file, { mode = mode, dry_run = true }))))
    end
    assert.equal(1000, map:count())
    assert.equal(7, map:lookup(1))
  end)

  it("say how far it came when the map is full", function()
    local small = helper.map { max_entries = 64 }
    local result, message, errno, partial = small:import(file, { batch_size = 10 })
    assert.is_nil(result)
    assert.truthy(message)
    assert.equal(bpf.errno.E2BIG, errno)
    assert.equal(small:count(), partial.inserted)
    assert.equal(64, partial.inserted)
  end)
end)

-- ---- what is wrong --------------------------------------------------------------------

describe("a row that is wrong", function()
  local map

  before_each(function()
    map = helper.map { key = { "u32 id" }, value = { "u8 n", "s8 s", "bool b", "char t[4]",
      "bytes raw[2]", "ipv4 a", "float f", "enum8 e { x }", "u16 list[2]",
      { name = "u", union = true, "u8 p", "u8 q" } } }
  end)

  local function refused(name, text, line, reason)
    local result, message, errno, partial = map:import(write(name, text))
    assert.is_nil(result, text)
    assert.equal(("%s: import: %s: line %d: %s"):format(map:info().name, path(name), line, reason),
      message)
    assert.equal(bpf.errno.EBADMSG, errno)
    return partial
  end

  it("of JSON is named by line and field; those before it are stored", function()
    local good = '{"key":{"id":%d},"value":{"n":5}}\n'
    local partial = refused("x", good:format(1) .. good:format(2) .. '{"key":{"id":3},"value":5}\n'
      .. good:format(4), 3, "value: an object expected")
    assert.equal(2, partial.inserted)
    assert.truthy(map:lookup { id = 2 })
    assert.is_nil(map:lookup { id = 4 })
    for value, reason in pairs {
      ['{"n":256}'] = "value.n: 256 is not within 0 and 255",
      ['{"n":-1}'] = "value.n: -1 is not within 0 and 255",
      ['{"s":-129}'] = "value.s: -129 is not within -128 and 127",
      ['{"n":1.5}'] = "value.n: integer expected, got '1.5'",
      ['{"n":01}'] = "value.n: integer expected, got '01'",
      ['{"n":"1"}'] = "value.n: integer expected, got '1'",
      ['{"n":99999999999999999999}'] = "value.n: integer expected, got '99999999999999999999'",
      ['{"n":null}'] = "value.n: integer expected, got 'null'",
      ['{"n":}'] = "value.n: a plain value expected",
      ['{"b":1}'] = "value.b: true or false expected, got '1'",
      ['{"b":"true"}'] = "value.b: true or false expected, got 'true'",
      ['{"t":"12345"}'] = "value.t: text of 5 bytes does not fit in 4",
      ['{"t":5}'] = "value.t: text expected, got '5'",
      ['{"t":"\\x"}'] = "value.t: a wrong escape in a string",
      ['{"t":"\\ud800"}'] = "value.t: a wrong escape in a string",
      ['{"t":"a\tb"}'] = "value.t: a string without its end, or with a control character",
      ['{"t":"\xff"}'] = "value.t: a string that is not UTF-8",
      ['{"raw":"00"}'] = "value.raw: 4 hexadecimal digits expected, got '00'",
      ['{"raw":"00gg"}'] = "value.raw: 4 hexadecimal digits expected, got '00gg'",
      ['{"a":"10.0.0"}'] = "value.a: IPv4 address expected, got '10.0.0'",
      ['{"a":"10.0.0.1\\u0000"}'] = "value.a: IPv4 address expected, got '10.0.0.1\0'",
      ['{"f":1e39}'] = "value.f: number expected, got '1e39'",
      ['{"f":inf}'] = "value.f: number expected, got 'inf'",
      ['{"e":"y"}'] = "value.e: e has no value named 'y'",
      ['{"list":[1,2,3]}'] = "value.list: more than 2 elements",
      ['{"list":[1,-2]}'] = "value.list[2]: -2 is not within 0 and 65535",
      ['{"list":[1'] = "value.list: ',' or ']' expected",
      ['{"list":{}}'] = "value.list: a list expected",
      ['{"u":{"p":1,"q":2}}'] = "value.u.q: differs from another member of the same union",
      ['{"nn":1}'] = "value.nn: unknown field",
      ['{"n\\u0000":1}'] = "value.n\0: unknown field",
      ['{"n":1,"n":1}'] = "value.n: given twice",
      ['{"n":1 "s":2}'] = "value: ',' or '}' expected",
      ['{"n" 1}'] = "value: ':' expected",
      ['{n:1}'] = "value: the name of a field expected",
      ['{"n":1'] = "value: ',' or '}' expected",
    } do
      if not reason:find("\0", 1, true) then
        local tail = value:find "[%]}]$" and "}" or ""
        refused("x", '{"key":{"id":1},"value":' .. value .. tail .. "\n", 1, reason)
      else
        assert.is_nil((map:import(write("x", '{"key":{"id":1},"value":' .. value .. "}"))))
      end
    end
  end)

  it("may be wrong as a whole", function()
    for text, reason in pairs {
      ["5"] = "an object expected", ['{"key":{"id":1}}'] = "value is missing",
      ['{"value":{}}'] = "key is missing", ["{}"] = "key is missing",
      ['{"key":{"id":1},"value":{}} {}'] = "more than one object in a row",
      ['{"key":{"id":1},"key":{"id":1}}'] = "key: unknown, or given twice",
      ['{"kez":{"id":1}}'] = "kez: unknown, or given twice",
      ["{"] = "',' or '}' expected",
    } do
      local result, message = map:import(write("x", text .. "\n"), { format = "jsonl" })
      assert.is_nil(result)
      assert.truthy(message:find("line 1: " .. reason, 1, true) or reason == "',' or '}' expected",
        message)
    end
  end)

  it("is named by its whole path, however long [fault 14]", function()
    local one, two = ("x"):rep(900), ("y"):rep(900)
    local long = helper.map { value = { { name = one, "u32 " .. two, "u32 " .. two .. "z" } } }
    local row = ('{"key":1,"value":{"%s":{"%s":1,"%sz":"no"}}}'):format(one, two, two)
    local _, message = long:import(write("bad.jsonl", row))
    assert.truthy(message:find(("value.%s.%sz: integer expected"):format(one, two), 1, true))
    long:update(1, { [one] = { [two] = 5, [two .. "z"] = 6 } })
    there_and_back(long)
    local csv = folder.content("x.csv"):gsub("5,6", "5,no")
    _, message = long:import(write("bad.csv", csv))
    assert.truthy(message:find(("value.%s.%sz: integer expected"):format(one, two), 1, true))
  end)

  it("of CSV is named by line and column", function()
    local head = "key.id,value.t,value.n\r\n"
    for row, reason in pairs {
      ["1,a"] = "2 fields, 3 expected", ["1,a,5,6"] = "more than 3 fields",
      ["1,a,"] = "value.n: integer expected, got ''",
      ["1,a,x"] = "value.n: integer expected, got 'x'",
      ['1,"a"b,5'] = "value.t: a quote within a field, or one missing",
      ['1,a"b,5'] = "value.t: a quote within a field, or one missing",
      ['1,"ab,5'] = "value.t: a quote within a field, or one missing",
      ["1,\xff,5"] = "value.t: a field that is not UTF-8",
      [",a,5"] = "key.id: integer expected, got ''",
    } do
      refused("x.csv", head .. '7,"a\nb",5\r\n' .. row .. "\r\n", 4, reason)
      assert.truthy(map:lookup { id = 7 })
    end
    for header, reason in pairs {
      ["key.id,value.x"] = "value.x: the map has no such column",
      ["key.id,key.id"] = "key.id: a column that is there twice",
      ["value.n"] = "there is no column of the key", ["key"] = "key: the map has no such column",
      ['key.id,"value.n'] = "a quote within a field",
    } do
      refused("x.csv", header .. "\r\n1,1\r\n", 1, reason)
    end
  end)

  it("of a per-CPU map has as many values as there are CPUs", function()
    local percpu = helper.map { type = "percpu_hash" }
    local cpus = bpf.cpus()
    for _, list in ipairs { "[]", "[1" .. (",1"):rep(cpus) .. "]", "5", "[1" } do
      local result, message = percpu:import(write("x", ('{"key":1,"value":%s}\n'):format(list)))
      assert.is_nil(result)
      assert.truthy(message:find("line 1: value", 1, true), message)
    end
  end)

  it("is never too much for the reader, whatever is in it", function()
    math.randomseed(9)
    local row = '{"key":{"id":1},"value":{"n":5,"s":-1,"b":true,"t":"a\\u00e9","raw":"00ff",'
      .. '"a":"1.2.3.4","f":1.5,"e":"x","list":[1,2],"u":{"p":1,"q":1}}}\n'
    local csv = "key.id,value.t,value.list[2],value.e\r\n1,\"a,\"\"b\",2,x\r\n"
    for _, text in ipairs { row, csv } do
      for i = 1, #text do
        map:import(write("x", text:sub(1, i)))
        map:import(write("x", text:sub(1, i - 1) .. text:sub(i + 1)))
        map:import(write("x", text:sub(1, i - 1) .. string.char(math.random(0, 255))
          .. text:sub(i + 1)))
        map:import(write("x", text:sub(1, i) .. text:sub(i)))
      end
    end
    assert.same({ 1, 0, 0 }, counts(assert(helper.map({ value = "u8" }):import(
      write("x", '\xef\xbb\xbf \t{ "key" : 1 ,\t"value" : 2 } \r\n\n')))))
  end)

  it("that is too long is refused, not read into memory", function()
    local file <close> = assert(io.open(path "x", "w"))
    file:write('{"key":1,"value":"')
    for _ = 1, 40 do file:write(("x"):rep(1 << 20)) end
    file:close()
    local result, message, errno = helper.map():import(path "x")
    assert.is_nil(result)
    assert.truthy(message:find("line 1: longer than", 1, true))
    assert.equal(bpf.errno.EMSGSIZE, errno)
  end)
end)

-- ---- going on ---------------------------------------------------------------------------

describe("an import with a checkpoint", function()
  it("goes on after a failure, in every format", function()
    local from = helper.map { max_entries = 3000 }
    for i = 1, 3000 do from:update(i, i) end
    for _, format in ipairs { "jsonl", "csv", "snapshot" } do
      local file = path("x." .. format)
      assert(from:export(file))
      local map, others = helper.map { max_entries = 3000 }, {}
      for i = 1, 2000 do others[i] = 10000 + i end
      assert(map:update_batch(others, others))
      local options = { checkpoint = path "c", batch_size = 100 }
      local result, _, errno, partial = map:import(file, options)
      assert.is_nil(result)
      assert.equal(bpf.errno.E2BIG, errno)
      assert.equal(1000, partial.inserted)
      assert.equal(2000, (map:delete_batch(others)))
      local report = assert(map:import(file, options))
      assert.is_true(report.resumed)
      assert.equal(3000, report.inserted + report.updated)
      assert.same(contents(from), contents(map))
      assert.is_nil(core.file_status(path "c"))
      assert.is_false(assert(map:import(file, options)).resumed)
    end
  end)

  it("is refused where it does not fit", function()
    local map, other = helper.map { max_entries = 10 }, helper.map()
    local lines = {}
    for i = 1, 100 do lines[i] = ('{"key":%d,"value":1}\n'):format(i) end
    local file = write("x", table.concat(lines))
    local options = { checkpoint = path "c", batch_size = 5 }
    assert.is_nil((map:import(file, options)))
    for reason, arguments in pairs {
      ["of another map"] = { other, file }, ["another mode"] = { map, file, "exist" },
      ["the file is another one, or was changed"] = { map, write("y", "{"), "any" },
    } do
      local result, message = arguments[1]:import(arguments[2], { checkpoint = path "c",
        mode = arguments[3] })
      assert.is_nil(result)
      assert.truthy(message:find(reason, 1, true), message)
    end
    local report = assert(other:import(file, { checkpoint = path "c", restart = true }))
    assert.same({ 100, 0, 0 }, counts(report))
  end)

  it("goes on after kills, and everything is there", function()
    local n, lines = 20000, {}
    for i = 1, n do lines[i] = ('{"key":%d,"value":%d}\n'):format(i, i * 3) end
    local file = write("x", table.concat(lines))
    local map = helper.map { max_entries = n }
    local resumed = 0
    for _ = 1, 6 do
      local child = helper.process([[
        local id, file, mark = ...
        local map <close> = bpf.open(math.tointeger(id))
        print((io.open("/proc/self/stat"):read("n")))
        io.stdout:flush()
        map:import(file, { checkpoint = mark, batch_size = 50 }) ]],
        tostring(map:info().id), file, path "c")
      local pid = assert(child:read "n")
      -- It has begun, and may be over.
      for _ = 1, 2000 do
        if core.file_status(path "c") then break end
        bpf.sleep "1ms"
      end
      bpf.sleep(math.random(0, 20000000))
      os.execute(("kill -9 %d 2>/dev/null"):format(pid))
      child:close()
      if core.file_status(path "c") then resumed = resumed + 1 end
    end
    assert(map:import(file, { checkpoint = path "c" }))
    assert.equal(n, map:count())
    assert.equal(n, (map:count "value == key * 3"))
    assert.truthy(resumed > 0)
  end)
end)

describe("an import is refused", function()
  it("of a snapshot that is of something else", function()
    local from = helper.map { value = { "u32 a", "u32 b" } }
    from:update(1, { a = 1 })
    assert(from:export(path "s", { format = "snapshot" }))
    assert(from:export(path "c", { format = "snapshot", columns = "value.a" }))
    for reason, options in pairs {
      ["its values have 8 bytes, the map's 4"] = { value = "u32" },
      ["the layout of its values is another one"] = { value = "u64" },
      ["its values are of 0 CPUs"] = { type = "percpu_hash", value = { "u32 a", "u32 b" } },
    } do
      local result, message = helper.map(options):import(path "s")
      assert.is_nil(result)
      assert.truthy(message:find(reason, 1, true), message)
    end
    local result, message = from:import(path "c")
    assert.is_nil(result)
    assert.truthy(message:find("the values are columns", 1, true), message)
    assert.same({ 1, 0, 0 }, counts(assert(helper.map { value = { "s32 x", "u32 y" } }
      :import(path "s"))))
    local whole = assert(io.open(path "s", "rb")):read "a"
    for i = 0, #whole - 1, 7 do
      assert.is_nil((from:import(write("d", whole:sub(1, i)), { format = "snapshot" })))
    end
  end)

  it("by a map whose values are descriptors when they are written [fault 3]", function()
    local a, b = helper.map { name = "a" }, helper.map { name = "b" }
    local outer = helper.map { type = "hash_of_maps", inner = a, value = "u32" }
    outer:update(1, a)
    assert(outer:export(path "ids.jsonl"))
    assert(outer:export(path "ids.snap", { format = "snapshot" }))
    local row = ('{"key":1,"value":%d}\n'):format(b:fd())
    for _, file in ipairs { path "ids.jsonl", path "ids.snap", write("fd.jsonl", row) } do
      for _, given in ipairs { {}, { dry_run = true }, { mode = "exist" }, { workers = 2 } } do
        local ok, message, errno = outer:import(file, given)
        assert.is_nil(ok)
        assert.truthy(message:find("ids when they are read, descriptors when written", 1, true))
        assert.equal(bpf.errno.ENOTSUPP, errno)
      end
    end
    assert.equal(a:info().id, outer:lookup(1))
    local programs = helper.map { type = "prog_array", key = "u32", value = "u32" }
    assert.is_nil(programs:import(write("fd.jsonl", row)))
  end)

  it("by a type of map that cannot be written, whatever the mode", function()
    local map = helper.map { type = "stack_trace" }
    write("x.jsonl", '{"key":1,"value":2}\n')
    for _, mode in ipairs { "any", "noexist", "exist" } do
      local report, message, errno, partial = map:import(path "x.jsonl", { mode = mode })
      assert.is_nil(report)
      assert.equal(bpf.errno.ENOTSUPP, errno, message)
      assert.same({ 0, 0, 0 }, counts(partial))
    end
  end)

  it("in the middle of a batch, and what was done is counted", function()
    local map = helper.map { max_entries = 300 }
    for i = 1, 100 do map:update(i, i) end
    local rows = {}
    for i = 1, 1000 do rows[i] = ('{"key":%d,"value":7}\n'):format(i) end
    local file = write("x", table.concat(rows))
    for _, size in ipairs { 70, 1000 } do
      local result, _, errno, partial = map:import(file, { mode = "noexist", batch_size = size })
      assert.is_nil(result)
      assert.equal(bpf.errno.E2BIG, errno)
      assert.same(size == 70 and { 200, 0, 100 } or { 0, 0, 300 }, counts(partial))
    end
    local array = helper.map { type = "array" }
    for _, size in ipairs { 70, 1000 } do
      for mode, wanted in pairs { exist = { 0, 99, 0 }, noexist = { 0, 0, 99 } } do
        local _, _, _, partial = array:import(file, { mode = mode, batch_size = size })
        assert.same(wanted, counts(partial))
      end
    end
  end)

  it("of a file that is not there, and misuse raises", function()
    local map = helper.map()
    local result, message, errno = map:import(path "no")
    assert.is_nil(result)
    assert.equal(("%s: import: %s: No such file or directory"):format(map:info().name, path "no"),
      message)
    assert.equal(bpf.errno.ENOENT, errno)
    write("c", "of another import")
    local again = table.pack(map:import(path "no", { checkpoint = path "c", restart = true }))
    assert.same({ message, errno }, { again[2], again[3] })
    assert.equal("of another import", folder.content "c")
    for reason, arguments in pairs {
      ["path, open file, \"-\" or snapshot expected, got nil"] = {},
      ["path, open file, \"-\" or snapshot expected, got table"] = { {} },
      ["luabpf.snapshot expected, got userdata"] = { map },
      ["unknown option 'made'"] = { path "x", { made = 1 } },
      ["option 'mode'"] = { path "x", { mode = "all" } },
      ["option 'format'"] = { path "x", { format = "xml" } },
      ["option 'batch_size'"] = { path "x", { batch_size = 0 } },
      ["option 'restart' goes with"] = { path "x", { restart = true } },
      ["option 'checkpoint' goes with a path"] = { io.stdin, { checkpoint = "c" } },
    } do
      local ok, err = pcall(map.import, map, table.unpack(arguments, 1, 2))
      assert.is_false(ok)
      assert.truthy(tostring(err):find(reason, 1, true), tostring(err))
    end
  end)

  it("with the file as its own checkpoint, which stays", function()
    local map, file = helper.map(), write("x", '{"key":1,"value":1}\n')
    for _, name in ipairs { "x", "./x" } do
      for _, restart in ipairs { false, true } do
        assert.error_matches(function()
          map:import(file, { checkpoint = path(name), restart = restart })
        end, "^import: option 'checkpoint': it needs a file of its own$")
        assert.equal('{"key":1,"value":1}\n', folder.content "x")
      end
    end
  end)

  it("names a map without a name by its number", function()
    local map = helper.map { name = "" }
    local _, message = map:import(path "no")
    assert.equal(("map %d: import: %s: No such file or directory"):format(map:info().id, path "no"),
      message)
  end)

  it("and leaves no descriptor open", function()
    local map = helper.map()
    local before = helper.descriptors()
    for _ = 1, 3 do
      map:import(write("x", '{"key":1,"value":1}\n'))
      map:import(write("x", "{"))
      map:import(write("x", "key,nothing\n"), { format = "csv" })
      map:import(write("x", "\x89LBS"))
    end
    assert.equal(before, helper.descriptors())
  end)
end)
