-- SPDX-License-Identifier: MIT
--
-- What the prompt shows: tables that fit a terminal, values as people read them.

local bpf = require "luabpf"
local core = require "luabpf.core"
local display = require "luabpf.show.display"
local grid = require "luabpf.show.grid"
local helper = require "spec.support.helper"
local room = require "luabpf.show.room"

local WIDTHS <const> = { 20, 60, 80, 200 }

local function shown(x, columns, lines)
  return room.within(columns or 80, lines or 24, display.text, x)
end

local function lines_of(text)
  local lines = {}
  for line in (text .. "\n"):gmatch "(.-)\n" do lines[#lines + 1] = line end
  return lines
end

-- No line is wider than the terminal, and nothing is shown as its address.
local function check(text, columns)
  for _, line in ipairs(lines_of(text)) do
    assert(room.width(line) <= columns, ("%d columns: %s"):format(columns, line))
  end
  assert.is_nil(text:find ": 0x%x", 1, false)
end

describe("a table in a terminal", function()
  local function wide(n, columns)
    local headers, row = {}, {}
    for c = 1, n do headers[c], row[c] = "column" .. c, ("text %d "):format(c):rep(10) end
    return room.within(columns, 24, grid.text, headers, { row }, {})
  end

  it("fits, whatever the width, and counts the columns left out", function()
    for _, columns in ipairs(WIDTHS) do
      for n = 1, 40 do
        local text = wide(n, columns)
        check(text, columns)
        local header = lines_of(text)[1]
        local _, named = header:gsub("column%d", "")
        local left_out = tonumber(text:match "(%d+) more column" or 0)
        if columns > 20 then assert.equal(n, named + left_out, text) end
      end
    end
  end)

  it("leaves columns out from the middle", function()
    local header = lines_of(wide(20, 80))[1]
    assert.matches("^column1 .* " .. room.ELLIPSIS .. " .*column20$", header)
  end)

  it("says how many rows there are, and has types under the names", function()
    local rows = {}
    for i = 1, 100 do rows[i] = { i } end
    local about = { types = { "u64" }, total = 1204332 }
    local text = room.within(80, 24, grid.text, { "n" }, rows, about)
    assert.matches("^  n\nu64\n  1\n", text)
    assert.matches("\n18 of 1,204,332 rows$", text)
    assert.equal(101, #lines_of(grid.text({ "n" }, rows, about)))
  end)

  it("cuts texts, not numbers", function()
    local text = room.within(40, 24, grid.text, { "text", "n" },
      { { ("x"):rep(50), 12345678901234567 } }, {})
    assert.matches("x" .. room.ELLIPSIS .. " +12345678901234567$", text)
  end)
end)

describe("a value at the prompt", function()
  after_each(helper.close_all)

  it("that is a table shows what it holds, never an address", function()
    assert.equal('{ a = 1, b = { 2, 3 } }', shown { a = 1, b = { 2, 3 } })
    assert.equal("{}", shown {})
    local loop = {}
    loop.loop = loop
    assert.equal(("{ loop = {%s} }"):format(room.ELLIPSIS), shown(loop))
    for _, x in ipairs { print, function() end, io.stdout, coroutine.create(print), { print }, bpf,
      _G, setmetatable({}, { __tostring = function(t) return rawget(t, 1).x end }),
      setmetatable({}, { __name = "x", __index = error, __pairs = error, __len = error }) } do
      for _, columns in ipairs(WIDTHS) do check(shown(x, columns), columns) end
    end
  end)

  it("that is a method of maps is named so, though snapshots share it", function()
    require "luabpf.file.snapshot"
    local map = helper.map()
    for _ = 1, 8 do assert.equal("function map:select", shown(map.select)) end
  end)

  it("that is a histogram has whole bars, however narrow it is", function()
    local map = helper.map { max_entries = 100 }
    for i = 1, 60 do map:update(i, i < 50 and 1 or 2) end
    for _, columns in ipairs { 30, 40, 60, 80 } do
      local text = shown(map:hist "value", columns)
      check(text, columns)
      assert.is_nil(text:find("…", 1, true), text)
    end
  end)

  it("that is a function is named", function()
    assert.equal("function print", shown(print))
    assert.equal("function string.format", shown(string.format))
    assert.equal("function bpf.open", shown(bpf.open))
    assert.equal("function map:lookup", shown(helper.map().lookup))
    assert.matches("^function at .*display_spec.lua:%d+$", shown(function() end))
  end)

  it("that is a list of rows is a table", function()
    assert.equal("a  b\n1  x\n2", shown { { a = 1, b = "x" }, { a = 2 } })
  end)

  it("that was decoded shows its fields in order, unsigned as unsigned, if the layout is known",
    function()
      local map = helper.map { value = { "u64 z", "s32 a" } }
      map:update(1, { z = -1, a = -1 })
      local _, layout = require "luabpf.core".layouts(map)
      local value = display.remember(map:lookup(1), layout:describe())
      assert.equal("field                 value  type\n"
        .. "z      18446744073709551615  u64\na                        -1  s32", shown(value))
    end)

  it("has no run of zeros, and no kilobyte of digits", function()
    local map = helper.map { value = { "u32 slots[30]", "bytes raw[1024]", "bytes zero[64]" } }
    map:update(1, { slots = { 0, 0, 0, 0, 0, 7 }, raw = ("\xab"):rep(1024) })
    local text = shown(map:head(), 200)
    assert.matches(("{ 0 %s5, 7, %s }"):format(room.TIMES, room.ELLIPSIS), text, 1, true)
    assert.matches(("ab%s (1024 bytes)"):format(room.ELLIPSIS), text, 1, true)
    assert.matches(("00%s (64 bytes)"):format(room.ELLIPSIS), text, 1, true)
    assert.is_nil(text:find(("0"):rep(8), 1, true))
    assert.truthy(tostring(map:head()):find(("ab"):rep(1024), 1, true))
    map:update(1, { raw = "ab" .. ("\0"):rep(9) .. "cd" .. ("\0"):rep(1011) })
    assert.matches(("6162 00 %s9 6364%s (1024 bytes)"):format(room.TIMES, room.ELLIPSIS),
      shown(map:head(), 200), 1, true)
  end)

  it("of a per-CPU map is the sum with its spread", function()
    local map = helper.map { type = "percpu_array", max_entries = 1, value = { "u64 n" } }
    local list, sum = {}, 0
    for cpu = 1, (bpf.cpus()) do list[cpu], sum = { n = cpu * 10 }, sum + cpu * 10 end
    map:update(0, list)
    assert.matches(("0 +%d %%(10%%.%%.%d%%)"):format(sum, #list * 10), shown(map:head()))
  end)

  it("cannot speak to the terminal", function()
    for _, text in ipairs { "\27[2J", "a\rb", "\xc2\x9b", { "\27[2J" }, { ["\27"] = 1 } } do
      assert.is_nil(shown(text):find "[\27\r\xc2]")
    end
    assert.equal("gr\xc3\xbcn\nx", shown "gr\xc3\xbcn\nx")
  end)

  it("in a row of results is in one line, errors with their errno's name", function()
    local function all(...)
      return room.within(80, 24, display.all, table.pack(...))
    end
    assert.equal("1  x  { 2 }", all(1, "x", { 2 }))
    assert.equal("nil  conns: refused  1 (EPERM)", all(nil, "conns: refused", 1))
    assert.matches("^an iterator", all(helper.map():entries()))
  end)

  it("that is a batch shows its entries, if it has them still", function()
    local map = helper.map { key = { "u16 port" }, value = { "u64 n" } }
    map:update({ port = 80 }, { n = 5 })
    local kept
    for batch in map:batches() do
      assert.equal("key.port  value.n\n     u16      u64\n      80        5", shown(batch))
      kept = batch
    end
    assert.equal("luabpf.batch (stale)", shown(kept))
  end)

  it("that is a batch has its fields in order, by their types", function()
    local map = helper.map { key = { "u16 z", "u16 a" }, value = { "u64 n", "u32 b" } }
    map:update({ z = 1, a = 2 }, { n = -1, b = 3 })
    for batch in map:batches() do
      assert.equal("key.z  key.a               value.n  value.b\n"
        .. "  u16    u16                   u64      u32\n"
        .. "    1      2  18446744073709551615        3", shown(batch))
    end
    for batch in map:batches { raw = true } do assert.matches("01000200", shown(batch)) end
    local counts = helper.map { type = "percpu_array", max_entries = 1, value = { "u64 n" } }
    local each = {}
    for cpu = 1, bpf.cpus() do each[cpu] = { n = cpu == 1 and 5 or 0 } end
    counts:update(0, each)
    for batch in counts:batches() do
      assert.matches("^key +value.n", room.within(80, 24, display.text, batch))
      assert.matches("5 %(0..5%)", room.within(80, 24, display.text, batch))
    end
  end)

  it("of a map counts its entries below its head", function()
    local map = helper.map()
    for i = 1, 30 do map:update(i, i) end
    assert.matches("\n5 of 30 entries$", shown(map:head(5)))
    assert.is_nil(shown(map:head(5)):match "more column")
    assert.is_nil(tostring(map:head(5)):match "entries")
  end)

  it("says where there is nothing", function()
    local map = helper.map { key = { "u16 port" }, value = { "u64 n" } }
    assert.matches("\nno entries$", shown(map:head()))
    assert.matches("\nno entries$", shown((map:select())))
    assert.matches("\nno rows$", shown((map:select { columns = "value.n" })))
    assert.matches("\nno rows$", shown(bpf.maps { name = "none_has_it" }))
    assert.is_nil(tostring(map:head()):find("no entries", 1, true))
  end)
end)

describe("bpf.vertical", function()
  after_each(helper.close_all)

  it("has a field a line, of rows, selects, values", function()
    local map = helper.map { key = { "u16 port" }, value = { "u64 n", "char name[8]" } }
    map:update({ port = 80 }, { n = 5, name = "web" })
    for _, x in ipairs { map:head(), (map:select()), (map:rows()) } do
      assert.equal("key.port    80\nvalue.n     5\nvalue.name  web", shown(bpf.vertical(x)))
    end
    assert.equal("a  1\nb  2", shown(bpf.vertical { a = 1, b = 2 }))
    map:update({ port = 81 }, { n = 6, name = "x" })
    assert.matches("^%-%- 1\nkey.port .*\n%-%- 2\nkey.port", tostring(bpf.vertical(map:head())))
  end)

  it("has all of it, however long, at the prompt and in scripts", function()
    local map = helper.map { value = { "u64 n", "u32 big[40]", "bytes raw[30]" } }
    local big, fields, texts = {}, {}, {}
    for i = 1, 40 do big[i], texts[i], fields["f" .. i] = i * 1000, ("%d"):format(i * 1000), i end
    map:update(1, { n = 1, big = big, raw = ("x"):rep(30) })
    local whole = "{ " .. table.concat(texts, ", ") .. " }"
    local value = map:lookup(1)
    display.remember(value, select(2, core.layouts(map)):describe())
    local rows = map:rows { columns = function(_, v) return { big = v.big } end }
    local texted = map:rows { columns = "value.big" }
    for _, x in ipairs { value, { big = big }, rows, texted, map:head() } do
      local text = tostring(bpf.vertical(x))
      assert.truthy(text:find(whole, 1, true), text)
      text = room.within(60, 24, tostring, bpf.vertical(x)):gsub("\n +", " ")
      assert.truthy(text:find(whole, 1, true), text)
    end
    for _, lines in ipairs { 8, 24, 100 } do
      local text = room.within(60, lines, tostring, bpf.vertical(fields))
      assert.equal(40, select(2, (text .. "\n"):gsub("\n", "")))
    end
    assert.equal(40, select(2, (tostring(bpf.vertical(fields)) .. "\n"):gsub("\n", "")))
    assert.is_nil(room.within(60, 24, display.inline, big):find(whole, 1, true))
  end)

  it("of lists that print as tables too: maps, pins, who holds a map", function()
    local map, pin = helper.map(), helper.pin()
    assert(map:pin(pin))
    finally(function() map:unpin() end)
    local info = map:info()
    assert.matches(("^id +%d\ntype +hash\nname +%s\n"):format(info.id, info.name),
      shown(bpf.vertical(bpf.maps { id = info.id })))
    assert.matches(("\npath  %s\nkind  map\nid    %d\n"):format(pin, info.id),
      "\n" .. tostring(bpf.vertical(bpf.pins())))
    assert.matches("kind  process\nid    %d+\n", tostring(bpf.vertical(map:users())))
    map:update(1, 2)
    local snapshot <close> = assert(map:snapshot())
    assert.matches("key +1\nvalue +2", tostring(bpf.vertical(snapshot:head(1))))
  end)
end)
