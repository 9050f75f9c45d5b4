-- SPDX-License-Identifier: MIT
--
-- Views of the records of a batch: the same as the tables, of kinds that come in any order, in
-- loops within each other, and stale when their batch is.

local bpf = require "luabpf"
local helper = require "spec.support.helper"

local raises = helper.raises

local KINDS <const> = { field = "kind", [1] = "struct opened", [2] = "struct closed" }

describe("views of records", function()
  local object, ring, globals, programs

  before_each(function()
    object = assert(bpf.load "bpf/events.bpf.o")
    ring, globals, programs = object.maps.ring, object.globals, object.programs
  end)
  after_each(function() object:close() end)

  -- One or two of both kinds, and some that fit none, in an order that differs from time to time.
  local function send_mixed(n)
    for _ = 1, n do
      if math.random(3) == 1 then
        globals.size = math.random(64)
        assert(programs.send_any:run())
      else
        assert(programs.send_kinds:run())
      end
    end
  end

  it("are as the tables are, whatever kinds come after each other", function()
    local reader <close> = assert(ring:reader { layout = KINDS })
    local kinds = {}
    for _ = 1, 20 do
      send_mixed(30)
      for batch in reader:batches { timeout = "0s", batch_size = math.random(40) } do
        local i, shown = 0, {}
        for view, reason in batch:views() do
          i = i + 1
          local event, why = batch:record(i)
          assert.same({ event, why }, { bpf.copy(view), reason })
          local kind = type(event) == "table" and event.kind or "none"
          if kind ~= "none" then
            shown[kind] = shown[kind] or view -- one view of each kind, which moves along
            assert.is_true(rawequal(shown[kind], view))
          end
          kinds[kind] = (kinds[kind] or 0) + 1
        end
        assert.equal(#batch, i)
      end
    end
    assert.is_true(kinds[1] > 20 and kinds[2] > 20 and kinds.none > 20)
  end)

  it("are each loop's own, in loops within each other", function()
    local reader <close> = assert(ring:reader { layout = "struct event" })
    globals.times = 5
    assert(programs.send:run())
    for batch in reader:batches { timeout = "0s" } do
      local seen = {}
      for outer in batch:views() do
        for inner in batch:views() do
          assert.not_equal(outer, inner)
          seen[#seen + 1] = outer.number * 10 + inner.number
        end
      end
      for i = 0, 24 do assert.equal(i // 5 * 10 + i % 5, seen[i + 1]) end
    end
  end)

  it("of the batches of one reader are apart, and stale with them", function()
    local reader <close> = assert(ring:reader { layout = KINDS })
    local kept = {}
    for _ = 1, 3 do
      assert(programs.send_kinds:run())
      for batch in reader:batches { timeout = "0s" } do
        for view in batch:views() do kept[#kept + 1] = view end
        for _, view in ipairs(kept) do raises("stale", function() return view.kind end) end
      end
    end
    assert.equal(6, #kept)
    for i = 1, 6 do
      for j = 1, i - 1 do assert.not_equal(kept[i], kept[j]) end
    end
  end)
end)
