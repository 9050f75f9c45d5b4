-- SPDX-License-Identifier: MIT

--- Which engine runs a query, and running it there:
--
--   kernel   a program walks the map inside the kernel; nothing is copied out but matches
--   batch    the batch cursor reads the map, fragments run over its blocks here
--   walk     the same over get_next_key
--
-- This is the only place that chooses one. All give the same answer on a map at
-- rest; each that cannot do a query hands it to the next, and the report says so.
--
-- @module luabpf.query.run

local core = require "luabpf.core"
local cost = require "luabpf.query.cost"
local defaults = require "luabpf.base.defaults"
local errors = require "luabpf.base.errors"
local judge = require "luabpf.query.judge"
local options = require "luabpf.base.options"
local prepare = require "luabpf.query.prepare"
local scan = require "luabpf.base.scan"
local slots = require "luabpf.query.slots"
local show = require "luabpf.show.show"

local runs = {}

-- Below this the bound of the entries is as good as their number, which takes a program to learn.
local SMALL <const> = 65536
-- Rows that a first run has room for, when all would not fit in as many bytes.
local EASY_ROWS <const> = 16 << 20
-- What part of a map is thought to match.
local MATCHING <const> = 0.1

--- The options that all queries take.
-- @table query_options
-- @tfield[opt] table<string,any> params the values of `$name` in texts
-- @tfield[opt] "kernel"|"batch"|"walk" engine forces one; without it the cheapest that can
-- @tfield[opt=false] boolean exact keeps to the batch cursor, which misses nothing while entries
--   are replaced
-- @tfield[opt="64MiB"] size memory for rows and groups
-- @tfield[opt="250ms"] time budget how long one run inside the kernel may take; it holds its CPU
--   for so long
-- @tfield[opt=4096] integer batch_size a hint, of the batch engine: a batch is whole buckets
-- @tfield[opt] report report a table that is filled with the report
-- @tfield[opt] boolean compile of functions: true raises unless all of each is compiled, false has
--   Lua run them for all entries; without it what can be is compiled

--- What a query did.
-- @table report
-- @tfield "kernel"|"batch"|"walk" engine the one that was used
-- @tfield string why why it was
-- @tfield integer visited how many entries were looked at
-- @tfield integer matched how many the condition held for
-- @tfield[opt] boolean|"partly" compiled of functions, what of them runs without Lua
-- @tfield[opt] integer asked of functions, how many entries Lua ran them for
-- @tfield boolean complete whether the whole map was looked at
-- @tfield boolean exact whether entries that were there throughout were seen exactly once
-- @tfield number seconds how long it took

-- Options of a query, checked; known is of options.of. Errors blame the caller of the method
-- that calls this.
-- @treturn table a run: what, engine (asked for), exact, memory, budget, batch_size, params, given
function runs.new(what, given, known)
  given = options.check(what, given, known, 4)
  local run = { what = what, given = given, params = given.params, exact = given.exact,
    start = core.now() }
  run.engine = given.engine
  run.memory = options.size(given.memory or defaults.memory, what .. ": option 'memory'", 3)
  run.budget = options.period(given.budget or defaults.budget, what .. ": option 'budget'", 3)
  run.batch_size = options.integer(what, "batch_size", given.batch_size, 1, 0xffffffff,
    defaults.batch_size, 4)
  run.workers = options.integer(what, "workers", given.workers, 1, core.max_workers, 1, 4)
  if run.exact and run.engine == "kernel" then
    error(("%s: exact = true keeps to the batch cursor, engine = \"kernel\" does not"):format(what),
      3)
  end
  return run
end

-- ---- choosing ------------------------------------------------------------------

local function expected_entries(self, facts)
  local most = facts.info.max_entries
  if facts.kind.fixed or most <= SMALL or not facts.kind.sum_count then return most end
  return core.element_count(self) or most
end

local function by_cursor(query)
  return query.facts.kind.batch_lookup and "batch" or "walk"
end

-- What a run is expected to work on, for cost.lua.
local function new_size(query, run, entries, deletes)
  local facts = query.facts
  local all = not query.where and not run.filter
  local matches = all and entries or math.floor(entries * MATCHING)
  local size = {
    entries = entries, entry_bytes = facts.entry_bytes, max_entries = facts.info.max_entries,
    hashed = facts.kind.position == "bucket", ncpu = facts.env.ncpu,
    matches = matches, rows = 0, row_bytes = 0, tables = 0,
    deletes = deletes, unallocated = facts.info.map_flags & 1 ~= 0,
    sums = #query.shared.percpu, workers = run.workers, instructions = query.instructions or 0,
  }
  if run.filter then -- a Lua function: whole entries, all of them
    size.rows, size.row_bytes = entries, facts.entry_bytes
  elseif query.row_bytes > 0 then
    size.rows, size.row_bytes = matches, query.row_bytes
    if query.decoder and not query.items then size.tables = matches end
  end
  return size
