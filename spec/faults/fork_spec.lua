-- SPDX-License-Identifier: MIT
--
-- Processes that fork, by any library: a child has its parent's handles, and must not use what
-- only the parent may: shared regions, threads, files that are being written.

local helper = require "spec.support.helper"
local system = require "spec.support.system"

local N <const> = 40000

-- A map of n entries i -> i * 3.
local function filled(n)
  local map = helper.map { max_entries = n }
  local keys, values = {}, {}
  for i = 1, n do keys[i], values[i] = i, i * 3 end
  assert.equal(n, map:update_batch(keys, values))
  return map
end

-- Looks up the keys from first on, again and again; how many values were wrong.
local function look_up(map, first, rounds)
  local keys, wrong = {}, 0
  for i = 1, N // 2 do keys[i] = first + i end
  for _ = 1, rounds do
    local values = assert(map:lookup_batch(keys))
    for i = 1, N // 2 do
      if values[i] ~= keys[i] * 3 then wrong = wrong + 1 end
    end
  end
  return wrong
end

describe("[fault 11] after a fork", function()
  after_each(helper.close_all)

  it("parent and child look keys up by themselves", function()
    local map = filled(N)
    assert.equal(0, look_up(map, 0, 1))
    local child = system.fork()
    local wrong = look_up(map, child == 0 and 0 or N // 2, 20)
    if child == 0 then system.exit(wrong == 0 and 0 or 1) end
    assert.equal(0, wrong)
    assert.same({ "exit", 0 }, { system.wait(child) })
  end)

  it("a child does what its parent did: rows, sums, stores, deletions", function()
    local map = filled(N)
    local function work()
      local sum = 0
      for row in map:select { columns = "value", where = "key > 39990", engine = "kernel" } do
        sum = sum + row.value
      end
      return table.concat({ sum, map:count("value > 300"), map:update_batch({ 1, 2 }, { 3, 6 }),
        map:delete_where("key == 0").deleted }, " ")
    end
    local before = work()
    assert.equal(before, system.child(work))
    assert.equal(before, work())
  end)

  it("rows of the parent's region are stale in the child", function()
    local map = filled(N)
    local child, seen = nil, 0
    local ok, message = pcall(function()
      for _ in map:select { where = "key > 200", engine = "kernel" } do
        if not child then child = system.fork() end
        seen = seen + 1
      end
    end)
    if child == 0 then
      system.exit(not ok and seen == 1 and tostring(message):find("stale") and 0 or 1)
    end
    assert(ok, message)
    assert.equal(N - 200, seen)
    assert.same({ "exit", 0 }, { system.wait(child) })
  end)

  it("threads stay with the parent: the child's export ends with an error", function()
    local map = filled(N)
    local child, rows = nil, 0
    local report, message = map:export(function(text)
      rows = rows + select(2, text:gsub("\n", ""))
      if not child then child = system.fork() end
    end, { workers = 2 })
    if child == 0 then
      collectgarbage()
      system.exit(not report and message:find("forked", 1, true) and 0 or 1)
    end
    assert.equal(N, report.entries)
    assert.equal(N, rows)
    assert.same({ "exit", 0 }, { system.wait(child) })
  end)

  -- Sanitizers hold locks of their own, which a child gets from another thread for good.
  it("a child that ends in the midst of a parallel scan does not wait for its threads #forked",
  function()
    local process = helper.process([[
      local build = ...
      local system = package.loadlib(build .. "/support/system.so", "luaopen_system")()
      local map = bpf.create { type = "hash", key = "u32", value = "u64", max_entries = 200000 }
      local keys = {}
      for i = 1, 200000 do keys[i] = i end
      map:update_batch(keys, keys)
      local child
      print(map:export(function()
        if not child then
          child = system.fork()
          if child == 0 then os.exit(true, true) end
        end
        return true
      end, { workers = 2 }))
      print(system.wait(child))
    ]], os.getenv "LUABPF_BUILD" or ".build")
    local text = process:read("a")
    process:close()
    assert.truthy(text:find("exit\t0", 1, true), text)
  end)
end)
