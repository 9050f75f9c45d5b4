-- SPDX-License-Identifier: MIT
--
-- What options are when they are left out. Users change this table as bpf.defaults.

return {
  -- Entries of a batch.
  batch_size = 4096,
  -- Bytes for the rows and groups of a query.
  memory = 64 << 20,
  -- What one run inside the kernel may take, which holds its CPU for so long; ns.
  budget = 250000000,
  -- Between two checkpoints of an export or import; ns.
  checkpoint_interval = 1000000000,
}
