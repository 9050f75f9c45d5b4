-- SPDX-License-Identifier: MIT
--
-- The tokens of Lua's text, as far as the prompt needs them: what stands at the top of a chunk, and
-- what somebody is about to write. Any text is taken; the last token may be without its end.

local tokens = {}

local KEYWORDS <const> = {}
for word in ([[and break do else elseif end false for function goto if in local nil not or repeat
  return then true until while]]):gmatch "%a+" do KEYWORDS[word] = true end

tokens.KEYWORDS = KEYWORDS

-- Where a long bracket that opens at i ends: the end of its first and of its last bracket, nil for
-- the latter where the text ends in it; nil where there is none.
local function long_bracket(text, i)
  local equals = text:match("^%[(=*)%[", i)
  if not equals then return nil end
  local _, last = text:find("]" .. equals .. "]", i + #equals + 2, true)
  return i + #equals + 1, last
end

local function comment(text, i)
  local opened, last = long_bracket(text, i + 2)
  if opened then return { kind = last and "comment" or "open comment", last = last or #text } end
  local line = text:find("\n", i, true)
  return { kind = line and "comment" or "open comment", last = line or #text }
end

-- A string in quotes. One that is not closed ends with its line, unless that is the last.
local function quoted(text, i)
  local quote, at = text:sub(i, i), i + 1
  while true do
    local found = text:find("[\n\\" .. quote .. "]", at)
    local c = found and text:sub(found, found)
    if not found then return { kind = "open string", last = #text, from = i + 1, quote = quote } end
    if c == quote then return { kind = "string", last = found, from = i + 1 } end
    if c == "\n" then return { kind = "broken", last = found } end
    at = found + 2
  end
end

local function long_string(text, i)
  local opened, last = long_bracket(text, i)
  if not opened then return nil end
  if last then return { kind = "string", last = last, from = opened + 1 } end
  return { kind = "open string", last = #text, from = opened + 1 }
end

local OPERATORS <const> = { "^%.%.%.", "^%.%.", "^::", "^[=~<>]=", "^//", "^<<", "^>>", "^." }

local function operator(text, i)
  for _, pattern in ipairs(OPERATORS) do
    local _, last = text:find(pattern, i)
    if last then return { kind = "operator", last = last } end
  end
  return { kind = "operator", last = i }
end

local function next_token(text, i)
  local _, last = text:find("^[%a_][%w_]*", i)
  local kind = last and KEYWORDS[text:sub(i, last)] and "keyword" or "name"
  if last then return { kind = kind, last = last } end
  _, last = text:find("^%.?%d[%w.]*", i)
  if last then return { kind = "number", last = last } end
  if text:find("^%-%-", i) then return comment(text, i) end
  if text:find("^[\"']", i) then return quoted(text, i) end
  return long_string(text, i) or operator(text, i)
end

-- All tokens of a text but comments that end in it.
-- @treturn table list of { kind, text, first, last }; a string has from, where its inside begins
function tokens.of(text)
  local list, i = {}, 1
  while true do
    i = text:find("%S", i)
    if not i then return list end
    local token = next_token(text, i)
    token.first, token.text = i, text:sub(i, token.last)
    if token.kind ~= "comment" then list[#list + 1] = token end
    i = token.last + 1
  end
end

return tokens
