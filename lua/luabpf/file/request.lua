-- SPDX-License-Identifier: MIT
--
-- What an export is asked for: its options, and the queries that choose entries
-- and make columns of them.

local checkpoint = require "luabpf.file.checkpoint"
local core = require "luabpf.core"
local defaults = require "luabpf.base.defaults"
local judge = require "luabpf.query.judge"
local options = require "luabpf.base.options"
local outlet = require "luabpf.file.outlet"
local params = require "luabpf.expr.params"
local prepare = require "luabpf.query.prepare"
local progress = require "luabpf.file.progress"

local request = {}

-- Entries that a drain reads before it syncs and deletes them.
local DRAIN_BATCH <const> = 16384
local FORMATS <const> = { "jsonl", "csv", "snapshot" }

-- ---- options ---------------------------------------------------------------------

-- Raises for the caller of a method, from what request.new calls.
local function misuse(...)
  error(("export: %s"):format((...):format(select(2, ...))), 5)
end

local function check_target(target)
  local kind = io.type(target) or type(target)
  options.path("export", target, 5)
  if kind == "string" or kind == "file" or kind == "function" then return target end
  misuse("path, open file, function or \"-\" expected, got %s", kind)
end

-- The format that a name stands for.
local function format_of(target)
  local ending = type(target) == "string" and target:match("%.(%w+)$")
  for _, format in ipairs(FORMATS) do
    if ending == format then return format end
  end
  return "jsonl"
end

-- A checkpoint is none of the files that the entries go to.
local function check_own_file(run)
  if not run.checkpoint then return end
  if checkpoint.is_one_of(run.checkpoint, run.target, outlet.part_of(run.target, false),
    outlet.part_of(run.target, true)) then
    misuse("option 'checkpoint': it needs a file of its own")
  end
end

-- What only some targets can do.
local function check_combination(run, given)
  local to_path = type(run.target) == "string" and run.target ~= "-"
  if given.checkpoint and not to_path then misuse("option 'checkpoint' goes with a path") end
  if given.restart and not run.checkpoint then
    misuse("option 'restart' goes with a checkpoint, or the drain to a path")
  end
  if given.drain and run.format == "snapshot" and type(run.target) == "function" then
    misuse("a snapshot that drains goes to a path or an open file")
  end
end

-- What threads cannot do: they run no Lua, and what they have comes in no order to go on from.
local function check_workers(run, given)
  if run.workers == 1 then return end
  local odd = given.checkpoint and "a checkpoint" or given.drain and "a drain"
  if odd then misuse("workers do not go with %s", odd) end
end

-- The options of a call, checked: a run. Errors blame the caller of the method that calls this.
-- @tparam table known of options.check
-- @treturn table target, given, format, batch_size, interval, workers, checkpoint (a path), start
function request.new(target, given, known)
  check_target(target)
  given = options.check("export", given, known, 4)
  local run = { what = "export", target = target, given = given, start = core.now(), packed = "",
    visited = 0 }
  run.format = given.format or format_of(target)
  run.batch_size = options.integer("export", "batch_size", given.batch_size, 1, 0xffffffff,
    given.drain and math.max(DRAIN_BATCH, defaults.batch_size) or defaults.batch_size, 4)
  run.interval = options.period(given.checkpoint_interval or defaults.checkpoint_interval,
    "export: option 'checkpoint_interval'", 3)
  run.workers = options.integer("export", "workers", given.workers, 1, core.max_workers, 1, 4)
  run.checkpoint = given.checkpoint
  if given.drain and type(target) == "string" and target ~= "-" then
    run.checkpoint = given.checkpoint or target .. ".ckpt"
  end
  progress.check("export", given.progress, 4)
  check_combination(run, given)
  check_own_file(run)
  check_workers(run, given)
  return run
end

-- ---- what is written of a batch ----------------------------------------------------

-- The parameters of a query, packed: those given, without what only the other query has.
local function pack_params(run, query, other)
  local values = params.own(query.shared.params, run.given.params,
    other and other.shared.params or {})
  return prepare.params(query, values, run.clocks.now, run.clocks.boottime)
end

-- The queries that choose entries and make columns of them. A drain has both apart: it needs the
-- entries that it wrote columns of.
function request.prepare(self, run)
  local given, where = run.given, judge.function_of(run.given.where)
  if type(where) == "function" then
    if given.params and not given.columns then error("export: params go with text", 3) end
    where = judge.take(self, run, where, 3)
    if run.filter and run.workers > 1 then
      error(("export: workers do not run this function: %s"):format(run.lua_why), 3)
    end
  end
  where = prepare.text(where, "export", 4)
  run.where = where
  -- Maps without buckets cannot be shared out.
  run.by_threads = run.workers > 1 and prepare.facts(self).kind.position == "bucket"
  if where or run.by_threads or (given.params and not given.columns)
    or (given.columns and not given.drain) then
    run.query = prepare.query(self, "keyed", { where = where, params = given.params,
      columns = not given.drain and given.columns or nil })
  end
  if given.drain and given.columns then
    run.columns = prepare.query(self, "keyed", { columns = given.columns,
      params = given.params })
  elseif given.columns then
    run.columns = run.query
  end
  local clocks = run.checkpoint and not given.restart
    and checkpoint.clocks_of(run.checkpoint, run.target)
  run.clocks = clocks or { now = core.now(), boottime = core.boottime() }
  if run.query then run.packed = pack_params(run, run.query, run.columns) end
  if run.columns then run.packed_columns = pack_params(run, run.columns, run.query) end
end

-- What is written of a batch, a batch or rows with columns; and the entries of it.
function request.chosen(run, batch, report)
  if run.filter then batch = judge.filtered(batch, run.filter, report) end
  if run.query then
    local also = run.ask and select(2, judge.match(run.query, batch, run, report)) or nil
    run.block = run.query.core:rows(batch, run.packed, run.block, also)
    if run.query == run.columns then return run.block end
    batch = run.block:batch()
  end
  if not run.columns then return batch, batch end
  run.rows = run.columns.core:rows(batch, run.packed_columns, run.rows)
  return run.rows, batch
end

return request
