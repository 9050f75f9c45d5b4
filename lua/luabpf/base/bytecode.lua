-- SPDX-License-Identifier: MIT

--- The bytecode of a Lua function, read from string.dump: lundump.c, ldump.c and
-- lopcodes.h of Lua 5.4 (5.4.0 to 5.4.8 have one format). Nothing is ever loaded
-- back. Chunks of another format are refused by their header.
--
-- @module luabpf.base.bytecode

local opcodes = require "luabpf.base.opcodes"

local bytecode = {}

local NAMES <const> = opcodes.names
local byte_at <const>, unpack <const> = string.byte, string.unpack

-- Signature, version, format, LUAC_DATA; sizes of Instruction, lua_Integer, lua_Number; LUAC_INT,
-- LUAC_NUM.
local HEADER <const> = "\x1bLua\x54\0\x19\x93\r\n\x1a\n\4\8\8" .. string.pack("<i8d", 0x5678, 370.5)

local reader = {}
reader.__index = reader

function reader:byte()
  local b = byte_at(self.s, self.at)
  self.at = self.at + 1
  return b
end

function reader:unpack(format)
  local v
  v, self.at = unpack(format, self.s, self.at)
  return v
end

-- Seven bits a byte, the highest first; the last byte has the top bit.
function reader:size()
  local n = 0
  while true do
    local b = self:byte()
    n = n << 7 | b & 0x7f
    if b & 0x80 ~= 0 then return n end
  end
end

function reader:string()
  local n = self:size()
  if n == 0 then return nil end
  local s = self.s:sub(self.at, self.at + n - 2)
  self.at = self.at + n - 1
  return s
end

function reader:skip_string()
  local n = self:size()
  if n > 0 then self.at = self.at + n - 1 end
end

function reader:list(read)
  local list = {}
  for i = 1, self:size() do list[i] = read(self) end
  return list
end

local constants = {
  [0x00] = function() return { nil } end,
  [0x01] = function() return { false } end,
  [0x11] = function() return { true } end,
  [0x13] = function(self) return { self:unpack "<d" } end,
  [0x03] = function(self) return { self:unpack "<i8" } end,
  [0x04] = function(self) return { self:string() } end,
  [0x14] = function(self) return { self:string() } end,
}

local function constant(self)
  return constants[self:byte()](self)
end

-- Instructions, with all arguments that some format of them has.
local function instructions(self)
  local code, s, n = {}, self.s, self:size()
  local at = self.at
  for pc = 1, n do
    local i
    i, at = unpack("<I4", s, at)
    local b, c, bx = i >> 16 & 0xff, i >> 24, i >> 15
    code[pc] = { op = NAMES[i & 0x7f], a = i >> 7 & 0xff, k = bx & 1, b = b, c = c, bx = bx,
      sbx = bx - 0xffff, sj = (i >> 7) - 0xffffff, ax = i >> 7, sb = b - 127, sc = c - 127 }
  end
  self.at = at
  return code
end

local ABSOLUTE <const> = 0x80 -- as a signed byte -128

-- The line of each instruction; none in what was stripped.
local function lines_of(self, first)
  local n, s = self:size(), self.s
  local from = self.at
  self.at = from + n
  local absolute = {}
  for _ = 1, self:size() do
    local pc = self:size()
    absolute[pc + 1] = self:size()
  end
  local lines, line = {}, first
  for pc = 1, n do
    local delta = byte_at(s, from + pc - 1)
    line = delta == ABSOLUTE and absolute[pc] or line + (delta ~ 0x80) - 0x80
    lines[pc] = line
  end
  return lines
end

local function proto(self, source)
  local p = { source = self:string() or source, first = self:size(), last = self:size(),
    params = self:byte(), vararg = self:byte() ~= 0, stack = self:byte() }
  p.code, p.k = instructions(self), self:list(constant)
  p.upvalues = self:list(function()
    return { instack = self:byte(), index = self:byte(), kind = self:byte() }
  end)
  p.protos = self:list(function() return proto(self, p.source) end)
  p.lines = lines_of(self, p.first)
  -- Local variables: what they are called, from where, to where.
  for _ = 1, self:size() do
    self:skip_string()
    self:size()
    self:size()
  end
  for i = 1, self:size() do p.upvalues[i].name = self:string() end
  return p
end

-- Why a chunk is not read whose header is another one.
local function other(chunk)
  local version = chunk:match "^\27Lua(.)"
  if not version or version == "\x54" then return "bytecode of another Lua than 5.4" end
  return ("bytecode of Lua %d.%d: only that of 5.4 is known"):format(version:byte() >> 4,
    version:byte() & 15)
end

-- The prototype of a chunk that string.dump made: code, k ({ value } each), upvalues, protos,
-- lines, params, vararg, source, first, last. nil and why: another version of Lua, damaged.
function bytecode.read(chunk)
  if chunk:sub(1, #HEADER) ~= HEADER then return nil, other(chunk) end
  local self = setmetatable({ s = chunk, at = #HEADER + 2 }, reader)
  local ok, p = pcall(proto, self, "=?") -- the source, in what was stripped
  if p == "not enough memory" then error(p, 0) end -- that says nothing of the chunk
  if not ok or self.at ~= #chunk + 1 then return nil, "the bytecode is not as Lua 5.4 writes it" end
  return p
end

return bytecode
