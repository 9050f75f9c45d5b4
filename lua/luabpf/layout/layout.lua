-- SPDX-License-Identifier: MIT
--
-- Layouts from what users write: a type name, "u32", or a list of
-- declarations in the order of the C struct's fields.
--
--   { "ipv4 addr", "be16 port", "u8 pad[2]" }
--   { "u64 id", { name = "tuple", "u32 a", "u32 b" }, packed = true }
--
-- A table in the list is a nested struct; name = "slots[4]" makes it an array
-- of them, and without a name its fields appear in the parent. union = true
-- lays the fields over each other. packed = true leaves out C's padding, in
-- nested ones too unless they say packed = false.

local core = require "luabpf.core"
local declaration = require "luabpf.layout.declaration"
local suggest = require "luabpf.base.suggest"

local layout = {}

-- Deeper than any BTF of the kernel's (MAX_RESOLVE_DEPTH).
local MAX_DEPTH <const> = 32
local MAX_SIZE <const> = (1 << 29) - 1

local function fail(path, message, ...)
  error(path .. ": " .. message:format(...), 0)
end

local function is_layout(value)
  return type(value) == "userdata" and (getmetatable(value) or {}).__name == "luabpf.layout"
end

local function is_record(desc)
  return desc.kind == "struct" or desc.kind == "union"
end

local function round_up(n, unit)
  return (n + unit - 1) // unit * unit
end

-- ---- structs -------------------------------------------------------------------

local OPTIONS <const> = { name = "string", packed = "boolean", union = "boolean" }

