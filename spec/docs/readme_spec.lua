-- SPDX-License-Identifier: MIT
--
-- The README's examples in Lua: each compiles, and one that is followed by its
-- output (a block "text") prints just that.

local function readme()
  local file <close> = assert(io.open "README.md")
  return file:read "a"
end

-- Runs code, which may have globals of its own: what it prints.
local function output(code)
  local printed = {}
  local env = setmetatable({}, { __index = _G })
  function env.print(...)
    local words = table.pack(...)
    for i = 1, words.n do words[i] = tostring(words[i]) end
    printed[#printed + 1] = table.concat(words, "\t") .. "\n"
  end
  assert(load(code, "=README.md", "t", env))()
  return table.concat(printed)
end

describe("the README", function()
  local text = readme()

  it("has examples that compile", function()
    local examples = 0
    for code in text:gmatch "\n```lua\n(.-)\n```" do
      assert(load(code, "=README.md", "t"))
      examples = examples + 1
    end
    assert(examples > 0)
  end)

  for code, expected in text:gmatch "\n```lua\n(.-)```\n```text\n(.-)```" do
    it("has an example with its real output, " .. expected:match "[^\n]*", function()
      assert.equal(expected, output(code))
    end)
  end
end)
