-- SPDX-License-Identifier: MIT
--
-- What an operation works on while faults are injected: maps and files made for one try, in the
-- process that it is made in, and taken away after it. None of it is made while a fault is armed.

local bpf = require "luabpf"

local environment = {}
environment.__index = environment

--- How many entries the map of an environment has.
environment.N = 40

local PINS <const> = "/sys/fs/bpf"

--- @param control the functions of control.c
-- @param folder a path, which is made; its name begins those of maps and pins
-- @param cgroup a folder of the unified hierarchy
function environment.new(control, folder, cgroup)
  local e = setmetatable({ control = control, owned = {}, made = 0, cgroup = cgroup }, environment)
  assert(control.folder(folder))
  e.folder, e.prefix = folder, folder:match "[^/]+$"
  return e
end

--- A name that no other map has.
function environment:name()
  self.made = self.made + 1
  return ("%s_%d"):format(self.prefix, self.made)
end

--- A path in bpffs that is free.
function environment:pin()
  self.made = self.made + 1
  return ("%s/%s_%d"):format(PINS, self.prefix, self.made)
end

--- A path in the folder of this try.
function environment:path(name)
  return self.folder .. "/" .. name
end

--- Closes x after the try.
function environment:own(x)
  self.owned[#self.owned + 1] = x
  return x
end

--- A map; without options a hash of u32 to u64.
function environment:make(given)
  local options = { type = "hash", name = self:name(), key = "u32", value = "u64",
    max_entries = 2 * self.N }
  for name, value in pairs(given or {}) do options[name] = value end
  if given and given.keyless then options.key, options.keyless = nil, nil end
  return self:own(assert(bpf.create(options)))
end

--- Puts 1 to N into a map, ten times the key as the value, and nothing else.
function environment:fill(map, value_of)
  for key in pairs(map) do
    if key > self.N then map:delete(key) end
  end
  for i = 1, self.N do assert(map:update(i, value_of and value_of(i) or i * 10)) end
end

function environment:filled(given, value_of)
  local map = self:make(given)
  self:fill(map, value_of)
  return map
end

--- Values of a per-CPU map for fill: ten times the key on the first CPU.
function environment.per_cpu(key)
  local values = { key * 10 }
  for cpu = 2, (bpf.cpus()) do values[cpu] = 0 end
  return values
end

--- What a map holds, by key.
function environment.contents(_, map)
  local all, n = {}, 0
  for key, value in pairs(map) do all[key], n = value, n + 1 end
  return all, n
end

--- Whether a map holds 1 to N, and nothing else.
function environment:is_whole(map)
  local all, n = self:contents(map)
  for i = 1, self.N do
    if all[i] ~= i * 10 then return false end
  end
  return n == self.N
end

function environment:write(name, text)
  local file <close> = assert(io.open(self:path(name), "w"))
  assert(file:write(text))
  return self:path(name)
end

function environment.read(_, path)
  local file <close> = io.open(path)
  return file and file:read "a"
end

--- Whether a filter is attached to lo.
function environment.filters()
  local pipe <close> = io.popen "for hook in ingress egress; do tc filter show dev lo $hook; done"
  return pipe:read "a":find "bpf" ~= nil
end

--- Names of the files in the folder, and of the pins of this try, as keys.
function environment:files()
  local names = {}
  for _, name in ipairs(self.control.files(self.folder)) do names[name] = true end
  for _, name in ipairs(self.control.files(PINS)) do
    if name:find(self.prefix, 1, true) == 1 then names["pin " .. name] = true end
  end
  return names
end

--- Closes what is open, last made first, down to the first n.
function environment:close(n)
  for i = #self.owned, (n or 0) + 1, -1 do
    local x = self.owned[i]
    if x.close then x:close() end
    self.owned[i] = nil
  end
end

--- Removes files and pins that are not among the names given (of files()).
function environment:tidy(names)
  for name in pairs(self:files()) do
    local pin = name:match "^pin (.*)"
    if not names[name] then os.remove(pin and PINS .. "/" .. pin or self:path(name)) end
  end
end

--- Removes files and pins of a folder that environments were made in; by its name alone.
function environment.remove(control, folder)
  for _, name in ipairs(control.files(folder)) do os.remove(folder .. "/" .. name) end
  os.remove(folder)
  local prefix = folder:match "[^/]+$"
  for _, name in ipairs(control.files(PINS)) do
    if name:find(prefix, 1, true) == 1 then os.remove(PINS .. "/" .. name) end
  end
end

return environment
