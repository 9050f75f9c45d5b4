-- SPDX-License-Identifier: MIT

--- How one comes by a map: creating, opening, listing.
--
-- @module luabpf.map.open

local called = require "luabpf.base.called"
local core = require "luabpf.core"
local errors = require "luabpf.base.errors"
local later = require "luabpf.base.later"
local options = require "luabpf.base.options"
local unfinished = require "luabpf.map.unfinished"

local layout = later.module "luabpf.layout.layout"
local show = later.module "luabpf.show.show"
local suggest = later.module "luabpf.base.suggest"
local types = later.module "luabpf.layout.types"

local maps = {}

-- The kernel keeps this much of a name. Source: BPF_OBJ_NAME_LEN in linux/bpf.h, 16 with its NUL.
local NAME_LENGTH <const> = 15
local MAX_U32 <const> = 0xffffffff

-- Source: linux/bpf.h, BPF_F_* of map_create.
local FLAGS = {
  no_prealloc = 1 << 0, no_common_lru = 1 << 1, numa_node = 1 << 2, rdonly = 1 << 3,
  wronly = 1 << 4, stack_build_id = 1 << 5, zero_seed = 1 << 6, rdonly_prog = 1 << 7,
  wronly_prog = 1 << 8, clone = 1 << 9, mmapable = 1 << 10, preserve_elems = 1 << 11,
  inner_map = 1 << 12, link = 1 << 13, path_fd = 1 << 14, vtype_btf_obj_fd = 1 << 15,
  token_fd = 1 << 16, segv_on_fault = 1 << 17, no_user_conv = 1 << 18,
}

maps.FLAGS = FLAGS

