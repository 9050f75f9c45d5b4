---@meta luabpf.conntrack
-- SPDX-License-Identifier: MIT
--
-- Made by `make docs` from the comments beside the code: not to be changed here.
-- docs/editors.md says how an editor finds it.

---A connection. To insert one, addresses are needed; what is left out besides is "tcp", "new", 0,
---now.
---@class luabpf.conntrack.connection
---@field protocol? luabpf.conntrack.protocol which protocol (default "tcp")
---@field src_addr string the initiator: who sent the first packet
---@field src_port? integer the initiator's port; of ICMP both are the identifier of the echo (default 0)
---@field dst_addr string the responder
---@field dst_port? integer the responder's port (default 0)
---@field state? luabpf.conntrack.state of TCP, as its flags show; others are "new", and "established" once the responder has answered (default "new")
---@field packets? integer sent by the initiator (default 0)
---@field bytes? integer sent by the initiator, from the IP header on (default 0)
---@field reply_packets? integer sent by the responder (default 0)
---@field reply_bytes? integer sent by the responder (default 0)
---@field first_seen? integer when it began, in ns, on the clock of `bpf.now` (default "now")
---@field last_seen? integer when something was sent last, in ns (default "now")

---A sum over connections.
---@class luabpf.conntrack.group
---@field connections integer how many
---@field packets integer of both directions
---@field bytes integer of both directions

---A sum over the connections of a responder's port.
---@class luabpf.conntrack.port : luabpf.conntrack.group
---@field protocol luabpf.conntrack.protocol the port's protocol
---@field port integer the port's number

---The protocol of a connection.
---@alias luabpf.conntrack.protocol "tcp"|"udp"|"icmp"|"icmpv6"

---The state of a connection.
---@alias luabpf.conntrack.state "new"|"syn_sent"|"syn_received"|"established"|"fin_wait"|"close_wait"|"closing"|"closed"|"reset"

---What `tracker:stats` sums up.
---@class luabpf.conntrack.stats : luabpf.conntrack.group
---@field reply_packets integer of them the responders'
---@field reply_bytes integer of them the responders'
---@field packets_per_connection number on average
---@field bytes_per_connection number on average
---@field protocols table<luabpf.conntrack.protocol,luabpf.conntrack.group> sums by protocol
---@field states table<luabpf.conntrack.state,luabpf.conntrack.group> sums by state
---@field ports luabpf.conntrack.port[] the responders' ports, the busiest first
---@field top luabpf.conntrack.connection[] the connections with the most bytes
---@field oldest? luabpf.conntrack.connection the one that began first

---@class luabpf.conntrack
local conntrack = {}

---Where the unified cgroup hierarchy (cgroup2) is mounted.
---@return string? # the path
---@return string? # message
---@return integer? # errno
function conntrack.cgroup_root() end

---Opens a tracker that was started with a pin, in this process or another.
---@param path string the pin
---@return luabpf.conntrack.tracker? # the tracker, which goes on when the handle is closed
---@return string? # message
---@return integer? # errno
function conntrack.open(path) end

---@class luabpf.conntrack_start_options
---@field cgroup? string a directory of the unified hierarchy; the sockets of its processes, and of cgroups in it, are tracked (default "the root of cgroup2")
---@field max_entries? integer how many connections the table has room for (default 65536)
---@field type? "hash"|"lru_hash" "hash": a full table takes no new connections; "lru_hash": it gives up those that have been idle longest (default "hash")
---@field pin? string a path in a bpffs: the tracker goes on after this process; one that is pinned there is taken up, if it is as asked for
---@field object? string the path of conntrack.bpf.o, where it is not the one that came with luabpf

---Starts the tracker on a cgroup, or on the whole machine: what its sockets send and receive, not
---what it forwards.
---
---Needs CAP_NET_ADMIN and CAP_PERFMON.
---@param options? luabpf.conntrack_start_options named options
---@return luabpf.conntrack.tracker? # the tracker, which ends with its handle unless it is pinned
---@return string? # message
---@return integer? # errno
function conntrack.start(options) end

