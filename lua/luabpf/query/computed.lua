-- SPDX-License-Identifier: MIT

--- Columns and groups that Lua functions give: select, rows and aggregate with
-- `columns = function` and `group = function`. Entries that match are handed over whole,
-- and Lua makes a row of each.
--
-- @module luabpf.query.computed

local blocks = require "luabpf.query.blocks"
local arrange = require "luabpf.query.arrange"
local core = require "luabpf.core"
local errors = require "luabpf.base.errors"
local groups = require "luabpf.query.groups"
local judge = require "luabpf.query.judge"
local maker = require "luabpf.query.maker"
local params = require "luabpf.expr.params"
local prepare = require "luabpf.query.prepare"
local present = require "luabpf.query.present"
local rows = require "luabpf.query.rows"
local runs = require "luabpf.query.run"
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

-- ---- entries that match -----------------------------------------------------------

-- What a row takes in Lua, about, and each of its columns.
local ROW_BYTES <const>, COLUMN_BYTES <const> = 120, 40

-- Raises where rows take more than the memory allowed.
local function check_memory(query, run, n, columns)
  local bytes = n * (ROW_BYTES + columns * COLUMN_BYTES)
  if bytes <= run.memory then return end
  errors.throw(("%s: %s: more rows than the memory allowed has room for (memory = %d)"):format(
    errors.label(query.facts.info), run.what, run.memory), core.errno.EDQUOT)
end

