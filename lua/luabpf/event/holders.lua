-- SPDX-License-Identifier: MIT
--
-- Whose the events of a map are. Two readers of one buffer take them from each
-- other, so a reader is refused where this process has one, and where another
-- process holds the map: that is the one it was made for.

local core = require "luabpf.core"
local errors = require "luabpf.base.errors"
local processes = require "luabpf.map.processes"

local holders = {}

-- Why a map must not be read by this process.
-- @param map the map
-- @tparam table info its info
-- @treturn string|nil a message, if another has its events
function holders.of(map, info)
  local name = errors.label(info)
  if core.reader_taken(map) then
    return ("%s: reader: this process has a reader of it already"):format(name)
  end
  local own = processes.own()
  for _, process in ipairs(processes.of(info.id)) do
    if process.pid ~= own then
      return ("%s: reader: process %d (%s) holds the map and may be its reader; take = true reads "
        .. "its events all the same"):format(name, process.pid, process.name)
    end
  end
end

return holders
