-- SPDX-License-Identifier: MIT
--
-- A soak: all kinds of work on maps that other processes never leave alone, for as long
-- as one wants, with what must hold all the time checked all the time.
--
--   make soak ARGS=600                    ten minutes
--   require("spec.support.soak").run(seconds)     spec/project/soak_spec.lua: the short form
--
-- Two churners replace the stable keys of a map, and insert and delete others. Here the map is
-- scanned in every batch size, filtered, swept, counted, taken snapshots of; handles are opened
-- and closed, loops left early or abandoned. A producer fills a second map, which two drainers
-- empty. A ring is filled and read (soak_events.lua). What must hold:
--
--   every scan, snapshot and exact count has each stable key once, no sweep deletes one;
--   what was produced is what was drained, each entry once; so it is with events, in order;
--   after the first rounds no descriptor stays open, and memory stays where it was.

local bpf = require "luabpf"
local events = require "spec.support.soak_events"
local helper = require "spec.support.helper"

local soak = {}

local STABLE <const> = 1500
local SIZES <const> = { 1, 7, 64, 256, 1000, 4096 }
local WARM_UP <const> = 12
-- Lua's own heap breathes by some of this; a leak in every round comes to more in a long soak.
local GROWTH_KIB <const> = 6144

-- Replaces the stable keys and keeps others coming and going until the control map says stop.
local CHURN <const> = [[
  local id, control, stable, first = table.unpack { ... }
  local map, stop = bpf.open(math.tointeger(id)), bpf.open(math.tointeger(control))
  stable, first = math.tointeger(stable), math.tointeger(first)
  local n = 0
  while stop:lookup(0) == 0 do
    for i = 1, stable do map:update(i, { n = n, kind = 1 }, "exist") end
    for i = first, first + 400 do map:update(i, { n = n, kind = 2 }) end
    local keys = {}
    for i = first, first + 400, 3 do keys[#keys + 1] = i end
    map:delete_batch(keys)
    n = n + 1
  end
  print(n)
]]

-- Stores 1, 2, 3, ..., each once, whenever there is room.
local PRODUCE <const> = [[
  local id, control = ...
  local map, stop = bpf.open(math.tointeger(id)), bpf.open(math.tointeger(control))
  local n = 0
  while stop:lookup(0) == 0 do
    if map:update(n + 1, n + 1, "noexist") then n = n + 1 else bpf.sleep "100us" end
  end
  stop:update(1, 1)
  print(n)
]]

-- Drains until the producer has ended and nothing is left: how many, their sum, and that of their
-- squares, modulo 2^64.
local DRAIN <const> = [[
  local id, control = ...
  local map, stop = bpf.open(math.tointeger(id)), bpf.open(math.tointeger(control))
  local n, sum, squares = 0, 0, 0
  repeat
    local last, before = stop:lookup(1) == 1, n
    for batch in map:drain(128) do
      for key in batch:entries() do n, sum, squares = n + 1, sum + key, squares + key * key end
    end
  until last and n == before
  print(n, sum, squares)
]]

-- ---- what is measured ------------------------------------------------------------

local function resident_kib()
  collectgarbage()
  collectgarbage()
  local file <close> = assert(io.open "/proc/self/statm")
  file:read("n")
  return file:read("n") * 4
end

-- What a scan must have: each stable key once.
local function checker()
  local seen, n = {}, 0
  return function(key)
    if key > STABLE then return end
    assert(not seen[key], "a stable key came twice")
    seen[key], n = true, n + 1
  end, function()
    assert(n == STABLE, ("%d of %d stable keys came"):format(n, STABLE))
  end
end

-- ---- the work of a round ---------------------------------------------------------

local work = {}

function work.scan(map, round)
  local see, done = checker()
  for batch in map:batches(SIZES[round % #SIZES + 1]) do
    for key in batch:views() do see(key) end
  end
  done()
end

function work.entries(map)
  local see, done = checker()
  for key in map:entries() do see(key) end
  done()
end

function work.resume(map)
  local see, done = checker()
  local cursor
  for batch in map:batches(100) do
    for key in batch:entries() do see(key) end
    cursor = batch:cursor()
    break
  end
  for batch in map:batches { from = cursor } do
    for key in batch:entries() do see(key) end
  end
  done()
end

function work.snapshot(map)
  local see, done = checker()
  local snapshot <close> = setmetatable({ of = assert(map:snapshot()) },
    { __close = function(self) self.of:close() end })
  for key in snapshot.of:entries() do see(key) end
  done()
end

function work.count(map)
  assert(map:count("value.kind == 1", { exact = true }) == STABLE)
end

function work.sweep(map)
  local report = assert(map:delete_where("value.kind == 2 and key % 3 == 1"))
  assert(report.complete and report.matched == report.deleted + report.missing + report.kept)
end

function work.sweep_by_function(map)
  assert(map:delete_where(function(_, value) return value.kind == 2 end, { limit = 50 }))
end

function work.leave_early(map)
  for _ in map:batches(16) do break end
  for _ in map:select { where = "value.kind == 1", limit = 3 } do break end
  pcall(function() for _ in map:views() do error "left" end end)
  map:batches(8)()
end

function work.events(_, round, ring)
  ring:round(round)
end

function work.handles(map, round)
  local again <close> = assert(bpf.open(map:info().id))
  assert(again == map)
  local other <close> = assert(bpf.create { type = "lru_hash", key = "u32", value = "u32",
    max_entries = 64 })
  assert(other:update(1, round) and #other:head() == 1)
  if round % 8 == 0 then
    local object <close> = assert(bpf.load "bpf/objects.bpf.o")
    assert(object.maps.points:info().name == "points")
  end
end

-- All of it, in an order that differs from round to round.
local function one_round(map, round, ring)
  local names = {}
  for name in pairs(work) do names[#names + 1] = name end
  table.sort(names)
  for i = 1, #names do
    local name = names[(i + round) % #names + 1]
    local ok, err = xpcall(work[name], debug.traceback, map, round, ring)
    assert(ok, ("round %d: %s: %s"):format(round, name, tostring(err)))
  end
end

-- ---- the whole -------------------------------------------------------------------

local function new_maps()
  local map = assert(bpf.create { type = "hash", name = helper.name(), key = "u32",
    value = { "u64 n", "u32 kind", "u32 pad" }, max_entries = 8192 })
  local queue = assert(bpf.create { type = "hash", name = helper.name(), key = "u32",
    value = "u64", max_entries = 4096 })
  local control = assert(bpf.create { type = "array", value = "u32", max_entries = 2 })
  for i = 1, STABLE do assert(map:update(i, { kind = 1 })) end
  return map, queue, control
end

local function start(map, queue, control)
  local map_id, queue_id, stop = map:info().id, queue:info().id, control:info().id
  local processes = { churn = {}, drain = {} }
  for i = 1, 2 do
    processes.churn[i] = helper.process(CHURN, map_id, stop, STABLE, i * 1000000)
    processes.drain[i] = helper.process(DRAIN, queue_id, stop)
  end
  processes.produce = helper.process(PRODUCE, queue_id, stop)
  return processes
end

-- Ends the processes: rounds of the churners, and how many entries were produced and drained.
local function finish(processes)
  local produced, rounds = processes.produce:read "n", 0
  local n, sum, squares = 0, 0, 0
  for _, process in ipairs(processes.drain) do
    local m, s, q = process:read("n", "n", "n")
    n, sum, squares = n + m, sum + s, squares + q
    process:close()
  end
  local all, all_squares = 0, 0
  for i = 1, produced do all, all_squares = all + i, all_squares + i * i end
  assert(n == produced and sum == all and squares == all_squares,
    ("%d entries were produced, %d drained"):format(produced, n))
  for _, process in ipairs(processes.churn) do
    rounds = rounds + process:read "n"
    process:close()
  end
  processes.produce:close()
  return produced, rounds
end

--- Soaks for so many seconds. Raises when something does not hold.
-- @tparam number seconds
-- @treturn table rounds, churned (rounds of the others), drained, growth_kib
function soak.run(seconds)
  local map, queue, control = new_maps()
  local processes, ring = start(map, queue, control), events.open(control)
  local deadline = bpf.now() + seconds * 1000000000 // 1
  local round, base, open = 0, nil, nil
  local ok, err = pcall(function()
    repeat
      round = round + 1
      one_round(map, round, ring)
      if round == WARM_UP then base, open = resident_kib(), helper.descriptors() end
    until bpf.now() >= deadline and round > WARM_UP
  end)
  local growth, opened = resident_kib() - (base or 0), helper.descriptors() - (open or 0)
  control:update(0, 1)
  local produced, churned = finish(processes)
  local whole, lack = pcall(ring.close, ring)
  for _, each in ipairs { map, queue, control } do each:close() end
  if not ok then error(err, 0) end
  if not whole then error(lack, 0) end
  assert(growth < GROWTH_KIB, ("memory grew by %d KiB in %d rounds"):format(growth, round))
  assert(opened == 0, ("%d descriptors stay open"):format(opened))
  return { rounds = round, churned = churned, drained = produced, growth_kib = growth,
    events = ring.expected }
end

if arg and arg[0] and arg[0]:find "soak%.lua$" then
  local result = soak.run(tonumber(arg[1]) or 60)
  local TEXT <const> = "%d rounds while others made %d, %d entries drained, %d events read, %+d KiB"
  print(TEXT:format(result.rounds, result.churned, result.drained, result.events,
    result.growth_kib))
end

return soak