-- The batches of whole entries that match, as an iterator, and what closes it.
local function batches_of(self, query, plan, run, report)
  local next_block, closing = blocks.of(self, query, plan, run, report)
  return function()
    local block = next_block()
    if not block then return nil end
    judge.note_computed(run, report, #block)
    return block:batch()
  end, closing
end

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
    check_memory(of.query, run, #all, #of.maker.names + 1)
  end
  arrange.check(run.what, of.order, of.maker.types, of.maker.names)
  return blocks.once(arrange.rows(all, of.order, nil, keys))
end

-- Lists of rows, one at a time.
local function lists_of(self, of, plan)
  local next_batch, closing = batches_of(self, of.query, plan, of.run, of.report)
  if of.order then return sorted(of, next_batch, closing), nil end
  return function()
    local batch = next_batch()
    return batch and of.maker:rows(batch, of.report)
  end, closing
end

-- The iterator over the rows, which runs the query when it is asked for the first.
local function iterator(self, of, plan)
  local left, next_list, list, i = of.run.given.limit or math.huge, nil, {}, 0
  return function()
    if not next_list then next_list, of.closing.resource = lists_of(self, of, plan) end
    while left > 0 do
      i = i + 1
      if list[i] then
        left = left - 1
        return list[i]
      end
      list, i = next_list(), 0
      if not list then return nil end
    end
    return nil
  end
end

-- Begins a select or rows with a function as columns. Errors blame the caller of the caller.
-- @treturn table of run, query, report, step and closing, shape (what present.lua shows); or nil,
--   message, errno
local function begin_select(self, run)
  local given = run.given
  if given.reset then
    error(("%s: option 'reset' goes with columns in text"):format(run.what), 3)
  end
  judge.take_computed(self, run, "columns", given.columns, 3)
  local order = given.sort and arrange.parse(run.what, given.sort)
  if not order then run.limit = given.limit end
  local query, plan, report = runs.begin(self, "entries", run,
    { where = given.where, rows = true }, 5)
  if not query then return nil, plan, report end
  judge.begin_computed(run, report)
  local of = { run = run, query = query, report = report, order = order,
    maker = maker.new("columns", run.computed.fn) }
  of.closing = rows.closing(query, run, report)
  of.step, of.shape = iterator(self, of, plan), present.shape(query)
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

-- ---- groups -----------------------------------------------------------------------

-- A text that stands for the values of a group.
local function group_text(row, names)
  local parts = {}
  for _, name in ipairs(names) do
    local value = row[name]
    if value ~= nil then
      value = math.type(value) == "float" and math.tointeger(value) or value
      local text = math.type(value) == "float" and ("%a"):format(value) or tostring(value)
      parts[#parts + 1] = ("%s %s %d:%s"):format(name, type(value), #text, text)
    end
  end
  return table.concat(parts, " ")
end

-- The groups of all that was found, and the sums in agg, where a number stands for each group.
local function new_groups(run, sums)
  local taken = {}
  for _, name in ipairs(sums.item_names) do taken[name] = true end
  return { run = run, query = sums, agg = groups.new_agg(sums, run), list = {}, by_text = {},
    maker = maker.new("group", run.computed.fn, "group", taken) }
end

-- The indices of a batch's entries by the number of their group, and the numbers in order.
local function by_group(all, list)
  local indices, order = {}, {}
  for i, row in ipairs(list) do
    local text = group_text(row, all.maker.names)
    local n = all.by_text[text]
    if not n then
      n = #all.list + 1
      all.by_text[text], all.list[n] = n, row
    end
    if not indices[n] then indices[n], order[#order + 1] = {}, n end
    table.insert(indices[n], i)
  end
  return indices, order
end

-- Adds a batch to the groups.
local function add(all, batch, report)
  local indices, order = by_group(all, all.maker:rows(batch, report))
  check_memory(all.query, all.run, #all.list, #all.maker.names)
  for _, n in ipairs(order) do
    local packed = ("<i8"):pack(n) .. all.run.packed_sums:sub(9)
    all.block = all.query.core:rows(batch:pick(indices[n]), packed, all.block)
    all.agg:add(all.block)
  end
end

-- The rows: columns of the groups beside the sums.
local function rows_of(all)
  local query = all.query
  local list = all.agg:result { decoder = query.decoder, names = query.item_names, order = {} }
  for _, row in ipairs(list) do
    local group = all.list[row[slots.NUMBER]]
    row[slots.NUMBER] = nil
    for name, value in next, group do row[name] = value end
  end
  return list
end

-- The columns that are sorted by, and of which integers are unsigned; then those of the groups.
local function order_of(run, query, types, names)
  local list = run.given.sort and arrange.parse(run.what, run.given.sort) or {}
  local kinds, unsigned, all = {}, {}, {}
  for name, kind in pairs(types) do kinds[name] = kind end
  for i, item in ipairs(query.items) do
    local name = query.item_names[i]
    kinds[name], unsigned[name] = item.fn == "hist" and "table" or "number", not item.signed
  end
  table.move(names, 1, #names, 1, all)
  table.move(query.item_names, 1, #query.item_names, #all + 1, all)
  arrange.check(run.what, list, kinds, all)
  for _, name in ipairs(names) do list[#list + 1] = { name = name, direction = "asc" } end
  return list, unsigned
end

-- What a caller gets of the rows of groups.
local function arranged(run, query, list, types, names)
  arrange.rows(list, order_of(run, query, types, names))
  local limit = run.given.limit or math.huge
  for i = #list, 1, -1 do
    if i <= limit then break end
    list[i] = nil
  end
  return list
end

local function grouped(self, query, plan, run, report, sums)
  local all = new_groups(run, sums)
  local _ <close> = all.agg
  local next_batch, closing = batches_of(self, query, plan, run, report)
  local _ <close> = closing
  for batch in next_batch do add(all, batch, report) end
  local list = arranged(run, sums, rows_of(all), all.maker.types, all.maker.names)
  runs.finish(query, run, report)
  return present.groups(sums, list, all.maker.names), report
end

-- The parameters of each query: that of what matches, and that of the sums.
local function pack_params(run, query, sums)
  local values, own, others = run.params, query.shared.params, sums.shared.params
  run.packed_sums = prepare.params(sums, params.own(others, values, own))
  run.params = params.own(own, values, others)
  run.packed = judge.params(query, run)
end

-- map:aggregate with a function as group, as its tail call.
function computed.aggregate(self, run)
  local given = run.given
  if given.reset then
    error(("%s: option 'reset' goes with groups in text"):format(run.what), 2)
  end
  judge.take_computed(self, run, "group", given.group, 2)
  local parts = { where = given.where, select = given.select, rows = true }
  local query, plan, errno = runs.prepare(self, "entries", run, parts, 3)
  if not query then return nil, plan, errno end
  local sums, message
  sums, message, errno = errors.caught(nil, pcall(prepare.query, self, "aggregate",
    { group = slots.numbered, select = given.select, params = given.params }))
  if not sums then return nil, message, errno end
  pack_params(run, query, sums)
  local report = runs.report(plan, run)
  judge.begin_computed(run, report)
  return errors.caught(nil, pcall(grouped, self, query, plan, run, report, sums))
end

return computed
