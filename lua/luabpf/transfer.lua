-- SPDX-License-Identifier: MIT
--
-- Values from one Lua state to another, as a string: nil, booleans, numbers,
-- strings, tables and Lua functions of these. What is shared stays shared,
-- cycles too; functions keep their upvalues, and closures that shared one still
-- do. The globals of the one state become those of the other; modules, and the
-- functions in them, go by name. Anything else raises, and says where it stands.
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

-- Modules and their functions: value to what stands for it.
local function known_values()
  local known = { [_G] = "g" }
  for name, module in pairs(package.loaded) do
    if type(module) == "table" and module ~= _G then
      known[module] = string.pack("<c1s4", "m", name)
      for key, value in pairs(module) do
        if type(value) == "function" and type(key) == "string" and not known[value] then
          known[value] = string.pack("<c1s4s4", "p", name, key)
        end
      end
    end
  end
  for key, value in pairs(_G) do
    if type(value) == "function" and type(key) == "string" then
      known[value] = string.pack("<c1s4s4", "p", "_G", key)
    end
  end
  return known
end

function writer:put(text)
  self.out[#self.out + 1] = text
end

local function refuse(_, value, path)
  error(("%s: a %s cannot be copied to another thread"):format(path,
    type(value) == "userdata" and (getmetatable(value) or {}).__name or type(value)), 0)
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

local function step_text(key)
  if type(key) == "string" and key:find("^[%a_][%w_]*$") then return "." .. key end
  return ("[%s]"):format(type(key) == "string" and ("%q"):format(key) or tostring(key))
end

function writer:table(value, path)
  if self:seen(value) then return end
  if getmetatable(value) ~= nil then
    error(path .. ": a table with a metatable cannot be copied to another thread", 0)
  end
  self:put("T")
  for key, item in next, value do
    self:value(key, path .. ": a key")
    self:value(item, path .. step_text(key))
  end
  self:put("e")
end

function writer:upvalue(fn, i, name, value, path)
  local id = debug.upvalueid(fn, i)
  local number = self.upvalues[id]
  if number then return self:put(string.pack("<c1I4", "u", number)) end
  self.upvalue_count = self.upvalue_count + 1
  self.upvalues[id] = self.upvalue_count
  self:put("v")
  if name == "_ENV" then return self:put("g") end
  self:value(value, ("%s: upvalue '%s'"):format(path, name))
end

function writer:lua_function(value, path)
  if debug.getinfo(value, "S").what == "C" then refuse(self, value, path) end
  if self:seen(value) then return end
  self:put(string.pack("<c1s4", "F", string.dump(value)))
  for i = 1, math.huge do
    local name, upvalue = debug.getupvalue(value, i)
    if not name then break end
    self:upvalue(value, i, name, upvalue, path)
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

function writer:value(value, path)
  local stands_for = value ~= nil and self.known[value]
  if stands_for then return self:put(stands_for) end
  local put = puts[type(value)] or refuse
  put(self, value, path)
end

--- The value as a string.
-- @param value
-- @tparam string path what it is called in errors
function transfer.pack(value, path)
  local self = setmetatable({ out = {}, numbers = {}, count = 0, upvalues = {},
    upvalue_count = 0, known = known_values() }, writer)
  self:value(value, path)
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
  return (module == "_G" and _G or require(module))[name]
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

--- The value that transfer.pack made a string of.
function transfer.unpack(text)
  return (setmetatable({ text = text, at = 1, items = {}, upvalues = {} }, reader):value())
end

return transfer
