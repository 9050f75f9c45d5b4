-- SPDX-License-Identifier: MIT

--- Queries that read: count, select, aggregate, of maps and of what else has a
-- source. What they mean is in prepare.lua, how they run in run.lua.
--
-- @module luabpf.query.read

local blocks = require "luabpf.query.blocks"
local computed = require "luabpf.query.computed"
local computed_groups = require "luabpf.query.computed_groups"
local core = require "luabpf.core"
local runs = require "luabpf.query.run"
local errors = require "luabpf.base.errors"
local expr = require "luabpf.expr.parse"
local groups = require "luabpf.query.groups"
local judge = require "luabpf.query.judge"
local options = require "luabpf.base.options"
local prepare = require "luabpf.query.prepare"
local present = require "luabpf.query.present"
local reset = require "luabpf.query.reset"
local scan = require "luabpf.base.scan"
local selected = require "luabpf.query.selected"

local map = core.classes["luabpf.map"]

-- The options of a method that snapshots have too: theirs are fewer.
local function known(self, name)
  local is_snapshot = (getmetatable(self) or {}).__name == "luabpf.snapshot"
  return options.of((is_snapshot and "snapshot:" or "map:") .. name)
end

-- Whether columns are given as a function, or as one that bpf.compile gave.
local function is_function(columns)
  return type(judge.function_of(columns)) == "function"
end

-- ---- count ----------------------------------------------------------------------

local function count_blocks(self, query, plan, run, report)
  if runs.by_threads(query, run, report) then return end
  for batch in runs.blocks(self, query, plan, run, report) do
    local n = run.filter and #judge.hits(batch, run.filter, report)
      or judge.match(query, batch, run, report)
    report.visited, report.matched = report.visited + #batch, report.matched + n
  end
  report.complete = true
end

local function count_where(self, query, plan, run, report)
  local result, found
  if not run.filter then result, found = runs.try_kernel(query, plan, run, report) end
  local _ <close> = found
  if not result then
    count_blocks(self, query, plan, run, report)
  elseif result.asked > 0 then
    report.matched = report.matched + #judge.asked(found:asked(), run, report)
  end
  return report.matched, runs.finish(query, run, report)
end

local read = {}

-- map:count with where or options.
function read.count(self, where, given)
  local run = runs.new("count", given, options.of "map:count")
  local query, plan, report = runs.begin(self, "entries", run, { where = where })
  if not query then return nil, plan, report end
  return errors.caught(nil, pcall(count_where, self, query, plan, run, report))
end

--- How many entries match; without a condition how many there are: an array always has
-- max_entries. Large maps are not walked for that where the kernel counts their entries itself.
-- @tparam[opt] where where the condition
-- @tparam[opt] query_options options what all queries take
-- @tparam[opt=1] integer options.workers threads that the batch engine may use
-- @treturn integer how many
-- @treturn[opt] report with a condition or options, what was done
-- @error the kernel refuses, or a query needs more than `memory`
-- @raise a text that does not compile, naming line and column
-- @kernel 6.6 for the kernel's own count
-- @usage
-- print(map:count(), (map:count "value.packets > 50"))
function map:count(where, given)
  if where == nil and given == nil then return scan.count_all(self) end
  return read.count(self, where, given)
end

-- ---- select ---------------------------------------------------------------------

-- The parts of a query that selects, as the options say.
local function select_parts(run)
  local given = run.given
  if not given.sort then run.limit = given.limit end
  return { where = given.where, columns = given.columns, sort = given.sort }
end

