-- SPDX-License-Identifier: MIT
--
-- A service on cqueues: reads events from a ring buffer as they come, cleans a map
-- up every second, and ends at SIGTERM or Ctrl-C.
--
--   lua5.4 examples/loop_cqueues.lua        needs root, tracefs, and lua-cqueues

local bpf = require "luabpf"
local cqueues = require "cqueues"

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

local loop = cqueues.new()
local running = true

-- A coroutine that calls fn whenever each is ready, until the service ends.
local function whenever(each, fn)
  loop:wrap(function()
    while running do
      cqueues.poll(each, stop)
      fn()
    end
  end)
end

whenever(reader, read)
whenever(tick, function() if tick:next "0s" then sweep() end end)
loop:wrap(function()
  cqueues.poll(stop)
  running = false
end)
assert(loop:loop())
print("ended by " .. stop:next "0s")
