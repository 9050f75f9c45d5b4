-- SPDX-License-Identifier: MIT
--
-- Chunks as the prompt runs them: `local` at the top of one stays for the session.
--
-- Before a chunk stand, on its first line, the session's locals that it names, and a variable whose
-- closing finds what the locals are at its end: they are read from the chunk's frame, which is
-- still there; where an error ends it, the message handler does the same. So a chunk has Lua's
-- own locals, and a function keeps those that it was made with. <close> and <const> at the top are
-- taken out: what is closed or folded away at the end of a line is nothing to go on with.

local tokens = require "luabpf.prompt.tokens"

local chunk = {}

local NAME <const> = "=prompt"
-- How the variable is called that finds the locals.
local KEEPER <const> = "luabpf_keeper"

-- ---- the text ------------------------------------------------------------------------

local OPENS <const> = { ["do"] = true, ["function"] = true, ["if"] = true, ["repeat"] = true }
local CLOSES <const> = { ["end"] = true, ["until"] = true }

-- Where attributes of locals at the top stand in a text: list of { first, last, name, attribute }.
local function attributes(list)
  local found, depth, in_local = {}, 0, false
  for i, token in ipairs(list) do
    if token.kind == "keyword" then
      depth = depth + (OPENS[token.text] and 1 or CLOSES[token.text] and -1 or 0)
      in_local = token.text == "local"
    elseif token.text == "=" then
      in_local = false
    end
    local word, closing = list[i + 1], list[i + 2]
    if in_local and depth == 0 and token.text == "<" and closing and closing.text == ">" then
      found[#found + 1] = { first = token.first, last = closing.last, attribute = word.text,
        name = list[i - 1].text }
    end
  end
  return found
end

-- The text without attributes at the top, as long as it was, and the names that <close> was dropped
-- of.
local function without_attributes(text, list)
  local dropped = {}
  for _, each in ipairs(attributes(list)) do
    if each.attribute == "close" or each.attribute == "const" then
      text = text:sub(1, each.first - 1) .. (" "):rep(each.last - each.first + 1)
        .. text:sub(each.last + 1)
    end
    if each.attribute == "close" then dropped[#dropped + 1] = each.name end
  end
  return text, dropped
end

local function names_in(list)
  local names = {}
  for _, token in ipairs(list) do
    if token.kind == "name" then names[token.text] = true end
  end
  return names
end

-- What stands before a chunk, and the names of locals that it is given.
local function opening(list, locals)
  local used, names = names_in(list), {}
  for name in pairs(locals) do
    if used[name] then names[#names + 1] = name end
  end
  table.sort(names)
  local given = table.concat(names, ", ", 1, math.min(#names, 150))
  return ("local %s <close>%s%s = ...; "):format(KEEPER, #names > 0 and ", " or "", given), names
end

-- ---- compiling --------------------------------------------------------------------------

local function is_unfinished(message)
  return message:find "<eof>$" ~= nil or message:find "near '?<eof>'?$" ~= nil
end

-- A chunk of that text.
-- @tparam string text an expression, or statements; "=x" is "return x"
-- @tparam table locals the session's, by name
-- @treturn function|nil its function, or nil and why; nil, nil where it goes on in further lines
-- @treturn table|string what chunk.run takes with it
function chunk.compile(text, locals, env)
  text = text:gsub("^%s*=", "return ")
  local list = tokens.of(text)
  local plain, dropped = without_attributes(text, list)
  local before, names = opening(list, locals)
  local function try(body)
    return load(before .. body, NAME, "t", env)
  end
  local fn, why, message = nil, "", nil
  if plain:find "%S" then fn, why = try("return " .. plain) end
  if not fn then fn, message = try(plain) end
  if not fn and (is_unfinished(message) or is_unfinished(why)) then return nil end
  if not fn then return nil, message end
  return fn, { names = names, dropped = dropped }
end

-- ---- running ------------------------------------------------------------------------------

-- Names that are results of the prompt, and its own.
local function is_kept(name)
  return name:find "^[%a_]" and name ~= KEEPER and not name:find "^_%d*$"
end

-- Reads the locals of the function at a level of the stack, as it is here, into a table.
local function read_locals(level, into)
  local i = 1
  while true do
    local name, value = debug.getlocal(level, i)
    if not name then return end
    if is_kept(name) then into[name] = { value = value } end
    i = i + 1
  end
end

-- The level of a function on the stack, seen from the caller; nil where it is not there.
local function level_of(fn)
  local level = 2
  while true do
    local info = debug.getinfo(level, "f")
    if not info then return nil end
    if info.func == fn then return level - 1 end
    level = level + 1
  end
end

local function keep(fn, locals)
  local level = level_of(fn)
  if level then read_locals(level + 1, locals) end
end

-- Runs a chunk, and keeps its locals.
-- @tparam table locals name to { value = }
-- @tparam function guarded as core.guarded
-- @tparam function on_error makes of an error what is given in its place
-- @return as core.guarded
function chunk.run(fn, about, locals, guarded, on_error)
  local values = { n = #about.names }
  for i, name in ipairs(about.names) do values[i] = locals[name].value end
  local keeper = setmetatable({}, { __close = function(_, err)
    if err == nil then keep(fn, locals) end
  end })
  return guarded(function(err)
    keep(fn, locals)
    return on_error(err)
  end, fn, keeper, table.unpack(values, 1, values.n))
end

return chunk
