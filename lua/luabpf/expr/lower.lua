-- SPDX-License-Identifier: MIT
--
-- Lowering: the tree of an expression (parse.lua) to a smaller one of 64-bit
-- integers only, with constants folded, from which code is generated
-- (compile.lua). Addresses and text become comparisons of whole loads;
-- bitfields, odd sizes and sign extension become shifts; what is known before
-- any entry is seen becomes a constant, so that no code is unreachable.
--
-- A core node is { op =, args =, signed =, node = } (node: what it is for):
--
--   const   value                        load     of "key" or "value", offset, size, big
--   slot    index, of a parameter        reduced  index, of a per-CPU slot
--   held    the left side of an `in`     neg bnot, + - * / % & | ~ << >>, s>> (keeps the sign)
--   if      condition, a, b
--
-- and the conditions
--
--   == ~= < <= > >=    mixed: the first is signed, the second is not
--   not, and, or, if   any number of args in and, or
--   in                 x, values (constants), or held and args (comparisons with it)
--   truth              value: only as a whole tree
--
-- `signed` is how the result counts; it changes no bits.

local expr = require "luabpf.expr.parse"
local lexer = require "luabpf.expr.lexer"
local literal = require "luabpf.expr.literal"
local word = require "luabpf.expr.word"

local lower = {}

local rules = {}

local function tree(context, node)
  return rules[node.op](context, node)
end

local function core(node, op, signed, args, extra)
  local made = extra or {}
  made.op, made.signed, made.args, made.node = op, signed, args or {}, node
  return made
end

local function const(node, value, signed)
  return core(node, "const", signed, nil, { value = value })
end

local function truth(node, value)
  return core(node, "truth", false, nil, { value = value })
end

-- The same bits, counted as signed or not.
local function retyped(made, signed)
  if made.signed == signed then return made end
  local copy = {}
  for k, v in pairs(made) do copy[k] = v end
  copy.signed = signed
  return copy
end

-- ---- arithmetic --------------------------------------------------------------

local fold = {
  ["+"] = function(a, b) return a + b end,
  ["-"] = function(a, b) return a - b end,
  ["*"] = function(a, b) return a * b end,
  ["&"] = function(a, b) return a & b end,
  ["|"] = function(a, b) return a | b end,
  ["~"] = function(a, b) return a ~ b end,
  ["<<"] = function(a, b) return a << b end,
  [">>"] = function(a, b) return a >> b end,
  ["/"] = word.div,
  ["%"] = word.mod,
}

local function arithmetic(node, op, signed, a, b)
  if a.op == "const" and b.op == "const" and fold[op] then
    return const(node, fold[op](a.value, b.value, a.signed, b.signed), signed)
  end
  return core(node, op, signed, { a, b })
end

local function shift(node, op, signed, a, count)
  return count == 0 and a or arithmetic(node, op, signed, a, const(node, count, false))
end

local function check_shift(node, count)
  if count.op == "const" and (count.value < 0 or count.value > 63) then
    lexer.fail(node.source, node.args[2].first, "a constant shift is from 0 to 63")
  end
end

local function binary(context, node)
  local op, signed = node.op == "//" and "/" or node.op, node.kind == "signed"
  local a, b = tree(context, node.args[1]), tree(context, node.args[2])
  if op == "<<" or op == ">>" then check_shift(node, b) end
  if (op == "/" or op == "%") and b.op == "const" and b.value == 0 then
    return op == "/" and const(node, 0, signed) or retyped(a, signed)
  end
  return arithmetic(node, op, signed, a, b)
end

for _, op in ipairs { "+", "-", "*", "/", "//", "%", "&", "|", "~", "<<", ">>" } do
  rules[op] = binary
end

local function unary(node, op, a)
  local signed = node.kind == "signed"
  if a.op == "const" then
    return const(node, op == "neg" and -a.value or ~a.value, signed)
  end
  return core(node, op, signed, { a })
