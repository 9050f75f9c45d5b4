-- SPDX-License-Identifier: MIT
--
-- Maps that are being made: what an error leaves of them. spec/faults/undone_spec.lua has errors
-- at each place.

local bpf = require "luabpf"
local helper = require "spec.support.helper"
local unfinished = require "luabpf.map.unfinished"

describe("a map that is being made", function()
  after_each(helper.close_all)

  -- A pinned map that an error leaves, handed over before it if so; the map there now.
  local function left(replaced, handed)
    local map, path = helper.map(), helper.pin()
    pcall(function()
      local half <close> = unfinished.new(replaced and path)
      half.map = map
      assert(map:pin(path))
      if handed then half.map = nil end
      error "left"
    end)
    local there <close> = bpf.open(path)
    local is_there = there ~= nil
    if is_there then os.remove(path) end
    return is_there, pcall(map.info, map)
  end

  it("goes with its pin", function()
    local there, open = left(false, false)
    assert.is_false(there)
    assert.is_false(open)
  end)

  it("keeps a pin that was another map's", function()
    assert.is_true((left(true, false)))
  end)

  it("is its caller's once it was handed over", function()
    local there, open = left(false, true)
    assert.is_true(there)
    assert.is_true(open)
  end)
end)
