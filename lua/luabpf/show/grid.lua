-- SPDX-License-Identifier: MIT
--
-- Aligned tables. Without a room (room.lua) all of them; within one the table fits it: the types
-- stand under the names, texts are cut, columns are left out from the middle, rows from the end,
-- and lines under the table say how much was.

local room = require "luabpf.show.room"

local grid = {}

-- Between two columns.
local GAP <const> = 2
-- Texts are not cut below that many columns before columns are left out.
local LEAST <const> = 16
-- Of the terminal's lines: names, types, two below, and the prompt; rows that are shown whatever
-- there is.
local OTHER_LINES <const>, FEWEST_ROWS <const> = 6, 8
-- Lines that may name the columns left out.
local NAMING_LINES <const> = 3

local function cell_text(cell)
  if math.type(cell) == "float" then return ("%.1f"):format(cell) end
  return tostring(cell)
end

local function pad(text, wanted, right)
  local fill = (" "):rep(wanted - room.width(text))
  return right and fill .. text or text .. fill
end

-- ---- columns --------------------------------------------------------------------------

-- The columns of a table: name, type, cells (texts), whether they are aligned to the right, the
-- width of the widest.
local function columns_of(headers, rows, about, shown)
  local columns = {}
  for c, header in ipairs(headers) do
    local column = { name = header, type = about.types and about.types[c] or "", cells = {},
      right = rows[1] ~= nil, width = room.width(header) }
    for i = 1, shown do
      local row, cell = rows[i], cell_text(rows[i][c])
      column.cells[i] = cell
      column.width = math.max(column.width, room.width(cell))
      column.right = column.right
        and (type(row[c]) == "number" or row.numeric and row.numeric[c] or false)
    end
    columns[c] = column
  end
  return columns
end

local function line_of(columns, text)
  local parts = {}
  for i, column in ipairs(columns) do
    parts[i] = pad(room.cut(text(column), column.width), column.width, column.right)
  end
  return (table.concat(parts, (" "):rep(GAP)):gsub("%s+$", ""))
end

-- ---- fitting --------------------------------------------------------------------------