local FLAG_NAMES = {}
for name in pairs(FLAGS) do FLAG_NAMES[#FLAG_NAMES + 1] = name end
table.sort(FLAG_NAMES, function(a, b) return FLAGS[a] < FLAGS[b] end)

maps.ALL_FLAGS = 0
for _, bit in pairs(FLAGS) do maps.ALL_FLAGS = maps.ALL_FLAGS | bit end

-- The names of the bits in flags, lowest first; what has no name as a hexadecimal number.
function maps.flag_names(flags)
  local names = {}
  for _, name in ipairs(FLAG_NAMES) do
    if flags & FLAGS[name] ~= 0 then
      names[#names + 1] = name
      flags = flags & ~FLAGS[name]
    end
  end
  if flags ~= 0 then names[#names + 1] = ("0x%x"):format(flags) end
  return names
end

-- ---- creating ------------------------------------------------------------------

local function flag_bits(names, kind)
  local bits = kind.needs_no_prealloc and FLAGS.no_prealloc or 0
  for i, name in ipairs(names or {}) do
    if not FLAGS[name] then
      error(("create: flags[%d]: unknown flag '%s' (known: %s)"):format(i, tostring(name),
        table.concat(FLAG_NAMES, ", ")), 3)
    end
    bits = bits | FLAGS[name]
  end
  if kind.evicts and bits & FLAGS.no_prealloc ~= 0 then
    error(("create: flags: %s maps are always preallocated; leave no_prealloc out"):format(
      kind.name), 3)
  end
  return bits
end

local function type_of(name, what)
  local kind = type(name) == "string" and core.maptypes[name]
  if kind then return kind end
  local names = {}
  for _, known in ipairs(core.maptypes) do names[#names + 1] = known.name end
  local close = name and suggest.closest(name, names)
  error(("%s: option 'type': %s%s"):format(what or "create",
    name and ("unknown map type '%s'"):format(name) or "missing",
    close and ("; did you mean '%s'?"):format(close)
      or (" (known: %s)"):format(table.concat(names, ", "))), 3)
end

-- What the key or value is when the caller says nothing: some types allow one answer only.
local function default_layout(kind, what)
  if kind.rounds_size or (what == "key" and kind.keyless) then return nil, 0 end
  if what == "key" and kind.key_index then return "u32" end
  if what == "value" and (kind.map_values or kind.fd_values) then return "u32" end
  error(("create: option '%s': missing (a layout, or %s_size for bytes)"):format(what, what), 4)
end

-- Layout and size of the key or value that the options describe.
local function part(given, kind, what)
  local declared, size = given[what], given[what .. "_size"]
  if declared ~= nil and size then
    error(("create: %s and %s_size are given, one is enough"):format(what, what), 3)
  end
  if size then
    return nil, options.integer("create", what .. "_size", size, 0, MAX_U32, nil, 4)
  end
  if declared == nil then
    declared, size = default_layout(kind, what)
    if not declared then return nil, size end
  end
  local made = layout.new(declared, what, 4)
  return made, made:describe().size
end

local function check_name(name)
  if #name > NAME_LENGTH then
    error(("create: option 'name': %q has %d bytes, the kernel keeps %d"):format(name, #name,
      NAME_LENGTH), 3)
  end
  if name:find("[^%w_.]") then
    error(("create: option 'name': %q: letters, digits, '_' and '.' only"):format(name), 3)
  end
  return name
end

-- The map that says what the inner maps look like: a handle, and whether it is ours to close.
local function inner_map(inner, kind)
  if not kind.map_values then
    if inner ~= nil then error(("create: inner: %s maps hold no maps"):format(kind.name), 3) end
    return nil
  end
  if type(inner) == "userdata" then return inner, false end
  if type(inner) ~= "table" then
    error("create: option 'inner': a map or the options of create for one expected", 3)
  end
  local map, message, errno = maps.create(inner)
  if not map then return nil, nil, "inner: " .. message, errno end
  return map, true
end

-- What of the fields of core.create no map of the kind can have, as text; nil where nothing is.
local function cannot_be(fields, kind)
  local n = fields.max_entries
  if kind.rounds_size and (n < 4096 or n & (n - 1) ~= 0) then
    return ("max_entries of %s maps is bytes: a power of two from 4096 up"):format(kind.name)
  elseif n == 0 then
    return "max_entries is 0"
  elseif kind.keyless and fields.key_size ~= 0 then
    return ("%s maps have no keys: leave key out"):format(kind.name)
  elseif kind.key_index and fields.key_size ~= 4 then
    return ('keys of %s maps are indexes: key = "u32", or none'):format(kind.name)
  elseif kind.prefix_key and fields.key_size < 5 then
    return ('keys of %s maps are a length in bits and data: key = "prefix4"'):format(kind.name)
  end
end

-- Puts what is wrong, or the version that a type of map needs, into the message of an EINVAL.
local function explain(message, errno, kind, fields)
  local why = errno == core.errno.EINVAL and cannot_be(fields, kind)
  if why then return ("%s (%s)"):format(message, why) end
  local major, minor = core.release():match("^(%d+)%.(%d+)")
  local need_major, need_minor = kind.since:match("^(%d+)%.(%d+)")
  local has = tonumber(major or 0) * 1000 + tonumber(minor or 0)
  if errno == core.errno.EINVAL and has < tonumber(need_major) * 1000 + tonumber(need_minor) then
    return ("%s (%s maps need Linux %s, this is %s)"):format(message, kind.name, kind.since,
      core.release())
  end
  return message
end

local function pinned(half, path, replace)
  local map = half.map
  if not path then return map end
  local ok, message, errno = map:pin(path, { replace = replace or false })
  if ok then return map end
  half.map = nil
  map:close()
  return nil, message, errno
end

-- The map of those fields, pinned; it is half's (map/unfinished.lua).
local function new_map(half, fields, kind, given)
  local map, message, errno = core.create(fields)
  if not map then return nil, explain(message, errno, kind, fields), errno end
  half.map = map
  core.set_types(map, fields.key, fields.value)
  return pinned(half, given.pin, given.replace)
end

-- The map that is there, or a new one; others may pin one meanwhile.
local function open_or_new(half, fields, kind, given, existing)
  local map, message, errno = existing(given.pin, fields)
  if map == nil then return nil, message, errno end
  if map then return map, false end
  map, message, errno = new_map(half, fields, kind, given)
  if map then return map, true end
  if errno == core.errno.EEXIST then
    local other, why, code = existing(given.pin, fields)
    if other then return other, false end
    if other == nil then return nil, why, code end
  end
  return nil, message, errno
end

--- What `bpf.create` makes a map of.
-- @table create_options
-- @tfield string type the type as bpftool names it: "hash", "lru_hash", "array", "percpu_hash",
--   "lpm_trie" and so on
-- @tfield[opt=""] string name up to 15 letters, digits, `_` and `.`
-- @tfield[opt] declaration key the layout of keys; arrays take "u32" without one
-- @tfield[opt] declaration value the layout of values
-- @tfield[opt] integer key_size bytes of a key, which is a binary string then
-- @tfield[opt] integer value_size bytes of a value, which is a binary string then
-- @tfield[opt=1] integer max_entries how many entries there is room for
-- @tfield[opt] string[] flags a list of "no_prealloc", "mmapable", "zero_seed" and so on:
--   linux/bpf.h's in small letters
-- @tfield[opt] string pin a path in a bpffs, where the map lives on
-- @tfield[opt=false] boolean replace takes the place of a map that is pinned there, in one step
-- @tfield[opt] create_options|map inner for maps of maps: a map as they are to be, or the options
--   for one
-- @tfield[opt=0] integer map_extra what some types take besides, as the number of hashes of a
--   bloom filter
-- @tfield[opt] integer numa_node the node whose memory it takes

-- Creates a map.
-- @tparam table given
--   type: "hash", "lru_hash", "array", "percpu_hash", "lpm_trie", ...: the names of bpftool.
--   name: up to 15 letters, digits, "_" and ".".
--   key, value: layouts; or key_size, value_size: bytes without a layout.
--   max_entries: how many entries it has room for; 1 if left out.
--   flags: list of "no_prealloc", "mmapable", "zero_seed", "no_common_lru", ...
--   pin: a path in bpffs that keeps the map; replace: also where one is pinned already.
--   inner: for maps of maps, a map like the ones it will hold, or the options to create one.
--   map_extra: of bloom filters (number of hashes) and arenas; numa_node.
-- @treturn luabpf.map|nil, message, errno. Needs CAP_BPF, some types more.
-- Raises for options that cannot be right.
-- @tparam[opt] function existing called with the pin and what core.create takes: the map that is
--   there, false where there is none, nil, message, errno; the second result then says whether the
--   map was created
function maps.create(given, existing)
  given = options.check("create", given, options.of "create_options")
  if given.replace and not given.pin then error("create: option 'replace' goes with pin", 2) end
  local kind = type_of(given.type)
  local key, key_size = part(given, kind, "key")
  local value, value_size = part(given, kind, "value")
  local name = check_name(given.name or "")
  local flags = flag_bits(given.flags, kind)
  local inner, ours, message, errno = inner_map(given.inner, kind)
  if message then return nil, name .. ": create: " .. message, errno end
  local _ <close> = ours and inner or nil
  local fields = {
    type = kind.id, name = name, key = key, value = value,
    key_size = key_size, value_size = value_size, inner_fd = inner and inner:fd(),
    max_entries = options.integer("create", "max_entries", given.max_entries, 0, MAX_U32,
      kind.rounds_size and 4096 or 1),
    flags = flags | (given.numa_node and FLAGS.numa_node or 0), numa_node = given.numa_node,
    map_extra = given.map_extra,
  }
  local half <close> = unfinished.new(given.replace and given.pin)
  local map, more, code
  if existing then
    map, more, code = open_or_new(half, fields, kind, given, existing)
  else
    map, more, code = new_map(half, fields, kind, given)
  end
  half.map = nil
  return map, more, code
end

-- ---- opening -------------------------------------------------------------------

local function open_name(name, readonly)
  local list, message, errno = core.maps()
  if not list then return nil, ("%s: open by name: %s"):format(name, message), errno end
  local ids, names = {}, {}
  for i, info in ipairs(list) do
    names[i] = info.name
    if info.name == name:sub(1, NAME_LENGTH) then ids[#ids + 1] = info.id end
  end
  if #ids == 1 then return core.open_id(ids[1], readonly) end
  if #ids == 0 then
    return nil, ("%s: no map of that name%s"):format(name, suggest.ending(name, names)),
      core.errno.ENOENT
  end
  return nil, ("%s: %d maps have that name: ids %s; open one by its id"):format(name, #ids,
    table.concat(ids, ", ")), core.errno.EEXIST
end

local function open_source(given)
  local ways = 0
  for _, way in ipairs { "path", "name", "id", "fd" } do
    if given[way] ~= nil then ways = ways + 1 end
  end
  if ways ~= 1 then error("open: one of path, name, id and fd expected", 3) end
  if given.path then return core.open_path(given.path, given.readonly) end
  if given.name then return open_name(given.name, given.readonly) end
  if given.id then
    return core.open_id(options.integer("open", "id", given.id, 0, MAX_U32, nil, 4), given.readonly)
  end
  if given.readonly then error("open: readonly goes with path, name or id", 3) end
  return core.open_fd(options.integer("open", "fd", given.fd, 0, 0x7fffffff, nil, 4))
end

-- Gives a handle that was just opened the layouts of its key and value.
local function set_types(map, given)
  local info, key, value = core.known_info(map), core.layouts(map)
  local ok, message = pcall(function()
    core.set_types(map, types.layout(key, given.key, info.key_size, "key"),
      types.layout(value, given.value, info.value_size, "value"))
  end)
  if ok then return map end
  map:close()
  if type(message) == "string" then core.misuse("open: " .. message) end
  error(message, 0)
end

-- What a string or a number names.
local function way_of(which)
  if type(which) == "string" then return which:find("/", 1, true) and "path" or "name" end
  if math.type(which) then return "id" end
  error(("open: pin path, name, id or table expected, got %s"):format(type(which)), 3)
end

--- What goes after a path, a name or an id in `bpf.open`.
-- @table more_open_options
-- @tfield[opt=false] boolean readonly opens it for reading only
-- @tfield[opt] declaration key the layout of keys; over BTF it changes the types of the fields it
--   names
-- @tfield[opt] declaration value the layout of values; over BTF it changes the types of the
--   fields it names

--- What `bpf.open` takes in place of a path, name or id: one of the four ways, and the rest.
-- @table open_options
-- @extends more_open_options
-- @tfield[opt] string path a pin, in a bpffs
-- @tfield[opt] string name the map's name, of which the kernel keeps 15 bytes
-- @tfield[opt] integer id the map's id
-- @tfield[opt] integer fd a descriptor, which stays the caller's

--- What a map holds: a number, text, a boolean, a list or a table of fields, as its layout says.
-- @table data
-- @is any

--- A layout: a type name as "u32", a list of declarations as in C, or a layout that luabpf made of
-- these.
-- @table declaration
-- @is string|table|userdata

--- Opens a map that exists.
-- @function bpf.open
-- @tparam string|integer|open_options which a pin's path (it has a slash), a map's name, an id;
--   or a table that says it
-- @tparam[opt] more_open_options options after a path, name or id
-- @treturn map the map, which closes itself with its `<close>` variable or the garbage collector
-- @error there is no such map, or this process may not open it; a name that several maps have
--   lists their ids
-- @raise a layout that does not fit the sizes of the map
-- @privileges CAP_SYS_ADMIN by name or id
-- @usage
-- assert(map:pin "/sys/fs/bpf/flows")
-- local same <close> = assert(bpf.open("/sys/fs/bpf/flows", { readonly = true }))
-- print(same == map) -- true
-- map:unpin()
function maps.open(which, more)
  local given = which
  if type(which) ~= "table" then
    given = { [way_of(which)] = options.path("open", which) }
    more = options.check("open", more, options.of "more_open_options")
    for name, value in pairs(more) do given[name] = value end
  elseif more ~= nil then
    error("open: options go into the one table that is given", 2)
  end
  given = options.check("open", given, options.of "open_options")
  local map, message, errno = open_source(given)
  if not map then return nil, message, errno end
  return set_types(map, given)
end

-- ---- listing -------------------------------------------------------------------

local list_meta = { __name = "luabpf.maps" }

local function check_list(self)
  if getmetatable(self) ~= list_meta then error("luabpf.maps expected: what bpf.maps() gave", 3) end
end

-- for info in bpf.maps() do
function list_meta.__call(self)
  check_list(self)
  self.at = (self.at or 0) + 1
  local info = self[self.at]
  if not info then self.at = nil end
  return info
end

function list_meta.__grid(self)
  check_list(self)
  local rows = {}
  for i, info in ipairs(self) do
    rows[i] = { info.id, info.type, info.name, info.key_size, info.value_size, info.max_entries,
      table.concat(maps.flag_names(info.map_flags), " ") }
  end
  return { "id", "type", "name", "key", "value", "max entries", "flags" }, rows
end

function list_meta.__tostring(self)
  check_list(self)
  return show.table(list_meta.__grid(self))
end

local function fits(info, wanted)
  for name, value in pairs(wanted) do
    if info[name] ~= value then return false end
  end
  return true
end

--- The maps of the running kernel: a list of their infos, which prints as a table. The list is an
-- iterator too: `for info in bpf.maps() do`.
-- @function bpf.maps
-- @tparam[opt] string options.name only maps of this name, of which the kernel keeps 15 bytes
-- @tparam[opt] string options.type only maps of this type, as bpftool names it
-- @tparam[opt] integer options.id only the map of this id
-- @treturn info[] the list
-- @error this process may not see them
-- @raise a type that there is not; in a `for`, an error object in place of nil, message, errno
-- @privileges CAP_SYS_ADMIN
-- @usage
-- for info in bpf.maps { type = "hash" } do print(info.id, info.name) end
function maps.list(given)
  given = options.check("maps", given, options.of "bpf.maps")
  if given.type then type_of(given.type, "maps") end
  local list, message, errno = core.maps()
  if not list and called.in_loop(2) then errors.throw(message, errno) end
  if not list then return nil, message, errno end
  local wanted = { name = given.name and given.name:sub(1, NAME_LENGTH), type = given.type,
    id = given.id }
  local found = {}
  for _, info in ipairs(list) do
    if fits(info, wanted) then found[#found + 1] = info end
  end
  return setmetatable(found, list_meta)
end

return maps
