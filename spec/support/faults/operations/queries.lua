-- SPDX-License-Identifier: MIT
--
-- Queries: in the kernel, by batches, by a key walk, by threads.

local bpf = require "luabpf"
local operations = require "spec.support.faults.operations"

local add = operations.add

-- One operation for each engine that gives the same answer.
local function by_engines(engines, operation)
  for _, engine in ipairs(engines) do
    local one = {}
    for name, value in pairs(operation) do one[name] = value end
    one.as = (operation.as and operation.as .. ", " or "") .. engine
    one.run = function(e) return operation.run(e, engine ~= "chosen" and engine or nil) end
    operations.add(one)
  end
end

local ENGINES <const> = { "kernel", "batch", "walk", "chosen" }

local function twenty(_, n) return n == 20 end

local function refill(e) e:fill(e.map) end

by_engines(ENGINES, { name = "map:count", right = twenty, run = function(e, engine)
  return e.map:count("value > $least", { engine = engine, params = { least = 200 } })
end })
add { name = "map:count", as = "all", run = function(e) return e.map:count() end,
  right = function(e, n) return n == e.N end }
add { name = "map:count", as = "by a function", right = twenty,
  run = function(e) return e.map:count(function(_, value) return value > 200 end) end }
add { name = "map:count", as = "by threads", right = twenty, run = function(e)
  return e.map:count("value > 200", { engine = "batch", workers = 2, batch_size = 8 })
end }
add { name = "map:count", as = "per CPU", setup = function(e)
  e.map = e:filled({ type = "percpu_hash" }, e.per_cpu)
end, right = twenty, run = function(e) return e.map:count "value > 200" end }

by_engines(ENGINES, { name = "map:select", right = twenty, run = function(e, engine)
  local n = 0
  for row in e.map:select { where = "value > 200", columns = { "key", "value * 2 as twice" },
    engine = engine, sort = "key desc" } do
    if row.twice ~= row.key * 20 then return "wrong" end
    n = n + 1
  end
  return n
end })
by_engines(ENGINES, { name = "map:select", as = "columns by a function", right = twenty,
  run = function(e, engine)
    local n = 0
    for row in e.map:select { where = "value > 200", engine = engine, sort = "key desc",
      columns = function(key, value) return { key = key, twice = value * 2 } end } do
      if row.twice ~= row.key * 20 then return "wrong" end
      n = n + 1
    end
    return n
  end })
add { name = "map:select", as = "more rows than memory", right = twenty, run = function(e)
  local n = 0
  for _ in e.map:select { where = "value > 200", memory = "4KiB" } do n = n + 1 end
  return n
end }

local function four_groups(_, rows)
  local n = 0
  for _, row in ipairs(rows) do n = n + row.n end
  return #rows == 4 and n == 40
end

by_engines(ENGINES, { name = "map:aggregate", right = four_groups, run = function(e, engine)
  return e.map:aggregate { group = { "key % 4 as rest" },
    select = { "count() as n", "sum(value) as total" }, engine = engine, sort = "rest asc" }
end })
by_engines(ENGINES, { name = "map:aggregate", as = "groups by a function", right = four_groups,
  run = function(e, engine)
    return e.map:aggregate { group = function(key) return key % 4 end,
      select = { "count() as n" }, engine = engine }
  end })
by_engines(ENGINES, { name = "map:fold", run = function(e, engine)
  local acc = { n = 0, total = 0 }
  local got, message, errno = e.map:fold(acc, function(a, _, value)
    a.n, a.total = a.n + 1, a.total + value
  end, { engine = engine })
  if not got and (acc.n ~= 0 or acc.total ~= 0) then return "half folded" end
  return got, message, errno
end, right = function(_, acc) return acc.n == 40 and acc.total == 8200 end })
by_engines({ "kernel", "batch" }, { name = "map:fold", as = "by Lua", run = function(e, engine)
  local acc = { by = {} }
  local got, message, errno = e.map:fold(acc, function(a, key, value) a.by[key] = value end,
    { engine = engine })
  if not got and next(acc.by) then return "half folded" end
  return got, message, errno
end, right = function(_, acc) return acc.by[40] == 400 end })
by_engines({ "kernel", "batch" }, { name = "map:aggregate", as = "one row",
  run = function(e, engine)
    return e.map:aggregate { select = { "sum(value) as total", "max(value) as most" },
      engine = engine }
  end,
  right = function(_, rows) return rows[1].total == 8200 and rows[1].most == 400 end })