-- Raises for what is no element of the list and no option.
local function check_keys(list, path)
  for key, value in pairs(list) do
    local wanted = OPTIONS[key]
    if wanted and type(value) ~= wanted then
      fail(path, "%s: %s expected, got %s", key, wanted, type(value))
    elseif not wanted and type(key) == "string" and type(value) == "string" then
      fail(path, "declarations are texts in the order of the C struct: \"%s %s\", not %s = \"%s\"",
        value, key, key, value)
    elseif not wanted and (math.type(key) ~= "integer" or key < 1 or key > #list) then
      fail(path, "unknown option '%s'", tostring(key))
    end
  end
  if #list == 0 then fail(path, "a struct without fields") end
end

-- Claims the names that a field gives its struct: those of an anonymous one are its own fields'.
local function claim(names, field, path)
  if field.name then
    if names[field.name] then fail(path, "the name '%s' is used twice", field.name) end
    names[field.name] = true
    return
  end
  for _, inner in ipairs(field.type.fields) do claim(names, inner, path) end
end

-- Where a field lies, by the System V ABI: a bitfield never crosses a unit of its type.
local function place(record, field, packed)
  local align = 8 * (packed and 1 or field.type.align)
  local width = field.bits or 8 * field.type.size
  local start = record.kind == "union" and 0 or record.bits
  if not field.bits or (not packed and start % align + width > 8 * field.type.size) then
    start = round_up(start, align)
  end
  field.bit = start
  record.bits = math.max(record.bits, start + width)
  record.align = math.max(record.align, align // 8)
end

local nested

-- A field of a struct from a declaration: text or a table.
local function read_field(item, packed, path, depth)
  if type(item) == "table" then return nested(item, packed, path, depth + 1) end
  if type(item) ~= "string" then fail(path, "declaration expected, got %s", type(item)) end
  local field = declaration.parse(item, path)
  if not field.name then fail(path, "%q: the name of the field is missing", item) end
  return field
end

-- The description of a struct or union. open: its last field may be the rest of an event.
local function read_struct(list, packed, path, tag, depth, open)
  if depth > MAX_DEPTH then fail(path, "structs nest deeper than %d", MAX_DEPTH) end
  check_keys(list, path)
  if list.packed ~= nil then packed = list.packed end
  local kind = list.union and "union" or "struct"
  local record = { kind = kind, name = tag or kind, bits = 0, align = 1, fields = {} }
  local names = {}
  for i, item in ipairs(list) do
    local field = read_field(item, packed, path, depth)
    if field.rest and not (open and i == #list) then
      fail(path, "%q: only the last field of an event has no length", item)
    end
    claim(names, field, path)
    place(record, field, packed)
    record.fields[i] = field
  end
  record.size, record.bits = round_up(record.bits, 8 * record.align) // 8, nil
  if record.size > MAX_SIZE then fail(path, "larger than %d bytes", MAX_SIZE) end
  return record
end

function nested(list, packed, path, depth)
  if list.name == nil then return { type = read_struct(list, packed, path, nil, depth) } end
  if type(list.name) ~= "string" then
    fail(path, "name: string expected, got %s", type(list.name))
  end
  local name, wrap = declaration.name(list.name, path)
  return { name = name, type = wrap(read_struct(list, packed, path .. "." .. name, name, depth)) }
end

-- The description of a whole key, value or event.
local function read(given, what, open)
  if is_layout(given) then return given:describe() end
  if type(given) == "table" then
    return read_struct(given, false, what, given.name or what, 1, open)
  end
  if type(given) ~= "string" then
    fail(what, "type name or list of declarations expected, got %s", type(given))
  end
  local field = declaration.parse(given, what)
  if field.bits then fail(what, "%q: a bitfield is a field of a struct", given) end
  if field.name and field.type.kind ~= "enum" then
    fail(what, "%q: a type alone, or a list of fields: { %q }", given, given)
  end
  return field.type
end

-- ---- overriding ----------------------------------------------------------------

-- The field called name, also one of an anonymous member; nil if there is none.
local function find(desc, name)
  for _, field in ipairs(desc.fields) do
    if field.name == name then return field end
    local inner = not field.name and field.type.fields and find(field.type, name)
    if inner then return inner end
  end
end

-- The names that find finds.
local function field_names(desc, names)
  names = names or {}
  for _, field in ipairs(desc.fields) do
    if field.name then names[#names + 1] = field.name
    elseif field.type.fields then field_names(field.type, names) end
  end
  return names
end

local function check_size(desc, old, path)
  if desc.size ~= old.size then
    fail(path, "%s has %d bytes, the map's %s has %d", desc.name, desc.size, old.name, old.size)
  end
end

local merge

local function override_field(field, new, path)
  if (new.bits or 0) ~= (field.bits or 0) then
    fail(path, field.bits and "the map has a bitfield of %d bits here"
      or "the map has no bitfield here", field.bits)
  end
  check_size(new.type, field.type, path)
  field.type = new.type
end

-- A nested table: goes into a struct or the structs of an array, replaces anything else.
local function override_nested(field, item, path, depth)
  local inner = field.type
  while inner.kind == "array" do inner = inner.elem end
  if is_record(inner) then
    merge(inner, item, path, depth + 1)
  else
    override_field(field, nested(item, false, path:match("^(.*)%.") or path, depth + 1), path)
  end
end

local function override_item(desc, item, path, seen, depth)
  if type(item) == "table" and not item.name then
    merge(desc, item, path, depth + 1)
    return
  end
  local is_text = type(item) == "string"
  local new = is_text and read_field(item, false, path, depth)
  if not is_text and type(item) ~= "table" then
    fail(path, "declaration expected, got %s", type(item))
  end
  local name = is_text and new.name or declaration.name(item.name, path)
  local here = path .. "." .. name
  local field = find(desc, name)
  if not field then
    fail(here, "the map has no such field%s", suggest.ending(name, field_names(desc)))
  end
  if seen[name] then fail(path, "the name '%s' is used twice", name) end
  seen[name] = true
  if is_text then override_field(field, new, here)
  else override_nested(field, item, here, depth) end
end

-- Changes the types of those fields of a description that the list names.
function merge(desc, list, path, depth)
  if depth > MAX_DEPTH then fail(path, "structs nest deeper than %d", MAX_DEPTH) end
  check_keys(list, path)
  local seen = {}
  for _, item in ipairs(list) do override_item(desc, item, path, seen, depth) end
end

local function overridden(base, given, what)
  local desc = base:describe()
  if type(given) == "table" and is_record(desc) then
    merge(desc, given, what, 1)
    return desc
  end
  local new = read(given, what)
  check_size(new, desc, what)
  return new
end

-- ---- by the names of types -------------------------------------------------------

local rename

-- What a type is called in the words of bpf.types, in it and below it; whether anything is.
local function renamed_type(desc, known, path, depth)
  local entry = known[desc.name]
  if entry and entry.whole then
    check_size(entry.whole, desc, path .. desc.name)
    return entry.whole, true
  end
  return desc, rename(desc, known, path, depth + 1)
end

-- Changes a description in place; whether anything was changed.
function rename(desc, known, path, depth)
  local changed = false
  if depth > MAX_DEPTH then return false end
  if desc.elem then desc.elem, changed = renamed_type(desc.elem, known, path, depth) end
  for _, field in ipairs(desc.fields or {}) do
    local inner
    if not field.bits then
      field.type, inner = renamed_type(field.type, known, path, depth)
      changed = changed or inner
    end
  end
  local entry = is_record(desc) and known[desc.name]
  if not entry then return changed end
  merge(desc, entry.fields, path .. desc.name, 1)
  return true
end

-- ---- the interface -------------------------------------------------------------

-- The layout of the description that fn makes. Functions here end with a call of this one, so
-- that levels are counted from them.
local function build(level, fn, ...)
  local ok, result = pcall(fn, ...)
  if ok then ok, result = pcall(core.layout, result) end
  if not ok then error(result, level or 3) end
  return result
end

-- The layout of a declaration.
-- @param given type name, list of declarations, or a layout
-- @tparam string what "key" or "value": begins the messages of errors
-- @tparam[opt=3] integer level whom errors blame, as in error(): 3 is the caller's caller
-- @tparam[opt] table options open: the last field may be "char name[]", the rest of an event
-- @treturn luabpf.layout
-- Raises for what is no declaration.
function layout.new(given, what, level, options)
  if is_layout(given) then return given end
  return build(level, read, given, what, options and options.open)
end

-- A layout with the types of some fields changed; offsets stay.
-- @tparam luabpf.layout base usually from the map's BTF
-- @param given list of declarations of those fields, each of the field's size; nested tables
--   go into nested structs. A type name or a layout replaces the whole.
-- @tparam string what "key" or "value": begins the messages of errors
-- @tparam[opt=3] integer level whom errors blame, as in error()
-- @treturn luabpf.layout
-- Raises for fields that the base has not got.
function layout.override(base, given, what, level)
  return build(level, overridden, base, given, what)
end

-- A layout in which types that are known by their names are what is said of them.
-- @tparam luabpf.layout base
-- @tparam table known by name { whole = description } or { fields = list of declarations }
-- @tparam string path begins the messages of errors, before the name
-- @treturn luabpf.layout the base, if nothing in it is known
-- Raises strings without a place: for fields that a type has not got.
function layout.renamed(base, known, path)
  local desc, changed = renamed_type(base:describe(), known, path, 0)
  return changed and build(0, function() return desc end) or base
end

return layout
