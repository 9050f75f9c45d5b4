-- SPDX-License-Identifier: MIT
--
-- Handles, single entries, counting, clearing and what is for the prompt
-- (luabpf/bind/map/map.c, lua/luabpf/map/methods.lua).

local bpf = require "luabpf"
local helper = require "spec.support.helper"

describe("a handle", function()
  after_each(helper.close_all)

  it("closes once, with <close>, and says so", function()
    helper.close_all()
    local before = helper.descriptors()
    local kept
    do
      local map <close> = helper.map()
      kept = map
      assert.is_true(map:update(1, 2))
    end
    assert.equal("luabpf.map (closed)", tostring(kept))
    assert.is_true(kept:close())
    assert.error_matches(function() kept:lookup(1) end, "map is closed")
    assert.error_matches(function() return #kept end, "map is closed")
    helper.close_all()
    assert.equal(before, helper.descriptors())
  end)

  it("is closed by the garbage collector", function()
    local before = helper.descriptors()
    local function abandon()
      for _ = 1, 20 do
        assert(bpf.create { type = "hash", key = "u32", value = "u32", max_entries = 1 })
      end
    end
    abandon()
    assert.equal(before, helper.descriptors())
  end)

  it("equals another one on the same map, and tells its size", function()
    local map = helper.map { max_entries = 77 }
    assert.equal(map, (assert(bpf.open(map:info().id))))
    assert.not_equal(map, helper.map())
    assert.equal(77, #map)
    assert.truthy(tostring(map):find("hash 4->8 max 77", 1, true))
  end)

  it("tells all that the kernel tells", function()
    local map = helper.map { flags = { "no_prealloc" } }
    local info = map:info()
    assert.equal("hash", info.type)
    assert.equal(4, info.key_size)
    assert.equal(8, info.value_size)
    assert.equal(100, info.max_entries)
    assert.same({ "no_prealloc" }, info.flags)
    assert.is_false(info.frozen)
    assert.is_true(info.memlock > 0)
    assert.is_true(info.btf_id > 0)
    assert.truthy(tostring(info):find("no_prealloc", 1, true))
  end)
end)

describe("one entry", function()
  after_each(helper.close_all)

  for _, kind in ipairs(helper.types) do
    it("in a map of type " .. (kind.label or kind.type), function()
      local map = helper.make(kind, 10)
      local key, value, other = kind.key_of(3), kind.value_of(7), kind.value_of(8)
      assert.is_true(map:update(key, value))
      assert.same(value, map:lookup(key))
      assert.is_true(map:update(key, other, "exist"))
      assert.is_false(map:update(key, value, "noexist"))
      assert.same(other, map:lookup(key))
      if kind.deletes then
        assert.is_nil(map:lookup(kind.key_of(4)))
        assert.is_false(map:update(kind.key_of(4), value, { mode = "exist" }))
        assert.is_true(map:delete(key))
        assert.is_false(map:delete(key))
        assert.is_nil(map:lookup(key))
        assert.is_true(map:update(key, value, "noexist"))
      end
      if kind.takes then
        assert.same(value, map:take(key))
        assert.is_nil(map:take(key))
      else
        local taken, message, errno = map:take(key)
        assert.is_nil(taken)
        assert.equal(bpf.errno.ENOTSUPP, errno)
        assert.truthy(message:find("not supported by " .. kind.type .. " maps", 1, true))
      end
      if not kind.deletes then
        assert.equal(bpf.errno.ENOTSUPP, select(3, map:delete(key)))
      end
    end)
  end

  it("[case 31] past the end of an array", function()
    local map = helper.map { type = "array", max_entries = 10 }
    assert.is_nil(map:lookup(10))
    local ok, message, errno = map:update(10, 1)
    assert.is_nil(ok)
    assert.equal(bpf.errno.E2BIG, errno)
    assert.truthy(message:find("index past the end (max_entries is 10)", 1, true), message)
  end)

  it("in a full map", function()
    local map = helper.map { max_entries = 2 }
    map:update(1, 1)
    map:update(2, 2)
    local ok, message, errno = map:update(3, 3)
    assert.is_nil(ok)
    assert.equal(bpf.errno.E2BIG, errno)
    assert.truthy(message:find("the map is full (max_entries is 2)", 1, true), message)
    assert.is_true(map:update(2, 5))
  end)

  it("refuses wrong keys and values by name", function()
    local map = helper.map { key = { "u16 port" }, value = { "u32 n" } }
    assert.error_matches(function() map:lookup { prt = 1 } end, "key")
    assert.error_matches(function() map:lookup { port = 65536 } end, "key%.port")
    assert.error_matches(function() map:update({ port = 1 }, { n = "x" }) end, "value%.n")
    assert.error_matches(function() map:update({ port = 1 }) end, "value")
    assert.error_matches(function() map:update({ port = 1 }, { n = 1 }, "some") end, "some")
    assert.error_matches(function() map:lookup({ port = 1 }, { row = true }) end, "unknown option")
    assert.error_matches(function() map:lookup("abc") end, "key")
  end)

  it("walks by next, and [case 47] empties a map that way", function()
    local map = helper.map()
    for i = 1, 50 do map:update(i, i) end
    local seen, key = 0, map:next()
    while key do
      local following = map:next(key)
      assert.is_true(map:delete(key))
      seen, key = seen + 1, following
    end
    assert.equal(50, seen)
    assert.is_nil(map:next())
  end)

  it("takes and gives binary strings with raw = true [fault 16]", function()
    local map, raw = helper.map { key = { "u32 a" }, value = { "u64 b" } }, { raw = true }
    local key, value = "\1\0\0\0", "\2\0\0\0\0\0\0\0"
    assert.is_true(map:update(key, value, { raw = true, mode = "noexist" }))
    assert.is_false(map:update(key, { b = 3 }, { raw = true, mode = "noexist" }))
    assert.same({ b = 2 }, map:lookup { a = 1 })
    assert.equal(value, map:lookup({ a = 1 }, raw))
    assert.equal(value, map:lookup(key, raw))
    assert.equal(key, map:next(nil, raw))
    assert.is_nil(map:next(key, raw))
    assert.equal(value, map:take(key, raw))
    assert.is_false(map:delete(key, raw))
    for _, call in ipairs { map.lookup, map.take, map.delete, map.next } do
      assert.error_matches(function() call(map, "10.0.0.1") end, "key: table expected, got string")
    end
    assert.error_matches(function() map:update({ a = 1 }, "10.0.0.1") end,
      "value: table expected, got string")
    assert.equal(0, map:count())
    local queue = helper.map { type = "queue", value = { "u32 a" } }
    assert.is_true(queue:push(key, raw))
    assert.equal(key, queue:peek(raw))
    assert.equal(key, queue:pop(raw))
    assert.error_matches(function() queue:push(key) end, "value: table expected, got string")
  end)

  it("takes keys and values of any size when arguments are missing [fault 4]", function()
    for _, size in ipairs { 4, 512, 513, 520, 1000, 1024, 1032, 4096 } do
      local map = helper.map { key_size = size, value_size = size, max_entries = 2 }
      local key = ("k"):rep(size)
      assert.error_matches(function() map:lookup() end, "value expected")
      assert.error_matches(function() map:take() end, "value expected")
      assert.error_matches(function() map:delete() end, "value expected")
      assert.error_matches(function() map:update(key) end, "value expected")
      assert.is_nil(map:next())
      assert.is_true(map:update(key, key))
      assert.equal(key, map:next())
      assert.is_nil(map:next(key))
      assert.equal(key, map:lookup(key))
      assert.equal(key, map:take(key))
      local queue = helper.map { type = "queue", value_size = size, max_entries = 1 }
      assert.error_matches(function() queue:push() end, "value expected")
      assert.is_nil(queue:peek())
      assert.is_true(queue:push(key))
      assert.equal(key, queue:peek())
      assert.equal(key, queue:pop())
      local bloom = helper.map { type = "bloom_filter", value_size = size, max_entries = 1 }
      assert.error_matches(function() bloom:peek() end, "value expected")
      assert.error_matches(function() bloom:push() end, "value expected")
      assert.is_true(bloom:push(key) and bloom:peek(key))
    end
  end)

  it("counts and clears by keys where values cannot be read [fault 6]", function()
    for _, type in ipairs { "sockmap", "sockhash", "reuseport_sockarray" } do
      for _, size in ipairs { 4, 8 } do
        local map = helper.map { type = type, key = "u32", value_size = size, max_entries = 4 }
        assert.equal(0, map:clear())
        local n, message = map:count()
        if type ~= "sockhash" and size == 4 then
          assert.truthy(message:find("create it with value_size = 8", 1, true), message)
        else
          assert.equal(0, n)
        end
        local ok, err = pcall(function() for _ in map:entries() do end end)
        assert.equal(size == 8, ok)
        assert.truthy(ok or tostring(err):find("create it with value_size = 8", 1, true))
      end
    end
    local events = helper.map { type = "perf_event_array", key = "u32", value = "u32" }
    assert.equal(0, events:clear())
  end)

  it("takes descriptors only that can be one [fault 14]", function()
    local inner = helper.map { type = "array", max_entries = 1 }
    local outer = helper.map { type = "array_of_maps", inner = inner, value = "u32",
      max_entries = 2 }
    assert.is_true(outer:update(0, inner:fd()))
    for _, fd in ipairs { (1 << 32) + inner:fd(), -1, 1 << 31 } do
      assert.error_matches(function() outer:update(1, fd) end, "is no file descriptor")
      assert.error_matches(function() outer:update_batch({ 1 }, { fd }) end,
        "values%[1%]: %-?%d+ is no file descriptor")
    end
    assert.is_nil(outer:lookup(1))
  end)

  it("does not take ids that were read for descriptors [fault 3]", function()
    local inner = helper.map { type = "array", max_entries = 1 }
    local outer = helper.map { type = "array_of_maps", inner = inner, value = "u32",
      max_entries = 2 }
    assert.is_true(outer:update(0, inner))
    for batch in outer:batches() do
      assert.error_matches(function() outer:update_batch(batch) end, "its values are ids")
      assert.error_matches(function() outer:upsert_batch(batch) end, "its values are ids")
    end
    assert.equal(inner:info().id, outer:lookup(0))
  end)

  it("takes u64 as the 64-bit pattern", function()
    local map = helper.map { value = "u64" }
    map:update(1, -1)
    assert.equal(-1, map:lookup(1))
    map:update(1, 2.0)
    assert.equal(2, map:lookup(1))
    assert.has_error(function() map:update(1, 1.5) end)
    assert.has_error(function() map:update(1, 2.0 ^ 64) end)
    assert.has_error(function() map:update(1, "7") end)
  end)

  it("[case 38] leaves no rubbish in the padding of per-CPU values", function()
    local map = helper.map { type = "percpu_hash", value = "u32" }
    local raw = {}
    for cpu = 1, (bpf.cpus()) do raw[cpu] = 0x04030201 end
    map:update(1, raw)
    for batch in map:batches() do
      local _, values = batch:packed()
      assert.equal(("\1\2\3\4\0\0\0\0"):rep((bpf.cpus())), values)
    end
  end)

  it("keeps maps in maps", function()
    local inner = helper.map { type = "array", value = "u32", max_entries = 2 }
    for _, kind in ipairs { "array_of_maps", "hash_of_maps" } do
      local map = helper.map { type = kind, key = "u32", value = "u32", max_entries = 5,
        inner = inner }
      assert.is_nil(map:lookup(1))
      assert.is_true(map:update(1, inner))
      assert.equal(inner:info().id, map:lookup(1))
      local again <close> = assert(bpf.open(map:lookup(1)))
      assert.equal(inner, again)
      assert.is_true(map:delete(1))
      assert.is_nil(map:lookup(1))
      assert.has_error(function() map:update(1, "not a map") end)
    end
  end)
end)

describe("queues and stacks", function()
  after_each(helper.close_all)

  for kind, order in pairs { queue = { 1, 2, 3 }, stack = { 3, 2, 1 } } do
    it("push, peek and pop a " .. kind, function()
      local map = helper.map { type = kind, value = "u32", max_entries = 3 }
      assert.is_nil(map:pop())
      for i = 1, 3 do assert.is_true(map:push(i)) end
      local ok, message, errno = map:push(4)
      assert.is_nil(ok)
      assert.equal(bpf.errno.E2BIG, errno)
      assert.truthy(message:find("full", 1, true))
      assert.equal(order[1], map:peek())
      for _, expected in ipairs(order) do assert.equal(expected, map:pop()) end
      assert.is_nil(map:pop())
      assert.is_nil(map:peek())
    end)

    it("drain a " .. kind, function()
      local map = helper.map { type = kind, value = "u32", max_entries = 10 }
      for i = 1, 7 do map:push(i) end
      local seen = {}
      for batch in map:drain(3) do
        for _, value in batch:entries() do seen[#seen + 1] = value end
      end
      assert.equal(7, #seen)
      assert.is_nil(map:pop())
      for i = 1, 5 do map:push(i) end
      assert.equal(5, map:clear())
    end)
  end

  it("drop the oldest of a full queue when told", function()
    local map = helper.map { type = "queue", value = "u32", max_entries = 2 }
    for i = 1, 3 do assert.is_true(map:push(i, "exist")) end
    assert.equal(2, map:pop())
  end)

  it("have no keys", function()
    local map = helper.map { type = "queue", value = "u32" }
    assert.equal(bpf.errno.ENOTSUPP, select(3, map:next()))
    assert.equal(bpf.errno.ENOTSUPP, select(3, map:lookup_batch({})))
    assert.equal(bpf.errno.ENOTSUPP, select(3, map:count()))
    assert.has_error(function() for _ in map:batches() do error("none") end end)
  end)

  it("ask a bloom filter", function()
    local map = helper.map { type = "bloom_filter", value = "u32", max_entries = 100 }
    assert.is_true(map:push(5))
    assert.is_true(map:peek(5))
    local hits = 0
    for i = 1000, 1099 do if map:peek(i) then hits = hits + 1 end end
    assert.is_true(hits < 50)
  end)
end)

describe("counting and clearing", function()
  after_each(helper.close_all)

  for _, kind in ipairs(helper.types) do
    it("a map of type " .. (kind.label or kind.type), function()
      local map = helper.make(kind, 50)
      local keys, values = helper.entries(kind, 0, 39)
      assert.equal(40, map:update_batch(keys, values))
      local expected = kind.fixed and 50 or 40
      assert.equal(expected, map:count())
      assert.equal(expected, map:clear())
      assert.equal(kind.fixed and 50 or 0, map:count())
      local left = map:lookup(kind.key_of(3))
      if kind.fixed then
        assert.same(type(left) == "table" and { 0, 0 } or 0,
          type(left) == "table" and { left[1], left[2] or 0 } or left)
      else
        assert.is_nil(left)
      end
    end)
  end
end)

describe("the prompt", function()
  after_each(helper.close_all)

  it("shows the first entries as a table", function()
    local map = helper.map { key = { "ipv4 addr", "be16 port" }, value = { "u64 bytes" } }
    map:update({ addr = "10.0.0.1", port = 80 }, { bytes = -1 })
    local head = map:head(5)
    assert.same({ addr = "10.0.0.1", port = 80 }, head[1].key)
    local text = tostring(head)
    assert.truthy(text:find("key.addr", 1, true))
    assert.truthy(text:find("10.0.0.1", 1, true))
    assert.truthy(text:find("18446744073709551615", 1, true))
    for i = 2, 9 do map:update({ addr = "10.0.0." .. i, port = 80 }, { bytes = i }) end
    assert.equal(5, #map:head(5))
    assert.equal(0, #map:head(0))
    assert.has_error(function() map:head(-1) end)
  end)

  it("describes a map with its fields and offsets", function()
    local map = helper.map { key = { "ipv4 addr", "be16 port" }, value = { "u8 a", "u64 b" } }
    local text = tostring(map:describe())
    assert.truthy(text:find("key%.port%s+be16%s+4%s+2"), text)
    assert.truthy(text:find("value%.b%s+u64%s+8%s+8"), text)
  end)

  it("shows per-CPU and untyped maps too", function()
    local map = helper.map { type = "percpu_hash" }
    local list = {}
    for cpu = 1, (bpf.cpus()) do list[cpu] = cpu end
    map:update(1, list)
    assert.truthy(tostring(map:head()):find("{ 1", 1, true))
    assert.truthy(tostring(map:describe()):find("per CPU", 1, true))
    local raw = helper.map { key_size = 4, value_size = 2 }
    raw:update("abcd", "\1\255")
    assert.truthy(tostring(raw:head()):find("01ff", 1, true))
  end)
end)
