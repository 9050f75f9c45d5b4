-- SPDX-License-Identifier: MIT

--- Whether this Lua's bytecode is the one that is known. Its header says version and
-- sizes; a patched Lua may have the same header and other instructions, so a function
-- is looked at whose listing is known: each part of it must be as Lua 5.4 writes it.
--
-- @module luabpf.function.canary

local bytecode = require "luabpf.base.bytecode"

local canary = {}

-- What is looked at. Its listing is below: both change together.
local LIMIT, SET = 7, {}
local function sample(key, value)
  local sum = 0
  for i = 1, 3 do
    if value.list[i] > LIMIT then sum = sum + i * 2 end
  end
  if SET[key.port] or not value.on then return sum // 4 == 1 end
  return sum < 9 and value.name ~= "x" and -sum & 15 ~= 3
end

local LISTING <const> = [[
LOADI 2 1 255 127; LOADI 3 0 0 128; LOADI 4 0 1 128; LOADI 5 0 0 128; FORPREP 3 1 4 0
GETFIELD 7 0 1 0; GETTABLE 7 0 7 6; GETUPVAL 8 0 0 0; LT 8 0 7 0; JMP 3 0 0 128; MULK 7 0 6 1
MMBINK 6 0 1 8; ADD 2 0 2 7; MMBIN 2 0 7 6; FORLOOP 3 0 5 0; GETFIELD 4 0 0 2; GETUPVAL 3 0 1 0
GETTABLE 3 0 3 4; TEST 3 1 0 0; JMP 2 0 0 128; GETFIELD 3 0 1 3; TEST 3 1 0 0; JMP 6 0 0 128
IDIVK 3 0 2 4; MMBINK 2 0 4 12; EQI 3 1 128 0; JMP 0 0 0 128; LFALSESKIP 3 0 0 0
LOADTRUE 3 0 0 0; RETURN1 3 0 2 0; LTI 2 0 136 0; JMP 7 0 0 128; GETFIELD 3 0 1 5; EQK 3 1 6 0
JMP 4 0 0 128; UNM 3 0 2 0; BANDK 3 0 3 7; MMBINK 3 0 7 13; EQI 3 0 130 0; JMP 0 0 0 128
LFALSESKIP 3 0 0 0; LOADTRUE 3 0 0 0; RETURN1 3 0 2 0; RETURN0 3 0 1 0]]

-- The instructions of a prototype, in that form.
function canary.listing(p)
  local parts = {}
  for pc, i in ipairs(p.code) do
    parts[pc] = ("%s %d %d %d %d"):format(i.op, i.a, i.k, i.b, i.c)
  end
  return table.concat(parts, "; ")
end

-- Why a chunk is not what this sample is in Lua 5.4; nil where it is.
function canary.check(chunk)
  local p, why = bytecode.read(chunk)
  if not p then return why end
  if canary.listing(p) ~= LISTING:gsub("\n", "; ") then
    return "this Lua has other instructions than Lua 5.4"
  end
end

local checked, obstacle = false, nil

-- Why functions are not compiled by this Lua; nil where they are. Looked at once, unless memory
-- ends.
function canary.obstacle()
  if not checked then
    obstacle = canary.check(string.dump(sample))
    checked = true
  end
  return obstacle
end

return canary
