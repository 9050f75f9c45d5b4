-- SPDX-License-Identifier: MIT
--
-- What is said of methods that there are not.

local bpf = require "luabpf"
local helper = require "spec.support.helper"

local function message_of(fn)
  local ok, message = pcall(fn)
  assert.is_false(ok)
  return message
end

describe("a handle", function()
  after_each(helper.close_all)

  it("names the method that it has not, and the closest one, where it was called", function()
    local map = helper.map()
    local line = debug.getinfo(1, "l").currentline + 1
    local message = message_of(function() map:updat(1, 2) end)
    assert.equal(("spec/base/strict_spec.lua:%d: map has no method 'updat'; did you mean 'update'?")
      :format(line), message)
    assert.matches("map has no method 'frobnicate'$", message_of(function() map:frobnicate() end))
  end)

  it("says where what people look for is", function()
    local map = helper.map()
    assert.matches("that is map:info%(%).name$", message_of(function() return map.name end))
    assert.matches("that is map:lookup%(key%)$", message_of(function() return map:get(1) end))
    assert.matches("map has methods, not elements", message_of(function() return map[1] end))
  end)

  it("of every class does so", function()
    local map = helper.map()
    map:update(1, 1)
    for batch in map:batches() do
      assert.matches("batch has no method 'kees'; did you mean 'keys'",
        message_of(function() batch:kees() end))
    end
    local snapshot <close> = assert(map:snapshot())
    assert.matches("snapshot has no method 'dif'; did you mean 'diff'",
      message_of(function() snapshot:dif() end))
    local object <close> = assert(bpf.load "bpf/objects.bpf.o")
    assert.matches("object has no method 'clos'; did you mean 'close'",
      message_of(function() object:clos() end))
    local program = object.programs.count_xdp
    assert.matches("program has no method 'attahc'; did you mean 'attach'",
      message_of(function() program:attahc() end))
    assert.equal("count_xdp", program.name)
  end)

  it("is silent to tools, which look for names with an underscore", function()
    local map = helper.map()
    assert.is_nil(map.__name)
    assert.is_nil(map._x)
  end)
end)

describe("an option that there is not", function()
  it("is named with the closest one", function()
    local map <close> = helper.map()
    assert.matches("select: unknown option 'wher'; did you mean 'where'%?$",
      message_of(function() map:select { wher = "value == 1" } end))
  end)
end)
