-- SPDX-License-Identifier: MIT
--
-- Loading, attaching and programs of the module's own, where signals, limits, hooks and short
-- memory come in between; and paths.

local bpf = require "luabpf"
local conntrack = require "luabpf.conntrack"
local folder = require "spec.support.folder"
local helper = require "spec.support.helper"
local system = require "spec.support.system"

local getinfo <const>, sethook <const>, pcall <const> = debug.getinfo, debug.sethook, pcall

-- Calls with a hook that raises once, at the n-th call or return; whether it got that far.
local function interrupted(n, call)
  local raised = false
  pcall(function()
    sethook(function()
      local called = getinfo(2, "f").func
      if called == pcall or called == sethook then return end
      n = n - 1
      if n > 0 then return end
      sethook()
      raised = true
      error("interrupted!", 0)
    end, "cr")
    call()
    sethook()
  end)
  sethook()
  return raised
end

-- Calls where no descriptor is left.
local function without_descriptors(call)
  local probe = helper.map()
  local lowest = probe:fd()
  probe:close()
  local before = system.limit("files", lowest)
  local results = table.pack(pcall(call))
  system.limit("files", before)
  return table.unpack(results, 1, results.n)
end

local function filled(n)
  local map = helper.map { max_entries = n }
  local keys = {}
  for i = 1, n do keys[i] = i end
  assert.equal(n, map:update_batch(keys, keys))
  return map
end

describe("loading", function()
  after_each(function()
    system.storm(0)
    helper.close_all()
  end)

  it("[fault 5] goes on whatever signals are handled", function()
    system.storm(1000)
    for _ = 1, 5 do
      local object = assert(bpf.load "bpf/conntrack.bpf.o")
      object:close()
    end
    local report = {}
    local map = filled(20000)
    assert.equal(10000, map:count("value > 10000", { engine = "kernel", report = report }))
    assert.equal("kernel", report.engine)
    local tracker <close> = assert(conntrack.start { max_entries = 100 })
    assert(tracker.map)
  end)

  it("[fault 5] of programs of luabpf's own goes on too", function()
    local map = filled(20000)
    system.storm(100)
    for i = 1, 10 do
      local report = {}
      -- A program of its own each time.
      local where = ("value > %d and value %% 7 ~= %d and key ~= %d"):format(10000 + i, i, i)
      assert(map:count(where, { engine = "kernel", report = report }))
      assert.equal("kernel", report.engine)
    end
  end)

  it("[fault 21] is tried again after a refusal for a moment, which is named", function()
    local map = filled(2000)
    local ok, count, message, errno = without_descriptors(function()
      return map:count("value > 1000", { engine = "kernel" })
    end)
    assert.same({ true, nil, bpf.errno.EMFILE }, { ok, count, errno })
    assert.is_nil(message:find("verifier", 1, true), message)
    local report = {}
    assert.equal(1000, map:count("value > 1000", { engine = "kernel", report = report }))
    assert.equal("kernel", report.engine)
  end)

  it("[fault 27] says that descriptors are short, and goes on when they are not", function()
    local process = helper.process([[
      local build = ...
      local system = package.loadlib(build .. "/support/system.so", "luaopen_system")()
      local probe = bpf.create { type = "array", value = "u32" }
      local lowest = probe:fd()
      probe:close()
      for more = 0, 40 do
        local before = system.limit("files", lowest + more)
        local object, message, errno = bpf.load "bpf/conntrack.bpf.o"
        system.limit("files", before)
        if not object and errno ~= bpf.errno.EMFILE then print(more, errno, message) end
        if object then object:close() end
      end
      assert(bpf.load "bpf/conntrack.bpf.o"):close()
      print "done"
    ]], os.getenv "LUABPF_BUILD" or ".build")
    local text = process:read("a")
    process:close()
    assert.equal("done\n", text)
  end)

  -- In a process of its own, as all who count descriptors: others here leave some to the collector.
  it("[fault 27] that fails late leaves no pin", function()
    local process = helper.process([[
      local build, pin = ...
      local system = package.loadlib(build .. "/support/system.so", "luaopen_system")()
      local probe = bpf.create { type = "array", value = "u32" }
      local lowest = probe:fd()
      probe:close()
      local refused = 0
      for more = 2, 60 do
        local before = system.limit("files", lowest + more)
        local object = bpf.load("bpf/conntrack.bpf.o", { maps = { conns = { pin = pin } } })
        system.limit("files", before)
        local there = bpf.open(pin)
        if (object ~= nil) ~= (there ~= nil) then print(more, object, there) end
        if there then
          there:unpin()
          there:close()
        end
        if object then object:close() break end
        refused = refused + 1
      end
      print(refused > 0)
    ]], os.getenv "LUABPF_BUILD" or ".build", helper.pin())
    local text = process:read("a")
    process:close()
    assert.equal("true\n", text)
  end)

  it("[fault 27] features that could not be found out are unknown", function()
    local ok, features = without_descriptors(bpf.features)
    assert.is_true(ok)
    assert.is_nil(features.map_types.hash)
    assert.is_nil(features.syscall_programs)
    assert.truthy(tostring(features):find("syscall_programs +unknown"))
    assert.is_true(bpf.features().syscall_programs)
  end)

  it("[fault 18] a hook that raises in open, create and load frees nothing twice", function()
    local pin = helper.pin()
    local map = helper.map { value = { "u64 a", "u32 list[4]", "char name[16]" } }
    assert(map:pin(pin))
    local n, more = 1, true
    while more do
      more = interrupted(n, function() bpf.open(pin):close() end)
      more = interrupted(n, function()
        bpf.create { type = "hash", key = "u32", value = { "u64 a", "char t[8]" } }:close()
      end) or more
      more = n < 120 and interrupted(n, function()
        bpf.load("bpf/layouts.bpf.o"):close()
      end) or more
      n = n + 1
    end
    collectgarbage()
    collectgarbage()
    map:update(1, { a = 1, name = "x" })
    assert.equal("x", bpf.open(pin):lookup(1).name)
    map:unpin()
  end)

  it("[fault 18] a hook that raises in an export leaves nothing locked", function()
    folder.make()
    local map = filled(50)
    local n, path = 1, folder.path "out.jsonl"
    while interrupted(n, function() map:export(path, { checkpoint = path .. ".ckpt" }) end) do
      local report, message = map:export(path, { restart = true, checkpoint = path .. ".ckpt" })
      assert(report, message)
      n = n + 7
    end
    folder.remove()
  end)

  it("[fault 18] an export of a coroutine that nobody resumes holds no other one up", function()
    folder.make()
    finally(folder.remove)
    local map, path = filled(50), folder.path "out.jsonl"
    local function where()
      coroutine.yield()
      return true
    end
    coroutine.wrap(function() map:export(path, { where = where, compile = false }) end)()
    assert.equal(50, assert(map:export(path)).entries)
  end)

  it("[fault 25] descriptors stay with handles when Lua is out of memory", function()
    assert(bpf.load "bpf/layouts.bpf.o"):close()
    local before, failures, most = helper.descriptors(), 0, 256
    -- How many allocations there are in all.
    repeat
      most = most * 2
      system.fail_allocation(most)
      local ok, object = pcall(bpf.load, "bpf/layouts.bpf.o")
      system.fail_allocation(0)
      if ok and object then object:close() end
    until ok and object
    for n = 1, most, 5 do
      system.fail_allocation(n)
      local ok, object = pcall(bpf.load, "bpf/layouts.bpf.o")
      system.fail_allocation(0)
      if ok and object then object:close() else failures = failures + 1 end
      object = nil   -- luacheck: ignore
    end
    assert.is_true(failures > 10, failures .. " failed")
    assert.equal(before, helper.descriptors())
  end)
end)

