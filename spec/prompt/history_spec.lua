-- SPDX-License-Identifier: MIT
--
-- The file of what was typed.

local folder = require "spec.support.folder"
local history = require "luabpf.prompt.history"

describe("history", function()
  before_each(function() folder.make() end)
  after_each(folder.remove)

  it("gives what was added, lines and backslashes in it too", function()
    local path = folder.path "history"
    local entries = { "x = 1", "for i = 1, 2 do\n  print(i)\nend", [[s = "a\nb\\"]], "" }
    assert.same({}, history.load(path))
    for _, entry in ipairs(entries) do history.add(path, entry) end
    assert.same(entries, history.load(path))
    assert.equal("x = 1\n", folder.content "history":sub(1, 6))
  end)

  it("is cut to its last entries", function()
    local path = folder.path "history"
    for i = 1, 2500 do history.add(path, "x" .. i) end
    local entries = history.load(path)
    assert.equal(1000, #entries)
    assert.equal("x1501", entries[1])
    assert.equal(1000, select(2, folder.content "history":gsub("\n", "")))
    assert.same(entries, history.load(path))
  end)

  it("is for its owner alone, and follows no link", function()
    local path = folder.path "history"
    assert(io.open(path, "w")):close()
    os.execute("chmod 644 " .. path)
    history.add(path, "x")
    local pipe <close> = io.popen("stat -c %a " .. path)
    assert.equal("600", pipe:read "l")
    local link = folder.path "link"
    os.execute(("ln -s target %s"):format(link))
    history.add(link, "x")
    assert.is_nil(io.open(folder.path "target"))
  end)

  it("cannot be written: nothing is said", function()
    history.add("/nowhere/at/all", "x")
    assert.same({}, history.load "/nowhere/at/all")
  end)
end)
