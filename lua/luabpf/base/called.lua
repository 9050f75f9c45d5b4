-- SPDX-License-Identifier: MIT
--
-- How a function goes on at the line where it is now, read from its bytecode: whether it calls what
-- it has just looked for, and whether it loops over it. That is asked when something is not there,
-- to say so where it is called, and to be silent where it is only looked for.
--
-- Where the bytecode is not known or its lines were stripped, the answer is no.

local later = require "luabpf.base.later"

local read = later.call("luabpf.base.bytecode", "read")

local called = {}

-- The prototype of the function that is at work at a level, as error() counts here, and its line;
-- nil where it cannot be read. C functions between are passed over.
local function at_work(level)
  local info = debug.getinfo(level + 2, "Slf")
  while info and info.what == "C" do
    level = level + 1
    info = debug.getinfo(level + 2, "Slf")
  end
  local p = info and read(string.dump(info.func))
  return p, p and info.currentline
end

-- Whether what instruction `from` put into register `a` is called before it is tested.
local function is_called(code, from, a)
  for pc = from + 1, #code do
    local i = code[pc]
    local is_none = i.op == "JMP" or i.op == "EXTRAARG" -- they have no register there
    if not is_none and i.a == a or i.op == "TESTSET" and i.b == a then
      return i.op == "CALL" or i.op == "TAILCALL"
    end
  end
end

local LOOKS_UP <const> = { SELF = true, GETFIELD = true, GETTABUP = true }

-- Whether the function at a level calls what it finds under a name, at its line: as a method, or
-- as a function. Not if it is looked for at that line without a call.
-- @tparam string name
-- @tparam integer level as error() counts here: 2 is who called the function that asks
function called.as(name, level)
  local p, line = at_work(level)
  local found = false
  for pc, i in ipairs(p and p.code or {}) do
    local constant = LOOKS_UP[i.op] and p.lines[pc] == line and p.k[i.c + 1]
    if constant and constant[1] == name then
      if i.op ~= "SELF" and not is_called(p.code, pc, i.a) then return false end
      found = true
    end
  end
  return found
end

-- Whether the function at a level has a generic for at its line.
function called.in_loop(level)
  local p, line = at_work(level)
  for pc, i in ipairs(p and p.code or {}) do
    if p.lines[pc] == line and i.op == "TFORCALL" then return true end
  end
  return false
end

return called
