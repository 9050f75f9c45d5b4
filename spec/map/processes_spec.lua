-- SPDX-License-Identifier: MIT
--
-- Processes that hold a map (lua/luabpf/map/processes.lua), as map:users tells of them.

local bpf = require "luabpf"
local helper = require "spec.support.helper"

-- Another process that opens the map by its id, prints its number and waits.
local function holder(map)
  local process = helper.process([[
    local map = assert(bpf.open(math.tointeger(...)))
    print(io.open("/proc/self/stat"):read "n")
    io.stdout:flush()
    bpf.sleep "60s"
  ]], tostring(map:info().id))
  return process, math.tointeger(process:read "n")
end

describe("the processes of a map", function()
  after_each(helper.close_all)

  it("are those with a descriptor of it, by number, with their names", function()
    local map = helper.map()
    local others, pids = {}, { helper.pid }
    for i = 1, 2 do others[i], pids[i + 1] = holder(map) end
    finally(function()
      for i = 2, 3 do os.execute("kill -9 " .. pids[i]) end
      for _, other in ipairs(others) do other:close() end
    end)
    local expected, found = table.move(pids, 1, 3, 1, {}), {}
    table.sort(expected)
    for i, process in ipairs(map:users().processes) do
      found[i] = process.pid
      if process.pid ~= helper.pid then assert.matches("^lua5%.4$", process.name) end
    end
    assert.same(expected, found)
  end)

  it("are none without a descriptor, though the map is there", function()
    local map = helper.map()
    local process, pid = holder(map)
    local id = map:info().id
    assert(map:close())
    local again = assert(bpf.open(id))
    assert.equal(2, #again:users().processes)
    os.execute("kill -9 " .. pid)
    process:close()
    local users = again:users()
    assert.equal(1, #users.processes)
    assert.equal(helper.pid, users.processes[1].pid)
    again:close()
  end)
end)
