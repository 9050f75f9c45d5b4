-- SPDX-License-Identifier: MIT
--
-- The header of a snapshot file: what its entries are of, and what their bytes mean.
-- docs/snapshot-format.md defines its text.

local core = require "luabpf.core"
local errors = require "luabpf.base.errors"
local json = require "luabpf.file.json"
local prepare = require "luabpf.query.prepare"
local scan = require "luabpf.base.scan"

local headers = {}

-- A value made of columns: a struct of words, each as its column decodes.
local function columns_layout(query)
  local fields, word = {}, 0
  for i, output in ipairs(query.outputs) do
    local desc = output.layout and output.layout:describe() or { kind = "int", size = 8,
      align = 8, name = output.signed and "s64" or "u64", signed = output.signed or nil }
    fields[i] = { name = output.name, type = desc, bit = 64 * word }
    word = word + output.words
  end
  return { kind = "struct", name = "columns", size = 8 * word, align = 8, fields = fields }
end

local INFO <const> = { "type", "name", "id", "key_size", "value_size", "max_entries", "map_flags",
  "map_extra" }

-- The header of a snapshot of a map now. query: of kind "keyed", nil for whole entries.
function headers.new(self, query, given)
  local info, facts = scan.info(self), prepare.facts(self)
  local header = { format = "luabpf snapshot", boot_id = core.boot_id(), kernel = core.release(),
    time = os.time(), boottime = core.boottime(), where = given.where, ncpu = facts.env.ncpu or 0,
    key = facts.env.key, value = facts.env.value }
  for _, name in ipairs(INFO) do header[name] = info[name] end
  if facts.kind.map_values then header.value_size, header.value = 4, nil end
  if given.columns then
    header.value = columns_layout(query)
    header.value_size, header.ncpu, header.columns = header.value.size, 0, {}
    for i, output in ipairs(query.outputs) do header.columns[i] = output.name end
  end
  return header
end

-- The layout that a header describes, nil where it has none. Raises for what is no description.
local function layout_of(header, what)
  local desc = header[what]
  if desc == nil then return nil end
  if type(desc) ~= "table" then error(what .. ": layout expected", 0) end
  local ok, made = pcall(core.layout, desc)
  if not ok then error(type(made) == "string" and made:gsub("^layout", what) or made, 0) end
  return made
end

-- The handle that says how entries of a header lie in memory. Raises for impossible headers.
function headers.handle(header)
  local kind = not header.columns and core.maptypes[header.type]
  local given = { type = kind and kind.id or 0, name = errors.label(header),
    key_size = header.key_size, value_size = header.value_size, ncpu = header.ncpu,
    key = layout_of(header, "key"), value = layout_of(header, "value") }
  local ok, made = pcall(core.detached, given)
  if not ok then error(made, 0) end
  return made
end

local MAX_U32 <const> = 0xffffffff
-- Source: linux/bpf.h, BPF_OBJ_NAME_LEN: 16 with its NUL.
local NAME <const> = "^[%w_.]*$"
local NAME_LENGTH <const> = 15
-- The last second of the year 9999.
local MAX_TIME <const> = 253402300799

-- Of the fields that there must be: what they are, and between what numbers lie.
local FIELDS <const> = {
  { "format", "string" }, { "type", "string" }, { "name", "string" }, { "boot_id", "string" },
  { "kernel", "string" }, { "id", "integer", 0, MAX_U32 }, { "key_size", "integer", 0, MAX_U32 },
  { "value_size", "integer", 0, MAX_U32 }, { "max_entries", "integer", 0, MAX_U32 },
  { "map_flags", "integer", 0, MAX_U32 }, { "ncpu", "integer", 0, MAX_U32 },
  { "map_extra", "integer", math.mininteger, math.maxinteger },
  { "time", "integer", 0, MAX_TIME }, { "boottime", "integer", 0, math.maxinteger },
}

local function check_field(header, name, wanted, least, most)
  local value = header[name]
  if (math.type(value) or type(value)) ~= wanted then
    error(("%s: %s expected"):format(name, wanted), 0)
  elseif least and (value < least or value > most) then
    error(("%s: %d is not within %d and %d"):format(name, value, least, most), 0)
  end
end

-- Names of columns; they are those of the fields of the value.
local function check_columns(header)
  local columns, value = header.columns, header.value
  if columns == nil then return end
  local fields = type(value) == "table" and type(value.fields) == "table" and value.fields
  if type(columns) ~= "table" or not fields then error("columns: list of names expected", 0) end
  for i = 1, math.max(#columns, #fields) do
    local field = fields[i]
    if type(columns[i]) ~= "string" or type(field) ~= "table" or field.name ~= columns[i] then
      error("columns: the names of the fields of value expected", 0)
    end
  end
end

-- Raises for a text that is not of a snapshot.
function headers.read(text)
  local header, message = json.decode(text)
  if type(header) ~= "table" then error(message or "json: an object expected", 0) end
  for _, field in ipairs(FIELDS) do check_field(header, table.unpack(field)) end
  if not header.name:find(NAME) or #header.name > NAME_LENGTH then
    error("name: the name of a map expected", 0)
  elseif header.where ~= nil and type(header.where) ~= "string" then
    error("where: text expected", 0)
  end
  check_columns(header)
  return header
end

-- Gives a snapshot that was just opened what its header says of entries. Raises for headers that
-- are wrong.
function headers.bind(snapshot)
  local handle = headers.handle(headers.read((core.snapshot_header(snapshot))))
  if not pcall(core.snapshot_bind, snapshot, handle) then
    error("key_size, value_size, ncpu: not those of the entries", 0)
  end
end

return headers
