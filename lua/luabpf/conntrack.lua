-- SPDX-License-Identifier: MIT

--- The connection tracker: starts it on a cgroup (conntrack/tracker.lua), lists, finds,
-- sums up and cleans its connections. Written on the public interface only, as a user's
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
--
-- @module luabpf.conntrack

local bpf = require "luabpf"
local condition = require "luabpf.conntrack.condition"
local connection = require "luabpf.conntrack.connection"
local options = require "luabpf.base.options"
local show = require "luabpf.show.show"
local start = require "luabpf.conntrack.tracker"
local strict = require "luabpf.base.strict"
local summary = require "luabpf.conntrack.summary"

local conntrack, tracker = start.functions, start.class

local MAX_U32 <const> = 0xffffffff

-- ---- reading -------------------------------------------------------------------

-- where may be text or a function.
local function check_where(what, where)
  if where ~= nil and type(where) ~= "string" and type(where) ~= "function" then
    error(("%s: option 'where': text or function expected, got %s"):format(what, type(where)), 3)
  end
end

-- The fields that the kernel can rank by.
local RANKED = { packets = true, bytes = true, reply_packets = true, reply_bytes = true,
  first_seen = true, last_seen = true }

-- The order that the option `sort` asks for: as a function, and as an expression if it is one.
local function order_of(sort)
  if not sort then
    return connection.order(connection.total_bytes), "value.bytes + value.reply_bytes"
  end
  local field, ascending = sort:gsub(" asc$", "")
  options.choice("list", "sort", field, connection.FIELDS, nil, 4)
  return connection.order(function(conn) return conn[field] end, ascending > 0),
    RANKED[field] and "value." .. sort
end

-- The connections that a condition holds for, in order, the first so many. If the kernel can rank
-- them it hands over no others. filter: a function that has to say yes too; by itself it is a
-- condition like any other.
local function collect(map, wanted, filter, sort, limit)
  local before, ranking = order_of(sort)
  local where = wanted:text()
  local params = where and wanted.params
  if not where then where, filter = filter, nil end
  local ranked = limit and ranking and not filter
  local found, message, errno = connection.select(map, { where = where, params = params,
    sort = ranked and ranking or nil, limit = ranked and limit or nil }, filter)
  if not found then return nil, message, errno end
  table.sort(found, before)
  for i = #found, (limit or #found) + 1, -1 do found[i] = nil end
  return found
end

--- The connections, as a list that prints as a table.
-- @tparam[opt] protocol options.protocol only this protocol
-- @tparam[opt] state options.state only in this state
-- @tparam[opt] string options.endpoint one end, whichever: "10.0.0.1:80", "[::1]:80", an address,
--   ":80"
-- @tparam[opt] time options.idle nothing was sent for at least so long
-- @tparam[opt] string|fun(key:any,value:any):any options.where a condition on the entry
-- @tparam[opt] table<string,any> options.params the values of `$name` in `where`
-- @tparam[opt="bytes"] string options.sort a field, largest first, or "FIELD asc"; without it
--   bytes of both directions
-- @tparam[opt] integer options.limit at most so many
-- @treturn connection[] the connections
-- @error the kernel refuses the scan
-- @usage
-- print(tracker:list { protocol = "tcp", sort = "packets", limit = 10 })
function tracker:list(given)
  given = options.check("list", given, options.of "tracker:list")
  check_where("list", given.where)
  local limit = options.integer("list", "limit", given.limit, 0, MAX_U32)
  local wanted = condition.new(given)
  if given.protocol then
    wanted:add("key.protocol == $ct_protocol", "ct_protocol", given.protocol)
  end
  if given.state then wanted:add("value.state == $ct_state", "ct_state", given.state) end
  if given.idle then
    wanted:add("now - value.last_seen >= $ct_idle", "ct_idle",
      options.period(given.idle, "list: option 'idle'"))
  end
  if given.endpoint then
    wanted:add_ends { condition.endpoint(given.endpoint, "list: option 'endpoint'") }
  end
  local filter = type(given.where) == "function" and given.where or nil
  return collect(self.map, wanted, filter, given.sort, limit)
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

--- The connections of an endpoint, or between two in whichever order. Two whole ones, addresses
-- with ports, are looked up without reading the table.
-- @tparam string a an endpoint: "10.0.0.1:80", "[::1]:80", an address, ":80"
-- @tparam[opt] string b the other end
-- @treturn connection[] the connections
-- @error the kernel refuses the scan
-- @usage
-- print(tracker:find "10.0.0.1")
function tracker:find(a, b)
  local ends = { condition.endpoint(a, "find") }
  if b ~= nil then ends[2] = condition.endpoint(b, "find") end
  if b ~= nil and ends[1].addr and ends[1].port and ends[2].addr and ends[2].port then
    return find_between(self, ends[1], ends[2])
  end
  local wanted = condition.new {}
  wanted:add_ends(ends)
  return collect(self.map, wanted)
