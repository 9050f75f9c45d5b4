-- SPDX-License-Identifier: MIT
--
-- A sweeper: deletes what is idle from a map, again and again. The map of a tracker that was
-- started with a pin, or any other.
--
--   lua5.4 sweep.lua [PIN [IDLE [EVERY [ROUNDS]]]]
--   lua5.4 sweep.lua /sys/fs/bpf/conns 5m 30s
--   lua5.4 sweep.lua /sys/fs/bpf/limits "now - value.last_seen > 5m" 30s

local USAGE <const> = [=[
lua5.4 sweep.lua [PIN [IDLE [EVERY [ROUNDS]]]]

Deletes idle entries from a map: of a connection tracker that was started with a pin, or any other.

  PIN     where the tracker or map is pinned, or the map's name or id (/sys/fs/bpf/conns)
  IDLE    how long a connection may be silent (5m), or a condition for what is deleted:
          "now - value.last_seen > 5m"
  EVERY   the time between two sweeps (30s)
  ROUNDS  how many sweeps (until it is interrupted)]=]

if arg[1] == "--help" or arg[1] == "-h" then
  print(USAGE)
  os.exit()
end

local bpf = require "luabpf"
local conntrack = require "luabpf.conntrack"

local function fail(message)
  io.stderr:write("sweep.lua: ", message, "\n")
  os.exit(2)
end

-- A word of the command line as ns; nil for what is no time.
local function time(text)
  local ok, ns = pcall(bpf.duration, text)
  return ok and ns or nil
end

local which, idle = arg[1] or "/sys/fs/bpf/conns", arg[2] or "5m"
local every = time(arg[3] or "30s") or fail(("EVERY is a time as 30s, not %q"):format(arg[3]))
local rounds = tonumber(arg[4] or math.huge) or fail(("ROUNDS is a number, not %q"):format(arg[4]))

-- A function that sweeps once, and gives a report and what was swept.
local function sweeper()
  local tracker = which:find("/", 1, true) and time(idle) and conntrack.open(which)
  if tracker then
    return function()
      return assert(tracker:cleanup { idle = idle, per_state = { closed = "5s" } }), "connections"
    end
  end
  local map = assert(bpf.open(math.tointeger(tonumber(which)) or which))
  if time(idle) then
    fail(('%s is no tracker: say what is idle, as "now - value.last_seen > %s"'):format(which,
      idle))
  end
  local ok, where = pcall(bpf.compile, idle, map)
  if not ok then fail(where) end
  return function() return assert(map:delete_where(where)), "entries" end
end

local sweep = sweeper()
repeat
  local report, what = sweep()
  print(("%d of %d %s deleted; %d were about to be, and came back to life"):format(
    report.deleted, report.visited, what, report.kept))
  rounds = rounds - 1
until rounds < 1 or not bpf.sleep(every)
