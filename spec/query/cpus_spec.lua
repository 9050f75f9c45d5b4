-- SPDX-License-Identifier: MIT
--
-- Changes of the values that CPUs have (lua/luabpf/query/cpus.lua): update_where by text and by
-- functions, aggregate and select with reset. That each is changed on its own CPU is what
-- storm_spec.lua shows.

local bpf = require "luabpf"
local helper = require "spec.support.helper"

local KINDS <const> = { "percpu_hash", "lru_percpu_hash", "percpu_array" }
local NCPU <const> = bpf.cpus()

-- Entry i has n = i * 100 + the CPU, m = i, a = i on each CPU.
local function filled(kind, n)
  local map = helper.map { type = kind, value = { "u64 n", "u32 m", "u8 a", "u8 b", "bool on",
    "u8 c" }, max_entries = n or 10 }
  for i = 0, (n or 10) - 1 do
    local value = {}
    for cpu = 1, NCPU do value[cpu] = { n = i * 100 + cpu, m = i, a = i } end
    assert(map:update(i, value))
  end
  return map
end

local function field(map, i, name)
  local list = {}
  for cpu, one in ipairs(map:lookup(i)) do list[cpu] = one[name] end
  return list
end

local function same_on_all(v)
  local list = {}
  for cpu = 1, NCPU do list[cpu] = v end
  return list
end

describe("update_where of values of CPUs", function()
  after_each(helper.close_all)

  for _, kind in ipairs(KINDS) do
    it("changes those that are named, on all CPUs or one: " .. kind, function()
      local map = filled(kind)
      local report = assert(map:update_where("value.m > $least",
        "value.b = $b, value.on = key > 7, value[1].n = value[1].n * 2 + value[1].a",
        { params = { least = 5 * NCPU, b = 9 } }))
      assert.same({ 10, 4, 4, 0, 0 }, { report.visited, report.matched, report.updated,
        report.kept, report.missing })
      assert.is_true(report.complete)
      for i = 0, 9 do
        local n = {}
        for cpu = 1, NCPU do n[cpu] = i * 100 + cpu end
        if i > 5 then n[1] = 2 * n[1] + i end
        assert.same(n, field(map, i, "n"))
        assert.same(same_on_all(i > 5 and 9 or 0), field(map, i, "b"))
        assert.same(same_on_all(i > 7), field(map, i, "on"))
        assert.same(same_on_all(i), field(map, i, "m"))
      end
    end)

    it("is done by a function on lists: " .. kind, function()
      local map = filled(kind)
      local report = assert(map:update_where("key > 3", function(key, value)
        for cpu = 1, #value do
          if key % 2 == 0 then value[cpu].n = value[cpu].n + cpu end
        end
        if key == 9 then value[NCPU].b = 3 end
      end))
      assert.same({ 4, 4, false, 6 }, { report.matched, report.updated, report.compiled,
        report.asked })
      for i = 0, 9 do
        local n, b = {}, same_on_all(0)
        for cpu = 1, NCPU do n[cpu] = i * 100 + cpu + (i > 3 and i % 2 == 0 and cpu or 0) end
        if i == 9 then b[NCPU] = 3 end
        assert.same({ n, b }, { field(map, i, "n"), field(map, i, "b") })
      end
    end)
  end

  it("stores nothing of an entry with a value that does not fit", function()
    local map = filled("percpu_array", 100)
    for cpu = 1, NCPU do
      local ok, err = pcall(map.update_where, map, "key >= 60",
        ("value.c = 1, value[%d].a = value[%d].a * 4"):format(cpu, cpu))
      assert.is_false(ok)
      assert.matches("value%[%d+%].a %* 4: 256 does not fit an unsigned field of 8 bits",
        tostring(err))
      assert.equal(4, err.partial.updated)
      assert.same(same_on_all(1), field(map, 63, "c"))
      assert.same(same_on_all(0), field(map, 64, "c"))
      assert(map:update_where(nil, "value.a = key, value.c = 0"))
    end
    local ok, err = pcall(map.update_where, map, "key == 7", function(_, value)
      value[1].b, value[NCPU].a = 1, 300
    end)
    assert.is_false(ok)
    assert.matches("300 is not within", tostring(err))
    assert.same(same_on_all(0), field(map, 7, "b"))
  end)

  it("only counts in a dry run, and stops at the limit", function()
    local map = filled "percpu_hash"
    local report = map:update_where(nil, "value.b = 1", { dry_run = true })
    assert.same({ 10, 0 }, { report.matched, report.updated })
    report = map:update_where(nil, "value.b = 1", { limit = 3 })
    assert.same({ 3, 3, false }, { report.matched, report.updated, report.complete })
    assert.equal(3 * NCPU, map:aggregate { select = "sum(value.b) as b" }[1].b)
  end)

  it("takes functions as where, and what they leave to Lua", function()
    local names = setmetatable({}, { __index = function(_, n) return n == 3 end })
    for _, compile in ipairs { true, false, 1 } do
      local map = filled "percpu_hash"
      local where = compile == 1 and function(key, value)
        return key == 8 or value[1].m == 3 and names[value[1].m]
      end or function(key) return key == 8 or key == 3 end
      local report = map:update_where(where, "value.b = $b",
        { params = { b = 4 }, compile = compile ~= 1 and compile or nil })
      assert.equal(2, report.updated)
      assert.same(same_on_all(4), field(map, 3, "b"))
      assert.same(same_on_all(4), field(map, 8, "b"))
    end
  end)

  it("stores scalars", function()
    local map = helper.map { type = "percpu_hash", value = "u64" }
    map:update(1, same_on_all(3))
    assert(map:update_where(nil, "value[1] = value[1] + 4"))
    assert.equal(7, map:lookup(1)[1])
    assert(map:update_where(nil, function(_, value) value[1] = value[1] * 2 end))
    assert.equal(14, map:lookup(1)[1])
    for text, f in pairs {
      [("value: its elements are [1] to [%d], not [%d]"):format(NCPU, NCPU + 1)] =
        function(_, value) value[NCPU + 1] = 1 end,
      [("a per-CPU value is a list: value[1] to value[%d]"):format(NCPU)] =
        function(_, value) value.packets = 1 end,
      ["value[1]: integer expected"] = function(_, value) value[1] = "x" end,
    } do
      local ok, err = pcall(map.update_where, map, nil, f)
      assert.is_false(ok)
      assert.truthy(tostring(err):find(text, 1, true), tostring(err))
    end
    assert.error_matches(function()
      filled "percpu_hash":update_where(nil, function(_, value) value[1] = 1 end)
    end, "value%[1%]: a struct is changed by its fields, such as .%w+$")
    assert.equal(14, map:lookup(1)[1])
  end)

  it("keeps what somebody else has changed meanwhile", function()
    local map = filled "percpu_hash"
    local report = map:update_where("key < 2", function(key, value)
      value[1].b = 1
      if key == 0 then map:update(0, same_on_all { n = 5 }) end
      if key == 1 then map:delete(1) end
    end)
    assert.same({ 2, 0, 1, 1 }, { report.matched, report.updated, report.kept, report.missing })
    assert.same(same_on_all(0), field(map, 0, "b"))
  end)

  it("says what it cannot do, and what can", function()
    local map = filled "percpu_hash"
    for text, message in pairs {
      ["value.n = value.n + 1"] = "'value.n' stands for all CPUs, which get what reads no value; "
        .. "value[1]... is one CPU's, and a function assigns to each: for cpu = 1, #value do",
      ["value[1].n = value.n"] = "is changed on its own CPU, and reads value[1] alone",
      ["value[1].n = cpu_max(value.n)"] = "is changed on its own CPU",
      ["value.n = 0, value[1].n = 1"] = "are of one place",
      ["value.n = $x"] = "params.x: missing",
    } do
      helper.raises(message, map.update_where, map, nil, text)
    end
    helper.raises("params.y: no such parameter", map.update_where, map, "key == $x", "value.n = 1",
      { params = { x = 1, y = 2 } })
    helper.raises("values of CPUs are changed by Lua", map.update_where, map, nil, function() end,
      { compile = true })
    local none, message = map:update_where(nil, "value.n = 0", { engine = "kernel" })
    assert.is_nil(none)
    assert.matches("values of CPUs are changed each on its own CPU", message)
    assert.equal(1, field(map, 0, "n")[1])
  end)

  it("leaves this thread where it may run", function()
    local before = io.open "/proc/thread-self/status":read "a":match "Cpus_allowed:%s*(%S+)"
    filled "percpu_hash":update_where(nil, "value.n = 0")
    assert.equal(before, io.open "/proc/thread-self/status":read "a":match "Cpus_allowed:%s*(%S+)")
  end)
end)

