-- SPDX-License-Identifier: MIT
--
-- How many low bits of an integer say what it is: a bound from the core tree (tree.lua),
-- for groups that are summed by index.

local width = {}

local MOST <const> = 64

local function bits_of(value)
  if value < 0 then return MOST end
  local n = 0
  while value >> n ~= 0 do n = n + 1 end
  return n
end

local rules = {}

local function has_sign(node)
  for _, arg in ipairs(node.args) do
    if arg.signed then return true end
  end
  return false
end

local function widest(node)
  local n = 0
  for _, arg in ipairs(node.args) do n = math.max(n, width.of(arg)) end
  return n
end

-- Of what has no sign.
local function widest_unsigned(node)
  return has_sign(node) and MOST or widest(node)
end

function rules.const(node) return bits_of(node.value) end
function rules.load(node) return 8 * node.size end
rules["|"], rules["~"] = widest_unsigned, widest_unsigned

-- A branch that is signed has its sign above its low bits.
rules["if"] = function(node)
  local a, b = node.args[2], node.args[3]
  if a.signed ~= b.signed then return MOST end
  return math.max(width.of(a), width.of(b))
end

rules["+"] = function(node)
  return math.min(widest_unsigned(node) + 1, MOST)
end

rules["*"] = function(node)
  if has_sign(node) then return MOST end
  return math.min(width.of(node.args[1]) + width.of(node.args[2]), MOST)
end

rules["/"] = function(node)
  return has_sign(node) and MOST or width.of(node.args[1])
end

rules["%"] = function(node)
  local by = node.args[2]
  if has_sign(node) or by.op ~= "const" or by.value < 1 then return MOST end
  return math.min(width.of(node.args[1]), bits_of(by.value - 1))
end

rules["&"] = function(node)
  local least = MOST
  for _, arg in ipairs(node.args) do
    if not arg.signed or arg.op == "const" then least = math.min(least, width.of(arg)) end
  end
  return least
end

-- Shifts by a constant; those that keep the sign leave that of so many bits.
local function shift(change)
  return function(node)
    local arg, count = node.args[1], node.args[2]
    if count.op ~= "const" then return MOST end
    return change(arg.signed and MOST or width.of(arg), count.value)
  end
end

rules["<<"] = shift(function(n, count) return math.min(n + count, MOST) end)
rules["s>>"] = shift(function(_, count) return MOST - count end)
rules[">>"] = shift(function(n, count) return math.max(n - count, 0) end)

-- What these rules bound by a sign of its own.
local has_own_sign = { ["s>>"] = true, ["if"] = true }

-- The bits that an integer is told by, 64 at most: the rest of it is zero, or the sign of the last
-- of them where it is signed.
function width.of(node)
  local rule = rules[node.op]
  local n = rule and rule(node) or MOST
  if node.signed and not has_own_sign[node.op] then n = math.min(n + 1, MOST) end
  return n
end

return width
