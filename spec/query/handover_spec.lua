-- SPDX-License-Identifier: MIT
--
-- Entries handed over to Lua (lua/luabpf/query/handover.lua): counted once, within the memory.

local helper = require "spec.support.helper"

local N <const> = 500

describe("entries handed over to Lua", function()
  after_each(helper.close_all)

  it("are counted once, whoever judged them", function()
    local map = helper.map { key = "u32", value = "u64", max_entries = N }
    for i = 1, N do assert(map:update(i, i)) end
    local function columns(key) return { x = key .. "" } end
    local function asked(where, engine)
      local _, report = map:rows { columns = columns, where = where, engine = engine }
      return report.asked
    end
    for _, engine in ipairs { "kernel", "batch" } do
      assert.equal(100, asked("value > 400", engine))
      assert.equal(N, asked(function(_, value) return value .. "" == "7" end, engine))
      -- 50 are asked about, 5 of which match; of the rest 45 match by what is compiled.
      assert.equal(50 + 45, asked(function(_, value)
        if value % 10 == 0 then return value // 10 .. "" < "13" and value <= 120 and value > 70 end
        return value > 450
      end, engine))
    end
  end)

  it("are refused past the memory allowed", function()
    local map = helper.map { key = "u32", value = "u64", max_entries = N }
    for i = 1, N do assert(map:update(i, i)) end
    local list, message = map:rows { columns = function(key) return { x = key .. "" } end,
      sort = "x", memory = "16KiB" }
    assert.is_nil(list)
    assert.matches("more rows than the memory allowed has room for", message)
  end)
end)
