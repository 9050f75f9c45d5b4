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

-- How long records take from their sending to their reading by luabpf: adds n times, ns, to a list.
local function in_views(reader, n, list)
  for batch in reader:batches { limit = n, timeout = "60s" } do
    for event in batch:views() do list[#list + 1] = bpf.now() - event.when end
  end
end

local function in_tables(reader, n, list)
  for event in reader:records { limit = n, timeout = "60s" } do
    list[#list + 1] = bpf.now() - event.when
  end
end

-- Records of one turn of a side, and turns.
local WAKES <const>, TURNS <const> = 60, 5

-- A record every 2 ms, waited for by luabpf and by C, which take turns: the median times' ratio.
local function wakes(name, limit, read)
  return { name = "events: " .. name, limit = limit, unit = "factor", prepare = open,
    finish = close, measure = function(bench)
      local events, ours, c = bench.events, {}, {}
      events.object.globals.times = 1
      for turn = 1, TURNS do
        events.sender:task("send " .. WAKES)
        c[turn] = tonumber((events.c:task("wait " .. WAKES):match "median=(%d+)"))
        events.sender:task("send " .. WAKES)
        local reader <close> = assert(events.object.maps.ring:reader { layout = "struct event",
          take = true })
        read(reader, WAKES, ours)
      end
      events.object.globals.times = ROUND
      return harness.median(ours) / harness.median(c)
    end }
end

return {
  figure("read through views, one field", 4.0, through_views),
  figure("summed by batch:sum", 1.6, in_c),
  figure("decoded tables", 15, decoded),
  wakes("from wake-up to the first record, against epoll in C", 1.3, in_views),
  wakes("from wake-up to the first record, decoded", 1.6, in_tables),
}
