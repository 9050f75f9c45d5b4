-- SPDX-License-Identifier: MIT
--
-- scripts/lint: what is against the house style, put into a copy of this checkout, fails it.

local folder = require "spec.support.folder"

-- Copies what the script reads, with a file more of those lines: what it says.
local function check(name, lines)
  folder.make()
  finally(folder.remove)
  assert(os.execute(("cp -r lua luabpf docs rockspec scripts CHANGELOG.md %s && mkdir %s/spec")
    :format(folder.name, folder.name)))
  folder.write(name, table.concat(lines, "\n") .. "\n")
  local command = "cd %s && sh scripts/lint 2>&1; echo status $?"
  local pipe <close> = assert(io.popen(command:format(folder.name)))
  return pipe:read "a"
end

local function times(n, line)
  local lines = {}
  for i = 1, n do lines[i] = line end
  return lines
end

-- first, n lines in the middle, last.
local function around(first, n, line, last)
  local lines = times(n, line)
  table.insert(lines, 1, first)
  lines[#lines + 1] = last
  return lines
end

describe("scripts/lint", function()
  for what, case in pairs {
    ["a long file of C"] = { "luabpf/lib/sum/long.h", times(701, "/* more */"),
      "files that are more than one idea:\n./luabpf/lib/sum/long.h: over 700 lines" },
    ["a long file of Lua"] = { "luabpf/long.lua", times(451, "-- more"),
      "files that are more than one idea:\n./luabpf/long.lua: over 450 lines" },
    ["a long function of C"] = { "luabpf/lib/sum/long.h", around("{", 61, "\tmore();", "}"),
      "functions over 60 lines:\n./luabpf/lib/sum/long.h:1: 62 lines" },
    ["a long function of Lua"] = { "luabpf/long.lua",
      around("local function long()", 61, "  more()", "end"),
      "functions over 60 lines:\n./luabpf/long.lua:1: 62 lines" },
    ["Lua that is none"] = { "luabpf/wrong.lua", { "local = 1" }, "wrong.lua:1:" },
  } do
    it("fails for " .. what, function()
      local output = check(case[1], case[2])
      assert(output:find(case[3], 1, true), output)
      assert.matches("status 1\n$", output)
    end)
  end

  it("passes files of as many lines as may be, specs, and what is made by make docs", function()
    local made = around("-- Made by `make docs`", 500, "-- more", "-- end")
    for name, lines in pairs { ["luabpf/lib/sum/long.h"] = times(700, "/* more */"),
      ["luabpf/long.lua"] = times(450, "-- more"), ["spec/long.lua"] = times(451, "-- more"),
      ["luabpf/made.lua"] = made } do
      assert.equal("status 0\n", check(name, lines))
      folder.remove()
    end
  end)
end)