end

-- The same, with what each engine takes; kept with the query, as most runs are like the last.
local function expectation(self, query, run)
  local entries = expected_entries(self, query.facts)
  local deletes, by_function = run.deletes and not run.dry_run, run.filter ~= nil
  local last = query.expectation
  if last and last.by_function == by_function and last.size.entries == entries
    and last.size.deletes == deletes and last.size.workers == run.workers then
    return last
  end
  local size, cursor = new_size(query, run, entries, deletes), by_cursor(query)
  query.expectation = { by_function = by_function, size = size, cursor = cursor,
    rows = query.record_bytes or cost.rows(size), by_kernel = cost.run("kernel", size),
    by_cursor = cost.run(cursor, size) }
  return query.expectation
end

-- Why the kernel engine cannot do it, as far as is known beforehand, and an errno for it. Rights
-- may come: where that engine was asked for, it is asked again.
local function kernel_obstacle(query, run)
  local facts = query.facts
  if facts.obstacle then
    return facts.obstacle
  elseif run.exact and not facts.kind.fixed then
    return "exact = true: a walk inside the kernel may miss or repeat entries being replaced"
  elseif query.too_long then
    return "the expression has more comparisons than the verifier takes"
  end
  if facts.refused and run.engine ~= "kernel" then return facts.refused, facts.errno end
  return query.refused, query.errno
end

