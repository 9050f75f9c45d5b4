-- SPDX-License-Identifier: MIT
--
-- What a run of the specs says at its end, and its exit status: each test here runs
-- specs of its own in another process.

local interpreter = "lua5.4"
for i = -1, -9, -1 do interpreter = arg[i] or interpreter end

-- Runs a spec with that text, with CI set or not: whether it passed, the last line, all lines.
local function run(text, ci)
  local unique = os.tmpname()
  local path = unique .. "_spec.lua"
  local file = assert(io.open(path, "w"))
  file:write(text)
  file:close()
  local pipe = io.popen(("%s LUABPF_BUILD=. '%s' spec/run.lua '%s' 2>&1"):format(
    ci and "CI=true" or "env -u CI", interpreter, path))
  local output = pipe:read "a"
  os.remove(path)
  os.remove(unique)
  return pipe:close() or false, output:match "([^\n]*)\n$", output
end

describe("a run of the specs", function()
  it("passes if all tests pass", function()
    local ok, last = run 'it("a", function() end) it("b", function() end)'
    assert.equal("2 passed, 0 failed", last)
    assert.is_true(ok)
  end)

  it("fails if a test fails or raises, and says where and why", function()
    local ok, last, output = run [[
      it("a", function() end)
      it("b", function() assert.equal(1, 2) end)
      it("c", function() error(setmetatable({}, { __tostring = function() return "odd" end })) end)
    ]]
    assert.equal("1 passed, 2 failed", last)
    assert.is_false(ok)
    assert.matches("FAILED b\n  /tmp/[%w_.]+:2\n", output)
    assert.matches("ERROR c\n  /tmp/[%w_.]+:3\n.*odd", output)
  end)

  it("fails if a file cannot be loaded", function()
    local ok, last = run "x x"
    assert.equal("0 passed, 1 failed", last)
    assert.is_false(ok)
  end)

  it("fails if no test was run", function()
    local ok, last, output = run 'describe("a", function() end)'
    assert.equal("0 passed, 0 failed", last)
    assert.matches("no test was run", output)
    assert.is_false(ok)
  end)

  it("fails under CI if a test is pending that this kernel could run", function()
    local text = 'it("a", function() end) it("b", function() pending "needs Linux 5.10: b" end)'
    local ok, last = run(text, true)
    assert.equal("1 passed, 1 failed", last)
    assert.is_false(ok)
    ok, last = run(text:gsub("5%.10", "99.1"), true)
    assert.equal("1 passed, 0 failed", last)
    assert.is_true(ok)
  end)

  it("lets a test be pending elsewhere, but not for a kernel that is there", function()
    local text = 'it("a", function() end) it("b", function() pending "needs CAP_BPF" end)'
    assert.is_true(run(text, false))
    assert.is_false(run(text, true))
    assert.is_false(run(text:gsub("CAP_BPF", "Linux 5.15"), false))
  end)

  it("has an exit status that does not wrap", function()
    local ok = run 'for i = 1, 256 do it("a" .. i, function() error "x" end) end'
    assert.is_false(ok)
  end)
end)
