-- SPDX-License-Identifier: MIT
--
-- Whose the events of a map are. Two readers of one buffer take them from each
-- other, so a reader is refused where this process has one, and where another
-- process holds the map: that is the one it was made for.

local core = require "luabpf.core"
local errors = require "luabpf.base.errors"

local holders = {}

local function first_line(path)
  local file <close> = io.open(path)
  return file and file:read "l"
end

-- Whether a process has a descriptor of the map, as far as this one may see.
local function holds(process, id)
  local folder = process .. "/fdinfo/"
  for _, fd in ipairs(core.list_folder(folder) or {}) do
    local file <close> = io.open(folder .. fd)
    local text = file and file:read "a"
    if text and math.tointeger(text:match "\nmap_id:%s*(%d+)") == id then return true end
  end
  return false
end

-- Why a map must not be read by this process.
-- @param map the map
-- @tparam table info its info
-- @treturn string|nil a message, if another has its events
function holders.of(map, info)
  local name = errors.label(info)
  if core.reader_taken(map) then
    return ("%s: reader: this process has a reader of it already"):format(name)
  end
  local own = first_line "/proc/self/stat":match "^%d+"
  for _, pid in ipairs(core.list_folder "/proc" or {}) do
    if pid:find "^%d+$" and pid ~= own and holds("/proc/" .. pid, info.id) then
      local command = first_line("/proc/" .. pid .. "/comm") or "?"
      return ("%s: reader: process %s (%s) holds the map and may be its reader; take = true reads "
        .. "its events all the same"):format(name, pid, command)
    end
  end
end

return holders
