-- SPDX-License-Identifier: MIT
--
-- The commands of the README and the guide for who has a checkout, as they are typed there, in a
-- shell that knows nothing of the project: what they need is in what `make paths` prints.

local bpf = require "luabpf"
local helper = require "spec.support.helper"
local support = require "spec.support.objects"

-- The lines of the blocks `sh` of a page.
local function commands_of(page)
  local file <close> = assert(io.open(page))
  local list = {}
  for block in file:read "a":gmatch "\n```sh\n(.-)```" do
    for line in block:gmatch "[^\n]+" do list[#list + 1] = line end
  end
  return list
end

-- The line of a page that begins so.
local function line_of(page, begin)
  for _, line in ipairs(commands_of(page)) do
    if line:sub(1, #begin) == begin then return line end
  end
  error(("%s has no line %q"):format(page, begin))
end

-- What a shell without any variables but these prints that types the lines.
local function typed(...)
  local lines = table.concat({ ... }, "\n")
  return support.output(("env -i PATH=\"$PATH\" HOME=/ TERM=dumb sh -c '%s'"):format(
    lines:gsub("'", "'\\''")))
end

local PATHS <const> = line_of("README.md", "eval ")

describe("in a fresh checkout", function()
  after_each(helper.close_all)

  it("examples find luabpf after the line of the README", function()
    local text, ok = typed(PATHS, line_of("README.md", "lua5.4 examples/"))
    assert.is_true(ok, text)
    assert.matches("^lua5.4 top.lua %[PIN", text)
    assert.matches("module 'luabpf' not found", (typed "lua5.4 examples/top.lua"))
  end)

  it("a table is kept clean by the line of the guide", function()
    local pin = helper.pin()
    local map = helper.map { value = { "u64 last_seen" }, pin = pin }
    map:update(1, { last_seen = 1 })
    map:update(2, { last_seen = bpf.now() })
    local line = line_of("docs/guide.md", "lua5.4 examples/sweep.lua")
    local text, ok = typed(PATHS, line:gsub("/sys/fs/bpf/flows", pin) .. " 1")
    map:unpin()
    assert.is_true(ok, text)
    assert.is_nil(map:lookup(1))
    assert.is_table(map:lookup(2))
  end)

  it("a prompt has bpf", function()
    local text = typed(PATHS, [[echo 'print(bpf.duration "1s")' | ]]
      .. [[lua5.4 -e 'bpf = require "luabpf"' -i]])
    assert.matches("1000000000", text)
  end)

  it("the targets that the README names are in the Makefile", function()
    local file <close> = assert(io.open "Makefile")
    local makefile = file:read "a"
    local n = 0
    for _, line in ipairs(commands_of "README.md") do
      local target = line:match "^make ([%w-]+)"
      if target then
        assert(makefile:find("\n" .. target .. ":", 1, true), target)
        n = n + 1
      end
    end
    assert(n >= 3)
  end)
end)
