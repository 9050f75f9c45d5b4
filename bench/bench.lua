-- SPDX-License-Identifier: MIT
--
-- The benchmark: what luabpf does against the same work in C over libbpf
-- (c_baseline.c), on the same map, in the same run.
--
--   lua5.4 bench/bench.lua [--quick] [--json] [--entries N] [--runs N] [PATTERN ...]
--
--   --quick      100,000 entries, three runs
--   --json       one JSON document instead of lines
--   PATTERN      only the cases whose name has this Lua pattern
--
-- Both sides take turns, C first; each side's time is the median of its runs.
-- Every result is compared with C's: a wrong one ends the benchmark with exit
-- status 1. Times decide nothing: a figure over its limit prints MISS.
--
-- A case is a table:
--
--   name, limit
--   task           the command of the C baseline to compare with
--   run(bench)     the same work by luabpf; returns the result as the C side words it
--   per            "entries" (default) or "given": what the time is divided by
--   changes        true if the map must be put back after a run
--   prepare(bench) before the first run, not timed
--   unit           "ratio" (default): times C's; "added": ns per entry more than
--                  the function `base`; "memory": run returns bytes, nothing is timed

local bpf = require "luabpf"

local KEY = { "u32 src_addr", "u32 dst_addr", "u16 src_port", "u16 dst_port", "u32 protocol" }
local VALUE = { "u64 last_seen", "u64 packets", "u64 bytes", "u64 flags" }
local CUT = 1000000000   -- as in c_baseline.c

-- ---- the C baseline -----------------------------------------------------------

local baseline = {}
baseline.__index = baseline

-- Starts .build/c_baseline with pipes both ways: io.popen has one, a FIFO is the other.
local function start_baseline(program, pin, entries)
  local fifo = os.tmpname()
  os.remove(fifo)
  assert(os.execute(("mkfifo -m 600 '%s'"):format(fifo)), "cannot make a FIFO")
  local command = ("'%s' '%s' %d > '%s'"):format(program, pin, entries, fifo)
  local commands = assert(io.popen(command, "w"))
  local answers = assert(io.open(fifo, "rb"))
  os.remove(fifo)
  return setmetatable({ commands = commands, answers = answers }, baseline)
end

function baseline:ask(command)
  self.commands:write(command, "\n")
  self.commands:flush()
  local line = self.answers:read("l")
  local result = line and line:match("^ok (.*)$")
  return result or error("the C baseline failed at '" .. command .. "'", 0)
end

-- Nanoseconds, result.
function baseline:task(name)
  local ns, result = self:ask(name):match("^(%d+) (.-) *$")
  return math.tointeger(ns), result
end

-- The packed records that both sides work with.
function baseline:give(what)
  local size = math.tointeger(self:ask("give " .. what))
  local records = self.answers:read(size)
  self.answers:read("l")
  return records
end

function baseline:__close()
  self.commands:close()
  self.answers:close()
end

-- ---- the cases ----------------------------------------------------------------

local function unpack_keys(packed)
  local keys, pos = {}, 1
  for i = 1, #packed // 16 do
    local k = {}
    k.src_addr, k.dst_addr, k.src_port, k.dst_port, k.protocol, pos =
      string.unpack("=I4I4I2I2I4", packed, pos)
    keys[i] = k
  end
  return keys
end

-- A field of /proc/self/status that is given in kB, in bytes.
local function status(field)
  for line in io.lines("/proc/self/status") do
    local kb = line:match("^" .. field .. ":%s*(%d+) kB")
    if kb then return math.tointeger(kb) * 1024 end
  end
end

local function walk(bench)
  local count = 0
  for batch in bench.map:batches(4096) do count = count + #batch end
  return "count=" .. count
end

local function idle(_, value)
  return value.last_seen < CUT
end

-- The queries, for options such as the engine.

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

