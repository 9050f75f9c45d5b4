-- SPDX-License-Identifier: MIT
--
-- Lua functions whose pace figures.lua measures, as conditions: each says what the C
-- baseline's does.

local compile = require "luabpf.function.compile"
local connections = require "bench.connections"
local harness = require "bench.harness"
local prepare = require "luabpf.query.prepare"

local functions = {}

local CUT = connections.CUT
local ROUNDS <const> = 200

-- The ports of the baseline, and others: 200.
local none, ports = 0xffffffff, {}
for _, port in ipairs { 22, 25, 53, 80, 110, 123, 143, 443, 465, 587, 853, 3306, 5432, 6379, 8080,
  8443 } do
  ports[port] = true
end
for i = 1, 184 do ports[10000 + 2 * i] = true end

--- The entries that the baseline calls idle, by two conditions.
function functions.two(key, value)
  return value.last_seen < CUT and key.protocol ~= none
end

--- The same as text.
functions.text = ("value.last_seen < %d and key.protocol ~= %d"):format(CUT, none)

--- All entries.
function functions.all(_, value)
  return value.last_seen >= 0 and value.bytes >= 0
end

--- Those idle, as all ports of the baseline are in a set of 200.
function functions.set(key, value)
  return ports[key.dst_port] and value.last_seen < CUT
end

--- Those idle, of which Lua judges about a hundredth.
function functions.asks(key, value)
  if key.src_addr % 100 == 7 then return ("%d"):format(value.last_seen) + 0 < CUT end
  return value.last_seen < CUT
end

--- Four accumulators over all entries; two of them are the baseline's.
function functions.fold(bench)
  local acc = assert(bench.map:fold({ flows = 0, bytes = 0, packets = 0, last = 0 },
    function(a, _, value)
      a.flows, a.bytes = a.flows + 1, a.bytes + value.bytes
      a.packets = a.packets + value.packets
      if value.last_seen > a.last then a.last = value.last_seen end
    end))
  return ("count=%d bytes=%d"):format(acc.flows, acc.bytes)
end

-- Rows of the idle entries, summed up.
local function rows_of(columns)
  local where = ("value.last_seen < %d"):format(CUT)
  return function(bench)
    local n, total = 0, 0
    for row in bench.map:select { where = where, columns = columns, engine = "kernel" } do
      n, total = n + 1, total + row.port + row.size
    end
    return ("rows=%d total=%d"):format(n, total)
  end
end

--- Columns by a function, and the same by text.
functions.columns = rows_of(function(key, value)
  return { port = key.dst_port, size = value.bytes // 100 + value.packets }
end)
functions.columns_text = rows_of {
  "key.dst_port as port", "value.bytes // 100 + value.packets as size" }

--- A quarter of all get another bit.
function functions.change(_, value)
  if value.bytes % 4 == 1 then value.flags = value.flags ~ 1 << 40 end
end

-- Nanoseconds of each of many compilations of functions that new(i) makes.
local function compiling(bench, new)
  local facts, list = prepare.facts(bench.small.map), {}
  for i = 1, ROUNDS do list[i] = new(i) end
  compile.where(new(0), facts)
  local _, ns, cpu_ns = harness.timed(function()
    for i = 1, ROUNDS do compile.where(list[i], facts) end
  end)
  return (bench.cpu and cpu_ns or ns) / ROUNDS
end

--- Functions of other numbers, each compiled for the first time.
function functions.compile(bench)
  return compiling(bench, function(i)
    return load(("return function(_, value) return value.packets == %d end"):format(i))()
  end)
end

--- Closures of one function.
function functions.find_again(bench)
  return compiling(bench, function(i)
    return function(_, value) return value.packets == i end
  end)
end

return functions
