-- SPDX-License-Identifier: MIT

--- Networks: bpf.prefix and bpf.within. What bpf.prefix gives is a value like a field that
-- is a prefix: its length, then the address with the bits past it cleared. The length is
-- a constant, or an integer from outside, which is a parameter with its mask.
--
-- @module luabpf.function.networks

local literal = require "luabpf.expr.literal"
local match = require "luabpf.expr.match"
local outside = require "luabpf.function.outside"
local run = require "luabpf.function.run"
local texts = require "luabpf.function.texts"
local words = require "luabpf.function.words"

local known = run.known

-- What the prefixes of an address are: as layout:describe() gives it.
local prefixes <const> = {
  ipv4 = { kind = "prefix4", name = "prefix4", size = 8, align = 4 },
  ipv6 = { kind = "prefix6", name = "prefix6", size = 20, align = 4 },
}

-- ---- bpf.prefix -----------------------------------------------------------------

-- The mask of a length, as a number for each eight bytes of an address.
local function masks_of(length, size)
  local bytes, list = literal.mask(length, size), {}
  for at = 1, size, 8 do
    list[#list + 1] = ("<i8"):unpack(bytes:sub(at, at + 7) .. ("\0"):rep(8 - size))
  end
  return list
end

-- A length that is known: its tree, and those of its mask.
local function fixed_length(self, length, size)
  local masks = masks_of(length, size)
  for i, mask in ipairs(masks) do masks[i] = self:number(mask) end
  return { length = self:number(length), masks = masks, text = ("%d"):format(length) }
end

-- One from outside. What is no length is a constant, and raises.
local function outside_length(self, src, size)
  local function fits(n) return n >= 0 and n <= 8 * size end
  if not fits(outside.resolve(src, self.root)) then run.give_up("again", src.path) end
  local key = ("length %s %d"):format(src.id, size)
  self.params[key] = { src = src, kind = "integer", fits = fits }
  local n = (size + 7) // 8
  local function pack(length)
    return ("<" .. ("i8"):rep(n + 1)):pack(length, table.unpack(masks_of(length, size)))
  end
  local slot = self:tree("slot", {}, { key = key, src = src, pack = pack, n = n + 1 }, src.name)
  local masks = {}
  for i = 1, n do masks[i] = self:behind(slot, i) end
  return { length = slot, masks = masks, text = src.name }
end

local function length_of(self, length, size)
  if length and length.t == "int" and length.tree.op == "slot" and length.tree.src then
    return outside_length(self, length.tree.src, size)
  end
  local n = length and length.t == "const" and type(length.v) == "number"
    and math.tointeger(length.v)
  if n and n >= 0 and n <= 8 * size then return fixed_length(self, n, size) end
end

local function is_address(v)
  return v and v.t == "raw" and prefixes[v.desc.kind] and true or false
end

known[words.prefix] = function(self, args)
  local v = args[1]
  if not is_address(v) then return nil, "other than of an IPv4 or IPv6 address field" end
  local network = length_of(self, args[2], v.desc.size)
  if not network then
    return nil, ("with a length other than 0 to %d, known from outside"):format(8 * v.desc.size)
  end
  local path = ("prefix(%s, %s)"):format(v.path, network.text)
  return { self:unique(("n%d %d"):format(v.id, network.length.id), function()
    return { t = "raw", of = v.of, place = v.place, path = path, desc = prefixes[v.desc.kind],
      network = network, address = v }
  end) }
end

-- ---- what networks are compared by ----------------------------------------------

-- The integers that a network's bytes are, in order: { tree, bytes } each.
function run:network_pieces(v)
  local list = { { v.network.length, 4 } }
  for i, mask in ipairs(v.network.masks) do
    local n = math.min(8, v.address.desc.size)
    list[i + 1] = { self:arith("&", self:part(v.address, 8 * (i - 1), n), mask), n }
  end
  return list
end

-- The words that a network's bytes are as a column: eight bytes in each.
function run:network_words(v)
  local list, low = {}, v.network.length
  for i, piece in ipairs(self:network_pieces(v)) do
    if i > 1 then
      list[i - 1] = self:arith("|", low, self:arith("<<", piece[1], self:number(32)))
      low = self:arith(">>", piece[1], self:number(32))
    end
  end
  if v.desc.size % 8 ~= 0 then list[#list + 1] = low end
  return list
end

-- Whether a network shows as a text.
function run:is_network(v, text)
  local bytes = texts.bytes(v.desc, text)
  if not bytes then return false end
  local pieces, tests = self:network_pieces(v), {}
  for i, number in ipairs(run.numbers_in(bytes, pieces)) do
    tests[i] = self:compare("==", pieces[i][1], self:number(number))
  end
  return self:all_of(tests, ("%s == %q"):format(v.path, text))
end

-- The pieces of a field that is a prefix, as those of a network.
local function pieces_of(self, v)
  if v.network then return self:network_pieces(v) end
  local list = { { self:part(v, 0, 4), 4 } }
  for offset = 4, v.desc.size - 1, 8 do
    list[#list + 1] = { self:part(v, offset, math.min(8, v.desc.size - offset)) }
  end
  return list
end

-- Whether two are the same network, of which one may be a field that is a prefix.
function run:same_network(a, b)
  if a.desc.kind ~= b.desc.kind then
    return nil, ("'%s' and '%s' are of different types"):format(a.path, b.path)
  end
  local x, y, tests = pieces_of(self, a), pieces_of(self, b), {}
  for i, piece in ipairs(x) do tests[i] = self:compare("==", piece[1], y[i][1]) end
  return self:all_of(tests, a.path .. " == " .. b.path)
end

-- ---- bpf.within -----------------------------------------------------------------

local searched <const> = { ipv4 = true, ipv6 = true, ip = true, prefix4 = true, prefix6 = true }

-- Whether a field of an address or a prefix lies in what a pattern says.
local function lies_in(self, v, text, pattern)
  local key, described = ("w%d %s"):format(v.id, text), ("%s in %s"):format(v.path, text)
  local test = self:condition(key, described, function(node)
    return match.any(run.context_of(self), node, run.node_of(v.of, v.place, v.path),
      { op = "string", pattern = pattern })
  end)
  if test.op == "truth" then return test.value end
  return test
end

-- A network lies in another if its address does, and it is no shorter.
local function network_in(self, v, text)
  local pattern = literal.pattern(v.desc, text, true)
  local longer = self:compare("<=", self:number(pattern.length), v.network.length)
  return self:all_of({ longer,
    lies_in(self, v.address, text, literal.pattern(v.address.desc, text, true)) },
    ("%s in %s"):format(v.path, text))
end

known[words.within] = function(self, args)
  local v, prefix = args[1], args[2]
  if not (v and v.t == "raw" and searched[v.desc.kind]) then
    return nil, "other than of an address field"
  end
  local text = prefix and type(prefix.v) == "string" and prefix.v
  local pattern = text and literal.pattern(v.desc, text, true)
  if not pattern then return nil, "other than in an address or a prefix of the field's family" end
  local test = v.network and network_in(self, v, text) or not v.network
    and lies_in(self, v, text, pattern)
  return "split", test, { self:const(true) }, { self:const(false) }
end

return known