describe("reset of values of CPUs", function()
  after_each(helper.close_all)

  local function sum(map, name)
    return map:aggregate { select = ("sum(value.%s) as s"):format(name) }[1].s
  end

  for _, kind in ipairs(KINDS) do
    it("takes each CPU's: " .. kind, function()
      local map = filled(kind)
      local n = sum(map, "n")
      local rows, report = map:aggregate { where = "key >= 5", reset = true,
        select = { "sum(value.n) as n", "count() as c", "max(value.m) as m" } }
      local of_five = 3500 * NCPU + 5 * NCPU * (NCPU + 1) // 2
      assert.same({ { n = of_five, c = 5, m = 9 * NCPU } }, rows)
      assert.same({ "batch", 10, 5, true }, { report.engine, report.visited, report.matched,
        report.complete })
      assert.equal(n - of_five, sum(map, "n"))
      assert.same(same_on_all(0), field(map, 7, "n"))
      assert.same(same_on_all(7), field(map, 7, "m"))
      local seen = {}
      for row in map:select { columns = "key, value.m as m, value[1].n as n", where = "key < 5",
        reset = "value.n, value.m" } do
        seen[#seen + 1] = row.key
        assert.same({ key = row.key, m = row.key * NCPU, n = row.key * 100 + 1 }, row)
      end
      assert.equal(5, #seen)
      assert.equal(0, sum(map, "n"))
      assert.equal(35 * NCPU, sum(map, "m"))
    end)
  end

  it("by groups, in batches", function()
    local map = filled("percpu_hash", 100)
    local given = { group = "key % 3 as g", select = "sum(value.n) as n", sort = "g asc" }
    local plain = map:aggregate(given)
    given.reset, given.batch_size = true, 8
    assert.same(plain, (map:aggregate(given)))
    assert.equal(0, sum(map, "n"))
  end)

  it("of one CPU's alone, and of extremes, is refused", function()
    local map = filled "percpu_hash"
    for _, select in ipairs { "sum(value[1].n)", "sum(cpu_max(value.n))" } do
      helper.raises("each CPU's value is, and their sum is value.f", map.aggregate, map,
        { select = select, reset = true })
    end
    assert.equal(1, field(map, 0, "n")[1])
  end)

  it("says why a map that may not be written is left", function()
    local map = filled "percpu_hash"
    local readonly <close> = assert(bpf.open { id = map:info().id, readonly = true })
    local none, message, errno = readonly:aggregate { select = "sum(value.n)", reset = true }
    assert.is_nil(none)
    assert.matches("not for reading and writing", message)
    assert.equal(bpf.errno.EPERM, errno)
    none, message = readonly:update_where(nil, "value.n = 0")
    assert.is_nil(none)
    assert.matches("not for reading and writing", message)
  end)
end)
