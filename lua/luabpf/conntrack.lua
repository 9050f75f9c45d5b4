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
local connection = require "luabpf.connection"
local endpoint = require "luabpf.endpoint"
local options = require "luabpf.options"
local show = require "luabpf.show"

local conntrack = {}

-- Where this file lies, as `require` says; the BPF object is found from there.
local _, here = ...

local tracker = {}

local MAX_U32 <const> = 0xffffffff

-- ---- starting and stopping -----------------------------------------------------

local START_OPTIONS = { cgroup = "string", max_entries = "number", type = "string", pin = "string",
  object = "string" }

-- What a pinned tracker leaves in bpffs beside the table itself, in the order in which it is
-- pinned. No dots: bpffs takes none.
local PINS = { { "map", "" }, { "counters_map", "_counters" }, { "egress", "_egress" },
  { "ingress", "_ingress" } }

-- The BPF object: installed beside the Lua files, or in the checkout that this file is in.
local function find_object()
  local installed = package.searchpath("luabpf.bpf.conntrack",
    (package.path:gsub("%.lua", ".bpf.o")))
  if installed then return installed end
  local checkout = (here or ""):gsub("[^/]*$", "") .. "../../bpf/conntrack.bpf.o"
  local file <close> = io.open(checkout, "rb")
  if file then return checkout end
  return nil, "conntrack: conntrack.bpf.o: No such file or directory (it is left out when luabpf "
    .. "is built or installed without clang: install clang and do that again)", bpf.errno.ENOENT
end

--- Where the unified cgroup hierarchy (cgroup2) is mounted.
-- @treturn string|nil the path of its root; nil, message, errno if it is not mounted
function conntrack.cgroup_root()
  local mounts <close> = assert(io.open("/proc/mounts"))
  for line in mounts:lines() do
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
  local object = self.object or { maps = {}, programs = {} }
  for _, handle in pairs(object.maps) do handle:close() end
  for _, handle in pairs(object.programs) do handle:close() end
end

tracker.__index = tracker
tracker.__name = "luabpf.conntrack"
tracker.__close = close_handles

function tracker:__tostring()
  return ("luabpf.conntrack (%s)"):format(tostring(self.map))
end

-- Each link that was made is in self, so that stop can undo it.
local function attach(self, cgroup)
  for _, name in ipairs { "egress", "ingress" } do
    local link, message, errno = self.object.programs[name]:attach { cgroup = cgroup }
    if not link then return nil, message, errno end
    self[name] = link
  end
  return true
end

