-- SPDX-License-Identifier: MIT
--
-- Work by several threads (lua/luabpf/parallel/parallel.lua, worker.lua,
-- luabpf/bind/thread/workers.c, threads.c, and the bucket ranges of source.c).

local bpf = require "luabpf"
local core = require "luabpf.core"
local helper = require "spec.support.helper"

local function add(a, b) return a + b end

local function filled(kind, n)
  local map = helper.make(kind, n)
  local keys, values = helper.entries(kind, 0, n - 1)
  assert.equal(n, map:update_batch(keys, values))
  return map, keys
end

-- Every key with how often it reached a worker.
local function seen_by(map, workers, batch_size)
  local list = map:parallel { workers = workers, batch_size = batch_size, map = function(batch)
    return batch:keys()
  end }
  local seen = {}
  for _, keys in ipairs(list) do
    for _, key in ipairs(keys) do seen[key] = (seen[key] or 0) + 1 end
  end
  return seen
end

describe("parallel", function()
  after_each(helper.close_all)

  for _, kind in ipairs(helper.types) do
    it("hands each entry to one worker: " .. (kind.label or kind.type), function()
      local map, keys = filled(kind, 1000)
      for _, workers in ipairs { 1, 2, 4, 7 } do
        local seen = seen_by(map, workers, 64)
        for _, key in ipairs(keys) do assert.equal(1, seen[key]) end
      end
    end)
  end

  it("sums up in the workers and then here", function()
    local map = filled(helper.types[1], 5000)
    for _, workers in ipairs { 1, 3 } do
      local sum, report = map:parallel { workers = workers, map = function(batch)
        local n = 0
        for _, value in batch:entries() do n = n + value end
        return n
      end, reduce = add }
      assert.equal(5000 * 4999 // 2, sum)
      assert.equal(workers, report.workers)
      assert.equal(5000, report.entries)
      assert.is_true(report.seconds > 0)
    end
  end)

  it("gives initial for an empty map, a list without reduce", function()
    local map = helper.map()
    assert.equal(7, (map:parallel { map = function() return 1 end, reduce = add, initial = 7 }))
    assert.is_nil((map:parallel { map = function() return 1 end, reduce = add }))
    assert.same({}, (map:parallel { map = function() return 1 end }))
    map:update(1, 5)
    assert.same({ 5 }, (map:parallel { map = function(batch) return batch:value(1) end }))
    assert.same({}, (map:parallel { map = function() end }))
  end)

  it("gives what reduce comes to, nil and false too", function()
    local map = filled(helper.types[1], 1000)
    local function run(map_one, reduce)
      local result = table.pack(map:parallel { workers = 3, batch_size = 50, map = map_one,
        reduce = reduce, initial = "none" })
      assert.equal(2, result.n)
      return result[1]
    end
    assert.is_nil(run(function() return 1 end, function() return nil end))
    assert.is_false(run(function() return 1 end, function() return false end))
    assert.is_false(run(function() return false end, function(a, b) return a or b end))
  end)

  it("takes the CPUs that are online, and no more workers than there may be", function()
    local map = filled(helper.types[1], 10)
    local real = core.cpus
    finally(function() core.cpus = real end)
    local function nothing() end
    local _, report = map:parallel { map = nothing }
    local _, online = real()
    assert.equal(math.min(online, 16), report.workers) -- of 16 buckets
    local many = helper.map { type = "array", max_entries = 1 }
    core.cpus = function() return 1000, 1000 end
    _, report = many:parallel { map = nothing }
    assert.equal(256, report.workers)
  end)

  it("filters by text and by function", function()
    local map = filled(helper.types[1], 2000)
    local limit = 50
    for _, workers in ipairs { 1, 2 } do
      local n, report = map:parallel { workers = workers, where = "value < $limit",
        params = { limit = limit }, map = function(batch) return #batch end, reduce = add }
      assert.equal(50, n)
      assert.equal(50, report.matched)
      n = map:parallel { workers = workers, where = function(_, value) return value < limit end,
        map = function(batch) return #batch end, reduce = add }
      assert.equal(50, n)
    end
  end)

  it("copies upvalues and gives the workers bpf and globals of their own", function()
    local map = filled(helper.types[1], 100)
    local table_of = { factor = 3 }
    local module = bpf
    leak = "of the caller" -- luacheck: ignore
    local list = map:parallel { workers = 2, map = function()
      return { table_of.factor, tostring(leak), bpf.now() > 0, module == bpf } -- luacheck: ignore
    end }
    leak = nil -- luacheck: ignore
    assert.is_true(#list > 0)
    for _, result in ipairs(list) do assert.same({ 3, "nil", true, true }, result) end
  end)

  it("reports an error in a worker with its traceback, and ends the others", function()
    local map = filled(helper.types[1], 20000)
    local before = helper.threads()
    local ok, message = pcall(map.parallel, map, { workers = 3, batch_size = 100,
      map = function(batch)
        if batch:key(1) % 7 == 3 then error("bad entry") end
        return 1
      end })
    assert.is_false(ok)
    assert.truthy(message:find("^parallel: worker %d: .*bad entry"), message)
    assert.truthy(message:find("stack traceback", 1, true))
    assert.truthy(message:find("parallel_spec.lua", 1, true))
    local array = filled(helper.types[7], 5000)
    ok, message = pcall(array.parallel, array, { workers = 2, batch_size = 10, map = function()
      error { code = 5 }
    end })
    assert.is_false(ok)
    assert.truthy(message:find("parallel: worker", 1, true))
    assert.equal(before, helper.threads())
  end)

  it("refuses what cannot be copied, naming the upvalue", function()
    local map = filled(helper.types[1], 10)
    local file = io.stdout
    assert.error_matches(function()
      map:parallel { map = function() return file end }
    end, "parallel%.map: upvalue 'file': a FILE%* cannot be copied")
    local ok, message = pcall(map.parallel, map, { map = function()
      return coroutine.create(print)
    end })
    assert.is_false(ok)
    assert.truthy(message:find("the result.*a thread cannot be copied"), message)
  end)

  it("checks its options", function()
    local map = helper.map()
    local function nothing() end
    assert.error_matches(function() map:parallel {} end, "option 'map'")
    assert.error_matches(function() map:parallel { map = 5 } end, "option 'map'")
    assert.error_matches(function()
      map:parallel { map = nothing, wrkers = 2 }
    end, "unknown option")
    assert.error_matches(function() map:parallel { map = nothing, workers = 0 } end, "workers")
    assert.error_matches(function() map:parallel { map = nothing, workers = 257 } end, "workers")
    assert.error_matches(function()
      map:parallel { map = nothing, where = nothing, params = { a = 1 } }
    end, "params go with text")
    assert.error_matches(function()
      map:parallel { map = nothing, params = { a = 1 } }
    end, "params go with text")
    assert.error_matches(function() map:parallel { map = nothing, where = 5 } end,
      "parallel: option 'where': .*got number")
    assert.error_matches(function() map:parallel { map = nothing, batch_size = 0 } end,
      "parallel: option 'batch_size'")
    assert.error_matches(function() map:parallel { map = nothing, where = "value <" } end,
      "a value expected at the end")
    map:close()
    assert.error_matches(function() map:parallel { map = nothing } end, "map is closed")
  end)

  -- Files and kernel memory that are mapped.
  local function mappings()
    local n = 0
    for line in io.lines("/proc/self/maps") do
      if line:find("/", 1, true) or line:find("anon_inode", 1, true) then n = n + 1 end
    end
    return n
  end

  -- LUABPF_CYCLES=1000 is the long form.
  it("leaves no thread, descriptor, mapping or memory behind #resident", function()
    local map = filled(helper.types[1], 50)
    local function run() map:parallel { workers = 2, map = function() return 1 end } end
    run()
    local before, open, mapped = helper.threads(), helper.descriptors(), mappings()
    local cycles = tonumber(os.getenv "LUABPF_CYCLES") or 100
    local function resident()
      collectgarbage()
      local file <close> = assert(io.open("/proc/self/status"))
      return tonumber(file:read("a"):match("VmRSS:%s*(%d+)"))
    end
    local early
    for i = 1, cycles do
      run()
      if i == math.min(100, cycles // 2) then early = resident() end
    end
    local grown = resident() - early
    assert.is_true(grown <= (cycles >= 1000 and 256 or 1024), ("%d KiB more"):format(grown))
    assert.equal(before, helper.threads())
    assert.equal(open, helper.descriptors())
    assert.equal(mapped, mappings())
  end)

  it("[case 48] hands stable keys to one worker while others come and go", function()
    local map = helper.map { max_entries = 6000 }
    local keys = {}
    for i = 1, 5000 do keys[i] = i end
    map:update_batch(keys, keys)
    finally(helper.storm(map, 5000, 7))
    for round = 1, 30 do
      local seen = seen_by(map, round % 4 + 1, 256)
      for i = 1, 5000 do assert(seen[i] == 1, "a key came not once") end
    end
  end)

  it("scans ranges of buckets that meet without a gap", function()
    local map = filled(helper.types[1], 1000)
    for _, size in ipairs { 1, 5, 64, 1000 } do
      local seen, n = {}, 0
      for _, range in ipairs { { 0, 300 }, { 300, 301 }, { 301, 1024 } } do
        local cursor <close> = core.cursor(map, { batch_size = size, first = range[1],
          last = range[2] })
        for batch in cursor.next, cursor do
          for key in batch:entries() do
            assert.is_nil(seen[key])
            seen[key], n = true, n + 1
          end
        end
      end
      assert.equal(1000, n)
    end
  end)
end)

describe("queries by several threads", function()
  after_each(helper.close_all)

  local function add_up(map, workers)
    local n, counted = map:count("value % 3 == $r", { params = { r = 1 }, engine = "batch",
      workers = workers })
    local list, report = map:aggregate { where = "value > 100", group = "value % 16 as rest",
      select = { "count() as n", "sum(value) as total", "min(value) as least",
        "distinct(value % 7) as kinds", "avg(value) as mean" }, engine = "batch",
      workers = workers }
    return { n, list }, counted, report
  end

  for _, kind in ipairs(helper.types) do
    if not kind.type:find("percpu") then
      it("equal those by one: " .. (kind.label or kind.type), function()
        local map = filled(kind, 3000)
        local expected = add_up(map, 1)
        for _, workers in ipairs { 2, 5, 16 } do
          local got, counted, report = add_up(map, workers)
          assert.same(expected, got)
          assert.equal(3000, counted.visited)
          -- Without buckets to share out, one thread reads.
          assert.equal(core.maptypes[kind.type].position == "bucket" and workers or 1,
            report.workers)
          assert.is_true(report.complete)
          assert.equal("batch", report.engine)
        end
      end)
    end
  end

  it("sum over CPUs as one thread does", function()
    local map = filled(helper.types[5], 500)
    local one = map:aggregate { select = "sum(value) as s", engine = "batch" }
    assert.same(one, (map:aggregate { select = "sum(value) as s", engine = "batch", workers = 3 }))
  end)

  it("keep to the memory limit, and name it", function()
    local map = filled(helper.types[1], 3000)
    local list, message = map:aggregate { group = "key", engine = "batch", workers = 2,
      memory = "16KiB" }
    assert.is_nil(list)
    assert.truthy(message:find("memory", 1, true), message)
  end)

  it("take text, and functions that are compiled", function()
    local map = filled(helper.types[1], 10)
    assert.error_matches(function()
      map:count(function() return #{ 1 } == 1 end, { workers = 2 })
    end, "workers do not run this function: .*:%d+: makes a table; map:parallel does")
    assert.equal(10, map:count(function() return true end, { engine = "batch", workers = 2 }))
    assert.error_matches(function() map:count("true", { workers = 0 }) end, "workers")
    assert.error_matches(function() map:select { workers = 2 } end, "unknown option 'workers'")
  end)
end)
