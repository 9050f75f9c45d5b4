-- SPDX-License-Identifier: MIT

--- map:import: entries of a file, into a map that is there: JSON lines and CSV as
-- map:export writes them (lib/file/rowreader.c), and snapshots. docs/export.md says what
-- users can rely on.
--
-- A source gives batches and says where it is in its file; batches are stored
-- whole, in order, and a checkpoint follows each of them. With workers, threads
-- store what is read here, those of the same key in order; a checkpoint waits for
-- all of them.
--
-- @module luabpf.file.import

local checkpoint = require "luabpf.file.checkpoint"
local core = require "luabpf.core"
local defaults = require "luabpf.base.defaults"
local errors = require "luabpf.base.errors"
local options = require "luabpf.base.options"
local prepare = require "luabpf.query.prepare"
local progress = require "luabpf.file.progress"
local scan = require "luabpf.base.scan"
local show = require "luabpf.show.show"
local snapshot = require "luabpf.file.snapshot"

local map = core.classes["luabpf.map"]

local MAGIC <const> = "\x89LBS"
-- Entries of one batch, at most: what one call of the kernel takes.
local MOST_BATCH <const> = 65536
-- With workers, a checkpoint comes after so many batches, if not earlier.
local SAVE_AFTER <const> = 16

-- ---- errors ----------------------------------------------------------------------

-- What errors say before the reason: the map, and the file.
local place = {}
place.__index = place

function place:refuse(reason, errno)
  errors.throw(("%s: import: %s: %s"):format(self.what, self.name, reason), errno)
end

function place:must(result, message, errno)
  if result == nil and message then self:refuse(message, errno) end
  return result
end

-- ---- sources: rows ----------------------------------------------------------------

local rows = {}
rows.__index = rows

function rows.open(self, run, at)
  return setmetatable({ place = at, size = run.status and run.status.size,
    reader = at:must(core.row_reader(self, run.format, run.file, run.batch_size)) }, rows)
end

function rows:next()
  return self.place:must(self.reader:next())
end

function rows:position()
  local offset, line = self.reader:position()
  return { offset = offset, line = line }
end

function rows:seek(record)
  self.place:must(self.reader:seek(record.offset, record.line))
end

-- A guess at how many entries there are, after so many.
function rows:total(done)
  local offset = self.reader:position()
  return self.size and offset > 0 and done * self.size // offset or nil
end

function rows:close() self.reader:close() end

-- ---- sources: snapshots ------------------------------------------------------------

local whole = {}
whole.__index = whole

