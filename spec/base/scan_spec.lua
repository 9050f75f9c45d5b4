-- SPDX-License-Identifier: MIT
--
-- What scans of maps and snapshots share (lua/luabpf/base/scan.lua). What a scan gives is tested
-- with the methods of maps; here is how it ends.

local core = require "luabpf.core"
local helper = require "spec.support.helper"
local scan = require "luabpf.base.scan"

after_each(helper.close_all)

-- A cursor of three batches that says whether it was closed.
local function fake_cursor()
  local cursor = { at = 0, closed = 0 }
  function cursor:next()
    self.at = self.at + 1
    return self.at <= 3 and self.at or nil
  end
  function cursor:report() return { visited = self.at } end
  function cursor:close() self.closed = self.closed + 1 end
  return setmetatable(cursor, { __close = cursor.close })
end

describe("a scan", function()
  it("leaves its report, and is closed, when its loop is left early", function()
    local cursor, report = fake_cursor(), { other = 1 }
    for batch in scan.batches_of(cursor, scan.closing(cursor, report)) do
      if batch == 2 then break end
    end
    assert.same({ visited = 2, other = 1 }, report)
    assert.equal(1, cursor.closed)
  end)

  it("is closed without a report where none was asked for", function()
    local cursor = fake_cursor()
    assert.equal(cursor, scan.closing(cursor, nil))
    local seen = 0
    for batch in scan.batches_of(cursor, cursor) do seen = seen + batch end
    assert.equal(6, seen)
    assert.equal(1, cursor.closed)
  end)

  it("counts small maps by a walk and large ones in the kernel, the same", function()
    for _, max_entries in ipairs { 1000, 70000 } do
      local map = helper.map { max_entries = max_entries }
      local keys, values = {}, {}
      for i = 1, 500 do keys[i], values[i] = i, i end
      assert(map:update_batch(keys, values))
      assert.equal(500, (scan.count_all(map)))
    end
    assert.equal(10, (scan.count_all(helper.map { type = "array", max_entries = 10 })))
  end)

  it("knows what its map is", function()
    local map = helper.map { type = "percpu_hash", max_entries = 10 }
    assert.equal(10, scan.info(map).max_entries)
    assert.equal(core.maptypes.percpu_hash, scan.kind_of(map))
  end)
end)
