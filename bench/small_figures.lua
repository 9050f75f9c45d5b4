-- SPDX-License-Identifier: MIT
--
-- The figures of maps of ten entries, where the big machinery must cost nothing. See
-- figures.lua for the form of a figure.

local bpf = require "luabpf"
local connections = require "bench.connections"
local harness = require "bench.harness"

local ROUNDS <const> = connections.ROUNDS

-- A map with the first ten connections, and their keys.
local function prepare(bench)
  bench.small = bench:context(10)
  bench.small_keys = connections.keys(bench.small.c:give "first keys")
end

-- The same map as bytes: keys and values are binary strings.
local function open_bytes(bench)
  bench.small_map = assert(bpf.open { path = bench.small.pin, key = "bytes[16]",
    value = "bytes[32]" })
end

local function close_bytes(bench) bench.small_map:close() end

local function small_bytes(bench)
  bench.small = bench:context(10)
  open_bytes(bench)
  bench.small_keys = {}
  for key in bench.small.c:give("first keys"):gmatch(("."):rep(16)) do
    table.insert(bench.small_keys, key)
  end
end

-- Lookups of the first keys, one by one and again and again; bytes_of(value) is not in the loop.
local function lookups(name, figure, map_of, bytes_of)
  figure.name, figure.limit, figure.task = "10 entries: lookup, " .. name, 1.3, "one"
  function figure.per() return ROUNDS end
  function figure.c(bench) return bench.small.c end
  function figure.run(bench)
    local map, keys, values, bytes = map_of(bench), bench.small_keys, {}, 0
    for _ = 1, ROUNDS // #keys do
      for i = 1, #keys do values[i] = map:lookup(keys[i]) end
    end
    for _, value in ipairs(values) do bytes = bytes + ROUNDS // #keys * bytes_of(value) end
    return "bytes=" .. bytes
  end
  return figure
end

-- The bytes of the first keys' values, summed up; lookup(key) gives the value as a table.
local function sum_small(bench, lookup)
  local keys, bytes = bench.small_keys, 0
  for _ = 1, ROUNDS // #keys do
    for i = 1, #keys do bytes = bytes + lookup(keys[i]).bytes end
  end
  return "bytes=" .. bytes
end

-- As one would do it who has binary strings only.
local function lookup_by_hand(bench)
  local map, pack, unpack = bench.small_map, string.pack, string.unpack
  return sum_small(bench, function(key)
    local last_seen, packets, bytes, flags = unpack("=i8i8i8i8", map:lookup(pack("=I4I4I2I2I4",
      key.src_addr, key.dst_addr, key.src_port, key.dst_port, key.protocol)))
    return { last_seen = last_seen, packets = packets, bytes = bytes, flags = flags }
  end)
end

local function lookup_tables(bench)
  local map = bench.small.map
  return sum_small(bench, function(key) return map:lookup(key) end)
end

local function ten_numbers(given)
  return function(bench)
    bench.numbers = assert(bpf.create { type = given.type, key = "u32", value = "u64",
      max_entries = 10, flags = given.flags })
    for i = 0, 9 do assert(bench.numbers:update(i, 7 * i)) end
  end
end

local function lookup_numbers(bench)
  local map, all = bench.numbers, 0
  for _ = 1, ROUNDS // 10 do
    for i = 0, 9 do all = all + map:lookup(i) end
  end
  return "sum=" .. all
end

local function numbers(name, limit, given)
  return { name = name, limit = limit, prepare = ten_numbers(given),
    per = function() return ROUNDS end,
    task = function(bench) return ("numbers %d"):format(bench.numbers:info().id) end,
    run = lookup_numbers, finish = function(bench) bench.numbers:close() end }
end

-- Nanoseconds of counting so many times by a condition that has not been used before.
local function count_small(times)
  local least = 0
  return function(bench)
    least = least + 1
    local condition = "value.bytes >= " .. least
    local _, ns, cpu_ns = harness.timed(function()
      for _ = 1, times do bench.small.map:count(condition) end
    end)
    return (bench.cpu and cpu_ns or ns) / times
  end
end

return { prepare = prepare, figures = {
  numbers("10 entries: lookup, numbers", 1.3, { type = "hash" }),
  numbers("array that can be mapped: lookup", 0.15, { type = "array", flags = { "mmapable" } }),
  lookups("binary strings", { prepare = small_bytes, finish = close_bytes },
    function(bench) return bench.small_map end,
    function(value) return (string.unpack("=i8", value, 17)) end),
  lookups("tables", { prepare = prepare }, function(bench) return bench.small.map end,
    function(value) return value.bytes end),
  { name = "10 entries: lookup, tables, against packing by hand", limit = 1.1,
    prepare = function(bench) prepare(bench); open_bytes(bench) end, finish = close_bytes,
    per = function() return ROUNDS end, base = lookup_by_hand, run = lookup_tables },
  { name = "10 entries: first count of a condition", limit = 5000000, unit = "ns",
    prepare = prepare, measure = count_small(1) },
  { name = "10 entries: later count of a condition", limit = 30000, unit = "ns",
    prepare = prepare, measure = count_small(500) },
} }
