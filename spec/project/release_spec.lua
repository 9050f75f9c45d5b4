-- SPDX-License-Identifier: MIT
--
-- scripts/release: what does not agree, put into a copy of this checkout, fails it; and the
-- rockspec that it writes.

local folder = require "spec.support.folder"

local INIT <const>, SCM <const> = "lua/luabpf/init.lua", "rockspec/luabpf-scm-1.rockspec"

local function run(option)
  local command = ("lua5.4 scripts/release %s %s 2>&1; echo status $?"):format(option or "",
    folder.name)
  local pipe <close> = assert(io.popen(command))
  return pipe:read "a"
end

-- Exchanges a plain text of a file, which is there.
local function exchange(name, old, new)
  local text = folder.content(name)
  local first, last = text:find(old, 1, true)
  folder.write(name, text:sub(1, assert(first) - 1) .. new .. text:sub(last + 1))
end

local function version()
  return folder.content(INIT):match '_VERSION = "luabpf ([%d.]+)"'
end

describe("scripts/release", function()
  before_each(function()
    folder.make()
    assert(os.execute(("cp -r lua rockspec CHANGELOG.md %s"):format(folder.name)))
  end)
  after_each(folder.remove)

  it("finds nothing wrong with this checkout", function()
    assert.equal("status 0\n", run())
  end)

  it("fails where a Lua file is not in the rockspec, or gone", function()
    folder.write("lua/luabpf/base/new.lua", "")
    assert.matches("lua/luabpf/base/new.lua is missing\nstatus 1", run())
    os.remove(folder.path "lua/luabpf/base/new.lua")
    os.remove(folder.path "lua/luabpf/base/iter.lua")
    assert.matches("there is no lua/luabpf/base/iter.lua\nstatus 1", run())
  end)

  it("fails where the rockspec has another name for a file, or is not sorted", function()
    exchange(SCM, '["luabpf.base.iter"] = "lua/luabpf/base/iter.lua"',
      '["luabpf.zebra"] = "lua/luabpf/base/iter.lua"')
    local output = run()
    assert.matches("lua/luabpf/base/iter.lua is not the module luabpf.zebra", output)
    assert.matches("is not in its place", output)
    assert.matches("status 1", output)
  end)

  it("fails where module and changelog have different versions", function()
    exchange(INIT, version(), "9.9.9")
    assert.matches("CHANGELOG.md begins with version .*, bpf._VERSION is 9.9.9\nstatus 1", run())
  end)

  it("writes the rockspec of the version, which it then checks", function()
    assert.equal("status 0\n", run "--rockspec")
    local name = ("rockspec/luabpf-%s-1.rockspec"):format(version())
    local spec = {}
    assert(load(folder.content(name), name, "t", spec))()
    assert.equal(version() .. "-1", spec.version)
    assert.equal("v" .. version(), spec.source.tag)
    assert.equal("lua/luabpf/init.lua", spec.build.install.lua["luabpf.init"])
    assert.equal("status 0\n", run())
    exchange(name, '"v' .. version(), '"v9.9.9')
    assert.matches("its tag is not v", run())
  end)

  it("fails for the rockspec of a version that the changelog does not have", function()
    folder.write("rockspec/luabpf-8.0.0-1.rockspec", 'tag = "v8.0.0"')
    assert.matches("8.0.0%-1.rockspec: CHANGELOG.md knows no such version\nstatus 1", run())
  end)
end)
