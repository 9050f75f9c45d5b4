-- SPDX-License-Identifier: MIT
--
-- What a map's methods give is known by its layout at the prompt. In a process of its own: the
-- methods stay wrapped.

local helper = require "spec.support.helper"

describe("what a map's methods give", function()
  it("shows its fields in order, with their types", function()
    local process = helper.process [[
      local display = require "luabpf.show.display"
      require "luabpf.prompt.remember".begin(bpf)
      local map = assert(bpf.create { type = "hash", max_entries = 4, key = { "u16 z", "u16 a" },
        value = { "u64 n", "u32 b" } })
      map:update({ z = 1, a = 2 }, { n = -1, b = 3 })
      print(display.text(map:next()))
      print(display.text(map:lookup { z = 1, a = 2 }))
      print(display.inline(map:lookup_batch { { z = 1, a = 2 } }[1]))
      print(map:lookup { z = 9, a = 9 }, select("#", map:lookup_batch {}))
      local counts = assert(bpf.create { type = "percpu_array", max_entries = 1, key = "u32",
        value = { "u64 n" } })
      print((display.text(counts:lookup(0)):gsub(" +", " ")))
    ]]
    local text = process:read "a"
    process:close()
    assert.equal("field  value  type\nz          1  u16\na          2  u16\n"
      .. "field                 value  type\nn      18446744073709551615  u64\n"
      .. "b                         3  u32\n"
      .. "{ n = 18446744073709551615, b = 3 }\nnil\t2\n"
      .. "field value type\nn 0 (0..0) u64 sum\n", text)
  end)

  it("shows a list of them in that order too", function()
    local process = helper.process [[
      local display = require "luabpf.show.display"
      require "luabpf.prompt.remember".begin(bpf)
      local map = assert(bpf.create { type = "hash", max_entries = 4, key = { "u16 z", "u16 a" },
        value = { "u64 n", "u32 b" } })
      map:update_batch({ { z = 1 }, { z = 2 } }, { { n = -1 }, { n = 2, b = 3 } })
      print(display.text(map:lookup_batch { { z = 1 }, { z = 2 } }))
    ]]
    local text = process:read "a"
    process:close()
    assert.equal("                   n  b\n18446744073709551615  0\n"
      .. "                   2  3\n", text)
  end)

  it("raises at the caller's line, with the method's name", function()
    local process = helper.process [=[
      local bpf = bpf
      require "luabpf.prompt.remember".begin(bpf)
      local map = assert(bpf.create { type = "hash", max_entries = 4, key = { "u16 z" },
        value = "u64" })
      local queue = assert(bpf.create { type = "queue", max_entries = 4, value = "u64" })
      for _, text in ipairs { "map:lookup { y = 1 }", "map:lookup(5)", "map:lookup()",
        "map:next(7)", "map:take { y = 1 }", "map:lookup_batch(5)", "map.lookup(1, {})",
        "queue:pop { no = 1 }", "queue:peek { no = 1 }" } do
        local call = load("map, queue = ...\n" .. text, "=user")
        print(text, select(2, pcall(call, map, queue)))
      end
    ]=]
    local n = 0
    for line in process:lines() do
      n = n + 1
      local text, message = line:match "^(.*)\t(.*)$"
      assert(message:find "^user:2: ", line)
      assert(not message:find("remember", 1, true) and not message:find("'method'", 1, true), line)
      local name = text:match "[:.](%w[%w_]*)"
      assert(not message:find "bad argument" or message:find("'" .. name .. "'", 1, true), line)
    end
    process:close()
    assert.equal(9, n)
  end)
end)
