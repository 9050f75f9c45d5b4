-- SPDX-License-Identifier: MIT
--
-- Lab 16.3, "Batch operations", of the eBPF course whose lab simulates its map: each part and
-- exercise, on real maps, through the public interface. What the lab times, bench/bench.lua
-- times; here is what must come out.

local bpf = require "luabpf"
local helper = require "spec.support.helper"

local function add(a, b) return a + b end

-- A map of the numbers from 0 to n - 1, each its own value, as most of the lab has.
local function numbers(n)
  local map = helper.map { max_entries = n }
  local keys = {}
  for i = 1, n do keys[i] = i - 1 end
  assert.equal(n, map:update_batch(keys, keys))
  return map, keys
end

-- The lists of n items that a list is made of, the last one shorter.
local function partition_all(n, list)
  return bpf.iter.chunk(n, bpf.iter.lazy(function()
    for _, item in ipairs(list) do coroutine.yield(item) end
  end))
end

-- The sum of the values of a batch.
local function total(batch)
  local sum = 0
  for _, value in batch:views() do sum = sum + value end
  return sum
end

describe("lab 16.3, part 1: understanding batch operations", function()
  after_each(helper.close_all)

  it("step 1.1: a batch spares the system calls of its entries", function()
    local map = numbers(1000)
    local one_by_one, batched = {}, {}
    for _ in map:entries { engine = "walk", report = one_by_one } do end
    for _ in map:entries { batch_size = 1000, report = batched } do end
    assert.equal(1000, one_by_one.entries)
    assert.equal(1000, batched.entries)
    assert.is_true(one_by_one.calls >= 1000, one_by_one.calls)
    assert.is_true(batched.calls <= 10, batched.calls)
  end)

  it("step 1.2: one by one and in batches do the same", function()
    local single, batched = helper.map(), helper.map()
    local keys = { 3, 1, 4, 15, 92, 65 }
    for _, key in ipairs(keys) do assert.is_true(single:update(key, key * 10)) end
    assert.equal(6, batched:update_batch(keys, { 30, 10, 40, 150, 920, 650 }))
    assert.same(helper.collect(single:entries()), (helper.collect(batched:entries())))

    local some = { 4, 7, 65 }
    local values, found = batched:lookup_batch(some)
    assert.equal(2, found)
    for i, key in ipairs(some) do assert.equal(single:lookup(key), values[i]) end

    assert.is_true(single:delete(4))
    assert.is_false(single:delete(7))
    assert.is_true(single:delete(65))
    assert.same({ 2, 1 }, { batched:delete_batch(some) })
    assert.same(helper.collect(single:entries()), (helper.collect(batched:entries())))
  end)
end)

