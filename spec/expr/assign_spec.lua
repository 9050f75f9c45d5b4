-- SPDX-License-Identifier: MIT
--
-- Assignments in text (lua/luabpf/expr/assign.lua).

local assign = require "luabpf.expr.assign"

local U64 <const> = { kind = "int", size = 8, name = "u64" }
local STATE <const> = { kind = "enum", size = 1, name = "state",
  values = { { name = "new", value = 0 }, { name = "open", value = 2 } } }
local env = { key = U64, value = { kind = "struct", size = 24, fields = {
  { name = "n", type = U64, bit = 0 }, { name = "state", type = STATE, bit = 64 },
  { name = "on", type = { kind = "bool", size = 1, name = "bool" }, bit = 72 },
  { name = "who", type = { kind = "text", size = 8, name = "char" }, bit = 80 } } } }

describe("assignments", function()
  it("are a list of fields and what they get", function()
    local list = assign.parse("value.n = value.n + 1, value.on = value.n > 3", env)
    assert.equal(2, #list)
    assert.same({ "value.n", "value.n = value.n + 1", "+", "unsigned" },
      { list[1].name, list[1].text, list[1].value.op, list[1].value.kind })
    assert.same({ "value.on", "condition" }, { list[2].name, list[2].value.kind })
  end)

  it("take names of enums, and parameters as what the field is", function()
    local list = assign.parse("value.state = 'open', value.n = $n, value.on = $on", env)
    assert.equal(2, list[1].value.value)
    assert.equal("integer", list[2].value.param.kind)
    assert.equal("bool", list[3].value.param.kind)
  end)

  it("raise, naming the place, for what cannot be assigned to", function()
    for text, message in pairs {
      ["value.who = 'x'"] = "expression:1:1: 'value.who' is text",
      ["key = 1"] = "expression:1:1: the key of an entry cannot be changed",
      ["value.n"] = "expression:1:8: '=' expected at the end",
      ["value.n = 1 +"] = "expression:1:14: a value expected at the end",
      ["value.n = value.n = 1"] = "expression:1:19: an operator expected, found '='",
      ["value.n = value.on"] = "'value.on' is a condition where an integer is needed",
    } do
      local ok, err = pcall(assign.parse, text, env)
      assert.is_false(ok)
      assert.truthy(err:find(message, 1, true), err)
    end
  end)
end)
