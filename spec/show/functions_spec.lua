-- SPDX-License-Identifier: MIT
--
-- How functions are called in what the prompt shows.

local bpf = require "luabpf"
local functions = require "luabpf.show.functions"
local helper = require "spec.support.helper"

describe("a function as text", function()
  after_each(helper.close_all)

  it("is called as its module, its class, or bpf.iter has it", function()
    assert.equal("function print", functions.text(print))
    assert.equal("function string.format", functions.text(string.format))
    assert.equal("function bpf.now", functions.text(bpf.now))
    assert.equal("function bpf.iter.take", functions.text(bpf.iter.take))
    assert.equal("function map:select", functions.text(helper.map().select))
  end)

  it("is where it was written, else", function()
    assert.matches("^function at .*functions_spec.lua:%d+$", functions.text(function() end))
    assert.equal("function in C", functions.text(coroutine.wrap(function() end)))
  end)
end)
