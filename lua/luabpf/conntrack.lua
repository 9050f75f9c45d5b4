-- SPDX-License-Identifier: MIT
--
-- The connection tracker: starts it on a cgroup, lists, finds, sums up and
-- cleans its connections. Written on the public interface only, as a user's
-- script would be.
--
-- The table is the map "conns" of bpf/conntrack.bpf.c. Its key has the two
-- endpoints of a connection in sorted order (a, b) and the protocol; the value
-- says which of them began. Here a connection is a table that has them the way
-- people read them:
--
--   protocol            "tcp" "udp" "icmp" "icmpv6", or the number of another
--   src_addr src_port   the initiator
--   dst_addr dst_port   the responder (ICMP: both ports are the echo identifier)
--   state               "new" "syn_sent" "syn_received" "established" "fin_wait"
--                       "close_wait" "closing" "closed" "reset"
--   packets bytes       sent by the initiator, from the IP header on
--   reply_packets reply_bytes
--   first_seen last_seen    ns, the clock of bpf.now()
--
-- Integers are 64-bit patterns, as everywhere in luabpf.

local bpf = require "luabpf"

local conntrack = {}

-- Where this file lies, as `require` says; the BPF object is found from there.
local _, here = ...

local tracker = {}

-- ---- endpoints ----------------------------------------------------------------

local function ipv4_bytes(text)
  local parts = { text:match("^(%d+)%.(%d+)%.(%d+)%.(%d+)$") }
  for i, part in ipairs(parts) do
    parts[i] = tonumber(part)
    if parts[i] > 255 then return nil end
  end
  return parts[1] and string.char(table.unpack(parts))
end

