-- SPDX-License-Identifier: MIT
--
-- What fits text into a room.

local room = require "luabpf.show.room"

describe("a room where all is shown", function()
  it("cuts nothing, and is as wide", function()
    local function state() return room.columns(), room.lines(), room.cuts() end
    assert.same({ 60, 24, true }, { room.within(60, 24, state) })
    assert.same({ 60, 24, false }, { room.within(60, 24, room.whole, state) })
    assert.same({ n = 3, [3] = false }, table.pack(room.whole(state)))
    assert.same({ 60, 24, true }, { room.within(60, 24, function()
      pcall(room.whole, error, "x")
      return state()
    end) })
  end)
end)

describe("a room", function()
  it("is in force while a function runs, and as before afterwards, by an error too", function()
    assert.is_nil(room.columns())
    assert.same({ 80, 24, 1, nil, 2 }, { room.within(80, 24, function(...)
      return room.columns(), room.lines(), ...
    end, 1, nil, 2) })
    room.within(80, 24, function()
      assert.is_false(pcall(room.within, 60, 10, error, "no"))
      assert.equal(80, room.columns())
    end)
    assert.is_nil(room.columns())
  end)

  it("is as wide as text is on a terminal", function()
    for text, width in pairs { abc = 3, ["gr\xc3\xbcn"] = 4, ["\xe6\x97\xa5"] = 2,
      ["e\xcc\x81"] = 1, ["\xff\xfe"] = 2, [""] = 0, ["\xf0\x9f\x98\x80"] = 2 } do
      assert.equal(width, room.width(text), text)
    end
  end)

  it("cuts text with an ellipsis, wide characters as a whole", function()
    assert.equal("abc", room.cut("abc", 3))
    assert.equal("ab" .. room.ELLIPSIS, room.cut("abcdef", 2 + room.width(room.ELLIPSIS)))
    assert.equal("", room.cut("abc", 0))
    local wide = ("\xe6\x97\xa5"):rep(10)
    for columns = 1, 20 do assert(room.width(room.cut(wide, columns)) <= columns) end
  end)

  it("breaks lines at blanks, and words that are too long", function()
    assert.same({ "one two", "three" }, room.wrap("one two three", 8))
    assert.same({ "abcde", "fgh" }, room.wrap("abcdefgh", 5))
    assert.same({ "a", "", "b" }, room.wrap("a\n\nb", 5))
    assert.same({ "abcd", "efgh" }, room.wrap("abcd efgh", 4))
    local text = ("lorem ipsum dolor "):rep(20)
    for columns = 1, 60 do
      local lines = room.wrap(text, columns)
      for _, line in ipairs(lines) do assert(room.width(line) <= columns) end
      assert.equal((text:gsub("%s", "")), (table.concat(lines):gsub("%s", "")))
    end
  end)

  it("groups digits", function()
    for n, text in pairs { [0] = "0", [999] = "999", [1000] = "1,000", [1204332] = "1,204,332",
      [-123456] = "-123,456" } do
      assert.equal(text, room.grouped(n))
    end
  end)
end)
