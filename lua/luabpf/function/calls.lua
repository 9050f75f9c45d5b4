-- SPDX-License-Identifier: MIT

--- Calls. A Lua function runs in line, in a frame of its own; a function of C that is
-- known (known.lua) gives its value; one of constants that has no effect is called here
-- and now. Anything else is Lua's.
--
-- @module luabpf.function.calls

local liveness = require "luabpf.function.liveness"
local run = require "luabpf.function.run"
local words = require "luabpf.function.words"

local MOST_FRAMES <const> = 16
-- Bytes of a text that is made while compiling.
local MOST_MADE <const> = 1 << 16
run.MOST_MADE = MOST_MADE

-- By function of C: function(run, args) to a list of values; or nil and why not; or "split", a
-- test, the values where it holds and those where not.
run.known = {}

-- Results of a call, into the frame from register a on; count: nil for all.
local function deliver(self, frame, a, count, values)
  for i = 1, count or #values do frame.r[a + i - 1] = values[i] or self:const(nil) end
  frame.top = not count and a + #values or nil
end

local function arguments(frame, a, b)
  local args = {}
  for i = a + 1, b == 0 and frame.top - 1 or a + b - 1 do args[#args + 1] = frame.r[i] end
  return args
end

-- ---- functions of constants -----------------------------------------------------

-- Those without effect, whose results depend on nothing else.
local pure = { [tostring] = true, [tonumber] = true, [type] = true }
for _, f in pairs(words) do pure[f] = true end
local impure = { random = true, randomseed = true, dump = true, gmatch = true }
for _, list in ipairs { math, string } do
  for name, f in pairs(list) do
    if type(f) == "function" and not impure[name] then pure[f] = true end
  end
end

-- Whether string.rep would make too much.
local function is_long(f, text, n, separator)
  return f == string.rep
    and 1.0 * (#tostring(text) + #tostring(separator or "")) * (tonumber(n) or 0) > MOST_MADE
end

local function of_constants(self, f, args)
  if not pure[f] then return nil end
  local values = {}
  for i, arg in ipairs(args) do
    if arg.t ~= "const" or type(arg.v) == "table" or type(arg.v) == "function" then return nil end
    values[i] = arg.v
  end
  if is_long(f, table.unpack(values, 1, #args)) then return nil end
  local results = table.pack(pcall(f, table.unpack(values, 1, #args)))
  if not results[1] then return nil end
  local list = {}
  for i = 2, results.n do list[i - 1] = self:const(results[i]) end
  return list
end

-- ---- Lua functions -----------------------------------------------------------------------

local function enter(self, frame, callee, args, a, count)
  local depth = (frame.depth or 1) + 1
  local p = liveness.of(callee.v)
  local why = depth > MOST_FRAMES and "calls nest too deeply"
    or not p and "a function whose bytecode cannot be had is called"
    or p.vararg and "a function with '...' is called"
  if why then return self:lua(frame, why) end
  frame.pc = frame.pc + 1
  local inner = { p = p, f = callee, pc = 1, r = {}, depth = depth, up = frame,
    to = { a = a, count = count }, state = frame.state }
  for i = 1, p.params do inner.r[i - 1] = args[i] or self:const(nil) end
  return self:explore(inner)
end

local function call_known(self, frame, a, count, name, args)
  local values, why, yes, no = run.known[frame.r[a].v](self, args)
  if not values then return self:lua(frame, "%s %s", name, why) end
  frame.pc = frame.pc + 1
  if values ~= "split" then
    deliver(self, frame, a, count, values)
    return count == 1 and values[1].t == "int" and self:settle_large(frame, a, values[1].tree)
      or nil
  end
  return self:split(frame, why, function(f) deliver(self, f, a, count, yes) end,
    function(f) deliver(self, f, a, count, no) end)
end

local function call_other(self, frame, a, count, args)
  local callee = frame.r[a]
  local f, name = callee.v, callee.src and callee.src.name or "?"
  local constants = of_constants(self, f, args)
  if constants then
    frame.pc = frame.pc + 1
    return deliver(self, frame, a, count, constants)
  end
  if type(f) ~= "function" then return self:lua(frame, "%s is called", run.what(callee)) end
  return self:lua(frame, "calls '%s', which only Lua can do", name)
end

-- Calls what is in register a; b counts the arguments as in CALL, count the results, nil: all.
function run:call(frame, a, b, count)
  local callee = frame.r[a]
  if callee.t ~= "const" then return self:lua(frame, "%s is called", run.what(callee)) end
  local f, args = callee.v, arguments(frame, a, b)
  local inline = type(f) == "function" and not run.known[f] and not pure[f]
    and debug.getinfo(f, "S").what ~= "C"
  if inline and callee.src then return enter(self, frame, callee, args, a, count) end
  if inline then return self:lua(frame, "a function made here is called") end
  for _, arg in ipairs(args) do
    if arg.t == "text" then run.need_constant(arg) end
  end
  local name = callee.src and callee.src.name or "?"
  if run.known[f] and not of_constants(self, f, args) then
    return call_known(self, frame, a, count, name, args)
  end
  return call_other(self, frame, a, count, args)
end

-- Ends a function: the leaf, or what follows in its caller.
function run:finish(frame, a, b)
  local values = {}
  for i = a, b == 0 and frame.top - 1 or a + b - 2 do values[#values + 1] = frame.r[i] end
  if frame.up then
    local up = run.copied(frame.up)
    up.state = frame.state
    deliver(self, up, frame.to.a, frame.to.count, values)
    return self:meet(up)
  end
  if self.purpose then return self:leaf(frame, values) end
  local v = values[1]
  if not v or v.t == "const" and not v.v then return run.NO end
  if v.t == "found" then return self:lua(frame, "what find gives is returned") end
  return run.YES
end

return run
