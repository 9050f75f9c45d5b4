-- SPDX-License-Identifier: MIT
--
-- Random Lua functions over entries, all from one seed (generator.lua): the text of one,
-- and the variables from outside that two closures of it have. The layout that they are
-- over is random too, but for the names of its fields.

local generator = require "spec.support.generator"

local functions = {}
functions.__index = functions

-- ---- layouts and entries --------------------------------------------------------

local EXTREMES <const> = { 0, 1, 2, 3, 5, 7, 63, 64, 65, 100, 255, 256, -1, -2, -3, -63, -64, -65,
  1000, 32767, -32768, math.maxinteger, math.mininteger, math.maxinteger - 1,
  math.mininteger + 1, 1 << 31, 1 << 32, -(1 << 31), 0x7fffffff }

local SIZES <const> = { 1, 2, 4, 8 }

--- A generator of functions: the same seed gives the same.
function functions.new(seed)
  return setmetatable({ random = generator.new(seed) }, functions)
end

function functions:pick(list) return self.random:pick(list) end
function functions:int(low, high) return self.random:int(low, high) end

function functions:any_int()
  return self:int(1, 4) == 1 and self.random:bits() or self:pick(EXTREMES)
end

local function integer_type(self)
  return self:pick { "u", "s", "u", "be" } .. self:pick(SIZES) * 8
end

local function fixed_type(self)
  return (integer_type(self):gsub("be8", "u8"))
end

--- A layout for bpf.create: key and value. Fields of the names i1 to i4 and b1, b2 are integers.
function functions:layout()
  local n = self:int(2, 6)
  self.list = { n = n }
  local key = { "u32 id", "ipv4 addr", "be16 port", "u8 proto", "s8 lev" }
  local value = { fixed_type(self) .. " i1", fixed_type(self) .. " i2", "u64 packets",
    ("%s n[%d]"):format(self:pick { "u32", "u8", "s16", "u64" }, n), "s16 m[3]",
    ("char comm[%d]"):format(self:pick { 4, 8, 13, 16 }),
    ("enum%d state { new = 0, up = 1, upx = 1, down = 7 }"):format(self:pick { 8, 16, 32 }),
    "bool alive", fixed_type(self) .. " i3",
    ("u32 b1 : %d"):format(self:int(1, 20)), ("s32 b2 : %d"):format(self:int(2, 11)),
    "prefix4 net", "mac hw", "ipv6 peer", "ip any", "bytes raw[3]", fixed_type(self) .. " i4",
    { name = "sub", "u16 x", "s8 y" }, { name = "other", "u8 z" } }
  for i = #value - 2, 2, -1 do
    local j = self:int(1, i)
    value[i], value[j] = value[j], value[i]
  end
  return key, value
end

local function bytes_of(self, size)
  local parts = {}
  for i = 1, size do
    parts[i] = string.char(self:int(1, 3) == 1 and self:int(0, 255) or self:pick { 0, 0, 1, 255 })
  end
  return table.concat(parts)
end

