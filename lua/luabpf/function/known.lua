-- SPDX-License-Identifier: MIT

--- Functions of C that are known: of math and of strings, clocks, and those that luabpf
-- offers for functions (words.lua); those of networks are in networks.lua.
--
-- @module luabpf.function.known

local core = require "luabpf.core"
local load = require "luabpf.expr.load"
local run = require "luabpf.function.run"
local words = require "luabpf.function.words"

local known, is_int = run.known, run.is_int

-- ---- math -----------------------------------------------------------------------

local function all_integers(args, least)
  for i = 1, math.max(#args, least) do
    if not args[i] or not is_int(args[i]) then return false end
  end
  return true
end

local function extreme(is_better)
  return function(self, args)
    if not all_integers(args, 1) then return nil, "of what is no integer" end
    local best = self:integer(args[1])
    for i = 2, #args do
      local tree = self:integer(args[i])
      best = self:choice(is_better(self, tree, best), tree, best)
    end
    return { self:int(best) }
  end
end

known[math.min] = extreme(function(self, a, b) return self:compare("<", a, b) end)

local greatest = extreme(function(self, a, b) return self:compare("<", b, a) end)

-- The greatest is no less than each, which a division by it wants to know.
known[math.max] = function(self, args)
  local values, why = greatest(self, args)
  local tree = values and values[1].tree
  for _, arg in ipairs(tree and tree.op == "if" and args or {}) do
    if arg.t == "const" then
      tree.least = math.max(arg.v, tree.least or arg.v)
      tree.nonneg = tree.nonneg or arg.v >= 0
    end
  end
  return values, why
end

known[math.abs] = function(self, args)
  if not all_integers({ args[1] }, 1) then return nil, "of what is no integer" end
  local tree = self:integer(args[1])
  local negative = self:compare("<", tree, self:number(0))
  return { self:int(self:choice(negative, self:negative(tree), tree)) }
end

known[math.ult] = function(self, args)
  if not all_integers({ args[1], args[2] }, 2) then return nil, "of what is no integer" end
  local test = self:below(self:integer(args[1]), self:integer(args[2]))
  return "split", test, { self:const(true) }, { self:const(false) }
end

local function of_integer(give)
  return function(self, args)
    if not all_integers({ args[1] }, 1) then return nil, "of what is no integer" end
    return { give(self, args[1]) }
  end
end

for _, name in ipairs { "tointeger", "floor", "ceil" } do
  known[math[name]] = of_integer(function(_, v) return v end)
end
known[math.type] = of_integer(function(self) return self:const("integer") end)

known[type] = function(self, args)
  local names = { int = "number", view = "userdata", array = "table", raw = "string" }
  local v = args[1]
  if not v or not names[v.t] or v.is_table then return nil, "of what is not known" end
  local is_view = v.t == "array" and (v.place.percpu or run.is_change(self))
  return { self:const(is_view and "userdata" or names[v.t]) }
end

-- ---- clocks ---------------------------------------------------------------------

for name, f in pairs { now = core.now, boottime = core.boottime } do
  known[f] = function(self)
    return { self:int(self:tree("slot", {}, { key = " " .. name, clock = name }, name .. "()")) }
  end
end

-- ---- text -----------------------------------------------------------------------

local function is_text(v)
  return v and v.t == "raw" and v.desc.kind == "text" and not v.first and not v.cut
end

local addresses <const> = { ipv4 = true, ipv6 = true, ip = true, prefix4 = true, prefix6 = true }

-- Why a function of strings is Lua's: for that reason, or since it looks at an address.
local function refused(v, why)
  if v and v.t == "raw" and addresses[v.desc.kind] then
    why = "of an address; bpf.within asks whether one lies in a network"
  end
  return nil, why
end

-- The same place, seen otherwise.
local function seen_as(self, v, name, value)
  return self:unique(("%s%d %s"):format(name, v.id, value), function()
    return { t = "raw", of = v.of, place = v.place, path = v.path, desc = v.desc, [name] = value }
  end)
end

known[string.sub] = function(self, args)
  local v, from, to = args[1], args[2], args[3]
  if not (is_text(v) and from and from.v == 1 and to and math.type(to.v) == "integer"
    and to.v >= 0) then
    return refused(v, "other than of a text field from 1 to a constant")
  end
  return { seen_as(self, v, "first", to.v) }
end

-- The literal that a pattern begins with, and nothing else: "^text".
local function anchored(pattern)
  local literal_text = type(pattern) == "string" and pattern:match "^%^(.+)$"
  if not literal_text or literal_text:find "[%^%$%(%)%%%.%[%]%*%+%-%?%z]" then return nil end
  return literal_text
end

local function begins(self, v, text)
  if #text > v.desc.size then return false end
  return self:begins(v, text)
end

known[string.find] = function(self, args)
  local v, pattern, from, plain = args[1], args[2], args[3], args[4]
  local text = pattern and pattern.t == "const" and pattern.v
  if not is_text(v) or type(text) ~= "string" then
    return refused(v, "other than in a text field")
  end
  if plain and plain.v == true and from and from.v == 1 and not text:find("\0", 1, true)
    and #text > 0 then
    local test = begins(self, v, text)
    if test == false then return nil, "of text longer than the field" end
    return { self:unique(("found%d %s"):format(v.id, text), function()
      return { t = "found", test = test, path = v.path }
    end) }
  end
  text = not from and anchored(text)
  if not text then return nil, "other than of a plain beginning: find('^text')" end
  return "split", begins(self, v, text), { self:const(1), self:const(#text) }, { self:const(nil) }
end

known[string.match] = function(self, args)
  local v, pattern = args[1], args[2]
  local text = pattern and pattern.t == "const" and anchored(pattern.v)
  if not is_text(v) or not text or args[3] then
    return refused(v, "other than of a plain beginning: match('^text')")
  end
  return "split", begins(self, v, text), { self:const(text) }, { self:const(nil) }
end

-- The bytes of a text field from i on, as one integer that is 0 if all of them are.
local function rest(self, v, i)
  local any = self:number(0)
  for _, piece in ipairs(load.parts(v.desc.size - i + 1)) do
    local place = { desc = { kind = "bytes", size = piece[2] },
      bit = v.place.bit + 8 * (i - 1 + piece[1]), cpu = v.place.cpu }
    any = self:arith("|", self:bytes(v.of, place, v.path, piece[2]), any)
  end
  return any
end

local LONGEST <const> = 32 -- whose length is counted

-- #text, as views show it: up to the first NUL if only NULs follow, else all of it; nil for what
-- is no text, or too long.
function run:length(v)
  if not is_text(v) or v.desc.size > LONGEST then return nil end
  local size, zero = v.desc.size, self:number(0)
  local length = self:number(size)
  for i = size, 1, -1 do
    local place = { desc = { kind = "bytes", size = 1 }, bit = v.place.bit + 8 * (i - 1),
      cpu = v.place.cpu }
    local byte = self:bytes(v.of, place, v.path, 1)
    local ends = i == size and self:number(i - 1)
      or self:choice(self:compare("==", rest(self, v, i + 1), zero), self:number(i - 1),
        self:number(size))
    length = self:choice(self:compare("==", byte, zero), ends, length)
  end
  return length
end

-- ---- luabpf's own ---------------------------------------------------------------

known[words.text] = function(self, args)
  if not is_text(args[1]) then return nil, "other than of a text field" end
  return { seen_as(self, args[1], "cut", true) }
end

return known