by_engines({ "kernel", "batch" }, { name = "map:select", as = "with reset", renew = refill,
  right = function(_, total) return total == 8200 end, run = function(e, engine)
    local total = 0
    for row in e.map:select { columns = "value", reset = "value", engine = engine } do
      total = total + row.value
    end
    return total
  end })
-- What it gives, also with an error, and what is still in the map are all that there was. Where Lua
-- has no memory even for that it cannot be given.
local function keep(e, rows, message, errno, partial)
  e.taken = rows or partial or false
  return rows, message, errno, partial
end
local function all_there(e, _, told)
  if told.last or e.raised == "not enough memory" then return end
  local total = 0
  for _, row in ipairs(e.taken or type(e.raised) == "table" and e.raised.partial or {}) do
    total = total + row.total
  end
  for _, value in pairs(e:contents(e.map)) do
    for _, n in ipairs(type(value) == "table" and value or { value }) do total = total + n end
  end
  assert(total == 8200, "what was taken is lost")
end
local function refill_taken(e)
  e:fill(e.map)
  e.taken = false
end
by_engines({ "kernel", "batch" }, { name = "map:aggregate", as = "with reset",
  renew = refill_taken, after = all_there,
  right = function(_, rows) return rows[1].total == 8200 end,
  run = function(e, engine)
    return keep(e, e.map:aggregate { select = "sum(value) as total", reset = true,
      engine = engine })
  end })
by_engines({ "kernel", "batch" }, { name = "map:aggregate", as = "groups with reset",
  renew = refill_taken, after = all_there, right = function(_, rows) return #rows == 40 end,
  run = function(e, engine)
    return keep(e, e.map:aggregate { group = "key & 63 as k", reset = true,
      select = "sum(value) as total", batch_size = 8, engine = engine })
  end })
add { name = "map:aggregate", as = "by threads", right = four_groups, run = function(e)
  return e.map:aggregate { group = { "key % 4 as rest" }, select = { "count() as n" },
    engine = "batch", workers = 2, batch_size = 8 }
end }

-- Only what matches may be gone.
local function others_stay(e)
  local all = e:contents(e.map)
  for i = 1, 20 do assert(all[i] == i * 10, "another entry was deleted") end
end

local function twenty_gone(e, report)
  return report.deleted == 20 and select(2, e:contents(e.map)) == 20
end

by_engines(ENGINES, { name = "map:delete_where", renew = refill, after = others_stay,
  right = twenty_gone,
  run = function(e, engine) return e.map:delete_where("value > 200", { engine = engine }) end })
add { name = "map:delete_where", as = "by a function", renew = refill, after = others_stay,
  right = twenty_gone, run = function(e)
    return e.map:delete_where(function(_, value) return value > 200 end)
  end }
add { name = "map:delete_where", as = "dry run", after = function(e)
  assert(e:is_whole(e.map), "a dry run has deleted")
end, run = function(e) return e.map:delete_where("value > 200", { dry_run = true }) end,
  right = function(_, report) return report.matched == 20 end }
by_engines({ "kernel", "batch" }, { name = "map:delete_where", as = "told", renew = refill,
  after = others_stay, run = function(e, engine)
    local n = 0
    local report, message, errno, partial = e.map:delete_where("value > 200",
      { engine = engine, on_delete = function() n = n + 1 end })
    if report and report.deleted ~= n then return "wrong" end
    return report, message, errno, partial
  end, right = twenty_gone })

by_engines(ENGINES, { name = "map:rows", right = function(_, rows) return #rows == 20 end,
  run = function(e, engine)
    return e.map:rows { where = "value > 200", columns = { "key" }, engine = engine }
  end })
by_engines(ENGINES, { name = "map:hist", right = function(_, hist) return #tostring(hist) > 0 end,
  run = function(e, engine) return e.map:hist("value", { engine = engine }) end })
by_engines(ENGINES, { name = "map:update_where", renew = refill,
  right = function(_, report) return report.updated == 20 end,
  run = function(e, engine)
    return e.map:update_where("value > 200", "value = value + 1", { engine = engine })
  end })
