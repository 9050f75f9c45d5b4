-- SPDX-License-Identifier: MIT

--- Snapshots: the entries of a map as they were, in a file or in memory, with
-- the methods of a map that read. docs/snapshot-format.md defines the file.
--
-- The C side (snapshot.c) knows blocks of keys and values, header.lua the text that
-- says what they are. Here is what users see of both, but for differences
-- (difference.lua). A snapshot in memory is a file too, one without a name.
--
-- @module luabpf.file.snapshot

local core = require "luabpf.core"
local defaults = require "luabpf.base.defaults"
local errors = require "luabpf.base.errors"
local fold = require "luabpf.query.fold"
local headers = require "luabpf.file.header"
local json = require "luabpf.file.json"
local judge = require "luabpf.query.judge"
local maps = require "luabpf.map.open"
local options = require "luabpf.base.options"
local prepare = require "luabpf.query.prepare"
local read = require "luabpf.query.read"
local scan = require "luabpf.base.scan"
local show = require "luabpf.show.show"

local snapshot = {}

local class = core.classes["luabpf.snapshot"]
local map = core.classes["luabpf.map"]

-- ---- writing ---------------------------------------------------------------------

-- Begins or continues a snapshot file: what map:snapshot and exports write through.
-- @tparam table given
--   map: whose entries they are. fd: a descriptor or a Lua file, which stays the caller's; a file
--   is written from its offset 0 whatever its position, unless it was opened for appending; a pipe
--   as it goes. memory = true instead: in memory.
--   where: text for the header. query: of prepare.query(map, "keyed", { columns = }), and
--   columns = true, if values are columns.
--   resume: { offset =, entries =, blocks = } as position() gave them before what was written until
--   then was synced; reads all of that again, so fd must be open for reading too.
-- @treturn luabpf.snapshot_writer|nil, reason, errno
--   w:add(batch or rows): true; nil, reason, errno. In a file nothing is left of a failed add
--   but bytes behind position(), and it may be tried again. A large batch becomes several blocks.
--   w:position(): offset, entries, blocks. w:finish(): the bytes of the file, or of one in memory
--   the luabpf.snapshot; nil, reason, errno. Does not sync. w:close() gives up.
function snapshot.writer(given)
  local header = headers.new(given.map, given.query, given)
  return core.snapshot_writer { handle = headers.handle(header), header = json.encode(header),
    fd = given.fd, memory = given.memory, resume = given.resume }
end

-- What a writer gave, or its nil, reason, errno as an error object.
local function must(self, result, reason, errno)
  if result then return result end
  errors.throw(("%s: snapshot: %s"):format(errors.label(scan.info(self)), reason), errno)
end

-- Writes what matches of all batches.
local function copy(self, run, query)
  local report = { visited = 0, matched = 0 }
  judge.begin_report(run, report)
  local writer <close> = must(self, snapshot.writer { map = self, memory = true,
    where = run.fn and "a function" or run.where, query = query, columns = run.columns })
  for batch in map.batches(self, { batch_size = run.batch_size, report = run.report }) do
    report.visited = report.visited + #batch
    local block = batch
    local also = run.ask and select(2, judge.match(query, batch, run, report)) or nil
    if run.filter then block = judge.filtered(batch, run.filter, report) end
    if query then block = query.core:rows(block, run.packed, run.block, also) end
    run.block = query and block
    report.matched = report.matched + #block
    must(self, writer:add(block))
  end
  return must(self, writer:finish())
end

--- The entries as they are now, in memory. Of a hash map every key that is present throughout is
-- in it once.
-- @tparam[opt] where options.where the condition
-- @tparam[opt] table<string,any> options.params the values of `$name` in texts
-- @tparam[opt] columns options.columns they become the value of each key; those of per-CPU maps
--   are sums over the CPUs
-- @tparam[opt=4096] integer options.batch_size a hint: a batch is whole buckets
-- @tparam[opt] boolean options.compile as of `map:count`
-- @tparam[opt] scan_report options.report a table that is filled with what the scan did
-- @treturn snapshot the snapshot
-- @error the kernel refuses
-- @raise a text that does not compile, naming line and column
-- @usage
-- local before <close> = assert(map:snapshot())
-- map:update({ addr = "10.0.0.1", port = 1 }, { packets = 1000 })
-- local after <close> = assert(map:snapshot())
-- for change in after:diff(before) do print(change.status, change.key.port) end
function map:snapshot(given)
  core.check_map(self)
  given = options.check("snapshot", given, options.of "map:snapshot")
  local run = { what = "snapshot", report = given.report, columns = given.columns, packed = "",
    given = given, params = given.params }
  run.batch_size = options.integer("snapshot", "batch_size", given.batch_size, 1, 0xffffffff,
    defaults.batch_size)
  local where, query = judge.function_of(given.where), nil
  if type(where) == "function" then
    if given.params and not given.columns then error("snapshot: params go with text", 2) end
    where = judge.take(self, run, where, 2)
  end
  where = prepare.text(where, "snapshot", 3)
  run.where = where
  if where or given.columns or given.params then
    query = prepare.query(self, "keyed", { where = where, columns = given.columns,
      params = given.params })
    run.packed = judge.params(query, run)
  end
  return errors.caught(nil, pcall(copy, self, run, query))