-- The 16-bit groups of one side of a "::", packed; nil if one is wrong.
local function ipv6_groups(text)
  local packed = {}
  for group in text:gmatch("[^:]+") do
    local v4 = ipv4_bytes(group)
    if not v4 and not group:match("^%x%x?%x?%x?$") then return nil end
    packed[#packed + 1] = v4 or string.pack(">I2", tonumber(group, 16))
  end
  return table.concat(packed)
end

local function ipv6_bytes(text)
  local left, right = text:match("^(.-)::(.*)$")
  if (right or text):find("::", 1, true) or text:find("^:[^:]") or text:find("[^:]:$") then
    return nil
  end
  local head, tail = ipv6_groups(left or text), ipv6_groups(right or "")
  local gap = head and tail and 16 - #head - #tail
  if not gap or (left and gap < 2) or (not left and gap ~= 0) then return nil end
  return head .. ("\0"):rep(gap) .. tail
end

-- The 16 bytes that the key has for an address; nil if it is none.
local function address_bytes(text)
  local v4 = ipv4_bytes(text)
  return v4 and ("\0"):rep(10) .. "\xff\xff" .. v4 or ipv6_bytes(text)
end

-- "10.0.0.1:80", "[::1]:80", "10.0.0.1", "::1", ":80" to address and port, nil where left out.
local function parse_endpoint(text, what)
  if type(text) ~= "string" then
    error(("%s: an endpoint such as \"10.0.0.1:80\" expected, got %s"):format(what, type(text)), 3)
  end
  local addr, port = text:match("^%[(.*)%]:(%d+)$")
  if not addr then addr, port = text:match("^([^:]*):(%d+)$") end
  addr, port = addr or text:match("^%[(.*)%]$") or text, tonumber(port)
  if addr == "" then addr = nil end
  if (addr and not address_bytes(addr)) or (port and port > 65535) or not (addr or port) then
    error(("%s: %q is not an endpoint; write \"10.0.0.1:80\", \"[::1]:80\", an address or \":80\"")
      :format(what, text), 3)
  end
  return addr, port
end

local function endpoint_text(addr, port)
  return (addr:find(":", 1, true) and "[%s]:%d" or "%s:%d"):format(addr, port)
end

-- ---- connections --------------------------------------------------------------

local connection_meta = {}

function connection_meta:__tostring()
  return ("%s %s > %s %s, %d + %d packets, %d + %d bytes"):format(self.protocol,
    endpoint_text(self.src_addr, self.src_port), endpoint_text(self.dst_addr, self.dst_port),
    self.state, self.packets, self.reply_packets, self.bytes, self.reply_bytes)
end

-- From an entry: tables or views.
local function to_connection(key, value)
  local src, dst = key.a, key.b
  if value.initiator == "b" then src, dst = dst, src end
  return setmetatable({
    protocol = key.protocol,
    src_addr = src.addr, src_port = src.port,
    dst_addr = dst.addr, dst_port = dst.port,
    state = value.state,
    packets = value.packets, bytes = value.bytes,
    reply_packets = value.reply_packets, reply_bytes = value.reply_bytes,
    first_seen = value.first_seen, last_seen = value.last_seen,
  }, connection_meta)
end

-- The key of a connection, and which endpoint of it is the initiator.
local function to_key(conn, what)
  local src, dst = address_bytes(conn.src_addr or ""), address_bytes(conn.dst_addr or "")
  if not (src and dst) then
    error(("%s: src_addr and dst_addr must be IP addresses"):format(what), 3)
  end
  local from = { addr = conn.src_addr, port = conn.src_port or 0 }
  local to = { addr = conn.dst_addr, port = conn.dst_port or 0 }
  if src > dst or (src == dst and from.port > to.port) then
    return { a = to, b = from, protocol = conn.protocol or "tcp" }, "b"
  end
  return { a = from, b = to, protocol = conn.protocol or "tcp" }, "a"
end

-- ---- results that print as tables ----------------------------------------------

local function seconds(ns)
  return ns < 0 and "0.0 s" or ("%.1f s"):format(ns / 1e9)
end

local connections_meta = {}

function connections_meta:__tostring()
  local now, rows = bpf.now(), {}
  for i, c in ipairs(self) do
    rows[i] = { c.protocol, endpoint_text(c.src_addr, c.src_port),
      endpoint_text(c.dst_addr, c.dst_port), c.state, c.packets, c.bytes, c.reply_packets,
      c.reply_bytes, seconds(now - c.first_seen), seconds(now - c.last_seen) }
  end
  return format_table({ "protocol", "from", "to", "state", "packets", "bytes", "reply packets",
    "reply bytes", "age", "idle" }, rows)
end

local stats_meta = {}

local function groups_text(title, groups)
  local rows = {}
  for name, group in pairs(groups) do
    rows[#rows + 1] = { name, group.connections, group.packets, group.bytes }
  end
  table.sort(rows, function(x, y) return tostring(x[1]) < tostring(y[1]) end)
  return format_table({ title, "connections", "packets", "bytes" }, rows)
end

function stats_meta:__tostring()
  local ports = {}
  for i, p in ipairs(self.ports) do
    ports[i] = { ("%s/%d"):format(p.protocol, p.port), p.connections, p.packets, p.bytes }
  end
  return table.concat({
    ("%u connections, %u packets, %u bytes; %.1f packets and %.1f bytes per connection"):format(
      self.connections, self.packets, self.bytes, self.packets_per_connection,
      self.bytes_per_connection),
    groups_text("protocol", self.protocols),
    groups_text("state", self.states),
    format_table({ "port", "connections", "packets", "bytes" }, ports),
    "top talkers", tostring(self.top),
    self.oldest and "oldest: " .. tostring(self.oldest),
  }, "\n\n")
end

-- ---- ranking -------------------------------------------------------------------

-- Puts item into list, the best n so far, sorted by before(x, y).
local function keep_best(list, item, n, before)
  if #list == n and (n == 0 or not before(item, list[n])) then return end
  local i = #list < n and #list + 1 or n
  while i > 1 and before(item, list[i - 1]) do
    list[i] = list[i - 1]
    i = i - 1
  end
  list[i] = item
end

local function total_bytes(item)
  return item.bytes + (item.reply_bytes or 0)
end

-- Unsigned, the largest first; equal ones by name.
local function by_measure(measure)
  return function(x, y)
    local m, n = measure(x), measure(y)
    if m ~= n then return math.ult(n, m) end
    return tostring(x) < tostring(y)
  end
end

-- ---- starting and stopping -----------------------------------------------------

-- What a pinned tracker leaves in bpffs beside the table itself. No dots: bpffs takes none.
local PINS = { map = "", counters_map = "_counters", ingress = "_ingress", egress = "_egress" }

-- The BPF object: installed beside the Lua files, or in the checkout that this file is in.
local function find_object()
  local installed = package.searchpath("luabpf.bpf.conntrack",
    (package.path:gsub("%.lua", ".bpf.o")))
  if installed then return installed end
  local checkout = here:gsub("[^/]*$", "") .. "../../bpf/conntrack.bpf.o"
  local file = io.open(checkout, "rb")
  if file then
    file:close()
    return checkout
  end
  return nil, "conntrack: conntrack.bpf.o: No such file or directory (it is left out when luabpf "
    .. "is built or installed without clang: install clang and do that again)", bpf.errno.ENOENT
end

--- Where the unified cgroup hierarchy (cgroup2) is mounted.
-- @treturn string|nil the path of its root; nil, message, errno if it is not mounted
function conntrack.cgroup_root()
  for line in io.lines("/proc/mounts") do
    local path, kind = line:match("^%S+ (%S+) (%S+)")
    if kind == "cgroup2" then
      return (path:gsub("\\(%d%d%d)", function(octal) return string.char(tonumber(octal, 8)) end))
    end
  end
  return nil, "conntrack: cgroup2 is not mounted (mount -t cgroup2 none DIRECTORY)",
    bpf.errno.ENOENT
end

local function close_handles(self)
  for _, name in ipairs { "ingress", "egress", "map", "counters_map", "object" } do
    if self[name] then self[name]:close() end
  end
end

-- Each link or pin that was made is in self, so that stop can undo it.
local function attach(self, cgroup)
  for _, name in ipairs { "egress", "ingress" } do
    local link, message, errno = self.object.programs[name]:attach { cgroup = cgroup }
    if not link then return nil, message, errno end
    self[name] = link
  end
  return true
end

local function pin(self, path)
  for name, suffix in pairs(PINS) do
    local ok, message, errno = self[name]:pin(path .. suffix)
    if not ok then return nil, message, errno end
    self.pins[#self.pins + 1] = path .. suffix
  end
  return true
end

--- Starts the tracker on a cgroup.
-- @tparam[opt] table options
--   cgroup: its directory; default the root of the hierarchy: the whole machine.
--   max_entries: how many connections the table has room for; default 65,536.
--   type: "hash" (default): a full table takes no new connections; "lru_hash": it gives up those
--   that have been idle longest.
--   pin: a path in bpffs. The tracker then goes on after this process, until stop.
--   object: the path of conntrack.bpf.o; default the one that came with luabpf.
-- @treturn tracker a handle, with <close>; nil, message, errno when the system refuses
-- Linux 5.15. Needs CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON, or root.
function conntrack.start(options)
  options = check_options("start", options, START_OPTIONS)
  local object_path, message, errno = options.object, nil, nil
  if not object_path then object_path, message, errno = find_object() end
  if not object_path then return nil, message, errno end
  local cgroup = options.cgroup
  if not cgroup then cgroup, message, errno = conntrack.cgroup_root() end
  if not cgroup then return nil, message, errno end
  local object
  object, message, errno = bpf.load(object_path, {
    maps = { conns = { type = options.type or "hash", max_entries = options.max_entries or 65536 } },
  })
  if not object then return nil, message, errno end
  local self = setmetatable({ object = object, map = object.maps.conns, pins = {},
    counters_map = object.maps.counters }, tracker)
  local ok
  ok, message, errno = attach(self, cgroup)
  if ok and options.pin then ok, message, errno = pin(self, options.pin) end
  if ok then return self end
  self:stop()
  return nil, message, errno
end

--- Opens a tracker that was started with a pin, in this process or another.
-- @tparam string path the pin
-- @treturn tracker a handle; nil, message, errno
function conntrack.open(path)
  local self = setmetatable({ pins = {} }, tracker)
  for _, name in ipairs { "map", "counters_map" } do
    local map, message, errno = bpf.open(path .. PINS[name])
    if not map then
      close_handles(self)
      return nil, message, errno
    end
    self[name] = map
  end
  for _, suffix in pairs(PINS) do self.pins[#self.pins + 1] = path .. suffix end
  return self
end

--- Closes the handle. A pinned tracker goes on; another one ends with its handle.
function tracker:close()
  close_handles(self)
  return true
end

--- Ends tracking: detaches the programs, removes the pins, closes the handle.
-- A tracker that another process started and still holds open goes on in it, without pins.
function tracker:stop()
  for _, path in ipairs(self.pins) do os.remove(path) end
  self.pins = {}
  return self:close()
end

tracker.__index = tracker
tracker.__name = "luabpf.conntrack"
tracker.__close = close_handles
tracker.__gc = close_handles

function tracker:__tostring()
  return ("luabpf.conntrack (%s)"):format(tostring(self.map))
end

-- ---- reading -------------------------------------------------------------------

-- Calls visit(key, value) with views of every entry. nil, message, errno when the system refuses.
local function scan(map, visit)
  local ok, err = pcall(function()
    for batch in map:batches() do
      for key, value in batch:views() do visit(key, value) end
    end
  end)
  if ok then return true end
  if type(err) == "table" and err.errno then return nil, err.message, err.errno end
  error(err, 0)
end

-- A function that tells whether an endpoint is the one that text names. An
-- address may be written in several ways: what each means is looked at once.
local function end_matcher(text, what)
  local addr, port = parse_endpoint(text, what)
  local wanted = addr and address_bytes(addr)
  local same = setmetatable({}, { __index = function(known, other)
    known[other] = address_bytes(other) == wanted
    return known[other]
  end })
  return function(endpoint)
    return (not port or endpoint.port == port) and (not wanted or same[endpoint.addr])
  end, addr and port and { addr = addr, port = port }
end

-- A function that tells whether an entry is one that list's options ask for.
local function matcher(options)
  local protocol, state, where = options.protocol, options.state, options.where
  local cutoff = options.idle and bpf.now() - duration(options.idle, "idle")
  local is_at = options.endpoint and end_matcher(options.endpoint, "endpoint")
  return function(key, value)
    return (not protocol or key.protocol == protocol) and (not state or value.state == state)
      and (not cutoff or value.last_seen - cutoff <= 0)
      and (not is_at or is_at(key.a) or is_at(key.b))
      and (not where or where(key, value))
  end
end

--- The connections, as a list that prints as a table.
-- @tparam[opt] table options
--   protocol, state: names as in the connections.
--   endpoint: one end of it, whichever: "10.0.0.1:80", "[::1]:80", an address, or ":80".
--   idle: nothing was sent for at least that long; ns or text ("30s").
--   where: a function of key and value (views of the entry).
--   sort: the field to sort by, the largest first; default the bytes of both directions.
--   limit: how many at most.
-- @treturn table connections; nil, message, errno
function tracker:list(options)
  options = check_options("list", options, LIST_OPTIONS)
  local matches, found = matcher(options), {}
  local before = by_measure(options.sort and function(c) return c[options.sort] end or total_bytes)
  local ok, message, errno = scan(self.map, function(key, value)
    if not matches(key, value) then return end
    local conn = to_connection(key, value)
    if options.limit then
      keep_best(found, conn, options.limit, before)
    else
      found[#found + 1] = conn
    end
  end)
  if not ok then return nil, message, errno end
  if not options.limit then table.sort(found, before) end
  return setmetatable(found, connections_meta)
end

-- ---- finding and batches -------------------------------------------------------

local PROTOCOLS = { "tcp", "udp", "icmp", "icmpv6" }

--- The connections of an endpoint, or between two.
-- Two whole endpoints ("10.0.0.1:80") are looked up; an address, a port or one endpoint is
-- searched for in the whole table.
-- @tparam string a an endpoint as in list
-- @tparam[opt] string b the other one, in whichever order
-- @treturn table connections, empty if there are none; nil, message, errno
function tracker:find(a, b)
  local is_a, end_a = end_matcher(a, "find")
  if not b then return self:list { endpoint = a } end
  local is_b, end_b = end_matcher(b, "find")
  if not (end_a and end_b) then
    return self:list { where = function(key)
      return is_a(key.a) and is_b(key.b) or is_a(key.b) and is_b(key.a)
    end }
  end
  local wanted, found = {}, setmetatable({}, connections_meta)
  for i, protocol in ipairs(PROTOCOLS) do
    wanted[i] = { protocol = protocol, src_addr = end_a.addr, src_port = end_a.port,
      dst_addr = end_b.addr, dst_port = end_b.port }
  end
  local connections, message, errno = self:query(wanted)
  if not connections then return nil, message, errno end
  for i = 1, #PROTOCOLS do found[#found + 1] = connections[i] end
  return found
end

local function keys_of(list, what)
  local keys = {}
  for i, conn in ipairs(list) do keys[i] = to_key(conn, ("%s: connections[%d]"):format(what, i)) end
  return keys
end

--- Looks up many connections at once.
-- @tparam table list connections; their protocol, addresses and ports count, in either direction
-- @treturn table those found, at the same places, and how many; nil, message, errno
function tracker:query(list)
  local keys = keys_of(list, "query")
  local values, found, errno = self.map:lookup_batch(keys)
  if not values then return nil, found, errno end
  local connections = setmetatable({}, connections_meta)
  for i, key in ipairs(keys) do
    connections[i] = values[i] and to_connection(key, values[i])
  end
  return connections, found
end

--- Puts many connections into the table, replacing those of the same endpoints.
-- Times left out are now, counts 0, the protocol tcp, the state new.
-- @tparam table list connections
-- @treturn integer how many were stored; nil, message, errno, and how many were until then
function tracker:insert(list)
  local now, keys, values = bpf.now(), {}, {}
  for i, conn in ipairs(list) do
    local key, initiator = to_key(conn, ("insert: connections[%d]"):format(i))
    keys[i] = key
    values[i] = {
      first_seen = conn.first_seen or now, last_seen = conn.last_seen or now,
      packets = conn.packets, bytes = conn.bytes,
      reply_packets = conn.reply_packets, reply_bytes = conn.reply_bytes,
      state = conn.state or "new", initiator = initiator,
    }
  end
  return self.map:update_batch(keys, values)
end

--- Takes many connections out of the table.
-- @tparam table list connections
-- @treturn integer how many were deleted, and how many were not there; nil, message, errno
function tracker:remove(list)
  return self.map:delete_batch(keys_of(list, "remove"))
end

-- ---- statistics ----------------------------------------------------------------

local function add_to(groups, name, packets, bytes)
  local group = groups[name]
  if not group then
    group = { connections = 0, packets = 0, bytes = 0 }
    groups[name] = group
  end
  group.connections = group.connections + 1
  group.packets = group.packets + packets
  group.bytes = group.bytes + bytes
  return group
end

-- Per port of the responder; ICMP has none.
local function add_to_port(ports, key, value, packets, bytes)
  local protocol = key.protocol
  if protocol ~= "tcp" and protocol ~= "udp" then return end
  local port = (value.initiator == "a" and key.b or key.a).port
  local group = add_to(ports, protocol .. port, packets, bytes)
  group.protocol, group.port = protocol, port
end

local function best_ports(ports, n)
  local best = {}
  local before = by_measure(total_bytes)
  for _, port in pairs(ports) do
    keep_best(best, port, n, function(x, y)
      if x.bytes ~= y.bytes then return before(x, y) end
      return x.protocol .. x.port < y.protocol .. y.port
    end)
  end
  return best
end

-- An unsigned 64-bit integer as a float.
local function unsigned(n)
  return n < 0 and n + 2.0 ^ 64 or n + 0.0
end

local function average(total, n)
  return n == 0 and 0.0 or unsigned(total) / n
end

--- Sums up the table in one pass.
-- @tparam[opt] table options  top: how many ports and connections to rank; default 10.
-- @treturn table, which prints as tables:
--   connections; packets, bytes: of both directions; reply_packets, reply_bytes: of them, the
--   responders'; packets_per_connection, bytes_per_connection: averages, as floats;
--   protocols, states: name to { connections, packets, bytes };
--   ports: list of { protocol, port, connections, packets, bytes }, by bytes: the responders' ports;
--   top: the connections with the most bytes; oldest: the one first seen longest ago, or nil.
--   nil, message, errno when the system refuses.
function tracker:stats(options)
  options = check_options("stats", options, STATS_OPTIONS)
  local n = options.top or 10
  local before = by_measure(total_bytes)
  local ports, oldest = {}, nil
  local stats = setmetatable({ connections = 0, packets = 0, bytes = 0, reply_packets = 0,
    reply_bytes = 0, protocols = {}, states = {}, top = setmetatable({}, connections_meta) },
    stats_meta)
  local ok, message, errno = scan(self.map, function(key, value)
    local reply_packets, reply_bytes = value.reply_packets, value.reply_bytes
    local packets, bytes = value.packets + reply_packets, value.bytes + reply_bytes
    stats.connections = stats.connections + 1
    stats.packets, stats.bytes = stats.packets + packets, stats.bytes + bytes
    stats.reply_packets = stats.reply_packets + reply_packets
    stats.reply_bytes = stats.reply_bytes + reply_bytes
    add_to(stats.protocols, key.protocol, packets, bytes)
    add_to(stats.states, value.state, packets, bytes)
    add_to_port(ports, key, value, packets, bytes)
    local last = stats.top[n]
    if n > 0 and not (last and math.ult(bytes, total_bytes(last))) then
      keep_best(stats.top, to_connection(key, value), n, before)
    end
    if not oldest or value.first_seen < oldest then
      oldest = value.first_seen
      stats.oldest = to_connection(key, value)
    end
  end)
  if not ok then return nil, message, errno end
  stats.packets_per_connection = average(stats.packets, stats.connections)
  stats.bytes_per_connection = average(stats.bytes, stats.connections)
  stats.ports = best_ports(ports, n)
  return stats
end

--- What the programs counted, summed over the CPUs: seen, counted, inserted, reopened, repeated
-- (on loopback: the second look at a packet), full, refused, and what was skipped, by reason.
-- seen = counted + repeated + full + refused + the sum of skipped_*.
-- @treturn table name to number; nil, message, errno
function tracker:counters()
  local per_cpu, message, errno = self.counters_map:lookup(0)
  if not per_cpu then return nil, message, errno end
  local sums = {}
  for _, counters in ipairs(per_cpu) do
    for name, n in pairs(counters) do sums[name] = (sums[name] or 0) + n end
  end
  return sums
end

-- ---- cleaning ------------------------------------------------------------------

local function durations(given, what)
  local ns = {}
  for name, value in pairs(given or {}) do ns[name] = duration(value, what .. "." .. name) end
  return ns
end

--- Deletes idle connections.
-- Whether one is idle is judged on its live entry: one that a packet reaches in the meantime stays
-- (see delete_where of maps).
-- @tparam table options
--   idle: how long nothing was sent; ns or text ("30s").
--   per_protocol: the same for single protocols, { udp = "10s" }; icmp also stands for icmpv6.
--   per_state: the same for single states, { closed = "5s" }; comes before the protocol.
--   A connection for which none of them says a time is kept.
--   dry_run: only count. limit: delete at most so many.
--   on_delete: function(connection), called for each one deleted.
-- @treturn table the report of delete_where; nil, message, errno, report so far
function tracker:cleanup(options)
  options = check_options("cleanup", options, CLEANUP_OPTIONS)
  local idle = options.idle and duration(options.idle, "idle")
  local by_protocol = durations(options.per_protocol, "per_protocol")
  local by_state = durations(options.per_state, "per_state")
  by_protocol.icmpv6 = by_protocol.icmpv6 or by_protocol.icmp
  if not (idle or next(by_protocol) or next(by_state)) then
    error("cleanup: idle, per_protocol or per_state must say after how long", 2)
  end
  local now, on_delete = bpf.now(), options.on_delete
  return self.map:delete_where(function(key, value)
    local limit = by_state[value.state] or by_protocol[key.protocol] or idle
    return limit and now - value.last_seen > limit
  end, {
    dry_run = options.dry_run, limit = options.limit,
    on_delete = on_delete and function(key, value) on_delete(to_connection(key, value)) end,
  })
end

return conntrack
