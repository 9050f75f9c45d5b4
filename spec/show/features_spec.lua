-- SPDX-License-Identifier: MIT
--
-- bpf.features(): what the running kernel has, and how it prints. Without privileges:
-- spec/privilege_spec.lua.

local bpf = require "luabpf"
local core = require "luabpf.core"
local helper = require "spec.support.helper"

describe("bpf.features", function()
  local features = bpf.features()

  it("names the kernel and its CPUs", function()
    assert.equal(core.release(), features.kernel)
    assert.equal((bpf.cpus()), features.cpus)
    assert.is_nil(features.missing_privileges)
  end)

  it("finds what came with this kernel's version or earlier, and not what came later", function()
    assert(#features.list >= 5)
    for _, feature in ipairs(features.list) do
      local major, minor = feature.since:match "^(%d+)%.(%d+)$"
      local has = feature.since == "Lua 5.4" or helper.kernel_has(tonumber(major), tonumber(minor))
      assert.equal(has, feature.present, feature.name)
      assert.equal(feature.present, features[feature.name])
    end
  end)

  it("knows of each type of map that libbpf knows whether it is there", function()
    for _, kind in ipairs(core.maptypes) do
      local present, major, minor = features.map_types[kind.name], kind.since:match "^(%d+)%.(%d+)"
      if present ~= nil then
        assert.equal(helper.kernel_has(tonumber(major), tonumber(minor)), present, kind.name)
      end
    end
    assert.is_true(features.map_types.hash)
    assert.is_true(features.map_types.lpm_trie)
  end)

  it("prints as a table", function()
    local text = tostring(features)
    assert.matches("^Linux %S+, %d+ CPUs\n\nfeature +present +since +for\n", text)
    assert.matches("\nsyscall_programs +yes +5%.14 +queries run inside the kernel\n", text)
  end)
end)
