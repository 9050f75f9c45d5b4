-- SPDX-License-Identifier: MIT
--
-- The rows of a select as an iterator: sorted where that is asked for, up to the limit.

local blocks = require "luabpf.query.blocks"
local core = require "luabpf.core"
local rows = require "luabpf.query.rows"

local selected = {}

-- All matches through a sorter, which gives its rows as the only block.
local function sorted(query, run, limit, next_block, closing)
  local _ <close> = closing
  local top <close> = core.topn { map = query.facts.handle, limit = limit, memory = run.memory,
    order = query.sort, columns = query.ncolumns, values = query.values }
  for block in next_block do top:add(block) end
  local block = top:rows()
  return blocks.once(block), block
end

-- The blocks of a select, which is run when the first is asked for.
local function blocks_when_asked(self, plan, closing)
  local query, run, report, next_block = closing.query, closing.run, closing.report, nil
  return function()
    if not next_block then
      next_block, closing.resource = blocks.of(self, query, plan, run, report)
      if query.sort then
        next_block, closing.resource = sorted(query, run, run.given.limit, next_block,
          closing.resource)
      end
    end
    return next_block()
  end
end

-- The rows of a select as an iterator, and what closes it.
function selected.rows(self, query, plan, run, report)
  local closing = rows.closing(query, run, report)
  local limit = run.given.limit
  local next_block = limit == 0 and blocks.once(nil) or blocks_when_asked(self, plan, closing)
  return rows.iterator(query, limit, next_block), closing
end

return selected
