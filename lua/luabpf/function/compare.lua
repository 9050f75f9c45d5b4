-- SPDX-License-Identifier: MIT

--- Lua's comparisons of values: each gives true, false or a condition; or nil and why
-- Lua has to decide. Text is compared by the only bytes that show as a string, enums
-- by the only number that shows as a name.
--
-- @module luabpf.function.compare

local literal = require "luabpf.expr.literal"
local match = require "luabpf.expr.match"
local outside = require "luabpf.function.outside"
local run = require "luabpf.function.run"
local texts = require "luabpf.function.texts"

local context_of, node_of, is_int, what = run.context_of, run.node_of, run.is_int, run.what

-- A condition that match.lua makes, once for a key.
function run:condition(key, text, make)
  return self:unique(key, function()
    text = run.short(text)
    local node = { source = text, first = 1, last = #text }
    return setmetatable({ text = text, size_of = 8 }, { __index = make(node) })
  end)
end

-- Whether a place has a pattern's bytes.
local function matches(self, v, pattern, described, size)
  local key = ("q%d %s %s"):format(v.id, pattern.bytes, pattern.mask)
  return self:condition(key, described, function(node)
    return match.any(context_of(self), node, node_of(v.of, v.place, v.path, size),
      { op = "string", pattern = pattern })
  end)
end

local function full(bytes)
  return { bytes = bytes, mask = ("\xff"):rep(#bytes) }
end

-- Whether the first bytes of a place are these. Up to 8 are one load, shared by all that ask.
function run:begins(v, bytes)
  if #bytes == 0 then return true end
  if v.desc.size <= 8 then
    local n, tree = v.desc.size, self:bytes(v.of, v.place, v.path, v.desc.size)
    if #bytes < n then tree = self:arith("&", tree, self:number((1 << 8 * #bytes) - 1)) end
    local number = ("<i8"):unpack(bytes .. ("\0"):rep(8 - #bytes))
    return self:compare("==", tree, self:number(number))
  end
  return matches(self, v, full(bytes), ("%s == %q"):format(v.path, bytes), #bytes)
end

-- ---- equality with a constant ---------------------------------------------------

local function whole_is(self, v, text)
  local bytes = texts.bytes(v.desc, text)
  return bytes ~= nil and self:begins(v, bytes)
end

-- text:sub(1, n) == text
local function front_is(self, v, text)
  if #text > v.first then return false end
  -- A part that is shorter is all that there is.
  if #text < v.first or v.first > v.desc.size then return whole_is(self, v, text) end
  if text:find("\0", 1, true) then return nil, "text with a zero byte" end
  return self:begins(v, text)
end

-- bpf.text(text) == text: up to the first NUL.
local function cut_is(self, v, text)
  local pattern = literal.pattern(v.desc, text)
  if not pattern then return false end
  return matches(self, v, pattern, ("text(%s) == %q"):format(v.path, text))
end

local function raw_is(self, v, text)
  if v.network then return self:is_network(v, text) end
  if v.first then return front_is(self, v, text) end
  if v.cut then return cut_is(self, v, text) end
  return whole_is(self, v, text)
end

-- The number that an enum shows as a constant, a name or a number; nil if none does, false if
-- several do. The first name of a number is the one that is shown.
function run.enum_number(desc, constant)
  local first, names = {}, {}
  for _, value in ipairs(desc.values) do
    if first[value.value] == nil then
      first[value.value] = value.name
      names[value.name] = names[value.name] == nil and value.value
    end
  end
  if type(constant) == "string" then return names[constant] end
  local n = math.tointeger(constant)
  return n and not first[n] and n or nil
end

local function enum_is(self, v, constant)
  local n = run.enum_number(v.desc, constant)
  if n == false then return nil, "an enum that calls two numbers alike" end
  return n ~= nil and self:compare("==", v.tree, self:number(n))
end

-- v == c, of a value that depends on the entry and a constant.
function run:equal_const(v, c)
  if v.t == "int" then
    local n = math.type(c) and math.tointeger(c)
    return n ~= nil and n ~= false and self:compare("==", v.tree, self:number(n))
  elseif v.t == "raw" then
    if type(c) ~= "string" then return false end
    return raw_is(self, v, c)
  elseif v.t == "enum" then
    if type(c) ~= "string" and type(c) ~= "number" then return false end
    return enum_is(self, v, c)
  elseif v.t == "found" then
    if math.type(c) == nil or math.tointeger(c) ~= 1 then return nil, "find gives more than 1" end
    return v.test
  elseif v.t == "view" or v.t == "array" then
    if type(c) == "table" or type(c) == "userdata" then return nil, "a table is compared" end
    return false
  end
  return nil, v.why
end

-- ---- equality with a string that is a parameter ---------------------------------

-- The bytes of a place from `offset` on, 1 to 8, as an integer.
function run:part(v, offset, n)
  if offset == 0 and v.desc.size <= 8 then return self:bytes(v.of, v.place, v.path, n) end
  local place = { desc = { kind = "bytes", size = n }, bit = v.place.bit + 8 * offset,
    cpu = v.place.cpu }
  return self:bytes(v.of, place, v.path, n)
end

-- The integers that a field's bytes are, in order: { tree, bytes } each.
function run:pieces(v)
  if v.network then return self:network_pieces(v) end
  local list = {}
  for offset = 0, v.desc.size - 1, 8 do
    local n = math.min(8, v.desc.size - offset)
    list[#list + 1] = { self:part(v, offset, n), n }
  end
  return list
end

-- The same of some bytes.
function run.numbers_in(bytes, pieces)
  local list, at = {}, 1
  for i, piece in ipairs(pieces) do
    local chunk = bytes:sub(at, at + piece[2] - 1)
    list[i], at = ("<i8"):unpack(chunk .. ("\0"):rep(8 - piece[2])), at + piece[2]
  end
  return list
end

-- The slots of such a comparison: whether anything shows as the string, and its bytes.
local function pattern_slots(self, v, src, pieces)
  local n = #pieces
  local key = ("pattern %s %s"):format(src.id, v.id)
  self.params[key] = { src = src, kind = "string" }
  local function pack(text)
    local bytes = texts.bytes(v.desc, text)
    if not bytes then return ("\0"):rep(8 * (n + 1)) end
    return ("<" .. ("i8"):rep(n + 1)):pack(1, table.unpack(run.numbers_in(bytes, pieces)))
  end
  return self:tree("slot", {}, { key = key, src = src, pack = pack, n = n + 1 }, src.name)
end

-- The number of an enum that shows as the string, and whether there is one.
local function number_slots(self, v, src)
  local key = ("name %s %s"):format(src.id, v.id)
  for _, value in ipairs(v.desc.values) do
    if run.enum_number(v.desc, value.name) == false then run.give_up("again", src.path) end
  end
  self.params[key] = { src = src, kind = "string" }
  local function pack(text)
    local n = run.enum_number(v.desc, text)
    return ("<i8i8"):pack(n and 1 or 0, n or 0)
  end
  return self:tree("slot", {}, { key = key, src = src, pack = pack, n = 2 }, src.name)
end

-- The slot that lies so many behind the first.
function run:behind(slot, n)
  return self:unique(("s%d+%d"):format(slot.id, n), function()
    return setmetatable({ behind = slot, offset_in = n, args = {} }, { __index = slot })
  end)
end

-- The condition that all of several hold, some of which may be known to.
function run:all_of(tests, text)
  local left, key = {}, { "and" }
  for _, test in ipairs(tests) do
    if test == false then return false end
    if test ~= true then left[#left + 1], key[#key + 1] = test, test.id end
  end
  if #left < 2 then return left[1] or true end
  return self:unique(table.concat(key, " "), function()
    text = run.short(text)
    return { op = "and", args = left, text = text, size_of = 8,
      node = { source = text, first = 1, last = #text } }
  end)
end

-- A field's string or an enum's name == a string from outside.
function run:equal_text(v, text)
  local src = text.src
  if v.t == "enum" then
    local slot = number_slots(self, v, src)
    return self:all_of({ self:compare("==", slot, self:number(1)),
      self:compare("==", v.tree, self:behind(slot, 1)) }, v.path .. " == " .. src.name)
  end
  local pieces = self:pieces(v)
  local slot = pattern_slots(self, v, src, pieces)
  local tests = { self:compare("==", slot, self:number(1)) }
  for i, piece in ipairs(pieces) do
    tests[i + 1] = self:compare("==", piece[1], self:behind(slot, i))
  end
  return self:all_of(tests, v.path .. " == " .. src.name)
end

-- ---- two that depend on the entry -----------------------------------------------

local function same_fields(self, a, b)
  if a.network or b.network then return self:same_network(a, b) end
  if a.of == b.of and a.place.bit == b.place.bit and a.place.cpu == b.place.cpu then return true end
  local x, y = a.place.desc, b.place.desc
  if x.kind ~= y.kind or x.size ~= y.size then
    return nil, ("'%s' and '%s' are of different types"):format(a.path, b.path)
  end
  if x.size <= 8 then
    return self:compare("==", self:bytes(a.of, a.place, a.path, x.size),
      self:bytes(b.of, b.place, b.path, x.size))
  end
  return self:condition(("Q%d %d"):format(a.id, b.id), a.path .. " == " .. b.path,
    function(node)
      -- As bytes: views show text with all that is behind a NUL.
      return match.any(context_of(self), node, node_of(a.of, a.place, a.path, x.size),
        node_of(b.of, b.place, b.path, x.size))
    end)
end

local function whole(v) return v.t == "raw" and not v.first and not v.cut end

local function equal_symbols(self, a, b)
  if a.t == "int" and b.t == "int" then return self:compare("==", a.tree, b.tree) end
  if a.t == "view" and b.t == "view" and not (a.is_table or b.is_table) then return a == b end
  if whole(a) and whole(b) then return same_fields(self, a, b) end
  if a.t == "enum" and b.t == "enum" and a.desc == b.desc then
    return self:compare("==", a.tree, b.tree)
  end
  if a.t == "raw" and b.t == "int" or a.t == "int" and b.t == "raw" then return false end
  return nil, ("%s and %s are compared"):format(what(a), what(b))
end

local function equal_constants(self, a, b)
  local kind = type(a.v)
  if kind ~= type(b.v) or not outside.is_object(a.v) then return a.v == b.v end
  local may_ask = (kind == "table" or kind == "userdata") and not rawequal(a.v, b.v)
    and (debug.getmetatable(a.v) or debug.getmetatable(b.v))
  if may_ask or not (a.src and b.src) then return nil, "a comparison of objects" end
  return self:same_object(a, b)
end

-- a == b.
function run:equal(a, b)
  if a.t == "text" then a, b = b, a end
  if b.t == "text" then
    if a.t == "enum" or whole(a) then return self:equal_text(a, b) end
    if a.t == "int" or a.t == "view" or a.t == "array" then return false end
    run.need_constant(b)
  end
  if a.t == "const" and b.t == "const" then return equal_constants(self, a, b) end
  if a.t == "const" then a, b = b, a end
  if b.t == "const" then return self:equal_const(a, b.v) end
  return equal_symbols(self, a, b)
end

-- ---- order ----------------------------------------------------------------------

-- With a float: by the integer bound that means the same.
local function order_float(self, op, a, b)
  local flipped = b.t == "int"
  local tree, c = flipped and b.tree or a.tree, flipped and a.v or b.v
  if c ~= c then return false end
  -- a < c is a < ceil(c), a <= c is a <= floor(c); c < b is floor(c) < b, c <= b is ceil(c) <= b.
  local bound = (op == "<") ~= flipped and math.ceil(c) or math.floor(c)
  if math.type(bound) == "integer" then
    bound = self:number(bound)
    if flipped then return self:compare(op, bound, tree) end
    return self:compare(op, tree, bound)
  end
  return (c > 0) ~= flipped
end

local compares <const> = {
  ["<"] = function(x, y) return x < y end, ["<="] = function(x, y) return x <= y end,
}

-- a < b or a <= b.
function run:order(op, a, b)
  if a.t == "const" and b.t == "const" then
    if type(a.v) == "table" or type(b.v) == "table" then return nil, "a table is compared" end
    local ok, result = pcall(compares[op], a.v, b.v)
    if not ok then return nil, "raises: " .. tostring(result):gsub("^.-:%d+: ", "") end
    return result
  end
  if is_int(a) and is_int(b) then return self:compare(op, self:integer(a), self:integer(b)) end
  for _, v in ipairs { a, b } do
    if v.t == "text" then run.need_constant(v) end
  end
  local float = a.t == "const" and math.type(a.v) or b.t == "const" and math.type(b.v)
  if float == "float" and (a.t == "int" or b.t == "int") then
    return order_float(self, op, a, b)
  end
  return nil, ("%s and %s are compared by order"):format(what(a), what(b))
end

return run
