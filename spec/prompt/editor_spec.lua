-- SPDX-License-Identifier: MIT
--
-- The editor of lines (luabpf/bind/prompt/editor.c) where its input is gone. The rest of it is
-- tried at a terminal, in sessions_spec.

local lua = os.getenv "LUABPF_LUA" or "lua5.4"

-- What another process prints that has an editor of lines of that name. before and after are of its
-- command.
local function printed(library, before, after, script)
  script = ('package.path, package.cpath = %q, %q local core = require "luabpf.core" '
    .. 'core.editor(%q) '):format(package.path, package.cpath, library) .. script
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

local function line_of(library, before, after)
  return printed(library, before, after,
    [[io.write("<", tostring(core.read_line("", print)), ">")]])
end

describe("the editor of lines", function()
  for _, library in ipairs { "readline", "edit" } do
    it("ends where its input is closed or has ended: " .. library .. " #preload", function()
      assert.matches("<nil>0\n$", line_of(library, "", "<&-"))
      assert.matches("<nil>0\n$", line_of(library, "true | ", ""))
    end)

    it("refuses a prompt that it has no room for: " .. library .. " #preload", function()
      assert.matches("<false.*too long%)>0\n$", printed(library, "true | ", "",
        [[io.write("<", tostring(pcall(core.read_line, ("x"):rep(100000), print)), " ",
          select(2, pcall(core.read_line, ("x"):rep(100000), print)), ">")]]))
    end)

    it("leaves the locale of the process as it was: " .. library .. " #preload", function()
      assert.matches("<C C>0\n$", printed(library, "true | LC_ALL=C.UTF-8 ", "",
        [[local before = os.setlocale(nil, "ctype")
        core.add_history "x" core.read_line("", print)
        io.write("<", before, " ", os.setlocale(nil, "ctype"), ">")]]))
    end)
  end
end)
