-- SPDX-License-Identifier: MIT
--
-- Snapshots: the entries of a map as they were, in a file or in memory, with
-- the methods of a map that read. docs/snapshot-format.md defines the file.
--
-- The C side (snapshot.c) knows blocks of keys and values. Here are the text of
-- the header, which says what they are, and everything that users see. A
-- snapshot in memory is a file too, one without a name.

local core = require "luabpf.core"
local defaults = require "luabpf.base.defaults"
local runs = require "luabpf.query.run"
local errors = require "luabpf.base.errors"
local json = require "luabpf.file.json"
local maps = require "luabpf.map.open"
local options = require "luabpf.base.options"
local prepare = require "luabpf.query.prepare"
local read = require "luabpf.query.read"
local scan = require "luabpf.base.scan"
local show = require "luabpf.show.show"

local snapshot = {}

local class = core.classes["luabpf.snapshot"]
local map = core.classes["luabpf.map"]

-- ---- what a header says ----------------------------------------------------------

-- A value made of columns: a struct of words, each as its column decodes.
local function columns_layout(query)
  local fields, word = {}, 0
  for i, output in ipairs(query.outputs) do
    local desc = output.layout and output.layout:describe() or { kind = "int", size = 8,
      align = 8, name = output.signed and "s64" or "u64", signed = output.signed or nil }
    fields[i] = { name = output.name, type = desc, bit = 64 * word }
    word = word + output.words
  end
  return { kind = "struct", name = "columns", size = 8 * word, align = 8, fields = fields }
end

local INFO <const> = { "type", "name", "id", "key_size", "value_size", "max_entries", "map_flags",
  "map_extra" }

-- The header of a snapshot of a map now. query: of kind "keyed", nil for whole entries.
local function new_header(self, query, given)
  local info, facts = scan.info(self), prepare.facts(self)
  local header = { format = "luabpf snapshot", boot_id = core.boot_id(), kernel = core.release(),
    time = os.time(), boottime = core.boottime(), where = given.where, ncpu = facts.env.ncpu or 0,
    key = facts.env.key, value = facts.env.value }
  for _, name in ipairs(INFO) do header[name] = info[name] end
  if facts.kind.map_values then header.value_size, header.value = 4, nil end
  if given.columns then
    header.value = columns_layout(query)
    header.value_size, header.ncpu, header.columns = header.value.size, 0, {}
    for i, output in ipairs(query.outputs) do header.columns[i] = output.name end
  end
  return header
end

-- The handle that says how entries of a header lie in memory. Raises for impossible headers.
local function detached(header)
  local kind = not header.columns and core.maptypes[header.type]
  return core.detached { type = kind and kind.id or 0, name = errors.label(header),
    key_size = header.key_size, value_size = header.value_size, ncpu = header.ncpu,
    key = header.key and core.layout(header.key),
    value = header.value and core.layout(header.value) }
end

local HEADER_TYPES <const> = { format = "string", type = "string", name = "string",
  id = "integer", key_size = "integer", value_size = "integer", max_entries = "integer",
  map_flags = "integer", map_extra = "integer", ncpu = "integer", boot_id = "string",
  kernel = "string", time = "integer", boottime = "integer" }

-- Raises for a text that is not of a snapshot.
local function read_header(text)
  local header, message = json.decode(text)
  if type(header) ~= "table" then error(message or "json: an object expected", 0) end
  for name, wanted in pairs(HEADER_TYPES) do
    local value = header[name]
    if (math.type(value) or type(value)) ~= wanted then
      error(("%s: %s expected"):format(name, wanted), 0)
    end
  end
  return header
end

-- ---- writing ---------------------------------------------------------------------

--- Begins or continues a snapshot file: what map:snapshot and exports write through.
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
  local header = new_header(given.map, given.query, given)
  return core.snapshot_writer { handle = detached(header), header = json.encode(header),
    fd = given.fd, memory = given.memory, resume = given.resume }
end

local SNAPSHOT_OPTIONS = { where = true, params = "table", columns = true, batch_size = true,
  report = "table" }

-- What a writer gave, or its nil, reason, errno as an error object.
local function must(self, result, reason, errno)
  if result then return result end
  errors.throw(("%s: snapshot: %s"):format(errors.label(scan.info(self)), reason), errno)
end

