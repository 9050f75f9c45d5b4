-- SPDX-License-Identifier: MIT

--- Names of addresses: of the kernel's by /proc/kallsyms, of a process's by its mappings and the
-- ELF files in them; and stacks as lists of names.
--
-- @module luabpf.event.symbol

local core = require "luabpf.core"
local errors = require "luabpf.base.errors"

local map = core.classes["luabpf.map"]

local symbol = {}

local function check_pid(pid, what, level)
  if pid ~= nil and (math.type(pid) ~= "integer" or pid < 1 or pid > 0x7fffffff) then
    error(("%s: pid: the number of a process expected, got %s"):format(what, tostring(pid)),
      level + 1)
  end
end

--- The name of an address in the kernel, or in a process: "do_unlinkat+0x10". What is in a module
-- has its name after it, "nf_conntrack_in+0x44 [nf_conntrack]". In a process, where a file has no
-- name for the address, it is the file's and the place in it, "[libc.so.6]+0x8f2a0".
-- @function bpf.symbol
-- @tparam integer address the address
-- @tparam[opt] integer pid the process; none: the kernel
-- @treturn ?string the name; nil for an address that is in nothing
-- @error the kernel shows no addresses (EACCES), there is no such process (ESRCH), its mappings
--   cannot be read
-- @privileges CAP_SYSLOG to see the kernel's addresses; of processes of other users CAP_SYS_PTRACE
-- @usage
-- local file <close> = assert(io.open "/proc/kallsyms")
-- for line in file:lines() do
--   local address = line:match "^(%x+) T do_unlinkat$"
--   if address then print(bpf.symbol(math.tointeger("0x" .. address) + 16)) end -- do_unlinkat+0x10
-- end
function symbol.symbol(address, pid)
  if math.type(address) ~= "integer" then
    error(("symbol: an address, an integer, expected, got %s"):format(type(address)), 2)
  end
  check_pid(pid, "symbol", 2)
  return core.symbol(address, pid)
end

--- A stack of a stack_trace map as names, innermost first; an address without a name as "0x...".
-- @function map:stack
-- @tparam integer id what bpf_get_stackid gave the program
-- @tparam[opt] integer pid whose stack it is (BPF_F_USER_STACK); none: the kernel's
-- @treturn ?table a list of names; nil where there is no such stack
-- @error the addresses are hidden, or the process is gone
-- @raise the map holds no addresses of stacks
-- @privileges as `bpf.symbol`
-- @usage
-- local stacks <close> = assert(bpf.create { type = "stack_trace", name = "stacks", key = "u32",
--   value_size = 8 * 32, max_entries = 64 })
-- print(stacks:stack(1)) -- nil
function map:stack(id, pid)
  core.check_map(self)
  check_pid(pid, "stack", 2)
  local info = core.known_info(self)
  if info.type ~= "stack_trace" then
    error(("%s: stack: its values are no lists of addresses"):format(errors.label(info)), 2)
  elseif math.type(id) ~= "integer" or id < 0 or id > 0xffffffff then
    error(("stack: id: what bpf_get_stackid gave, from 0 on, expected, got %s")
      :format(tostring(id)), 2)
  end
  local addresses, message, errno = self:lookup(id)
  if not addresses then return nil, message, errno end
  local names = {}
  for i, address in ipairs(addresses) do
    local name
    name, message, errno = core.symbol(address, pid)
    if message then return nil, message, errno end
    names[i] = name or ("0x%x"):format(address)
  end
  return names
end

return symbol
