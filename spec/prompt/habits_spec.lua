-- SPDX-License-Identifier: MIT
--
-- What other prompts have taught: what it means here.

local habits = require "luabpf.prompt.habits"

describe("a habit of another prompt", function()
  local function meant(text, name)
    return habits.meant(text, function(word) return word == name end)
  end

  it("that asks for help gets it", function()
    for _, text in ipairs { "?", "\\?", ".help", " \\h " } do
      assert.equal("help()", meant(text))
    end
    for _, text in ipairs { "help map:select", "map:select?", "? map:select",
      "help map:select;" } do
      assert.equal('help "map:select"', meant(text))
    end
  end)

  it("that leaves is told how to, but for names that there are", function()
    for _, text in ipairs { "quit", "exit", "exit()", "quit();", "\\q", ".quit" } do
      assert.same({ nil, "Ctrl-D leaves" }, { meant(text) })
    end
    assert.is_nil(select(2, meant("exit", "exit")))
    assert.is_nil(select(2, meant("quit()", "quit")))
  end)

  it("is none in Lua", function()
    for _, text in ipairs { "x = 1", "help()", 'help "map"', "quits", "a.b:c()", "",
      "for i = 1, 2 do", "help(x)", "x ? y", "exit(5)" } do
      assert.same({}, { meant(text) }, text)
    end
  end)
end)
