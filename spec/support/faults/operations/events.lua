-- SPDX-License-Identifier: MIT
--
-- Operations of events: readers, writers, signals, timers.

local bpf = require "luabpf"
local operations = require "spec.support.faults.operations"

local add = operations.add

local function object(e)
  e.object = e:own(assert(bpf.load "bpf/events.bpf.o"))
  e.ring = e.object.maps.ring
end

-- Three records wait in the ring.
local function sent(e)
  object(e)
  e.object.globals.times = 3
  assert(e.object.programs.send:run())
end

local function with_reader(e)
  sent(e)
  e.reader = e:own(assert(e.ring:reader { layout = "struct event", take = true }))
end

local function some() return true end

add { name = "map:reader", setup = object, once = true, run = function(e)
  return e.ring:reader { layout = "struct event", take = true }
end, right = function(e, reader)
  e:own(reader)
  return not reader:closed()
end }

add { name = "reader:records", setup = with_reader, once = true, run = function(e)
  local n = 0
  for event in e.reader:records { timeout = "0s" } do n = n + (event.number >= 0 and 1 or 0) end
  return n
end, right = function(_, n) return n == 3 end }

for method, count in pairs {
  views = function(batch)
    local n = 0
    for view in batch:views() do n = n + (view.number >= 0 and 1 or 0) end
    return n
  end,
  records = function(batch)
    local n = 0
    for event in batch:records() do n = n + #event.comm // #event.comm end
    return n
  end,
  record = function(batch) return batch:record(1).number + 3 end,
  packed = function(batch) return #batch:packed(1) // 64 + 2 end,
  sum = function(batch) return (select(2, batch:sum "length")) end,
} do
  add { name = "events:" .. method, setup = with_reader, once = true, run = function(e)
    local n = 0
    for batch in e.reader:batches { timeout = "0s" } do n = n + count(batch) end
    return n
  end, right = function(_, n) return n == 3 end }
end

add { name = "reader:batches", setup = with_reader, once = true, run = function(e)
  local n = 0
  for batch in e.reader:batches { timeout = "0s", batch_size = 2 } do n = n + #batch end
  return n
end, right = function(_, n) return n == 3 end }

add { name = "reader:next", setup = with_reader, once = true,
  run = function(e) return e.reader:next "1s" end,
  right = function(_, event) return event.number == 0 end }

for _, method in ipairs { "stats", "closed", "pollfd", "events", "timeout", "getfd", "dirty" } do
  add { name = "reader:" .. method, setup = with_reader, once = true,
    run = function(e) return { e.reader[method](e.reader) } end,
    right = function(_, result) return result[1] ~= nil end }
end

add { name = "reader:close", setup = with_reader, once = true,
  run = function(e) return e.reader:close() end,
  right = function(e) return e.reader:closed() end }

-- ---- perf buffers ----------------------------------------------------------------

local FRAME <const> = ("x"):rep(64)

local function perf_reader(e)
  return e.object.maps.perf:reader { layout = "struct event", take = true, pages = 1 }
end

local function send_perf(e)
  return e.object.programs.send_perf:run { data = FRAME, times = 3 }
end

add { name = "map:reader, perf buffers", setup = object, once = true, run = perf_reader,
  right = function(e, reader)
    e:own(reader)
    return send_perf(e) and reader:next("1s").number == 0
  end }

local function with_perf(e)
  object(e)
  e.reader = e:own(assert(perf_reader(e)))
  assert(send_perf(e))
end

add { name = "reader:records, perf buffers", waits = true, setup = with_perf, once = true,
  run = function(e)
  local n = 0
  for event in e.reader:records { timeout = "0s" } do n = n + (event.number >= 0 and 1 or 0) end
  return n
end, right = function(_, n) return n == 3 end }

add { name = "reader:close, perf buffers", setup = with_perf, once = true,
  run = function(e) return e.reader:close() end,
  right = function(e) return e.reader:closed() end }

-- ---- writers ---------------------------------------------------------------------

local function with_writer(e)
  object(e)
  e.writer = e:own(assert(e.object.maps.commands:writer { layout = "struct command" }))
end

add { name = "map:writer", setup = object, once = true, run = function(e)
  return e.object.maps.commands:writer { layout = "struct command" }
end, right = function(e, writer) return e:own(writer) ~= nil end }

add { name = "writer:write", setup = with_writer, once = true,
  run = function(e) return e.writer:write { number = 1, value = 2 } end, right = some }

add { name = "writer:close", setup = with_writer, once = true,
  run = function(e) return e.writer:close() end, right = some }

-- ---- waiting ---------------------------------------------------------------------

local function nothing() end
local function with_timer(e) e.timer = e:own(assert(bpf.timer "1ms")) end
local function with_signals(e) e.signals = e:own(assert(bpf.signals "USR2")) end

add { name = "bpf.timer", setup = nothing, run = function() return bpf.timer "1ms" end,
  right = function(e, timer) return e:own(timer):next() >= 1 end }
add { name = "bpf.signals", setup = nothing, run = function() return bpf.signals "USR2" end,
  right = function(e, signals) return e:own(signals):pollfd() >= 0 end }
add { name = "bpf.poll", setup = with_timer,
  run = function(e) return bpf.poll({ e.timer }, "1s") end,
  right = function(_, ready) return type(ready) == "table" end }
add { name = "bpf.poll, readers", setup = with_reader, once = true,
  run = function(e) return bpf.poll({ e.reader }, "1s") end,
  right = function(e, ready) return ready[1] == e.reader end }
-- Again after a signal that a handler took, which is an answer.
local function next_due(e)
  local n, why, errno
  repeat n, why, errno = e.timer:next "1s" until why ~= "signal"
  return n, why, errno
end

add { name = "timer:next", waits = true, setup = with_timer, run = next_due,
  right = function(_, n) return n >= 1 end }
add { name = "signals:next", setup = with_signals,
  run = function(e)
    local name, why, errno = e.signals:next "0s"
    if errno then return nil, why, errno end
    return { name, why }
  end,
  right = function(_, result) return result[2] == "timeout" end }

for _, method in ipairs { "pollfd", "events", "timeout", "getfd", "dirty", "close" } do
  add { name = "timer:" .. method, setup = with_timer, once = true,
    run = function(e) return { e.timer[method](e.timer) } end, right = some }
  add { name = "signals:" .. method, setup = with_signals, once = true,
    run = function(e) return { e.signals[method](e.signals) } end, right = some }
end

-- ---- stacks ----------------------------------------------------------------------

local function stack(e)
  object(e)
  assert(e.object.programs.take_stacks:run())
  e.stacks, e.id = e.object.maps.stacks, e.object.globals.kernel_stack
  e.address = assert(e.stacks:lookup(e.id))[1]
end

add { name = "bpf.symbol", setup = stack, run = function(e) return bpf.symbol(e.address) end,
  right = function(_, name) return name:find "+0x" ~= nil end }
add { name = "map:stack", setup = stack, run = function(e) return e.stacks:stack(e.id) end,
  right = function(e, names) return #names == #e.stacks:lookup(e.id) end }