end

--- Looks up many connections.
-- @tparam connection[] list protocol, addresses and ports count, in either direction
-- @treturn connection[] those found, at the same places; nil where there is none
-- @treturn integer how many were found
-- @error the kernel refuses a lookup
-- @usage
-- local found, n = tracker:query {
--   { src_addr = "10.0.0.1", src_port = 1, dst_addr = "10.0.0.2", dst_port = 80 } }
-- print(n, found[1])
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

--- A connection. To insert one, addresses are needed; what is left out besides is "tcp", "new", 0,
-- now.
-- @table connection
-- @tfield[opt="tcp"] protocol protocol which protocol
-- @tfield string src_addr the initiator: who sent the first packet
-- @tfield[opt=0] integer src_port the initiator's port; of ICMP both are the identifier of the
--   echo
-- @tfield string dst_addr the responder
-- @tfield[opt=0] integer dst_port the responder's port
-- @tfield[opt="new"] state state of TCP, as its flags show; others are "new", and "established"
--   once the responder has answered
-- @tfield[opt=0] integer packets sent by the initiator
-- @tfield[opt=0] integer bytes sent by the initiator, from the IP header on
-- @tfield[opt=0] integer reply_packets sent by the responder
-- @tfield[opt=0] integer reply_bytes sent by the responder
-- @tfield[opt="now"] integer first_seen when it began, in ns, on the clock of `bpf.now`
-- @tfield[opt="now"] integer last_seen when something was sent last, in ns

--- The protocol of a connection.
-- @table protocol
-- @is "tcp"|"udp"|"icmp"|"icmpv6"

--- The state of a connection.
-- @table state
-- @is "new"|"syn_sent"|"syn_received"|"established"|"fin_wait"|
--   "close_wait"|"closing"|"closed"|"reset"

--- Stores many connections, replacing what is there.
-- @tparam connection[] list the connections
-- @treturn integer how many were stored
-- @error the table is full, or the kernel refuses
-- @partial integer how many until then
-- @usage
-- print(tracker:insert {
--   { src_addr = "10.0.0.1", src_port = 1, dst_addr = "10.0.0.2", dst_port = 80 } })
function tracker:insert(list)
  local keys, initiators = connection.keys(list, "insert")
  local now, values = bpf.now(), {}
  for i, conn in ipairs(list) do values[i] = connection.value(conn, initiators[i], now) end
  return self.map:update_batch(keys, values)
end

--- Deletes many connections.
-- @tparam connection[] list protocol, addresses and ports count, in either direction
-- @treturn integer how many were deleted
-- @treturn integer how many were not there
-- @error the kernel refuses
-- @usage
-- print(tracker:remove {
--   { src_addr = "10.0.0.1", src_port = 1, dst_addr = "10.0.0.2", dst_port = 80 } })
function tracker:remove(list)
  local keys = connection.keys(list, "remove")
  return self.map:delete_batch(keys)
end

-- ---- statistics ----------------------------------------------------------------

--- A sum over connections.
-- @table group
-- @tfield integer connections how many
-- @tfield integer packets of both directions
-- @tfield integer bytes of both directions

--- A sum over the connections of a responder's port.
-- @table port
-- @extends group
-- @tfield protocol protocol the port's protocol
-- @tfield integer port the port's number

--- What `tracker:stats` sums up.
-- @table stats
-- @extends group
-- @tfield integer reply_packets of them the responders'
-- @tfield integer reply_bytes of them the responders'
-- @tfield number packets_per_connection on average
-- @tfield number bytes_per_connection on average
-- @tfield table<protocol,group> protocols sums by protocol
-- @tfield table<state,group> states sums by state
-- @tfield port[] ports the responders' ports, the busiest first
-- @tfield connection[] top the connections with the most bytes
-- @tfield[opt] connection oldest the one that began first

--- Sums up the table, inside the kernel where it can; prints as tables.
-- @tparam[opt=10] integer options.top how many ports and connections to rank
-- @treturn stats the sums
-- @error the kernel refuses the scan
-- @usage
-- print(tracker:stats { top = 3 })
function tracker:stats(given)
  given = options.check("stats", given, options.of "tracker:stats")
  local n = options.integer("stats", "top", given.top, 0, MAX_U32, 10)
  return summary.of(self.map, n)
end