local function pin(self, path)
  for _, each in ipairs(PINS) do
    local name, suffix = table.unpack(each)
    local ok, message, errno = self[name]:pin(path .. suffix)
    if not ok then return nil, message, errno end
    self.pins[#self.pins + 1] = path .. suffix
  end
  return true
end

local function load_and_attach(given, object_path, cgroup)
  local object, message, errno = bpf.load(object_path, {
    maps = { conns = { type = given.type, max_entries = given.max_entries } },
  })
  if not object then return nil, message, errno end
  local self = setmetatable({ object = object, map = object.maps.conns, pins = {},
    counters_map = object.maps.counters }, tracker)
  local ok
  ok, message, errno = attach(self, cgroup)
  if ok and given.pin then ok, message, errno = pin(self, given.pin) end
  if ok then return self end
  self:stop()
  return nil, message, errno
end

--- Starts the tracker on a cgroup.
-- @tparam[opt] table given
--   cgroup: its directory; default the root of the hierarchy: the whole machine.
--   max_entries: how many connections the table has room for; default 65,536.
--   type: "hash" (default): a full table takes no new connections; "lru_hash": it gives up those
--   that have been idle longest.
--   pin: a path in bpffs. The tracker then goes on after this process, until stop.
--   object: the path of conntrack.bpf.o; default the one that came with luabpf.
-- @treturn tracker a handle, with <close>; its field map is the table, a luabpf.map.
--   nil, message, errno when the system refuses
-- Linux 5.15. Needs CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON, or root.
function conntrack.start(given)
  given = options.check("start", given, START_OPTIONS)
  options.choice("start", "type", given.type, { "hash", "lru_hash" })
  options.integer("start", "max_entries", given.max_entries, 1, MAX_U32)
  local object, cgroup, message, errno = given.object, given.cgroup, nil, nil
  if not object then object, message, errno = find_object() end
  if not object then return nil, message, errno end
  if not cgroup then cgroup, message, errno = conntrack.cgroup_root() end
  if not cgroup then return nil, message, errno end
  return load_and_attach(given, object, cgroup)
end

--- Opens a tracker that was started with a pin, in this process or another.
-- @tparam string path the pin
-- @treturn tracker a handle; nil, message, errno
function conntrack.open(path)
  if type(path) ~= "string" then
    error(("open: path of a pin expected, got %s"):format(type(path)), 2)
  end
  local self = setmetatable({ pins = {} }, tracker)
  for i, each in ipairs(PINS) do
    local name, suffix = table.unpack(each)
    local open = name:find("map") and bpf.open or bpf.open_link
    local handle, message, errno = open(path .. suffix)
    if not handle then
      close_handles(self)
      return nil, message, errno
    end
    self[name], self.pins[i] = handle, path .. suffix
  end
  return self
end

--- Closes the handle. A pinned tracker goes on; another one ends with its handle.
function tracker:close()
  close_handles(self)
  return true
end

--- Ends tracking: detaches the programs, removes the pins, closes the handle. After close it
-- removes the pins only.
function tracker:stop()
  for _, name in ipairs { "egress", "ingress" } do
    if self[name] then pcall(self[name].detach, self[name]) end
  end
  for _, path in ipairs(self.pins) do os.remove(path) end
  self.pins = {}
  return self:close()
end

-- ---- reading -------------------------------------------------------------------

local LIST_OPTIONS = { protocol = true, state = "string", endpoint = "string", idle = true,
  where = "function", sort = "string", limit = "number" }

-- Calls visit(key, value) with views of every entry. nil, message, errno when the system refuses.
local function scan(map, visit)
  local ok, err = pcall(function()
    for key, value in map:views() do visit(key, value) end
  end)
  if ok then return true end
  if type(err) == "table" and err.errno then return nil, err.message, err.errno end
  error(err, 0)
end

-- A function that tells whether an endpoint is the one that text names, and that endpoint if it is
-- a whole one. What each of the ways to write an address means is looked at once.
local function end_matcher(text, what)
  if type(text) ~= "string" then
    error(("%s: an endpoint such as \"10.0.0.1:80\" expected, got %s"):format(what, type(text)), 3)
  end
  local addr, port = endpoint.parse(text)
  if not (addr or port) then
    error(("%s: %q is no endpoint; write \"10.0.0.1:80\", \"[::1]:80\", an address or \":80\"")
      :format(what, text), 3)
  end
  local wanted = addr and endpoint.bytes(addr)
  local same = setmetatable({}, { __index = function(known, other)
    known[other] = endpoint.bytes(other) == wanted
    return known[other]
  end })
  return function(candidate)
    return (not port or candidate.port == port) and (not wanted or same[candidate.addr])
  end, addr and port and { addr = addr, port = port }
end

-- A function that tells whether an entry is one that list's options ask for.
local function matcher(given, is_at)
  local protocol, state, where = given.protocol, given.state, given.where
  local cutoff = given.idle and bpf.now() - given.idle
  return function(key, value)
    return (not protocol or key.protocol == protocol) and (not state or value.state == state)
      and (not cutoff or value.last_seen - cutoff <= 0)
      and (not is_at or is_at(key.a) or is_at(key.b))
      and (not where or where(key, value))
  end
end

-- The order that the option `sort` asks for.
local function order_of(sort)
  if not sort then return connection.order(connection.total_bytes) end
  local field, ascending = sort:gsub(" asc$", "")
  options.choice("list", "sort", field, connection.FIELDS, nil, 4)
  return connection.order(function(conn) return conn[field] end, ascending > 0)
end

local function collect(map, matches, before, limit)
  local found = {}
  local ok, message, errno = scan(map, function(key, value)
    if not matches(key, value) then return end
    local conn = connection.of(key, value)
    if limit then
      connection.keep_best(found, conn, limit, before)
    else
      found[#found + 1] = conn
    end
  end)
  if not ok then return nil, message, errno end
  if not limit then table.sort(found, before) end
  return connection.list(found)
end

--- The connections, as a list that prints as a table.
-- @tparam[opt] table given
--   protocol, state: names as in the connections.
--   endpoint: one end of it, whichever: "10.0.0.1:80", "[::1]:80", an address, or ":80".
--   idle: nothing was sent for at least that long; ns or text ("30s").
--   where: a function of key and value (views of the entry).
--   sort: the field to sort by, numbers from the largest down, or "FIELD asc" for the smallest
--   first; default the bytes of both directions.
--   limit: how many at most.
-- @treturn table connections; nil, message, errno
function tracker:list(given)
  given = options.check("list", given, LIST_OPTIONS)
  local limit = options.integer("list", "limit", given.limit, 0, MAX_U32)
  local before = order_of(given.sort)
  local is_at = given.endpoint and end_matcher(given.endpoint, "list: option 'endpoint'")
  local matches = matcher({ protocol = given.protocol, state = given.state, where = given.where,
    idle = given.idle and options.duration(given.idle, "list: option 'idle'") }, is_at)
  return collect(self.map, matches, before, limit)
end

-- ---- finding and batches -------------------------------------------------------

local PROTOCOLS = { "tcp", "udp", "icmp", "icmpv6" }

-- The connections between two whole endpoints, which are keys.
local function find_between(self, a, b)
  local wanted, found = {}, {}
  for i, protocol in ipairs(PROTOCOLS) do
    wanted[i] = { protocol = protocol, src_addr = a.addr, src_port = a.port, dst_addr = b.addr,
      dst_port = b.port }
  end
  local connections, message, errno = self:query(wanted)
  if not connections then return nil, message, errno end
  for i = 1, #PROTOCOLS do found[#found + 1] = connections[i] end
  return connection.list(found)
end

--- The connections of an endpoint, or between two.
-- Two whole endpoints ("10.0.0.1:80") are looked up; an address, a port or one endpoint is
-- searched for in the whole table.
-- @tparam string a an endpoint as in list
-- @tparam[opt] string b the other one, in whichever order
-- @treturn table connections, empty if there are none; nil, message, errno
function tracker:find(a, b)
  local before = order_of()
  local is_a, end_a = end_matcher(a, "find")
  if b == nil then return collect(self.map, matcher({}, is_a), before) end
  local is_b, end_b = end_matcher(b, "find")
  if end_a and end_b then return find_between(self, end_a, end_b) end
  return collect(self.map, function(key)
    return is_a(key.a) and is_b(key.b) or is_a(key.b) and is_b(key.a)
  end, before)
end

--- Looks up many connections at once.
-- @tparam table list connections; their protocol, addresses and ports count, in either direction
-- @treturn table those found, at the same places (nil where there is none), and how many; nil,
--   message, errno
function tracker:query(list)
  local keys = connection.keys(list, "query")
  local values, found, errno = self.map:lookup_batch(keys)
  if not values then return nil, found, errno end
  local connections = {}
  for i, key in ipairs(keys) do
    connections[i] = values[i] and connection.of(key, values[i])
  end
  return connections, found
end

--- Puts many connections into the table, replacing those of the same endpoints.
-- Times left out are now, counts 0, the protocol tcp, the state new.
-- @tparam table list connections
-- @treturn integer how many were stored; nil, message, errno, and how many were until then
function tracker:insert(list)
  local keys, initiators = connection.keys(list, "insert")
  local now, values = bpf.now(), {}
  for i, conn in ipairs(list) do values[i] = connection.value(conn, initiators[i], now) end
  return self.map:update_batch(keys, values)
end

--- Takes many connections out of the table.
-- @tparam table list connections
-- @treturn integer how many were deleted, and how many were not there; nil, message, errno
function tracker:remove(list)
  local keys = connection.keys(list, "remove")
  return self.map:delete_batch(keys)
end

-- ---- statistics ----------------------------------------------------------------

local STATS_OPTIONS = { top = "number" }

local function add_to(groups, name, packets, bytes)
  local group = groups[name]
  if not group then
    group = { connections = 0, packets = 0, bytes = 0 }
    groups[name] = group
  end
  group.connections = group.connections + 1
  group.packets = group.packets + packets
  group.bytes = group.bytes + bytes
end

-- Per port of the responder; ports: by protocol. ICMP has none.
local function add_to_port(ports, protocol, key, value, packets, bytes)
  local of_protocol = ports[protocol]
  if not of_protocol then return end
  local port = (value.initiator == "a" and key.b or key.a).port
  add_to(of_protocol, port, packets, bytes)
end

local function busier(x, y)
  if x.bytes ~= y.bytes then return math.ult(y.bytes, x.bytes) end
  if x.port ~= y.port then return x.port < y.port end
  return x.protocol < y.protocol
end

local function best_ports(ports, n)
  local best = {}
  for protocol, of_protocol in pairs(ports) do
    for port, group in pairs(of_protocol) do
      group.protocol, group.port = protocol, port
      connection.keep_best(best, group, n, busier)
    end
  end
  return best
end

-- The average of a sum of unsigned integers.
local function average(total, n)
  local sum = total < 0 and total + 2.0 ^ 64 or total
  return n == 0 and 0.0 or sum / n
end

local GROUP_COLUMNS <const> = { "connections", "packets", "bytes" }

local function groups_text(title, groups)
  local rows, headers = {}, { title, table.unpack(GROUP_COLUMNS) }
  for name, group in pairs(groups) do
    rows[#rows + 1] = { tostring(name), group.connections, ("%u"):format(group.packets),
      ("%u"):format(group.bytes), numeric = { [3] = true, [4] = true } }
  end
  table.sort(rows, function(x, y) return x[1] < y[1] end)
  return show.table(headers, rows)
end

-- By port, the busiest first.
local function ports_text(ports)
  local rows, headers = {}, { "port", table.unpack(GROUP_COLUMNS) }
  for i, p in ipairs(ports) do
    rows[i] = { ("%s/%d"):format(p.protocol, p.port), p.connections, ("%u"):format(p.packets),
      ("%u"):format(p.bytes), numeric = { [3] = true, [4] = true } }
  end
  return show.table(headers, rows)
end

local function stats_text(stats)
  local parts = {
    ("%d connections, %u packets, %u bytes; %.1f packets and %.1f bytes per connection"):format(
      stats.connections, stats.packets, stats.bytes, stats.packets_per_connection,
      stats.bytes_per_connection),
    groups_text("protocol", stats.protocols),
    groups_text("state", stats.states),
    ports_text(stats.ports),
    "top talkers\n" .. tostring(stats.top),
  }
  if stats.oldest then parts[#parts + 1] = "oldest: " .. tostring(stats.oldest) end
  return table.concat(parts, "\n\n")
end

-- A visitor for scan that adds each entry to stats and ports.
local function adder(stats, ports, n)
  local before, least, oldest = order_of(), 0, nil
  return function(key, value)
    local reply_packets, reply_bytes = value.reply_packets, value.reply_bytes
    local packets, bytes = value.packets + reply_packets, value.bytes + reply_bytes
    local protocol, first_seen = key.protocol, value.first_seen
    add_to(stats.protocols, protocol, packets, bytes)
    add_to(stats.states, value.state, packets, bytes)
    add_to_port(ports, protocol, key, value, packets, bytes)
    stats.connections = stats.connections + 1
    stats.packets, stats.bytes = stats.packets + packets, stats.bytes + bytes
    stats.reply_packets = stats.reply_packets + reply_packets
    stats.reply_bytes = stats.reply_bytes + reply_bytes
    if #stats.top < n or n > 0 and math.ult(least, bytes) then
      connection.keep_best(stats.top, connection.of(key, value), n, before)
      least = connection.total_bytes(stats.top[#stats.top])
    end
    if not oldest or first_seen < oldest then
      oldest = first_seen
      stats.oldest = connection.of(key, value)
    end
  end
end

--- Sums up the table in one pass.
-- @tparam[opt] table given  top: how many ports and connections to rank; default 10.
-- @treturn table, which prints as tables:
--   connections; packets, bytes: of both directions; reply_packets, reply_bytes: of them, the
--   responders'; packets_per_connection, bytes_per_connection: averages, as floats;
--   protocols, states: name to { connections, packets, bytes };
--   ports: the responders' ports by bytes, list of { protocol, port, connections, packets, bytes };
--   top: the connections with the most bytes; oldest: the one first seen longest ago, or nil.
--   nil, message, errno when the system refuses.
function tracker:stats(given)
  given = options.check("stats", given, STATS_OPTIONS)
  local n = options.integer("stats", "top", given.top, 0, MAX_U32, 10)
  local ports = { tcp = {}, udp = {} }
  local stats = show.printable({ connections = 0, packets = 0, bytes = 0, reply_packets = 0,
    reply_bytes = 0, protocols = {}, states = {}, top = connection.list() }, stats_text)
  local ok, message, errno = scan(self.map, adder(stats, ports, n))
  if not ok then return nil, message, errno end
  stats.packets_per_connection = average(stats.packets, stats.connections)
  stats.bytes_per_connection = average(stats.bytes, stats.connections)
  stats.ports = best_ports(ports, n)
  return stats
end

local COUNTERS = { "seen", "counted", "inserted", "reopened", "repeated", "full", "refused",
  "skipped_not_ip", "skipped_protocol", "skipped_icmp", "skipped_extension", "skipped_fragment",
  "skipped_truncated" }

local function counters_text(counters)
  local rows = {}
  for i, name in ipairs(COUNTERS) do rows[i] = { name, ("%u"):format(counters[name]) } end
  return show.pairs(rows)
end

--- What the programs counted, summed over the CPUs: seen, counted, inserted, reopened, repeated
-- (on loopback: the second look at a packet), full, refused, and what was skipped, by reason.
-- seen = counted + repeated + full + refused + the sum of skipped_*.
-- @treturn table name to number, which prints as a table; nil, message, errno
function tracker:counters()
  local per_cpu, message, errno = self.counters_map:lookup(0)
  if not per_cpu then return nil, message, errno end
  local sums = {}
  for _, counters in ipairs(per_cpu) do
    for name, n in pairs(counters) do sums[name] = (sums[name] or 0) + n end
  end
  return show.printable(sums, counters_text)
end

-- ---- cleaning ------------------------------------------------------------------

local CLEANUP_OPTIONS = { idle = true, per_protocol = "table", per_state = "table",
  where = "function", dry_run = "boolean", limit = "number", on_delete = "function" }

local STATES = { "new", "syn_sent", "syn_received", "established", "fin_wait", "close_wait",
  "closing", "closed", "reset" }

-- A table of names to durations as the option `what` has it, in ns.
local function durations(given, what, names)
  local ns = {}
  for name, value in pairs(given or {}) do
    options.choice("cleanup", what, name, names, nil, 4)
    ns[name] = options.duration(value, ("cleanup: option '%s.%s'"):format(what, name), 3)
  end
  return ns
end

--- Deletes idle connections.
-- Whether one is idle is judged on its live entry: one that a packet reaches in the meantime stays
-- (see delete_where of maps).
-- @tparam table given
--   idle: how long nothing was sent; ns or text ("30s").
--   per_protocol: the same for single protocols, { udp = "10s" }; icmp also stands for icmpv6.
--   per_state: the same for single states, { closed = "5s" }; comes before the protocol.
--   A connection for which none of them says a time is kept.
--   where: a function of key and value (views of the entry) that must say yes too.
--   dry_run: only count. limit: delete at most so many.
--   on_delete: function(connection), called for each one deleted.
-- @treturn table the report of delete_where; nil, message, errno, report so far
function tracker:cleanup(given)
  given = options.check("cleanup", given, CLEANUP_OPTIONS)
  local limit = options.integer("cleanup", "limit", given.limit, 0, math.maxinteger)
  local idle = given.idle and options.duration(given.idle, "cleanup: option 'idle'")
  local by_protocol = durations(given.per_protocol, "per_protocol", PROTOCOLS)
  local by_state = durations(given.per_state, "per_state", STATES)
  by_protocol.icmpv6 = by_protocol.icmpv6 or by_protocol.icmp
  if not (idle or next(by_protocol) or next(by_state)) then
    error("cleanup: idle, per_protocol or per_state must say after how long", 2)
  end
  local now, where, on_delete = bpf.now(), given.where, given.on_delete
  return self.map:delete_where(function(key, value)
    local allowed = by_state[value.state] or by_protocol[key.protocol] or idle
    return allowed and now - value.last_seen > allowed and (not where or where(key, value))
  end, {
    dry_run = given.dry_run, limit = limit,
    on_delete = on_delete and function(key, value) on_delete(connection.of(key, value)) end,
  })
end

return conntrack
