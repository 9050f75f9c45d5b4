-- SPDX-License-Identifier: MIT
--
-- The compiler: golden listings, a comparison of compiled fragments with a
-- direct evaluation of thousands of random expressions, parameters, limits.
-- Needs no kernel: fragments run in a machine in Lua (bpf_machine.lua).

local bpf_machine = require "spec.bpf_machine"
local compile = require "luabpf.compile"
local evaluator = require "spec.evaluator"
local expr = require "luabpf.expr"
local generator = require "spec.generator"
local layouts = require "spec.layouts"

-- LUABPF_SEED=n runs the random expressions of that seed only.
local SEED <const> = tonumber(os.getenv("LUABPF_SEED") or nil)
local SEEDS <const> = 150 -- of ten expressions each, five entries for each: about two seconds

local function fragment(text, env)
  return compile.fragment(expr.parse(text, env), env)
end

-- The per-CPU slots as an executor computes them, by the evaluator's reading of a field.
local function reduce(percpu, values)
  local slots = {}
  for i, reduction in ipairs(percpu) do
    local field = {
      op = "field", of = "value", reduce = reduction.op, cpu = reduction.cpu + 1,
      desc = { size = reduction.size, signed = reduction.signed, big = reduction.big },
      bit = reduction.offset * 8 + reduction.bit,
      bits = reduction.bits ~= 0 and reduction.bits or nil,
    }
    slots[i] = string.pack("<i8", evaluator.run(field, { value = values }))
  end
  return table.concat(slots)
end

-- r0 of a fragment for an entry.
local function run(compiled, env, entry)
  return bpf_machine.run(compiled.code, {
    key = entry.key, value = not env.ncpu and entry.value or nil,
    slots = env.ncpu and reduce(compiled.percpu, entry.value),
    params = compile.pack_params(compiled.params, entry.params, entry.now, entry.boottime),
  })
end

local function evaluate(ast, entry)
  local value = evaluator.run(ast, entry)
  return value == true and 1 or value == false and 0 or value
end

local function contents(path)
  local file <close> = io.open(path)
  return file and file:read("a")
end

describe("a compiled fragment", function()
  it("gives what the expression means, for random layouts, expressions and entries", function()
    for seed = SEED or 1, SEED or SEEDS do
      local random = generator.new(seed)
      local env = random:env()
      random:enter(env)
      for _ = 1, 10 do
        local text = random:expression()
        local ast = expr.parse(text, env)
        local compiled = compile.fragment(ast, env)
        local where = ("LUABPF_SEED=%d: %s"):format(seed, text)
        assert.is_nil(bpf_machine.unreachable(compiled.code), where)
        assert.equal(#compiled.code // 8, compiled.n)
        for _ = 1, 5 do
          local entry = random:entry(env, random.params)
          assert.equal(evaluate(ast, entry), run(compiled, env, entry), where)
        end
      end
    end
  end)

  it("is what the golden listings say", function()
    for name, case in pairs(layouts.golden) do
      local path = ("spec/golden/%s.txt"):format(name)
      local listing = case[1] .. "\n\n" .. compile.listing(fragment(case[1], case[2]))
      if os.getenv("LUABPF_GOLDEN") then io.open(path, "w"):write(listing):close() end
      assert.equal(contents(path), listing)
    end
  end)
end)