-- The places of what must not be arbitrary to be of use.
local function put(bytes, offset, text)
  return bytes:sub(1, offset) .. text .. bytes:sub(offset + #text + 1)
end

local WORDS <const> = { "", "a", "ng", "nginx", "curl", "ng\0\1zz", "nginxxxxnginxxxx" }

local fill = {}

function fill.int(self, field)
  local small = self:int(1, 3) > 1 and self:int(-20, 100) or self:any_int()
  local format = (field.type.big and ">" or "<") .. "I" .. field.type.size
  local mask = field.type.size == 8 and -1 or (1 << 8 * field.type.size) - 1
  return format:pack(small & mask)
end

function fill.text(self, field)
  local size = field.type.size
  local word = self:pick(WORDS):sub(1, self:int(1, 4) == 1 and size - 1 or size)
  return word .. ("\0"):rep(size - #word)
end

function fill.bool(self) return self:pick { "\0", "\1", "\1", "\0", "\2", "\255" } end
function fill.ipv4(self) return self:pick { "\10\0\0\1", "\10\0\0\2", "\192\168\1\1" } end
function fill.enum(self, field)
  return ("<I" .. field.type.size):pack(self:pick { 0, 1, 7, 5, 1, 0 })
end
function fill.ip(self)
  return self:pick { ("\0"):rep(10) .. "\255\255\10\0\0\1", ("\0"):rep(15) .. "\1",
    "\32\1\13\184" .. ("\0"):rep(11) .. "\1", "\32\1\13\184" .. ("\0"):rep(11) .. "\255",
    "\254\128\0\0\0\0\0\255" .. ("\0"):rep(7) .. "\1" }
end
fill.ipv6 = fill.ip
function fill.mac(self) return self:pick { "\0\22\62\1\2\3", ("\0"):rep(6) } end
function fill.prefix4(self)
  return self:pick { "\8\0\0\0\10\0\0\0", "\8\0\0\0\10\0\0\1", "\0\0\0\0\0\0\0\0",
    "\200\0\0\0\10\0\0\0" }
end

-- Odd bytes, with something likely where the type has that.
function functions:record(desc)
  local bytes = bytes_of(self, desc.size)
  for _, field in ipairs(desc.fields) do
    local make = fill[field.type.kind]
    if make and (field.bits or 0) == 0 and self:int(1, 8) > 1 then
      bytes = put(bytes, field.bit // 8, make(self, field))
    end
  end
  return bytes
end

--- A packed key with that id.
function functions:key(desc, id)
  return put(self:record(desc), 0, ("<I4"):pack(id))
end

-- ---- expressions ----------------------------------------------------------------

local OPERATORS <const> = { "+", "-", "*", "+", "-", "//", "%", "&", "|", "~", "<<", ">>", "//",
  "%" }
local DIVISORS <const> = { "2", "3", "7", "10", "1", "-1", "-3", "1000", "4294967296",
  "-4294967297", "0x7fffffff", "0x80000000", "math.mininteger" }
local COUNTS <const> = { "1", "3", "63", "64", "-1", "-63", "-64", "65" }
local RELATIONS <const> = { "==", "~=", "<", "<=", ">", ">=" }
local FLOATS <const> = { "1.5", "-0.5", "0.5", "2.5", "-1.5", "2.0", "1e300", "-1e300", "3.0",
  "0/0" }
local LITERALS <const> = { 0, 1, 2, 3, 4, 5, 7, 8, 10, 63, 64, 80, 100, -1, -2, -5 }

-- The value, or in per-CPU maps that of one CPU.
function functions:value()
  if not self.percpu then return "value" end
  if #self.scope.cpus > 0 and self:int(1, 2) == 1 then return self:pick(self.scope.cpus) end
  return ("value[%d]"):format(self:int(1, self.percpu))
end

function functions:field()
  local key = self:pick { "key.id", "key.port", "key.proto", "key.lev" }
  if self:int(1, 5) == 1 then return key end
  return self:value() .. self:pick { ".i1", ".i2", ".i3", ".i4", ".b1", ".b2", ".packets", ".n[1]",
    ".n[2]", ".m[1]", ".m[3]", ".sub.x", ".sub.y", ".other.z" }
end

local function number(n)
  if n == math.mininteger then return "math.mininteger" end
  return n < 0 and ("(%d)"):format(n) or ("%d"):format(n)
end

function functions:literal()
  return number(self:int(1, 6) == 1 and self:any_int() or self:pick(LITERALS))
end

-- Rolls a hundred-sided die: cases are { up to, text or function(self, depth) }.
local function roll(self, cases, depth)
  local n = self:int(1, 100)
  for _, case in ipairs(cases) do
    if n <= case[1] then
      if type(case[2]) == "string" then return case[2] end
      return case[2](self, depth)
    end
  end
end

local function operation(self, d)
  local op, b = self:pick(OPERATORS), self:integer(d - 1)
  if (op == "//" or op == "%") and self:int(1, 3) > 1 then b = self:pick(DIVISORS) end
  if (op == "<<" or op == ">>") and self:int(1, 2) == 1 then b = self:pick(COUNTS) end
  return ("(%s %s %s)"):format(self:integer(d - 1), op, b)
end

local function form(format, ...)
  local kinds = { ... }
  return function(self, d)
    local parts = {}
    for i, kind in ipairs(kinds) do
      parts[i] = type(kind) == "table" and self:pick(kind) or self[kind](self, d - 1)
    end
    return format:format(table.unpack(parts))
  end
end

local function variable(self)
  return #self.scope.vars > 0 and self:pick(self.scope.vars) or self:field()
end

local function element(self)
  return self.scope.loop and ("%s.n[%s]"):format(self:value(), self.scope.loop) or self:literal()
end

local WRONG <const> = { "1.5", "2.0", "nil", "key.addr", "value" }
local ODD <const> = { "LIST[2]", "CONF.limit", "#NAME", "#LIST" }

local LEAVES <const> = { { 45, functions.field }, { 70, variable },
  { 78, function(self) return self:pick { "U1", "U2", "U3", "LIMIT" } end }, { 80, element },
  { 100, functions.literal } }

local INTEGERS <const> = {
  { 25, function(self) return roll(self, LEAVES, 0) end }, { 62, operation },
  { 69, form("%s(%s)", { "-", "~" }, "integer") },
  { 76, form("math.%s(%s, %s)", { "min", "max" }, "integer", "integer") },
  { 78, form("math.abs(%s)", "integer") },
  { 84, form("(%s and %s or %s)", "condition", "integer", "integer") },
  { 87, form("(MAP[%s] or %s)", "integer", "integer") },
  { 91, form("help(%s, %s)", "integer", "integer") },
  { 93, function(self, d) return ("%s.n[%s]"):format(self:value(), self:integer(d - 1)) end },
  { 95, function(self)
    return self:int(1, 2) == 1 and ("#%s.%s"):format(self:value(), self:pick { "n", "m", "comm" })
      or self:pick(ODD)
  end },
  { 96, function(self)
    return self:int(1, 2) == 1 and self:pick(WRONG)
      or self:value() .. self:pick { ".sub", ".state", ".alive", ".comm" }
  end },
  { 97, form("(%s and low or high)(%s)", "condition", "integer") },
  { 98, function(self) return #self.scope.vars > 0 and self:pick(self.scope.vars) or "7" end },
  { 100, functions.field },
}

function functions:integer(d)
  return roll(self, d <= 0 and LEAVES or INTEGERS, d)
end

-- ---- strings --------------------------------------------------------------------

local STRINGS <const> = {
  comm = { "", "a", "nginx", "ng", "nginxxxx", "nginxxxxx", "ng\0\1zz", "ng\0\0", "curl",
    "nginxxxxnginxxxx" },
  peer = { "::1", "0::1", "2001:db8::1", "2001:DB8::1", "::ffff:10.0.0.1", "::" },
  any = { "2001:db8::ff", "10.0.0.1", "::1", "2001:db8::1", "::ffff:10.0.0.1", "10.0.0.01" },
  hw = { "00:16:3e:01:02:03", "00:16:3E:01:02:03", "00-16-3e-01-02-03", "00:00:00:00:00:00" },
  state = { "new", "up", "upx", "down", "x", "1" },
  net = { "10.0.0.0/8", "10.0.0.1/8", "10.0.0.0/08", "0.0.0.0/0", "0.0.0.0", "10.0.0.0/200" },
  raw = { "\0\0\0", "\1\255\0", "abc", "" },
}
local ADDRESSES <const> = { "10.0.0.1", "10.0.0.01", "192.168.1.1", "10.0.0.2", "10.0.0.1 ", "x" }
local PREFIXES <const> = { "10.0.0.0/8", "10.0.0.1", "192.168.0.0/16", "::/0", "2001:db8::/32" }
local FRONTS <const> = { "ng", "n", "", "curl", "ngi", "a", "nginx" }

local function a_string(self)
  if self:int(1, 5) == 1 then return "key.addr", ADDRESSES end
  local names = { "comm", "peer", "any", "hw", "state", "net", "raw", "comm", "comm", "state" }
  local name = self:pick(names)
  return ("%s.%s"):format(self:value(), name), STRINGS[name]
end

local TEXTS <const> = {
  function(self)
    return ("%s.comm:sub(1, %d) %s '%s'"):format(self:value(), self:int(0, 5),
      self:pick { "==", "~=" }, self:pick(FRONTS))
  end,
  function(self)
    return ("%s.state == %s"):format(self:value(), self:pick { "5", "9", "1", "0", "5.0" })
  end,
  function(self)
    return ("%s.comm:find('^%s')"):format(self:value(), self:pick { "ng", "n", "cu", "nginx" })
  end,
  function(self)
    return ("%s.comm:find('%s', 1, true) == 1"):format(self:value(), self:pick { "ng", "n", "c" })
  end,
  function(self)
    return ("bpf.text(%s.comm) == '%s'"):format(self:value(), self:pick { "ng", "nginx", "", "a" })
  end,
  function(self)
    return ("bpf.prefix(%s, %s) %s %s"):format(
      self:pick { "key.addr", "key.addr", self:value() .. ".peer", self:value() .. ".any" },
      self:pick { "8", "0", "32", "24", "31", "LIMIT", "33", "104" }, self:pick { "==", "~=" },
      self:pick { "'10.0.0.0/8'", "'10.0.0.1/32'", "'10.0.0.0/24'", "'192.168.0.0/24'",
        "'10.0.0.1/8'", "'0.0.0.0/0'", "NAME", self:value() .. ".net", "'::/8'", "'::/104'",
        "bpf.prefix(key.addr, 24)" })
  end,
  function(self)
    return ("bpf.within(bpf.prefix(key.addr, %s), '%s')"):format(
      self:pick { "8", "24", "LIMIT", "0" }, self:pick(PREFIXES))
  end,
  function(self)
    return ("bpf.within(%s, '%s')"):format(
      self:pick { "key.addr", self:value() .. ".any", self:value() .. ".peer",
        self:value() .. ".net" }, self:pick(PREFIXES))
  end,
}

function functions:text()
  local field, list = a_string(self)
  local case = self:int(1, 12)
  if case <= 2 then return ("%s %s NAME"):format(field, self:pick { "==", "~=" }) end
  if case == 3 then return ("NAMES[%s]"):format(field) end
  if case == 4 or case == 9 and self:int(1, 3) == 1 then
    return self:pick { "HOSTS[%s]", "HOSTS[%s]", "HOSTS[%s] and HOSTS[bpf.prefix(key.addr, 8)]",
      "HOSTS[bpf.prefix(key.addr, 8)]" }:format(field)
  end
  if case == 5 and self:int(1, 4) == 1 then
    return ("%s == %s"):format(field, (a_string(self)))
  elseif case == 5 then
    local name = field:match "[%w]+$"
    return ("%s == %s.%s"):format(field, name == "addr" and "key" or self:value(), name)
  end
  if case <= 8 then return self:pick(TEXTS)(self) end
  return ("%s %s %q"):format(field, self:pick { "==", "~=" }, self:pick(list))
end

-- ---- conditions -----------------------------------------------------------------

local function with_float(self)
  local a, b = self:integer(0), self:pick(FLOATS)
  if self:int(1, 2) == 1 then a = ("(%s %% 4)"):format(self:field()) end
  if self:int(1, 2) == 1 then a, b = b, a end
  return ("%s %s %s"):format(a, self:pick(RELATIONS), b)
end

local function relation(self)
  local b = self:int(1, 2) == 1 and self:literal() or self:integer(0)
  return ("%s %s %s"):format(self:integer(0), self:pick(RELATIONS), b)
end

local function alive(self)
  local field = self:value() .. ".alive"
  return self:int(1, 3) > 1 and field
    or ("%s == %s"):format(field, self:pick { "true", "false", "nil", "1" })
end

local NEAR <const> = { "0", "-1", "1", "-2", "2", "(-3)", "3" }

-- What is near zero, where signs matter.
local function near_zero(self)
  local op, b = self:pick { "//", "%", "//", "%", "|", "~", "&" }, self:pick(DIVISORS)
  if op == "|" or op == "~" or op == "&" then b = self:pick { "1", "5", "255", "4294967296" } end
  return ("(%s %s %s) %s %s"):format(self:field(), op, b, self:pick(RELATIONS), self:pick(NEAR))
end

local SIMPLE <const> = {
  { 50, relation }, { 58, near_zero }, { 68, alive }, { 82, functions.text },
  { 88, form("SET[%s]", "integer") },
  { 91, function(self)
    return self:pick { "true", "false", "nil", "B1", "0", self:value() .. ".sub", "key" }
  end },
  { 96, with_float },
  { 98, function(self)
    return ("key.addr == %s"):format(self:pick { "key.addr", "'x'", "1", "nil", "NAME", "NAME" })
  end },
  { 100, form("math.ult(%s, %s)", "integer", "integer") },
}

local CONDITIONS <const> = {
  { 30, function(self) return roll(self, SIMPLE, 0) end },
  { 52, form("(%s and %s)", "condition", "condition") },
  { 72, form("(%s or %s)", "condition", "condition") },
  { 80, form("not (%s)", "condition") },
  { 82, form("test(%s, %s)", "integer", "integer") },
  { 84, form("outer(%s)", "integer") },
  { 86, form("(%s) == (%s)", "condition", "condition") },
  { 100, form("%s %s %s", "integer", RELATIONS, "integer") },
}

function functions:condition(d)
  return roll(self, d <= 0 and SIMPLE or CONDITIONS, d)
end

-- What a function returns: the text given, unless who inherits from this has another.
function functions.answer(_, text)
  return text
end

-- ---- statements -----------------------------------------------------------------

local statements = {}

local function add(self, indent, format, ...)
  self.out[#self.out + 1] = ("  "):rep(indent) .. format:format(...)
end

local function new_name(self, letter)
  self.names = self.names + 1
  return letter .. self.names
end

-- A new local variable, which later code may use; sometimes it is nil.
function statements.declare(self, _, indent)
  local name = new_name(self, "v")
  if self:int(1, 8) == 1 then
    add(self, indent, "local %s%s", name, self:int(1, 2) == 1 and " = " .. self:condition(1) or "")
    if self:int(1, 3) > 1 then return end
  else
    add(self, indent, "local %s = %s", name, self:integer(self:int(0, 2)))
  end
  self.scope.vars[#self.scope.vars + 1] = name
end

function statements.swap(self, _, indent)
  if #self.scope.set < 2 then return statements.declare(self, 0, indent) end
  local a, b = self:pick(self.scope.set), self:pick(self.scope.set)
  if a == b then return end
  add(self, indent, "%s, %s = %s, %s", a, b, self:int(1, 2) == 1 and b or self:integer(1), a)
end

-- Paths that meet with other values, which then are an index.
function statements.join(self, _, indent)
  local name = new_name(self, "j")
  add(self, indent, "local %s = %d", name, self:int(0, 5))
  add(self, indent, "if %s then %s = %d end", self:condition(1), name, self:int(0, 5))
  add(self, indent, "if %s then %s = %s + 1 end", self:condition(1), name, name)
  if #self.scope.set > 0 then
    add(self, indent, "%s = %s.n[%s] or %d", self:pick(self.scope.set), self:value(), name,
      self:int(0, 3))
  else
    add(self, indent, "if %s.n[%s] == %d then return %s end", self:value(), name, self:int(0, 3),
      self:answer(self:pick { "true", "false" }))
  end
end

function statements.assign(self, _, indent)
  if #self.scope.set == 0 then return statements.declare(self, 0, indent) end
  add(self, indent, "%s = %s", self:pick(self.scope.set), self:integer(self:int(0, 2)))
end

function statements.choose(self, d, indent)
  add(self, indent, "if %s then", self:condition(self:int(0, 2)))
  self:block(d - 1, indent + 1)
  if self:int(1, 3) == 1 then
    add(self, indent, "elseif %s then", self:condition(1))
    self:block(d - 1, indent + 1)
  end
  if self:int(1, 2) == 1 then
    add(self, indent, "else")
    self:block(d - 1, indent + 1)
  end
  add(self, indent, "end")
end

local BOUNDS <const> = { "4, 1, -1", "1, LIMIT", "1, 4, 2", "0, 3" }

-- Over all CPUs, each in a variable.
local function each_cpu(self, d, indent)
  local name = new_name(self, "c")
  add(self, indent, self:pick { "for _, %s in ipairs(value) do",
    "for i = 1, #value do local %s = value[i]" }, name)
  self.scope.cpus[#self.scope.cpus + 1] = name
  self:block(d - 1, indent + 1)
  self.scope.cpus[#self.scope.cpus] = nil
  add(self, indent, "end")
end

function statements.loop(self, d, indent)
  if self.percpu and self:int(1, 2) == 1 then return each_cpu(self, d, indent) end
  local name, old = new_name(self, "i"), self.scope.loop
  local kind = self:int(1, 4)
  if kind == 1 then
    add(self, indent, "for _, %s in ipairs(%s.n) do", name, self:value())
  elseif kind == 2 then
    add(self, indent, "for %s = %s do", name,
      self:int(1, 3) == 1 and ("1, #%s.n"):format(self:value()) or self:pick(BOUNDS))
  else
    add(self, indent, "for %s = 1, %d do", name, self:int(0, 5))
  end
  self.scope.vars[#self.scope.vars + 1] = name
  self.scope.loop = kind ~= 1 and name or old
  self:block(d - 1, indent + 1)
  if self:int(1, 4) == 1 then add(self, indent + 1, "if %s then break end", self:condition(1)) end
  add(self, indent, "end")
  self.scope.loop = old
  for n, v in ipairs(self.scope.vars) do
    if v == name then table.remove(self.scope.vars, n) break end
  end
end

-- More ways than are kept apart, on which variables change places.
function statements.shuffle(self, _, indent)
  local a, b, i = new_name(self, "v"), new_name(self, "v"), new_name(self, "i")
  add(self, indent, "local %s, %s = %s, %s", a, b, self:integer(0), self:integer(0))
  add(self, indent, "for %s = %d, %d do", i, self:int(-2, 1), self:int(3, 5))
  if self:int(1, 2) == 1 then
    add(self, indent + 1, "%s = %s %s %s", b, a, self:pick { "+", "~", "*" }, self:pick { "1", i })
  end
  for _ = 1, self:int(1, 2) do
    add(self, indent + 1, "if %s %s %s then %s end", self:field(), self:pick(RELATIONS), i,
      self:pick { ("%s, %s = %s, %s"):format(a, b, b, a),
        ("%s, %s = %s, %s %s %s"):format(a, b, b, a, self:pick { "+", "-", "~" }, i),
        ("%s = %s - %s"):format(b, a, b), ("%s = %s + %s"):format(a, b, self:field()) })
  end
  add(self, indent, "end")
  add(self, indent, "if %s %s %s then return %s end", a, self:pick(RELATIONS), b,
    self:answer(self:pick { "true", "false", a .. " > 3" }))
end

-- A variable that nothing reads but the choice after it.
function statements.decide(self, _, indent)
  local name, chosen = new_name(self, "d"), new_name(self, "v")
  add(self, indent, "local %s = %s", name, self:pick { "nil", "false", "true", "3" })
  add(self, indent, "if %s then %s = %s end", self:condition(1), name,
    self:pick { "7", "nil", "false", self:integer(0) })
  add(self, indent, "local %s = %s %s %s", chosen, name, self:pick { "or", "and" },
    self:integer(0))
  add(self, indent, "if %s %s %s then return %s end", chosen, self:pick { "==", "~=" },
    self:pick { "3", "7", "nil", self:integer(0) }, self:answer(self:pick { "true", "false" }))
end

function statements.leave(self, _, indent)
  add(self, indent, "if %s then return %s end", self:condition(1),
    self:answer(self:int(1, 4) == 1 and self:integer(1) or self:condition(1)))
end

local KINDS <const> = { { 40, "declare" }, { 44, "swap" }, { 48, "join" }, { 60, "assign" },
  { 85, "choose" }, { 91, "loop" }, { 94, "shuffle" },
  { 97, "decide" },
  { 100, "leave" } }

function functions:statement(d, indent)
  local kind = roll(self, KINDS, 0)
  if d <= 0 and (kind == "choose" or kind == "loop") then kind = "leave" end
  statements[kind](self, d, indent)
end

local function shorten(list, n)
  for i = #list, n + 1, -1 do list[i] = nil end
end

function functions:block(d, indent)
  local vars, set = #self.scope.vars, #self.scope.set
  for _ = 1, self:int(1, 3) do self:statement(d, indent) end
  if self:int(1, 6) == 1 then
    add(self, indent, "do return %s end", self:answer(self:condition(1)))
  end
  shorten(self.scope.vars, vars)
  shorten(self.scope.set, set)
end

-- ---- whole functions ------------------------------------------------------------

local HEAD <const> = [[
local function outer(a) return a >= LIMIT end
local bpf, U1, U2, U3, B1, NAME, LIMIT, SET, MAP, NAMES, HOSTS, LIST, CONF = ...
local function help(a, b)
  if a > b then return a - b end
  local c = a & b
  return c * 2 + U1
end
local function test(a, b) return a < b and a ~= U2 end
local function above(n)
  return function(a)
    local more = 0
    if a > 3 then more = 1 elseif a < -5 then more = n end
    return more + n
  end
end
local low, high = above(LIMIT), above(U3)
return function(key, value)
]]

functions.HEAD = HEAD:gsub("return function%(key, value%)%s*$", "")

--- The text of a function: a chunk that is called with what upvalues gives.
-- @tparam[opt] integer percpu of how many CPUs the value is
function functions:source(percpu)
  self.percpu, self.scope, self.names, self.out = percpu, { vars = {}, set = {}, cpus = {} }, 0, {}
  for _ = 1, self:int(0, 3) do
    local name = new_name(self, "v")
    add(self, 1, "local %s = %s", name, self:integer(1))
    table.insert(self.scope.vars, name)
    table.insert(self.scope.set, name)
  end
  if self:int(1, 10) > 3 then
    for _ = 1, self:int(1, 3) do self:statement(2, 1) end
  end
  add(self, 1, "return %s", self:int(1, 12) == 1 and self:integer(2) or self:condition(3))
  return HEAD .. table.concat(self.out, "\n") .. "\nend\n"
end

--- The globals of a chunk: one has the name of an upvalue.
function functions:globals()
  return setmetatable({ LIMIT = self:int(-2, 90) }, { __index = _G })
end

-- A set of text and addresses: sometimes none, sometimes many.
function functions:hosts()
  if self:int(1, 8) == 1 then return {} end
  local set = { ["10.0.0.1"] = true, ["00:00:00:00:00:00"] = true, ng = true, ["10.0.0.0/8"] = true,
    [self:pick { "a", "::1", "down", "2001:db8::ff", "fe80::ff:0:0:0:1" }] = true }
  if self:int(1, 2) == 1 then set[self:pick { "2001:db8::ff", "2001:db8::1", "nginx" }] = true end
  for i = 1, self:int(1, 6) == 1 and 40 or 0 do
    set[("2001:db8::%x"):format(i * 7)], set[("%x::%d"):format(i * 0x301, i)] = true, true
  end
  return set
end

-- A set of integers: sometimes none, sometimes so many that they are searched in memory.
local function integers(self)
  local set = { [80] = true, [443] = true, [0] = true, [22] = true, [23] = true, [24] = true }
  set[self:int(1, 4) == 1 and 6000 or 24], set[self:int(1, 20)] = true, true
  if self:int(1, 3) == 1 then set[255] = self:pick { true, false, 1 } end
  if self:int(1, 3) == 1 then
    for _, n in ipairs { -1, self:int(-90, -2), math.mininteger } do set[n] = true end
  end
  if self:int(1, 8) == 1 then set = {} end
  if self:int(1, 12) == 1 then
    for i = -300, 300 do set[i * self:int(2, 5)] = true end
  end
  if self:int(1, 10) == 1 then
    local value = self:pick { false, false, 3, "x" }
    for n in next, set do set[n] = value end
  end
  return set
end

--- What a chunk is called with, beside bpf.
function functions:upvalues()
  return self:any_int(), self:int(-3, 90), self:any_int(), self:int(1, 2) == 1,
    self:pick { "nginx", "10.0.0.1", "::1", "up", "a", "ng\0\1zz", "upx", "10.0.0.0/24" },
    self:int(1, 6) == 1 and self:pick { 33, -1, 40, 129 } or self:int(0, 4), integers(self),
    { [1] = 5, [2] = 7, [3] = 7, [-1] = 0, [80] = -4 },
    { nginx = true, ["10.0.0.1"] = 1, up = false, [5] = true, curl = 3 },
    self:hosts(),
    { self:int(0, 9), self:int(0, 9) }, { limit = self:int(0, 100) }
end

return functions
