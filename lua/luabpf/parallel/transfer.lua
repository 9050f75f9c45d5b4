-- SPDX-License-Identifier: MIT
--
-- Values from one Lua state to another, as a string: nil, booleans, numbers,
-- strings, tables and Lua functions of these. What is shared stays shared,
-- cycles too; functions keep their upvalues, and closures that shared one still
-- do. The globals of the one state become those of the other; modules, and the
-- functions in them, go by name; what a script defines itself is copied, also if
-- it is a global. Anything else raises, and says where it stands.
--
-- The string is a run of items, a letter each and what it needs: n t f, i and d
-- (numbers), s (text), r (an item that came before, by number), m (module), p
-- (module and name), g (globals), T (table: keys and values up to e), F (function:
-- its code, then its upvalues up to e: u and a number for one that came before,
-- v and a value for a new one).

local transfer = {}

-- ---- writing --------------------------------------------------------------------

local writer = {}
writer.__index = writer

-- What a fresh state has: functions of the basic library, and the other libraries. What scripts add
-- to them is copied.
local BASIC <const> = { "assert", "collectgarbage", "dofile", "error", "getmetatable", "ipairs",
  "load", "loadfile", "next", "pairs", "pcall", "print", "rawequal", "rawget", "rawlen", "rawset",
  "require", "select", "setmetatable", "tonumber", "tostring", "type", "warn", "xpcall" }
local LIBRARIES <const> = { "coroutine", "debug", "io", "math", "os", "package", "string", "table",
  "utf8" }

local function name_function(known, module, name, value)
  if type(name) == "string" and type(value) == "function" and not known[value] then
    known[value] = string.pack("<c1s4s4", "p", module, name)
  end
end

local function is_c(value)
  return type(value) == "function" and debug.getinfo(value, "S").what == "C"
end

-- Modules and their functions: value to what stands for it.
local function known_values()
  local known = { [_G] = "g" }
  for _, name in ipairs(BASIC) do
    if is_c(_G[name]) then name_function(known, "_G", name, _G[name]) end
  end
  for _, library in ipairs(LIBRARIES) do
    local module = package.loaded[library]
    if type(module) == "table" then
      known[module] = string.pack("<c1s4", "m", library)
      for name, value in pairs(module) do
        if is_c(value) then name_function(known, library, name, value) end
      end
    end
  end
  for module_name, module in pairs(package.loaded) do
    if type(module) == "table" and not known[module] then
      known[module] = string.pack("<c1s4", "m", module_name)
      for name, value in pairs(module) do name_function(known, module_name, name, value) end
    end
  end
  return known
end

