-- SPDX-License-Identifier: MIT

--- Instructions, one function each: what it does to the frame. Those that are not here
-- end a path, for the reason in run.ends. Loops are in loops.lua.
--
-- @module luabpf.function.steps

local outside = require "luabpf.function.outside"
local run = require "luabpf.function.run"

local steps, is_int, what, is_number = run.steps_of, run.is_int, run.what, run.is_number

local MOST_LENGTH <const> = 1024 -- of a table from outside whose length is asked
local MOST_SIZE <const> = 24 -- of a tree, before it goes into a variable

run.ends.SETUPVAL = "assigns to a variable from outside"
run.ends.SETTABUP = "assigns to a global variable"
run.ends.SETTABLE, run.ends.SETI = "assigns into a table", "assigns into a table"
run.ends.SETFIELD = "assigns to a field"
run.ends.NEWTABLE, run.ends.SETLIST = "makes a table", "makes a list"
run.ends.CLOSURE = "makes a function"
run.ends.VARARG, run.ends.TBC = "uses '...'", "has a to-be-closed variable"

-- Sets a register and goes on.
local function set(frame, a, value, step)
  frame.r[a] = value
  frame.pc = frame.pc + (step or 1)
end

local function constant(self, frame, index)
  return self:const(frame.p.k[index + 1][1])
end

-- ---- loads ----------------------------------------------------------------------

function steps.MOVE(_, frame, i) set(frame, i.a, frame.r[i.b]) end
function steps.LOADI(self, frame, i) set(frame, i.a, self:const(i.sbx)) end
function steps.LOADF(self, frame, i) set(frame, i.a, self:const(i.sbx + 0.0)) end
function steps.LOADK(self, frame, i) set(frame, i.a, constant(self, frame, i.bx)) end
function steps.LOADKX(self, frame, i)
  set(frame, i.a, constant(self, frame, frame.p.code[frame.pc + 1].ax), 2)
end
function steps.LOADFALSE(self, frame, i) set(frame, i.a, self:const(false)) end
function steps.LFALSESKIP(self, frame, i) set(frame, i.a, self:const(false), 2) end
function steps.LOADTRUE(self, frame, i) set(frame, i.a, self:const(true)) end
function steps.LOADNIL(self, frame, i)
  for r = i.a, i.a + i.b do frame.r[r] = self:const(nil) end
  frame.pc = frame.pc + 1
end

local function upvalue(self, frame, index)
  local name = frame.p.upvalues[index + 1].name or "upvalue " .. index + 1
  local src = frame.f.src
  if src.kind ~= "root" and name ~= "_ENV" then name = src.name .. "." .. name end
  return self:outside(self:source("upvalue", src, index + 1, name))
end

function steps.GETUPVAL(self, frame, i) set(frame, i.a, upvalue(self, frame, i.b)) end

-- ---- tables, views, lists -------------------------------------------------------

local function index(self, frame, a, object, key)
  if object.t == "view" then
    run.need_constant(key)
    return self:read_member(frame, a, object, key)
  elseif object.t == "array" then
    return self:read_list(frame, a, object, key)
  elseif run.has_fields(object) then
    return self:read_field(frame, a, object, key)
  elseif object.t ~= "const" or type(object.v) ~= "table" then
    run.need_constant(object)
    return self:lua(frame, "%s is indexed", what(object))
  end
  if key.t == "text" then run.need_constant(key) end
  if key.t ~= "const" then return self:search_table(frame, a, object, key) end
  local node = self:read_table(frame, a, object, key.v)
  frame.pc = frame.pc + 1
  return node
end

function steps.GETTABUP(self, frame, i)
  return index(self, frame, i.a, upvalue(self, frame, i.b), constant(self, frame, i.c))
end
function steps.GETTABLE(self, frame, i)
  return index(self, frame, i.a, frame.r[i.b], frame.r[i.c])
end
function steps.GETI(self, frame, i)
  return index(self, frame, i.a, frame.r[i.b], self:const(i.c))
end
function steps.GETFIELD(self, frame, i)
  return index(self, frame, i.a, frame.r[i.b], constant(self, frame, i.c))
end

local function what_key(key)
  return key.t == "const" and tostring(key.v) or "?"
end

