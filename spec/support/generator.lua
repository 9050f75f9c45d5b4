-- SPDX-License-Identifier: MIT
--
-- Random layouts, entries and expressions, all from one seed.

local functions = require "luabpf.expr.functions"
local params = require "luabpf.expr.params"

local generator = {}
generator.__index = generator

--- A generator; the same seed gives the same of everything.
function generator.new(seed)
  return setmetatable({ state = seed * 2 + 1 }, generator)
end

-- xorshift*, Vigna 2016.
function generator:bits()
  local x = self.state
  x = x ~ x >> 12
  x = x ~ x << 25
  x = x ~ x >> 27
  self.state = x
  return x * 0x2545f4914f6cdd1d
end

function generator:int(low, high)
  return low + (self:bits() >> 1) % (high - low + 1)
end

function generator:pick(list)
  return list[self:int(1, #list)]
end

function generator:chance(percent)
  return self:int(1, 100) <= percent
end

-- ---- layouts -----------------------------------------------------------------

local function int(size, signed, big)
  return { kind = "int", size = size, align = size, signed = signed, big = big,
    name = (big and "be" or signed and "s" or "u") .. size * 8 }
end

local scalars = {}
for _, size in ipairs { 1, 2, 4, 8 } do
  for _, signed in ipairs { true, false } do
    scalars[#scalars + 1] = int(size, signed, false)
    scalars[#scalars + 1] = int(size, signed, true)
  end
end

local function bytes_like(kind, size)
  return { kind = kind, size = size, align = 1, name = kind }
end

local function enum(size, signed)
  return { kind = "enum", size = size, align = size, signed = signed, name = "state", values = {
    { name = "idle", value = 0 }, { name = "open", value = 1 }, { name = "closed", value = 97 },
  } }
end

local others = {
  { kind = "bool", size = 1, align = 1, name = "bool" }, enum(1, false), enum(4, true),
  bytes_like("ipv4", 4), bytes_like("ipv6", 16), bytes_like("ip", 16), bytes_like("mac", 6),
}

function generator:leaf()
  if self:chance(60) then return self:pick(scalars) end
  if self:chance(60) then return self:pick(others) end
  return bytes_like(self:pick { "text", "bytes" }, self:int(1, 19))
end

function generator:type(depth)
  if depth > 0 and self:chance(12) then return self:struct(depth - 1) end
  if depth > 0 and self:chance(10) then
    local elem, n = self:leaf(), self:int(1, 3)
    return { kind = "array", elem = elem, n = n, size = n * elem.size, align = 1, name = "array" }
  end
  return self:leaf()
end

-- One member at a bit offset; where it ends.
function generator:add_field(desc, bit, depth)
  local name = "f" .. #desc.fields + 1
  if self:chance(25) then
    local type = int(8, self:chance(50), false)
    local bits = self:int(1, self:chance(20) and 64 or 20)
    desc.fields[#desc.fields + 1] = { name = name, type = type, bit = bit, bits = bits }
    return bit + bits
  end
  local type = self:type(depth)
  bit = (bit + 7) // 8 * 8 + (self:chance(20) and 8 * self:int(1, 3) or 0)
  local anonymous = type.kind == "struct" and self:chance(20)
  if anonymous then
    for i, field in ipairs(type.fields) do field.name = name .. "_" .. i end
  end
  desc.fields[#desc.fields + 1] = { name = not anonymous and name or nil, type = type, bit = bit }
  return bit + type.size * 8
end

--- A struct of random members at random offsets, packed or not.
function generator:struct(depth)
  local desc, bit = { kind = "struct", name = "s", align = 1, fields = {} }, 0
  for _ = 1, self:int(1, 6) do bit = self:add_field(desc, bit, depth) end
  desc.size = (bit + 7) // 8
  return desc
end

function generator:root()
  if self:chance(15) then return self:pick(scalars) end
  return self:struct(2)
end

--- An environment for expr.parse.
function generator:env()
  local ncpu = self:chance(25) and self:int(1, 4) or nil
  return { key = self:root(), value = self:root(), ncpu = ncpu }
end

-- ---- entries -----------------------------------------------------------------

local corners = { 0, 0, 1, 2, 0x61, 0x7f, 0x80, 0xfe, 0xff, 0xff }

function generator:bytes(n)
  local list, plain = {}, self:chance(30)
  for i = 1, n do list[i] = string.char(plain and self:int(0, 255) or self:pick(corners)) end
  return table.concat(list)
end

--- An entry for the environment, with the parameters' values.
function generator:entry(env, given)
  local value = self:bytes(env.value.size)
  if env.ncpu then
    value = {}
    for i = 1, env.ncpu do value[i] = self:bytes(env.value.size) end
  end
  return { key = self:bytes(env.key.size), value = value, params = given,
    now = self:number(), boottime = self:number() }
end

-- ---- expressions -------------------------------------------------------------

local numbers = {
  0, 1, 2, 3, 7, 63, 64, 97, 127, 128, 255, 256, 32767, 32768, 65535, 1 << 31, (1 << 31) - 1,
  0xffffffff, 1 << 32, math.maxinteger, math.mininteger, -1, -2, -128, -32768, -(1 << 31),
}

-- Any 64 bits, corners more often.
function generator:number()
  if self:chance(70) then return self:pick(numbers) end
  return self:bits() >> self:int(0, 63)
end

-- Adds the paths below a place to the lists by kind. free: not summed over CPUs.
local function collect(paths, desc, path, free)
  if desc.kind == "struct" then
    for _, field in ipairs(desc.fields) do
      collect(paths, field.type, field.name and path .. "." .. field.name or path, free)
    end
  elseif desc.kind == "array" then
    for i = 1, desc.n do collect(paths, desc.elem, ("%s[%d]"):format(path, i), free) end
  elseif free or desc.kind == "int" then
    local list = paths[desc.kind] or {}
    list[#list + 1], paths[desc.kind] = { path = path, desc = desc }, list
  end
end

-- Bitfields over nine bytes cannot be read from per-CPU values.
local function reads_over_cpus(desc, base, size)
  for _, field in ipairs(desc.fields or {}) do
    local bit = base + field.bit
    local fits = false
    for _, width in ipairs { 1, 2, 4, 8 } do
      fits = fits or (field.bits and bit % 8 + field.bits <= width * 8 and width <= size)
    end
    if field.bits and not fits then return false end
    if not reads_over_cpus(field.type, bit, size) then return false end
  end
  return true
end

--- Prepares for expressions in an environment. Per-CPU values that cannot be read get no CPUs.
function generator:enter(env)
  if not reads_over_cpus(env.value, 0, env.value.size) then env.ncpu = nil end
  self.env, self.paths, self.params, env.sets = env, {}, {}, {}
  collect(self.paths, env.key, "key", true)
  if not env.ncpu then return collect(self.paths, env.value, "value", true) end
  collect(self.paths, env.value, "value", false)
  collect(self.paths, env.value, ("value[%d]"):format(self:int(1, env.ncpu)), true)
end

function generator:param(value)
  local name = "p" .. self:int(1, 1 << 30)
  self.params[name] = value
  return "$" .. name
end

local function unsigned_text(n)
  return n < 0 and ("0x%x"):format(n) or tostring(n)
end

function generator:literal()
  local n = self:number()
  if self:chance(20) then return ("(-%s)"):format(unsigned_text(n)) end
  return unsigned_text(n)
end

function generator:field(kind)
  local list = self.paths[kind]
  if not list then return nil end
  local field = self:pick(list)
  if kind == "int" and self.env.ncpu and field.path:find("^value%f[^%w]") == 1 and
    not field.path:find("^value%[%d%]") and self:chance(30) then
    return ("%s(%s)"):format(self:pick { "cpu_max", "cpu_min" }, field.path), field.desc
  end
  return field.path, field.desc
end

function generator:integer_leaf()
  local roll = self:int(1, 10)
  if roll <= 6 then return self:field(self:chance(90) and "int" or "enum") or self:literal() end
  if roll <= 8 then return self:literal() end
  return roll == 9 and self:param(self:number()) or self:pick { "now", "boottime" }
end

local arithmetic = { "+", "-", "*", "/", "//", "%", "&", "|", "~" }

function generator:shift(depth)
  local count = self:chance(50) and tostring(self:int(0, 63)) or
    ("(%s | value_or)"):gsub("value_or", self:field("int") or "now"):format(self:integer(depth - 1))
  return ("(%s %s %s)"):format(self:integer(depth - 1), self:pick { "<<", ">>" }, count)
end

--- Text of an integer expression.
function generator:integer(depth)
  if depth <= 0 or self:chance(15) then return self:integer_leaf() end
  local roll = self:int(1, 20)
  if roll == 1 then return ("-(%s)"):format(self:integer(depth - 1)) end
  if roll == 2 then return ("~(%s)"):format(self:integer(depth - 1)) end
  if roll == 3 then return self:shift(depth) end
  if roll <= 5 then
    return ("if(%s, %s, %s)"):format(self:condition(depth - 1), self:integer(depth - 1),
      self:integer(depth - 1))
  end
  return ("(%s) %s (%s)"):format(self:integer(depth - 1), self:pick(arithmetic),
    self:integer(depth - 1))
end

-- ---- text and addresses ------------------------------------------------------

local writers = {
  ipv4 = function(self) return ("%d.%d.%d.%d"):format(self:bytes(4):byte(1, 4)) end,
  ipv6 = function(self)
    return ("%x:%x:%x:%x:%x:%x:%x:%x"):format(string.unpack(">I2I2I2I2I2I2I2I2", self:bytes(16)))
  end,
  mac = function(self)
    return ("%02x:%02x:%02x:%02x:%02x:%02x"):format(self:bytes(6):byte(1, 6))
  end,
  text = function(self, desc) return ("a"):rep(self:int(0, math.min(3, desc.size))) end,
  bytes = function(self, desc) return self:bytes(desc.size) end,
}
writers.ip = writers.ipv6

local function quoted(text)
  return '"' .. text:gsub("[^%w.:/]", function(c) return ("\\x%02x"):format(c:byte()) end) .. '"'
end

-- A string or a parameter with it.
function generator:string(text)
  return self:chance(30) and self:param(text) or quoted(text)
end

local address_lengths = { ipv4 = 32, ipv6 = 128, ip = 128 }

-- The network of an address, against others and within larger ones.
function generator:prefix_comparison(path, kind)
  local most = address_lengths[kind]
  local length = self:int(0, most)
  local function prefix()
    local text = ("prefix(%s, %s)"):format(path, self:chance(50) and self:param(length) or length)
    return text
  end
  local function written(n)
    local node = { args = { writers[kind](self), n } }
    return functions.prefix.run(node, nil, function(value) return value end)
  end
  if self:chance(50) then
    return ("%s in %s"):format(prefix(), self:string(written(self:int(0, most))))
  elseif self:chance(30) then
    return ("%s == prefix(%s, %d)"):format(prefix(), self:field(kind), length)
  end
  return ("%s %s %s"):format(prefix(), self:pick { "==", "~=" }, self:string(written(length)))
end

function generator:raw_comparison(kind)
  local path, desc = self:field(kind)
  if not path then return nil end
  if (kind == "ipv4" or kind == "ipv6") and self:chance(30) then
    return self:prefix_comparison(path, kind)
  end
  local function one() return writers[kind](self, desc) end
  local length = address_lengths[kind]
  if length and self:chance(40) then
    return ("%s in %s"):format(path, self:string(one() .. "/" .. self:int(0, length)))
  elseif self:chance(30) then
    return ("%s in (%s, %s)"):format(path, self:string(one()), self:string(one()))
  elseif self:chance(30) then
    return ("%s in %s"):format(path, self:many(self:int(1, 12), function()
      return length and self:chance(50) and one() .. "/" .. self:pick { 1, length - 7, length }
        or one()
    end, quoted))
  elseif self:chance(20) then
    local other, its = self:field(kind)
    if kind ~= "bytes" or its.size == desc.size then return ("%s == %s"):format(path, other) end
  end
  return ("%s %s %s"):format(path, self:pick { "==", "~=" }, self:string(one()))
end

-- ---- conditions --------------------------------------------------------------

local comparisons = { "==", "~=", "!=", "<", "<=", ">", ">=" }

-- What stands after `in`: a list, or a parameter that is one, of n elements that one() gives as
-- text or values.
function generator:many(n, one, written)
  local list = {}
  for i = 1, n do list[i] = one() end
  if self:chance(40) then
    local param = self:param(list)
    local sets = params.sets { [param:sub(2)] = list }
    self.env.sets[param:sub(2)] = sets[param:sub(2)]
    return param
  end
  for i, element in ipairs(list) do list[i] = written(element) end
  return ("(%s)"):format(table.concat(list, ", "))
end

function generator:elements(depth)
  local list = {}
  for i = 1, self:int(1, 4) do
    list[i] = self:chance(70) and self:literal() or self:integer(depth - 1)
  end
  return table.concat(list, ", ")
end

function generator:comparison(depth)
  local roll = self:int(1, 12)
  if roll == 1 and self:chance(40) then
    return ("(%s) in %s"):format(self:integer(depth - 1), self:many(self:int(1, 20),
      function() return self:number() end,
      function(n) return n < 0 and ("(-%s)"):format(unsigned_text(-n)) or tostring(n) end))
  elseif roll == 1 then
    return ("(%s) in (%s)"):format(self:integer(depth - 1), self:elements(depth))
  elseif roll <= 3 then
    local kind = self:pick { "ipv4", "ipv6", "ip", "mac", "text", "bytes" }
    local text = self:raw_comparison(kind)
    if text then return text end
  elseif roll == 4 and self.paths.bool then
    return self:field("bool")
  elseif roll == 5 and self.paths.bool then
    return ("(%s) %s %s"):format(self:condition(depth - 1), self:pick { "==", "~=" },
      self:chance(50) and self:field("bool") or self:pick { "true", "false" })
  elseif roll == 6 and self.paths.enum then
    local name = self:pick { "idle", "open", "closed" }
    return ("%s %s %s"):format(self:field("enum"), self:pick(comparisons), self:string(name))
  end
  return ("(%s) %s (%s)"):format(self:integer(depth - 1), self:pick(comparisons),
    self:integer(depth - 1))
end

--- Text of a condition.
function generator:condition(depth)
  if depth <= 0 or self:chance(30) then return self:comparison(depth) end
  local roll = self:int(1, 10)
  if roll == 1 then return ("not (%s)"):format(self:condition(depth - 1)) end
  if roll == 2 then
    return ("if(%s, %s, %s)"):format(self:condition(depth - 1), self:condition(depth - 1),
      self:condition(depth - 1))
  end
  if roll == 3 then
    return self:chance(50) and self:param(self:chance(50)) .. " == true"
      or self:pick { "true", "false" }
  end
  return ("(%s) %s (%s)"):format(self:condition(depth - 1), self:pick { "and", "or" },
    self:condition(depth - 1))
end

--- An expression that can be compiled: its text; the values of its parameters are in self.params.
function generator:expression()
  self.params = {}
  local depth = self:int(1, self.env.ncpu and 3 or 5) -- at most 32 fields are read over CPUs
  return self:chance(60) and self:condition(depth) or self:integer(depth)
end

return generator
