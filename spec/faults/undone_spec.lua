-- SPDX-License-Identifier: MIT
--
-- What `make faults` has found in luabpf: calls that fail once, or errors that are raised, at each
-- place where they can be. What is refused says so with an errno, goes well the next time, and
-- leaves nothing.

local bpf = require "luabpf"
local folder = require "spec.support.folder"
local helper = require "spec.support.helper"
local injected = require "spec.support.injected"

-- What the code prints.
local function found(code, ...)
  return table.concat(injected.lines(code, ...), "\n")
end

describe("calls that fail once #preload", function()
  before_each(function() folder.make() end)
  after_each(function()
    helper.close_all()
    folder.remove()
  end)

  -- Each raises where Lua's memory ends at the n-th allocation, and where a hook does at the n-th
  -- call or return, but for its end: there the function is over. Of the first ones each step-th is
  -- tried.
  local LEFT <const> = [[
    local pin, snapshot = ...
    local function there(path)
      local map <close> = bpf.open(path)
      return map ~= nil
    end
    local function no_pin(n, what, make)
      for _, part in ipairs { pin, pin .. "_part" } do
        if there(part) then
          print(what, n, part)
          os.remove(part)
        end
      end
    end
    local function each(name, make, step)
      make():close()
      os.remove(pin)
      for _, what in ipairs { "allocations", "hook" } do
        local n, failed, ok = 1, 0, nil
        faults.hook(math.maxinteger)
        select(2, faults.call(make)):close()
        os.remove(pin)
        local _, _, last = faults.counted()
        repeat
          faults[what](n, what == "allocations")
          local map
          ok, map = faults.call(make)
          if ok then
            map:close()
            os.remove(pin)
          elseif what == "allocations" or not select(2, faults.place()) then
            no_pin(n, name .. " " .. what)
            failed = failed + 1
          end
          os.remove(pin)
          n = n + (n < last - 60 and step or 1)
        until ok
        print(failed > 8 // step and "tried" or name .. " was not tried")
      end
    end
  ]]

  it("leave no pin of a map that is created", function()
    assert.equal("tried\ntried", found(LEFT .. [[
      each("create", function()
        return bpf.create { type = "array", value = "u64", pin = pin }
      end, 1)
    ]], helper.pin()))
  end)

  it("leave no pin, and no part of one, of a snapshot's map", function()
    local path = folder.path "s"
    local map = helper.map()
    map:update(1, 10)
    assert(map:export(path, { format = "snapshot" }))
    assert.equal("tried\ntried", found(LEFT .. [[
      local from = assert(bpf.snapshot(snapshot))
      each("restore", function() return bpf.create { from = from, pin = pin } end, 3)
    ]], helper.pin(), path))
  end)

  it("leave no part of an export, and close what it has", function()
    local map = helper.map { max_entries = 100 }
    for i = 1, 40 do map:update(i, i) end
    assert.equal("jsonl\nsnapshot\nthreads", found([[
      local map, path = bpf.open(math.tointeger(...)), select(2, ...)
      local function each(name, options)
        local n, failed, ok, message = 0, 0, nil, nil
        repeat
          n = n + 1
          faults.hook(n)
          ok, message = faults.call(map.export, map, path, options)
          local raised = not ok and tostring(message):find "raised by the hook"
          if not ok and not raised then print(n, message) end
          failed = failed + (raised and 1 or 0)
          local part = io.open(path .. ".part")
          if part then
            print(n, faults.place())
            part:close()
            os.remove(path .. ".part")
          end
        until ok
        print(failed > 200 and name or name .. " was not tried")
      end
      each("jsonl", {})
      each("snapshot", { format = "snapshot" })
      each("threads", { workers = 2, batch_size = 8 })
    ]], map:info().id, folder.path "out"))
  end)

  it("leave out no CPU where the list of them is read by pieces", function()
    assert.equal("true", found [[
      local object = assert(bpf.load "bpf/events.bpf.o")
      local function descriptors(at)
        local before = faults.held()
        faults.arm(faults.kinds.read, at, -1, false)
        local _, reader = faults.call(function()
          return assert(object.maps.perf:reader { layout = "struct event", pages = 1 })
        end)
        local n, reads = faults.held() - before, faults.counts()[faults.kinds.read]
        reader:close()
        return n, reads
      end
      local n, reads = descriptors(0)
      local all = n >= bpf.cpus()
      for at = 1, reads do all = descriptors(at) == n and all end
      print(all)
    ]])
  end)

  it("lose nothing that aggregate has taken with reset", function()
    local map = helper.map { max_entries = 100 }
    assert.equal("called\nallocations\nhook", found([[
      local map = bpf.open(math.tointeger(...))
      local given = { group = "key", select = "sum(value) as n", reset = true, batch_size = 8 }
      local function total(rows)
        local n = 0
        for _, row in ipairs(rows or {}) do n = n + row.n end
        for _, value in pairs(map) do n = n + value end
        return n
      end
      -- How many failed after something was taken.
      local function each(what, step, arm)
        local n, failed, ok, err = 1, 0, nil, nil
        repeat
          for i = 1, 40 do map:update(i, i) end
          arm(n)
          local rows, errno, partial
          ok, rows, err, errno, partial = faults.call(map.aggregate, map, given)
          local got = ok and (rows or partial) or type(rows) == "table" and rows.partial
          failed = failed + ((not ok or errno) and got and #got > 0 and 1 or 0)
          if total(got) ~= 820 and not select(2, faults.place()) then
            print(what, n, total(got), rows, err, faults.place())
          end
          n = n + step
        until ok and rows
        print(failed > 2 and what or what .. " was not tried")
      end
      each("called", 1, function(n) faults.arm(24, n, bpf.errno.ENOMEM, true) end)
      each("allocations", 7, function(n) faults.allocations(n, false) end)
      each("hook", 7, function(n) faults.hook(n) end)
    ]], map:info().id))
  end)

  it("leave no pin of an object that is loaded", function()
    assert.equal("tried\ntried", found(LEFT .. [[
      each("load", function()
        return bpf.load("bpf/objects.bpf.o", { maps = { points = { pin = pin } } })
      end, 7)
    ]], helper.pin()))
  end)

  it("take no layout from the variables of an object", function()
    assert.equal("tried", found [[
      local n, refused = 1, 0
      repeat
        faults.arm(faults.kinds.malloc, n, bpf.errno.ENOMEM, false)
        local ok, object, _, errno = faults.call(function()
          return bpf.load("bpf/objects.bpf.o", { globals = { step = 3 } })
        end)
        local fired = faults.counted()
        if ok and object then
          if object.globals.step ~= 3 then print(n, object.globals.step) end
          object:close()
        else
          refused = refused + 1
          if not (ok and errno or object.errno) then print(n, object, errno) end
        end
        n = n + 1
      until fired == 0
      print(refused > 50 and "tried" or "not tried")
    ]])
  end)

  it("are errors with an errno where a reader has no memory", function()
    assert.equal("12\n3", found [[
      local object = assert(bpf.load "bpf/events.bpf.o")
      object.globals.times = 3
      assert(object.programs.send:run())
      local reader = assert(object.maps.ring:reader { layout = "struct event", take = true })
      local function read()
        local n = 0
        for _ in reader:records { timeout = "0s" } do n = n + 1 end
        return n
      end
      faults.arm(faults.kinds.malloc, 1, bpf.errno.ENOMEM, false)
      local _, problem = faults.call(read)
      print(type(problem) == "table" and problem.errno or problem)
      print(read())
    ]])
  end)

  -- What is checked before a query runs needs memory, and programs are loaded.
  local QUERY <const> = [[
    local map = bpf.create { type = "hash", key = "u32", value = "u64", max_entries = 100 }
    for i = 1, 40 do map:update(i, i * 10) end
    local calls = {
      function(m) return m:count("value > 200", { engine = "kernel" }) end,
      function(m) return m:rows { where = "value > 200", engine = "kernel" } end,
      function(m) return m:aggregate { select = "sum(value) as n", engine = "kernel" } end,
      function(m)
        return m:update_where("value > 200", "value = value + 1", { engine = "kernel" })
      end,
      function(m) return m:delete_where("value > 400", { engine = "kernel" }) end,
    }
    -- A handle of its own: what it was refused it remembers.
    local function try(kind, at, errno, call)
      local again <close> = assert(bpf.open { fd = map:fd() })
      faults.arm(kind, at, bpf.errno[errno], false)
      local ok, result, message, code = faults.call(call, again)
      local fired = faults.counted()
      if not ok then
        print(at, "raised", type(result) == "table" and result.errno or result)
      elseif not result and code ~= bpf.errno[errno] then
        print(at, message, code)
      end
      local after, why = call(again)
      if not after then print(at, "afterwards", why) end
      return fired > 0, ok and not result
    end
  ]]

  it("are tried again where memory was short", function()
    assert.equal("tried", found(QUERY .. [[
      local refused = 0
      for i, call in ipairs(calls) do
        local n, fired, was = 1, nil, nil
        repeat
          fired, was = try(faults.kinds.malloc, n, "ENOMEM", call)
          refused = refused + (was and 1 or 0)
          n = n + 1
        until not fired
      end
      print(refused >= 10 and "tried" or refused)
    ]]))
  end)

  it("are tried again where the kernel engine is asked for, and rights have come", function()
    assert.equal("5", found(QUERY .. [[
      local PROG_LOAD, refused = 5, 0
      for _, call in ipairs(calls) do
        local _, was = try(PROG_LOAD, 1, "EPERM", call)
        refused = refused + (was and 1 or 0)
      end
      print(refused)
    ]]))
  end)

  it("raise what Lua raises where its memory ends in a function", function()
    assert.equal("tried", found [[
      local map = bpf.create { type = "hash", key = "u32", value = "u64", max_entries = 100 }
      for i = 1, 40 do map:update(i, i * 10) end
      for n = 1, 12000, 41 do
        local again <close> = assert(bpf.open { fd = map:fd() })
        faults.allocations(n, true)
        local ok, result = faults.call(function()
          return again:count(function(_, value) return value > 200 end,
            { compile = false, engine = "batch" })
        end)
        if not ok and result ~= "not enough memory" then print(n, result) end
      end
      print "tried"
    ]])
  end)

  it("keep no refusal to compile where memory ends while Lua's bytecode is looked at", function()
    assert.equal("tried", found [[
      local raised = 0
      for n = 1, 400, 3 do
        package.loaded["luabpf.function.canary"] = nil
        local canary = require "luabpf.function.canary"
        faults.allocations(n, true)
        local ok, why = faults.call(canary.obstacle)
        raised = raised + (ok and 0 or 1)
        if ok and why or not ok and why ~= "not enough memory" then print(n, why) end
        if canary.obstacle() then print(n, "later", canary.obstacle()) end
      end
      print(raised > 10 and "tried" or raised)
    ]])
  end)

  it("leave engines out of a measurement", function()
    assert.equal("kernel batch\nbatch", found [[
      local map = bpf.create { type = "hash", key = "u32", value = "u64", max_entries = 100 }
      for i = 1, 40 do map:update(i, i * 10) end
      local PROG_TEST_RUN = 10
      local function engines(at)
        faults.arm(PROG_TEST_RUN, at, bpf.errno.EPERM, true)
        local _, result = faults.call(function()
          return bpf.bench(map, { sizes = { 16 }, patience = "1ms" })
        end)
        if type(result) == "string" then return result end
        local names = {}
        for _, row in ipairs(result.engines) do
          if row.engine ~= "walk" then names[#names + 1] = row.engine end
        end
        return table.concat(names, " ")
      end
      print(engines(100))
      print(engines(2))
    ]])
  end)

  it("are told by parallel without the place in luabpf's own code", function()
    assert.equal("tried", found [[
      local map = bpf.create { type = "hash", key = "u32", value = "u64", max_entries = 100 }
      for i = 1, 40 do map:update(i, i * 10) end
      local function sum()
        return map:parallel { workers = 2, batch_size = 8, initial = 0, map = function(batch)
          local n = 0
          for _, value in batch:entries() do n = n + value end
          return n
        end, reduce = function(a, b) return a + b end }
      end
      assert(sum() == 8200)
      local refused = 0
      for _, how in ipairs { { "open", "EIO" }, { "malloc", "ENOMEM" } } do
        local n, fired = 1, nil
        repeat
          faults.arm(faults.kinds[how[1] ], n, bpf.errno[how[2] ], false)
          local ok, result, message, errno = faults.call(sum)
          fired = faults.counted()
          if not ok and not result.errno then print(how[1], n, result) end
          if ok and not result then
            refused = refused + 1
            if message:find "%.lua:%d" or not errno then print(how[1], n, message, errno) end
          end
          n = n + 1
        until fired == 0
      end
      print(refused > 5 and "tried" or refused)
    ]])
  end)
end)

describe("the memory of a query", function()
  after_each(helper.close_all)

  it("that groups do not fit in is a refusal", function()
    local map = helper.map()
    for i = 1, 40 do map:update(i, i * 10) end
    for _, given in ipairs { { select = "sum(value) as n" },
      { group = "key % 4 as k", select = "count() as n" } } do
      for _, engine in ipairs { "batch", "walk" } do
        given.memory, given.engine = 1, engine
        local rows, message, errno = map:aggregate(given)
        assert.is_nil(rows)
        assert.equal(bpf.errno.ENOBUFS, errno, message)
        assert.matches("groups and distinct values need more than 1 bytes", message)
      end
    end
    local hist, message, errno = map:hist("value", { memory = 1, engine = "batch" })
    assert.is_nil(hist)
    assert.equal(bpf.errno.ENOBUFS, errno, message)
  end)
end)
