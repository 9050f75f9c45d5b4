-- SPDX-License-Identifier: MIT
--
-- How a function goes on at the line where it is now, read from its bytecode: whether it calls what
-- it has just looked for, and whether it loops over it. That is asked when something is not there,
-- to say so where it is called, and to be silent where it is only looked for.
--
-- Only Lua 5.4's own format is known; of any other, and where the lines were stripped, the answer
-- is no. Source: lundump.c, lopcodes.h, ldebug.c of Lua 5.4.

local called = {}

local HEADER <const> = "\x1bLua\x54\0\x19\x93\r\n\x1a\n\4\8\8"
-- What comes after it: an integer and a float to compare, and how many upvalues there are.
local HEADER_REST <const> = 17

local OP <const> = { GETTABUP = 11, GETFIELD = 14, SELF = 20, TEST = 66, TESTSET = 67, CALL = 68,
  TAILCALL = 69, TFORCALL = 76, JMP = 56, EXTRAARG = 82 }
-- In the place of a difference of lines: the line itself stands elsewhere.
local ABSOLUTE <const> = -128

-- ---- reading -----------------------------------------------------------------------

local reader = {}
reader.__index = reader

function reader:byte()
  self.at = self.at + 1
  return self.text:byte(self.at - 1)
end

function reader:size()
  local n = 0
  repeat
    local byte = self:byte()
    n = n << 7 | byte & 0x7f
  until byte & 0x80 ~= 0
  return n
end

function reader:string()
  local n = self:size()
  if n == 0 then return nil end
  self.at = self.at + n - 1
  return self.text:sub(self.at - n + 1, self.at - 1)
end

function reader:list(read)
  local list = {}
  for i = 1, self:size() do list[i] = read(self) or false end
  return list
end

local function instruction(self)
  self.at = self.at + 4
  return (("<I4"):unpack(self.text, self.at - 4))
end

-- Strings; other constants are passed over.
local function constant(self)
  local kind = self:byte()
  if kind & 0xf == 4 then return self:string() end
  if kind & 0xf == 3 then self.at = self.at + 8 end
end

local function upvalue(self)
  self.at = self.at + 3
end

local function line_step(self)
  self.at = self.at + 1
  return (("<i1"):unpack(self.text, self.at - 1))
end

local function absolute(self)
  self:size()
  return self:size()
end

local function variable(self)
  self:string()
  self:size()
  self:size()
end

-- A function: its instructions, their lines, its constants.
local function proto(self)
  self:string()
  local line = self:size()
  self:size()
  self.at = self.at + 3
  local made = { code = self:list(instruction), constants = self:list(constant), lines = {} }
  self:list(upvalue)
  self:list(proto)
  local steps, lines, n = self:list(line_step), self:list(absolute), 0
  self:list(variable)
  self:list(reader.string)
  for i, step in ipairs(steps) do
    if step == ABSOLUTE then n = n + 1 end
    line = step == ABSOLUTE and lines[n] or line + step
    made.lines[i] = line
  end
  return made
end

-- The function that is at work at a level, as error() counts here, and its line; nil where it
-- cannot be read. C functions between are passed over.
local function at_work(level)
  local info = debug.getinfo(level + 2, "Slf")
  while info and info.what == "C" do
    level = level + 1
    info = debug.getinfo(level + 2, "Slf")
  end
  if not info then return nil end
  local text = string.dump(info.func)
  if text:sub(1, #HEADER) ~= HEADER then return nil end
  return proto(setmetatable({ text = text, at = #HEADER + HEADER_REST + 1 }, reader)),
    info.currentline
end

-- ---- asking ------------------------------------------------------------------------

local function fields_of(i)
  return i & 0x7f, i >> 7 & 0xff, i >> 24 & 0xff
end

-- Whether what instruction `from` put into register `a` is called before it is tested.
local function is_called(made, from, a)
  for i = from + 1, #made.code do
    local op, register = fields_of(made.code[i])
    local is_none = op == OP.JMP or op == OP.EXTRAARG -- they have no register there
    if not is_none and register == a or op == OP.TESTSET and made.code[i] >> 16 & 0xff == a then
      return op == OP.CALL or op == OP.TAILCALL
    end
  end
end

-- Whether the function at a level calls what it finds under a name, at its line: as a method, or
-- as a function. Not if it is looked for at that line without a call.
-- @tparam string name
-- @tparam integer level as error() counts here: 2 is who called the function that asks
function called.as(name, level)
  local made, line = at_work(level)
  local found = false
  for i, each in ipairs(made and made.code or {}) do
    local op, a, c = fields_of(each)
    local reads = op == OP.SELF or op == OP.GETFIELD or op == OP.GETTABUP
    if reads and made.lines[i] == line and made.constants[c + 1] == name then
      if op ~= OP.SELF and not is_called(made, i, a) then return false end
      found = true
    end
  end
  return found
end

-- Whether the function at a level has a generic for at its line.
function called.in_loop(level)
  local made, line = at_work(level)
  for i, each in ipairs(made and made.code or {}) do
    if made.lines[i] == line and each & 0x7f == OP.TFORCALL then return true end
  end
  return false
end

return called
