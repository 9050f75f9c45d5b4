-- SPDX-License-Identifier: MIT
--
-- Cells of values that stores are put into (lua/luabpf/expr/cells.lua).

local cells = require "luabpf.expr.cells"

local function place(bit, size, bits)
  return { desc = { kind = "int", size = size }, bit = bit, bits = bits }
end

local function cell_of(...)
  local found = cells.of(place(...), 24)
  return { found.offset, found.size, found.how }
end

describe("the cell of a field", function()
  it("is the word itself, or the aligned one around it", function()
    assert.same({ 8, 8, "exchange" }, cell_of(64, 8))
    assert.same({ 4, 4, "exchange" }, cell_of(32, 4))
    assert.same({ 4, 4, "exchange" }, cell_of(40, 1))
    assert.same({ 4, 4, "exchange" }, cell_of(48, 2))
    assert.same({ 4, 4, "exchange" }, cell_of(35, 8, 20))
    assert.same({ 8, 8, "exchange" }, cell_of(64, 8, 40))
  end)

  it("is plain where there is no such word", function()
    assert.same({ 1, 8, "plain" }, cell_of(8, 8))
    assert.same({ 3, 2, "plain" }, cell_of(24, 2))
    local found = cells.of(place(32, 1), 6)
    assert.same({ 4, 1, "plain" }, { found.offset, found.size, found.how })
  end)

  it("is none for what lies in more than 8 bytes", function()
    local none, why = cells.of(place(7, 8, 64), 24)
    assert.is_nil(none)
    assert.equal("it lies in more than 8 bytes", why)
  end)
end)

describe("cells of several stores", function()
  local function store(...)
    local at = place(...)
    return { cell = cells.of(at, 24), at = at.bit, name = "f" .. at.bit }
  end

  it("are shared by fields of one word", function()
    local list = { store(8, 1), store(0, 1), store(64, 8) }
    local made = cells.share(list)
    assert.equal(2, #made)
    assert.same({ 0, 8, 64 }, { list[1].at, list[2].at, list[3].at })
    assert.same({ 0, 0, 1 }, { list[1].word, list[2].word, list[3].word })
    assert.same({ 0, 8, 0 }, { list[1].bit, list[2].bit, list[3].bit })
  end)

  it("grow where fields of words of two sizes overlap, and bits move with them", function()
    local list = { store(104, 1), store(84, 8, 15) }
    local made = cells.share(list)
    assert.same({ { offset = 8, size = 8, how = "exchange" } }, made)
    assert.same({ 20, 40 }, { list[1].bit, list[2].bit })
  end)

  it("cannot be shared with plain ones", function()
    assert.has_error(function() cells.share { store(24, 2), store(32, 1) } end,
      "f24 and f32 share bytes and cannot be changed in one call")
  end)
end)