describe("lab 16.3, part 2: individual against batch", function()
  after_each(helper.close_all)

  it("step 2.1: lookups by 256 and by 1000 find what single ones do", function()
    local map, keys = numbers(3000)
    for i = 1, 3000, 7 do map:delete(keys[i]) end
    local expected = {}
    for i, key in ipairs(keys) do expected[i] = map:lookup(key) or false end
    for _, size in ipairs { 256, 1000 } do
      local got, batches = {}, 0
      for some in partition_all(size, keys) do
        batches = batches + 1
        local values = assert(map:lookup_batch(some))
        for i = 1, #some do got[#got + 1] = values[i] or false end
      end
      assert.equal((3000 + size - 1) // size, batches)
      assert.same(expected, got)
    end
  end)

  it("step 2.2: updates by 256 store what single ones do", function()
    local layout = { "u64 value", "u64 timestamp" }
    local single = helper.map { value = layout, max_entries = 1000 }
    local batched = helper.map { value = layout, max_entries = 1000 }
    local keys, now = {}, bpf.now()
    for i = 1, 1000 do
      keys[i] = i - 1
      assert.is_true(single:update(i - 1, { value = i - 1, timestamp = now }))
    end
    for some in partition_all(256, keys) do
      local values = {}
      for i, key in ipairs(some) do values[i] = { value = key, timestamp = now } end
      assert.equal(#some, batched:update_batch(some, values))
    end
    local stored = helper.collect(batched:entries())
    assert.equal(1000, batched:count())
    assert.same(helper.collect(single:entries()), stored)
  end)
end)

-- ---- part 3 ----------------------------------------------------------------------

local CONNECTION <const> = {
  key = { "ipv4 src_addr", "ipv4 dst_addr", "be16 src_port", "be16 dst_port" },
  value = { "u64 packets", "u64 bytes", "u64 last_seen" },
}

-- n connections, the last seen 0, 1, 2, ... seconds before now.
local function generate_connections(n, now)
  local keys, values = {}, {}
  for i = 1, n do
    keys[i] = { src_addr = ("10.0.%d.%d"):format(i // 250, i % 250), dst_addr = "192.0.2.1",
      src_port = math.random(32768, 65535), dst_port = i % 3 == 0 and 443 or 80 }
    values[i] = { packets = math.random(1, 1000000), bytes = math.random(1, 100000000),
      last_seen = now - (i - 1) * bpf.duration "1s" }
  end
  return keys, values
end

local function connection_table(n)
  local map = helper.map { key = CONNECTION.key, value = CONNECTION.value, max_entries = 10000 }
  local now = 2000 * bpf.duration "1s"
  local keys, values = generate_connections(n, now)
  assert.equal(n, map:update_batch(keys, values))
  return map, keys, values, now
end

describe("lab 16.3, part 3: practical batch operations", function()
  after_each(helper.close_all)

  it("step 3.1: a connection table is filled and asked in batches", function()
    local map, keys, values = connection_table(1000)
    assert.equal(1000, map:count())
    local first = table.move(keys, 1, 500, 1, {})
    local results, found = map:lookup_batch(first)
    assert.equal(500, found)
    assert.same(table.move(values, 1, 500, 1, {}), results)
  end)

  it("step 3.1: old connections are cleaned up, by their age", function()
    local map, keys, _, now = connection_table(1000)
    local report = assert(map:delete_where("$clock - value.last_seen > $max_age",
      { params = { clock = now, max_age = "600s" } }))
    assert.equal(1000, report.visited)
    assert.equal(399, report.deleted)
    assert.is_true(report.complete)
    assert.equal(601, map:count())
    assert.is_table(map:lookup(keys[601]))
    assert.is_nil(map:lookup(keys[602]))
    assert.equal(0, map:delete_where("$clock - value.last_seen > $max_age",
      { params = { clock = now, max_age = "600s" } }).deleted)
  end)

  it("step 3.2: statistics are summed up where the entries are", function()
    local map, keys, values = connection_table(1000)
    local select = { "count() as connections", "sum(value.packets) as packets",
      "sum(value.bytes) as bytes", "avg(value.packets) as mean_packets",
      "avg(value.bytes) as mean_bytes" }
    local packets, bytes, web = 0, 0, 0
    for i, value in ipairs(values) do
      packets, bytes = packets + value.packets, bytes + value.bytes
      if keys[i].dst_port == 80 then web = web + value.bytes end
    end
    assert.same({ { connections = 1000, packets = packets, bytes = bytes,
      mean_packets = packets / 1000, mean_bytes = bytes / 1000 } },
      (map:aggregate { select = select }))
    local rows = map:aggregate { group = "key.dst_port", select = "sum(value.bytes) as bytes" }
    assert.same({ { dst_port = 80, bytes = web }, { dst_port = 443, bytes = bytes - web } }, rows)

    map:clear()
    local row = map:aggregate({ select = select })[1]
    assert.equal(0, row.connections)
    assert.equal(0, row.packets)
    assert.is_nil(row.mean_packets)
  end)
end)

-- ---- parts 4 and 5 ---------------------------------------------------------------

local SIZES <const> = { 16, 32, 64, 128, 256, 512, 1024, 2048 }

describe("lab 16.3, part 4: batch sizes", function()
  after_each(helper.close_all)

  it("step 4.1: every size reads all entries, larger ones with fewer calls", function()
    local map = numbers(10000)
    local before = math.huge
    for _, size in ipairs(SIZES) do
      local report, sum = {}, 0
      for batch in map:batches { batch_size = size, report = report } do
        sum = sum + total(batch)
      end
      assert.equal(10000 * 9999 // 2, sum)
      assert.equal(10000, report.entries)
      assert.is_true(report.batches >= 10000 // size and report.calls < before)
      before = report.calls
    end
  end)

  it("step 4.1: bpf.bench finds the best size for a map", function()
    local map = numbers(2000)
    local result = assert(bpf.bench(map, { sizes = SIZES, patience = "20ms" }))
    local sizes, best = {}, false
    for i, row in ipairs(result.sizes) do
      sizes[i] = row.size
      best = best or row == result.best
    end
    assert.same(SIZES, sizes)
    assert.is_true(best)
  end)

  it("step 4.2: a batch holds as much as it was asked for", function()
    local map = numbers(5000)
    for _, size in ipairs { 64, 512, 4096 } do
      local largest = 0
      for batch in map:batches(size) do
        local keys, values = batch:packed()
        assert.equal(#batch * 4, #keys)
        assert.equal(#batch * 8, #values)
        largest = math.max(largest, #batch)
      end
      assert.is_true(largest <= size and largest > size // 2)
    end
  end)
end)

describe("lab 16.3, part 5: iterators for large maps", function()
  after_each(helper.close_all)

  it("step 5.1: 1000 entries are processed in batches of 100", function()
    local map = numbers(1000)
    local processed, sum = 0, 0
    for batch in map:batches(100) do
      assert.is_true(#batch <= 100)
      processed, sum = processed + #batch, sum + total(batch)
    end
    assert.equal(1000, processed)
    assert.equal(999 * 500, sum)
  end)

  it("step 5.1: batches are read when they are asked for", function()
    local map = numbers(1000)
    local report, seen = {}, 0
    for batch in map:batches { batch_size = 100, report = report } do
      seen = seen + #batch
      if seen >= 150 then break end
    end
    assert.equal(seen, report.entries)
    assert.is_true(seen < 300)
  end)

  it("step 5.2: several threads give what one does", function()
    local map = numbers(10000)
    local sequential = 0
    for batch in map:batches(256) do sequential = sequential + total(batch) end
    for _, workers in ipairs { 1, 2, 4 } do
      local parallel, report = map:parallel { workers = workers, batch_size = 256, reduce = add,
        map = function(batch)
          local sum = 0
          for _, value in batch:views() do sum = sum + value end
          return sum
        end }
      assert.equal(sequential, parallel)
      assert.equal(10000, report.entries)
    end
  end)

  it("step 5.2: threads without Lua sum up as well", function()
    local map = numbers(10000)
    local rows, report = map:aggregate { select = "sum(value) as sum", engine = "batch",
      workers = 2 }
    assert.same({ { sum = 10000 * 9999 // 2 } }, rows)
    assert.equal(2, report.workers)
  end)
end)

-- ---- part 6 ----------------------------------------------------------------------

describe("lab 16.3, part 6: exercises", function()
  after_each(helper.close_all)

  local function is_odd(key) return key % 2 == 1 end

  it("exercise 1: batch delete with a filter, step by step", function()
    local map = numbers(1000)
    local deleted = 0
    for batch in map:batches(100) do
      local wanted = {}
      for key, value in batch:entries() do
        if is_odd(key, value) then wanted[#wanted + 1] = key end
      end
      deleted = deleted + map:delete_batch(wanted)
    end
    assert.equal(500, deleted)
    for key in map:entries() do assert.is_false(is_odd(key)) end
    assert.equal(500, map:count())
  end)

  it("exercise 1: batch delete with a filter, in one call", function()
    for _, where in ipairs { "key % 2 == 1", is_odd } do
      local map = numbers(1000)
      assert.equal(500, map:delete_where(where).deleted)
      for key in map:entries() do assert.is_false(is_odd(key)) end
      assert.equal(500, map:count())
    end
  end)

  it("exercise 2: batch upsert counts what it inserted and updated", function()
    local map = numbers(100)
    map:delete_where "key >= 60"
    local keys, values = {}, {}
    for i = 1, 100 do keys[i], values[i] = i - 1, i * 1000 end
    assert.same({ inserted = 40, updated = 60 }, map:upsert_batch(keys, values))
    assert.same(values, (map:lookup_batch(keys)))
    assert.same({ inserted = 0, updated = 100 }, map:upsert_batch(keys, values))
  end)

  it("exercise 3: streaming export, each batch fetched when it is needed", function()
    local map = numbers(20000)
    local fetched, seen, n = {}, {}, 0
    local lines = bpf.iter.lazy(function()
      assert(map:export(coroutine.yield, { batch_size = 500, report = fetched }))
    end)
    local before_the_end = 0
    for text in lines do
      if not fetched.entries then before_the_end = before_the_end + 1 end
      for line in text:gmatch "[^\n]+" do
        local key, value = line:match '^{"key":(%d+),"value":(%d+)}$'
        assert.equal(key, value, line)
        assert.is_nil(seen[key])
        seen[key], n = true, n + 1
      end
    end
    assert.equal(20000, n)
    assert.equal(20000, fetched.entries)
    assert.is_true(before_the_end >= 2)
  end)

  -- Writes batches to a file until so many are written; where to go on, nil at the end.
  local function export_some(map, file, from, most)
    local n = 0
    for batch in map:batches { batch_size = 100, from = from } do
      for key, value in batch:entries() do file:write(key, " ", value, "\n") end
      n = n + 1
      if n == most then return batch:cursor() end
    end
  end

  it("exercise 3: streaming export resumes from a checkpoint", function()
    local map = numbers(1000)
    local path <close> = setmetatable({ name = os.tmpname() }, { __close = function(self)
      os.remove(self.name)
    end })
    local file <close> = assert(io.open(path.name, "w"))
    local checkpoint, runs = nil, 0
    repeat
      checkpoint = export_some(map, file, checkpoint, 3)
      runs = runs + 1
    until not checkpoint
    file:close()
    assert.is_true(runs >= 4)
    local seen, n = {}, 0
    for line in io.lines(path.name) do
      local key, value = line:match "^(%d+) (%d+)$"
      assert.equal(key, value)
      assert.is_nil(seen[key])
      seen[key], n = true, n + 1
    end
    assert.equal(1000, n)
  end)
end)

-- ---- part 7 and next steps -------------------------------------------------------

describe("lab 16.3, part 7: testing your implementation", function()
  after_each(helper.close_all)

  it("the lab's test script", function()
    local map = helper.map { max_entries = 1000 }
    local keys = {}
    for i = 1, 100 do keys[i] = i - 1 end
    assert.equal(100, map:update_batch(keys, keys))
    assert.equal(100, map:count())

    local values, found = map:lookup_batch(table.move(keys, 1, 50, 1, {}))
    assert.equal(50, found)
    assert.same(table.move(keys, 1, 50, 1, {}), values)

    assert.same({ 25, 0 }, { map:delete_batch(table.move(keys, 1, 25, 1, {})) })
    assert.equal(75, map:count())
  end)
end)

describe("lab 16.3, next steps", function()
  after_each(helper.close_all)

  it("a map is exported to a snapshot and made again from it", function()
    local map, keys, values = connection_table(1000)
    local snapshot <close> = assert(map:snapshot())
    map:clear()
    assert.equal(1000, #snapshot)
    local copy <close> = assert(bpf.create { from = snapshot, name = helper.name() })
    assert.equal(1000, copy:count())
    assert.same(values, (copy:lookup_batch(keys)))
    assert.equal(0, map:count())
  end)

  it("batches carry one value per CPU", function()
    local map = helper.map { type = "percpu_hash", max_entries = 500 }
    local keys, values, sum = {}, {}, 0
    for i = 1, 500 do
      keys[i], values[i] = i, {}
      for cpu = 1, (bpf.cpus()) do
        values[i][cpu] = i * cpu
        sum = sum + i * cpu
      end
    end
    assert.equal(500, map:update_batch(keys, values))
    assert.same(values, (map:lookup_batch(keys)))
    local seen = 0
    for batch in map:batches(64) do
      for key, value in batch:entries() do
        assert.same(values[key], value)
        seen = seen + 1
      end
    end
    assert.equal(500, seen)
    assert.same({ { sum = sum } }, (map:aggregate { select = "sum(value) as sum" }))
    assert.same({ 250, 0 }, { map:delete_batch(table.move(keys, 1, 250, 1, {})) })
    assert.equal(250, map:count())
  end)
end)
