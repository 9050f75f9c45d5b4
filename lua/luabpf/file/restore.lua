-- SPDX-License-Identifier: MIT

--- bpf.create{ from = snapshot }: a map as it was, types and contents.
--
-- With a pin the map is filled under PIN_part and gets its name when it is
-- complete (bpffs takes no dots). Whoever finds such a part goes on with it:
-- batches are stored in order, so one whose last entry is there was stored.
--
-- @module luabpf.file.restore

local core = require "luabpf.core"
local errors = require "luabpf.base.errors"
local maps = require "luabpf.map.open"
local options = require "luabpf.base.options"
local snapshot = require "luabpf.file.snapshot"
local unfinished = require "luabpf.map.unfinished"

local restore = {}

-- Flags of descriptors and of how a map was created, not of the map.
local NOT_KEPT <const> = { numa_node = true, rdonly = true, wronly = true, path_fd = true,
  vtype_btf_obj_fd = true, token_fd = true }

-- ---- what can be rebuilt ---------------------------------------------------------

-- Why there can be no such map here, or nil.
local function obstacle(header, kind, given)
  local ncpu = core.cpus()
  if not kind then return ("unknown map type '%s'"):format(header.type) end
  if header.columns then return "the values are columns, not the map's" end
  if kind.map_values or kind.fd_values then
    return ("values of %s maps are maps, programs or sockets, which are gone"):format(kind.name)
  end
  if kind.keyless or not kind.can_update then
    return ("%s maps cannot be filled with entries"):format(kind.name)
  end
  if header.ncpu > 0 and header.ncpu ~= ncpu and not given.other_cpus then
    return ("its values are of %d CPUs, this machine has %d (other_cpus = true keeps those of the "
      .. "CPUs that both have)"):format(header.ncpu, ncpu)
  end
end

