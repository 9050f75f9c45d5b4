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
end)
