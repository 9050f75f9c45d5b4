-- SPDX-License-Identifier: MIT
--
-- What work on a map costs, in nanoseconds: the only place with such figures.
-- They are fitted to measurements (bench/fit.lua), to choose between engines
-- and to tell people what to expect; nothing's answer depends on them.
--
-- A run in an engine is made of terms, each so many times something that has a
-- price: calls; entries and their bytes, in the kernel those of arrays (index)
-- apart; empty buckets passed; values of CPUs read for sums; rows copied out,
-- their bytes, rows handed to Lua as tables; entries deleted.

local cost = {}

--- The prices by engine; ns. bench/fit.lua prints what they are on a machine.
cost.prices = {
  kernel = { call = 5000, entry = 110, index = 15, byte = 0.09, bucket = 15, cpu = 75,
    delete = 150, delete_unallocated = 350, row = 12, row_byte = 0.1, table = 150 },
  batch = { call = 8000, entry = 330, byte = 0.17, bucket = 1.1, cpu = 62, delete = 560, row = 10,
    row_byte = 0.1, table = 200 },
  walk = { call = 0, entry = 2600, byte = 0, bucket = 5, cpu = 62, delete = 10000, row = 10,
    row_byte = 0.1, table = 200 },
}

--- What loading a program takes; ns.
cost.load = 400000

-- Above this load of the table the chains of a hash table are as long as measured.
local MOST_BUCKETS <const> = 1 << 32
-- Entries of a batch.
local BATCH <const> = 4096

-- Empty buckets of a hash table, whose number is a power of two. Other types have none to pass
-- over.
local function empty_buckets(size)
  if not size.hashed then return 0 end
  local n = 1
  while n < size.max_entries and n < MOST_BUCKETS do n = n << 1 end
  return math.max(n - size.entries, 0)
end

-- What is the same in all engines.
local function common_terms(size)
  return { entry = size.entries, byte = size.entries * size.entry_bytes,
    bucket = empty_buckets(size), row = size.rows, row_byte = size.rows * size.row_bytes,
    table = size.tables, delete = size.deletes and size.matches or 0 }
end

local terms = {}

function terms.kernel(size)
  local list = common_terms(size)
  list.call = 1
  if not size.hashed then list.entry, list.index = 0, list.entry end
  list.cpu = size.sums > 0 and size.ncpu * size.entries or 0
  if size.unallocated then list.delete, list.delete_unallocated = 0, list.delete end
  return list
end

function terms.batch(size)
  local list = common_terms(size)
  list.call = 1 + size.entries // BATCH
  list.cpu = size.ncpu and size.ncpu * size.entries or 0
  return list
end

function terms.walk(size)
  local list = terms.batch(size)
  list.call, list.byte = 0, 0
  return list
end

--- How often a run in an engine does what has a price, by its name.
-- @tparam table size
--   entries (expected), entry_bytes, max_entries, hashed, ncpu (per-CPU maps), rows (so many are
--   copied out), row_bytes, tables (rows that Lua gets as tables), matches (expected), deletes
--   (whether they are deleted), unallocated, sums (fields over CPUs), workers
function cost.terms(engine, size)
  return terms[engine](size)
end

--- What a run takes in an engine, once its program is loaded; ns.
function cost.run(engine, size)
  local prices, ns = cost.prices[engine], 0
  for name, times in pairs(cost.terms(engine, size)) do ns = ns + times * prices[name] end
  return math.floor(engine == "batch" and ns / size.workers or ns)
end

--- Memory of the rows of a query; bytes.
function cost.rows(size)
  return math.floor(size.rows * size.row_bytes)
end

return cost
