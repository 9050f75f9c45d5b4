-- SPDX-License-Identifier: MIT
--
-- A service on luv (libuv): reads events from a ring buffer as they come, cleans a map
-- up every second, and ends at SIGTERM or Ctrl-C.
--
--   lua5.4 examples/loop_luv.lua        needs root, tracefs, and lua-luv

local bpf = require "luabpf"
local uv = require "luv"

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

local polls = {}

-- Calls fn whenever each is ready.
local function whenever(each, fn)
  local poll = uv.new_poll(each:pollfd())
  poll:start("r", fn)
  polls[#polls + 1] = poll
end

whenever(reader, read)
whenever(tick, function() if tick:next "0s" then sweep() end end)

-- What was sent without a wake-up is found by looking.
local look = uv.new_timer()
look:start(100, 100, read)

-- The loop ends when nothing is left that it waits for.
whenever(stop, function()
  for _, poll in ipairs(polls) do poll:close() end
  look:close()
end)
uv.run()
print("ended by " .. stop:next "0s")
