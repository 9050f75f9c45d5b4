-- SPDX-License-Identifier: MIT
--
-- What results look like at the prompt.

local helper = require "spec.support.helper"

describe("at the prompt", function()
  after_each(helper.close_all)

  local function flows()
    local map = helper.map { key = { "ipv4 addr", "be16 port" }, value = { "u64 bytes" } }
    for i = 1, 4 do map:update({ addr = "10.0.0." .. i, port = 80 }, { bytes = -i }) end
    return map
  end

  it("aggregates are tables, unsigned sums unsigned", function()
    local map = flows()
    for _, engine in ipairs { "kernel", "batch" } do
      local list, report = map:aggregate { select = { "max(value.bytes) as most",
        "max(0 - value.bytes) as least" }, engine = engine }
      assert.truthy(tostring(list):find("18446744073709551615 +4"), tostring(list))
      assert.truthy(tostring(report):find("engine +" .. engine))
    end
    local list = map:aggregate { group = "key.addr", select = "hist(value.bytes) as sizes",
      limit = 1 }
    local text = tostring(list)
    assert.truthy(text:find("addr +sizes\n10%.0%.0%.%d +"), text)
    assert.truthy(text:find("9223372036854775808-18446744073709551615: 1", 1, true), text)
  end)

  it("text cannot speak to the terminal, or break a table", function()
    local map = helper.map { value = "char[16]" }
    local texts = { "plain", "\27[2J", "a\nb", "\x9b2J", "\xc2\x9b2J", "gr\xc3\xbcn" }
    for i, text in ipairs(texts) do map:update(i, text) end
    for _, printed in ipairs { tostring(map:aggregate { group = "value as who" }),
      tostring(map:head(10)) } do
      local _, lines = printed:gsub("\n", "")
      assert.equal(6, lines, printed)
      for _, text in ipairs { "plain", [["\27[2J"]], [["a\nb"]], [["\1552J"]],
        [["\194\1552J"]], '"gr\xc3\xbcn"' } do
        assert.truthy(printed:find(text, 1, true), printed)
      end
    end
  end)

  it("reports are names and values", function()
    local map = flows()
    local text = tostring((map:delete_where("value.bytes == 5")))
    assert.truthy(text:find("\nmatched +0\ndeleted +0\n"), text)
    assert.truthy(tostring(select(2, map:count("true"))):find("\nvisited +4\n"))
  end)
end)
