-- SPDX-License-Identifier: MIT
--
-- Scans: a cursor over all of a map, opened by the options of the call, and the
-- iterators that are made of a cursor, whatever it reads (a map, a snapshot).

local core = require "luabpf.core"
local defaults = require "luabpf.base.defaults"
local errors = require "luabpf.base.errors"
local iter = require "luabpf.base.iter"
local options = require "luabpf.base.options"

local scan = {}

-- How long a wait for threads lasts before Lua has a look (Ctrl-C, progress); ns.
scan.PATIENCE = 50000000

-- What the kernel tells of a map, as the core gives it: map:info is made from it.
scan.info = core.classes["luabpf.map"].info

-- What depends on a map's type: a row of maptype.c.
function scan.kind_of(self)
  return core.maptypes[scan.info(self).type]
end

-- ---- opening -------------------------------------------------------------------

-- A drain of all entries: what it cannot have besides its where.
local WITH_WHERE <const> = { "params", "limit", "engine", "exact", "memory", "budget" }

local function check_drain(given)
  for _, name in ipairs(WITH_WHERE) do
    if given[name] ~= nil then
      error(("drain: option '%s' goes with where; all entries are drained from the start of the map"
        .. " by one engine"):format(name), 4)
    end
  end
end

-- The cursor of a scan, and the table that its report goes into. Errors blame the caller of the
-- method that calls this.
-- @tparam string what the method
-- @param given its options, or the batch size
-- @tparam[opt] boolean drain the cursor deletes what it reads
function scan.open(self, what, given, drain)
  if math.type(given) then given = { batch_size = given } end
  given = options.check(what, given, options.of("map:" .. what), 4)
  if drain then check_drain(given) end
  local size = options.integer(what, "batch_size", given.batch_size, 1, 0xffffffff,
    defaults.batch_size, 4)
  return core.cursor(self, { batch_size = size, from = given.from, raw = given.raw,
    drain = drain, method = what, walk = given.engine == "walk" }), given.report
end

-- ---- iterators -----------------------------------------------------------------

-- A cursor, or a crew of threads, that leaves its report where the caller wants it.
local reporting = {}
reporting.__index = reporting

function reporting:close()
  for name, n in pairs(self.cursor:report()) do self.report[name] = n end
  self.cursor:close()
end

reporting.__close = reporting.close

-- What closes a cursor at the end of a loop, and fills in the report if there is one.
function scan.closing(cursor, report)
  return report and setmetatable({ cursor = cursor, report = report }, reporting) or cursor
end

-- The batches of a cursor of any class.
-- @param closed what is closed at the end
function scan.batches_of(cursor, closed)
  return iter.lazy(function()
    for batch in cursor.next, cursor do coroutine.yield(batch) end
  end, closed)
end

-- The entries of a cursor as views of key and value, which move along.
function scan.views_of(cursor, closed)
  local step
  local function advance()
    while true do
      if step then
        local key, value = step()
        if key ~= nil then return key, value end
      end
      local batch = cursor:next()
      if not batch then return nil end
      step = batch:views()
    end
  end
  return advance, nil, nil, closed
end

-- ---- all of a map ----------------------------------------------------------------

-- map:drain without where.
function scan.drain_all(self, given)
  local cursor, report = scan.open(self, "drain", given, true)
  return scan.batches_of(cursor, scan.closing(cursor, report))
end

local function count_entries(self)
  local n, cursor <close> = 0, scan.open(self, "count")
  for batch in cursor.next, cursor do n = n + #batch end
  return n
end

-- A walk over a map of fewer is done before a program is loaded that asks the kernel.
local SMALL <const> = 65536

-- map:count without where.
function scan.count_all(self)
  if scan.kind_of(self).fixed then return #self end
  local n = #self > SMALL and core.element_count(self)
  if n then return n end
  return errors.caught(nil, pcall(count_entries, self))
end

return scan
