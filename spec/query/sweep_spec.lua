-- SPDX-License-Identifier: MIT
--
-- Queries that delete (lua/luabpf/query/sweep.lua): delete_where and drain{ where }, by Lua
-- functions and by expressions, in every engine.

local bpf = require "luabpf"
local core = require "luabpf.core"
local helper = require "spec.support.helper"

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

local ENGINES <const> = { "kernel", "batch", "walk" }

describe("delete_where with an expression", function()
  after_each(helper.close_all)

  local function numbers(n)
    local map = helper.map { max_entries = n, value = { "u64 n", "u64 twice" } }
    local keys, values = {}, {}
    for i = 1, n do keys[i], values[i] = i, { n = i, twice = 2 * i } end
    map:update_batch(keys, values)
    return map
  end

  for _, kind in ipairs(helper.types) do
    it("in a map of type " .. (kind.label or kind.type), function()
      for _, engine in ipairs(ENGINES) do
        local map = helper.make(kind, 40)
        local keys, values = helper.entries(kind, 0, 39)
        map:update_batch(keys, values)
        local text = "value < 10"
        if type(values[1]) == "table" then text = "value[1] // 10 < 10" end
        local report, message, errno = map:delete_where(text, { engine = engine })
        if not kind.deletes then
          assert.is_nil(report)
          assert.equal(bpf.errno.ENOTSUPP, errno)
          assert.truthy(message:find("not supported by", 1, true))
        elseif engine == "kernel" and kind.type == "lpm_trie" then
          assert.is_nil(report)
          assert.truthy(message:find("programs cannot walk lpm_trie maps", 1, true), message)
          assert.equal(bpf.errno.ENOTSUPP, errno)
        else
          assert.equal(engine, report.engine)
          -- A walk whose key is gone begins again.
          assert.is_true(report.visited == 40 or engine == "walk" and report.visited > 40)
          assert.equal(10, report.matched)
          assert.equal(10, report.deleted)
          assert.equal(0, report.missing + report.kept)
          assert.is_true(report.complete)
          assert.equal(30, map:count())
          for i, key in ipairs(keys) do assert.equal(i <= 10, map:lookup(key) == nil) end
        end
      end
    end)
  end

  it("counts in a dry run, as far as the limit", function()
    local map = numbers(100)
    for _, engine in ipairs(ENGINES) do
      for _, where in ipairs { "value.n % 2 == 0", function(_, v) return v.n % 2 == 0 end } do
        local report = map:delete_where(where, { dry_run = true, engine = engine })
        assert.equal(50, report.matched)
        assert.equal(0, report.deleted)
        assert.is_true(report.complete)
        report = map:delete_where(where, { dry_run = true, limit = 7, engine = engine,
          on_delete = error })
        assert.equal(7, report.matched)
        assert.is_false(report.complete)
      end
    end
    assert.equal(100, map:count())
  end)

  it("stops at the limit, with everything accounted for", function()
    for _, engine in ipairs(ENGINES) do
      for _, where in ipairs { "value.n % 2 == 0", function(_, v) return v.n % 2 == 0 end } do
        local map = numbers(100)
        for _, limit in ipairs { 0, 1, 9, 15, 100 } do
          local before = map:count()
          local report = map:delete_where(where,
            { limit = limit, engine = engine, batch_size = 10 })
          assert.equal(math.min(limit, before - 50), report.deleted)
          assert.equal(report.matched, report.deleted + report.missing + report.kept)
          assert.equal(before - report.deleted, map:count())
          assert.equal(limit == 100, report.complete)
        end
      end
    end
  end)

  it("tells on_delete what it deleted, as it was", function()
    for _, engine in ipairs(ENGINES) do
      local map, told, n = numbers(300), {}, 0
      local report = map:delete_where("value.n > $n", { params = { n = 100 }, engine = engine,
        on_delete = function(key, value)
          assert.is_nil(map:lookup(key))
          assert.same({ n = key, twice = 2 * key }, value)
          assert.is_nil(told[key])
          told[key], n = true, n + 1
        end })
      assert.equal(200, n)
      assert.equal(200, report.deleted)
      assert.equal(engine, report.engine)
    end
  end)

  it("gives back what on_delete did not get to see", function()
    for _, engine in ipairs(ENGINES) do
      local map, told = numbers(20), {}
      local ok, err = pcall(map.delete_where, map, "value.n > 10", { engine = engine,
        on_delete = function(key)
          if #told == 3 then error("full") end
          told[#told + 1] = key
        end })
      assert.is_false(ok)
      assert.truthy(tostring(err):find("full", 1, true))
      assert.equal(10, err.partial.deleted)
      assert.equal(7, #err.undelivered)
      for _, entry in ipairs(err.undelivered) do
        assert.equal(entry.key, entry.value.n)
        assert.is_nil(map:lookup(entry.key))
      end
      assert.equal(10, map:count())
    end
  end)

  it("hands rows over in several runs when memory is short", function()
    local map, told = numbers(20000), 0
    local report = map:delete_where("value.n % 2 == 0", { engine = "kernel", memory = "16KiB",
      on_delete = function(key, value)
        assert.equal(key, value.n)
        told = told + 1
      end })
    assert.equal(10000, told)
    assert.equal(10000, report.deleted)
    assert.equal("kernel", report.engine)
    assert.is_true(report.complete)
    assert.is_true(report.visited > 20000)
  end)

  it("comes to an end when entries that match come back all the time", function()
    local map, told = numbers(5000), 0 -- more rows than a region has at least
    local report = map:delete_where("value.n > 0", { engine = "kernel", memory = "4KiB",
      on_delete = function(key)
        told = told + 1
        map:update(key, { n = 1, twice = 2 })
      end })
    assert.equal(told, report.deleted)
    assert.is_true(told > 5000)
    assert.equal(5000, map:count())
    assert.equal("batch", report.engine)
    assert.truthy(report.why:find("faster than they are handed over", 1, true), report.why)
  end)

  it("reads fields over CPUs", function()
    for _, engine in ipairs(ENGINES) do
      local map = helper.map { type = "percpu_hash", max_entries = 20 }
      for i = 1, 20 do
        local list = {}
        for cpu = 1, (bpf.cpus()) do list[cpu] = cpu == 1 and i or 1000 end
        map:update(i, list)
      end
      local told = {}
      local report = map:delete_where("cpu_min(value) <= 5", { engine = engine,
        on_delete = function(key, value) told[key] = value[1] end })
      assert.equal(5, report.deleted)
      for i = 1, 5 do assert.equal(i, told[i]) end
    end
  end)

  it("leaves its report where the caller wants it", function()
    local map, report = numbers(10), {}
    local result = map:delete_where("value.n > 5", { report = report })
    assert.same(result, report)
  end)

  it("checks its arguments", function()
    local map = numbers(2)
    local function refused(wanted, ...)
      local ok, message = pcall(map.delete_where, map, ...)
      assert.is_false(ok)
      assert.truthy(tostring(message):find(wanted, 1, true), tostring(message))
    end
    refused("where", nil)
    refused("unknown option 'columns'", "true", { columns = "key" })
    refused("option 'limit'", "true", { limit = -1 })
    refused("option 'on_delete': function expected", "true", { on_delete = "print" })
    refused("option 'dry_run': boolean expected", "true", { dry_run = 1 })
    refused("params.x: missing", "value.n > $x", {})
    refused("condition", "value.n", {})
    assert.equal(2, map:count())
  end)
end)

describe("a handle for reading only", function()
  after_each(helper.close_all)

  it("and a frozen map are not written by programs either", function()
    local map = helper.map { max_entries = 1000, pin = helper.pin() }
    local path = map:info().pin
    local keys = {}
    for i = 1, 1000 do keys[i] = i end
    map:update_batch(keys, keys)
    local readonly <close> = assert(bpf.open { path = path, readonly = true, key = "u32",
      value = "u64" })
    map:unpin()
    local function check(handle)
      for _, engine in ipairs(ENGINES) do
        local report, message, errno = handle:delete_where("value > 10", { engine = engine })
        assert.is_nil(report)
        assert.equal(bpf.errno.EPERM, errno, message)
      end
      assert.equal(990, (handle:count("value > 10", { engine = "kernel" })))
      assert.equal(990, handle:delete_where("value > 10", { dry_run = true }).matched)
      for _, method in ipairs { "upsert_batch", "update_batch" } do
        local done, _, errno = handle[method](handle, keys, keys,
          method == "update_batch" and { mode = "exist" } or nil)
        assert.is_nil(done)
        assert.equal(bpf.errno.EPERM, errno)
      end
      local done, _, errno = handle:delete_batch(keys, { if_equal = keys })
      assert.is_nil(done)
      assert.equal(bpf.errno.EPERM, errno)
      assert.equal(1000, select(2, handle:lookup_batch(keys)))
    end
    check(readonly)
    assert(map:freeze())
    check(map)
    assert.equal(1000, map:count())
  end)
end)

describe("drain with a condition", function()
  after_each(helper.close_all)

  local function numbers(n)
    local map = helper.map { max_entries = n }
    local keys = {}
    for i = 1, n do keys[i] = i end
    map:update_batch(keys, keys)
    return map
  end

  it("hands over and removes what matches", function()
    for _, engine in ipairs { "batch", "walk" } do
      for _, where in ipairs { "value % 3 == $r", function(_, value) return value % 3 == 1 end } do
        local map, report, seen, n = numbers(100), {}, {}, 0
        for batch in map:drain { where = where, batch_size = 10, report = report, engine = engine,
          params = type(where) == "string" and { r = 1 } or nil } do
          for key, value in batch:entries() do
            assert.equal(key, value)
            assert.is_nil(seen[key])
            assert.is_nil(map:lookup(key))
            seen[key], n = true, n + 1
          end
        end
        assert.equal(34, n)
        assert.equal(66, map:count())
        assert.equal(34, report.deleted)
        assert.is_true(report.visited == 100 or engine == "walk" and report.visited > 100)
        assert.is_true(report.complete)
        assert.equal(engine, report.engine)
      end
    end
  end)

  it("gives copies that stay, raw if wanted, up to a limit", function()
    local map, batches = numbers(100), {}
    for batch in map:drain { where = "true", batch_size = 16, limit = 40, raw = true } do
      batches[#batches + 1] = batch
    end
    local n = 0
    for _, batch in ipairs(batches) do
      for key in batch:entries() do
        assert.equal(4, #key)
        n = n + 1
      end
    end
    assert.equal(40, n)
    assert.equal(60, map:count())
  end)

  it("left early keeps what it did not hand over", function()
    local map, report = numbers(100), {}
    local handed = 0
    for batch in map:drain { where = "true", batch_size = 10, report = report } do
      handed = #batch
      break
    end
    assert.equal(100 - handed, map:count())
    assert.is_false(report.complete)
    assert.equal(handed, report.deleted)
  end)

  it("hands over what it removed before the system refused", function()
    local class = core.classes["luabpf.map"]
    local delete_batch, map, seen = class.delete_batch, numbers(100), {}
    finally(function() class.delete_batch = delete_batch end)
    -- As of a system that fails after the first three.
    function class.delete_batch(self, some, options)
      local some_of_them = some:pick { 1, 2, 3 }
      options.if_equal = some_of_them
      local deleted, missing, changed, status = delete_batch(self, some_of_them, options)
      return nil, "failing: delete_batch: refused", 5, { deleted, missing, changed, status }
    end
    local ok, err = pcall(function()
      for batch in map:drain { where = function() return true end, compile = false } do
        for key in batch:entries() do seen[#seen + 1] = key end
      end
    end)
    assert.is_false(ok)
    assert.equal(5, err.errno)
    assert.equal(3, #seen)
    assert.equal(97, map:count())
    for _, key in ipairs(seen) do assert.is_nil(map:lookup(key)) end
  end)

  it("checks its arguments", function()
    local map = numbers(1)
    assert.error_matches(function() map:drain { where = 5 } end, "where")
    assert.error_matches(function() map:drain { where = "nothing" } end, "%^")
    assert.error_matches(function() map:drain { where = "true", on_delete = print } end,
      "unknown option")
    local ok, err = pcall(map.drain, map, { where = "true", engine = "kernel" })
    assert.is_false(ok)
    assert.equal(bpf.errno.ENOTSUPP, err.errno)
    ok, err = pcall(helper.map({ type = "array" }).drain, helper.map { type = "array" },
      { where = "true" })
    assert.is_false(ok)
    assert.equal(bpf.errno.ENOTSUPP, err.errno)
  end)
end)
