-- SPDX-License-Identifier: MIT

--- luabpf: the maps of a running Linux kernel, from Lua.
--
--   local bpf = require "luabpf"
--   for key, value in bpf.open("/sys/fs/bpf/conns"):entries() do print(key, value) end
--
-- This file puts the public module together: the C core, and what is written
-- in Lua on top of it.
--
-- @module luabpf

local core = require "luabpf.core"
local defaults = require "luabpf.base.defaults"
local iter = require "luabpf.base.iter"
local later = require "luabpf.base.later"
local maps = require "luabpf.map.open"
local options = require "luabpf.base.options"
local strict = require "luabpf.base.strict"
local words = require "luabpf.function.words"
require "luabpf.map.methods"

later.methods("luabpf.map", {
  aggregate = "luabpf.query.read",
  count = "luabpf.query.read",
  delete_where = "luabpf.query.sweep",
  drain = "luabpf.query.sweep",
  explain = "luabpf.query.explain",
  export = "luabpf.file.export",
  fold = "luabpf.query.fold",
  hist = "luabpf.query.read",
  import = "luabpf.file.import",
  parallel = "luabpf.parallel.parallel",
  reader = "luabpf.event.reader",
  rows = "luabpf.query.read",
  select = "luabpf.query.read",
  snapshot = "luabpf.file.snapshot",
  stack = "luabpf.event.symbol",
  update_where = "luabpf.query.update",
  users = "luabpf.map.pins",
  writer = "luabpf.event.writer",
})
later.methods("luabpf.snapshot", {
  diff = "luabpf.file.difference",
  export = "luabpf.file.export",
})
for _, class in ipairs { "luabpf.map", "luabpf.batch", "luabpf.snapshot", "luabpf.object",
  "luabpf.program", "luabpf.link" } do
  later.methods(class, { help = "luabpf.show.help" })
  strict(core.classes[class], class:match "%w+$", "method")
end
for _, class in ipairs { "luabpf.reader", "luabpf.events", "luabpf.writer", "luabpf.signals",
  "luabpf.timer" } do
  strict(core.classes[class], class:match "%w+$", "method")
end
core.globals_meta.__tostring = later.call("luabpf.map.globals", "text")
core.object_layouts_with(later.call("luabpf.layout.types", "of_object"))

local restore = later.call("luabpf.file.restore", "create")

--- The module, as `require` gives it.
-- @table bpf
-- @tfield string _VERSION the version of luabpf
-- @tfield table<string|integer,integer|string> errno `bpf.errno.ENOENT` and the others; and from
--   number to name
-- @tfield defaults defaults what is taken where an option is left out; may be changed
-- @tfield table iter iterators that work on iterators

local bpf = {
  _VERSION = "luabpf 0.1.0",
  open = maps.open,
  maps = maps.list,
  open_or_create = later.call "luabpf.map.open_or_create",
  pins = later.call("luabpf.map.pins", "list"),
  load = core.load,
  types = later.call("luabpf.layout.types", "declare"),
  open_program = core.open_program,
  open_link = core.open_link,
  iter = iter,
  copy = core.copy,
  compile = later.call("luabpf.query.judge", "compile"),
  snapshot = later.call("luabpf.file.snapshot", "open"),
  features = later.call "luabpf.show.features",
  bench = later.call "luabpf.bench",
  within = words.within,
  prefix = words.prefix,
  text = words.text,
  duration = words.duration,
  size = words.size,
  help = later.call("luabpf.show.help", "print"),
  vertical = later.call("luabpf.show.display", "vertical"),
  poll = later.call("luabpf.event.wait", "poll"),
  signals = later.call("luabpf.event.wait", "signals"),
  timer = later.call("luabpf.event.wait", "timer"),
  symbol = later.call("luabpf.event.symbol", "symbol"),
  now = core.now,
  boottime = core.boottime,
  cpus = core.cpus,
  errno = core.errno,
  -- What functions take when an option is left out; may be changed.
  -- batch_size: entries a batch. memory: bytes for the rows and groups of a query. budget: ns that
  -- one run inside the kernel may take; it holds its CPU for so long.
  defaults = defaults,
}

--- Creates a map, or makes the map of a snapshot again.
-- @tparam create_options|restore_options options a type, sizes and what else there is; or `from`
--   a snapshot, entries too
-- @treturn map the map
-- @error the kernel refuses the combination, there is something at `pin`, or memory is short
-- @raise an option that does not fit the type, a layout that cannot be
-- @usage
-- local flows <close> = assert(bpf.create { type = "hash", name = "flows", max_entries = 1000,
--   key = { "ipv4 addr", "be16 port", "u16 pad" }, value = { "u64 packets", "u64 bytes" } })
-- print(#flows) -- 1000
function bpf.create(given)
  if type(given) ~= "table" or given.from == nil then return maps.create(given) end
  return restore(given)
end

--- Sleeps, or waits for a signal that a handler takes.
-- @tparam time time how long; not negative
-- @treturn boolean false where a signal ended it early
-- @raise a text that is no time
-- @usage
-- bpf.sleep "1ms"
function bpf.sleep(duration)
  return core.sleep(options.period(duration, "sleep", 2))
end

later.begin()

return strict(bpf, "luabpf", "function")
