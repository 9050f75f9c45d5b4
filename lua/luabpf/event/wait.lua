-- SPDX-License-Identifier: MIT

--- Waiting: for signals, for a timer, for several things at once. What can be
-- waited for has pollfd(), events() and timeout() as cqueues wants them, getfd()
-- and dirty() as copas and socket.select do.
--
-- A wait is made of slices, so that a debug hook (Ctrl-C at the prompt) gets its
-- turn, and what was sent without a wake-up is found.
--
-- @module luabpf.event.wait

local core = require "luabpf.core"
local options = require "luabpf.base.options"

local wait = {}

local MILLISECOND <const> = 1000000
-- Longer than any wait, and within integers as ns.
local MAX_SECONDS <const> = 1e9

-- The longest slice, ns: how late what gives no sign is found.
wait.SLICE = 100 * MILLISECOND

-- When a timeout is over, by the clock core.now; nil for none.
-- @param timeout integer nanoseconds or text, not negative
-- @tparam string what names it in errors
-- @tparam integer level whom errors blame, as in error()
function wait.deadline(timeout, what, level)
  if timeout == nil then return nil end
  local ns = options.period(timeout, what, level + 1)
  return core.now() + math.min(ns, math.maxinteger - core.now())
end

-- Milliseconds to wait now, rounded up: to the deadline, a slice at most.
function wait.slice(deadline)
  local ns = wait.SLICE
  if deadline then ns = math.max(0, math.min(ns, deadline - core.now())) end
  return (ns + MILLISECOND - 1) // MILLISECOND
end

-- ---- signals and timers ----------------------------------------------------------

-- What take gives of the object, waited for.
local function next_of(self, take, timeout)
  local deadline = wait.deadline(timeout, "next", 3)
  while true do
    local taken, why, refused = take(self)
    if taken then return taken end
    if refused then return nil, "next: " .. why, refused end
    if deadline and core.now() >= deadline then return nil, "timeout" end
    local ready, message, errno = core.poll({ self:pollfd() }, wait.slice(deadline))
    if errno == core.errno.EINTR then return nil, "signal" end
    if not ready then return nil, message, errno end
  end
end

local signals = core.classes["luabpf.signals"]
local timer = core.classes["luabpf.timer"]

--- Signals that come as values, in place of their handlers.
-- @table signals

--- A timer that is due again and again.
-- @table timer

--- Waits for a signal.
-- @function signals:next
-- @tparam[opt] integer|string timeout ns or text; none: waits for ever
-- @treturn ?string its name, "TERM"; nil when none came
-- @treturn ?string why none came: "timeout", or "signal" when a handler took another one
-- @error the system refuses to read
-- @usage
-- local stop <close> = bpf.signals "USR1"
-- print(stop:next "10ms") -- nil timeout
function signals:next(timeout)
  return next_of(self, core.signals_take, timeout)
end

--- Waits until the timer is due.
-- @function timer:next
-- @tparam[opt] integer|string timeout ns or text; none: waits for ever
-- @treturn ?integer how often it was due since it was last asked; nil when it was not
-- @treturn ?string why not: "timeout", or "signal" when a handler took one
-- @error the system refuses to read
-- @usage
-- local tick <close> = bpf.timer "10ms"
-- print(tick:next() >= 1) -- true
function timer:next(timeout)
  return next_of(self, core.timer_take, timeout)
end

--- What the descriptor is waited for, as cqueues wants to know.
-- @function signals:events
-- @treturn string "r"
-- @usage print(bpf.signals("USR1"):events()) -- r

--- Seconds after which it wants a look in any case, as cqueues wants to know.
-- @function signals:timeout
-- @treturn nil it wants none
-- @usage print(bpf.signals("USR1"):timeout()) -- nil

--- The same as `pollfd`, for copas and `socket.select`.
-- @function signals:getfd
-- @treturn integer the descriptor
-- @usage print(bpf.signals("USR1"):getfd())

--- Tells copas and `socket.select` whether something is there without a wait.
-- @function signals:dirty
-- @treturn boolean false: the descriptor says it
-- @usage print(bpf.signals("USR1"):dirty()) -- false

--- What the descriptor is waited for, as cqueues wants to know.
-- @function timer:events
-- @treturn string "r"
-- @usage print(bpf.timer("1s"):events()) -- r

--- Seconds after which it wants a look in any case, as cqueues wants to know.
-- @function timer:timeout
-- @treturn nil it wants none
-- @usage print(bpf.timer("1s"):timeout()) -- nil

--- The same as `pollfd`, for copas and `socket.select`.
-- @function timer:getfd
-- @treturn integer the descriptor
-- @usage print(bpf.timer("1s"):getfd())

--- Tells copas and `socket.select` whether something is there without a wait.
-- @function timer:dirty
-- @treturn boolean false: the descriptor says it
-- @usage print(bpf.timer("1s"):dirty()) -- false

