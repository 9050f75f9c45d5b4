-- SPDX-License-Identifier: MIT
--
-- A sweeper: takes what is idle out of the table of a tracker that was started
-- with a pin, again and again.
--
--   lua5.4 sweep.lua [PIN [IDLE [EVERY [ROUNDS]]]]   lua5.4 sweep.lua /sys/fs/bpf/conns 5m 30s

local USAGE <const> = [=[
lua5.4 sweep.lua [PIN [IDLE [EVERY [ROUNDS]]]]

Deletes idle connections from the table of a tracker that was started with a pin.

  PIN     where the tracker is pinned (/sys/fs/bpf/conns)
  IDLE    how long a connection may be silent (5m)
  EVERY   the time between two sweeps (30s)
  ROUNDS  how many sweeps (until it is interrupted)]=]

if arg[1] == "--help" or arg[1] == "-h" then
  print(USAGE)
  os.exit()
end

local bpf = require "luabpf"
local conntrack = require "luabpf.conntrack"

local pin, idle, every = arg[1], arg[2] or "5m", arg[3] or "30s"
local rounds = tonumber(arg[4]) or math.huge

local tracker <close> = assert(conntrack.open(pin or "/sys/fs/bpf/conns"))
repeat
  local report = assert(tracker:cleanup { idle = idle, per_state = { closed = "5s" } })
  print(("%d of %d connections deleted; %d were about to be, and came back to life"):format(
    report.deleted, report.visited, report.kept))
  rounds = rounds - 1
until rounds < 1 or not bpf.sleep(every)