-- The engine that a run takes, why, and what each would cost.
-- @treturn table engine, why, estimates (engine to ns), size (which is not the caller's)
function runs.choose(self, query, run)
  local expected = expectation(self, query, run)
  local size = expected.size
  local plan = { size = size, estimates = {}, cursor = expected.cursor }
  local load = (run.filter and query.facts or query).loaded and 0 or cost.load
  -- What the cursor finds is deleted by a program too. One that deletes for a Lua function is
  -- needed in any engine.
  local loads = size.deletes and not run.filter and not query.decided
  plan.estimates[plan.cursor] = expected.by_cursor + (loads and cost.load or 0)
  local obstacle, errno = kernel_obstacle(query, run)
  if not obstacle then plan.estimates.kernel = expected.by_kernel + load end
  if run.engine then
    plan.engine, plan.why = run.engine, "it was asked for"
    if run.engine == "kernel" then plan.obstacle, plan.errno = obstacle, errno end
  elseif obstacle then
    plan.engine, plan.why = plan.cursor, obstacle
  elseif plan.estimates.kernel - load > run.budget then
    plan.engine = plan.cursor
    plan.why = "a run inside the kernel would take longer than the budget allows"
  elseif expected.rows > run.memory then
    plan.engine, plan.why = plan.cursor, "the rows would not fit in the memory allowed"
  elseif plan.estimates.kernel > plan.estimates[plan.cursor] then
    plan.engine, plan.why = plan.cursor, "it is cheaper"
  else
    plan.engine, plan.why = "kernel", "it is cheaper"
  end
  return plan
end

local REPORT_ORDER <const> = { "engine", "why", "compiled", "visited", "asked", "matched",
  "deleted", "updated", "missing", "kept", "workers", "complete", "exact", "seconds" }

local report_meta = { __name = "luabpf.report" }

function report_meta:__tostring()
  return show.fields(REPORT_ORDER, self)
end

-- The report of a run that is about to begin; it prints as a table.
function runs.report(plan, run)
  local report = setmetatable({ engine = plan.engine, why = plan.why, visited = 0, matched = 0,
    complete = false, exact = false }, report_meta)
  judge.begin_report(run, report)
  return report
end

-- Fills in what is known at the end, and the table that the caller gave for it.
function runs.finish(query, run, report)
  local kind = query.facts.kind
  report.exact = not run.inexact and (kind.fixed or report.engine == "batch" and report.complete
    and (kind.position == "bucket" or kind.position == "index"))
  report.seconds = (core.now() - run.start) / 1e9
  judge.notice(run, report)
  if run.given.report then
    for name, value in pairs(report) do run.given.report[name] = value end
  end
  return report
end

-- ---- the kernel engine ------------------------------------------------------------

-- One walk inside the kernel.
-- @tparam table args of luabpf.query:scan; budget and params are filled in
-- @treturn table|nil result; its rows, or the reason and errno
function runs.scan(query, run, args)
  args.params, args.budget = run.packed, args.budget or run.budget
  local result, rows, errno, for_good = query.core:scan(args)
  if not result then
    local what = errno == core.errno.EPERM and query.facts or query
    if for_good then what.refused, what.errno = rows, errno end
    return nil, rows, errno
  end
  query.loaded, query.facts.refused = true, nil
  return result, rows
end

-- How many rows a region may hold.
local function most_rows(query, run)
  return math.min(run.memory, core.max_region - 64) // query.row_bytes
end

-- How many rows the first run has room for.
function runs.first_room(query, plan, run)
  local all = plan.size.entries
  if all * query.row_bytes > EASY_ROWS then all = all // 4 end
  if run.limit then all = math.min(all, run.limit) end
  return math.max(math.min(all, most_rows(query, run)), 1)
end

-- Why a walk inside the kernel came to no end.
local STOPPED = {
  deadline = "the walk inside the kernel was stopped at its time limit",
  visits = "the walk inside the kernel did not come to an end",
  full = "entries that match come faster than they are handed over",
  asked = "the function leaves more entries to Lua than there is room for",
}

runs.STOPPED = STOPPED

-- All matches by the kernel: result and rows; or nil, why the cursor has to do it, errno, and
-- whether the kernel was at it and was stopped.
function runs.scan_rows(query, plan, run)
  local room = query.row_bytes > 0 and runs.first_room(query, plan, run) or 0
  for _ = 1, 3 do
    local result, rows, errno = runs.scan(query, run, { rows = room, limit = run.limit })
    if not result then return nil, rows, errno end
    local wanted = result.matched - result.cut
    local whole = query.row_bytes == 0 or query.record_bytes or result.stored >= wanted
    if not STOPPED[result.stop] and whole then
      return result, rows
    end
    rows:close()
    if result.stop == "asked" then judge.notice_stop(run) end
    if STOPPED[result.stop] then return nil, STOPPED[result.stop], nil, true end
    if wanted > most_rows(query, run) then
      return nil, ("%d rows of %d bytes do not fit in the memory allowed"):format(wanted,
        query.row_bytes)
    end
    room = math.min(wanted + wanted // 8 + 16, most_rows(query, run))
  end
  return nil, "the map grows faster than its rows can be read", nil, true
end

-- ---- the cursor engines -----------------------------------------------------------

-- The batches of all entries, by the cursor engine of the report.
function runs.batches(self, run, report)
  return prepare.source(self).batches(self, { batch_size = run.batch_size, engine = report.engine,
    raw = run.given.raw })
end

-- What a caller gets whose kernel engine cannot be used.
local function kernel_failed(query, run, reason, errno)
  return ("%s: %s: engine \"kernel\": %s"):format(errors.label(query.facts.info), run.what, reason),
    errno or core.errno.ENOTSUPP
end

-- The cursor does it, for that reason.
function runs.to_cursor(query, report, reason)
  report.engine, report.why = by_cursor(query), reason
end

-- The kernel engine did not do it, or not all, for that reason: the cursor has to, unless the
-- kernel was asked for and never began. Returns nothing.
local function give_up(query, run, report, reason, errno, stopped)
  if run.engine == "kernel" and not stopped then
    errors.throw(kernel_failed(query, run, reason, errno))
  end
  runs.to_cursor(query, report, reason)
end

runs.give_up = give_up

-- Tries the kernel engine where the plan says so: by `walk`, of what is given after it.
-- @treturn table|nil result and rows; nil when the cursor has to do it: the report says why.
--   Raises an error object when the kernel engine was asked for and cannot
local function attempt(query, plan, run, report, walk, ...)
  if report.engine ~= "kernel" then return nil end
  if plan.obstacle then return give_up(query, run, report, plan.obstacle, plan.errno) end
  local result, rows, errno, stopped = walk(...)
  if not result then return give_up(query, run, report, rows, errno, stopped) end
  return result, rows
end

-- One walk that is not begun anew, since it changes entries; args are of runs.scan.
function runs.walk(query, plan, run, report, args)
  return attempt(query, plan, run, report, runs.scan, query, run, args)
end

-- All matches, and the report of them.
function runs.try_kernel(query, plan, run, report)
  local result, rows = attempt(query, plan, run, report, runs.scan_rows, query, plan, run)
  if not result then return nil end
  report.visited, report.matched = result.visited, result.matched
  report.complete = result.stop == "none"
  return result, rows
end

-- The whole map as one batch read by the kernel, and its rows; nil when the cursor has to read it.
local function whole(self, query, plan, run, report)
  local every = { memory = run.memory, budget = run.budget, packed = "" }
  local result, rows = attempt(query, plan, run, report, function()
    return runs.scan_rows(prepare.query(self, "entries", { rows = true }), plan, every)
  end)
  if not result then return nil end
  query.facts.loaded = true
  return rows:batch(), rows
end

-- Blocks for a Lua function to judge, by the cheapest source: an iterator of batches.
function runs.sources(self, query, plan, run, report)
  local batch, rows = whole(self, query, plan, run, report)
  if not batch then return runs.batches(self, run, report) end
  return function()
    local one = batch
    batch = nil
    return one
  end, nil, nil, rows
end

-- The batches that a run reads: by the cursor, or, for a Lua function to judge, by the cheapest
-- source.
function runs.blocks(self, query, plan, run, report)
  if run.filter then return runs.sources(self, query, plan, run, report) end
  return runs.batches(self, run, report)
end

-- What threads left to Lua, as matches of the run and rows of agg.
local function judge_rest(query, run, report, asked, agg)
  local hits = judge.asked(asked, run, report)
  report.matched = report.matched + #hits
  if agg then agg:add(query.core:rows(asked, run.packed, nil, hits)) end
end

-- The query by as many threads as the run asks for, in the batch engine; sums go into agg.
-- @treturn boolean false where nothing was done: one thread, another engine, no map
function runs.by_threads(query, run, report, agg)
  local possible = query.facts.threads and report.engine == "batch" and not run.filter
  if run.workers == 1 or not possible then return false end
  local holder <close> = scan.holder()
  local crew, workers = core.crew({ query = query.core, params = run.packed, agg = agg,
    workers = run.workers, batch_size = run.batch_size, most_asked = run.memory }, holder)
  while not crew:wait(scan.PATIENCE) do end
  local visited, matched, asked = crew:finish()
  if not visited then
    report.why = "the function leaves more entries to Lua than the memory allowed has room for"
    return false
  end
  report.workers, report.visited, report.matched, report.complete = workers, visited, matched, true
  if asked then judge_rest(query, run, report, asked, agg) end
  return true
end

-- ---- running ----------------------------------------------------------------------

-- A function as where: nil where Lua judges all entries.
local function take_function(self, run, parts, level)
  local texts = parts.select or parts.sort or parts.columns and not slots.are(parts.columns)
    or parts.group and not slots.are(parts.group)
  if run.params and not (texts or run.has_text) then
    error(("%s: params go with text"):format(run.what), level)
  end
  local made = judge.take(self, run, parts.where, level)
  judge.check_workers(run, run.lua_why, level)
  -- What a program sums up it has judged.
  if run.filter then parts.plain = nil end
  return made
end

-- The query of a run, and its plan; nothing is run. nil, message, errno where the system refused.
-- @tparam string kind of prepare.query
-- @tparam table parts for prepare.query; where is text, a compiled expression or a function
-- @tparam integer level whom errors blame, as in error() here
function runs.prepare(self, kind, run, parts, level)
  prepare.source(self)
  parts.where = judge.function_of(parts.where)
  if type(parts.where) == "function" then
    parts.where = take_function(self, run, parts, level + 1)
  else
    parts.where = prepare.text(parts.where, run.what, level + 1)
  end
  parts.params = run.params
  local query, message, errno = errors.caught(nil, pcall(prepare.query, self, kind, parts))
  if not query then return nil, message, errno end
  -- The rows of a batch are in memory together.
  local most = math.max(run.memory // math.max(query.row_bytes, 1), 1)
  run.batch_size = math.min(run.batch_size, most)
  return query, runs.choose(self, query, run)
end

-- The same for a run that is about to begin: query, plan and report. Errors blame the caller of
-- the method that calls this, or as level says.
function runs.begin(self, kind, run, parts, level)
  local query, plan, errno = runs.prepare(self, kind, run, parts, level or 4)
  if not query then return nil, plan, errno end
  run.packed = judge.params(query, run)
  return query, plan, runs.report(plan, run)
end

return runs
