-- SPDX-License-Identifier: MIT
--
-- Listings: instructions under the lines that they are for.

local agree = require "spec.support.agree"

local map = agree.map()

describe("a listing", function()
  it("has the lines of a text", function()
    local bpf = require "luabpf"
    local f = load(
      "return function(k, v)\n  if v.on then return true end\n  return k.port > 3\nend")()
    local text = tostring(bpf.compile(f, map))
    assert.matches('%[string "%.%.%."%]:2: if v%.on then return true end\n', text)
    assert.matches("\n *%d+  if r1 s?> 3 goto %d+ +k?e?y?%.?port", text)
  end)

  it("has the lines that rows and groups are made in", function()
    local f = load("return function(k, v)\n  if k.id > 9 then\n    return { a = v.packets }\n" ..
      "  end\n  return { a = v.delta }\nend", "=made")()
    for _, options in ipairs { { columns = f }, { group = f } } do
      local text = tostring(map:explain(options))
      assert.matches("\nmade:3: [^m]*value%.packets", text)
      assert.matches("\nmade:5: [^m]*value%.delta", text)
    end
  end)
end)
