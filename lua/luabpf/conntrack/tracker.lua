-- SPDX-License-Identifier: MIT

--- The handle of a tracker: starting one on a cgroup, opening a pinned one, ending
-- it. conntrack.lua adds what is done with its connections.
--
-- @module luabpf.conntrack.tracker

local bpf = require "luabpf"
local core = require "luabpf.core"
local later = require "luabpf.base.later"
local options = require "luabpf.base.options"

-- Where this file lies, as `require` says; the BPF object is found from there.
local _, here = ...

-- The functions that make a tracker, and its class.
local conntrack, tracker = {}, {}

local MAX_U32 <const> = 0xffffffff

-- ---- what it is made of ------------------------------------------------------------

-- What a pinned tracker leaves in bpffs beside the table itself, in the order in which it is
-- pinned. No dots: bpffs takes none.
local PINS = { { "map", "" }, { "counters_map", "_counters" }, { "egress", "_egress" },
  { "ingress", "_ingress" } }

-- The BPF object: installed beside the Lua files, or in the checkout that this file is in.
local checkout = (here or ""):match "^(.*)lua/luabpf/conntrack/[^/]*$"
local OBJECT <const> = later.absolute(package.path:gsub("%.lua", ".bpf.o")
  .. (checkout and (";%sbpf/conntrack.bpf.o"):format(checkout) or ""))

local function find_object()
  local path = package.searchpath("luabpf.bpf.conntrack", OBJECT)
  if path then return path end
  return nil, "conntrack: conntrack.bpf.o: No such file or directory (it is left out when luabpf "
    .. "is built or installed without clang: install clang and do that again)", bpf.errno.ENOENT
end

--- Where the unified cgroup hierarchy (cgroup2) is mounted.
-- @treturn string the path
-- @error it is mounted nowhere
-- @usage
-- print(conntrack.cgroup_root())
function conntrack.cgroup_root()
  local mounts <close>, message, errno = io.open "/proc/mounts"
  if not mounts then return nil, "conntrack: " .. message, errno end
  for line in mounts:lines() do
    local path, kind = line:match("^%S+ (%S+) (%S+)")
    if kind == "cgroup2" then
      return (path:gsub("\\(%d%d%d)", function(octal) return string.char(tonumber(octal, 8)) end))
    end
  end
  return nil, "conntrack: cgroup2 is not mounted (mount -t cgroup2 none DIRECTORY)",
    bpf.errno.ENOENT
end

local function close_handles(self)
  for _, name in ipairs { "ingress", "egress", "map", "counters_map", "object" } do
    if self[name] then self[name]:close() end
  end
  local object = self.object or { maps = {}, programs = {} }
  for _, handle in pairs(object.maps) do handle:close() end
  for _, handle in pairs(object.programs) do handle:close() end
end

tracker.__index = tracker
tracker.__name = "luabpf.conntrack"
tracker.__close = close_handles

function tracker:__tostring()
  return ("luabpf.conntrack (%s)"):format(tostring(self.map))
end

-- Each link that was made is in self, so that stop can undo it.
local function attach(self, cgroup)
  for _, name in ipairs { "egress", "ingress" } do
    local link, message, errno = self.object.programs[name]:attach { cgroup = cgroup }
    if not link then return nil, message, errno end
    self[name] = link
  end
  return true
end