---A connection tracker: the programs that watch and the table that they fill.
---@class luabpf.conntrack.tracker
---@field map luabpf.map the table, a map like any other
local tracker = {}

---@class luabpf.tracker_cleanup_options
---@field idle? luabpf.time how long nothing was sent
---@field per_protocol? table<luabpf.conntrack.protocol,luabpf.time> the same by protocol
---@field per_state? table<luabpf.conntrack.state,luabpf.time> the same by state
---@field where? string|fun(key:any,value:any):any a condition on the entry that must hold too
---@field params? table<string,any> the values of `$name` in `where`
---@field dry_run? boolean only counts (default false)
---@field limit? integer at most so many
---@field on_delete? fun(luabpf.conntrack.connection:luabpf.conntrack.connection) called after each deletion

---Deletes idle connections, each judged on its live entry immediately before. A time for the state
---comes before one for the protocol, and that before `idle`; a connection for which none of them
---says a time is kept.
---@param options? luabpf.tracker_cleanup_options named options
---@return table? # the report of `map:delete_where`
---@return string? # message
---@return integer? # errno
---@return table? # partial
function tracker:cleanup(options) end

---Closes the handle. A pinned tracker goes on; another one ends with its handle.
---@return true # the handle is closed
function tracker:close() end

---What became of all packets that were looked at, by name.
---@return table<string,integer>? # the counters
---@return string? # message
---@return integer? # errno
function tracker:counters() end

---The connections of an endpoint, or between two in whichever order. Two whole ones, addresses with
---ports, are looked up without reading the table.
---@param a string an endpoint: "10.0.0.1:80", "[::1]:80", an address, ":80"
---@param b? string the other end
---@return luabpf.conntrack.connection[]? # the connections
---@return string? # message
---@return integer? # errno
function tracker:find(a, b) end

---Stores many connections, replacing what is there.
---@param list luabpf.conntrack.connection[] the connections
---@return integer? # how many were stored
---@return string? # message
---@return integer? # errno
---@return integer? # partial
function tracker:insert(list) end

---@class luabpf.tracker_list_options
---@field protocol? luabpf.conntrack.protocol only this protocol
---@field state? luabpf.conntrack.state only in this state
---@field endpoint? string one end, whichever: "10.0.0.1:80", "[::1]:80", an address, ":80"
---@field idle? luabpf.time nothing was sent for at least so long
---@field where? string|fun(key:any,value:any):any a condition on the entry
---@field params? table<string,any> the values of `$name` in `where`
---@field sort? string a field, largest first, or "FIELD asc"; without it bytes of both directions (default "bytes")
---@field limit? integer at most so many

---The connections, as a list that prints as a table.
---@param options? luabpf.tracker_list_options named options
---@return luabpf.conntrack.connection[]? # the connections
---@return string? # message
---@return integer? # errno
function tracker:list(options) end

---Looks up many connections.
---@param list luabpf.conntrack.connection[] protocol, addresses and ports count, in either direction
---@return luabpf.conntrack.connection[]? # those found, at the same places; nil where there is none
---@return (integer|string)? # how many were found
---@return integer? # errno
function tracker:query(list) end

---Deletes many connections.
---@param list luabpf.conntrack.connection[] protocol, addresses and ports count, in either direction
---@return integer? # how many were deleted
---@return (integer|string)? # how many were not there
---@return integer? # errno
function tracker:remove(list) end

---@class luabpf.tracker_stats_options
---@field top? integer how many ports and connections to rank (default 10)

---Sums up the table, inside the kernel where it can; prints as tables.
---@param options? luabpf.tracker_stats_options named options
---@return luabpf.conntrack.stats? # the sums
---@return string? # message
---@return integer? # errno
function tracker:stats(options) end

---Ends tracking: detaches the programs, removes the pins, closes the handle.
---@return true? # the tracker is gone
---@return string? # message
---@return integer? # errno
function tracker:stop() end

return conntrack
