-- SPDX-License-Identifier: MIT
--
-- The order of rows that Lua made (lua/luabpf/query/arrange.lua).

local arrange = require "luabpf.query.arrange"

local function values(rows, sort, unsigned, keys)
  arrange.rows(rows, arrange.parse("spec", sort), unsigned, keys)
  local list = {}
  for i, row in ipairs(rows) do list[i] = row.x == nil and "none" or row.x end
  return list
end

local function rows_of(...)
  local rows = {}
  for i = 1, select("#", ...) do rows[i] = { x = (select(i, ...)) } end
  return rows
end

describe("an order of rows", function()
  it("has numbers from the largest, text from the smallest, what is empty at the end", function()
    assert.same({ 7, 2.5, -1, "none" }, values(rows_of(2.5, nil, -1, 7), "x"))
    assert.same({ -1, 2.5, 7, "none" }, values(rows_of(2.5, nil, -1, 7), "x asc"))
    assert.same({ "a", "b", "none" }, values(rows_of("b", "a", nil), "x"))
    assert.same({ "b", "a", "none" }, values(rows_of("b", nil, "a"), "x desc"))
    assert.same({ true, false, "none" }, values(rows_of(nil, false, true), "x"))
  end)

  it("has unsigned integers where they are", function()
    assert.same({ -1, 5 }, values(rows_of(5, -1), "x", { x = true }))
  end)

  it("takes what is no number for empty", function()
    local list = values(rows_of(0 / 0, 1, 0 / 0, 3, 2), "x")
    assert.same({ 3, 2, 1 }, { list[1], list[2], list[3] })
  end)

  it("goes on with the next column, then by key", function()
    local rows, keys = {}, {}
    for i = 1, 200 do
      rows[i] = { x = i % 3, y = i % 5 }
      keys[rows[i]] = (">I4"):pack(i)
    end
    arrange.rows(rows, arrange.parse("spec", "x, y asc"), nil, keys)
    for i = 2, 200 do
      local a, b = rows[i - 1], rows[i]
      assert.is_true(a.x > b.x or a.x == b.x and (a.y < b.y or a.y == b.y and keys[a] < keys[b]))
    end
  end)
end)
