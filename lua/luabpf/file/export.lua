-- SPDX-License-Identifier: MIT

--- map:export: the entries of a map as JSON lines, CSV or a snapshot, to a file, a
-- pipe or a function. docs/export.md says what users can rely on.
--
-- Batches of the map pass through queries (what matches, columns of it; request.lua)
-- to a sink, which knows the format and writes to an outlet, which knows the place.
-- checkpoint.lua remembers how far that has come. The order of things is what
-- kills and full disks cannot break: bytes are synced before a checkpoint speaks
-- of them, and both before a drain deletes what they hold.
--
-- With workers, threads read, judge and format ranges of buckets, as text or as
-- blocks of a snapshot; what they have is written here, as it comes.
--
-- @module luabpf.file.export

local bytes = require "luabpf.base.bytes"
local checkpoint = require "luabpf.file.checkpoint"
local core = require "luabpf.core"
local defaults = require "luabpf.base.defaults"
local errors = require "luabpf.base.errors"
local json = require "luabpf.file.json"
local judge = require "luabpf.query.judge"
local options = require "luabpf.base.options"
local outlet = require "luabpf.file.outlet"
local prepare = require "luabpf.query.prepare"
local progress = require "luabpf.file.progress"
local request = require "luabpf.file.request"
local scan = require "luabpf.base.scan"
local show = require "luabpf.show.show"
local sinks = require "luabpf.file.sink"

local map, snapshots = core.classes["luabpf.map"], core.classes["luabpf.snapshot"]

-- ---- beginning -----------------------------------------------------------------------

-- What stands for a function in a checkpoint: its code, without what it reads from outside.
local function sum_of(fn)
  local ok, code = pcall(string.dump, fn, true)
  return ("function %08x"):format(ok and core.crc32c(code) or 0)
end

-- What an export must have in common with a checkpoint to go on.
local function identity_of(self, run)
  local facts, given = prepare.facts(self), run.given
  local function sum(desc) return desc and core.crc32c(json.encode(desc)) end
  local packed = run.packed .. (run.query ~= run.columns and run.packed_columns or "")
  if run.fn then packed = prepare.canonical(given.params or {}) end
  return { map_id = facts.info.id, format = run.format, drain = given.drain or false,
    where = run.fn and sum_of(run.fn) or run.where,
    params = packed ~= "" and bytes.hex(packed) or nil,
    columns = given.columns and prepare.canonical(given.columns),
    key = sum(facts.env.key), value = sum(facts.env.value) }
end

-- The part of a drain that was given up holds what is nowhere else: it gets a name of its own.
local function keep_part(place, report)
  local part, n = place:part_path(true), 1
  if not core.file_status(part) then return end
  place:open { drain = true }
  repeat
    report.kept = ("%s.%d"):format(place.path, n)
    n = n + 1
  until not core.file_status(report.kept)
  place:must(place.out:permit(report.kept))
  place:must(core.rename(part, report.kept))
  place:close()
end

local function restart(run, place, report)
  if run.given.drain then keep_part(place, report) end
  os.remove(run.checkpoint)
end

-- Refuses a part that holds what an earlier drain deleted. Rows come only after a checkpoint.
local function check_drained(place)
  local status = core.file_status(place.part)
  if not status or status.size == 0 then return end
  place:close()
  place:refuse("it is of a drain that was not finished: give its checkpoint to go on, or "
    .. "restart = true to keep the file under another name", core.errno.EEXIST)
end

-- A record of the part as it is.
local function new_record(place)
  local status = core.file_status(place.part) or {}
  return { phase = "running", target = place.path, offset = 0, crc = 0, inode = status.inode,
    device = status.device }
end

local function begin_anew(run, sink, mark, place)
  local drain = run.given.drain
  place:open { drain = drain, summed = mark ~= nil, spool = run.format == "snapshot" }
  if mark and drain then
    check_drained(place)
    mark:save(new_record(place))
  elseif place.is_file then
    -- One of an export that is over says nothing of the new part.
    if mark then mark:remove() end
    place:must(place.out:seek(0, 0))
  end
  sink:begin()
end

local COUNTS <const> = { "entries", "deleted", "missing", "changed" }

-- Goes on where the checkpoint says: false if all is written already.
local function go_on(run, sink, mark, record)
  local place = mark.place
  if not mark:open(record, { drain = run.given.drain, summed = true }) then return false end
  if record.phase == "finished" then
    mark:check_size(record)
    sink:check(mark, record)
    return false
  elseif record.offset > 0 then
    sink:resume(mark, record)
  else
    place:must(place.out:seek(0, 0))
    sink:begin()
  end
  return true
end

-- ---- writing ------------------------------------------------------------------------

