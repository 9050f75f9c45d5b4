-- SPDX-License-Identifier: MIT
--
-- Lazy iteration: cursors, batches, views, drains (luabpf/lib/scan/source.c, cursor.c,
-- batch.c, view.c, lua/luabpf/map/methods.lua).

local bpf = require "luabpf"
local bytes = require "luabpf.base.bytes"
local helper = require "spec.support.helper"

-- A map of n entries i -> i * 3, as the packed calls fill it.
local function filled(n, given)
  local map = helper.map(given or { max_entries = n })
  local keys, values = {}, {}
  for i = 1, n do keys[i], values[i] = ("<I4"):pack(i), ("<I8"):pack(i * 3) end
  assert.equal(n, map:update_batch(table.concat(keys), table.concat(values)))
  return map
end

-- Walks the map: entries, batches, and that every key comes once with its value.
local function walk(map, given)
  local seen, n, batches = {}, 0, 0
  for batch in map:batches(given) do
    batches = batches + 1
    assert.is_true(#batch > 0)
    for key, value in batch:entries() do
      assert.is_nil(seen[key])
      assert.equal(key * 3, value)
      seen[key], n = true, n + 1
    end
  end
  return n, batches
end

describe("batches", function()
  after_each(helper.close_all)

  it("[case 1] [case 2] of an empty map are none", function()
    for _, kind in ipairs(helper.types) do
      if not kind.fixed then
        local map = helper.make(kind, 10)
        for _ in map:batches() do error("a batch") end
        for _ in map:entries() do error("an entry") end
        if kind.takes then for _ in map:drain() do error("a batch") end end
      end
    end
  end)

  it("[case 3] [case 4] [case 5] [case 6] of 100 entries, by every size", function()
    local map = filled(100)
    for _, size in ipairs { 1, 2, 3, 4, 5, 6, 7, 8, 9, 100, 1000 } do
      assert.equal(100, (walk(map, size)))
    end
  end)

  it("hold every key of 100,000 once, whatever the size", function()
    local map = filled(100000)
    for _, size in ipairs { 1, 2, 3, 7, 16, 256, 1000, 4096, 65536 } do
      local seen, n = {}, 0
      for batch in map:batches { batch_size = size, raw = true } do
        local keys = batch:packed()
        for i = 1, #keys, 4 do
          local key = ("<I4"):unpack(keys, i)
          assert(not seen[key])
          seen[key], n = true, n + 1
        end
      end
      assert.equal(100000, n)
    end
  end)

  it("[case 7] grow where a bucket is larger than the batch", function()
    local map = helper.map { max_entries = 64, flags = { "zero_seed" } }
    map:update_batch({ 14, 53, 60 }, { 1, 2, 3 })
    local report = {}
    assert.equal(3, select(2, helper.collect(map:entries { batch_size = 1, report = report })))
    assert.is_true(report.complete)
    assert.equal(3, report.entries)
    local big = filled(1000)
    report = {}
    assert.equal(1000, (walk(big, { batch_size = 1, report = report })))
    assert.is_true(report.grown >= 1)
    assert.is_true(report.batches <= report.calls)
  end)

  for _, size in ipairs { 1, 2, 3, 5, 13, 40, 511 } do
    it(("[case 11] of keys of %d bytes"):format(size), function()
      local n = size == 1 and 256 or 2000
      local map = helper.map { key_size = size, value = "u32", max_entries = n }
      local keys, values = {}, {}
      for i = 0, n - 1 do
        local key = ("<I2"):pack(i):sub(1, size)
        keys[i + 1], values[i + 1] = key .. ("x"):rep(size - #key), i
      end
      assert.equal(n, map:update_batch(keys, values))
      for _, batch_size in ipairs { 1, 100, 4096 } do
        local all, count = helper.collect(map:entries(batch_size))
        assert.equal(n, count)
        for i = 1, n do assert.equal(values[i], all[keys[i]]) end
      end
    end)
  end

  for _, kind in ipairs(helper.types) do
    it("equal the key walk in a map of type " .. (kind.label or kind.type), function()
      local map = helper.make(kind, 60)
      local keys, values = helper.entries(kind, 0, 49)
      map:update_batch(keys, values)
      for _, size in ipairs { 1, 7, 64 } do
        local fast, n = helper.collect(map:entries(size))
        local slow, m = helper.collect(map:entries { batch_size = size, engine = "walk" })
        assert.equal(n, m)
        assert.same(slow, fast)
        assert.equal(kind.fixed and 60 or 50, n)
        assert.same(values[8], fast[keys[8]])
      end
    end)
  end

  it("[case 32] of arrays end once, full last batch or not", function()
    for _, size in ipairs { 1, 3, 4, 5, 10, 11 } do
      local map = helper.map { type = "array", max_entries = 10 }
      local n = 0
      for batch in map:batches(size) do n = n + #batch end
      assert.equal(10, n)
    end
  end)

  it("[case 34] pass over the holes of an array of maps", function()
    local inner = helper.map { type = "array", value = "u32", max_entries = 1 }
    local map = helper.map { type = "array_of_maps", value = "u32", max_entries = 5,
      inner = inner }
    map:update(1, inner)
    map:update(3, inner)
    local id = inner:info().id
    for _, size in ipairs { 1, 2, 5 } do
      assert.same({ [1] = id, [3] = id }, (helper.collect(map:entries(size))))
    end
    assert.equal(2, map:count())
  end)

  it("[case 36] of a trie go on where the prefix read last was deleted", function()
    local map = helper.map { type = "lpm_trie", key = "prefix4", max_entries = 100 }
    local keys, values = {}, {}
    for i = 1, 40 do keys[i], values[i] = ("10.0.%d.0/24"):format(i), i end
    map:update_batch(keys, values)
    local seen, report = {}, {}
    for batch in map:batches { batch_size = 4, report = report } do
      for key in batch:entries() do
        assert.is_nil(seen[key])
        seen[key] = true
      end
      assert.is_true(map:delete(batch:key(#batch)))
    end
    for i = 1, 40 do assert.is_true(seen[keys[i]]) end
    assert.is_true(report.restarted > 0)
  end)

  it("of types without batch calls are read key by key", function()
    local map = helper.map { type = "devmap", value = "u32", max_entries = 8 }
    local ok = map:update(2, 1)
    assert.is_true(ok)
    assert.same({ [2] = 1 }, (helper.collect(map:entries())))
  end)
end)

describe("a batch", function()
  after_each(helper.close_all)

  it("is valid until the next step, a copy stays", function()
    local map = filled(100)
    local first, copy, view
    for batch in map:batches(10) do
      if first then
        assert.error_matches(function() return #first end, "stale")
        assert.error_matches(function() first:key(1) end, "stale")
        assert.error_matches(function() return view.x end, "stale")
        assert.equal("luabpf.batch (stale)", tostring(first))
        break
      end
      first, copy = batch, batch:copy()
      view = setmetatable({}, { __index = function() return first:value(1) end })
    end
    assert.is_true(#copy > 0)
    local all = helper.collect(copy:entries())
    for key, value in pairs(all) do assert.equal(key * 3, value) end
    assert.equal(copy:key(1), copy:keys()[1])
    assert.equal(copy:value(1), copy:values()[1])
  end)

  it("gives keys and values by index, in lists and packed", function()
    local map = filled(20)
    for batch in map:batches(100) do
      local keys, values = batch:keys(), batch:values()
      local packed_keys, packed_values = batch:packed()
      for i = 1, #batch do
        assert.equal(keys[i], batch:key(i))
        assert.equal(values[i], batch:value(i))
        assert.equal(keys[i], (("<I4"):unpack(packed_keys, i * 4 - 3)))
        assert.equal(values[i], (("<I8"):unpack(packed_values, i * 8 - 7)))
      end
      assert.has_error(function() batch:key(0) end)
      assert.has_error(function() batch:value(#batch + 1) end)
      assert.has_error(function() batch:key(1.5) end)
      local some = batch:pick { 3, 1 }
      assert.same({ keys[3], keys[1] }, some:keys())
      assert.has_error(function() batch:pick { 0 } end)
      assert.has_error(function() batch:pick { "1" } end)
    end
  end)

  it("has a cursor that goes on after it, in another process too", function()
    local map = filled(1000)
    local seen, cursor = {}, nil
    for batch in map:batches(300) do
      for key in batch:entries() do seen[key] = true end
      cursor = batch:copy():cursor()
      assert.equal(cursor, batch:cursor())
      break
    end
    for key in map:entries { from = cursor } do
      assert.is_nil(seen[key])
      seen[key] = true
    end
    for i = 1, 1000 do assert.is_true(seen[i]) end
    local other = helper.process([[
      local n = 0
      local cursor = select(2, ...):gsub("%x%x", function(x)
        return string.char(tonumber(x, 16))
      end)
      local map = bpf.open(math.tointeger((...)))
      for batch in map:batches{ from = cursor } do n = n + #batch end
      print(n)
    ]], tostring(map:info().id), bytes.hex(cursor))
    local n = tonumber(other:read("a"))
    other:close()
    local rest = 0
    for batch in map:batches { from = cursor } do rest = rest + #batch end
    assert.equal(rest, n)
  end)

  it("has a cursor that other maps and rubbish refuse", function()
    local map, other = filled(100), filled(100)
    local cursor
    for batch in map:batches(10) do
      cursor = batch:cursor()
      break
    end
    assert.error_matches(function() other:batches { from = cursor } end, "of another map")
    assert.error_matches(function() map:batches { from = "abc" } end, "not a cursor string")
    assert.error_matches(function() map:batches { from = cursor:sub(1, -2) } end, "another kind")
    assert.error_matches(function()
      map:batches { from = cursor, engine = "walk" }
    end, "another kind")
    assert.error_matches(function()
      map:batches { from = cursor:sub(1, 8) .. ("0"):rep(36) .. cursor:sub(45) }
    end, "before the machine was started")
    local last
    for batch in map:batches(1000) do last = batch:cursor() end
    for _ in map:batches { from = last } do error("past the end") end
  end)

  it("has a cursor for arrays and tries, refused when its prefix is gone", function()
    local array = helper.map { type = "array", max_entries = 10 }
    local cursor
    for batch in array:batches(4) do
      cursor = batch:cursor()
      break
    end
    local n = 0
    for batch in array:batches { from = cursor } do n = n + #batch end
    assert.equal(6, n)
    local trie = helper.map { type = "lpm_trie", key = "prefix4" }
    for i = 1, 10 do trie:update(("10.0.%d.0/24"):format(i), i) end
    local last
    for batch in trie:batches(4) do
      cursor, last = batch:cursor(), batch:key(#batch)
      break
    end
    n = 0
    for batch in trie:batches { from = cursor } do n = n + #batch end
    assert.equal(6, n)
    trie:delete(last)
    local ok, err = pcall(trie.batches, trie, { from = cursor })
    assert.is_false(ok)
    assert.truthy(tostring(err):find("was deleted", 1, true))
    assert.equal(bpf.errno.EINVAL, err.errno)
  end)
end)

describe("views", function()
  after_each(helper.close_all)

  local function structs()
    local map = helper.map { key = { "u32 id", { name = "to", "ipv4 addr", "be16 port" } },
      value = { "u64 bytes", "s32 delta", "u8 list[4]", "char name[8]" } }
    for i = 1, 10 do
      map:update({ id = i, to = { addr = "10.0.0." .. i, port = i * 100 } },
        { bytes = -i, delta = -i, list = { i, 0, 0, i }, name = "n" .. i })
    end
    return map
  end

  it("read the fields that tables have", function()
    local map = structs()
    local n = 0
    for batch in map:batches() do
      local i = 0
      for key, value in batch:views() do
        i, n = i + 1, n + 1
        local table_key, table_value = batch:key(i), batch:value(i)
        assert.same(table_key, bpf.copy(key))
        assert.same(table_value, bpf.copy(value))
        assert.equal(table_key.id, key.id)
        assert.same(table_key.to, bpf.copy(key.to))
        assert.equal(table_key.to.addr, key.to.addr)
        for name, field in pairs(value) do assert.same(table_value[name], field) end
      end
    end
    assert.equal(10, n)
  end)

  it("are one view that moves along, and stale afterwards", function()
    local map = structs()
    local first_key, inner
    for key in map:views() do
      if first_key then
        assert.equal(first_key, key)
        assert.equal(inner, key.to)
      end
      first_key, inner = key, key.to
    end
    assert.error_matches(function() return first_key.id end, "stale")
    assert.error_matches(function() return inner.addr end, "stale")
    assert.equal("luabpf.view (stale)", tostring(first_key))
  end)

  it("find fields by any string that is their name, short or long", function()
    local long = ("n"):rep(60)
    local map = helper.map { value = { "u32 a", "u32 " .. long, "u32 b" } }
    map:update(1, { a = 10, [long] = 20, b = 30 })
    for _, value in map:views() do
      assert.equal(10, value[("A"):lower()])
      assert.equal(20, value[("n"):rep(30) .. ("n"):rep(30)])
      assert.equal(30, value["b"])
      assert.error_matches(function() return value[long .. "n"] end, "no field 'n+' in value")
      assert.error_matches(function() return value[7] end, "no field '7' in value")
    end
  end)

  it("print as what is in them, lists too, which stay tables", function()
    local map = helper.map { value = { "u8 a[2]", { name = "in", "u16 b[2][2]", "ipv4 c[1]" } } }
    map:update(1, { a = { 1, 2 }, ["in"] = { b = { { 3, 4 }, { 5, 6 } }, c = { "10.0.0.1" } } })
    for _, value in map:views() do
      for _ = 1, 2 do
        assert.equal("{ a = { 1, 2 }, in = { b = { { 3, 4 }, { 5, 6 } }, c = { 10.0.0.1 } } }",
          tostring(value))
        assert.same({ 1, 2 }, value.a)
        assert.same({ { 3, 4 }, { 5, 6 } }, value["in"].b)
      end
    end
  end)

  it("refuse unknown fields and writing", function()
    for key, value in structs():views() do
      assert.error_matches(function() return value.byts end, "no field 'byts' in value")
      assert.error_matches(function() return key[1] end, "no field '1' in key")
      assert.error_matches(function() value.bytes = 1 end, "for reading")
      assert.error_matches(function() return #key end, "no length")
      assert.truthy(tostring(key):find("id = ", 1, true))
      assert.truthy(tostring(key):find("addr = 10.0.0.", 1, true))
    end
  end)

  it("serve as keys and values", function()
    local map, copy = structs(), structs()
    copy:clear()
    for key, value in map:views() do
      assert.is_true(copy:update(key, value))
      assert.same(bpf.copy(value), copy:lookup(key))
    end
    assert.equal(10, copy:count())
  end)

  it("show per-CPU values as a list", function()
    local map = helper.map { type = "percpu_hash", value = { "u32 n" } }
    local list = {}
    for cpu = 1, (bpf.cpus()) do list[cpu] = { n = cpu * 7 } end
    map:update(5, list)
    for key, value in map:views() do
      assert.equal(5, key)
      assert.equal((bpf.cpus()), #value)
      for cpu = 1, #value do assert.equal(cpu * 7, value[cpu].n) end
      assert.is_nil(value[#value + 1])
      assert.same(list, bpf.copy(value))
      local n = 0
      for cpu, one in pairs(value) do
        assert.equal(cpu * 7, one.n)
        n = n + 1
      end
      assert.equal(#value, n)
    end
  end)

  it("give scalars and raw bytes as they are", function()
    local map = filled(3)
    for key, value in map:views() do assert.equal(key * 3, value) end
    for key, value in map:views { raw = true } do
      assert.equal(4, #key)
      assert.equal(8, #value)
    end
  end)
end)

describe("a drain", function()
  after_each(helper.close_all)

  it("[case 16] [case 17] hands over each entry once and leaves none", function()
    for _, kind in ipairs(helper.types) do
      if kind.takes then
        local map = helper.make(kind, 300)
        local keys, values = helper.entries(kind, 0, 249)
        map:update_batch(keys, values)
        local seen, n = {}, 0
        for batch in map:drain(64) do
          for key, value in batch:entries() do
            assert.is_nil(seen[key])
            seen[key], n = value, n + 1
          end
        end
        assert.equal(250, n)
        assert.same(values[17], seen[keys[17]])
        assert.equal(0, map:count())
      end
    end
  end)

  it("[case 19] is refused by types that cannot", function()
    for _, kind in ipairs(helper.types) do
      if not kind.takes then
        local map = helper.make(kind, 10)
        local ok, err = pcall(function() for _ in map:drain() do error("drained") end end)
        assert.is_false(ok)
        assert.equal(bpf.errno.ENOTSUPP, err.errno)
        assert.truthy(tostring(err):find("no atomic lookup and delete", 1, true), tostring(err))
      end
    end
  end)

  it("left early keeps the rest in the map", function()
    local map = filled(1000)
    local n = 0
    for batch in map:drain(100) do
      n = #batch
      break
    end
    assert.equal(1000 - n, map:count())
    assert.error_matches(function() map:drain { from = "x" } end, "unknown option")
  end)
end)

describe("leaving a loop", function()
  after_each(helper.close_all)

  it("holds nothing open, however it is left", function()
    local map = filled(1000)
    local before, memory = helper.descriptors(), collectgarbage("count")
    for _ = 1, 50 do
      for _ in map:batches(10) do break end
      for _ in map:entries(10) do break end
      for _ in map:views(10) do break end
      pcall(function() for _ in map:batches(10) do error("in the body") end end)
      pcall(function() for _ in map:entries(10) do error("in the body") end end);
      (function() for _ in map:batches(10) do return end end)()
      map:batches(10)
      local step = map:batches(10)
      step()
      step = map:entries(10)
      step()
      for _ in pairs(map) do break end
    end
    assert.equal(before, helper.descriptors())
    collectgarbage()
    assert.is_true(collectgarbage("count") < memory + 512)
  end)

  it("closes the cursor at once", function()
    local map = filled(100)
    local kept
    for batch in map:batches(10) do
      kept = batch
      break
    end
    assert.error_matches(function() return #kept end, "stale")
    local report = {}
    for _ in map:batches { batch_size = 10, report = report } do break end
    assert.is_false(report.complete)
    assert.equal(1, report.batches)
  end)

  it("leaves iterations nested over one map alone", function()
    local map = filled(50)
    local n = 0
    for outer in map:batches(7) do
      for key in map:entries(5) do
        assert.is_true(key >= 1)
        n = n + 1
      end
      assert.is_true(#outer > 0)
      for _ in outer:entries() do n = n + 1 end
    end
    assert.is_true(n > 50)
  end)

  it("raises an error object when the map is closed under it", function()
    local map = filled(100)
    local ok, err = pcall(function()
      for _ in map:batches(10) do map:close() end
    end)
    assert.is_false(ok)
    assert.truthy(tostring(err):find("map is closed", 1, true))
  end)

  it("survives finalizers that close the map or the loop meanwhile", function()
    local map = filled(2000)
    local step, _, _, closing = map:batches(500)
    local batch = step()
    setmetatable({}, { __gc = function()
      getmetatable(closing).__close(closing)
      map:close()
    end })
    local ok, message
    for _ = 1, 20000 do
      ok, message = pcall(batch.keys, batch)
      if not ok then break end
    end
    assert.is_false(ok)
    assert.truthy(message:find("stale", 1, true))
    assert.error_matches(function() return #batch end, "stale")
  end)
end)

describe("the options of a scan", function()
  after_each(helper.close_all)

  it("are checked", function()
    local map = filled(5)
    assert.error_matches(function() map:batches { batchsize = 1 } end, "unknown option 'batchsize'")
    assert.error_matches(function() map:batches(0) end, "batch_size")
    assert.error_matches(function() map:batches(1.5) end, "batch_size")
    assert.error_matches(function() map:batches("10") end, "table of options expected")
    assert.error_matches(function() map:entries { engine = "kernel" } end, "engine")
    assert.error_matches(function() map:views { from = 5 } end, "from")
    assert.error_matches(function() map:drain { engine = "walk" } end, "one engine")
  end)

  it("take the default that is set", function()
    local map = filled(1000)
    local kept = bpf.defaults.batch_size
    bpf.defaults.batch_size = 50
    local largest = 0
    for batch in map:batches() do largest = math.max(largest, #batch) end
    bpf.defaults.batch_size = kept
    assert.is_true(largest <= 50)
  end)
end)
