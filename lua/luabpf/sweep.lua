-- SPDX-License-Identifier: MIT
--
-- Queries that delete: delete_where and drain{ where = ... }. Every engine
-- judges the live entry immediately before it deletes it.

local common = require "luabpf.map"
local core = require "luabpf.core"
local engine = require "luabpf.engine"
local iter = require "luabpf.iter"
local options = require "luabpf.options"

local map = core.classes["luabpf.map"]

-- ---- telling what was deleted ------------------------------------------------------

-- Tells on_delete what was deleted. If it raises, the error carries what it did not get to see.
local function deliver(gone, on_delete, report)
  for i = 1, #gone do
    local ok, err = pcall(on_delete, gone:key(i), gone:value(i))
    if not ok then
      local rest = {}
      for j = i, #gone do rest[#rest + 1] = { key = gone:key(j), value = gone:value(j) } end
      common.throw(("on_delete: %s"):format(tostring(err)), nil,
        { partial = report, undelivered = rest })
    end
  end
end

local function add(report, deleted, missing, kept)
  report.deleted = report.deleted + deleted
  report.missing = report.missing + missing
  report.kept = report.kept + kept
end

-- ---- candidates: judged again and deleted ---------------------------------------------

-- By a Lua function: deleted if the value is still the one that was judged.
local function delete_unchanged(self, some, report)
  local deleted, missing, changed, status = self:delete_batch(some,
    { if_equal = some, status = true })
  local message, errno
  if not deleted then
    message, errno = missing, changed
    deleted, missing, changed, status = table.unpack(status or { 0, 0, 0, {} })
  end
  add(report, deleted, missing, changed)
  local indices = {}
  for i = 1, #some do
    if status[i] == "deleted" then indices[#indices + 1] = i end
  end
  return #indices == #some and some or some:pick(indices), message, errno
end

-- By an expression: deleted if it still holds.
local function delete_matching(query, run, some, report)
  local deleted, missing, kept, gone = query.core:delete_live(some, run.packed)
  local message, errno
  if not deleted then
    message, errno = missing, kept
    deleted, missing, kept, gone = table.unpack(gone)
  end
  add(report, deleted, missing, kept)
  return gone, message, errno
end

-- Deletes of the candidates what is still meant: a batch of what is gone.
local function delete_some(self, query, run, some, report)
  local gone, message, errno
  if run.filter then
    gone, message, errno = delete_unchanged(self, some, report)
  else
    gone, message, errno = delete_matching(query, run, some, report)
  end
  if run.on_delete then deliver(gone, run.on_delete, report) end
  if message then common.throw(message, errno) end
  return gone
end

local function part_of(batch, from, to)
  if from == 1 and to == #batch then return batch end
  local indices = {}
  for i = from, to do indices[#indices + 1] = i end
  return batch:pick(indices)
end

-- Candidates in pieces that do not go past the limit.
local function delete_up_to(self, query, run, candidates, report)
  local at = 1
  while at <= #candidates do
    local room = run.limit and run.limit - report.deleted or #candidates
    if room <= 0 then return end
    local last = math.min(#candidates, at + room - 1)
    delete_some(self, query, run, part_of(candidates, at, last), report)
    at = last + 1
  end
end

local function candidates_of(query, run, batch, report)
  local some
  if run.filter then
    some = engine.filtered(batch, run.filter, report)
  else
    some = query.core:pick(batch, run.packed)
  end
  report.visited = report.visited + #batch
  report.matched = report.matched + #some
  return some
end

local function sweep(self, query, plan, run, report)
  local step, state, control, closing
  if run.filter then
    step, state, control, closing = engine.sources(self, query, plan, run, report)
  else
    step, state, control, closing = engine.batches(self, run, report)
  end
  for batch in step, state, control, closing do
    if run.limit and report.deleted >= run.limit then return end
    local some = candidates_of(query, run, batch, report)
    if not run.dry_run then delete_up_to(self, query, run, some, report) end
  end
  report.complete = true
end

-- ---- the kernel engine ------------------------------------------------------------------

-- One run inside the kernel. True when another one must follow: rows were handed over and are
-- read now.
local function kernel_step(query, run, report, room)
  local result, rows, errno = engine.scan(query, run, { rows = room, dry = run.dry_run,
    limit = run.limit and run.limit - report.deleted or 0 })
  if not result then return nil, rows, errno end
  report.visited = report.visited + result.visited
  report.matched = report.matched + result.matched
  if not run.dry_run then add(report, result.deleted, result.missing, 0) end
  report.stop = result.stop
  if run.on_delete then deliver(rows:batch(), run.on_delete, report) end
  rows:close()
  if result.stop == "error" then
    common.throw(("%s: delete_where: %s"):format(query.facts.info.name,
      core.errno[result.errno] or result.errno), result.errno)
  end
  return true
end

-- True when the map is done; nil, and why not, when the cursor must go on.
local function in_kernel(query, plan, run, report)
  local room = run.rows and math.max(1, math.min(plan.size.entries,
    run.memory // query.row_bytes)) or 0
  repeat
    local ok, reason, errno = kernel_step(query, run, report, room)
    if not ok then return nil, reason, errno end
  until report.stop ~= "full"
  report.complete = report.stop == "none"
  if report.stop == "none" or report.stop == "limit" then return true end
  return nil, "the walk inside the kernel was stopped at its time limit"
end

-- ---- delete_where -------------------------------------------------------------------------

local DELETE_OPTIONS = { dry_run = "boolean", limit = "number", on_delete = "function" }

local function delete_where(self, query, plan, run, report)
  if report.engine == "kernel" and not run.filter then
    local done, reason, errno = plan.obstacle == nil, plan.obstacle, nil
    if done then done, reason, errno = in_kernel(query, plan, run, report) end
    if done then return end
    if run.engine == "kernel" and report.visited == 0 then
      common.throw(("%s: delete_where: engine \"kernel\": %s"):format(query.facts.info.name,
        reason), errno or core.errno.ENOTSUPP)
    end
    report.engine, report.why = plan.cursor, reason
  end
  sweep(self, query, plan, run, report)
end

--- Deletes the entries that match, each judged immediately before it is deleted.
-- @tparam string|function|luabpf.expression where
-- @tparam[opt] table given
--   params: values of $name in the text. dry_run: only count. limit: delete at most so many.
--   on_delete: function(key, value), called after each deletion with what was deleted; if it
--   raises, the error has undelivered, a list of { key, value }.
--   engine, memory, budget, batch_size.
-- @treturn table visited, matched, deleted, missing (gone meanwhile), kept (no longer match, or
--   for a function: changed), engine, why, complete (the whole map was looked at), seconds;
--   matched = deleted + missing + kept + those that limit cut off.
--   nil, message, errno, report so far when the system refuses
function map:delete_where(where, given)
  local run = engine.run("delete_where", given, DELETE_OPTIONS)
  if where == nil then
    error("delete_where: where: text, compiled expression or function expected", 2)
  end
  core.check_map(self)
  if not common.kind_of(self).can_delete then return common.unsupported(self, "delete_where") end
  run.limit = options.integer("delete_where", "limit", run.given.limit, 0, math.maxinteger)
  run.dry_run, run.on_delete, run.deletes = run.given.dry_run, run.given.on_delete, true
  run.rows = run.on_delete ~= nil and not run.dry_run
  if run.dry_run then run.on_delete = nil end
  local query, plan, report = engine.begin(self, "delete", run,
    { where = where, rows = run.rows })
  report.deleted, report.missing, report.kept = 0, 0, 0
  local message, errno
  if run.limit ~= 0 then
    local _
    _, message, errno = common.caught(nil, pcall(delete_where, self, query, plan, run, report))
  end
  engine.finish(query, run, report)
  report.stop, report.exact = nil, nil
  if message then return nil, message, errno, report end
  return report
end

-- ---- drain{ where = ... } -------------------------------------------------------------------

local DRAIN_OPTIONS = { where = true, limit = "number" }

local function drain_where(self, query, run, report)
  for batch in engine.batches(self, run, report) do
    local some = candidates_of(query, run, batch, report)
    if #some > 0 then
      local gone = delete_some(self, query, run, some, report)
      if #gone > 0 then coroutine.yield(gone) end
    end
  end
  report.complete = true
  engine.finish(query, run, report)
end

local drain_all = map.drain

--- Hands over and removes entries: all, or with where those that match, each judged again
-- immediately before it is deleted and handed over as it was then.
-- @tparam[opt] integer|table given the batch size, or a table: batch_size, raw, report;
--   where: text, compiled expression or function; params
-- @return an iterator of batches; raises an error object
function map:drain(given)
  if type(given) ~= "table" or given.where == nil then return drain_all(self, given) end
  local run = engine.run("drain", given, DRAIN_OPTIONS)
  core.check_map(self)
  if not common.kind_of(self).can_delete then
    local _, message, errno = common.unsupported(self, "drain")
    common.throw(message, errno)
  end
  run.deletes, run.exact = true, true
  local query, _, report = engine.begin(self, "delete", run, { where = given.where })
  report.deleted, report.missing, report.kept = 0, 0, 0
  return iter.lazy(function() drain_where(self, query, run, report) end)
end
