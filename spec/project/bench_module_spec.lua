-- SPDX-License-Identifier: MIT
--
-- Measuring a user's own map (lua/luabpf/bench.lua).

local bpf = require "luabpf"
local helper = require "spec.support.helper"

describe("bench", function()
  after_each(helper.close_all)

  it("measures batch sizes, loops and engines, and changes nothing", function()
    local map = helper.map { max_entries = 1000 }
    for i = 1, 500 do map:update(i, i) end
    local before = helper.collect(map:entries())
    local result = assert(bpf.bench(map, { where = "value > $n", params = { n = 400 },
      sizes = { 16, 1000 }, patience = "20ms" }))
    assert.equal(500, result.entries)
    assert.equal(2, #result.sizes)
    assert.is_true(result.best == result.sizes[1] or result.best == result.sizes[2])
    for _, row in ipairs(result.sizes) do
      assert.equal(500, row.entries)
      assert.is_true(row.ns > 0 and row.longest > 0 and row.kib > 0)
    end
    assert.is_true(result.views > 0 and result.tables > 0)
    assert.is_true(#result.engines >= 2)
    local chosen = 0
    for _, row in ipairs(result.engines) do
      assert.equal(100, row.matched)
      assert.is_true(row.ns > 0 and row.estimate > 0)
      if row.chosen then chosen = chosen + 1 end
    end
    assert.equal(1, chosen)
    assert.truthy(tostring(result):find("batch size", 1, true))
    assert.same(before, (helper.collect(map:entries())))
  end)

  it("takes any map that can be read", function()
    for _, kind in ipairs(helper.types) do
      local map = helper.make(kind, 20)
      map:update(kind.key_of(1), kind.value_of(1))
      assert.is_table((bpf.bench(map, { sizes = { 64 }, patience = "5ms" })))
    end
    local queue = helper.map { type = "queue", value = "u32" }
    local result, message, errno = bpf.bench(queue)
    assert.is_nil(result)
    assert.is_string(message)
    assert.equal(bpf.errno.ENOTSUPP, errno)
  end)

  it("checks its arguments", function()
    local map = helper.map()
    assert.error_matches(function() bpf.bench(map, { size = 5 }) end, "unknown option 'size'")
    assert.error_matches(function() bpf.bench(5) end, "luabpf.map expected")
    map:close()
    assert.error_matches(function() bpf.bench(map) end, "map is closed")
  end)
end)
