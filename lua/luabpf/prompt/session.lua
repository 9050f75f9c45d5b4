-- SPDX-License-Identifier: MIT
--
-- A session at the prompt: reads a chunk, runs it, shows what it gives, until the end of input.

local chunk = require "luabpf.prompt.chunk"
local complete = require "luabpf.prompt.complete"
local core = require "luabpf.core"
local display = require "luabpf.show.display"
local habits = require "luabpf.prompt.habits"
local help = require "luabpf.show.help"
local history = require "luabpf.prompt.history"
local remember = require "luabpf.prompt.remember"
local room = require "luabpf.show.room"

local session = {}

local STDIN <const>, STDOUT <const> = 0, 1
local PROMPT <const>, CONTINUED <const> = "> ", ">> "
local GREETING <const> = 'help() says what there is, TAB what may be written; Ctrl-D leaves'

-- ---- the room -------------------------------------------------------------------------

-- Calls a function with the room that the terminal has now; without one nothing is cut.
local function in_room(fn, ...)
  local columns, lines = core.columns(STDOUT)
  return room.within(columns, lines, fn, ...)
end

-- print, which shows tables as what they hold.
local function show_print(...)
  local list = table.pack(...)
  for i = 1, list.n do
    if type(list[i]) ~= "string" then
      list[i] = list.n == 1 and in_room(display.text, list[i]) or display.brief(list[i])
    end
  end
  io.stdout:write(table.concat(list, "\t"), "\n")
end

-- ---- help -------------------------------------------------------------------------------

-- Shows a text a page at a time, if the terminal has fewer lines.
local function page(self, text)
  local columns, lines = core.columns(STDOUT)
  local all = room.wrap(text, columns or math.maxinteger)
  local most = math.max(math.min(lines or math.maxinteger, 41) - 1, 5)
  for first = 1, #all, most do
    if first > 1 and self.read "-- Enter: more, q: enough -- " ~= "" then return end
    io.stdout:write(table.concat(all, "\n", first, math.min(first + most - 1, #all)), "\n")
  end
end

-- ---- reading ------------------------------------------------------------------------------

local function plain_line(prompt)
  io.stdout:write(prompt)
  io.stdout:flush()
  local line, _, errno = io.read "l"
  if core.interrupted() or errno == core.errno.EINTR then
    io.stdout:write "\n"
    return false
  end
  if not line then io.stdout:write "\n" end
  return line
end

local function edited_line(self, prompt)
  io.stdout:flush()
  local line = core.read_line(prompt, function(text, start, after)
    return complete.for_editor(self.before, text, start, after,
      { locals = self.locals, globals = self.globals })
  end)
  if not line then io.stdout:write "\n" end
  return line
end

-- ---- a chunk --------------------------------------------------------------------------------

local function error_text(err)
  if type(err) == "string" then return err end
  return display.brief(err)
end

-- _ is the first result, _1 and so on are all of them.
local function set_results(self, results)
  self.globals._ = results[1]
  for i = 1, math.max(results.n, self.nresults or 0) do
    rawset(self.globals, "_" .. i, results[i])
  end
  self.nresults = results.n
end

local function show_results(self, results)
  if results.n == 0 then return end
  set_results(self, results)
  local text = in_room(display.all, results)
  io.stdout:write(text, "\n")
end

local function say(text)
  io.stdout:write(in_room(display.text, text), "\n")
end

-- Where Ctrl-C ended something the terminal has its mark in the line.
local function say_error(message)
  if message == "interrupted" then io.stdout:write "\n" end
  say(tostring(message))
end

-- Runs a chunk and shows what comes of it; Ctrl-C ends both.
local function run(self, fn, about)
  for _, name in ipairs(about.dropped) do
    say(("%s: <close> is dropped at the prompt; it stays open until %s:close()"):format(name, name))
  end
  local list = table.pack(chunk.run(fn, about, self.locals, core.guarded, error_text))
  if not list[1] then return say_error(list[2]) end
  local results = table.move(list, 2, list.n, 1, { n = list.n - 1 })
  local ok, message = core.guarded(error_text, show_results, self, results)
  if not ok then say_error(message) end
end

-- As chunk.compile, of what a line means to somebody who knows other prompts too; or third what is
-- said in its place.
local function compiled(self, text)
  local lua, instead = habits.meant(text, function(name)
    return self.locals[name] ~= nil or rawget(self.globals, name) ~= nil
  end)
  if instead then return nil, nil, instead end
  return chunk.compile(lua or text, self.locals, self.globals)
end

-- Reads lines until they are a chunk, which is run: false at the end of input.
local function step(self)
  self.before = ""
  while true do
    local line = self.read(self.before == "" and PROMPT or CONTINUED)
    if line == nil then return false end
    if line == false then return true end
    local text = self.before .. line
    local fn, about, instead = compiled(self, text)
    if fn or about or instead then
      if text:find "%S" then self.keep(text) end
      if fn then run(self, fn, about) else say(instead or about) end
      return true
    end
    self.before = text .. "\n"
  end
end

-- ---- the session ------------------------------------------------------------------------------

local function begin_history(self)
  local path = history.path()
  self.keep = function(text)
    core.add_history(text)
    if path and text ~= self.last then history.add(path, text) end
    self.last = text
  end
  for _, entry in ipairs(path and history.load(path) or {}) do core.add_history(entry) end
end

-- Which library edits lines: LUABPF_EDITOR names one, "none" takes none.
local function has_editor()
  local wanted = os.getenv "LUABPF_EDITOR"
  if wanted == "none" or os.getenv "TERM" == "dumb" then return false end
  return core.editor(wanted ~= "" and wanted or nil)
end

-- Puts what the prompt has into the globals.
local function add_globals(self, bpf)
  local globals = self.globals
  globals.bpf, globals.print = bpf, show_print
  help.show = function(x) page(self, in_room(help.text, x)) end
  globals.help = bpf.help
end

-- Runs a session in these globals until the end of input.
function session.run(bpf, globals)
  local self = { globals = globals, locals = {}, before = "" }
  self.read = has_editor() and function(prompt) return edited_line(self, prompt) end or plain_line
  core.take_interrupts(true)
  begin_history(self)
  add_globals(self, bpf)
  remember.begin(bpf)
  say(bpf._VERSION .. "; " .. GREETING)
  while step(self) do end
  core.take_interrupts(false)
end

-- Whether there is somebody to talk to.
function session.has_terminal()
  return core.isatty(STDIN) and core.isatty(STDOUT)
end

return session
