-- SPDX-License-Identifier: MIT

--- bpf.bench: how fast a map of yours can be read here, and by which engine a
-- query over it would run. It reads, and changes nothing.
--
-- @module luabpf.bench

local core = require "luabpf.core"
local options = require "luabpf.base.options"
local prepare = require "luabpf.query.prepare"
local show = require "luabpf.show.show"
require "luabpf.query.explain"

local map = core.classes["luabpf.map"]

local SIZES <const> = { 16, 64, 256, 1024, 4096, 16384, 65536 }
local ENGINES <const> = { "kernel", "batch", "walk" }
-- What one figure may take; ns.
local PATIENCE <const> = 200000000

-- Walks by batches of that size until the end or the time is up.
local function measure_size(self, size, patience)
  local entries, longest, start = 0, 0, core.now()
  local before = start
  for batch in map.batches(self, size) do
    local now = core.now()
    entries, longest, before = entries + #batch, math.max(longest, now - before), now
    if now - start > patience then break end
  end
  local ns = core.now() - start
  return { size = size, entries = entries, longest = longest,
    ns = entries > 0 and ns / entries or 0.0 }
end

-- ns per entry of a loop over what the method gives.
local function measure_loop(self, method, patience)
  local entries, start = 0, core.now()
  for _ in map[method](self) do
    entries = entries + 1
    if entries % 1024 == 0 and core.now() - start > patience then break end
  end
  return entries > 0 and (core.now() - start) / entries or 0.0
end

-- What counting by where takes in each engine that can, after its program was loaded.
local function measure_engines(self, given)
  local plan = map.explain(self, { where = given.where })
  local list = {}
  for _, engine in ipairs(ENGINES) do
    local ask = { engine = engine, params = given.params, budget = "10s" }
    if plan.estimates[engine] and map.count(self, given.where or "true", ask) then
      local n, report = map.count(self, given.where or "true", ask)
      list[#list + 1] = n and { engine = engine, ns = math.floor(report.seconds * 1e9), matched = n,
        estimate = plan.estimates[engine], chosen = engine == plan.engine }
    end
  end
  return list, plan.why
end

local function milliseconds(ns)
  return ("%.3f"):format(ns / 1e6)
end

local function result_text(result)
  local sizes, engines = {}, {}
  for i, row in ipairs(result.sizes) do
    sizes[i] = { row.size, row.ns, milliseconds(row.longest), row.kib,
      row == result.best and "best" or "" }
  end
  for i, row in ipairs(result.engines) do
    engines[i] = { row.engine, milliseconds(row.ns), milliseconds(row.estimate),
      row.chosen and result.why or "" }
  end
  return table.concat({
    show.table({ "batch size", "ns per entry", "longest call, ms", "memory, KiB", "" }, sizes),
    ("a loop over views takes %.0f ns per entry, over tables %.0f"):format(result.views,
      result.tables),
    show.table({ "engine", "count, ms", "expected, ms", "taken by default because" }, engines),
  }, "\n\n")
end

--- What `bpf.bench` measured; times are in ns per entry.
-- @table bench_result
-- @tfield table[] sizes the time for each batch size
-- @tfield integer best the best batch size
-- @tfield number views the time for a view, besides
-- @tfield number tables the time for decoded tables, besides
-- @tfield table[] engines the time of each engine for the condition
-- @tfield string why which engine a query would take and why

--- Measures, in about two seconds, how fast a map can be read here. Reads only.
-- @function bpf.bench
-- @tparam map map the map
-- @tparam[opt] string options.where an expression to compare the engines with; one that all
--   entries match without it
-- @tparam[opt] table<string,any> options.params the values of `$name` in it
-- @tparam[opt] integer[] options.sizes the batch sizes to try
-- @tparam[opt="200ms"] time options.patience how long one figure may take
-- @treturn bench_result the figures, which print as tables
-- @error the kernel refuses, or the map has no entries
-- @usage
-- print(bpf.bench(map, { sizes = { 64, 256 }, patience = "1ms" }))
return function(self, given)
  if type(self) ~= "userdata" then
    error(("bench: luabpf.map expected, got %s"):format(type(self)), 2)
  end
  core.check_map(self)
  given = options.check("bench", given, options.of "bpf.bench")
  local patience = options.period(given.patience or PATIENCE, "bench: option 'patience'")
  local count, message, errno = map.count(self)
  if not count then return nil, message, errno end
  local result = { entries = count, sizes = {} }
  local bytes = prepare.facts(self).entry_bytes
  for i, size in ipairs(given.sizes or SIZES) do
    local row = measure_size(self, size, patience)
    row.kib = (math.min(size, #self) * bytes + 1023) // 1024
    result.sizes[i] = row
    -- A larger batch must be worth its memory.
    if row.entries > 0 and not (result.best and row.ns > result.best.ns * 0.95) then
      result.best = row
    end
  end
  result.views = measure_loop(self, "views", patience)
  result.tables = measure_loop(self, "entries", patience)
  result.engines, result.why = measure_engines(self, given)
  return show.printable(result, result_text)
end