local function save(run, sink, mark, place, report, more)
  place:sync()
  local record = new_record(place)
  record.visited = run.visited
  for _, name in ipairs(COUNTS) do record[name] = report[name] end
  record.offset, record.crc, record.blocks = sink:position()
  for name, value in pairs(more) do record[name] = value end
  mark:save(record)
end

-- Deletes what was written and is unchanged since.
local function delete(self, entries, report)
  if #entries == 0 then return end
  local deleted, missing, changed, partial = self:delete_batch(entries, { if_equal = entries })
  local message, errno
  if not deleted then
    message, errno = missing, changed
    deleted, missing, changed = table.unpack(partial or { 0, 0, 0 })
  end
  report.deleted = report.deleted + deleted
  report.missing = report.missing + missing
  report.changed = report.changed + changed
  if message then errors.throw(message, errno) end
end

local function write_all(self, run, sink, mark, place, report, shown)
  local drain = run.given.drain
  for batch in self:batches { batch_size = run.batch_size, from = run.from,
    report = run.given.report } do
    local block, entries = request.chosen(run, batch, report)
    sink:add(block)
    run.visited, report.entries = run.visited + #batch, report.entries + #block
    if mark and (drain or mark:is_due((sink:position()))) then
      save(run, sink, mark, place, report, { cursor = batch:cursor() })
    elseif drain then
      place:sync()
    end
    if drain then delete(self, entries, report) end
    shown:step(run.visited)
  end
end

local function write_by_threads(run, sink, report, shown)
  local holder <close> = scan.holder(run.given.report)
  local crew, workers = core.crew({ query = run.query.core, params = run.packed,
    workers = run.workers, batch_size = run.batch_size, writer = sink.writer,
    most_asked = defaults.memory }, holder)
  report.workers = workers
  local rows
  repeat
    rows = sink:collect(crew, scan.PATIENCE)
    report.entries = report.entries + (rows or 0)
    run.visited = crew:visited()
    shown:step(run.visited)
  until not rows
  local visited, _, asked = crew:finish()
  if not visited then
    errors.throw("export: workers: the function leaves more entries to Lua than there is room for",
      core.errno.ENOSPC)
  end
  if not asked then return end
  rows = run.query.core:rows(asked, run.packed, nil, judge.asked(asked, run, report))
  report.entries = report.entries + #rows
  sink:add(run.columns and rows or rows:batch())
end

local function finish(run, sink, mark, place, report)
  report.bytes = sink:finish()
  place:finish(mark and function()
    save(run, sink, mark, place, report, { phase = "finished", offset = report.bytes })
  end)
end

local function how_many(self)
  local facts = prepare.facts(self)
  if facts.kind.fixed or facts.kind.name == "snapshot" then return facts.info.max_entries end
  return core.element_count(self)
end

-- Takes over what a checkpoint says has been done.
local function take_over(run, record, report)
  run.from, run.visited, report.resumed, report.bytes = record.cursor, record.visited or 0, true,
    record.offset
  for _, name in ipairs(COUNTS) do report[name] = record[name] or report[name] end
end

local function run_export(self, run, sink, mark, place, report)
  if run.given.restart then restart(run, place, report) end
  local record, left = mark and mark:load(), true
  if record then take_over(run, record, report) end
  local shown <close> = progress.start(place.what, run.given.progress,
    function() return how_many(self) end, run.visited)
  if record then
    left = go_on(run, sink, mark, record)
  else
    begin_anew(run, sink, mark, place)
  end
  if left then
    if run.by_threads then
      write_by_threads(run, sink, report, shown)
    else
      write_all(self, run, sink, mark, place, report, shown)
    end
    finish(run, sink, mark, place, report)
  elseif place.out then
    place:finish()
  end
  if mark then mark:remove() end
  shown:finish(run.visited)
end

-- After a failure: the part stays if there is a checkpoint to go on from.
local function give_up(run, sink, place, report)
  if not place.out then return end
  report.bytes = sink:position()
  local mark = run.checkpoint
  place:abandon(mark and select(3, core.file_status(mark)) ~= core.errno.ENOENT)
end

local REPORT_ORDER <const> = { "entries", "bytes", "compiled", "asked", "deleted", "missing",
  "changed", "kept", "workers", "resumed", "seconds" }

-- What is done so far.
local function new_report()
  return show.record({ entries = 0, bytes = 0, seconds = 0, resumed = false }, REPORT_ORDER)
end

local function export(self, run, report)
  local place <close> = outlet.new(errors.label(prepare.facts(self).info), run.target)
  if place.is_device and run.checkpoint then
    place:refuse("a checkpoint needs a regular file", core.errno.EINVAL)
  end
  local mark = run.checkpoint
    and checkpoint.new(run.checkpoint, place, identity_of(self, run), run.interval)
  if mark then mark.clocks = run.clocks end
  local sink <close> = setmetatable({ sink = sinks[run.format].new(self, run, place) },
    { __close = function(it) it.sink:close() end })
  local ok, err = pcall(run_export, self, run, sink.sink, mark, place, report)
  if not ok then give_up(run, sink.sink, place, report) end
  report.seconds = (core.now() - run.start) / 1e9
  if not ok then error(err, 0) end
  return report