local function pin(self, path)
  for _, each in ipairs(PINS) do
    local name, suffix = table.unpack(each)
    local ok, message, errno = self[name]:pin(path .. suffix)
    if not ok then return nil, message, errno end
    self.pins[#self.pins + 1] = path .. suffix
  end
  return true
end

local function load_and_attach(given, object_path, cgroup)
  local object, message, errno = bpf.load(object_path, {
    maps = { conns = { type = given.type, max_entries = given.max_entries } },
  })
  if not object then return nil, message, errno end
  local self = setmetatable({ object = object, map = object.maps.conns, pins = {},
    counters_map = object.maps.counters }, tracker)
  local ok
  ok, message, errno = attach(self, cgroup)
  if ok and given.pin then ok, message, errno = pin(self, given.pin) end
  if ok then return self end
  self:stop()
  return nil, message, errno
end

-- ---- what is pinned already ----------------------------------------------------

-- Whether a link is on the cgroup of that folder, whose inode is the cgroup's id.
local function is_on(link, cgroup)
  local info, folder = link:info(), core.file_status(cgroup)
  return not info or not folder or info.cgroup_id == folder.inode
end

-- What of an open tracker is not as asked for; nil for nothing.
local function unfit(self, given)
  local info = self.map:info() or {}
  for _, name in ipairs { "type", "max_entries" } do
    if given[name] and info[name] ~= given[name] then
      return ("%s %s, not %s"):format(name, info[name], given[name])
    end
  end
  if given.cgroup and not is_on(self.egress, given.cgroup) then
    return ("another cgroup than %s"):format(given.cgroup)
  end
end

-- What a start that was killed has left of a tracker's pins; only where the table is a tracker's.
local function remove_rest(path)
  local map = bpf.open(path)
  if not map or map:info().name ~= "conns" then return end
  map:close()
  for _, each in ipairs(PINS) do os.remove(path .. each[2]) end
end

-- The tracker that is pinned at a path, if it is as asked for; false where there is none.
local function pinned(given)
  local self, message, errno = conntrack.open(given.pin)
  if not self and errno ~= bpf.errno.ENOENT then return nil, message, errno end
  if not self then
    remove_rest(given.pin)
    return false
  end
  local why = unfit(self, given)
  if not why then return self end
  close_handles(self)
  return nil, ("%s: the tracker that is pinned there has %s (conntrack.open(path):stop() ends it)")
    :format(given.pin, why), bpf.errno.EEXIST
end

-- ---- starting and stopping -----------------------------------------------------

--- Starts the tracker on a cgroup, or on the whole machine: what its sockets send and receive, not
-- what it forwards.
-- @tparam[opt="the root of cgroup2"] string options.cgroup a directory of the unified hierarchy;
--   the sockets of its processes, and of cgroups in it, are tracked
-- @tparam[opt=65536] integer options.max_entries how many connections the table has room for
-- @tparam[opt="hash"] "hash"|"lru_hash" options.type "hash": a full table takes no new
--   connections; "lru_hash": it gives up those that have been idle longest
-- @tparam[opt] string options.pin a path in a bpffs: the tracker goes on after this process; one
--   that is pinned there is taken up, if it is as asked for
-- @tparam[opt] string options.object the path of conntrack.bpf.o, where it is not the one that
--   came with luabpf
-- @treturn tracker the tracker, which ends with its handle unless it is pinned
-- @error there is no such cgroup, something else is at `pin`, or the kernel refuses
-- @privileges CAP_NET_ADMIN and CAP_PERFMON
-- @usage
-- local tracker <close> = assert(conntrack.start { cgroup = CGROUP, max_entries = 1000 })
-- print(tracker)
function conntrack.start(given)
  given = options.check("start", given, options.of "conntrack.start")
  options.integer("start", "max_entries", given.max_entries, 1, MAX_U32)
  if given.pin then
    local self, message, errno = pinned(given)
    if self ~= false then return self, message, errno end
  end
  local object, cgroup, message, errno = given.object, given.cgroup, nil, nil
  if not object then object, message, errno = find_object() end
  if not object then return nil, message, errno end
  if not cgroup then cgroup, message, errno = conntrack.cgroup_root() end
  if not cgroup then return nil, message, errno end
  return load_and_attach(given, object, cgroup)
end

--- Opens a tracker that was started with a pin, in this process or another.
-- @tparam string path the pin
-- @treturn tracker the tracker, which goes on when the handle is closed
-- @error there is no such pin, or it is of something else
-- @usage
-- local started = assert(conntrack.start { cgroup = CGROUP, pin = "/sys/fs/bpf/flows" })
-- started:close()
-- local tracker = assert(conntrack.open "/sys/fs/bpf/flows")
-- tracker:stop()
function conntrack.open(path)
  if type(path) ~= "string" then
    error(("open: path of a pin expected, got %s"):format(type(path)), 2)
  end
  local self = setmetatable({ pins = {} }, tracker)
  for i, each in ipairs(PINS) do
    local name, suffix = table.unpack(each)
    local open = name:find("map") and bpf.open or bpf.open_link
    local handle, message, errno = open(path .. suffix)
    if not handle then
      close_handles(self)
      return nil, message, errno
    end
    self[name], self.pins[i] = handle, path .. suffix
  end
  return self
end

--- A connection tracker: the programs that watch and the table that they fill.
-- @table tracker
-- @tfield map map the table, a map like any other

--- Closes the handle. A pinned tracker goes on; another one ends with its handle.
-- @treturn true the handle is closed
-- @usage
-- local tracker = assert(conntrack.start { cgroup = CGROUP })
-- tracker:close()
function tracker:close()
  close_handles(self)
  return true
end

--- Ends tracking: detaches the programs, removes the pins, closes the handle.
-- @treturn true the tracker is gone
-- @error a pin cannot be removed
-- @usage
-- local tracker = assert(conntrack.start { cgroup = CGROUP })
-- tracker:stop()
function tracker:stop()
  for _, name in ipairs { "egress", "ingress" } do
    if self[name] then pcall(self[name].detach, self[name]) end
  end
  for _, path in ipairs(self.pins) do os.remove(path) end
  self.pins = {}
  return self:close()
end

return { functions = conntrack, class = tracker }
