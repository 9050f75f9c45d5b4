-- SPDX-License-Identifier: MIT
--
-- The search of tables of records: each key that is there is found, and none beside it.

local bpf = require "luabpf"
local helper = require "spec.support.helper"
local ipairs, math, string = ipairs, math, string

local map = helper.map { max_entries = 2000, key = { "s64 a", "s64 b" },
  value = { "char both[16]" } }

local NUMBERS <const> = { 0, 1, -1, 2, 255, 256, 1 << 31, -(1 << 31), 1 << 32, math.maxinteger,
  math.mininteger, math.maxinteger - 1, math.mininteger + 1 }

for _, a in ipairs(NUMBERS) do
  for _, b in ipairs(NUMBERS) do
    assert(map:update({ a = a, b = b }, { both = string.pack("<i8i8", a, b) }))
  end
end


describe("a search", function()
  it("finds what is there", function()
    for _, many in ipairs { 0, 1, 2, 7, 8, 9, 130 } do
      local set, n = {}, 0
      for key, value in map:views() do
        n = n + 1
        if n <= many then set[value.both] = true end
        assert(key)
      end
      for _, engine in ipairs { "kernel", "batch" } do
        local count, report = map:count(function(_, v) return set[v.both] end, { engine = engine })
        assert.same({ many, true }, { count, report.compiled }, many .. engine)
      end
    end
  end)

  it("is short whatever the size", function()
    local function of(many)
      local set = {}
      for i = 1, many do set[i * 2] = true end
      return bpf.compile(function(k) return set[k.a] end, map).n
    end
    local few = of(1000)
    assert(few < 250)
    assert(of(60000) < few * 2)
  end)
end)
