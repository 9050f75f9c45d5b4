-- SPDX-License-Identifier: MIT
--
-- Reading and zeroing in one step: aggregate and select with reset (lua/luabpf/query/reset.lua).

local bpf = require "luabpf"
local helper = require "spec.support.helper"

local ENGINES <const> = { "kernel", "batch", "walk" }

local function filled(n, given)
  local options = { key = { "u16 port", "u16 host" }, value = { "u64 packets", "u64 bytes",
    "u32 hits", "u16 flags", "u16 pad" }, max_entries = n }
  for name, value in pairs(given or {}) do options[name] = value end
  local map = helper.map(options)
  for i = 1, n do
    assert(map:update({ port = i % 4, host = i },
      { packets = i, bytes = i * 100, hits = i * 2, flags = 7 }))
  end
  return map
end

-- The sums of all fields.
local function left(map)
  return map:aggregate { select = { "sum(value.packets) as p", "sum(value.bytes) as b",
    "sum(value.hits) as h", "sum(value.flags) as f" } }[1]
end

describe("aggregate with reset", function()
  after_each(helper.close_all)

  for _, engine in ipairs(ENGINES) do
    it("sums up what it zeroes: " .. engine, function()
      local map = filled(40)
      local rows, report = map:aggregate { where = "value.packets > 20", reset = true,
        select = { "sum(value.packets) as p", "sum(value.hits * 2) as h", "count() as n",
          "max(value.bytes) as most" }, engine = engine }
      assert.same({ { p = 610, h = 2440, n = 20, most = 4000 } }, rows)
      assert.equal(engine, report.engine)
      assert.is_true(report.complete)
      assert.same({ 40, 20 }, { report.visited, report.matched })
      assert.same({ p = 210, b = 82000, h = 420, f = 280 }, left(map))
      rows = map:aggregate { reset = "value.bytes, value.packets", engine = engine,
        select = "sum(value.bytes) as b" }
      assert.same({ { b = 82000 } }, rows)
      assert.same({ p = 0, b = 0, h = 420, f = 280 }, left(map))
    end)

    it("by groups, by index and by hash: " .. engine, function()
      for _, group in ipairs { "key.port & 3 as g", "key.port + value.bytes * 0 as g" } do
        local map = filled(40)
        local rows = map:aggregate { group = group, select = { "sum(value.packets) as p",
          "count() as n" }, reset = true, sort = "g asc", engine = engine }
        if rows then
          assert.same({ { g = 0, p = 220, n = 10 }, { g = 1, p = 190, n = 10 },
            { g = 2, p = 200, n = 10 }, { g = 3, p = 210, n = 10 } }, rows)
          assert.equal(0, left(map).p)
          assert.equal(82000, left(map).b)
        else
          assert.equal("kernel", engine)
        end
      end
    end)
  end

  it("gives and zeroes what a plain aggregation gives", function()
    for _, engine in ipairs(ENGINES) do
      local map = filled(200)
      local given = { where = "value.hits % 3 ~= 0", group = "key.port", sort = "port asc",
        select = { "sum(value.packets) as p", "min(value.bytes) as least", "avg(value.hits) as a",
          "distinct(key.host) as d" } }
      local plain = map:aggregate(given)
      given.reset, given.engine = true, engine ~= "kernel" and engine or nil
      assert.same(plain, (map:aggregate(given)))
      assert.equal(0, map:aggregate { where = given.where,
        select = "sum(value.packets) as p" }[1].p)
    end
  end)

  it("with too little memory for its groups loses and repeats nothing", function()
    local map = filled(5000)
    local rows, message, errno, partial = map:aggregate { group = "key.host, value.bytes",
      select = "sum(value.packets) as p", reset = true, memory = "16KiB", batch_size = 64 }
    assert.is_nil(rows)
    assert.matches("memory", message)
    assert.equal(bpf.errno.ENOMEM, errno)
    local sum = 0
    for _, row in ipairs(partial) do sum = sum + row.p end
    assert.is_true(#partial > 0 and #partial < 5000)
    assert.equal(5000 * 5001 // 2, sum + left(map).p)
  end)

  it("says what it cannot do", function()
    local map = filled(4)
    for message, given in pairs {
      ["option 'limit' does not go with reset"] = { reset = true, limit = 1, group = "key.port",
        select = "sum(value.packets)" },
      ["option 'workers' does not go with reset"] = { reset = true, workers = 2,
        select = "sum(value.packets)" },
      ["reset = true resets the fields inside sum"] = { reset = true },
      ["'value.flags' cannot be exchanged with zero: integers of 32 and 64 bits"] =
        { reset = "value.flags" },
      ["fields of the value are reset"] = { reset = "key.port" },
      ["no field 'nope'"] = { reset = "value.nope" },
      ["with reset all of it has to be compiled"] = { reset = "value.bytes", compile = false,
        where = function() return true end },
    } do
      local ok, err = pcall(map.aggregate, map, given)
      assert.is_false(ok)
      assert.truthy(tostring(err):find(message, 1, true), tostring(err))
    end
    local trie = helper.map { type = "lpm_trie", key = "prefix4", value = "u64" }
    local none, why, errno = trie:aggregate { select = "sum(value)", reset = true }
    assert.is_nil(none)
    assert.matches("aggregate with reset: not supported by lpm_trie maps", why)
    assert.equal(bpf.errno.ENOTSUPP, errno)
    assert.equal(10, left(map).p)
  end)

  it("takes a function that is compiled as where", function()
    local map = filled(40)
    local rows = map:aggregate { where = function(_, value) return value.packets > 20 end,
      reset = true, select = "sum(value.packets) as p" }
    assert.same({ { p = 610 } }, rows)
    assert.equal(210, left(map).p)
  end)
end)

describe("select with reset", function()
  after_each(helper.close_all)

  it("gives what it zeroes, each entry once", function()
    for _, batch_size in ipairs { 4, 4096 } do
      local map, seen, n = filled(40), {}, 0
      for row in map:select { where = "value.packets > 10", reset = { "value.packets" },
        columns = "key.host, value.packets as p, value.bytes as b", batch_size = batch_size } do
        assert.is_nil(seen[row.host])
        seen[row.host], n = true, n + 1
        assert.same({ host = row.host, p = row.host, b = row.host * 100 }, row)
      end
      assert.equal(30, n)
      assert.same({ p = 55, b = 82000, h = 1640, f = 280 }, left(map))
    end
  end)

  it("gives key and value without columns", function()
    local map, sum = filled(10), 0
    for key, value in map:select { reset = "value.bytes" } do
      assert.equal(key.host * 100, value.bytes)
      sum = sum + value.bytes
    end
    assert.equal(5500, sum)
    assert.equal(0, left(map).b)
  end)

  it("refuses what would lose rows", function()
    local map = filled(4)
    for _, name in ipairs { "sort", "limit" } do
      local ok, err = pcall(map.select, map, { reset = "value.bytes",
        [name] = name == "sort" and "bytes" or 1 })
      assert.is_false(ok)
      assert.matches("does not go with reset", tostring(err))
    end
    assert.has_error(function() map:select { reset = true } end)
  end)

  it("names each field once", function()
    local map = filled(4)
    local ok, err = pcall(map.aggregate, map, { select = "count() as n",
      reset = { "value.packets", "value.packets" } })
    assert.is_false(ok)
    assert.matches("reset: the field 'value.packets' is named twice", tostring(err))
  end)

  it("names a field at least", function()
    local map = filled(4)
    for _, engine in ipairs { "kernel", "batch" } do
      for _, method in ipairs { "select", "aggregate" } do
        local ok, err = pcall(map[method], map, { reset = {}, engine = engine })
        assert.is_false(ok)
        assert.matches("reset: no fields are named", tostring(err))
      end
    end
  end)
end)
