-- SPDX-License-Identifier: MIT
--
-- The rows of a select, one at a time (lua/luabpf/query/rows.lua): of all blocks, up to the limit,
-- and what is done when their loop is left.

local helper = require "spec.support.helper"

local N <const> = 500

local function filled()
  local map, keys, values = helper.map { key = "u32", value = "u64", max_entries = N }, {}, {}
  for i = 1, N do keys[i], values[i] = i, i * 3 end
  assert(map:update_batch(keys, values))
  return map
end

describe("rows of a select", function()
  after_each(helper.close_all)

  for _, engine in ipairs { "kernel", "batch", "walk" } do
    for _, columns in ipairs { "key as k, value as v", false } do
      local what = ("%s, %s"):format(engine, columns or "whole entries")
      it("are those of all blocks, each once: " .. what, function()
        local map, seen, n = filled(), {}, 0
        for first, second in map:select { columns = columns or nil, where = "value > 30",
          engine = engine, batch_size = 16 } do
          local k, v = first, second
          if columns then k, v = first.k, first.v end
          assert.equal(k * 3, v)
          assert.is_nil(seen[k])
          seen[k], n = true, n + 1
        end
        assert.equal(N - 10, n)
      end)

      it("end at the limit, and close what is read when the loop is left: " .. what, function()
        local map = filled()
        for _, limit in ipairs { 0, 1, 15, 16, 17, N, N + 1 } do
          local n, report = 0, {}
          for _ in map:select { columns = columns or nil, engine = engine, batch_size = 16,
            limit = limit, report = report } do n = n + 1 end
          assert.equal(math.min(limit, N), n)
          assert.equal("number", type(report.seconds))
        end
        local report = {}
        for _ in map:select { columns = columns or nil, engine = engine, batch_size = 16,
          report = report } do break end
        assert.equal("number", type(report.seconds))
        assert.equal(engine == "kernel", report.complete)
      end)
    end
  end

  it("are the same with reset, which takes them", function()
    local map, seen, report = filled(), 0, {}
    for row in map:select { columns = "key as k, value as v", reset = "value", batch_size = 16,
      report = report } do
      assert.equal(row.k * 3, row.v)
      seen = seen + 1
    end
    assert.equal(N, seen)
    assert.is_true(report.complete)
    assert.equal(N, map:count "value == 0")
    for _ in map:select { reset = "value", batch_size = 16, report = report } do break end
    assert.is_false(report.complete)
  end)
end)
