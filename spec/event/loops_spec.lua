-- SPDX-License-Identifier: MIT
--
-- Readers, signals and timers in the loops of other libraries: the scripts of
-- examples/, and socket.select, which asks for getfd and dirty.

local bpf = require "luabpf"
local helper = require "spec.support.helper"
local support = require "spec.support.objects"

-- Runs an example until it has printed an event, then sends SIGTERM: what it printed last, and
-- whether it ended well.
local function run(name)
  local tracefs = support.exists "/sys/kernel/tracing/events" and ""
    or "mount -t tracefs tracefs /sys/kernel/tracing && "
  local command = " sh -c \"%secho \\$\\$; LUA_PATH='%s' LUA_CPATH='%s' "
    .. "exec lua5.4 examples/%s\" 2>&1"
  local pipe = assert(io.popen(support.unshare()
    .. command:format(tracefs, package.path, package.cpath, name)))
  local pid = pipe:read "l"
  local others = assert(io.popen "for i in 1 2 3 4 5 6 7 8 9; do sleep 0.3; /bin/true; done")
  local line = pipe:read "l"
  assert(line and line:find "/", line)
  os.execute("kill -TERM " .. pid)
  local last
  for each in pipe:lines() do last = each end
  others:close()
  return last, pipe:close()
end

describe("a loop of", function()
  for _, name in ipairs { "cqueues", "luv" } do
    it(name .. " reads a ring, sweeps from a timer, and ends at SIGTERM", function()
      local last, ok = run(("loop_%s.lua"):format(name))
      assert.equal("ended by TERM", last)
      assert.is_true(ok)
    end)
  end

  it("socket.select knows what is ready", function()
    local socket = require "socket"
    local object <close> = assert(bpf.load "bpf/events.bpf.o")
    local reader <close> = assert(object.maps.ring:reader { layout = "struct event" })
    local tick <close> = assert(bpf.timer "10h")
    local ready = socket.select({ reader, tick }, nil, 0.01)
    assert.equal(0, #ready)
    assert(object.programs.send:run())
    ready = socket.select({ reader, tick }, nil, 5)
    assert.equal(1, #ready)
    assert.equal(reader, ready[1])
    assert.equal(0, reader:next("0s").number)
    ready = socket.select({ reader, tick }, nil, 0.01)
    assert.equal(0, #ready)
    helper.close_all()
  end)
end)

describe("examples/execs.lua", function()
  it("prints what is executed", function()
    local tracefs = support.exists "/sys/kernel/tracing/events" and ""
      or "mount -t tracefs tracefs /sys/kernel/tracing && "
    local command = " sh -c \"%s(sleep 0.7; /bin/true) & LUA_PATH='%s' LUA_CPATH='%s' "
      .. "lua5.4 examples/execs.lua 2\""
    local text, ok = support.output(support.unshare()
      .. command:format(tracefs, package.path, package.cpath))
    assert.is_true(ok, text)
    assert.matches("PID +UID +NAME +PATH", text)
    assert.matches("/bin/true\n", text)
  end)
end)
