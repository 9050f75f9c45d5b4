-- SPDX-License-Identifier: MIT
--
-- Bytecode is read as Lua 5.4 writes it, and nothing else is.

local bytecode = require "luabpf.base.bytecode"

local sample <const> = string.dump(function(a, b)
  local sum = a + 1.5
  return sum == b or "text" .. 70000 + sum
end)

describe("bytecode", function()
  it("has code, constants, lines and names", function()
    local up = 1
    local p = assert(bytecode.read(string.dump(function(a) return a.field + up == 100000 end)))
    assert.equal(1, p.params)
    assert.same({ "up" }, { p.upvalues[1].name })
    assert.same({ "field" }, p.k[1])
    assert.same({ 100000 }, p.k[2])
    assert.equal("GETFIELD", p.code[1].op)
    assert.equal(p.first, p.lines[1])
    assert.matches("bytecode_spec", p.source)
  end)

  it("has the lines of long functions", function()
    local lines = { "return function(a)" }
    for i = 1, 600 do lines[#lines + 1] = ("\n"):rep(i % 300) .. "a = a + 1" end
    lines[#lines + 1] = "return a end"
    local p = bytecode.read(string.dump(load(table.concat(lines, "\n"))()))
    local info = debug.getinfo(load(table.concat(lines, "\n"))(), "L").activelines
    for pc, line in ipairs(p.lines) do assert(info[line], pc) end
  end)

  it("of stripped functions has neither lines nor names", function()
    local p = assert(bytecode.read(string.dump(load(sample), true)))
    assert.is_nil(p.lines[1])
    assert.equal("=?", p.source)
  end)

  it("of another Lua is refused, whatever differs in the header", function()
    for at = 1, 31 do
      local byte = sample:byte(at)
      local p, why = bytecode.read(sample:sub(1, at - 1) .. string.char(byte ~ 1)
        .. sample:sub(at + 1))
      assert.is_nil(p)
      assert.equal(at == 5 and "bytecode of Lua 5.5: only that of 5.4 is known"
        or "bytecode of another Lua than 5.4", why)
    end
    assert.is_nil(bytecode.read "\27Lua\x55")
    assert.is_nil(bytecode.read "")
  end)

  it("that is cut short or damaged raises nothing", function()
    for n = 32, #sample - 1 do
      assert.is_nil(bytecode.read(sample:sub(1, n)))
    end
    for n = 33, #sample do
      pcall(bytecode.read, sample:sub(1, n - 1) .. string.char(255 - sample:byte(n))
        .. sample:sub(n + 1))
      local ok = pcall(bytecode.read, sample:sub(1, n - 1) .. "\x7f" .. sample:sub(n + 1))
      assert(ok)
    end
  end)
end)
