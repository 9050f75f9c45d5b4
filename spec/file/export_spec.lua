-- SPDX-License-Identifier: MIT
--
-- map:export: what rows look like, where they may go, and what is left when
-- that fails. Kills and drains are in checkpoint_spec.lua.

local bpf = require "luabpf"
local core = require "luabpf.core"
local folder = require "spec.support.folder"
local helper = require "spec.support.helper"
local json = require "luabpf.file.json"
local word = require "luabpf.base.word"

local path, content, names = folder.path, folder.content, folder.names

local function text_of(map, options)
  local parts = {}
  local report = assert(map:export(function(text) parts[#parts + 1] = text end, options))
  local text = table.concat(parts)
  assert.equal(#text, report.bytes)
  return text, report
end

local function filled(n, given)
  local map = helper.map(given or { max_entries = n, value = { "u64 a", "u32 b" } })
  local keys, values = {}, {}
  for i = 1, n do keys[i], values[i] = i, { a = i * 2, b = i % 10 } end
  assert.equal(n, map:update_batch(keys, values))
  return map
end

local function lines_of(text)
  local list = {}
  for line in text:gmatch("([^\n]*)\n") do list[#list + 1] = line end
  return list
end

before_each(function()
  folder.make()
end)

after_each(function()
  folder.remove()
  helper.close_all()
end)

describe("rows of JSON", function()
  it("have key and value with the fields' names", function()
    local map = helper.map { key = { "ipv4 addr", "be16 port", "u8 pad[2]" },
      value = { "u64 big", "s32 neg", "bool ok", "enum8 state { new = 0, closed = 5 }",
        "bytes raw[3]", "mac hw", "ipv6 peer", "u32 bits : 3", "double ratio", "float half",
        { name = "slots[2]", "u8 n", "char tag[2]" } } }
    assert.is_true(map:update({ addr = "10.0.0.1", port = 443, pad = { 1, 2 } },
      { big = -1, neg = -5, ok = true, state = "closed", raw = "\1\xab\3", hw = "02:00:5e:10:00:01",
        peer = "2001:db8::1", bits = 5, ratio = 0.1, half = 0.5,
        slots = { { n = 1, tag = "ab" }, { n = 255, tag = "c" } } }))
    assert.equal('{"key":{"addr":"10.0.0.1","port":443,"pad":[1,2]},'
      .. '"value":{"big":18446744073709551615,"neg":-5,"ok":true,"state":"closed","raw":"01ab03",'
      .. '"hw":"02:00:5e:10:00:01","peer":"2001:db8::1","bits":5,"ratio":0.1,"half":0.5,'
      .. '"slots":[{"n":1,"tag":"ab"},{"n":255,"tag":"c"}]}}\n', (text_of(map)))
  end)

  it("have scalars plain, bytes without a layout as hex, a list of the CPUs' values", function()
    local plain = helper.map()
    plain:update(7, 9)
    assert.equal('{"key":7,"value":9}\n', (text_of(plain)))
    local raw = helper.map { key_size = 3, value_size = 2 }
    raw:update("abc", "\0\xff")
    assert.equal('{"key":"616263","value":"00ff"}\n', (text_of(raw)))
    local percpu = helper.map { type = "percpu_hash" }
    local list = {}
    for cpu = 1, (bpf.cpus()) do list[cpu] = cpu end
    percpu:update(1, list)
    assert.equal(('{"key":1,"value":[%s]}\n'):format(table.concat(list, ",")), (text_of(percpu)))
  end)

  it("have every integer with all its digits", function()
    for name, range in pairs { u8 = { 0, 255 }, s8 = { -128, 127 }, be16 = { 0, 65535 },
      s16 = { -32768, 32767 }, be32 = { 0, 4294967295 }, s64 = { math.mininteger, math.maxinteger },
      u64 = { 0, math.mininteger, -1 }, be64 = { 1, -1 } } do
      local map = helper.map { value = name }
      for _, value in ipairs(range) do
        map:update(1, value)
        local wanted = name:find("s", 1, true) and tostring(value) or word.text(value)
        assert.equal(('{"key":1,"value":%s}\n'):format(wanted), (text_of(map)), name)
      end
    end
    local map = helper.map { type = "array", value = "u64", max_entries = 21 }
    for digits = 0, 18 do map:update(digits, math.tointeger("1" .. ("0"):rep(digits))) end
    local list = lines_of(text_of(map))
    for digits = 0, 18 do
      assert.equal(('{"key":%d,"value":1%s}'):format(digits, ("0"):rep(digits)), list[digits + 1])
    end
  end)

  it("are UTF-8 whatever bytes text has, and lose none of them", function()
    local map = helper.map { type = "array", value = "char[16]", max_entries = 1 }
    for text, wanted in pairs { [""] = "", ["a\"\\/\n\t"] = [[a\"\\/\n\t]],
      ["\0\1\r\b\f\127 234567xyz"] = [[\u0000\u0001\r\b\f]] .. "\127 234567xyz",
      ["é€😀"] = "é€😀", ["\x80\xff"] = [[\uef80\uefff]], ["\xc3"] = [[\uefc3]],
      ["\xc0\x80"] = [[\uefc0\uef80]], ["\xed\xa0\x80"] = [[\uefed\uefa0\uef80]],
      ["\xf4\x90\x80\x80"] = [[\ueff4\uef90\uef80\uef80]],
      ["\u{ef80}"] = [[\uefee\uefbe\uef80]],
      ["\u{eeff}"] = "\u{eeff}", ["\u{f000}"] = "\u{f000}",
      ["1234567890123456"] = "1234567890123456" } do
      map:update(0, text)
      local line = text_of(map)
      assert.equal(('{"key":0,"value":"%s"}\n'):format(wanted), line)
      assert.truthy(utf8.len(line))
    end
  end)

  it("have floats that read back as the same", function()
    local map = helper.map { type = "array", value = { "double d", "float f" }, max_entries = 1 }
    for _, pair in ipairs { { 0.1, "0.1" }, { 3.0, "3.0" }, { -0.0, "-0.0" }, { 1e300, "1e+300" },
      { math.huge, '"inf"' }, { -math.huge, '"-inf"' }, { 2.5e-308, "2.5e-308" },
      { 1 / 3, "0.3333333333333333" }, { 1e22, "1e+22" } } do
      map:update(0, { d = pair[1] })
      assert.equal(('{"key":0,"value":{"d":%s,"f":0.0}}\n'):format(pair[2]), (text_of(map)))
    end
    map:update(0, string.pack("<i8fxxxx", 0x7ff8000000000000, 16777216.0), { raw = true })
    assert.equal('{"key":0,"value":{"d":"nan","f":16777216.0}}\n', (text_of(map)))
    map:update(0, string.pack("<i8fxxxx", 0x7ff0000000000001, 0.1), { raw = true })
    assert.equal('{"key":0,"value":{"d":"nan(0x7ff0000000000001)","f":0.1}}\n', (text_of(map)))
  end)

  it("have numbers for what an enum or a bool has no name for", function()
    local map = helper.map { type = "array", max_entries = 1,
      value = { "enum8 e { z = 9, a = 3, b = 3, c = 200 }", "bool b", "enum32 w { one = 1 }" } }
    for bytes, wanted in pairs { ["\9\0"] = '{"e":"z","b":false,"w":"one"}',
      ["\3\1"] = '{"e":"a","b":true,"w":"one"}', ["\200\2"] = '{"e":"c","b":2,"w":"one"}',
      ["\4\255"] = '{"e":4,"b":255,"w":"one"}' } do
      map:update(0, bytes .. "\0\0\1\0\0\0", { raw = true })
      assert.equal(('{"key":0,"value":%s}\n'):format(wanted), (text_of(map)))
    end
  end)

  it("can be of columns", function()
    local map = helper.map { key = "u32", value = { "s32 d", "u64 n", "ipv4 a",
      "enum8 e { x, y }", "char t[4]" } }
    map:update(5, { d = -2, n = -1, a = "1.2.3.4", e = "y", t = "ab" })
    assert.equal('{"k":5,"d":-2,"n":18446744073709551615,"a":"1.2.3.4","e":"y","t":"ab",'
      .. '"neg":true,"sum \\"q\\"":3}\n', (text_of(map, { columns = { "key as k", "value.d",
      "value.n", "value.a", "value.e", "value.t", "value.d < 0 as neg",
      ['sum "q"'] = "key + value.d" } })))
  end)
end)

describe("rows of CSV", function()
  it("have a line of names, as expressions write them", function()
    local map = helper.map { key = { "ipv4 addr", "be16 port" },
      value = { "u32 n", "u16 list[2]", { name = "in[2]", "u8 x", "bool y" }, "char t[8]" } }
    map:update({ addr = "10.0.0.1", port = 80 }, { n = 1, list = { 5, 6 },
      ["in"] = { { x = 1, y = true }, { x = 2 } }, t = "plain" })
    assert.equal("key.addr,key.port,key._padding,value.n,value.list[1],value.list[2],value.in[1].x,"
      .. "value.in[1].y,value.in[2].x,value.in[2].y,value.t\r\n"
      .. "10.0.0.1,80,,1,5,6,1,true,2,false,plain\r\n",
      (text_of(map, { format = "csv" })))
  end)

  it("escape the names of enums as all text [fault 14]", function()
    local desc = { kind = "enum", size = 1, values = { { name = 'a"b\n,\xff', value = 1 } } }
    local map = helper.map { type = "array", value = core.layout(desc), max_entries = 1 }
    map:update(0, 'a"b\n,\xff')
    assert.equal([[{"key":0,"value":"a\"b\n,\uefff"}]] .. "\n", (text_of(map)))
    assert.equal('key,value\r\n0,"a""b\n,\u{efff}"\r\n', (text_of(map, { format = "csv" })))
    for _, format in ipairs { "jsonl", "csv" } do
      assert(map:export(folder.path "named", { format = format }))
      map:update(0, 7)
      assert(map:import(folder.path "named", { format = format }))
      assert.equal('a"b\n,\xff', map:lookup(0))
    end
  end)

  it("quote what RFC 4180 wants quoted", function()
    local map = helper.map { type = "array", value = "char[8]", max_entries = 1 }
    for text, wanted in pairs { ["a,b"] = '"a,b"', ['a"b'] = '"a""b"', ["a\nb"] = '"a\nb"',
      ["a b"] = "a b", [""] = "", ["\0" .. "234567x"] = "\u{ef00}234567x",
      ["\xff"] = "\u{efff}", ["'"] = "'" } do
      map:update(0, text)
      assert.equal("key,value\r\n0," .. wanted .. "\r\n", (text_of(map, { format = "csv" })))
    end
  end)

  it("have one column for each CPU", function()
    local map = helper.map { type = "percpu_array", value = { "u32 a", "u32 b" }, max_entries = 1 }
    local header, row = { "key" }, { "0" }
    for cpu = 1, (bpf.cpus()) do
      table.insert(header, ("value[%d].a,value[%d].b"):format(cpu, cpu))
      table.insert(row, "0,0")
    end
    assert.equal(table.concat(header, ",") .. "\r\n" .. table.concat(row, ",") .. "\r\n",
      (text_of(map, { format = "csv" })))
  end)

  it("refuse entries of too many columns, by name", function()
    local map = helper.map { value = "u8[70000]" }
    local result, message, errno = map:export(function() end, { format = "csv" })
    assert.is_nil(result)
    assert.truthy(message:find("more than 65536 columns"))
    assert.equal(bpf.errno.E2BIG, errno)
  end)
end)

describe("an export", function()
  it("is all of the map, each entry once, whatever the size of a batch", function()
    local map = filled(5000)
    for _, size in ipairs { 1, 100, 65536 } do
      local text, report = text_of(map, { batch_size = size })
      assert.equal(5000, report.entries)
      assert.is_false(report.resumed)
      local seen = {}
      for _, line in ipairs(lines_of(text)) do
        local row = json.decode(line)
        assert.is_nil(seen[row.key])
        seen[row.key] = true
        assert.same({ a = row.key * 2, b = row.key % 10 }, row.value)
      end
      assert.equal(5000, #seen)
    end
  end)

  it("is of what matches: text with parameters, a compiled expression, a function", function()
    local map = filled(1000)
    for _, options in ipairs {
      { where = "value.b == $b", params = { b = 3 } },
      { where = bpf.compile("value.b == 3", map) },
      { where = function(_, value) return value.b == 3 end },
      { where = "value.b == 3", columns = "key" },
      { where = function(_, value) return value.b == 3 end, columns = "key" },
      { where = function(_, value) return value.b == 3 end, columns = "key + 10 * $n as key",
        params = { n = 7 } },
    } do
      local text, report = text_of(map, options)
      assert.equal(100, report.entries)
      assert.equal(100, #lines_of(text))
      for _, line in ipairs(lines_of(text)) do assert.equal(3, json.decode(line).key % 10) end
    end
  end)

  it("has parameters in columns beside a function as where, and says where they go", function()
    local map = filled(100)
    local options = { where = function(key) return key == 5 end, columns = "key + $n as key",
      params = { n = 7 } }
    assert.equal('{"key":12}\n', (text_of(map, options)))
    options.drain = true
    assert.equal('{"key":12}\n', (text_of(map, options)))
    assert.equal(99, map:count())
    for message, params in pairs { ["params.m: no such parameter"] = { n = 1, m = 2 },
      ["params.n: missing"] = {} } do
      options.params = params
      assert.error_matches(function() map:export(path "x", options) end, message)
    end
    options.params, options.columns = { n = 7 }, nil
    assert.error_matches(function() map:export(path "x", options) end,
      "^export: params go with text$")
  end)

  it("takes its format from the path, if it is not told", function()
    local map = filled(3)
    for name, first in pairs { ["a.csv"] = "k", ["a.jsonl"] = "{", ["a"] = "{" } do
      assert.equal(3, map:export(path(name)).entries)
      assert.equal(first, content(name):sub(1, 1))
    end
    assert.same({ "a", "a.csv", "a.jsonl" }, names())
  end)

  it("gives a report that prints, also of what was done before a failure", function()
    local map = filled(3)
    local function printed(report)
      return (tostring(report):gsub("seconds +[%d.e-]+$", "seconds"))
    end
    assert.equal(("entries  3\nbytes    %d\nresumed  false\nseconds"):format(#text_of(map)),
      printed(map:export(path "x")))
    assert.matches("^entries  3\nbytes +%d+\ndeleted  3\nmissing  0\nchanged  0\n",
      printed(map:export(path "y", { drain = true })))
    local _, _, _, partial = map:export(path "no/x", { workers = 1 })
    assert.equal("entries  0\nbytes    0\nworkers  1\nresumed  false\nseconds", printed(partial))
  end)

  it("replaces a file as a whole", function()
    local map = filled(3)
    local file <close> = assert(io.open(path "x", "w"))
    file:write(("old"):rep(1000))
    file:flush()
    assert.equal(#content "x", 3000)
    local report = assert(map:export(path "x"))
    assert.equal(report.bytes, #content "x")
    assert.same({ "x" }, names())
  end)

  it("goes to an open file behind what was written, and to standard output", function()
    local map = filled(2)
    local file <close> = assert(io.open(path "x", "w"))
    file:write("first\n")
    assert.equal(2, map:export(file).entries)
    file:write("last\n")
    file:close()
    local list = lines_of(content "x")
    assert.equal(4, #list)
    assert.equal("first", list[1])
    assert.equal("last", list[4])
    local other = helper.process([[
      local map <close> = bpf.open(math.tointeger(...))
      io.write("first\n")
      assert(map:export("-", { progress = true }))
      io.write("last\n") ]], tostring(map:info().id))
    list = lines_of(other:read("a"))
    assert.equal("first", list[1])
    assert.equal("last", list[4])
  end)

  it("keeps the order of a snapshot and of what is written to the file otherwise", function()
    local map = filled(100)
    local function write(mode, name)
      local file = assert(io.open(path(name), mode))
      file:write "before"
      local report = assert(map:export(file, { format = "snapshot" }))
      file:write "after"
      file:close()
      return report.bytes, content(name)
    end
    -- A file from its start; one that is appended to, and a pipe, as it comes.
    local bytes, text = write("w", "x")
    assert.same({ "\x89LBS\r\n", bytes + 5, "after" }, { text:sub(1, 6), #text, text:sub(-5) })
    folder.write("y", ("old"):rep(10000))
    bytes, text = write("a", "y")
    assert.same({ ("old"):rep(10000) .. "before\x89LBS", bytes + 30011, "after" },
      { text:sub(1, 30010), #text, text:sub(-5) })
    folder.write("taken", text:sub(30007, -6))
    local taken <close> = assert(bpf.snapshot(path "taken"))
    assert.equal(100, #taken)
    local pipe = assert(io.popen("cat >" .. path "z", "w"))
    pipe:write "before"
    bytes = assert(map:export(pipe, { format = "snapshot" })).bytes
    pipe:write "after"
    pipe:close()
    text = content "z"
    assert.same({ "before\x89LBS", bytes + 11, "after" },
      { text:sub(1, 10), #text, text:sub(-5) })
  end)

  it("goes to pipes and devices by name, which stay what they are", function()
    local map = filled(1000)
    assert(os.execute("mkfifo " .. path "pipe"))
    local reader = io.popen("cat " .. path "pipe")
    local report = assert(map:export(path "pipe"))
    assert.equal(report.bytes, #reader:read("a"))
    assert.equal(1000, map:export("/dev/null").entries)
    assert.same({ "pipe" }, names())
  end)

  it("calls a function with whole rows, and ends when it fails", function()
    local map, calls = filled(20000), 0
    assert(map:export(function(text)
      calls = calls + 1
      assert.equal("\n", text:sub(-1))
      assert.truthy(#text < 512 * 1024)
    end))
    assert.truthy(calls > 3)
    local result, message, errno, partial = map:export(function()
      return nil, "connection reset", 104
    end)
    assert.is_nil(result)
    assert.equal(map:info().name .. ": export: the function: connection reset", message)
    assert.equal(104, errno)
    assert.truthy(partial.entries < 20000)
    assert.error_matches(function() map:export(function() error "no luck" end) end, "no luck")
  end)

  it("tells a function how far it is", function()
    local map, seen = filled(100, { type = "array", max_entries = 101,
      value = { "u64 a", "u32 b" } }), nil
    assert(map:export("/dev/null", { progress = function(...) seen = { ... } end }))
    assert.equal(101, seen[1])
    assert.equal(101, seen[2])
    assert.equal("float", math.type(seen[3]))
  end)
end)

describe("progress", function()
  -- What an export writes to stderr, which is a terminal or a file.
  local function seen(command)
    local map = filled(30000)
    local code = ("local bpf = require 'luabpf' "
      .. "assert(bpf.open(%d):export('/dev/null', { progress = true }))"):format(map:info().id)
    local run = ("LUA_PATH='%s' LUA_CPATH='%s' lua5.4 -e \"%s\""):format(package.path,
      package.cpath, code)
    local script = path "run"
    local file <close> = assert(io.open(script, "w"))
    file:write(run)
    file:close()
    assert(os.execute(command:format("sh " .. script, path "seen")))
    return content "seen"
  end

  it("is a line on a terminal", function()
    assert.truthy(seen("script -qec '%s' /dev/null >%s"):find(
      "\rs[%x_]+: 30,000 of 30,000 %(100%%%) entries, [%d,]+/s\27%[K\r?\n$"))
  end)

  it("is nothing when stderr is none", function()
    assert.equal("", seen "%s 2>%s")
  end)
end)

describe("an export of a snapshot", function()
  it("is that of its map", function()
    local map = filled(3000)
    local snapshot <close> = assert(map:snapshot())
    for _, options in ipairs { {}, { format = "csv", where = "value.b == 3" },
      { columns = { "key as k", "value.a" }, where = function(key) return key < 10 end } } do
      local text, report = text_of(snapshot, options)
      assert.equal(text_of(map, options), text)
      assert.truthy(report.entries > 0)
    end
    assert.error_matches(function() snapshot:export(path "x", { drain = true }) end,
      "unknown option 'drain'")
    assert.error_matches(function() snapshot:export(path "x.snapshot") end,
      "exported as \"jsonl\" or \"csv\"")
  end)
end)

describe("an export that fails", function()
  local map

  before_each(function() map = filled(20000) end)

  local function refused(target, reason, name, options)
    local result, message, errno, partial = map:export(target, options)
    assert.is_nil(result)
    assert.equal(("%s: export: %s"):format(map:info().name, message:match(": export: (.*)$")),
      message)
    assert.truthy(message:find(reason, 1, true), message)
    assert.equal(bpf.errno[name], errno)
    assert.equal("table", type(partial))
    return partial
  end

  it("leaves no half file when the disk is full", function()
    assert(os.execute(("mount -t tmpfs -o size=256k none %s"):format(folder.name)))
    finally(function() os.execute("umount " .. folder.name) end)
    refused(path "x.jsonl", "x.jsonl.part: No space left on device", "ENOSPC")
    assert.same({}, names())
  end)

  it("says of a map without a name which it is", function()
    local unnamed <close> = assert(bpf.create { type = "hash", max_entries = 10, key = "u32",
      value = "u64" })
    local taken <close> = assert(unnamed:snapshot())
    local label = ("map %d"):format(unnamed:info().id)
    for _, subject in ipairs { unnamed, taken } do
      local _, message = subject:export(path "no/x")
      assert.equal(label .. ": export: ", message:sub(1, #label + 10))
      assert.truthy(tostring(subject):find(unnamed:info().id, 1, true))
    end
    assert.equal("", taken:header().name)
  end)

  it("says that a folder is read-only, missing, or the target itself", function()
    assert(os.execute(("mount -t tmpfs -o ro none %s"):format(folder.name)))
    refused(path "x", "x.part: Read-only file system", "EROFS")
    os.execute("umount " .. folder.name)
    refused(path "no/x", "No such file or directory", "ENOENT")
    refused(folder.name, "Is a directory", "EISDIR")
  end)

  it("says that a pipe was closed, and sends no signal", function()
    local pipe = assert(io.popen("head -c 1 >/dev/null", "w"))
    refused(pipe, "Broken pipe", "EPIPE")
    pipe:close()
  end)

  it("leaves nothing behind when where raises", function()
    assert.error_matches(function()
      map:export(path "x", { where = function() error "bad luck" end })
    end, "bad luck")
    assert.same({}, names())
  end)

  it("is refused while another writes to the same name", function()
    local result, message
    assert(map:export(path "x", { batch_size = 1000, where = function()
      if not message then result, message = map:export(path "x") end
      return true
    end }))
    assert.is_nil(result)
    assert.truthy(message:find("another export", 1, true), message)
    assert.same({ "x" }, names())
  end)

  it("leaves no descriptor open", function()
    local before = helper.descriptors()
    for _ = 1, 3 do
      map:export(path "no/x")
      map:export(path "x")
      pcall(map.export, map, path "x", { where = function() error "" end })
    end
    assert.equal(before, helper.descriptors())
  end)
end)

describe("misuse of export", function()
  it("raises", function()
    local map = filled(1)
    local closed = assert(io.open("/dev/null"))
    closed:close()
    for message, arguments in pairs {
      ["path, open file, function or \"-\" expected, got nil"] = { nil },
      ["path, open file, function or \"-\" expected, got table"] = { {} },
      ["path, open file, function or \"-\" expected, got closed file"] = { closed },
      ["unknown option 'fromat'"] = { path "x", { fromat = "csv" } },
      ["option 'format': \"jsonl\", \"csv\""] = { path "x", { format = "xml" } },
      ["option 'batch_size'"] = { path "x", { batch_size = 0 } },
      ["option 'progress'"] = { path "x", { progress = 1 } },
      ["no field 'c' in value"] = { path "x", { where = "value.c == 1" } },
      ["columns: none given"] = { path "x", { columns = {} } },
      ["option 'where': string, table or function"] = { path "x", { where = 5 } },
    } do
      local ok, err = pcall(function() map:export(table.unpack(arguments, 1, 2)) end)
      assert.is_false(ok, message)
      assert.truthy(tostring(err):find("export_spec", 1, true) or message:find "[cC]olumns"
        or message:find "no field", tostring(err))
      assert.truthy(tostring(err):find(message, 1, true), tostring(err))
    end
    assert.same({}, names())
    map:close()
    assert.error_matches(function() map:export(path "x") end, "map is closed")
  end)
end)