local COUNTERS = { "seen", "counted", "inserted", "reopened", "repeated", "full", "refused",
  "skipped_not_ip", "skipped_protocol", "skipped_icmp", "skipped_extension", "skipped_fragment",
  "skipped_truncated" }

local function counters_text(counters)
  local rows = {}
  for i, name in ipairs(COUNTERS) do rows[i] = { name, ("%u"):format(counters[name]) } end
  return show.pairs(rows)
end

--- What became of all packets that were looked at, by name.
-- @treturn table<string,integer> the counters
-- @error the kernel refuses
-- @usage
-- print(tracker:counters().seen)
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

local STATES = { "new", "syn_sent", "syn_received", "established", "fin_wait", "close_wait",
  "closing", "closed", "reset" }

-- A table of names to durations as the option `what` has it, in ns.
local function durations(given, what, names)
  local ns = {}
  for name, value in pairs(given or {}) do
    options.choice("cleanup", what, name, names, nil, 4)
    ns[name] = options.period(value, ("cleanup: option '%s.%s'"):format(what, name), 4)
  end
  return ns
end

-- How long a connection may be idle, by state, else by protocol, else any.
local function allowances(given)
  local by = { idle = given.idle and options.period(given.idle, "cleanup: option 'idle'", 3),
    protocol = durations(given.per_protocol, "per_protocol", PROTOCOLS),
    state = durations(given.per_state, "per_state", STATES) }
  by.protocol.icmpv6 = by.protocol.icmpv6 or by.protocol.icmp
  if not (by.idle or next(by.protocol) or next(by.state)) then
    error("cleanup: idle, per_protocol or per_state must say after how long", 3)
  end
  return by
end

-- The condition that a connection was idle for longer than that.
local function idle_condition(given, by)
  local wanted, text = condition.new(given), "$ct_idle"
  local function choose(field, names, ns)
    for _, name in ipairs(names) do
      if ns[name] then
        wanted.params["ct_" .. name] = ns[name]
        text = ("if(%s == '%s', $ct_%s, %s)"):format(field, name, name, text)
      end
    end
  end
  choose("key.protocol", PROTOCOLS, by.protocol)
  choose("value.state", STATES, by.state)
  wanted:add("now - value.last_seen > " .. text, "ct_idle", by.idle or math.maxinteger)
  return wanted
end

-- The same as a function, for a caller who asks for more by a function.
local function idle_function(by, where)
  local now = bpf.now()
  return function(key, value)
    local allowed = by.state[value.state] or by.protocol[key.protocol] or by.idle
    return allowed and now - value.last_seen > allowed and where(key, value)
  end
end

--- Deletes idle connections, each judged on its live entry immediately before. A time for the
-- state comes before one for the protocol, and that before `idle`; a connection for which none of
-- them says a time is kept.
-- @tparam[opt] time options.idle how long nothing was sent
-- @tparam[opt] table<protocol,time> options.per_protocol the same by protocol
-- @tparam[opt] table<state,time> options.per_state the same by state
-- @tparam[opt] string|fun(key:any,value:any):any options.where a condition on the entry that must
--   hold too
-- @tparam[opt] table<string,any> options.params the values of `$name` in `where`
-- @tparam[opt=false] boolean options.dry_run only counts
-- @tparam[opt] integer options.limit at most so many
-- @tparam[opt] fun(connection:connection) options.on_delete called after each deletion
-- @treturn table the report of `map:delete_where`
-- @error the kernel refuses
-- @partial table the report until then
-- @usage
-- print(tracker:cleanup { idle = "5m", per_protocol = { udp = "30s" } }.deleted)
function tracker:cleanup(given)
  given = options.check("cleanup", given, options.of "tracker:cleanup")
  check_where("cleanup", given.where)
  local limit = options.integer("cleanup", "limit", given.limit, 0, math.maxinteger)
  local by, on_delete = allowances(given), given.on_delete
  local run = { dry_run = given.dry_run, limit = limit,
    on_delete = on_delete and function(key, value) on_delete(connection.of(key, value)) end }
  if type(given.where) == "function" then
    return self.map:delete_where(idle_function(by, given.where), run)
  end
  local wanted = idle_condition(given, by)
  run.params = wanted.params
  return self.map:delete_where(wanted:text(), run)
end

-- A method that is called on anything else says so.
for name, method in pairs(tracker) do
  if type(method) == "function" then
    tracker[name] = function(self, ...)
      if getmetatable(self) ~= tracker then
        error(("%s: tracker expected, got %s"):format(name, type(self)), 2)
      end
      return method(self, ...)
    end
  end
end

strict(tracker, "tracker", "method")

return strict(conntrack, "conntrack", "function")
