---@meta luabpf.conntrack
-- SPDX-License-Identifier: MIT
--
-- What luabpf.conntrack offers, for editors; docs/conntrack.md describes it.
-- spec/conntrack/conntrack_spec.lua checks that no function is missing.

---@class luabpf.conntrack
local conntrack = {}

---@alias luabpf.protocol "tcp"|"udp"|"icmp"|"icmpv6"

---@alias luabpf.state
---| "new"
---| "syn_sent"
---| "syn_received"
---| "established"
---| "fin_wait"
---| "close_wait"
---| "closing"
---| "closed"
---| "reset"

---To insert one, addresses are needed; what is left out besides is "tcp", "new", 0, now.
---@class luabpf.connection
---@field protocol? luabpf.protocol
---@field src_addr string the initiator
---@field src_port? integer
---@field dst_addr string the responder
---@field dst_port? integer
---@field state? luabpf.state
---@field packets? integer sent by the initiator
---@field bytes? integer
---@field reply_packets? integer sent by the responder
---@field reply_bytes? integer
---@field first_seen? integer ns, bpf.now()
---@field last_seen? integer

---@class luabpf.conntrack_options
---@field cgroup? string a directory; the whole machine if left out
---@field max_entries? integer 65,536 if left out
---@field type? "hash"|"lru_hash"
---@field pin? string a path in a bpffs: the tracker goes on after this process
---@field object? string the path of conntrack.bpf.o

---Starts the tracker on a cgroup. Linux 5.15; CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON.
---@param options? luabpf.conntrack_options
---@return luabpf.tracker? tracker
---@return string? message
---@return integer? errno
function conntrack.start(options) end

---Opens a tracker that was started with a pin.
---@param path string
---@return luabpf.tracker? tracker
---@return string? message
---@return integer? errno
function conntrack.open(path) end

---Where cgroup2 is mounted.
---@return string? path
---@return string? message
---@return integer? errno
function conntrack.cgroup_root() end

---@class luabpf.tracker
---@field map luabpf.map the table
local tracker = {}

---Closes the handle; a pinned tracker goes on.
---@return true
function tracker:close() end

---Detaches the programs, removes the pins, closes the handle.
---@return true
function tracker:stop() end

---@class luabpf.list_options
---@field protocol? luabpf.protocol
---@field state? luabpf.state
---@field endpoint? string "10.0.0.1:80", "[::1]:80", an address, ":80"
---@field idle? luabpf.time nothing was sent for at least so long
---@field where? string|fun(key: luabpf.data, value: luabpf.data): any
---@field params? table<string, any> of where, if it is text
---@field sort? string a field, largest first, or "FIELD asc"; bytes of both directions if left out
---@field limit? integer

---The connections, as a list that prints as a table.
---@param options? luabpf.list_options
---@return luabpf.connection[]? connections
---@return string? message
---@return integer? errno
function tracker:list(options) end

---The connections of an endpoint, or between two.
---@param a string
---@param b? string
---@return luabpf.connection[]? connections
---@return string? message
---@return integer? errno
function tracker:find(a, b) end

---Looks up many connections: those found, at the same places, and how many.
---@param list luabpf.connection[]
---@return luabpf.connection[]? connections
---@return integer|string found
---@return integer? errno
function tracker:query(list) end

---Stores many connections: how many.
---@param list luabpf.connection[]
---@return integer? stored
---@return string? message
---@return integer? errno
---@return integer? partial
function tracker:insert(list) end

---Deletes many connections: how many, and how many were not there.
---@param list luabpf.connection[]
---@return integer? deleted
---@return integer|string missing
---@return integer? errno
function tracker:remove(list) end

---@class luabpf.group
---@field connections integer
---@field packets integer
---@field bytes integer

---@class luabpf.port: luabpf.group
---@field protocol luabpf.protocol
---@field port integer

---@class luabpf.stats: luabpf.group
---@field reply_packets integer
---@field reply_bytes integer
---@field packets_per_connection number
---@field bytes_per_connection number
---@field protocols table<luabpf.protocol, luabpf.group>
---@field states table<luabpf.state, luabpf.group>
---@field ports luabpf.port[] the responders', the busiest first
---@field top luabpf.connection[]
---@field oldest? luabpf.connection

---Sums up the table; prints as tables.
---@param options? { top?: integer }
---@return luabpf.stats? stats
---@return string? message
---@return integer? errno
function tracker:stats(options) end

---What became of all packets, by name.
---@return table<string, integer>? counters
---@return string? message
---@return integer? errno
function tracker:counters() end

---@class luabpf.cleanup_options
---@field idle? luabpf.time
---@field per_protocol? table<luabpf.protocol, luabpf.time>
---@field per_state? table<luabpf.state, luabpf.time> before the protocol
---@field where? string|fun(key: luabpf.data, value: luabpf.data): any must hold too
---@field params? table<string, any>
---@field dry_run? boolean
---@field limit? integer
---@field on_delete? fun(connection: luabpf.connection)

---Deletes idle connections, each judged immediately before; the report of map:delete_where.
---@param options luabpf.cleanup_options
---@return table? report
---@return string? message
---@return integer? errno
---@return table? partial
function tracker:cleanup(options) end

return conntrack
