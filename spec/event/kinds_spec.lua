-- SPDX-License-Identifier: MIT
--
-- What records are called (lua/luabpf/event/kinds.lua): the option `layout` of readers and writers.

local bpf = require "luabpf"
local helper = require "spec.support.helper"

local raises = helper.raises

describe("the layout of events", function()
  local object, ring

  before_each(function()
    object = assert(bpf.load "bpf/events.bpf.o")
    ring = object.maps.ring
  end)
  after_each(function() object:close() end)

  -- The first record of a reader with that layout.
  local function first(layout)
    local reader <close> = assert(ring:reader { layout = layout, take = true })
    assert(object.programs.send:run())
    return reader:next "1s"
  end

  it("is a name, however it is spaced, or declarations that say the same", function()
    local one = first "struct event"
    assert.equal(0, one.number)
    assert.same({ "comm", "cpu", "length", "number", "rest", "when" }, (function()
      local names = {}
      for name in pairs(one) do names[#names + 1] = name end
      table.sort(names)
      return names
    end)())
    assert.equal(1, first("struct  event").number)
    assert.equal(2, first({ "u64 number", "bytes rest[]" }).number)
  end)

  it("may be told by a field", function()
    local reader <close> = assert(ring:reader { take = true, layout = { field = "number",
      [0] = { "u64 number", "bytes first[]" }, [1] = { "u64 number", "bytes second[]" } } })
    for _ = 1, 3 do assert(object.programs.send:run()) end
    assert.is_string(reader:next("1s").first)
    assert.is_string(reader:next("1s").second)
    local bytes, why = reader:next "1s"
    assert.is_string(bytes)
    assert.equal("no layout for records with number = 2", why)
  end)

  it("is refused where it is none, at the caller's line", function()
    local kind = { "u32 kind" }
    local many = { field = "kind" }
    for i = 1, 257 do many[i] = kind end
    for message, layout in pairs {
      ["layout: \"frob\": no type 'frob'"] = "frob",
      ["option 'layout': the tag of a record is an integer, got first"] = { field = "kind",
        first = kind },
      ["option 'layout': field: string expected, got number"] = { field = 7, [1] = kind },
      ["option 'layout': no layouts beside field = \"kind\""] = { field = "kind" },
      ["option 'layout': more than 256 kinds of records"] = many,
      ["has no integer field 'sort' to tell records by"] = { field = "sort", [1] = kind },
      ["lies elsewhere than in"] = { field = "kind", [1] = kind,
        [2] = { "u32 other", "u32 kind" } },
    } do
      raises(message, function() ring:reader { layout = layout } end)
    end
    local _, message, errno = ring:reader { layout = "struct frob" }
    assert.matches("no BTF of the programs that use this map has struct frob: ", message)
    assert.equal(bpf.errno.ENOENT, errno)
  end)
end)
