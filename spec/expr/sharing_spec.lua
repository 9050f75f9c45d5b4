-- SPDX-License-Identifier: MIT
--
-- What is computed once: fields are read once in each evaluation, whatever an
-- expression says of them and whoever writes to the map meanwhile.

local bpf_machine = require "spec.support.bpf_machine"
local compile = require "luabpf.expr.compile"
local expr = require "luabpf.expr.parse"
local generator = require "spec.support.generator"
local helper = require "spec.support.helper"
local layouts = require "spec.support.layouts"
local parameters = require "luabpf.expr.params"

local LONG <const> = os.getenv "LUABPF_RACE" == "long"

local function fragment(text, env)
  return compile.fragment(expr.parse(text, env or layouts.env), env or layouts.env)
end

-- How often each load of key or value was made in a run: by register, offset and size.
local function loads(code, ran)
  local times = {}
  for _, pc in ipairs(ran) do
    local op, registers, off = string.unpack("<I1I1i2", code, pc * 8 + 1)
    local src = registers >> 4
    if op & 7 == 1 and (src == 6 or src == 7) then
      local name = ("r%d + %d, %d"):format(src, off, op & 0x18)
      times[name] = (times[name] or 0) + 1
    end
  end
  return times
end

local function count(compiled, mnemonic)
  return select(2, compile.listing(compiled):gsub(mnemonic, ""))
end

describe("an expression", function()
  it("reads each field once in an evaluation, whichever way that goes", function()
    for seed = 1, 60 do
      local random = generator.new(seed)
      local env = random:env()
      if not env.ncpu then
        random:enter(env)
        for _ = 1, 10 do
          local text = random:expression()
          local compiled = fragment(text, env)
          for _ = 1, 5 do
            local entry = random:entry(env, random.params)
            local _, ran = bpf_machine.run(compiled.code, { key = entry.key, value = entry.value,
              params = parameters.pack(compiled.params, entry.params, entry.now, entry.boottime) })
            for load, n in pairs(loads(compiled.code, ran)) do
              assert.equal(1, n, ("seed %d: %s: %s"):format(seed, text, load))
            end
          end
        end
      end
    end
  end)

  it("reads a field before a condition that only sometimes comes to it", function()
    local compiled = fragment(
      "(value.bytes > 3 and value.packets > 10 or value.delta > 1) and value.packets < 5")
    assert.equal(1, count(compiled, "= %*%(u64 %*%)%(r7 %+8%)"))
  end)

  it("computes what it says twice once", function()
    assert.equal(1, count(fragment(
      "value.packets / value.bytes > 3 and value.packets / value.bytes < 7"), " /= "))
    assert.equal(1, count(fragment("if(value.bytes > 1, value.packets % (value.bytes + 3), " ..
      "value.packets % (value.bytes + 3) + 1)"), " %%= "))
    local other = fragment("value.packets / value.bytes > value.bytes / value.packets")
    assert.equal(2, count(other, " /= "))
  end)

  it("is about one moment of a field, though another process writes it", function()
    local pin = helper.pin()
    local map <close> = helper.map { type = "array", value = { "u64 p" }, max_entries = 64,
      pin = pin }
    -- All but the last element, which stops it.
    local writer = helper.process([[
      local map, keys, high, low = assert(bpf.open(...)), {}, {}, {}
      for i = 1, 63 do keys[i], high[i], low[i] = i - 1, { p = 100 }, { p = 1 } end
      local packed = string.pack(("<I4"):rep(63), table.unpack(keys))
      repeat
        map:update_batch(packed, high)
        map:update_batch(packed, low)
      until map:lookup(63).p > 0]], pin)
    local stop <close> = setmetatable({}, { __close = function()
      map:update(63, { p = 1 })
      assert.equal("", writer:read("a"))
      writer:close()
      map:unpin()
    end })
    local judged, most, changes = 0, LONG and 50000000 or 1000000, 0
    while judged < most do
      local n, report = map:count("value.p > 10 and value.p < 5", { engine = "kernel" })
      assert.equal(0, n)
      judged = judged + report.visited
      if map:count("value.p > 10") > 0 then changes = changes + 1 end
    end
    assert.truthy(stop and changes > 0, "the writer did nothing")
  end)
end)
