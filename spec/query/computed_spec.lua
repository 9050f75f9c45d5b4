-- SPDX-License-Identifier: MIT
--
-- Functions as columns and groups (lua/luabpf/query/computed.lua): the same rows whoever makes
-- them, a walk inside the kernel, batches or Lua; orders, limits, reports, and what is refused.

local bpf = require "luabpf"
local helper = require "spec.support.helper"
local math, tostring = math, tostring

local N <const> = 300

-- Compiled, by the kernel and over batches; by Lua, of what the kernel reads and of batches.
local WAYS <const> = {
  kernel = { engine = "kernel" }, batch = { engine = "batch", batch_size = 32 },
  ["Lua, kernel"] = { engine = "kernel", compile = false },
  ["Lua, batch"] = { engine = "batch", batch_size = 32, compile = false },
}

local VALUE <const> = { "u64 packets", "u64 bytes", "enum8 state { new = 0, up = 1 }", "bool on",
  "s16 level", "char name[6]", "u32 list[2]", { name = "sub", "u16 x", "u8 y" } }

local function value_of(i)
  return { packets = i % 40, bytes = i * 37 % 1000, state = i % 2, on = i % 3 == 0,
    level = i % 7 - 3, name = ("n%d"):format(i % 5), list = { i, i + 1 },
    sub = { x = i % 11, y = i % 4 } }
end

local function key_of(i)
  return { addr = ("10.0.%d.%d"):format(i % 3, i % 256), port = i }
end

local function filled(given)
  local options = { key = { "ipv4 addr", "be16 port", "u16 pad" }, value = VALUE, max_entries = N }
  for name, value in pairs(given or {}) do options[name] = value end
  local map, keys, values = helper.map(options), {}, {}
  for i = 1, N do keys[i], values[i] = key_of(i), value_of(i) end
  assert(map:update_batch(keys, values))
  return map
end

local function with(way, given)
  local options = {}
  for name, value in pairs(WAYS[way]) do options[name] = value end
  for name, value in pairs(given) do options[name] = value end
  return options
end

-- The rows of a function, by the port of the entry that is a column of each.
local function rows_of(map, given)
  local found = {}
  for row in map:select(given) do
    assert.is_nil(found[row.port])
    found[row.port] = row
  end
  return found
end

local FUNCTIONS <const> = {
  integers = function(key, value)
    return { port = key.port, size = value.bytes // math.max(value.packets, 1),
      most = value.level * 2 }
  end,
  ["text, truths and empty places"] = function(key, value)
    local row = { port = key.port, src = key.addr, up = value.state == "up", name = value.name }
    if value.packets > 20 then row.many = value.packets end
    if value.on then row.on = true end
    return row
  end,
  ["names and structs"] = function(key, value)
    return { port = key.port, state = value.state, on = value.on, sub = value.sub,
      list = value.list, x = value.sub.x }
  end,
  ["what only Lua makes"] = function(key, value)
    return { port = key.port, rate = value.bytes / (value.packets + 1),
      text = key.addr .. ":" .. key.port }
  end,
  ["some by Lua"] = function(key, value)
    if value.packets == 7 then return { port = key.port, name = value.name .. "!" } end
    return { port = key.port, name = value.name }
  end,
}