add { name = "map:update_where", as = "by a function", renew = refill,
  right = function(_, report) return report.updated == 20 end, run = function(e)
    return e.map:update_where(function(_, value) return value > 200 end, "value = value // 2",
      { compile = false })
  end }

-- Values of 40 entries that have fields; the one with key 40 is one that Lua has to look at.
local function with_fields(e)
  e.map = e:make { value = { "u64 n", "u64 m", "u8 a", "u8 b" } }
end
local function refill_fields(e)
  e:fill(e.map, function(i) return { n = i * 10, m = i, a = i == e.N and 255 or i } end)
end
by_engines(ENGINES, { name = "map:update_where", as = "to what a function says",
  setup = with_fields, renew = refill_fields,
  right = function(_, report) return report.updated == 20 end,
  run = function(e, engine)
    return e.map:update_where("value.n > 200", function(_, value)
      value.n = value.n + 1
      if value.a < 255 then value.a = value.a + 1 else value.a = 0 end
    end, { engine = engine })
  end })
add { name = "map:update_where", as = "to what Lua says", setup = with_fields,
  renew = refill_fields, right = function(_, report) return report.updated == 20 end,
  run = function(e)
    return e.map:update_where("value.n > 200", function(_, value) value.m = value.m + 1 end,
      { compile = false })
  end }

add { name = "map:update_where", as = "dry run", after = function(e)
  assert(e:is_whole(e.map), "a dry run has changed")
end, run = function(e)
  return e.map:update_where("value > 200", "value = 1", { dry_run = true })
end, right = function(_, report) return report.matched == 20 and report.updated == 0 end }

-- Values with a spin lock.
local function with_lock(e)
  e.object = e:own(assert(bpf.load "bpf/layouts.bpf.o"))
  e.map = e.object.maps.guarded
end
local function refill_locked(e)
  for i = 1, e.N // 2 do assert(e.map:update(i, { n = i, m = 2 * i })) end
end
by_engines({ "chosen", "batch" }, { name = "map:update_where", as = "under a lock",
  setup = with_lock, renew = refill_locked,
  right = function(_, report) return report.updated == 10 end,
  run = function(e, engine)
    return e.map:update_where("value.n > 10", "value.n = value.n * 3, value.m = value.n",
      { engine = engine })
  end })
add { name = "map:update_where", as = "under a lock, to what a function says", setup = with_lock,
  renew = refill_locked, right = function(_, report) return report.updated == 10 end,
  run = function(e)
    return e.map:update_where("value.n > 10", function(_, value) value.m = value.m + 1 end)
  end }

local function of_cpus(e) e.map = e:filled({ type = "percpu_hash" }, e.per_cpu) end
local function refill_cpus(e) e:fill(e.map, e.per_cpu) end
add { name = "map:update_where", as = "per CPU", setup = of_cpus, renew = refill_cpus,
  right = function(_, report) return report.updated == 20 end,
  run = function(e) return e.map:update_where("value > 200", "value[1] = value[1] + 1") end }
add { name = "map:update_where", as = "per CPU, to what Lua says", setup = of_cpus,
  renew = refill_cpus, right = function(_, report) return report.updated == 20 end,
  run = function(e)
    return e.map:update_where("value > 200", function(_, value) value[1] = value[1] + 1 end)
  end }
add { name = "map:aggregate", as = "per CPU, with reset", setup = of_cpus, after = all_there,
  renew = function(e)
    refill_cpus(e)
    e.taken = false
  end,
  right = function(_, rows) return rows[1].total == 8200 end,
  run = function(e)
    return keep(e, e.map:aggregate { select = "sum(value) as total", reset = true, batch_size = 8 })
  end }

add { name = "map:explain", run = function(e)
  return e.map:explain { where = "value > 200", columns = { "key" } }
end, right = function(_, plan) return plan.engine and #tostring(plan) > 0 end }

add { name = "map:parallel", right = function(_, sum) return sum == 8200 end, run = function(e)
  return e.map:parallel { workers = 2, batch_size = 8, initial = 0, map = function(batch)
    local n = 0
    for _, value in batch:entries() do n = n + value end
    return n
  end, reduce = function(a, b) return a + b end }
end }

add { name = "map:snapshot", run = function(e) return e.map:snapshot { where = "value > 200" } end,
  right = function(e, snapshot) return e:own(snapshot):count() == 20 end }
