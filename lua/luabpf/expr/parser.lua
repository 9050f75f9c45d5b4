-- SPDX-License-Identifier: MIT
--
-- The parser's hands: the words of a text one after the other, and the nodes made of
-- them. What is read is grammar.lua's matter, what it means that of meaning.lua and
-- path.lua, which add their methods to the same class. parse.lua says what a node is.

local fields = require "luabpf.expr.fields"
local lexer = require "luabpf.expr.lexer"

local parser = {}
parser.__index = parser

local MAX_DEPTH <const> = 1000 -- nodes from the root to a leaf

-- The part of the source that a node stands for.
function parser.text_of(node)
  return node.source:sub(node.first, node.last)
end

local text_of = parser.text_of

-- A parser at the beginning of the text; env as for expr.parse. assigns: it has assignments.
function parser.new(text, env, assigns)
  if type(text) ~= "string" then
    error(("an expression is text, got %s"):format(type(text)), 0)
  end
  return setmetatable({
    text = text, env = env, tokens = lexer.tokens(text, assigns), at = 1, nesting = 0,
  }, parser)
end

-- ---- tokens ------------------------------------------------------------------

function parser:fail(where, message, ...)
  lexer.fail(self.text, where.first, message:format(...))
end

function parser:peek()
  return self.tokens[self.at]
end

function parser:next()
  local token = self.tokens[self.at]
  self.at = self.at + 1
  return token
end

-- Whether the next token is the word or operator.
function parser:sees(word)
  local token = self:peek()
  return token.type == word or (token.type == "name" and token.value == word)
end

function parser:accept(word)
  return self:sees(word) and self:next() or nil
end

function parser:unexpected(wanted)
  local token = self:peek()
  if token.type == "end" then self:fail(token, "%s expected at the end", wanted) end
  self:fail(token, "%s expected, found '%s'", wanted, self.text:sub(token.first, token.last))
end

function parser:expect(type, wanted)
  if self:peek().type ~= type then self:unexpected(wanted or ("'%s'"):format(type)) end
  return self:next()
end

-- ---- nodes -------------------------------------------------------------------

function parser:node(op, kind, first, last, extra)
  local node = extra or {}
  node.op, node.kind, node.args = op, kind, node.args or {}
  node.source, node.first, node.last = self.text, first, last
  node.depth = 1
  for _, arg in ipairs(node.args) do node.depth = math.max(node.depth, arg.depth + 1) end
  if node.depth > MAX_DEPTH then self:fail(node, "the expression is too deep") end
  return node
end

function parser.is_integer(node)
  return node.kind == "signed" or node.kind == "unsigned"
end

-- What a node is, for messages.
local function what(node)
  if node.kind == "raw" then return node.desc and fields.what(node.desc) or "a string" end
  if node.kind == "loose" then return node.op == "string" and "a string" or "a parameter" end
  return node.kind == "condition" and "a condition" or "an integer"
end

-- "'value.comm' is text"
function parser.is(node)
  return ("'%s' is %s"):format(text_of(node), what(node))
end

local remedies = {
  condition = "; if(c, 1, 0) makes a number of it",
  float = "; expressions have integers only",
  struct = "; name one of its fields", union = "; name one of its fields",
  array = "; name one of its elements, counted from 1",
}

-- What to do about it.
function parser.remedy(node)
  return remedies[node.desc and node.kind == "raw" and node.desc.kind or node.kind] or ""
end

function parser:need_integer(node)
  if node.kind == "loose" and node.op == "param" then
    node.kind, node.param = "signed", { kind = "integer" }
  end
  if parser.is_integer(node) then return end
  self:fail(node, "%s where an integer is needed%s", parser.is(node), parser.remedy(node))
end

function parser:need_condition(node)
  if node.kind == "loose" and node.op == "param" then
    node.kind, node.param = "condition", { kind = "bool" }
  end
  if node.kind == "condition" then return end
  self:fail(node, "%s where a condition is needed; compare it with something", parser.is(node))
end

return parser
