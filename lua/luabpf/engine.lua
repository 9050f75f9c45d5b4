-- SPDX-License-Identifier: MIT
--
-- Which engine runs a query, and running it there:
--
--   kernel   a program walks the map inside the kernel; nothing is copied out but matches
--   batch    the batch cursor reads the map, fragments run over its blocks here
--   walk     the same over get_next_key
--
-- This is the only place that chooses one. All give the same answer on a map at
-- rest; each that cannot do a query hands it to the next, and the report says so.

local core = require "luabpf.core"
local cost = require "luabpf.cost"
local common = require "luabpf.map"
local options = require "luabpf.options"
local prepare = require "luabpf.prepare"

local engine = {}

local map = core.classes["luabpf.map"]
local defaults = common.defaults

-- Below this the bound of the entries is as good as their number, which takes a program to learn.
local SMALL <const> = 65536
-- Rows that a first run has room for, when all would not fit in as many bytes.
local EASY_ROWS <const> = 16 << 20
-- What part of a map is thought to match.
local MATCHING <const> = 0.1

defaults.memory = 64 << 20
defaults.budget = 250000000

local ENGINES = { "kernel", "batch", "walk" }

--- The options that all queries take.
engine.OPTIONS = { params = "table", engine = "string", exact = "boolean", memory = true,
  budget = true, batch_size = true, report = "table" }

--- Options of a query, checked: those in known, and these.
-- @treturn table a run: what, engine (asked for), exact, memory, budget, batch_size, params, given
function engine.run(what, given, known)
  local all = {}
  for name, kind in pairs(engine.OPTIONS) do all[name] = kind end
  for name, kind in pairs(known) do all[name] = kind end
  given = options.check(what, given, all, 4)
  local run = { what = what, given = given, params = given.params, exact = given.exact }
  run.engine = options.choice(what, "engine", given.engine, ENGINES, nil, 4)
  run.memory = options.size(given.memory or defaults.memory, what .. ": option 'memory'")
  run.budget = options.duration(given.budget or defaults.budget, what .. ": option 'budget'")
  run.batch_size = options.integer(what, "batch_size", given.batch_size, 1, 0xffffffff,
    defaults.batch_size, 4)
  if run.exact and run.engine == "kernel" then
    error(("%s: exact = true keeps to the batch cursor, engine = \"kernel\" does not"):format(what),
      3)
  end
  run.start = core.now()
  return run
end

-- ---- choosing ------------------------------------------------------------------

local function expected_entries(self, facts)
  local most = facts.info.max_entries
  if facts.kind.fixed or most <= SMALL or not facts.kind.sum_count then return most end
  return core.element_count(self) or most
end

-- What a run is expected to work on, for cost.lua.
local function size_of(self, query, run)
  local facts = query.facts
  local entries = expected_entries(self, facts)
  local all = not query.where and not run.filter
  return {
    entries = entries, max_entries = facts.info.max_entries,
    hashed = facts.kind.position == "bucket", ncpu = facts.env.ncpu,
    row_bytes = run.rows and query.row_bytes or 0,
    matches = all and entries or math.floor(entries * MATCHING),
    deletes = run.deletes, unallocated = facts.info.map_flags & 1 ~= 0,
    sums = #query.shared.percpu,
  }
end

-- Why the kernel engine cannot do it, as far as is known beforehand.
local function kernel_obstacle(query, run)
  local facts = query.facts
  if not facts.kind.for_each then
    return ("programs cannot walk %s maps"):format(facts.kind.name)
  elseif run.exact and not facts.kind.fixed then
    return "exact = true: a walk inside the kernel may miss or repeat entries being replaced"
  elseif query.too_long then
    return "the expression has more comparisons than the verifier takes"
  end
  return facts.refused or query.refused
end

local function by_cursor(query)
  return query.facts.kind.batch_lookup and "batch" or "walk"
end

