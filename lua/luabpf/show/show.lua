-- SPDX-License-Identifier: MIT
--
-- Text for people: aligned tables, values as their types say.

local bytes = require "luabpf.base.bytes"

local show = {}

local function is_number(cell)
  return type(cell) == "number"
end

-- Columns a text takes; UTF-8 continuation bytes take none.
local function width(text)
  return utf8.len(text) or #text
end

local function cell_text(cell)
  if math.type(cell) == "float" then return ("%.1f"):format(cell) end
  return tostring(cell)
end

local function pad(text, wanted, right)
  local fill = (" "):rep(wanted - width(text))
  return right and fill .. text or text .. fill
end

-- An aligned table: text to the left, columns of numbers to the right.
-- @tparam table headers list of column names
-- @tparam table rows list of lists of cells; nil cells are not allowed, "" is
-- @treturn string without a newline at its end
function show.table(headers, rows)
  local widths, right, lines = {}, {}, {}
  for c, header in ipairs(headers) do
    widths[c], right[c] = width(header), rows[1] ~= nil
    for _, row in ipairs(rows) do
      widths[c] = math.max(widths[c], width(cell_text(row[c])))
      right[c] = right[c] and (is_number(row[c]) or row.numeric and row.numeric[c])
    end
  end
  local function line(cells)
    local parts = {}
    for c = 1, #headers do parts[c] = pad(cell_text(cells[c]), widths[c], right[c]) end
    return (table.concat(parts, "  "):gsub("%s+$", ""))
  end
  lines[1] = line(headers)
  for i, row in ipairs(rows) do lines[i + 1] = line(row) end
  return table.concat(lines, "\n")
end

-- Names and values, a pair a line.
-- @tparam table rows list of { name, text }
function show.pairs(rows)
  local widest, lines = 0, {}
  for _, row in ipairs(rows) do widest = math.max(widest, width(row[1])) end
  for i, row in ipairs(rows) do lines[i] = pad(row[1], widest) .. "  " .. row[2] end
  return table.concat(lines, "\n")
end

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

local function list_text(desc, list)
  local parts = {}
  for i, item in ipairs(list) do parts[i] = show.value(desc, item) end
  return "{ " .. table.concat(parts, ", ") .. " }"
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
  return "{ " .. table.concat(parts, ", ") .. " }"
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
    if raw then return bytes.hex(value) end
    return show.text(value)
  elseif type(value) == "table" and kind == "array" then
    return list_text(desc.elem, value)
  elseif type(value) == "table" and (kind == "struct" or kind == "union") then
    return struct_text(desc, value)
  elseif type(value) == "table" then
    return list_text(nil, value)
  end
  return tostring(value)
end

-- Appends what a value's columns are called, and their types.
local function add_columns(columns, path, desc)
  if desc and (desc.kind == "struct" or desc.kind == "union") then
    for _, field in ipairs(desc.fields) do
      local name = field.name and path .. "." .. field.name or path
      add_columns(columns, name, field.type)
    end
  else
    columns[#columns + 1] = { path = path, desc = desc }
  end
end

local function get(value, path)
  for name in path:gmatch("%.([^.]+)") do value = value[name] end
  return value
end

local NUMBERS = { int = true, float = true, pointer = true }

-- The columns of entries: those of the key, those of the value. A per-CPU value is one column.
local function columns_of(key, value, ncpu)
  local columns = {}
  add_columns(columns, "key", key)
  if ncpu then
    columns[#columns + 1] = { path = "value", desc = { kind = "array", elem = value } }
  else
    add_columns(columns, "value", value)
  end
  return columns
end

-- Entries as an aligned table, a column per field.
-- @tparam table entries list of { key =, value = }
-- @tparam table|nil key, value descriptions of the layouts
-- @tparam integer|nil ncpu for per-CPU values
function show.entries(entries, key, value, ncpu)
  local columns, headers, rows = columns_of(key, value, ncpu), {}, {}
  for c, column in ipairs(columns) do headers[c] = column.path end
  for i, entry in ipairs(entries) do
    local row = { numeric = {} }
    for c, column in ipairs(columns) do
      row[c] = show.value(column.desc, get(entry[column.path:match("^%a+")], column.path))
      row.numeric[c] = NUMBERS[column.desc and column.desc.kind]
    end
    rows[i] = row
  end
  return show.table(headers, rows)
end

-- ---- descriptions --------------------------------------------------------------

-- A type as C writes it.
function show.type(desc)
  local suffix = ""
  while desc.kind == "array" do
    suffix, desc = suffix .. "[" .. desc.n .. "]", desc.elem
  end
  return (desc.name or desc.kind) .. suffix
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
    rows[1] = { path, desc and show.type(desc) or "bytes", 0, size }
  end
  return show.table({ "field", "type", "offset", "size" }, rows)
end

-- A result that prints as text at the prompt.
-- @tparam table result
-- @tparam function text called with result when it is printed
function show.printable(result, text)
  return setmetatable(result, { __tostring = text, __name = "luabpf.result" })
end

-- A result that prints as its fields of those names, as show.fields has them.
function show.record(result, names)
  return show.printable(result, function(self) return show.fields(names, self) end)
end

-- What something that holds entries is: a result that prints as its head and its layouts.
-- @tparam table result key and value: the layouts' descriptions, or nil
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
    if ncpu then parts[#parts + 1] = ("one value per CPU: a list of %d"):format(ncpu) end
    return table.concat(parts, "\n\n")
  end)
end

return show
