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
local defaults = require "luabpf.base.defaults"
local iter = require "luabpf.base.iter"
local later = require "luabpf.base.later"
local maps = require "luabpf.map.open"
local options = require "luabpf.base.options"
require "luabpf.map.methods"

later.methods("luabpf.map", {
  aggregate = "luabpf.query.read",
  count = "luabpf.query.read",
  delete_where = "luabpf.query.sweep",
  drain = "luabpf.query.sweep",
  explain = "luabpf.query.explain",
  export = "luabpf.file.export",
  import = "luabpf.file.import",
  parallel = "luabpf.parallel.parallel",
  select = "luabpf.query.read",
  snapshot = "luabpf.file.snapshot",
})
later.methods("luabpf.snapshot", { export = "luabpf.file.export" })
core.globals_meta.__tostring = later.call("luabpf.map.globals", "text")

local restore = later.call("luabpf.file.restore", "create")

local bpf = {
  _VERSION = "luabpf 0.1.0",
  open = maps.open,
  maps = maps.list,
  load = core.load,
  open_program = core.open_program,
  open_link = core.open_link,
  iter = iter,
  copy = core.copy,
  compile = later.call("luabpf.query.prepare", "compile"),
  snapshot = later.call("luabpf.file.snapshot", "open"),
  features = later.call "luabpf.show.features",
  bench = later.call "luabpf.bench",
  now = core.now,
  boottime = core.boottime,
  cpus = core.cpus,
  errno = core.errno,
  --- What functions take when an option is left out; may be changed.
  -- batch_size: entries a batch. memory: bytes for the rows and groups of a query. budget: ns that
  -- one run inside the kernel may take; it holds its CPU for so long.
  defaults = defaults,
}

--- Creates a map: see maps.create; with from, restore.create.
function bpf.create(given)
  if type(given) ~= "table" or given.from == nil then return maps.create(given) end
  return restore(given)
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

later.begin()

return bpf
