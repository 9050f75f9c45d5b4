-- SPDX-License-Identifier: MIT
--
-- Arrays that can be mapped: read and written through memory, with what the system
-- calls of a plain array of the same contents give; and those that cannot be.

local bpf = require "luabpf"
local helper = require "spec.support.helper"

local N <const> = 300

-- An array that is mapped, and its slower twin.
local function twins(size)
  local given = { type = "array", max_entries = N, value = { ("bytes b[%d]"):format(size) } }
  local plain = helper.map(given)
  given.flags = { "mmapable" }
  return helper.map(given), plain
end

local function bytes(n)
  local list = {}
  for i = 1, n do list[i] = string.char(math.random(0, 255)) end
  return table.concat(list)
end

local function packed_keys(n)
  local keys = {}
  for i = 1, n do keys[i] = math.random(0, N - 1) end
  return keys
end

-- What one random call gives on a map; the same calls for the same seed.
local function call(map, seed, size)
  math.randomseed(seed)
  local key, value = math.random(0, N + 5), { b = bytes(size) }
  local kind = math.random(8)
  if kind == 1 then return map:lookup(key) end
  if kind == 2 then return map:lookup(key, { raw = true }) end
  if kind == 3 then
    return map:update(key, value, ({ "any", "exist", "noexist" })[math.random(3)])
  end
  if kind == 4 then return map:lookup_batch(packed_keys(20)) end
  if kind == 5 then
    local values = {}
    for i = 1, 20 do values[i] = { b = bytes(size) } end
    return map:update_batch(packed_keys(20), values)
  elseif kind == 6 then
    local found = {}
    for k, v in map:entries(math.random(1, 400)) do found[k + 1] = v.b end
    return found
  elseif kind == 7 then
    return map:count(("value.b == '%s'"):format(("\\x%02x"):rep(size):format(
      ((map:lookup(key) or { b = ("\0"):rep(size) }).b):byte(1, -1))), { engine = "batch" })
  end
  return map:aggregate { select = "count()", engine = "batch" }[1].count
end

local function message_of(results)
  for i = 1, results.n do
    if type(results[i]) == "string" then results[i] = results[i]:gsub("^s%x+_%d+", "MAP") end
    if type(results[i]) == "table" and results[i].engine then results[i] = "report" end
  end
  return results
end

describe("an array that is mapped", function()
  after_each(helper.close_all)

  it("gives what its twin gives, whatever the size of its values", function()
    for _, size in ipairs { 1, 3, 4, 7, 8, 12, 16, 31, 100, 4097 } do
      local mapped, plain = twins(size)
      for seed = 1, size > 100 and 40 or 150 do
        assert.same(message_of(table.pack(call(plain, seed, size))),
          message_of(table.pack(call(mapped, seed, size))), ("size %d, seed %d"):format(size, seed))
      end
      assert.is_true(mapped:info().mapped)
      assert.is_nil(plain:info().mapped)
      for i = 0, N - 1 do assert.equal(plain:lookup(i).b, mapped:lookup(i).b) end
      for key, value in mapped:select { engine = "kernel" } do
        assert.equal(plain:lookup(key).b, value.b, "as the kernel has it")
      end
    end
  end)

  it("goes on after a cursor, here and in a batch of each size", function()
    local mapped, plain = twins(8)
    for i = 0, N - 1 do
      mapped:update(i, { b = ("%08d"):format(i) })
      plain:update(i, { b = ("%08d"):format(i) })
    end
    local cursor, seen
    for batch in mapped:batches(70) do
      cursor, seen = batch:cursor(), batch:key(#batch)
      break
    end
    local n = 0
    for batch in mapped:batches { from = cursor, batch_size = 33 } do
      assert.equal(seen + 1, batch:key(1))
      seen, n = batch:key(#batch), n + #batch
      assert.equal(("%08d"):format(seen), batch:value(#batch).b)
    end
    assert.equal(N - 70, n)
    assert.equal(N, (mapped:count("value.b ~= 'x0000000'", { engine = "walk" })))
  end)

  it("is the map that others read and write", function()
    local mapped = twins(8)
    local other <close> = assert(bpf.open(mapped:info().id))
    mapped:update(7, { b = "from one" })
    assert.equal("from one", other:lookup(7).b)
    other:update(7, { b = "another!" })
    assert.equal("another!", mapped:lookup(7).b)
    assert.equal(1, (mapped:count("value.b == 'another!'", { engine = "kernel" })))
    assert.equal(1, (mapped:count("value.b == 'another!'", { engine = "batch" })))
  end)

  it("is frozen by its own handle, and by others unless it is mapped for writing", function()
    local one, two = twins(8), twins(8)
    local other <close> = assert(bpf.open(one:info().id))
    one:lookup(3)
    assert.is_true(one:info().mapped)
    assert(other:freeze())
    assert.equal(("\0"):rep(8), one:lookup(3).b)
    local ok, message = one:update(3, { b = "12345678" })
    assert.is_nil(ok)
    assert.truthy(message:find("Operation not permitted", 1, true), message)

    two:update(3, { b = "12345678" })
    local third <close> = assert(bpf.open(two:info().id))
    local frozen, why, errno = third:freeze()
    assert.is_nil(frozen)
    assert.equal(bpf.errno.EBUSY, errno, why)
    assert(two:freeze())
    assert.equal("12345678", two:lookup(3).b)
    assert.is_false(two:info().mapped)
    assert.equal("it is frozen, or open for reading only", two:info().unmapped)
    assert.is_nil((two:update(3, { b = "87654321" })))
    assert.equal(1, (two:count("value.b == '12345678'", { engine = "batch" })))
  end)

  it("goes by system calls where the handle is for reading only, and says so", function()
    local mapped = twins(8)
    mapped:update(3, { b = "12345678" })
    local reader <close> = assert(bpf.open { id = mapped:info().id, readonly = true })
    assert.equal("12345678", reader:lookup(3).b)
    assert.is_false(reader:info().mapped)
    assert.truthy(tostring(reader:info()):find("for reading only", 1, true))
    local ok, message = reader:update(3, { b = "87654321" })
    assert.is_nil(ok)
    assert.truthy(message:find("not permitted", 1, true), message)
  end)

  it("ends with its handle", function()
    local mapped = twins(8)
    mapped:update(1, { b = "12345678" })
    mapped:close()
    helper.raises("closed", mapped.lookup, mapped, 1)
  end)
end)
