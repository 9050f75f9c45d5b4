-- SPDX-License-Identifier: MIT
--
-- The faults that an operation is tried under, made from what a run of it without faults has
-- called. Errnos are those that a call can have where the system refuses: none says something
-- about a map that is not so ("no such entry").

local core = require "luabpf.core"

local sections = {}

local E = core.errno

-- Commands of bpf(2) by number. Source: linux/bpf.h, enum bpf_cmd.
local COMMANDS <const> = { [0] = "MAP_CREATE", "MAP_LOOKUP_ELEM", "MAP_UPDATE_ELEM",
  "MAP_DELETE_ELEM", "MAP_GET_NEXT_KEY", "PROG_LOAD", "OBJ_PIN", "OBJ_GET", "PROG_ATTACH",
  "PROG_DETACH", "PROG_TEST_RUN", "PROG_GET_NEXT_ID", "MAP_GET_NEXT_ID", "PROG_GET_FD_BY_ID",
  "MAP_GET_FD_BY_ID", "OBJ_GET_INFO_BY_FD", "PROG_QUERY", "RAW_TRACEPOINT_OPEN", "BTF_LOAD",
  "BTF_GET_FD_BY_ID", "TASK_FD_QUERY", "MAP_LOOKUP_AND_DELETE_ELEM", "MAP_FREEZE",
  "BTF_GET_NEXT_ID", "MAP_LOOKUP_BATCH", "MAP_LOOKUP_AND_DELETE_BATCH", "MAP_UPDATE_BATCH",
  "MAP_DELETE_BATCH", "LINK_CREATE", "LINK_UPDATE", "LINK_GET_FD_BY_ID", "LINK_GET_NEXT_ID",
  "ENABLE_STATS", "ITER_CREATE", "LINK_DETACH", "PROG_BIND_MAP" }

local BPF <const> = { "EPERM", "ENOMEM", "EINTR", "EAGAIN", "EBUSY" }
local NEW_DESCRIPTOR <const> = { MAP_CREATE = true, PROG_LOAD = true, OBJ_GET = true,
  RAW_TRACEPOINT_OPEN = true, BTF_LOAD = true, LINK_CREATE = true, PROG_GET_FD_BY_ID = true,
  MAP_GET_FD_BY_ID = true, BTF_GET_FD_BY_ID = true, LINK_GET_FD_BY_ID = true }
local MORE <const> = {
  MAP_CREATE = { "ENOSPC" }, PROG_LOAD = { "ENOSPC" }, OBJ_PIN = { "ENOSPC", "EROFS" },
  OBJ_GET = { "EACCES" }, BTF_LOAD = { "ENOSPC" }, LINK_CREATE = { "ENOSPC" },
  MAP_UPDATE_ELEM = { "E2BIG" }, MAP_UPDATE_BATCH = { "E2BIG", "EINVAL" },
  MAP_LOOKUP_BATCH = { "ENOSPC", "EINVAL", "EFAULT", "EDEADLK" },
  MAP_LOOKUP_AND_DELETE_BATCH = { "ENOSPC", "EINVAL", "EDEADLK" },
  MAP_DELETE_BATCH = { "EINVAL", "EDEADLK" }, PROG_TEST_RUN = { "EINVAL", "EDEADLK" },
}

-- Where the system may refuse for good, and less is done then: no rights, no types.
local LESS <const> = { BTF_GET_FD_BY_ID = { EPERM = true }, BTF_LOAD = { EPERM = true },
  OBJ_GET_INFO_BY_FD = { EPERM = true } }

local SHORT <const> = -1

local CALLS <const> = {
  mmap = { "ENOMEM", "EAGAIN", "EPERM" }, malloc = { "ENOMEM" },
  open = { "EACCES", "EMFILE", "ENFILE", "ENOMEM", "EIO", "EINTR" },
  read = { "EIO", "EINTR", "ENOMEM", SHORT },
  write = { "ENOSPC", "EIO", "EDQUOT", "EFBIG", "EINTR", SHORT },
  fsync = { "EIO", "ENOSPC", "EDQUOT" }, fdatasync = { "EIO", "ENOSPC", "EDQUOT" },
  rename = { "EACCES", "ENOSPC", "EIO", "EROFS", "EBUSY" },
  flock = { "ENOLCK", "EINTR", "EAGAIN" }, stat = { "EACCES", "EIO", "ENOMEM", "ELOOP" },
  unlink = { "EACCES", "EIO", "EROFS" }, seek = { "EIO", "ESPIPE" },
  truncate = { "EIO", "ENOSPC", "EROFS" }, close = { "EIO", "EINTR" },
  thread = { "EAGAIN", "EPERM", "ENOMEM" },
  socket = { "EMFILE", "ENFILE", "ENOBUFS", "ENOMEM", "EPERM" },
  send = { "ENOBUFS", "ENOMEM", "EINTR", "EPERM" },
  receive = { "ENOBUFS", "ENOMEM", "EINTR", "EAGAIN" },
  ioctl = { "ENOMEM", "EPERM", "EINTR" }, dup = { "EMFILE", "ENFILE" },
  poll = { "EINTR", "ENOMEM" }, sleep = { "EINTR" }, readdir = { "EIO", "ENOMEM" },
  waiter = { "EMFILE", "ENFILE", "ENOMEM", "ENOSPC" },
  perf_event_open = { "EMFILE", "EACCES", "ENOMEM", "EPERM" },
}

