-- SPDX-License-Identifier: MIT
--
-- The limit of runs that change a map (lua/luabpf/query/pieces.lua): exactly so many, whoever
-- judges, and in a dry run as many are counted.

local helper = require "spec.support.helper"

local N <const> = 700

local function filled()
  local map, keys, values = helper.map { key = "u32", value = "u64", max_entries = N }, {}, {}
  for i = 1, N do keys[i], values[i] = i, i end
  assert(map:update_batch(keys, values))
  return map
end

local MATCHING <const> = 600 -- of "value > 100"

local WHERES <const> = {
  text = "value > 100",
  ["a function"] = function(_, value) return value > 100 end,
  ["a function that Lua runs"] = function(_, value)
    return tostring(value + 0) ~= "" and value > 100
  end,
}

describe("the limit of a run", function()
  after_each(helper.close_all)

  for name, where in pairs(WHERES) do
    for _, engine in ipairs { "kernel", "batch" } do
      it(("holds for what is deleted, by %s: %s"):format(name, engine), function()
        for _, limit in ipairs { 0, 1, 255, 256, 257, MATCHING, N } do
          local map, told = filled(), 0
          local given = { limit = limit, engine = engine, batch_size = 64, dry_run = true }
          local wanted = math.min(limit, MATCHING)
          assert.equal(wanted, assert(map:delete_where(where, given)).matched)
          assert.equal(N, map:count())
          given.dry_run, given.on_delete = nil, function() told = told + 1 end
          local report = assert(map:delete_where(where, given))
          assert.same({ wanted, wanted }, { report.deleted, told })
          assert.equal(N - wanted, map:count())
          map:close()
        end
      end)

      it(("holds for what is changed, by %s: %s"):format(name, engine), function()
        for _, limit in ipairs { 0, 1, 63, 64, 65, MATCHING, N } do
          local map = filled()
          local given = { limit = limit, engine = engine, batch_size = 64, dry_run = true }
          local wanted = math.min(limit, MATCHING)
          assert.equal(wanted, assert(map:update_where(where, "value = 0", given)).matched)
          assert.equal(0, map:count "value == 0")
          given.dry_run = nil
          local report = assert(map:update_where(where, "value = 0", given))
          assert.same({ wanted, wanted }, { report.matched, report.updated })
          assert.equal(wanted, map:count "value == 0")
          map:close()
        end
      end)
    end

    it("holds for what is drained, by " .. name, function()
      for _, limit in ipairs { 1, 63, 64, 65, MATCHING, N } do
        local map, n = filled(), 0
        for batch in map:drain { where = where, limit = limit, batch_size = 64 } do
          n = n + #batch
        end
        assert.equal(math.min(limit, MATCHING), n)
        assert.equal(N - n, map:count())
        map:close()
      end
    end)
  end
end)
