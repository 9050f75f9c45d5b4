-- SPDX-License-Identifier: MIT
--
-- Runs the examples of docs/conntrack.md, one after the other as one program,
-- and compares what each prints with the block after it (`text`; `unordered`:
-- its lines in any order). Times in tables are not compared. The cgroup and the
-- pin of the page become ones of this spec.

package.path = "examples/?.lua;" .. package.path

local helper = require "spec.support.helper"
local traffic = require "traffic"

local CGROUP <const>, PIN <const> = "/sys/fs/cgroup/web.slice", "/sys/fs/bpf/conns"

-- The examples: code, and what it prints where the page says so.
local function examples()
  local file <close> = assert(io.open("docs/conntrack.md"))
  local list = {}
  for kind, text in file:read("a"):gmatch("```(%l+)\n(.-)```") do
    if kind == "lua" then
      list[#list + 1] = { code = text }
    else
      list[#list].expected, list[#list].unordered = text, kind == "unordered"
    end
  end
  return list
end

local function plain(text, find, replacement)
  return (text:gsub(find:gsub("%p", "%%%0"), (replacement:gsub("%%", "%%%%"))))
end

-- Tables are as wide as their times; what was printed of a table as such has an address.
local function normalized(text, unordered)
  local lines = {}
  for line in text:gmatch("[^\n]*") do
    line = line:gsub("%d+%.%d s", "TIME"):gsub(" +", " "):gsub("table: 0x%x+", "table")
    lines[#lines + 1] = line
  end
  if unordered then table.sort(lines) end
  return table.concat(lines, "\n")
end

-- Runs the examples: what each printed.
local function run(list, cgroup, pin)
  local outputs, at = {}, 0
  local env = setmetatable({}, { __index = _G })
  function env.print(...)
    local words = table.pack(...)
    for i = 1, words.n do words[i] = tostring(words[i]) end
    outputs[at] = outputs[at] .. plain(table.concat(words, "\t"), pin, PIN) .. "\n"
  end
  function env.__next()
    at = at + 1
    outputs[at] = ""
  end
  local code = {}
  for i, example in ipairs(list) do code[i] = "__next()\n" .. example.code end
  local text = plain(plain(table.concat(code), CGROUP, cgroup), PIN, pin)
  assert(load(text, "=docs/conntrack.md", "t", env))()
  return outputs
end

describe("docs/conntrack.md", function()
  it("says what its examples print", function()
    local list = examples()
    local cgroup <close> = traffic.cgroup(helper.name())
    local outputs = run(list, cgroup.path, helper.pin())
    assert.is_true(#list > 8)
    for i, example in ipairs(list) do
      assert.equal(normalized(example.expected or "", example.unordered),
        normalized(outputs[i], example.unordered))
    end
  end)
end)
