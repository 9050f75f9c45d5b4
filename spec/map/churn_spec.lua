-- SPDX-License-Identifier: MIT
--
-- What scans promise while other processes work on the map: every key that is
-- there throughout comes exactly once.

local bpf = require "luabpf"
local helper = require "spec.support.helper"

local STABLE <const>, OTHERS <const> = 120, 8

-- Replaces the stable keys, inserts and deletes others, until the map's key 0 is there.
local CHURN <const> = [[
  local id, stable, others = ...
  local map = bpf.open(math.tointeger(id))
  local percpu = map:info().type:find("percpu", 1, true)
  local function value(n)
    if not percpu then return n end
    local list = {}
    for cpu = 1, (bpf.cpus()) do list[cpu] = n end
    return list
  end
  local n = 0
  print("ready") io.stdout:flush()
  while not map:lookup(0) do
    for i = 1, stable do map:update(i, value(n), "exist") end
    for i = 1, others do
      map:update(100000 + n % 50 + i, value(n))
      map:delete(100000 + (n - 3) % 50 + i)
    end
    n = n + 1
  end
  print(n)
]]

local function churned(map, stable, others, body)
  local process = helper.process(CHURN, tostring(map:info().id), tostring(stable), tostring(others))
  assert.equal("ready", process:read("l"))
  local ok, err = pcall(body)
  local stop = map:info().type:find("percpu", 1, true) and {} or 1
  if type(stop) == "table" then for cpu = 1, (bpf.cpus()) do stop[cpu] = 1 end end
  map:update(0, stop)
  local rounds = tonumber(process:read("l"))
  process:close()
  if not ok then error(err, 0) end
  assert.is_true(rounds > 10, "the other process must have been at work")
end

local function store(map, kind, n)
  for i = 1, n do assert(map:update(i, kind.value_of(i))) end
end

-- Scans again and again; each must give every stable key once.
local function scans(map, stable, times, sizes)
  for round = 1, times do
    local seen = {}
    for batch in map:batches { batch_size = sizes[round % #sizes + 1] } do
      for i = 1, #batch do
        local key = batch:key(i)
        if key <= stable then
          assert(not seen[key], "a key came twice")
          seen[key] = true
        end
      end
    end
    for i = 1, stable do assert(seen[i], "a key was missed") end
  end
end

describe("a scan under churn", function()
  after_each(helper.close_all)

  for _, kind in ipairs(helper.types) do
    if kind.takes then
      it("[case 45] gives every stable key once: " .. (kind.label or kind.type), function()
        local map = helper.make(kind, 128, { max_entries = kind.room and 4096 or 200 })
        store(map, kind, STABLE)
        churned(map, STABLE, OTHERS, function() scans(map, STABLE, 700, { 1, 16, 50, 4096 }) end)
      end)
    end
  end

  it("of 100,000 entries gives every stable key once", function()
    local map = helper.map { max_entries = 101000 }
    local n <const> = 100000
    local keys, values = {}, {}
    for i = 1, n do keys[i], values[i] = i, i end
    assert.equal(n, map:update_batch(keys, values))
    churned(map, 2000, OTHERS, function() scans(map, n, 4, { 7, 256, 4096, 65536 }) end)
  end)

  it("[case 46] sees a key that get_next_key misses", function()
    local map = helper.map { max_entries = 64, key = "u64", flags = { "zero_seed" } }
    for i, key in ipairs { 14, 53, 60 } do map:update(key, i) end
    -- The three share a bucket; replacing 14 moves it before the ones that were read.
    local seen, key = {}, map:next()
    map:update(14, 9)
    while key do
      seen[key] = true
      key = map:next(key)
    end
    assert.is_nil(seen[14])
    local found = helper.collect(map:entries())
    assert.equal(9, found[14])
  end)

  it("[case 20] that drains hands every key to one of two drainers", function()
    local map = helper.map { max_entries = 65536 }
    local drain = [[
      local map = bpf.open(math.tointeger(tonumber((...))))
      print("ready") io.stdout:flush()
      local done, stop = {}, false
      while not stop do
        for batch in map:drain(512) do
          for key in batch:entries() do
            if key == 0 then stop = true else done[#done + 1] = key end
          end
        end
      end
      map:update(0, 0)
      print(table.concat(done, " "))
    ]]
    local id = tostring(map:info().id)
    local drainers = { helper.process(drain, id), helper.process(drain, id) }
    for _, process in ipairs(drainers) do assert.equal("ready", process:read("l")) end
    local total <const> = 100000
    local first = 1
    while first <= total do
      local keys = {}
      for i = first, math.min(first + 999, total) do keys[#keys + 1] = i end
      local stored, _, _, partial = map:update_batch(keys, keys)
      first = first + (stored or partial)
    end
    map:update(0, 0)
    local seen, n = {}, 0
    for _, process in ipairs(drainers) do
      for key in process:read("l"):gmatch("%d+") do
        assert(not seen[key], "a key came twice")
        seen[key], n = true, n + 1
      end
      process:close()
    end
    for key in map:entries() do if key ~= 0 then n = n + 1 end end
    assert.equal(total, n)
  end)
end)
