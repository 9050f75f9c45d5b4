-- SPDX-License-Identifier: MIT

local tokens = require "luabpf.prompt.tokens"

local function kinds(text)
  local list = {}
  for i, token in ipairs(tokens.of(text)) do list[i] = token.kind .. " " .. token.text end
  return list
end

describe("tokens of Lua", function()
  it("are names, keywords, numbers, strings, operators", function()
    assert.same({ "keyword local", "name a", "operator =", "number 0x1f", "operator ..",
      'string "x\\"y"', "operator //", "string [=[z]]]=]" },
      kinds 'local a = 0x1f .. "x\\"y" // [=[z]]]=]')
    assert.same({ "name a", "operator <=", "name b", "operator ::", "operator ...",
      "number .5" }, kinds "a<=b :: ... .5")
  end)

  it("leave comments out", function()
    assert.same({ "name a", "name b" }, kinds "a -- x 'y\nb --[[ c ]] -- d\n")
  end)

  it("say what is not closed at the end", function()
    assert.same({ "name f", "operator (", 'open string "value.by' }, kinds 'f("value.by')
    assert.same({ "open string [[a\nb" }, kinds "[[a\nb")
    assert.same({ "open comment --[[ a" }, kinds "--[[ a")
    assert.same({ "open comment -- a" }, kinds "-- a")
    assert.same({ 'broken "a\n', "name b" }, kinds '"a\nb')
  end)

  it("take any bytes", function()
    for i = 1, 2000 do
      local bytes = {}
      for k = 1, 30 do bytes[k] = string.char((i * 7919 + k * k * 31 + k * i) % 256) end
      local list = tokens.of(table.concat(bytes))
      assert(#list == 0 or list[#list].last <= 30)
    end
  end)
end)