end

function rules.neg(context, node) return unary(node, "neg", tree(context, node.args[1])) end
function rules.bnot(context, node) return unary(node, "bnot", tree(context, node.args[1])) end
function rules.number(_, node) return const(node, node.value, node.kind == "signed") end
function rules.boolean(_, node) return truth(node, node.value) end

-- ---- logic -------------------------------------------------------------------

local function negated(node, a)
  if a.op == "truth" then return truth(node, not a.value) end
  if a.op == "not" then return a.args[1] end
  return core(node, "not", false, { a })
end

-- `and` or `or` of conditions: what decides it stands alone, what does not matter is dropped.
local function logical(node, op, args)
  local kept = {}
  for _, arg in ipairs(args) do
    if arg.op ~= "truth" then
      kept[#kept + 1] = arg
    elseif arg.value == (op == "or") then
      return truth(node, arg.value)
    end
  end
  if #kept == 0 then return truth(node, op == "and") end
  return #kept == 1 and kept[1] or core(node, op, false, kept)
end

-- if() of conditions, where neither branch is left constant.
local function choose(node, c, a, b)
  if c.op == "truth" then return c.value and a or b end
  if a.op == "truth" then
    return a.value and logical(node, "or", { c, b })
      or logical(node, "and", { negated(node, c), b })
  end
  if b.op == "truth" then
    return b.value and logical(node, "or", { negated(node, c), a })
      or logical(node, "and", { c, a })
  end
  return core(node, "if", false, { c, a, b })
end

rules["and"] = function(context, node)
  local args = {}
  for i, arg in ipairs(node.args) do args[i] = tree(context, arg) end
  return logical(node, node.op, args)
end
rules["or"] = rules["and"]

rules["not"] = function(context, node)
  return negated(node, tree(context, node.args[1]))
end

rules["if"] = function(context, node)
  local c = tree(context, node.args[1])
  local a, b = tree(context, node.args[2]), tree(context, node.args[3])
  if node.kind == "condition" then return choose(node, c, a, b) end
  local signed = node.kind == "signed"
  if c.op == "truth" then return retyped(c.value and a or b, signed) end
  return core(node, "if", signed, { c, a, b })
end

-- ---- comparisons -------------------------------------------------------------

local mirrored = {
  ["<"] = ">", [">"] = "<", ["<="] = ">=", [">="] = "<=", ["=="] = "==", ["~="] = "~=",
}

local function holds(op, a, b)
  local less = word.less(a.value, b.value, a.signed, b.signed)
  local equal = word.equal(a.value, b.value, a.signed, b.signed)
  if op == "==" then return equal end
  if op == "~=" then return not equal end
  if op == "<" or op == ">=" then return less == (op == "<") end
  return (less or equal) == (op == "<=")
end

-- A constant of the other signedness: the same bits, or beyond all that x can be.
local function compare_const(node, op, x, c)
  if x.signed == c.signed or c.value >= 0 then
    return core(node, op, false, { x, retyped(c, x.signed) })
  end
  local above = x.signed
  return truth(node, op == "~=" or (op:find("^<") ~= nil) == above and op ~= "==")
end

local function compare(node, op, a, b)
  if a.op == "const" and b.op == "const" then return truth(node, holds(op, a, b)) end
  if a.op == "const" then a, b, op = b, a, mirrored[op] end
  if b.op == "const" then return compare_const(node, op, a, b) end
  if a.signed == b.signed then return core(node, op, false, { a, b }) end
  if b.signed then a, b, op = b, a, mirrored[op] end
  return core(node, op, false, { a, b }, { mixed = true })
end

-- ---- loads -------------------------------------------------------------------

-- The largest of 8, 4, 2, 1 that is in n.
local function part(n)
  return n >= 8 and 8 or n >= 4 and 4 or n >= 2 and 2 or 1
end

--- Cuts n bytes into loads: a list of { offset, size }.
function lower.parts(n)
  local list, offset = {}, 0
  while offset < n do
    local size = part(n - offset)
    list[#list + 1] = { offset, size }
    offset = offset + size
  end
  return list
end

local function same(a, b)
  for k, v in pairs(a) do
    if b[k] ~= v then return false end
  end
  return true
end

-- The slot for a reduction of a per-CPU value; see struct lb_reduction in
-- luabpf/lib/code/fragment.h.
local function reduced(context, node, reduction)
  local list = context.percpu
  reduction.op, reduction.cpu = node.reduce, (node.cpu or 1) - 1
  for i = 1, #list + 1 do
    if not list[i] then list[i] = reduction end
    if same(list[i], reduction) then
      return core(node, "reduced", reduction.signed, nil, { index = i - 1 })
    end
  end
end

-- The unsigned integer of size bytes (1, 2, 4, 8) at the offset, or one CPU's.
local function load(context, node, offset, size)
  if node.reduce then
    return reduced(context, node, { offset = offset, size = size, bit = 0, bits = 0,
      signed = false, big = false })
  end
  return core(node, "load", false, nil, { of = node.of, offset = offset, size = size })
end

-- The unsigned integer of 1 to 8 bytes at the offset.
local function load_bytes(context, node, offset, n)
  local sum
  for _, piece in ipairs(lower.parts(n)) do
    local value = load(context, node, offset + piece[1], piece[2])
    value = shift(node, "<<", false, value, 8 * piece[1])
    sum = sum and core(node, "|", false, { sum, value }) or value
  end
  return sum
end

-- The low `bits` of value >> low, extended to 64 bits.
local function extract(node, value, low, bits, signed)
  local up = shift(node, "<<", signed, value, 64 - low - bits)
  return shift(node, signed and "s>>" or ">>", signed, up, 64 - bits)
end

local function load_bits(context, node, signed)
  local offset, low, bits = node.bit // 8, node.bit % 8, node.bits
  local n = (low + bits + 7) // 8
  if n <= 8 then
    local value = load_bytes(context, node, offset, n)
    if not signed and low + bits == 8 * n then return shift(node, ">>", false, value, low) end
    return extract(node, value, low, bits, signed)
  end
  local head = shift(node, ">>", false, load(context, node, offset, 8), low)
  local tail = shift(node, "<<", false, load(context, node, offset + 8, 1), 64 - low)
  return extract(node, core(node, "|", false, { head, tail }), 0, bits, signed)
end

-- A bitfield lies in a power of two of bytes, which lies in the value.
local function reduced_bits(context, node, signed)
  local offset, low, bits = node.bit // 8, node.bit % 8, node.bits
  local size = 1
  while size * 8 < low + bits do size = size * 2 end
  local back = math.max(0, offset + size - context.env.value.size)
  if size > 8 or back > offset or back * 8 + low + bits > size * 8 then
    lexer.fail(node.source, node.first, "this bitfield cannot be read over CPUs")
  end
  return reduced(context, node, { offset = offset - back, size = size, bit = low + back * 8,
    bits = bits, signed = signed, big = false })
end

local function load_integer(context, node, signed)
  local desc, offset = node.desc, node.bit // 8
  if node.bits then return (node.reduce and reduced_bits or load_bits)(context, node, signed) end
  local big = desc.big == true and desc.size > 1
  if node.reduce then
    return reduced(context, node, { offset = offset, size = desc.size, bit = 0, bits = 0,
      signed = signed, big = big })
  end
  local value = core(node, "load", false, nil,
    { of = node.of, offset = offset, size = desc.size, big = big })
  return signed and extract(node, value, 0, 8 * desc.size, true) or value
end

local function not_zero(node, value)
  return compare(node, "~=", value, const(node, 0, false))
end

function rules.field(context, node)
  if node.kind == "condition" then return not_zero(node, load_integer(context, node, false)) end
  return retyped(load_integer(context, node, node.kind == "signed"), node.kind == "signed")
end

-- ---- parameters --------------------------------------------------------------

local function next_slot(params)
  local last = params[#params]
  return last and last.slot + last.slots or 0
end

-- Slots of a parameter beside text or an address: a prefix length, then of each part the bytes
-- and, where only some of them count, the mask.
local function pattern_slots(param)
  local masked = lower.masked(param)
  local parts = #lower.parts(param.desc.size)
  return (lower.has_length(param) and 1 or 0) + parts * (masked and 2 or 1)
end

--- Whether a parameter's pattern has a mask beside the bytes.
function lower.masked(param)
  return param.kind == "text" or (param.within and param.kind ~= "mac" and param.kind ~= "bytes")
    or false
end

--- Whether it has a prefix length.
function lower.has_length(param)
  return param.within and param.kind:find("^prefix") ~= nil or false
end

-- The entry of context.params for a node; made when there is none.
local function entry(context, name, param)
  for _, known in ipairs(context.params) do
    if known.name == name and known.kind == param.kind and known.desc == param.desc
      and known.within == param.within then
      return known
    end
  end
  local made = { name = name, kind = param.kind, desc = param.desc, within = param.within }
  made.slot = next_slot(context.params)
  made.slots = literal.has_pattern(param) and pattern_slots(param) or 1
  context.params[#context.params + 1] = made
  return made
end

local function slot(node, index, signed)
  return core(node, "slot", signed, nil, { index = index })
end

function rules.clock(context, node)
  return slot(node, entry(context, node.name, { kind = "clock" }).slot, false)
end

function rules.param(context, node)
  local value = slot(node, entry(context, node.name, node.param).slot, node.kind == "signed")
  return node.kind == "condition" and not_zero(node, value) or value
end

-- ---- text, addresses, bytes --------------------------------------------------

-- field & mask == bytes, in one load.
local function part_matches(node, value, bytes, mask)
  if mask then value = arithmetic(node, "&", false, value, mask) end
  return compare(node, "==", value, bytes)
end

local function unpacked(node, bytes, offset, size)
  return const(node, (string.unpack("<I" .. size, bytes, offset + 1)), false)
end

local function matches_pattern(context, node, field, pattern)
  local terms, start = {}, field.bit // 8
  local used = field.desc.kind == "text" and #pattern.mask:gsub("\0+$", "") or #pattern.bytes
  if pattern.length then
    local length = const(node, pattern.length, false)
    terms[1] = compare(node, ">=", load(context, field, start, 4), length)
  end
  for _, piece in ipairs(lower.parts(used)) do
    local offset, size = piece[1], piece[2]
    local mask = unpacked(node, pattern.mask, offset, size)
    local full = pattern.mask:sub(offset + 1, offset + size) == ("\xff"):rep(size)
    if mask.value ~= 0 then
      terms[#terms + 1] = part_matches(node, load(context, field, start + offset, size),
        unpacked(node, pattern.bytes, offset, size), not full and mask or nil)
    end
  end
  return logical(node, "and", terms)
end

local function matches_param(context, node, field, param)
  local known = entry(context, param.name, param.param)
  local terms, start, index = {}, field.bit // 8, known.slot
  if lower.has_length(known) then
    terms[1] = compare(node, ">=", load(context, field, start, 4), slot(param, index, false))
    index = index + 1
  end
  for _, piece in ipairs(lower.parts(known.desc.size)) do
    local mask = lower.masked(known) and slot(param, index + 1, false)
    local value = load(context, field, start + piece[1], piece[2])
    terms[#terms + 1] = part_matches(node, value, slot(param, index, false), mask)
    index = index + (mask and 2 or 1)
  end
  return logical(node, "and", terms)
end

-- Text is equal when each byte is, up to a NUL or the end of both.
local function same_text(context, node, a, b)
  local at, bt = a.bit // 8, b.bit // 8
  local rest = truth(node, true)
  if a.desc.size > b.desc.size then a, b, at, bt = b, a, bt, at end
  if a.desc.size < b.desc.size then
    local past = load(context, b, bt + a.desc.size, 1)
    rest = compare(node, "==", past, const(node, 0, false))
  end
  for i = a.desc.size - 1, 0, -1 do
    local x, y = load(context, a, at + i, 1), load(context, b, bt + i, 1)
    local ended = compare(node, "==", x, const(node, 0, false))
    rest = logical(node, "and", { compare(node, "==", x, y), logical(node, "or", { ended, rest }) })
  end
  return rest
end

local function same_bytes(context, node, a, b)
  local terms = {}
  for i, piece in ipairs(lower.parts(a.desc.size)) do
    terms[i] = compare(node, "==", load(context, a, a.bit // 8 + piece[1], piece[2]),
      load(context, b, b.bit // 8 + piece[1], piece[2]))
  end
  return logical(node, "and", terms)
end

-- Whether a field equals, or lies in, a string, a parameter or another field.
local function matches(context, node, field, other)
  if other.op == "string" then return matches_pattern(context, node, field, other.pattern) end
  if other.op == "param" then return matches_param(context, node, field, other) end
  return (field.desc.kind == "text" and same_text or same_bytes)(context, node, field, other)
end

local function same_truth(node, a, b)
  return choose(node, a, b, negated(node, b))
end

local function comparison(context, node)
  local a, b = node.args[1], node.args[2]
  local equal
  if a.kind == "raw" then
    equal = matches(context, node, a, b)
  elseif a.kind == "condition" then
    equal = same_truth(node, tree(context, a), tree(context, b))
  else
    return compare(node, node.op, tree(context, a), tree(context, b))
  end
  return node.op == "~=" and negated(node, equal) or equal
end

for op in pairs(mirrored) do rules[op] = comparison end

-- ---- in ----------------------------------------------------------------------

-- The constants that x can be at all; nil when an element is no constant.
local function constants(x, elements)
  local values = {}
  for _, element in ipairs(elements) do
    if element.op ~= "const" then return nil end
    if x.signed == element.signed or element.value >= 0 then values[#values + 1] = element end
  end
  return values
end

-- x is computed once, and the elements compared with it one after the other.
local function in_integers(node, x, elements)
  local values, terms = constants(x, elements), {}
  if x.op ~= "const" and values and #values > 1 then
    return core(node, "in", false, nil, { x = x, values = values })
  end
  local leaf = x.op == "const" or x.op == "load" or x.op == "slot" or #elements == 1
  local held = leaf and x or core(x.node, "held", x.signed)
  for i, element in ipairs(elements) do terms[i] = compare(element.node, "==", held, element) end
  local any = logical(node, "or", terms)
  if leaf or any.op == "truth" then return any end
  return core(node, "in", false, any.op == "or" and any.args or { any }, { x = x, held = held })
end

rules["in"] = function(context, node)
  local left, elements = node.args[1], {}
  local raw = left.kind == "raw"
  for i = 2, #node.args do
    elements[i - 1] = raw and matches(context, node.args[i], left, node.args[i])
      or tree(context, node.args[i])
  end
  if raw then return logical(node, "or", elements) end
  return in_integers(node, tree(context, left), elements)
end

-- ---- whole trees -------------------------------------------------------------

--- The core tree of an expression that is an integer or a condition.
-- @tparam table ast
-- @tparam table context `env`, and the lists `params` and `percpu`, which are added to
function lower.expression(ast, context)
  return tree(context, ast)
end

--- The bytes [offset, offset + n) of a raw field, n up to 8, as one unsigned integer.
function lower.bytes(ast, context, offset, n)
  return load_bytes(context, ast, ast.bit // 8 + offset, n)
end

--- What a core node is for, on one line.
function lower.text(made)
  return (expr.text(made.node):gsub("%s+", " "))
end

return lower
