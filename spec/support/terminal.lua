-- SPDX-License-Identifier: MIT
--
-- A prompt in a terminal of its own, by tmux: typed into, resized, read.

local core = require "luabpf.core"

local terminal = {}
terminal.__index = terminal

-- What ends a wait for the prompt, ns; how long the screen must stay the same.
local LONGEST <const>, STILL <const> = 20000000000, 60000000
local POLL <const> = 20000000

local count = 0

local function quoted(text)
  return "'" .. text:gsub("'", "'\\''") .. "'"
end

local function output_of(command)
  local pipe <close> = assert(io.popen(command .. " 2>&1"))
  return pipe:read "a"
end

function terminal:tmux(...)
  local words = { "tmux -u -f /dev/null -L", self.socket }
  for _, word in ipairs { ... } do words[#words + 1] = quoted(word) end
  return output_of(table.concat(words, " "))
end

-- A terminal of that size that runs a command.
-- @tparam table given columns, lines, command, env (by name)
function terminal.open(given)
  count = count + 1
  local self = setmetatable({ socket = ("luabpf%d_%d"):format(core.now(), count) }, terminal)
  local words = {}
  for name, value in pairs(given.env or {}) do
    words[#words + 1] = ("%s=%s"):format(name, quoted(value))
  end
  table.sort(words)
  self:tmux("new-session", "-d", "-x", tostring(given.columns), "-y", tostring(given.lines),
    ("exec env LC_ALL=C.UTF-8 %s %s"):format(table.concat(words, " "), given.command))
  return self
end

function terminal:close()
  self:tmux "kill-server"
end

terminal.__close = terminal.close

-- All lines there were, those that the terminal broke joined; blanks at the end are cut.
function terminal:text()
  local text = self:tmux("capture-pane", "-p", "-J", "-S", "-", "-t", "0")
  return (text:gsub("[ \t]+\n", "\n"):gsub("%s+$", ""))
end

local function has_prompt(text, typed)
  local last = text:match "[^\n]*$"
  return last:find "^>>?$" ~= nil or last:find "^%-%- Enter.*%-%-$" ~= nil
    or typed and last:find "^>>? " ~= nil
end

-- Waits until the screen stays the same, at a prompt.
-- @tparam[opt] string but what it was before: that does not count
-- @tparam[opt=false] boolean typed something may stand after the prompt
function terminal:settle(but, typed)
  local start, last, since = core.now(), nil, core.now()
  repeat
    local text = self:text()
    if text ~= last then last, since = text, core.now() end
    if text ~= but and core.now() - since > STILL and has_prompt(text, typed) then return text end
    core.sleep(POLL)
  until core.now() - start > LONGEST
  error("the prompt does not settle:\n" .. tostring(last), 2)
end

-- Types text as it is.
function terminal:type(text)
  self:tmux("send-keys", "-t", "0", "-l", "--", text)
end

-- Types a line and presses Enter.
function terminal:enter(line)
  self:tmux("send-keys", "-t", "0", "-l", "--", line, ";", "send-keys", "-t", "0", "Enter")
end

-- Presses a key that tmux has a name for: "Enter", "Tab", "C-c".
function terminal:press(key)
  self:tmux("send-keys", "-t", "0", key)
end

-- Pastes a text, in brackets where the program has asked for that.
function terminal:paste(text)
  self:tmux("set-buffer", "--", text)
  self:tmux("paste-buffer", "-p", "-t", "0")
end

function terminal:resize(columns, lines)
  self:tmux("resize-window", "-t", "0", "-x", tostring(columns), "-y", tostring(lines))
end

return terminal
