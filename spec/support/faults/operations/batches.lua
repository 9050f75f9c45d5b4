-- SPDX-License-Identifier: MIT
--
-- Operations that read whole maps: iterators, batches, snapshots in memory.

local operations = require "spec.support.faults.operations"

local add = operations.add

-- Counts what an iterator of keys and values gives; the values are ten times the keys.
local function count(...)
  local n, seen = 0, {}
  for key, value in ... do
    if type(key) ~= "number" then key, value = key.bytes or key, value.bytes or value end
    if seen[key] or value ~= key * 10 then return "wrong" end
    seen[key], n = true, n + 1
  end
  return n
end

local function all(e, n) return n == e.N end

local kinds = {
  { as = "hash" }, { as = "LRU", type = "lru_hash", max_entries = 400 },
  { as = "key walk", engine = "walk" }, { as = "small batches", batch_size = 4 },
}

local function options_of(kind)
  return { engine = kind.engine, batch_size = kind.batch_size }
end

local function setup_of(kind)
  return function(e) e.map = e:filled { type = kind.type, max_entries = kind.max_entries } end
end

local function count_batches(e, options)
  local n = 0
  for batch in e.map:batches(options) do
    local part = count(batch:entries())
    if part == "wrong" then return part end
    n = n + part
  end
  return n
end

for _, kind in ipairs(kinds) do
  local options = options_of(kind)
  add { name = "map:batches", as = kind.as, setup = setup_of(kind), right = all,
    run = function(e) return count_batches(e, options) end }
  add { name = "map:entries", as = kind.as, setup = setup_of(kind), right = all,
    run = function(e) return count(e.map:entries(options)) end }
end

-- Views move along: their numbers are looked at at once.
add { name = "map:views", setup = function(e)
  e.map = e:make { value = { "u64 n" } }
  for i = 1, e.N do e.map:update(i, { n = i * 10 }) end
end, run = function(e)
  local n = 0
  for key, value in e.map:views(16) do
    if value.n ~= key * 10 then return "wrong" end
    n = n + 1
  end
  return n
end, right = all }

add { name = "map:entries", as = "an array", setup = function(e)
  e.map = e:make { type = "array", max_entries = e.N }
  for i = 0, e.N - 1 do e.map:update(i, i * 10) end
end, run = function(e) return count(e.map:entries(16)) end, right = all }

add { name = "map:entries", as = "a trie", setup = function(e)
  e.map = e:make { type = "lpm_trie", key = "prefix4" }
  for i = 1, e.N do e.map:update(("10.0.%d.0/24"):format(i), i) end
end, run = function(e)
  local n, seen = 0, {}
  for key in e.map:entries(7) do
    if seen[key] then return "wrong" end
    seen[key], n = true, n + 1
  end
  return n
end, right = all }

add { name = "map:entries", as = "per CPU", setup = function(e)
  e.map = e:filled({ type = "percpu_hash" }, e.per_cpu)
end, run = function(e)
  local n = 0
  for key, values in e.map:entries(16) do
    if values[1] ~= key * 10 then return "wrong" end
    n = n + 1
  end
  return n
end, right = all }

-- What was handed over is gone; what was not is there: together each entry once.
local function drained(e)
  local left = e:contents(e.map)
  for i = 1, e.N do
    assert(not (left[i] and e.taken[i]), "an entry was handed over and stays")
  end
end

local function drain(e, options)
  local n = 0
  for batch in e.map:drain(options) do
    for key, value in batch:entries() do
      if e.taken[key] or value ~= key * 10 then return "wrong" end
      e.taken[key], n = true, n + 1
    end
  end
  return n
end

-- Nothing of what was taken out of the map may be lost, unless the loop itself was left.
local function nothing_lost(e, refused)
  drained(e)
  if refused and e.fault == "call" then
    local left = e:contents(e.map)
    for i = 1, e.N do assert(left[i] or e.taken[i], "an entry is lost") end
  end
end

local function refill(e)
  e:fill(e.map)
  e.taken = {}
end

add { name = "map:drain", renew = refill, after = nothing_lost, right = all,
  run = function(e) return drain(e, 16) end }
add { name = "map:drain", as = "where", renew = refill, after = nothing_lost,
  run = function(e) return drain(e, { where = "value > 200" }) end,
  right = function(_, n) return n == 20 end }
add { name = "map:drain", as = "a queue", setup = function(e)
  e.map = e:make { type = "queue", keyless = true }
end, renew = function(e)
  while e.map:pop() do end
  for i = 1, 5 do assert(e.map:push(i)) end
end, run = function(e)
  local n = 0
  for batch in e.map:drain(2) do n = n + #batch end
  return n
end, right = function(_, n) return n == 5 end }

