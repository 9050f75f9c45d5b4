-- SPDX-License-Identifier: MIT
--
-- What help knows besides functions and tables.

local functions = require "luabpf.expr.functions"
local help = require "luabpf.show.help"
local topics = require "luabpf.show.topics"

describe("a topic of help", function()
  it("is what help says of its name, in lines that a terminal has room for", function()
    local n = 0
    for name, text in pairs(topics) do
      n = n + 1
      assert.equal(text, help.text(name))
      assert.equal(name, text:gsub("^the ", ""):match "^%w+")
      for line in text:gmatch "[^\n]+" do assert(#line <= 80, line) end
    end
    assert.equal(4, n)
  end)

  it("has all functions of expressions, each as it is written", function()
    local n = 0
    for name, row in pairs(functions) do
      n = n + 1
      assert.equal(name .. "(", row.form:sub(1, #name + 1))
      assert.truthy(topics.expressions:find("  " .. row.form, 1, true), name)
    end
    assert.truthy(n >= 4)
    assert.is_nil(topics.expressions:find("FUNCTIONS", 1, true))
  end)
end)
