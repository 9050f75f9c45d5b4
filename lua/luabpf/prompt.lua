-- SPDX-License-Identifier: MIT

--- The prompt: `lua5.4 -l luabpf.prompt`, or `luabpf`. On a terminal it takes over until Ctrl-D,
-- and ends the process; without one this module does nothing.
--
-- @module luabpf.prompt

local bpf = require "luabpf"
local session = require "luabpf.prompt.session"

_G.bpf = bpf

if session.has_terminal() then
  session.run(bpf, _G)
  os.exit(true, true)
end

return bpf
