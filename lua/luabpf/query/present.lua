-- SPDX-License-Identifier: MIT
--
-- How the results of queries print: the rows of an aggregation, and a select, which is an iterator
-- that shows its first rows where it is printed. For that the query is run once more, for as many
-- rows as are shown.

local bars = require "luabpf.show.bars"
local errors = require "luabpf.base.errors"
local room = require "luabpf.show.room"
local show = require "luabpf.show.show"

local present = {}

-- Rows of a select that are shown, where the terminal does not say.
local FIRST <const> = 20
-- Lines of a terminal that are not rows.
local OTHER_LINES <const> = 6

-- ---- cells -----------------------------------------------------------------------

-- A histogram in one line; of integers that format is for.
local function hist_text(hist, format)
  local parts = {}
  for i, step in ipairs(hist) do
    parts[i] = (format .. "-" .. format .. ": %d"):format(step.from, step.to, step.count)
  end
  return table.concat(parts, ", ")
end

-- Of a table desc is what describes it, "histogram", or nil.
local function cell_of(value, signed, desc)
  local format = signed and "%d" or "%u"
  if value == nil then return "" end
  if type(value) == "table" then
    if desc == "histogram" then return hist_text(value, format) end
    return desc and show.value(desc, value) or show.data(value)
  end
  if type(value) == "string" then return show.text(value) end
  if type(value) == "boolean" then return tostring(value) end
  return math.type(value) == "integer" and format:format(value) or value
end

local function is_signed(item)
  return item.signed or item.arg and item.arg.kind == "signed"
end

local HOLDS <const> = { array = true, struct = true, union = true }
local TYPES <const> = { avg = "float", hist = "histogram" }

local function item_type(item, signed)
  return TYPES[item.fn] or signed and "s64" or "u64"
end

local KINDS <const> = { number = "number", string = "text", boolean = "bool", table = "table" }

-- The columns that Lua made, as far as a list of rows has them: into lists of names, types and
-- whether they are signed. Without names they come by name.
local function add_made(list, known, names, types, signs)
  local kinds, found = {}, {}
  for _, row in ipairs(list) do
    for name, value in next, row do kinds[name] = KINDS[type(value)] end
  end
  for name in pairs(kinds) do found[#found + 1] = name end
  table.sort(found)
  for i, name in ipairs(known or found) do
    names[i], types[i], signs[i] = name, kinds[name] or "", true
  end
end

-- The columns that a query gives: lists of names, types, whether they are signed, and descriptions
-- where they are known.
local function columns_of(query, list)
  local names, types, signs, descs = {}, {}, {}, {}
  if query.made then add_made(list, query.names, names, types, signs) end
  for i, output in ipairs(query.outputs or {}) do
    local desc = output.ast and output.ast.desc
    names[i], signs[i], descs[i] = output.name, output.signed, desc and HOLDS[desc.kind] and desc
    types[i] = desc and show.type(desc) or output.signed and "s64" or "u64"
  end
  for i, item in ipairs(query.items or {}) do
    local signed = is_signed(item)
    names[#names + 1] = query.item_names[i]
    signs[#names], types[#names] = signed, item_type(item, signed)
    descs[#names] = TYPES[item.fn]
  end
  return names, types, signs, descs
end

-- Rows of named columns as a table.
local function rows_grid(query, list, about)
  local names, types, signs, descs = columns_of(query, list)
  local rows = {}
  for i, row in ipairs(list) do
    rows[i] = { numeric = {} }
    for c, name in ipairs(names) do
      rows[i][c] = cell_of(row[name], signs[c], descs[c])
      rows[i].numeric[c] = type(row[name]) == "number"
    end
  end
  about.types = types
  return names, rows, about
end

-- Makes the rows of an aggregation print as a table, their histograms as bars.
function present.sums(query, list)
  for i, item in ipairs(query.items) do
    for _, row in ipairs(item.fn == "hist" and list or {}) do
      bars.printable(row[query.item_names[i]], is_signed(item))
    end
  end
  return show.tabular(list, function(self) return rows_grid(query, self, {}) end)
end

-- What prints rows with columns that Lua made.
-- @tparam table query
-- @tparam[opt] table names the columns in order
function present.shape(query, names)
  return { decoder = true, made = true, names = names, facts = query.facts }
end

-- The same of groups: those columns, then the results.
function present.groups(query, list, names)
  return present.sums({ made = true, names = names, items = query.items,
    item_names = query.item_names }, list)
end

-- ---- selects ------------------------------------------------------------------------

-- The rows of a select as a table: tables of columns, or entries.
local function grid(query, list, about)
  if query.decoder then return rows_grid(query, list, about) end
  local env = query.facts.env
  local headers, rows, all = show.entries_grid(list, env.key, env.value, env.ncpu, about.total)
  all.more, all.always = about.more, about.always
  return headers, rows, all
end

-- All that an iterator gives, up to most, as the select of that query gives it.
local function collect(query, most, step, state, control, closing)
  local list, _ <close> = {}, closing
  for first, second in step, state, control do
    list[#list + 1] = query.decoder and first or { key = first, value = second }
    if #list == most then break end
  end
  return list
end

local selection = { __name = "luabpf.select" }
selection.__index = {}

-- The next row.
function selection:__call()
  return self.step()
end

-- So many rows of the same select, from its start.
local function again(self, most)
  local given = {}
  for name, value in pairs(self.given) do given[name] = value end
  given.report, given.limit = nil, math.min(given.limit or math.maxinteger, most)
  return self.select(self.subject, given)
end

-- How many rows there are in all; nil where that cannot be told.
local function total_of(self)
  local given = self.given
  local ok, n = pcall(self.count, self.subject, given.where, { params = given.params,
    engine = given.engine, memory = given.memory, budget = given.budget })
  return ok and n and math.min(n, given.limit or n) or nil
end

-- The first rows as a table.
function selection:__grid()
  local lines = room.lines()
  local most = lines and math.max(lines - OTHER_LINES, 8) or FIRST
  local list = collect(self.query, most + 1, again(self, most + 1))
  local more = #list > most
  list[most + 1] = nil
  local about = { what = self.query.decoder and "rows" or "entries", more = more, always = true }
  if more and room.columns() then about.total = total_of(self) end
  return grid(self.query, list, about)
end

function selection:__tostring()
  return show.table(selection.__grid(self))
end

-- The rest of the rows as a list, which prints as a table.
function selection.__index:rows()
  return present.rows(self.query, self)
end

-- A select as its iterator.
-- @tparam table of step (gives the next row), query, subject, given (the options), select and count
--   (the functions that run them)
function present.selection(of)
  return setmetatable(of, selection)
end

-- What an iterator of that query gives as a list, which prints as a table; nil, message, errno
-- where the system refuses.
function present.rows(query, ...)
  local list, message, errno = errors.caught(nil, pcall(collect, query, nil, ...))
  if not list then return nil, message, errno end
  return show.tabular(list, function(self) return grid(query, self, {}) end)
end

return present
