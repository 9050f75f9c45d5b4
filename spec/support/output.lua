-- SPDX-License-Identifier: MIT
--
-- The output of a run of the specs (busted's output handler, named in .busted):
-- a line per file, then what failed and what was left undone, then
--
--   N passed, N failed
--
-- It also decides the exit status. A run fails if a test failed or raised, if a
-- file could not be loaded, and if no test ran at all. A pending test is excused
-- by naming a kernel newer than the running one ("needs Linux 6.6: ...") or, on a
-- developer's machine, by any reason; under CI (the variable CI is set) nothing else
-- excuses it.

local busted = require "busted"
local base = require "busted.outputHandlers.base"

local function running_kernel()
  local file <close> = assert(io.open "/proc/sys/kernel/osrelease")
  local major, minor = file:read("a"):match "^(%d+)%.(%d+)"
  return tonumber(major), tonumber(minor)
end

-- Whether a pending test says that it needs a kernel newer than this one.
local function excused(pending)
  local major, minor = tostring(pending.message):match "Linux (%d+)%.(%d+)"
  if not major then return not os.getenv "CI" end
  local have_major, have_minor = running_kernel()
  if have_major ~= tonumber(major) then return have_major < tonumber(major) end
  return have_minor < tonumber(minor)
end

local function place(item)
  local trace = item.element.trace or item.trace or {}
  return ("%s:%s"):format(trace.short_src or "?", trace.currentline or "?")
end

local function text(message)
  if type(message) == "string" then return message end
  if message == nil then return "nil error" end
  local meta = getmetatable(message)
  if meta and meta.__tostring then return tostring(message) end
  return require "pl.pretty".write(message)
end

local function indented(message)
  return "    " .. message:gsub("\n", "\n    ")
end

local function report(kind, item)
  print(("\n%s %s\n  %s"):format(kind, item.name, place(item)))
  if item.message ~= nil or kind ~= "PENDING" then print(indented(text(item.message))) end
  if item.trace and item.trace.traceback and item.isError then
    print(indented(item.trace.traceback))
  end
end

return function()
  local handler = base()
  local counts, started, unexcused

  local function file_start(file)
    io.write(("%-28s"):format(file.name:gsub("^%./", ""):gsub("_spec%.lua$", "")))
    io.flush()
    counts, started = { success = 0, failure = 0, error = 0, pending = 0 }, os.time()
    return nil, true
  end

  local function test_end(_, _, status)
    counts[status] = counts[status] + 1
    return nil, true
  end

  local function file_end()
    local words = { ("%4d passed"):format(counts.success) }
    local failed = counts.failure + counts.error
    if failed > 0 then words[#words + 1] = failed .. " FAILED" end
    if counts.pending > 0 then words[#words + 1] = counts.pending .. " pending" end
    local seconds = os.difftime(os.time(), started)
    if seconds >= 2 then words[#words + 1] = ("%d s"):format(seconds) end
    print(table.concat(words, ", "))
    return nil, true
  end

  local function suite_end()
    unexcused = 0
    for _, item in ipairs(handler.pendings) do
      if not excused(item) then unexcused = unexcused + 1 end
      report(excused(item) and "PENDING" or "PENDING, which this run does not allow:", item)
    end
    for _, item in ipairs(handler.failures) do report("FAILED", item) end
    for _, item in ipairs(handler.errors) do report("ERROR", item) end
    return nil, true
  end

  -- The last word; busted's own status is a count, which wraps at 256.
  local function exit()
    local failed = handler.failuresCount + handler.errorsCount + unexcused
    if handler.successesCount + failed == 0 then print "\nno test was run" end
    print(("\n%d passed, %d failed"):format(handler.successesCount, failed))
    os.exit(failed == 0 and handler.successesCount > 0, true)
  end

  busted.subscribe({ "file", "start" }, file_start)
  busted.subscribe({ "test", "end" }, test_end)
  busted.subscribe({ "file", "end" }, file_end)
  busted.subscribe({ "suite", "end" }, suite_end)
  busted.subscribe({ "exit" }, exit)
  return handler
end
