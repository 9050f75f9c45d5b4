-- SPDX-License-Identifier: MIT
--
-- Maps whose BTF the kernel takes though no compiler makes it (spec/engine/fuzz_btf.c makes
-- them at random): names used twice, members without a name, members on the same bytes, bits
-- between members. Every way of reading such a map works, and what is read is what is there.

local bpf = require "luabpf"
local core = require "luabpf.core"
local folder = require "spec.support.folder"
local helper = require "spec.support.helper"

local program <const> = (os.getenv "LUABPF_BUILD" or ".build") .. "/engine/fuzz_btf"
local MAPS <const> = 60

describe("BTF that no compiler makes", function()
  local seed <const> = tonumber(os.getenv "SEED") or os.time()
  local prefix <const> = helper.pin()
  local maps = {}

  setup(function()
    local command = ("'%s' %d %d '%s'"):format(program, seed, MAPS, prefix)
    local listing <close> = assert(io.popen(command))
    for path in listing:lines() do maps[#maps + 1] = assert(bpf.open(path)) end
    assert.equal(MAPS, #maps)
  end)

  teardown(function()
    for _, map in ipairs(maps) do
      map:unpin()
      map:close()
    end
  end)

  before_each(function() folder.make() end)
  after_each(function() folder.remove() end)

  -- Calls check(map) for each, and names the one that fails.
  local function each(check)
    for i, map in ipairs(maps) do
      local ok, err = pcall(check, map)
      assert(ok, ("SEED=%d, map %d:\n%s\n%s"):format(seed, i, map:describe(), tostring(err)))
    end
  end

  it("is described, shown and queried [fault 26]", function()
    each(function(map)
      assert.is_string(tostring(map:describe()))
      assert.is_string(tostring(assert(map:head(30))))
      local n = 0
      for key, value in map:views() do
        assert.is_string(tostring(key) .. tostring(value))
        n = n + 1
      end
      assert.equal(map:count(), n)
      for _ in map:select { columns = "key, value", limit = 3 } do n = n + 1 end
      assert(assert(map:aggregate { group = "value", select = "count()" }))
      assert(map:export(folder.path "all.jsonl"))
      assert(map:export(folder.path "all.csv"))
    end)
  end)

  it("loses nothing when it is decoded and encoded [fault 2]", function()
    each(function(map)
      local info = map:info()
      local copy <close> = assert(bpf.create { type = "hash", max_entries = info.max_entries,
        key = core.layouts(map), value = select(2, core.layouts(map)) })
      for key, value in map:entries() do
        assert(copy:update(key, value))
      end
      assert.same(helper.contents(map), helper.contents(copy))
      for _, format in ipairs { "jsonl", "csv" } do
        copy:clear()
        assert(map:export(folder.path "rows", { format = format }))
        assert(copy:import(folder.path "rows", { format = format }))
        assert.same(helper.contents(map), helper.contents(copy))
      end
    end)
  end)

  it("goes through snapshots [fault 26]", function()
    each(function(map)
      local path = folder.path "odd.snap"
      assert(map:export(path, { format = "snapshot" }))
      local snapshot <close> = assert(bpf.snapshot(path))
      assert.equal(map:count(), #snapshot)
      assert.is_string(tostring(snapshot:header()))
      local copy <close> = assert(bpf.create { from = snapshot, name = helper.name() })
      assert.same(helper.contents(map), helper.contents(copy))
      assert.equal(tostring(map:head(0)), tostring(copy:head(0)))
    end)
  end)
end)
