-- SPDX-License-Identifier: MIT

--- Any value as text for the prompt: what prints itself by __tostring, in the room that there is;
-- tables as what they hold, functions by name. No value shows as its address, and no code of a
-- table's metatable runs but __tostring, which may fail.
--
-- @module luabpf.show.display

local core = require "luabpf.core"
local functions = require "luabpf.show.functions"
local grid = require "luabpf.show.grid"
local room = require "luabpf.show.room"
local show = require "luabpf.show.show"

local display = {}

-- How deep tables in tables are shown, and how many fields of each.
local DEPTH <const>, MOST_FIELDS <const> = 4, 16
-- Of a list in lines, and of a string: so many lines if the terminal does not say.
local USUAL_LINES <const> = 24

-- What decoded tables are, by the table: { desc =, ncpu = }.
local known = setmetatable({}, { __mode = "k" })

-- Remembers the layout that a value was decoded by.
-- @return value
function display.remember(value, desc, ncpu)
  if type(value) == "table" and desc then known[value] = { desc = desc, ncpu = ncpu } end
  return value
end

-- ---- what has no fields -----------------------------------------------------------

-- Without an address, which says nothing.
local function without_address(text)
  return (text:gsub(":? ?%(?0x%x+%)?", ""))
end

-- Values without fields; nil for others.
local function plain_text(x)
  local kind = type(x)
  if kind == "function" then return functions.text(x) end
  if kind == "thread" then return ("coroutine (%s)"):format(coroutine.status(x)) end
  if kind == "nil" or kind == "boolean" or kind == "number" then return tostring(x) end
end

-- What __tostring says; nil where there is none.
local function own_text(x)
  local meta = debug.getmetatable(x)
  local text = type(meta) == "table" and rawget(meta, "__tostring")
  if not text then return nil end
  local ok, result = pcall(tostring, x)
  if ok then return without_address(result) end
  return ("%s, whose __tostring fails: %s"):format(type(x), type(result) == "string" and result
    or type(result))
end

local function userdata_text(x)
  local meta = debug.getmetatable(x)
  local name = type(meta) == "table" and rawget(meta, "__name")
  return type(name) == "string" and name or "userdata"
end

-- ---- in one line -------------------------------------------------------------------------

local function is_list(t)
  local n = rawlen(t)
  local count = 0
  for _ in next, t do
    count = count + 1
    if count > n then return false end
  end
  return n > 0
end

local RANK <const> = { number = 1, string = 2 }

local function is_before(a, b)
  local ra, rb = RANK[type(a)] or 3, RANK[type(b)] or 3
  if ra ~= rb then return ra < rb end
  if ra < 3 then return a < b end
  return tostring(type(a)) < tostring(type(b))
end

