-- SPDX-License-Identifier: MIT

--- Progress of long work, on a terminal: one line on stderr that is written
-- over, with entries, rate, and the time that remains. Where stderr is no
-- terminal, nothing is written.
--
-- @module luabpf.file.progress

local core = require "luabpf.core"

local progress = {}
progress.__index = progress

-- Between two lines; ns.
local INTERVAL <const> = 200000000
local STDERR <const> = 2

local function grouped(n)
  local digits = ("%d"):format(n):reverse():gsub("(%d%d%d)", "%1,"):reverse()
  return (digits:gsub("^,", ""))
end

local function span(seconds)
  local whole = math.floor(seconds + 0.5)
  if whole < 3600 then return ("%d:%02d"):format(whole // 60, whole % 60) end
  return ("%d:%02d:%02d"):format(whole // 3600, whole // 60 % 60, whole % 60)
end

-- One line: done of total entries in so many seconds, begun at `from`. total may be nil.
local function line(what, done, total, from, seconds)
  local rate = seconds > 0 and (done - from) / seconds or 0
  local text = ("%s: %s"):format(what, grouped(done))
  if total and total > 0 then
    text = text .. (" of %s (%d%%)"):format(grouped(total), math.min(100, done * 100 // total))
  end
  text = text .. (" entries, %s/s"):format(grouped(rate // 1))
  if total and total > done and rate > 0 then
    text = text .. (", %s left"):format(span((total - done) / rate))
  end
  return text
end

progress.line = line

-- Raises unless an option is what progress.start takes as wanted; level is as of error here.
function progress.check(what, wanted, level)
  if wanted ~= nil and type(wanted) ~= "boolean" and type(wanted) ~= "function" then
    error(("%s: option 'progress': boolean or function expected, got %s"):format(what,
      type(wanted)), level)
  end
end

--- How work reports while it goes on: true prints a line on standard error if that is a terminal,
-- a function is called a few times a second with entries done, about how many there are (or nil)
-- and seconds.
-- @table progress
-- @is boolean|fun(entries:integer,total:integer?,seconds:number)

-- Progress of work that begins now.
-- @tparam string what stands before the numbers
-- @param wanted nil or false: none; true: on a terminal; a function: called with entries done,
--   total (nil if unknown) and seconds, a few times a second and at the end
-- @tparam function total gives how many entries there are, or nil; asked only if it is shown
-- @tparam[opt=0] integer from entries that were done before
function progress.start(what, wanted, total, from)
  local self = setmetatable({ what = what, start = core.now(), from = from or 0 }, progress)
  if type(wanted) == "function" then self.call = wanted
  elseif wanted and core.isatty(STDERR) then self.terminal = true end
  self.shown = self.call or self.terminal
  self.next = self.start + INTERVAL
  self.total = self.shown and total() or nil
  return self
end

local function show(self, done)
  local seconds = (core.now() - self.start) / 1e9
  if self.call then self.call(done, self.total, seconds) end
  if not self.terminal then return end
  local text = line(self.what, done, self.total, self.from, seconds)
  io.stderr:write("\r", text:sub(1, math.max(20, (core.columns(STDERR) or 80) - 1)), "\27[K")
  self.written = true
end

-- So many entries have been done in all.
-- @tparam[opt] function total a better guess at how many there are
function progress:step(done, total)
  if not self.shown then return end
  local now = core.now()
  if now < self.next then return end
  if total then self.total = total() end
  self.next = now + INTERVAL
  show(self, done)
end

-- The work is over; the line stays.
function progress:finish(done)
  if not self.shown then return end
  show(self, done)
  self:close()
end

-- Leaves the line as it is: the work was given up.
function progress:close()
  if self.written then io.stderr:write("\n") end
  self.shown, self.written = false, false
end

progress.__close = progress.close

return progress
