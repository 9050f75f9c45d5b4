-- SPDX-License-Identifier: MIT
--
-- The connection tracker. Each try has its own, of a cgroup in which nothing sends.

local conntrack = require "luabpf.conntrack"
local operations = require "spec.support.faults.operations"

local CONNECTIONS <const> = {
  { src_addr = "192.0.2.7", src_port = 40001, dst_addr = "192.0.2.1", dst_port = 443,
    state = "established", packets = 120, bytes = 9000 },
  { protocol = "udp", src_addr = "192.0.2.8", src_port = 40002, dst_addr = "192.0.2.53",
    dst_port = 53, packets = 1, bytes = 68, first_seen = 1, last_seen = 1 },
}

local function started(e)
  e.tracker = e:own(assert(conntrack.start { cgroup = e.cgroup, max_entries = 100 }))
  assert(e.tracker:insert(CONNECTIONS) == 2)
end

-- A method of a tracker with two connections.
local function on_tracker(name, run, right, more)
  local operation = { name = "tracker:" .. name, setup = started,
    run = function(e) return run(e.tracker) end, right = right }
  for word, value in pairs(more or {}) do operation[word] = value end
  operations.add(operation)
end

local function two(_, list) return #list == 2 end

local REFILL <const> = { renew = function(e) assert(e.tracker:insert(CONNECTIONS) == 2) end }

operations.add { name = "conntrack.cgroup_root", setup = function() end,
  run = function() return conntrack.cgroup_root() end }
operations.add { name = "conntrack.start", probes = true, setup = function() end, run = function(e)
  return conntrack.start { cgroup = e.cgroup, max_entries = 100 }
end, right = function(_, tracker)
  local listed = tracker:list()
  return #listed == 0 and tracker:stop()
end }
operations.add { name = "conntrack.open", setup = function(e)
  e.at = e:pin()
  e.tracker = e:own(assert(conntrack.start { cgroup = e.cgroup, max_entries = 100, pin = e.at }))
  assert(e.tracker:insert(CONNECTIONS) == 2)
end, run = function(e) return conntrack.open(e.at) end,
  right = function(e, tracker) return #e:own(tracker):list() == 2 end }
on_tracker("list", function(tracker) return tracker:list() end, two)
on_tracker("find", function(tracker) return tracker:find "192.0.2.7" end,
  function(_, list) return #list == 1 end)
on_tracker("query", function(tracker) return tracker:query(CONNECTIONS) end,
  function(_, _, n) return n == 2 end)
on_tracker("insert", function(tracker) return tracker:insert(CONNECTIONS) end,
  function(_, n) return n == 2 end)
on_tracker("remove", function(tracker) return tracker:remove(CONNECTIONS) end,
  function(_, n) return n == 2 end, REFILL)
on_tracker("stats", function(tracker) return tracker:stats() end,
  function(_, stats) return stats.connections == 2 and stats.bytes == 9068 end)
on_tracker("counters", function(tracker) return tracker:counters() end)
on_tracker("cleanup", function(tracker)
  return tracker:cleanup { per_protocol = { udp = "1s" } }
end, function(_, report) return report.deleted == 1 end, REFILL)
on_tracker("stop", function(tracker) return tracker:stop() end, nil, { once = true })
on_tracker("close", function(tracker) return tracker:close() end, nil, { once = true })