--- The engine that a run takes, why, and what each would cost.
-- @treturn table engine, why, estimates (engine to ns), size
function engine.choose(self, query, run)
  local size = size_of(self, query, run)
  local plan = { size = size, estimates = {}, cursor = by_cursor(query) }
  plan.estimates[plan.cursor] = cost.run(plan.cursor, size)
  local obstacle = kernel_obstacle(query, run)
  if not obstacle then
    plan.estimates.kernel = cost.run("kernel", size) + (query.loaded and 0 or cost.load)
  end
  if run.engine then
    plan.engine, plan.why = run.engine, "it was asked for"
    plan.obstacle = run.engine == "kernel" and obstacle or nil
  elseif obstacle then
    plan.engine, plan.why = plan.cursor, obstacle
  elseif plan.estimates.kernel > run.budget then
    plan.engine = plan.cursor
    plan.why = "a run inside the kernel would take longer than the budget allows"
  elseif run.rows and cost.rows(size) > run.memory then
    plan.engine, plan.why = plan.cursor, "the rows would not fit in the memory allowed"
  elseif plan.estimates.kernel > plan.estimates[plan.cursor] then
    plan.engine, plan.why = plan.cursor, "it is cheaper"
  else
    plan.engine, plan.why = "kernel", "it is cheaper"
  end
  return plan
end

--- The report of a run that is about to begin.
function engine.report(plan)
  return { engine = plan.engine, why = plan.why, visited = 0, matched = 0, complete = false,
    exact = false }
end

--- Fills in what is known at the end, and the table that the caller gave for it.
function engine.finish(query, run, report)
  local kind = query.facts.kind
  report.exact = kind.fixed or (report.engine == "batch" and report.complete
    and (kind.position == "bucket" or kind.position == "index"))
  report.seconds = (core.now() - run.start) / 1e9
  if run.given.report then
    for name, value in pairs(report) do run.given.report[name] = value end
  end
  return report
end

-- The kernel engine is given up: the cursor does it, and the report says why.
local function give_up(query, report, reason)
  report.engine, report.why = by_cursor(query), reason
  report.visited, report.matched = 0, 0
end

-- ---- the kernel engine ------------------------------------------------------------

local function refusal(query, reason, errno)
  if errno == core.errno.EPERM or errno == core.errno.EACCES then
    local missing = core.missing_privileges()
    query.facts.refused = missing and ("programs need CAP_BPF (this process lacks %s)")
      :format(missing) or reason
  end
  query.refused = reason
end

--- One walk inside the kernel.
-- @tparam table args of luabpf.query:scan; deadline and params are filled in
-- @treturn table|nil result; its rows, or the reason and errno
function engine.scan(query, run, args)
  args.params = run.packed
  args.deadline = core.now() + run.budget
  local result, rows, errno = query.core:scan(args)
  if not result then
    refusal(query, rows, errno)
    return nil, rows, errno
  end
  query.loaded = true
  return result, rows
end

-- How many rows the first run has room for.
local function first_room(query, plan, run)
  local most = run.memory // query.row_bytes
  local all = plan.size.entries
  if all * query.row_bytes > EASY_ROWS then all = all // 4 end
  if run.limit then all = math.min(all, run.limit) end
  return math.max(math.min(all, most), 1)
end

local STOPPED = {
  deadline = "the walk inside the kernel was stopped at its time limit",
  visits = "the walk inside the kernel did not come to an end",
}

