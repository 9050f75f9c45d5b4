-- SPDX-License-Identifier: MIT
--
-- Top talkers: the connections that sent the most since the last look.
--
--   lua5.4 top.lua [PIN [EVERY [ROUNDS]]]
--
-- Without a PIN it starts a tracker of its own, on the whole machine.

local USAGE <const> = [=[
lua5.4 top.lua [PIN [EVERY [ROUNDS]]]

Shows the connections that sent the most since the last look, and bytes a second.

  PIN     where a tracker is pinned; without one a tracker is started, on the whole machine
  EVERY   the time between two looks (2s)
  ROUNDS  how many looks (until it is interrupted)]=]

if arg[1] == "--help" or arg[1] == "-h" then
  print(USAGE)
  os.exit()
end

local bpf = require "luabpf"
local conntrack = require "luabpf.conntrack"
local show = require "luabpf.show.show"

local LINES <const> = 15

local pin, every = arg[1], arg[2] or "2s"
local rounds = tonumber(arg[3]) or math.huge

-- Bytes of both directions by connection.
local function totals(tracker)
  local bytes = {}
  for _, c in ipairs(assert(tracker:list())) do
    local name = ("%s %s:%d > %s:%d"):format(c.protocol, c.src_addr, c.src_port, c.dst_addr,
      c.dst_port)
    bytes[name] = c.bytes + c.reply_bytes
  end
  return bytes
end

-- A line per connection that sent something: what, bytes a second.
local function rates(before, after, seconds)
  local rows = {}
  for name, bytes in pairs(after) do
    local rate = (bytes - (before[name] or 0)) / seconds
    if rate > 0 then rows[#rows + 1] = { name, math.tointeger(rate // 1) } end
  end
  table.sort(rows, function(x, y)
    if x[2] ~= y[2] then return x[2] > y[2] end
    return x[1] < y[1]
  end)
  return rows
end

local tracker <close> = assert((pin and conntrack.open or conntrack.start)(pin))
local before, then_ns = totals(tracker), bpf.now()
while rounds > 0 and bpf.sleep(every) do
  local after, now_ns = totals(tracker), bpf.now()
  local rows = rates(before, after, (now_ns - then_ns) / 1e9)
  print(("\n%d connections, %d of them active"):format(tracker.map:count(), #rows))
  print(show.table({ "connection", "bytes/s" }, table.move(rows, 1, LINES, 1, {})))
  before, then_ns, rounds = after, now_ns, rounds - 1
end
