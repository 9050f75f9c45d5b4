-- SPDX-License-Identifier: MIT
--
-- Two processes that drain one map to two files at a time: what docs/export.md says of it.

local folder = require "spec.support.folder"
local helper = require "spec.support.helper"

local N <const> = 20000

describe("two drains of one map to two files [fault 27]", function()
  before_each(function() folder.make() end)
  after_each(function()
    folder.remove()
    helper.close_all()
  end)

  it("write all entries and delete each once", function()
    local map, keys = helper.map { max_entries = N }, {}
    for i = 1, N do keys[i] = i end
    assert.equal(N, map:update_batch(keys, keys))
    local processes = {}
    for i = 1, 2 do
      processes[i] = helper.process([[
        local id, path = ...
        local map = bpf.open(math.tointeger(id))
        local report = assert(map:export(path, { drain = true, batch_size = 256 }))
        print(report.entries, report.deleted, report.missing)
      ]], tostring(map:info().id), folder.path("x" .. i))
    end
    local seen, all, deleted, lines = {}, 0, 0, 0
    for i, process in ipairs(processes) do
      local entries, gone, missing = process:read("n", "n", "n")
      process:close()
      assert.equal(entries, gone + missing)
      deleted, lines = deleted + gone, lines + entries
      for line in io.lines(folder.path("x" .. i)) do
        local key = assert(math.tointeger(line:match '^{"key":(%d+),"value":%1}$'), line)
        if not seen[key] then seen[key], all = true, all + 1 end
        lines = lines - 1
      end
    end
    assert.same({ N, N, 0, 0 }, { all, deleted, lines, map:count() })
  end)
end)
