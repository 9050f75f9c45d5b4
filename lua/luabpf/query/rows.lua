-- SPDX-License-Identifier: MIT
--
-- The rows that a select gives, one at a time, of blocks of them.

local runs = require "luabpf.query.run"

local rows = {}

-- What of a block a caller gets: tables of columns, or key and value.
local function each_row(query, block)
  if query.decoder then return block:each(query.decoder) end
  return block:batch():entries()
end

-- An iterator over the rows of blocks.
-- @tparam[opt] integer limit
-- @tparam function next_block each is valid until the next; nil at the end
function rows.iterator(query, limit, next_block)
  local step, left = nil, limit or math.huge
  return function()
    while left > 0 do
      if step then
        local first, second = step()
        if first ~= nil then
          left = left - 1
          return first, second
        end
      end
      local block = next_block()
      if not block then return nil end
      step = each_row(query, block)
    end
    return nil
  end
end

-- Closes what a select reads when its loop is left, and completes the report.
local closer = {}

function closer:__close()
  local _ <close> = self.resource
  runs.finish(self.query, self.run, self.report)
end

-- The closing value of a select's loop.
-- @param[opt] resource what the blocks are read from; may be put there later
function rows.closing(query, run, report, resource)
  return setmetatable({ query = query, run = run, report = report, resource = resource }, closer)
end

return rows