--- All matches by the kernel: result and rows; or nil and why the cursor has to do it.
function engine.scan_rows(query, plan, run)
  local room = run.rows and first_room(query, plan, run) or 0
  for _ = 1, 3 do
    local result, rows, errno = engine.scan(query, run,
      { rows = room, limit = run.limit or 0 })
    if not result then return nil, rows, errno end
    if STOPPED[result.stop] then
      rows:close()
      return nil, STOPPED[result.stop]
    end
    local wanted = result.matched - result.cut
    if not run.rows or result.stored >= wanted then return result, rows end
    rows:close()
    if wanted * query.row_bytes > run.memory then
      return nil, ("%d rows of %d bytes do not fit in the memory allowed"):format(wanted,
        query.row_bytes)
    end
    room = math.min(wanted + wanted // 8 + 16, run.memory // query.row_bytes)
  end
  return nil, "the map grows faster than its rows can be read"
end

-- ---- the cursor engines -----------------------------------------------------------

-- The indices of the entries in batch that filter says yes to.
local function hits_of(batch, filter)
  local hits, i = {}, 0
  for key, value in batch:views() do
    i = i + 1
    if filter(key, value) then hits[#hits + 1] = i end
  end
  return hits
end

--- Those entries of a batch that a Lua function says yes to, as a batch; errors in it carry the
-- report.
function engine.filtered(batch, filter, report)
  local ok, hits = pcall(hits_of, batch, filter)
  if not ok then
    common.throw(("where: %s"):format(tostring(hits)), nil, { partial = report, cause = hits })
  end
  return #hits == #batch and batch or batch:pick(hits)
end

--- The batches of the whole map, by the cursor engine of the report.
function engine.batches(self, run, report)
  return map.batches(self, { batch_size = run.batch_size, engine = report.engine })
end

-- The whole map as one batch read by the kernel; nil and why not.
local function whole(self, plan, run)
  local query = prepare.query(self, "entries", { rows = true })
  local every = { memory = run.memory, budget = run.budget, packed = "", rows = true }
  local result, rows = engine.scan_rows(query, plan, every)
  if not result then return nil, rows end
  return rows:batch(), rows
end

--- Blocks for a Lua function to judge, by the cheapest source: an iterator of batches.
function engine.sources(self, query, plan, run, report)
  if report.engine == "kernel" then
    local batch, rows = whole(self, plan, run)
    if batch then
      return function()
        local one = batch
        batch = nil
        return one
      end, nil, nil, rows
    end
    give_up(query, report, rows)
  end
  return engine.batches(self, run, report)
end

-- ---- running ----------------------------------------------------------------------

local function kernel_failed(self, run, reason, errno)
  return nil, ("%s: %s: engine \"kernel\": %s"):format(map.info(self).name, run.what, reason),
    errno or core.errno.ENOTSUPP
end

--- Tries the kernel engine where the plan says so.
-- @treturn table|nil result and rows; nil when the cursor has to do it: the report says why;
--   false, and what the caller returns, when the kernel engine was asked for and cannot
function engine.try_kernel(self, query, plan, run, report)
  if report.engine ~= "kernel" then return nil end
  local result, rows, errno
  if plan.obstacle then
    rows = plan.obstacle
  else
    result, rows, errno = engine.scan_rows(query, plan, run)
  end
  if result then
    report.visited, report.matched = result.visited, result.matched
    report.complete = result.stop == "none"
    return result, rows
  end
  if run.engine == "kernel" and not (rows and rows:find("time limit", 1, true)) then
    return false, kernel_failed(self, run, rows, errno)
  end
  give_up(query, report, rows)
  return nil
end

--- The query of a run, and its plan; nothing is run.
-- @tparam string kind of prepare.query
-- @tparam table parts for prepare.query; where is text, a compiled expression or a function
function engine.prepare(self, kind, run, parts)
  core.check_map(self)
  if type(parts.where) == "function" then
    run.filter, parts.where = parts.where, nil
    if run.params then error(("%s: params go with text"):format(run.what), 3) end
  else
    parts.where = prepare.text(parts.where, run.what)
  end
  local query = prepare.query(self, kind, parts)
  return query, engine.choose(self, query, run)
end

--- The same for a run that is about to begin: query, plan and report.
function engine.begin(self, kind, run, parts)
  local query, plan = engine.prepare(self, kind, run, parts)
  run.packed = prepare.params(query, run.params)
  return query, plan, engine.report(plan)
end

return engine