for _, class in ipairs { signals, timer } do
  class.getfd = class.pollfd
  function class.events() return "r" end
  function class.timeout() return nil end
  function class.dirty() return false end
end

--- Takes signals in place of their handlers, in this thread, until it is closed.
-- @function bpf.signals
-- @tparam string ... names: "TERM", "INT", "HUP", "USR1" and so on
-- @treturn signals the handle
-- @error no descriptor is left
-- @raise there is no signal of that name
-- @usage
-- local stop <close> = bpf.signals("TERM", "HUP")
function wait.signals(...)
  return core.signals(...)
end

--- Makes a timer that is due again and again.
-- @function bpf.timer
-- @tparam integer|string every ns or text, from one time to the next; first after as much
-- @treturn timer the timer
-- @error no descriptor is left
-- @usage
-- local tick <close> = bpf.timer "10ms"
-- tick:next()
function wait.timer(every)
  local ns = options.period(every, "timer", 2)
  if ns == 0 then error("timer: a time from 1 ns expected, got 0", 2) end
  return core.timer(ns)
end

-- ---- several ---------------------------------------------------------------------

local function check_list(list)
  if type(list) ~= "table" then
    error(("poll: list of what can be waited for expected, got %s"):format(type(list)), 3)
  end
  for i = 1, #list do
    local each, kind = list[i], type(list[i])
    local known = kind == "table" or kind == "userdata" and (getmetatable(each) or {}).__index
    if not known or type(each.pollfd) ~= "function" and math.type(each.pollfd) ~= "integer" then
      error(("poll: list[%d]: has no pollfd: %s"):format(i, kind), 3)
    end
  end
end

-- What the method of one of a list gives, or its field is, of that type; nil where it has none.
local function ask(each, name, wanted)
  local value = each[name]
  if type(value) == "function" then value = value(each) end
  if value ~= nil and (math.type(value) or type(value)) ~= wanted and type(value) ~= wanted then
    core.misuse(("poll: %s of what is waited for: %s expected, got %s"):format(name, wanted,
      type(value)))
  end
  return value
end

-- Those that need no wait; and the shortest timeout of the others, as a deadline.
local function look(list, deadline)
  local ready, now = {}, core.now()
  for _, each in ipairs(list) do
    local seconds = ask(each, "timeout", "number")
    local dirty = each.dirty
    if type(dirty) == "function" then dirty = dirty(each) end
    if dirty or seconds and seconds <= 0 then
      ready[#ready + 1] = each
    elseif seconds and seconds < MAX_SECONDS then
      local due = now + math.ceil(seconds * 1e9)
      if not deadline or due < deadline then deadline = due end
    end
  end
  return ready, deadline
end

-- The descriptor of one of a list.
local function descriptor_of(each)
  local fd = ask(each, "pollfd", "integer")
  if not fd or fd < 0 or fd > 0x7fffffff then core.misuse "poll: pollfd gave no descriptor" end
  return fd
end

-- What of the list is ready after one slice; nil, why, errno.
local function poll_once(list, deadline)
  local ready, due = look(list, deadline)
  if #ready > 0 then return ready end
  local fds, events = {}, {}
  for i, each in ipairs(list) do
    fds[i] = descriptor_of(each)
    events[i] = ask(each, "events", "string") or "r"
  end
  local places, message, errno = core.poll(fds, wait.slice(due), events)
  if not places then return nil, message, errno end
  for _, place in ipairs(places) do
    if core.reader_woken(list[place]) then ready[#ready + 1] = list[place] end
  end
  return ready
end

--- Waits until one of several is ready: readers, signals, timers, and what else has `pollfd`, as
-- the objects of cqueues do. Its `events` says for what, "r", "w" or "rw"; at a `timeout` of 0 it
-- is ready at once.
-- @function bpf.poll
-- @tparam table list what is waited for
-- @tparam[opt] integer|string timeout ns or text; none: waits for ever
-- @treturn table those that are ready, in the order of the list; empty at the timeout
-- @treturn ?string "signal" when a handler took a signal
-- @error the system refuses to wait, as for a descriptor that is closed (EBADF)
-- @usage
-- local tick <close> = bpf.timer "10ms"
-- local stop <close> = bpf.signals "TERM"
-- print(bpf.poll({ stop, tick }, "10s")[1] == tick) -- true
function wait.poll(list, timeout)
  check_list(list)
  if timeout == nil and #list == 0 then
    error("poll: nothing to wait for, and no timeout", 2)
  end
  local deadline = wait.deadline(timeout, "poll", 2)
  while true do
    local ready, message, errno = poll_once(list, deadline)
    if errno == core.errno.EINTR then return {}, "signal" end
    if not ready then return nil, message, errno end
    if #ready > 0 then return ready end
    if deadline and core.now() >= deadline then return {} end
  end
end

return wait
