-- SPDX-License-Identifier: MIT
--
-- What the tracker's programs make of single packets: crafted ones, handed to
-- the loaded programs by BPF_PROG_TEST_RUN. The kernel says that they come from
-- lo. The cgroup that the tracker is on has no process, so that it sees nothing
-- else. Real traffic is in conntrack_spec.lua.

package.path = "examples/?.lua;" .. package.path

local conntrack = require "luabpf.conntrack"
local helper = require "spec.support.helper"
local packets = require "spec.support.packets"
local traffic = require "traffic"

local tcp, udp, icmp = packets.tcp, packets.udp, packets.icmp
local ipv4, ipv6, frame = packets.ipv4, packets.ipv6, packets.frame

-- Offsets in struct __sk_buff (linux/bpf.h).
local SK_BUFF_SIZE <const>, GSO_SEGS <const>, GSO_SIZE <const> = 192, 164, 176

local IP4 <const>, IP6 <const> = 20, 40

describe("a packet", function()
  local cgroup, tracker, egress, ingress

  local function use(other)
    tracker = other
    egress, ingress = tracker.object.programs.egress, tracker.object.programs.ingress
  end

  -- The tracker of the next tests: loading one takes a while, so most share it.
  local function start(given)
    given = given or {}
    given.cgroup = cgroup.path
    use(assert(conntrack.start(given)))
  end

  -- Lets a test have a tracker of its own.
  local function with(given)
    local shared = tracker
    start(given)
    finally(function()
      tracker:stop()
      use(shared)
    end)
  end

  setup(function()
    cgroup = traffic.cgroup(helper.name())
    start()
  end)

  teardown(function()
    tracker:stop()
    cgroup:close()
  end)

  before_each(function()
    for _, map in pairs(tracker.object.maps) do map:clear() end
  end)

  -- Every packet is accounted for, whatever it was.
  after_each(function()
    local sum = 0
    for name, n in pairs(tracker:counters()) do
      if name ~= "seen" and name ~= "inserted" and name ~= "reopened" then sum = sum + n end
    end
    assert.equal(tracker:counters().seen, sum)
  end)

  -- Every packet passes.
  local function send(packet, ethertype, ctx)
    assert.equal(1, assert(egress:run { data = frame(packet, ethertype), ctx = ctx }).retval)
  end

  local function receive(packet, ethertype)
    assert.equal(1, assert(ingress:run { data = frame(packet, ethertype) }).retval)
  end

  -- The only connection.
  local function only()
    local list = tracker:list()
    assert.equal(1, #list)
    return list[1]
  end

  -- That the packets so far were skipped for that reason, n in all.
  local function skipped(reason, n)
    local counters = tracker:counters()
    assert.equal(n or 1, counters["skipped_" .. reason])
    assert.equal(0, counters.counted)
    assert.equal(0, #tracker:list())
  end

  describe("that is well-formed", function()
    it("of TCP over IPv4 makes a connection", function()
      send(ipv4({}, tcp { flags = "syn" }))
      local c = only()
      assert.same({ "tcp", "10.0.0.2", 40000, "10.0.0.1", 80, "syn_sent", 1, IP4 + 20, 0, 0 },
        { c.protocol, c.src_addr, c.src_port, c.dst_addr, c.dst_port, c.state, c.packets, c.bytes,
          c.reply_packets, c.reply_bytes })
      assert.is_true(c.first_seen > 0 and c.first_seen == c.last_seen)
    end)

    it("of UDP over IPv6 makes a connection", function()
      send(ipv6({}, udp { payload = ("x"):rep(100) }))
      local c = only()
      assert.same({ "udp", "2001:db8::2", 40000, "2001:db8::1", 53, "new", 1, IP6 + 108 },
        { c.protocol, c.src_addr, c.src_port, c.dst_addr, c.dst_port, c.state, c.packets, c.bytes })
    end)

    it("of ICMP echo makes a connection under its identifier", function()
      send(ipv4({}, icmp { id = 77, payload = ("x"):rep(56) }))
      local c = only()
      assert.same({ "icmp", 77, 77, IP4 + 64 }, { c.protocol, c.src_port, c.dst_port, c.bytes })
    end)

    it("of ICMPv6 echo too", function()
      send(ipv6({}, icmp { type = 128, id = 78 }, "icmpv6"))
      assert.same({ "icmpv6", 78 }, { only().protocol, only().src_port })
    end)

    it("that answers goes into the same entry", function()
      for _, ip in ipairs { ipv4, ipv6 } do
        local a, b = "10.0.0.2", "10.0.0.1"
        if ip == ipv6 then a, b = "2001:db8::2", "2001:db8::1" end
        send(ip({ src = a, dst = b }, udp { payload = "1" }))
        send(ip({ src = b, dst = a }, udp { src_port = 53, dst_port = 40000, payload = "22" }))
      end
      local list = tracker:list()
      assert.equal(2, #list)
      for _, c in ipairs(list) do
        assert.same({ 1, 1, 1, "established" },
          { c.packets, c.reply_packets, c.reply_bytes - c.bytes, c.state })
      end
    end)

    it("is counted without the padding of its frame", function()
      send(ipv4({ total = IP4 + 8 }, udp { payload = ("\0"):rep(20) }))
      assert.equal(IP4 + 8, only().bytes)
    end)

    it("is read behind options of IPv4", function()
      for words = 1, 10 do
        send(ipv4({ options = ("\1"):rep(words * 4) }, udp { src_port = 1000 + words }))
      end
      local list = tracker:list { sort = "src_port asc" }
      assert.equal(10, #list)
      for words, c in ipairs(list) do
        assert.same({ 1000 + words, 53, IP4 + words * 4 + 8 }, { c.src_port, c.dst_port, c.bytes })
      end
    end)

    it("that is cut into segments later counts as that many, each with its headers", function()
      local ctx = ("\0"):rep(GSO_SEGS) .. ("<I4"):pack(3) .. ("\0"):rep(GSO_SIZE - GSO_SEGS - 4)
        .. ("<I4"):pack(100)
      ctx = ctx .. ("\0"):rep(SK_BUFF_SIZE - #ctx)
      local packet, ethertype = ipv4({}, tcp { payload = ("x"):rep(250) })
      send(packet, ethertype, ctx)
      assert.same({ 3, 250 + 3 * (IP4 + 20) }, { only().packets, only().bytes })
    end)
  end)

  describe("with IPv6 extension headers", function()
    local hop_by_hop, routing, options = { 0, "\0" .. ("\0"):rep(6) },
      { 43, "\1" .. ("\0"):rep(14) }, { 60, "\0" .. ("\0"):rep(6) }
    local authentication = { 51, "\4" .. ("\0"):rep(22) }

    local function fragment(bits)
      return { 44, "\0" .. (">I2I4"):pack(bits, 1) }
    end

    it("is read behind them", function()
      send(ipv6({ extensions = { hop_by_hop, options, routing, authentication, options } },
        udp { src_port = 1234 }))
      assert.same({ "udp", 1234, 53, IP6 + 8 + 8 + 16 + 24 + 8 + 8 },
        { only().protocol, only().src_port, only().dst_port, only().bytes })
    end)

    it("is read behind eight, and not behind nine", function()
      local chain = {}
      for i = 1, 9 do
        chain[i] = options
        send(ipv6({ extensions = chain }, udp { src_port = 1000 + i }))
      end
      assert.equal(8, #tracker:list())
      assert.equal(1, tracker:counters().skipped_extension)
    end)

    it("is skipped as truncated when they reach past its end", function()
      send(ipv6({ extensions = { { 60, "\255" .. ("\0"):rep(6) } } }, udp {}))
      skipped "truncated"
    end)

    it("is skipped when nothing or something unknown comes after them", function()
      send(ipv6({ extensions = { options } }, "", 59))
      send(ipv6({ extensions = { options } }, ("\0"):rep(20), 132))
      skipped("protocol", 2)
    end)

    it("is a packet if it is a whole one in one fragment", function()
      send(ipv6({ extensions = { fragment(0) } }, udp {}))
      assert.same({ "udp", IP6 + 8 + 8 }, { only().protocol, only().bytes })
    end)

    it("is skipped as a fragment if it is one", function()
      send(ipv6({ extensions = { fragment(1) } }, udp {}))
      send(ipv6({ extensions = { fragment(8) } }, udp {}))
      send(ipv6({ extensions = { hop_by_hop, fragment(9) } }, udp {}))
      skipped("fragment", 3)
    end)
  end)

  describe("that is a fragment of IPv4", function()
    it("is skipped, the first one too", function()
      send(ipv4({ fragment = 0x2000 }, udp { payload = "x" }))
      send(ipv4({ fragment = 0x2001 }, udp { payload = "x" }))
      send(ipv4({ fragment = 1 }, udp { payload = "x" }))
      skipped("fragment", 3)
    end)

    it("is none for the bit that forbids fragments", function()
      send(ipv4({ fragment = 0x4000 }, udp {}))
      assert.equal(1, only().packets)
    end)
  end)

  describe("that is truncated", function()
    local all = {
      { "TCP over IPv4", ipv4, tcp, IP4, 20 }, { "TCP over IPv6", ipv6, tcp, IP6, 20 },
      { "UDP over IPv4", ipv4, udp, IP4, 8 }, { "UDP over IPv6", ipv6, udp, IP6, 8 },
      { "ICMP over IPv4", ipv4, icmp, IP4, 8 },
    }
    for _, each in ipairs(all) do
      local name, ip, transport, ip_size, header = table.unpack(each)

      it("is skipped wherever it ends: " .. name, function()
        local packet, ethertype = ip({}, transport {})
        for size = ip_size, ip_size + header - 1 do send(packet:sub(1, size), ethertype) end
        skipped("truncated", header)
      end)

      it("is skipped wherever it says that it ends: " .. name, function()
        local inner, protocol = transport {}
        for size = 0, header - 1 do
          send(ip({ total = IP4 + size, length = size }, inner, protocol))
        end
        skipped("truncated", header)
      end)
    end

    it("is skipped for a header size that is too small or past its end", function()
      send(ipv4({ ihl = 4 }, udp {}))
      send(ipv4({ ihl = 15 }, udp {}))
      send(ipv4({ total = 19 }, udp {}))
      send(ipv4({}, tcp { doff = 4 }))
      send(ipv4({}, tcp { doff = 6 }))
      send(ipv6({}, tcp { doff = 15 }))
      skipped("truncated", 6)
    end)

    it("is skipped for a length of 0, which only packets to be segmented have", function()
      send(ipv4({ total = 0 }, udp {}))
      send(ipv6({ length = 0 }, udp {}))
      skipped("truncated", 2)
    end)
  end)

  describe("of another kind", function()
    it("is skipped: not IP, or not of the version that the frame says", function()
      send(("\0"):rep(28), 0x0806)
      send(ipv4({ version = 6 }, udp {}))
      send(ipv6({ version = 4 }, udp {}))
      skipped("not_ip", 3)
    end)

    it("is skipped: not TCP, UDP or ICMP, or the ICMP of the other IP", function()
      send(ipv4({}, ("\0"):rep(20), 47))
      send(ipv4({}, icmp { type = 128 }, "icmpv6"))
      send(ipv6({}, icmp {}, "icmp"))
      skipped("protocol", 3)
    end)

    it("is skipped: ICMP without an identifier", function()
      send(ipv4({}, icmp { type = 3 }))
      send(ipv4({}, icmp { type = 11 }))
      send(ipv6({}, icmp { type = 1 }, "icmpv6"))
      send(ipv6({}, icmp { type = 135 }, "icmpv6"))
      skipped("icmp", 4)
    end)

    it("is accounted for, whatever is in it", function()
      math.randomseed(7)
      local whole = { { ipv4({ options = "\1\1\1\1" }, tcp { payload = "abc" }) },
        { ipv6({ extensions = { { 60, "\0" .. ("\0"):rep(6) }, { 44, ("\0"):rep(7) } } }, udp {}) },
        { ipv4({}, icmp {}) } }
      for i = 1, 3000 do
        local packet, ethertype = table.unpack(whole[i % #whole + 1])
        for _ = 1, math.random(3) do
          local at = math.random(#packet)
          packet = packet:sub(1, at - 1) .. string.char(math.random(0, 255)) .. packet:sub(at + 1)
        end
        send(packet, ethertype)
      end
      assert.equal(3000, tracker:counters().seen)
    end)
  end)

  describe("on lo", function()
    it("counts once where it is sent and received", function()
      send(ipv4({}, tcp { flags = "syn" }))
      receive(ipv4({}, tcp { flags = "syn" }))
      send(ipv6({}, udp { payload = "x" }))
      receive(ipv6({}, udp { payload = "x" }))
      local counters = tracker:counters()
      assert.same({ 4, 2, 2 }, { counters.seen, counters.counted, counters.repeated })
    end)

    it("counts where it is received, if nobody who is tracked sent it", function()
      receive(ipv4({}, udp { payload = "x" }))
      receive(ipv6({}, icmp { type = 129 }, "icmpv6"))
      local counters = tracker:counters()
      assert.same({ 2, 2, 0 }, { counters.seen, counters.counted, counters.repeated })
    end)
  end)

  describe("of TCP", function()
    -- From the client ("c") or the server ("s"): flags, and the state after it.
    local function follow(steps)
      local seq = 0
      for _, step in ipairs(steps) do
        local from, flags, state = step:match("^(%a) ([%a ]-) > ([%a_]+)$")
        seq = seq + 1
        local to_server = from == "c"
        send(ipv4({ src = to_server and "10.0.0.2" or "10.0.0.1",
          dst = to_server and "10.0.0.1" or "10.0.0.2" },
          tcp { src_port = to_server and 40000 or 80, dst_port = to_server and 80 or 40000,
            flags = flags, seq = seq }))
        local conn = only()
        assert.equal(state, conn.state, step)
        assert.same({ "10.0.0.2", 40000 }, { conn.src_addr, conn.src_port })
      end
    end

    it("opens and closes a connection", function()
      follow { "c syn > syn_sent", "s syn ack > syn_received", "c ack > established",
        "c psh ack > established", "s ack > established", "c fin ack > fin_wait",
        "s ack > fin_wait", "s fin ack > closing", "c ack > closed" }
      assert.same({ 5, 4 }, { only().packets, only().reply_packets })
    end)

    it("closes from the other end", function()
      follow { "c syn > syn_sent", "s syn ack > syn_received", "c ack > established",
        "s fin ack > close_wait", "c ack > close_wait", "c fin ack > closing", "s ack > closed" }
    end)

    it("resets, from either end", function()
      follow { "c syn > syn_sent", "s rst ack > reset" }
      follow { "c syn > syn_sent", "s syn ack > syn_received", "c ack > established",
        "c rst > reset" }
      assert.equal(1, tracker:counters().reopened)
    end)

    it("is established when the tracker comes in later", function()
      follow { "c ack > established", "s psh ack > established" }
    end)

    it("has the client as initiator when its answer is seen first", function()
      follow { "s syn ack > syn_received", "c ack > established" }
      assert.same({ 1, 1 }, { only().packets, only().reply_packets })
    end)

    it("begins anew after the end, between the same ports", function()
      follow { "c syn > syn_sent", "s rst > reset", "c syn > syn_sent" }
      assert.same({ 1, 0 }, { only().packets, only().reply_packets })
    end)
  end)

  describe("that a full table has no room for", function()
    it("is counted as such in a hash; the others go on", function()
      with { max_entries = 4 }
      for port = 1, 6 do send(ipv4({}, udp { src_port = port })) end
      send(ipv4({}, udp { src_port = 1, payload = "x" }))
      local counters = tracker:counters()
      assert.same({ 2, 4, 5 }, { counters.full, counters.inserted, counters.counted })
      assert.equal(4, #tracker:list())
      assert.equal(2, tracker:list { endpoint = ":1" }[1].packets)
    end)

    it("makes an LRU table give up the one idle longest", function()
      with { max_entries = 500, type = "lru_hash" }
      for port = 1, 1500 do send(ipv4({}, udp { src_port = port })) end
      local counters = tracker:counters()
      assert.same({ 0, 1500 }, { counters.full, counters.inserted })
      assert.is_true(#tracker:list() <= 500)
      assert.equal(1, #tracker:list { endpoint = ":1500" })
      assert.equal(0, #tracker:list { endpoint = ":1" })
    end)
  end)
end)
