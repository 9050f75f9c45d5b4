-- SPDX-License-Identifier: MIT
--
-- No argument of any function crashes the interpreter or hangs it, and what is raised
-- says what was wrong. The functions come from the registration tables, see
-- spec/support/misuse.lua; each group runs in a process of its own, under the sanitizers
-- in `make asan`.

local bpf = require "luabpf"
local core = require "luabpf.core"
local helper = require "spec.support.helper"
local misuse = require "spec.support.misuse"
local support = require "spec.support.objects"

-- Seconds that a group may take; it takes about one, more under the sanitizers.
local LIMIT <const> = 300

local function read(path)
  local file <close> = assert(io.open(path))
  return file:read "a"
end

-- Runs one group: what it printed, and the call that was being made when it ended.
local function run(group, cgroup)
  local journal = os.tmpname()
  local output = support.elsewhere(("timeout %d"):format(LIMIT), ([[
    require("spec.support.misuse").run(%q, %q, %q)
  ]]):format(group, journal, cgroup))
  local last = read(journal):match "[^\n]*"
  os.remove(journal)
  return output, last
end

describe("misuse", function()
  local cgroup

  setup(function() cgroup = support.make_cgroup() end)
  teardown(function()
    support.remove_cgroup(cgroup)
    -- A number is a path too, which exports write.
    for _, name in ipairs { "0", tostring(math.mininteger) } do os.remove(name) end
  end)

  for _, group in ipairs(misuse.groups()) do
    it("of " .. group .. " is answered", function()
      local output, last = run(group, cgroup)
      assert(output:find "done %d+ calls\n$", ("ended in %s:\n%s"):format(last, output))
      assert.equal(1, select(2, output:gsub("\n", "\n")), output)
    end)
  end

  it("covers every class", function()
    local names = {}
    for _, group in ipairs(misuse.groups()) do names[group] = true end
    for class in pairs(core.classes) do assert(names[class:match "[%w_]+$"], class) end
  end)
end)

describe("a finalizer", function()
  -- Finalizers run in the reverse order of their making: the map's before this one.
  it("may read a batch of a map that is collected with it", function()
    local seen
    local holder = setmetatable({}, { __gc = function(self)
      seen = { self.batch:key(1), self.batch:value(1) }
    end })
    do
      local map = assert(bpf.create { type = "hash", key = { "u32 a" }, value = { "u64 n" } })
      map:update({ a = 1 }, { n = 2 })
      holder.batch = map:batches()():copy()
    end
    holder = nil -- luacheck: ignore 311
    collectgarbage()
    collectgarbage()
    assert.same({ { a = 1 }, { n = 2 } }, seen)
  end)
end)

describe("an error of misuse", function()
  after_each(helper.close_all)

  local function message_of(f, ...)
    local ok, message = pcall(f, ...)
    assert.is_false(ok)
    return tostring(message)
  end

  it("says which option is unknown", function()
    local map = helper.map()
    assert.matches("create: unknown option 'size'",
      message_of(bpf.create, { type = "hash", size = 1 }))
    assert.matches("open: unknown option 'pin'", message_of(bpf.open, { pin = "x" }))
    assert.matches("batches: unknown option 'size'", message_of(map.batches, map, { size = 1 }))
    assert.matches("unknown option 'rwa'", message_of(map.lookup, map, 1, { rwa = true }))
    assert.matches("unknown option 'mdoe'",
      message_of(map.update_batch, map, { 1 }, { 1 }, { mdoe = "any" }))
  end)

  it("is worded alike from C and from Lua", function()
    local map = helper.map()
    local stack = helper.map { type = "stack", value = "u32" }
    for _, case in ipairs {
      { "lookup: option 'raw': boolean expected, got string", map.lookup, map, 1, { raw = "no" } },
      { "lookup: unknown option 'rwa'; did you mean 'raw'?", map.lookup, map, 1, { rwa = true } },
      { "lookup: table of options expected, got number", map.lookup, map, 1, 5 },
      { "update: option 'mode': \"any\", \"noexist\", \"exist\" expected, got \"all\"",
        map.update, map, 1, 1, { mode = "all" } },
      { "update: option 'mode': \"any\", \"noexist\", \"exist\" expected, got 1", map.update, map,
        1, 1, { mode = 1 } },
      { "push: option 'mode': \"any\", \"exist\" expected, got \"noexist\"", stack.push, stack, 1,
        { mode = "noexist" } },
      { "pop: option 'raw': boolean expected, got number", stack.pop, stack, { raw = 1 } },
      { "lookup_batch: option 'status': boolean expected, got number", map.lookup_batch, map, { 1 },
        { status = 0 } },
      { "update_batch: option 'mode': \"any\", \"noexist\", \"exist\" expected, got \"all\"",
        map.update_batch, map, { 1 }, { 1 }, { mode = "all" } },
      { "delete_batch: unknown option 'mode'", map.delete_batch, map, { 1 }, { mode = "any" } },
      { "count: option 'exact': boolean expected, got number", map.count, map, nil,
        { exact = 1 } },
      { "load: option 'maps': table expected, got string", bpf.load, "x", { maps = "y" } },
    } do
      local message = message_of(table.unpack(case, 2))
      assert.equal(case[1], message:match "^.-misuse_spec%.lua:%d+: (.*)$" or message)
    end
  end)

  it("says which class was expected, and what came", function()
    local map = helper.map()
    assert.matches("luabpf%.map expected, got nil", message_of(map.lookup, nil))
    assert.matches("luabpf%.map expected, got string", message_of(map.describe, "x"))
    assert.matches("luabpf%.map expected, got FILE%*", message_of(map.info, io.stdout))
  end)

  it("says that a handle is closed", function()
    local map = helper.map()
    map:close()
    for _, name in ipairs { "lookup", "info", "head", "count", "batches", "clear", "describe" } do
      assert.matches("map is closed", message_of(map[name], map, 1), name)
    end
  end)

  it("of a quantity says what it may be, whatever else was passed", function()
    assert.matches('duration: integer or text such as "30s" expected, got "x"',
      message_of(bpf.duration, "x", 1, {}))
    assert.matches('size: integer or text such as "64MiB" expected, got nil',
      message_of(bpf.size, nil, 1, {}))
  end)

  it("blames the line of the caller", function()
    local map = helper.map()
    local snapshot <close> = map:snapshot()
    local function nothing() end
    for _, call in ipairs {
      function() local ns = bpf.duration "x" return ns end,
      function() local bytes = bpf.size(-1) return bytes end,
      function() bpf.sleep(-1) end,
      function() bpf.sleep "x" end,
      function() map:count("true", { memory = -1 }) end,
      function() map:count("true", { budget = "x" }) end,
      function() map:explain { budget = -1 } end,
      function() map:export(nothing, { checkpoint_interval = -1 }) end,
      function() map:parallel { map = nothing, where = 5 } end,
      function() map:parallel { map = nothing, batch_size = 0 } end,
      function() map:parallel { map = nothing, where = nothing, params = {} } end,
      function() snapshot:diff(snapshot, { memory = -1 }) end,
      function() snapshot:diff(snapshot, { memory = "x" }) end,
    } do
      local line = debug.getinfo(call, "S").linedefined
      assert.matches("misuse_spec.lua:" .. line .. ": ", message_of(call))
    end
  end)
end)
