-- SPDX-License-Identifier: MIT
--
-- Waiting (lua/luabpf/event/wait.lua): signals, timers, several at once.

local bpf = require "luabpf"
local helper = require "spec.support.helper"

local raises = helper.raises

local function kill(signal)
  os.execute(("kill -%s $PPID"):format(signal))
end

describe("signals", function()
  it("come by name, in place of their handlers", function()
    local stop <close> = assert(bpf.signals("TERM", "USR1"))
    kill "TERM"
    assert.equal("TERM", stop:next "5s")
    kill "USR1"
    assert.equal("USR1", stop:next "5s")
    assert.same({ nil, "timeout" }, { stop:next "10ms" })
  end)

  it("are let through again when it is closed", function()
    local process = helper.process [[
      do
        local stop <close> = bpf.signals("TERM")
        os.execute "kill -TERM $PPID"
        print(stop:next "5s")
      end
      io.stdout:flush()
      os.execute "kill -TERM $PPID"
      print "not reached"
    ]]
    assert.equal("TERM\n", process:read "a")
    process:close()
  end)

  it("must be known", function()
    raises("no signal \"SIGTERM\"", bpf.signals, "SIGTERM")
    raises("name of a signal expected", bpf.signals)
  end)
end)

describe("a timer", function()
  it("is due again and again, and says how often it was", function()
    local tick <close> = assert(bpf.timer "20ms")
    assert.is_true(tick:next "5s" >= 1)
    bpf.sleep "100ms"
    assert.is_true(tick:next "5s" >= 3)
    tick:close()
    raises("timer is closed", tick.next, tick)
  end)

  it("wants a time", function()
    raises("timer: integer or text", bpf.timer, "often")
    raises("timer: a time from 1 ns expected", bpf.timer, 0)
  end)
end)

describe("poll", function()
  it("gives those that are ready, and none at the timeout", function()
    local tick <close> = assert(bpf.timer "30ms")
    local slow <close> = assert(bpf.timer "10h")
    local stop <close> = assert(bpf.signals "USR2")
    assert.same({}, bpf.poll({ slow, stop }, "10ms"))
    local ready = bpf.poll({ slow, tick, stop }, "5s")
    assert.equal(1, #ready)
    assert.equal(tick, ready[1])
    assert.is_true(tick:next "0s" >= 1)
    kill "USR2"
    assert.equal(stop, bpf.poll({ slow, stop }, "5s")[1])
    assert.equal("USR2", stop:next "0s") -- or it is delivered when stop is closed
  end)

  it("knows readers", function()
    local object <close> = assert(bpf.load "bpf/events.bpf.o")
    local reader <close> = assert(object.maps.ring:reader { layout = "struct event" })
    assert.same({}, bpf.poll({ reader }, "10ms"))
    assert(object.programs.send:run())
    assert.same({ reader }, bpf.poll({ reader }, "5s"))
    assert.equal(0, reader:next("0s").number)
    assert.same({}, bpf.poll({ reader }, "10ms"))
  end)

  it("goes on after the process was stopped", function()
    local process = helper.process [[
      local tick <close> = bpf.timer "10h"
      os.execute "(sleep 0.3; kill -STOP $PPID; sleep 0.2; kill -CONT $PPID) &"
      print(#bpf.poll({ tick }, "2s"))
    ]]
    assert.equal("0\n", process:read "a")
    process:close()
  end)

  it("waits for what others want: to read, to write, a time", function()
    local path = os.tmpname()
    os.remove(path)
    assert(os.execute("mkfifo " .. path))
    local file <close> = assert(io.open(path, "r+")) -- can be written, and has nothing to read
    os.remove(path)
    local fd
    local list <close> = assert(io.popen
      "cd /proc/$PPID/fd; for f in *; do readlink $f; echo $f; done")
    for line in list:lines() do
      if fd == true then fd = math.tointeger(line) end
      if line:find(path, 1, true) then fd = true end
    end
    local function wait(events, timeout)
      local each = { pollfd = function() return fd end, events = events, timeout = timeout }
      return bpf.poll({ each }, "20ms")[1] == each
    end
    assert.is_false(wait(nil))
    assert.is_false(wait "r")
    assert.is_true(wait "w")
    assert.is_true(wait(function() return "rw" end))
    assert.is_true(wait("r", 0))
    assert.is_true(wait("r", function() return 0.0 end))
    assert.is_false(wait("r", 0.001))
    assert(file:write("x"))
    assert(file:flush())
    assert.is_true(wait "r")
    assert.is_true(#bpf.poll({ { pollfd = fd } }, "5s") == 1)
  end)

  it("says that a descriptor is closed", function()
    local tick <close> = assert(bpf.timer "10h")
    local _, message, errno = bpf.poll({ tick, { pollfd = 3999 } }, "5s")
    assert.equal("poll: Bad file descriptor", message)
    assert.equal(9, errno)
  end)

  it("names what cannot be waited for", function()
    raises("poll: list[1]: has no pollfd", bpf.poll, { {} })
    raises("poll: list of what can be waited for expected", bpf.poll, 5)
    raises("poll: integer or text", bpf.poll, {}, "soon")
    raises("poll: nothing to wait for", bpf.poll, {})
    local tick <close> = assert(bpf.timer "10h")
    raises("poll: list[2]: has no pollfd: nil", bpf.poll, { tick, nil, tick }, "5s")
    assert.equal(1, #bpf.poll({ tick, { pollfd = tick:pollfd(), dirty = 1 } }, "5s"))
  end)
end)
