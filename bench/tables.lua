-- SPDX-License-Identifier: MIT
--
-- What things cost, in tables: those of lab 16.3 on a real map, and what the
-- lab does not ask for. A table is
--
--   name, title
--   extra          true: only with --all, or by its name
--   run(bench)     { columns = names, rows = lists of numbers and texts }
--
-- Times are medians of three runs (one for what takes long). bench has what
-- bench.lua and figures.lua know; bench.map holds the connections.

local bpf = require "luabpf"
local grid = require "bench.grid"
local harness = require "bench.harness"

local CUT <const> = 1000000000
local SIZES <const> = { 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768, 65536 }

local function round(n, digits)
  if not digits then return math.floor(n + 0.5) end
  return tonumber(("%%.%df"):format(digits):format(n))
end

-- Nanoseconds of fn(...) by the clock of the benchmark, divided by n.
local function time(bench, n, fn, ...)
  return harness.time(bench.quick and 1 or 3, bench.cpu, fn, ...) / n
end

local function per_second(ns)
  return round(1e9 / ns)
end

local function add(a, b) return a + b end

-- A loop that does nothing.
local function exhaust(...)
  for _ in ... do end
end

-- ---- the lab ---------------------------------------------------------------------

local function unpack_list(format, packed, names)
  local list, pos = {}, 1
  while pos <= #packed do
    local values = table.pack(string.unpack(format, packed, pos))
    local item = {}
    for i, name in ipairs(names) do item[name] = values[i] end
    list[#list + 1], pos = item, values[values.n]
  end
  return list
end

local KEY_FIELDS <const> = { "src_addr", "dst_addr", "src_port", "dst_port", "protocol" }
local VALUE_FIELDS <const> = { "last_seen", "packets", "bytes", "flags" }

-- Keys and values that are in the map: as lists of tables, and packed.
local function present(bench)
  local keys, values = bench.c:give "present keys", bench.c:give "present values"
  return unpack_list("=I4I4I2I2I4", keys, KEY_FIELDS),
    unpack_list("=i8i8i8i8", values, VALUE_FIELDS), keys, values
end

-- Lists of size items each.
local function parts(list, size)
  local result = {}
  for i = 1, #list, size do
    result[#result + 1] = table.move(list, i, math.min(i + size - 1, #list), 1, {})
  end
  return result
end

local function individual_against_batch(bench, single, batch)
  local keys, values = present(bench)
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
  local keys, values, packed, packed_values = present(bench)
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

-- ---- beyond the lab --------------------------------------------------------------

-- The work that maps of all shapes are measured with: ns per entry.
local WORK <const> = {
  { "walk", function(map) exhaust(map:batches(4096)) end },
  { "tables", function(map) exhaust(map:entries()) end },
  { "count(where)", function(map) assert(map:count("value.a ~= 0")) end },
  { "sum, batch engine", function(map)
    assert(map:aggregate { select = "sum(value.a)", engine = "batch" })
  end },
}

local function shapes_table(bench, first, shapes)
  local columns, rows = { first }, {}
  for _, work in ipairs(WORK) do columns[#columns + 1] = work[1] end
  for _, shape in ipairs(shapes) do
    local map <close> = harness.map(shape)
    local row = { shape.label or shape.entries }
    for _, work in ipairs(WORK) do
      local passes = math.max(1, 20000 // shape.entries)
      row[#row + 1] = round(time(bench, shape.entries * passes, function()
        for _ = 1, passes do work[2](map) end
      end))
    end
    rows[#rows + 1] = row
  end
  return { columns = columns, rows = rows }
end

local function entries_table(bench)
  local shapes = {}
  for _, n in ipairs { 1000, 10000, 100000, 1000000, 4000000 } do
    shapes[#shapes + 1] = { entries = math.max(n * bench.entries // 1000000, 1) }
  end
  return shapes_table(bench, "entries", shapes)
end

local function widths_table(bench)
  local shapes, n = {}, bench.entries // 5
  for _, size in ipairs { { 4, 8 }, { 8, 8 }, { 16, 32 }, { 40, 64 }, { 16, 256 }, { 64, 1024 } } do
    shapes[#shapes + 1] = { entries = n, key_size = size[1], value_size = size[2],
      label = ("%d + %d bytes"):format(size[1], size[2]) }
  end
  return shapes_table(bench, "key and value", shapes)
end

local function types_table(bench)
  local shapes, n = {}, bench.entries // 5
  for _, kind in ipairs { "hash", "lru_hash", "percpu_hash", "array", "percpu_array" } do
    shapes[#shapes + 1] = { entries = n, type = kind, label = kind,
      max_entries = kind == "lru_hash" and 2 * n or n }
  end
  shapes[#shapes + 1] = { entries = n, flags = { "no_prealloc" }, label = "hash, no_prealloc" }
  return shapes_table(bench, "type", shapes)
end

local function sparse_table(bench)
  local shapes = {}
  for _, percent in ipairs { 1, 10, 50, 100 } do
    shapes[#shapes + 1] = { entries = bench.entries * percent // 100, max_entries = bench.entries,
      label = ("%d%% full"):format(percent) }
  end
  return shapes_table(bench, "map", shapes)
end

-- A key and a value, with no map to read them from.
local function make_tables(i)
  return { src_addr = i, dst_addr = i, src_port = i, dst_port = i, protocol = i },
    { last_seen = i, packets = i, bytes = i, flags = i }
end

local function decoding_table(bench)
  local map, rows = bench.map, {}
  local base = time(bench, bench.entries, function() exhaust(map:batches(4096)) end)
  local function row(what, fn)
    local ns = time(bench, bench.entries, fn)
    rows[#rows + 1] = { what, round(ns), round(ns - base) }
  end
  local function each(method)
    return function()
      for batch in map:batches(4096) do
        exhaust(batch[method](batch))
      end
    end
  end
  rows[1] = { "nothing: batches", round(base), 0 }
  row("packed()", function() for batch in map:batches(4096) do batch:packed() end end)
  row("views, no field read", each "views")
  row("views, one field read", function()
    local n = 0
    for batch in map:batches(4096) do
      for _, value in batch:views() do n = n + value.bytes end
    end
    return n
  end)
  row("tables of key and value", each "entries")
  row("keys()", function() for batch in map:batches(4096) do batch:keys() end end)
  row("columns: one field of all", function()
    exhaust(map:select { columns = "value.bytes", engine = "batch" })
  end)
  row("columns: one field of all, kernel engine", function()
    exhaust(map:select { columns = "value.bytes", engine = "kernel" })
  end)
  local made = time(bench, bench.entries, function()
    for i = 1, bench.entries do make_tables(i) end
  end)
  rows[#rows + 1] = { "such tables made by Lua alone", "", round(made) }
  collectgarbage "generational"
  row("tables of key and value, generational collector", each "entries")
  collectgarbage "incremental"
  return { columns = { "decoded", "ns per entry", "added" }, rows = rows }
end

local function small_table(bench)
  local one = bench:context(10)
  local map, rows, times = one.map, {}, 20000
  local keys = unpack_list("=I4I4I2I2I4", one.c:give "first keys", KEY_FIELDS)
  local packed = one.c:give("first keys"):sub(1, 16)
  local function row(what, fn, n)
    rows[#rows + 1] = { what, round(time(bench, n or times, function()
      for _ = 1, n or times do fn() end
    end)) }
  end
  local _, ns, cpu = one.c:task "one"
  rows[1] = { "C: bpf_map_lookup_elem", round((bench.cpu and cpu or ns) / 100000) }
  row("lookup, binary strings", function() map:lookup(packed, { raw = true }) end)
  row("lookup, tables", function() map:lookup(keys[1]) end)
  row("update, tables", function()
    map:update(keys[1], { last_seen = 1, packets = 1, bytes = 1 })
  end)
  row("all entries", function() exhaust(map:entries()) end, 2000)
  row("count()", function() map:count() end, 2000)
  row("count(where)", function() map:count "value.bytes > 0" end, 2000)
  row("aggregate", function() map:aggregate { select = "sum(value.bytes)" } end, 2000)
  row("delete_where, nothing matches", function() map:delete_where "value.bytes == 3" end, 2000)
  return { columns = { "work on a map of 10 entries", "ns" }, rows = rows }
end

-- Each adds rows by row(what, count, fn).
local operations = {}

function operations.of_one_entry(map, row, keys, values)
  local function each(what, fn)
    row(what, #keys, function() for i, key in ipairs(keys) do fn(key, values[i]) end end)
  end
  each("lookup", function(key) map:lookup(key) end)
  each("update", function(key, value) map:update(key, value) end)
  each("update, noexist (exists)", function(key, value) map:update(key, value, "noexist") end)
  each("next", function(key) map:next(key) end)
  each("take, then update", function(key, value)
    map:take(key)
    map:update(key, value)
  end)
  each("delete, then update", function(key, value)
    map:delete(key)
    map:update(key, value)
  end)
end

function operations.of_given_keys(map, row, keys, values, packed, packed_values)
  local n = #keys
  row("lookup_batch, packed", n, function() map:lookup_batch(packed) end)
  row("lookup_batch, lists", n, function() map:lookup_batch(keys) end)
  row("update_batch, packed", n, function() map:update_batch(packed, packed_values) end)
  row("update_batch, lists", n, function() map:update_batch(keys, values) end)
  row("upsert_batch, packed", n, function() map:upsert_batch(packed, packed_values) end)
  row("delete_batch, then update_batch, packed", n, function()
    map:delete_batch(packed)
    map:update_batch(packed, packed_values)
  end)
  row("delete_batch if_equal, then update_batch, packed", n, function()
    map:delete_batch(packed, { if_equal = packed_values })
    map:update_batch(packed, packed_values)
  end)
end

local function drain_and_refill(map)
  local keys, values = {}, {}
  for batch in map:drain() do keys[#keys + 1], values[#values + 1] = batch:packed() end
  map:update_batch(table.concat(keys), table.concat(values))
end

function operations.of_all_entries(map, row, bench)
  local n = bench.entries
  row("batches", n, function() exhaust(map:batches()) end)
  row("batches, key walk", n, function() exhaust(map:batches { engine = "walk" }) end)
  row("count()", n, function() map:count() end)
  row("count(where)", n, function() map:count "value.bytes > 100000" end)
  row("count(function)", n, function()
    map:count(function(_, value) return value.bytes > 100000 end)
  end)
  row("select, one column of 10% of the entries", n, function()
    exhaust(map:select { where = "value.last_seen < 1000000000", columns = "value.bytes" })
  end)
  row("snapshot()", n, function() map:snapshot():close() end)
  for _, format in ipairs { "jsonl", "csv", "snapshot" } do
    row("export, " .. format, n, function()
      map:export(bench.folder.path .. "/table", { format = format })
    end)
  end
  os.remove(bench.folder.path .. "/table")
  row("drain, then update_batch", n, function() drain_and_refill(map) end)
end

local function operations_table(bench)
  local rows = {}
  local function row(what, count, fn)
    rows[#rows + 1] = { what, round(time(bench, count, fn)) }
  end
  operations.of_all_entries(bench.map, row, bench)
  operations.of_one_entry(bench.map, row, present(bench))
  operations.of_given_keys(bench.map, row, present(bench))
  return { columns = { "operation", "ns per key or entry" }, rows = rows }
end

local function estimates_table(bench)
  local rows = {}
  for i, case in ipairs(bench.estimates or grid.measure(bench.cpu, bench.entries)) do
    local n = case.size.entries
    rows[i] = { case.map, case.query, case.engine, round(case.ns / n), round(case.estimate / n),
      round(case.estimate / case.ns, 2) }
  end
  return { columns = { "map", "query", "engine", "ns per entry", "estimate", "part" }, rows = rows }
end

return {
  { name = "lookup", title = "individual lookups against batches, tables in and out",
    run = lookup_table },
  { name = "update", title = "individual updates against batches, tables in", run = update_table },
  { name = "batch sizes", title = "reading the whole map", run = sizes_table },
  { name = "memory", title = "memory against throughput", run = memory_table },
  { name = "connections", title = "work on the connection table", run = connections_table },
  { name = "statistics", title = "sums over all entries, by several ways", run = statistics_table },
  { name = "iterators", title = "loops that do nothing", run = iterator_table },
  { name = "parallel", title = "one and two worker threads", run = parallel_table },
  { name = "operations", title = "every operation", extra = true, run = operations_table },
  { name = "entries", title = "by size of the map, ns per entry", extra = true,
    run = entries_table },
  { name = "widths", title = "by size of key and value, ns per entry", extra = true,
    run = widths_table },
  { name = "types", title = "by type of map, ns per entry", extra = true, run = types_table },
  { name = "sparse", title = "maps that are not full, ns per entry", extra = true,
    run = sparse_table },
  { name = "decoding", title = "what decoding adds to a walk", extra = true,
    run = decoding_table },
  { name = "small", title = "where the big machinery must cost nothing", extra = true,
    run = small_table },
  { name = "estimates", title = "what map:explain expects", extra = true, run = estimates_table },
}
