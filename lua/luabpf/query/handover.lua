-- SPDX-License-Identifier: MIT
--
-- Entries that match, handed over whole to Lua, which computes something of each.

local blocks = require "luabpf.query.blocks"
local core = require "luabpf.core"
local errors = require "luabpf.base.errors"
local judge = require "luabpf.query.judge"

local handover = {}

-- What a row takes in Lua, about, and each of its columns.
local ROW_BYTES <const>, COLUMN_BYTES <const> = 120, 40

-- Raises where rows take more than the memory allowed.
function handover.check_memory(query, run, n, columns)
  local bytes = n * (ROW_BYTES + columns * COLUMN_BYTES)
  if bytes <= run.memory then return end
  errors.throw(("%s: %s: more rows than the memory allowed has room for (memory = %d)"):format(
    errors.label(query.facts.info), run.what, run.memory), core.errno.EDQUOT)
end

-- The batches of whole entries that match, as an iterator, and what closes it.
function handover.batches(self, query, plan, run, report)
  local next_block, closing = blocks.of(self, query, plan, run, report)
  return function()
    local block = next_block()
    if not block then return nil end
    judge.note_computed(run, report, #block)
    return block:batch()
  end, closing
end

return handover
