-- SPDX-License-Identifier: MIT
--
-- The batches that a query reads; and blocks of its rows: from a walk inside the kernel, or
-- batch by batch, with what Lua says of the entries that are left to it.

local judge = require "luabpf.query.judge"
local runs = require "luabpf.query.run"

local blocks = {}

-- An iterator over one block.
function blocks.once(block)
  return function()
    local only = block
    block = nil
    return only
  end
end

-- The batches of a run, counted, without what a function as where says no to that Lua runs: as a
-- generic for takes them. The report is complete at their end.
function blocks.batches(self, query, plan, run, report)
  local step, state, control, closing = runs.blocks(self, query, plan, run, report)
  return function()
    local batch = step(state, control)
    if not batch then
      report.complete = true
      return nil
    end
    report.visited = report.visited + #batch
    return run.filter and judge.filtered(batch, run.filter, report) or batch
  end, nil, nil, closing
end

-- What a walk inside the kernel gave: its rows, and those of what it left to Lua.
local function kernel_blocks(query, run, report, result, found)
  local given, judged = false, result.asked == 0
  return function()
    if not given then
      given = true
      return found
    elseif judged then
      return nil
    end
    judged = true
    local asked = found:asked()
    local hits = judge.asked(asked, run, report)
    report.matched = report.matched + #hits
    return query.core:rows(asked, run.packed, nil, hits)
  end
end

-- The rows of a batch that match.
local function matching_rows(query, batch, run, report, block)
  local also
  if run.ask then also = select(2, judge.match(query, batch, run, report)) end
  block = query.core:rows(batch, run.packed, block, also)
  report.matched = report.matched + #block
  return block
end

-- The blocks of rows that match, one at a time, each valid until the next; the second result closes
-- what they are read from.
function blocks.of(self, query, plan, run, report)
  if not run.filter then
    local result, found = runs.try_kernel(query, plan, run, report)
    if result then return kernel_blocks(query, run, report, result, found), found end
  end
  local next_batch, _, _, closing = blocks.batches(self, query, plan, run, report)
  local block
  return function()
    local batch = next_batch()
    if not batch then return nil end
    block = matching_rows(query, batch, run, report, block)
    return block
  end, closing
end

return blocks
