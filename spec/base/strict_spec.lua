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

  it("says what to write in place of what people look for", function()
    local map = helper.map()
    assert.matches("no method 'name'; write map:info%(%).name$",
      message_of(function() return map.name() end))
    assert.matches("write map:lookup%(key%)$", message_of(function() local _ = map:get(1) end))
  end)

  it("is silent where a method is looked for and not called", function()
    local map = helper.map()
    assert.is_nil(map.fold2)
    if map.fold2 then map:fold2() end
    local has = map.fold2 ~= nil and map.fold2() or "none"
    assert.equal("none", has)
    assert.is_nil(map[1])
    assert.is_nil(map.__name)
  end)

  it("may be a module", function()
    assert.matches("strict_spec.lua:%d+: luabpf has no function 'opne'; did you mean 'open'%?$",
      message_of(function() local _ = bpf.opne "x" end))
    assert.is_nil(bpf.opne)
    local conntrack = require "luabpf.conntrack"
    assert.matches("conntrack has no function 'strt'; did you mean 'start'",
      message_of(function() conntrack.strt() end))
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
end)

describe("an option that there is not", function()
  it("is named with the closest one", function()
    local map <close> = helper.map()
    assert.matches("select: unknown option 'wher'; did you mean 'where'%?$",
      message_of(function() map:select { wher = "value == 1" } end))
  end)
end)
