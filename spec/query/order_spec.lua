-- SPDX-License-Identifier: MIT
--
-- Sorting, by one column or several, of numbers, text and addresses, against a sort
-- in Lua of all entries; and columns and groups of any width.

local helper = require "spec.support.helper"

local N <const> = 400
local ENGINES <const> = { "kernel", "batch", "walk" }

local function address(n)
  return ("10.%d.%d.%d"):format(n % 3, n % 5 * 50, n % 256)
end

-- Entries with few different numbers, names and addresses, by a key that has an order of its own.
local function filled()
  local map = helper.map { max_entries = N * 2, key = { "be32 id" },
    value = { "s32 delta", "u64 n", "char name[12]", "ipv4 addr", "ip any", "double ratio" } }
  local keys, values = {}, {}
  for i = 1, N do
    keys[i] = { id = i }
    values[i] = { delta = math.random(-2, 2), n = math.random(0, 3) - 1,
      name = ("x"):rep(math.random(0, 2)) .. ("longer than 8"):sub(1, math.random(0, 10)),
      addr = address(math.random(0, 999)), ratio = 0.5,
      any = math.random(2) == 1 and address(i % 7) or ("2001:db8::%x"):format(i % 9) }
  end
  assert(map:update_batch(keys, values))
  return map, keys, values
end

local function bytes_of(text)
  local parts = { text:match "^(%d+)%.(%d+)%.(%d+)%.(%d+)$" }
  for i, part in ipairs(parts) do parts[i] = string.char(part) end
  if parts[1] then return ("\0"):rep(10) .. "\xff\xff" .. table.concat(parts) end
  return "\x20\x01\x0d\xb8" .. ("\0"):rep(11) .. string.char(tonumber(text:match ":(%x+)$", 16))
end

