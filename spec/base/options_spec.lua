-- SPDX-License-Identifier: MIT
--
-- Options and quantities: what passes, and what errors say and whom they blame.

local options = require "luabpf.base.options"

local KNOWN <const> = { size = "number", name = "string", any = true }

local function message_of(...)
  local ok, message = pcall(...)
  assert.is_false(ok)
  return message
end

describe("options.check", function()
  it("passes known options, and nothing for none", function()
    local given = { size = 1, name = "x", any = false }
    assert.equal(given, options.check("call", given, KNOWN))
    assert.same({}, options.check("call", nil, KNOWN))
  end)

  it("names what is wrong", function()
    assert.matches("call: unknown option 'sise'; did you mean 'size'%?$",
      message_of(options.check, "call", { sise = 1 }, KNOWN))
    assert.matches("call: unknown option '1'$", message_of(options.check, "call", { 5 }, KNOWN))
    assert.matches("call: option 'size': number expected, got string$",
      message_of(options.check, "call", { size = "1" }, KNOWN))
    assert.matches("call: table of options expected, got string$",
      message_of(options.check, "call", "x", KNOWN))
  end)

  it("blames the caller of the function that it is called from", function()
    local function method(given) return options.check("call", given, KNOWN), 1 end
    local line = debug.getinfo(1, "l").currentline + 1
    local ok, message = pcall(function() local _ = method { x = 1 } end)
    assert.is_false(ok)
    assert.matches(("options_spec.lua:%d: call: unknown"):format(line), message)
  end)
end)

describe("options.integer", function()
  local function integer(value)
    return options.integer("call", "n", value, 1, 10, 5)
  end

  it("takes integers within the bounds, floats of their value, and nil for the default", function()
    assert.equal(1, integer(1))
    assert.equal(10, integer(10))
    assert.equal("integer", math.type(integer(3.0)))
    assert.equal(5, integer(nil))
  end)

  it("names the option and the bounds for anything else", function()
    for _, value in ipairs { 0, 11, 1.5, "3", 0 / 0, math.huge, {}, false } do
      assert.matches("call: option 'n': integer from 1 to 10 expected, got ",
        message_of(integer, value))
    end
  end)
end)

describe("options.choice", function()
  it("takes one of the choices, and nil for the default", function()
    assert.equal("a", options.choice("call", "x", "a", { "a", "b" }))
    assert.equal("b", options.choice("call", "x", nil, { "a", "b" }, "b"))
  end)

  it("lists the choices for anything else", function()
    assert.matches('call: option \'x\': "a", "b" expected, got "c"$',
      message_of(options.choice, "call", "x", "c", { "a", "b" }))
  end)
end)

describe("options.duration", function()
  it("reads every unit, in nanoseconds", function()
    for text, ns in pairs { ["7ns"] = 7, ["2us"] = 2000, ["10ms"] = 10000000, ["30s"] = 30000000000,
        ["5m"] = 300000000000, ["2h"] = 7200000000000, ["1d"] = 86400000000000,
        ["1.5s"] = 1500000000, [" 3 s "] = 3000000000, ["0s"] = 0 } do
      assert.equal(ns, options.duration(text), text)
      assert.equal("integer", math.type(options.duration(text)))
    end
  end)

  it("takes integers for nanoseconds, negative ones too, as text too", function()
    assert.equal(12, options.duration(12))
    assert.equal(-12, options.duration(-12))
    assert.equal(-5000000000, options.duration "-5s")
    assert.equal(12, options.duration(12.0))
  end)

  it("keeps every nanosecond of a whole number of units", function()
    assert.equal(9007199254740993, options.duration "9007199254740993ns")
    assert.equal(106751 * 86400000000000, options.duration "106751d")
  end)

  it("raises for what is no duration, and what is too long", function()
    for _, value in ipairs { "30", "s", "30 parsecs", "--5s", "1e3s", "", "5S", "1.s", 1.5, {},
        false } do
      assert.matches('idle: integer or text such as "30s" expected, got ',
        message_of(options.duration, value, "idle"))
    end
    assert.matches('idle: "106752d" is too large', message_of(options.duration, "106752d", "idle"))
    assert.matches('idle: "1.5ns" is no whole number of ns',
      message_of(options.duration, "1.5ns", "idle"))
  end)
end)

describe("options.period", function()
  it("is a duration that is not negative", function()
    assert.equal(30000000000, options.period "30s")
    assert.equal(0, options.period(0))
    assert.matches("idle: %-1 is negative", message_of(options.period, -1, "idle"))
    assert.matches("idle: %-1000 is negative", message_of(options.period, "-1us", "idle"))
    assert.matches('idle: integer or text such as "30s" expected, got ',
      message_of(options.period, "x", "idle"))
  end)
end)

describe("options.size", function()
  it("reads every unit, in bytes", function()
    for text, bytes in pairs { ["5B"] = 5, ["1KiB"] = 1024, ["64MiB"] = 64 << 20,
        ["2GiB"] = 2 << 30, ["0.5KiB"] = 512 } do
      assert.equal(bytes, options.size(text), text)
    end
    assert.equal(77, options.size(77))
  end)

  it("raises for a negative one", function()
    assert.matches("memory: %-1 is negative", message_of(options.size, -1, "memory"))
    assert.equal(0, options.size(0))
  end)

  it("raises for what is no size", function()
    for _, value in ipairs { "64", "64MB", "MiB", -1.5, {} } do
      assert.matches('memory: integer or text such as "64MiB" expected, got ',
        message_of(options.size, value, "memory"))
    end
  end)
end)
