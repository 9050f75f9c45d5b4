-- SPDX-License-Identifier: MIT
--
-- The figures that luabpf is held to: each the same work by luabpf and by C on
-- the same map, or by luabpf in two ways. A figure is a table:
--
--   name, limit
--   task           the command of the C baseline to compare with, or a function of bench that
--                  returns it; base(bench) in its place: a function to compare with
--   run(bench)     the same work by luabpf; returns the result as the other side words it
--   per(bench)     what the time is divided by (the map's entries), base_per(bench) the other
--                  side's (the same)
--   needs          names of what C gives: bench[name] has it meanwhile, and not longer, for
--                  what lives makes garbage collection slower
--   prepare(bench) before the first run, finish(bench) after the last, between(bench) after each
--                  run of a side; not timed
--   unit           what is held to the limit: "ratio", times the other side's time at most
--                  (default); "faster", the other side's times ours at least; "added", ns more
--                  than the other side
--   measure(bench) in place of run: a number, of the unit "ns", "bytes" or "factor"
--   threads        true: several threads work, so that only the clock tells
--   once           true: one run is enough, or all that one waits for

local connections = require "bench.connections"
local functions = require "bench.functions"
local grid = require "bench.grid"
local harness = require "bench.harness"
local small = require "bench.small_figures"

local CUT <const> = connections.CUT

local function walk(bench)
  local count = 0
  for batch in bench.map:batches(4096) do count = count + #batch end
  return "count=" .. count
end

local function walk_decoding(bench)
  local count = 0
  for batch in bench.map:batches(4096) do
    for _ in batch:entries() do count = count + 1 end
  end
  return "count=" .. count
end

-- The least that tables cost: as many of the same shape, made by Lua alone.
local function walk_making_tables(bench)
  local count, key, value = 0, nil, nil
  for batch in bench.map:batches(4096) do
    for i = 1, #batch do
      key = { src_addr = i, dst_addr = i, src_port = i, dst_port = i, protocol = i }
      value = { last_seen = i, packets = i, bytes = i, flags = i }
      count = count + 1
    end
  end
  return "count=" .. count, key, value
end

local function idle(_, value)
  return value.last_seen < CUT
end

local function count_by(where, options)
  return function(bench) return "count=" .. assert(bench.map:count(where, options)) end
end

local function delete_by(where, options)
  return function(bench)
    return "deleted=" .. assert(bench.map:delete_where(where, options)).deleted
  end
end

local function change_by(where, change, options)
  return function(bench)
    return "updated=" .. assert(bench.map:update_where(where, change, options)).updated
  end
end

local function packets(options)
  options.select = "sum(value.packets) as packets"
  return function(bench) assert(bench.map:aggregate(options)) end
end

local function restore(bench)
  bench.c:task "restore"
end

-- A task and a file in the folder of the benchmark.
local function in_folder(command)
  local task, name = command:match "^(%S+) (.*)$"
  return function(bench) return ("%s %s%s"):format(task, bench.folder.path, name) end
end

-- ---- queries, for options such as the engine -------------------------------------

local function delete_idle(options)
  return function(bench)
    return "deleted=" .. assert(bench.map:delete_where("value.last_seen < $cut", options)).deleted
  end
end

local TOTALS = { "count() as flows", "sum(value.bytes) as bytes" }

local function sum(options)
  options.select = TOTALS
  return function(bench)
    local row = assert(bench.map:aggregate(options))[1]
    return ("count=%d bytes=%d"):format(row.flows, row.bytes)
  end
end

local function group(options)
  options.select, options.group = TOTALS, "key.dst_port"
  return function(bench)
    local rows = assert(bench.map:aggregate(options))
    table.sort(rows, function(a, b) return a.dst_port < b.dst_port end)
    for i, row in ipairs(rows) do
      rows[i] = ("%d=%d,%d"):format(row.dst_port, row.flows, row.bytes)
    end
    return table.concat(rows, " ")
  end
end

-- By so many low bits of the flags: 2 to the power of it groups.
local function group_bits(bits, options)
  options.select, options.group = TOTALS, ("value.flags & %d as bits"):format((1 << bits) - 1)
  return function(bench)
    local rows, total = assert(bench.map:aggregate(options)), 0
    for _, row in ipairs(rows) do total = total + row.bits * row.flows + row.bytes end
    return ("groups=%d sum=%d"):format(#rows, total)
  end
end

local function add(a, b) return a + b end

-- The bytes of all connections, by threads that run Lua.
local function parallel(workers)
  return function(bench)
    local bytes = bench.map:parallel { workers = workers, reduce = add, map = function(batch)
      local n = 0
      for _, value in batch:views() do n = n + value.bytes end
      return n
    end }
    return "bytes=" .. bytes
  end
end

-- ---- files -----------------------------------------------------------------------

local function export(name, format, workers)
  return function(bench)
    local report = assert(bench.map:export(bench.folder.path .. name, { format = format,
      workers = workers }))
    return ("count=%d bytes=%d"):format(report.entries, report.bytes)
  end
end

local export_lines = export("/lua.jsonl", "jsonl")

-- Only entries are counted: how many blocks there are is another matter.
local function snapshot_file(name, workers)
  local run = export(name, "snapshot", workers)
  return function(bench) return run(bench):match "^%S+" end
end

local function remove(bench, ...)
  for _, name in ipairs { ... } do os.remove(bench.folder.path .. name) end
end

-- Both sides' lines are the same to the byte; afterwards they only take room.
local function compare_lines(bench)
  local path = bench.folder.path
  assert(os.execute(("cmp '%s/c.jsonl' '%s/lua.jsonl'"):format(path, path)),
    "the exported lines differ from C's")
  remove(bench, "/c.jsonl", "/lua.jsonl")
end

local function dump_by_bpftool(bench)
  assert(os.execute(("bpftool -j map dump pinned '%s' >'%s/bpftool.json'"):format(bench.pin,
    bench.folder.path)))
  remove(bench, "/bpftool.json")
end

-- Files of all entries for C's load and for imports, and the map empty.
local function prepare_files(bench)
  bench.c:task(in_folder "dump /c.dump"(bench))
  export("/lua.snapshot", "snapshot")(bench)
  bench.c:task "clear"
end

-- The map as it was.
local function load_again(bench)
  bench.c:task(in_folder "load /c.dump"(bench))
  remove(bench, "/c.dump", "/lua.snapshot")
end

local function clear(bench) bench.c:task "clear" end

-- Exact: an upsert that says which entries were there.
local function import(workers)
  return function(bench)
    local report = assert(bench.map:import(bench.folder.path .. "/lua.snapshot",
      { workers = workers }))
    return "count=" .. report.inserted
  end
end

-- ---- other maps ------------------------------------------------------------------

local function per_given(bench) return bench.given end

-- A count of those whose flags are in a list of so many.
local function count_in(n)
  local flags = {}
  for i = 1, n do flags[i] = i * 327 end
  local where = ("value.flags in (%s)"):format(table.concat(flags, ", "))
  return function(bench) assert(bench.map:count(where)) end
end

-- What a new process prints.
local function output(command)
  local pipe <close> = assert(io.popen(command))
  return pipe:read "l"
end

local function fresh_c(bench)
  return output(("'%s/c_baseline' '%s' count"):format(os.getenv "LUABPF_BUILD" or ".build",
    bench.pin))
end

local function fresh_lua(bench)
  local script = ("local map = assert(require 'luabpf'.open(%q)) \z
    print('count=' .. map:count('value.last_seen < %d'))"):format(bench.pin, CUT)
  return output(("LUA_PATH='%s' LUA_CPATH='%s' lua5.4 -e \"%s\""):format(package.path,
    package.cpath, (script:gsub('"', "'"))))
end

local function large(bench) bench.large = bench:context(4 * bench.entries) end
local function per_large(bench) return bench.large.entries end

-- The same work on the map and on the large one.
local function scaling(name, fn)
  return { name = name .. ": an entry of 4 times as many", limit = 1.5, prepare = large,
    base = function(bench) fn(bench) end, base_per = function(bench) return bench.entries end,
    run = function(bench) fn(bench.large) end, per = per_large }
end

-- ---- estimates -------------------------------------------------------------------

-- How far off the worst estimate of the grid is, as a factor.
local function worst_estimate(bench)
  local worst = 1
  bench.estimates = grid.measure(bench.cpu, bench.entries)
  for _, case in ipairs(bench.estimates) do
    worst = math.max(worst, case.estimate / case.ns, case.ns / case.estimate)
  end
  return worst
end

-- ---- memory ----------------------------------------------------------------------

local function memory(name, limit, fn)
  return { name = name .. ": resident memory growth", limit = limit << 20, unit = "bytes",
    once = true, measure = function(bench) return harness.growth(fn, bench) end,
    finish = function(bench) remove(bench, "/lua.jsonl", "/lua.snapshot") end }
end

-- ---- the figures -----------------------------------------------------------------

local figures = {
  -- First, while there is no memory that an earlier scan left behind.
  memory("walk", 8, walk),
  memory("export to JSON lines", 8, export_lines),
  memory("snapshot file", 8, export("/lua.snapshot", "snapshot")),
  memory("sums by an entry's port, memory of 16 MiB", 24, group { memory = "16MiB" }),
  memory("largest 1000 of all, memory of 16 MiB", 24, function(bench)
    for _ in bench.map:select { sort = "value.bytes", limit = 1000, memory = "16MiB" } do end
  end),
  { name = "walk: batches(4096), nothing decoded", limit = 1.05, task = "walk", run = walk },
  { name = "walk: batches(256), nothing decoded", limit = 1.05, task = "walk 256",
    run = function(bench)
      local count = 0
      for batch in bench.map:batches(256) do count = count + #batch end
      return "count=" .. count
    end },
  { name = "walk: decoding added", limit = 350, unit = "added", base = walk, run = walk_decoding },
  { name = "walk: decoded, against tables made in Lua", limit = 1.3, base = walk_making_tables,
    run = walk_decoding },
  { name = "walk: entries() against next key and lookup", limit = 0.35, task = "next",
    run = function(bench)
      local count, bytes = 0, 0
      for _, value in bench.map:entries() do count, bytes = count + 1, bytes + value.bytes end
      return ("count=%d bytes=%d"):format(count, bytes)
    end },
  { name = "update: packed strings", limit = 1.05, task = "update", per = per_given,
    needs = { "present keys", "present values" },
    run = function(bench)
      local keys, values = bench["present keys"], bench["present values"]
      return "stored=" .. assert(bench.map:update_batch(keys, values))
    end },
  { name = "update: lists of tables", limit = 2.0, task = "update", per = per_given,
    needs = { "present keys", "present values" },
    prepare = function(bench)
      bench.key_list = connections.keys(bench["present keys"])
      bench.value_list = connections.values(bench["present values"])
    end,
    finish = function(bench) bench.key_list, bench.value_list = nil, nil end,
    run = function(bench)
      return "stored=" .. assert(bench.map:update_batch(bench.key_list, bench.value_list))
    end },
  { name = "get: packed in, batch out, summed through views", limit = 0.35, task = "get",
    per = per_given, needs = { "wanted keys" },
    run = function(bench)
      local batch, found = assert(bench.map:lookup_batch(bench["wanted keys"]))
      local bytes = 0
      for _, value in batch:views() do bytes = bytes + value.bytes end
      return ("found=%d bytes=%d"):format(found, bytes)
    end },
  { name = "get: list in, tables out", limit = 0.6, task = "get", per = per_given,
    needs = { "wanted keys" },
    prepare = function(bench) bench.wanted_list = connections.keys(bench["wanted keys"]) end,
    finish = function(bench) bench.wanted_list = nil end,
    run = function(bench)
      local values, found = assert(bench.map:lookup_batch(bench.wanted_list))
      local bytes = 0
      for i = 1, #bench.wanted_list do
        local value = values[i]
        if value then bytes = bytes + value.bytes end
      end
      return ("found=%d bytes=%d"):format(found, bytes)
    end },
  { name = "upsert, exact", limit = 0.45, task = "upsert", per = per_given,
    between = restore, needs = { "written keys", "written values" },
    run = function(bench)
      local r = assert(bench.map:upsert_batch(bench["written keys"], bench["written values"]))
      return ("inserted=%d updated=%d"):format(r.inserted, r.updated)
    end },
  { name = "delete 10%", limit = 0.45, task = "delete", between = restore,
    run = delete_idle { params = { cut = CUT } } },
  { name = "count and sum", limit = 0.45, task = "sum", run = sum {} },
  { name = "group by 16 ports", limit = 0.40, task = "group", run = group {} },
  { name = "group by 4,096 values", limit = 0.50, task = "group_bits 12",
    run = group_bits(12, {}) },
  { name = "group by 65,536 values", limit = 0.55, task = "group_bits 16",
    run = group_bits(16, {}) },
  { name = "count in a list of 200 against a list of 4", limit = 1.3, base = count_in(4),
    run = count_in(200) },
  { name = "a new process: open, count of a condition", limit = 0.55, threads = true,
    base = fresh_c, run = fresh_lua },
  { name = "delete 10%, batch engine", limit = 1.25, task = "delete", between = restore,
    run = delete_idle { params = { cut = CUT }, engine = "batch" } },
  { name = "count and sum, batch engine", limit = 1.25, task = "sum",
    run = sum { engine = "batch" } },
  { name = "group by 16 ports, batch engine", limit = 1.25, task = "group",
    run = group { engine = "batch" } },
  { name = "count, Lua predicate reading one field", limit = 1.0, task = "idle",
    run = count_by(idle, { compile = false }) },
  { name = "delete 10%, Lua predicate reading one field", limit = 1.0, task = "delete",
    between = restore, run = delete_by(idle, { compile = false }) },
  { name = "count, compiled function of two conditions", limit = 0.45, task = "idle",
    run = count_by(functions.two) },
  { name = "count and sum, compiled function", limit = 0.45, task = "sum",
    run = sum { where = functions.all } },
  { name = "delete 10%, compiled function", limit = 0.45, task = "delete", between = restore,
    run = delete_by(functions.two) },
  { name = "change 25%", limit = 0.25, task = "change",
    run = change_by("value.bytes % 4 == 1", "value.flags = value.flags ~ 0x10000000000") },
  { name = "change 25%, compiled function", limit = 0.25, task = "change",
    run = change_by(nil, functions.change) },
  { name = "sums with reset against sums", limit = 1.3, base = packets {},
    run = packets { reset = true } },
  { name = "count, a set of 200 ports", limit = 0.5, task = "idle", run = count_by(functions.set) },
  { name = "count, compiled function that asks Lua for each hundredth", limit = 0.6, task = "idle",
    run = count_by(functions.asks) },
  { name = "count, compiled function against its text", limit = 1.1,
    base = count_by(functions.text, { engine = "kernel" }),
    run = count_by(functions.two, { engine = "kernel" }) },
  { name = "count, compiled function against its text, batch engine", limit = 1.2,
    base = count_by(functions.text, { engine = "batch" }),
    run = count_by(functions.two, { engine = "batch" }) },
  { name = "fold of four accumulators", limit = 0.45, task = "sum", run = functions.fold },
  { name = "columns by a function against the same by text", limit = 1.2,
    base = functions.columns_text, run = functions.columns },
  { name = "compiling a function of one line", limit = 300000, unit = "ns", prepare = small.prepare,
    measure = functions.compile },
  { name = "finding again what was compiled", limit = 3000, unit = "ns", prepare = small.prepare,
    measure = functions.find_again },
  { name = "two workers: sums by port, batch engine", limit = 1.6, unit = "faster", threads = true,
    base = group { engine = "batch" }, run = group { engine = "batch", workers = 2 } },
  { name = "two workers: Lua parallel", limit = 1.5, unit = "faster", threads = true,
    base = parallel(1), run = parallel(2) },
  { name = "export to JSON lines", limit = 1.05, task = in_folder "jsonl /c.jsonl",
    run = export_lines, finish = compare_lines },
  -- Lines in another order.
  { name = "two workers: export to JSON lines", limit = 0.75, task = in_folder "jsonl /c.jsonl",
    threads = true, run = export("/lua.jsonl", "jsonl", 2),
    finish = function(bench) remove(bench, "/c.jsonl", "/lua.jsonl") end },
  { name = "export to JSON lines against bpftool -j map dump", limit = 12, unit = "faster",
    once = true, threads = true, base = dump_by_bpftool,
    run = function(bench) export_lines(bench) end,
    finish = function(bench) remove(bench, "/lua.jsonl") end },
  { name = "snapshot file against a raw dump", limit = 1.1, task = in_folder "dump /c.dump",
    run = snapshot_file "/lua.snapshot",
    finish = function(bench) remove(bench, "/c.dump", "/lua.snapshot") end },
  { name = "two workers: snapshot file", limit = 1.4, unit = "faster", threads = true,
    base = snapshot_file "/one.snapshot", run = snapshot_file("/lua.snapshot", 2),
    finish = function(bench) remove(bench, "/one.snapshot", "/lua.snapshot") end },
  { name = "import of a snapshot against C's load", limit = 1.2,
    task = in_folder "load /c.dump", prepare = prepare_files, between = clear,
    run = import(1), finish = load_again },
  { name = "two workers: import of a snapshot", limit = 1.2, unit = "faster", threads = true,
    prepare = prepare_files, between = clear, base = import(1), run = import(2),
    finish = load_again },
  scaling("walk", walk),
  -- The default budget of a run inside the kernel ends at about 1,500,000 entries.
  scaling("count and sum", sum { budget = "10s" }),
  { name = "explain: estimates, the one that is farthest off", limit = 2, unit = "factor",
    once = true, measure = worst_estimate },
}

for _, more in ipairs { small.figures, require "bench.event_figures" } do
  table.move(more, 1, #more, #figures + 1, figures)
end

return figures
