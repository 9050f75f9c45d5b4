-- SPDX-License-Identifier: MIT
--
-- Runs the examples of docs/updates.md, in order, on one map; what a line prints is beside it.

local bpf = require "luabpf"
local helper = require "spec.support.helper"

local function page()
  local file <close> = assert(io.open "docs/updates.md")
  return file:read "a"
end

describe("docs/updates.md", function()
  after_each(helper.close_all)

  it("says what its examples give", function()
    local map, n = helper.map { value = { "u64 packets", "u64 bytes", "u32 state", "u8 level",
      "bool marked", "u16 pad" } }, 0
    for i = 1, 100 do assert(map:update(i, { packets = i, bytes = i * 100 })) end
    for block in page():gmatch "```lua\n(.-)```" do
      local got, wanted = {}, {}
      for line in block:gmatch "%-%->%s*([^\n]*)" do wanted[#wanted + 1] = line end
      local env = setmetatable({ map = map, bpf = bpf, print = function(...)
        local parts = table.pack(...)
        for i = 1, parts.n do parts[i] = tostring(parts[i]) end
        got[#got + 1] = table.concat(parts, " ")
      end }, { __index = _G })
      assert(load(block, "=updates.md", "t", env))()
      assert.same(wanted, got)
      n = n + 1
    end
    assert.equal(5, n)
  end)
end)
