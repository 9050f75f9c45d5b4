-- SPDX-License-Identifier: MIT
--
-- Folds (lua/luabpf/query/fold.lua): the accumulators are what Lua makes of all entries, whoever
-- runs the function, and as they were where anything fails.

local bpf = require "luabpf"
local helper = require "spec.support.helper"
local math, tostring = math, tostring

local N <const> = 400

local WAYS <const> = {
  kernel = { engine = "kernel" }, batch = { engine = "batch", batch_size = 32 },
  walk = { engine = "walk" },
  ["Lua, kernel"] = { engine = "kernel", compile = false },
  ["Lua, batch"] = { engine = "batch", batch_size = 32, compile = false },
}

local function filled()
  local map = helper.map { key = "u32", value = { "u64 packets", "s32 level", "char name[4]" },
    max_entries = N }
  local keys, values = {}, {}
  for i = 1, N do
    keys[i], values[i] = i, { packets = i * 7 % 101, level = i % 13 - 6, name = "n" .. i % 3 }
  end
  assert(map:update_batch(keys, values))
  return map
end

local function with(way, given)
  local options = {}
  for name, value in pairs(WAYS[way]) do options[name] = value end
  for name, value in pairs(given or {}) do options[name] = value end
  return options
end

local FOLDS <const> = {
  ["sums and extremes"] = { { n = 0, sum = 0, most = math.mininteger, least = math.maxinteger },
    function(acc, key, value)
      acc.n = acc.n + 1
      acc.sum = acc.sum + value.packets * (key % 3)
      if value.level > acc.most then acc.most = value.level end
      acc.least = math.min(acc.least, value.level)
    end },
  ["a list"] = { { 0, 10 }, function(acc, _, value)
    acc[1], acc[2] = acc[1] + value.level, acc[2] ~ value.packets
  end },
  ["loops and tests"] = { { even = 0, odd = 0, few = 5 }, function(acc, key, value)
    for i = 1, 3 do
      if (key + i) % 2 == 0 then acc.even = acc.even + i else acc.odd = acc.odd + value.packets end
    end
    if value.name == "n1" and value.packets > 50 then acc.few = acc.few + 1 end
  end },
  ["functions in line"] = { { n = 0 }, function(acc, _, value)
    local function_of = FOLD_ADD -- luacheck: ignore
    if function_of then function_of(acc, value.packets) else acc.n = acc.n + value.packets end
  end },
  ["tables, floats and text"] = { { by = {}, mean = 0.0, last = "" }, function(acc, key, value)
    acc.by[value.name] = (acc.by[value.name] or 0) + 1
    acc.mean = acc.mean + value.packets / 4
    if key == N then acc.last = value.name .. "!" end
  end },
  ["some entries by Lua"] = { { n = 0 }, function(acc, key, value)
    if key == 77 then acc.n = acc.n + #tostring(value.packets) else acc.n = acc.n + 1 end
  end },
  ["nothing"] = { { n = 3 }, function() end },
}

local function copied(acc)
  local made = {}
  for k, v in pairs(acc) do made[k] = type(v) == "table" and copied(v) or v end
  return made
end

