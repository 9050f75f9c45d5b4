-- SPDX-License-Identifier: MIT

--- What is known of types of BTF by their names: bpf.types. And the layouts of a key or value that
-- three say something of, the later ones more: BTF, bpf.types, whoever opens the map.
--
-- @module luabpf.layout.types

local core = require "luabpf.core"
local declaration = require "luabpf.layout.declaration"
local layout = require "luabpf.layout.layout"

local types = {}

-- By the name of a type of BTF: { given = a copy of what was given, whole = declaration } where
-- all of it is of another type, or { given =, fields = list of declarations }.
local known = {}

-- A table with all that is in it; anything else as it is.
local function copied(x)
  if type(x) ~= "table" then return x end
  local copy = {}
  for name, value in pairs(x) do copy[name] = copied(value) end
  return copy
end

-- ---- bpf.types -------------------------------------------------------------------

local function misuse(what, message, ...)
  core.misuse(("types: %s: %s"):format(what, message:format(...)))
end

-- "ipv4" of the field saddr as a declaration; the width of a bitfield goes behind the name.
local function declared(name, given, what)
  local text, width = given:match "^(.-)%s*:%s*(%d+)%s*$"
  local made = ("%s %s%s"):format(text or given, name, width and " : " .. width or "")
  local ok, why = pcall(declaration.parse, made, "types: " .. what)
  if not ok then core.misuse(tostring(why)) end
  return made
end

-- A declaration of a list as it is; those within structs are looked at when it is used.
local function checked(given, what)
  if type(given) ~= "string" then return given end
  local ok, field = pcall(declaration.parse, given, "types: " .. what)
  if not ok then core.misuse(tostring(field)) end
  if not field.name then misuse(what, "%q: the name of the field is missing", given) end
  return given
end

-- The declarations of { saddr = "ipv4", { name = "tuple", "ipv4 a" } }, which is kept as it is.
local function read_fields(given, what)
  local list = {}
  for name, value in pairs(given) do
    local here = ("%s.%s"):format(what, name)
    if math.type(name) == "integer" then
      list[#list + 1] = checked(value, what)
    elseif type(value) == "string" and type(name) == "string" then
      list[#list + 1] = declared(name, value, here)
    else
      misuse(here, "the type as text expected, got %s (inner structs: { name = %q, ... })",
        type(value), tostring(name))
    end
  end
  if #list == 0 then misuse(what, "no fields") end
  return { given = given, fields = list }
end

local function read(name, given)
  if type(name) ~= "string" then
    misuse(tostring(name), "the name of a type of BTF expected, got %s", type(name))
  end
  if type(given) == "table" then return read_fields(copied(given), name) end
  if type(given) ~= "string" then
    misuse(name, "fields with their types, a type, or false expected, got %s", type(given))
  end
  local ok, made = pcall(layout.new, given, "types: " .. name, 0)
  if not ok then core.misuse(tostring(made)) end
  return { given = given, whole = made:describe() }
end

--- Says of what type fields are, by the name of the C struct that has them, for every map that is
-- opened or loaded later, and the records of events: BTF has `__be32` where an address is meant.
-- What `bpf.open` or `bpf.load` is told of one map goes over it.
-- @function bpf.types
-- @tparam[opt] table<string,table|string|boolean> by_name the name of a struct, union or typedef,
--   to the types of fields by their names, or to one type that it is as a whole; false forgets it
-- @treturn table all that is known now, in the same form
-- @raise a type that there is not, at once; a field that the struct has not, or a type of another
--   size, when a map with that struct is opened
-- @usage
-- bpf.types { flow_key = { saddr = "ipv4", daddr = "ipv4" }, mac_addr = "mac" }
-- print(bpf.types().flow_key.saddr) -- ipv4
-- bpf.types { flow_key = false, mac_addr = false }
function types.declare(given)
  if given ~= nil and type(given) ~= "table" then
    core.misuse(("types: table expected, got %s"):format(type(given)))
  end
  local new = {}
  for name, value in pairs(given or {}) do new[name] = value and read(name, value) end
  for name, entry in pairs(new) do known[name] = entry or nil end
  local all = {}
  for name, entry in pairs(known) do all[name] = copied(entry.given) end
  return all
end

-- ---- what a key or value is --------------------------------------------------------

-- A layout in the words of bpf.types; the same if they say nothing of it. Raises as layout.
function types.renamed(base)
  if not base or next(known) == nil then return base end
  return layout.renamed(base, known, "bpf.types: ")
end

-- The layout of a key or value: what was given, over what bpf.types say, over what BTF says.
-- @tparam luabpf.layout|nil base the BTF's
-- @param given a declaration, or nil
-- @tparam integer size bytes it has to have
-- @tparam string what "key", "maps.conns.value": begins the messages of errors
-- @treturn luabpf.layout|nil
-- Raises strings without a place: for declarations that cannot be.
function types.layout(base, given, size, what)
  local made = types.renamed(base)
  if given ~= nil then
    made = made and layout.override(made, given, what, 0) or layout.new(given, what, 0)
  end
  local has = made and made:describe().size
  if has and has ~= size then
    error(("%s: the layout has %d bytes, the map's %s has %d"):format(what, has,
      what:match "%w+$", size), 0)
  end
  return made
end

-- The layouts of a map of an object file, of its own BTF, before it is loaded: for
-- core.object_layouts_with.
function types.of_object(name, given, key, key_size, value, value_size)
  local what = ("maps.%s."):format(name)
  given = given or {}
  local ok, made = pcall(function()
    return { key = types.layout(key, given.key, key_size, what .. "key"),
      value = types.layout(value, given.value, value_size, what .. "value") }
  end)
  if ok then return made end
  if type(made) == "string" then core.misuse("load: " .. made) end
  error(made, 0)
end

return types
