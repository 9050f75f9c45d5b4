-- SPDX-License-Identifier: MIT
--
-- The grammar: from words to a tree, by the precedence of operators, which is Lua's
-- own. The methods here are the parser's.

local functions = require "luabpf.expr.functions"
local literal = require "luabpf.expr.literal"
local parser = require "luabpf.expr.parser"
local suggest = require "luabpf.base.suggest"
require "luabpf.expr.meaning"
require "luabpf.expr.path"

-- Lua's own precedence, lowest first. All are left associative.
local precedence = {
  ["or"] = 1, ["and"] = 2,
  ["<"] = 3, [">"] = 3, ["<="] = 3, [">="] = 3, ["~="] = 3, ["=="] = 3, ["in"] = 3,
  ["|"] = 4, ["~"] = 5, ["&"] = 6, ["<<"] = 7, [">>"] = 7,
  ["+"] = 9, ["-"] = 9, ["*"] = 10, ["/"] = 10, ["//"] = 10, ["%"] = 10,
}
local UNARY <const> = 11

local comparing = {
  ["<"] = true, [">"] = true, ["<="] = true, [">="] = true, ["=="] = true, ["~="] = true,
}

local reserved = { ["and"] = true, ["or"] = true, ["not"] = true, ["in"] = true, ["as"] = true }

local MAX_NESTING <const> = 100 -- parentheses and the like within each other

local function unknown_name(self, token)
  local candidates = { "key", "value", "now", "boottime", "true", "false" }
  for each in pairs(functions) do candidates[#candidates + 1] = each end
  for _, of in ipairs { "key", "value" } do
    local desc = self.env[of]
    for _, field in ipairs(desc and desc.fields or {}) do
      if field.name == token.value then
        self:fail(token, "unknown name '%s' (did you mean '%s.%s'?)", token.value, of, token.value)
      end
    end
  end
  local hint = literal.suggest(token.value, candidates)
  local before = self.tokens[self.at - 2]
  if hint == "" and before and (comparing[before.type] or before.type == "=") then
    hint = (" (texts and names of enums are in quotes: '%s')"):format(token.value)
  end
  self:fail(token, "unknown name '%s'%s", token.value, hint)
end

local function name(self, token)
  local word, first, last = token.value, token.first, token.last
  if reserved[word] then
    self.at = self.at - 1
    self:unexpected("a value")
  end
  if self:sees("(") then
    if not functions[word] then
      self:fail(token, "unknown function '%s'%s", word,
        literal.suggest(word, suggest.names(functions)))
    end
    self:next()
    return functions[word].parse(self, token)
  end
  if word == "key" or word == "value" then return self:field(token) end
  if word == "now" or word == "boottime" then
    return self:node("clock", "unsigned", first, last, { name = word })
  end
  if word == "true" or word == "false" then
    return self:node("boolean", "condition", first, last, { value = word == "true" })
  end
  unknown_name(self, token)
end

function parser:primary()
  local token = self:next()
  local first, last = token.first, token.last
  if token.type == "number" then
    return self:node("number", "unsigned", first, last, { value = token.value, const = true })
  elseif token.type == "string" then
    return self:node("string", "loose", first, last, { value = token.value })
  elseif token.type == "param" then
    if token.value == "now" or token.value == "boottime" then
      self:fail(token, "a parameter cannot be called '%s': that is the clock", token.value)
    end
    return self:node("param", "loose", first, last, { name = token.value })
  elseif token.type == "name" then
    return name(self, token)
  elseif token.type == "(" then
    local inner = self:expression()
    inner.first, inner.last = first, self:expect(")").last
    return inner
  end
  self.at = self.at - 1
  self:unexpected("a value")
end

local unary = { ["-"] = "neg", ["~"] = "bnot", ["not"] = "not" }

function parser:prefixed()
  local token = self:peek()
  local op = unary[token.type == "name" and token.value or token.type]
  if not op then return self:primary() end
  self:next()
  local arg = self:expression(UNARY)
  if op == "not" then
    self:need_condition(arg)
  else
    self:need_integer(arg)
  end
  local kind = op == "not" and "condition" or op == "neg" and "signed" or arg.kind
  return self:node(op, kind, token.first, arg.last, { args = { arg }, const = arg.const })
end

function parser:combine(op, left, limit)
  if op == "in" then return self:membership(left) end
  local right = self:expression(limit)
  if op == "and" or op == "or" then return self:logical(op, left, right) end
  if comparing[op] then return self:compare(op, left, right) end
  return self:arithmetic(op, left, right)
end

-- Reads operators that bind tighter than limit.
function parser:expression(limit)
  self.nesting = self.nesting + 1
  if self.nesting > MAX_NESTING then
    self:fail(self:peek(), "the expression is nested too deeply")
  end
  local left = self:prefixed()
  while true do
    local token = self:peek()
    local op = token.type == "name" and token.value or token.type
    if not precedence[op] or precedence[op] <= (limit or 0) then break end
    self:next()
    left = self:combine(op, left, precedence[op])
  end
  self.nesting = self.nesting - 1
  return left
end

return parser
