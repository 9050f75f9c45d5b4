-- SPDX-License-Identifier: MIT

--- What a query would do, without doing it.
--
-- @module luabpf.query.explain

local compile = require "luabpf.expr.compile"
local by_line = require "luabpf.function.listing"
local changes = require "luabpf.query.changes"
local core = require "luabpf.core"
local cpus = require "luabpf.query.cpus"
local folds = require "luabpf.query.fold"
local judge = require "luabpf.query.judge"
local runs = require "luabpf.query.run"
local options = require "luabpf.base.options"
local preemption = require "luabpf.base.preemption"
local scan = require "luabpf.base.scan"
local show = require "luabpf.show.show"

local map = core.classes["luabpf.map"]

local function milliseconds(ns)
  return ("%.3f ms"):format(ns / 1e6)
end

local function plan_text(plan)
  local lines = { ("engine %s: %s"):format(plan.engine, plan.why) }
  for _, name in ipairs { "kernel", "batch", "walk" } do
    if plan.estimates[name] then
      lines[#lines + 1] = ("  %-7s about %s"):format(name, milliseconds(plan.estimates[name]))
    end
  end
  lines[#lines + 1] = ("%d entries expected, %d bytes a row"):format(plan.entries, plan.row_bytes)
  lines[#lines + 1] = ("budget %s: %s"):format(milliseconds(plan.budget), plan.budget_why)
  if plan.groups then lines[#lines + 1] = "groups are found " .. plan.groups end
  if plan.reasons and #plan.reasons > 0 then
    lines[#lines + 1] = plan.compiled and "Lua judges entries that come to"
      or "Lua judges all entries"
    for _, reason in ipairs(plan.reasons) do lines[#lines + 1] = "  " .. reason end
  end
  for _, part in ipairs(plan.fragments) do
    lines[#lines + 1] = ("\n%s\n%s"):format(part.name, part.listing)
  end
  return (table.concat(lines, "\n"):gsub("\n$", ""))
end

-- How the groups of an aggregation are found; nil where there are none.
local function groups_of(query, engine)
  if not query.group_words or query.group_words == 0 then return nil end
  if not query.index then return "by hash" end
  return query.record_bytes and engine == "kernel" and "by index, inside the kernel" or "by index"
end

-- Why entries are left to Lua, or all of them are.
local function reasons_of(run)
  local computed = run.computed
  if not run.fn and not computed then return nil end
  local list = {}
  local function add(reasons) table.move(reasons, 1, #reasons, #list + 1, list) end
  if run.fn then add(run.filter and { run.lua_why } or run.made.reasons) end
  if computed then add(computed.made and computed.made.reasons or { computed.why }) end
  return list
end

-- Puts what is compiled of a function in its place, or has Lua compute it of whole entries: the
-- kind of query. Errors blame the caller of level.
local function take_computed(self, run, kind, parts, level)
  local name = parts.fold and "fold" or kind == "aggregate" and "group" or "columns"
  if type(judge.function_of(parts[name])) ~= "function" then return kind end
  local purpose, why = judge.purposes[name], nil
  if name == "fold" then
    if not run.given.initial then
      error("explain: option 'initial': the accumulators of the fold expected", level + 1)
    end
    purpose, why = folds.purpose(run.given.initial)
  end
  judge.take_computed(self, run, name, parts[name], level + 1, purpose, why)
  parts[name] = run.computed.made
  if run.computed.made then return name == "fold" and "fold" or kind end
  parts.rows, parts.sort = true, nil
  return "entries"
end

-- Where the budget of a run comes from.
local function budget_why(run)
  local usual, why = preemption.budget()
  if run.given.budget ~= nil then return "it was asked for" end
  return run.budget == usual and why or "bpf.defaults.budget was changed"
end

-- What kind of query the options are for.
local function kind_of(given)
  if given.delete then return "delete" end
  if given.group or given.select then return "aggregate" end
  return (given.columns or given.sort) and "select" or "entries"
end

-- The same of a change.
local function take_change(self, run, parts, change, level)
  core.check_map(self)
  run.cpus = scan.kind_of(self).percpu
  local plan = changes.plan(self, run, change, level + 1)
  parts.change = not run.cpus and (not run.change or run.computed.made) and plan or nil
  return parts.change and "update" or "entries"
end

--- The plan of a query.
-- @table plan
-- @tfield "kernel"|"batch"|"walk" engine the one that would be used
-- @tfield string why why it would
-- @tfield table<string,integer> estimates ns by engine
-- @tfield integer entries how many are expected
-- @tfield integer row_bytes the size of a row
-- @tfield string groups how the groups of an aggregation are found, "by index" (also ", inside
--   the kernel") or "by hash"
-- @tfield integer budget ns that a run inside the kernel may take
-- @tfield string budget_why where that comes from: whether the kernel is preemptible, and who says
--   so
-- @tfield table size what the estimates are made of
-- @tfield table[] fragments the compiled parts: `name` and `listing` of each
-- @tfield[opt] boolean|"partly" compiled of functions, what of them runs without Lua
-- @tfield[opt] string[] reasons of functions, what is left to Lua: "file:line: why"

--- What a query would do: its engine and why, the cost, the instructions. Runs nothing.
-- @tparam[opt] query_options options what all queries take
-- @tparam[opt] where options.where the condition
-- @tparam[opt] computed_columns options.columns as of `map:select`
-- @tparam[opt] computed_groups options.group as of `map:aggregate`
-- @tparam[opt] columns options.select as of `map:aggregate`
-- @tparam[opt] string options.sort as of `map:select` and `map:aggregate`
-- @tparam[opt] integer options.limit as of `map:select` and `map:aggregate`
-- @tparam[opt] fun(acc:table,key:view,value:view) options.fold as of `map:fold`
-- @tparam[opt] table options.initial the accumulators of that
-- @tparam[opt=false] boolean options.delete the plan of `map:delete_where`
-- @tparam[opt] string|fun(key:view,value:view) options.change the plan of `map:update_where` with
--   that change
-- @treturn plan the plan, which prints as text
-- @raise a text that does not compile, naming line and column
-- @usage
-- print(map:explain { where = "value.packets > 50" })
function map:explain(given)
  local run = runs.new("explain", given, options.of "map:explain")
  given = run.given
  options.integer("explain", "limit", given.limit, 0, math.maxinteger)
  local kind = kind_of(given)
  run.deletes = kind == "delete"
  local parts = { where = given.where, columns = given.columns, group = given.group,
    select = given.select, sort = given.sort, fold = given.fold, plain = kind == "aggregate" }
  if given.change ~= nil then
    kind = take_change(self, run, parts, given.change, 3)
  else
    kind = take_computed(self, run, kind, parts, 2)
  end
  local query, plan, errno = runs.prepare(self, kind, run, parts, 3)
  if not query then return nil, plan, errno end
  if run.cpus then plan.engine, plan.why = plan.cursor, cpus.WHY end
  local fragments, size = {}, {}
  for name, value in pairs(plan.size) do size[name] = value end
  for i, part in ipairs(query.listings) do
    local list = part[2].by_line and by_line.text or compile.listing
    fragments[i] = { name = part[1], listing = list(part[2]) }
  end
  return show.printable({ engine = plan.engine, why = plan.why, estimates = plan.estimates,
    entries = size.entries, row_bytes = query.row_bytes, size = size,
    groups = groups_of(query, plan.engine),
    budget = run.budget, budget_why = budget_why(run),
    fragments = fragments, compiled = judge.compiled(run), reasons = reasons_of(run) }, plan_text)
end
