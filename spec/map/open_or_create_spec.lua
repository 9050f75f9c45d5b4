-- SPDX-License-Identifier: MIT
--
-- bpf.open_or_create: the map that is pinned, or a new one there.

local bpf = require "luabpf"
local helper = require "spec.support.helper"
local system = require "spec.support.system"

describe("bpf.open_or_create", function()
  local given
  before_each(function()
    given = { type = "hash", key = "u32", value = { "u64 packets" }, max_entries = 100,
      pin = helper.pin() }
  end)
  after_each(function()
    helper.close_all()
    os.remove(given.pin)
  end)

  it("creates, then opens", function()
    local a <close>, created = assert(bpf.open_or_create(given))
    assert.is_true(created)
    a:update(1, { packets = 7 })
    local b <close>, again = assert(bpf.open_or_create(given))
    assert.is_false(again)
    assert.equal(a, b)
    assert.same({ packets = 7 }, b:lookup(1))
  end)

  it("says what does not fit", function()
    local a <close> = assert(bpf.open_or_create(given))
    local function refused(more)
      local other = {}
      for name, value in pairs(given) do other[name] = value end
      for name, value in pairs(more) do other[name] = value end
      local map, message, errno = bpf.open_or_create(other)
      assert.same({ nil, bpf.errno.EEXIST }, { map, errno })
      return message
    end
    assert.truthy(refused { max_entries = 200 }:find("its max_entries is 100, not 200", 1, true))
    assert.truthy(refused { value = "u32" }:find("its value_size is 8, not 4", 1, true))
    local message = refused { type = "lru_hash", key = "u64" }
    assert.truthy(message:find("its type is hash, not lru_hash; key_size is 4, not 8", 1, true),
      message)
    message = refused { flags = { "no_prealloc" } }
    assert.truthy(message:find("its flags are none, not no_prealloc", 1, true), message)
    assert.equal(0, a:count())
  end)

  it("refuses what is pinned there and no map", function()
    local object <close> = assert(bpf.load "bpf/objects.bpf.o")
    assert(object.programs.count_xdp:pin(given.pin))
    local map, message = bpf.open_or_create(given)
    assert.is_nil(map)
    assert.is_string(message)
  end)

  it("needs a pin, and blames the caller", function()
    given.pin = nil
    local ok, message = pcall(function() return bpf.open_or_create(given) end)
    assert.is_false(ok)
    assert.truthy(message:find("open_or_create: option 'pin': missing", 1, true), message)
    given.pin = helper.pin()
    given.replace = true
    helper.raises("goes with create", bpf.open_or_create, given)
    given.replace = nil
    given.type = "hush"
    ok, message = pcall(function()
      local map = bpf.open_or_create(given)
      return map
    end)
    assert.is_false(ok)
    assert.truthy(message:find("open_or_create_spec.lua", 1, true), message)
  end)

  it("gives many processes one map", function()
    local children = {}
    for i = 1, 8 do
      children[i] = system.fork()
      if children[i] == 0 then
        local map = bpf.open_or_create(given)
        system.exit(map and map:update(i, { packets = i }) and 0 or 1)
      end
    end
    for i = 1, 8 do assert.same({ "exit", 0 }, { system.wait(children[i]) }) end
    local map <close> = assert(bpf.open(given.pin))
    assert.equal(8, map:count())
  end)
end)
