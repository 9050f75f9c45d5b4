-- SPDX-License-Identifier: MIT
--
-- Plans of changes (lua/luabpf/query/edit.lua).

local core = require "luabpf.core"
local edit = require "luabpf.query.edit"
local helper = require "spec.support.helper"

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

describe("a query in C", function()
  after_each(helper.close_all)

  it("refuses lists that are none, and changes where there is none", function()
    local map = helper.map()
    for i = 1, 8 do map:update(i, i) end
    local batch
    for each in map:batches(8) do batch = each:copy() end
    local query = core.query(map, { columns = {}, nparams = 0, keys = true, values = true })
    for _, list in ipairs { "abc", 5, map, batch } do
      assert.has_error(function() query:pick(batch, "", list) end)
      assert.has_error(function() query:rows(batch, "", nil, list) end)
    end
    for _, change in ipairs {
      function() query:propose(batch, "") end,
      function() query:change(batch, "", "calls") end,
      function() query:change(batch, "", "program") end,
      function() query:take(batch, "") end,
    } do
      assert.error_matches(change, "the query changes nothing")
    end
    assert.equal(8, (map:count()))
  end)

  it("refuses a list that is none in a change", function()
    local given
    local map, real = helper.map(), core.query
    map:update(1, 1)
    core.query = function(handle, spec)
      given = real(handle, spec)
      return given
    end
    finally(function() core.query = real end)
    map:update_where("value == 1", "value = 2", { engine = "batch" })
    core.query = real
    local batch
    for each in map:batches(8) do batch = each:copy() end
    local params = ("\0"):rep(8)
    assert.has_error(function() given:propose(batch, params, "abc") end)
    assert.has_error(function() given:propose(batch, params, map) end)
    assert.truthy(given:propose(batch, params, { 1 }))
  end)
end)
