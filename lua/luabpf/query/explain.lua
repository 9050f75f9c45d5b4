-- SPDX-License-Identifier: MIT
--
-- What a query would do, without doing it.

local compile = require "luabpf.expr.compile"
local core = require "luabpf.core"
local runs = require "luabpf.query.run"
local options = require "luabpf.base.options"
local show = require "luabpf.show.show"

local map = core.classes["luabpf.map"]

local EXPLAIN_OPTIONS = runs.options { where = true, columns = true, group = true, select = true,
  sort = "string", limit = "number", delete = "boolean" }

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
  for _, part in ipairs(plan.fragments) do
    lines[#lines + 1] = ("\n%s\n%s"):format(part.name, part.listing)
  end
  return (table.concat(lines, "\n"):gsub("\n$", ""))
end

-- What kind of query the options are for.
local function kind_of(given)
  if given.delete then return "delete" end
  if given.group or given.select then return "aggregate" end
  return (given.columns or given.sort) and "select" or "entries"
end

--- The plan of a query: its engine and why, what each engine would cost, its instructions.
-- @tparam table given the options of select, of aggregate (group or select), or delete = true and
--   where; nothing is run
-- @treturn table engine, why, estimates (engine to ns), entries, row_bytes, size (what the
--   estimates are made of, see cost.lua), fragments (list of name and listing); prints as text
function map:explain(given)
  local run = runs.new("explain", given, EXPLAIN_OPTIONS)
  given = run.given
  options.integer("explain", "limit", given.limit, 0, math.maxinteger)
  local kind = kind_of(given)
  run.deletes = kind == "delete"
  local query, plan = runs.prepare(self, kind, run, { where = given.where,
    columns = given.columns, group = given.group, select = given.select, sort = given.sort,
    plain = kind == "aggregate" and type(given.where) ~= "function" }, 3)
  local fragments, size = {}, {}
  for name, value in pairs(plan.size) do size[name] = value end
  for i, part in ipairs(query.listings) do
    fragments[i] = { name = part[1], listing = compile.listing(part[2]) }
  end
  return show.printable({ engine = plan.engine, why = plan.why, estimates = plan.estimates,
    entries = size.entries, row_bytes = query.row_bytes, size = size,
    fragments = fragments }, plan_text)
end
