-- SPDX-License-Identifier: MIT

--- A map that is being made: an error before it is handed over, of Lua's memory or of a debug hook,
-- takes its pins away with it.
--
--   local half <close> = unfinished.new(replaced)
--   half.map = map      -- from now on
--   half.map = nil      -- it is the caller's, or closed
--
-- @module luabpf.map.unfinished

local core = require "luabpf.core"

local unfinished = {}
unfinished.__index = unfinished

-- @tparam[opt] string replaced the pin of another map, whose place it takes in one step: one of
-- the two stays there
function unfinished.new(replaced)
  return setmetatable({ replaced = replaced }, unfinished)
end

function unfinished:__close()
  local map = self.map
  if not map then return end
  if self.replaced then core.forget_pin(map, self.replaced) end
  repeat until not map:unpin()
  map:close()
end

return unfinished
