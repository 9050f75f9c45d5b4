-- SPDX-License-Identifier: MIT
--
-- What every other spec takes for granted.

describe("the specs", function()
  it("run in Lua 5.4", function()
    assert.equal("Lua 5.4", _VERSION)
  end)

  it("use the module and the Lua files of this checkout", function()
    local lua = assert(package.searchpath("luabpf.conntrack", package.path))
    local core = assert(package.searchpath("luabpf.core", package.cpath))
    local checkout = lua:gsub("/?lua/luabpf/conntrack%.lua$", "")
    assert.equal(1, core:find(checkout, 1, true))
  end)
end)
