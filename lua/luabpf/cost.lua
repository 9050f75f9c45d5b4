-- SPDX-License-Identifier: MIT
--
-- What work on a map costs, in nanoseconds: the only place with such figures.
-- They are measured on one machine (bench/), to choose between engines and to
-- tell people what to expect; nothing's answer depends on them.

local cost = {}

local CALL <const> = 1500            -- a system call that does little
local LOAD <const> = 700000          -- a program: assembled, verified, compiled
local REGION_PER_MIB <const> = 170000

local SCAN <const> = { entry = 100, bucket = 14, row = 10, row_byte = 0.35, delete = 180,
  delete_unallocated = 450, cpu = 90 }
local BATCH <const> = { entry = 300, bucket = 0.9, percpu = 90, delete = 400, row = 5,
  row_byte = 0.1, interpret = 30 }
local WALK <const> = { entry = 2200, bucket = 5 }
-- Above this load of the table the chains of a hash table are as long as measured.
local MOST_BUCKETS <const> = 1 << 32

-- Buckets of a hash table: a power of two. Other types have none to pass over.
local function buckets(size)
  if not size.hashed then return size.entries end
  local n = 1
  while n < size.max_entries and n < MOST_BUCKETS do n = n << 1 end
  return n
end

-- What each engine pays for being there and for every entry.
-- size: entries (expected), max_entries, hashed, ncpu (per-CPU maps), rows (so many are copied
-- out), row_bytes, matches (expected), deletes (whether they are deleted), unallocated, sums
-- (fields over CPUs).
local engines = {}

function engines.kernel(size)
  local empty = math.max(buckets(size) - size.entries, 0)
  local ns = CALL + SCAN.entry * size.entries + SCAN.bucket * empty
  if size.sums and size.sums > 0 then ns = ns + SCAN.cpu * size.ncpu * size.entries end
  if size.deletes then
    ns = ns + size.matches * (size.unallocated and SCAN.delete_unallocated or SCAN.delete)
  end
  return ns + size.rows * (SCAN.row + SCAN.row_byte * size.row_bytes)
    + REGION_PER_MIB * size.rows * size.row_bytes / (1 << 20)
end

function engines.batch(size)
  local empty = math.max(buckets(size) - size.entries, 0)
  local ns = CALL * (1 + size.entries // 4096)
    + (BATCH.entry + BATCH.interpret) * size.entries + BATCH.bucket * empty
  if size.ncpu then ns = ns + BATCH.percpu * size.ncpu * size.entries end
  if size.deletes then ns = ns + BATCH.delete * size.matches end
  return (ns + size.rows * (BATCH.row + BATCH.row_byte * size.row_bytes)) / size.workers
end

function engines.walk(size)
  local empty = math.max(buckets(size) - size.entries, 0)
  local ns = WALK.entry * size.entries + WALK.bucket * empty
  if size.deletes then ns = ns + BATCH.delete * size.matches end
  return ns
end

--- What a run takes in an engine, once its program is loaded; ns.
function cost.run(engine, size)
  return math.floor(engines[engine](size))
end

--- What loading a program takes; ns.
cost.load = LOAD

--- Memory of the rows of a query; bytes.
function cost.rows(size)
  return math.floor(size.rows * size.row_bytes)
end

return cost
