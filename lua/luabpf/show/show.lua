-- SPDX-License-Identifier: MIT
--
-- Text for people: aligned tables (grid.lua), values as their types say. At the prompt values are
-- cut to what says most (room.lua).

local bytes = require "luabpf.base.bytes"
local grid = require "luabpf.show.grid"
local room = require "luabpf.show.room"

local show = {}

show.table, show.pairs = grid.text, grid.pairs

-- Those fields of a table that there are, a pair a line; lists in one line.
-- @tparam table names in their order
-- @tparam table record
function show.fields(names, record)
  local rows = {}
  for _, name in ipairs(names) do
    local value = record[name]
    if type(value) == "table" then value = table.concat(value, " ") end
    if value ~= nil and value ~= "" then rows[#rows + 1] = { name, tostring(value) } end
  end
  return show.pairs(rows)
end

-- Items of a list that are shown where a room cuts; items in a row that are the same and are
-- counted; bytes that are shown.
local MOST_ITEMS <const>, SAME_ITEMS <const>, MOST_BYTES <const> = 24, 4, 16

-- How many items from i on are the same text.
local function same_from(texts, i)
  local n = 1
  while texts[i + n] == texts[i] do n = n + 1 end
  return n
end

-- The texts of a list for a room: what repeats is counted, zeros at the end are an ellipsis.
local function shortened(texts)
  local parts, i, last = {}, 1, #texts
  while last > 0 and texts[last] == "0" do last = last - 1 end
  if #texts - last < SAME_ITEMS then last = #texts end
  if last == 0 then parts[1], i = "0", 2 end
  local most = room.cuts() and MOST_ITEMS or math.huge
  while i <= last and #parts < most do
    local n = math.min(same_from(texts, i), last - i + 1)
    if n < SAME_ITEMS then n = 1 end
    parts[#parts + 1] = n > 1 and ("%s %s%d"):format(texts[i], room.TIMES, n) or texts[i]
    i = i + n
  end
  if i <= last then
    parts[#parts + 1] = ("%s %d more"):format(room.ELLIPSIS, #texts - i + 1)
  elseif last < #texts then
    parts[#parts + 1] = room.ELLIPSIS
  end
  return parts
end

local function joined(parts)
  return "{ " .. table.concat(parts, ", ") .. " }"
end

local function list_text(list, text_of, desc)
  local parts = {}
  for i, item in ipairs(list) do parts[i] = text_of(desc, item) end
  if room.columns() then parts = shortened(parts) end
  return joined(parts)
end

-- Bytes as digits, zeros in a row counted.
local function hex_but_zeros(part)
  local parts, at = {}, 1
  while true do
    local first, last = part:find("%z%z%z%z+", at)
    local before = part:sub(at, (first or 0) - 1)
    parts[#parts + 1] = before ~= "" and bytes.hex(before) or nil
    if not first then return table.concat(parts, " ") end
    parts[#parts + 1] = ("00 %s%d"):format(room.TIMES, last - first + 1)
    at = last + 1
  end
end

-- Bytes as digits; for a room the first ones, zeros at the end as an ellipsis.
local function bytes_text(value)
  if not room.columns() then return bytes.hex(value) end
  local part = value:gsub("%z+$", "")
  if #value - #part < SAME_ITEMS then part = value end
  if part == "" then part = "\0" end
  if room.cuts() then part = part:sub(1, MOST_BYTES) end
  local text = hex_but_zeros(part)
  if #part == #value then return text end
  return ("%s%s (%d bytes)"):format(text, room.ELLIPSIS, #value)
end

local function struct_text(desc, value)
  local parts = {}
  for _, field in ipairs(desc.fields) do
    if field.name then
      parts[#parts + 1] = field.name .. " = " .. show.value(field.type, value[field.name])
    else
      parts[#parts + 1] = struct_text(field.type, value):sub(3, -3)
    end
  end
  return joined(parts)
end

-- Text as it may be printed, in one line: quoted where it has more than ASCII, escaped what a
-- terminal might obey.
function show.text(text)
  if not text:find("[%c\x80-\xff]") then return text end
  local quoted = ("%q"):format(text):gsub("\\\n", "\\n")
  if utf8.len(text) and not text:find("\xc2[\x80-\x9f]") then return quoted end
  return (quoted:gsub("[\x80-\xff]", function(c) return ("\\%d"):format(c:byte()) end))
end

-- A value as its type says: unsigned integers as such.
-- @tparam table|nil desc as layout:describe() gives it
-- @param value as decoded
-- @treturn string
function show.value(desc, value)
  local kind = desc and desc.kind
  if math.type(value) == "integer" then
    return (kind and not desc.signed and "%u" or "%d"):format(value)
  elseif type(value) == "string" then
    local raw = not kind or kind == "bytes" or kind == "special"
    if raw then return bytes_text(value) end
    return show.text(value)
  elseif type(value) == "table" and kind == "array" then
    return list_text(value, show.value, desc.elem)
  elseif type(value) == "table" and (kind == "struct" or kind == "union") then
    return struct_text(desc, value)
  elseif type(value) == "table" then
    return list_text(value, show.value)
  end
  return tostring(value)
end

local function data_text(_, value)
  if type(value) == "string" then return show.text(value) end
  if type(value) ~= "table" then return show.value(nil, value) end
  if value[1] ~= nil or next(value) == nil then return list_text(value, data_text) end
  local parts = {}
  for name, field in next, value do
    parts[#parts + 1] = ("%s = %s"):format(name, data_text(nil, field))
  end
  table.sort(parts)
  return joined(parts)
end

-- A table whose type is not known: a list, or fields by their names.
function show.data(value)
  return data_text(nil, value)
end

-- ---- entries ---------------------------------------------------------------------

-- Appends what a value's columns are called, and their types.
local function add_columns(columns, side, path, desc, percpu)
  if desc and (desc.kind == "struct" or desc.kind == "union") then
    for _, field in ipairs(desc.fields) do
      local name = field.name and path .. "." .. field.name or path
      add_columns(columns, side, name, field.type, percpu)
    end
  else
    columns[#columns + 1] = { side = side, path = path, desc = desc, percpu = percpu }
  end
end

local function get(value, path)
  for name in path:gmatch("%.([^.]+)") do value = type(value) == "table" and value[name] end
  return value
end

local NUMBERS = { int = true, float = true, pointer = true }

-- The columns of entries: those of the key, those of the value. A per-CPU value is one column; in
-- a room each of its fields is one, summed up over the CPUs.
local function columns_of(key, value, ncpu)
  local columns = {}
  add_columns(columns, "key", "key", key)
  if ncpu and not room.columns() then
    columns[#columns + 1] = { side = "value", path = "value",
      desc = { kind = "array", elem = value, n = ncpu } }
  else
    add_columns(columns, "value", "value", value, ncpu)
  end
  return columns
end

local function is_less(desc, a, b)
  if math.type(a) == "integer" and not desc.signed then return math.ult(a, b) end
  return a < b
end

-- What CPUs have each: numbers as their sum and the spread, anything else once where it is the
-- same on all of them.
local function over_cpus(desc, list)
  local texts, sum, least, most = {}, 0, nil, nil
  for i, each in ipairs(list) do
    texts[i] = show.value(desc, each)
    if desc and NUMBERS[desc.kind] then
      sum = sum + each
      if not least or is_less(desc, each, least) then least = each end
      if not most or is_less(desc, most, each) then most = each end
    end
  end
  if least then
    return ("%s (%s..%s)"):format(show.value(desc, sum), show.value(desc, least),
      show.value(desc, most))
  end
  return texts[1] and same_from(texts, 1) == #texts and texts[1] or table.concat(texts, " | ")
end

local function cell_of(column, entry)
  if not column.percpu then return show.value(column.desc, get(entry[column.side], column.path)) end
  local list = {}
  for i, each in ipairs(entry[column.side]) do list[i] = get(each, column.path) end
  return over_cpus(column.desc, list)
end

local function type_of(column)
  local text = show.type(column.desc)
  return column.percpu and text .. " sum" or text
end

-- Entries as a table: headers, rows and about as grid.text takes them.
-- @tparam table entries list of { key =, value = }
-- @tparam table|nil key, value descriptions of the layouts
-- @tparam integer|nil ncpu for per-CPU values
-- @param total how many entries there are, or a function that says so
function show.entries_grid(entries, key, value, ncpu, total)
  local columns, headers, rows = columns_of(key, value, ncpu), {}, {}
  local about = { types = {}, what = "entries", total = total }
  for c, column in ipairs(columns) do
    headers[c], about.types[c] = column.path, type_of(column)
  end
  for i, entry in ipairs(entries) do
    local row = { numeric = {} }
    for c, column in ipairs(columns) do
      row[c] = cell_of(column, entry)
      row.numeric[c] = NUMBERS[column.desc and column.desc.kind]
    end
    rows[i] = row
  end
  return headers, rows, about
end

-- The same as text.
function show.entries(...)
  return show.table(show.entries_grid(...))
end

-- Keys or values of one layout as a table, as show.entries_grid has entries.
-- @tparam table list of them
-- @tparam table desc as layout:describe() gives it
-- @tparam integer|nil ncpu for lists of what each CPU has
function show.values_grid(list, desc, ncpu)
  local entries = {}
  for i, value in ipairs(list) do entries[i] = { value = value } end
  local none = { kind = "struct", fields = {} }
  local headers, rows, about = show.entries_grid(entries, none, desc, ncpu)
  for i, header in ipairs(headers) do headers[i] = header:gsub("^value%.", "") end
  about.what = "rows"
  return headers, rows, about
end

-- A key or value, a field a line: name, value, type.
-- @tparam table desc as layout:describe() gives it
-- @tparam integer|nil ncpu for a list of what each CPU has
function show.fields_grid(value, desc, ncpu)
  local columns, rows = {}, {}
  add_columns(columns, "value", "value", desc, ncpu)
  for i, column in ipairs(columns) do
    rows[i] = { (column.path:gsub("^value%.", "")), cell_of(column, { value = value }),
      type_of(column), numeric = { [2] = NUMBERS[column.desc and column.desc.kind] } }
  end
  return { "field", "value", "type" }, rows, { what = "fields" }
end

-- ---- descriptions --------------------------------------------------------------

-- A type as C writes it; "bytes" where there is no layout.
function show.type(desc)
  local suffix = ""
  while desc and desc.kind == "array" do
    suffix, desc = suffix .. "[" .. desc.n .. "]", desc.elem
  end
  return (desc and (desc.name or desc.kind) or "bytes") .. suffix
end

local function add_fields(rows, path, desc, base)
  for _, field in ipairs(desc.fields or {}) do
    local at = base + field.bit // 8
    local name = field.name and path .. "." .. field.name or path
    if field.type.kind == "struct" or field.type.kind == "union" then
      add_fields(rows, name, field.type, at)
    else
      local bits = field.bits and (" : %d"):format(field.bits) or ""
      rows[#rows + 1] = { name, show.type(field.type) .. bits, at, field.type.size }
    end
  end
end

-- The fields of a layout as an aligned table: path, type, offset, size in bytes.
-- @tparam string path "key" or "value"
-- @tparam table|nil desc its description
-- @tparam integer size in bytes, for what has no layout
function show.layout(path, desc, size)
  local rows = {}
  if desc and desc.fields then
    add_fields(rows, path, desc, 0)
  else
    rows[1] = { path, show.type(desc), 0, size }
  end
  return show.table({ "field", "type", "offset", "size" }, rows)
end

-- A result that prints as text at the prompt.
-- @tparam table result
-- @tparam function text called with result when it is printed
function show.printable(result, text)
  return setmetatable(result, { __tostring = text, __name = "luabpf.result" })
end

-- A result that prints as a table, and is known as one (bpf.vertical turns it).
-- @tparam table result
-- @tparam function of called with result: headers, rows and about, as grid.text takes them
function show.tabular(result, of)
  return setmetatable(result, { __name = "luabpf.result", __grid = of,
    __tostring = function(self) return show.table(of(self)) end })
end

-- A result that prints as its fields of those names, as show.fields has them.
function show.record(result, names)
  return show.printable(result, function(self) return show.fields(names, self) end)
end

-- What something that holds entries is: a result that prints as its head and its layouts.
-- @tparam table result key and value: the layouts' descriptions, or nil; times: lines of text
-- @param head what stands first
-- @tparam table info key_size, value_size
-- @tparam integer|nil ncpu for per-CPU values
function show.description(result, head, info, ncpu)
  return show.printable(result, function(self)
    local parts = { tostring(head) }
    for _, what in ipairs { "key", "value" } do
      local size = info[what .. "_size"]
      if size > 0 then parts[#parts + 1] = show.layout(what, self[what], size) end
    end
    if self.times and #self.times > 0 then
      parts[#parts + 1] = table.concat(self.times, "\n")
    end
    if ncpu then parts[#parts + 1] = ("one value per CPU: a list of %d"):format(ncpu) end
    return table.concat(parts, "\n\n")
  end)
end

return show
