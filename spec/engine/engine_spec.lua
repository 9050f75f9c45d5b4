-- SPDX-License-Identifier: MIT
--
-- The tests in C of what Lua does not reach: spec/engine/NAME.c is a program that
-- prints a line "ok N - what" or "not ok N - what" for each check (TAP), and exits
-- with 0 if all are well. Programs called fuzz_* are built but not run here.
--
-- LUABPF_BUILD names the folder they are built in.

local build <const> = (os.getenv "LUABPF_BUILD" or ".build") .. "/engine/"

-- The names of the programs, in order.
local function programs()
  local listing <close> = io.popen "ls spec/engine 2>/dev/null"
  local names = {}
  for file in listing:lines() do
    local name = file:match "^(.+)%.c$"
    if name and not name:match "^fuzz_" then names[#names + 1] = name end
  end
  return names
end

-- Runs one: its output, and nil or how it ended. Unlike Lua's, its leaks are looked for.
local function run(name)
  local pipe = io.popen(("ASAN_OPTIONS=detect_leaks=1 '%s%s' 2>&1"):format(build, name))
  local output = pipe:read "a"
  local ok, how, code = pipe:close()
  return output, not ok and ("%s %d"):format(how, code) or nil
end

describe("engine", function()
  for _, name in ipairs(programs()) do
    describe(name, function()
      local output, ending = run(name)
      for verdict, what in ("\n" .. output):gmatch "\n(n?o?t? ?ok) %d+[ -]*([^\n]*)" do
        it(what, function()
          assert(verdict == "ok", output)
        end)
      end

      it("ends well", function()
        assert(not ending, ending and ending .. "\n" .. output)
      end)
    end)
  end
end)
