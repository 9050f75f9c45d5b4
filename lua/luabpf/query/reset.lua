-- SPDX-License-Identifier: MIT

--- Reading and zeroing in one step: aggregate and select with `reset`. Fields are exchanged with
-- zero where they lie, and what was there is what rows and sums are made of. Sums, and groups
-- by index, are made by one walk inside the kernel; else the batch cursor finds what matches, and
-- a program takes a batch of it at a time; the values that CPUs have each on its own CPU
-- (cpus.lua). No entry is taken twice, and nothing is taken that there is no room for.
--
-- @module luabpf.query.reset

local core = require "luabpf.core"
local cpus = require "luabpf.query.cpus"
local edit = require "luabpf.query.edit"
local errors = require "luabpf.base.errors"
local expr = require "luabpf.expr.parse"
local groups = require "luabpf.query.groups"
local prepare = require "luabpf.query.prepare"
local pieces = require "luabpf.query.pieces"
local rows = require "luabpf.query.rows"
local runs = require "luabpf.query.run"
local scan = require "luabpf.base.scan"

local reset = {}

-- ---- what is reset ------------------------------------------------------------------

-- Adds the fields of the value that a tree reads.
local function fields_in(ast, list)
  if ast.op == "field" and ast.of == "value" then list[#list + 1] = ast end
  for _, arg in ipairs(ast.args or {}) do fields_in(arg, list) end
end

local function summed(run, env)
  local list = {}
  for _, item in ipairs(expr.aggregates(run.given.select or "count()", env, {})) do
    if item.fn == "sum" then fields_in(item.arg, list) end
  end
  if #list == 0 then error("reset = true resets the fields inside sum(), and there is none", 0) end
  return list
end

-- A field that is named twice is not two columns of one name, which no "as" could mend here.
local function check_names(given)
  local seen = {}
  for _, name in ipairs(type(given) == "table" and given or {}) do
    if seen[name] then error(("reset: the field '%s' is named twice"):format(name), 0) end
    seen[name] = true
  end
end

local function named(given, env)
  local list = {}
  check_names(given)
  for i, column in ipairs(expr.columns(given, env, {})) do list[i] = column.ast end
  return list
end

local function plan_of(self, run)
  local env = prepare.env(self, run.params)
  local what = run.given.reset
  if what == true and run.what == "select" then
    error("reset = true is for aggregate; name the fields", 0)
  end
  return edit.of_reset(what == true and summed(run, env) or named(what, env))
end

local function refuse(run, text, ...)
  error(("%s: %s"):format(run.what, text:format(...)), 4)
end

-- Raises, for the caller of the method, where reset does not go with the rest.
local function check(self, run)
  local given = run.given
  core.check_map(self)
  for _, name in ipairs { "limit", "sort" } do
    if given[name] ~= nil and (name == "limit" or run.what == "select") then
      refuse(run, "option '%s' does not go with reset: what it leaves out would be lost", name)
    end
  end
  if run.workers > 1 then refuse(run, "option 'workers' does not go with reset") end
  local kind = scan.kind_of(self)
  if kind.keyed and kind.can_update and not kind.fd_values then return true end
  return errors.unsupported(scan.info(self), run.what .. " with reset")
end

-- Query, plan and report of a run; nil, message, errno.
local function begin(self, run, kind, parts)
  local change = prepare.located(run.what .. ": reset: ", pcall(plan_of, self, run))
  local percpu = scan.kind_of(self).percpu
  if percpu then
    parts.plain = nil
  else
    parts.change = change
  end
  local query, plan, report = runs.begin(self, kind, run, parts)
  if not query then return nil, plan, report end
  if run.ask or run.filter then
    refuse(run, "where: with reset all of it has to be compiled: %s",
      run.lua_why or run.made.reasons[1])
  end
  if percpu then
    local ok, message, errno = cpus.by_cursor(query, run, report)
    if not ok then return nil, message, errno end
    run.tour = cpus.tour(self, { { plan = change } })
    cpus.pack(query, run, run.tour)
  end
  return query, plan, report
end

-- ---- a batch at a time --------------------------------------------------------------

-- What matches of a batch, and what takes it.
local function found_in(query, run, batch)
  if not run.tour then
    local found = query.core:propose(batch, run.packed)
    return found, function() return query.core:take(found, run.packed) end
  end
  local found, taker = query.core:pick(batch, run.packed), run.tour[1]
  return found, function() return taker.query.core:take_cpus(found, taker.packed) end
end

-- Takes what matches of a batch: a batch of what was there.
local function take(query, run, report, batch)
  report.visited = report.visited + #batch
  local found, taker = found_in(query, run, batch)
  if #found == 0 then return found end
  local results = table.pack(taker())
  local taken = results[results.n]
  report.matched = report.matched + #taken
  if results[1] then return taken end
  local label, in_between = errors.label(query.facts.info), type(results[4]) == "table"
  return taken, in_between and results[2] or ("%s: %s: %s"):format(label, run.what, results[2]),
    results[3]
end

-- The rows of what was taken.
local function rows_of(query, run, taken)
  return query.core:rows(taken, run.packed, nil, pieces.indices(1, #taken))
end

-- ---- aggregate ----------------------------------------------------------------------

-- The walk inside the kernel: the list, or nil where nothing was done.
local function in_kernel(query, plan, run, report)
  local result, found = runs.walk(query, plan, run, report, { rows = query.record_bytes and 1 or 0,
    budget = 0 })
  local _ <close> = found
  if not result then return nil end
  report.visited, report.matched = result.visited, result.matched
  report.complete = result.stop == "none"
  if query.sums then return groups.plain_row(query, result) end
  local agg <close> = groups.new_agg(query, run, math.maxinteger)
  agg:add(found)
  return groups.result_of(query, run, agg)
end

-- By the cursor: the list, and why the rest was not taken.
local function by_batches(self, query, run, report)
  -- Its memory is looked at between batches: what was taken finds room.
  local agg <close> = groups.new_agg(query, run, math.maxinteger)
  for batch in runs.batches(self, run, report) do
    if agg:used() > run.memory then
      return groups.result_of(query, run, agg), ("%s: aggregate: the groups need more than the %d "
        .. "bytes of memory allowed"):format(errors.label(query.facts.info), run.memory),
        core.errno.ENOMEM
    end
    local taken, message, errno = take(query, run, report, batch)
    agg:add(rows_of(query, run, taken))
    if message then return groups.result_of(query, run, agg), message, errno end
  end
  report.complete = true
  return groups.result_of(query, run, agg)
end

local function aggregate(self, query, plan, run, report, parts)
  local list, message, errno = in_kernel(query, plan, run, report), nil, nil
  local shown = query
  if list and not report.complete then
    message, errno = runs.STOPPED.visits, core.errno.EAGAIN
  elseif not list then
    shown = query.sums and groups.by_rows(self, run, parts) or query
    list, message, errno = by_batches(self, shown, run, report)
  end
  local done, finished = groups.finished(shown, run, report, list)
  if message then return nil, message, errno, done end
  return done, finished
end

-- map:aggregate with reset.
function reset.aggregate(self, run)
  local ok, why, errno = check(self, run)
  if not ok then return nil, why, errno end
  local given = run.given
  local parts = { where = given.where, group = given.group, select = given.select,
    sort = given.sort, plain = true }
  local query, plan, report = begin(self, run, "aggregate", parts)
  if not query then return nil, plan, report end
  return errors.caught(nil, pcall(aggregate, self, query, plan, run, report, parts))
end

-- ---- select -------------------------------------------------------------------------

-- The blocks of what is taken, a batch at a time, and what closes them.
local function blocks_of(self, query, run, report)
  local step, state, control, closing = runs.batches(self, run, report)
  local failed
  return function()
    if failed then errors.throw(failed[1], failed[2], { partial = report }) end
    local batch = step(state, control)
    if not batch then
      report.complete = true
      return nil
    end
    local taken, message, errno = take(query, run, report, batch)
    failed = message and { message, errno }
    return rows_of(query, run, taken)
  end, closing
end

-- map:select with reset.
function reset.select(self, run)
  local ok, why, errno = check(self, run)
  if not ok then errors.throw(why, errno) end
  local query, plan, report = begin(self, run, "select",
    { where = run.given.where, columns = run.given.columns })
  if not query then errors.throw(plan, report) end
  if report.engine == "kernel" then
    runs.to_cursor(query, report, "rows are taken a batch at a time")
  end
  local next_block, closing = blocks_of(self, query, run, report)
  return rows.iterator(query, nil, next_block), nil, nil,
    rows.closing(query, run, report, closing)
end

return reset
