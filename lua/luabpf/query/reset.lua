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

-- What matches of a batch, and what takes it: into held.taken, which is there before.
local function found_in(query, run, batch, held)
  if not run.tour then
    local found = query.core:propose(batch, run.packed)
    return found, function() return query.core:take(found, run.packed, held) end
  end
  local found, taker = query.core:pick(batch, run.packed), run.tour[1]
  return found, function() return taker.query.core:take_cpus(found, taker.packed, held) end
end

-- Takes what matches of a batch, when there is room for its rows and their sums; nil, or why not
-- all was taken. held.taken is what was taken: of no use to take() again.
local function take(query, run, report, batch, held)
  report.visited = report.visited + #batch
  local found, taker = found_in(query, run, batch, held)
  if #found == 0 then return nil end
  held.indices = pieces.indices(1, #found)
  held.rows = query.core:rows(found, run.packed, held.rows, held.indices)
  if held.agg then held.agg:reserve(#found) end
  local ok, message, errno, in_between = taker()
  report.matched = report.matched + #held.taken
  if ok then return nil end
  local label = errors.label(query.facts.info)
  return type(in_between) == "table" and message or ("%s: %s: %s"):format(label, run.what, message),
    errno
end

-- The rows of what was taken.
local function rows_of(query, run, held)
  for i = #held.indices, #held.taken + 1, -1 do held.indices[i] = nil end
  held.rows = query.core:rows(held.taken, run.packed, held.rows, held.indices)
  return held.rows
end

-- ---- aggregate ----------------------------------------------------------------------

-- What is taken and has not been given to the caller: sums (agg), and what is in none yet: a batch
-- (taken), or what a walk inside the kernel gave (rows). An error that Lua raises (its memory,
-- Ctrl-C) goes on with it.
local holder = {}
holder.__index = holder

-- Memory is looked at between batches: what was taken finds room.
function holder:sums()
  self.agg = self.agg or groups.new_agg(self.query, self.run, math.maxinteger)
  return self.agg
end

-- Adds to the sums what was taken and is not in them: nothing, the second time.
function holder:settle()
  if self.taken then self.agg:add(rows_of(self.query, self.run, self), self.taken) end
end

-- The list of what the walk inside the kernel gave.
function holder:list_of_walk(result)
  local query, report = self.query, self.report
  report.visited, report.matched = result.visited, result.matched
  report.complete = result.stop == "none"
  if query.sums then return groups.plain_row(query, result) end
  self.agg:add(self.rows, self.rows)
  return groups.result_of(query, self.run, self.agg)
end

-- What was taken, as it is given to the caller, and the report; nil where that is nothing.
function holder:finished()
  local list
  if self.walked then
    local result = self.rows and self.query.core:result(self.rows)
    list = result and self:list_of_walk(result)
  elseif self.agg then
    self:settle()
    list = groups.result_of(self.query, self.run, self.agg)
  end
  if list then return groups.finished(self.query, self.run, self.report, list) end
end

function holder:__close(err)
  local done, list
  if err ~= nil then done, list = pcall(self.finished, self) end
  if self.agg then self.agg:close() end
  if self.walked and self.rows then self.rows:close() end
  if not (done and list) then return end
  local message = ("%s: aggregate: %s"):format(errors.label(self.query.facts.info), tostring(err))
  errors.throw(message, nil, { partial = list, cause = err })
end

-- Groups that a walk may come to.
local function most_groups(query)
  local bits = 0
  for _, one in ipairs(query.index) do bits = bits + one end
  return 1 << bits
end

-- The walk inside the kernel: whether it was done.
local function in_kernel(held, plan)
  local query, run, report = held.query, held.run, held.report
  if query.record_bytes then held:sums():reserve(most_groups(query)) end
  held.walked = true
  local result = runs.walk(query, plan, run, report, { rows = query.record_bytes and 1 or 0,
    budget = 0, holder = held })
  if not result then held.walked, held.rows = false, nil end
  return held.walked
end

-- By the cursor: nil, or why the rest was not taken.
local function by_batches(self, held)
  local query, run, report = held.query, held.run, held.report
  local agg = held:sums()
  for batch in runs.batches(self, run, report) do
    if agg:used() > run.memory then
      return ("%s: aggregate: the groups need more than the %d bytes of memory allowed"):format(
        errors.label(query.facts.info), run.memory), core.errno.ENOMEM
    end
    local message, errno = take(query, run, report, batch, held)
    held:settle()
    if message then return message, errno end
  end
  report.complete = true
end

local function aggregate(self, held, plan, parts)
  local message, errno
  if not in_kernel(held, plan) then
    if held.query.sums then held.query = groups.by_rows(self, held.run, parts) end
    message, errno = by_batches(self, held)
  end
  local done, finished = held:finished()
  if held.walked and not held.report.complete then
    message, errno = runs.STOPPED.visits, core.errno.EAGAIN
  end
  if message then return nil, message, errno, done end
  return done, finished
end

-- The results of aggregate; where the system refused what was taken until then.
local function delivered(held, ok, err, ...)
  if ok then return err, ... end
  return errors.caught(type(err) == "table" and (held:finished()) or nil, false, err)
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
  local held <close> = setmetatable({ query = query, run = run, report = report }, holder)
  return delivered(held, pcall(aggregate, self, held, plan, parts))
end

-- ---- select -------------------------------------------------------------------------

-- The blocks of what is taken, a batch at a time, and what closes them.
local function blocks_of(self, query, run, report)
  local step, state, control, closing = runs.batches(self, run, report)
  local held, failed = {}, nil
  return function()
    if failed then errors.throw(failed[1], failed[2], { partial = report }) end
    held.taken = nil
    repeat
      local batch = step(state, control)
      if not batch then
        report.complete = true
        return nil
      end
      local message, errno = take(query, run, report, batch, held)
      failed = message and { message, errno }
    until held.taken
    return rows_of(query, run, held)
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
