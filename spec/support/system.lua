-- SPDX-License-Identifier: MIT
--
-- Forks, signals and limits for specs (system.c).

local build = os.getenv "LUABPF_BUILD" or ".build"
local system = assert(package.loadlib(build .. "/support/system.so", "luaopen_system"))()

--- Runs a function in a child that is forked, which ends when it returns.
-- @treturn string|nil what the function returned, as text; nil and why if the child died otherwise
function system.child(call, ...)
  local path = os.tmpname()
  local pid = system.fork()
  if pid == 0 then
    local ok, result = pcall(call, ...)
    local file = io.open(path, "w")
    file:write(tostring(result))
    file:close()
    system.exit(ok and 0 or 1)
  end
  local how, code = system.wait(pid)
  local file <close> = io.open(path)
  local result = file:read("a")
  os.remove(path)
  if how == "exit" and code == 0 then return result end
  return nil, how == "exit" and result or ("signal %d"):format(code)
end

return system
