-- SPDX-License-Identifier: MIT
--
-- The editor of lines (luabpf/bind/prompt/editor.c) where its input is gone. The rest of it is
-- tried at a terminal, in sessions_spec.

local lua = os.getenv "LUABPF_LUA" or "lua5.4"

-- What a line of another process is: before and after are of its command.
local function line_of(library, before, after)
  local script = ('package.path, package.cpath = %q, %q local core = require "luabpf.core" '
    .. 'core.editor(%q) io.write("<", tostring(core.read_line("", print)), ">")')
    :format(package.path, package.cpath, library)
  local file = os.tmpname()
  local handle <close> = assert(io.open(file, "w"))
  handle:write(script)
  handle:flush()
  local pipe <close> = assert(io.popen(("%stimeout -k 1 10 %s %s %s 2>/dev/null; echo $?")
    :format(before, lua, file, after)))
  local text = pipe:read "a"
  os.remove(file)
  return text
end

describe("the editor of lines", function()
  for _, library in ipairs { "readline", "edit" } do
    it("ends where its input is closed or has ended: " .. library .. " #preload", function()
      assert.matches("<nil>0\n$", line_of(library, "", "<&-"))
      assert.matches("<nil>0\n$", line_of(library, "true | ", ""))
    end)
  end
end)
