-- SPDX-License-Identifier: MIT
--
-- What most scripts do without: files, workers, what is for the prompt. It takes as
-- long to load as all else, so the first call of any of it does that, all at once:
-- its parts know each other's objects, whatever becomes of package.loaded meanwhile.

local restore = require "luabpf.file.restore"
local snapshot = require "luabpf.file.snapshot"

-- These put methods into the classes.
require "luabpf.query.explain"
require "luabpf.file.export"
require "luabpf.file.import"
require "luabpf.parallel.parallel"

return {
  bench = require "luabpf.bench",
  create = restore.create,
  features = require "luabpf.show.features",
  globals_text = require "luabpf.map.globals".text,
  snapshot = snapshot.open,
}
