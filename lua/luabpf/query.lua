-- SPDX-License-Identifier: MIT
--
-- Queries that read: count, select, aggregate. What they mean is in
-- prepare.lua, how they run in engine.lua.

local common = require "luabpf.map"
local core = require "luabpf.core"
local engine = require "luabpf.engine"
local options = require "luabpf.options"
local prepare = require "luabpf.prepare"

local map = core.classes["luabpf.map"]

-- ---- count ----------------------------------------------------------------------

local function count_blocks(self, query, plan, run, report)
  if run.filter then
    for batch in engine.sources(self, query, plan, run, report) do
      report.visited = report.visited + #batch
      report.matched = report.matched + #engine.filtered(batch, run.filter, report)
    end
  else
    for batch in engine.batches(self, run, report) do
      report.visited = report.visited + #batch
      report.matched = report.matched + query.core:match(batch, run.packed)
    end
  end
  report.complete = true
end

local function count_where(self, run, where)
  local query, plan, report = engine.begin(self, "entries", run, { where = where })
  local result, rows, message, errno
  if not run.filter then
    result, rows, message, errno = engine.try_kernel(self, query, plan, run, report)
  end
  if result == false then return rows, message, errno end
  if not result then count_blocks(self, query, plan, run, report) end
  return report.matched, engine.finish(query, run, report)
end

local count_all = map.count

--- How many entries match; without where, how many there are.
-- @tparam[opt] string|function|luabpf.expression where
-- @tparam[opt] table given params, engine, exact, memory, budget, batch_size
-- @treturn integer and the report; nil, message, errno
function map:count(where, given)
  if where == nil and given == nil then return count_all(self) end
  local run = engine.run("count", given, {})
  return common.caught(nil, pcall(count_where, self, run, where))
end

-- ---- select ---------------------------------------------------------------------

local SELECT_OPTIONS = { where = true, columns = true, sort = "string", limit = "number" }

-- What of rows a caller gets: tables of columns, or key and value.
local function each_row(query, rows)
  if query.decoder then return rows:each(query.decoder) end
  return rows:batch():entries()
end

-- The blocks of rows that match, one at a time; the second result closes what they are read from.
local function blocks_of(self, query, plan, run, report)
  local result, rows, message, errno
  if not run.filter then
    result, rows, message, errno = engine.try_kernel(self, query, plan, run, report)
    if result == false then common.throw(message, errno) end
  end
  if result then
    local function once()
      local only = rows
      rows = nil
      return only
    end
    return once, rows
  end
  local source = run.filter and engine.sources or engine.batches
  local step, state, control, closing
  if run.filter then
    step, state, control, closing = source(self, query, plan, run, report)
  else
    step, state, control, closing = source(self, run, report)
  end
  return function()
    local batch = step(state, control)
    if not batch then
      report.complete = true
      return nil
    end
    report.visited = report.visited + #batch
    if run.filter then batch = engine.filtered(batch, run.filter, report) end
    local block = query.core:rows(batch, run.packed)
    report.matched = report.matched + #block
    return block
  end, closing
end

-- Closes a scan when its loop is left, and completes the report.
local closer = {}

function closer:__close()
  engine.finish(self.query, self.run, self.report)
  if self.resource then
    local resource <close> = self.resource -- luacheck: ignore
  end
end

local function rows_iterator(query, run, report, next_block, closing)
  local step, left = nil, run.limit or math.huge
  local function advance()
    while left > 0 do
      if step then
        local first, second = step()
        if first ~= nil then
          left = left - 1
          return first, second
        end
      end
      local block = next_block()
      if not block then return nil end
      step = each_row(query, block)
    end
    return nil
  end
  return advance, nil, nil,
    setmetatable({ query = query, run = run, report = report, resource = closing }, closer)
end

-- All matches through a sorter; gives its rows as the only block.
local function sorted(self, query, run, next_block, closing)
  local resource <close> = closing -- luacheck: ignore
  local top <close> = core.topn { map = self, limit = run.limit, memory = run.memory,
    signed = query.sort.signed, descending = query.sort.descending,
    columns = query.ncolumns, values = query.values }
  for block in next_block do top:add(block, query.sort.by) end
  local rows = top:rows()
  return function()
    local only = rows
    rows = nil
    return only
  end, rows
