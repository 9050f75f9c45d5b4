-- SPDX-License-Identifier: MIT
--
-- A service on copas: reads events from a ring buffer as they come, cleans a map
-- up every second, and ends at SIGTERM or Ctrl-C.
--
--   lua5.4 examples/loop_copas.lua        needs root, tracefs, and copas

local bpf = require "luabpf"
local copas = require "copas"

local folder <const> = arg[0]:match "^(.*)/[^/]*$" or "."

local object <close> = assert(bpf.load(folder .. "/../bpf/execs.bpf.o"))
local _ <close> = assert(object.programs.on_exec:attach())
local reader <close> = assert(object.maps.execs:reader { layout = "struct exec" })
local tick <close> = assert(bpf.timer "1s")
local stop <close> = assert(bpf.signals("TERM", "INT"))

-- What lies in the ring now.
local function read()
  for event in reader:records { timeout = "0s" } do print(event.pid, event.path) end
  io.stdout:flush()
end

-- Forgets programs that were not executed for a minute.
local function sweep()
  assert(object.maps.programs:delete_where "now - value.last_seen > 60s")
end

local running = true

-- Calls fn ten times a second: copas has no wait for what is no socket.
local function again_and_again(fn)
  copas.addthread(function()
    while running do
      fn()
      copas.sleep(0.1)
    end
  end)
end

again_and_again(read)
again_and_again(function() if tick:next "0s" then sweep() end end)
again_and_again(function()
  local name = stop:next "0s"
  if name then
    running = false
    print("ended by " .. name)
  end
end)
while running do copas.step(0.1) end
