-- SPDX-License-Identifier: MIT
--
-- Composing iterators (lua/luabpf/base/iter.lua).

local bpf = require "luabpf"
local helper = require "spec.support.helper"

local iter = bpf.iter

describe("iterators", function()
  after_each(helper.close_all)

  local function squares(n)
    local map = helper.map()
    for i = 1, n do map:update(i, i * i) end
    return map
  end

  local function odd(key) return key % 2 == 1 end

  it("filter, map and take", function()
    local map = squares(20)
    local got, n = helper.collect(iter.filter(odd, map:entries()))
    assert.equal(10, n)
    assert.equal(49, got[7])
    got, n = helper.collect(iter.map(function(key, value) return key + 100, value // key end,
      map:entries()))
    assert.equal(20, n)
    assert.equal(7, got[107])
    for _, count in ipairs { 0, 1, 5, 100 } do
      n = 0
      for _ in iter.take(count, map:entries()) do n = n + 1 end
      assert.equal(math.min(count, 20), n)
    end
  end)

  it("chunk", function()
    local map = squares(20)
    local sizes, all = {}, {}
    for list in iter.chunk(6, map:entries()) do
      sizes[#sizes + 1] = #list
      for _, pair in ipairs(list) do all[pair[1]] = pair[2] end
    end
    assert.same({ 6, 6, 6, 2 }, sizes)
    assert.equal(400, all[20])
    local lists = {}
    for list in iter.chunk(2, string.gmatch("a b c", "%a")) do lists[#lists + 1] = list end
    assert.same({ { "a", "b" }, { "c" } }, lists)
    assert.is_nil((iter.chunk(2, string.gmatch("", "%a")))())
  end)

  it("nest, lazily: nothing is read before it is asked for", function()
    local map = squares(100)
    local asked = 0
    local function counted(key)
      asked = asked + 1
      return odd(key)
    end
    local n = 0
    for _ in iter.take(3, iter.filter(counted, map:entries(10))) do n = n + 1 end
    assert.equal(3, n)
    assert.is_true(asked < 100)
  end)

  it("close the scan within when the loop is left", function()
    local map = squares(100)
    local kept
    local function keep(batch)
      kept = batch
      return true
    end
    for _ in iter.take(5, iter.filter(keep, map:batches(10))) do break end
    assert.error_matches(function() return #kept end, "stale")
    pcall(function() for _ in iter.filter(keep, map:batches(10)) do error("x") end end)
    assert.error_matches(function() return #kept end, "stale")
    for _ in iter.take(1, iter.filter(keep, map:batches(10))) do assert.is_true(#kept > 0) end
    assert.error_matches(function() return #kept end, "stale")
  end)

  it("make lazy ones of producers, closing what they hold", function()
    local closed = 0
    local function producer(resource)
      local held <close> = setmetatable({}, { __close = function() closed = closed + 1 end })
      for i = 1, 5 do coroutine.yield(i, held and resource) end
    end
    local resource = { close = function() closed = closed + 10 end }
    local sum = 0
    for i, r in iter.lazy(producer, resource) do
      assert.equal(resource, r)
      sum = sum + i
    end
    assert.equal(15, sum)
    assert.equal(11, closed)
    for _ in iter.lazy(producer, resource) do break end
    assert.equal(22, closed)
    assert.error_matches(function()
      for _ in iter.lazy(function() error("inside") end) do error("outside") end
    end, "inside")
  end)

  it("name what is wrong with their arguments", function()
    local map = squares(3)
    assert.error_matches(function() iter.filter(5, map:entries()) end, "filter: function expected")
    assert.error_matches(function() iter.filter(odd) end, "filter: an iterator expected")
    assert.error_matches(function() iter.take("x", map:entries()) end, "take: count expected")
    assert.error_matches(function() iter.take(-1, map:entries()) end, "take: count expected")
    assert.error_matches(function() iter.chunk(0, map:entries()) end, "at least 1")
    assert.error_matches(function()
      for _ in iter.map(function() end, map:entries()) do error("nothing") end
    end, "map: the function returned nil")
  end)

  it("are ordinary inside coroutines", function()
    local map = squares(10)
    local wrapped = coroutine.wrap(function()
      for key in iter.filter(odd, map:entries(3)) do coroutine.yield(key) end
    end)
    local n = 0
    for _ in wrapped do n = n + 1 end
    assert.equal(5, n)
  end)
end)
