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
local iter = require "luabpf.iter"
local map = require "luabpf.map"
local maps = require "luabpf.maps"
local options = require "luabpf.options"

-- What most scripts do not use is loaded by the first call: it would take most of the time and
-- memory that require takes.
local function later(name, field)
  return function(...)
    local loaded = require(name)
    return (field and loaded[field] or loaded)(...)
  end
end

-- The same of methods: the module puts them into their class.
local function methods_later(class, name, methods)
  for _, method in ipairs(methods) do
    class[method] = function(...)
      require(name)
      return class[method](...)
    end
  end
end

methods_later(core.classes["luabpf.map"], "luabpf.query", { "select", "aggregate" })
methods_later(core.classes["luabpf.map"], "luabpf.sweep", { "delete_where" })
methods_later(core.classes["luabpf.map"], "luabpf.explain", { "explain" })
methods_later(core.classes["luabpf.map"], "luabpf.export", { "export" })
methods_later(core.classes["luabpf.map"], "luabpf.import", { "import" })
methods_later(core.classes["luabpf.map"], "luabpf.snapshot", { "snapshot" })
methods_later(core.classes["luabpf.map"], "luabpf.parallel", { "parallel" })
methods_later(core.classes["luabpf.snapshot"], "luabpf.export", { "export" })
core.globals_meta.__tostring = later("luabpf.globals", "text")

local bpf = {
  _VERSION = "luabpf scm",
  open = maps.open,
  maps = maps.list,
  load = core.load,
  open_program = core.open_program,
  open_link = core.open_link,
  iter = iter,
  copy = core.copy,
  compile = later("luabpf.prepare", "compile"),
  snapshot = later("luabpf.snapshot", "open"),
  features = later "luabpf.features",
  bench = later "luabpf.bench",
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
  return require "luabpf.restore".create(given)
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