describe("columns by a function", function()
  after_each(helper.close_all)

  for way in pairs(WAYS) do
    for name, f in pairs(FUNCTIONS) do
      it(("are what Lua makes of each entry: %s, %s"):format(name, way), function()
        local map, expected, n = filled(), {}, 0
        for key, value in map:views() do
          if value.bytes > 100 then
            local row = f(key, value)
            for column, one in pairs(row) do
              if type(one) == "userdata" then row[column] = bpf.copy(one) end
            end
            expected[row.port], n = row, n + 1
          end
        end
        assert.is_true(n > 100)
        assert.same(expected, rows_of(map, with(way, { columns = f, where = "value.bytes > 100" })))
        assert.same(expected, rows_of(map, with(way, { columns = f,
          where = function(_, value) return value.bytes > 100 end })))
        assert.same(expected, rows_of(map, with(way, { columns = f,
          where = function(_, value) return #(value.bytes .. "") > 3 or value.bytes > 100 end })))
      end)
    end

    it("are sorted by their names, ties by key, up to the limit: " .. way, function()
      local map = filled()
      local list = assert(map:rows(with(way, { columns = function(key, value)
        local many = value.packets > 30 and value.packets or nil
        return { port = key.port, x = value.sub.x, many = many, src = key.addr }
      end, sort = "many, x asc, src", limit = 50 })))
      assert.equal(50, #list)
      for i = 2, #list do
        local a, b = list[i - 1], list[i]
        local before = a.many and (not b.many or a.many > b.many)
        local equal = a.many == b.many
        assert.is_true(before or equal and (a.x < b.x or a.x == b.x and a.src <= b.src), i)
      end
      list = assert(map:rows(with(way, { sort = "z",
        columns = function(key) return { port = key.port, z = 1 } end })))
      assert.equal(N, #list)
      local of = {}
      for key in map:entries() do of[key.port] = bpf.copy(key) end
      for i = 2, N do
        local function bytes(port)
          local key = of[port]
          return key.addr:gsub("%d+%.?", function(n) return ("%03d"):format((n:gsub("%.", ""))) end)
            .. (">I2"):pack(port)
        end
        assert.is_true(bytes(list[i - 1].port) < bytes(list[i].port))
      end
    end)

    it("stop at the limit, and are made of none: " .. way, function()
      local map, n = filled(), 0
      local columns = function(key) return { port = key.port } end
      for _ in map:select(with(way, { columns = columns, limit = 17 })) do n = n + 1 end
      assert.equal(17, n)
      for _ in map:select(with(way, { columns = columns, limit = 0 })) do n = n + 1 end
      for _ in map:select(with(way, { columns = columns, where = "value.bytes > 5000" })) do
        n = n + 1
      end
      assert.equal(17, n)
    end)
  end

  it("are sorted alike by what is compiled and by Lua, whatever the columns are", function()
    local map = filled()
    local function columns(key, value)
      return { src = key.addr, many = value.packets > 9 and value.packets or nil,
        size = value.packets > 20 and "large" or "small", port = key.port }
    end
    for _, sort in ipairs { "src", "src desc", "many", "many asc", "size desc", "port" } do
      local given = { columns = columns, sort = sort, limit = 120, engine = "kernel" }
      local list, report = map:rows(given)
      assert.is_true(report.compiled)
      given.compile = false
      local by_lua = assert(map:rows(given))
      for i, row in ipairs(by_lua) do assert.same(row, list[i], sort) end
      assert.equal(#by_lua, #list)
    end
  end)

  it("are of entries that where leaves to Lua only if it says yes", function()
    local map = filled()
    local function where(_, value)
      if value.packets == 7 then return value.bytes .. "" == "never" end
      return value.packets < 10
    end
    for _, engine in ipairs { "kernel", "batch" } do
      local list, report = map:rows { where = where, engine = engine,
        columns = function(_, value) return { packets = value.packets } end }
      assert.is_true(report.asked > 0)
      assert.equal(report.matched, #list)
      for _, row in ipairs(list) do assert.is_true(row.packets < 10 and row.packets ~= 7) end
      assert.equal(map:count "value.packets < 10 and value.packets ~= 7", #list)
    end
  end)

  it("print as a table", function()
    local map = filled()
    local text = tostring(map:select { columns = function(key, value)
      return { port = key.port, up = value.state == "up" or nil }
    end, sort = "port", limit = 2 })
    assert.matches("port%s+up\n%s*300%s*\n%s*299%s+true", text)
  end)

  it("say in the report what Lua did", function()
    local map = filled()
    local by_lua = function(key) return { port = key.port .. "" } end
    local _, report = map:rows { columns = by_lua, where = "value.packets == 3" }
    assert.is_false(report.compiled)
    assert.equal(report.matched, report.asked)
    assert.equal(N, report.visited)
    _, report = map:rows { columns = by_lua, where = function(_, value)
      return value.packets .. "" == "3"
    end }
    assert.is_false(report.compiled)
    assert.equal(N, report.asked)
  end)

  it("raise what Lua raises, with its line, and the report until then", function()
    local map = filled()
    for way in pairs(WAYS) do
      local ok, err = pcall(map.rows, map, with(way, { columns = function(key, value)
        return { port = key.port, x = value.packets == 9 and value.nothing or 1 }
      end }))
      assert.is_false(ok)
      assert.matches("^columns: [^\n]*computed_spec.lua:%d+: no field 'nothing' in value",
        err.message)
      assert.matches("traceback", err.traceback)
      assert.equal("table", type(err.partial))
    end
  end)

  it("are refused where they are no rows, by the function's line", function()
    local map = filled()
    local function refused(pattern, f)
      for way in pairs(WAYS) do
        local ok, err = pcall(map.rows, map, with(way, { columns = f }))
        assert.is_false(ok)
        assert.matches("columns: [^\n]*computed_spec.lua:%d+: " .. pattern, tostring(err))
      end
    end
    refused("a table of named columns expected, such as { size = value.bytes }, got number",
      function() return 1 end)
    refused("a table of named columns expected, [^\n]* got nil", function() end)
    refused("a table of named columns expected, [^\n]* got a list",
      function(_, value) return { value.bytes } end)
    refused("a table of named columns expected, [^\n]* got a view",
      function(_, value) return value end)
    refused("one result is taken, a table of named columns, and the function gave 2",
      function() return {}, 2 end)
    refused("columns have names, [^\n]*got %[7%]", function() return { [7] = 1 } end)
    refused("column 'x' is a function, which no row holds", function() return { x = print } end)
    refused("column 'x' is a? ?%w+ in one entry and a? ?%w+ in another", function(key)
      return { x = key.port > 100 and key.port or "few" }
    end)
  end)

  it("do not go with what is for text", function()
    local map = filled()
    local columns = function(key) return { port = key.port .. "" } end
    local function refused(pattern, given)
      given.columns = columns
      local ok, err = pcall(function() return map:select(given)() end)
      assert.is_false(ok)
      assert.matches("computed_spec.lua:%d+: select: " .. pattern, tostring(err))
    end
    refused("option 'reset' goes with columns in text", { reset = "value.packets" })
    refused("sort: rows of a function are sorted by the names of its columns",
      { sort = "value.bytes" })
    refused("sort: no column 'size'; there are port", { sort = "size" })
    refused("columns: ", { compile = true })
    refused("params go with text", { params = { x = 1 }, where = print })
  end)

  it("are those of snapshots too", function()
    local map = filled()
    local snapshot <close> = assert(map:snapshot())
    assert.same(rows_of(map, { columns = FUNCTIONS.integers }),
      rows_of(snapshot, { columns = FUNCTIONS.integers }))
  end)
end)

describe("groups by a function", function()
  after_each(helper.close_all)

  -- Counts and sums by the text of a group.
  local function expected(map, f)
    local groups = {}
    for key, value in map:views() do
      local result = f(key, value)
      local row = type(result) == "table" and result or { group = result }
      local names, text = {}, ""
      for name in pairs(row) do names[#names + 1] = name end
      table.sort(names)
      for _, name in ipairs(names) do
        text = text .. name .. "=" .. tostring(row[name]) .. " "
      end
      local group = groups[text] or { n = 0, total = 0, most = 0 }
      groups[text] = group
      group.n, group.total = group.n + 1, group.total + value.bytes
      group.most = math.max(group.most, value.packets)
    end
    return groups
  end

  local function by_text(list)
    local groups = {}
    for _, row in ipairs(list) do
      local names, text = {}, ""
      for name in pairs(row) do
        if name ~= "n" and name ~= "total" and name ~= "most" then names[#names + 1] = name end
      end
      table.sort(names)
      for _, name in ipairs(names) do
        text = text .. name .. "=" .. tostring(row[name]) .. " "
      end
      assert.is_nil(groups[text])
      groups[text] = { n = row.n, total = row.total, most = row.most }
    end
    return groups
  end

  local SELECT <const> = { "count() as n", "sum(value.bytes) as total",
    "max(value.packets) as most" }

  local GROUPS <const> = {
    integers = function(key) return key.port // 50 end,
    truths = function(_, value) return value.on end,
    ["an empty place"] = function(key) if key.port > 100 then return key.port % 3 end end,
    text = function(_, value) return value.name end,
    ["columns of a table"] = function(key, value)
      return { band = key.port // 100, up = value.state == "up" or nil, addr = key.addr:sub(1, 6) }
    end,
    ["several integers"] = function(key, value)
      return { band = key.port // 100 - 1, level = value.level }
    end,
    ["what only Lua makes"] = function(key) return { tail = key.addr:match "%d+$" } end,
    ["some by Lua"] = function(key, value)
      if value.packets > 30 then return math.tointeger(key.port / key.port) end
      return value.packets
    end,
  }

  for way in pairs(WAYS) do
    for name, f in pairs(GROUPS) do
      it(("are what Lua makes of each entry: %s, %s"):format(name, way), function()
        local map = filled()
        local list, report = map:aggregate(with(way, { group = f, select = SELECT }))
        assert.same(expected(map, f), by_text(list))
        assert.equal(N, report.matched)
      end)
    end

    it("are sorted by group or result, up to the limit: " .. way, function()
      local map = filled()
      local list = assert(map:aggregate(with(way, { group = function(key) return key.port // 10 end,
        select = "count() as n, sum(value.bytes) as total", sort = "n, group", limit = 5 })))
      assert.same({ 29, 28, 27, 26, 25 }, { list[1].group, list[2].group, list[3].group,
        list[4].group, list[5].group })
      list = assert(map:aggregate(with(way, {
        group = function(key) return -(key.port // 100) end })))
      assert.same({ -3, -2, -1, 0 }, { list[1].group, list[2].group, list[3].group, list[4].group })
      list = assert(map:aggregate(with(way, { group = function(_, value) return value.name end,
        where = "value.packets > $few", select = "sum(value.bytes * $k) as x",
        params = { few = 5, k = 2 }, sort = "group desc" })))
      assert.same({ "n4", "n3", "n2", "n1", "n0" }, { list[1].group, list[2].group, list[3].group,
        list[4].group, list[5].group })
    end)
  end

  it("print as a table", function()
    local map = filled()
    local list = assert(map:aggregate { group = function(key) return key.port // 100 end })
    assert.matches("group%s+count\n%s*0%s+99\n%s*1%s+100", tostring(list))
  end)

  it("are refused where they are none", function()
    local map = filled()
    local function refused(pattern, given)
      local ok, err = pcall(function() map:aggregate(given) end)
      assert.is_false(ok)
      assert.matches(pattern, tostring(err))
    end
    refused("group: [^\n]*computed_spec.lua:%d+: a struct or a list is no group; name its fields",
      { group = function(key) return key end })
    refused("group: [^\n]*computed_spec.lua:%d+: column 'x' is a struct or a list, which",
      { group = function(key) return { x = { key.port } } end })
    refused("group: [^\n]*computed_spec.lua:%d+: one result is taken",
      { group = function(key, value) return key.port, value.packets end })
    refused("there are two columns 'n'; name one otherwise",
      { group = function(key) return { n = key.port } end, select = "count() as n" })
    refused("computed_spec.lua:%d+: aggregate: option 'reset' goes with groups in text",
      { group = function(key) return key.port end, select = "sum(value.bytes)", reset = true })
    refused("computed_spec.lua:%d+: aggregate: sort: no column 'x'; there are group, count",
      { group = function(key) return key.port end, sort = "x" })
    refused("computed_spec.lua:%d+: aggregate: workers do not run this function: ",
      { group = function(key) return key.addr .. "" end, workers = 2 })
    refused("computed_spec.lua:%d+: aggregate: option 'select': [^\n]*expected, got function",
      { group = "key.port", select = print })
    refused("params.x: no such parameter", { group = function(key) return key.port end,
      params = { x = 1 } })
  end)

  it("end where they need more than the memory allowed", function()
    local map = filled()
    local list, message = map:aggregate { group = function(key) return key.port .. "" end,
      memory = 4096 }
    assert.is_nil(list)
    assert.matches("memory", message)
  end)
end)