-- ---- batches ------------------------------------------------------------------------

-- Runs a method on the one batch of a map.
local function on_batch(name, call, right)
  add { name = "batch:" .. name, run = function(e)
    for batch in e.map:batches() do return call(batch, e) end
  end, right = right }
end

on_batch("key", function(batch) return batch:key(1), batch:value(1) end,
  function(_, key, value) return value == key * 10 end)
on_batch("value", function(batch) return batch:value(2), batch:key(2) end,
  function(_, value, key) return value == key * 10 end)
on_batch("keys", function(batch) return batch:keys() end,
  function(e, keys) return #keys == e.N end)
on_batch("values", function(batch) return batch:values() end,
  function(e, values) return #values == e.N end)
on_batch("entries", function(batch) return count(batch:entries()) end, all)
on_batch("views", function(batch)
  local n = 0
  for _ in batch:views() do n = n + 1 end
  return n
end, all)
on_batch("packed", function(batch) return batch:packed() end, function(e, keys, values)
  return #keys == 4 * e.N and #values == 8 * e.N
end)
on_batch("copy", function(batch) return batch:copy() end,
  function(e, copy) return count(copy:entries()) == e.N end)
on_batch("pick", function(batch) return batch:pick { 1, 3 } end,
  function(_, two) return #two == 2 and two:value(2) == two:key(2) * 10 end)
on_batch("cursor", function(batch) return batch:cursor() end,
  function(_, cursor) return type(cursor) == "string" end)
on_batch("report", function(batch) return batch:report() end,
  function(e, report) return report.entries == e.N end)

-- ---- snapshots ------------------------------------------------------------------------

local function taken(e)
  e.map = e:filled()
  e.snapshot = e:own(assert(e.map:snapshot()))
end

local function on_snapshot(name, run, right, makes)
  add { name = "snapshot:" .. name, setup = taken, run = run, right = right, makes = makes }
end

on_snapshot("header", function(e) return e.snapshot:header() end)
on_snapshot("batches", function(e)
  local n = 0
  for batch in e.snapshot:batches(16) do n = n + #batch end
  return n
end, all)
on_snapshot("entries", function(e) return count(e.snapshot:entries()) end, all)
on_snapshot("views", function(e)
  local n = 0
  for _ in e.snapshot:views() do n = n + 1 end
  return n
end, all)
on_snapshot("count", function(e) return e.snapshot:count "value > 200" end,
  function(_, n) return n == 20 end)
on_snapshot("select", function(e)
  local n = 0
  for row in e.snapshot:select { where = "value > 200", columns = { "key" } } do
    n = n + (row.key > 20 and 1 or 0)
  end
  return n
end, function(_, n) return n == 20 end)
on_snapshot("aggregate", function(e)
  return e.snapshot:aggregate { select = { "sum(value) as total" } }
end, function(_, rows) return rows[1].total == 8200 end)
on_snapshot("fold", function(e)
  return e.snapshot:fold({ n = 0 }, function(acc, _, value) acc.n = acc.n + value end)
end, function(_, acc) return acc.n == 8200 end)
on_snapshot("export", function(e)
  return e.snapshot:export(e:path "out", { format = "csv" })
end, function(e, report)
  return report.entries == e.N and select(2, e:read(e:path "out"):gsub("\n", "")) == e.N + 1
end, "^out$")
on_snapshot("diff", function(e)
  local n, old <close>, message, errno = 0, e.map:snapshot { where = "key < 31" }
  if not old then return nil, message, errno end
  for row in e.snapshot:diff(old) do n = n + (row.status == "added" and 1 or 0) end
  return n
end, function(_, n) return n == 10 end)
on_snapshot("head", function(e) return e.snapshot:head(2) end,
  function(_, list) return #list == 2 end)
on_snapshot("describe", function(e) return e.snapshot:describe() end)
on_snapshot("close", function(e)
  local snapshot, message, errno = e.map:snapshot()
  if not snapshot then return nil, message, errno end
  return snapshot:close()
end)

-- ---- help ------------------------------------------------------------------------

local function yes() return true end

add { name = "batch:help", prints = true, right = yes, run = function(e)
  for batch in e.map:batches() do batch:help "copy" end
end }
add { name = "snapshot:help", prints = true, setup = taken, right = yes,
  run = function(e) return e.snapshot:help "diff" end }
