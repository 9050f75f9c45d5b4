-- SPDX-License-Identifier: MIT
--
-- Signals that a handler takes are no failure: loading, opening and reading go on.

local bpf = require "luabpf"
local conntrack = require "luabpf.conntrack"
local folder = require "spec.support.folder"
local helper = require "spec.support.helper"
local system = require "spec.support.system"

describe("while signals are handled 100 times a second [fault 5]", function()
  before_each(function()
    folder.make()
    system.storm(10000)
  end)

  after_each(function()
    system.storm(0)
    folder.remove()
    helper.close_all()
  end)

  it("objects are loaded", function()
    for _ = 1, 5 do assert(bpf.load "bpf/conntrack.bpf.o"):close() end
  end)

  it("connections are tracked", function()
    for _ = 1, 3 do
      local tracker <close> = assert(conntrack.start { max_entries = 100 })
      assert(tracker.map)
    end
  end)

  it("files are read from pipes to their end", function()
    local map = helper.map()
    for _ = 1, 3 do
      local pipe <close> = assert(io.popen [[
        for i in 1 2 3 4 5 6; do echo "{\"key\":$i,\"value\":$i}"; sleep 0.05; done]])
      assert.equal(6, assert(map:import(pipe)).inserted)
      map:clear()
    end
  end)

  it("FIFOs are opened", function()
    local map, fifo = helper.map(), folder.path "fifo"
    map:update(1, 1)
    assert(os.execute("mkfifo " .. fifo))
    os.execute(("(sleep 0.2; cat %s >%s) & "):format(fifo, folder.path "out"))
    assert.equal(1, assert(map:export(fifo)).entries)
    os.execute(("(sleep 0.2; echo '{\"key\":2,\"value\":2}' >%s) &"):format(fifo))
    assert.equal(1, assert(map:import(fifo)).inserted)
  end)
end)