end

-- ---- the interface ------------------------------------------------------------------

--- What an export wrote.
-- @table export_report
-- @tfield integer entries how many are in the whole file
-- @tfield integer bytes how long the file is
-- @tfield number seconds how long it took
-- @tfield boolean resumed whether it went on where another had stopped
-- @tfield[opt] boolean|"partly" compiled of a function as where, what of it runs without Lua
-- @tfield[opt] integer asked of a function as where, how many entries Lua judged
-- @tfield[opt] integer workers how many threads there were, where that was asked for
-- @tfield[opt] integer deleted how many a drain deleted
-- @tfield[opt] integer missing how many somebody else had deleted before a drain did
-- @tfield[opt] integer changed how many a drain left, since they had changed
-- @tfield[opt] string kept the file of an earlier drain, after a restart

--- Writes each entry as a line of JSON or CSV, or a snapshot file, with memory for one batch. Of a
-- hash map every key that is present throughout is written once.
-- @tparam string|file*|fun(text:string):any target a path, under which the file appears whole; an
--   open file; "-"; or what is called with text of whole rows
-- @tparam[opt] "jsonl"|"csv"|"snapshot" options.format what the path ends in without it, else
--   "jsonl"
-- @tparam[opt] where options.where the condition
-- @tparam[opt] table<string,any> options.params the values of `$name` in texts
-- @tparam[opt] columns options.columns what of each entry, in place of key and value
-- @tparam[opt] string options.checkpoint a file that remembers how far it has come: the same call
--   goes on there after a kill
-- @tparam[opt="1s"] time options.checkpoint_interval how often; after each 64 MiB besides
-- @tparam[opt=false] boolean options.restart begins anew whatever the checkpoint says
-- @tparam[opt=false] boolean options.drain deletes what was written and synced, if it is
--   unchanged
-- @tparam[opt] progress options.progress true: a line on a terminal; or what is called now and
--   then
-- @tparam[opt=1] integer options.workers threads that read and format; without a checkpoint or
--   drain
-- @tparam[opt=4096] integer options.batch_size a hint: a batch is whole buckets
-- @tparam[opt] boolean options.compile as of `map:count`
-- @tparam[opt] scan_report options.report a table that is filled with what the scan did
-- @treturn export_report what was written, which prints as a table
-- @error the file cannot be written, the kernel refuses, or the checkpoint does not fit
-- @partial export_report what was written until then
-- @raise a text that does not compile, naming line and column
-- @usage
-- local report = assert(map:export("flows.jsonl", { where = "value.packets > 50" }))
-- print(report.entries, report.bytes)
function map:export(target, given)
  core.check_map(self)
  local run = request.new(target, given, options.of "map:export")
  if run.given.drain and not scan.kind_of(self).can_delete then
    return errors.unsupported(scan.info(self), "export: drain")
  end
  request.prepare(self, run)
  local report = new_report()
  judge.begin_report(run, report)
  if run.given.drain then report.deleted, report.missing, report.changed = 0, 0, 0 end
  if run.given.workers then report.workers = 1 end
  return errors.caught(report, pcall(export, self, run, report))
end

--- Writes the entries of the snapshot as lines of JSON or CSV, as `map:export` does.
-- @function snapshot:export
-- @tparam string|file*|fun(text:string):any target a path, under which the file appears whole; an
--   open file; "-"; or what is called with text of whole rows
-- @tparam[opt] "jsonl"|"csv" options.format what the path ends in without it, else "jsonl"
-- @tparam[opt] where options.where the condition
-- @tparam[opt] table<string,any> options.params the values of `$name` in texts
-- @tparam[opt] columns options.columns what of each entry, in place of key and value
-- @tparam[opt] progress options.progress true: a line on a terminal; or what is called now and
--   then
-- @tparam[opt=4096] integer options.batch_size entries at a time
-- @tparam[opt] boolean options.compile as of `map:count`
-- @treturn export_report what was written, which prints as a table
-- @error the file cannot be written, or a part of the snapshot is damaged
-- @partial export_report what was written until then
-- @usage
-- local snapshot <close> = assert(map:snapshot())
-- print(snapshot:export("flows.csv").entries)
function snapshots:export(target, given)
  prepare.source(self)
  local run = request.new(target, given, options.of "snapshot:export")
  if run.format == "snapshot" then
    error("export: a snapshot is exported as \"jsonl\" or \"csv\"", 2)
  end
  request.prepare(self, run)
  local report = new_report()
  judge.begin_report(run, report)
  return errors.caught(report, pcall(export, self, run, report))
end
