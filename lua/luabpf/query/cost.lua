-- SPDX-License-Identifier: MIT
--
-- What work on a map costs, in nanoseconds: the only place with such figures.
-- They are fitted to measurements (bench/fit.lua), to choose between engines
-- and to tell people what to expect; nothing's answer depends on them.
--
-- A run in an engine is made of terms, each so many times something that has a
-- price: calls; entries and their bytes, in the kernel those of arrays (index)
-- apart; on top, entries that caches do not hold (far); empty buckets passed;
-- values of CPUs read for sums; instructions of functions; rows copied out, their
-- bytes, rows handed to Lua as tables; entries deleted. Prices lie between what quiet
-- and busy runs took.

local core = require "luabpf.core"

local cost = {}

-- The prices by engine; ns. bench/fit.lua prints what they are on a machine.
cost.prices = {
  kernel = { call = 4000, entry = 88, far = 83, index = 14, byte = 0.045, bucket = 20, cpu = 64,
    delete = 165, delete_unallocated = 580, row = 16, row_byte = 0.1, table = 90,
    instruction = 0.3 },
  batch = { call = 8000, entry = 275, far = 210, byte = 0.18, bucket = 2.7, cpu = 62, delete = 600,
    row = 10, row_byte = 0.1, table = 370, instruction = 1.5 },
  walk = { call = 0, entry = 2950, far = 0, byte = 0, bucket = 4, cpu = 62, delete = 3500, row = 10,
    row_byte = 0.1, table = 350, instruction = 1.5 },
}

-- What loading a program takes; ns.
cost.load = 400000

-- Instructions of a condition that the price of an entry has in it; of longer ones half are run.
local USUAL <const> = 16
-- Entries of a batch.
local BATCH <const> = 4096
-- What a hash table keeps for an entry beside key and value (kernel/bpf/hashtab.c, struct
-- htab_elem, and its bucket), and what of it a processor's last cache holds, about; bytes.
local OVERHEAD <const>, CACHE <const> = 64, 32 << 20

-- Empty buckets of a hash table. Other types have none to pass over.
local function empty_buckets(size)
  if not size.hashed then return 0 end
  return math.max(core.buckets(size.max_entries) - size.entries, 0)
end

-- Entries of a hash table that are read from memory: as many as if the cache were as good for any
-- size. An array's come in order, ahead of their use.
local function far_entries(size)
  if not size.hashed then return 0 end
  local bytes = size.entries * (size.entry_bytes + OVERHEAD)
  return size.entries * bytes / (bytes + CACHE)
end

-- What is the same in all engines.
local function common_terms(size)
  return { entry = size.entries, byte = size.entries * size.entry_bytes,
    far = far_entries(size),
    bucket = empty_buckets(size), row = size.rows, row_byte = size.rows * size.row_bytes,
    table = size.tables, delete = size.deletes and size.matches or 0,
    instruction = size.entries * math.max((size.instructions or 0) - USUAL, 0) // 2 }
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

-- How often a run in an engine does what has a price, by its name.
-- @tparam table size
--   entries (expected), entry_bytes, max_entries, hashed, ncpu (per-CPU maps), rows (so many are
--   copied out), row_bytes, tables (rows that Lua gets as tables), matches (expected), deletes
--   (whether they are deleted), unallocated, sums (fields over CPUs), workers, instructions (of a
--   function as where)
function cost.terms(engine, size)
  return terms[engine](size)
end

-- What a run takes in an engine, once its program is loaded; ns.
function cost.run(engine, size)
  local prices, ns = cost.prices[engine], 0
  for name, times in pairs(cost.terms(engine, size)) do ns = ns + times * prices[name] end
  return math.floor(engine == "batch" and ns / size.workers or ns)
end

-- Memory of the rows of a query; bytes.
function cost.rows(size)
  return math.floor(size.rows * size.row_bytes)
end

-- Room for what a function leaves to Lua, in a walk inside the kernel: a sixteenth of the map, in
-- some megabytes. One that asks more is cheaper judged by Lua.
local FEWEST_ASKED <const>, ASKED_BYTES <const> = 4096, 8 << 20

function cost.most_asked(facts)
  local most = math.max(FEWEST_ASKED, facts.info.max_entries // 16)
  most = math.min(most, facts.info.max_entries, ASKED_BYTES // facts.entry_bytes)
  return math.max(most, 1)
end

return cost