describe("fold", function()
  after_each(helper.close_all)

  for way in pairs(WAYS) do
    for name, case in pairs(FOLDS) do
      it(("is what Lua makes of all entries: %s, %s"):format(name, way), function()
        local map, expected, n = filled(), copied(case[1]), 0
        for key, value in map:views() do
          if value.packets > 10 then
            case[2](expected, key, value)
            n = n + 1
          end
        end
        local wheres = { "value.packets > $few", function(_, value) return value.packets > 10 end,
          function(_, value) return value.packets > 10 and tostring(value.packets) ~= "" end }
        for i, where in ipairs(wheres) do
          local acc = copied(case[1])
          local results = table.pack(map:fold(acc, case[2], with(way, { where = where,
            params = i == 1 and { few = 10 } or nil })))
          local got, report = results[1], results[2]
          assert.equal(2, results.n)
          assert.equal(acc, got)
          assert.same(expected, acc)
          assert.same({ N, n, true }, { report.visited, report.matched, report.complete })
        end
      end)
    end

    it("leaves the accumulators where the function raises: " .. way, function()
      local map = filled()
      local inner = { 1 }
      local acc = { n = 5, inner = inner }
      local ok, err = pcall(map.fold, map, acc, function(a, key, value)
        a.n, a.new = a.n + 1, true
        a.inner[1], a.inner[2] = 7, key
        if key == 300 then a.n = value.nothing end
      end, with(way))
      assert.is_false(ok)
      assert.matches("^fold: [^\n]*fold_spec.lua:%d+: no field 'nothing' in value", err.message)
      assert.matches("traceback", err.traceback)
      assert.equal("table", type(err.partial))
      assert.same({ n = 5, inner = { 1 } }, acc)
      assert.equal(inner, acc.inner)
      acc = { n = 5 }
      ok = pcall(map.fold, map, acc, function(a, key, value)
        a.n = a.n + (key == 300 and value.nothing or 1)
      end, with(way))
      assert.is_false(ok)
      assert.same({ n = 5 }, acc)
    end)

    it("is nothing over no entries: " .. way, function()
      local map = filled()
      local acc, report = map:fold({ n = 1 }, function(a) a.n = a.n + 1 end,
        with(way, { where = "value.packets > 1000" }))
      assert.same({ n = 1 }, acc)
      assert.equal(0, report.matched)
    end)
  end

  it("keeps no view, which would show nothing", function()
    local map = filled()
    for _, f in ipairs {
      function(acc, key, value) acc.list[#acc.list + 1] = value acc.n = acc.n + key end,
      function(acc, _, value) acc[1] = { { value } } end,
      function(acc, _, value) acc.list[value] = true end,
    } do
      local acc = { list = {}, n = 0 }
      local ok, err = pcall(map.fold, map, acc, f)
      assert.is_false(ok)
      assert.matches("fold: [^\n]*fold_spec.lua:%d+: the accumulators hold a view, .*; bpf.copy",
        tostring(err))
      assert.same({ list = {}, n = 0 }, acc)
    end
    local acc = map:fold({ list = {} }, function(acc, _, value)
      acc.list[#acc.list + 1] = bpf.copy(value)
    end, { where = "key <= 3" })
    assert.equal(3, #acc.list)
    assert.equal("table", type(acc.list[1]))
  end)

  it("reads what is outside, the accumulators among it, as Lua does", function()
    local map = filled()
    for way in pairs(WAYS) do
      local acc, limit = { n = 0 }, 10
      map:fold(acc, function(a) if acc.n < limit then a.n = a.n + 1 end end, with(way))
      assert.equal(10, acc.n)
      local held = { acc = { n = 0 } }
      map:fold(held.acc, function(a) if held.acc.n < 3 then a.n = a.n + 1 end end, with(way))
      assert.equal(3, held.acc.n)
    end
  end)

  it("leaves the accumulators where the system refuses", function()
    local map = filled()
    local acc = { n = 2 }
    local ok, err = pcall(function()
      map:fold(acc, function(a) a.n = a.n + 1 end, { engine = "kernel", exact = true })
    end)
    assert.is_false(ok)
    assert.matches("fold_spec.lua:%d+: fold: exact", err)
    assert.same({ n = 2 }, acc)
  end)

  it("is refused without accumulators or a function", function()
    local map = filled()
    local function refused(pattern, ...)
      local ok, err = pcall(function(...) map:fold(...) end, ...)
      assert.is_false(ok)
      assert.matches("fold_spec.lua:%d+: fold: " .. pattern, tostring(err))
    end
    refused("accumulators: table expected, got number", 1, print)
    refused("accumulators: table expected, got nil")
    refused("function of accumulators, key and value expected, got string", {}, "x")
    refused("unknown option 'x'", {}, print, { x = 1 })
    refused("function: ", {}, function(a) a.t = {} end, { compile = true })
  end)

  it("is of snapshots too", function()
    local map = filled()
    local snapshot <close> = assert(map:snapshot())
    local function add(acc, _, value) acc.n = acc.n + value.packets end
    assert.equal(map:fold({ n = 0 }, add).n, snapshot:fold({ n = 0 }, add).n)
  end)
end)
