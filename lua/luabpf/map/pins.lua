-- SPDX-License-Identifier: MIT

--- What a bpffs holds, and who holds a map.
--
-- @module luabpf.map.pins

local core = require "luabpf.core"
local options = require "luabpf.base.options"
local processes = require "luabpf.map.processes"
local show = require "luabpf.show.show"

local pins = {}

local map = core.classes["luabpf.map"]

-- ---- pins ------------------------------------------------------------------------

local list_meta = { __name = "luabpf.pins" }

function list_meta:__grid()
  local rows = {}
  for i, pin in ipairs(self) do
    rows[i] = { pin.path, pin.kind, pin.id or "", pin.type or "", pin.name or "" }
  end
  return { "path", "kind", "id", "type", "name" }, rows
end

function list_meta:__tostring()
  return show.table(list_meta.__grid(self))
end

-- Adds what is in a folder to the list: false, reason and errno where it cannot be read.
local function add_folder(list, folder)
  local names, reason, errno = core.list_folder(folder)
  if not names then return false, reason, errno end
  table.sort(names)
  for _, name in ipairs(names) do
    local path = folder .. "/" .. name
    local pin, why = core.pinned(path)
    if pin == "folder" then
      local read
      read, why = add_folder(list, path)
      if not read then list[#list + 1] = { path = path, kind = "other", reason = why } end
    elseif pin then
      pin.path = path
      list[#list + 1] = pin
    elseif why then
      list[#list + 1] = { path = path, kind = "other", reason = why }
    end
  end
  return true
end

--- What is pinned in a BPF file system.
-- @table pinned
-- @tfield string path its path
-- @tfield "map"|"program"|"link"|"other" kind what it is; "other" is what could not be opened
-- @tfield[opt] integer id its id
-- @tfield[opt] string name of maps and programs that have one
-- @tfield[opt] string type the type, as the kernel calls it
-- @tfield[opt] string reason why it could not be opened

--- What a BPF file system holds, folders in it too: a list that prints as a table.
-- @function bpf.pins
-- @tparam[opt="/sys/fs/bpf"] string folder where to look
-- @treturn pinned[] the list, in the order of names
-- @error there is no such folder, or this process may not read it
-- @privileges CAP_BPF
-- @usage
-- assert(map:pin "/sys/fs/bpf/flows")
-- for _, pin in ipairs(assert(bpf.pins())) do print(pin.path, pin.kind, pin.id) end
-- map:unpin()
function pins.list(folder)
  if folder ~= nil and type(folder) ~= "string" then
    error(("pins: path of a folder expected, got %s"):format(type(folder)), 2)
  end
  folder = options.path("pins", folder or "/sys/fs/bpf"):gsub("(.)/+$", "%1")
  local list = setmetatable({}, list_meta)
  local ok, reason, errno = add_folder(list, folder)
  if not ok then return nil, ("pins: %s: %s"):format(folder, reason), errno end
  return list
end

-- ---- users ------------------------------------------------------------------------

local users_meta = { __name = "luabpf.users" }

function users_meta:__grid()
  local rows = {}
  for _, program in ipairs(self.programs) do
    rows[#rows + 1] = { "program", program.id, program.name, program.type }
  end
  for _, process in ipairs(self.processes) do
    rows[#rows + 1] = { "process", process.pid, process.name, "" }
  end
  return { "kind", "id", "name", "type" }, rows
end

function users_meta:__tostring()
  return show.table(users_meta.__grid(self))
end

--- Who holds a map.
-- @table users
-- @tfield table[] programs those that use it: `id`, `name`, `type`
-- @tfield table[] processes those with a descriptor of it, as far as this process may see: `pid`,
--   `name`

--- The programs and processes that hold the map, this process among them; prints as a table. Pins
-- hold it too: `bpf.pins`.
-- @function map:users
-- @treturn users the lists
-- @error this process may not see programs
-- @privileges CAP_SYS_ADMIN
-- @usage
-- print(map:users())
function map:users()
  local programs, message, errno = core.programs_of(self)
  if not programs then return nil, message, errno end
  return setmetatable({ programs = programs, processes = processes.of(core.known_info(self).id) },
    users_meta)
end

return pins
