-- SPDX-License-Identifier: MIT
--
-- The prompt in a terminal: docs/prompt-sessions.md is what it does, no line is wider than the
-- terminal, nothing is shown as its address; Ctrl-C, history, and lines by other libraries.

local core = require "luabpf.core"
local helper = require "spec.support.helper"
local room = require "luabpf.show.room"
local sessions = require "spec.support.sessions"
local terminal = require "spec.support.terminal"

-- What a session shows besides what was typed.
local function shown(text)
  local lines = {}
  for line in (text .. "\n"):gmatch "(.-)\n" do
    if not line:find "^>" then lines[#lines + 1] = line end
  end
  return lines
end

local function check(session, text)
  for _, line in ipairs(shown(text)) do
    assert(room.width(line) <= (session.widest or session.columns), session.title .. ": " .. line)
    assert(not line:find ": 0x%x%x%x%x", line)
    assert(not line:find "0, 0, 0, 0" and not line:find(("0"):rep(12)), line)
  end
end

describe("the page of sessions #slow", function()
  after_each(helper.close_all)

  for _, session in ipairs(sessions.list) do
    it("has what the prompt does: " .. session.title, function()
      local text = sessions.play(session)
      check(session, text)
      if session.unrecorded then return end
      local block = sessions.block(session, text)
      if sessions.page():find(block, 1, true) then return end
      local recorded = sessions.page():match("\n## " .. session.title .. "\n\n```\n(.-)\n```\n")
      assert.equal(recorded, text)
    end)
  end
end)

describe("the page of sessions #slow", function()
  after_each(helper.close_all)

  it("has what the prompt does where libedit edits lines", function()
    for _, session in ipairs(sessions.list) do
      if session.title == "Eight tasks" or session.title == "Help" then
        local by_libedit = setmetatable({ editor = "edit" }, { __index = session })
        local text = sessions.play(by_libedit)
        assert(sessions.page():find(sessions.block(session, text), 1, true), text)
      end
    end
  end)
end)

local function open(env)
  env.LUA_PATH, env.LUA_CPATH = package.path, package.cpath
  env.LUABPF_HISTORY = env.LUABPF_HISTORY or ""
  return terminal.open { columns = 80, lines = 24, env = env,
    command = (os.getenv "LUABPF_LUA" or "lua5.4") .. " -l luabpf.prompt" }
end

local function enter(term, line)
  local before = term:settle()
  term:enter(line)
  return term:settle(before)
end

-- Types a line, waits until it runs, presses Ctrl-C: how many ns later the prompt is there.
local function interrupted(term, line)
  term:type(line)
  term:press "Enter"
  core.sleep(300000000)
  term:press "C-c"
  local start = core.now()
  repeat
    core.sleep(5000000)
    local text = term:text()
  until text:find "interrupted\n>$" or core.now() - start > 10000000000
  return core.now() - start
end

describe("the prompt #slow", function()
  after_each(helper.close_all)

  for _, editor in ipairs { "", "edit", "none" } do
    it(("goes on after Ctrl-C, and leaves by Ctrl-D; lines by '%s'"):format(editor), function()
      local term <close> = open { LUABPF_EDITOR = editor }
      local before = enter(term, "x = 5")
      term:type "nonsense"
      term:press "C-c"
      before = term:settle(before)
      assert.matches("nonsense%^C\n>$", before)
      assert.matches("\n5\n>$", enter(term, "x"))
      for _, line in ipairs { "while true do end", 'bpf.sleep "1h"' } do
        assert(interrupted(term, line) < 5000000000, line)
      end
      assert.matches("\n5\n>$", enter(term, "x"))
      term:press "C-d"
      local start = core.now()
      repeat core.sleep(20000000) until term:text():find "no server" or term:text() == ""
        or core.now() - start > 5000000000
      assert(not term:text():find "\n>$")
    end)
  end

  for _, editor in ipairs { "", "none" } do
    it(("runs a script that is pasted from the README; lines by '%s'"):format(editor), function()
      local file <close> = assert(io.open "README.md")
      local script, output = file:read("a"):match "```lua\n(.-)```\n```text\n(.-)```"
      local term <close> = open { LUABPF_EDITOR = editor }
      local before = term:settle()
      term:paste(script:gsub("\n$", "", 1))
      term:press "Enter"
      core.sleep(500000000)
      local text = term:settle(before)
      for line in output:gmatch "[^\n]+" do
        assert.matches("\n[> ]*" .. line:gsub("[.]", "%%."):gsub("\t", " +"), text)
      end
      assert.is_nil(text:find "prompt:%d")
    end)
  end

  it("understands what other prompts have taught, and keeps to Lua", function()
    local term <close> = open {}
    assert.matches("\nCtrl%-D leaves\n>$", enter(term, "quit"))
    assert.matches("\nbpf.now%(%)\n", enter(term, "help bpf.now"))
    enter(term, "quit = 5")
    assert.matches("\n5\n>$", enter(term, "quit"))
  end)

  it("completes by libedit too", function()
    local term <close> = open { LUABPF_EDITOR = "edit" }
    term:settle()
    term:type "bpf.boott"
    term:press "Tab"
    core.sleep(300000000)
    assert.matches("> bpf.boottime$", term:settle(nil, true))
    term:type '(), "äöü" == "x", bpf.nearly or bpf.featu'
    term:press "Tab"
    core.sleep(300000000)
    assert.matches("or bpf.features$", term:settle(nil, true))
  end)

  for _, editor in ipairs { "readline", "edit" } do
    it("takes what is not ASCII; lines by " .. editor, function()
      local term <close> = open { LUABPF_EDITOR = editor }
      assert.matches("\näöü 漢字  13\n>$", enter(term, 'x = "äöü 漢字" return x, #x'))
    end)
  end

  it("keeps what was typed in a file for its owner alone", function()
    local path = os.tmpname()
    os.remove(path)
    finally(function() os.remove(path) end)
    do
      local term <close> = open { LUABPF_HISTORY = path }
      enter(term, "x = 'first'")
      enter(term, "for i = 1, 2 do")
      enter(term, "end")
      term:press "C-d"
      core.sleep(300000000)
    end
    local file <close> = assert(io.open(path))
    assert.equal("x = 'first'\nfor i = 1, 2 do\\nend\n", file:read "a")
    local pipe <close> = io.popen("stat -c %a " .. path)
    assert.equal("600\n", pipe:read "a")
    local term <close> = open { LUABPF_HISTORY = path }
    local before = term:settle()
    term:press "Up"
    term:press "Up"
    core.sleep(300000000)
    assert.matches("> x = 'first'$", term:settle(before, true))
  end)

  it("is not there without a terminal", function()
    local process = helper.process [[
      require "luabpf.prompt"
      print(_G.bpf == require "luabpf", "went on")
    ]]
    assert.equal("true\twent on\n", process:read "a")
    process:close()
  end)
end)
