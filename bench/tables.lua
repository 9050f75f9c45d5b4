-- SPDX-License-Identifier: MIT
--
-- What things cost, in tables: those of lab 16.3 on a real map, and after them what the
-- lab does not ask for (more_tables.lua). A table is
--
--   name, title
--   extra          true: only with --all, or by its name
--   run(bench)     { columns = names, rows = lists of numbers and texts }
--
-- Times are medians of three runs (one for what takes long). bench has what
-- bench.lua and figures.lua know; bench.map holds the connections.

local bpf = require "luabpf"
local connections = require "bench.connections"
local harness = require "bench.harness"

local CUT <const> = connections.CUT
local SIZES <const> = { 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768, 65536 }

local exhaust, round, time = harness.exhaust, harness.round, harness.per

local function per_second(ns)
  return round(1e9 / ns)
end

local function add(a, b) return a + b end

-- Lists of size items each.
local function parts(list, size)
  local result = {}
  for i = 1, #list, size do
    result[#result + 1] = table.move(list, i, math.min(i + size - 1, #list), 1, {})
  end
  return result
end

local function individual_against_batch(bench, single, batch)
  local keys, values = connections.present(bench)
  local rows, first = {}, nil
  local function row(what, ns)
    first = first or ns
    rows[#rows + 1] = { what, #keys, round(ns), per_second(ns), round(first / ns, 1) }
  end
  row("individual", time(bench, #keys, single, keys, values))
  for _, size in ipairs { 256, 1000 } do
    row(("batch (%d)"):format(size),
      time(bench, #keys, batch, parts(keys, size), parts(values, size)))
  end
  row("all in one call", time(bench, #keys, batch, { keys }, { values }))
  return { columns = { "method", "keys", "ns per key", "keys per second", "speedup" },
    rows = rows }
end

local function lookup_table(bench)
  local map = bench.map
  return individual_against_batch(bench, function(keys)
    for _, key in ipairs(keys) do map:lookup(key) end
  end, function(lists)
    for _, keys in ipairs(lists) do map:lookup_batch(keys) end
  end)
end

local function update_table(bench)
  local map = bench.map
  return individual_against_batch(bench, function(keys, values)
    for i, key in ipairs(keys) do map:update(key, values[i]) end
  end, function(key_lists, value_lists)
    for i, keys in ipairs(key_lists) do assert(map:update_batch(keys, value_lists[i])) end
  end)
end

-- One walk: what it took, its longest step, the time until its first batch.
local function walk(map, size)
  local report = {}
  local began = bpf.now()
  local before, longest, first = began, 0, nil
  for _ in map:batches { batch_size = size, report = report } do
    local now = bpf.now()
    first, longest, before = first or now - began, math.max(longest, now - before), now
  end
  return bpf.now() - began, longest, first, report
end

-- By batch size; all of it by the clock, for it is about waiting.
local function measure_sizes(bench)
  if bench.sizes then return bench.sizes end
  local list = {}
  for i, size in ipairs(SIZES) do
    local times, longest, firsts, report = {}, {}, {}, nil
    for run = 1, bench.quick and 1 or 3 do
      times[run], longest[run], firsts[run], report = walk(bench.map, size)
    end
    list[i] = { size = size, ns = harness.median(times) / bench.entries,
      longest = harness.median(longest), first = harness.median(firsts), calls = report.calls,
      growth = harness.growth(walk, bench.map, size) }
  end
  bench.sizes = list
  return list
end

local function sizes_table(bench)
  local rows, best = {}, nil
  for i, s in ipairs(measure_sizes(bench)) do
    rows[i] = { s.size, s.calls, round(s.ns), per_second(s.ns), round(s.longest / 1000), "" }
    -- A larger batch must be worth its memory.
    if not best or s.ns < best.ns * 0.95 then best = { ns = s.ns, row = rows[i] } end
  end
  best.row[6] = "optimum"
  return { columns = { "batch size", "calls", "ns per entry", "entries per second",
    "longest call, us", "" }, rows = rows }
end

local function memory_table(bench)
  local rows = {}
  for i, s in ipairs(measure_sizes(bench)) do
    rows[i] = { s.size, round(s.size * 48 / 1024, 1), round(s.growth / 1024),
      round(s.first / 1000), per_second(s.ns) }
  end
  return { columns = { "batch size", "buffers, KiB", "resident growth, KiB", "first entry, us",
    "entries per second" }, rows = rows }
end

local function connections_table(bench)
  local map, n = bench.map, bench.entries
  local keys, values, packed, packed_values = connections.present(bench)
  local rows = {}
  local function row(what, count, fn)
    local ns = time(bench, 1, fn)
    rows[#rows + 1] = { what, count, round(ns / 1e6, 2), round(ns / count) }
  end
  row("insert or replace, lists of tables", #keys, function() map:update_batch(keys, values) end)
  row("insert or replace, packed", #keys, function()
    map:update_batch(packed, packed_values)
  end)
  row("query, lists of tables", #keys, function() map:lookup_batch(keys) end)
  row("query, packed", #keys, function() map:lookup_batch(packed) end)
  row("how many are idle", n, function()
    map:count("value.last_seen < $cut", { params = { cut = CUT } })
  end)
  row("list the idle ones", n, function()
    exhaust(map:select { where = "value.last_seen < $cut", params = { cut = CUT } })
  end)
  row("clean up the idle ones", n, function()
    map:delete_where("value.last_seen < $cut", { params = { cut = CUT } })
    bench.c:task "restore"
  end)
  local restore = time(bench, 1, function() bench.c:task "restore" end)
  rows[#rows][3] = round(rows[#rows][3] - restore / 1e6, 2)
  rows[#rows][4] = round(rows[#rows][4] - restore / n)
  row("the ten with most bytes", n, function()
    exhaust(map:select { sort = "value.bytes", limit = 10, columns = "value.bytes" })
  end)
  return { columns = { "work", "connections", "ms", "ns per connection" }, rows = rows }
end

local STATISTICS <const> = { "count() as connections", "sum(value.packets) as packets",
  "sum(value.bytes) as bytes", "avg(value.bytes) as mean" }

local function statistics_table(bench)
  local map, rows = bench.map, {}
  local function row(what, fn)
    local ns = time(bench, bench.entries, fn)
    rows[#rows + 1] = { what, round(ns), per_second(ns) }
  end
  row("loop over entries, tables", function()
    local n, packets, bytes = 0, 0, 0
    for _, value in map:entries() do
      n, packets, bytes = n + 1, packets + value.packets, bytes + value.bytes
    end
    return n + packets + bytes
  end)
  row("loop over views", function()
    local n, packets, bytes = 0, 0, 0
    for _, value in map:views() do
      n, packets, bytes = n + 1, packets + value.packets, bytes + value.bytes
    end
    return n + packets + bytes
  end)
  row("aggregate, batch engine", function()
    map:aggregate { select = STATISTICS, engine = "batch" }
  end)
  row("aggregate", function() map:aggregate { select = STATISTICS } end)
  row("aggregate: counts and sums only", function()
    map:aggregate { select = { "count() as n", "sum(value.bytes) as bytes" } }
  end)
  row("aggregate by port", function()
    map:aggregate { select = STATISTICS, group = "key.dst_port" }
  end)
  row("aggregate by source address (each its own group)", function()
    map:aggregate { select = "count()", group = "key.src_addr", limit = 10, sort = "count",
      memory = "256MiB" }
  end)
  return { columns = { "way", "ns per entry", "entries per second" }, rows = rows }
end

local function iterator_table(bench)
  local map, rows = bench.map, {}
  local function row(what, fn)
    rows[#rows + 1] = { what, round(time(bench, bench.entries, fn)) }
  end
  row("batches(4096)", function() exhaust(map:batches(4096)) end)
  row("views()", function() exhaust(map:views()) end)
  row("entries()", function() exhaust(map:entries()) end)
  row("entries { raw = true }", function() exhaust(map:entries { raw = true }) end)
  row("iter.filter over views()", function()
    exhaust(bpf.iter.filter(function(_, v) return v.bytes > 1 end, map:views()))
  end)
  row("iter.chunk(1000) over entries()", function()
    exhaust(bpf.iter.chunk(1000, map:entries()))
  end)
  row("iter.lazy over batches", function()
    exhaust(bpf.iter.lazy(function()
      for batch in map:batches() do coroutine.yield(batch) end
    end))
  end)
  return { columns = { "loop", "ns per entry" }, rows = rows }
end

-- By the clock: the time of the CPU is that of all threads.
local function parallel_table(bench)
  local map, rows = bench.map, {}
  local function row(what, fn)
    local one = harness.time(bench.quick and 1 or 3, false, fn, 1) / bench.entries
    local two = harness.time(bench.quick and 1 or 3, false, fn, 2) / bench.entries
    rows[#rows + 1] = { what, round(one), round(two), round(one / two, 2) }
  end
  row("parallel: nothing done with batches", function(workers)
    map:parallel { workers = workers, map = function(batch) return #batch end, reduce = add }
  end)
  row("parallel: sum through views", function(workers)
    map:parallel { workers = workers, reduce = add, map = function(batch)
      local n = 0
      for _, value in batch:views() do n = n + value.bytes end
      return n
    end }
  end)
  row("parallel: sum through tables", function(workers)
    map:parallel { workers = workers, reduce = add, map = function(batch)
      local n = 0
      for _, value in batch:entries() do n = n + value.bytes end
      return n
    end }
  end)
  row("count, batch engine", function(workers)
    map:count("value.bytes > 100000", { engine = "batch", workers = workers })
  end)
  row("aggregate, batch engine", function(workers)
    map:aggregate { select = STATISTICS, engine = "batch", workers = workers }
  end)
  row("aggregate by port, batch engine", function(workers)
    map:aggregate { select = STATISTICS, group = "key.dst_port", engine = "batch",
      workers = workers }
  end)
  return { columns = { "work", "ns per entry, 1 worker", "2 workers", "speedup" }, rows = rows }
end

local tables = {
  { name = "lookup", title = "individual lookups against batches, tables in and out",
    run = lookup_table },
  { name = "update", title = "individual updates against batches, tables in", run = update_table },
  { name = "batch sizes", title = "reading the whole map", run = sizes_table },
  { name = "memory", title = "memory against throughput", run = memory_table },
  { name = "connections", title = "work on the connection table", run = connections_table },
  { name = "statistics", title = "sums over all entries, by several ways", run = statistics_table },
  { name = "iterators", title = "loops that do nothing", run = iterator_table },
  { name = "parallel", title = "one and two worker threads", run = parallel_table },
}

local more = require "bench.more_tables"

return table.move(more, 1, #more, #tables + 1, tables)
