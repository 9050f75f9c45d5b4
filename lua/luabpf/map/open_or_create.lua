-- SPDX-License-Identifier: MIT

--- bpf.open_or_create: the map that is pinned, or a new one there.
--
-- @module luabpf.map.open_or_create

local core = require "luabpf.core"
local maps = require "luabpf.map.open"

-- Flags that the kernel adds by itself, and those of how a map was made.
local NOT_COMPARED <const> = maps.FLAGS.rdonly_prog | maps.FLAGS.numa_node

local function flags_text(flags)
  return flags == 0 and "none" or table.concat(maps.flag_names(flags), " ")
end

-- What the map has otherwise than it was asked for, as text; nil where it fits.
local function difference(map, wanted)
  local info, parts = core.known_info(map), {}
  local kind = core.maptypes[wanted.type]
  local has = { type = info.type, key_size = info.key_size, value_size = info.value_size,
    max_entries = info.max_entries }
  local asked = { type = kind.name, key_size = wanted.key_size, value_size = wanted.value_size,
    max_entries = wanted.max_entries }
  for _, name in ipairs { "type", "key_size", "value_size", "max_entries" } do
    if has[name] ~= asked[name] and not (kind.rounds_size and name == "max_entries") then
      parts[#parts + 1] = ("%s is %s, not %s"):format(name, has[name], asked[name])
    end
  end
  if (info.map_flags ~ wanted.flags) & ~NOT_COMPARED ~= 0 then
    parts[#parts + 1] = ("flags are %s, not %s"):format(flags_text(info.map_flags),
      flags_text(wanted.flags))
  end
  return #parts > 0 and table.concat(parts, "; ") or nil
end

-- The pinned map, with the layouts that were asked for; false where there is none.
local function open(pin, wanted)
  local map, message, errno = core.open_path(pin)
  if not map then
    if errno == core.errno.ENOENT then return false end
    return nil, message, errno
  end
  local why = difference(map, wanted)
  if why then
    map:close()
    return nil, ("%s: the map that is pinned there does not fit: its %s"):format(pin, why),
      core.errno.EEXIST
  end
  core.set_types(map, wanted.key, wanted.value)
  return map
end

--- Opens the map that is pinned there, if it fits what is asked for; else creates one and pins it.
-- @function bpf.open_or_create
-- @tparam create_options options as of `bpf.create`, `pin` with them; a map that is there fits if
--   its type, sizes, max_entries and flags are those
-- @treturn map the map
-- @treturn boolean whether it was created
-- @error the map there does not fit (the message says what), something else is there, or the
--   kernel refuses
-- @raise an option that does not fit the type, a layout that cannot be
-- @usage
-- local flows, created = assert(bpf.open_or_create { type = "hash", key = "u32", value = "u64",
--   max_entries = 1000, pin = "/sys/fs/bpf/flows" })
-- print(created) -- true
-- flows:unpin()
return function(given)
  if type(given) == "table" then
    if given.pin == nil then
      error("open_or_create: option 'pin': missing (a path in a bpffs)", 2)
    end
    if given.replace then error("open_or_create: option 'replace' goes with create", 2) end
  end
  return maps.create(given, open)
end
