-- SPDX-License-Identifier: MIT
--
-- Mistakes that people make, and what they are told: what they wrote, where in their file, and
-- what to do. A row is the mistake, a line of a script; whether it raises (at that line), throws
-- an error object, or is refused with nil, message, errno; and what the message says.

local bpf = require "luabpf"
local conntrack = require "luabpf.conntrack"
local helper = require "spec.support.helper"

-- luacheck: push ignore 631
local MISTAKES <const> = {
  { [[map:update({ adr = "10.0.0.1" }, {})]], "raises", "key.adr: unknown field" },
  { [[map:update({ addr = "10.0.0.1" }, { packet = 1 })]], "raises",
    "value.packet: unknown field (there are: packets, bytes, state, z)" },
  { [[map:lookup { "10.0.0.1", 80 }]], "raises",
    "key[1]: unknown field (there are: addr, port, pad)" },
  { [[map:update({ addr = "10.0.0.256" }, {})]], "raises",
    "key.addr: IPv4 address expected, got '10.0.0.256'" },
  { [[map:update({ addr = "10.0.0.1" }, { packets = "many" })]], "raises",
    "value.packets: integer expected, got string" },
  { [[map:update({ addr = "10.0.0.1" }, { packets = 1.5 })]], "raises",
    "value.packets: 1.5 has no integer representation" },
  { [[map:update({ addr = "10.0.0.1", port = 70000 }, {})]], "raises",
    "key.port: 70000 is not within 0 and 65535" },
  { [[map:update({ addr = "10.0.0.1" }, { state = "neww" })]], "raises",
    "value.state: state has no value named 'neww'" },
  { [[map:update({ addr = "10.0.0.1" })]], "raises",
    "bad argument #2 to 'update' (value expected)" },
  { [[map:update({ addr = "10.0.0.1" }, {}, "noexists")]], "raises",
    "bad argument #3 to 'update' (invalid option 'noexists')" },
  { [[map:update({ addr = "10.0.0.1" }, {}, { mod = "any" })]], "raises",
    "update: unknown option 'mod'" },
  { [[map:lookup()]], "raises", "bad argument #1 to 'lookup' (value expected)" },
  { [[map:lookup({ addr = "10.0.0.1" }, { rwa = true })]], "raises",
    "lookup: unknown option 'rwa'" },
  { [[map:lookup({ addr = "10.0.0.1" }, true)]], "raises",
    "lookup: table of options expected, got boolean" },
  { [[map.lookup({ addr = "10.0.0.1" })]], "raises",
    "bad argument #1 to 'lookup' (luabpf.map expected, got table)" },
  { [[map:lookup_batch({ { addr = "10.0.0.1" }, { adr = "10.0.0.2" } })]], "raises",
    "keys[2].adr: unknown field" },
  { [[map:lookup_batch({ { addr = "10.0.0.1" } }, { stat = true })]], "raises",
    "lookup_batch: unknown option 'stat'" },
  { [[map:lookup_batch("abc")]], "raises",
    "bad argument #1 to 'lookup_batch' (keys: 3 bytes are not a multiple of 8)" },
  { [[map:lookup_batch(5)]], "raises",
    "bad argument #1 to 'lookup_batch' (list, packed string or batch expected, got number)" },
  { [[map:update_batch({ { addr = "10.0.0.1" } }, {})]], "raises",
    "update_batch: 1 keys but 0 values" },
  { [[map:update_batch({ { addr = "10.0.0.1" } }, { { packets = "x" } })]], "raises",
    "values[1].packets: integer expected, got string" },
  { [[map:updat({}, {})]], "raises", "map has no method 'updat'; did you mean 'update'?" },
  { [[map.name()]], "raises", "map has no method 'name'; write map:info().name" },
  { [[bpf.opne "x"]], "raises", "luabpf has no function 'opne'; did you mean 'open'?" },
  { [[for k in map:entries { batchsize = 5 } do end]], "raises",
    "entries: unknown option 'batchsize'; did you mean 'batch_size'?" },
  { [[for k in map:entries "5" do end]], "raises",
    "entries: table of options expected, got string" },
  { [[for b in map:batches() do b:key(0) end]], "raises",
    "bad argument #1 to 'key' (0 is not within 1 and 1)" },
  { [[for b in map:batches() do b:key(500) end]], "raises",
    "bad argument #1 to 'key' (500 is not within 1 and 1)" },
  { [[local k for b in map:batches() do k = b end k:key(1)]], "raises",
    "calling 'key' on bad self (the batch is stale: its iterator moved on or was closed (batch:copy() keeps one))" },
  { [[for _, v in map:views() do print(v.packet) end]], "raises", "no field 'packet' in value" },
  { [[for _, v in map:views() do v.packets = 5 end]], "raises",
    "views are for reading; map:update writes an entry, map:update_where fields of many" },
  { [[map:count("value.packet > 1")]], "raises",
    "expression:1:7: no field 'packet' in value (did you mean 'packets'?)" },
  { [[map:count("value.packets >")]], "raises", "expression:1:16: a value expected at the end" },
  { [[map:count("value.packets = 1")]], "raises", "expression:1:15: '=' compares as '=='" },
  { [[map:count("value.state == 'olde'")]], "raises",
    "expression:1:16: enum state has no 'olde' (did you mean 'old'?)" },
  { [[map:count("value.packets > $n")]], "raises", "params.n: missing" },
  { [[map:count("value.packets > $n", { params = { m = 1 } })]], "raises",
    "params.m: no such parameter" },
  { [[map:count("value.packets > $n", { params = { n = {} } })]], "raises",
    'params.n: an integer or text such as "30s" expected, got table' },
  { [[map:count("key.addr == 5")]], "raises",
    "expression:1:13: 'key.addr' is an IPv4 address and '5' is an integer: they do not compare" },
  { [[map:count("key.addr == '10.0.0'")]], "raises",
    'expression:1:13: "10.0.0" is not an IPv4 address' },
  { [[map:count("key.addr == '10.0.0.0/8'")]], "raises",
    "is not an IPv4 address: 'in' asks whether it is within a prefix" },
  { [[map:count("key.addr in '10.0.0.0/33'")]], "raises",
    "is not an IPv4 address: the length of the prefix is too large" },
  { [[map:count("now - value.packets > 30x")]], "raises",
    "expression:1:23: '30x' has an unknown unit; there are ns us ms s m h d B KiB MiB GiB" },
  { [[map:count(5)]], "raises",
    "count: where: text, compiled expression or function expected, got number" },
  { [[map:count("value.packets > 1", { wrkers = 2 })]], "raises",
    "count: unknown option 'wrkers'; did you mean 'workers'?" },
  { [[map:select { columns = "value.packets, value.packets" }]], "raises",
    "expression:1:16: there are two columns 'packets'; name one otherwise: '... as name'" },
  { [[map:select { limit = -1 }]], "raises",
    "select: option 'limit': integer from 0 to 9223372036854775807 expected, got -1" },
  { [[map:select { where = "value.packets > 1", limit = "ten" }]], "raises",
    "select: option 'limit': number expected, got string" },
  { [[map:delete_where()]], "raises",
    "delete_where: where: text, compiled expression or function expected" },
  { [[map:delete_where("value.packets")]], "raises",
    "expression:1:1: 'value.packets' is an integer where a condition is needed; compare it with something" },
  { [[map:delete_where(function(k, v) return v.packet > 1 end)]], "throws",
    "where: script.lua:3: no field 'packet' in value" },
  { [[map:delete_where(function(k, v) error "mine" end)]], "throws", "where: script.lua:3: mine" },
  { [[map:count(function(k, v) return v.packets > "5" end)]], "throws",
    "where: script.lua:3: attempt to compare string with number" },
  { [[map:count(function(k, v) return v.packets > limit end)]], "throws",
    "where: script.lua:3: attempt to compare nil with number" },
  { [[map:count(function(k, v) return io.write(v) end, { compile = true })]], "raises",
    "count: where: script.lua:3: calls 'io.write', which only Lua can do" },
  { [[map:count(function(k, v) return true end, { compile = "yes" })]], "raises",
    "count: option 'compile': boolean expected, got string" },
  { [[map:export(5)]], "raises", 'export: path, open file, function or "-" expected, got number' },
  { [[map:parallel { workers = 2 }]], "raises",
    "parallel: option 'map': function expected, got nil" },
  { [[map:clear { where = "value.packets > 1" }]], "raises", "clear: no options are taken" },
  { [[map:freeze { readonly = true }]], "raises", "freeze: no options are taken" },
  { [[map:unpin { path = "/sys/fs/bpf/x" }]], "raises", "unpin: no options are taken" },
  { [[for b in map:batches() do b:entries { raw = true } end]], "raises",
    "entries: no options are taken" },
  { [[for b in map:batches() do b:keys { raw = true } end]], "raises",
    "keys: no options are taken" },
  { [[map:head("x")]], "raises", "head: option 'n': integer from 0 to 1000000 expected, got x" },
  { [[closed:lookup(1)]], "raises", "lookup: map is closed" },
  { [[closed:head()]], "raises", "head: map is closed" },
  { [[closed:info()]], "raises", "info: map is closed" },
  { [[closed:describe()]], "raises", "describe: map is closed" },
  { [[closed:select {}]], "raises", "select: map is closed" },
  { [[for k in closed:entries() do end]], "raises", "entries: map is closed" },
  { [[closed:snapshot()]], "raises", "snapshot: map is closed" },
  { [[closed:clear()]], "raises", "clear: map is closed" },
  { [[closed:parallel { map = function() end }]], "raises", "parallel: map is closed" },
  { [[closed:update_batch({1},{2})]], "raises", "update_batch: map is closed" },
  { [[closed:delete_where("value > 1")]], "raises", "delete_where: map is closed" },
  { [[plain:count("value.x > 1")]], "raises",
    "expression:1:7: the value has no layout and so no fields; open the map with one, value = { ... }" },
  { [[plain:update(5, 6)]], "raises", "key: binary string expected, got number" },
  { [[arr:delete(1)]], "refuses", "delete: not supported by array maps" },
  { [[arr:update(9, 1)]], "refuses", "update: index past the end (max_entries is 4)" },
  { [[for k in perf:entries() do end]], "throws",
    "entries: perf_event_array maps: values of this type of map cannot be read" },
  { [[perf:count()]], "refuses",
    "count: perf_event_array maps: values of this type of map cannot be read" },
  { [[perf:head()]], "refuses",
    "head: perf_event_array maps: values of this type of map cannot be read" },
  { [[perf:lookup(1)]], "refuses", "lookup: not supported by perf_event_array maps" },
  { [[for k in ring:entries() do end]], "throws",
    "entries: ringbuf maps: entries of this type of map cannot be enumerated" },
  { [[ring:count()]], "refuses",
    "count: ringbuf maps: entries of this type of map cannot be enumerated" },
  { [[queue:lookup(1)]], "refuses", "lookup: not supported by queue maps" },
  { [[for k in queue:entries() do end]], "throws",
    "entries: queue maps: a queue or stack is read by drain or pop" },
  { [[bpf.open("/etc/passwd")]], "refuses",
    "/etc/passwd is not a pin of a map, program or link" },
  { [[bpf.open("/sys/fs/bpf/nothing")]], "refuses",
    "/sys/fs/bpf/nothing: No such file or directory" },
  { [[bpf.open("nothing_at_all")]], "refuses", "nothing_at_all: no map of that name" },
  { [[bpf.open{ path = "x", id = 5 }]], "raises", "open: one of path, name, id and fd expected" },
  { [[bpf.open{}]], "raises", "open: one of path, name, id and fd expected" },
  { [[bpf.open(true)]], "raises", "open: pin path, name, id or table expected, got boolean" },
  { [[bpf.open{ pth = "x" }]], "raises", "open: unknown option 'pth'; did you mean 'path'?" },
  { [[bpf.create{ type = "hsh", key = "u32", value = "u32" }]], "raises",
    "create: option 'type': unknown map type 'hsh'; did you mean 'hash'?" },
  { [[bpf.create{ type = "hash", key = "u32", value = "u32", max_entries = 0 }]], "refuses",
    "create: Invalid argument (max_entries is 0)" },
  { [[bpf.create{ type = "array", key = "u64", value = "u32" }]], "refuses",
    'Invalid argument (keys of array maps are indexes: key = "u32", or none)' },
  { [[bpf.create{ type = "queue", key = "u32", value = "u32" }]], "refuses",
    "Invalid argument (queue maps have no keys: leave key out)" },
  { [[bpf.create{ type = "lpm_trie", key = "u32", value = "u32" }]], "refuses",
    'Invalid argument (keys of lpm_trie maps are a length in bits and data: key = "prefix4")' },
  { [[bpf.create{ type = "ringbuf", max_entries = 1000 }]], "refuses",
    "Invalid argument (max_entries of ringbuf maps is bytes: a power of two from 4096 up)" },
  { [[bpf.create{ type = "hash", key = "u23", value = "u32" }]], "raises",
    [[key: "u23": no type 'u23']] },
  { [[bpf.create{ type = "hash", key = { hits = "u64" }, value = "u32" }]], "raises",
    'key: declarations are texts in the order of the C struct: "u64 hits", not hits = "u64"' },
  { [[bpf.create{ type = "hash", key = { "u64 hits", "u32 hits" }, value = "u32" }]], "raises",
    "key: the name 'hits' is used twice" },
  { [[bpf.create{ type = "hash", value = "u32" }]], "raises",
    "create: option 'key': missing (a layout, or key_size for bytes)" },
  { [[bpf.create{ type = "hash", key = "u32", value = "u32", max_entrys = 5 }]], "raises",
    "create: unknown option 'max_entrys'; did you mean 'max_entries'?" },
  { [[bpf.create{ type = "hash", key = "u32", value = "u32", flags = { "nopreallc" } }]], "raises",
    "create: flags[1]: unknown flag 'nopreallc'" },
  { [[bpf.create{ type = "hash", key = "u32", value = "u32", name = "a-b" }]], "raises",
    [[create: option 'name': "a-b": letters, digits, '_' and '.' only]] },
  { [[bpf.create{ type = "hash", key = "u32", value = "u32", max_entries = 4, pin = "/tmp/x" }]], "refuses",
    "pin /tmp/x: not within a BPF file system (mount -t bpf bpffs /sys/fs/bpf)" },
  { [[bpf.create "hash"]], "raises", "create: table of options expected, got string" },
  { [[bpf.load("/nonexistent.o")]], "refuses", "/nonexistent.o: No such file or directory" },
  { [[bpf.load("/etc/passwd")]], "refuses", "/etc/passwd: not an ELF file" },
  { [[bpf.load("bpf/objects.bpf.o", { maps = { pints = {} } })]], "raises",
    "maps.pints: the object has no such map" },
  { [[bpf.load("bpf/addresses.bpf.o", { maps = { flows = { key = { "ipv4 sadr" } } } })]], "raises",
    "load: maps.flows.key.sadr: the map has no such field; did you mean 'saddr'?" },
  { [[bpf.load("bpf/addresses.bpf.o", { maps = { flows = { key = "u32" } } })]], "raises",
    "load: maps.flows.key: u32 has 4 bytes, the map's flow_key has 16" },
  { [[bpf.load("bpf/addresses.bpf.o", { maps = { flows = { key = "u33" } } })]], "raises",
    [[load: maps.flows.key: "u33": no type 'u33']] },
  { [[bpf.load("bpf/addresses.bpf.o", { maps = { flows = { max_entrys = 5 } } })]], "raises",
    "maps.flows: unknown option 'max_entrys'" },
  { [[bpf.types { flow_key = { saddr = "ipv5" } }]], "raises",
    [[types: flow_key.saddr: "ipv5 saddr": no type 'ipv5']] },
  { [[bpf.types "flow_key"]], "raises", "types: table expected, got string" },
  { [[bpf.types { flow_key = { "ipv4" } }]], "raises",
    [[types: flow_key: "ipv4": the name of the field is missing]] },
  { [[map:reader()]], "refuses", "reader: not supported by hash maps" },
  { [[ring:reader { layot = "u32" }]], "raises",
    "reader: unknown option 'layot'; did you mean 'layout'?" },
  { [[ring:reader { layout = "u33" }]], "raises", [[reader: layout: "u33": no type 'u33']] },
  { [[ring:reader { layout = "struct nothing" }]], "refuses",
    "reader: no BTF of the programs that use this map has struct nothing" },
  { [[ring:reader { layout = { field = "kind" } }]], "raises",
    [[reader: option 'layout': no layouts beside field = "kind"]] },
  { [[ring:writer()]], "refuses", "writer: not supported by ringbuf maps" },
  { [[bpf.signals "TREM"]], "raises",
    'signals: no signal "TREM" (as in "TERM")' },
  { [[bpf.signals()]], "raises", "signals: " },
  { [[bpf.timer "soon"]], "raises",
    [[timer: integer or text such as "30s" expected, got "soon"]] },
  { [[bpf.poll { 5 }]], "raises", "poll: list[1]: has no pollfd: number" },
  { [[bpf.load("bpf/objects.bpf.o", { map = {} })]], "raises", "load: unknown option 'map'" },
  { [[bpf.load("bpf/objects.bpf.o").programs.count_xdp:attach { xdp = "eth77" }]], "refuses",
    "count_xdp: attach: no network interface 'eth77'" },
  { [[error((tostring(select(2, pcall(closed.count, closed))):gsub("^.-: ", "<")))]], "raises",
    "<map is closed" },
  { [[bpf.load("bpf/objects.bpf.o").programs.count_xdp:attach { xpd = "lo" }]], "raises",
    "attach: unknown option 'xpd'" },
  { [[bpf.load("bpf/objects.bpf.o").programs.count_xdp:attach { xdp = "lo", tc = "lo" }]], "raises",
    "options 'xdp' and 'tc': only one target can be given" },
  { [[bpf.load("bpf/objects.bpf.o").programs.count_xdp:run { dat = "" }]], "raises",
    "run: unknown option 'dat'" },
  { [[bpf.snapshot("/etc/passwd")]], "refuses",
    "/etc/passwd: snapshot: not a snapshot (at byte 0)" },
  { [[bpf.snapshot("/nonexistent")]], "refuses", "/nonexistent: No such file or directory" },
  { [[snap:diff(5)]], "raises", "diff: luabpf.snapshot expected, got number" },
  { [[snap:diff(snap, { mem = 1 })]], "raises", "diff: unknown option 'mem'" },
  { [[bpf.duration "5 parsecs"]], "raises",
    'duration: integer or text such as "30s" expected, got "5 parsecs"' },
  { [[bpf.size "5 pounds"]], "raises",
    'size: integer or text such as "64MiB" expected, got "5 pounds"' },
  { [[bpf.sleep(-1)]], "raises", "sleep: -1 is negative" },
  { [[bpf.maps { typ = "hash" }]], "raises", "maps: unknown option 'typ'; did you mean 'type'?" },
  { [[bpf.iter.take(2)]], "raises",
    "take: an iterator expected as the last argument, such as map:entries()" },
  { [[bpf.iter.chunk(0, map:entries())]], "raises", "chunk: at least 1 expected" },
  { [[conntrack.start { cgroup = "/nonexistent" }]], "refuses",
    "egress: attach: /nonexistent: No such file or directory" },
  { [[conntrack.start { cgrop = "/" }]], "raises",
    "start: unknown option 'cgrop'; did you mean 'cgroup'?" },
  { [[conntrack.open "/sys/fs/bpf/nothing"]], "refuses",
    "/sys/fs/bpf/nothing: No such file or directory" },
  { [[map:pin "/tmp/x"]], "refuses",
    "pin /tmp/x: not within a BPF file system (mount -t bpf bpffs /sys/fs/bpf)" },
  { [[map:pin "/sys/fs/bpf/a.b"]], "refuses", "pin /sys/fs/bpf/a.b: names of pins have no dots" },
  { [[map:unpin()]], "refuses", "unpin (no pin is known): No such file or directory" },
  { [[bpf.compile("value.packets > 1")]], "raises", "compile: map or snapshot expected, got nil" },
  { [[bpf.compile("value.packets > 1", 5)]], "raises",
    "compile: map or snapshot expected, got number" },
}
-- luacheck: pop

