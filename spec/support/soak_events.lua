-- SPDX-License-Identifier: MIT
--
-- The events of a soak: another process fills a ring, which is read beside a timer and signals,
-- by readers that come and go, in all ways there are. What must hold: each record comes once, in
-- order.

local bpf = require "luabpf"
local helper = require "spec.support.helper"

local events = {}
events.__index = events

-- Sends until the control map says stop.
local SEND <const> = [[
  local path, control = ...
  local program, stop = assert(bpf.open_program(path)), bpf.open(math.tointeger(control))
  while stop:lookup(0) == 0 do
    assert(program:run())
    bpf.sleep "500us"
  end
]]

function events:see(number)
  assert(number == self.expected,
    ("record %d came in the place of %d"):format(number, self.expected))
  self.expected = number + 1
end

-- Ways to read what lies in the ring, or some of it.
local ways = {
  function(self, reader)
    for event in reader:records { timeout = "0s", limit = 100 } do self:see(event.number) end
  end,
  function(self, reader)
    for batch in reader:batches { timeout = "2ms", batch_size = 50 } do
      for view in batch:views() do self:see(view.number) end
    end
  end,
  function(self, reader)
    local event = reader:next "1s"
    if event then self:see(event.number) end
  end,
  function(self, reader)
    for event in reader:records() do
      self:see(event.number)
      if event.number % 7 == 0 then break end
    end
  end,
  function(self, reader)
    pcall(function()
      for event in reader:records { timeout = "1s" } do
        self:see(event.number)
        error "left"
      end
    end)
  end,
}

--- Waits for several things at once, and reads.
function events:round(round)
  local reader <close> = assert(self.ring:reader { layout = "struct event", take = true })
  local tick <close> = assert(bpf.timer "3ms")
  local stop <close> = assert(bpf.signals "USR2")
  if round % 4 == 0 then os.execute "kill -USR2 $PPID" end
  local ticks, signal = 0, round % 4 ~= 0
  while ticks < 3 or not signal do
    for _, ready in ipairs(assert(bpf.poll({ reader, tick, stop }, "5s"))) do
      if ready == tick then ticks = ticks + (tick:next "0s" or 0) end
      if ready == stop then signal = stop:next "0s" == "USR2" end
      if ready == reader then ways[round % #ways + 1](self, reader) end
    end
  end
end

--- What is left comes too, and nothing is missing. Ends the other process.
function events:close()
  self.process:close()
  local reader <close> = assert(self.ring:reader { layout = "struct event", take = true })
  for event in reader:records { timeout = "0s" } do self:see(event.number) end
  assert(self.expected == self.object.globals.next, "records are missing")
  os.remove(self.path)
  self.object:close()
end

--- Loads the program and starts who runs it, until the control map says stop.
function events.open(control)
  local self = setmetatable({ expected = 0, path = helper.pin() }, events)
  self.object = assert(bpf.load "bpf/events.bpf.o")
  self.ring, self.object.globals.times = self.object.maps.ring, 20
  assert(self.object.programs.send:pin(self.path))
  self.process = helper.process(SEND, self.path, control:info().id)
  return self
end

return events
