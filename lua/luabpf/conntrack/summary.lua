-- SPDX-License-Identifier: MIT
--
-- Statistics of a table of connections: three queries that the kernel runs
-- over the map, and tables of what they give.

local connection = require "luabpf.conntrack.connection"
local show = require "luabpf.show.show"

local summary = {}

-- The port is the responder's; ICMP has none.
local GROUP <const> = {
  "key.protocol", "value.state", "if(key.protocol in ('tcp', 'udp'), "
    .. "if(value.initiator == 'a', key.b.port, key.a.port), 0) as port",
}

local SUMS <const> = {
  "count() as connections",
  "sum(value.packets + value.reply_packets) as packets",
  "sum(value.bytes + value.reply_bytes) as bytes",
  "sum(value.reply_packets) as reply_packets",
  "sum(value.reply_bytes) as reply_bytes",
}

local TOTALS <const> = { "connections", "packets", "bytes", "reply_packets", "reply_bytes" }

-- ---- printing --------------------------------------------------------------------

local GROUP_COLUMNS <const> = { "connections", "packets", "bytes" }
local NUMERIC <const> = { [2] = true, [3] = true, [4] = true }

local function group_row(name, group)
  return { name, tostring(group.connections), ("%u"):format(group.packets),
    ("%u"):format(group.bytes), numeric = NUMERIC }
end

local function groups_text(title, groups)
  local rows = {}
  for name, group in pairs(groups) do rows[#rows + 1] = group_row(tostring(name), group) end
  table.sort(rows, function(x, y) return x[1] < y[1] end)
  return show.table({ title, table.unpack(GROUP_COLUMNS) }, rows)
end

local function ports_text(ports)
  local rows = {}
  for i, port in ipairs(ports) do
    rows[i] = group_row(("%s/%d"):format(port.protocol, port.port), port)
  end
  return show.table({ "port", table.unpack(GROUP_COLUMNS) }, rows)
end

local function text_of(stats)
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

-- ---- summing up ------------------------------------------------------------------

local function add_to(groups, name, row)
  local group = groups[name]
  if not group then
    group = { connections = 0, packets = 0, bytes = 0 }
    groups[name] = group
  end
  for _, field in ipairs(GROUP_COLUMNS) do group[field] = group[field] + row[field] end
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

-- From rows by protocol, state and port to totals, and groups by each of the three.
local function fold(rows, n)
  local ports = { tcp = {}, udp = {} }
  local stats = { protocols = {}, states = {} }
  for _, field in ipairs(TOTALS) do stats[field] = 0 end
  for _, row in ipairs(rows) do
    for _, field in ipairs(TOTALS) do stats[field] = stats[field] + row[field] end
    add_to(stats.protocols, row.protocol, row)
    add_to(stats.states, row.state, row)
    if ports[row.protocol] then add_to(ports[row.protocol], row.port, row) end
  end
  stats.packets_per_connection = average(stats.packets, stats.connections)
  stats.bytes_per_connection = average(stats.bytes, stats.connections)
  stats.ports = best_ports(ports, n)
  return stats
end

-- Statistics of the connections in map; conntrack.lua says what they have (tracker:stats).
-- @tparam integer n how many ports and connections to rank
-- @treturn table; nil, message, errno
function summary.of(map, n)
  local rows, message, errno = map:aggregate { group = GROUP, select = SUMS }
  if not rows then return nil, message, errno end
  local stats = fold(rows, n)
  stats.top, message, errno = connection.select(map, { sort = "value.bytes + value.reply_bytes",
    limit = n })
  if not stats.top then return nil, message, errno end
  local first
  first, message, errno = connection.select(map, { sort = "value.first_seen asc", limit = 1 })
  if not first then return nil, message, errno end
  stats.oldest = first[1]
  return show.printable(stats, text_of)
end

return summary
