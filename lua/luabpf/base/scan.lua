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

-- What the kernel told of a map when its handle was made, none of which changes.
scan.info = core.known_info

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
local holder = {}
holder.__index = holder

function holder:close()
  if not self.reader then return end
  if self.report then
    for name, n in pairs(self.reader:report()) do self.report[name] = n end
  end
  self.reader:close()
end

holder.__close = holder.close

-- What closes a cursor at the end of a loop, and fills in the report if there is one.
function scan.closing(cursor, report)
  return report and setmetatable({ reader = cursor, report = report }, holder) or cursor
end

-- The same for a crew that core.crew puts there.
function scan.holder(report)
  return setmetatable({ report = report }, holder)
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

-- Whether keys can be walked, but values not be read.
local function has_keys_only(kind, info)
  return kind.position == "key"
    and (not kind.can_lookup or kind.wide_values and info.value_size ~= 8)
end

-- Calls see(key) for the raw keys of a map, which may delete it: the next one is known by then. One
-- that is taken away meanwhile makes the kernel begin again: a bounded number of times.
local function walk_keys(self, see)
  local left = 20 * #self + 1000
  local key, message, errno = self:next(nil, { raw = true })
  while key and left > 0 do
    local following
    following, message, errno = self:next(key, { raw = true })
    see(key)
    key, left = following, left - 1
  end
  if message then errors.throw(message, errno) end
end

-- For map:clear: deletes the entries of a map whose values cannot be read; done.n counts them. Nil
-- of other maps. Slots that are empty say so in two ways.
function scan.clear_by_keys(self, done)
  local info = scan.info(self)
  local kind = core.maptypes[info.type]
  if not has_keys_only(kind, info) then return nil end
  walk_keys(self, function(key)
    local deleted, message, errno = self:delete(key, { raw = true })
    if deleted then done.n = done.n + 1 end
    if message and not (kind.key_index and errno == core.errno.EINVAL) then
      errors.throw(message, errno)
    end
  end)
  return done.n
end

local function count_keys(self)
  local n = 0
  walk_keys(self, function() n = n + 1 end)
  return n
end

local function count_entries(self)
  local n, cursor <close> = 0, scan.open(self, "count")
  for batch in cursor.next, cursor do n = n + #batch end
  return n
end

-- A walk over a map of fewer is done before a program is loaded that asks the kernel.
local SMALL <const> = 65536

-- map:count without where.
-- @tparam[opt] boolean cheaply nil rather than a walk over a large map
function scan.count_all(self, cheaply)
  local info = scan.info(self)
  local kind = core.maptypes[info.type]
  if kind.fixed then return #self end
  local by_keys, is_large = has_keys_only(kind, info) and not kind.key_index, #self > SMALL
  local n = is_large and not by_keys and core.element_count(self) or nil
  if n or cheaply and is_large then return n end
  return errors.caught(nil, pcall(by_keys and count_keys or count_entries, self))
end

return scan
