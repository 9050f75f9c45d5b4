-- SPDX-License-Identifier: MIT
--
-- Many given keys by programs (luabpf/lib/keys/keyset.c): the same answers as by single calls,
-- which serve calls of a few keys.

local bpf = require "luabpf"
local core = require "luabpf.core"
local helper = require "spec.support.helper"

local N <const> = 1000
local FEW <const> = 10 -- too few for a program

-- The statuses that call(keys, values) gives for the keys in pieces of FEW.
local function pieces(keys, values, call)
  local all = {}
  for i = 1, #keys, FEW do
    local some, with = {}, {}
    for j = i, math.min(i + FEW - 1, #keys) do
      some[#some + 1], with[#with + 1] = keys[j], values[j]
    end
    for _, status in ipairs(call(some, with)) do all[#all + 1] = status end
  end
  return all
end

-- Entries of every second key, in two maps alike.
local function twins(kind)
  local maps = {}
  for i = 1, 2 do
    maps[i] = helper.make(kind, N)
    local keys, values = helper.entries(kind, 0, N - 1)
    local some, with = {}, {}
    for j = 1, N, 2 do some[#some + 1], with[#with + 1] = keys[j], values[j] end
    assert(maps[i]:update_batch(some, with))
  end
  return maps[1], maps[2]
end

local function contents(map)
  local list = {}
  for key, value in map:entries() do
    list[#list + 1] = ("%s=%s"):format(key, type(value) == "table" and table.concat(value, ",")
      or value)
  end
  table.sort(list)
  return list
end

describe("many keys in one call", function()
  after_each(helper.close_all)

  for _, kind in ipairs(helper.types) do
    describe("of a map of type " .. (kind.label or kind.type), function()
      local one, other, keys, values

      before_each(function()
        one, other = twins(kind)
        keys, values = helper.entries(kind, 0, N - 1)
        -- Other values, and a key twice.
        for i, value in ipairs(values) do
          values[i] = type(value) == "table" and { table.unpack(value) } or value + 1
          if type(value) == "table" then values[i][1] = value[1] + 1 end
        end
        keys[N + 1], values[N + 1] = keys[2], values[1]
      end)

      local function same(call)
        local together = call(one, keys, values)
        assert.same(together, pieces(keys, values, function(some, with)
          return call(other, some, with)
        end))
        assert.same(contents(other), contents(one))
        return together
      end

      it("lookup", function()
        for _, touch in ipairs { false, true } do
          local together, n, status = one:lookup_batch(keys, { status = true, touch = touch })
          local found = 0
          for i, key in ipairs(keys) do
            local value = other:lookup(key)
            assert.same(value, together[i])
            assert.equal(value ~= nil and "found" or "missing", status[i])
            if value ~= nil then found = found + 1 end
          end
          assert.equal(found, n)
          local batch = one:lookup_batch(one:batches(N)(), { touch = touch })
          for key, value in batch:entries() do assert.same(one:lookup(key), value) end
        end
      end)

      it("upsert", function()
        local statuses = same(function(map, some, with)
          return (select(2, assert(map:upsert_batch(some, with, { status = true }))))
        end)
        if not kind.fixed then
          assert.equal("updated", statuses[1])
          assert.equal("inserted", statuses[2])
        end
        assert.equal("updated", statuses[N + 1])
      end)

      for _, mode in ipairs { "noexist", "exist" } do
        it("update with mode " .. mode, function()
          local statuses = same(function(map, some, with)
            return (select(2, assert(map:update_batch(some, with,
              { mode = mode, status = true }))))
          end)
          if not kind.fixed then
            assert.equal(mode == "exist" and "stored" or "exists", statuses[1])
            assert.equal(mode == "exist" and "missing" or "stored", statuses[2])
          end
        end)
      end

      it("delete if unchanged", function()
        if not kind.deletes then return end
        local given = {}
        for i, key in ipairs(keys) do given[i] = i % 3 == 0 and one:lookup(key) or values[i] end
        local deleted, missing, changed = 0, 0, 0
        local together = (select(4, one:delete_batch(keys, { if_equal = given, status = true })))
        for i, key in ipairs(keys) do
          local d, m, c = other:delete_batch({ key }, { if_equal = { given[i] } })
          deleted, missing, changed = deleted + d, missing + m, changed + c
          assert.equal(d == 1 and "deleted" or m == 1 and "missing" or "changed", together[i])
        end
        assert.same(contents(other), contents(one))
        assert.is_true(deleted > 100 and missing > 100 and changed > 100)
      end)
    end)
  end

  it("goes by programs, which stay with the handle and go with it", function()
    local map = helper.map { max_entries = 2 * N }
    local keys = {}
    for i = 1, N do keys[i] = i end
    assert.same({ inserted = N, updated = 0 }, (map:upsert_batch(keys, keys)))
    assert.same({ inserted = 0, updated = N }, (map:upsert_batch(keys, keys)))
    assert.equal(N, select(2, map:lookup_batch(keys)))
    assert.equal(N, map:delete_batch(keys, { if_equal = keys }))
    local fds = helper.descriptors()
    map:close()
    -- The map itself, its region, and three programs.
    assert.is_true(fds - helper.descriptors() >= 5)
  end)

  it("of a full map stores what fits and says so", function()
    local map = helper.map { max_entries = 600 }
    local keys = {}
    for i = 1, N do keys[i] = i end
    local done, message, errno, partial = map:upsert_batch(keys, keys)
    assert.is_nil(done)
    assert.equal(bpf.errno.E2BIG, errno)
    assert.truthy(message:find("full", 1, true), message)
    assert.same({ inserted = 600, updated = 0 }, partial)
    local stored
    stored, message, errno, partial = map:update_batch(keys, keys, { mode = "noexist" })
    assert.is_nil(stored)
    assert.equal(bpf.errno.E2BIG, errno, message)
    assert.equal(0, partial)
  end)

  it("leaves the order of use of an LRU map alone, unless touch = true", function()
    -- Half of the entries are looked up, then as many new ones come: which go is up to the kernel,
    -- but those marked as used go last.
    local function survivors(touch)
      local map = helper.map { type = "lru_hash", max_entries = 4096 }
      local old, new, wanted = {}, {}, {}
      for i = 1, 4000 do old[i] = i end
      for i = 1, 2000 do wanted[i], new[i] = i, 10000 + i end
      map:update_batch(old, old)
      assert.equal(2000, select(2, map:lookup_batch(wanted, { touch = touch })))
      map:update_batch(new, new)
      return (select(2, map:lookup_batch(wanted)))
    end
    local touched, untouched = survivors(true), survivors(false)
    assert.is_true(touched > untouched + 300)
  end)

  it("counts large maps as the kernel does", function()
    for _, kind in ipairs(helper.types) do
      local map = helper.make(kind, N)
      local keys, values = helper.entries(kind, 0, N - 1)
      map:update_batch(keys, values)
      local n = core.element_count(map)
      if n then
        assert.equal(N, n, kind.label or kind.type)
        for i = 1, 17 do map:delete(keys[i]) end
        assert.equal(N - 17, core.element_count(map))
        map:clear()
        assert.equal(0, core.element_count(map))
      end
    end
    for _, type in ipairs { "queue", "stack", "bloom_filter" } do
      local map = helper.map { type = type, value_size = 4096 }
      map:push(("x"):rep(4096))
      assert.is_nil(core.element_count(map))
    end
  end)
end)
