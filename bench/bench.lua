-- SPDX-License-Identifier: MIT
--
-- The benchmark: what luabpf does against the same work in C over libbpf
-- (c_baseline.c), on the same map, in the same run, and tables of what things
-- cost.
--
--   lua5.4 bench/bench.lua [--quick | --all] [--cpu] [--json] [--entries N] [--runs N] [PATTERN...]
--
--   --quick      100,000 entries, three runs
--   --all        all tables (tables.lua), which takes about a quarter of an hour
--   --cpu        time of the CPU instead of the clock's, for busy machines
--   --json       one JSON document instead of lines
--   --entries N  of the map, 100 to 1000000; --runs N: of each side
--   PATTERN      only the figures and tables whose name has this Lua pattern
--
-- Both sides of a figure (figures.lua) take turns, C first; each side's time is
-- the median of its runs. A loop of plain Lua is timed before and after each: on
-- a machine with other work there are up to three times as many turns, and the
-- runs are those of the turns in which that loop was slowed down least. Every
-- result is compared with the other side's: a
-- wrong one ends the benchmark with exit status 1. Times decide nothing: a
-- figure beyond its limit prints MISS.

package.path = (arg[0]:match "^(.*)/[^/]*$" or ".") .. "/../?.lua;" .. package.path

local bpf = require "luabpf"
local figures = require "bench.figures"
local harness = require "bench.harness"
local json = require "luabpf.file.json"
local show = require "luabpf.show.show"
local tables = require "bench.tables"

local fail = harness.fail

local KEY = { "u32 src_addr", "u32 dst_addr", "u16 src_port", "u16 dst_port", "u32 protocol" }
local VALUE = { "u64 last_seen", "u64 packets", "u64 bytes", "u64 flags" }

-- ---- measuring ----------------------------------------------------------------

local function compare(figure, result, expected)
  if result ~= expected then
    fail("%s: wrong result\n  C:      %s\n  luabpf: %s", figure.name, expected, result)
  end
end

-- One run of the other side: result and its times.
local function run_base(bench, figure)
  if figure.base then return harness.timed(figure.base, bench) end
  local c, task = figure.c and figure.c(bench) or bench.c, figure.task
  return c:task(type(task) == "function" and task(bench) or task)
end

-- One turn of each side, and the machine's slowest pace meanwhile; the map is as before afterwards.
local function turn(bench, figure, cpu)
  local between = figure.between or function() end
  local pace = harness.pace()
  local expected, base_ns, base_cpu = run_base(bench, figure)
  between(bench)
  pace = math.max(pace, harness.pace())
  local result, ns, cpu_ns = harness.timed(figure.run, bench)
  between(bench)
  compare(figure, result, expected)
  return { base = cpu and base_cpu or base_ns, ours = cpu and cpu_ns or ns,
    pace = math.max(pace, harness.pace()) }
end

local values = {
  ratio = function(ours, base) return ours / base end,
  faster = function(ours, base) return base / ours end,
  added = function(ours, base) return ours - base end,
}

-- Turns count while the machine's pace is so near its best. Until there are enough of them more are
-- taken, up to so many times the number, and for so long (ns).
local QUIET <const>, MORE <const>, LONG <const> = 1.2, 3, 45000000000

-- How many turns no other work disturbed, as far as one can tell.
local function quiet(turns)
  local n = 0
  for _, one in ipairs(turns) do
    if one.pace <= QUIET * harness.best_pace then n = n + 1 end
  end
  return n
end

