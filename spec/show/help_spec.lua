-- SPDX-License-Identifier: MIT
--
-- bpf.help and the help of handles. What the texts say of functions is reference_spec's.

local bpf = require "luabpf"
local help = require "luabpf.show.help"
local helper = require "spec.support.helper"
local room = require "luabpf.show.room"

-- What a function prints.
local function printed(fn)
  local lines, real = {}, _G.print
  rawset(_G, "print", function(text) lines[#lines + 1] = text end)
  local ok, message = pcall(fn)
  rawset(_G, "print", real)
  assert(ok, message)
  return table.concat(lines, "\n")
end

describe("help", function()
  after_each(helper.close_all)

  it("of a method has how it is called, its options, results, errors, an example", function()
    local text = help.text "map:count"
    assert.matches("^map:count%(%[where %[, options%]%]%)\n\nHow many entries match", text)
    assert.matches("* options.workers (integer): threads", text, 1, true)
    assert.matches("Default: 1.", text, 1, true)
    assert.matches("Gives integer: how many", text, 1, true)
    assert.matches("\n    print(map:count()", text, 1, true)
    assert.is_nil(text:find "`")
  end)

  it("is broken anew for the room that there is, but for its examples", function()
    local whole = help.text "map:delete_where"
    for _, columns in ipairs { 50, 80 } do
      local text = room.within(columns, 24, help.text, "map:delete_where")
      assert.equal(whole:gsub("%s+", " "), text:gsub("%s+", " "))
      for line in text:gmatch "[^\n]+" do
        assert(room.width(line) <= columns or line:find "^    ", line)
      end
      assert.matches("\n    print(report.deleted, report.kept)", text, 1, true)
    end
  end)

  it("is found by a short name, of every owner that has it", function()
    assert.equal(help.text "map:delete_where", help.text "delete_where")
    local both = help.text "header"
    assert.matches("snapshot:header", both)
    for _, owner in ipairs { "program", "map", "link" } do
      assert.matches(owner .. ":pin(path", help.text "pin", 1, true)
    end
  end)

  it("of a handle, a class, a function and the module says what there is", function()
    local map = helper.map()
    assert.equal(help.text "map", help.text(map))
    assert.matches("\nmap:aggregate +Sums up", help.text(map))
    assert.equal(help.text "bpf.open", help.text(bpf.open))
    assert.equal(help.text "map:close", help.text(map.close))
    assert.equal(help.text(), help.text(bpf))
    assert.matches("\nbpf.create +Creates a map", help.text())
  end)

  it("of a table of options is its fields", function()
    assert.matches("* budget (time): how long", help.text "query_options", 1, true)
  end)

  it("fits a terminal", function()
    for _, text in ipairs { help.text "map", help.text() } do
      for line in text:gmatch "[^\n]+" do assert(utf8.len(line) <= 100, line) end
    end
  end)

  it("says what it has not", function()
    assert.equal("there is no help for 'map:selct'; did you mean 'map:select'?",
      help.text "map:selct")
    assert.equal("there is no help for a table", help.text {})
    assert.equal("there is no help for this function", help.text(print))
  end)

  it("is printed by bpf.help and the handles", function()
    local map = helper.map()
    assert.equal(help.text "map:select", printed(function() bpf.help "map:select" end))
    assert.equal(help.text "map:select", printed(function() map:help "select" end))
    assert.equal(help.text "map", printed(function() map:help() end))
    assert.error_matches(function() map:help(5) end, "help: name of a method expected")
  end)
end)
