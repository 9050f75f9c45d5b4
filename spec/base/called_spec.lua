-- SPDX-License-Identifier: MIT

local called = require "luabpf.base.called"

-- What is asked of whoever looks for a field that there is not.
local function probe(ask)
  return setmetatable({}, { __index = function(_, name) return ask(name) or nil end })
end

describe("what a line does with a name", function()
  local asked
  local t = probe(function(name)
    asked = called.as(name, 3)
    return function() end
  end)

  it("is told as a call of a method or a function", function()
    t:go(1, 2)
    assert.is_true(asked)
    t.go(1, { 2 })
    assert.is_true(asked)
    local _ = t.go
    assert.is_false(asked)
    if t.go then asked = asked or nil end
    assert.is_false(asked or false)
    local has = t.go and t.go() or 1
    assert.truthy(has)
    assert.is_false(asked)
    assert(load("local t = ... t:go() if true then for i = 1, 3 do t.go(i) end end"))(t)
    assert.is_true(asked)
  end)

  it("is told in long functions, whose lines are far apart", function()
    local long = "local t, x = ...\n" .. ("x = { 1 }\n"):rep(400) .. ("\n"):rep(300)
    assert(load(long .. "t:go()"))(t)
    assert.is_true(asked)
    assert(load(long .. "x = t.go"))(t)
    assert.is_false(asked)
  end)

  it("is not known of stripped functions", function()
    local fn = load(string.dump(load "local t = ... t:go()", true))
    fn(t)
    assert.is_false(asked)
  end)

  it("is told of a loop", function()
    local function loops() return called.in_loop(2) end
    for answer in function(_, last) if last == nil then return loops() end end do
      assert.is_false(answer)
    end
    local seen
    local function list()
      seen = called.in_loop(2)
      return next, {}
    end
    for _ in list() do seen = nil end
    assert.is_true(seen)
    local _ = list()
    assert.is_false(seen)
  end)
end)
