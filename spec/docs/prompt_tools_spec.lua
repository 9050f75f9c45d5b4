-- SPDX-License-Identifier: MIT
--
-- docs/prompt-tools.md: what the prompt showed of the maps of twelve tools fits 80 columns, shows
-- nothing as its address, no run of zeros and no kilobyte of digits, and leaves out no field in
-- silence. The page is made by spec/support/tools.lua, where those tools are installed.

local room = require "luabpf.show.room"

local COLUMNS <const> = 80

local function page()
  local file <close> = assert(io.open "docs/prompt-tools.md")
  return (file:read("a"):match "\n```\n(.-)\n?```\n")
end

-- What was shown: list of { tool, map, call, text }.
local function blocks()
  local list = {}
  for block in ("\n" .. page()):gsub("\n> ", "\0"):gmatch "%z([^%z]*)" do
    local tool, map, call, text = block:match "^(%w+): ([^\n:]-):([^\n]*)\n(.*)$"
    list[#list + 1] = { tool = assert(tool, block), map = map, call = call, text = text }
  end
  return list
end

-- The paths of the fields that a description lists.
local function fields(text)
  local list = {}
  for line in text:gmatch "[^\n]+" do
    local path = line:match "^(%S+) +%S.* +%d+ +%d+$"
    list[#list + 1] = path and (path:find "^key" or path:find "^value") and path or nil
  end
  return list
end

describe("docs/prompt-tools.md", function()
  it("has the maps of twelve tools: what they are, their entries, histograms", function()
    local tools, calls, n = {}, {}, 0
    for _, block in ipairs(blocks()) do
      if not tools[block.tool] then n = n + 1 end
      tools[block.tool], calls[block.call:match "^%l+"] = true, true
    end
    assert.equal(12, n)
    assert.same({ describe = true, head = true, hist = true }, calls)
  end)

  it("has no line that is too wide, no address, no run of zeros, no kilobyte of digits", function()
    for _, block in ipairs(blocks()) do
      for line in block.text:gmatch "[^\n]+" do
        assert(room.width(line) <= COLUMNS, line)
        assert(not line:find ": 0x%x%x%x" and not line:find "[lnd]: 0x", line)
        assert(not line:find(("0"):rep(16), 1, true), line)
        assert(not line:find("0, 0, 0, 0, 0", 1, true), line)
        assert(#line:gsub("%X", "") < 900, line)
      end
    end
  end)

  it("names every field of a map in its head, or says that it is left out", function()
    local described, seen = {}, 0
    for _, block in ipairs(blocks()) do
      if block.call:find "^describe" then described = fields(block.text) end
      local head = block.call:find "^head" and block.text:gsub("\n", " ")
      for _, path in ipairs(head and described or {}) do
        local is_there = head:find(path, 1, true) or head:find("shows all", 1, true)
        assert(is_there, block.tool .. ": " .. path)
        seen = seen + 1
      end
    end
    assert(seen > 40, seen)
  end)
end)