--- The matching entries, or columns of them. It runs when the first row is asked for.
-- @tparam[opt] query_options options what all queries take
-- @tparam[opt] where options.where the condition
-- @tparam[opt] computed_columns options.columns what of each entry; without them key and value come
-- @tparam[opt] string options.sort columns or expressions, separated by commas: numbers from the
--   largest down, text and addresses from the smallest up, by their bytes; "... asc" and "... desc"
--   say it; ties go by key
-- @tparam[opt] integer options.limit at most so many
-- @tparam[opt] string|string[] options.reset fields of the value, integers of 32 or 64 bits, that
--   are exchanged with zero in one step with reading them: nothing that is added to them atomically
--   meanwhile is lost. Rows come by batches, and a loop that is left early has taken the batch that
--   it was in; without `sort` and `limit`, and not printed
-- @treturn fun():table?,data? an iterator of tables by column names, or of key and value; it prints
--   as a table of its first rows, for which it is run once more, and `rows` gives all as a list
-- @raise a text that does not compile, naming line and column; an error object where the system
--   refuses
-- @usage
-- for row in map:select { where = "value.packets > 50", columns = "key.addr, value.bytes as size",
--   sort = "size", limit = 3 } do
--   print(row.addr, row.size)
-- end
function map:select(given)
  local run = runs.new("select", given, known(self, "select"))
  options.integer("select", "limit", run.given.limit, 0, math.maxinteger)
  if is_function(run.given.columns) then
    return computed.select(self, run, read.select, read.count)
  elseif run.given.reset then
    return reset.select(self, run)
  end
  local query, plan, report = runs.begin(self, "select", run, select_parts(run))
  if not query then errors.throw(plan, report) end
  local step, closing = selected.rows(self, query, plan, run, report)
  return present.selection { query = query, step = step, subject = self, given = given or {},
    select = read.select, count = read.count }, nil, nil, closing
end

-- The same steps, refused where all their rows would need more than the memory of the run.
local function within_memory(query, run, step)
  local left = run.memory // math.max(query.row_bytes, 1)
  return function()
    local first, second = step()
    if first ~= nil then left = left - 1 end
    if left < 0 then
      errors.throw(("%s: rows: they need more than %d bytes (option 'memory')"):format(
        errors.label(query.facts.info), run.memory), core.errno.ENOBUFS)
    end
    return first, second
  end
end

--- The rows of `map:select` as a list.
-- @tparam[opt] query_options options what all queries take
-- @tparam[opt] where options.where the condition
-- @tparam[opt] computed_columns options.columns what of each entry; without them
--   `{ key =, value = }`
-- @tparam[opt] string options.sort as in `map:select`
-- @tparam[opt] integer options.limit at most so many
-- @treturn table[] the list, which prints as a table
-- @treturn report what was done
-- @error the kernel refuses, or the rows need more than `memory`
-- @raise a text that does not compile, naming line and column
-- @usage
-- print(map:rows { columns = "key.addr, value.bytes", sort = "bytes", limit = 3 })
function map:rows(given)
  local run = runs.new("rows", given, options.of "map:rows")
  options.integer("rows", "limit", run.given.limit, 0, math.maxinteger)
  if is_function(run.given.columns) then return computed.rows(self, run) end
  local query, plan, report = runs.begin(self, "select", run, select_parts(run))
  if not query then return nil, plan, report end
  local step, closing = selected.rows(self, query, plan, run, report)
  local list, message, errno = present.rows(query, within_memory(query, run, step), nil, nil,
    closing)
  if not list then return nil, message, errno end
  return list, report
end

-- ---- aggregate ------------------------------------------------------------------

local function grouped(self, query, plan, run, report)
  local agg <close> = groups.new_agg(query, run)
  if not runs.by_threads(query, run, report, agg) then
    local next_block, closing = blocks.of(self, query, plan, run, report)
    local _ <close> = closing
    for block in next_block do agg:add(block) end
  end
  return groups.result_of(query, run, agg)
end

-- What two sums of one kind come to.
local function joined(sum, signed, a, b)
  if a == nil or b == nil then return a or b end
  if sum.fn == "count" or sum.fn == "sum" then return a + b end
  local less = signed and a < b or not signed and math.ult(a, b)
  return (sum.fn == "min") == less and a or b
end

-- Adds to the sums of a program those of the entries that it left to Lua.
local function add_asked(self, query, run, report, asked, row, parts)
  local hits = judge.asked(asked, run, report)
  report.matched = report.matched + #hits
  if #hits == 0 then return end
  local other = groups.by_rows(self, run, parts)
  local agg <close> = groups.new_agg(other, run)
  agg:add(other.core:rows(asked, run.packed, nil, hits))
  local more = groups.result_of(other, run, agg)[1]
  for i, sum in ipairs(query.sums) do
    local arg = query.items[i].arg
    row[sum.name] = joined(sum, arg and arg.kind == "signed", row[sum.name], more[sum.name])
  end
