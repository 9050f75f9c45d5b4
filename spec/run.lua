-- SPDX-License-Identifier: MIT
--
-- Runs the specs by this interpreter, whatever Lua the `busted` command is for:
--
--   make test                       builds what the specs need, then runs this
--   lua5.4 spec/run.lua ARGS...     busted's own arguments
--   luarocks --lua-version=5.4 test -- ARGS...

if _VERSION ~= "Lua 5.4" then
  io.stderr:write("the specs need Lua 5.4, this is ", _VERSION, "\n")
  os.exit(1)
end

-- Not under make: the specs need more than the module (BPF objects, programs in C).
if not os.getenv "LUABPF_BUILD" and not os.execute "make --no-print-directory build-test" then
  os.exit(1)
end

table.insert(arg, 1, "--ignore-lua")
require "busted.runner" { standalone = false }
