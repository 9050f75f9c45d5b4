-- SPDX-License-Identifier: MIT
--
-- Modules that most scripts do without. Their files are read when luabpf is loaded,
-- for later they may not be found any more (the working folder is another one) or
-- not be opened (no descriptor is left). What takes the time, compiling them, is
-- done by the first call of what is in them.
--
-- Until then they are in package.preload. Where a module is not in a file, but
-- another searcher has it, its loader is there.

local core = require "luabpf.core"

local _, where = ...

local later = {}

-- Modules by name, as in package.loaded: those that this one was loaded with. Whoever takes them
-- out of there, as busted does after a block of specs, and loads luabpf again has two of each.
local own = {}

-- ---- finding ----------------------------------------------------------------------

-- What a file that is there cannot be opened for, as searchers do not say it: no descriptor, no
-- memory. Nothing where no file is there.
local function obstacle(name)
  for template in package.path:gmatch "[^;]+" do
    local file, message, errno = io.open((template:gsub("%?", (name:gsub("%.", "/")))))
    if file then file:close() end
    if message and errno ~= core.errno.ENOENT and errno ~= core.errno.ENOTDIR then
      return ": " .. message
    end
  end
  return ""
end

-- What the searchers but package.preload's find: a loader, and what it is called with.
local function search(name)
  for i = 2, #package.searchers do
    local loader, extra = package.searchers[i](name)
    if type(loader) == "function" then return loader, extra end
  end
  error(("module '%s' not found%s"):format(name, obstacle(name)), 0)
end

-- What stands before the name of a module that a text requires, now or later.
local BEFORE <const> = { "require ", "later.call(", "later.call ", "later.module " }

-- The modules of luabpf that a text requires.
local function required_by(text)
  local names, at = {}, 1
  while true do
    local first, last = text:find('"luabpf.', at, true)
    if not first then return names end
    for _, before in ipairs(BEFORE) do
      if text:sub(first - #before, first - 1) == before then
        names[#names + 1] = "luabpf." .. text:match("^[%w_.]*", last + 1)
      end
    end
    at = last
  end
end

-- Where this file is, and so the others: what stands before "luabpf/". Nil where that is not known.
local beside = type(where) == "string" and where:match "^(.*)luabpf/base/later%.lua$"

-- The text of a module, and its path; nil where it is in no file.
local function read(name)
  local path = beside and ("%s%s.lua"):format(beside, name:gsub("%.", "/"))
  local text = path and core.read_lua(path)
  if text then return text, path end
  path = package.searchpath(name, package.path)
  return path and core.read_lua(path), path
end

-- Reads a module, and those that it requires: require then finds it.
local function fetch(name)
  if package.loaded[name] or package.preload[name] then return end
  local text, path = read(name)
  if not text then
    local loader, extra = search(name)
    package.preload[name] = function() return loader(name, extra) end
    return
  end
  package.preload[name] = function() return assert(load(text, "@" .. path))(name, path) end
  for _, other in ipairs(required_by(text)) do fetch(other) end
end

-- ---- loading ----------------------------------------------------------------------

local function ours()
  local list = {}
  for name, module in pairs(package.loaded) do
    if type(name) == "string" and name:find "^luabpf%." then list[name] = module end
  end
  return list
end

local function exchange(new)
  for name in pairs(ours()) do package.loaded[name] = nil end
  for name, module in pairs(new) do package.loaded[name] = module end
end

-- require, where others of the same names are loaded now, or none.
local function require_apart(name)
  local others = ours()
  exchange(own)
  local ok, module = pcall(require, name)
  own = ours()
  exchange(others)
  if not ok then error(module, 0) end
end

-- The module, which finds those that it belongs to.
local function load_now(name)
  if own[name] == nil then
    if package.loaded["luabpf.base.later"] == later then
      require(name)
      own = ours()
    else
      require_apart(name)
    end
  end
  return own[name]
end

-- All that is loaded at once has been: what comes later belongs to it.
function later.begin()
  own = ours()
end

-- ---- standing in --------------------------------------------------------------------

-- Methods that modules put into a class when they are loaded.
-- @tparam string class its name
-- @tparam table modules method to module
function later.methods(class, modules)
  local methods = core.classes[class]
  for name, module in pairs(modules) do
    fetch(module)
    local function method(...)
      load_now(module)
      return assert(methods[name] ~= method and methods[name])(...)
    end
    methods[name] = method
  end
end

-- A function of a module; without a name, the function that the module is.
function later.call(module, name)
  fetch(module)
  return function(...)
    local loaded = load_now(module)
    return (name and loaded[name] or loaded)(...)
  end
end

-- A module whose functions are looked for in this table: the first that is loads it.
function later.module(name)
  fetch(name)
  return setmetatable({}, { __index = function(self, key)
    local value = load_now(name)[key]
    self[key] = value
    return value
  end })
end

-- ---- the working folder -------------------------------------------------------------

local folder = core.working_folder()

-- A path of templates, as package.path, that finds what it found when luabpf was loaded: those
-- that depend on the working folder are there once more, as they were meant then.
function later.absolute(path)
  local templates = { path }
  for template in path:gmatch "[^;]+" do
    if folder and template:sub(1, 1) ~= "/" then
      templates[#templates + 1] = folder .. "/" .. template
    end
  end
  return table.concat(templates, ";")
end

return later