end

-- Sums in the kernel, else rows to aggregate here.
local function aggregate(self, query, plan, run, report, parts)
  if query.sums then
    local result, found = runs.try_kernel(query, plan, run, report)
    local _ <close> = found
    if result then
      local list = groups.plain_row(query, result)
      if result.asked > 0 then
        add_asked(self, query, run, report, found:asked(), list[1], parts)
      end
      return groups.finished(query, run, report, list)
    end
    query = groups.by_rows(self, run, parts)
  end
  local list = grouped(self, query, plan, run, report)
  return groups.finished(query, run, report, list)
end

--- Sums up the matching entries, in groups. Functions are `count()`, `sum`, `min`, `max`, `avg` (a
-- float), `distinct` and `hist` (a list of `{ from, to, count }` by powers of two).
-- @tparam[opt] query_options options what all queries take
-- @tparam[opt] where options.where the condition
-- @tparam[opt] computed_groups options.group the columns to group by; without them there is one row
-- @tparam[opt] columns options.select what of each group: "sum(value.bytes) as bytes"
-- @tparam[opt] string options.sort groups and results, separated by commas, in the order that
--   select has; ties and the rest by group
-- @tparam[opt] integer options.limit at most so many rows, with `group`
-- @tparam[opt=1] integer options.workers threads that the batch engine may use
-- @tparam[opt] boolean|string|string[] options.reset true: the fields inside `sum()`, else those
--   named, are exchanged with zero in one step with reading them: nothing that is added to them
--   atomically meanwhile is lost or counted twice; without `limit`
-- @treturn table[] the rows, which print as a table; exactly one without `group`
-- @treturn report what was done
-- @error the kernel refuses, or the groups need more than `memory`
-- @partial table[] with `reset`, what was taken until then
-- @raise a text that does not compile, naming line and column; with `reset`, what Lua raises in
--   between is an error object that has what was taken as `partial`
-- @usage
-- print(map:aggregate { group = "key.addr", select = { "sum(value.bytes) as bytes", "count()" },
--   sort = "bytes", limit = 3 })
function map:aggregate(given)
  local run = runs.new("aggregate", given, known(self, "aggregate"))
  given = run.given
  options.integer("aggregate", "limit", given.limit, 0, math.maxinteger)
  if is_function(given.group) then return computed_groups.aggregate(self, run) end
  if given.reset then return reset.aggregate(self, run) end
  local parts = { where = given.where, group = given.group, select = given.select,
    sort = given.sort, plain = true }
  local query, plan, report = runs.begin(self, "aggregate", run, parts)
  if not query then return nil, plan, report end
  return errors.caught(nil, pcall(aggregate, self, query, plan, run, report, parts))
end

--- A histogram of what an expression gives, by powers of two.
-- @tparam string expression what of each entry: "value.bytes"
-- @tparam[opt] query_options options what all queries take
-- @tparam[opt] where options.where the condition
-- @tparam[opt=true] boolean options.bars whether it prints as bars
-- @tparam[opt=1] integer options.workers threads that the batch engine may use
-- @treturn table[] a list of `{ from =, to =, count = }`
-- @treturn report what was done
-- @error the kernel refuses
-- @raise a text that does not compile, naming line and column
-- @usage
-- print(map:hist "value.bytes")
function map:hist(expression, given)
  if type(expression) ~= "string" then
    error(("hist: text of an expression expected, got %s"):format(type(expression)), 2)
  end
  given = options.check("hist", given, options.of "map:hist", 3)
  local asked = { select = ("hist(%s) as hist"):format(expression) }
  for name, value in pairs(given) do
    if name ~= "bars" then asked[name] = value end
  end
  core.check_map(self)
  local ok, reason = pcall(expr.integer, expression, prepare.env(self, given.params))
  if not ok then core.misuse(reason) end
  local list, report, errno = map.aggregate(self, asked)
  if not list then return nil, report, errno end
  local hist = list[1].hist
  return given.bars == false and setmetatable(hist, nil) or hist, report
end

read.select, read.rows, read.aggregate, read.hist = map.select, map.rows, map.aggregate, map.hist

return read
