-- SPDX-License-Identifier: MIT
--
-- Methods on what they are not of, and on handles that are closed: the error says what was expected
-- where it was called, at the script's line, for all classes; and odd values in events.

local bpf = require "luabpf"
local core = require "luabpf.core"
local helper = require "spec.support.helper"
local odd = require "spec.support.odd"

local OTHERS <const> = { 1, 0.5, true, "x", {}, print, io.stdout, coroutine.create(print) }

-- What a call raises, where it is one of misuse; fails if it says something of luabpf's inside.
local function raised(what, f, ...)
  local ok, message = pcall(f, ...)
  if ok then return nil end
  message = tostring(message)
  assert(not message:find "attempt to " and not message:find "luabpf/[%w_/]+%.lua:%d",
    what .. ": " .. message)
  return message
end

local object

local function with_object()
  object = object or assert(bpf.load "bpf/events.bpf.o")
  return object.maps
end

-- Handles by class, newly made.
local MAKERS <const> = {
  map = function() return assert(bpf.create { type = "hash", key = "u32", value = "u32" }) end,
  snapshot = function() return assert(helper.map():snapshot()) end,
  reader = function() return assert(with_object().ring:reader { take = true }) end,
  writer = function() return assert(with_object().commands:writer {}) end,
  timer = function() return assert(bpf.timer "1h") end,
  signals = function() return assert(bpf.signals "USR2") end,
}

-- Those of a class; help prints.
local function methods(class)
  local all = {}
  for name, method in pairs(core.classes["luabpf." .. class]) do
    if type(method) == "function" and name ~= "help" then all[name] = method end
  end
  return pairs(all)
end

describe("a method", function()
  after_each(helper.close_all)
  teardown(function() if object then object:close() end end)

  for class, make in pairs(MAKERS) do
    it(("of a %s refuses what is none"):format(class), function()
      for name, method in methods(class) do
        for _, other in ipairs(OTHERS) do
          local message = raised(name, method, other)
          -- What needs no handle answers anyway, or says what else is wrong.
          assert(not message or message:find("luabpf." .. class .. " expected", 1, true)
            or not message:find "expected, got no", name .. ": " .. tostring(message))
        end
      end
    end)

    it(("of a closed %s says that it is closed, or nothing"):format(class), function()
      local handle, said = make(), 0
      handle:close()
      for name, method in methods(class) do
        local message = raised(name, method, handle)
        if message and message:find "is closed" then said = said + 1 end
      end
      assert.is_true(said > 0)
    end)
  end
end)

describe("odd values in events", function()
  after_each(helper.close_all)
  teardown(function() if object then object:close() end end)

  it("are refused at the caller's line", function()
    local maps, n = with_object(), 0
    for _, value in ipairs(odd.VALUES) do
      if value == odd.NOTHING then value = io.stdout end
      for _, try in ipairs {
        function() return bpf.timer(value) end,
        function() return bpf.signals(value) end,
        function() return bpf.signals("USR2", value) end,
        function() return bpf.poll(value, 0) end,
        function() return bpf.poll({ value }, 0) end,
        function() return maps.ring:reader { take = true, layout = value } end,
        function() return maps.ring:reader { take = true, layout = { field = value, "u32" } } end,
        function() return maps.ring:reader { take = true, layout = { field = "n", value } } end,
        function() return maps.ring:reader { take = true, pages = value } end,
        function() return maps.ring:reader(value) end,
        function() return maps.commands:writer { layout = value } end,
      } do
        local made
        if raised(tostring(value), function() made = try() end) then n = n + 1 end
        if type(made) == "userdata" then made:close() end
      end
    end
    assert.is_true(n > 100)
  end)

  it("that are waited for are refused where they have no descriptor", function()
    local function pollable(fd, timeout)
      return { pollfd = function() return fd end, timeout = function() return timeout end }
    end
    for _, each in ipairs { pollable(nil), pollable "x", pollable(1.5), pollable(0, "soon"),
      pollable({}), { pollfd = 1.5 }, { pollfd = -1 }, { pollfd = 1 << 32 }, pollable(1 << 31) } do
      assert.matches("self_spec.lua:%d+: poll: ", raised("poll", function()
        local ready = bpf.poll({ each }, 0)
        return ready
      end))
    end
    local tick <close> = bpf.timer "1h"
    assert.same({}, bpf.poll({ tick, pollable(tick:pollfd(), 1e300) }, "1ms"))
    assert.equal(1, #bpf.poll({ tick, pollable(tick:pollfd(), -1) }, "1ms"))
  end)
end)
