-- SPDX-License-Identifier: MIT
--
-- Handles and modules say what they have not: `map:updat(...)` raises "map has no method 'updat';
-- did you mean 'update'?" where it stands, in place of Lua's "attempt to call a nil value". What
-- is only looked for (`if map.fold then`) is nil, as ever.

local called = require "luabpf.base.called"
local core = require "luabpf.core"
local later = require "luabpf.base.later"

local suggest = later.module "luabpf.base.suggest"

-- What people look for on a handle, and what they should write.
local INSTEAD <const> = {
  map = { name = "map:info().name", id = "map:info().id", type = "map:info().type",
    max_entries = "#map", get = "map:lookup(key)", set = "map:update(key, value)",
    size = "map:count()", len = "map:count()" },
}

local function hint(word, name, functions)
  local instead = INSTEAD[word] and INSTEAD[word][name]
  if instead then return ("; write %s"):format(instead) end
  return suggest.ending(name, suggest.names(functions))
end

-- Makes a table of functions say so.
-- @tparam table functions a module, or the methods of a class
-- @tparam string word what it is called: "map"
-- @tparam string kind "method" or "function"
return function(functions, word, kind)
  return setmetatable(functions, { __index = function(_, name)
    if type(name) == "string" and called.as(name, 2) then
      core.misuse(("%s has no %s '%s'%s"):format(word, kind, name, hint(word, name, functions)))
    end
    return nil
  end })
end
