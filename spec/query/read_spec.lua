-- SPDX-License-Identifier: MIT
--
-- Queries that read: count, select, aggregate (lua/luabpf/query/read.lua), explain, against the
-- same work done in plain Lua, by every engine.

local bpf = require "luabpf"
local helper = require "spec.support.helper"

local KEY <const> = { "ipv4 addr", "be16 port", "u8 proto", "u8 pad" }
local VALUE <const> = { "u64 bytes", "s32 delta", "u16 hits",
  "enum8 state { idle = 0, open = 1, closed = 2 }", "bool alive", "char comm[8]", "u64 stamp" }
local ENGINES <const> = { "kernel", "batch", "walk" }
local STATES <const> = { [0] = "idle", "open", "closed" }

local function key_of(i)
  return { addr = ("10.0.%d.%d"):format(i // 256, i % 256), port = i % 5 * 1000, proto = 6,
    pad = 0 }
end

local function value_of(i)
  return { bytes = i % 7 == 0 and -i or i * 100, delta = i % 2 == 0 and i or -i, hits = i % 11,
    state = STATES[i % 3], alive = i % 4 == 0, comm = "c" .. i % 3, stamp = i }
end

-- A map of n entries, and these as a list.
local function filled(n)
  local map = helper.map { key = KEY, value = VALUE, max_entries = math.max(n, 1) }
  local keys, values, all = {}, {}, {}
  for i = 1, n do
    keys[i], values[i] = key_of(i), value_of(i)
    all[i] = { key = keys[i], value = values[i] }
  end
  assert(map:update_batch(keys, values))
  return map, all
end

local function each(body)
  for _, engine in ipairs(ENGINES) do body(engine) end
end

local function texts(rows)
  local list = {}
  for i, row in ipairs(rows) do
    local fields = {}
    for name, value in pairs(row) do fields[#fields + 1] = name .. "=" .. tostring(value) end
    table.sort(fields)
    list[i] = table.concat(fields, " ")
  end
  table.sort(list)
  return list
end

local function rows_of(map, given)
  local rows = {}
  for row in map:select(given) do rows[#rows + 1] = row end
  return rows
end

describe("count", function()
  after_each(helper.close_all)

  it("counts what matches, and reports how", function()
    local map = filled(300)
    each(function(engine)
      local n, report = map:count("value.hits == $n", { params = { n = 3 }, engine = engine })
      assert.equal(28, n)
      assert.equal(engine, report.engine)
      assert.equal("it was asked for", report.why)
      assert.equal(300, report.visited)
      assert.equal(28, report.matched)
      assert.is_true(report.complete)
      assert.equal(engine == "batch", report.exact)
      assert.is_true(report.seconds >= 0)
    end)
  end)

  it("takes text, compiled expressions, also of another map, and functions", function()
    local map = filled(50)
    local other = filled(1)
    local function where(_, value) return value.hits == 3 end
    for _, condition in ipairs { "value.hits == 3", bpf.compile("value.hits == 3", map),
      bpf.compile("value.hits == 3", other), where } do
      each(function(engine)
        assert.equal(5, (map:count(condition, { engine = engine })))
      end)
    end
    assert.error_matches(function() map:count(5) end,
      "count: where: text, compiled expression or function expected, got number")
    assert.error_matches(function() map:count({}) end, "where")
    assert.error_matches(function() map:count(where, { params = {} }) end,
      "count: params go with text")
  end)

  it("has parameters in columns, groups and sums beside a function as where", function()
    local map = filled(50)
    local function where(_, value) return value.stamp == 7 end
    each(function(engine)
      local function given(parts)
        parts.where, parts.params, parts.engine = where, { n = 100 }, engine
        return parts
      end
      for row in map:select(given { columns = "value.stamp + $n as k" }) do
        assert.equal(107, row.k)
      end
      assert.equal(107, map:aggregate(given { select = "sum(value.stamp + $n) as k" })[1].k)
      assert.equal(107, map:aggregate(given { group = "value.stamp + $n as k" })[1].k)
      assert.error_matches(function() map:select(given {}) end, "select: params go with text")
    end)
  end)

  it("without a condition gives the number of entries, of large maps by the kernel", function()
    local map = filled(50)
    assert.equal(50, map:count())
    local n, report = map:count(nil, { engine = "batch" })
    assert.equal(50, n)
    assert.equal(50, report.matched)
    for _, kind in ipairs(helper.types) do
      if not kind.fixed then
        local large = helper.make(kind, 70000)
        local keys, values = helper.entries(kind, 0, 99)
        assert(large:update_batch(keys, values))
        large:delete(keys[5])
        assert.equal(99, large:count(), kind.label or kind.type)
      end
    end
  end)

  it("shows errors in the text with a caret", function()
    local map = filled(1)
    local ok, message = pcall(map.count, map, "value.bites > 5")
    assert.is_false(ok)
    assert.truthy(message:find("value.bites > 5\n", 1, true), message)
    assert.truthy(message:find("\n%s+%^"), message)
    assert.truthy(message:find("bytes", 1, true), message)
    assert.error_matches(function() map:count("value.bytes") end, "condition")
    assert.error_matches(function() map:count("value.bytes > $n") end, "params.n: missing")
    assert.error_matches(function() map:count("value.bytes > 1", { params = { n = 1 } }) end,
      "params.n: no such parameter")
    assert.error_matches(function() map:count("value.bytes > $n", { params = { n = {} } }) end,
      "params.n")
  end)

  it("checks its options", function()
    local map = filled(1)
    local function refused(wanted, given)
      local ok, message = pcall(map.count, map, "true", given)
      assert.is_false(ok, wanted)
      assert.truthy(message:find(wanted, 1, true), message)
    end
    refused("count: unknown option 'engin'", { engin = "batch" })
    refused("count: option 'engine': \"kernel\", \"batch\", \"walk\" expected", { engine = "fast" })
    refused("count: option 'memory'", { memory = "lots" })
    refused("count: option 'budget'", { budget = "soon" })
    refused("count: option 'batch_size'", { batch_size = 0 })
    refused("count: option 'exact': boolean expected", { exact = 1 })
    refused("exact = true keeps to the batch cursor", { exact = true, engine = "kernel" })
    refused("count: table of options expected", 5)
    helper.raises('select: table of options expected, got string; write { where = "value.n > 1" }',
      map.select, map, "value.n > 1")
    helper.raises('got string; write { select = "sum(value.n)" }', map.aggregate, map,
      "sum(value.n)")
    helper.raises("got function; write { where = function(key, value) ... end }", map.rows, map,
      function() end)
  end)

  it("blames the caller", function()
    local map = filled(1)
    for _, call in ipairs {
      function() map:count("true", { memory = "lots" }) end,
      function() map:count("true", { budget = "soon" }) end,
      function() map:count("true", { nothing = 1 }) end,
      function() map:count("true", { batch_size = 0 }) end,
      function() map:count(5) end,
      function() map:select { limit = -1 } end,
      function() map:select { where = 5 } end,
      function() map:aggregate { limit = 1.5 } end,
      function() map:aggregate { where = 5 } end,
      function() map:delete_where(5) end,
      function() map:explain { where = 5 } end,
    } do
      local ok, message = pcall(call)
      assert.is_false(ok)
      assert.truthy(message:find("read_spec.lua", 1, true), message)
    end
  end)
end)

describe("select", function()
  after_each(helper.close_all)

  it("gives key and value of what matches", function()
    local map, all = filled(300)
    each(function(engine)
      local report, n = {}, 0
      for key, value in map:select { where = "value.alive", engine = engine, report = report } do
        local i = value.stamp
        assert.same(all[i].key, key)
        assert.same(all[i].value, value)
        assert.equal(0, i % 4)
        n = n + 1
      end
      assert.equal(75, n)
      assert.equal(75, report.matched)
      assert.equal(300, report.visited)
      assert.is_true(report.complete)
      assert.equal(engine, report.engine)
    end)
  end)

  it("gives columns of every kind under their names", function()
    local map, all = filled(60)
    local wanted = {}
    for i, entry in ipairs(all) do
      wanted[i] = { addr = entry.key.addr, p = entry.key.port, state = entry.value.state,
        alive = entry.value.alive, comm = entry.value.comm, double = entry.value.delta * 2,
        old = entry.value.stamp < 30 }
    end
    each(function(engine)
      for _, columns in ipairs {
        { "key.addr", "key.port as p", "value.state", "value.alive", "value.comm",
          "value.delta * 2 as double", "value.stamp < 30 as old" },
        "key.addr, key.port as p, value.state, value.alive, value.comm, \z
          value.delta * 2 as double, \z
          value.stamp < 30 as old",
        { "key.addr", "value.state, value.alive, value.comm", p = "key.port",
          double = "value.delta * 2", old = "value.stamp < 30" },
      } do
        assert.same(texts(wanted), texts(rows_of(map, { columns = columns, engine = engine })))
      end
    end)
  end)

  it("refuses columns that clash or are none", function()
    local map = filled(1)
    assert.error_matches(function()
      map:select { columns = { "key.port", "value.hits as port" } }
    end, "port")
    assert.error_matches(function() map:select { columns = {} } end, "columns: none given")
    assert.error_matches(function() map:select { columns = "value.nothing" } end, "nothing")
    assert.error_matches(function() map:select { columns = "value.hits + 1" } end, "as")
    assert.error_matches(function() map:select { sort = "value" } end, "has no order")
  end)

  -- By number, unsigned ones as such; ties by key.
  local function sorted(all, of, descending, signed)
    local list = table.move(all, 1, #all, 1, {})
    table.sort(list, function(a, b)
      local x, y = of(a), of(b)
      if x == y then return a.packed < b.packed end
      if descending then x, y = y, x end
      if signed then return x < y end
      return math.ult(x, y)
    end)
    return list
  end

  local function packed(all)
    for _, entry in ipairs(all) do
      local a, b, c, d = entry.key.addr:match("(%d+).(%d+).(%d+).(%d+)")
      entry.packed = string.pack(">BBBBI2BB", a, b, c, d, entry.key.port, 6, 0)
    end
    return all
  end

  it("sorts signed and unsigned columns, largest first or smallest, ties by key", function()
    local map, all = filled(200)
    packed(all)
    local cases = {
      { "value.bytes as b", "b", function(e) return e.value.bytes end, true },
      { "value.bytes as b", "b asc", function(e) return e.value.bytes end, false },
      { "value.bytes as b", "b desc", function(e) return e.value.bytes end, true },
      { "value.delta as b", "b", function(e) return e.value.delta end, true, true },
      { "value.delta as b", "b asc", function(e) return e.value.delta end, false, true },
      { "value.hits as b", "b asc", function(e) return e.value.hits end, false },
      { "value.hits as b", "value.stamp % 10", function(e) return e.value.stamp % 10 end, true },
    }
    for _, case in ipairs(cases) do
      local column, sort, of, descending, signed = table.unpack(case, 1, 5)
      local wanted = {}
      for i, entry in ipairs(sorted(all, of, descending, signed)) do
        wanted[i] = entry.value.stamp
      end
      each(function(engine)
        local got, top = {}, {}
        local columns = { column, "value.stamp" }
        for row in map:select { columns = columns, sort = sort, engine = engine } do
          got[#got + 1] = row.stamp
        end
        assert.same(wanted, got, sort)
        for row in map:select { columns = columns, sort = sort, limit = 13, engine = engine } do
          top[#top + 1] = row.stamp
        end
        assert.same(table.move(wanted, 1, 13, 1, {}), top)
        got = {}
        if sort:find("^value") then
          for _, value in map:select { sort = sort, engine = engine } do
            got[#got + 1] = value.stamp
          end
          assert.same(wanted, got)
        end
      end)
    end
  end)

  it("sorts enums by their numbers", function()
    local map = filled(30)
    each(function(engine)
      local got = rows_of(map, { columns = "value.state", sort = "state", limit = 12,
        engine = engine })
      assert.equal("closed", got[1].state)
      assert.equal("closed", got[10].state)
      assert.equal("open", got[11].state)
    end)
  end)

  it("stops at the limit", function()
    local map = filled(300)
    each(function(engine)
      for _, limit in ipairs { 0, 1, 7, 299, 300, 1000 } do
        local n = 0
        for _ in map:select { limit = limit, engine = engine, batch_size = 16 } do n = n + 1 end
        assert.equal(math.min(limit, 300), n)
        assert.equal(math.min(limit, 300), #rows_of(map, { limit = limit, columns = "value.hits",
          sort = "hits", engine = engine }))
      end
    end)
  end)

  it("can be left early, and nested, also with the same text", function()
    local map = filled(40)
    local before = helper.descriptors()
    each(function(engine)
      local seen = 0
      for a in map:select { where = "value.hits < 5", columns = "value.stamp", engine = engine,
        batch_size = 8 } do
        local inner = 0
        for b in map:select { where = "value.hits < 5", columns = "value.stamp", engine = engine,
          batch_size = 8 } do
          inner = inner + (a.stamp == b.stamp and 1 or 0)
        end
        assert.equal(1, inner)
        seen = seen + 1
        if seen == 10 then break end
      end
      assert.equal(10, seen)
    end)
    map:close()
    assert.equal(before - 1, helper.descriptors())
  end)

  it("fills the report when its loop is left", function()
    local map = filled(100)
    local report = {}
    for _ in map:select { engine = "batch", batch_size = 10, report = report } do break end
    assert.is_false(report.complete)
    assert.equal("batch", report.engine)
    assert.is_true(report.visited < 100)
  end)

  it("refuses rows that need more than its memory, also unsorted", function()
    local map = filled(300)
    each(function(engine)
      local rows, message, errno = map:rows { columns = "key.addr", engine = engine,
        memory = "1KiB" }
      assert.is_nil(rows)
      assert.matches("memory", message)
      assert.truthy(math.type(errno) == "integer")
      assert.equal(300, #map:rows { columns = "key.addr", engine = engine, memory = "64KiB" })
    end)
  end)

  it("judges with Lua functions", function()
    local map = filled(100)
    each(function(engine)
      local report = {}
      local rows = rows_of(map, { where = function(key, value)
        return value.stamp > 90 and key.proto == 6
      end, columns = "value.stamp", sort = "stamp asc", engine = engine, report = report })
      assert.equal(10, #rows)
      assert.equal(91, rows[1].stamp)
      assert.equal(engine, report.engine)
    end)
    assert.error_matches(function()
      rows_of(map, { where = function() error("broken") end })
    end, "where: .*broken")
  end)
end)

describe("aggregate", function()
  after_each(helper.close_all)

  local function number(list, of)
    local result = { n = 0, sum = 0 }
    for _, entry in ipairs(list) do
      local x = of(entry)
      result.n, result.sum = result.n + 1, result.sum + x
      result.min = result.min and math.min(result.min, x) or x
      result.max = result.max and math.max(result.max, x) or x
    end
    return result
  end

  it("without group gives one row, of nothing too", function()
    local map, all = filled(200)
    local wanted = number(all, function(e) return e.value.delta end)
    each(function(engine)
      local rows, report = map:aggregate { engine = engine, select = { "count() as n",
        "sum(value.delta) as sum", "min(value.delta)", max = "max(value.delta)" } }
      assert.equal(1, #rows)
      assert.equal(wanted.n, rows[1].n)
      assert.equal(wanted.sum, rows[1].sum)
      assert.equal(wanted.min, rows[1].delta)
      assert.equal(wanted.max, rows[1].max)
      assert.equal(engine, report.engine)
      assert.equal(200, report.visited)
      for _, more in ipairs { {}, { limit = 0 }, { sort = "n" } } do
        more.where, more.engine = "value.hits > 100", engine
        more.select = { "count() as n", "sum(value.hits) as s", "min(value.hits) as lo",
          "max(value.hits) as hi" }
        assert.same({ { n = 0, s = 0 } }, (map:aggregate(more)))
      end
      local row = map:aggregate { engine = engine, where = "value.hits > 100",
        select = "avg(value.hits) as a, distinct(value.hits) as d, hist(value.hits) as h" }[1]
      assert.same({ d = 0, h = {} }, row)
    end)
    assert.same({ { count = 200 } }, (map:aggregate()))
  end)

  it("takes minima and maxima as unsigned or signed", function()
    local map = filled(100)
    each(function(engine)
      local row = map:aggregate { engine = engine, select = "max(value.bytes) as hi, \z
        min(value.bytes) as lo, max(value.delta) as dhi, min(value.delta) as dlo" }[1]
      assert.same({ hi = -7, lo = 100, dhi = 100, dlo = -99 }, row)
    end)
  end)

  -- The rows of a group query, in plain Lua.
  local function groups_of(all, of)
    local groups = {}
    for _, entry in ipairs(all) do
      local name = of(entry)
      groups[name] = groups[name] or {}
      table.insert(groups[name], entry)
    end
    return groups
  end

  it("groups by text, addresses, enums, booleans, numbers and conditions", function()
    local map, all = filled(200)
    for text, of in pairs {
      ["value.comm"] = function(e) return e.value.comm end,
      ["key.addr"] = function(e) return e.key.addr end,
      ["value.state"] = function(e) return e.value.state end,
      ["value.alive"] = function(e) return e.value.alive end,
      ["key.port"] = function(e) return e.key.port end,
      ["value.delta % 3"] = function(e) return math.fmod(e.value.delta, 3) end,
      ["value.hits > 5"] = function(e) return e.value.hits > 5 end,
    } do
      local wanted = groups_of(all, of)
      each(function(engine)
        local rows = map:aggregate { group = { g = text }, engine = engine,
          select = "count() as n, sum(value.hits) as hits" }
        local seen = 0
        for _, row in ipairs(rows) do
          local expected = number(wanted[row.g], function(e) return e.value.hits end)
          assert.equal(expected.n, row.n, text)
          assert.equal(expected.sum, row.hits, text)
          seen = seen + 1
        end
        local n = 0
        for _ in pairs(wanted) do n = n + 1 end
        assert.equal(n, seen, text)
      end)
    end
  end)

  it("groups by bitfields and by several columns", function()
    local map = helper.map { key = "u32", value = { "u32 a : 3", "u32 b : 5", "s32 c : 4" },
      max_entries = 64 }
    for i = 0, 63 do map:update(i, { a = i % 8, b = i % 4, c = i % 3 - 1 }) end
    each(function(engine)
      local rows = map:aggregate { group = "value.a, value.c", engine = engine,
        select = "count(), sum(value.b) as b" }
      assert.equal(24, #rows)
      local total, b = 0, 0
      for i, row in ipairs(rows) do
        total, b = total + row.count, b + row.b
        if i > 1 then
          local last = rows[i - 1]
          assert.is_true(last.a < row.a or last.a == row.a and last.c < row.c)
        end
      end
      assert.equal(64, total)
      assert.equal(96, b)
    end)
  end)

  it("gives averages, numbers of distinct values and histograms", function()
    local map, all = filled(200)
    local wanted = groups_of(all, function(e) return e.key.port end)
    each(function(engine)
      for _, row in ipairs(map:aggregate { group = "key.port", engine = engine, select =
        "avg(value.delta) as mean, distinct(value.hits) as kinds, hist(value.hits) as hist, \z
         distinct(value.comm) as names" }) do
        local list = wanted[row.port]
        local sums = number(list, function(e) return e.value.delta end)
        assert.equal("float", math.type(row.mean))
        assert.is_true(math.abs(sums.sum / sums.n - row.mean) < 1e-9)
        local kinds, n, counts = {}, 0, {}
        for _, e in ipairs(list) do
          if not kinds[e.value.hits] then n = n + 1 end
          kinds[e.value.hits] = true
          local slot = math.min(e.value.hits, 1)
          while slot > 0 and slot * 2 <= e.value.hits do slot = slot * 2 end
          counts[slot] = (counts[slot] or 0) + 1
        end
        assert.equal(n, row.kinds)
        assert.equal(3, row.names)
        local in_hist = 0
        for _, slot in ipairs(row.hist) do
          assert.equal(counts[slot.from], slot.count)
          assert.is_true(slot.to >= slot.from)
          in_hist = in_hist + slot.count
        end
        assert.equal(#list, in_hist)
      end
    end)
  end)

  it("sorts and limits groups", function()
    local map = filled(200)
    each(function(engine)
      local function order(sort, limit)
        local list = {}
        for _, row in ipairs(map:aggregate { group = "key.port", engine = engine, sort = sort,
          limit = limit, select = "sum(value.stamp) as s, count() as n" }) do
          list[#list + 1] = row.port
        end
        return table.concat(list, " ")
      end
      assert.equal("0 4000 3000 2000 1000", order("s"))
      assert.equal("1000 2000 3000 4000 0", order("s asc"))
      assert.equal("0 1000 2000 3000 4000", order(nil))
      assert.equal("0 1000 2000 3000 4000", order("n"))   -- ties by group
      assert.equal("4000 3000 2000 1000 0", order("port"))
      assert.equal("0 4000", order("s", 2))
      assert.equal("", order("s", 0))
    end)
  end)

  it("refuses what makes no sense", function()
    local map = filled(1)
    for wanted, given in pairs {
      ["no column 'nothing'"] = { select = "count()", sort = "nothing" },
      ["'h' is a histogram"] = { group = "key.port", select = "hist(value.hits) as h", sort = "h" },
      ["unknown option 'columns'"] = { columns = "key.port" },
      ["sort"] = { sort = 5 },
      ["limit"] = { limit = -1 },
      ["n"] = { select = { "count() as n", "sum(value.hits) as n" } },
      ["median"] = { select = "median(value.hits)" },
      ["integer"] = { select = "sum(key.addr)" },
    } do
      local ok, message = pcall(map.aggregate, map, given)
      assert.is_false(ok, wanted)
      assert.truthy(message:find(wanted, 1, true), message)
    end
  end)

  it("names the limit that groups do not fit in", function()
    local map = filled(300)
    each(function(engine)
      local rows, message, errno = map:aggregate { group = "key.addr", engine = engine,
        memory = "8KiB" }
      assert.is_nil(rows)
      assert.truthy(message:find("option 'memory'", 1, true), message)
      assert.equal(bpf.errno.ENOBUFS, errno)
    end)
    local ok, err = pcall(rows_of, map, { sort = "value.stamp", memory = "8KiB" })
    assert.is_false(ok)
    assert.truthy(tostring(err):find("option 'memory'", 1, true), tostring(err))
  end)

  it("judges with Lua functions", function()
    local map = filled(100)
    each(function(engine)
      local rows, report = map:aggregate { where = function(_, value) return value.stamp > 50 end,
        select = "count() as n, sum(value.stamp) as s", engine = engine }
      assert.same({ { n = 50, s = 3775 } }, rows)
      assert.equal(engine, report.engine)
    end)
  end)
end)

describe("a query", function()
  after_each(helper.close_all)

  it("loads its program once, whatever the parameters", function()
    local map = filled(100)
    -- The ids of the programs that this process has descriptors of.
    local function programs()
      local file <close> = io.popen(("grep -h prog_id /proc/%d/fdinfo/* 2>/dev/null | sort"):format(
        helper.pid))
      return file:read("a")
    end
    local before = programs()
    local function run(n)
      return (map:count("value.stamp > $n", { params = { n = n }, engine = "kernel" }))
    end
    assert.equal(90, run(10))
    local loaded = programs()
    assert.not_equal(before, loaded)
    assert.equal(50, run(50))
    assert.equal(0, run(500))
    assert.equal(loaded, programs())
    local fds = helper.descriptors()
    for n = 1, 20 do run(n) end
    assert.equal(fds, helper.descriptors())
  end)

  it("keeps few programs, and none of handles that are gone", function()
    local before = helper.descriptors()
    do
      local map = filled(10)
      for n = 1, 150 do
        assert.equal(math.max(10 - n, 0), (map:count("value.stamp > " .. n, { engine = "kernel" })))
      end
      assert.is_true(helper.descriptors() - before < 80)
      map:close()
    end
    helper.close_all()
    assert.equal(before, helper.descriptors())
    for _ = 1, 3 do
      local map = assert(bpf.create { type = "hash", key = KEY, value = VALUE, max_entries = 10 })
      map:count("value.hits > 1", { engine = "kernel" })
      map:delete_where("value.hits > 1", { engine = "batch" })
      for _ in map:select { engine = "kernel" } do end
    end
    assert.equal(before, helper.descriptors())
  end)

  it("on a closed map is refused", function()
    local map = filled(5)
    local next_row = map:select { engine = "batch" }
    map:count("value.hits > 1", { engine = "kernel" })
    map:close()
    for _, call in ipairs {
      function() map:count("value.hits > 1") end, function() map:count() end,
      function() map:select() end, function() map:aggregate() end,
      function() map:delete_where("true") end, function() map:explain {} end,
      function() map:drain { where = "true" } end, function() bpf.compile("true", map) end,
      next_row,
    } do
      local ok, err = pcall(call)
      assert.is_false(ok)
      assert.truthy(tostring(err):find("closed", 1, true), tostring(err))
    end
  end)

  it("reads sums, maxima and minima over CPUs", function()
    local ncpu = bpf.cpus()
    local map = helper.map { type = "percpu_hash", value = { "u64 n", "s32 d" }, max_entries = 50 }
    local all = {}
    for i = 1, 50 do
      local list = {}
      for cpu = 1, ncpu do list[cpu] = { n = i * cpu, d = cpu % 2 == 0 and i or -i } end
      map:update(i, list)
      all[i] = list
    end
    each(function(engine)
      local rows = rows_of(map, { engine = engine, sort = "sum", columns = { "value.n as sum",
        "cpu_max(value.d) as hi", "cpu_min(value.d) as lo", "value[1].n as first", "key as k" } })
      assert.equal(50, #rows)
      for _, row in ipairs(rows) do
        local sum, hi, lo = 0, -row.k, -row.k
        for _, value in ipairs(all[row.k]) do
          sum, hi, lo = sum + value.n, math.max(hi, value.d), math.min(lo, value.d)
        end
        assert.same({ sum = sum, hi = hi, lo = lo, first = row.k, k = row.k }, row)
      end
      for key, value in map:select { engine = engine, where = "value.n > 10" } do
        assert.same(all[key], value)
      end
    end)
  end)

  it("explains itself", function()
    local map = filled(100)
    local plan = map:explain { where = "value.hits > $n", columns = { "value.bytes as b" } }
    assert.equal("batch", plan.engine) -- cheaper than loading a program
    assert.equal("it is cheaper", plan.why)
    assert.is_true(plan.estimates.kernel > plan.estimates.batch)
    assert.equal(100, plan.entries)
    assert.equal(8, plan.row_bytes)
    assert.equal("where", plan.fragments[1].name)
    assert.truthy(plan.fragments[1].listing:find("value.hits", 1, true))
    assert.equal("b", plan.fragments[2].name)
    local text = tostring(plan)
    assert.truthy(text:find("engine batch: it is cheaper", 1, true), text)
    assert.truthy(text:find("kernel  about %d+%.%d+ ms"), text)
    assert.equal("kernel", map:explain({ where = "value.hits > 1", engine = "kernel" }).engine)
    assert.equal("s", map:explain({ select = "sum(value.hits) as s" }).fragments[1].name)
    assert.error_matches(function() map:explain { where = "value.nope" } end, "nope")
    assert.error_matches(function() map:explain { dry_run = true } end, "unknown option")
    assert.error_matches(function() map:explain { limit = -1 } end, "option 'limit'")
    assert.error_matches(function() map:explain { memory = -1 } end,
      "explain: option 'memory': %-1 is negative")
    assert.error_matches(function() map:explain { budget = -1 } end,
      "explain: option 'budget': %-1 is negative")
  end)

  it("compiles to instructions that are printed", function()
    local map = filled(1)
    local compiled = bpf.compile("value.hits > 5 and key.port == 80", map)
    local text = tostring(compiled)
    assert.truthy(text:find("r0 = 1", 1, true), text)
    assert.truthy(text:find("key.port", 1, true), text)
    assert.error_matches(function() bpf.compile(5, map) end, "compile: text expected, got number")
    assert.error_matches(function() bpf.compile("value.hits >", map) end, "%^")
    assert.error_matches(function() bpf.compile("true", {}) end, "map")
  end)
end)
