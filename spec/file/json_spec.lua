-- SPDX-License-Identifier: MIT
--
-- JSON of headers and notes: what is written is read, and nothing else is.

local json = require "luabpf.file.json"

describe("json", function()
  it("writes what it reads", function()
    for _, text in ipairs { "true", "false", "0", "-1", "9223372036854775807",
      "-9223372036854775808", "0.5", '""', '"a\\"\\\\\\n\\u0001"', "[]", "[1,[2,[]],\"x\"]",
      '{"a":[{"b":1}],"c":{"d":false}}', '"\u{e9}\u{20ac}\u{1f600}"' } do
      assert.equal(text, json.encode(json.decode(text)))
    end
  end)

  it("keeps all digits of integers, and floats apart from them", function()
    assert.equal(math.maxinteger, json.decode("9223372036854775807"))
    assert.equal("float", math.type(json.decode("9223372036854775808")))
    assert.equal("integer", math.type(json.decode("12")))
    assert.equal(1200.0, json.decode("1.2e3"))
    assert.equal(0.1, json.decode(json.encode(0.1)))
  end)

  it("writes names in order, and bytes that are no UTF-8 as characters", function()
    assert.equal('{"a":1,"b":2,"c":3}', json.encode { c = 3, a = 1, b = 2 })
    assert.equal('"\\u00ffx"', json.encode("\xffx"))
    assert.equal("\u{ff}x", json.decode(json.encode("\xffx")))
    assert.equal('"\\u007f"', json.encode("\127"))
  end)

  it("reads escapes and white space", function()
    assert.equal("/\b\f\u{1f600}", json.decode('"\\/\\b\\f\\ud83d\\ude00"'))
    assert.same({ a = { 1, 2 } }, json.decode(' {\n"a" :\t[ 1 , 2 ] } \r\n'))
    assert.is_nil(json.decode("null"))
    assert.same({ b = 1 }, json.decode('{"a":null,"b":1}'))
  end)

  it("refuses what is not JSON, and says where", function()
    for _, text in ipairs { "", " ", "{", "[", "[1", "[1,", "[1,]", "[,1]", "[1 2]", "{1:2}",
      '{"a"}', '{"a":}', '{"a":1,}', '{"a" 1}', '"', '"a', '"\\x"', '"\\u12"', '"\\ud800"',
      '"\\ud800\\u0041"', '"\n"', "tru", "nul", "nil", "+1", "01", "-", ".5", "0x10", "1 2",
      "nan", "1e", "'a'", ("["):rep(300) .. ("]"):rep(300), ("["):rep(1000000) } do
      local value, message = json.decode(text)
      assert.is_nil(value, text:sub(1, 50))
      assert.matches("^json: byte %d+: ", message)
    end
  end)

  it("refuses to write what has no text", function()
    local cyclic = {}
    cyclic.a = cyclic
    for _, value in ipairs { print, 0 / 0, math.huge, { a = 1, [true] = 2 }, { [3] = 1, [5] = 2,
      a = 1 }, cyclic } do
      local ok, message = pcall(json.encode, value)
      assert.is_false(ok)
      assert.matches("^json: ", message)
    end
  end)
end)