-- In an order that is the same each time, for chance has a part in what is tried.
local NAMES <const> = {}
for name in pairs(CALLS) do NAMES[#NAMES + 1] = name end
table.sort(NAMES)

-- So many calls of a kind are tried with an errno, allocations of Lua and steps of hooks: all, or
-- where there are more the first half of so many, and the others by chance.
local CALLS_TRIED <const> = 160
local STEPS_TRIED <const> = 140

local MEMORY <const> = "not enough memory"

local function errnos_of_command(name)
  local list = {}
  for _, errno in ipairs(BPF) do
    if not (LESS[name] and LESS[name][errno]) then list[#list + 1] = errno end
  end
  if NEW_DESCRIPTOR[name] then
    list[#list + 1] = "EMFILE"
    list[#list + 1] = "ENFILE"
  end
  return table.move(MORE[name] or {}, 1, #(MORE[name] or {}), #list + 1, list)
end

-- Calls f with the numbers from 1 to n, at most `most` of them: half of those are the first, the
-- others lie anywhere in equal parts of the rest.
local function spread(n, most, f)
  local all = n <= most and n or most // 2
  local rest, parts = n - all, n <= most and 0 or most - all
  for at = 1, all do f(at) end
  for i = 1, parts do
    f(all + math.random(rest * (i - 1) // parts + 1, rest * i // parts))
  end
end

local function call_fault(kind, name, at, errno, lasting, passing)
  local err = errno == SHORT and SHORT or E[errno]
  return {
    section = "call", kind = name, passing = passing,
    name = ("%s, call %d%s: %s"):format(name, at, lasting and " and all after it" or "",
      errno == SHORT and "a short one" or errno),
    begin = function(control) control.arm(kind, at, err, lasting) end,
    finish = function(control) return (control.counted()) end,
  }
end

-- What no call answers for ever: it is made again after a signal; nobody else has locked a file
-- that is new; the sockets are libbpf's and luabpf's to the kernel, which block without a limit.
local function passes(name, errno)
  return errno == SHORT or CALLS[name] and errno == "EINTR"
    or (name == "flock" or name == "receive") and errno == "EAGAIN"
end

-- Each call with one errno on handles that are new, with the others on those that an earlier try
-- has used, if they make the call again.
local function calls_of_kind(add, kind, name, n, again, errnos)
  for i, errno in ipairs(errnos) do
    spread(n, CALLS_TRIED, function(at)
      add(call_fault(kind, name, at, errno, false, i ~= at % #errnos + 1 and at <= again))
    end)
    if not passes(name, errno) then
      spread(n, 4, function(at) add(call_fault(kind, name, at, errno, true, at <= again)) end)
    end
  end
end

--- Each call that the operation makes, with each errno, alone and with all after it.
function sections.call(add, clean, control)
  for command = 0, #COMMANDS do
    local name = COMMANDS[command]
    calls_of_kind(add, command, "bpf " .. name, clean.counts[command], clean.again[command] or 0,
      errnos_of_command(name))
  end
  for _, name in ipairs(NAMES) do
    local kind = control.kinds[name]
    calls_of_kind(add, kind, name, clean.counts[kind], clean.again[kind] or 0, CALLS[name])
  end
end

--- Allocations of Lua.
function sections.allocation(add, clean)
  for _, lasting in ipairs { false, true } do
    spread(clean.allocations, lasting and 10 or STEPS_TRIED, function(at)
      add { section = "allocation", kind = "allocation", raises = MEMORY, passing = true,
        name = ("allocation %d%s"):format(at, lasting and " and all after it" or ""),
        begin = function(control) control.allocations(at, lasting) end,
        finish = function(control) return (control.counted()) end }
    end)
  end
end

--- A hook that raises. At the end of the function, and in what it closes there, all is done.
function sections.hook(add, clean)
  spread(clean.events, STEPS_TRIED, function(at)
    add { section = "hook", kind = "hook", raises = "raised by the hook", passing = true,
      name = "event " .. at,
      begin = function(control) control.hook(at) end,
      finish = function(control) return (control.counted()) end,
      tell = function(control, told)
        local last
        told.place, last = control.place()
        if last then told.last = 1 end
      end }
  end)
end

--- Signals that a handler takes: no failure, so the answer must be right.
function sections.signal(add)
  for _, us in ipairs { 50, 200, 1000, 5000 } do
    add { section = "signal", kind = "signal", passing = true, refuses = false,
      name = ("every %d us"):format(us),
      begin = function(control) control.storm(us) end,
      finish = function(control) return control.storm_end() end }
  end
end

--- A child that has the handles too.
function sections.fork(add)
  for _, both in ipairs { true, false } do
    local child
    add { section = "fork", kind = "fork", both = both,
      name = both and "child and parent at once" or "the child, then the parent",
      begin = function(control, e, operation)
        child = control.fork()
        if child > 0 then
          if not both then child = control.wait(child) end
          if operation.renew then operation.renew(e) end
          return
        end
        local given = table.pack(pcall(operation.run, e))
        control.leave(given[1] and (given[2] or given[3] == nil) and (not operation.right
          or operation.right(e, table.unpack(given, 2, given.n))) and 0 or 1)
      end,
      finish = function(control)
        if math.type(child) then child = control.wait(child) end
        if child ~= "exit 0" then error("the child: " .. child, 0) end
        return 1
      end }
  end
end

-- Descriptors beyond those that are open, bytes beyond those that are mapped, bytes of a file,
-- processes of the user.
local LIMITS <const> = {
  descriptors = { 0, 1, 2, 3, 4, 5, 6, 8, 10 },
  memory = { 0, 1 << 14, 1 << 16, 1 << 18, 1 << 20, 1 << 22, 1 << 24, 1 << 26 },
  filesize = { 0, 1, 100, 400, 700 },
  processes = { 0 },
}

--- Limits of the process. They stay, so nothing is tried again after them.
function sections.limit(add, clean, control)
  for resource, values in pairs(LIMITS) do
    for _, value in ipairs(values) do
      if resource ~= "processes" or clean.counts[control.kinds.thread] > 0 then
        add { section = "limit", kind = resource, name = resource .. " " .. value, blind = true,
          raises = MEMORY, counted = "refused",
          begin = function(c)
            local base = resource == "descriptors" and c.held()
              or resource == "memory" and c.space() or 0
            assert(c.limit(resource, base + value))
          end,
          finish = function() return 0 end }
      end
    end
  end
end

--- File systems that are gone.
function sections.missing(add, clean)
  for _, path in ipairs { "/proc", "/sys", "/sys/fs/bpf" } do
    if path == "/sys/fs/bpf" or clean["touched " .. path:sub(2)] == 1 then
      add { section = "missing", kind = path, name = path,
        counted = path == "/sys/fs/bpf" and "refused" or nil,
        begin = function(control) assert(control.mask(path)) end,
        finish = function(control)
          assert(control.unmask(path))
          return 1
        end }
    end
  end
end

-- Calls that profiles of containers refuse. Source: asm/unistd_64.h.
local SYSTEM_CALLS <const> = { perf_event_open = { 298, "perf_event_open" },
  flock = { 73, "flock" }, fdatasync = { 75, "fdatasync" }, fsync = { 74, "fsync" },
  rename = { 82, "rename" }, socket = { 41, "socket" }, memfd_create = { 319, "open" },
  clone3 = { 435, "thread" } }
local BPF_CALL <const> = 321

local function refusal(add, name, number, argument, errno)
  add { section = "seccomp", kind = name, name = name .. ": " .. errno, blind = true,
    begin = function(control) assert(control.refuse(number, argument, E[errno])) end,
    finish = function() return 1 end }
end

--- Filters. They cannot be taken away again.
function sections.seccomp(add, clean, control)
  for command, name in pairs(COMMANDS) do
    if clean.counts[command] > 0 then
      for _, errno in ipairs { "EPERM", "ENOSYS", "EINVAL", "EINTR", "ENOMEM", "EAGAIN" } do
        refusal(add, "bpf " .. name, BPF_CALL, command, errno)
      end
    end
  end
  for name, call in pairs(SYSTEM_CALLS) do
    if clean.counts[control.kinds[call[2]]] > 0 and name ~= "memfd_create" then
      for _, errno in ipairs { "EPERM", "ENOSYS" } do
        refusal(add, name, call[1], -1, errno)
      end
    end
  end
end

sections.order = { "call", "allocation", "hook", "signal", "fork", "limit", "missing", "seccomp" }

return sections
