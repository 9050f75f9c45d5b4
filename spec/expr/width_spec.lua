-- SPDX-License-Identifier: MIT
--
-- The bits that an integer is told by: of random expressions, each result is what its low
-- bits say, and of common ones it is known how many they are.

local bpf_machine = require "spec.support.bpf_machine"
local compile = require "luabpf.expr.compile"
local expr = require "luabpf.expr.parse"
local generator = require "spec.support.generator"
local layouts = require "spec.support.layouts"
local parameters = require "luabpf.expr.params"

local function bits(text)
  return compile.fragment(expr.parse(text, layouts.env), layouts.env).bits
end

describe("the width of an integer", function()
  it("says what a result is, whatever the expression", function()
    local narrow = 0
    for seed = 1, 150 do
      local random = generator.new(seed)
      local env = random:env()
      random:enter(env)
      for _ = 1, env.ncpu and 0 or 20 do
        random.params = {}
        local text = random:integer(2)
        local compiled = compile.fragment(expr.parse(text, env), env)
        narrow = narrow + (compiled.bits <= 16 and 1 or 0)
        for _ = 1, compiled.bits < 64 and 30 or 0 do
          local entry = random:entry(env, random.params)
          local r0 = bpf_machine.run(compiled.code, { key = entry.key, value = entry.value,
            params = parameters.pack(compiled.params, entry.params, entry.now, entry.boottime) })
          local up = 64 - compiled.bits
          local told = compiled.bits == 0 and 0 or r0 << up >> up
          if compiled.kind == "signed" and compiled.bits > 0 and r0 << up < 0 then
            told = told | ~((1 << compiled.bits) - 1)
          end
          assert.equal(r0, told, ("seed %d: %s"):format(seed, text))
        end
      end
    end
    assert.truthy(narrow > 100)
  end)

  it("is small for ports, protocols, enums, bytes, masks and remainders", function()
    for text, n in pairs {
      ["key.dst_port"] = 16, ["key.protocol"] = 8, ["value.level"] = 8, ["value.state"] = 32,
      ["value.alive"] = 1, ["value.urgent"] = 1, ["value.window"] = 13, ["value.bytes & 4095"] = 12,
      ["value.bytes % 1000"] = 10, ["value.bytes >> 56"] = 8, ["key.protocol * 2"] = 10,
      ["key.protocol + 1"] = 9, ["if(value.bytes > 5, 1, 0)"] = 1, ["value.bytes"] = 64,
      ["now"] = 64, ["value.delta"] = 32, ["key.dst_port // 1000"] = 16, ["value.level >> 4"] = 61,
      ["value.level & 15"] = 5, ["value.delta % 7"] = 64,
    } do
      assert.equal(n, bits(text), text)
    end
  end)
end)
