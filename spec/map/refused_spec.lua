-- SPDX-License-Identifier: MIT
--
-- What the system refuses for a moment: calls that fail by plan (spec/support/faults). `make
-- faults` tries all of it everywhere; these are kinds that it has found.

local helper = require "spec.support.helper"
local injected = require "spec.support.injected"

-- The code's lines are the ones expected.
local function prints(expected, code)
  assert.same(expected, injected.lines(code))
end

local MAP <const> = [[
  local map = assert(bpf.create { type = "hash", key = "u32", value = { "u64 n" },
    max_entries = 8 })
  for i = 1, 5 do map:update(i, { n = i }) end
]]

describe("what is refused for a moment", function()
  it("does not leave a map that is opened without its layouts #preload", function()
    prints({ "nil\t24", "nil\t12", "nil\t4", "nil\t11", "table: true" }, MAP .. [[
      for _, errno in ipairs { "EMFILE", "ENOMEM", "EINTR", "EAGAIN" } do
        local again, message, err = failing(19, 1, errno, function()
          return bpf.open(map:info().id)
        end)
        assert(message:find "BTF", message)
        print(again, err)
      end
      print("table: " .. tostring(bpf.open(map:info().id):describe().value ~= nil))
    ]])
  end)

  it("does not leave a map that is made without BTF #preload", function()
    prints({ "nil\t24", "nil\t12", "nil\t28", "true" }, [[
      local function create()
        return bpf.create { type = "hash", key = "u32", value = "u64", max_entries = 8 }
      end
      for _, errno in ipairs { "EMFILE", "ENOMEM", "ENOSPC" } do
        local map, _, err = failing(18, 1, errno, create, true)
        print(map, err)
      end
      print(create():info().btf_id > 0)
    ]])
  end)

  it("but a kernel that takes no BTF makes it all the same #preload", function()
    prints({ "0\t7" }, [[
      local map = failing(18, 1, "EINVAL", function()
        return bpf.create { type = "hash", key = "u32", value = "u64", max_entries = 8 }
      end, true)
      map:update(1, 7)
      print(map:info().btf_id, map:lookup(1))
    ]])
  end)

  it("is no entry that a walk passes over, nor is what lasts #preload", function()
    prints({ "5", "5", "nil\t5", "nil\t1" }, MAP .. [[
      for _, case in ipairs { { "EAGAIN" }, { "EINTR" }, { "EIO" }, { "EPERM" } } do
        -- BPF_MAP_LOOKUP_ELEM
        print(failing(1, 3, case[1], function()
          local n = 0
          local ok, err = pcall(function()
            for batch in map:batches { engine = "walk" } do n = n + #batch end
          end)
          if ok then return tostring(n) end
          return "nil\t" .. err.errno
        end))
      end
    ]])
  end)

  it("leaves no pin of a load that it ends late #preload", function()
    local pin = helper.pin()
    finally(function() os.remove(pin) end)
    local lines = injected.lines([[
      local pin = ...
      local late = 0
      local function load()
        return bpf.load("bpf/layouts.bpf.o", { maps = { nested = { pin = pin } } })
      end
      faults.arm(-1, 0)
      faults.call(function() local object = load() object.maps.nested:unpin() end)
      -- BPF_OBJ_GET_INFO_BY_FD
      for at = 1, faults.counts()[15] do
        local object = failing(15, at, "ENOMEM", load)
        local there = bpf.open(pin)
        if not object then
          late = late + 1
          print(there == nil)
        end
        if there then there:unpin() end
        if object then object:close() end
      end
      print(late > 3)
    ]], pin)
    for _, line in ipairs(lines) do assert.equal("true", line) end
    assert.is_true(#lines > 3)
  end)

  it("is no matter where a map is known already: its info #preload", function()
    prints({ "2", "2", "2", "5", "true", "nil\t4" }, MAP .. [[
      local function infoless(f) return failing(15, 1, "EINTR", f, true) end
      print((infoless(function() return map:count "value.n > 3" end)))
      print(#infoless(function() return map:aggregate { group = "key % 2 as odd" } end))
      print(infoless(function() return map:delete_where "value.n > 3" end).deleted)
      print(infoless(function() return map:clear() end) + 2)
      print(infoless(function() return map:head() end) ~= nil)
      local info, _, errno = infoless(function() return map:info() end)
      print(info, errno)
    ]])
  end)

  it("is nil, message, errno where there is no memory for a query #preload", function()
    prints({ "nil\tCannot allocate memory\t12", "2" }, MAP .. [[
      map:count "value.n > 2"  -- what is needed is loaded now
      print(failing("malloc", 1, "ENOMEM", function() return map:count "value.n > 3" end, true))
      print((map:count "value.n > 3"))
    ]])
  end)

  it("is nil, message, errno where threads are #preload", function()
    prints({ "nil\t11", "nil\t24", "15" }, MAP .. [[
      local function sum()
        return map:parallel { workers = 2, map = function(batch)
          local n = 0
          for _, value in batch:entries() do n = n + value.n end
          return n
        end, reduce = function(a, b) return a + b end }
      end
      local result, _, errno = failing("thread", 1, "EAGAIN", sum)
      print(result, errno)
      result, _, errno = failing("dup", 1, "EMFILE", sum, true)
      print(result, errno)
      print((sum()))
    ]])
  end)

  it("is nil, message, errno where a folder comes to no end #preload", function()
    prints({ "nil\t5", "other\tInput/output error" }, [[
      local folder = "/sys/fs/bpf/" .. os.tmpname():match "[^/]+$"
      assert(os.execute(("mkdir -p %s/inner"):format(folder)))
      local list, _, errno = failing("readdir", 1, "EIO", function() return bpf.pins(folder) end)
      print(list, errno)
      list = failing("readdir", 5, "EIO", function() return bpf.pins(folder) end)
      print(list[1].kind, list[1].reason)
      os.execute(("rmdir %s/inner %s"):format(folder, folder))
    ]])
  end)

  it("is nil, message, errno where /proc/mounts cannot be read #preload", function()
    prints({ "nil\tconntrack: /proc/mounts: Too many open files\t24" }, [[
      local conntrack = require "luabpf.conntrack"
      print(failing("open", 1, "EMFILE", conntrack.cgroup_root))
    ]])
  end)
end)
