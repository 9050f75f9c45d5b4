-- SPDX-License-Identifier: MIT
--
-- Queries over maps of all shapes, in each engine: what map:explain expects of
-- them, and what they take. The cost model is fitted to these (fit.lua) and
-- held to them (bench.lua).

local cost = require "luabpf.query.cost"
local harness = require "bench.harness"

local grid = {}

-- One in ten matches, as the cost model thinks.
local WHERE <const> = "value.a % 10 == 3"
local ALL <const> = "10s"   -- a busy machine must not end a run inside the kernel

local MAPS <const> = {
  { label = "1,000 entries", entries = 1000 },
  { label = "16+32 bytes", entries = 200000 },
  { label = "4+8 bytes", entries = 200000, key_size = 4, value_size = 8 },
  { label = "16+256 bytes", entries = 50000, value_size = 256 },
  { label = "2% full", entries = 20000, max_entries = 1000000 },
  { label = "no_prealloc", entries = 100000, flags = { "no_prealloc" } },
  { label = "lru_hash", entries = 100000, max_entries = 200000, type = "lru_hash" },
  { label = "percpu_hash", entries = 50000, type = "percpu_hash" },
  { label = "array", entries = 200000, type = "array" },
  { label = "1,000,000 entries", entries = 1000000 },
}

-- What is asked for, and how; deletes: what was deleted must be put back.
local QUERIES <const> = {
  { name = "count", explain = { where = WHERE },
    run = function(map, options) return map:count(WHERE, options) end },
  { name = "sum", explain = { where = WHERE, select = "sum(value.a) as s" },
    run = function(map, options)
      options.where, options.select = WHERE, "sum(value.a) as s"
      return map:aggregate(options)
    end },
  { name = "group of all", explain = { group = "value.a % 16 as g", select = "count() as n" },
    run = function(map, options)
      options.group, options.select = "value.a % 16 as g", "count() as n"
      return map:aggregate(options)
    end },
  { name = "select", explain = { where = WHERE, columns = "value.a" },
    run = function(map, options)
      options.where, options.columns = WHERE, "value.a"
      for _ in map:select(options) do end
      return true
    end },
  { name = "delete", explain = { where = WHERE, delete = true }, deletes = true,
    run = function(map, options) return map:delete_where(WHERE, options) end },
}

-- The time of a query in an engine, after a run that loaded its programs; nil where that engine
-- does not do it.
local function measure(map, shape, query, engine, cpu)
  local times = {}
  for i = 0, 5 do
    local result, ns, cpu_ns = harness.timed(query.run, map, { engine = engine, budget = ALL })
    if not result then return nil end
    if i > 0 then times[i] = cpu and cpu_ns or ns end
    if query.deletes then harness.fill(map, shape.entries) end
  end
  return (harness.median(times))
end

local function add_cases(list, map, shape, cpu)
  for _, query in ipairs(QUERIES) do
    if not (query.deletes and (shape.type == "array" or shape.entries > 200000)) then
      for _, engine in ipairs { "kernel", "batch", "walk" } do
        local small = engine ~= "walk" or shape.entries <= 20000
        local ns = small and measure(map, shape, query, engine, cpu)
        if ns then
          local plan = map:explain(query.explain)
          list[#list + 1] = { map = shape.label, query = query.name, engine = engine, ns = ns,
            estimate = plan.estimates[engine] or cost.run(engine, plan.size), size = plan.size }
        end
      end
    end
  end
end

--- Measures: a list of map, query and engine (names), ns, estimate (what explain says of a query
-- that has run before, but for the key walk, which it considers only where nothing else can be),
-- size (for cost.lua).
-- @tparam boolean cpu time of the CPU instead of the clock's
-- @tparam integer most entries of a map at most
function grid.measure(cpu, most)
  local list = {}
  for _, shape in ipairs(MAPS) do
    if shape.entries <= most then
      local map <close> = harness.map(shape)
      add_cases(list, map, shape, cpu)
    end
  end
  return list
end

return grid
