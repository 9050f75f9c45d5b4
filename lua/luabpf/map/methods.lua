-- SPDX-License-Identifier: MIT
--
-- The methods of maps that are written in Lua: iteration, filtered delete,
-- counting, clearing, and what is for the prompt. They join those of map.c and
-- keys.c in the class luabpf.map.

local core = require "luabpf.core"
local iter = require "luabpf.base.iter"
local maps = require "luabpf.map.open"
local options = require "luabpf.base.options"
local show = require "luabpf.show.show"

local map = core.classes["luabpf.map"]
local raw_info = map.info

-- What options are when they are left out. Users change it as bpf.defaults.
local defaults = { batch_size = 4096, memory = 64 << 20, budget = 250000000,
  checkpoint_interval = 1000000000 }

-- How long a wait for threads lasts before Lua has a look (Ctrl-C, progress); ns.
local PATIENCE <const> = 50000000

local function kind_of(self)
  return core.maptypes[raw_info(self).type]
end

-- What a map is called in messages.
local function label(info)
  return info.name ~= "" and info.name or ("map %s"):format(info.id)
end

-- What a method returns that the type of map has no way to do.
local function unsupported(self, what)
  local info = raw_info(self)
  return nil, ("%s: %s: not supported by %s maps"):format(label(info), what, info.type),
    core.errno.ENOTSUPP
end

-- Raises an error object with what is known of a half-done job.
local function throw(message, errno, fields)
  fields = fields or {}
  fields.message, fields.errno = message, errno
  error(setmetatable(fields, core.error), 0)
end

-- Calls fn(...): its results, or nil, message, errno, partial where it raised an error object of
-- the system's.
local function caught(partial, ok, err, ...)
  if ok then return err, ... end
  if type(err) == "table" and getmetatable(err) == core.error and err.errno then
    return nil, err.message, err.errno, partial
  end
  error(err, 0)
end

-- ---- iteration -----------------------------------------------------------------

local SCAN_OPTIONS = { batch_size = true, from = "string", raw = "boolean", engine = true,
  report = "table" }

-- The cursor of a scan, and the table that its report goes into.
local function open_cursor(self, what, given, drain)
  if math.type(given) then given = { batch_size = given } end
  given = options.check(what, given, SCAN_OPTIONS, 4)
  local engine = options.choice(what, "engine", given.engine, { "batch", "walk" }, "batch", 4)
  if drain and (given.from or given.engine) then
    error(("%s: a drain begins at the start of the map and has one engine"):format(what), 3)
  end
  local size = options.integer(what, "batch_size", given.batch_size, 1, 0xffffffff,
    defaults.batch_size, 4)
  return core.cursor(self, { batch_size = size, from = given.from, raw = given.raw,
    drain = drain, walk = engine == "walk" }), given.report
end

-- A cursor, or a crew of threads, that leaves its report where the caller wants it.
local reporting = {}
reporting.__index = reporting

function reporting:close()
  for name, n in pairs(self.cursor:report()) do self.report[name] = n end
  self.cursor:close()
end

reporting.__close = reporting.close

local function closing(cursor, report)
  return report and setmetatable({ cursor = cursor, report = report }, reporting) or cursor
end

-- The batches of a cursor of any class, and its entries as views; with what is closed at the end.
local function batches_of(cursor, closed)
  return iter.lazy(function()
    for batch in cursor.next, cursor do coroutine.yield(batch) end
  end, closed)
end

local function views_of(cursor, closed)
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

--- Reads the map a batch at a time: one system call per step, memory for one batch.
-- Of a hash map every key that is present throughout is seen exactly once, whatever else happens.
-- @tparam[opt] integer|table given the batch size (a hint: a batch is whole buckets), or a table:
--   batch_size; from: a batch's cursor() to go on after; raw: binary strings instead of tables;
--   engine: "batch", or "walk" for get_next_key, which may miss or repeat keys that are replaced;
--   report: a table that is filled with what the scan did when the loop ends.
-- @return an iterator of batches, each valid until the next; raises an error object
function map:batches(given)
  local cursor, report = open_cursor(self, "batches", given)
  return batches_of(cursor, closing(cursor, report))
end

-- map:drain without where.
local function drain_all(self, given)
  local cursor, report = open_cursor(self, "drain", given, true)
  return batches_of(cursor, closing(cursor, report))
end

--- Iterates over key and value, decoded; pairs(map) is the same. Options as for batches.
-- @return an iterator; raises an error object
function map:entries(given)
  local cursor, report = open_cursor(self, "entries", given)
  local step, state, control = cursor:entries()
  return step, state, control, closing(cursor, report)
end

--- Iterates over views of key and value, which move along: fields are read from the batch where
-- they are used. Options as for batches.
-- @return an iterator; raises an error object
function map:views(given)
  local cursor, report = open_cursor(self, "views", given)
  return views_of(cursor, closing(cursor, report))
end