describe("[fault 17] on_delete", function()
  after_each(helper.close_all)

  for _, engine in ipairs { "kernel", "batch" } do
    it("is told of all but 256 when the process is killed, by engine " .. engine, function()
      folder.make()
      local map = filled(20000)
      local log = folder.path "log"
      local child = system.fork()
      if child == 0 then
        local file, n = io.open(log, "w"), 0
        map:delete_where("value > 0", { engine = engine, on_delete = function()
          n = n + 1
          file:write("x")
          if n == 5000 then
            file:flush()
            system.raise(9)
          end
        end })
        system.exit(1)
      end
      assert.same({ "signal", 9 }, { system.wait(child) })
      local told = #folder.content "log"
      local gone = 20000 - map:count()
      assert.equal(5000, told)
      assert.is_true(gone >= told and gone - told < 256, ("%d gone, %d told"):format(gone, told))
      folder.remove()
    end)
  end

  it("is told of each entry once, with limits and conditions, by all engines alike", function()
    for _, limit in ipairs { 1, 255, 256, 257, 1000, 5000 } do
      for _, engine in ipairs { "kernel", "batch", "walk" } do
        local map, seen, n = filled(3000), {}, 0
        local report = assert(map:delete_where("value % 2 == 0", { engine = engine, limit = limit,
          on_delete = function(key, value)
            assert(key == value and key % 2 == 0 and not seen[key])
            seen[key], n = true, n + 1
          end }))
        local wanted = math.min(limit, 1500)
        assert.same({ wanted, wanted, 3000 - wanted }, { report.deleted, n, map:count() })
        map:close()
      end
    end
  end)
end)

describe("[fault 22] a tc link", function()
  it("that could not be removed is reported, and kept until it is gone", function()
    local object <close> = assert(bpf.load "bpf/objects.bpf.o")
    local link = assert(object.programs.count_tc:attach { tc = "lo", direction = "ingress" })
    local function filters()
      local pipe <close> = io.popen "tc filter show dev lo ingress"
      return select(2, pipe:read("a"):gsub("handle", ""))
    end
    local before = filters()
    local ok, closed, message, errno = without_descriptors(function() return link:close() end)
    assert.is_true(ok)
    assert.is_nil(closed)
    assert.equal(bpf.errno.EMFILE, errno, message)
    assert.equal(before, filters())
    assert.is_true(link:close())
    assert.equal(before - 1, filters())
    assert.is_true(link:close())
  end)
end)
