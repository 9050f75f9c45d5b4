-- SPDX-License-Identifier: MIT
--
-- Quantities with units (lua/luabpf/base/units.lua): options, bpf.duration and bpf.size, parameters
-- and expressions read them alike.

local bpf = require "luabpf"
local helper = require "spec.support.helper"
local units = require "luabpf.base.units"

after_each(helper.close_all)

describe("quantities", function()
  it("are exact", function()
    local all = { ["0s"] = 0, ["7"] = 7, ["1.5h"] = 5400000000000, ["0.000000001s"] = 1,
      ["1.000s"] = 1000000000, ["18446744073709551615ns"] = -1,
      ["18446744073.709551615s"] = -1, ["213503d"] = 213503 * 86400000000000,
      ["0.5us"] = 500, ["1.50000000000000000000000s"] = 1500000000 }
    for text, n in pairs(all) do assert.equal(n, units.read(text, units.TIMES), text) end
    assert.equal(1536, units.read("1.5KiB", units.SIZES))
    assert.equal((1 << 63) | (1 << 29), units.read("8589934592.5GiB", units.SIZES))
  end)

  it("say why they are none", function()
    local all = { ["1.5ns"] = "fraction", ["1.5"] = "fraction", ["0.0000000001s"] = "fraction",
      ["1.0"] = "fraction", ["18446744073709551616ns"] = "large", ["213504d"] = "large",
      ["99999999999999999999"] = "large", ["5parsecs"] = "unit", ["5S"] = "unit", ["5KiB"] = "unit",
      ["1."] = "form", [".5s"] = "form", ["-5s"] = "form", ["1e3s"] = "form", [""] = "form",
      ["1.s"] = "form", ["s"] = "form", ["5 s"] = "form", ["0x10"] = "form" }
    for text, why in pairs(all) do
      assert.same({ nil, why }, { units.read(text, units.TIMES) }, text)
    end
  end)

  it("mean the same wherever they stand", function()
    local map = helper.map { key = "u32", value = "s64" }
    assert(map:update(1, 0))
    for _, text in ipairs { "30s", "1.5h", "-5s", "-1.5ms", "7ns", "0.5us", "-106751d" } do
      local ns = bpf.duration(text)
      assert.equal(1, (map:count(("%s == %d"):format(text, ns))), text)
      assert.equal(1, (map:count(("value + $t == %d"):format(ns), { params = { t = text } })))
    end
    for _, text in ipairs { "64KiB", "1.5GiB", "3B" } do
      assert.equal(1, (map:count(("%s == %d"):format(text, bpf.size(text)))), text)
    end
  end)

  it("are refused the same wherever they stand", function()
    local map = helper.map { key = "u32", value = "s64" }
    for _, text in ipairs { "1.5ns", "1.s", "5parsecs", "0.0000000001s" } do
      assert.is_false(pcall(bpf.duration, text), text)
      assert.is_false(pcall(map.count, map, "value == " .. text), text)
      assert.is_false(pcall(map.count, map, "value == $t", { params = { t = text } }), text)
    end
  end)
end)