function steps.SELF(self, frame, i)
  local object = frame.r[i.b]
  local key = i.k == 1 and constant(self, frame, i.c) or frame.r[i.c]
  run.need_constant(object)
  if object.t == "const" and type(object.v) == "table" then
    frame.r[i.a + 1] = object
    local node = self:read_table(frame, i.a, object, key.v)
    frame.pc = frame.pc + 1
    return node
  elseif object.src and type(object.v) == "userdata" then
    return self:lua(frame, "calls '%s:%s', which only Lua can do", object.src.name, what_key(key))
  elseif object.t ~= "raw" and not (object.t == "const" and type(object.v) == "string") then
    return self:lua(frame, "a method of %s is called", what(object))
  end
  local src = self:source("method", self.root_src, key.v, "string." .. tostring(key.v))
  if not select(2, outside.resolve(src)) then
    return self:lua(frame, "a method of strings, which are other than Lua's")
  end
  frame.r[i.a + 1] = object
  set(frame, i.a, self:outside(src))
end

function steps.LEN(self, frame, i)
  local v = frame.r[i.b]
  run.need_constant(v)
  if v.t == "array" then return set(frame, i.a, self:const(v.place.desc.n)) end
  if v.t == "const" and type(v.v) == "string" then return set(frame, i.a, self:const(#v.v)) end
  if v.t == "const" and type(v.v) == "table" and v.src and not debug.getmetatable(v.v)
    and self:contents(v, MOST_LENGTH) then
    return set(frame, i.a, self:const(#v.v))
  end
  local length = v.t == "raw" and self:length(v)
  if not length then return self:lua(frame, "the length of %s", what(v)) end
  set(frame, i.a, self:int(length))
  return self:settle_large(frame, i.a, length)
end

function steps.CONCAT(self, frame, i)
  local parts, size = {}, 0
  for r = i.a, i.a + i.b - 1 do
    local v = frame.r[r]
    run.need_constant(v)
    if v.t ~= "const" or type(v.v) ~= "string" and type(v.v) ~= "number" then
      return self:lua(frame, "'..' makes text of what depends on the entry")
    end
    parts[#parts + 1] = v.v
    size = size + #tostring(v.v)
  end
  if size > run.MOST_MADE then return self:lua(frame, "'..' makes a long text") end
  set(frame, i.a, self:const(table.concat(parts)))
end

-- ---- arithmetic -----------------------------------------------------------------

-- What follows where a register has got a tree that may be large: a variable then.
function run:settle_large(frame, a, tree)
  if (tree.size_of or 0) > MOST_SIZE then return self:settle(frame, a) end
end

local function raised(self, frame, message)
  return self:lua(frame, "raises: %s", (tostring(message):gsub("^.-:%d+: ", "")))
end

local function of_constants(self, frame, a, op, x, y)
  if type(x.v) == "table" or type(y.v) == "table" then
    return self:lua(frame, "arithmetic on a table")
  end
  local ok, v = pcall(run.folds[op], x.v, y.v)
  if not ok then return raised(self, frame, v) end
  return set(frame, a, self:const(v), 2)
end

local floats <const> = {
  ["/"] = "'/' gives a float; '//' divides integers",
  ["^"] = "'^' gives a float; '*' multiplies integers",
}

local function check_operands(self, frame, op, x, y)
  if floats[op] then return self:lua(frame, floats[op]) end
  for _, v in ipairs { x, y } do
    if v.t == "text" then run.need_constant(v) end
    if v.t == "const" and math.type(v.v) == "float" then
      local n = math.tointeger(v.v)
      return self:lua(frame, n and "arithmetic with a float; %s is an integer"
        or "arithmetic with the float %s", n or tostring(v.v))
    elseif not is_int(v) then
      return self:lua(frame, "arithmetic on %s", what(v))
    end
  end
end

local function compute(self, frame, a, op, x, y)
  if x.t == "const" and y.t == "const" then return of_constants(self, frame, a, op, x, y) end
  local wrong = check_operands(self, frame, op, x, y)
  if wrong then return wrong end
  local s, t = self:integer(x), self:integer(y)
  local function result(f)
    local made = self:arith(op, s, t)
    set(f, a, self:int(made), 2)
    return self:settle_large(f, a, made)
  end
  if op ~= "//" and op ~= "%" then return result(frame) end
  if is_number(t) and t.value ~= 0 then return result(frame) end
  local zero = self:compare("==", t, self:number(0))
  return self:split(frame, zero, function(f) return self:lua(f, "'%s' by zero raises", op) end,
    result)
end

for name, op in pairs { ADD = "+", SUB = "-", MUL = "*", MOD = "%", POW = "^", DIV = "/",
  IDIV = "//", BAND = "&", BOR = "|", BXOR = "~", SHL = "<<", SHR = ">>" } do
  steps[name] = function(self, frame, i)
    return compute(self, frame, i.a, op, frame.r[i.b], frame.r[i.c])
  end
  if name ~= "SHL" and name ~= "SHR" then
    steps[name .. "K"] = function(self, frame, i)
      return compute(self, frame, i.a, op, frame.r[i.b], constant(self, frame, i.c))
    end
  end
end
function steps.ADDI(self, frame, i)
  return compute(self, frame, i.a, "+", frame.r[i.b], self:const(i.sc))
end
function steps.SHRI(self, frame, i)
  return compute(self, frame, i.a, ">>", frame.r[i.b], self:const(i.sc))
end
function steps.SHLI(self, frame, i)
  return compute(self, frame, i.a, "<<", self:const(i.sc), frame.r[i.b])
end

local function unary(name, fold, make)
  steps[name] = function(self, frame, i)
    local v = frame.r[i.b]
    if v.t == "int" then return set(frame, i.a, self:int(make(self, v.tree))) end
    run.need_constant(v)
    if v.t ~= "const" or type(v.v) == "table" then
      return self:lua(frame, "arithmetic on %s", what(v))
    end
    local ok, result = pcall(fold, v.v)
    if not ok then return raised(self, frame, result) end
    set(frame, i.a, self:const(result))
  end
end

unary("UNM", function(v) return -v end, function(self, tree) return self:negative(tree) end)
unary("BNOT", function(v) return ~v end, function(self, tree) return self:inverted(tree) end)

-- ---- tests ----------------------------------------------------------------------

-- Whether a value is true; nil and why where that is not known.
local function truth(v)
  if v.t == "found" then return nil, "find looks behind the beginning; find('^text') does not" end
  return v.t ~= "const" or not not v.v
end

function steps.NOT(self, frame, i)
  local holds, why = truth(frame.r[i.b])
  if holds == nil then return self:lua(frame, why) end
  set(frame, i.a, self:const(not holds))
end

function steps.JMP(_, frame, i) frame.pc = frame.pc + 1 + i.sj end

-- After a test: the jump that follows is taken if it is as k says, else skipped.
local function test(self, frame, condition, why, k)
  if condition == nil then return self:lua(frame, "%s", why) end
  local at = frame.pc
  local jump = at + 2 + frame.p.code[at + 1].sj
  local function taken(f) f.pc = jump end
  local function skipped(f) f.pc = at + 2 end
  if k == 0 then taken, skipped = skipped, taken end
  if condition == true then return taken(frame) end
  if condition == false then return skipped(frame) end
  return self:split(frame, condition, taken, skipped)
end

local function equality(name, other)
  steps[name] = function(self, frame, i)
    local condition, why = self:equal(frame.r[i.a], other(self, frame, i))
    return test(self, frame, condition, why, i.k)
  end
end

equality("EQ", function(_, frame, i) return frame.r[i.b] end)
equality("EQK", function(self, frame, i) return constant(self, frame, i.b) end)
equality("EQI", function(self, _, i) return self:const(i.sb) end)

-- In immediate forms c says that the number was a float.
local function ordered(name, op, swap, immediate)
  steps[name] = function(self, frame, i)
    local a = frame.r[i.a]
    local b = immediate and self:const(i.c ~= 0 and i.sb + 0.0 or i.sb) or frame.r[i.b]
    if swap then a, b = b, a end
    local condition, why = self:order(op, a, b)
    return test(self, frame, condition, why, i.k)
  end
end

ordered("LT", "<", false, false)
ordered("LE", "<=", false, false)
ordered("LTI", "<", false, true)
ordered("LEI", "<=", false, true)
ordered("GTI", "<", true, true)
ordered("GEI", "<=", true, true)

function steps.TEST(self, frame, i)
  local holds, why = truth(frame.r[i.a])
  return test(self, frame, holds, why, i.k)
end

function steps.TESTSET(self, frame, i)
  local holds, why = truth(frame.r[i.b])
  if holds == (i.k == 1) then frame.r[i.a] = frame.r[i.b] end
  return test(self, frame, holds, why, i.k)
end

-- ---- calls ----------------------------------------------------------------------

function steps.CALL(self, frame, i)
  return self:call(frame, i.a, i.b, i.c > 0 and i.c - 1 or nil)
end
-- What a tail call gives is returned by the instruction after it.
function steps.TAILCALL(self, frame, i) return self:call(frame, i.a, i.b, nil) end
function steps.RETURN(self, frame, i) return self:finish(frame, i.a, i.b) end
function steps.RETURN0(self, frame) return self:finish(frame, 0, 1) end
function steps.RETURN1(self, frame, i) return self:finish(frame, i.a, 2) end
function steps.VARARGPREP(_, frame) frame.pc = frame.pc + 1 end
function steps.CLOSE(_, frame) frame.pc = frame.pc + 1 end

return run
