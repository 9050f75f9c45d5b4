-- SPDX-License-Identifier: MIT
--
-- Plans of changes (lua/luabpf/query/edit.lua).

local edit = require "luabpf.query.edit"

local function int(size, signed) return { kind = "int", size = size, signed = signed } end

local env = { value_size = 24, key = int(4), value = { kind = "struct", size = 24, fields = {
  { name = "n", type = int(8), bit = 0 }, { name = "m", type = int(8, true), bit = 64 },
  { name = "s", type = int(4, true), bit = 128 },
  { name = "lock", type = { kind = "special", name = "bpf_spin_lock", size = 4 }, bit = 160 } } } }

describe("a plan of assignments", function()
  local function hows(text)
    local list = {}
    for i, store in ipairs(edit.of_text(text, env).stores) do list[i] = store.cell.how end
    return table.concat(list, " ")
  end

  it("adds where a field of 64 bits gets itself and something else", function()
    assert.equal("add", hows "value.n = value.n + 1")
    assert.equal("add", hows "value.n = value.n - value.m")
    assert.equal("add", hows "value.m = $x + value.m")
    assert.equal("add add", hows "value.m = value.m + value.n, value.n = value.n + key")
  end)

  it("compares and exchanges elsewhere", function()
    assert.equal("exchange", hows "value.n = value.n + value.n")
    assert.equal("exchange", hows "value.n = 3 - value.n")
    assert.equal("exchange", hows "value.n = value.n * 2")
    assert.equal("exchange", hows "value.s = value.s + 1")
    assert.equal("exchange", hows "value.n = value.m + 1")
  end)

  it("finds the spin lock", function()
    assert.equal(20, edit.lock(env.value))
    assert.is_nil(edit.lock(int(8)))
    assert.is_nil(edit.lock(nil))
  end)

  it("says what does not fit", function()
    local plan = edit.of_text("value.s = value.n", env)
    assert.equal("value.s = value.n: 18446744073709551615 does not fit a signed field of 32 bits",
      edit.misfit(plan, 1, -1))
    plan = edit.of_text("value.s = -value.n", env)
    assert.matches(": %-4294967296 does not fit", edit.misfit(plan, 1, -4294967296))
  end)
end)
