-- SPDX-License-Identifier: MIT
--
-- How long waits take: they do not spin, end with Ctrl-C and signals, find what was sent without
-- a wake-up, and are not held by a ring that is filled for ever. The bounds here are wide: what is
-- promised and was measured is in docs/events.md.

local bpf = require "luabpf"
local helper = require "spec.support.helper"
local system = require "spec.support.system"

local object, ring, globals, programs
local pins = {}

local function pinned(program)
  local path = helper.pin()
  assert(program:pin(path))
  pins[#pins + 1] = path
  return path
end

local function before()
  object = assert(bpf.load "bpf/events.bpf.o")
  ring, globals, programs = object.maps.ring, object.globals, object.programs
end

local function after()
  for _, path in ipairs(pins) do os.remove(path) end
  pins = {}
  object:close()
end

local function seconds(call)
  local began = bpf.now()
  call()
  return (bpf.now() - began) / 1e9
end

-- All kinds of wait that there are, each for 30 s at most; `ended` is what a handler's signal makes
-- of them.
local waits = {
  ["reader:next"] = function(things) return select(2, things.reader:next "30s") end,
  ["reader:records"] = function(things)
    for _ in things.reader:records { timeout = "30s" } do error "a record" end
    return "signal"
  end,
  ["reader:batches"] = function(things)
    for _ in things.reader:batches { timeout = "30s" } do error "a batch" end
    return "signal"
  end,
  ["next of perf buffers"] = function(things) return select(2, things.perf:next "30s") end,
  ["timer:next"] = function(things) return select(2, things.timer:next "30s") end,
  ["signals:next"] = function(things) return select(2, things.signals:next "30s") end,
  ["bpf.poll"] = function(things)
    return select(2, bpf.poll({ things.reader, things.perf, things.timer, things.signals }, "30s"))
  end,
  ["bpf.poll of nothing"] = function() return select(2, bpf.poll({}, "30s")) end,
  ["bpf.sleep"] = function() return bpf.sleep "30s" == false and "signal" end,
}

describe("every wait", function()
  local things

  before_each(function()
    before()
    things = { reader = assert(ring:reader()), perf = assert(object.maps.perf:reader()),
      timer = assert(bpf.timer "10h"), signals = assert(bpf.signals "USR2") }
  end)
  after_each(function()
    system.storm(0)
    for _, each in pairs(things) do each:close() end
    after()
  end)

  for name, wait in pairs(waits) do
    it(("ends early with a signal that a handler took: %s"):format(name), function()
      system.storm(150000)
      local why
      local took = seconds(function() why = wait(things) end)
      assert.equal("signal", why)
      assert.is_true(took < 15, took)
    end)

    it(("is ended by Ctrl-C: %s"):format(name), function()
      local ok, message
      local took = seconds(function()
        system.interrupt(150000)
        ok, message = pcall(wait, things)
      end)
      assert.is_false(ok)
      assert.matches("interrupted!", message)
      assert.is_true(took < 15, took)
    end)
  end

  it("goes on where the process was stopped meanwhile", function()
    local process = helper.process([[
      local map = bpf.open(math.tointeger(...))
      local reader = assert(map:reader { take = true })
      local tick, stop = bpf.timer "10h", bpf.signals "USR1"
      os.execute "(sleep 0.3; kill -STOP $PPID; sleep 0.2; kill -CONT $PPID) >/dev/null &"
      print(select(2, reader:next "1s"))
      os.execute "(sleep 0.3; kill -STOP $PPID; sleep 0.2; kill -CONT $PPID) >/dev/null &"
      local ready, why = bpf.poll({ reader, tick, stop }, "1s")
      print(#ready, why)
    ]], ring:info().id)
    assert.equal("timeout\n0\tnil\n", process:read "a")
    process:close()
  end)
end)

describe("a ring", function()
  before_each(before)
  after_each(after)

  it("that is filled for ever does not hold a bounded loop", function()
    local reader <close> = assert(ring:reader { layout = "struct event" })
    globals.last, globals.times = math.maxinteger, 500
    local process = helper.process([[
      local program = assert(bpf.open_program(...))
      while assert(program:run()).retval == 0 do end
    ]], pinned(programs.send))
    reader:next "10s" -- it is at work
    local seen = 0
    local took = seconds(function()
      for _ in reader:records { timeout = "100ms" } do seen = seen + 1 end
    end)
    assert.is_true(took >= 0.1 and took < 15, took)
    took = seconds(function()
      for batch in reader:batches { timeout = "100ms" } do seen = seen + #batch end
    end)
    assert.is_true(took >= 0.1 and took < 15, took)
    took = seconds(function()
      for batch in reader:batches { timeout = "0s" } do seen = seen + #batch end
    end)
    assert.is_true(took < 15, took)
    assert.is_true(seen > 1000)
    globals.last = 1
    process:close()
  end)

  it("whose head is busy is waited for without spinning, in bpf.poll as well", function()
    local reader <close> = assert(ring:reader { layout = "struct event" })
    local path = pinned(programs.send_late)
    globals.late = 600000000
    for _, wait in ipairs {
      function() return reader:next "20s" end,
      function()
        local ready = bpf.poll({ reader }, "20s")
        return ready[1] == reader and reader:next "0s"
      end,
      function() for event in reader:records { timeout = "20s" } do return event end end,
    } do
      local process = helper.process([[
        local program = assert(bpf.open_program(...))
        print "ready" io.stdout:flush()
        program:run()
      ]], path)
      assert.equal("ready", process:read "l")
      while reader:stats().backlog == 0 do bpf.sleep "1ms" end -- it is reserved
      local event
      local taken = helper.steps(function() event = wait() end)
      assert.equal("table", type(event))
      assert.is_true(taken < 10000, taken)
      process:close()
    end
  end)

  it("that was written without a wake-up is found by every wait", function()
    local reader <close> = assert(ring:reader { layout = "struct event" })
    local path = pinned(programs.send)
    globals.wake = 1 -- BPF_RB_NO_WAKEUP
    for _, wait in ipairs {
      function() return reader:next "20s" end,
      function() return bpf.poll({ reader }, "20s")[1] and reader:next "0s" end,
      function() for event in reader:records { timeout = "20s" } do return event end end,
    } do
      local process = helper.process([[
        local program = assert(bpf.open_program(...))
        bpf.sleep "200ms"
        program:run()
      ]], path)
      local event
      local took = seconds(function() event = wait() end)
      assert.equal("table", type(event))
      assert.is_true(took < 15, took)
      process:close()
    end
  end)
end)