local function total_width(columns)
  local n = GAP * (#columns - 1)
  for _, column in ipairs(columns) do n = n + column.width end
  return n
end

-- Makes columns of text narrower, the widest first, until the excess is gone or they are as narrow
-- as they may be.
local function narrow(columns, excess)
  while excess > 0 do
    local widest
    for _, column in ipairs(columns) do
      if column.width > column.least and (not widest or column.width > widest.width) then
        widest = column
      end
    end
    if not widest then return end
    widest.width, excess = widest.width - 1, excess - 1
  end
end

local function with_types(columns)
  for _, column in ipairs(columns) do
    column.width = math.max(column.width, math.min(room.width(column.type), LEAST))
  end
end

local function limits(columns, wanted)
  for _, column in ipairs(columns) do
    column.width = math.min(column.width, wanted)
    local least = math.max(room.width(column.name), math.min(column.width, LEAST))
    column.least = column.right and column.width or math.min(least, column.width)
  end
end

-- A column in place of those left out.
local function gap_of(shown)
  local gap = { name = room.ELLIPSIS, type = "", cells = {}, width = room.width(room.ELLIPSIS) }
  for i = 1, shown do gap.cells[i] = room.ELLIPSIS end
  return gap
end

-- The first and last columns that there is room for, and what is left out between them.
local function from_both_ends(columns, wanted, shown)
  local gap = gap_of(shown)
  local first, last, left = 0, #columns + 1, wanted - gap.width
  local function fits(column) return column.least + GAP <= left end
  while first + 1 < last do
    local column = columns[first <= #columns - last + 1 and first + 1 or last - 1]
    if not fits(column) then break end
    left = left - column.least - GAP
    if column == columns[first + 1] then first = first + 1 else last = last - 1 end
  end
  if first == 0 then first, columns[1].width, columns[1].least = 1, wanted, wanted end
  local kept, left_out = table.move(columns, 1, first, 1, {}), {}
  for c = first + 1, last - 1 do left_out[#left_out + 1] = columns[c].name end
  if total_width(kept) + GAP + gap.width <= wanted or first > 1 then kept[#kept + 1] = gap end
  for c = last, #columns do kept[#kept + 1] = columns[c] end
  return kept, left_out
end

-- Columns that take at most as many as there are, and the names of those left out.
local function fitting(columns, wanted, shown)
  limits(columns, wanted)
  narrow(columns, total_width(columns) - wanted)
  if total_width(columns) <= wanted then return columns, {} end
  return from_both_ends(columns, wanted, shown)
end

-- ---- what is left out -------------------------------------------------------------------

-- "12 more columns: key.a, key.b", without the names where they take too many lines.
local function columns_line(left_out, wanted)
  local count = ("%d more column%s"):format(#left_out, #left_out == 1 and "" or "s")
  local lines = room.wrap(count .. ": " .. table.concat(left_out, ", "), wanted)
  if #lines <= NAMING_LINES then return table.concat(lines, "\n") end
  return table.concat(room.wrap(count .. "; bpf.vertical(_) shows all", wanted), "\n")
end

-- "3 of 1,204,332 entries".
local function rows_line(shown, rows, about)
  local total = about.total
  if type(total) == "function" then total = total() end
  total = math.max(total or 0, #rows)
  local what = about.what or "rows"
  if #rows == 0 and total == 0 then return "no " .. what end
  if about.more and total <= shown then
    return ("the first %s %s"):format(room.grouped(shown), what)
  end
  return total > shown and ("%s of %s %s"):format(room.grouped(shown), room.grouped(total), what)
end

-- How many rows of a table are shown.
local function rows_shown(rows)
  local lines = room.lines()
  return lines and math.min(#rows, math.max(lines - OTHER_LINES, FEWEST_ROWS)) or #rows
end

local function has_types(columns)
  for _, column in ipairs(columns) do
    if column.type ~= "" then return true end
  end
  return false
end

-- ---- a table -----------------------------------------------------------------------------

-- @tparam table headers list of column names
-- @tparam table rows list of lists of cells; nil cells are not allowed, "" is. row.numeric[c]: a
--   text that is aligned as a number
-- @tparam[opt] table about types (list of texts), total (how many rows there are, or a function
--   that says so), what they are called, more: there are more than total, nobody knows how many;
--   always: that is said without a room too
-- @treturn string without a newline at its end
function grid.text(headers, rows, about)
  about = about or {}
  local wanted, shown = room.columns(), rows_shown(rows)
  local columns, lines, left_out = columns_of(headers, rows, about, shown), {}, {}
  if wanted then
    with_types(columns)
    columns, left_out = fitting(columns, wanted, shown)
  end
  lines[1] = line_of(columns, function(column) return column.name end)
  if wanted and has_types(columns) then
    lines[2] = line_of(columns, function(column) return column.type end)
  end
  for i = 1, shown do
    lines[#lines + 1] = line_of(columns, function(column) return column.cells[i] end)
  end
  if wanted or about.always then lines[#lines + 1] = rows_line(shown, rows, about) or nil end
  if left_out[1] then lines[#lines + 1] = columns_line(left_out, wanted) end
  return table.concat(lines, "\n")
end

-- ---- pairs -----------------------------------------------------------------------------

-- Lines that a value may take in a room that cuts.
local VALUE_LINES <const> = 4

local function wrapped(name, widest, text)
  local wanted = room.columns()
  local left = wanted and math.max(wanted - widest - GAP, 8)
  if not wanted or room.width(text) <= left then return pad(name, widest) .. "  " .. text end
  local lines = room.wrap(text, left)
  local most = room.cuts() and VALUE_LINES or #lines
  if #lines > most then
    lines[VALUE_LINES] = room.split(lines[VALUE_LINES], left - room.width(room.ELLIPSIS))
      .. room.ELLIPSIS
  end
  local margin = (" "):rep(widest + GAP)
  return pad(name, widest) .. "  " .. table.concat(lines, "\n" .. margin, 1,
    math.min(#lines, most))
end

-- Names and values, a pair a line.
-- @tparam table rows list of { name, text }
function grid.pairs(rows)
  local widest, lines = 0, {}
  for _, row in ipairs(rows) do widest = math.max(widest, room.width(row[1])) end
  if room.columns() then widest = math.min(widest, room.columns() // 2) end
  for i, row in ipairs(rows) do
    lines[i] = wrapped(room.columns() and room.cut(row[1], widest) or row[1], widest, row[2])
  end
  return table.concat(lines, "\n")
end

return grid
