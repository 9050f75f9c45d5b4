-- SPDX-License-Identifier: MIT
--
-- What the specs of objects, programs and links share: names that no other run of
-- them uses, a cgroup, another process (in network and mount namespaces of its own,
-- or with fewer privileges), and the count of open descriptors.

local support = {}

support.OBJECT = "bpf/objects.bpf.o"

local function read(path, format)
  local file <close> = assert(io.open(path))
  return file:read(format)
end

--- This process.
support.pid = read("/proc/self/stat", "n")

local made = 0

--- A name that is not used yet, good for pins, cgroups and files.
function support.unique(word)
  made = made + 1
  return ("luabpf_%s_%d_%d"):format(word, support.pid, made)
end

--- A path in bpffs that is not used yet.
function support.pin_path()
  return "/sys/fs/bpf/" .. support.unique "pin"
end

--- Whether there is a file, folder or pin of that name (a pin cannot be opened as a file).
function support.exists(path)
  return os.rename(path, path) == true
end

--- What a command prints, both streams together, and whether it succeeded.
function support.output(command)
  local pipe = assert(io.popen(command .. " 2>&1"))
  local text = pipe:read "a"
  return text, pipe:close() == true
end

--- How many descriptors this process has open, garbage collected before.
function support.descriptors()
  collectgarbage()
  collectgarbage()
  -- Not by a pipe, whose other end this process still has open for a moment.
  local path = os.tmpname()
  assert(os.execute("ls /proc/$PPID/fd >" .. path))
  local n = 0
  for _ in io.lines(path) do n = n + 1 end
  os.remove(path)
  return n
end

--- Where cgroup2 is mounted.
function support.cgroup_root()
  for line in io.lines "/proc/mounts" do
    local path = line:match "^%S+ (%S+) cgroup2 "
    if path then return path end
  end
  error "cgroup2 is not mounted"
end

--- Makes a cgroup, which support.remove_cgroup removes.
function support.make_cgroup()
  local path = support.cgroup_root() .. "/" .. support.unique "cgroup"
  assert(os.execute("mkdir " .. path))
  return path
end

function support.remove_cgroup(path)
  os.execute("rmdir " .. path .. " 2>/dev/null")
end

--- Sends one UDP packet over lo from within a cgroup.
function support.send_from(cgroup)
  assert(os.execute(("sh -c 'echo $$ >%s/cgroup.procs && "
    .. "exec bash -c \"echo x >/dev/udp/127.0.0.1/9\"'"):format(cgroup)))
end

-- The interpreter that runs the specs.
local function interpreter()
  local first = 0
  while arg[first - 1] do first = first - 1 end
  return arg[first]
end

--- Runs Lua source in another process, started by the command prefix if one is given.
-- It has `bpf` and `support`. Returns what it printed, both streams, and whether it succeeded.
function support.elsewhere(prefix, source)
  local path = os.tmpname()
  local file = assert(io.open(path, "w"))
  file:write('local bpf = require "luabpf"\nlocal support = require "spec.support.objects"\n',
    "_ENV.bpf, _ENV.support = bpf, support\n", source)
  file:close()
  local text, ok = support.output(("LUA_PATH='%s' LUA_CPATH='%s' %s '%s' %s"):format(
    package.path, package.cpath, prefix, interpreter(), path))
  os.remove(path)
  return text, ok
end

local own_mounts

--- The beginning of a command that has mounts of its own, and what other letters of unshare's say.
-- Fails where the machine cannot: as in a chroot that is no mount.
function support.unshare(others)
  own_mounts = own_mounts or { support.output "unshare -m true" }
  assert(own_mounts[2], ("no fault of luabpf's: on this machine nothing has mounts of its own: "
    .. "%sin a chroot, make its root a mount (mount --bind ROOT ROOT) before entering it"):format(
    own_mounts[1]))
  return "unshare -m" .. (others or "")
end

--- The same in new network and mount namespaces, with an lo of its own that is up.
function support.isolated(source)
  return support.elsewhere(support.unshare "n" .. " sh -c 'ip link set lo up && exec \"$@\"' sh",
    source)
end

--- The same as root without any capability.
function support.unprivileged(source)
  return support.elsewhere("setpriv --bounding-set=-all --inh-caps=-all", source)
end

return support
