-- SPDX-License-Identifier: MIT
--
-- Filtered work on a whole map: which entries are meant, and how they are
-- found. The only place that chooses an engine.

local core = require "luabpf.core"
local common = require "luabpf.map"
local options = require "luabpf.options"

local map = core.classes["luabpf.map"]

local DELETE_OPTIONS = { dry_run = "boolean", limit = "number", on_delete = "function",
  batch_size = true, engine = true }

local function check_where(where, what)
  if type(where) ~= "function" then
    error(("%s: where: function of key and value expected, got %s"):format(what, type(where)), 3)
  end
end

-- The indices of the entries in batch that where says yes to.
local function matches_of(batch, where)
  local hits, i = {}, 0
  for key, value in batch:views() do
    i = i + 1
    if where(key, value) then hits[#hits + 1] = i end
  end
  return hits
end

-- The same; an error in where carries how far the job had come.
local function judge(batch, where, report)
  local ok, hits = pcall(matches_of, batch, where)
  if ok then return hits end
  common.throw(("where: %s"):format(tostring(hits)), nil, { partial = report, cause = hits })
end

-- Tells on_delete what was deleted. If it raises, the error carries what it did not get to see.
local function deliver(batch, status, on_delete, report)
  for i = 1, #batch do
    if status[i] == "deleted" then
      local ok, err = pcall(on_delete, batch:key(i), batch:value(i))
      if not ok then
        local rest = {}
        for j = i, #batch do
          if status[j] == "deleted" then
            rest[#rest + 1] = { key = batch:key(j), value = batch:value(j) }
          end
        end
        common.throw(("on_delete: %s"):format(tostring(err)), nil,
          { partial = report, undelivered = rest })
      end
    end
  end
end

-- Deletes entries that are still as they were judged, at most room of them.
local function delete_matches(self, batch, hits, given, report)
  local at = 1
  while at <= #hits do
    local room = given.limit and given.limit - report.deleted or #hits
    if room <= 0 then return end
    local some = batch:pick(table.move(hits, at, math.min(#hits, at + room - 1), 1, {}))
    local deleted, missing, changed, status = self:delete_batch(some,
      { if_equal = some, status = true })
    local message, errno
    if not deleted then
      message, errno = missing, changed
      deleted, missing, changed, status = table.unpack(status or { 0, 0, 0, {} })
    end
    report.deleted = report.deleted + deleted
    report.missing = report.missing + missing
    report.kept = report.kept + changed
    if given.on_delete then deliver(some, status, given.on_delete, report) end
    if message then common.throw(message, errno) end
    at = at + #some
  end
end

local function sweep(self, where, given, report)
  for batch in map.batches(self, { batch_size = given.batch_size, engine = given.engine }) do
    if given.limit and report.deleted >= given.limit then return end
    report.visited = report.visited + #batch
    local hits = judge(batch, where, report)
    report.matched = report.matched + #hits
    if not given.dry_run then delete_matches(self, batch, hits, given, report) end
  end
  report.complete = true
end

--- Deletes the entries that where says yes to, each only if it still is what where saw.
-- @tparam function where called with views of key and value
-- @tparam[opt] table given
--   dry_run: only count. limit: delete at most so many, then stop.
--   on_delete: function(key, value), called after each deletion; if it raises, the error has
--   undelivered, a list of { key, value }. batch_size, engine: as for batches.
-- @treturn table visited, matched, deleted, missing (gone meanwhile), kept (changed meanwhile),
--   engine, complete (the whole map was looked at), seconds;
--   matched = deleted + missing + kept + those that limit cut off.
--   nil, message, errno, report so far when the system refuses
function map:delete_where(where, given)
  check_where(where, "delete_where")
  given = options.check("delete_where", given, DELETE_OPTIONS)
  options.integer("delete_where", "limit", given.limit, 0, math.maxinteger)
  local kind, start = common.kind_of(self), core.now()
  if not kind.can_delete then return common.unsupported(self, "delete_where") end
  local report = { visited = 0, matched = 0, deleted = 0, missing = 0, kept = 0,
    engine = given.engine or (kind.batch_lookup and "batch" or "walk"), complete = false }
  local _, message, errno = common.caught(nil, pcall(sweep, self, where, given, report))
  report.seconds = (core.now() - start) / 1e9
  if message then return nil, message, errno, report end
  return report
end
