-- SPDX-License-Identifier: MIT
--
-- Guards that nothing else noticed when they were taken out, one by one: each test here fails
-- without its guard.

local bpf = require "luabpf"
local core = require "luabpf.core"
local folder = require "spec.support.folder"
local helper = require "spec.support.helper"
local injected = require "spec.support.injected"

local function filled(n, options)
  local map = helper.map(options)
  for i = 1, n do assert(map:update(i, i * 10)) end
  return map
end

-- The only line that a process prints.
local function line_of(process)
  local text = process:read "a":gsub("\n$", "")
  process:close()
  return text
end

describe("a guard:", function()
  after_each(helper.close_all)

  -- luabpf/lib/keys/live.c
  it("where no program can be loaded, what is deleted is judged again before it", function()
    assert.equal("20\t0\t20\t20", line_of(injected.without_programs [[
      local prepare = require "luabpf.query.prepare"
      local map = assert(bpf.create { type = "hash", key = "u32", value = "u64",
        max_entries = 100 })
      for i = 1, 40 do map:update(i, i) end
      local query, stale = prepare.query(map, "delete", { where = "value <= 40" }), nil
      for batch in map:batches() do stale = batch:copy() end
      for i = 1, 20 do map:update(i, 100) end
      local deleted, missing, kept = query.core:delete_live(stale, "", false)
      print(deleted, missing, kept, map:count())
    ]]))
  end)

  -- luabpf/query: every engine where no program can be loaded, against those that load one
  it("where no program can be loaded, queries have the same answers", function()
    local code <const> = [[
      local map = assert(bpf.create { type = "hash", key = "u32", value = "u64",
        max_entries = 100 })
      for i = 1, 40 do map:update(i, i) end
      local keys = {}
      for i = 1, 60 do keys[i] = i end
      local sum = map:aggregate { select = "sum(value) as sum", where = "key % 3 == 0" }[1].sum
      local values, found = map:lookup_batch(keys)
      local done = map:upsert_batch({ 1, 99 }, { 1, 99 })
      print((map:count "value > 30"), sum, found, values[7], done.inserted, done.updated,
        map:delete_where("value % 2 == 0").deleted, map:count())
    ]]
    local with, without = helper.process(code), injected.without_programs(code)
    local expected = line_of(with)
    assert.equal("11\t273\t40\t7\t1\t1\t20\t21", expected)
    assert.equal(expected, line_of(without))
  end)

  -- lua/luabpf/query/prepare.lua
  it("each run of a query has the clocks of its own time", function()
    local map = filled(1)
    assert.equal(1, (map:count "now > value"))
    map:update(1, bpf.now())
    assert.equal(1, (map:count "now > value"))
    map:update(1, bpf.boottime())
    assert.equal(1, (map:count "boottime > value"))
    map:update(1, bpf.boottime())
    assert.equal(1, (map:count "boottime > value"))
  end)

  -- luabpf/lib/file/outfile.c
  it("a drain deletes nothing that is not on the disk #preload", function()
    folder.make "1m"
    finally(folder.remove)
    assert.equal("nil 5 40", line_of(injected.process([[
      local path = ...
      local map = assert(bpf.create { type = "hash", key = "u32", value = "u64",
        max_entries = 100 })
      for i = 1, 40 do map:update(i, i) end
      local report, _, errno = failing("fdatasync", 1, "EIO", function()
        return map:export(path, { drain = true })
      end, true)
      io.write(tostring(report), " ", errno, " ", map:count(), "\n")
    ]], folder.path "out")))
  end)

  it("the folder is told to remember the name of a finished export #preload", function()
    folder.make "1m"
    finally(folder.remove)
    assert.equal("true", line_of(injected.process([[
      local path = ...
      local map = assert(bpf.create { type = "hash", key = "u32", value = "u64",
        max_entries = 100 })
      faults.arm(-1, 0)
      faults.call(function() return assert(map:export(path)) end)
      print(faults.counts()[faults.kinds.fsync] > 0)
    ]], folder.path "out")))
  end)

  -- luabpf/bind/object/object.c
  it("[fault 14] a size that libbpf does not take is no other size #preload", function()
    assert.equal("points 64, false maps.points.max_entries: Device or resource busy",
      line_of(injected.process [[
        local function load()
          return bpf.load("bpf/objects.bpf.o", { maps = { points = { max_entries = 64 } } })
        end
        local object = assert(load())
        io.write("points ", object.maps.points:info().max_entries)
        faults.arm(faults.kinds.libbpf, 1, bpf.errno.EBUSY)
        local ok, message = faults.call(load)
        io.write(", ", tostring(ok), " ", tostring(message):match "maps.points.*", "\n")
      ]]))
  end)

  -- luabpf/lib/thread/threads.c
  it("signals are for the script's own thread", function()
    local map = filled(10)
    local masks = map:parallel { workers = 2, map = function()
      for line in io.lines "/proc/thread-self/status" do
        local mask = line:match "^SigBlk:%s*(%x+)"
        if mask then return mask end
      end
    end }
    assert.is_true(#masks > 0)
    -- All but SIGKILL and SIGSTOP, which cannot be, and two of the C library's own.
    for _, mask in ipairs(masks) do assert.equal("fffffffe7ffbfeff", mask) end
  end)

  -- luabpf/lib/thread/store.c
  it("a thread to which the map seems full tries again alone #preload", function()
    folder.make "1m"
    finally(folder.remove)
    assert.equal("40 40", line_of(injected.process([[
      local path = ...
      local function create()
        return assert(bpf.create { type = "hash", key = "u32", value = "u64", max_entries = 100 })
      end
      local from, to = create(), create()
      for i = 1, 40 do from:update(i, i) end
      assert(from:export(path))
      assert(faults.refuse(321, 5, bpf.errno.EPERM))
      local report = failing(2, 3, "E2BIG", function() return assert(to:import(path,
        { workers = 2 })) end)
      io.write(tostring(report.inserted), " ", to:count(), "\n")
    ]], folder.path "x")))
  end)

  -- luabpf/bind/map/lender.c
  it("what is decoded stays as it was, whatever a finalizer does with its cursor", function()
    assert.equal("0\ttrue", line_of(helper.process [[
      local map = assert(bpf.create { type = "hash", key = "u32", max_entries = 64,
        value = { "u64 a[4]", "char name[24]", "u64 b[4]" } })
      local keys = {}
      for i = 1, 64 do keys[i] = ("<I4"):pack(i) end
      keys = table.concat(keys)
      local function store(more)
        local values = {}
        for i = 1, 64 do
          local n = i + more
          values[i] = ("<I8I8I8I8c24I8I8I8I8"):pack(n, n, n, n, "number " .. n, n, n, n, n)
        end
        assert(map:update_batch(keys, table.concat(values)))
      end
      local function is_whole(value)
        local n = value.a[1]
        for i = 1, 4 do
          if value.a[i] ~= n or value.b[i] ~= n then return false end
        end
        return value.name == "number " .. n
      end
      -- Each memory that is asked for brings a collection. The n-th closes the cursor, and the
      -- next scan, of other values, has its buffer.
      local function broken_at(n, look)
        store(0)
        local _, _, _, cursor = map:entries(64)
        local batch, done = cursor:next(), false
        local function tick()
          setmetatable({}, { __gc = function()
            n = n - 1
            if n > 0 then return tick() end
            collectgarbage("incremental", 200, 100, 13)
            done = true
            cursor:close()
            store(1000)
            for other in map:batches(64) do assert(#other > 0) end
          end })
        end
        collectgarbage("incremental", 1, 100, 100)
        collectgarbage()
        tick()
        local ok, value = pcall(look, batch)
        collectgarbage("incremental", 200, 100, 13)
        return done, ok and value
      end
      local wrong, closed = 0, 0
      for _, look in ipairs {
        function(batch) return batch:value(2) end,
        function(batch)
          local step, state = batch:entries()
          return select(2, step(state))
        end,
        function(batch)
          for _, view in batch:views() do return bpf.copy(view) end
        end,
      } do
        local n, done, value = 0, nil, nil
        repeat
          n = n + 1
          done, value = broken_at(n, look)
          if value and not is_whole(value) then wrong = wrong + 1 end
          if done then closed = closed + 1 end
        until not done
      end
      print(wrong, closed > 10)
    ]]))
  end)

  -- luabpf/lib/scan/source.c
  it("a walk says how often its key was gone", function()
    local map, report, n = filled(9), {}, 0
    for batch in map:batches { engine = "walk", batch_size = 1, report = report } do
      map:delete(batch:key(1))
      n = n + 1
    end
    assert.equal(9, n)
    assert.equal(9, report.restarted)
  end)

  -- lua/luabpf/file/restore.lua
  it("a map under the name of a restore's part is gone on with only if it is like it", function()
    local map = filled(5, { max_entries = 50 })
    local taken <close>, pin = assert(map:snapshot()), helper.pin()
    local part, name = pin .. "_part", map:info().name
    finally(function() os.remove(part) os.remove(pin) end)
    for what, other in pairs { type = "lru_hash", key = "u16", value = "u32", max_entries = 51,
      name = "another" } do
      local options = { type = "hash", key = "u32", value = "u64", max_entries = 50, name = name,
        pin = part }
      options[what] = other
      local foreign <close> = assert(bpf.create(options))
      local made, _, errno = bpf.create { from = taken, pin = pin }
      assert.same({ nil, core.errno.EEXIST, 0 }, { made, errno, foreign:count() }, what)
      assert(foreign:unpin())
    end
  end)

  -- lua/luabpf/base/scan.lua
  it("while threads work, Lua has a look every now and then", function()
    local map, waits = filled(1), 0
    local fd <const>, LIMIT <const> = map:fd(), bpf.duration "20s"
    finally(debug.sethook)
    -- The worker waits for key 2, which the third wait for it stores.
    debug.sethook(function()
      if debug.getinfo(2, "n").name ~= "wait" then return end
      waits = waits + 1
      if waits == 3 then map:update(2, 20) end
    end, "c")
    local found = map:parallel { workers = 1, map = function()
      local same <close> = assert(bpf.open { fd = fd })
      local start = bpf.now()
      while not same:lookup(2) and bpf.now() - start < LIMIT do bpf.sleep "1ms" end
      return same:lookup(2) ~= nil
    end }
    assert.same({ true }, found)
  end)
end)
