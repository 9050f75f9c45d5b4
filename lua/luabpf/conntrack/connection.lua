-- SPDX-License-Identifier: MIT
--
-- Connections as the tracker's users have them, and back to entries of its
-- map; lists of them, which print as tables; and ranking.
--
-- The key of an entry has the two endpoints in sorted order (a, b) and the
-- protocol; the value says which of them began. A connection is a table that
-- has them the way people read them, initiator first; conntrack.lua lists its
-- fields.

local bpf = require "luabpf"
local core = require "luabpf.core"
local endpoint = require "luabpf.conntrack.endpoint"
local show = require "luabpf.show.show"

local connection = {}

-- The fields of a connection.
connection.FIELDS = { "protocol", "src_addr", "src_port", "dst_addr", "dst_port", "state",
  "packets", "bytes", "reply_packets", "reply_bytes", "first_seen", "last_seen" }

local meta = { __name = "luabpf.connection" }

function meta:__tostring()
  return ("%s %s > %s %s, %u + %u packets, %u + %u bytes"):format(self.protocol,
    endpoint.text(self.src_addr, self.src_port), endpoint.text(self.dst_addr, self.dst_port),
    self.state, self.packets, self.reply_packets, self.bytes, self.reply_bytes)
end

-- A field a line, for bpf.vertical.
function meta:__grid()
  local rows = {}
  for i, name in ipairs(connection.FIELDS) do
    local value = self[name]
    rows[i] = { name, math.type(value) and ("%u"):format(value) or tostring(value) }
  end
  return { "field", "value" }, rows
end

-- From an entry, as tables or views.
function connection.of(key, value)
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
  }, meta)
end

local function address_of(conn, field, what)
  local text = conn[field]
  local bytes = type(text) == "string" and core.parse_address("ip", text)
  if not bytes then
    error(("%s.%s: IP address expected, got %s"):format(what, field,
      type(text) == "string" and ("%q"):format(text) or type(text)), 5)
  end
  return bytes
end

local function port_of(conn, field, what)
  local port = math.type(conn[field] or 0) and math.tointeger(conn[field] or 0)
  if not port or port < 0 or port > 65535 then
    error(("%s.%s: port from 0 to 65535 expected, got %s"):format(what, field,
      tostring(conn[field])), 5)
  end
  return port
end

local function key_of(conn, what)
  if type(conn) ~= "table" then
    error(("%s: connection expected, got %s"):format(what, type(conn)), 4)
  end
  local src, dst = address_of(conn, "src_addr", what), address_of(conn, "dst_addr", what)
  local src_port, dst_port = port_of(conn, "src_port", what), port_of(conn, "dst_port", what)
  local from = { addr = conn.src_addr, port = src_port }
  local to = { addr = conn.dst_addr, port = dst_port }
  local protocol = conn.protocol or "tcp"
  if endpoint.after(src, src_port, dst, dst_port) then
    return { a = to, b = from, protocol = protocol }, "b"
  end
  return { a = from, b = to, protocol = protocol }, "a"
end

-- The keys of connections, and which endpoint of each is the initiator's: "a" or "b".
-- Raises for what is no connection, blaming the caller's caller.
-- @tparam string what names the call in messages
function connection.keys(list, what)
  if type(list) ~= "table" then
    error(("%s: list of connections expected, got %s"):format(what, type(list)), 3)
  end
  local keys, initiators = {}, {}
  for i, conn in ipairs(list) do
    keys[i], initiators[i] = key_of(conn, ("%s: connections[%d]"):format(what, i))
  end
  return keys, initiators
end

-- What a connection's entry has as value. Times left out are now, counts 0.
function connection.value(conn, initiator, now)
  return {
    first_seen = conn.first_seen or now, last_seen = conn.last_seen or now,
    packets = conn.packets, bytes = conn.bytes,
    reply_packets = conn.reply_packets, reply_bytes = conn.reply_bytes,
    state = conn.state or "new", initiator = initiator,
  }
end

-- ---- lists that print as tables ---------------------------------------------------

-- Cells are texts, since integers are unsigned here; the columns of numbers are told apart by this.
local NUMERIC = { [5] = true, [6] = true, [7] = true, [8] = true, [9] = true, [10] = true }

local function unsigned(n)
  return ("%u"):format(n)
end

local function seconds(ns)
  return ("%.1f s"):format(math.max(ns, 0) / 1e9)
end

local function list_grid(list)
  local now, rows = bpf.now(), {}
  for i, c in ipairs(list) do
    rows[i] = { c.protocol, endpoint.text(c.src_addr, c.src_port),
      endpoint.text(c.dst_addr, c.dst_port), c.state, unsigned(c.packets), unsigned(c.bytes),
      unsigned(c.reply_packets), unsigned(c.reply_bytes), seconds(now - c.first_seen),
      seconds(now - c.last_seen), numeric = NUMERIC }
  end
  return { "protocol", "from", "to", "state", "packets", "bytes", "replies", "reply bytes", "age",
    "idle" }, rows
end

-- Makes a list of connections one that prints as a table.
function connection.list(list)
  return show.tabular(list or {}, list_grid)
end

-- The connections that map:select gives, with its options, in its order.
-- @tparam[opt] function filter called with key and value of each
-- @treturn table; nil, message, errno when the system refuses
function connection.select(map, given, filter)
  local list = {}
  local ok, err = pcall(function()
    for key, value in map:select(given) do
      if not filter or filter(key, value) then list[#list + 1] = connection.of(key, value) end
    end
  end)
  if ok then return connection.list(list) end
  if type(err) == "table" and err.errno then return nil, err.message, err.errno end
  error(err, 0)
end

-- ---- ranking -----------------------------------------------------------------------

-- Puts item into list, the best n so far, sorted by before(x, y).
function connection.keep_best(list, item, n, before)
  if #list == n and (n == 0 or not before(item, list[n])) then return end
  local i = #list < n and #list + 1 or n
  while i > 1 and before(item, list[i - 1]) do
    list[i] = list[i - 1]
    i = i - 1
  end
  list[i] = item
end

-- The bytes of both directions.
function connection.total_bytes(conn)
  return conn.bytes + conn.reply_bytes
end

local NAMES = { "protocol", "src_addr", "src_port", "dst_addr", "dst_port" }

-- By what names a connection.
local function by_name(x, y)
  for _, field in ipairs(NAMES) do
    local m, n = x[field], y[field]
    if m ~= n then
      if math.type(m) ~= math.type(n) then return math.type(m) ~= nil end
      return m < n
    end
  end
  return false
end

-- An order of connections for table.sort: numbers unsigned and the largest first, texts by the
-- alphabet, equal ones by protocol and endpoints.
-- @tparam function measure called with a connection
-- @tparam[opt] boolean ascending the smallest numbers first
function connection.order(measure, ascending)
  return function(x, y)
    local m, n = measure(x), measure(y)
    if m == n then return by_name(x, y) end
    if not (math.type(m) and math.type(n)) then return tostring(m) < tostring(n) end
    if ascending then return math.ult(m, n) end
    return math.ult(n, m)
  end
end

return connection
