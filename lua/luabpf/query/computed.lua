-- SPDX-License-Identifier: MIT

--- Columns and groups that Lua functions give: select, rows and aggregate with
-- `columns = function` and `group = function`. Entries that match are handed over whole,
-- and Lua makes a row of each.
--
-- @module luabpf.query.computed

local blocks = require "luabpf.query.blocks"
local arrange = require "luabpf.query.arrange"
local errors = require "luabpf.base.errors"
local handover = require "luabpf.query.handover"
local judge = require "luabpf.query.judge"
local maker = require "luabpf.query.maker"
local present = require "luabpf.query.present"
local rows = require "luabpf.query.rows"
local runs = require "luabpf.query.run"
local selected = require "luabpf.query.selected"
local slots = require "luabpf.query.slots"

local computed = {}

--- Columns, or a function of views of key and value that gives a table of them: `{ size =
-- value.bytes, port = key.port }`. A column has one type; nil is an empty place.
-- @table computed_columns
-- @is string|string[]|table<string,string>|fun(key:view,value:view):table

--- Columns to group by, or a function of views of key and value: what it gives is the column
-- `group`, or a table of columns.
-- @table computed_groups
-- @is string|string[]|table<string,string>|fun(key:view,value:view):any

-- ---- columns ----------------------------------------------------------------------

-- The keys of a batch, by the rows that were made of it.
local function note_keys(keys, list, batch)
  local packed = batch:packed()
  local size = #packed // math.max(#batch, 1)
  for i, row in ipairs(list) do keys[row] = packed:sub((i - 1) * size + 1, i * size) end
end

