-- SPDX-License-Identifier: MIT

--- The methods of maps that are written in Lua: iteration, clearing, and what is
-- for the prompt. They join those of map.c and keys.c in the class luabpf.map.
--
-- @module luabpf.map.methods

local core = require "luabpf.core"
local errors = require "luabpf.base.errors"
local later = require "luabpf.base.later"
local maps = require "luabpf.map.open"
local options = require "luabpf.base.options"
local scan = require "luabpf.base.scan"

local show = later.module "luabpf.show.show"
local times = later.module "luabpf.show.times"

--- A handle on a map of the kernel. `#map` is max_entries, `pairs(map)` the same as
-- `map:entries()`. `map1 == map2` says whether both are the same map of the kernel,
-- `tostring(map)` its name, type and sizes.
-- @table map

local map = core.classes["luabpf.map"]
local raw_info = map.info

-- ---- iteration -----------------------------------------------------------------

--- The options of what reads a map from its start to its end.
-- @table scan_options
-- @tfield[opt=4096] integer batch_size a hint: a batch is whole buckets
-- @tfield[opt] string from a batch's cursor: goes on after it
-- @tfield[opt=false] boolean raw binary strings come instead of decoded data
-- @tfield[opt="batch"] "batch"|"walk" engine "walk" asks for one key after the other: it may miss
--   or repeat keys that are replaced meanwhile
-- @tfield[opt] scan_report report a table that is filled when the loop ends

--- Reads the map a batch at a time: one system call per step, memory for one batch. Of a hash map
-- every key that is present throughout is seen exactly once, whatever else happens.
-- @tparam[opt] integer|scan_options options the batch size, or a table
-- @treturn fun():batch? an iterator of batches, each valid until the next
-- @raise an error object with `message`, `errno` and `partial` where the kernel refuses
-- @kernel 5.6, for arrays too, for per-CPU arrays 5.13; elsewhere keys are walked
-- @usage
-- for batch in map:batches(1024) do
--   print(#batch, batch:key(1).addr, batch:value(1).packets)
-- end
function map:batches(given)
  local cursor, report = scan.open(self, "batches", given)
  return scan.batches_of(cursor, scan.closing(cursor, report))
end

--- Iterates over key and value, decoded; `pairs(map)` is the same.
-- @tparam[opt] integer|scan_options options the batch size, or a table
-- @treturn fun():data?,data? an iterator of keys and values
-- @raise an error object with `message`, `errno` and `partial` where the kernel refuses
-- @usage
-- for key, value in map:entries() do print(key.addr, value.packets) end
function map:entries(given)
  local cursor, report = scan.open(self, "entries", given)
  local step, state, control = cursor:entries()
  return step, state, control, scan.closing(cursor, report)
end

--- Iterates over views of key and value, which move along: fields are read from the batch where
-- they are used.
-- @tparam[opt] integer|scan_options options the batch size, or a table
-- @treturn fun():view?,view? an iterator of views
-- @raise an error object with `message`, `errno` and `partial` where the kernel refuses
-- @usage
-- local bytes = 0
-- for _, value in map:views() do bytes = bytes + value.bytes end
-- print(bytes)
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
  if scan.clear_by_keys(self, done) then return end
  for batch in map.batches(self) do
    local deleted, message, errno, partial = self:delete_batch(batch)
    done.n = done.n + (deleted or type(partial) == "table" and partial[1] or 0)
    if not deleted then errors.throw(message, errno) end
  end
end

--- Deletes all entries; of an array, sets them to zeros.
-- @function map:clear
-- @treturn integer how many
-- @error the kernel refuses
-- @partial integer how many until then
-- @usage
-- print(map:clear(), map:count()) -- how many there were, 0
function map:clear(given)
  options.none("clear", given)
  local kind, done = scan.kind_of(self), { n = 0 }
  local clear = clear_deleting
  if kind.fixed then clear = clear_fixed end
  if kind.batch_drain or kind.position == "pop" then clear = clear_draining end
  local _, message, errno = errors.caught(nil, pcall(clear, self, done))
  if message then return nil, message, errno, done.n end
  return done.n
end

-- ---- for the prompt ------------------------------------------------------------

-- What stands for the layout of a side that has none: nil where there are no bytes.
local function bytes(size)
  return size > 0 and { kind = "bytes", name = "bytes", size = size, align = 1 } or nil
end

local function descriptions(self)
  local key, value = core.layouts(self)
  return key and key:describe(), value and value:describe()
end

-- How many values an entry has; nil for one.
local function ncpu_of(self)
  return scan.kind_of(self).percpu and (core.cpus()) or nil
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
  "memlock", "frozen", "mapped", "unmapped", "pin", "btf_id" }

