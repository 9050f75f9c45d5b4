-- SPDX-License-Identifier: MIT
--
-- The rows of a select (lua/luabpf/query/selected.lua): run when the first is asked for, in order.

local helper = require "spec.support.helper"

describe("the rows of a select", function()
  after_each(helper.close_all)

  it("are read when the first is asked for", function()
    local map = helper.map { key = "u32", value = "u64" }
    local rows = map:select { columns = "key as k", sort = "k asc" }
    local computed = map:select { columns = function(key) return { k = key } end, sort = "k asc" }
    for i = 1, 5 do assert(map:update(i, i)) end
    assert.same({ k = 1 }, rows())
    assert.same({ k = 1 }, computed())
    assert.same({ k = 2 }, computed())
  end)

  it("are sorted alike by text and function", function()
    local map = helper.map { key = "u32", value = { "s32 a", "char name[4]" } }
    for i = 1, 50 do assert(map:update(i, { a = i % 7 - 3, name = "n" .. i % 4 })) end
    for _, engine in ipairs { "kernel", "batch" } do
      for _, sort in ipairs { "a", "name, a asc", "name desc", "k asc", "a desc, name" } do
        local given = { columns = "key as k, value.a, value.name", sort = sort, engine = engine,
          limit = 20 }
        local text = assert(map:rows(given))
        given.columns = function(key, value) return { k = key, a = value.a, name = value.name } end
        local list, report = map:rows(given)
        assert.is_true(report.compiled)
        assert.equal(0, report.asked)
        given.compile = false
        local by_lua = assert(map:rows(given))
        for i = 1, 20 do
          local row = list[i]
          assert.same({ text[i].k, text[i].a, text[i].name }, { row.k, row.a, row.name })
          assert.same(by_lua[i], list[i])
        end
      end
    end
  end)
end)