function writer:put(text)
  self.out[#self.out + 1] = text
end

local function key_step() return ": a key" end

local function item_step(key)
  if type(key) == "string" and key:find("^[%a_][%w_]*$") then return "." .. key end
  return ("[%s]"):format(type(key) == "string" and ("%q"):format(key) or tostring(key))
end

local function upvalue_step(name) return (": upvalue '%s'"):format(name) end

-- Says where in the value it stands.
function writer:refuse(what)
  local place = { self.what }
  for i = 1, self.depth do place[i + 1] = self.kinds[i](self.steps[i]) end
  error(("%s: a %s cannot be copied to another thread"):format(table.concat(place), what), 0)
end

local function refuse(self, value)
  self:refuse(type(value) == "userdata" and (debug.getmetatable(value) or {}).__name or type(value))
end

-- Puts what is one step further inside.
function writer:inside(kind, step, value)
  local depth = self.depth + 1
  self.depth, self.kinds[depth], self.steps[depth] = depth, kind, step
  self:value(value)
  self.depth = depth - 1
end

-- True if the value came before, which is then put.
function writer:seen(value)
  local number = self.numbers[value]
  if number then
    self:put(string.pack("<c1I4", "r", number))
    return true
  end
  self.count = self.count + 1
  self.numbers[value] = self.count
  return false
end

function writer:table(value)
  if self:seen(value) then return end
  if getmetatable(value) ~= nil then self:refuse "table with a metatable" end
  self:put("T")
  for key, item in next, value do
    self:inside(key_step, key, key)
    self:inside(item_step, key, item)
  end
  self:put("e")
end

function writer:upvalue(fn, i, name, value)
  local id = debug.upvalueid(fn, i)
  local number = self.upvalues[id]
  if number then return self:put(string.pack("<c1I4", "u", number)) end
  self.upvalue_count = self.upvalue_count + 1
  self.upvalues[id] = self.upvalue_count
  self:put("v")
  if name == "_ENV" then return self:put("g") end
  self:inside(upvalue_step, name, value)
end

function writer:lua_function(value)
  if is_c(value) then refuse(self, value) end
  if self:seen(value) then return end
  self:put(string.pack("<c1s4", "F", string.dump(value)))
  for i = 1, math.huge do
    local name, upvalue = debug.getupvalue(value, i)
    if not name then break end
    self:upvalue(value, i, name, upvalue)
  end
  self:put("e")
end

local puts = {
  ["nil"] = function(self) self:put("n") end,
  boolean = function(self, value) self:put(value and "t" or "f") end,
  string = function(self, value) self:put(string.pack("<c1s4", "s", value)) end,
  number = function(self, value)
    local whole = math.type(value) == "integer"
    self:put(string.pack(whole and "<c1i8" or "<c1d", whole and "i" or "d", value))
  end,
  table = writer.table,
  ["function"] = writer.lua_function,
}

function writer:value(value)
  local stands_for = value ~= nil and self.known[value]
  if stands_for then return self:put(stands_for) end
  local put = puts[type(value)] or refuse
  put(self, value)
end

-- The value as a string.
-- @param value
-- @tparam string what it is called in errors
function transfer.pack(value, what)
  local self = setmetatable({ out = {}, numbers = {}, count = 0, upvalues = {},
    upvalue_count = 0, known = known_values(), what = what, depth = 0, kinds = {}, steps = {} },
    writer)
  self:value(value)
  return table.concat(self.out)
end

-- ---- reading --------------------------------------------------------------------

local reader = {}
reader.__index = reader

function reader:take(format)
  local a, b, after = string.unpack("<" .. format, self.text, self.at)
  self.at = after or b
  return a, after and b
end

function reader:keep(value)
  self.items[#self.items + 1] = value
  return value
end

function reader:letter()
  return (self:take("c1"))
end

local takes = {}

function takes.n() return nil end
function takes.t() return true end
function takes.f() return false end
function takes.g() return _G end
function takes.i(self) return (self:take("i8")) end
function takes.d(self) return (self:take("d")) end
function takes.s(self) return (self:take("s4")) end
function takes.r(self) return self.items[self:take("I4")] end
function takes.m(self) return require((self:take("s4"))) end

function takes.p(self)
  local module, name = self:take("s4s4")
  local value = (module == "_G" and _G or require(module))[name]
  if value == nil then
    error(("%s.%s is not there: a thread loads modules anew"):format(module, name), 0)
  end
  return value
end

function takes.T(self)
  local new = self:keep {}
  local letter = self:letter()
  while letter ~= "e" do
    local key = takes[letter](self)
    new[key] = self:value()
    letter = self:letter()
  end
  return new
end

function takes.F(self)
  local fn = self:keep(assert(load((self:take("s4")), "=worker", "b")))
  local i, letter = 1, self:letter()
  while letter ~= "e" do
    if letter == "u" then
      local from = self.upvalues[self:take("I4")]
      debug.upvaluejoin(fn, i, from[1], from[2])
    else
      self.upvalues[#self.upvalues + 1] = { fn, i }
      debug.setupvalue(fn, i, (self:value()))
    end
    i, letter = i + 1, self:letter()
  end
  return fn
end

function reader:value()
  return takes[self:letter()](self)
end

-- The value that transfer.pack made a string of.
function transfer.unpack(text)
  return (setmetatable({ text = text, at = 1, items = {}, upvalues = {} }, reader):value())
end

return transfer
