-- SPDX-License-Identifier: MIT
--
-- Handles say what they have not: `map:updat(...)` raises "map has no method 'updat'; did you mean
-- 'update'?" where it stands, in place of Lua's "attempt to call a nil value".

local core = require "luabpf.core"
local suggest = require "luabpf.base.suggest"

-- What people look for on a handle, and where it is.
local ELSEWHERE <const> = {
  map = { name = "map:info().name", id = "map:info().id", type = "map:info().type",
    max_entries = "#map", get = "map:lookup(key)", set = "map:update(key, value)" },
  program = { id = "program:info().id" },
  link = { id = "link:info().id" },
}

local function hint(word, name, methods)
  local place = ELSEWHERE[word] and ELSEWHERE[word][name]
  if place then return ("; that is %s"):format(place) end
  return suggest.ending(name, suggest.names(methods))
end

-- Makes a class say so. Names that begin with "_" are nil: tools look for them.
-- @tparam string class its name, as in core.classes
return function(class)
  local methods, word = core.classes[class], class:match "%w+$"
  setmetatable(methods, { __index = function(_, name)
    if type(name) ~= "string" then
      error(("%s has methods, not elements"):format(word), 2)
    end
    if name:find "^_" then return nil end
    error(("%s has no method '%s'%s"):format(word, name, hint(word, name, methods)), 2)
  end })
end
