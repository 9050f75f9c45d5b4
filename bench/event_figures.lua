-- SPDX-License-Identifier: MIT
--
-- The figures of events: a ring buffer read by luabpf and by C over libbpf
-- (events.c); what fills it is counted on both sides. See figures.lua for the
-- form of a figure.

local bpf = require "luabpf"
local harness = require "bench.harness"

-- The ring has room for as many records as one run of the program sends.
local ROUND <const>, RECORDS <const> = 900, 450000

local folder <const> = arg[0]:match "^(.*)/[^/]*$" or "."

-- Loads the program, and starts the C side on pins of it.
local function open(bench)
  local object = assert(bpf.load(folder .. "/../bpf/events.bpf.o"))
  local pins = { bench.pin .. "_ring", bench.pin .. "_send" }
  assert(object.maps.ring:pin(pins[1]))
  assert(object.programs.send:pin(pins[2]))
  object.globals.times = ROUND
  bench.events = { object = object, pins = pins,
    reader = assert(object.maps.ring:reader { layout = "struct event", take = true }),
    c = harness.process("events", pins[1], pins[2]),
    sender = harness.process("events", pins[1], pins[2]) }
  bench.events.reader:close()
end

local function close(bench)
  local events = bench.events
  events.c:close()
  events.sender:close()
  for _, pin in ipairs(events.pins) do os.remove(pin) end
  events.object:close()
  bench.events = nil
end

-- Runs the program and read(reader) until all records were read: what read adds up.
local function consume(read)
  return function(bench)
    local events, sum, rounds = bench.events, 0, RECORDS // ROUND
    local reader <close> = assert(events.object.maps.ring:reader { layout = "struct event",
      take = true })
    for _ = 1, rounds do
      assert(events.object.programs.send:run())
      sum = sum + read(reader)
    end
    return "sum=" .. sum
  end
end

local through_views = consume(function(reader)
  local sum = 0
  for batch in reader:batches { timeout = "0s" } do
    for event in batch:views() do sum = sum + event.length end
  end
  return sum
end)

local in_c = consume(function(reader)
  local sum = 0
  for batch in reader:batches { timeout = "0s" } do sum = sum + batch:sum "length" end
  return sum
end)

local decoded = consume(function(reader)
  local sum = 0
  for event in reader:records { timeout = "0s" } do sum = sum + event.length end
  return sum
end)

local function figure(name, limit, run)
  return { name = "events: " .. name, limit = limit, prepare = open, finish = close, run = run,
    c = function(bench) return bench.events.c end, task = "consume " .. RECORDS,
    per = function() return RECORDS end }
end

-- Median nanoseconds from the sending of a record to its reading by luabpf.
local function latency(bench, n)
  local events, list = bench.events, {}
  local reader <close> = assert(events.object.maps.ring:reader { layout = "struct event",
    take = true })
  for event in reader:records { limit = n, timeout = "60s" } do
    list[#list + 1] = bpf.now() - event.when
  end
  return (harness.median(list))
end

local WAKES <const> = 300

return {
  figure("read through views, one field", 4.0, through_views),
  figure("summed by batch:sum", 1.6, in_c),
  figure("decoded tables", 15, decoded),
  { name = "events: from wake-up to the first record, against epoll in C", limit = 1.3,
    unit = "factor", prepare = open, finish = close,
    measure = function(bench)
      bench.events.object.globals.times = 1
      bench.events.sender:task("send " .. WAKES)
      local ours = latency(bench, WAKES)
      bench.events.sender:task("send " .. WAKES)
      local c = bench.events.c:task("wait " .. WAKES):match "median=(%d+)"
      bench.events.object.globals.times = ROUND
      return ours / tonumber(c)
    end },
}
