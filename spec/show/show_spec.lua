-- SPDX-License-Identifier: MIT
--
-- Text for people: tables that align, values as their types say, and the prompt's
-- head, describe and info.

local helper = require "spec.support.helper"
local layout = require "luabpf.layout.layout"
local show = require "luabpf.show.show"

local function desc(declaration)
  return layout.new(declaration, "value"):describe()
end

describe("show.table", function()
  it("aligns text to the left and numbers to the right", function()
    assert.equal("name   n\na      1\nbcd   22",
      show.table({ "name", "n" }, { { "a", 1 }, { "bcd", 22 } }))
  end)

  it("counts characters, not bytes, and says what is no UTF-8 as it is", function()
    assert.equal("a    b\né    x\nabc  y",
      show.table({ "a", "b" }, { { "é", "x" }, { "abc", "y" } }))
    assert.equal("a\n\xff", show.table({ "a" }, { { "\xff" } }))
  end)

  it("has one decimal for floats, and headers alone for no rows", function()
    assert.equal("  x\n1.5", show.table({ "x" }, { { 1.5 } }))
    assert.equal("a  b", show.table({ "a", "b" }, {}))
  end)

  it("has no blanks at the end of a line", function()
    assert.is_nil(show.table({ "a", "b" }, { { "x", "" } }):find " \n")
    assert.is_nil(show.table({ "a", "b" }, { { "x", "" } }):find " $")
  end)
end)

describe("show.pairs", function()
  it("aligns the second column", function()
    assert.equal("a    1\nbcd  2", show.pairs { { "a", "1" }, { "bcd", "2" } })
  end)
end)

describe("show.value", function()
  it("prints unsigned integers as such, signed ones with their sign", function()
    assert.equal("18446744073709551615", show.value(desc "u64", -1))
    assert.equal("-1", show.value(desc "s64", -1))
  end)

  it("prints bytes as hexadecimal digits, text as text, quoted where it would not print", function()
    assert.equal("00ff41", show.value(nil, "\0\xffA"))
    assert.equal("00ff", show.value(desc "bytes[2]", "\0\xff"))
    assert.equal("lo", show.value(desc "char[4]", "lo"))
    assert.equal([["l\no"]], show.value(desc "char[4]", "l\no"))
  end)

  it("prints structs with their fields in order, lists, and nested ones", function()
    local d = desc { "u8 a", { name = "in", "u8 list[2]", "ipv4 addr" }, { "u8 b" } }
    assert.equal("{ a = 1, in = { list = { 2, 3 }, addr = 10.0.0.1 }, b = 4 }",
      show.value(d, { a = 1, ["in"] = { list = { 2, 3 }, addr = "10.0.0.1" }, b = 4 }))
  end)
end)

describe("a map at the prompt", function()
  after_each(helper.close_all)

  it("shows its first entries, a column per field", function()
    local map = helper.map { key = { "u16 port", "char name[6]" }, value = { "u64 n", "s32 d" } }
    map:update({ port = 80, name = "web" }, { n = -1, d = -1 })
    assert.equal("key.port  key.name               value.n  value.d\n"
      .. "      80  web       18446744073709551615       -1", tostring(map:head()))
    assert.equal(1, #map:head())
    assert.same({ key = { port = 80, name = "web" }, value = { n = -1, d = -1 } }, map:head(1)[1])
  end)

  it("shows no more entries than asked for", function()
    local map = helper.map()
    map:update_batch({ 1, 2, 3 }, { 1, 2, 3 })
    assert.equal(2, #map:head(2))
    assert.equal(0, #map:head(0))
    assert.equal("key  value", tostring(map:head(0)))
  end)

  it("describes the fields, their offsets and sizes", function()
    local text = tostring(helper.map { key = { "ipv4 addr", "be16 port", "u16 pad" },
      value = { "u32 low : 4", "u32 high : 28", { name = "in", "u8 list[3]" } } }:describe())
    assert.matches("type +hash\n", text)
    assert.matches("field +type +offset +size\nkey%.addr +ipv4 +0 +4\n", text)
    assert.matches("\nkey%.port +be16 +4 +2\n", text)
    assert.matches("\nvalue%.low +u32 : 4 +0 +4\n", text)
    assert.matches("\nvalue%.in%.list +u8%[3%] +4 +3$", text)
  end)

  it("says that the value of a per-CPU map is a list", function()
    local map = helper.map { type = "percpu_array", value = "u64" }
    assert.matches("one value per CPU: a list of %d+$", tostring(map:describe()))
    assert.matches("^key  value\n  0  { 0", tostring(map:head(1)))
  end)
end)
