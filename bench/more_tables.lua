-- SPDX-License-Identifier: MIT
--
-- What things cost, in tables, beyond what the lab asks for. See tables.lua for the form of
-- a table.

local connections = require "bench.connections"
local grid = require "bench.grid"
local harness = require "bench.harness"

local exhaust, round, time = harness.exhaust, harness.round, harness.per

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
  local keys = connections.keys(one.c:give "first keys")
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
  operations.of_one_entry(bench.map, row, connections.present(bench))
  operations.of_given_keys(bench.map, row, connections.present(bench))
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