local function keys_of(t)
  local keys = {}
  for key in next, t do keys[#keys + 1] = key end
  table.sort(keys, is_before)
  return keys
end

local inline

local function key_text(key, state, depth)
  if type(key) == "string" and key:find "^[%a_][%w_]*$" then return key end
  return ("[%s]"):format(inline(key, state, depth + 1))
end

local function fields_text(t, state, depth)
  local parts, list = {}, is_list(t)
  local most = room.cuts() and MOST_FIELDS or math.huge
  for i, key in ipairs(list and {} or keys_of(t)) do
    if i > most then
      parts[i] = room.ELLIPSIS
      break
    end
    parts[i] = ("%s = %s"):format(key_text(key, state, depth),
      inline(rawget(t, key), state, depth + 1))
  end
  for i = 1, list and math.min(rawlen(t), most) or 0 do
    parts[i] = inline(rawget(t, i), state, depth + 1)
  end
  if list and rawlen(t) > most then
    parts[#parts + 1] = ("%s %d more"):format(room.ELLIPSIS, rawlen(t) - most)
  end
  return #parts == 0 and "{}" or ("{ %s }"):format(table.concat(parts, ", "))
end

local function table_inline(t, state, depth)
  if state[t] or depth > DEPTH then return ("{%s}"):format(room.ELLIPSIS) end
  if known[t] and not known[t].ncpu then return show.value(known[t].desc, t) end
  state[t] = true
  local text = fields_text(t, state, depth)
  state[t] = nil
  return text
end

-- A value in one line; state has the tables that it is in.
function inline(x, state, depth)
  if type(x) == "string" then
    local text = show.text(x)
    return text:find '^"' and text or '"' .. text:gsub('"', '\\"') .. '"'
  end
  local text = plain_text(x)
  if text then return text end
  text = own_text(x)
  if text then return text:find "\n" and ("{%s}"):format(room.ELLIPSIS) or text end
  if type(x) == "table" then return table_inline(x, state, depth) end
  return userdata_text(x)
end

-- A value in one line: strings quoted, tables as what they hold.
function display.inline(x)
  return inline(x, {}, 1)
end

-- ---- tables ------------------------------------------------------------------------------

local function cell_of(x)
  if type(x) == "string" then return show.text(x) end
  if math.type(x) == "float" then return ("%.14g"):format(x) end
  return x == nil and "" or display.inline(x)
end

local function is_plain_table(x)
  local meta = debug.getmetatable(x)
  return type(x) == "table" and not (type(meta) == "table" and rawget(meta, "__tostring"))
end

-- Whether a list is of tables with names: rows.
local function is_rows(list)
  for i = 1, rawlen(list) do
    local row = rawget(list, i)
    if not is_plain_table(row) or next(row) == nil then return false end
    for key in next, row do
      if type(key) ~= "string" then return false end
    end
  end
  return true
end

-- The names that rows have, sorted.
local function names_of(list)
  local seen, names = {}, {}
  for i = 1, rawlen(list) do
    for name in next, rawget(list, i) do
      if not seen[name] then names[#names + 1], seen[name] = name, true end
    end
  end
  table.sort(names)
  return names
end

-- Rows as grid.text takes them.
local function rows_grid(list)
  local names, rows = names_of(list), {}
  for i = 1, rawlen(list) do
    local row = { numeric = {} }
    for c, name in ipairs(names) do
      local value = rawget(rawget(list, i), name)
      row[c], row.numeric[c] = cell_of(value), value == nil or type(value) == "number"
    end
    rows[i] = row
  end
  return names, rows, {}
end

-- A list of values, one a line.
local function list_lines(list)
  local most = math.max((room.lines() or USUAL_LINES) - 4, 4)
  local n = rawlen(list)
  local lines = {}
  for i = 1, math.min(n, most) do lines[i] = cell_of(rawget(list, i)) end
  if n > most then lines[#lines + 1] = ("%d of %d"):format(most, n) end
  return table.concat(lines, "\n")
end

local function pairs_text(t)
  local rows, keys = {}, keys_of(t)
  local most = room.cuts() and math.max((room.lines() or USUAL_LINES) - 4, 4) or math.huge
  for i = 1, math.min(#keys, most) do
    local key = keys[i]
    rows[i] = { type(key) == "string" and show.text(key) or display.inline(key),
      cell_of(rawget(t, key)) }
  end
  local text = grid.pairs(rows)
  return #keys > most and ("%s\n%d of %d fields"):format(text, most, #keys) or text
end

local BATCH <const> = debug.getregistry()["luabpf.batch"]

-- The first entries of a batch as a table.
local function entries_of(batch)
  local list, most = {}, math.max((room.lines() or USUAL_LINES) - 6, 8)
  local map = core.map_of_batch(batch)
  local key, value = core.layouts(map)
  for k, v in batch:entries() do
    if #list == most then break end
    list[#list + 1] = { key = k, value = v }
  end
  local percpu = list[1] and type(list[1].value) == "table"
    and core.maptypes[core.known_info(map).type].percpu
  local is_raw = list[1] and type(list[1].key) == "string" and key and key:describe().fields
  return show.entries_grid(list, key and not is_raw and key:describe() or nil,
    value and not is_raw and value:describe() or nil, percpu and core.cpus() or nil, #batch)
end

-- The same of what is a batch; nil for anything else, and where the batch is gone.
local function batch_grid(x)
  if type(x) ~= "userdata" or debug.getmetatable(x) ~= BATCH then return nil end
  local ok, headers, rows, about = pcall(entries_of, x)
  if not ok or #rows == 0 then return nil end
  return headers, rows, about
end

-- What the tables of a list were decoded by, if that is one layout.
local function layout_of_all(list)
  local first = known[rawget(list, 1)]
  for i = 2, first and rawlen(list) or 0 do
    local each = known[rawget(list, i)]
    if not each or each.desc ~= first.desc then return nil end
  end
  return first
end

-- The headers, rows and about of what is a table for people; nil for others.
local function grid_of(x)
  if type(x) ~= "table" then return batch_grid(x) end
  local meta = debug.getmetatable(x)
  local of = type(meta) == "table" and rawget(meta, "__grid")
  if of then return of(x) end
  if not is_plain_table(x) then return nil end
  if known[x] then return show.fields_grid(x, known[x].desc, known[x].ncpu) end
  if not is_list(x) then return nil end
  local about = layout_of_all(x)
  if about then return show.values_grid(x, about.desc, about.ncpu) end
  if is_rows(x) then return rows_grid(x) end
end

local function table_text(t)
  local headers, rows, about = grid_of(t)
  if headers then return grid.text(headers, rows, about) end
  local text = display.inline(t)
  if not room.columns() or room.width(text) <= room.columns() then return text end
  return is_list(t) and list_lines(t) or pairs_text(t)
end

-- ---- text ---------------------------------------------------------------------------------

-- A string as print has it, but what a terminal might obey.
local function string_text(s)
  local lines = {}
  for line in (s .. "\n"):gmatch "(.-)\n" do
    line = line:gsub("\t", "        ")
    local harmless = utf8.len(line) and not line:find "%c" and not line:find "\xc2[\x80-\x9f]"
    lines[#lines + 1] = harmless and line or show.text(line)
  end
  return table.concat(lines, "\n")
end

-- Lines that are wider than the room are broken.
local function fitted(text)
  local columns = room.columns()
  if not columns then return text end
  return table.concat(room.wrap(text, columns), "\n")
end

-- A long string is cut.
local function cut_string(s)
  local columns, lines = room.columns(), room.lines() or USUAL_LINES
  local most = columns and columns * math.max(lines // 2, 4)
  if not most or #s <= most then return string_text(s) end
  return string_text(s:sub(1, utf8.offset(s, 0, most) and utf8.offset(s, 0, most) - 1 or most))
    .. ("%s (%d bytes)"):format(room.ELLIPSIS, #s)
end

-- A value as text, one or more lines.
function display.text(x)
  if type(x) == "string" then return fitted(cut_string(x)) end
  local text = plain_text(x)
  if text then return fitted(text) end
  local headers, rows, about = batch_grid(x)
  if headers then return grid.text(headers, rows, about) end
  text = own_text(x)
  if text then return fitted(text) end
  if type(x) == "table" then return fitted(table_text(x)) end
  return userdata_text(x)
end

-- A value among others: text as it is, anything else in one line.
function display.brief(x)
  return type(x) == "string" and x or display.inline(x)
end

-- Whether the values are those of an iterator, as a generic for takes them: function, state,
-- control value, closing value.
local function is_iterator(list)
  local meta = list.n == 4 and debug.getmetatable(list[4])
  return type(meta) == "table" and rawget(meta, "__close") ~= nil and list[2] == nil
end

local function iterator_text(f)
  return type(f) == "function" and "an iterator, for a loop: for ... in" or display.text(f)
end

-- A query's report in one line, for what stands after its result; nil for others.
local function report_line(x)
  local meta = type(x) == "table" and debug.getmetatable(x)
  if type(meta) ~= "table" or rawget(meta, "__name") ~= "luabpf.report" then return nil end
  local parts = { ("%s engine"):format(rawget(x, "engine")) }
  for _, name in ipairs { "visited", "matched", "deleted", "asked" } do
    local n = rawget(x, name)
    if math.type(n) == "integer" then
      parts[#parts + 1] = ("%s %s"):format(room.grouped(n), name)
    end
  end
  return table.concat(parts, ", ") .. (rawget(x, "complete") and "" or ", not complete")
end

-- A value in a list of results: of nil, message, errno the last has its name.
local function result_text(list, i)
  local errno = core.errno[list[i]]
  local report = i > 1 and report_line(list[i])
  if report then return "-- " .. report end
  if i == 3 and list[1] == nil and type(list[2]) == "string" and errno then
    return ("%d (%s)"):format(list[i], errno)
  end
  return display.text(list[i])
end

-- Several values: those of one line in one, the others below each other.
-- @tparam table list with n
function display.all(list)
  if is_iterator(list) then return iterator_text(list[1]) end
  local blocks, line = {}, {}
  local function flush()
    if #line > 0 then blocks[#blocks + 1] = fitted(table.concat(line, "  ")) end
    line = {}
  end
  for i = 1, list.n do
    local text = result_text(list, i)
    if text:find "\n" or text:find "^%-%- " then
      flush()
      blocks[#blocks + 1] = text
    else
      line[#line + 1] = text
    end
  end
  flush()
  return table.concat(blocks, "\n")
end

-- ---- one field a line ----------------------------------------------------------------------

-- The rows of a table, a field a line.
local function turned(headers, rows)
  local blocks = {}
  for i, row in ipairs(rows) do
    local fields = {}
    for c, header in ipairs(headers) do fields[c] = { header, tostring(row[c]) } end
    local title = #rows > 1 and ("-- %d\n"):format(i) or ""
    blocks[i] = title .. grid.pairs(fields)
  end
  return #blocks == 0 and "no rows" or table.concat(blocks, "\n")
end

local function vertical_text(x)
  local headers, rows = grid_of(x)
  if headers and headers[1] == "field" then
    return room.columns() and grid.pairs(rows) or grid.text(headers, rows)
  end
  if headers then return turned(headers, rows) end
  if is_plain_table(x) then return pairs_text(x) end
  return display.text(x)
end

--- Anything with a field a line: each row of a list or select, a key or value, what the prompt
-- would cut otherwise.
-- @function bpf.vertical
-- @tparam any x a list of rows, a select, a decoded key or value
-- @treturn table what prints so
-- @usage
-- print(bpf.vertical(map:head(2)))
function display.vertical(x)
  return show.printable({ of = x }, function(self) return room.whole(vertical_text, self.of) end)
end

return display
