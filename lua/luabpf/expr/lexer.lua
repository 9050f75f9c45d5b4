-- SPDX-License-Identifier: MIT
--
-- The words of an expression: text to a list of tokens, and the errors that
-- point into the text. A token is { type, first, last, value }: type "name",
-- "number", "string", "param", "end", or the operator itself; first and last
-- are byte positions; value is the name, the integer or the string.

local literal = require "luabpf.expr.literal"

local lexer = {}

-- Longest first, with those that are none.
local operators = {
  "==", "~=", "!=", "<=", ">=", "<<", ">>", "//", "&&", "||", "--", "+=", "-=", "*=", "|=", "&=",
  "+", "-", "*", "/", "%", "&", "|", "~", "<", ">", "(", ")", "[", "]", "{", "}", ",", ".",
  "^", "!", "=", ";", ":",
}

-- What people write from habit.
local habits = {
  ["&&"] = "'&&' is written 'and'", ["||"] = "'||' is written 'or'",
  ["--"] = "there are no comments in expressions; write '- -' for two signs",
  ["^"] = "'^' is not an operator; exclusive or is '~'",
  ["!"] = "'!' is written 'not'", ["="] = "'=' compares as '=='",
  [";"] = "';' ends nothing here; ',' separates columns and assignments",
  [":"] = "text has no methods here; a function in place of the expression has",
}
for _, operator in ipairs { "+", "-", "*", "|", "&" } do
  habits[operator .. "="] = ("'%s=' is written out: value.f = value.f %s ..."):format(operator,
    operator)
end

local escapes = {
  a = "\a", b = "\b", f = "\f", n = "\n", r = "\r", t = "\t", v = "\v",
  ["\\"] = "\\", ['"'] = '"', ["'"] = "'",
}

-- Raises "expression:LINE:COLUMN: message", the line of the text, and a caret under the column.
function lexer.fail(text, at, message)
  local before = text:sub(1, at - 1)
  local _, newlines = before:gsub("\n", "")
  local start = before:match("^.*\n()") or 1
  local line = text:match("^[^\n]*", start)
  local lead = text:sub(start, at - 1):gsub("[\x80-\xbf]", "")
  error(("expression:%d:%d: %s\n  %s\n  %s^"):format(newlines + 1, #lead + 1, message, line,
    (lead:gsub("[^\t]", " "))), 0)
end

-- The character of the escape whose backslash is at `at`, and the position after it.
local function escape(text, at)
  local hex, after = text:match("^x(%x%x)()", at + 1)
  if hex then return string.char(tonumber(hex, 16)), after end
  local digits
  digits, after = text:match("^(%d%d?%d?)()", at + 1)
  if digits and tonumber(digits) < 256 then return string.char(tonumber(digits)), after end
  local char = escapes[text:sub(at + 1, at + 1)]
  if not char then lexer.fail(text, at, "unknown escape in a string") end
  return char, at + 2
end

local function read_string(text, first)
  local quote, at, parts = text:sub(first, first), first + 1, {}
  while text:sub(at, at) ~= quote do
    local plain, after = text:match("^([^\\\n'\"]+)()", at)
    if not plain then
      local c = text:sub(at, at)
      if c == "" or c == "\n" then lexer.fail(text, first, "the string does not end") end
      plain, after = c, at + 1
      if c == "\\" then plain, after = escape(text, at) end
    end
    parts[#parts + 1], at = plain, after
  end
  return { type = "string", first = first, last = at, value = table.concat(parts) }
end

local function read_number(text, first)
  local address = text:match("^%d+%.%d+%.%d+%.%d+[%d/]*", first)
  if address then lexer.fail(text, first, ("addresses are in quotes: '%s'"):format(address)) end
  local last = select(2, text:find("^%d+%.%d%w*", first)) or select(2, text:find("^%w+", first))
  local value, reason = literal.number(text:sub(first, last))
  if not value then lexer.fail(text, first, reason) end
  return { type = "number", first = first, last = last, value = value }
end

local function read_operator(text, first, assigns)
  for _, operator in ipairs(operators) do
    if text:sub(first, first + #operator - 1) == operator then
      local habit = not (assigns and operator == "=") and habits[operator]
      if habit then lexer.fail(text, first, habit) end
      local type = operator == "!=" and "~=" or operator
      return { type = type, first = first, last = first + #operator - 1 }
    end
  end
  lexer.fail(text, first, ("unexpected character %q"):format(text:match("^[\0-\x7f]", first)
    or text:match("^[\x80-\xff]+", first)))
end

local function read_token(text, first, assigns)
  local name, after = text:match("^([%a_][%w_]*)()", first)
  if name then return { type = "name", first = first, last = after - 1, value = name } end
  name, after = text:match("^%$([%a_][%w_]*)()", first)
  if name then return { type = "param", first = first, last = after - 1, value = name } end
  if text:find("^%d", first) then return read_number(text, first) end
  if text:find("^['\"]", first) then return read_string(text, first) end
  return read_operator(text, first, assigns)
end

-- The tokens of the text, the last of type "end". Raises as lexer.fail does.
-- assigns: "=" is one of them.
function lexer.tokens(text, assigns)
  local tokens, at = {}, text:match("^%s*()")
  while at <= #text do
    local token = read_token(text, at, assigns)
    tokens[#tokens + 1] = token
    at = text:match("^%s*()", token.last + 1)
  end
  tokens[#tokens + 1] = { type = "end", first = at, last = at }
  return tokens
end

return lexer
