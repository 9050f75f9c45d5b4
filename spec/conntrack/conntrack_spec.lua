-- SPDX-License-Identifier: MIT
--
-- luabpf.conntrack: starting and stopping, what it counts of real traffic on
-- lo, and what can be done with the connections. Single packets of all kinds
-- are in conntrack_packets_spec.lua.

package.path = "examples/?.lua;" .. package.path

local bpf = require "luabpf"
local conntrack = require "luabpf.conntrack"
local helper = require "spec.support.helper"
local traffic = require "traffic"

local GENERATOR <const> = (os.getenv "LUABPF_BUILD" or ".build") .. "/traffic"

-- Runs a line of bash, in a cgroup if one is given.
local function bash(line, cgroup)
  local join = cgroup and ("echo $$ >'%s/cgroup.procs' && "):format(cgroup.path) or ""
  return os.execute(("bash -c '%sexec 2>&-; %s'"):format(join:gsub("'", "'\\''"),
    line:gsub("'", "'\\''")))
end

local function exists(path)
  return os.execute("test -e " .. path) == true
end

local raises = helper.raises

local function numbers(c)
  return { c.packets, c.bytes, c.reply_packets, c.reply_bytes }
end

describe("the tracker on a cgroup", function()
  local cgroup, generator, tracker

  setup(function()
    cgroup = traffic.cgroup(helper.name())
    generator = traffic.start(GENERATOR, cgroup)
    tracker = assert(conntrack.start { cgroup = cgroup.path })
  end)

  teardown(function()
    tracker:stop()
    generator:close()
    cgroup:close()
  end)

  before_each(function()
    generator:command("close", "*")
    bpf.sleep "20ms"
    for _, map in pairs(tracker.object.maps) do map:clear() end
  end)

  -- That each connection that the generator reports is in the table, to the byte.
  local function exact(conns, of)
    local found = assert((of or tracker):query(conns))
    for i, c in ipairs(conns) do
      assert(found[i], ("%s of port %d is not there"):format(c.protocol, c.src_port))
      assert.same(numbers(c), numbers(found[i]))
      assert.same({ c.src_addr, c.src_port }, { found[i].src_addr, found[i].src_port })
    end
  end

  local kinds = {
    { "TCP over IPv4", "tcp", "t", "127.0.0.1", 0, 3, 700, 100000 },
    { "TCP over IPv6", "tcp", "t", "::1", 0, 3, 100000, 1 },
    { "UDP over IPv4", "udp", "t", "127.0.0.1", 0, 3, 5, 100, 4, 1000 },
    { "UDP over IPv6", "udp", "t", "::1", 0, 3, 5, 100, 4, 1000 },
    { "UDP of the same address at both ends of lo", "udp", "t", "127.3.2.1", 0, 2, 2, 9, 2, 9 },
    { "ping", "ping", "t", "127.0.0.1", 4, 56 },
    { "ping over IPv6", "ping", "t", "::1", 4, 1000 },
  }
  for _, kind in ipairs(kinds) do
    it("counts each packet once, to the byte: " .. kind[1], function()
      -- In a network of its own, or other programs' pings would reach it, and count.
      local private <close> = traffic.start(GENERATOR, cgroup)
      private:command "private"
      private:command(table.unpack(kind, 2))
      local conns = private:command("report", "*")
      exact(conns)
      local sum = 0
      for _, c in ipairs(conns) do sum = sum + c.packets + c.reply_packets end
      local counters = tracker:counters()
      assert.equal(sum, counters.counted)
      assert.equal(sum, counters.seen - counters.repeated)
      assert.equal(#conns, tracker.map:count())
    end)
  end

  it("counts once what comes from outside it", function()
    generator:command("udp", "t", "127.0.0.1", 0, 1, 0, 0, 0, 0)
    local server = generator:command("report", "*")[1].dst_port
    assert(bash(("echo 12 >/dev/udp/127.0.0.1/%d"):format(server)))
    local list = tracker:list()
    assert.equal(1, #list)
    assert.same({ server, 1, 31, 0, 0 }, { list[1].dst_port, table.unpack(numbers(list[1])) })
  end)

  it("counts once what goes out of it", function()
    local outside <close> = traffic.start(GENERATOR)
    outside:command("udp", "t", "::1", 0, 1, 0, 0, 0, 0)
    local server = outside:command("report", "*")[1].dst_port
    assert(bash(("echo 12 >/dev/udp/::1/%d"):format(server), cgroup))
    local list = tracker:list()
    assert.equal(1, #list)
    assert.same({ server, 1, 51, 0, 0 }, { list[1].dst_port, table.unpack(numbers(list[1])) })
  end)

  it("does not count what is sent and received outside it", function()
    local outside <close> = traffic.start(GENERATOR)
    outside:command("tcp", "t", "127.0.0.1", 0, 2, 100, 100)
    outside:command("report", "*")
    assert.same({ 0, 0 }, { tracker.map:count(), tracker:counters().seen })
  end)

  it("counts the kernel's answer for a port where nobody listens", function()
    assert.falsy(bash("exec 3<>/dev/tcp/127.0.0.1/1", cgroup))
    local list = tracker:list()
    assert.equal(1, #list)
    assert.same({ "reset", 1, 1 }, { list[1].state, list[1].packets, list[1].reply_packets })
  end)

  it("follows a connection to its end, without counting twice what outlives a socket", function()
    generator:command("tcp", "t", "127.0.0.1", 0, 20, 10, 10)
    local conns = generator:command("report", "*")
    generator:command("close", "*")
    bpf.sleep "20ms"
    local found = tracker:query(conns)
    for i, c in ipairs(conns) do
      assert.equal("closed", found[i].state)
      -- FIN and the acknowledgement of the other's; where the two cross, one less.
      assert.equal(c.packets + 2, found[i].packets)
      local more = found[i].reply_packets - c.reply_packets
      assert.is_true(more == 1 or more == 2, more .. " more")
    end
  end)

  it("knows a packet that arrives after its socket was closed", function()
    local packets = require "spec.support.packets"
    generator:command("udp", "t", "127.0.0.1", 0, 1, 1, 100, 0, 0)
    local conn = generator:command("report", "*")[1]
    generator:command("close", "*")
    local late = packets.frame(packets.ipv4({ src = conn.src_addr, dst = conn.dst_addr },
      packets.udp { src_port = conn.src_port, dst_port = conn.dst_port, payload = "late" }))
    assert(tracker.object.programs.ingress:run { data = late })
    assert.equal(1, tracker:query { conn }[1].packets)
    assert.equal(2, tracker:counters().repeated)
  end)

  it("is not disturbed by another one on the same cgroup", function()
    local second <close> = assert(conntrack.start { cgroup = cgroup.path })
    generator:command("tcp", "t", "::1", 0, 2, 1000, 1000)
    local conns = generator:command("report", "*")
    exact(conns)
    exact(conns, second)
  end)

  it("covers the whole machine if no cgroup is named, and leaves it alone when closed", function()
    do
      local all <close> = assert(conntrack.start { type = "lru_hash" })
      generator:command("udp", "t", "127.0.0.1", 0, 2, 3, 10, 3, 10)
      exact(generator:command("report", "*"), all)
    end
    generator:command("stream", "t", 0, 0)
    exact(generator:command("report", "*"))
  end)

  it("keeps a connection that a packet reaches between judgement and deletion", function()
    generator:command("udp", "t", "127.0.0.1", 0, 6, 1, 10, 1, 10)
    local conns = generator:command("report", "*")
    local live, sent = conns[4].src_port, false
    local report = assert(tracker:cleanup { idle = 1, where = function(key)
      if not sent and (key.a.port == live or key.b.port == live) then
        generator:command("stream", "t", 0, 0)
        sent = true
      end
      return true
    end })
    assert.is_true(sent)
    assert.equal(6, report.matched)
    assert.is_true(report.kept >= 1)
    assert.equal(6, report.kept + report.deleted)
    local found = tracker:query { conns[4] }[1]
    assert.same({ 2, 1 }, { found.packets, found.reply_packets })
  end)

  it("deletes what is idle while other connections go on", function()
    generator:command("udp", "idle", "127.0.0.1", 0, 20, 1, 10, 1, 10)
    generator:command("udp", "live", "::1", 0, 5, 1, 10, 1, 10)
    local conns = generator:command("report", "idle")
    for _, c in ipairs(conns) do c.last_seen = bpf.now() - 3600 * 1000000000 end
    assert.equal(20, tracker:insert(conns))
    generator:tell("stream", "live", 300, 1)
    local deleted, sweeps = 0, 0
    repeat
      deleted = deleted + assert(tracker:cleanup { idle = "30m" }).deleted
      sweeps = sweeps + 1
    until generator:done()
    assert.is_true(sweeps > 1)
    assert.equal(20, deleted)
    exact(generator:command("report", "live"))
    assert.equal(5, tracker.map:count())
  end)
end)

describe("starting and stopping", function()
  local cgroup

  setup(function() cgroup = traffic.cgroup(helper.name()) end)
  teardown(function() cgroup:close() end)

  local function pins_of(path)
    local pins = {}
    for _, suffix in ipairs { "", "_counters", "_egress", "_ingress" } do
      if exists(path .. suffix) then pins[#pins + 1] = suffix end
    end
    return pins
  end

  it("leaves nothing open", function()
    local before = helper.descriptors()
    local tracker = assert(conntrack.start { cgroup = cgroup.path, max_entries = 10 })
    assert.is_true(helper.descriptors() > before)
    tracker:stop()
    assert.equal(before, helper.descriptors())
    assert.is_true(tracker:stop())
    assert.is_true(tracker:close())
    raises("map is closed", tracker.list, tracker)
  end)

  it("ends with the block it is local to", function()
    local link
    do
      local tracker <close> = assert(conntrack.start { cgroup = cgroup.path, max_entries = 10 })
      link = tracker.ingress
      assert.is_truthy(link:info())
    end
    raises("closed", link.info, link)
  end)

  it("gives the table the type and size asked for", function()
    local tracker <close> = assert(conntrack.start { cgroup = cgroup.path, max_entries = 777,
      type = "lru_hash" })
    local info = tracker.map:info()
    assert.same({ "lru_hash", 777 }, { info.type, info.max_entries })
    assert.equal(("luabpf.conntrack (%s)"):format(tostring(tracker.map)), tostring(tracker))
  end)

  it("goes on under a pin until it is stopped, by another handle too", function()
    local pin = helper.pin()
    local generator <close> = traffic.start(GENERATOR, cgroup)
    assert(conntrack.start { cgroup = cgroup.path, pin = pin }):close()
    assert.equal(4, #pins_of(pin))
    generator:command("udp", "t", "127.0.0.1", 0, 3, 2, 10, 0, 0)

    local tracker = assert(conntrack.open(pin))
    assert.same({ 3, 6 }, { #tracker:list(), tracker:counters().counted })
    local other = assert(conntrack.open(pin))
    tracker:stop()
    assert.same({}, pins_of(pin))
    generator:command("stream", "t", 0, 0)
    assert.equal(6, other:counters().counted)
    other:close()
    local nothing, message, errno = conntrack.open(pin)
    assert.is_nil(nothing)
    assert.matches(pin, message, 1, true)
    assert.equal(bpf.errno.ENOENT, errno)
  end)

  it("takes back what it did when a later step fails", function()
    local pin = helper.pin()
    local before = helper.descriptors()
    local in_the_way = helper.map { pin = pin .. "_ingress" }
    local nothing, message, errno = conntrack.start { cgroup = cgroup.path, pin = pin }
    assert.is_nil(nothing)
    assert.matches(pin .. "_ingress", message, 1, true)
    assert.equal(bpf.errno.EEXIST, errno)
    assert.same({ "_ingress" }, pins_of(pin))
    in_the_way:unpin()
    helper.close_all()
    assert.equal(before, helper.descriptors())
  end)

  it("says what was refused", function()
    local _, message, errno = conntrack.start { cgroup = cgroup.path .. "/none" }
    assert.matches("/none", message, 1, true)
    assert.equal(bpf.errno.ENOENT, errno)
    _, message, errno = conntrack.start { cgroup = cgroup.path, object = "/none/tracker.o" }
    assert.matches("/none/tracker.o", message, 1, true)
    assert.equal(bpf.errno.ENOENT, errno)
    raises("start: unknown option 'cgruop'", conntrack.start, { cgruop = "" })
    raises("start: option 'cgroup': string expected, got number", conntrack.start, { cgroup = 1 })
    raises("start: option 'type'", conntrack.start, { type = "array" })
    raises("start: option 'max_entries'", conntrack.start, { max_entries = 0 })
    raises("start: table of options expected", conntrack.start, "cgroup")
    raises("open: path of a pin expected, got nil", conntrack.open)
  end)

  it("finds the root of the cgroup hierarchy", function()
    assert.is_true(exists(conntrack.cgroup_root() .. "/cgroup.procs"))
  end)
end)

describe("a table of connections", function()
  local SECOND <const> = 1000000000
  local cgroup, tracker

  setup(function()
    cgroup = traffic.cgroup(helper.name())
    tracker = assert(conntrack.start { cgroup = cgroup.path })
  end)

  teardown(function()
    tracker:stop()
    cgroup:close()
  end)

  before_each(function() tracker.map:clear() end)

  -- Connections of two clients to n servers; the i-th sent 2 * i packets and 20 * i bytes, got half
  -- of that as reply, and was seen i seconds ago.
  local function make(n)
    local now, list = bpf.now(), {}
    for i = 1, n do
      local v4 = i % 2 == 0
      list[i] = { protocol = i % 3 == 0 and "udp" or "tcp",
        src_addr = v4 and "10.0.0.9" or "2001:db8::ff", src_port = 1000 + i,
        dst_addr = (v4 and "10.%d.0.%d" or "2001:db8:%x::%x"):format(i // 256, i % 256),
        dst_port = 80 + i % 4,
        packets = i * 2, bytes = i * 20, reply_packets = i, reply_bytes = i * 10,
        state = i % 5 == 0 and "closed" or "established",
        first_seen = now - (i + 1) * SECOND, last_seen = now - i * SECOND }
    end
    return list
  end

  local function ports(list)
    local found = {}
    for i, c in ipairs(list) do found[i] = c.src_port end
    return found
  end

  it("takes many connections at once and gives them back", function()
    local list = make(1000)
    assert.equal(1000, tracker:insert(list))
    local some = table.move(list, 251, 750, 1, {})
    some[501] = { src_addr = "192.0.2.1", dst_addr = "192.0.2.2" }
    local found, n = tracker:query(some)
    assert.equal(500, n)
    assert.is_nil(found[501])
    for i = 1, 500 do
      for field, value in pairs(some[i]) do assert.equal(value, found[i][field]) end
    end
  end)

  it("has one entry for both directions", function()
    local c = make(2)[2]
    assert.equal(1, tracker:insert { c })
    local back = { protocol = c.protocol, src_addr = c.dst_addr, src_port = c.dst_port,
      dst_addr = c.src_addr, dst_port = c.src_port }
    local found = tracker:query { back, c }
    assert.same({ 1002, 1002 }, { found[1].src_port, found[2].src_port })
    assert.same({ 1, 1 }, { tracker:remove { back, { src_addr = "::1", dst_addr = "::2" } } })
    assert.equal(0, tracker.map:count())
  end)

  it("fills in what a connection leaves out", function()
    local before = bpf.now()
    assert.equal(1, tracker:insert { { src_addr = "10.0.0.1", dst_addr = "10.0.0.2" } })
    local c = tracker:list()[1]
    assert.same({ "tcp", "new", 0, 0, 0 }, { c.protocol, c.state, c.src_port, c.packets, c.bytes })
    assert.is_true(c.first_seen >= before and c.last_seen == c.first_seen)
  end)

  it("says which connection is wrong, and stores none", function()
    local good = { src_addr = "10.0.0.1", dst_addr = "10.0.0.2" }
    local function bad(field, value)
      local c = { src_addr = "10.0.0.1", dst_addr = "10.0.0.2" }
      c[field] = value
      return { good, c }
    end
    raises('insert: connections[2].src_addr: IP address expected, got "x"',
      tracker.insert, tracker, bad("src_addr", "x"))
    raises("query: connections[2].dst_addr: IP address expected, got number",
      tracker.query, tracker, bad("dst_addr", 1))
    raises("remove: connections[2].src_port: port from 0 to 65535 expected, got 65536",
      tracker.remove, tracker, bad("src_port", 65536))
    raises("insert: connections[2].dst_port", tracker.insert, tracker, bad("dst_port", "80"))
    raises("insert: connections[2]: connection expected, got number", tracker.insert, tracker,
      { good, 2 })
    raises("insert: list of connections expected, got nil", tracker.insert, tracker)
    raises("protocol", tracker.insert, tracker, bad("protocol", "xyz"))
    raises("packets", tracker.insert, tracker, bad("packets", "many"))
    assert.equal(0, tracker.map:count())
  end)

  describe("lists", function()
    before_each(function() tracker:insert(make(10)) end)

    it("those with the most bytes first", function()
      assert.same({ 1010, 1009, 1008, 1007, 1006, 1005, 1004, 1003, 1002, 1001 },
        ports(tracker:list()))
    end)

    it("by any field, in either direction, and only so many", function()
      assert.same({ 1001, 1002, 1003 }, ports(tracker:list { sort = "last_seen", limit = 3 }))
      assert.same({ 1001, 1002 }, ports(tracker:list { sort = "packets asc", limit = 2 }))
      assert.same({ 1010, 1005 }, ports(tracker:list { sort = "state", limit = 2 }))
      assert.same({ 1007, 1003 }, ports(tracker:list { sort = "dst_port", limit = 2 }))
      assert.same({}, ports(tracker:list { limit = 0 }))
    end)

    it("counts that are larger than the largest signed integer first", function()
      tracker:insert { { src_addr = "::1", src_port = 7, dst_addr = "::2", bytes = -5 } }
      assert.equal(7, tracker:list { limit = 1 }[1].src_port)
      assert.matches("18446744073709551611", tostring(tracker:list { limit = 1 }), 1, true)
    end)

    it("those of a protocol, a state, an endpoint, a condition", function()
      local function sorted(given)
        given.sort = "src_port asc"
        return ports(tracker:list(given))
      end
      assert.same({ 1003, 1006, 1009 }, sorted { protocol = "udp" })
      assert.same({ 1005, 1010 }, sorted { state = "closed" })
      assert.same({ 1002, 1004, 1006, 1008, 1010 }, sorted { endpoint = "10.0.0.9" })
      assert.same({ 1003, 1007 }, sorted { endpoint = ":83" })
      assert.same({ 1003 }, sorted { endpoint = "[2001:0DB8:0::3]:83" })
      assert.same({ 1003 }, sorted { endpoint = "2001:db8::ff", protocol = "udp",
        state = "established", where = function(_, value) return value.packets == 6 end })
      assert.same({ 1007, 1008, 1009, 1010 }, sorted { idle = "6500ms" })
      assert.same({}, sorted { idle = "1h" })
      assert.same({ 1005, 1007, 1009 }, sorted { endpoint = "2001:db8::ff", where =
        "value.bytes > $least or value.packets == 10", params = { least = 120 } })
    end)

    it("finds those of an endpoint, or between two", function()
      assert.same({ 1010, 1008, 1006, 1004, 1002 }, ports(tracker:find "10.0.0.9"))
      assert.same({ 1004 }, ports(tracker:find("10.0.0.9", "10.0.0.4")))
      assert.same({ 1008, 1004 }, ports(tracker:find(":80", "10.0.0.9")))
      assert.same({ 1004 }, ports(tracker:find("10.0.0.4:80", "10.0.0.9:1004")))
      assert.same({}, ports(tracker:find("10.0.0.4:81", "10.0.0.9:1004")))
      assert.same({}, ports(tracker:find "192.0.2.1"))
    end)

    it("print as tables", function()
      local list = tracker:list { limit = 1 }
      assert.matches("protocol +%l+\nfrom +%S+\nto +", tostring(bpf.vertical(list)))
      assert.matches("field +value\nprotocol +%l+\nsrc_addr", tostring(bpf.vertical(list[1])))
      local text = tostring(tracker:list { limit = 2 })
      local lines = {}
      for line in text:gmatch("[^\n]+") do lines[#lines + 1] = line:gsub("%s+", " ") end
      assert.equal("protocol from to state packets bytes replies reply bytes age idle", lines[1])
      assert.matches("^tcp 10%.0%.0%.9:1010 10%.0%.0%.10:82 closed 20 200 10 100 11%.. s 10%.. s$",
        lines[2])
      assert.matches("^udp %[2001:db8::ff%]:1009 %[2001:db8::9%]:81 established 18 180 9 90",
        lines[3])
      assert.equal("tcp 10.0.0.9:1010 > 10.0.0.10:82 closed, 20 + 10 packets, 200 + 100 bytes",
        tostring(tracker:list()[1]))
      assert.equal(1, #tostring(tracker:list { limit = 0 }):gsub("[^\n]", "") + 1)
    end)

    it("where a function says so", function()
      tracker:insert(make(10))
      local least = 5
      local function wanted(_, value) return value.packets >= least end
      assert.same(ports(tracker:list { where = "value.packets >= 5" }),
        ports(tracker:list { where = wanted }))
      assert.same(ports(tracker:list { where = "value.packets >= 5", sort = "packets", limit = 3 }),
        ports(tracker:list { where = wanted, sort = "packets", limit = 3 }))
      assert.same(ports(tracker:list { where = "value.packets >= 5", protocol = "udp" }),
        ports(tracker:list { where = wanted, protocol = "udp" }))
    end)

    it("refuse what they do not know", function()
      raises("list: unknown option 'sorted'", tracker.list, tracker, { sorted = 1 })
      raises("list: option 'sort'", tracker.list, tracker, { sort = "size" })
      raises("list: option 'limit'", tracker.list, tracker, { limit = -1 })
      raises("list: option 'idle'", tracker.list, tracker, { idle = "soon" })
      raises("list: option 'where'", tracker.list, tracker, { where = true })
      raises("no field 'byts' in value", tracker.list, tracker, { where = "value.byts > 1" })
      raises('list: option \'protocol\': "tcp"', tracker.list, tracker, { protocol = "sctp" })
      raises('list: option \'state\': "new"', tracker.list, tracker, { state = "open" })
      raises('list: option \'endpoint\': "10.0.0" is no endpoint', tracker.list, tracker,
        { endpoint = "10.0.0" })
      raises("find: an endpoint such as", tracker.find, tracker)
      raises('find: "10.0.0.1:http" is no endpoint', tracker.find, tracker, "10.0.0.1:http")
      raises("oops", tracker.list, tracker, { where = function() error "oops" end })
    end)
  end)

  describe("sums up", function()
    it("nothing", function()
      local stats = tracker:stats()
      assert.same({ 0, 0, 0, 0.0, 0.0 }, { stats.connections, stats.packets, stats.bytes,
        stats.packets_per_connection, stats.bytes_per_connection })
      assert.same({}, stats.ports)
      assert.is_nil(stats.oldest)
      assert.matches("^0 connections", tostring(stats))
    end)

    it("packets and bytes, per connection, protocol, state and port", function()
      tracker:insert(make(10))
      local stats = tracker:stats { top = 2 }
      assert.same({ 10, 165, 1650, 55, 550, 16.5, 165.0 }, { stats.connections, stats.packets,
        stats.bytes, stats.reply_packets, stats.reply_bytes, stats.packets_per_connection,
        stats.bytes_per_connection })
      assert.same({ tcp = { connections = 7, packets = 111, bytes = 1110 },
        udp = { connections = 3, packets = 54, bytes = 540 } }, stats.protocols)
      assert.same({ established = { connections = 8, packets = 120, bytes = 1200 },
        closed = { connections = 2, packets = 45, bytes = 450 } }, stats.states)
      assert.same({ { protocol = "tcp", port = 82, connections = 2, packets = 36, bytes = 360 },
        { protocol = "tcp", port = 80, connections = 2, packets = 36, bytes = 360 } },
        { stats.ports[2], stats.ports[1] })
      assert.same({ 1010, 1009 }, ports(stats.top))
      assert.equal(1010, stats.oldest.src_port)
    end)

    it("to tables", function()
      tracker:insert(make(3))
      local text = tostring(tracker:stats())
      for _, expected in ipairs {
        "3 connections, 18 packets, 180 bytes; 6.0 packets and 60.0 bytes per connection",
        "protocol  connections  packets  bytes\ntcp                 2        9     90\n",
        "state        connections", "\nudp/83            1        9     90\n", "\ntop talkers\n",
        "\noldest: udp [2001:db8::ff]:1003 >" } do
        assert.truthy(text:find(expected, 1, true), expected .. "\nin\n" .. text)
      end
    end)

    it("refuses what it does not know", function()
      raises("stats: unknown option 'n'", tracker.stats, tracker, { n = 1 })
      raises("stats: option 'top'", tracker.stats, tracker, { top = -1 })
    end)
  end)

  describe("is cleaned", function()
    before_each(function() tracker:insert(make(10)) end)

    it("of what is idle", function()
      local report = tracker:cleanup { idle = "6500ms" }
      assert.same({ 10, 4, 4, 0, 0, true }, { report.visited, report.matched, report.deleted,
        report.missing, report.kept, report.complete })
      assert.same({ 1006, 1005, 1004, 1003, 1002, 1001 }, ports(tracker:list()))
    end)

    it("by protocol and state", function()
      -- udp: 1003 1006 1009; closed: 1005 1010.
      assert.equal(2, tracker:cleanup { per_protocol = { udp = "5s" } }.deleted)
      assert.equal(1, tracker:cleanup { per_state = { closed = "7s" } }.deleted)
      assert.equal(1, tracker:cleanup { per_state = { closed = "1s" },
        per_protocol = { udp = "5s", tcp = "1h" } }.deleted)
      assert.equal(1, tracker:cleanup { idle = "7500ms", per_protocol = { udp = "1h" } }.deleted)
      assert.same({ 1007, 1004, 1003, 1002, 1001 }, ports(tracker:list()))
    end)

    it("where text says so, inside the kernel", function()
      local report = tracker:cleanup { idle = "1500ms", per_state = { closed = "1h" },
        where = "key.a.port == $port or key.b.port == $port", params = { port = 82 } }
      assert.same({ 2, 2, "kernel" }, { report.matched, report.deleted, report.engine })
      assert.same({ 1010, 1009, 1008, 1007, 1005, 1004, 1003, 1001 }, ports(tracker:list()))
    end)

    it("where a function says so, which is compiled with the tracker's own", function()
      local port, states = 82, { established = true, new = true }
      local function wanted(key, value)
        return (key.a.port == port or key.b.port == port) and not states[value.state]
      end
      for _, given in ipairs { { idle = "1500ms", per_state = { closed = "1h" } },
        { per_protocol = { udp = "5s", tcp = "1s" } }, { idle = 0 } } do
        given.dry_run, given.where = true, wanted
        local report = tracker:cleanup(given)
        assert.same({ true, 0, "kernel" }, { report.compiled, report.asked, report.engine })
        given.where = "(key.a.port == 82 or key.b.port == 82) and not (value.state in ('new', "
          .. "'established'))"
        assert.equal(tracker:cleanup(given).matched, report.matched)
      end
    end)

    it("of ICMP for both kinds of IP", function()
      for _, protocol in ipairs { "icmp", "icmpv6" } do
        tracker:insert { { protocol = protocol, src_addr = "::1", dst_addr = "::2",
          last_seen = 1 } }
      end
      assert.equal(2, tracker:cleanup { per_protocol = { icmp = "1s" } }.deleted)
    end)

    it("of so many, or none, or where one more condition holds", function()
      assert.same({ 9, 0 }, { tracker:cleanup { idle = "1500ms", dry_run = true }.matched,
        tracker:cleanup { idle = "1500ms", dry_run = true }.deleted })
      assert.equal(10, tracker.map:count())
      assert.equal(3, tracker:cleanup { idle = "1500ms", limit = 3 }.deleted)
      assert.equal(7, tracker.map:count())
      local seen = {}
      tracker:cleanup { idle = 0, where = function(key, value)
        return key.protocol == "udp" and value.state == "established"
      end, on_delete = function(conn) seen[#seen + 1] = conn end }
      for _, conn in ipairs(seen) do assert.equal("udp", conn.protocol) end
      assert.equal(7 - #seen, tracker.map:count())
      assert.equal(0, #tracker:list { protocol = "udp" })
    end)

    it("but not of what is said to be seen later than now", function()
      tracker.map:clear()
      tracker:insert { { src_addr = "::1", dst_addr = "::2",
        last_seen = bpf.now() + 3600 * SECOND } }
      assert.equal(0, tracker:cleanup { idle = 0 }.deleted)
    end)

    it("and is told what", function()
      raises("cleanup: idle, per_protocol or per_state must say", tracker.cleanup, tracker)
      raises("cleanup: idle, per_protocol or per_state must say", tracker.cleanup, tracker,
        { per_state = {} })
      raises("cleanup: option 'idle'", tracker.cleanup, tracker, { idle = "soon" })
      raises("cleanup: option 'per_state'", tracker.cleanup, tracker, { per_state = { open = 1 } })
      raises("cleanup: option 'per_protocol'", tracker.cleanup, tracker,
        { per_protocol = { sctp = 1 } })
      raises("cleanup: option 'per_protocol.udp'", tracker.cleanup, tracker,
        { per_protocol = { udp = "x" } })
      raises("cleanup: option 'per_protocol.udp': -1 is negative", tracker.cleanup, tracker,
        { per_protocol = { udp = -1 } })
      raises("cleanup: option 'idle': -1 is negative", tracker.cleanup, tracker, { idle = -1 })
      raises("cleanup: option 'where'", tracker.cleanup, tracker, { idle = 0, where = 1 })
      raises("no field 'byts'", tracker.cleanup, tracker, { idle = 0, where = "value.byts == 0" })
      raises("cleanup: unknown option 'older'", tracker.cleanup, tracker, { older = 1 })
      raises("oops", tracker.cleanup, tracker, { idle = 0, where = function() error "oops" end })
      assert.equal(10, tracker.map:count())
    end)
  end)
end)

describe("the declarations for editors", function()
end)

describe("a tracker that is started where one is pinned", function()
  local cgroup, pin

  before_each(function() cgroup, pin = traffic.cgroup(helper.name()), helper.pin() end)

  after_each(function()
    local left = conntrack.open(pin)
    if left then left:stop() end
    cgroup:close()
  end)

  local function start(options)
    local given = { cgroup = cgroup.path, pin = pin, max_entries = 100 }
    for name, value in pairs(options or {}) do given[name] = value end
    return conntrack.start(given)
  end

  it("is the one that is there, with its connections", function()
    local first = assert(start())
    first:insert { { src_addr = "10.0.0.1", dst_addr = "10.0.0.2" } }
    first:close()
    local again <close> = assert(start())
    assert.equal(1, #again:list())
    assert.is_true(assert(start { type = "hash" }).map == again.map)
    assert.is_true(again.map == assert(conntrack.start { pin = pin }).map)
  end)

  it("is refused where it is another than is asked for", function()
    local first <close> = assert(start())
    local none, message, errno = start { max_entries = 200 }
    assert.is_nil(none)
    assert.equal(bpf.errno.EEXIST, errno)
    assert.matches("has max_entries 100, not 200", message, 1, true)
    assert.matches("has type hash, not lru_hash", select(2, start { type = "lru_hash" }), 1, true)
    local other <close> = traffic.cgroup(helper.name())
    assert.matches("another cgroup than " .. other.path, select(2, start { cgroup = other.path }),
      1, true)
    assert.equal(0, #first:list())
  end)

  it("is made anew where a start was killed between its pins", function()
    assert(start()):close()
    os.remove(pin .. "_ingress")
    local again <close> = assert(start())
    assert.equal(0, #again:list())
    assert.is_true(assert(conntrack.open(pin)).map == again.map)
  end)

  it("leaves a pin of something else alone", function()
    local map <close> = helper.map { pin = pin }
    local none, _, errno = start()
    assert.is_nil(none)
    assert.equal(bpf.errno.EEXIST, errno)
    assert.is_true(assert(bpf.open(pin)) == map)
    map:unpin()
  end)
end)

-- Heavy: the table alone takes 250 MB.
describe("a table of more than a million connections #slow", function()
  local HIGH <const>, LOW <const> = 17, 65536

  -- The keys of 10.HIGH.x.y:80 > 11.0.0.1:80 for all x and y.
  local function keys_of(high, ends)
    local separator = ("\0"):rep(10) .. "\xff\xff\10" .. string.char(high)
    return separator .. table.concat(ends, separator)
  end

  it("is read, and goes on counting", function()
    local packets = require "spec.support.packets"
    local cgroup <close> = traffic.cgroup(helper.name())
    local tracker <close> = assert(conntrack.start { cgroup = cgroup.path, max_entries = 1200000 })
    local value, ends = string.pack("<i8i8i8i8i8i8i4i4", 1, 1, 1, 100, 1, 50, 3, 0), {}
    local tail = "\0\80" .. ("\0"):rep(10) .. "\xff\xff\11\0\0\1\0\80\6\0\0\0"
    for low = 1, LOW do ends[low] = (">I2"):pack(low - 1) .. tail end
    for high = 0, HIGH - 1 do
      assert.equal(LOW, tracker.map:update_batch(keys_of(high, ends), value:rep(LOW)))
    end
    local connections = 0
    for batch in tracker.map:batches() do
      local _, values = batch:packed()
      assert(values == value:rep(#batch))
      connections = connections + #batch
    end
    assert.equal(HIGH * LOW, connections)
    for i, src in ipairs { "10.0.0.5", "10.16.255.255", "10.17.0.0" } do
      assert(tracker.object.programs.egress:run { data = packets.frame(packets.ipv4({ src = src,
        dst = "11.0.0.1" }, packets.tcp { src_port = 80 })) })
      assert.equal(i < 3 and 2 or 1, tracker:find(src .. ":80", "11.0.0.1:80")[1].packets)
    end
    assert.equal(1, tracker:counters().inserted)
  end)
end)
