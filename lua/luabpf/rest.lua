-- SPDX-License-Identifier: MIT
--
-- What scripts that only read entries do without: queries, files, workers. It is
-- most of the library, so the first call of any of it loads it, all at once: its
-- parts know each other's objects, whatever becomes of package.loaded meanwhile.

local prepare = require "luabpf.prepare"
local queries = require "luabpf.query"
local restore = require "luabpf.restore"
local snapshot = require "luabpf.snapshot"
local sweeps = require "luabpf.sweep"

-- These put methods into the classes.
require "luabpf.explain"
require "luabpf.export"
require "luabpf.import"
require "luabpf.parallel"

return {
  bench = require "luabpf.bench",
  compile = prepare.compile,
  count = queries.count,
  create = restore.create,
  drain = sweeps.drain,
  features = require "luabpf.features",
  globals_text = require "luabpf.globals".text,
  snapshot = snapshot.open,
}
