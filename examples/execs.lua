-- SPDX-License-Identifier: MIT
--
-- Which programs are executed, as it happens.

local USAGE <const> = [=[
lua5.4 examples/execs.lua [SECONDS]

Prints each program that is executed anywhere on the machine: its process, user, and path.
Needs root, and tracefs (mount -t tracefs tracefs /sys/kernel/tracing).

  SECONDS  how long (until it is interrupted)]=]

if arg[1] == "--help" or arg[1] == "-h" then
  print(USAGE)
  os.exit()
end

local bpf = require "luabpf"

local folder <const> = arg[0]:match "^(.*)/[^/]*$" or "."

local object <close> = assert(bpf.load(folder .. "/../bpf/execs.bpf.o"))
local _ <close> = assert(object.programs.on_exec:attach())
local reader <close> = assert(object.maps.execs:reader { layout = "struct exec" })

print(("%-8s %-8s %-16s %s"):format("PID", "UID", "NAME", "PATH"))
for event in reader:records { timeout = arg[1] and arg[1] .. "s" } do
  print(("%-8d %-8d %-16s %s"):format(event.pid, event.uid, event.comm, event.path))
  io.stdout:flush()
end
if object.globals.missed > 0 then
  io.stderr:write(object.globals.missed, " more that the ring had no room for\n")
end
