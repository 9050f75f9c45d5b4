-- SPDX-License-Identifier: MIT
--
-- Groups that Lua functions give: aggregate with `group = function`. What is compiled gives
-- the words of the groups, as texts do. Else Lua makes a row of each entry that matches,
-- equal rows get a number, and the sums are made by that.

local arrange = require "luabpf.query.arrange"
local blocks = require "luabpf.query.blocks"
local errors = require "luabpf.base.errors"
local groups = require "luabpf.query.groups"
local handover = require "luabpf.query.handover"
local judge = require "luabpf.query.judge"
local maker = require "luabpf.query.maker"
local params = require "luabpf.expr.params"
local prepare = require "luabpf.query.prepare"
local present = require "luabpf.query.present"
local runs = require "luabpf.query.run"
local slots = require "luabpf.query.slots"

local computed_groups = {}

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
  handover.check_memory(all.query, all.run, #all.list, #all.maker.names)
  for _, n in ipairs(order) do
    local packed = ("<i8"):pack(n) .. all.run.packed_sums:sub(9)
    all.block = all.query.core:rows(batch:pick(indices[n]), packed, all.block)
    all.agg:add(all.block)
  end
end

-- All rows of what was summed up, in no order.
local function result_of(query, agg)
  return agg:result { decoder = query.decoder, names = query.item_names, order = {} }
end

-- The rows: columns of the groups beside the sums.
local function rows_of(all)
  local list = result_of(all.query, all.agg)
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
  local next_batch, closing = handover.batches(self, query, plan, run, report)
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
  run.params = values
end

-- Groups by Lua. Errors blame as level says, as in error() here.
local function by_lua(self, run, level)
  local given = run.given
  local query, plan, errno = runs.prepare(self, "entries", run,
    { where = given.where, select = given.select, rows = true }, level + 1)
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

-- ---- groups by what is compiled ---------------------------------------------------------

-- Adds all that matches to agg; false where an entry is left to Lua.
local function sum_up(self, query, plan, run, report, agg)
  if not run.filter then
    local result, found = runs.try_kernel(query, plan, run, report)
    local _ <close> = found
    if result and result.asked == 0 then agg:add(found) end
    if result then return result.asked == 0 end
  end
  local asks, block = run.ask or run.computed.made.asks, nil
  for batch in blocks.batches(self, query, plan, run, report) do
    if asks and select(2, query.core:match(batch, run.packed)) then return false end
    block = query.core:rows(batch, run.packed, block)
    report.matched = report.matched + #block
    agg:add(block)
  end
  return true
end

-- The list of groups; nil where Lua has to make them.
local function compiled_groups(self, query, plan, run, report)
  local made, asks = run.computed.made, run.ask or run.computed.made.asks
  local agg <close> = groups.new_agg(query, run)
  local done = not asks and runs.by_threads(query, run, report, agg)
    or sum_up(self, query, plan, run, report, agg)
  if not done then return nil end
  local list = result_of(query, agg)
  for _, row in ipairs(list) do slots.completed(made, row) end
  list = arranged(run, query, list, made.types, made.sorted_names)
  runs.finish(query, run, report)
  return present.groups(query, list, made.names)
end

-- map:aggregate with a function as group, as its tail call.
function computed_groups.aggregate(self, run)
  local given = run.given
  if given.reset then
    error(("%s: option 'reset' goes with groups in text"):format(run.what), 2)
  end
  judge.take_computed(self, run, "group", given.group, 2, judge.purposes.group)
  if not run.computed.made then return by_lua(self, run, 2) end
  local query, plan, errno = runs.prepare(self, "aggregate", run, { where = given.where,
    group = run.computed.made, select = given.select }, 3)
  if not query then return nil, plan, errno end
  run.packed = judge.params(query, run)
  local report = runs.report(plan, run)
  judge.begin_computed(run, report)
  local list, message
  list, message, errno = errors.caught(nil, pcall(compiled_groups, self, query, plan, run, report))
  if list then return list, report end
  if message then return nil, message, errno end
  judge.leave_to_lua(run, report)
  return by_lua(self, run, 2)
end

return computed_groups
