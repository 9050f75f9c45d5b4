-- SPDX-License-Identifier: MIT
--
-- The methods of maps that are written in Lua: iteration, clearing, and what is
-- for the prompt. They join those of map.c and keys.c in the class luabpf.map.

local core = require "luabpf.core"
local errors = require "luabpf.base.errors"
local maps = require "luabpf.map.open"
local options = require "luabpf.base.options"
local scan = require "luabpf.base.scan"
local show = require "luabpf.show.show"

local map = core.classes["luabpf.map"]

-- ---- iteration -----------------------------------------------------------------

--- Reads the map a batch at a time: one system call per step, memory for one batch.
-- Of a hash map every key that is present throughout is seen exactly once, whatever else happens.
-- @tparam[opt] integer|table given the batch size (a hint: a batch is whole buckets), or a table:
--   batch_size; from: a batch's cursor() to go on after; raw: binary strings instead of tables;
--   engine: "batch", or "walk" for get_next_key, which may miss or repeat keys that are replaced;
--   report: a table that is filled with what the scan did when the loop ends.
-- @return an iterator of batches, each valid until the next; raises an error object
function map:batches(given)
  local cursor, report = scan.open(self, "batches", given)
  return scan.batches_of(cursor, scan.closing(cursor, report))
end

--- Iterates over key and value, decoded; pairs(map) is the same. Options as for batches.
-- @return an iterator; raises an error object
function map:entries(given)
  local cursor, report = scan.open(self, "entries", given)
  local step, state, control = cursor:entries()
  return step, state, control, scan.closing(cursor, report)
end

--- Iterates over views of key and value, which move along: fields are read from the batch where
-- they are used. Options as for batches.
-- @return an iterator; raises an error object
function map:views(given)
  local cursor, report = scan.open(self, "views", given)
  return scan.views_of(cursor, scan.closing(cursor, report))
end

-- ---- clearing -----------------------------------------------------------------

local function clear_fixed(self, done)
  for batch in map.batches(self, { raw = true }) do
    local _, values = batch:packed()
    local stored, message, errno, partial = self:update_batch(batch:packed(), ("\0"):rep(#values))
    done.n = done.n + (stored or partial)
    if not stored then errors.throw(message, errno) end
  end
end

local function clear_draining(self, done)
  for batch in scan.drain_all(self) do done.n = done.n + #batch end
end

local function clear_deleting(self, done)
  for batch in map.batches(self) do
    local deleted, message, errno, partial = self:delete_batch(batch)
    done.n = done.n + (deleted or type(partial) == "table" and partial[1] or 0)
    if not deleted then errors.throw(message, errno) end
  end
end

--- Deletes all entries; of an array, sets them to zeros.
-- @treturn integer how many; nil, message, errno, and how many until then
function map:clear()
  local kind, done = scan.kind_of(self), { n = 0 }
  local clear = clear_deleting
  if kind.fixed then clear = clear_fixed end
  if kind.batch_drain or kind.position == "pop" then clear = clear_draining end
  local _, message, errno = errors.caught(nil, pcall(clear, self, done))
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
  local info, message, errno = scan.info(self)
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
  local _, message, errno = errors.caught(nil, pcall(function()
    if n == 0 then return end
    for key, value in map.entries(self, n) do
      rows[#rows + 1] = { key = key, value = value }
      if #rows == n then break end
    end
  end))
  if message then return nil, message, errno end
  local key, value = descriptions(self)
  local ncpu = scan.kind_of(self).percpu and core.cpus()
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
    if scan.kind_of(self).percpu then
      parts[#parts + 1] = ("one value per CPU: a list of %d"):format((core.cpus()))
    end
    return table.concat(parts, "\n\n")
  end)
end
