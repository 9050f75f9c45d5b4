-- SPDX-License-Identifier: MIT
--
-- luabpf: the maps of a running Linux kernel, from Lua.
--
--   local bpf = require "luabpf"
--   for key, value in bpf.open("/sys/fs/bpf/conns"):entries() do print(key, value) end
--
-- This file puts the public module together: the C core, and what is written
-- in Lua on top of it.

local core = require "luabpf.core"
local iter = require "luabpf.base.iter"
local map = require "luabpf.map.methods"
local maps = require "luabpf.map.open"
local options = require "luabpf.base.options"
local prepare = require "luabpf.query.prepare"
require "luabpf.query.read"
require "luabpf.query.sweep"

local loaded
local function rest()
  loaded = loaded or require "luabpf.rest"
  return loaded
end

-- A function of rest.lua, which the first call loads.
local function later(name)
  return function(...) return rest()[name](...) end
end

-- Methods that rest.lua has put into their class when it is loaded.
local function methods_later(class, names)
  for _, name in ipairs(names) do
    class[name] = function(...)
      rest()
      return class[name](...)
    end
  end
end

methods_later(core.classes["luabpf.map"], { "explain", "export", "import", "snapshot",
  "parallel" })
methods_later(core.classes["luabpf.snapshot"], { "export" })
core.globals_meta.__tostring = later "globals_text"

local bpf = {
  _VERSION = "luabpf scm",
  open = maps.open,
  maps = maps.list,
  load = core.load,
  open_program = core.open_program,
  open_link = core.open_link,
  iter = iter,
  copy = core.copy,
  compile = prepare.compile,
  snapshot = later "snapshot",
  features = later "features",
  bench = later "bench",
  now = core.now,
  boottime = core.boottime,
  cpus = core.cpus,
  errno = core.errno,
  --- What functions take when an option is left out; may be changed.
  -- batch_size: entries a batch. memory: bytes for the rows and groups of a query. budget: ns that
  -- one run inside the kernel may take; it holds its CPU for so long.
  defaults = map.defaults,
}

--- Creates a map: see maps.create; with from, restore.create.
function bpf.create(given)
  if type(given) ~= "table" or given.from == nil then return maps.create(given) end
  return rest().create(given)
end

--- A duration in nanoseconds.
-- @param value integer nanoseconds, or text: "10ms", "30s", "1.5h"; units ns us ms s m h d
-- @treturn integer
function bpf.duration(value)
  local ns = options.duration(value, "duration", 2)
  return ns
end

--- A size in bytes.
-- @param value integer bytes, or text: "64MiB"; units B KiB MiB GiB
-- @treturn integer
function bpf.size(value)
  local bytes = options.size(value, "size", 2)
  return bytes
end

--- Sleeps.
-- @param duration integer nanoseconds or text ("1s"); not negative
-- @treturn boolean false when a signal ended it early
function bpf.sleep(duration)
  return core.sleep(options.period(duration, "sleep", 2))
end

return bpf
