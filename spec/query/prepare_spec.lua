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

-- Each reads variables of its own from outside, and other fields of CPUs.
describe("two functions of one query", function()
  after_each(helper.close_all)

  local function filled(kind)
    local map = helper.map { type = kind, value = { "u64 a", "u32 b", "u8 c" } }
    for i = 1, 30 do
      local value = { a = 7 * i, b = i, c = i % 3 }
      local other = { a = i, b = 100, c = 5 }
      assert(map:update(i, kind == "percpu_hash" and { value, other } or value))
    end
    return map
  end

  -- What all methods give, as text.
  local function results(map, where, of, given)
    local low, factor, set, list = 3, 1000, { [2] = true, [9] = true }, {}
    local function with(more)
      local options = { where = where }
      for name, value in pairs(given) do options[name] = value end
      for name, value in pairs(more or {}) do options[name] = value end
      return options
    end
    for _, row in ipairs(assert(map:rows(with { sort = "k", columns = function(k, v)
      return { k = k, a = factor * (set[k] and 2 or 1) * of(v).a, is_in = set[k] or false }
    end }))) do list[#list + 1] = ("%d %d %s"):format(row.k, row.a, row.is_in) end
    for _, row in ipairs(assert(map:aggregate(with { sort = "group",
      group = function(k, v) return factor * (set[k] and 2 or 1) + of(v).c end }))) do
      list[#list + 1] = ("%d: %d"):format(row.group, row.count)
    end
    local acc = assert(map:fold({ n = 0, low = low }, function(acc, k, v)
      acc.n = acc.n + factor * of(v).a
      if set[k] then acc.low = acc.low - low end
    end, with()))
    list[#list + 1] = ("%d %d"):format(acc.n, acc.low)
    return table.concat(list, "\n")
  end

  for _, kind in ipairs { "hash", "percpu_hash" } do
    it("are told apart: " .. kind, function()
      local map = filled(kind)
      local low, set = 20, { [5] = true, [8] = true }
      local function of(v) return v end
      local where = { function(k, v) return v.b > low or set[k] end,
        "value.b > 20 or key in (5, 8)" }
      if kind == "percpu_hash" then
        function of(v) return v[2] end
        where = { function(k, v) return v[1].b > low or set[k] end,
          "value[1].b > 20 or key in (5, 8)" }
      end
      local wanted = results(map, where[1], of, { compile = false })
      assert.matches("^30 %d+ false\n.*\n8 %d+ false\n5 %d+ false\n", wanted)
      for _, one in ipairs(where) do
        for _, engine in ipairs { "kernel", "batch" } do
          assert.equal(wanted, results(map, one, of, { engine = engine }))
        end
      end
    end)
  end

  it("are told apart where one changes entries", function()
    for _, engine in ipairs { "kernel", "batch" } do
      local map, low, more = filled "hash", 20, 5
      local report = map:update_where(function(_, v) return v.b > low end, function(_, v)
        v.a = v.a + more
      end, { engine = engine, compile = true })
      assert.same({ 10, 140, 145 + 7 }, { report.updated, map:lookup(20).a, map:lookup(21).a })
    end
  end)

  it("are refused where both are too much for one program", function()
    local map = helper.map { type = "percpu_hash", value = { "u64 l[40]" } }
    local function sum_of(cpu)
      local parts = {}
      for i = 1, 17 do parts[i] = ("v[%d].l[%d]"):format(cpu, i) end
      return ("(%s)"):format(table.concat(parts, " + "))
    end
    local where = load("return function(k, v) return " .. sum_of(1) .. " >= 0 end")()
    local columns = load("return function(k, v) return { s = " .. sum_of(2) .. " } end")()
    assert(map:update(1, { { l = { 1 } }, { l = { 2 } } }))
    assert.error_matches(function() map:rows { where = where, columns = columns } end,
      "columns: with the rest of the query more than 32 fields of CPUs are read; compile = false")
    assert.equal(2, map:rows { where = where, columns = columns, compile = false }[1].s)
  end)
end)
