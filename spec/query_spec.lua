-- SPDX-License-Identifier: MIT
--
-- Filtered delete by a Lua function (lua/luabpf/query.lua).

local bpf = require "luabpf"
local helper = require "spec.helper"

describe("delete_where with a function", function()
  after_each(helper.close_all)

  local function even_map(n)
    local map = helper.map { max_entries = n, value = { "u64 n" } }
    local keys, values = {}, {}
    for i = 1, n do keys[i], values[i] = i, { n = i } end
    map:update_batch(keys, values)
    return map
  end

  local function is_even(_, value) return value.n % 2 == 0 end

  for _, kind in ipairs(helper.types) do
    it("in a map of type " .. (kind.label or kind.type), function()
      local map = helper.make(kind, 40)
      local keys, values = helper.entries(kind, 0, 39)
      map:update_batch(keys, values)
      local function where(_, value)
        return (type(value) == "number" and value or value[1] // 10) < 10
      end
      local report, message, errno = map:delete_where(where)
      if not kind.deletes then
        assert.is_nil(report)
        assert.equal(bpf.errno.ENOTSUPP, errno)
        assert.truthy(message:find("not supported by", 1, true))
        return
      end
      assert.equal(40, report.visited)
      assert.equal(10, report.matched)
      assert.equal(10, report.deleted)
      assert.equal(0, report.missing + report.kept)
      assert.is_true(report.complete)
      assert.equal("batch", report.engine)
      assert.is_true(report.seconds >= 0)
      assert.equal(30, map:count())
    end)
  end

  it("only counts in a dry run", function()
    local map = even_map(100)
    local report = map:delete_where(is_even, { dry_run = true })
    assert.equal(50, report.matched)
    assert.equal(0, report.deleted)
    assert.equal(100, map:count())
  end)

  it("stops at the limit, and says that it did", function()
    local map = even_map(100)
    local report = map:delete_where(is_even, { limit = 7, batch_size = 10 })
    assert.equal(7, report.deleted)
    assert.is_false(report.complete)
    assert.equal(93, map:count())
    report = map:delete_where(is_even, { limit = 1000 })
    assert.equal(43, report.deleted)
    assert.is_true(report.complete)
    assert.equal(0, map:delete_where(is_even, { limit = 0 }).deleted)
  end)

  it("keeps and counts what changed after it was judged, and what is gone", function()
    local map = even_map(100)
    local report = map:delete_where(function(key, value)
      if key == 10 then map:update(10, { n = 1000 }) end
      if key == 20 then map:delete(20) end
      return value.n % 2 == 0
    end)
    assert.equal(50, report.matched)
    assert.equal(48, report.deleted)
    assert.equal(1, report.missing)
    assert.equal(1, report.kept)
    assert.same({ n = 1000 }, map:lookup(10))
  end)

  it("tells on_delete what it deleted, afterwards", function()
    local map = even_map(20)
    local told = {}
    map:delete_where(is_even, { on_delete = function(key, value)
      assert.is_nil(map:lookup(key))
      told[key] = value.n
    end })
    for i = 2, 20, 2 do assert.equal(i, told[i]) end
  end)

  it("gives back what on_delete did not get to see", function()
    local map = even_map(20)
    local told = 0
    local ok, err = pcall(map.delete_where, map, is_even, { on_delete = function()
      if told == 3 then error("full") end
      told = told + 1
    end })
    assert.is_false(ok)
    assert.truthy(tostring(err):find("full", 1, true))
    assert.equal(10, err.partial.deleted)
    assert.equal(7, #err.undelivered)
    assert.equal(err.undelivered[1].key, err.undelivered[1].value.n)
  end)

  it("says how far it came when the function raises", function()
    local map = even_map(100)
    local n = 0
    local ok, err = pcall(map.delete_where, map, function(_, value)
      n = n + 1
      if n == 60 then error("bad entry") end
      return value.n % 2 == 0
    end, { batch_size = 10 })
    assert.is_false(ok)
    assert.truthy(tostring(err):find("bad entry", 1, true))
    assert.equal(100 - map:count(), err.partial.deleted)
    assert.is_true(err.partial.deleted > 0)
  end)

  it("checks its arguments", function()
    local map = even_map(2)
    assert.error_matches(function() map:delete_where(5) end, "where")
    assert.error_matches(function() map:delete_where() end, "where")
    assert.error_matches(function()
      map:delete_where(is_even, { dryrun = true })
    end, "unknown option")
    assert.error_matches(function() map:delete_where(is_even, { limit = -1 }) end, "limit")
    assert.error_matches(function() map:delete_where(is_even, { limit = 1.5 }) end, "limit")
    assert.equal(2, map:count())
  end)
end)
