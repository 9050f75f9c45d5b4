-- SPDX-License-Identifier: MIT
--
-- Copies of values and functions for other Lua states (lua/luabpf/parallel/transfer.lua).

local transfer = require "luabpf.parallel.transfer"

local function copy(value)
  return transfer.unpack(transfer.pack(value, "it"))
end

describe("a copy", function()
  it("of plain values is the same", function()
    for _, value in ipairs { true, false, 0, -1, math.mininteger, math.maxinteger, 1.5, -0.0,
      math.huge, "", "text\0with\255bytes", ("x"):rep(100000) } do
      assert.equal(value, copy(value))
      assert.equal(math.type(value), math.type(copy(value)))
    end
    assert.is_nil(copy(nil))
    local nan = copy(0 / 0)
    assert.is_true(nan ~= nan)
  end)

  it("of tables keeps what is shared, and cycles", function()
    local inner = { 1, 2, 3 }
    local value = { a = inner, b = inner, [1.5] = "x", [true] = { {} } }
    value.self = value
    local new = copy(value)
    assert.equal(new, new.self)
    assert.equal(new.a, new.b)
    assert.not_equal(inner, new.a)
    assert.same({ 1, 2, 3 }, new.a)
    assert.equal("x", new[1.5])
    assert.same({ {} }, new[true])
    local deep = {}
    local at = deep
    for _ = 1, 5000 do
      at.next = {}
      at = at.next
    end
    assert.is_table(copy(deep).next.next)
  end)

  it("of functions keeps their upvalues, and those they share", function()
    local n = 5
    local function up()
      n = n + 1
      return n
    end
    local function get() return n end
    local new = copy { up = up, get = get }
    assert.equal(6, new.up())
    assert.equal(6, new.get())
    assert.equal(5, get())
    local function fact(i) return i <= 1 and 1 or i * fact(i - 1) end
    assert.equal(120, copy(fact)(5))
  end)

  it("of functions uses the globals and modules that are there", function()
    local text = string
    local floor = math.floor
    local bpf = require "luabpf"
    local new = copy(function() return text, floor(2.5), tostring(7), bpf, print end)
    local a, b, c, d, e = new()
    assert.equal(string, a)
    assert.equal(2, b)
    assert.equal("7", c)
    assert.equal(bpf, d)
    assert.equal(print, e)
  end)

  -- Another state knows nothing of them: the name would be that of nothing there.
  it("of what scripts define as globals, and in the standard library, is one of the function",
    function()
    local library = package.loaded.string
    finally(function()
      _G.mine, _G.gone, library.mine = nil, nil, nil
    end)
    local function packed(value)
      local text = transfer.pack(value, "it")
      _G.mine, library.mine = nil, nil
      return transfer.unpack(text)
    end
    function _G.mine(i) return i + 1 end -- luacheck: ignore
    assert.equal(3, packed(_G.mine)(2))
    function _G.mine(i) return i + 1 end -- luacheck: ignore
    local up = _G.mine
    assert.equal(4, packed(function(i) return up(i) end)(3))
    function library.mine(s) return s .. "!" end
    assert.equal("a!", packed(library.mine)("a"))
    local bpf = require "luabpf"
    _G.mine = bpf.now
    assert.equal(bpf.now, packed(bpf.now))
    _G.gone = string.gmatch("", "x")
    assert.error_matches(function() transfer.pack(_G.gone, "it") end,
      "^it: a function cannot be copied to another thread$")
  end)

  it("of a function that its module does not have raises", function()
    local module = { f = function() end }
    package.loaded["transfer.spec"] = module
    finally(function() package.loaded["transfer.spec"] = nil end)
    local text = transfer.pack(module.f, "it")
    module.f = nil
    assert.error_matches(function() transfer.unpack(text) end,
      "^transfer.spec.f is not there: a thread loads modules anew$")
  end)

  it("is refused by name where there is none", function()
    local function fails(text, value)
      local ok, message = pcall(transfer.pack, value, "it")
      assert.is_false(ok)
      assert.equal(text, message)
    end
    local file, co = io.stdout, coroutine.create(print)
    local object = setmetatable({}, {})
    fails("it: upvalue 'file': a FILE* cannot be copied to another thread",
      function() return file end)
    fails("it.a[1].b: a thread cannot be copied to another thread", { a = { { b = co } } })
    fails("it: upvalue 'object': a table with a metatable cannot be copied to another thread",
      function() return object end)
    fails("it: a key: a thread cannot be copied to another thread", { [co] = 1 })
    fails('it["a b"]: a function cannot be copied to another thread',
      { ["a b"] = string.gmatch("", "x") })
  end)
end)