-- The options of maps.create for the map of a header.
local function create_options(header, given)
  local flags = {}
  for _, name in ipairs(header.flags) do
    local added = name == "rdonly_prog" and core.maptypes[header.type].sets_rdonly
    if not NOT_KEPT[name] and not added and not name:find("^0x") then flags[#flags + 1] = name end
  end
  local wanted = { type = header.type, name = given.name or header.name, flags = flags,
    max_entries = given.max_entries or header.max_entries,
    map_extra = header.map_extra ~= 0 and header.map_extra or nil }
  for _, what in ipairs { "key", "value" } do
    wanted[what] = header[what] and core.layout(header[what])
    if not wanted[what] then wanted[what .. "_size"] = header[what .. "_size"] end
  end
  return wanted
end

-- ---- filling ---------------------------------------------------------------------

-- Whether a raw value is the same; of per-CPU maps it is a list.
local function same(a, b)
  if type(a) ~= "table" or type(b) ~= "table" then return a == b end
  for cpu = 1, math.max(#a, #b) do
    if a[cpu] ~= b[cpu] then return false end
  end
  return true
end

-- Whether a batch, of raw entries, was stored before.
local function is_stored(map, batch)
  return same(map:lookup(batch:key(#batch), { raw = true }), batch:value(#batch))
end

-- Keys and values of a batch for this machine's CPUs: zeros for those it has more.
local function fitted(batch, header)
  local keys, values = batch:packed()
  local unit, here = core.cpu_stride(header.value_size), (core.cpus())
  local stride, both = unit * header.ncpu, unit * math.min(header.ncpu, here)
  local fill, parts = ("\0"):rep(unit * here - both), {}
  for i = 1, #batch do
    parts[i] = values:sub((i - 1) * stride + 1, (i - 1) * stride + both) .. fill
  end
  return keys, table.concat(parts)
end

local function fill(map, from, header, resumed)
  local fits = header.ncpu == 0 or header.ncpu == (core.cpus())
  local may_skip = resumed and fits and not core.maptypes[header.type].fixed
  for batch in from:batches { raw = true } do
    if not (may_skip and is_stored(map, batch)) then
      local stored, message, errno
      if fits then
        stored, message, errno = map:update_batch(batch)
      else
        stored, message, errno = map:update_batch(fitted(batch, header))
      end
      if not stored then return nil, message, errno end
    end
  end
  return map
end

-- fill, errors of reading returned too.
local function filled(map, from, header, resumed)
  local ok, result, message, errno = pcall(fill, map, from, header, resumed)
  if ok then return result, message, errno end
  if getmetatable(result) == core.error then return nil, result.message, result.errno end
  error(result, 0)
end

-- ---- pins ------------------------------------------------------------------------

-- The map of an earlier try that was cut off: nil if there is none; false, message, errno if it is
-- not one like that.
local function open_part(path, wanted)
  local map, message, errno = core.open_path(path)
  if not map and errno == core.errno.ENOENT then return nil end
  if not map then return false, message, errno end
  local info, kind = core.known_info(map), core.maptypes[wanted.type]
  local key_size = wanted.key_size or wanted.key:describe().size
  local value_size = wanted.value_size or wanted.value:describe().size
  if info.type == kind.name and info.key_size == key_size and info.value_size == value_size
    and info.max_entries == wanted.max_entries and info.name == wanted.name then
    return map
  end
  map:close()
  return false, ("%s: a map of another kind is there, left by another create"):format(path),
    core.errno.EEXIST
end

-- maps.create, whose errors of misuse are the caller's: of the name, the number of entries.
local function create(wanted)
  local results = table.pack(pcall(maps.create, wanted))
  if results[1] then return table.unpack(results, 2, results.n) end
  core.misuse((tostring(results[2]):gsub("^[^:]*:%d+: ", "")))
end

local function new_part(half, path, wanted)
  local map, message, errno = create(wanted)
  if not map then return nil, message, errno end
  half.map = map
  local ok
  ok, message, errno = map:pin(path)
  if ok then return map end
  half.map = nil
  map:close()
  return nil, message, errno
end

local function is_free(path)
  local there, message, errno = core.open_path(path)
  if there then there:close() end
  if errno == core.errno.ENOENT then return true end
  return nil, message or ("%s: File exists"):format(path), errno or core.errno.EEXIST
end

-- The map has its pin: the part goes; nothing here fails any more.
local function named(map, part)
  os.remove(part)
  core.forget_pin(map, part)
end

-- Filled under the name of a part, then pinned under its own: in one step where one is replaced.
local function create_pinned(pin, wanted, from, header, replace)
  local free, message, errno = replace, nil, nil
  if not replace then free, message, errno = is_free(pin) end
  if not free then return nil, message, errno end
  local half <close> = unfinished.new(replace and pin)
  local part = pin .. "_part"
  local map
  map, message, errno = open_part(part, wanted)
  if map == false then return nil, message, errno end
  local resumed = map ~= nil
  half.map = map
  if not map then map, message, errno = new_part(half, part, wanted) end
  if not map then return nil, message, errno end
  if resumed then core.set_types(map, wanted.key, wanted.value) end
  local ok
  ok, message, errno = filled(map, from, header, resumed)
  if ok then ok, message, errno = map:pin(pin, { replace = replace }) end
  if not ok then
    map:unpin()
    half.map = nil
    map:close()
    return nil, message, errno
  end
  named(map, part)
  half.map = nil
  return map
end

local function create_plain(wanted, from, header)
  local map, message, errno = create(wanted)
  if not map then return nil, message, errno end
  local ok
  ok, message, errno = filled(map, from, header, false)
  if ok then return map end
  map:close()
  return nil, message, errno
end

-- ---- the interface ---------------------------------------------------------------

--- What `bpf.create` makes the map of a snapshot with: its type, size, layouts and entries.
-- @table restore_options
-- @tfield snapshot from a snapshot of whole entries, which stays open; per-CPU maps keep each
--   CPU's value
-- @tfield[opt] string pin a path in a bpffs: the map appears there when it is complete; a try
--   that was killed is gone on with
-- @tfield[opt=false] boolean replace takes the place of a map that is pinned there, in one step,
--   when it is complete
-- @tfield[opt] string name another name than the snapshot's
-- @tfield[opt] integer max_entries another number of entries than the snapshot's
-- @tfield[opt=false] boolean other_cpus takes values of a machine with another number of CPUs: of
--   those that both have

-- Creates a map with the type, size, layouts and entries of a snapshot.
-- @tparam table given
--   from: a luabpf.snapshot of whole entries, which stays open. Per-CPU maps keep each CPU's value.
--   pin: the map appears there when it is complete; a try that was killed is gone on with.
--   name, max_entries: others than the snapshot's.
--   other_cpus: true takes values of a machine with another number of CPUs: those of the CPUs that
--   both have; without it they are refused.
-- @treturn luabpf.map|nil, message, errno
function restore.create(given)
  given = options.check("create", given, options.of "restore_options")
  snapshot.check(given.from, "create: option 'from'", 3)
  if given.replace and not given.pin then error("create: option 'replace' goes with pin", 2) end
  options.integer("create", "max_entries", given.max_entries, 1, 0xffffffff)
  local header = given.from:header()
  local why = obstacle(header, core.maptypes[header.type], given)
  if why then
    return nil, ("%s: create: %s"):format(errors.label(header), why), core.errno.ENOTSUPP
  end
  local wanted = create_options(header, given)
  if given.pin then
    return create_pinned(given.pin, wanted, given.from, header, given.replace or false)
  end
  return create_plain(wanted, given.from, header)
end

return restore
