-- SPDX-License-Identifier: MIT
--
-- Completion: what may stand at the end of a text of Lua. It never raises and runs nothing of the
-- text's (things.lua); any text will do.

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

-- The options that a table has already: names before "=".
local function given_in(list, braces)
  local given = {}
  for i = braces + 1, #list - 1 do
    if list[i].kind == "name" and list[i + 1].text == "=" then given[list[i].text] = true end
  end
  return given
end

-- Options that may be written where a table's field begins; nil elsewhere.
local function option_names(list, scope)
  local last = list[#list]
  if not last or not (last.text == "{" or last.text == "," or last.text == ";") then return nil end
  local at = things.call_at(list, scope)
  local known = at and at.braces and not at.option and words.options(at)
  if not known then return nil end
  local given, names = given_in(list, at.braces), {}
  for name in next, known do
    if not given[name] then names[#names + 1] = name .. " = " end
  end
  return names
end

local function is_one_of(text, first, second, third)
  return text == first or text == second or text == third
end

-- What may stand where a value is expected, beside the names there are.
local function values(list, scope)
  local last = list[#list]
  if not last or not is_one_of(last.text, "=", "(", ",") then return nil end
  local at = things.call_at(list, scope)
  return at and (at.option and words.choices(at) or words.openable(at))
end

local function of_code(list, text, scope)
  local last, word = list[#list], ""
  if last and last.last == #text and last.kind ~= "operator" and last.kind ~= "string" then
    word, list[#list] = last.text, nil
  end
  last = list[#list]
  if last and (last.text == "." or last.text == ":") and word:find "^[%w_]*$" then
    local owner = things.resolve(list, #list - 1, scope)
    return owner and things.names(owner, last.text == ":") or {}, word, "name"
  end
  local found = option_names(list, scope) or {}
  if word == "" and #found > 0 then return found, word end
  if word == "" or not word:find "^[%a_]" then
    appended(found, values(list, scope) or {})
  end
  if word:find "^%d" then return found, word end
  return appended(found, names_in_scope(scope)), word
end

-- ---- strings ---------------------------------------------------------------------------

local function of_string(list, text, scope)
  local inside = text:sub(list[#list].from)
  list[#list] = nil
  local at = things.call_at(list, scope)
  if not at then return nil, inside end
  return words.inside(at, inside)
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

-- As complete.at, but may raise: for its spec.
function complete.found(text, scope)
  text = text:sub(-LONGEST)
  local list = tokens.of(text)
  local last = list[#list]
  local kind = last and last.kind or ""
  if kind == "open comment" or kind == "broken" then return {}, "" end
  if kind ~= "open string" then
    local candidates, word, only = of_code(list, text, scope)
    return beginning_with(word, candidates, only), word
  end
  local candidates, word = of_string(list, text, scope)
  return candidates and beginning_with(word, candidates), word
end

-- What may stand at the end of a text.
-- @tparam string text
-- @tparam table scope locals (name to { value = }) and globals
-- @treturn table|nil list of what the word may be, sorted; nil where it may be the name of a file
-- @treturn string that word, as far as it is written
function complete.at(text, scope)
  local ok, list, word = pcall(complete.found, text, scope)
  if not ok then return {}, "" end
  return list, word
end

-- The same for a library that edits lines: what may stand in the place of the word that it has
-- found, which begins after `start` bytes of the line.
-- @tparam string before lines of the chunk before this one
-- @tparam string line up to the cursor
function complete.for_editor(before, line, start, scope)
  local list, word = complete.at(before .. line, scope)
  if not list then return nil end
  local from, result = #line - #word, {}
  for i, each in ipairs(list) do
    result[i] = start >= from and each:sub(start - from + 1) or line:sub(start + 1, from) .. each
  end
  return result
end

return complete