end

--- The matching entries, or columns of them.
-- @tparam[opt] table given
--   where: text, compiled expression or function; params.
--   columns: text, list or table of name = expression; without them, key and value.
--   sort: a column, or an integer expression: largest first; "... asc": smallest first.
--   limit: at most so many.
--   engine, exact, memory, budget, batch_size; report: a table that is filled at the end.
-- @return an iterator of tables, or of key and value; raises an error object
function map:select(given)
  local run = engine.run("select", given, SELECT_OPTIONS)
  given = run.given
  run.rows = true
  local limit = options.integer("select", "limit", given.limit, 0, math.maxinteger)
  if not given.sort then run.limit = limit end
  local query, plan, report = engine.begin(self, "select", run,
    { where = given.where, columns = given.columns, sort = given.sort })
  if run.limit == 0 then
    return function() return nil end, nil, nil,
      setmetatable({ query = query, run = run, report = report }, closer)
  end
  local next_block, closing = blocks_of(self, query, plan, run, report)
  run.limit = limit
  if query.sort then next_block, closing = sorted(self, query, run, next_block, closing) end
  return rows_iterator(query, run, report, next_block, closing)
end

-- ---- aggregate ------------------------------------------------------------------

local AGGREGATE_OPTIONS = { where = true, group = true, select = true, sort = "string",
  limit = "number" }

-- One row from what the program summed up.
local function plain_row(query, result)
  local row = {}
  for _, sum in ipairs(query.sums) do
    if sum.fn == "count" then
      row[sum.name] = result.matched
    elseif sum.fn == "sum" or result.matched > 0 then
      row[sum.name] = result.sums[sum.at]
    end
  end
  return { row }
end

local function grouped(self, query, plan, run, report)
  local next_block, closing = blocks_of(self, query, plan, run, report)
  local resource <close> = closing -- luacheck: ignore
  local agg <close> = core.agg { items = query.items, groups = query.group_words,
    signed = query.signs, memory = run.memory }
  for block in next_block do agg:add(block) end
  local order = query.order
  return agg:result { decoder = query.decoder, names = query.item_names, by = order.by,
    which = order.which, descending = order.descending, limit = run.given.limit }
end

-- Sums in the kernel, else rows to aggregate here.
local function aggregate(self, run)
  local given = run.given
  local parts = { where = given.where, group = given.group, select = given.select,
    sort = given.sort, engine = "kernel" }
  local query, plan, report = engine.begin(self, "aggregate", run, parts)
  if query.sums and not run.filter then
    local result, rows, message, errno = engine.try_kernel(self, query, plan, run, report)
    if result then return plain_row(query, result), engine.finish(query, run, report) end
    if result == false then return rows, message, errno end
  end
  if query.sums then
    parts.engine, parts.where = nil, given.where
    if run.filter then parts.where = nil end
    local why, failed = report.why, report.engine
    query = prepare.query(self, "aggregate", parts)
    run.packed = prepare.params(query, run.params)
    report.engine, report.why = failed, why
  end
  run.rows = true
  local list = grouped(self, query, plan, run, report)
  return list, engine.finish(query, run, report)
end

--- Sums up the matching entries, in groups.
-- @tparam table given
--   where, params; group: columns to group by; select: "sum(value.bytes) as bytes", "count()",
--   min, max, avg (a float), distinct, hist (list of { from, to, count }, by powers of two).
--   sort: a group or result, largest first, "... asc"; ties and the rest by group. limit.
--   engine, exact, memory (of groups and rows), budget, batch_size.
-- @treturn table list of rows (exactly one without group), and the report; nil, message, errno
function map:aggregate(given)
  local run = engine.run("aggregate", given, AGGREGATE_OPTIONS)
  options.integer("aggregate", "limit", run.given.limit, 0, math.maxinteger)
  return common.caught(nil, pcall(aggregate, self, run))
end
