-- SPDX-License-Identifier: MIT
--
-- Whether the kernel takes the CPU away from what runs inside it, as far as it tells. A
-- scan on a kernel that does not holds its CPU until it is done, so that its budget has
-- to be small.
--
-- What is asked, the first that knows decides: the version ("PREEMPT_RT", or "PREEMPT"
-- alone, which is full preemption built in); /sys/kernel/debug/sched/preempt, the mode at
-- work of a kernel that can change it; preempt= on its command line; what it was
-- configured with, in /boot. Where none knows it is taken not to be.

local preemption = {}

-- The modes in which work inside the kernel is interrupted: "lazy" at the next tick.
local YES <const> = { full = true, lazy = true }

-- What one run inside the kernel may take, ns.
local SMALL <const>, LARGE <const> = 250000000, 2000000000

local function read(path)
  local file <close> = io.open(path, "rb")
  return file and file:read "a" or nil
end

-- The mode, and where it was found; nothing where it is not known.
local function find(contents)
  local version = contents "/proc/sys/kernel/version" or ""
  if version:find("PREEMPT_RT", 1, true) then return "full", "PREEMPT_RT in its version" end
  if version:find "PREEMPT%f[^%w_]" then return "full", "PREEMPT in its version" end
  if not version:find("PREEMPT", 1, true) then return "none", "no PREEMPT in its version" end
  local modes = contents "/sys/kernel/debug/sched/preempt"
  if modes then return modes:match "%((%l+)%)", "/sys/kernel/debug/sched/preempt" end
  local line = (contents "/proc/cmdline" or ""):match "^.*%f[%S]preempt=(%l+)"
  if line then return line, "preempt= on its command line" end
  local path = "/boot/config-" .. (contents "/proc/sys/kernel/osrelease" or ""):gsub("%s", "")
  local config = contents(path)
  if not config then return nil end
  for name, mode in pairs { PREEMPT = "full", PREEMPT_LAZY = "lazy",
    PREEMPT_VOLUNTARY = "voluntary", PREEMPT_NONE = "none" } do
    if config:find("\nCONFIG_" .. name .. "=y", 1, true) then return mode, path end
  end
end

-- The budget that fits the kernel, and why, in words.
-- @tparam[opt] function contents gives the contents of a file by its path, or nil
-- @treturn integer ns
-- @treturn string
function preemption.budget(contents)
  local mode, source = find(contents or read)
  if not mode then return SMALL, "the kernel does not tell whether it is preemptible" end
  return YES[mode] and LARGE or SMALL, ("the kernel is %s (%s: %s)"):format(
    YES[mode] and "preemptible" or "not preemptible", mode, source)
end

return preemption
