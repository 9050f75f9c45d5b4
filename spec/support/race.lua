-- SPDX-License-Identifier: MIT
--
-- Another process that refreshes the entries of a map all the time (bench/race.c).

local bpf = require "luabpf"
local support = require "spec.support.objects"

local race = {}
race.__index = race

--- Starts it; the map is race.map, for so many entries.
function race.start(entries)
  local pin, fifo = support.pin_path(), os.tmpname()
  os.remove(fifo)
  assert(os.execute(("mkfifo -m 600 '%s'"):format(fifo)))
  local commands = assert(io.popen(("'%s/race' '%s' bpf/race.bpf.o %d > '%s'"):format(
    os.getenv "LUABPF_BUILD" or ".build", pin, entries, fifo), "w"))
  local answers = assert(io.open(fifo))
  os.remove(fifo)
  local self = setmetatable({ commands = commands, answers = answers }, race)
  assert(self:answer())
  self.map = assert(bpf.open(pin))
  return self
end

function race:answer()
  local line = self.answers:read("l")
  return line and line:match("^ok ?(.*)$") or error("bench/race.c failed", 0)
end

function race:ask(command)
  self.commands:write(command, "\n")
  self.commands:flush()
  return self:answer()
end

--- Sweeps a map of n idle entries, one time, while they are refreshed ("replace" or "place").
-- @tparam function sweep
-- @treturn integer refreshes that succeeded, ns, wrong deletes
function race:sweep(n, how, sweep)
  self:ask("fill " .. n)
  self:ask("go " .. how)
  sweep()
  local refreshes, ns, lost = self:ask("halt"):match("(%d+) (%d+) (%d+)")
  return math.tointeger(refreshes), math.tointeger(ns), math.tointeger(lost)
end

function race:close()
  self.map:close()
  self.commands:close()
  self.answers:close()
end

race.__close = race.close

return race