-- Writes what matches of all batches.
local function copy(self, run, query)
  local report = { visited = 0, matched = 0 }
  local writer <close> = must(self, snapshot.writer { map = self, memory = true,
    where = run.filter and "a function" or run.where, query = query, columns = run.columns })
  for batch in map.batches(self, { batch_size = run.batch_size, report = run.report }) do
    report.visited = report.visited + #batch
    local block = batch
    if run.filter then block = runs.filtered(batch, run.filter, report) end
    if query then block = query.core:rows(block, run.packed, run.block) end
    run.block = query and block
    report.matched = report.matched + #block
    must(self, writer:add(block))
  end
  return must(self, writer:finish())
end

--- The entries of the map in memory, as they are now: what luabpf.snapshot offers.
-- Read by the batch cursor: of a hash map, every key that is present throughout is in it once.
-- @tparam[opt] table given
--   where: text, compiled expression or function; params.
--   columns: text, list or table of name = expression: they become the value of each key; those of
--   per-CPU maps are sums over the CPUs.
--   batch_size; report: a table that is filled with what the scan did.
-- @treturn luabpf.snapshot|nil, message, errno
function map:snapshot(given)
  core.check_map(self)
  given = options.check("snapshot", given, SNAPSHOT_OPTIONS)
  local run = { report = given.report, columns = given.columns, packed = "" }
  run.batch_size = options.integer("snapshot", "batch_size", given.batch_size, 1, 0xffffffff,
    defaults.batch_size)
  local where, query = given.where, nil
  if type(where) == "function" then
    run.filter, where = where, nil
    if given.params and not given.columns then error("snapshot: params go with text", 2) end
  end
  where = prepare.text(where, "snapshot", 3)
  run.where = where
  if where or given.columns or given.params then
    query = prepare.query(self, "keyed", { where = where, columns = given.columns })
    run.packed = prepare.params(query, given.params)
  end
  return errors.caught(nil, pcall(copy, self, run, query))
end

-- ---- opening ---------------------------------------------------------------------

local OPEN_OPTIONS = { damaged = "boolean" }

--- Opens a snapshot file.
-- @tparam string path
-- @tparam[opt] table given damaged = true: of a file that is cut short or damaged, whatever is
--   intact; header().damage says what is missing. Reads the whole file.
-- @treturn luabpf.snapshot|nil, message, errno. Blocks are checked as they are read: a loop over
--   a damaged one raises an error object.
function snapshot.open(path, given)
  if type(path) ~= "string" then
    error(("snapshot: path expected, got %s"):format(type(path)), 2)
  end
  given = options.check("snapshot", given, OPEN_OPTIONS)
  local self, message, errno = core.snapshot_open(path, given.damaged)
  if not self then return nil, message, errno end
  local ok, problem = pcall(function()
    core.snapshot_bind(self, detached(read_header((core.snapshot_header(self)))))
  end)
  if ok then return self end
  self:close()
  return nil, ("%s: snapshot: the header is wrong: %s"):format(path, problem), core.errno.EBADMSG
end

--- Raises unless value is an open snapshot.
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

--- What the snapshot is of.
-- @treturn table, which prints as one: the map's type, name, id, key_size, value_size (of one
--   CPU's), max_entries, map_flags, map_extra, flags (their names), ncpu (0: plain values); key and
--   value, the layouts' descriptions; where and columns as they were given; time (seconds since the
--   epoch), boottime (ns), boot_id and kernel of when it was begun; entries, blocks, bytes (of the
--   file). Of one opened with damaged: damage, a list of { reason =, from =, to = (bytes of the
--   file), after = (entries before it), entries = missing ones, nil where that is not known }
function class:header()
  local text, sizes = core.snapshot_header(self)
  local header = read_header(text)
  for _, name in ipairs { "entries", "blocks", "bytes", "version" } do
    header[name] = sizes[name]
  end
  header.flags = maps.flag_names(header.map_flags)
  local damage = core.snapshot_damage(self)
  if #damage > 0 then header.damage = damage end
  return show.printable(header, header_text)
end

local BATCH_OPTIONS = { batch_size = true, raw = "boolean" }

local function open_cursor(self, what, given)
  if math.type(given) then given = { batch_size = given } end
  given = options.check(what, given, BATCH_OPTIONS, 4)
  return core.snapshot_cursor(self, { raw = given.raw,
    batch_size = options.integer(what, "batch_size", given.batch_size, 1, 0xffffffff,
      defaults.batch_size, 4) })
end

--- Reads the snapshot a batch at a time.
-- @tparam[opt] integer|table given the batch size (at most; a batch does not go past a block), or
--   batch_size, raw
-- @return an iterator of batches, each valid until the next; raises an error object
function class:batches(given)
  local cursor = open_cursor(self, "batches", given)
  return scan.batches_of(cursor, cursor)