-- All rows, in order.
local function sorted(of, next_batch, closing)
  local _ <close> = closing
  local all, keys, run = {}, {}, of.run
  for batch in next_batch do
    local list = of.maker:rows(batch, of.report)
    note_keys(keys, list, batch)
    table.move(list, 1, #list, #all + 1, all)
    handover.check_memory(of.query, run, #all, #of.maker.names + 1)
  end
  arrange.check(run.what, of.order, of.maker.types, of.maker.names)
  return blocks.once(arrange.rows(all, of.order, nil, keys))
end

-- Lists of rows that Lua makes, one at a time.
local function lists_by_lua(self, of, plan)
  local next_batch, closing = handover.batches(self, of.query, plan, of.run, of.report)
  if of.order then return sorted(of, next_batch, closing), nil end
  return function()
    local batch = next_batch()
    return batch and of.maker:rows(batch, of.report)
  end, closing
end

-- ---- columns by what is compiled ----------------------------------------------------

-- The rows of entries that were left to Lua, by where or for their columns.
local function rows_asked(of, batch)
  local run, report = of.run, of.report
  if run.fn and not run.filter then
    batch = batch:pick(judge.hits(batch, run.fn, report))
  elseif not run.filter then
    report.asked = report.asked + #batch
  end
  report.matched = report.matched + #batch
  return of.maker:rows(batch, report)
end

-- The rows of a block as a list; their types are noted, for what Lua makes.
local function rows_in(of, block)
  local list, made = {}, of.run.computed.made
  for row in block:each(of.query.decoder) do
    list[#list + 1] = slots.completed(made, row)
    of.maker:note(row)
  end
  return list
end

local function kernel_lists(of, result, found)
  local steps = { function() return rows_in(of, found) end }
  if result.asked > 0 then
    steps[2] = function() return rows_asked(of, found:asked()) end
  end
  return function()
    local step = table.remove(steps, 1)
    return step and step()
  end
end

-- Lists of rows of a function that may leave entries to Lua.
local function lists_compiled(self, of, plan)
  local query, run, report = of.query, of.run, of.report
  if not run.filter then
    local result, found = runs.try_kernel(query, plan, run, report)
    if result then return kernel_lists(of, result, found), found end
  end
  local next_batch, _, _, closing = blocks.batches(self, query, plan, run, report)
  local block
  return function()
    local batch = next_batch()
    if not batch then return nil end
    local _, asked = query.core:match(batch, run.packed)
    block = query.core:rows(batch, run.packed, block)
    report.matched = report.matched + #block
    local list = rows_in(of, block)
    if asked then
      local more = rows_asked(of, batch:pick(asked))
      table.move(more, 1, #more, #list + 1, list)
    end
    return list
  end, closing
end

-- The iterator over the rows of lists, which runs the query when it is asked for the first.
local function iterator(self, of, plan, lists)
  local left, next_list, list, i = of.run.given.limit or math.huge, nil, {}, 0
  return function()
    if not next_list and left > 0 then next_list, of.closing.resource = lists(self, of, plan) end
    while left > 0 do
      i = i + 1
      if list[i] then
        left = left - 1
        return list[i]
      end
      list, i = next_list(), 0
      if not list then
        left = 0
        return nil
      end
    end
    return nil
  end
end

-- Rows that no entry needs Lua for: as those of columns in text.
local function compiled_step(self, of, plan)
  local made = of.run.computed.made
  local step, closing = selected.rows(self, of.query, plan, of.run, of.report)
  of.closing = closing
  if #made.empty == 0 and not next(made.texts) then return step end
  return function()
    local row = step()
    return row and slots.completed(made, row)
  end
end

-- ---- beginning ------------------------------------------------------------------------

-- Types whose bytes are ordered as what Lua makes of them.
local ORDERED <const> = { text = true, bytes = true, mac = true }

-- Whether the sorter in C has rows in the order that Lua has them in.
local function is_sorted_alike(made, order)
  local alike = {}
  for _, output in ipairs(made.outputs) do
    alike[output.name] = output.ast.kind ~= "raw" or ORDERED[output.desc.kind] or false
  end
  for _, column in ipairs(made.empty) do alike[column.name] = false end
  for name in pairs(made.texts) do alike[name] = false end
  for _, item in ipairs(order) do
    if not alike[item.name] then return false end
  end
  return not made.asks
end

-- What is compiled of a select's function, if this run can begin with it.
local function usable(run, order)
  local made = run.computed.made
  if not made then return nil end
  if order then
    arrange.check(run.what, order, made.types, made.names)
    if not is_sorted_alike(made, order) then
      judge.run_by_lua(run, "it is sorted by what Lua makes of entries")
      return nil
    end
  end
  return made
end

-- Query, plan and report of a select, by what is compiled or for Lua.
local function begin_query(self, run, order)
  local given = run.given
  if not order then run.limit = given.limit end
  local made = usable(run, order)
  if made then
    local query, plan, report = runs.begin(self, "select", run,
      { where = given.where, columns = made, sort = given.sort }, 6)
    if not query or not (run.ask and order) then return query, plan, report end
    judge.run_by_lua(run, "it is sorted, and some entries are left to Lua")
  end
  return runs.begin(self, "entries", run, { where = given.where, rows = true }, 5)
end

-- Begins a select or rows with a function as columns. Errors blame the caller of the caller.
-- @treturn table of run, query, report, step and closing, shape (what present.lua shows); or nil,
--   message, errno
local function begin_select(self, run)
  local given = run.given
  if given.reset then
    error(("%s: option 'reset' goes with columns in text"):format(run.what), 3)
  end
  judge.take_computed(self, run, "columns", given.columns, 3, judge.purposes.columns)
  local order = given.sort and arrange.parse(run.what, given.sort)
  local query, plan, report = begin_query(self, run, order)
  if not query then return nil, plan, report end
  judge.begin_computed(run, report)
  local of, made = { run = run, query = query, report = report, order = order }, run.computed.made
  of.maker = maker.new("columns", run.computed.fn)
  of.closing = rows.closing(query, run, report)
  if made and not made.asks and not run.ask then
    of.step = compiled_step(self, of, plan)
  else
    of.step = iterator(self, of, plan, made and lists_compiled or lists_by_lua)
  end
  of.shape = present.shape(query, made and made.names)
  return of
end

-- map:select with a function as columns, as its tail call.
-- @tparam function select
-- @tparam function count what the selection is shown by
function computed.select(self, run, select, count)
  local of, message, errno = begin_select(self, run)
  if not of then errors.throw(message, errno) end
  return present.selection { query = of.shape, step = of.step, subject = self, given = run.given,
    select = select, count = count }, nil, nil, of.closing
end

-- map:rows, likewise.
function computed.rows(self, run)
  local of, message, errno = begin_select(self, run)
  if not of then return nil, message, errno end
  local list
  list, message, errno = present.rows(of.shape, of.step, nil, nil, of.closing)
  if not list then return nil, message, errno end
  return list, of.report
end

return computed
