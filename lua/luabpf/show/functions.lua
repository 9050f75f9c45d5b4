-- SPDX-License-Identifier: MIT
--
-- Functions as text: by the name under which a module or one of luabpf's classes has them.

local core = require "luabpf.core"
local suggest = require "luabpf.base.suggest"

local functions = {}

-- The name of a function in a module's table.
local function function_in(name, module, fn)
  for key, value in next, module do
    if rawequal(value, fn) and type(key) == "string" and not key:find "^_" then
      return name == "_G" and key or name .. "." .. key
    end
  end
end

local function loaded_name(fn)
  local names = {}
  for name, module in next, package.loaded do
    if type(name) == "string" and type(module) == "table" and not name:find "^luabpf%." then
      names[#names + 1] = name
    end
  end
  table.sort(names)
  for _, name in ipairs(names) do
    local found = function_in(name, package.loaded[name], fn)
    if found then return (found:gsub("^luabpf%.", "bpf.")) end
    found = name == "luabpf" and function_in("bpf.iter", package.loaded[name].iter, fn)
    if found then return found end
  end
  -- In order: what snapshots share with maps is called as of maps.
  for _, class in ipairs(suggest.names(core.classes)) do
    local found = function_in(class:gsub("^luabpf%.", ""), core.classes[class], fn)
    if found then return (found:gsub("%.", ":")) end
  end
end

-- A function by its name, where a module or a class has it, else by where it is.
function functions.text(fn)
  local name = loaded_name(fn)
  if name then return "function " .. name end
  local info = debug.getinfo(fn, "S")
  if info.what == "C" then return "function in C" end
  return ("function at %s:%d"):format(info.short_src, info.linedefined)
end

return functions
