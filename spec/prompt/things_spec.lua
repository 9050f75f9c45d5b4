-- SPDX-License-Identifier: MIT
--
-- What text stands for, without running it.

local bpf = require "luabpf"
local things = require "luabpf.prompt.things"
local tokens = require "luabpf.prompt.tokens"

local object = { list = { { deep = 1 } }, name = "x" }
local scope = { locals = { object = { value = object } },
  globals = { bpf = bpf, string = string } }

local function of(text)
  local list = tokens.of(text)
  return things.resolve(list, #list, scope)
end

describe("a thing", function()
  it("is what names, fields and indexes lead to", function()
    assert.equal(object, of("print(object").value)
    assert.equal(object.list, of("object.list").value)
    assert.equal(1, of("object.list[1].deep").value)
    assert.equal("x", of('object["name"]').value)
    assert.equal(string.format, of("string.format").value)
    assert.is_nil(of "nothing.there")
    assert.is_nil(of "object.list[i].deep")
    assert.is_nil(of "1 +")
  end)

  it("is of a class where a function of luabpf's gives it", function()
    assert.equal("map", of('bpf.open("x")').class)
    assert.equal("map", of('bpf.open "x"').class)
    assert.equal("map", of("bpf.create { name = 'x' }").class)
    assert.equal("object", of("bpf.load('x')").class)
    assert.is_nil(of "string.format('x')")
    assert.is_nil(of "bpf.now()")
  end)

  it("has names, of __index tables too, and a luabpf function has its own", function()
    local names = things.names { value = setmetatable({ a = 1 }, { __index = { b = print } }) }
    table.sort(names)
    assert.same({ "a", "b" }, names)
    assert.same({ "b" }, things.names({ value = setmetatable({ a = 1 },
      { __index = { b = print } }) }, true))
    assert.equal("bpf.open", things.name_of { value = bpf.open })
    assert.is_nil(things.name_of { value = print })
  end)
end)

describe("the call that a place is in", function()
  local function at(text)
    return things.call_at(tokens.of(text), scope)
  end

  it("has its function, argument and option", function()
    assert.equal(bpf.open, at("bpf.open(").callee.value)
    assert.equal(1, at("bpf.open(").argument)
    assert.equal(3, at("bpf.open(f(1, 2), {},").argument)
    assert.equal("name", at("bpf.open { name =").option)
    assert.equal("key", at("bpf.create { type = 'x', key = {").option)
    assert.is_nil(at("bpf.create { type = 'x',").option)
    assert.truthy(at("bpf.create { type = 'x',").braces)
    assert.equal(bpf.open, at("bpf.open").callee.value)
  end)

  it("is none where there is none", function()
    for _, text in ipairs { "", "x =", "{", "(", "{ a =", "( 1,", "}" } do
      assert.is_nil(at(text), text)
    end
  end)
end)
