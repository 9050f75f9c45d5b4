-- SPDX-License-Identifier: MIT
--
-- Fits the prices of the cost model (lua/luabpf/query/cost.lua) to measurements.
--
--   lua5.4 bench/fit.lua [--cpu] [--entries N]
--
--   --cpu        time of the CPU instead of the clock's, for busy machines
--   --entries N  maps of at most so many entries (1,000,000)
--
-- Each case of the grid (grid.lua) says: the terms of the model, each times its
-- price, should be the time that was measured. The prices that are printed
-- have the least sum of squares of the relative errors; none is negative. What
-- is printed after them: each case's time and how far off it is.

package.path = (arg[0]:match "^(.*)/[^/]*$" or ".") .. "/../?.lua;" .. package.path

local cost = require "luabpf.query.cost"
local grid = require "bench.grid"
local harness = require "bench.harness"
local show = require "luabpf.show.show"

local ROUNDS <const> = 20000

-- The terms of each case of an engine, as parts of the time that was measured: times their prices
-- they should add up to 1.
local function equations(cases, engine)
  local list = {}
  for _, case in ipairs(cases) do
    if case.engine == engine then
      local row = {}
      for name, times in pairs(cost.terms(engine, case.size)) do row[name] = times / case.ns end
      list[#list + 1] = row
    end
  end
  return list
end

-- One price after the other is set to what is best while the others stay.
local function fit(rows, prices)
  local names, error_of = {}, {}
  for name in pairs(prices) do names[#names + 1] = name end
  table.sort(names)
  for i, row in ipairs(rows) do
    error_of[i] = 1
    for name, times in pairs(row) do error_of[i] = error_of[i] - times * prices[name] end
  end
  for _ = 1, ROUNDS do
    for _, name in ipairs(names) do
      local above, below = 0, 0
      for i, row in ipairs(rows) do
        local times = row[name] or 0
        above, below = above + times * error_of[i], below + times * times
      end
      local step = below > 0 and math.max(above / below, -prices[name]) or 0
      prices[name] = prices[name] + step
      for i, row in ipairs(rows) do error_of[i] = error_of[i] - (row[name] or 0) * step end
    end
  end
  return names
end

local function print_prices(engine, names, prices)
  local parts = {}
  for i, name in ipairs(names) do parts[i] = ("%s = %.3g"):format(name, prices[name]) end
  print(("  %s = { %s },"):format(engine, table.concat(parts, ", ")))
end

local function print_cases(cases)
  local rows = {}
  for i, case in ipairs(cases) do
    local expected = cost.run(case.engine, case.size)
    rows[i] = { case.map, case.query, case.engine, math.floor(case.ns / case.size.entries),
      ("%.2f"):format(expected / case.ns), numeric = { [5] = true } }
  end
  print("\n" .. show.table({ "map", "query", "engine", "ns per entry", "expected / measured" },
    rows))
end

local function arguments(list)
  local cpu, most = false, 1000000
  for i, word in ipairs(list) do
    if word == "--cpu" then cpu = true end
    if word == "--entries" then most = assert(math.tointeger(list[i + 1]), "no integer") end
  end
  return cpu, most
end

-- What the first run of a condition takes longer than the second: ns.
local function measure_load()
  local map <close> = harness.map { entries = 1 }
  local list = {}
  for i = 1, 15 do
    local where = "value.a == " .. i
    local _, first = harness.timed(map.count, map, where)
    local _, second = harness.timed(map.count, map, where)
    list[i] = first - second
  end
  return (harness.median(list))
end

local cases = grid.measure(arguments(arg))
for _, engine in ipairs { "kernel", "batch", "walk" } do
  local prices = cost.prices[engine]
  print_prices(engine, fit(equations(cases, engine), prices), prices)
end
print(("  load = %.3g"):format(measure_load()))
print_cases(cases)
