-- SPDX-License-Identifier: MIT
--
-- The bytes that show as a string are those that the codec shows so.

local bpf = require "luabpf"
local core = require "luabpf.core"
local generator = require "spec.support.generator"
local helper = require "spec.support.helper"
local texts = require "luabpf.function.texts"

local FIELDS <const> = { "char x[5]", "bytes x[3]", "ipv4 x", "ipv6 x", "ip x", "mac x",
  "prefix4 x", "prefix6 x" }

describe("texts", function()
  for _, field in ipairs(FIELDS) do
    it("finds the bytes of " .. field, function()
      local map = assert(bpf.create { type = "array", name = helper.name(), max_entries = 1,
        value = { field, "u8 rest" } })
      local _, value = core.layouts(map)
      local desc = value:describe().fields[1].type
      local random = generator.new(7)
      for _ = 1, 2000 do
        local bytes = {}
        for i = 1, desc.size do
          bytes[i] = string.char(random:chance(60) and 0 or random:int(0, 255))
        end
        bytes = table.concat(bytes)
        local record = bytes .. ("\0"):rep(value:describe().size - desc.size)
        assert(map:update_batch("\0\0\0\0", record))
        local shown = map:lookup(0).x
        local found = texts.bytes(desc, shown)
        if found ~= bytes then
          error(("%q shows as %q, of which it makes %q"):format(bytes, shown, found))
        end
      end
    end)
  end

  it("finds none where nothing shows so", function()
    assert.is_nil(texts.bytes({ kind = "ipv4" }, "10.0.0.01"))
    assert.is_nil(texts.bytes({ kind = "ipv6" }, "0::1"))
    assert.is_nil(texts.bytes({ kind = "mac" }, "00:16:3E:00:00:00"))
    assert.is_nil(texts.bytes({ kind = "text", size = 4 }, "12345"))
    assert.is_nil(texts.bytes({ kind = "text", size = 4 }, "a\0"))
    assert.equal("a\0b\0", texts.bytes({ kind = "text", size = 4 }, "a\0b\0"))
  end)
end)
