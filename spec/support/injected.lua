-- SPDX-License-Identifier: MIT
--
-- Lua code in another process in which calls fail by plan: spec/support/faults/shim.c is preloaded
-- there. Tests with it are tagged #preload: a sanitizer has the same place.

local helper = require "spec.support.helper"

local injected = {}

local LIBRARY <const> = os.getenv "LUABPF_BUILD" .. "/faults.so"

-- What the code has: faults (spec/support/faults/control.c), and `failing`.
local BEFORE <const> = [[
  local faults = package.loadlib(%q, "luaopen_faults")()
  -- What f gives when the at-th call of a kind fails so, and with lasting all after it.
  local function failing(kind, at, errno, f, lasting)
    faults.arm(faults.kinds[kind] or kind, at, bpf.errno[errno], lasting)
    return select(2, faults.call(f))
  end
]]

--- As helper.process, with faults.
function injected.process(code, ...)
  return helper.process_with("LD_PRELOAD=" .. LIBRARY, BEFORE:format(LIBRARY) .. code, ...)
end

--- The lines that the code prints.
function injected.lines(code, ...)
  local process <close> = injected.process(code, ...)
  local list = {}
  for line in process:lines() do list[#list + 1] = line end
  return list
end

-- Source: asm/unistd_64.h, and linux/bpf.h, enum bpf_cmd.
local BPF_CALL <const>, PROG_LOAD <const> = 321, 5

--- As helper.process, where no program can be loaded: a seccomp filter refuses it. Nothing is
-- preloaded for that.
function injected.without_programs(code, ...)
  return helper.process(([[
    local faults = package.loadlib(%q, "luaopen_faults")()
    assert(faults.refuse(%d, %d, bpf.errno.EPERM))
  ]]):format(LIBRARY, BPF_CALL, PROG_LOAD) .. code, ...)
end

return injected
