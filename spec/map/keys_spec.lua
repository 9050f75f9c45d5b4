-- SPDX-License-Identifier: MIT
--
-- Work on many given keys (luabpf/lib/keys/bulk.c, keys.c): batch calls and single
-- calls give the same answers.

local bpf = require "luabpf"
local helper = require "spec.support.helper"

-- The map as key -> value.
local function contents(map)
  return (helper.collect(map:entries()))
end

describe("batches of given keys", function()
  after_each(helper.close_all)

  for _, kind in ipairs(helper.types) do
    describe("in a map of type " .. (kind.label or kind.type), function()
      it("are stored, looked up and deleted", function()
        local map = helper.make(kind, 100)
        local keys, values = helper.entries(kind, 0, 59)
        assert.equal(60, map:update_batch(keys, values))
        local got, found = map:lookup_batch(keys)
        assert.equal(60, found)
        assert.same(values, got)
        if not kind.deletes then
          local n, message, errno = map:delete_batch(keys)
          assert.is_nil(n)
          assert.equal(bpf.errno.ENOTSUPP, errno)
          assert.truthy(message:find("delete_batch: not supported by " .. kind.type, 1, true))
          return
        end
        local some = helper.entries(kind, 30, 89)
        local deleted, missing = map:delete_batch(some)
        assert.equal(30, deleted)
        assert.equal(30, missing)
        got, found = map:lookup_batch(keys)
        assert.equal(30, found)
        for i = 1, 60 do assert.same(i <= 30 and values[i] or nil, got[i]) end
      end)

      it("go through packed strings and batches alike", function()
        local map, copy = helper.make(kind, 40), helper.make(kind, 40)
        local keys, values = helper.entries(kind, 0, 39)
        map:update_batch(keys, values)
        for batch in map:batches(16) do
          assert.equal(#batch, copy:update_batch(batch))
        end
        assert.same(contents(map), contents(copy))
        for batch in map:batches(64) do
          local packed_keys, packed_values = batch:packed()
          assert.equal(#batch, copy:update_batch(packed_keys, packed_values))
          local result, found = copy:lookup_batch(packed_keys)
          assert.equal(#batch, found)
          local again_keys, again_values = result:packed()
          assert.equal(packed_keys, again_keys)
          assert.equal(packed_values, again_values)
          result, found = copy:lookup_batch(batch)
          assert.equal(#batch, found)
          assert.same(batch:values(), result:values())
        end
      end)

      it("equal single calls on random data", function()
        local map, twin = helper.make(kind, 64), helper.make(kind, 64)
        math.randomseed(12)
        for _ = 1, 20 do
          local keys, values = {}, {}
          for i = 1, math.random(1, 30) do
            local n = math.random(0, 63)
            keys[i], values[i] = kind.key_of(n), kind.value_of(math.random(1, 1000))
          end
          map:update_batch(keys, values)
          for i, key in ipairs(keys) do twin:update(key, values[i]) end
          if kind.deletes then
            local gone, deleted, missing = {}, 0, 0
            for i = 1, 10 do gone[i] = kind.key_of(math.random(0, 63)) end
            for _, key in ipairs(gone) do
              if twin:delete(key) then deleted = deleted + 1 else missing = missing + 1 end
            end
            assert.same({ deleted, missing }, { map:delete_batch(gone) })
          end
          assert.same(contents(twin), contents(map))
        end
      end)

      it("are upserted with exact counts", function()
        local map = helper.make(kind, 30)
        local keys, values = helper.entries(kind, 0, 9)
        local more, more_values = helper.entries(kind, 5, 14)
        local fresh = not kind.fixed
        assert.same({ inserted = fresh and 10 or 0, updated = fresh and 0 or 10 },
          map:upsert_batch(keys, values))
        assert.same({ inserted = fresh and 5 or 0, updated = fresh and 5 or 10 },
          map:upsert_batch(more, more_values))
        assert.same({ inserted = fresh and 1 or 0, updated = fresh and 1 or 2 },
          map:upsert_batch({ kind.key_of(20), kind.key_of(20) },
            { kind.value_of(1), kind.value_of(2) }))
        assert.same(kind.value_of(2), map:lookup(kind.key_of(20)))
      end)

      it("[case 24] are stored by condition", function()
        local map = helper.make(kind, 30)
        local keys, values = helper.entries(kind, 0, 9)
        local new = {}
        for i = 1, 10 do new[i] = kind.value_of(100 + i) end
        map:update_batch(keys, values)
        local stored, status = map:update_batch(keys, new, { mode = "noexist", status = true })
        assert.equal(0, stored)
        assert.equal("exists", status[1])
        assert.same(values, (map:lookup_batch(keys)))
        assert.equal(10, map:update_batch(keys, new, { mode = "exist" }))
        assert.same(new, (map:lookup_batch(keys)))
        if kind.fixed then return end
        stored, status = map:update_batch({ kind.key_of(0), kind.key_of(20) },
          { values[1], values[2] }, { mode = "exist", status = true })
        assert.equal(1, stored)
        assert.same({ "stored", "missing" }, status)
      end)

      if kind.deletes then
        it("are deleted if equal", function()
          local map = helper.make(kind, 30)
          local keys, values = helper.entries(kind, 0, 9)
          map:update_batch(keys, values)
          map:update(kind.key_of(3), kind.value_of(999))
          map:delete(kind.key_of(4))
          local deleted, missing, changed, status = map:delete_batch(keys,
            { if_equal = values, status = true })
          assert.same({ 8, 1, 1 }, { deleted, missing, changed })
          assert.equal("changed", status[4])
          assert.equal("missing", status[5])
          assert.same({ [kind.key_of(3)] = kind.value_of(999) }, contents(map))
        end)
      end
    end)
  end

  it("[case 21] stop where the map is full, and say how far they got", function()
    for _, flags in ipairs { {}, { "no_prealloc" } } do
      local map = helper.map { max_entries = 10, flags = flags }
      local keys, values = {}, {}
      for i = 1, 20 do keys[i], values[i] = i, i end
      local stored, message, errno, partial = map:update_batch(keys, values)
      assert.is_nil(stored)
      assert.equal(bpf.errno.E2BIG, errno)
      assert.equal(10, partial)
      assert.truthy(message:find("the map is full", 1, true), message)
      assert.equal(10, map:count())
      for i = 1, 10 do assert.equal(i, map:lookup(i)) end
      -- [case 22]
      for i = 1, 10 do keys[i], values[i] = i, i * 2 end
      assert.equal(10, map:update_batch(table.move(keys, 1, 10, 1, {}),
        table.move(values, 1, 10, 1, {})))
      assert.equal(20, map:lookup(10))
    end
  end)

  it("[case 23] store a key given twice in order", function()
    local map = helper.map()
    assert.equal(4, map:update_batch({ 0, 0, 0, 0 }, { 10, 11, 12, 13 }))
    assert.equal(13, map:lookup(0))
  end)

  it("[case 26] [case 27] [case 28] delete past missing keys", function()
    local map = helper.map()
    map:update_batch({ 1, 2, 3, 4, 6 }, { 1, 1, 1, 1, 1 })
    local deleted, missing, status = map:delete_batch({ 1, 2, 99, 3, 4, 6 }, { status = true })
    assert.same({ 5, 1 }, { deleted, missing })
    assert.same({ "deleted", "deleted", "missing", "deleted", "deleted", "deleted" }, status)
    map:update_batch({ 3, 4 }, { 1, 1 })
    assert.same({ 2, 1 }, { map:delete_batch({ 3, 3, 4 }) })
    assert.same({ 0, 3 }, { map:delete_batch({ 7, 8, 9 }) })
    assert.same({ 0, 0 }, { map:delete_batch({}) })
  end)

  it("[case 29] never fail on an LRU", function()
    local map = helper.map { type = "lru_hash", max_entries = 10 }
    local keys, values = {}, {}
    for i = 1, 20 do keys[i], values[i] = i, i end
    assert.equal(20, map:update_batch(keys, values))
    assert.is_true(map:count() <= 10)
  end)

  it("[case 30] fill a trie, and name a prefix that is too long", function()
    local map = helper.map { type = "lpm_trie", key = "prefix4", max_entries = 4 }
    local keys, values = {}, {}
    for i = 1, 8 do keys[i], values[i] = ("10.0.%d.0/24"):format(i), i end
    local stored, message, errno, partial = map:update_batch(keys, values)
    assert.is_nil(stored)
    assert.equal(bpf.errno.ENOSPC, errno)
    assert.equal(4, partial)
    assert.truthy(message:find("the map is full", 1, true))
    assert.equal(4, map:update_batch({ keys[1], keys[2], keys[3], keys[4] }, { 5, 6, 7, 8 }))
    assert.has_error(function() map:update("10.0.0.0/40", 1) end)
    assert.same({ 1, 1 }, { map:delete_batch({ keys[1], keys[8] }) })
  end)

  it("[case 35] hold maps: written as handles, read as ids", function()
    local inner = helper.map { type = "array", value = "u32", max_entries = 2 }
    local map = helper.map { type = "hash_of_maps", value = "u32", inner = inner }
    assert.equal(2, map:update_batch({ 1, 2 }, { inner, inner:fd() }))
    local id = inner:info().id
    assert.same({ id, id }, (map:lookup_batch({ 1, 2 })))
    assert.equal(bpf.errno.ENOTSUPP, select(3, map:take(1)))
    local n = 0
    for batch in map:drain() do
      for _, value in batch:entries() do
        assert.equal(id, value)
        n = n + 1
      end
    end
    assert.equal(2, n)
    assert.equal(0, map:count())
  end)

  it("[case 37] round-trip every CPU's value at odd sizes", function()
    for _, kind in ipairs { "percpu_hash", "percpu_array" } do
      local map = helper.map { type = kind, value_size = 12, max_entries = 20 }
      local keys, values = {}, {}
      for i = 1, 20 do
        keys[i], values[i] = i - 1, {}
        for cpu = 1, (bpf.cpus()) do
          values[i][cpu] = ("%02d:%02d:abcdef"):format(i, cpu):sub(1, 12)
        end
      end
      assert.equal(20, map:update_batch(keys, values))
      assert.same(values, (map:lookup_batch(keys)))
      local all = contents(map)
      for i = 1, 20 do assert.same(values[i], all[i - 1]) end
    end
  end)

  it("encode everything before the first key is stored", function()
    local map = helper.map { key = { "u16 port" }, value = "u64" }
    local keys, values = {}, {}
    for i = 1, 20 do keys[i], values[i] = { port = i }, i end
    keys[17] = { port = 70000 }
    assert.error_matches(function() map:update_batch(keys, values) end, "keys%[17%]%.port")
    assert.equal(0, map:count())
    keys[17] = { prt = 1 }
    assert.error_matches(function() map:update_batch(keys, values) end, "keys%[17%]")
    keys[17], values[3] = { port = 17 }, "x"
    assert.error_matches(function() map:update_batch(keys, values) end, "values%[3%]")
    assert.equal(0, map:count())
  end)

  it("refuse what does not fit", function()
    local map = helper.map()
    assert.error_matches(function() map:update_batch({ 1, 2 }, { 1 }) end, "2 keys but 1 values")
    assert.error_matches(function() map:update_batch("abc", "abcdefgh") end, "not a multiple of 4")
    assert.error_matches(function() map:lookup_batch(5) end, "list, packed string or batch")
    assert.error_matches(function() map:lookup_batch({ 1 }, { stats = true }) end, "unknown option")
    assert.error_matches(function() map:update_batch({ 1 }, { 1 }, { mode = "maybe" }) end, "mode")
    local other = helper.map { value = "u32" }
    other:update(1, 1)
    for batch in other:batches() do
      assert.error_matches(function() map:update_batch(batch) end, "other sizes")
    end
  end)

  it("pass over the holes of a looked-up batch", function()
    local map = helper.map()
    map:update_batch({ 1, 3 }, { 10, 30 })
    local batch, found, status = map:lookup_batch(("<I4I4I4"):pack(1, 2, 3), { status = true })
    assert.equal(2, found)
    assert.same({ "found", "missing", "found" }, status)
    assert.equal(3, #batch)
    assert.is_nil(batch:value(2))
    assert.same({ [1] = 10, [3] = 30 }, (helper.collect(batch:entries())))
    assert.same({ [1] = 10, [3] = 30 }, (helper.collect(batch:views())))
    assert.error_matches(function() map:update_batch(batch) end, "entries without a value")
    assert.error_matches(function() batch:cursor() end, "not of a scan")
    assert.is_nil(batch:report())
  end)
end)