-- The sizes of what a description is made of: what matters for bytes, whatever they are called.
local function shape(desc, size)
  if not desc then return tostring(size) end
  if not desc.fields then return tostring(desc.size) end
  local parts = {}
  for _, field in ipairs(desc.fields) do
    parts[#parts + 1] = ("%d:%s"):format(field.bit, field.bits or shape(field.type))
  end
  return "(" .. table.concat(parts, " ") .. ")"
end

-- Why entries of a snapshot are none of the map's, or nil.
local function mismatch(header, facts)
  local env = facts.env
  if header.columns then return "the values are columns, not a map's" end
  for _, what in ipairs { "key", "value" } do
    local size = what .. "_size"
    if header[size] ~= facts.info[size] then
      return ("its %ss have %d bytes, the map's %d"):format(what, header[size], facts.info[size])
    end
    if header[what] and env[what] and shape(header[what]) ~= shape(env[what]) then
      return ("the layout of its %ss is another one"):format(what)
    end
  end
  local ncpu = env.ncpu or 0
  if header.ncpu ~= ncpu then
    return ("its values are of %d CPUs, the map's of %d (0: a plain value)"):format(header.ncpu,
      ncpu)
  end
end

function whole.open(self, run, at)
  local from, ours = run.snapshot, run.snapshot == nil
  if ours then
    local message, errno
    from, message, errno = snapshot.open(run.file)
    if not from then errors.throw(("%s: import: %s"):format(at.what, message), errno) end
  end
  local why = mismatch(from:header(), prepare.facts(self))
  if why then
    if ours then from:close() end
    at:refuse(why, core.errno.EINVAL)
  end
  local cursor = core.snapshot_cursor(from, { batch_size = run.batch_size })
  return setmetatable({ place = at, from = from, ours = ours, cursor = cursor, done = 0,
    entries = #from }, whole)
end

function whole:next()
  local batch = self.cursor:next()
  if batch then self.done = self.done + #batch end
  return batch
end

function whole:position() return { offset = self.done } end

function whole:seek(record)
  while self.done < record.offset do
    if not self:next() then self.place:refuse("it is shorter than it was", core.errno.EBADMSG) end
  end
end

function whole:total() return self.entries end

function whole:close()
  self.cursor:close()
  if self.ours then self.from:close() end
end

local SOURCES <const> = { jsonl = rows, csv = rows, snapshot = whole }

-- ---- storing -------------------------------------------------------------------------

local function add(report, inserted, updated, skipped)
  report.inserted = report.inserted + inserted
  report.updated = report.updated + updated
  report.skipped = report.skipped + skipped
end

local store = {}

function store.any(self, batch, report)
  local done, message, errno, partial = self:upsert_batch(batch, batch)
  local counts = done or partial or { inserted = 0, updated = 0 }
  add(report, counts.inserted, counts.updated, 0)
  if not done then errors.throw(message, errno) end
end

-- How many were stored, and skipped; why no more.
local function conditional(self, batch, mode)
  local stored, message, errno, partial = self:update_batch(batch, { mode = mode, status = true })
  if stored then return stored, #batch - stored end
  if not partial then return 0, 0, message, errno end
  local skipped = 0
  for _, status in ipairs(partial[2]) do
    if status == "exists" or status == "missing" then skipped = skipped + 1 end
  end
  return partial[1], skipped, message, errno
end

function store.noexist(self, batch, report)
  local stored, skipped, message, errno = conditional(self, batch, "noexist")
  add(report, stored, 0, skipped)
  if message then errors.throw(message, errno) end
end

function store.exist(self, batch, report)
  local stored, skipped, message, errno = conditional(self, batch, "exist")
  add(report, 0, stored, skipped)
  if message then errors.throw(message, errno) end
end

-- What would be done, if nobody else changes the map.
local function count_only(self, batch, report, mode)
  local there, found, errno = self:lookup_batch(batch)
  if not there then errors.throw(found, errno) end
  local missing = #batch - found
  if mode == "any" then add(report, missing, found, 0)
  elseif mode == "noexist" then add(report, missing, 0, found)
  else add(report, 0, found, missing) end
end

-- ---- running ---------------------------------------------------------------------------

local function misuse(...)
  error(("import: %s"):format((...):format(select(2, ...))), 4)
end

-- The format of a file, by how it begins.
local function guess_format(run)
  -- What is no file is opened once: a FIFO would lose what its writer has written by then.
  local regular = type(run.file) == "string" and run.status and run.status.kind == "file"
  local file <close> = regular and io.open(run.file, "rb") or nil
  if not file then return "jsonl" end
  local first = file:read(16) or ""
  if first:sub(1, #MAGIC) == MAGIC then return "snapshot" end
  return first:gsub("^\xef\xbb\xbf", ""):find("^%s*{") and "jsonl" or "csv"
end

local function new_run(source, given)
  given = options.check("import", given, options.of "map:import", 4)
  local run = { given = given, start = core.now(), file = source }
  run.mode = given.mode or "any"
  run.workers = options.integer("import", "workers", given.workers, 1, core.max_workers, 1, 4)
  -- Shared out, so that each worker gets as much as one alone.
  run.batch_size = options.integer("import", "batch_size", given.batch_size, 1, MOST_BATCH,
    math.min(math.min(defaults.batch_size, MOST_BATCH) * run.workers, MOST_BATCH), 4)
  run.interval = run.workers > 1 and options.period(defaults.checkpoint_interval,
    "import: defaults.checkpoint_interval", 3) or 0
  local kind = io.type(source) or type(source)
  options.path("import", source, 4)
  if kind == "userdata" then
    snapshot.check(source, "import", 4)
    run.snapshot, run.format = source, "snapshot"
  elseif kind == "string" and source ~= "-" then
    run.status = core.file_status(source)
  elseif kind == "string" then
    run.file = io.stdin
  elseif kind ~= "file" then
    misuse("path, open file, \"-\" or snapshot expected, got %s", kind)
  end
  run.format = given.format or run.format or guess_format(run)
  if run.format == "snapshot" and not run.snapshot and type(run.file) ~= "string" then
    misuse("a snapshot is read from a path")
  end
  if given.checkpoint and type(run.file) ~= "string" then
    misuse("option 'checkpoint' goes with a path")
  end
  if given.checkpoint and checkpoint.is_one_of(given.checkpoint, run.file) then
    misuse("option 'checkpoint': it needs a file of its own")
  end
  if given.restart and not given.checkpoint then
    misuse("option 'restart' goes with a checkpoint")
  end
  if given.dry_run and given.checkpoint then
    misuse("options 'dry_run' and 'checkpoint' exclude each other")
  end
  progress.check("import", given.progress, 4)
  return run
end

-- What an import must have in common with a checkpoint to go on.
local function new_mark(self, run, at)
  local path = run.given.checkpoint
  if not path then return nil end
  if run.given.restart then os.remove(path) end
  local status = core.file_status(run.file) or at:refuse("it is gone", core.errno.ENOENT)
  return checkpoint.new(path, at, { map_id = prepare.facts(self).info.id, format = run.format,
    mode = run.mode, file = ("%d %d %d %d"):format(status.device, status.inode, status.size,
      status.modified) }, run.interval)
end

local COUNTS <const> = { "inserted", "updated", "skipped" }

local function save(mark, record, report)
  for _, name in ipairs(COUNTS) do record[name] = report[name] end
  mark:save(record)
end

local function done_in(report)
  return report.inserted + report.updated + report.skipped
end

local function store_here(self, run, source, mark, report, shown)
  local function total() return source:total(done_in(report)) end
  for batch in source.next, source do
    if run.given.dry_run then count_only(self, batch, report, run.mode)
    else store[run.mode](self, batch, report) end
    if mark then save(mark, source:position(), report) end
    shown:step(done_in(report), total)
  end
end

-- ---- storing by threads ------------------------------------------------------------------

-- Threads that store, and the report that has their counts.
local team = {}
team.__index = team

function team.new(self, run, report)
  local crew = setmetatable({ store = core.store(self, run.mode, run.workers), report = report,
    before = {} }, team)
  for i, name in ipairs(COUNTS) do crew.before[i] = report[name] end
  report.workers = crew.store:workers()
  return crew
end

function team:count()
  local counts = { self.store:counts() }
  for i, name in ipairs(COUNTS) do self.report[name] = self.before[i] + counts[i] end
end

-- Waits by a method of the store, with a look in between.
function team:wait(method, look)
  repeat
    local done = self.store[method](self.store, scan.PATIENCE)
    self:count()
    look()
  until done
end

function team:__close()
  self.store:close()
  self:count()
end

-- What was read before a row that is wrong is stored as well. After an error (it may be Ctrl-C) the
-- source need not stand where the last batch that was added ends.
local function store_by_threads(self, run, source, mark, report, shown)
  local crew <close> = team.new(self, run, report)
  local read, batches, position = done_in(report), 0, source:position()
  local function total() return source:total(read) end
  local function look() shown:step(done_in(report), total) end
  local function is_due()
    return mark and (batches % SAVE_AFTER == 0 or mark:is_due(position.offset))
  end
  repeat
    local ok, batch = pcall(source.next, source)
    if ok and batch then
      crew.store:add(batch)
      read, batches, position = read + #batch, batches + 1, source:position()
      crew:wait("pass", look)
    end
    if not ok or not batch or is_due() then
      crew:wait("idle", look)
      if mark and batch then save(mark, position, report) end
    end
    if not ok then error(batch, 0) end
  until not batch
end

-- ---- the whole ---------------------------------------------------------------------------

local function run_import(self, run, at, report)
  local kind = scan.kind_of(self)
  if kind.fd_values then
    at:refuse(("values of %s maps are ids when they are read, descriptors when written"):format(
      kind.name), core.errno.ENOTSUPP)
  end
  local source = SOURCES[run.format].open(self, run, at)
  local _ <close> = setmetatable({}, { __close = function() source:close() end })
  local mark = new_mark(self, run, at)
  local record = mark and mark:load()
  if record then
    source:seek(record)
    report.resumed = true
    for _, name in ipairs(COUNTS) do report[name] = record[name] end
  end
  local function total() return source:total(done_in(report)) end
  local shown <close> = progress.start(at.what, run.given.progress, total, done_in(report))
  local way = run.workers > 1 and not run.given.dry_run and store_by_threads or store_here
  way(self, run, source, mark, report, shown)
  if mark then mark:remove() end
  shown:finish(done_in(report))
end

local REPORT_ORDER <const> = { "inserted", "updated", "skipped", "workers", "resumed", "seconds" }

local function import(self, run, report)
  local name = run.snapshot and tostring(run.snapshot) or type(run.file) == "string" and run.file
    or run.file == io.stdin and "standard input" or "the file handle"
  local at = setmetatable({ what = errors.label(prepare.facts(self).info), name = name },
    place)
  local ok, err = pcall(run_import, self, run, at, report)
  report.seconds = (core.now() - run.start) / 1e9
  if not ok then error(err, 0) end
  return report
end

--- What an import stored.
-- @table import_report
-- @tfield integer inserted how many entries are new
-- @tfield integer updated how many were replaced
-- @tfield integer skipped how many `mode` left as they were
-- @tfield number seconds how long it took
-- @tfield boolean resumed whether it went on where another had stopped
-- @tfield[opt] integer workers how many threads there were, where that was asked for

--- Stores the entries of a file. A row that is wrong ends it, named by line and field; those
-- before it are stored.
-- @tparam string|file*|snapshot source a path, "-", an open file, or a snapshot
-- @tparam[opt] "jsonl"|"csv"|"snapshot" options.format what the file begins with without it, of
--   pipes "jsonl"
-- @tparam[opt="any"] "any"|"noexist"|"exist" options.mode "noexist" keeps what is there, "exist"
--   only replaces it
-- @tparam[opt=false] boolean options.dry_run only counts what would be done to the map as it is
--   now
-- @tparam[opt] string options.checkpoint a file that remembers how far it has come: the same call
--   goes on there after a kill
-- @tparam[opt=false] boolean options.restart begins anew whatever the checkpoint says
-- @tparam[opt] progress options.progress true: a line on a terminal; or what is called now and
--   then
-- @tparam[opt=1] integer options.workers threads that store; of keys that stand twice the order
--   holds
-- @tparam[opt=4096] integer options.batch_size entries at a time, of each worker
-- @treturn import_report what was stored
-- @error the file cannot be read, a row is wrong, the map is full, or the kernel refuses
-- @partial import_report what was stored until then
-- @usage
-- assert(map:export "flows.csv")
-- map:clear()
-- print(map:import("flows.csv").inserted)
function map:import(source, given)
  core.check_map(self)
  local run = new_run(source, given)
  local report = show.record({ inserted = 0, updated = 0, skipped = 0, seconds = 0,
    resumed = false }, REPORT_ORDER)
  if run.given.workers then report.workers = 1 end
  return errors.caught(report, pcall(import, self, run, report))
end