-- Takes turns: the times of both sides in those that were disturbed least, and how many it took.
local function take_turns(bench, figure)
  local turns, began = {}, bpf.now()
  local least = figure.once and 1 or bench.runs
  local most = figure.once and 1 or MORE * least
  repeat
    turns[#turns + 1] = turn(bench, figure, bench.cpu and not figure.threads)
  until #turns == most or quiet(turns) >= least
    or #turns >= least and bpf.now() - began > LONG
  table.sort(turns, function(a, b) return a.pace < b.pace end)
  local base_times, times = {}, {}
  for i = 1, least do base_times[i], times[i] = turns[i].base, turns[i].ours end
  return base_times, times, #turns
end

-- Fills in the times of both sides, per entry.
local function measure_turns(bench, figure, result)
  local base_times, times, turns = take_turns(bench, figure)
  local n = figure.per and figure.per(bench) or bench.entries
  local base_n = figure.base_per and figure.base_per(bench) or n
  local base, ours
  base, result.base_spread = harness.median(base_times)
  ours, result.spread = harness.median(times)
  result.base, result.ours, result.turns = base / base_n, ours / n, turns
  result.against = figure.base and "before" or "C"
  return values[result.unit](result.ours, result.base)
end

local function measure_alone(bench, figure)
  local list = {}
  for i = 1, figure.once and 1 or bench.runs do list[i] = figure.measure(bench) end
  return (harness.median(list))
end

local function measure(bench, figure)
  for _, name in ipairs(figure.needs or {}) do bench[name] = bench.c:give(name) end
  if figure.prepare then figure.prepare(bench) end
  local result = { name = figure.name, limit = figure.limit, unit = figure.unit or "ratio" }
  local way = figure.measure and measure_alone or measure_turns
  result.value = way(bench, figure, result)
  if figure.finish then figure.finish(bench) end
  for _, name in ipairs(figure.needs or {}) do bench[name] = nil end
  if result.unit == "faster" then
    result.pass = result.value >= figure.limit
  else
    result.pass = result.value <= figure.limit
  end
  return result
end

-- ---- printing -----------------------------------------------------------------

local function both(f, base, ours)
  return ("%s %.0f ns ±%.0f%%, %s %.0f ns ±%.0f%%, %d turn%s"):format(base, f.base,
    f.base_spread * 50, ours, f.ours, f.spread * 50, f.turns, f.turns == 1 and "" or "s")
end

local words = {
  ratio = function(f)
    local c = f.against == "C"
    return ("%.2f of %s (limit %.2f); %s"):format(f.value, c and "C" or "the first", f.limit,
      both(f, c and "C" or "first", c and "luabpf" or "second"))
  end,
  faster = function(f)
    return ("%.2f times faster (limit %.1f); %s"):format(f.value, f.limit,
      both(f, "first", "second"))
  end,
  added = function(f)
    return ("%.0f ns (limit %d); %s"):format(f.value, f.limit, both(f, "without", "with"))
  end,
  ns = function(f)
    return ("%.1f us (limit %.0f)"):format(f.value / 1000, f.limit / 1000)
  end,
  factor = function(f) return ("a factor of %.2f (limit %.1f)"):format(f.value, f.limit) end,
  bytes = function(f)
    return ("%.2f MiB (limit %.0f)"):format(f.value / (1 << 20), f.limit / (1 << 20))
  end,
}

local function line(figure)
  return ("%s  %-48s %s"):format(figure.pass and "PASS" or "MISS", figure.name,
    words[figure.unit](figure))
end

-- ---- the program --------------------------------------------------------------

local FLAGS = { ["--json"] = "json", ["--cpu"] = "cpu", ["--all"] = "all" }

-- The comment that this file begins with.
local function print_help()
  for text in io.lines(arg[0]) do
    if not text:find "^%-%-" then break end
    if not text:find "SPDX" then print((text:gsub("^%-%- ?", ""))) end
  end
end

local function arguments(list)
  local options = { entries = 1000000, runs = 5 }
  local i = 1
  while list[i] do
    local word = list[i]
    if word == "--help" or word == "-h" then
      print_help()
      os.exit(true)
    elseif word == "--quick" then
      options.entries, options.runs, options.quick = 100000, 3, true
    elseif FLAGS[word] then
      options[FLAGS[word]] = true
    elseif word == "--entries" or word == "--runs" then
      i = i + 1
      options[word:sub(3)] = math.tointeger(list[i]) or fail("%s: an integer expected", word)
    elseif word:find("^%-") then
      fail("unknown option %s", word)
    else
      options[#options + 1] = word
    end
    i = i + 1
  end
  if options.entries < 100 or options.entries > 1000000 or options.runs < 1 then
    fail("--entries takes 100 to 1000000, --runs 1 or more")
  end
  return options
end

local function chosen(thing, patterns)
  for _, pattern in ipairs(patterns) do
    if thing.name:find(pattern) then return true end
  end
  return #patterns == 0
end

local contexts = {}
contexts.__index = contexts

function contexts:__close()
  for _, one in ipairs(self.list) do
    local _ <close> = one.c
    one.map:unpin()
    one.map:close()
  end
end

-- A map of n connections, with a C baseline on it, until the end of the benchmark.
function contexts:context(n)
  if self.by_size[n] then return self.by_size[n] end
  local one = { entries = n, pin = ("/sys/fs/bpf/luabpf_bench_%d_%d"):format(harness.pid, n) }
  one.map = assert(bpf.create { type = "hash", name = "luabpf_bench", key = KEY, value = VALUE,
    pin = one.pin, max_entries = n * 1048576 // 1000000 + 1 })  -- upserts insert too
  self.list[#self.list + 1] = one
  one.c = harness.baseline(one.pin, n)
  one.c:task "fill"
  self.by_size[n] = one
  return one
end

local function new_bench(options)
  return setmetatable({ entries = options.entries, runs = options.runs, cpu = options.cpu,
    quick = options.quick, list = {}, by_size = {} }, contexts)
end

local function prepare(bench)
  local one = bench:context(bench.entries)
  local c = one.c
  bench.map, bench.c, bench.pin = one.map, c, one.pin
  bench.given = #c:give "wanted keys" // 16
end

local function run_tables(bench, options, list)
  for _, table_ in ipairs(tables) do
    if chosen(table_, options) and (options.all or #options > 0 or not table_.extra) then
      local result = table_.run(bench)
      result.name, result.title = table_.name, table_.title
      list[#list + 1] = result
      if not options.json then
        print(("\n%s: %s\n\n%s"):format(result.name, result.title,
          show.table(result.columns, result.rows)))
      end
    end
  end
end

local function run(options)
  local document = { entries = options.entries, runs = options.runs, figures = {}, tables = {},
    clock = options.cpu and "cpu" or "wall", machine = harness.machine() }
  local bench <close> = new_bench(options)
  local folder <close> = harness.folder()
  bench.folder = folder
  prepare(bench)
  for _, figure in ipairs(figures) do
    if chosen(figure, options) then
      local result = measure(bench, figure)
      document.figures[#document.figures + 1] = result
      if not options.json then print(line(result)) end
    end
  end
  run_tables(bench, options, document.tables)
  if options.json then print(json.encode(document)) end
end

local ok, message = pcall(function() run(arguments(arg)) end)
if not ok then
  io.stderr:write("bench: ", tostring(message), "\n")
  os.exit(1, true)
end
