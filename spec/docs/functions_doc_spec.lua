-- SPDX-License-Identifier: MIT
--
-- Runs the examples of docs/functions.md, in order, on one map; what a line prints is beside it.

local bpf = require "luabpf"
local helper = require "spec.support.helper"

local function page()
  local file <close> = assert(io.open "docs/functions.md")
  return file:read "a"
end

local function filled()
  local map = assert(bpf.create { type = "hash", name = helper.name(), max_entries = 200,
    key = { "u32 id", "be16 dst_port" }, value = { "u64 packets", "u64 bytes" } })
  for i = 1, 100 do
    assert(map:update({ id = i, dst_port = i }, { packets = i % 11, bytes = 1000 + i }))
  end
  for i = 101, 120 do
    assert(map:update({ id = i, dst_port = 443 }, { packets = 0, bytes = 1 }))
  end
  return map
end

describe("docs/functions.md", function()
  it("says what its examples give", function()
    local map, n = filled(), 0
    local before = map:count()
    for block in page():gmatch "```lua\n(.-)```" do
      local got, wanted = {}, {}
      for line in block:gmatch "%-%->%s*([^\n]*)" do wanted[#wanted + 1] = line end
      local env = setmetatable({ map = map, bpf = bpf, print = function(...)
        local parts = table.pack(...)
        for i = 1, parts.n do parts[i] = tostring(parts[i]) end
        got[#got + 1] = table.concat(parts, " ")
      end }, { __index = _G })
      assert(load(block, "=functions.md", "t", env))()
      for i, line in ipairs(wanted) do
        assert.equal(line, got[i]:sub(1, #line), block)
      end
      n = n + 1
    end
    assert(n >= 6)
    assert(map:count() < before)
  end)
end)
