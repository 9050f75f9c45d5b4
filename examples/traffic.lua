-- SPDX-License-Identifier: MIT
--
-- A cgroup of its own, and the traffic generator (traffic.c) running in it: for
-- the demo and for the specs of the connection tracker. Nothing is left behind,
-- even when this process is killed.

local bpf = require "luabpf"
local conntrack = require "luabpf.conntrack"

local traffic = {}

-- How long a command may take.
local PATIENCE <const> = 30000000000 -- ns

local function quoted(text)
  return "'" .. text:gsub("'", "'\\''") .. "'"
end

local function run(...)
  local command = {}
  for i, word in ipairs { ... } do command[i] = quoted(word) end
  return os.execute(table.concat(command, " "))
end

-- ---- a cgroup ------------------------------------------------------------------

-- Removes the cgroup $1, and unmounts $2 if it is given, once its input ends: when it is told to,
-- or with the process that holds the other end. A cgroup can be removed a moment after its last
-- process has ended; the kernel has not noticed before.
local KEEPER <const> = [[
trap '' INT TERM HUP
read -r _
n=0
until rmdir "$1" 2>/dev/null || [ ! -d "$1" ] || [ $n = 250 ]; do n=$((n + 1)); sleep 0.02; done
[ -z "$2" ] || { umount -l "$2" && rmdir "$2"; }
[ ! -d "$1" ]
]]

local cgroup = {}
cgroup.__index = cgroup

-- A mount point for cgroup2; raises if it cannot be mounted.
local function mount_cgroup2()
  local path = os.tmpname()
  os.remove(path)
  if run("mkdir", path) and run("mount", "-t", "cgroup2", "none", path) then return path end
  os.remove(path)
  error("cannot mount cgroup2 (this needs root)", 0)
end

--- Makes an empty cgroup, under a cgroup2 that is mounted for the purpose if there is none.
-- @tparam string name
-- @treturn cgroup with path, and with <close>, which removes it; raises if it cannot be made
function traffic.cgroup(name)
  local self = setmetatable({}, cgroup)
  local root, mount = conntrack.cgroup_root(), ""
  if not root then
    mount = mount_cgroup2()
    root = mount
  end
  local made = run("mkdir", root .. "/" .. name)
  self.path = made and root .. "/" .. name or ""
  self.keeper = assert(io.popen(("exec sh -c %s keeper %s %s"):format(quoted(KEEPER),
    quoted(self.path), quoted(mount)), "w"))
  if made then return self end
  self:close()
  error("cannot create a cgroup in " .. root .. " (this needs root)", 0)
end

--- Removes it. Its processes must have ended.
function cgroup:close()
  if self.keeper then self.keeper:close() end
  self.keeper = nil
end

cgroup.__close = cgroup.close
cgroup.__gc = cgroup.close

-- ---- the generator -------------------------------------------------------------

local generator = {}
generator.__index = generator

--- Starts the generator.
-- @tparam string path the program, .build/traffic
-- @tparam[opt] cgroup where to run it
-- @treturn generator with <close>, which ends it; raises if there is no such program
function traffic.start(path, where)
  local program = io.open(path)
  if not program then error(path .. ": not there; `make build-demo` builds it", 0) end
  program:close()
  local answers = os.tmpname()
  local join = where and ("echo $$ > %s && "):format(quoted(where.path .. "/cgroup.procs")) or ""
  local pipe = io.popen(("%sexec %s %s"):format(join, quoted(path), quoted(answers)), "w")
  pipe:setvbuf("line")
  return setmetatable({ pipe = pipe, answers = answers, offset = 0 }, generator)
end

--- Gives a command (traffic.c lists them) and does not wait for its end.
function generator:tell(...)
  self.conns = {}
  self.pipe:write(table.concat({ ... }, " "), "\n")
end

-- The complete lines answered since the last time.
local function new_lines(self)
  local lines = {}
  local file <close> = assert(io.open(self.answers))
  file:seek("set", self.offset)
  for line in file:lines("L") do
    if line:sub(-1) ~= "\n" then break end
    self.offset = self.offset + #line
    lines[#lines + 1] = line:sub(1, -2)
  end
  return lines
end

local function parse_conn(line)
  local word = {}
  for w in line:gmatch("%S+") do word[#word + 1] = math.tointeger(tonumber(w)) or w end
  return { tag = word[2], protocol = word[3], src_addr = word[4], src_port = word[5],
    dst_addr = word[6], dst_port = word[7], packets = word[8], bytes = word[9],
    reply_packets = word[10], reply_bytes = word[11] }
end

--- Whether the last command has come to its end; what it reported is in self.conns.
function generator:done()
  for _, line in ipairs(new_lines(self)) do
    if line == "ok" then return true end
    if line:match("^error") then error("traffic generator: " .. line, 0) end
    self.conns[#self.conns + 1] = parse_conn(line)
  end
  return false
end

--- Waits for the end of the last command.
-- @treturn table the connections it reported: tag, protocol, src_addr, src_port, dst_addr,
--   dst_port, packets, bytes, reply_packets, reply_bytes
function generator:wait()
  local deadline = bpf.now() + PATIENCE
  while not self:done() do
    if bpf.now() > deadline then error("the traffic generator does not answer", 0) end
    bpf.sleep("5ms")
  end
  return self.conns
end

--- Gives a command and waits for its end.
function generator:command(...)
  self:tell(...)
  return self:wait()
end

--- Ends it: its connections are closed.
function generator:close()
  if not self.pipe then return end
  self.pipe:close()
  os.remove(self.answers)
  self.pipe = nil
end

generator.__close = generator.close
generator.__gc = generator.close

return traffic
