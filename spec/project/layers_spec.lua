-- SPDX-License-Identifier: MIT
--
-- scripts/layers: what is against the order of rooms, put into a copy of this checkout, fails it.

local folder = require "spec.support.folder"

local function output_of(command)
  local pipe <close> = assert(io.popen(command .. " 2>&1; echo status $?"))
  return pipe:read "a"
end

-- What the script says of a copy of what it reads, in which a file is longer by some text.
local function check(name, text, option)
  folder.make()
  assert(os.execute(("mkdir -p %s/docs %s/lua/luabpf/cellar && cp -r luabpf lua %s "
    .. "&& cp docs/architecture.md %s/docs"):format(folder.name, folder.name, folder.name,
    folder.name)))
  local file <close> = assert(io.open(folder.path(name), "a"))
  file:write("\n", text, "\n")
  file:close()
  local run = "lua5.4 scripts/layers %s " .. folder.name
  if option then assert.equal("status 0\n", output_of(run:format(option))) end
  return output_of(run:format "")
end

-- What is put in by hand, where, and what the script says of it.
local WRONG <const> = {
  ["Lua in lib"] = { "luabpf/lib/sum/table.c", "#include <lua.h>",
    "luabpf/lib/sum/table.c:%d+: lib knows nothing of Lua" },
  ["Lua in lib, by another header"] = { "luabpf/lib/sum/table.h", '#  include "lauxlib.h"',
    "lib knows nothing of Lua" },
  ["a binding in lib"] = { "luabpf/lib/kernel/kmap.c", '#include "bind/map/map.h"',
    "lib/kernel is not above bind/map" },
  ["an arrow upwards in lib"] = { "luabpf/lib/layout/btf.c", '#include "lib/kernel/kmap.h"',
    "btf.c:%d+: lib/layout is not above lib/kernel" },
  ["an arrow between rooms of one line"] = { "luabpf/lib/sum/agg.c",
    '#include "lib/keys/bulk.h"', "lib/sum is not above lib/keys" },
  ["an arrow upwards in bind"] = { "luabpf/bind/value/codec.c", '#include "bind/map/map.h"',
    "bind/value is not above bind/map" },
  ["an arrow upwards in Lua"] = { "lua/luabpf/base/iter.lua", 'require "luabpf.query.run"',
    "base/iter.lua:%d+: Lua/base is not above Lua/query" },
  ["an arrow to a public module"] = { "lua/luabpf/query/run.lua", 'require "luabpf"',
    "Lua/query is not above Lua/public" },
  ["an arrow upwards that waits"] = { "lua/luabpf/show/show.lua", 'later.call("luabpf.file.json")',
    "Lua/show is not above Lua/file" },
  ["an arrow upwards to functions that wait"] = { "lua/luabpf/show/show.lua",
    'local json = later.module "luabpf.file.json"', "Lua/show is not above Lua/file" },
  ["a circle in a room of C"] = { "luabpf/lib/layout/layout.h", '#include "lib/layout/btf.h"',
    "a circle: .*lib/layout/layout %-> lib/layout/btf" },
  ["a circle in a room of Lua"] = { "lua/luabpf/query/cost.lua", 'require "luabpf.query.run"',
    "a circle: .*luabpf.query.run %-> luabpf.query.cost" },
  ["a circle of public modules"] = { "lua/luabpf/init.lua", 'require "luabpf.conntrack"',
    "a circle: .*luabpf.conntrack %-> luabpf" },
  ["an include of nothing"] = { "luabpf/bind/base.c", '#include "kmap.h"', "there is no kmap" },
  ["a room without a place"] = { "lua/luabpf/cellar/wine.lua", "return {}",
    "Lua/cellar has no place in the order" },
}

describe("scripts/layers", function()
  after_each(folder.remove)

  it("finds nothing wrong with this checkout", function()
    folder.make()
    assert.equal("status 0\n", output_of "lua5.4 scripts/layers")
  end)

  for what, case in pairs(WRONG) do
    it("fails for " .. what, function()
      local output = check(case[1], case[2])
      assert.matches(case[3], output)
      assert.matches("status 1\n$", output)
    end)
  end

  it("does not take comments for requires", function()
    assert.equal("status 0\n", check("lua/luabpf/base/iter.lua", '-- require "luabpf.query.run"'))
  end)

  it("fails where the drawing is stale, until it is drawn anew", function()
    local name, text = "luabpf/lib/sum/agg.c", '#include "lib/layout/address.h"'
    assert.matches("docs/architecture.md: the drawing is not what the includes are",
      check(name, text))
    folder.remove()
    assert.equal("status 0\n", check(name, text, "--draw"))
  end)
end)
