-- SPDX-License-Identifier: MIT
--
-- Columns that come through writable slots (lua/luabpf/query/slots.lua): rows have what is put
-- there.

local helper = require "spec.support.helper"
local prepare = require "luabpf.query.prepare"
local slots = require "luabpf.query.slots"

describe("slots", function()
  after_each(helper.close_all)

  it("give a column what is put there, beside those of the entry", function()
    local map = helper.map { key = "u32", value = "u64" }
    for i = 1, 5 do assert(map:update(i, i * 10)) end
    local query = prepare.query(map, "aggregate",
      { group = slots.numbered, select = "sum(value * $k) as s", params = { k = 3 } })
    assert.equal(1, query.group_words)
    for batch in map:batches() do
      local rows = query.core:rows(batch, ("<i8i8"):pack(42, 3))
      local n = 0
      for row in rows:each(query.decoder) do
        assert.equal(42, row[slots.NUMBER])
        n = n + 1
      end
      assert.equal(#batch, n)
    end
  end)

  it("are not texts of columns", function()
    assert.is_false(slots.are { "value" })
    assert.is_false(slots.are { computed = "value" })
    assert.is_true(slots.are(slots.numbered))
  end)
end)
