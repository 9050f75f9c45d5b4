-- SPDX-License-Identifier: MIT
--
-- map:export: the entries of a map as JSON lines or CSV, to a file, a pipe or a
-- function. Rows are written in C (writer.c), the place they go to is
-- outlet.lua's; here batches of the map pass from one to the other.
-- docs/export.md says what users can rely on.

local common = require "luabpf.map"
local core = require "luabpf.core"
local engine = require "luabpf.engine"
local options = require "luabpf.options"
local outlet = require "luabpf.outlet"
local prepare = require "luabpf.prepare"
local progress = require "luabpf.progress"

local map = core.classes["luabpf.map"]

local OPTIONS <const> = { format = "string", where = true, params = "table", columns = true,
  progress = true, batch_size = true, report = "table" }
local FORMATS <const> = { "jsonl", "csv" }

-- ---- options ---------------------------------------------------------------------

local function check_target(target)
  local kind = io.type(target) or type(target)
  if kind == "string" or kind == "file" or kind == "function" then return target end
  error(("export: path, open file, function or \"-\" expected, got %s"):format(kind), 4)
end

-- The format that a name stands for.
local function format_of(target)
  local ending = type(target) == "string" and target:match("%.(%w+)$")
  return ending == "csv" and "csv" or "jsonl"
end

local function new_run(target, given)
  check_target(target)
  given = options.check("export", given, OPTIONS, 4)
  local run = { target = target, given = given, start = core.now(), packed = "" }
  run.format = options.choice("export", "format", given.format, FORMATS, format_of(target), 4)
  run.batch_size = options.integer("export", "batch_size", given.batch_size, 1, 0xffffffff,
    common.defaults.batch_size, 4)
  local shown = given.progress
  if shown ~= nil and type(shown) ~= "boolean" and type(shown) ~= "function" then
    error(("export: option 'progress': boolean or function expected, got %s"):format(type(shown)),
      3)
  end
  return run
end

-- The queries that choose entries and make columns of them.
local function prepare_queries(self, run)
  local given, where = run.given, run.given.where
  if type(where) == "function" then
    run.filter, where = where, nil
    if given.params then error("export: params go with text", 3) end
  end
  where = prepare.text(where, "export", 4)
  if where or given.columns or given.params then
    run.query = prepare.query(self, "keyed", { where = where, columns = given.columns })
  end
  if run.query then run.packed = prepare.params(run.query, given.params) end
end

-- ---- writing ---------------------------------------------------------------------

-- What of a batch is written: a batch, or rows with columns.
local function chosen(run, batch, report)
  if run.filter then batch = engine.filtered(batch, run.filter, report) end
  if not run.query then return batch end
  run.block = run.query.core:rows(batch, run.packed, run.block)
  return run.given.columns and run.block or run.block:batch()
end

local function how_many(self, facts)
  if facts.kind.fixed then return facts.info.max_entries end
  return core.element_count(self)
end

local function row_writer(self, run, facts, place)
  local columns = run.given.columns and run.query.outputs
  return place:must(core.row_writer(facts.handle or self, run.format, columns))
end

local function write_all(self, run, place, report)
  local facts = prepare.facts(self)
  local shown <close> = progress.start(place.what, run.given.progress,
    function() return how_many(self, facts) end)
  local writer <close> = row_writer(self, run, facts, place)
  place:open {}
  place:write(writer:header())
  local visited = 0
  for batch in self:batches { batch_size = run.batch_size, report = run.given.report } do
    local block = chosen(run, batch, report)
    place:rows(writer, block)
    visited, report.entries = visited + #batch, report.entries + #block
    shown:step(visited)
  end
  report.bytes = place.out:position()
  place:finish()
  shown:finish(visited)
end

local function export(self, run, report)
  local place = outlet.new(prepare.facts(self).info.name, run.target)
  local ok, err = pcall(write_all, self, run, place, report)
  if not ok then
    if place.out then report.bytes = place.out:position() end
    place:abandon()
  end
  report.seconds = (core.now() - run.start) / 1e9
  if not ok then error(err, 0) end
  return report
end

--- Writes the entries of the map: a line of JSON or CSV each. Reads by the batch cursor: of a hash
-- map, every key that is present throughout is written once. Memory is bounded whatever the size.
-- @param target path: the file appears whole under it, written as PATH.part beside; an open file;
--   "-": standard output; or a function, called with text of whole rows, which fails by raising
--   or by returning nil or false and a message
-- @tparam[opt] table given
--   format: "jsonl" or "csv"; without it, what the path ends in, or "jsonl".
--   where: text, compiled expression or function; params.
--   columns: text, list or table of name = expression, instead of key and value.
--   progress: true: a line on stderr if it is a terminal; a function: called now and then with
--   entries read, how many there are (or nil) and seconds.
--   batch_size; report: a table that is filled with what the scan did.
-- @treturn table entries (written), bytes, seconds, resumed; nil, message, errno, and what was
--   written until then
function map:export(target, given)
  core.check_map(self)
  local run = new_run(target, given)
  prepare_queries(self, run)
  local report = { entries = 0, bytes = 0, seconds = 0, resumed = false }
  return common.caught(report, pcall(export, self, run, report))
end
