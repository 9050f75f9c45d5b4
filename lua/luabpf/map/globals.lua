-- SPDX-License-Identifier: MIT
--
-- How the global variables of an object print: tostring(obj.globals).

local core = require "luabpf.core"
local show = require "luabpf.show.show"

local globals = {}

-- "name = 30000", a line each; of structs, unions and arrays the type.
function globals.text(self)
  local lines = {}
  for i, variable in ipairs(core.global_variables(self)) do
    local desc = variable.layout and variable.layout:describe()
    local value = self[variable.name]
    lines[i] = ("%s%s = %s"):format(variable.name, variable.constant and " (constant)" or "",
      type(value) == "table" and ("{ %s }"):format(show.type(desc)) or show.value(desc, value))
  end
  return table.concat(lines, "\n")
end

return globals