-- What the lines of the table have: maps of several types, one that is closed, a snapshot.
local function world()
  local w = { bpf = bpf, conntrack = conntrack, print = function() end }
  w.map = helper.map { key = { "ipv4 addr", "be16 port", "u16 pad" },
    value = { "u64 packets", "u64 bytes", "enum8 state { new, old }", "u8 z[7]" } }
  w.map:update({ addr = "10.0.0.1", port = 1 }, { packets = 1 })
  w.closed = helper.map()
  w.closed:close()
  w.plain = helper.map { key_size = 4, value_size = 8 }
  w.arr = helper.map { type = "array", key = "u32", value = "u32", max_entries = 4 }
  w.perf = helper.map { type = "perf_event_array", key = "u32", value = "u32", max_entries = 2 }
  w.queue = helper.map { type = "queue", value = "u32", max_entries = 2 }
  w.ring = helper.map { type = "ringbuf", key_size = 0, value_size = 0, max_entries = 4096 }
  w.snap = assert(w.map:snapshot())
  return setmetatable(w, { __index = _G })
end

-- Runs a line as the third of a script: "raises", "throws" or "refuses", and the message.
local function outcome(code, env)
  local whole = (code:find "^for" or code:find "^local") and code
    or ("local r = table.pack(%s) return table.unpack(r, 1, r.n)"):format(code)
  local ok, result, message = pcall(assert(load("\n\n" .. whole, "@script.lua", "t", env)))
  if not ok then return type(result) == "table" and "throws" or "raises", tostring(result) end
  return result == nil and message and "refuses" or "passes", tostring(message)
end

describe("a mistake", function()
  local env
  setup(function() env = world() end)
  teardown(helper.close_all)

  for _, row in ipairs(MISTAKES) do
    local code, kind, text = table.unpack(row)
    it("is told: " .. code, function()
      local was, message = outcome(code, env)
      assert.equal(kind, was, message)
      assert(message:find(text, 1, true), message)
      if kind == "raises" then assert.matches("script.lua:3: ", message) end
      assert.is_nil(message:find("lua/luabpf/", 1, true), message)
    end)
  end

  it("in a file of the user's is told at its line, through functions of the user's", function()
    local script = [[
local map = ...
local function busy(m)
  return (m:count "value.packet > 1")
end
print(busy(map))]]
    local _, message = pcall(assert(load(script, "@script.lua")), env.map)
    assert.matches("^script.lua:3: expression:1:7: no field 'packet' in value", message)
  end)

  it("of a callback stays the callback's", function()
    local ok, message = pcall(env.map.delete_where, env.map, "value.packets == 1",
      { on_delete = function() error("mine", 0) end })
    assert.is_false(ok)
    assert.matches("mine", tostring(message))
  end)
end)
