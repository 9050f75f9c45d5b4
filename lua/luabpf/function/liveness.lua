-- SPDX-License-Identifier: MIT

--- What of a function's registers matters where: paths that meet are one only if those
-- agree. Registers that no later instruction reads before it sets them do not matter.
--
-- @module luabpf.function.liveness

local bytecode = require "luabpf.base.bytecode"
local opcodes = require "luabpf.base.opcodes"

local liveness = {}

-- Registers are bits of an integer.
local MOST_REGISTERS <const> = 62
-- Prototypes that are kept.
local MOST_KEPT <const> = 256

-- By instruction: what it reads, what it sets, and what may follow.
local function flows_of(p)
  local flows, meets = {}, {}
  for pc = 1, #p.code do
    flows[pc] = { opcodes.flow(p, pc) }
    for _, to in ipairs(flows[pc][3]) do meets[to] = (meets[to] or 0) + 1 end
  end
  return flows, meets
end

local function live_at(flows)
  local live, changed = {}, true
  for pc = 1, #flows do live[pc] = 0 end
  while changed do
    changed = false
    for pc = #flows, 1, -1 do
      local out = 0
      for _, to in ipairs(flows[pc][3]) do out = out | (live[to] or 0) end
      local before = flows[pc][1] | out & ~flows[pc][2]
      if before ~= live[pc] then live[pc], changed = before, true end
    end
  end
  return live
end

-- Registers of for loops by instruction: they stay constants while the loop unrolls.
local function loops_of(p)
  local loops = {}
  for pc, i in ipairs(p.code) do
    local last = i.op == "FORLOOP" and 3 or i.op == "TFORLOOP" and 4
    if last then
      local registers = opcodes.bits(i.a, i.a + last)
      for at = pc - i.bx - 1, pc do loops[at] = (loops[at] or 0) | registers end
    end
  end
  return loops
end

-- Adds to a prototype, by instruction: live (registers whose values matter there, as bits), meets
-- (how many lead there), loops (registers of the for loops around it).
function liveness.analyse(p)
  local flows
  flows, p.meets = flows_of(p)
  p.live, p.loops = live_at(flows), loops_of(p)
  return p
end

local protos, n = {}, 0

-- The prototype of a function, analysed; kept by its chunk. nil and why: no Lua function, other
-- bytecode, too many registers.
function liveness.of(f)
  local ok, chunk = pcall(string.dump, f)
  if not ok then return nil, "it is no Lua function" end
  if protos[chunk] then return protos[chunk] end
  local p, why = bytecode.read(chunk)
  if not p then return nil, why end
  if p.stack > MOST_REGISTERS then
    return nil, ("it has more than %d registers"):format(MOST_REGISTERS)
  end
  if n >= MOST_KEPT then protos, n = {}, 0 end
  n = n + 1
  protos[chunk] = liveness.analyse(p)
  p.name = ("%s:%d"):format(p.source, p.first)
  return p
end

return liveness
