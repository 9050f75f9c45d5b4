-- SPDX-License-Identifier: MIT

--- Queries that delete: delete_where and drain{ where = ... }. Every engine
-- judges the live entry immediately before it deletes it.
--
-- @module luabpf.query.sweep

local core = require "luabpf.core"
local runs = require "luabpf.query.run"
local errors = require "luabpf.base.errors"
local judge = require "luabpf.query.judge"
local iter = require "luabpf.base.iter"
local options = require "luabpf.base.options"
local pieces = require "luabpf.query.pieces"
local scan = require "luabpf.base.scan"

local map = core.classes["luabpf.map"]

-- Deletions that on_delete has not been told of, at most: so many are lost with a process that is
-- killed.
local CHUNK <const> = 256

-- ---- telling what was deleted ------------------------------------------------------

-- Tells on_delete what was deleted. If it raises, the error carries what it did not get to see.
local function deliver(gone, on_delete, report)
  for i = 1, #gone do
    local ok, err = pcall(on_delete, gone:key(i), gone:value(i))
    if not ok then
      local rest = {}
      for j = i, #gone do rest[#rest + 1] = { key = gone:key(j), value = gone:value(j) } end
      errors.throw(("on_delete: %s"):format(tostring(err)), nil,
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

-- By an expression: deleted if it still holds. What is gone as a batch, if it is wanted.
local function delete_matching(query, run, some, report)
  local deleted, missing, kept, gone = query.core:delete_live(some, run.packed, run.hands_over)
  local message, errno
  query.decided = true
  if not deleted then
    message, errno = missing, kept
    deleted, missing, kept, gone = table.unpack(gone, 1, 4)
  end
  add(report, deleted, missing, kept)
  return gone, message, errno
end

-- Deletes of the candidates what is still meant: a batch of what is gone, if it is wanted, also
-- where the system then refused to go on, and its message and errno. by_lua: Lua judged them.
local function delete_some(self, query, run, some, report, by_lua)
  local gone, message, errno
  if by_lua then
    gone, message, errno = delete_unchanged(self, some, report)
  else
    gone, message, errno = delete_matching(query, run, some, report)
  end
  if run.on_delete then deliver(gone, run.on_delete, report) end
  return gone, message, errno
end

-- Candidates in pieces that do not go past the limit. With on_delete, in chunks: what was deleted
-- of one is told before the next begins.
local function delete_up_to(self, query, run, candidates, report, by_lua)
  local most = run.on_delete and CHUNK or #candidates
  pieces.each(run, report, candidates, most, function(from, to)
    local some = pieces.part(candidates, from, to)
    local _, message, errno = delete_some(self, query, run, some, report, by_lua)
    if message then errors.throw(message, errno) end
  end)
end

-- What of a batch matches, and whether Lua judged that; what Lua judged of it beside, or nil.
local function candidates_of(query, run, batch, report)
  report.visited = report.visited + #batch
  if run.filter then return judge.filtered(batch, run.filter, report), true end
  local also = run.ask and select(2, judge.match(query, batch, run, report))
  return query.core:pick(batch, run.packed), false, also and batch:pick(also)
end

local function sweep(self, query, plan, run, report)
  for batch in runs.blocks(self, query, plan, run, report) do
    local some, by_lua, also = candidates_of(query, run, batch, report)
    delete_up_to(self, query, run, some, report, by_lua)
    if also then delete_up_to(self, query, run, also, report, true) end
    if pieces.room(run, report) <= 0 then return end
  end
  report.complete = true
end

-- ---- the kernel engine ------------------------------------------------------------------

-- Deletes what Lua says yes to of the entries that the program left to it. Where the walk begins
-- again, they come once more.
local function delete_asked(self, query, run, result, rows, report)
  if result.asked == 0 or result.stop ~= "none" or pieces.room(run, report) <= 0 then return end
  local asked = rows:asked()
  local hits = judge.asked(asked, run, report)
  if #hits > 0 then delete_up_to(self, query, run, asked:pick(hits), report, true) end
end

-- One run inside the kernel: how it stopped; nil, why there was none and errno. With on_delete it
-- only finds what matches; that is judged again and deleted in chunks.
local function kernel_step(self, query, run, report, rows_room)
  local result, rows, errno = runs.scan(query, run, { rows = rows_room,
    dry = run.dry_run or run.on_delete ~= nil, limit = run.limit and run.limit - report.deleted })
  if not result then return nil, rows, errno end
  local found <close> = rows
  report.visited = report.visited + result.visited
  if run.on_delete then
    delete_up_to(self, query, run, found:batch(), report)
    local left = result.stored < result.matched - result.cut
      or (result.stop == "limit" and pieces.room(run, report) > 0)
    if left and (result.stop == "none" or result.stop == "limit") then return "full" end
  else
    report.matched = report.matched + result.matched
    if not run.dry_run then add(report, result.deleted, result.missing, 0) end
  end
  if result.stop == "error" then
    errors.throw(("%s: delete_where: %s"):format(errors.label(query.facts.info),
      result.error), result.errno)
  end
  delete_asked(self, query, run, result, found, report)
  return result.stop
end

-- Runs that hand rows over, at most: while others insert what matches there is no last one.
local MOST_STEPS <const> = 16

-- True when it is done: else the cursor must go on.
local function in_kernel(self, query, plan, run, report)
  if plan.obstacle then
    return runs.give_up(query, run, report, plan.obstacle, plan.errno)
  end
  local rows_room = run.on_delete and runs.first_room(query, plan, run) or 0
  local stop, reason, errno
  for _ = 1, MOST_STEPS do
    stop, reason, errno = kernel_step(self, query, run, report, rows_room)
    if stop ~= "full" then break end
  end
  report.complete = stop == "none"
  if stop == "asked" then judge.notice_stop(run) end
  if stop == "none" or stop == "limit" then return true end
  runs.give_up(query, run, report, reason or runs.STOPPED[stop], errno, stop)
end

-- ---- delete_where -------------------------------------------------------------------------

local function delete_where(self, query, plan, run, report)
  if run.filter or report.engine ~= "kernel" or not in_kernel(self, query, plan, run, report) then
    sweep(self, query, plan, run, report)
  end
end

--- What a filtered delete did; `matched` is `deleted`, `missing`, `kept` and what `limit` cut off.
-- @table delete_report
-- @extends report
-- @tfield integer deleted how many are gone
-- @tfield integer missing how many somebody else had deleted before
-- @tfield integer kept how many no longer matched, or had changed, when it was their turn

--- Deletes the entries that match, each judged on the live entry immediately before it is deleted.
-- @tparam where where the condition
-- @tparam[opt] query_options options what all queries take
-- @tparam[opt=false] boolean options.dry_run only counts what would be deleted
-- @tparam[opt] integer options.limit at most so many
-- @tparam[opt] fun(key:data,value:data) options.on_delete called after each deletion, 256 of them
--   at a time: a process that is killed loses so many calls at most (an export with `drain` is for
--   what must not be lost); if it raises, the error has `undelivered`
-- @treturn delete_report what was done
-- @error the kernel refuses
-- @partial delete_report what was done until then
-- @raise a text that does not compile, naming line and column
-- @usage
-- local report = assert(map:delete_where("value.packets < $few", { params = { few = 10 } }))
-- print(report.deleted, report.kept)
function map:delete_where(where, given)
  local run = runs.new("delete_where", given, options.of "map:delete_where")
  if where == nil then
    error("delete_where: where: text, compiled expression or function expected", 2)
  end
  core.check_map(self)
  if not scan.kind_of(self).can_delete then
    return errors.unsupported(scan.info(self), "delete_where")
  end
  run.limit = options.integer("delete_where", "limit", run.given.limit, 0, math.maxinteger)
  run.dry_run, run.deletes = run.given.dry_run, true
  run.on_delete = not run.dry_run and run.given.on_delete or nil
  run.hands_over = run.on_delete ~= nil
  local query, plan, report = runs.begin(self, "delete", run,
    { where = where, rows = run.hands_over })
  if not query then return nil, plan, report end
  report.deleted, report.missing, report.kept = 0, 0, 0
  local message, errno
  if run.limit ~= 0 then
    local _
    _, message, errno = errors.caught(nil, pcall(delete_where, self, query, plan, run, report))
  end
  runs.finish(query, run, report)
  if message then return nil, message, errno, report end
  return report
end

-- ---- drain{ where = ... } -------------------------------------------------------------------

-- Deletes candidates, within the limit, and hands over what is gone.
local function drain_some(self, query, run, some, report, by_lua)
  local left = pieces.room(run, report)
  if #some > left then some = pieces.part(some, 1, left) end
  report.matched = report.matched + #some
  if #some == 0 then return end
  local gone, message, errno = delete_some(self, query, run, some, report, by_lua)
  if #gone > 0 then coroutine.yield(gone) end
  if message then errors.throw(message, errno) end
end

local function drain_where(self, query, run, report)
  for batch in runs.batches(self, run, report) do
    local some, by_lua, also = candidates_of(query, run, batch, report)
    drain_some(self, query, run, some, report, by_lua)
    if also then drain_some(self, query, run, also, report, true) end
    if pieces.room(run, report) <= 0 then return end
  end
  report.complete = true
end

--- Iterates over batches that are taken out of the map: each entry is handed over once. With
-- `where` only what matches is taken, and without the scan's options `from` and `engine`.
-- @tparam[opt] integer|query_options options the batch size, or a table
-- @tparam[opt] where options.where the condition
-- @tparam[opt] integer options.limit at most so many, with `where`
-- @tparam[opt=false] boolean options.raw binary strings come instead of decoded data
-- @treturn fun():batch? an iterator of batches, each valid until the next
-- @raise an error object where the type of map has no drain, or the kernel refuses
-- @kernel 5.6, hash types, queues and stacks
-- @usage
-- for batch in map:drain { where = "value.packets < 10" } do print(#batch) end
function map:drain(given)
  if type(given) ~= "table" or given.where == nil then return scan.drain_all(self, given) end
  local run = runs.new("drain", given, options.of "map:drain")
  core.check_map(self)
  if not scan.kind_of(self).can_delete then
    local _, message, errno = errors.unsupported(scan.info(self), "drain")
    errors.throw(message, errno)
  end
  run.limit = options.integer("drain", "limit", given.limit, 0, math.maxinteger)
  run.deletes, run.exact, run.hands_over = true, true, true
  local query, plan, report = runs.begin(self, "delete", run, { where = given.where })
  if not query then errors.throw(plan, report) end
  if report.engine == "kernel" then runs.give_up(query, run, report, plan.obstacle) end
  report.deleted, report.missing, report.kept = 0, 0, 0
  return iter.lazy(function()
    if run.limit ~= 0 then drain_where(self, query, run, report) end
  end, { close = function() runs.finish(query, run, report) end })
end
