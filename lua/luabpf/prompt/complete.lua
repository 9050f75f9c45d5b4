-- SPDX-License-Identifier: MIT
--
-- Completion: what may stand at the end of a text of Lua. It never raises and runs nothing of the
-- text's (things.lua); any text will do.

local parameters = require "luabpf.prompt.parameters"
local things = require "luabpf.prompt.things"
local tokens = require "luabpf.prompt.tokens"
local words = require "luabpf.prompt.words"

local complete = {}

-- Of a text that is longer only its end is looked at.
local LONGEST <const> = 8192
local MOST <const> = 1000

-- ---- code -----------------------------------------------------------------------------

local function appended(list, more)
  return table.move(more, 1, #more, #list + 1, list)
end

local function names_in_scope(scope)
  local names = {}
  for name in next, scope.locals do names[#names + 1] = name end
  for word in next, tokens.KEYWORDS do names[#names + 1] = word end
  return appended(names, things.names { value = scope.globals })
end

-- The fields that a table has already: names before "=".
local function given_in(list, braces)
  local given = {}
  for i = braces + 1, #list - 1 do
    if list[i].kind == "name" and list[i + 1].text == "=" then given[list[i].text] = true end
  end
  return given
end

local function is_one_of(text, first, second, third)
  return text == first or text == second or text == third
end

-- Options, or fields of a key or value, that may be written where a table's field begins; nil
-- elsewhere.
local function field_names(list, scope)
  local last = list[#list]
  if not last or not is_one_of(last.text, "{", ",", ";") then return nil end
  local at = things.call_at(list, scope)
  if not (at and at.braces) or at.option and not at.within then return nil end
  local given, names = given_in(list, at.innermost), {}
  for _, name in ipairs(words.fields(at) or {}) do
    if not given[name] then names[#names + 1] = name .. " = " end
  end
  return names
end

-- What may stand where a value is expected, if that is one of a few things.
local function values(list, scope)
  local last = list[#list]
  if not last or not is_one_of(last.text, "=", "(", ",") then return nil end
  local at = things.call_at(list, scope)
  return at and words.values(at)
end

local function of_code(list, text, scope)
  local last, word = list[#list], ""
  if last and last.last == #text and last.kind ~= "operator" and last.kind ~= "string" then
    word, list[#list] = last.text, nil
  end
  last = list[#list]
  if last and (last.text == "." or last.text == ":") and word:find "^[%w_]*$" then
    local fields = last.text == "." and parameters.names(list, #list - 1, scope)
    if fields then return fields, word, "name" end
    local owner = things.resolve(list, #list - 1, scope)
    return owner and things.names(owner, last.text == ":") or {}, word, "name"
  end
  local fields = field_names(list, scope)
  if fields and #fields > 0 then return fields, word end
  local found = values(list, scope) or {}
  if #found > 0 and word == "" or word:find "^%d" then return found, word end
  return appended(found, names_in_scope(scope)), word
end

-- ---- strings ---------------------------------------------------------------------------

local function of_string(list, text, scope)
  local open = list[#list]
  local inside = text:sub(open.from)
  list[#list] = nil
  local at = things.call_at(list, scope)
  if not at then return words.files(inside), inside, open.quote end
  return words.inside(at, inside, open.quote)
end

-- ---- what begins so ---------------------------------------------------------------------

-- Those candidates that begin with the word, once each, sorted. What begins with "_" is left out
-- unless the word does.
local function beginning_with(word, candidates, names_only)
  local list, seen = {}, {}
  for _, each in ipairs(candidates) do
    if not seen[each] and each:sub(1, #word) == word and #list < MOST
      and (word ~= "" or each:sub(1, 1) ~= "_")
      and not (names_only and not each:find "^[%a_][%w_]*$") then
      list[#list + 1], seen[each] = each, true
    end
  end
  table.sort(list)
  return list
end

-- Closes the only candidate, unless it is a folder, or is closed.
local function closed(list, closing, after)
  if closing and #list == 1 and list[1]:sub(-1) ~= "/" and after:sub(1, #closing) ~= closing then
    list[1] = list[1] .. closing
  end
  return list
end

-- As complete.at, but may raise: for its spec.
function complete.found(text, scope, after)
  text = text:sub(-LONGEST)
  local list = tokens.of(text)
  local last = list[#list]
  local kind = last and last.kind or ""
  if kind == "open comment" or kind == "broken" then return {}, "" end
  if kind ~= "open string" then
    local candidates, word, only = of_code(list, text, scope)
    return beginning_with(word, candidates, only), word
  end
  local candidates, word, closing = of_string(list, text, scope)
  return closed(beginning_with(word, candidates), closing, after or ""), word
end

-- What may stand at the end of a text.
-- @tparam string text
-- @tparam table scope locals (name to { value = }) and globals
-- @tparam[opt] string after what stands after it in the line
-- @treturn table list of what the word may be, sorted
-- @treturn string that word, as far as it is written
function complete.at(text, scope, after)
  local ok, list, word = pcall(complete.found, text, scope, after)
  if not ok then return {}, "" end
  return list, word
end

-- The same for a library that edits lines: what may stand in the place of the word that it has
-- found, which begins after `start` bytes of the line.
-- @tparam string before lines of the chunk before this one
-- @tparam string line up to the cursor
-- @tparam string after the line after it
function complete.for_editor(before, line, start, after, scope)
  local list, word = complete.at(before .. line, scope, after)
  local from, result = #line - #word, {}
  for i, each in ipairs(list) do
    result[i] = start >= from and each:sub(start - from + 1) or line:sub(start + 1, from) .. each
  end
  return result
end

return complete
