-- SPDX-License-Identifier: MIT
--
-- A folder for the files of a test: made before each, gone after it.

local folder = {}

--- Makes it; for before_each. Its path is folder.name.
-- @tparam[opt] string size of a file system of its own there, as mount takes it
function folder.make(size)
  folder.name, folder.mounted = os.tmpname(), size ~= nil
  os.remove(folder.name)
  assert(os.execute("mkdir " .. folder.name))
  if size then
    assert(os.execute(("mount -t tmpfs -o size=%s none %s"):format(size, folder.name)))
  end
end

--- Removes it with all that is in it; for after_each.
function folder.remove()
  if folder.mounted then os.execute("umount -l " .. folder.name) end
  os.execute("rm -rf " .. folder.name)
end

--- The path of a file in it.
function folder.path(name)
  return folder.name .. "/" .. name
end

--- What a file in it has.
function folder.content(name)
  local file <close> = assert(io.open(folder.path(name), "rb"))
  return file:read("a")
end

--- Writes a file in it.
-- @treturn string its path
function folder.write(name, text)
  local file <close> = assert(io.open(folder.path(name), "wb"))
  file:write(text)
  return folder.path(name)
end

--- The names of the files in it, sorted.
function folder.names()
  local list = {}
  for name in io.popen("ls -A " .. folder.name):lines() do list[#list + 1] = name end
  return list
end

return folder