local cases = {
  -- First, while there is no memory that an earlier scan left behind.
  {
    name = "walk: resident memory growth", limit = 8 << 20, unit = "memory",
    run = function(bench)
      collectgarbage()
      collectgarbage()
      local before = status("VmRSS")
      local clear <close> = assert(io.open("/proc/self/clear_refs", "w"))
      assert(clear:write("5"))  -- the peak from here on: proc(5)
      assert(clear:flush())
      walk(bench)
      return status("VmHWM") - before
    end,
  },
  {
    name = "walk: batches(4096), nothing decoded", limit = 1.1, task = "walk", run = walk,
  },
  {
    name = "walk: decoding added", limit = 350, unit = "added", task = "sum", base = walk,
    run = function(bench)
      local count, bytes = 0, 0
      for batch in bench.map:batches(4096) do
        for _, value in batch:entries() do
          count, bytes = count + 1, bytes + value.bytes
        end
      end
      return ("count=%d bytes=%d"):format(count, bytes)
    end,
  },
  {
    name = "get: packed in, batch out, summed through views", limit = 0.35, task = "get",
    per = "given",
    run = function(bench)
      local batch, found = assert(bench.map:lookup_batch(bench.wanted))
      local bytes = 0
      for _, value in batch:views() do bytes = bytes + value.bytes end
      return ("found=%d bytes=%d"):format(found, bytes)
    end,
  },
  {
    name = "get: list in, tables out", limit = 0.6, task = "get", per = "given",
    prepare = function(bench) bench.wanted_list = unpack_keys(bench.wanted) end,
    run = function(bench)
      local values, found = assert(bench.map:lookup_batch(bench.wanted_list))
      local bytes = 0
      for i = 1, #bench.wanted_list do
        local value = values[i]
        if value then bytes = bytes + value.bytes end
      end
      return ("found=%d bytes=%d"):format(found, bytes)
    end,
  },
  {
    name = "upsert, exact", limit = 0.45, task = "upsert", per = "given", changes = true,
    run = function(bench)
      local r = assert(bench.map:upsert_batch(bench.written, bench.written_values))
      return ("inserted=%d updated=%d"):format(r.inserted, r.updated)
    end,
  },
  {
    name = "delete 10%", limit = 0.45, task = "delete", changes = true,
    run = delete_idle { params = { cut = CUT } },
  },
  {
    name = "count and sum", limit = 0.45, task = "sum", run = sum {},
  },
  {
    name = "group by 16 ports", limit = 0.6, task = "group", run = group {},
  },
  {
    name = "delete 10%, batch engine", limit = 1.25, task = "delete", changes = true,
    run = delete_idle { params = { cut = CUT }, engine = "batch" },
  },
  {
    name = "count and sum, batch engine", limit = 1.25, task = "sum",
    run = sum { engine = "batch" },
  },
  {
    name = "group by 16 ports, batch engine", limit = 1.25, task = "group",
    run = group { engine = "batch" },
  },
  {
    name = "count, Lua predicate reading one field", limit = 1.0, task = "idle",
    run = function(bench) return "count=" .. assert(bench.map:count(idle)) end,
  },
  {
    name = "delete 10%, Lua predicate reading one field", limit = 1.0, task = "delete",
    changes = true,
    run = function(bench)
      return "deleted=" .. assert(bench.map:delete_where(idle)).deleted
    end,
  },
}

-- ---- measuring ----------------------------------------------------------------

local function fail(...)
  error(string.format(...), 0)
end

local function check(case, result, expected)
  if result ~= expected then
    fail("%s: wrong result\n  C:      %s\n  luabpf: %s", case.name, expected, result)
  end
end

-- Nanoseconds and result of fn(bench), without the garbage of what ran before.
local function timed(bench, fn)
  collectgarbage()
  local began = bpf.now()
  local result = fn(bench)
  return bpf.now() - began, result
end

