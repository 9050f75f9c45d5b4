-- SPDX-License-Identifier: MIT
--
-- How results of queries print: selects, rows, histograms.

local helper = require "spec.support.helper"
local room = require "luabpf.show.room"

local function filled(n)
  local map = helper.map { max_entries = 1000, value = { "u64 n", "s64 d" } }
  for i = 1, n do map:update(i, { n = i, d = -i }) end
  return map
end

describe("a select", function()
  after_each(helper.close_all)

  it("prints as a table of its first rows, and still gives all of them", function()
    local map = filled(50)
    local select = map:select { columns = "key, value.n as n", sort = "n asc" }
    local text = tostring(select)
    assert.matches("^key +n\n +1 +1\n +2 +2\n", text)
    assert.matches("\nthe first 20 rows$", text)
    local n = 0
    for row in select do
      n = n + 1
      assert.equal(n, row.n)
    end
    assert.equal(50, n)
    assert.matches("\n18 of 50 rows$", room.within(80, 24, tostring, select))
    assert.matches("\n8 of 30 rows$", room.within(80, 10, tostring,
      (map:select { columns = "key", limit = 30 })))
    assert.matches("\n18 of 21 entries$", room.within(80, 24, tostring,
      (map:select { where = "value.n > 29" })))
  end)

  it("gives its rows as a list, which prints as a table", function()
    local map = filled(5)
    local list = map:select { columns = "value.d", sort = "d" }:rows()
    assert.same({ { d = -1 }, { d = -2 }, { d = -3 }, { d = -4 }, { d = -5 } }, list)
    assert.equal(" d\n-1\n-2\n-3\n-4\n-5", tostring(list))
    local whole = map:select { where = "key == 3" }:rows()
    assert.same({ { key = 3, value = { n = 3, d = -3 } } }, whole)
    assert.equal("key  value.n  value.d\n  3        3       -3", tostring(whole))
  end)

  it("shows lists and structs by what is in them", function()
    local map = helper.map { value = { "ipv4 nets[2]", { name = "peer", "mac mac", "u64 n" },
      "char names[2][4]" } }
    map:update(1, { nets = { "10.0.0.1", "10.0.0.2" }, peer = { mac = "00:00:00:00:00:01", n = -1 },
      names = { "ab", "c" } })
    local nets, names = "{ 10.0.0.1, 10.0.0.2 }", "{ ab, c }"
    local list = map:rows { columns = "value.nets, value.names, value.peer" }
    assert.equal(nets .. "  " .. names ..
      "  { mac = 00:00:00:00:00:01, n = 18446744073709551615 }", tostring(list):match "\n(.*)")
    list = map:rows { columns = function(_, value)
      return { list = { value.peer }, nets = value.nets, none = {} }
    end }
    assert.equal("{ { mac = 00:00:00:00:00:01, n = -1 } }  " .. nets .. "  {  }",
      tostring(list):match "\n(.*)")
    -- Numbers, and what is called as the steps of histograms are.
    list = map:rows { columns = function()
      return { a = { 1, 2 }, b = { { from = 1, to = 2, count = 3 } } }
    end }
    assert.equal("{ 1, 2 }  { { count = 3, from = 1, to = 2 } }", tostring(list):match "\n(.*)")
    list = map:aggregate { select = "hist(value.peer.n) as h" }
    assert.matches("h\n[%d-]+: 1$", tostring(list))
    list = map:rows { columns = function(_, value) return { a = value.peer } end }
    assert.equal("{ mac = 00:00:00:00:00:01, n = -1 }", tostring(list):match "\n(.*)")
  end)

  it("runs when its first row is asked for", function()
    local map = filled(1)
    local step, state, control, closing = map:select { columns = "key" }
    map:update(2, { n = 2 })
    local n = 0
    for _ in step, state, control, closing do n = n + 1 end
    assert.equal(2, n)
  end)
end)

describe("map:rows", function()
  after_each(helper.close_all)

  it("is the list of a select, with its report", function()
    local map = filled(30)
    for _, engine in ipairs { "kernel", "batch" } do
      local given = { where = "value.n > 10", columns = "key, value.n", sort = "n", limit = 4,
        engine = engine }
      local rows, report = map:rows(given)
      local wanted = {}
      for row in map:select(given) do wanted[#wanted + 1] = row end
      assert.same(wanted, rows)
      assert.equal(30, rows[1].n)
      assert.equal(engine, report.engine)
    end
    assert.same({}, map:rows { limit = 0 })
    helper.raises("rows: unknown option 'lmit'; did you mean 'limit'?", map.rows, map, { lmit = 1 })
    helper.raises("no field", map.rows, map, { where = "value.x > 1" })
  end)
end)

describe("map:hist", function()
  after_each(helper.close_all)

  it("counts by powers of two, and prints as bars", function()
    local map = filled(100)
    local hist = map:hist "value.n"
    assert.same(map:aggregate { select = "hist(value.n) as h" }[1].h, hist)
    local lines, most = {}, 0
    for line in (tostring(hist) .. "\n"):gmatch "(.-)\n" do
      lines[#lines + 1] = line
      most = math.max(most, room.width(line))
    end
    assert.equal(#hist + 1, #lines)
    assert.matches("^ +2%.%.3 +2 +" .. room.BLOCK, lines[3])
    for _, columns in ipairs { 40, 60, 80, 200 } do
      for line in (room.within(columns, 24, tostring, hist) .. "\n"):gmatch "(.-)\n" do
        assert(room.width(line) <= columns)
      end
    end
  end)

  it("takes a condition and parameters, and says what it does not take", function()
    local map = filled(100)
    local hist, report = map:hist("value.n", { where = "value.n <= $most", params = { most = 3 } })
    assert.same({ { 1, 1 }, { 2, 2 } }, { { hist[1].from, hist[1].count },
      { hist[2].from, hist[2].count } })
    assert.equal(3, report.matched)
    assert.is_nil(getmetatable((map:hist("value.n", { bars = false }))))
    helper.raises("hist: text of an expression expected, got nil", map.hist, map)
    helper.raises("expression:1:1: unknown name 'n' (did you mean 'value.n'?)\n  n\n  ^", map.hist,
      map, "n")
    helper.raises("expression:1:8: an operator expected, found ')'", map.hist, map,
      "value.n) as x, sum(value.n")
    helper.raises("expression:1:1: 'value.n > 1' is a condition", map.hist, map, "value.n > 1")
    helper.raises("hist: unknown option 'select'", map.hist, map, "value.n", { select = "x" })
  end)

  it("of no entries says so", function()
    assert.equal("no entries", tostring((filled(0):hist "value.n")))
  end)

  it("of negative numbers has them as such", function()
    assert.matches("%-%d+%.%.%-%d+ +%d", tostring((filled(10):hist "value.d")))
  end)
end)
