-- SPDX-License-Identifier: MIT
--
-- Whose the events of a map are (lua/luabpf/event/holders.lua): when a reader is refused.

local bpf = require "luabpf"
local folder = require "spec.support.folder"
local helper = require "spec.support.helper"
local objects = require "spec.support.objects"

describe("a reader", function()
  local object, ring

  before_each(function()
    object = assert(bpf.load "bpf/events.bpf.o")
    ring = object.maps.ring
  end)
  after_each(function() object:close() end)

  it("is refused where this process has one, of whichever handle, until that is closed", function()
    local again <close> = assert(bpf.open(ring:info().id))
    local reader = assert(ring:reader())
    for _, map in ipairs { ring, again } do
      local none, message, errno = map:reader()
      assert.is_nil(none)
      assert.equal("ring: reader: this process has a reader of it already", message)
      assert.equal(bpf.errno.EBUSY, errno)
    end
    reader:close()
    assert(again:reader()):close()
  end)

  it("of another map is no hindrance", function()
    local reader <close> = assert(ring:reader())
    assert.is_false(reader:closed())
    assert(object.maps.perf:reader()):close()
  end)

  it("is refused while another process holds the map, which is named, unless it takes", function()
    local process = helper.process([[
      local map = assert(bpf.open(math.tointeger(...)))
      print(io.open("/proc/self/stat"):read "n")
      io.stdout:flush()
      bpf.sleep "60s"
    ]], tostring(ring:info().id))
    local pid = math.tointeger(process:read "n")
    local none, message, errno = ring:reader()
    assert.is_nil(none)
    assert.equal(("ring: reader: process %d (%s) holds the map and may be its reader; "
      .. "take = true reads its events all the same"):format(pid, helper.comm()), message)
    assert.equal(bpf.errno.EBUSY, errno)
    assert(ring:reader { take = true }):close()
    os.execute("kill -9 " .. pid)
    process:close()
    assert(ring:reader()):close()
  end)

  -- Sanitizers cannot do without /proc.
  it("is not refused where there is no /proc to look into #preload", function()
    folder.make()
    finally(folder.remove)
    local script = folder.write("script", [[
      local bpf = require "luabpf"
      local object <close> = assert(bpf.load "bpf/events.bpf.o")
      assert(object.maps.ring:reader()):close()
      print(#object.maps.ring:users().processes)
    ]])
    local command = objects.unshare() .. " sh -c 'mount -t tmpfs none /proc && exec %s %s' 2>&1"
    local pipe <close> = assert(io.popen(command:format(os.getenv "LUABPF_LUA" or "lua5.4",
      script)))
    assert.equal("0\n", pipe:read "a")
  end)
end)