-- Median, and what lies between smallest and largest as a part of it.
local function summary(times)
  table.sort(times)
  local n = #times
  local median = (times[(n + 1) // 2] + times[n // 2 + 1]) / 2
  return median, (times[n] - times[1]) / median
end

-- One turn of each side; the map is as before afterwards.
local function turn(bench, case, c_times, lua_times)
  local restore = case.changes and function() bench.c:task("restore") end or function() end
  local ns, expected = bench.c:task(case.task)
  restore()
  if case.base then ns = timed(bench, case.base) end
  c_times[#c_times + 1] = ns
  local lua_ns, result = timed(bench, case.run)
  lua_times[#lua_times + 1] = lua_ns
  restore()
  check(case, result, expected)
end

local function measure(bench, case)
  if case.prepare then case.prepare(bench) end
  local figure = { name = case.name, limit = case.limit, unit = case.unit or "ratio" }
  if figure.unit == "memory" then
    figure.value = case.run(bench)
  else
    local c_times, lua_times = {}, {}
    for _ = 1, bench.runs do turn(bench, case, c_times, lua_times) end
    local n = case.per == "given" and #bench.wanted // 16 or bench.entries
    local base, base_spread = summary(c_times)
    local ours, spread = summary(lua_times)
    figure.base, figure.ours = base / n, ours / n
    figure.base_spread, figure.spread = base_spread, spread
    figure.value = figure.unit == "added" and (ours - base) / n or ours / base
  end
  figure.pass = figure.value <= case.limit
  return figure
end

-- ---- printing -----------------------------------------------------------------

local words = {
  ratio = function(f)
    return ("%.2f of C (limit %.2f); C %.0f ns ±%.0f%%, luabpf %.0f ns ±%.0f%%"):format(f.value,
      f.limit, f.base, f.base_spread * 50, f.ours, f.spread * 50)
  end,
  added = function(f)
    return ("%.0f ns (limit %d); without %.0f ns ±%.0f%%, with %.0f ns ±%.0f%%"):format(f.value,
      f.limit, f.base, f.base_spread * 50, f.ours, f.spread * 50)
  end,
  memory = function(f)
    return ("%.2f MiB (limit %.0f)"):format(f.value / (1 << 20), f.limit / (1 << 20))
  end,
}

local function line(figure)
  return ("%s  %-48s %s"):format(figure.pass and "PASS" or "MISS", figure.name,
    words[figure.unit](figure))
end

local function json(value)
  if type(value) ~= "table" then
    return type(value) == "string" and '"' .. value:gsub('["\\]', "\\%0") .. '"' or tostring(value)
  end
  local parts = {}
  for _, v in ipairs(value) do parts[#parts + 1] = json(v) end
  if #parts > 0 then return "[" .. table.concat(parts, ",\n") .. "]" end
  for k, v in pairs(value) do parts[#parts + 1] = json(k) .. ":" .. json(v) end
  table.sort(parts)
  return "{" .. table.concat(parts, ",") .. "}"
end

-- ---- the program --------------------------------------------------------------

local function arguments(list)
  local options = { entries = 1000000, runs = 5 }
  local i = 1
  while list[i] do
    local word = list[i]
    if word == "--quick" then
      options.entries, options.runs = 100000, 3
    elseif word == "--json" then
      options.json = true
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

local function chosen(case, patterns)
  for _, pattern in ipairs(patterns) do
    if case.name:find(pattern) then return true end
  end
  return #patterns == 0
end

local function run(options)
  local pid = io.open("/proc/self/stat"):read("n")
  local pin = "/sys/fs/bpf/luabpf_bench_" .. pid
  local map <close> = assert(bpf.create {
    type = "hash", name = "luabpf_bench", key = KEY, value = VALUE, pin = pin,
    max_entries = options.entries * 1048576 // 1000000,  -- upserts insert too
  })
  local _ <close> = setmetatable({}, { __close = function() map:unpin() end })
  local program = (os.getenv "LUABPF_BUILD" or ".build") .. "/c_baseline"
  local c <close> = start_baseline(program, pin, options.entries)
  c:task("fill")
  local bench = {
    map = map, c = c, entries = options.entries, runs = options.runs,
    wanted = c:give("wanted keys"),
    written = c:give("written keys"), written_values = c:give("written values"),
  }
  local figures = {}
  for _, case in ipairs(cases) do
    if chosen(case, options) then
      local figure = measure(bench, case)
      figures[#figures + 1] = figure
      if not options.json then print(line(figure)) end
    end
  end
  if options.json then
    print(json { entries = options.entries, runs = options.runs, figures = figures })
  end
end

local ok, message = pcall(function() run(arguments(arg)) end)
if not ok then
  io.stderr:write("bench: ", tostring(message), "\n")
  os.exit(1, true)
end
