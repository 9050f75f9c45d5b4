-- SPDX-License-Identifier: MIT
--
-- Rows of what a function gave (lua/luabpf/query/maker.lua): names, types over all entries, views
-- as tables, and a function's own table left alone.

local helper = require "spec.support.helper"
local maker = require "luabpf.query.maker"

local function batch_of(n)
  local map = helper.map { key = "u32", value = { "u64 n", { name = "sub", "u16 x" } },
    max_entries = 64 }
  for i = 1, n do assert(map:update(i, { n = i, sub = { x = i } })) end
  return map:batches(64)()
end

describe("a maker of rows", function()
  after_each(helper.close_all)

  it("makes a table for each entry, whatever table the function gives", function()
    local one = {}
    local made = maker.new("columns", function(key, value)
      one.key, one.sub = key, value.sub
      one.odd = key % 2 == 1 or nil
      return one
    end)
    local list = made:rows(batch_of(5), {})
    assert.equal(5, #list)
    for _, row in ipairs(list) do
      assert.same({ key = row.key, sub = { x = row.key }, odd = row.key % 2 == 1 or nil }, row)
    end
    assert.same({ "key", "odd", "sub" }, made.names)
    assert.same({ key = "number", odd = "boolean", sub = "table" }, made.types)
  end)

  it("takes one value as a column where that is named", function()
    local made = maker.new("group", function(key) if key > 2 then return key end end, "group")
    local list = made:rows(batch_of(4), {})
    local n = 0
    for _, row in ipairs(list) do n = n + (row.group or 0) end
    assert.equal(7, n)
  end)

  it("keeps the type of a column from batch to batch", function()
    local made = maker.new("columns", function(key) return { x = key > 4 and "a" or key } end)
    made:rows(batch_of(4), {})
    assert.has_error(function() made:rows(batch_of(5), {}) end)
  end)
end)
