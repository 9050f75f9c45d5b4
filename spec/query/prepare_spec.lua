-- SPDX-License-Identifier: MIT
--
-- Queries from their texts, kept with the handle (lua/luabpf/query/prepare.lua): what is the
-- same query, what is another one, and how many are kept.

local bpf = require "luabpf"
local helper = require "spec.support.helper"
local prepare = require "luabpf.query.prepare"

describe("bpf.compile", function()
  it("says what it wants", function()
    assert.error_matches(function() bpf.compile(1, helper.map()) end, "compile: text expected")
    for _, wrong in ipairs { 1, "conns", {}, io.stdout } do
      local _, message = pcall(function() bpf.compile("value > 1", wrong) end)
      assert.match("prepare_spec.lua:%d+: compile: map or snapshot expected, got " .. type(wrong),
        message)
    end
  end)
end)

describe("a prepared query", function()
  after_each(helper.close_all)

  local function select(map, given)
    return prepare.query(map, "select", given)
  end

  it("is made once for the same texts, whatever form they have", function()
    local map = helper.map()
    local first = select(map, { where = "value > $n", columns = { "key as k", "value as v" } })
    assert.equal(first, select(map, { where = "value > $n",
      columns = { "key as k", "value as v" } }))
    local named = select(map, { columns = { a = "key", b = "value" } })
    assert.equal(named, select(map, { columns = { b = "value", a = "key" } }))
    local text = prepare.text(bpf.compile("value > 1", map), "select", 1)
    assert.equal(select(map, { where = "value > 1" }), select(map, { where = text }))
  end)

  it("is another one where anything differs", function()
    local map, seen = helper.map(), {}
    for _, case in ipairs {
      { "select", {} },
      { "select", { where = "value > 1" } }, { "select", { where = "value > 2" } },
      { "select", { columns = "key" } }, { "select", { columns = "value" } },
      { "select", { columns = { "key", "value" } } }, { "select", { columns = "key, value" } },
      { "select", { sort = "value" } }, { "select", { sort = "value asc" } },
      { "entries", {} }, { "entries", { rows = true } }, { "delete", {} },
      { "aggregate", {} }, { "aggregate", { plain = true } }, { "aggregate", { group = "key" } },
      { "aggregate", { select = "sum(value) as s" } },
    } do
      local query = prepare.query(map, case[1], case[2])
      assert.is_nil(seen[query])
      seen[query] = true
    end
  end)

  it("belongs to its handle", function()
    local map = helper.map()
    local again <close> = assert(bpf.open(map:info().id))
    assert.not_equal(select(map, { where = "true" }), select(again, { where = "true" }))
  end)

  it("is another one where a list says what a table says by a name [fault 14]", function()
    local map = helper.map { value = { "u64 a" } }
    map:update(1, { a = 5 })
    for _ in map:select { columns = { a = "value.a" } } do end
    assert.has_error(function() for _ in map:select { columns = { "a=value.a" } } do end end)
  end)

  it("is not kept where it cannot be made", function()
    local map = helper.map()
    for _ = 1, 2 do
      assert.error_matches(function() select(map, { where = "valeu > 1" }) end, "valeu")
      assert.error_matches(function() select(map, { columns = "" }) end, "a value expected")
    end
    assert.is_table(select(map, { where = "value > 1" }))
  end)

  it("is let go, with its program, when many others came", function()
    local map = helper.map()
    local gone = setmetatable({ select(map, { where = "value > 0" }) }, { __mode = "v" })
    for i = 1, 200 do select(map, { where = "value > " .. i }) end
    collectgarbage()
    collectgarbage()
    assert.is_nil(gone[1])
    assert.equal(0, (map:count "value > 0"))
  end)

  it("keeps no map alive", function()
    local held = setmetatable({}, { __mode = "k" })
    do
      local map = assert(bpf.create { type = "hash", key = "u32", value = "u64" })
      assert.equal(0, (map:count "value > 0"))
      held[map] = true
    end
    for _ = 1, 3 do collectgarbage() end
    assert.is_nil(next(held))
  end)
end)

describe("the parameters of a query", function()
  after_each(helper.close_all)

  it("are packed in the order of its slots, clocks as they are given", function()
    local map = helper.map()
    local query = prepare.query(map, "entries", { where = "value > $a and now > $b" })
    local words = { ("<i8i8i8"):unpack(prepare.params(query, { a = 11, b = "1s" }, 77, 88)) }
    words[4] = nil
    table.sort(words)
    assert.same({ 11, 77, 1000000000 }, words)
    assert.equal("", prepare.params(prepare.query(map, "entries", { where = "value > 1" })))
  end)
end)

describe("a subject of queries", function()
  after_each(helper.close_all)

  it("is a map or a snapshot that is open, and nothing else", function()
    local map = helper.map()
    local snapshot = map:snapshot()
    assert.equal("hash", prepare.facts(map).kind.name)
    assert.equal(map:info().key_size, prepare.facts(snapshot).env.key_size)
    snapshot:close()
    map:close()
    for _, subject in ipairs { map, snapshot, io.stdout, {}, 5, "x" } do
      assert.is_false((pcall(prepare.facts, subject)))
    end
  end)
end)