end

-- ---- opening ---------------------------------------------------------------------

--- Opens a snapshot file. Blocks are checked as they are read: a loop over a damaged one raises an
-- error object.
-- @function bpf.snapshot
-- @tparam string path the file
-- @tparam[opt=false] boolean options.damaged gives what is intact of a damaged file, which is
--   read as a whole; `header().damage` says what is missing
-- @treturn snapshot the snapshot
-- @error the file is none, or is damaged
-- @usage
-- assert(map:export "flows.snapshot")
-- local snapshot <close> = assert(bpf.snapshot "flows.snapshot")
-- print(#snapshot, snapshot:header().name)
function snapshot.open(path, given)
  if type(path) ~= "string" then
    error(("snapshot: path expected, got %s"):format(type(path)), 2)
  end
  options.path("snapshot", path)
  given = options.check("snapshot", given, options.of "bpf.snapshot")
  local self, message, errno = core.snapshot_open(path, given.damaged)
  if not self then return nil, message, errno end
  local ok, problem = pcall(headers.bind, self)
  if ok then return self end
  self:close()
  return nil, ("%s: snapshot: the header is wrong: %s"):format(path, problem), core.errno.EBADMSG
end

-- Raises unless value is an open snapshot.
-- @tparam string what names it in the message
-- @tparam integer level whom the error blames, as in error() here
function snapshot.check(value, what, level)
  local meta = getmetatable(value)
  if type(meta) ~= "table" or meta.__index ~= class then
    error(("%s: luabpf.snapshot expected, got %s"):format(what, type(value)), level)
  end
  core.snapshot_handle(value)
end

-- ---- reading ---------------------------------------------------------------------

local HEADER_ORDER = { "name", "type", "id", "key_size", "value_size", "max_entries", "flags",
  "ncpu", "entries", "blocks", "bytes", "date", "kernel", "boot_id", "where", "columns", "damage" }

local function header_text(header)
  local shown = { date = os.date("!%Y-%m-%d %H:%M:%S UTC", header.time) }
  if header.damage then shown.damage = ("in %d places"):format(#header.damage) end
  return show.fields(HEADER_ORDER, setmetatable(shown, { __index = header }))
end

--- What a snapshot is of.
-- @table snapshot_header
-- @tfield string type the map's type
-- @tfield string name the map's name
-- @tfield integer id the map's id
-- @tfield integer key_size bytes of a key
-- @tfield integer value_size bytes of a value, on one CPU
-- @tfield integer max_entries how many entries the map has room for
-- @tfield integer map_flags the map's flags as one number
-- @tfield string[] flags the names of the map's flags
-- @tfield integer map_extra what some types take besides
-- @tfield integer ncpu how many CPUs the values are of; 0: plain values
-- @tfield[opt] table key the layout of keys, described
-- @tfield[opt] table value the layout of values, described
-- @tfield[opt] string where the condition that was given
-- @tfield[opt] table columns the columns that were given
-- @tfield integer time seconds since 1970 of when it was begun
-- @tfield integer boottime the time since boot of when it was begun, in ns
-- @tfield string boot_id which boot that was
-- @tfield string kernel the kernel's release
-- @tfield integer entries how many there are
-- @tfield integer blocks in how many blocks
-- @tfield integer bytes how long the file is
-- @tfield[opt] table[] damage with `damaged`: `reason`, `from` and `to` (bytes of the file),
--   `after` (entries before it), `entries` (missing ones, nil where that is not known)

--- The entries of a map as they were, in a file or in memory. `#snapshot` is how many can be read.
-- @table snapshot

--- What the snapshot is of.
-- @function snapshot:header
-- @treturn snapshot_header the map's info, layouts, time, boot, counts; prints as a table
-- @usage
-- local snapshot <close> = assert(map:snapshot())
-- print(snapshot:header().entries)
function class:header()
  local text, sizes = core.snapshot_header(self)
  local header = headers.read(text)
  for _, name in ipairs { "entries", "blocks", "bytes", "version" } do
    header[name] = sizes[name]
  end
  header.flags = maps.flag_names(header.map_flags)
  -- As they were understood: a file may leave out what is the default.
  local key, value = core.layouts(core.snapshot_handle(self))
  header.key, header.value = key and key:describe(), value and value:describe()
  local damage = core.snapshot_damage(self)
  if #damage > 0 then header.damage = damage end
  return show.printable(header, header_text)
end

local function open_cursor(self, what, given)
  if math.type(given) then given = { batch_size = given } end
  given = options.check(what, given, options.of "snapshot_scan_options", 4)
  return core.snapshot_cursor(self, { raw = given.raw,
    batch_size = options.integer(what, "batch_size", given.batch_size, 1, 0xffffffff,
      defaults.batch_size, 4) })
end

--- The options of what reads a snapshot.
-- @table snapshot_scan_options
-- @tfield[opt=4096] integer batch_size at most so many; a batch does not go past a block
-- @tfield[opt=false] boolean raw binary strings come instead of decoded data

--- Reads the snapshot a batch at a time.
-- @function snapshot:batches
-- @tparam[opt] integer|snapshot_scan_options options the batch size, or a table
-- @treturn fun():batch? an iterator of batches, each valid until the next
-- @raise an error object where a block is damaged
-- @usage
-- local snapshot <close> = assert(map:snapshot())
-- for batch in snapshot:batches(10) do print(#batch) end
function class:batches(given)
  local cursor = open_cursor(self, "batches", given)
  return scan.batches_of(cursor, cursor)
end

--- Iterates over key and value, decoded.
-- @function snapshot:entries
-- @tparam[opt] integer|snapshot_scan_options options the batch size, or a table
-- @treturn fun():data?,data? an iterator of keys and values
-- @raise an error object where a block is damaged
-- @usage
-- local snapshot <close> = assert(map:snapshot())
-- for key, value in snapshot:entries() do print(key.addr, value.packets) end
function class:entries(given)
  return open_cursor(self, "entries", given):entries()
end

--- Iterates over views of key and value, which move along.
-- @function snapshot:views
-- @tparam[opt] integer|snapshot_scan_options options the batch size, or a table
-- @treturn fun():view?,view? an iterator of views
-- @raise an error object where a block is damaged
-- @usage
-- local snapshot <close> = assert(map:snapshot())
-- for key, value in snapshot:views() do print(key.addr, value.packets) end
function class:views(given)
  local cursor = open_cursor(self, "views", given)
  return scan.views_of(cursor, cursor)
end

-- ---- queries ---------------------------------------------------------------------

local source = { check = core.snapshot_handle }

-- As of a map whose entries are read by index: all of them, each once.
function source.facts(self)
  local handle, header = core.snapshot_handle(self), self:header()
  local key, value = core.layouts(handle)
  local _, sizes = core.snapshot_header(self)
  return {
    info = { name = errors.label(header), max_entries = #self, map_flags = 0,
      key_size = header.key_size, value_size = header.value_size },
    kind = { name = "snapshot", position = "index", batch_lookup = true,
      percpu = header.ncpu > 0 },
    handle = handle, obstacle = "a snapshot is not in the kernel",
    entry_bytes = sizes.key_bytes + sizes.value_bytes,
    env = { key = key and key:describe(), value = value and value:describe(),
      key_size = header.key_size, value_size = header.value_size,
      ncpu = header.ncpu > 0 and header.ncpu or nil },
    zeros = value and value:specials() or {},
  }
end

function source.batches(self, given)
  if given.engine ~= "batch" then
    errors.throw(("%s: engine %q: a snapshot is read by the batch engine"):format(
      errors.label(self:header()), given.engine), core.errno.ENOTSUPP)
  end
  local cursor = core.snapshot_cursor(self, { batch_size = given.batch_size, raw = given.raw })
  return scan.batches_of(cursor, cursor)
end

prepare.add_source("luabpf.snapshot", source)

--- How many entries match, as `map:count`; without a condition how many there are.
-- @function snapshot:count
-- @tparam[opt] where where the condition
-- @tparam[opt] query_options options what all queries take
-- @tparam[opt=1] integer options.workers threads that the batch engine may use
-- @treturn integer how many
-- @treturn[opt] report with a condition or options, what was done
-- @error a block is damaged
-- @usage
-- local snapshot <close> = assert(map:snapshot())
-- print((snapshot:count "value.packets > 50"))
function class:count(where, given)
  core.snapshot_handle(self)
  if where == nil and given == nil then return #self end
  return read.count(self, where, given)
end

--- The matching entries, or columns of them, as `map:select`.
-- @function snapshot:select
-- @tparam[opt] query_options options what all queries take
-- @tparam[opt] where options.where the condition
-- @tparam[opt] computed_columns options.columns what of each entry; without them key and value come
-- @tparam[opt] string options.sort a column, or an integer expression: largest first; "... asc":
--   smallest first
-- @tparam[opt] integer options.limit at most so many
-- @treturn fun():table?,data? an iterator of tables by column names, or of key and value
-- @raise a text that does not compile, naming line and column; an error object where a block is
--   damaged
-- @usage
-- local snapshot <close> = assert(map:snapshot())
-- for row in snapshot:select { columns = "key.addr, value.bytes", limit = 3 } do
--   print(row.addr)
-- end
class.select = read.select

--- Sums up the matching entries, in groups, as `map:aggregate`.
-- @function snapshot:aggregate
-- @tparam[opt] query_options options what all queries take
-- @tparam[opt] where options.where the condition
-- @tparam[opt] computed_groups options.group the columns to group by; without them there is one row
-- @tparam[opt] columns options.select what of each group: "sum(value.bytes) as bytes"
-- @tparam[opt] string options.sort a group or a result, largest first; "... asc": smallest first
-- @tparam[opt] integer options.limit at most so many rows, with `group`
-- @tparam[opt=1] integer options.workers threads that the batch engine may use
-- @treturn table[] the rows, which print as a table; exactly one without `group`
-- @treturn report what was done
-- @error a block is damaged, or the groups need more than `memory`
-- @usage
-- local snapshot <close> = assert(map:snapshot())
-- print(snapshot:aggregate { group = "key.addr", select = "sum(value.bytes) as bytes" })
class.aggregate = read.aggregate

--- Folds the matching entries into accumulators, as `map:fold`.
-- @function snapshot:fold
-- @tparam table acc the accumulators
-- @tparam fun(acc:table,key:view,value:view) f changes them
-- @tparam[opt] query_options options what all queries take
-- @tparam[opt] where options.where the condition
-- @treturn table acc, changed
-- @treturn report what was done
-- @error a block is damaged
-- @raise what the function raises, with `partial`, the report, and `traceback`
-- @usage
-- local snapshot <close> = assert(map:snapshot())
-- print(snapshot:fold({ n = 0 }, function(acc) acc.n = acc.n + 1 end).n)
class.fold = fold.fold

-- ---- for the prompt --------------------------------------------------------------

--- The first entries, as a table at the prompt.
-- @function snapshot:head
-- @tparam[opt=10] integer n how many
-- @treturn table[] a list of `{ key =, value = }`, which prints as a table
-- @raise an error object where a block is damaged
-- @usage
-- local snapshot <close> = assert(map:snapshot())
-- print(snapshot:head(3))
function class:head(n)
  n = options.integer("head", "n", n, 0, 1000000, 10)
  local rows = {}
  for key, value in class.entries(self) do
    if #rows == n then break end
    rows[#rows + 1] = { key = key, value = value }
  end
  local header = self:header()
  local ncpu = header.ncpu > 0 and header.ncpu or nil
  return show.tabular(rows, function()
    return show.entries_grid(rows, header.key, header.value, ncpu)
  end)
end

--- What the snapshot is of: its header, and the fields of key and value with their types, offsets
-- and sizes.
-- @function snapshot:describe
-- @treturn table `header`, `key`, `value`: prints as text
-- @usage
-- local snapshot <close> = assert(map:snapshot())
-- print(snapshot:describe())
function class:describe()
  local header = class.header(self)
  return show.description({ header = header, key = header.key, value = header.value }, header,
    header, header.ncpu > 0 and header.ncpu or nil)
end

return snapshot
