-- SPDX-License-Identifier: MIT
--
-- What may run between two steps of C: finalizers, debug hooks that raise, __gc called by hand,
-- a handle that is closed meanwhile.

local helper = require "spec.support.helper"

local getinfo <const>, sethook <const>, pcall <const> = debug.getinfo, debug.sethook, pcall

local VALUE <const> = { "u64 a", "char t[40]", "u32 list[4]", "u64 z" }

local function record(i)
  return { a = i, t = ("t%d"):format(i), list = { i, i, i, i }, z = i }
end

-- More than is copied without memory from Lua.
local LARGE <const> = { "u64 a", "char t[40]", "u32 list[4]", "char rest[2000]", "u64 z" }

local function filled(n, value)
  local map = helper.map { max_entries = n, value = value or VALUE }
  local keys, values = {}, {}
  for i = 1, n do keys[i], values[i] = i, record(i) end
  assert.equal(n, map:update_batch(keys, values))
  return map
end

-- Calls with a hook that raises once, at the n-th call or return; whether it got that far.
local function interrupted(n, call)
  local raised = false
  local ok, message = pcall(function()
    sethook(function()
      local called = getinfo(2, "f").func
      if called == pcall or called == sethook then return end
      n = n - 1
      if n > 0 then return end
      sethook()
      raised = true
      error("interrupted!", 0)
    end, "cr")
    call()
    sethook()
  end)
  sethook()
  assert(ok or raised, message)
  return raised
end

describe("[fault 12] between two steps", function()
  after_each(function()
    collectgarbage("incremental")
    helper.close_all()
  end)

  it("a finalizer that closes the cursor leaves no batch of freed memory", function()
    local map = helper.map { max_entries = 20000 }
    local keys, wrong = {}, 0
    for i = 1, 20000 do keys[i] = i end
    assert.equal(20000, map:update_batch(keys, keys))
    collectgarbage("generational")
    local function look(cursor)
      for batch in cursor.next, cursor do
        for i = 1, #batch do
          if batch:key(i) ~= batch:value(i) then wrong = wrong + 1 end
        end
      end
    end
    for _ = 1, 150 do
      local _, _, _, cursor = map:entries(64)
      setmetatable({}, { __gc = function()
        cursor:close()
        for _ in map:batches(8000) do break end
        local junk = {}
        for i = 1, 200 do junk[i] = ("\xee"):rep(1000 + i) end
        assert(#junk == 200)
      end })
      pcall(look, cursor)
    end
    assert.equal(0, wrong)
  end)

  for size, layout in pairs { small = VALUE, large = LARGE } do
    it("a finalizer that closes the cursor while a " .. size .. " entry is decoded changes nothing "
      .. "of it", function()
      local map, wrong, closed = filled(4000, layout), 0, 0
      collectgarbage("generational")
      local function look(batch, i)
        local key, value = batch:key(i), batch:value(i)
        if value.a ~= key or value.z ~= key or value.t ~= "t" .. key then wrong = wrong + 1 end
        for n = 1, 4 do
          if value.list[n] ~= key then wrong = wrong + 1 end
        end
      end
      for _ = 1, 150 do
        local _, _, _, cursor = map:entries(256)
        local batch = cursor:next()
        setmetatable({}, { __gc = function()
          closed = closed + 1
          cursor:close()
          -- Another scan takes the memory, for other entries.
          local other <close> = select(4, map:entries(256))
          other:next()
          other:next()
        end })
        for i = 1, #batch do
          -- What is lent no more is refused.
          if not pcall(look, batch, i) then break end
        end
      end
      collectgarbage()
      assert.is_true(closed > 50)
      assert.equal(0, wrong)
    end)
  end

  it("__gc of a map by hand is closing it", function()
    local process = helper.process [[
      collectgarbage("generational")
      local map = assert(bpf.create { type = "hash", key = "u32", max_entries = 4000,
        value = { "u64 a", "char t[40]", "char u[40]", "u64 z" } })
      for i = 1, 4000 do map:update(i, { a = i, t = "t", u = ("u"):rep(30) .. i, z = i }) end
      for _ in map:entries() do end   -- entries are made by a function from now on
      local gc = getmetatable(map).__gc
      local wrong = 0
      local ok, message = pcall(function()
        for key, value in map:entries() do
          if value.a ~= key or value.u ~= ("u"):rep(30) .. key then wrong = wrong + 1 end
          if key % 10 == 0 then setmetatable({}, { __gc = function() gc(map) end }) end
        end
      end)
      collectgarbage()
      print(wrong, map, ok or message:match("map is closed"))
    ]]
    local text = process:read("a")
    process:close()
    assert.truthy(text:find("^0\tluabpf.map %(closed%)\t"), text)
    assert.truthy(text:find("true\n$") or text:find("map is closed\n$"), text)
  end)

  it("a hook that raises leaves the cursor usable", function()
    local map = filled(2000)
    for _ in map:entries() do end   -- entries are made by a function from now on
    for n = 1, 12 do
      local seen, raised = {}, false
      for batch in map:batches(256) do
        if not raised then
          raised = interrupted(n, function()
            for _ in batch:entries() do end
          end)
          interrupted(n, function() batch:keys() end)
          interrupted(n, function() batch:values() end)
        end
        for key, value in batch:entries() do
          assert.equal(key, value.z)
          seen[#seen + 1] = key
        end
      end
      assert.equal(2000, #seen)
    end
  end)

  it("a hook that raises leaves rows, snapshots, comparisons and imports usable", function()
    local map = filled(300)
    local old <close> = assert(map:snapshot())
    for i = 1, 300 do map:update(i, record(i + 1)) end
    local new <close> = assert(map:snapshot())
    for n = 1, 40 do
      interrupted(n, function() for _ in new:entries() do end end)
      interrupted(n, function() for _ in new:diff(old) do end end)
      interrupted(n, function()
        for row in map:select { columns = "key, value.t" } do assert(row.t) end
      end)
      interrupted(n, function()
        for _, value in map:select { where = "value.z > 3" } do assert(value) end
      end)
    end
    local changed = 0
    for change in new:diff(old) do
      assert.equal("changed", change.status)
      assert.equal(1, change.delta.z)
      changed = changed + 1
    end
    assert.equal(300, changed)
    assert.equal(300, map:count("value.z > 0"))
  end)

  it("a comparison that a finalizer closes is over", function()
    local map = filled(300)
    local old <close> = assert(map:snapshot())
    for i = 1, 300 do map:update(i, record(i + 1)) end
    local new <close> = assert(map:snapshot())
    collectgarbage("generational")
    for _ = 1, 50 do
      local step, state, control, closing = new:diff(old)
      setmetatable({}, { __gc = function()
        local close = getmetatable(closing or step)
        if close and close.__close then close.__close(closing) end
      end })
      pcall(function()
        for change in step, state, control do
          assert(change.new.z == change.old.z + 1)
        end
      end)
    end
    assert.equal(300, map:count())
  end)
end)
