-- SPDX-License-Identifier: MIT
--
-- Blocks of the rows of a query (lua/luabpf/query/blocks.lua): all that matches, what Lua was asked
-- about among it, whatever reads the map.

local blocks = require "luabpf.query.blocks"
local helper = require "spec.support.helper"

local N <const> = 300

describe("blocks of rows", function()
  after_each(helper.close_all)

  for _, engine in ipairs { "kernel", "batch", "walk" } do
    it("are all that matches, each entry once: " .. engine, function()
      local map = helper.map { key = "u32", value = "u64", max_entries = N }
      for i = 1, N do assert(map:update(i, i)) end
      local function partly(_, value)
        if value % 10 == 0 then return tostring(value) ~= "100" end
        return value > 150
      end
      local seen, n, report = {}, 0, {}
      for key, value in map:select { where = partly, engine = engine, batch_size = 32,
        report = report } do
        assert.is_nil(seen[key])
        assert.is_true(partly(key, value))
        seen[key], n = true, n + 1
      end
      local expected = 0
      for i = 1, N do expected = expected + (partly(i, i) and 1 or 0) end
      assert.equal(expected, n)
      assert.equal(expected, report.matched)
      assert.equal(N // 10, report.asked)
    end)
  end

  it("may be one", function()
    local next_block = blocks.once "block"
    assert.equal("block", next_block())
    assert.is_nil(next_block())
    assert.is_nil(blocks.once(nil)())
  end)
end)