local function compare_text(a, b)
  for i = 1, math.max(#a, #b) do
    local x, y = a:byte(i), b:byte(i)
    if x ~= y then return x < y and -1 or 1 end
  end
  return 0
end

-- -1, 0 or 1, as the column is ordered from the smallest up.
local compare = {
  delta = function(a, b) return a < b and -1 or a > b and 1 or 0 end,
  n = function(a, b) return math.ult(a, b) and -1 or math.ult(b, a) and 1 or 0 end,
  name = function(a, b)
    for i = 1, 12 do
      local x, y = a:byte(i) or 0, b:byte(i) or 0
      if x ~= y then return x < y and -1 or 1 end
    end
    return 0
  end,
  addr = function(a, b) return compare_text(bytes_of(a), bytes_of(b)) end,
}

compare.any = compare.addr

-- The ids of the entries in the order of a list of { column, descending }.
local function sorted(keys, values, by)
  local list = {}
  for i = 1, N do list[i] = i end
  table.sort(list, function(x, y)
    for _, each in ipairs(by) do
      local c = compare[each[1]](values[x][each[1]], values[y][each[1]])
      if c ~= 0 then return (c < 0) ~= each[2] end
    end
    return keys[x].id < keys[y].id
  end)
  return list
end

local COLUMNS <const> = { "delta", "n", "name", "addr", "any" }

-- A random order: its text, and as sorted takes it. Numbers descend by default.
local function random_order(named)
  local texts, by = {}, {}
  for i = 1, math.random(1, 4) do
    local column, direction = COLUMNS[math.random(#COLUMNS)], math.random(3)
    texts[i] = (named and column or "value." .. column) .. ({ " asc", " desc", "" })[direction]
    by[i] = { column, direction == 2 or direction == 3 and (column == "delta" or column == "n") }
  end
  return table.concat(texts, ", "), by
end

describe("select with sort", function()
  after_each(helper.close_all)

  it("sorts by several columns, text and addresses, ties by key", function()
    local map, keys, values = filled()
    for round = 1, 30 do
      local named, limit = round % 2 == 0, math.random(4) == 1 and math.random(1, 50) or nil
      local text, by = random_order(named)
      local want = sorted(keys, values, by)
      for _, engine in ipairs(ENGINES) do
        local n = 0
        for row in map:select { sort = text, limit = limit, engine = engine,
            columns = named and "value.delta, value.n, value.name, value.addr, value.any, key.id"
              or "key.id" } do
          n = n + 1
          assert.equal(want[n], row.id, ("%s: %s: row %d"):format(engine, text, n))
        end
        assert.equal(limit or N, n)
      end
    end
  end)

  it("gives whole entries in an order too", function()
    local map, keys, values = filled()
    local want, n = sorted(keys, values, { { "name", false }, { "n", true } }), 0
    for key, value in map:select { sort = "value.name, value.n" } do
      n = n + 1
      assert.equal(want[n], key.id)
      assert.equal(values[want[n]].name, value.name)
    end
    assert.equal(N, n)
  end)

  it("says what cannot be sorted by", function()
    local map = filled()
    local function fails(text, sort, columns)
      helper.raises(text, function()
        for _ in map:select { sort = sort, columns = columns } do end
      end)
    end
    fails("select: sort: 'value.ratio' is a float, which has no order", "value.ratio")
    fails("select: sort: 'r' is a float, which has no order", "r desc", "value.ratio as r")
    fails("select: sort: 'value' is a struct, which has no order", "key.id, value")
    fails("unknown name 'nmae'", "nmae", "value.name")
    fails("an operator expected, found 'down'", "value.n down")
    fails("a value expected at the end", "value.n,")
  end)
end)

describe("aggregate with sort", function()
  after_each(helper.close_all)

  it("sorts groups by several of their columns and results", function()
    local map, _, values = filled()
    local groups, list = {}, {}
    for _, value in ipairs(values) do
      local name = value.name .. "\0" .. value.delta
      if not groups[name] then
        groups[name] = { name = value.name, delta = value.delta, c = 0 }
        list[#list + 1] = groups[name]
      end
      groups[name].c = groups[name].c + 1
    end
    table.sort(list, function(x, y)
      if x.c ~= y.c then return x.c > y.c end
      local c = compare.name(x.name, y.name)
      return c > 0 or c == 0 and x.delta < y.delta
    end)
    for _, engine in ipairs(ENGINES) do
      local got = map:aggregate { group = "value.name, value.delta", select = "count() as c",
        sort = "c, name desc, delta asc", engine = engine }
      assert.equal(#list, #got)
      for i, row in ipairs(got) do
        assert.same({ list[i].name, list[i].delta, list[i].c }, { row.name, row.delta, row.c })
      end
    end
  end)

  it("sorts groups that are addresses from the smallest up, also without being told", function()
    local map = filled()
    for _, sort in ipairs { "addr", false } do
      local last
      for _, row in ipairs(map:aggregate { group = "value.addr", sort = sort or nil }) do
        assert.truthy(not last or compare.addr(last, row.addr) < 0)
        last = row.addr
      end
      assert.truthy(last)
    end
  end)

  it("says what cannot be sorted by", function()
    local map = filled()
    local function fails(text, sort)
      helper.raises(text, map.aggregate, map, { group = "value.n, value.ratio", sort = sort,
        select = "count() as c, hist(value.n) as h" })
    end
    fails("aggregate: sort: no column 'm'", "m")
    fails("aggregate: sort: no column 'm'", "c desc, m asc")
    fails("aggregate: sort: 'h' is a histogram", "h")
    fails("aggregate: sort: 'ratio' is a float, which has no order", "ratio")
    fails("the name of a group or a result expected", "sum(value.n)")
  end)
end)

describe("columns and groups of any width", function()
  after_each(helper.close_all)

  it("are given, sorted and grouped by, and exported", function()
    for _, size in ipairs { 513, 4000, 32760 } do
      local map = helper.map { max_entries = 16, value = { ("char text[%d]"):format(size) } }
      for i = 1, 9 do map:update(i, { text = ("t"):rep(size - 1) .. i % 3 }) end
      for _, engine in ipairs(ENGINES) do
        local seen = 0
        for row in map:select { columns = "value.text", engine = engine } do
          assert.equal(size, #row.text)
          seen = seen + 1
        end
        assert.equal(9, seen)
        local list = map:aggregate { group = "value.text", engine = engine }
        assert.equal(3, #list)
        for i, row in ipairs(list) do
          assert.equal(3, row.count)
          assert.equal(("t"):rep(size - 1) .. i - 1, row.text)
        end
      end
      local path = os.tmpname()
      local report = assert(map:export(path, { columns = "value.text", format = "jsonl" }))
      assert.equal(9, report.entries)
      for line in io.lines(path) do assert.truthy(#line > size) end
      os.remove(path)
      map:close()
    end
  end)

  it("name the column and its size where a row would be too wide", function()
    local map = helper.map { max_entries = 4, value = { "u64 n", "char text[40000]" } }
    local text = "column 'text' has 40000 bytes, and there is room for 32768 in a row"
    helper.raises(text, function() for _ in map:select { columns = "value.text" } do end end)
    helper.raises(text, map.aggregate, map, { group = "value.text" })
    helper.raises(text:gsub("32768", "32760"), map.export, map, os.tmpname(),
      { columns = "value.n, value.text" })
  end)
end)