-- ---- counting and clearing -----------------------------------------------------

local function count_entries(self)
  local n = 0
  for batch in map.batches(self) do n = n + #batch end
  return n
end

-- A walk over a map of fewer is done before a program is loaded that asks the kernel.
local SMALL <const> = 65536

-- map:count without where.
local function count_all(self)
  if kind_of(self).fixed then return #self end
  local n = #self > SMALL and core.element_count(self)
  if n then return n end
  return caught(nil, pcall(count_entries, self))
end

local function clear_fixed(self, done)
  for batch in map.batches(self, { raw = true }) do
    local _, values = batch:packed()
    local stored, message, errno, partial = self:update_batch(batch:packed(), ("\0"):rep(#values))
    done.n = done.n + (stored or partial)
    if not stored then throw(message, errno) end
  end
end

local function clear_draining(self, done)
  for batch in drain_all(self) do done.n = done.n + #batch end
end

local function clear_deleting(self, done)
  for batch in map.batches(self) do
    local deleted, message, errno, partial = self:delete_batch(batch)
    done.n = done.n + (deleted or type(partial) == "table" and partial[1] or 0)
    if not deleted then throw(message, errno) end
  end
end

--- Deletes all entries; of an array, sets them to zeros.
-- @treturn integer how many; nil, message, errno, and how many until then
function map:clear()
  local kind, done = kind_of(self), { n = 0 }
  local clear = clear_deleting
  if kind.fixed then clear = clear_fixed end
  if kind.batch_drain or kind.position == "pop" then clear = clear_draining end
  local _, message, errno = caught(nil, pcall(clear, self, done))
  if message then return nil, message, errno, done.n end
  return done.n
end

-- ---- for the prompt ------------------------------------------------------------

local function descriptions(self)
  local key, value = core.layouts(self)
  return key and key:describe(), value and value:describe()
end

-- What /proc tells of the map: memlock, frozen, owner.
local function add_fdinfo(info, fd)
  local file <close> = io.open("/proc/self/fdinfo/" .. fd)
  for line in file and file:lines() or function() end do
    local name, number = line:match("^(%w+):%s*(%d+)$")
    if name == "memlock" then info.memlock = math.tointeger(number) end
    if name == "frozen" then info.frozen = number == "1" end
    if name == "owner_prog_type" then info.owner_prog_type = math.tointeger(number) end
    if name == "owner_jited" then info.owner_jited = number == "1" end
  end
end

local INFO_ORDER = { "id", "name", "type", "key_size", "value_size", "max_entries", "flags",
  "memlock", "frozen", "pin", "btf_id" }

local function info_text(info)
  return show.fields(INFO_ORDER, info)
end

--- All that the kernel tells about the map: the fields of struct bpf_map_info by their names, and
-- flags (their names), memlock (bytes), frozen, pin (where this handle knows it to be pinned).
-- @treturn table, which prints as one; nil, message, errno
function map:info()
  local info, message, errno = raw_info(self)
  if not info then return nil, message, errno end
  info.flags = maps.flag_names(info.map_flags)
  info.pin = core.pin_path(self)
  add_fdinfo(info, self:fd())
  return show.printable(info, info_text)
end

--- The first n entries, as a table at the prompt.
-- @tparam[opt=10] integer n
-- @treturn table list of { key =, value = }; nil, message, errno
function map:head(n)
  n = options.integer("head", "n", n, 0, 1000000, 10)
  local rows = {}
  local _, message, errno = caught(nil, pcall(function()
    if n == 0 then return end
    for key, value in map.entries(self, n) do
      rows[#rows + 1] = { key = key, value = value }
      if #rows == n then break end
    end
  end))
  if message then return nil, message, errno end
  local key, value = descriptions(self)
  local ncpu = kind_of(self).percpu and core.cpus()
  return show.printable(rows, function() return show.entries(rows, key, value, ncpu) end)
end

--- What the map is: type, size, flags, and the fields of key and value with their offsets.
-- @treturn table key, value: the layouts' descriptions; prints as text
function map:describe()
  local info, message, errno = map.info(self)
  if not info then return nil, message, errno end
  local key, value = descriptions(self)
  return show.printable({ info = info, key = key, value = value }, function()
    local parts = { tostring(info) }
    if info.key_size > 0 then parts[#parts + 1] = show.layout("key", key, info.key_size) end
    if info.value_size > 0 then
      parts[#parts + 1] = show.layout("value", value, info.value_size)
    end
    if kind_of(self).percpu then
      parts[#parts + 1] = ("one value per CPU: a list of %d"):format((core.cpus()))
    end
    return table.concat(parts, "\n\n")
  end)
end

return { defaults = defaults, info = raw_info, caught = caught, throw = throw,
  unsupported = unsupported, kind_of = kind_of, label = label, closing = closing,
  batches_of = batches_of, views_of = views_of, PATIENCE = PATIENCE, count_all = count_all,
  drain_all = drain_all }
