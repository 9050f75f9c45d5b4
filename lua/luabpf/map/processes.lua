-- SPDX-License-Identifier: MIT
--
-- The processes that have a descriptor of a map, by what /proc tells of descriptors,
-- as far as this process may see.

local core = require "luabpf.core"

local processes = {}

local function read(path)
  local file <close> = io.open(path)
  return file and file:read "a"
end

local function holds(folder, line)
  for _, fd in ipairs(core.list_folder(folder) or {}) do
    local info = read(folder .. "/" .. fd)
    if info and info:find(line, 1, true) then return true end
  end
  return false
end

-- This process's number, where there is a /proc.
function processes.own()
  return math.tointeger((read "/proc/self/stat" or ""):match "^%d+")
end

-- Those that hold the map with that id: a list of { pid, name }, by number.
function processes.of(id)
  local list, line = {}, ("\nmap_id:\t%d\n"):format(id)
  for _, pid in ipairs(core.list_folder "/proc" or {}) do
    if pid:find "^%d+$" and holds(("/proc/%s/fdinfo"):format(pid), line) then
      local name = read(("/proc/%s/comm"):format(pid)) or "?"
      list[#list + 1] = { pid = math.tointeger(pid), name = name:gsub("\n", "") }
    end
  end
  table.sort(list, function(a, b) return a.pid < b.pid end)
  return list
end

return processes
