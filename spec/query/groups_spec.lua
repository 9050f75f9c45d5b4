-- SPDX-License-Identifier: MIT
--
-- Groups that are few: found by an index of all that are possible, against sums in Lua,
-- and against what the same query gives where the index has no room.

local helper = require "spec.support.helper"

local N <const> = 2000
local ENGINES <const> = { "kernel", "batch", "walk" }

local function filled()
  local map = helper.map { max_entries = N,
    key = { "be32 id", "be16 port", "u8 protocol", "u8 pad" },
    value = { "u64 bytes", "s64 delta", "s8 level", "bool alive", "u16 high",
      "enum8 state { new = 0, open = 5, closed = 200 }" } }
  local entries, keys, values = {}, {}, {}
  for i = 1, N do
    keys[i] = { id = i, port = math.random(0, 65535), protocol = math.random(3) == 1 and 6 or 17 }
    values[i] = { bytes = math.random(0, 1 << 40), delta = math.random(-1000, 1000),
      level = math.random(-128, 127), alive = math.random(2) == 1, high = math.random(65000, 65535),
      state = ({ "new", "open", "closed" })[math.random(3)] }
    entries[i] = { key = keys[i], value = values[i] }
  end
  assert(map:update_batch(keys, values))
  return map, entries
end

-- What a group is by, as text for queries and as a function for Lua.
local GROUPS <const> = {
  { "key.port as a", function(e) return e.key.port end },
  { "value.level as a", function(e) return e.value.level end },
  { "value.state as a", function(e) return e.value.state end },
  { "value.alive as a", function(e) return e.value.alive end },
  { "value.high as a", function(e) return e.value.high end },
  { "value.bytes & 0xffff as a", function(e) return e.value.bytes & 0xffff end },
  { "value.bytes % 1000 as a", function(e) return e.value.bytes % 1000 end },
  { "key.port // 1000 as a, value.alive as b", function(e) return e.key.port // 1000 end,
    function(e) return e.value.alive end },
  { "key.protocol as a, value.level as b", function(e) return e.key.protocol end,
    function(e) return e.value.level end },
  { "key.protocol as a, value.state as b", function(e) return e.key.protocol end,
    function(e) return e.value.state end },
}

local SELECT <const> = "count() as n, sum(value.bytes) as bytes, min(value.delta) as least, " ..
  "max(value.delta) as most, min(value.bytes) as small, max(value.bytes) as large"

local function summed(entries, group, where)
  local rows = {}
  for _, e in ipairs(entries) do
    if where(e) then
      local a, b = group[2](e), nil
      if group[3] then b = group[3](e) end
      local name = tostring(a) .. " " .. tostring(b)
      local v, row = e.value, rows[name]
      if not row then
        row = { a = a, b = b, n = 0, bytes = 0, least = v.delta, most = v.delta, small = v.bytes,
          large = v.bytes }
        rows[name] = row
      end
      row.n, row.bytes = row.n + 1, row.bytes + v.bytes
      row.least, row.most = math.min(row.least, v.delta), math.max(row.most, v.delta)
      row.small, row.large = math.min(row.small, v.bytes), math.max(row.large, v.bytes)
    end
  end
  return rows
end

describe("aggregate by few possible groups", function()
  after_each(helper.close_all)

  it("sums up as Lua does, in every engine", function()
    local map, entries = filled()
    local function where(e) return e.value.delta > -500 end
    for _, group in ipairs(GROUPS) do
      local want = summed(entries, group, where)
      for _, engine in ipairs(ENGINES) do
        for _, more in ipairs { "", ", avg(value.delta) as mean" } do
          local list = map:aggregate { group = group[1], select = SELECT .. more, engine = engine,
            where = "value.delta > $least", params = { least = -500 } }
          local n = 0
          for _, row in ipairs(list) do
            local wanted = want[tostring(row.a) .. " " .. tostring(row.b)]
            row.mean = nil
            assert.same(wanted, row, group[1])
            n = n + row.n
          end
          local all = 0
          for _, row in pairs(want) do all = all + row.n end
          assert.equal(all, n, group[1])
        end
      end
    end
  end)

  it("gives the same without room for the index, by threads and for a function", function()
    local map = filled()
    local function by(more)
      local given = { group = "key.port", select = "sum(value.bytes) as b", sort = "b", limit = 50 }
      for name, value in pairs(more) do given[name] = value end
      local list = map:aggregate(given)
      for i, row in ipairs(list) do list[i] = row.port .. " " .. row.b end
      return table.concat(list, "\n")
    end
    local all = by { engine = "batch" }
    assert.equal(all, by { engine = "batch", memory = "640KiB" })
    assert.equal(all, by { engine = "batch", workers = 2 })
    assert.equal(all, by { engine = "kernel" })
    assert.equal(all, by { where = function() return true end })
  end)

  it("needs memory for the groups, not for rows, inside the kernel", function()
    local map = filled()
    local given = { group = "value.alive", select = "sum(value.bytes) as b", memory = "16KiB" }
    given.engine = "kernel"
    local kernel = map:aggregate(given)
    given.engine, given.memory = "batch", nil
    assert.same(setmetatable(map:aggregate(given), nil), setmetatable(kernel, nil))
  end)

  it("is said by explain", function()
    local map = filled()
    local function groups(given) return map:explain(given).groups end
    for _, by in ipairs { "key.port", "key.protocol, value.level" } do
      assert.equal("by index, inside the kernel", groups { group = by, engine = "kernel" })
      assert.equal("by index", groups { group = by, engine = "batch" })
      assert.equal("by index", groups { group = by, select = "avg(value.delta)" })
    end
    assert.equal("by hash", map:explain({ group = "key.port, value.level" }).groups)
    assert.equal("by hash", map:explain({ group = "value.bytes" }).groups)
    assert.is_nil(map:explain({ select = "count()" }).groups)
    local text = tostring(map:explain { group = "key.port", engine = "kernel" })
    assert.truthy(text:find("groups are found by index, inside the kernel", 1, true))
  end)
end)