end

--- Iterates over key and value, decoded. Options as for batches.
-- @return an iterator; raises an error object
function class:entries(given)
  return open_cursor(self, "entries", given):entries()
end

--- Iterates over views of key and value, which move along. Options as for batches.
-- @return an iterator; raises an error object
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

--- How many entries match, as map:count; without where, how many there are.
-- @treturn integer and with where or options the report; nil, message, errno
function class:count(where, given)
  core.snapshot_handle(self)
  if where == nil and given == nil then return #self end
  return read.count(self, where, given)
end

--- The matching entries, or columns of them, as map:select.
class.select = read.select

--- Sums up the matching entries, in groups, as map:aggregate.
class.aggregate = read.aggregate

-- ---- differences -----------------------------------------------------------------

-- A text that is the same for descriptions of the same fields, whatever their types are called.
local function shape_of(desc)
  if not desc then return "bytes" end
  local parts = { desc.kind, desc.size, desc.signed and "s" or "", desc.big and "b" or "",
    desc.n or "", desc.elem and shape_of(desc.elem) or "" }
  for _, field in ipairs(desc.fields or {}) do
    parts[#parts + 1] = ("%s@%d:%d=(%s)"):format(field.name or "", field.bit, field.bits or 0,
      shape_of(field.type))
  end
  return table.concat(parts, " ")
end

-- Why entries of the two cannot be compared, or nil.
local function unlike(new, old)
  if new.damage or old.damage then return "a damaged snapshot lacks entries that were there" end
  for _, what in ipairs { "key", "value" } do
    local size = what .. "_size"
    if new[size] ~= old[size] then
      return ("the %ss have %d and %d bytes"):format(what, new[size], old[size])
    elseif shape_of(new[what]) ~= shape_of(old[what]) then
      return ("the %ss have different layouts"):format(what)
    end
  end
  if new.ncpu ~= old.ncpu then
    return ("the values are of %d and %d CPUs"):format(new.ncpu, old.ncpu)
  end
  return new.key_size == 0 and "entries without keys" or nil
end

local DIFF_OPTIONS = { memory = true }

--- What has changed since an older snapshot.
-- @tparam luabpf.snapshot old of the same map, or of one with the same key and value
-- @tparam[opt] table given memory: bytes or text ("64MiB") for the entries of the smaller one; if
--   they need more both are read several times, up to 1024
-- @return an iterator of tables, in no order: status ("added", "removed" or "changed"), key, old,
--   new (values; nil where there is none), and of those changed delta: the value's integer fields,
--   new minus old modulo 2^64; per-CPU values have the difference of the sums over the CPUs.
--   Raises for snapshots that cannot be compared; raises an error object
function class:diff(old, given)
  given = options.check("diff", given, DIFF_OPTIONS)
  snapshot.check(self, "diff", 3)
  snapshot.check(old, "diff", 3)
  local memory = options.size(given.memory or defaults.memory, "diff: option 'memory'", 2)
  local why = unlike(self:header(), old:header())
  if why then error("diff: " .. why, 2) end
  local diff = core.snapshot_diff(self, old, memory)
  return function() return diff:next() end, nil, nil, diff
end

-- ---- for the prompt --------------------------------------------------------------

--- The first n entries, as a table at the prompt.
-- @tparam[opt=10] integer n
-- @treturn table list of { key =, value = }; raises an error object
function class:head(n)
  n = options.integer("head", "n", n, 0, 1000000, 10)
  local rows = {}
  for key, value in class.entries(self) do
    if #rows == n then break end
    rows[#rows + 1] = { key = key, value = value }
  end
  local header = self:header()
  local ncpu = header.ncpu > 0 and header.ncpu or nil
  return show.printable(rows, function()
    return show.entries(rows, header.key, header.value, ncpu)
  end)
end

--- What the snapshot is of: its header, and the fields of key and value with their offsets.
-- @treturn table header, key, value: the layouts' descriptions; prints as text
function class:describe()
  local header = class.header(self)
  return show.printable({ header = header, key = header.key, value = header.value }, function()
    local parts = { tostring(header), show.layout("key", header.key, header.key_size),
      show.layout("value", header.value, header.value_size) }
    if header.ncpu > 0 then
      parts[#parts + 1] = ("one value per CPU: a list of %d"):format(header.ncpu)
    end
    return table.concat(parts, "\n\n")
  end)
end

return snapshot
