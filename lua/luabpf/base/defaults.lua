-- SPDX-License-Identifier: MIT

--- What options are when they are left out. Users change this table as bpf.defaults.
--
-- @module luabpf.base.defaults

--- What functions take where an option is left out: `bpf.defaults`, which may be changed.
-- @table defaults
-- @tfield[opt=4096] integer batch_size entries of a batch
-- @tfield[opt=67108864] integer memory bytes for the rows and groups of a query
-- @tfield[opt=250000000] integer budget how long one run inside the kernel may take, in ns;
--   2000000000 where the kernel says that it is preemptible
-- @tfield[opt=true] boolean compile whether functions as where are compiled
-- @tfield[opt=1000000000] integer checkpoint_interval how often an export writes its checkpoint,
--   in ns

local preemption = require "luabpf.base.preemption"

return {
  -- Entries of a batch.
  batch_size = 4096,
  -- Bytes for the rows and groups of a query.
  memory = 64 << 20,
  -- What one run inside the kernel may take, which holds its CPU for so long unless the kernel is
  -- preemptible; ns.
  budget = (preemption.budget()),
  -- Between two checkpoints of an export or import; ns.
  checkpoint_interval = 1000000000,
  -- Whether Lua functions given as where are compiled.
  compile = true,
}