--- What the kernel tells of a map: the fields of struct bpf_map_info by their names, and some
-- more. Prints as a table.
-- @table info
-- @tfield integer id the number that the kernel gave it
-- @tfield string name its name, up to 15 bytes; "" where it has none
-- @tfield string type its type, as bpftool names it
-- @tfield integer key_size bytes of a key
-- @tfield integer value_size bytes of a value, on one CPU
-- @tfield integer max_entries how many entries there is room for
-- @tfield integer map_flags its flags as one number
-- @tfield[opt] string[] flags the names of its flags; not in the list of `bpf.maps`
-- @tfield[opt] integer memlock bytes of memory that it has; not in the list of `bpf.maps`
-- @tfield[opt] boolean frozen whether user space can only read it; not in the list of `bpf.maps`
-- @tfield[opt] boolean mapped of arrays made with the flag mmapable: whether this handle reads and
--   writes them through memory, without system calls
-- @tfield[opt] string unmapped why it does not
-- @tfield[opt] string pin where this handle knows it to be pinned
-- @tfield integer btf_id the id of its BTF; 0 where it has none
-- @tfield integer map_extra what some types take besides, as the number of hashes of a bloom
--   filter

--- All that the kernel tells about the map.
-- @treturn info the fields, which print as a table
-- @error the kernel refuses
-- @usage
-- print(map:info().type) -- hash
function map:info()
  local info, message, errno = raw_info(self)
  if not info then return nil, message, errno end
  info.flags = maps.flag_names(info.map_flags)
  info.pin = core.pin_path(self)
  info.mapped, info.unmapped = core.mapped(self)
  add_fdinfo(info, self:fd())
  return show.record(info, INFO_ORDER)
end

-- How many entries a map has, where that takes no walk over a large one; else nil.
local function total_of(self)
  local ok, n = pcall(scan.count_all, self, true)
  return ok and n or nil
end

--- The first entries, as a table at the prompt.
-- @tparam[opt=10] integer n how many
-- @treturn table[] a list of `{ key =, value = }`, which prints as a table
-- @error the kernel refuses the scan
-- @usage
-- print(map:head(3))
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
  local ncpu, total = ncpu_of(self), #rows == n and n > 0 and function() return total_of(self) end
  return show.tabular(rows, function()
    return show.entries_grid(rows, key, value, ncpu, total or #rows)
  end)
end

-- An entry of a map that is read by its keys; nil where there is none.
local function first_entry(self)
  local kind = scan.kind_of(self)
  if not kind.can_lookup or kind.position == "pop" then return nil end
  local ok, rows = pcall(map.head, self, 1)
  return ok and rows and rows[1]
end

--- What the map is: its info, and the fields of key and value with their types, offsets and sizes.
-- Times of the first entry are told by the clock that they fit.
-- @function map:describe
-- @treturn table `info`, `key`, `value`: prints as text
-- @error the kernel refuses
-- @usage
-- print(map:describe())
function map:describe(given)
  options.none("describe", given)
  local info, message, errno = map.info(self)
  if not info then return nil, message, errno end
  local key, value = descriptions(self)
  local ncpu, entry = ncpu_of(self), first_entry(self)
  return show.description({ info = info, key = key or bytes(info.key_size),
    value = value or bytes(info.value_size), times = entry and times.of(value,
      ncpu and entry.value[1] or entry.value) }, info, info, ncpu)
end
