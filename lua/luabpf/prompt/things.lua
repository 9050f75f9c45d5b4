-- SPDX-License-Identifier: MIT
--
-- What the text before a place stands for, without running any of it: names are looked up in tables
-- and in __index tables, by rawget; calls of luabpf's functions are what the reference says that
-- they give. No function is called, no metamethod, and no map is looked at.
--
-- A thing is { value = } or { class = "map" }: a value, or one of that class; nil is unknown.

local core = require "luabpf.core"
local help = require "luabpf.show.help"

local things = {}

-- How many tables are followed from __index to __index, and keys looked at in one.
local MOST_TABLES <const>, MOST_KEYS <const> = 10, 20000

-- ---- tables ---------------------------------------------------------------------------

local function class_of(value)
  local meta = debug.getmetatable(value)
  local name = type(meta) == "table" and rawget(meta, "__name")
  return type(name) == "string" and name:match "^luabpf%.(%w+)$"
end

things.class_of = class_of

-- The table in which a table or handle is looked up next.
local function behind(value)
  local meta = debug.getmetatable(value)
  local index = type(meta) == "table" and rawget(meta, "__index")
  if type(index) == "table" then return index end
  local class = class_of(value)
  return class and core.classes["luabpf." .. class] or nil
end

-- The tables that a thing's names are in, in the order in which they are looked up.
local function tables_of(thing)
  local list = {}
  if thing.class then return { core.classes["luabpf." .. thing.class] } end
  local value = thing.value
  if type(value) ~= "table" then value = behind(value) end
  while type(value) == "table" and #list < MOST_TABLES do
    list[#list + 1] = value
    value = behind(value)
  end
  return list
end

local function member(thing, name)
  for _, each in ipairs(thing and tables_of(thing) or {}) do
    local value = rawget(each, name)
    if value ~= nil then return { value = value, owner = thing } end
  end
end

-- The names in a thing; only of functions, if they are to be methods.
function things.names(thing, methods)
  local names, n = {}, 0
  for _, each in ipairs(tables_of(thing)) do
    for key, value in next, each do
      n = n + 1
      if n > MOST_KEYS then return names end
      if type(key) == "string" and (not methods or type(value) == "function") then
        names[#names + 1] = key
      end
    end
  end
  return names
end

-- ---- functions of luabpf's -----------------------------------------------------------------

-- What the reference calls a function: "map:select"; nil where it is none of luabpf's.
function things.name_of(thing)
  if not thing or type(thing.value) ~= "function" then return nil end
  local owner = thing.owner
  return help.name_of(thing.value, owner and (owner.class or class_of(owner.value)) or nil)
end

-- What a function of luabpf's gives, by the reference.
local function result_of(thing)
  local name = things.name_of(thing)
  local class = name and help.texts[name]:match "\nGives (%w+)"
  return class and core.classes["luabpf." .. class] and { class = class } or nil
end

-- ---- text -----------------------------------------------------------------------------------

local OPENING <const> = { [")"] = "(", ["}"] = "{", ["]"] = "[" }

-- The index of the bracket that the one at i closes.
local function opening_of(list, i)
  local depth = 0
  for k = i, 1, -1 do
    if list[k].kind == "operator" then
      if OPENING[list[k].text] then depth = depth + 1 end
      if list[k].text:find "^[%(%[{]$" then depth = depth - 1 end
      if depth == 0 then return k end
    end
  end
end

local function is_callable(token)
  return token and (token.kind == "name" or token.text == ")" or token.text == "]")
end

-- How many steps are taken back through a text.
local MOST_STEPS <const> = 60

local resolve

local function of_name(list, i, scope, steps)
  local token, before = list[i], list[i - 1]
  if before and (before.text == "." or before.text == ":") then
    return member(resolve(list, i - 2, scope, steps), token.text)
  end
  if scope.locals[token.text] then return { value = scope.locals[token.text].value } end
  local value = rawget(scope.globals, token.text)
  return value ~= nil and { value = value } or nil
end

-- What the call whose arguments are from first to last gives.
local function of_call(list, first, last, scope, steps)
  local fn = resolve(list, first - 1, scope, steps)
  if fn and rawequal(fn.value, assert) then return resolve(list, last - 1, scope, steps) end
  return result_of(fn)
end

local function of_bracket(list, i, scope, steps)
  local first = opening_of(list, i)
  if not first then return nil end
  if is_callable(list[first - 1]) and list[i].text ~= "]" then
    return of_call(list, first, i, scope, steps)
  end
  local index = list[first + 1]
  if list[i].text == ")" then return resolve(list, i - 1, scope, steps) end
  if list[i].text ~= "]" or first + 2 ~= i or not is_callable(list[first - 1]) then return nil end
  local key = index.kind == "number" and tonumber(index.text)
    or index.kind == "string" and index.text:match "^[\"']([^\\]*)[\"']$"
  local owner = key and resolve(list, first - 1, scope, steps)
  return owner and member(owner, key)
end

-- The thing that the expression is which ends with the token at i.
-- @tparam table list of tokens.of
-- @tparam table scope locals (name to { value = }) and globals
function resolve(list, i, scope, steps)
  local token = list[i]
  steps = (steps or 0) + 1
  if not token or steps > MOST_STEPS then return nil end
  if token.kind == "name" then return of_name(list, i, scope, steps) end
  if token.kind == "string" then
    if is_callable(list[i - 1]) then return of_call(list, i, i, scope, steps) end
    return { value = "" }
  end
  return OPENING[token.text] and of_bracket(list, i, scope, steps) or nil
end

things.resolve = resolve

-- ---- where a place is ---------------------------------------------------------------------------

-- The brackets that are open at the end of a list: indexes, the innermost last.
local function open_brackets(list)
  local open = {}
  for i, token in ipairs(list) do
    if token.kind == "operator" and token.text:find "^[%(%[{]$" then
      open[#open + 1] = i
    elseif token.kind == "operator" and OPENING[token.text] then
      open[#open] = nil
    end
  end
  return open
end

-- How many commas are between a bracket and the end, outside of brackets within.
local function commas_after(list, bracket)
  local n, depth = 0, 0
  for i = bracket + 1, #list do
    local text = list[i].kind == "operator" and list[i].text or ""
    if text:find "^[%(%[{]$" then depth = depth + 1 end
    if OPENING[text] then depth = depth - 1 end
    if text == "," and depth == 0 then n = n + 1 end
  end
  return n
end

-- The option that a table is the value of: "columns" for `columns = {`.
local function option_at(list, i)
  local equals, name = list[i - 1], list[i - 2]
  return equals and equals.text == "=" and name and name.kind == "name" and name.text or nil
end

-- The bracket of the call that a table is an argument of: the table's own, where it is called with
-- it, or the one around it.
local function call_bracket(list, open, k)
  if is_callable(list[open[k] - 1]) then return open[k] end
  local around = open[k - 1]
  return around and list[around].text == "(" and around or nil
end

-- The call that the end of a list stands in.
-- @tparam table list of tokens, without the one that is being written
-- @treturn table|nil callee (a thing, or nil), index of its last token, argument (from 1), option
--   (whose value is being written), braces (the index of its table), within (the field whose table
--   is being written), innermost (the index of the bracket that is open last)
function things.call_at(list, scope)
  local open, at, last = open_brackets(list), {}, list[#list]
  local k = #open
  if is_callable(last) then -- f "
    return { callee = resolve(list, #list, scope), index = #list, argument = 1 }
  end
  if not open[k] then return nil end
  at.innermost = open[k]
  at.option = option_at(list, #list + 1)
  if list[open[k]].text == "{" and option_at(list, open[k]) then -- columns = { "
    at.within = option_at(list, open[k])
    at.option, k = at.option or at.within, k - 1
  end
  if not open[k] then return nil end
  local bracket = open[k]
  if list[bracket].text == "{" then
    at.braces = bracket
    bracket = call_bracket(list, open, k) or k > 1 and list[open[k - 1]].text == "{"
      and call_bracket(list, open, k - 1) -- { { a = 1 }, { a
    if not bracket then return nil end
  end
  if not is_callable(list[bracket - 1]) then return nil end
  at.index = bracket - 1
  at.callee = resolve(list, at.index, scope)
  at.argument = list[bracket].text == "(" and commas_after(list, bracket) + 1 or 1
  return at
end

return things
