-- SPDX-License-Identifier: MIT
--
-- Chunks at the prompt: locals that stay, what goes on in the next line.

local chunk = require "luabpf.prompt.chunk"

describe("a chunk at the prompt", function()
  local locals, env

  before_each(function() locals, env = {}, setmetatable({}, { __index = _G }) end)

  local function protected(handler, f, ...) return xpcall(f, handler, ...) end

  -- What a chunk gives: true and its results, or false and the message.
  local function run(text)
    local fn, about = chunk.compile(text, locals, env)
    if not fn then return nil, about end
    return chunk.run(fn, about, locals, protected, function(err) return err end)
  end

  local function dropped(text)
    return select(2, chunk.compile(text, locals, env)).dropped
  end

  it("gives what an expression is, and what statements return", function()
    assert.same({ true, 3 }, { run "1 + 2" })
    assert.same({ true, 3 }, { run "= 1 + 2" })
    assert.same({ true, 1, nil, 2 }, { run "1, nil, 2" })
    assert.same({ true }, { run "x = 5" })
    assert.equal(5, env.x)
    assert.same({ true }, { run "" })
    assert.same({ true }, { run "-- nothing" })
  end)

  it("keeps locals of the top for the session", function()
    run "local a, b = 1, 2"
    run "a = a + 10; local c = a + b"
    assert.same({ true, 11, 2, 13 }, { run "a, b, c" })
    run "local function f(n) return n == 0 and 'end' or f(n - 1) end"
    assert.same({ true, "end" }, { run "f(3)" })
    run "local a = 'again'"
    assert.same({ true, "again" }, { run "a" })
    run "local n = nil"
    env.n = "global"
    assert.same({ true, nil }, { run "n" })
    assert.is_nil(rawget(env, "a"))
  end)

  it("keeps them where an error ends it, and where it returns", function()
    assert.same({ false, "boo" }, { run "local a = 1; a = 2; error('boo', 0)" })
    assert.same({ true, 2 }, { run "a" })
    assert.same({ true, 7 }, { run "local z = 7; do local inner = 1 end; return z" })
    assert.same({ true, 7, nil }, { run "z, inner" })
  end)

  it("leaves a function the locals that it was made with", function()
    run "local n = 1; local function get() return n end"
    run "n = 2"
    assert.same({ true, 2, 1 }, { run "n, get()" })
  end)

  it("keeps nothing of blocks, loops and functions, nor results of the prompt", function()
    run "for i = 1, 3 do local j = i end; do local k = 1 end; local _, _1 = 5, 6"
    assert.is_nil(next(locals))
  end)

  it("drops <close> at the top and says so, keeps it in blocks", function()
    env.closed = 0
    env.thing = setmetatable({}, { __close = function() env.closed = env.closed + 1 end })
    assert.same({ "a" }, dropped "local a <close>, b <const> = thing, 2")
    run "local a <close>, b <const> = thing, 2"
    assert.equal(0, env.closed)
    assert.same({ true, 2 }, { run "b" })
    assert.same({}, dropped "do local a <close> = thing end")
    run "do local a <close> = thing end"
    assert.equal(1, env.closed)
    assert.same({}, dropped "return 1 < close and close > 2")
    assert.same({}, dropped "local f = function() local x <close> = thing end")
    assert.same({}, dropped "-- local a <close> = 1\nlocal s = 'local b <close> = 2'")
  end)

  it("goes on in further lines until it is complete", function()
    for _, text in ipairs { "for i = 1, 3 do", "x = {", "f(", "local x = [[a", "if a then b()",
      "{ 1,", "map:select {\n  where = 'x',", "x =", "1 +" } do
      local fn, about = chunk.compile(text, locals, env)
      assert.is_nil(fn, text)
      assert.is_nil(about, text)
    end
    assert.same({ true, 6 }, { run "local s = 0\nfor i = 1, 3 do\n s = s + i\nend\nreturn s" })
  end)

  it("says what is wrong with a text, by its line", function()
    local _, message = chunk.compile("x = = 1", locals, env)
    assert.equal("prompt:1: unexpected symbol near '='", message)
    local ok, raised = run "local a = 1\n\nerror 'here'"
    assert.is_false(ok)
    assert.equal("prompt:3: here", raised)
  end)

  it("takes more locals than Lua has registers", function()
    for i = 1, 400 do run(("local v%d = %d"):format(i, i)) end
    assert.same({ true, 401 }, { run "v1 + v400" })
  end)
end)
