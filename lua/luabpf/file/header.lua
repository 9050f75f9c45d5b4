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

-- The handle that says how entries of a header lie in memory. Raises for impossible headers.
function headers.handle(header)
  local kind = not header.columns and core.maptypes[header.type]
  return core.detached { type = kind and kind.id or 0, name = errors.label(header),
    key_size = header.key_size, value_size = header.value_size, ncpu = header.ncpu,
    key = header.key and core.layout(header.key),
    value = header.value and core.layout(header.value) }
end

local HEADER_TYPES <const> = { format = "string", type = "string", name = "string",
  id = "integer", key_size = "integer", value_size = "integer", max_entries = "integer",
  map_flags = "integer", map_extra = "integer", ncpu = "integer", boot_id = "string",
  kernel = "string", time = "integer", boottime = "integer" }

-- Raises for a text that is not of a snapshot.
function headers.read(text)
  local header, message = json.decode(text)
  if type(header) ~= "table" then error(message or "json: an object expected", 0) end
  for name, wanted in pairs(HEADER_TYPES) do
    local value = header[name]
    if (math.type(value) or type(value)) ~= wanted then
      error(("%s: %s expected"):format(name, wanted), 0)
    end
  end
  return header
end

return headers
