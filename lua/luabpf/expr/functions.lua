-- SPDX-License-Identifier: MIT
--
-- The functions of expressions, one row each:
--
--   parse(parser, token)          the node of a call whose "(" was just read, types checked
--   lower(context, node, lower)   its core node (tree.lua); lower does an argument
--   piece(context, node, offset, size, piece)    in place of lower where the node is raw: some of
--                                 its bytes as an unsigned integer; piece does an argument
--   form                          as help shows it
--   run(node, entry, value_of)    what it means, in the plainest way: a number, a boolean, or the
--                                 text of what is raw; value_of computes an argument
--
-- The op of the node is the function's name; one whose node has another op, that of
-- what it parses to, has no lower and run of its own. A function is added here and in
-- docs/expressions.md; specs and help go by this table.

local literal = require "luabpf.expr.literal"
local params = require "luabpf.expr.params"
local parser = require "luabpf.expr.parser"
local tree = require "luabpf.expr.tree"

local functions = {}

-- ---- if(condition, a, b) -----------------------------------------------------

local function parse_if(self, token)
  local condition = self:expression()
  self:need_condition(condition)
  self:expect(",")
  local a = self:expression()
  self:expect(",")
  local b = self:expression()
  local last = self:expect(")").last
  if a.kind == "condition" or b.kind == "condition" then
    self:need_condition(a)
    self:need_condition(b)
    return self:node("if", "condition", token.first, last, { args = { condition, a, b } })
  end
  self:both_integers(a, b)
  local kind = parser.result_kind("if", a, b)
  return self:node("if", kind, token.first, last, { args = { condition, a, b } })
end

local function lower_if(context, node, lower)
  local c = lower(context, node.args[1])
  local a, b = lower(context, node.args[2]), lower(context, node.args[3])
  if node.kind == "condition" then return tree.choose(node, c, a, b) end
  local signed = node.kind == "signed"
  if c.op == "truth" then return tree.retyped(c.value and a or b, signed) end
  return tree.new(node, "if", signed, { c, a, b })
end

local function run_if(node, entry, value_of)
  return value_of(node.args[value_of(node.args[1], entry) and 2 or 3], entry)
end

functions["if"] = { form = "if(condition, a, b)", parse = parse_if, lower = lower_if, run = run_if }

-- ---- cpu_max(field), cpu_min(field) ------------------------------------------

-- A field of value, over the CPUs otherwise than by their sum: what is read is a field.
local function over_cpus(reduce)
  local function parse(self, token)
    local start = self:peek()
    if not self.env.ncpu then self:fail(token, "%s is for per-CPU maps", token.value) end
    if not self:sees("value") then self:unexpected("a field of value") end
    local node = self:field(self:next(), reduce)
    if node.cpu then self:fail(start, "'%s' is one CPU's already", parser.text_of(node)) end
    node.first, node.last = token.first, self:expect(")").last
    return node
  end
  return { form = ("cpu_%s(value.n)"):format(reduce), parse = parse }
end

functions.cpu_max = over_cpus("max")
functions.cpu_min = over_cpus("min")

-- ---- prefix(address, length) -------------------------------------------------

-- What the prefixes of an address are: as layout:describe() gives it.
local prefixes = {
  ipv4 = { kind = "prefix4", name = "prefix4", size = 8, align = 4 },
  ipv6 = { kind = "prefix6", name = "prefix6", size = 20, align = 4 },
}

local function check_address(self, node)
  local desc = node.kind == "raw" and node.desc
  if desc and prefixes[desc.kind] then return desc end
  self:fail(node, "%s; prefix takes a field that is an IPv4 or an IPv6 address", parser.is(node))
end

local function parse_prefix(self, token)
  local address = self:expression()
  local desc = check_address(self, address)
  self:expect(",")
  local length = self:expression()
  local most = 8 * desc.size
  if length.op == "param" then
    length.kind, length.param = "unsigned", { kind = "length", desc = desc }
  elseif length.op ~= "number" or length.value < 0 or length.value > most then
    self:fail(length, "a length from 0 to %d or a parameter expected", most)
  end
  return self:node("prefix", "raw", token.first, self:expect(")").last,
    { args = { address, length }, desc = prefixes[desc.kind] })
end

-- Bytes of the mask; of a parameter, which has a slot for the length and one for each four bytes.
local function prefix_mask(context, node, offset, size)
  local length = node.args[2]
  if length.op == "number" then
    local bytes = literal.mask(length.value, node.desc.size - 4):sub(offset + 1, offset + size)
    return tree.const(node, (string.unpack("<I" .. size, bytes)), false)
  end
  local first = params.entry(context, length.name, length.param).slot + 1 + offset // 4
  local low = tree.slot(node, first)
  if size <= 4 then return low end
  return tree.new(node, "|", false, { low, tree.shift(node, "<<", false,
    tree.slot(node, first + 1), 32) })
end

-- The length, then the address with the bits past it cleared.
local function prefix_piece(context, node, offset, size, piece)
  local address, length = node.args[1], node.args[2]
  if offset > 0 then
    local bytes = piece(context, address, offset - 4, size)
    return tree.arithmetic(node, "&", false, bytes, prefix_mask(context, node, offset - 4, size))
  elseif size == 8 then
    local tail = prefix_piece(context, node, 4, 4, piece)
    return tree.arithmetic(node, "|", false, prefix_piece(context, node, 0, 4, piece),
      tree.shift(node, "<<", false, tail, 32))
  elseif length.op == "number" then
    return tree.const(node, length.value, false)
  end
  return tree.slot(node, params.entry(context, length.name, length.param).slot)
end

-- From the text of an address, its groups cleared one by one.
local function run_prefix(node, entry, value_of)
  local text, length = value_of(node.args[1], entry), value_of(node.args[2], entry)
  local base, bits = 16, 16
  if text:find(".", 1, true) then base, bits = 10, 8 end
  local left = length
  local masked = text:gsub("%x+", function(group)
    local keep = math.min(left, bits)
    left = left - keep
    return (base == 10 and "%d" or "%x"):format(tonumber(group, base) >> bits - keep << bits - keep)
  end)
  return ("%s/%d"):format(masked, length)
end

functions.prefix = { form = "prefix(key.addr, 24)",
  parse = parse_prefix, piece = prefix_piece, run = run_prefix }

return functions
