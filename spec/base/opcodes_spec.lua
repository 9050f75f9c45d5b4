-- SPDX-License-Identifier: MIT
--
-- What is known of instructions is what luac5.4 lists of real code.

local bytecode = require "luabpf.base.bytecode"
local opcodes = require "luabpf.base.opcodes"

-- The names in luac's listing of a file, by function.
local function listed(path)
  local pipe = assert(io.popen(("luac5.4 -l -l -p '%s' 2>/dev/null"):format(path)))
  local names = {}
  for line in pipe:lines() do
    local name = line:match "^\t%d+\t%[[-%d]+%]\t(%u[%u%d]*)"
    if name then names[#names + 1] = name end
  end
  return pipe:close() and names or nil
end

-- Ours, in the order of luac: a function, then those within it.
local function ours(p, names)
  for _, i in ipairs(p.code) do names[#names + 1] = i.op end
  for _, inner in ipairs(p.protos) do ours(inner, names) end
  return names
end

local EVERY <const> = [[
local a, b, t <close>, u = ..., 1.0, nil, {}
function global(x, ...) u = x; t[1], t.n, t[a] = x, ..., b end
goto over
a = { 1, 2, n = -a, ... }
::over::
a = not a, ~b, #t, a .. b .. "x"
a = a + b - b * a / b // a % b ^ a & b | a ~ b << a >> b
a = a + 1 - 2 * 3 // 4 % 5 & 6 | 7 ~ 8 << 1 >> 2
b = a * 2 // 3 % 4 / 5 ^ 6 & 7 | 8 ~ 9
for i = 1, 10 do if i < a or a <= i or i > 3 or i >= 4 or i < 5 or i <= 6 then break end end
for k, v in pairs(t) do t[k] = function() return k, v, t end end
if a == 1 or a == "x" or a == b then a:method(b); return a(b) end
local x = a and b or t
return x, a, b
]]

describe("opcodes", function()
  it("are those that luac5.4 lists", function()
    local path = os.tmpname()
    finally(function() os.remove(path) end)
    local file <close> = assert(io.open(path, "w"))
    file:write(EVERY)
    file:close()
    local names = assert(listed(path), "luac5.4, of Debian's lua5.4, is needed")
    local p = assert(bytecode.read(string.dump(assert(loadfile(path)))))
    assert.same(names, ours(p, {}))
    assert(#names > 100)
  end)

  it("are the same for every Lua file of the project", function()
    local files = assert(io.popen "find lua spec -name '*.lua'")
    local n = 0
    for path in files:lines() do
      local p = assert(bytecode.read(string.dump(assert(loadfile(path)))))
      assert.same(listed(path), ours(p, {}), path)
      n = n + 1
    end
    assert(n > 50)
  end)

  it("say what an instruction reads and sets, and what may follow", function()
    local p = bytecode.read(string.dump(function(a, b) return a.x < b and a or b(a, 1) end))
    local at = {}
    for pc, i in ipairs(p.code) do at[i.op] = pc end
    local reads, sets, after = opcodes.flow(p, at.GETFIELD)
    assert.same({ 1, 4, { at.GETFIELD + 1 } }, { reads, sets, after })
    reads, sets, after = opcodes.flow(p, at.LT)
    assert.same({ 4 | 2, 0, { at.LT + 1, at.LT + 2 } }, { reads, sets, after })
    local call = p.code[at.CALL]
    reads = opcodes.flow(p, at.CALL)
    assert.equal(opcodes.bits(call.a, call.a + 2), reads)
  end)
end)
