-- SPDX-License-Identifier: MIT

--- Help at the prompt: the texts that are made from the comments beside the code, by name, by
-- function, or by what one has in hand.
--
-- @module luabpf.show.help

local core = require "luabpf.core"
local room = require "luabpf.show.room"
local suggest = require "luabpf.base.suggest"
local topics = require "luabpf.show.topics"

local texts = core.help_texts()

-- texts: by the name of a function or table.
local help = { texts = texts }

local NAMES <const> = suggest.names(texts)
local TOPICS <const> = suggest.names(topics)
local NAMES_AND_TOPICS <const> = table.move(NAMES, 1, #NAMES, #TOPICS + 1,
  table.move(TOPICS, 1, #TOPICS, 1, {}))

-- ---- paragraphs ------------------------------------------------------------------------

-- A text of the reference's in the room that there is: paragraphs, and items that begin with "* ",
-- are broken anew; examples, by four blanks, are not.
local function fitted(text)
  local columns = room.columns()
  if not text or not columns then return text end
  local lines, open = {}, nil
  local function close()
    local margin = open and open:find "^%* " and "  " or ""
    for i, line in ipairs(open and room.wrap(open, columns - #margin) or {}) do
      lines[#lines + 1] = (i > 1 and margin or "") .. line
    end
    open = nil
  end
  for line in (text .. "\n"):gmatch "(.-)\n" do
    local goes_on = open and line ~= "" and not line:find "^    " and not line:find "^%* "
    if goes_on then
      open = open .. " " .. line:match "^ *(.*)"
    else
      close()
      if line == "" or line:find "^    " then lines[#lines + 1] = line else open = line end
    end
  end
  close()
  return table.concat(lines, "\n")
end

-- ---- lists -------------------------------------------------------------------------

-- The first sentence of a text, which begins after how it is called.
local function summary(text)
  local body = text:gsub("^[^\n]*\n\n", ""):gsub("\n", " ")
  return body:match "^(.-%.)%f[%s\0]" or body
end

-- "bpf." and "map:" are owners of what is named so.
local function owner_of(name)
  return name:match "^(.+)[.:][%w_]+$"
end

local function lines_of(owner)
  local lines, width = {}, 0
  for _, name in ipairs(NAMES) do
    if owner_of(name) == owner then width = math.max(width, #name) end
  end
  for _, name in ipairs(NAMES) do
    if owner_of(name) == owner then
      local text = ("%-" .. width .. "s  %s"):format(name, summary(texts[name]))
      lines[#lines + 1] = room.cut(text, room.columns() or 100)
    end
  end
  return lines
end

-- What an owner is and has; nil for no owner.
local function owner_text(owner)
  local lines = lines_of(owner)
  if #lines == 0 then return nil end
  local parts = { fitted(texts[owner]) or owner, table.concat(lines, "\n") }
  return table.concat(parts, "\n\n")
end

local OVERVIEW <const> = [[
bpf.help "map:select"   what a function does, its options and results
bpf.help "map"          what a map has; also batch, object, program, ...
bpf.help(x)             the same of a handle, or a function
bpf.help "expressions"  what where, columns, select and sort take
bpf.help "functions"    Lua functions in their place, which the kernel runs
bpf.help "updates"      entries changed where they are, counters zeroed
bpf.help "prompt"       what the prompt does
docs/guide.md           a tour]]

local function overview()
  return OVERVIEW .. "\n\n" .. table.concat(lines_of "bpf", "\n")
end

-- ---- finding -----------------------------------------------------------------------

-- The texts that a name may mean: itself, or what is called so of any owner.
local function named(name)
  if topics[name] then return topics[name] end
  if texts[name] and not owner_text(name) then return fitted(texts[name]) end
  local whole = owner_text(name)
  if whole then return whole end
  local found = {}
  for _, each in ipairs(NAMES) do
    if each:match "[.:]([%w_]+)$" == name then found[#found + 1] = fitted(texts[each]) end
  end
  if #found > 0 then return table.concat(found, "\n\n" .. ("-"):rep(20) .. "\n\n") end
  return ("there is no help for '%s'%s"):format(name, suggest.ending(name, NAMES_AND_TOPICS))
end

-- The table of an owner's functions; nothing of it is called.
local function functions_of(owner)
  local bpf = package.loaded.luabpf
  if owner == "bpf" then return bpf end
  if owner == "bpf.iter" then return type(bpf) == "table" and rawget(bpf, "iter") end
  return core.classes["luabpf." .. owner] or package.loaded["luabpf." .. owner]
end

-- The name of a function that users can call, found by the function itself: that of the owner where
-- several have it.
function help.name_of(fn, of)
  local first
  for _, name in ipairs(NAMES) do
    local owner, short = name:match "^(.+)[.:]([%w_]+)$"
    local functions = owner and functions_of(owner)
    if type(functions) == "table" and rawequal(rawget(functions, short), fn) then
      if not of or owner == of then return name end
      first = first or name
    end
  end
  return first
end

-- The owner that a value belongs to: a handle, or the module.
local function owner_of_value(x)
  if x == package.loaded.luabpf then return "bpf" end
  local meta = getmetatable(x)
  local class = type(meta) == "table" and rawget(meta, "__name")
  return type(class) == "string" and class:match "^luabpf%.(%w+)$"
end

-- The text for what was asked.
-- @param x nothing, a name, a function, a handle, the module
-- @treturn string
function help.text(x)
  if x == nil then return overview() end
  if type(x) == "string" then return named(x) end
  if type(x) == "function" then
    local name = help.name_of(x)
    return name and fitted(texts[name]) or "there is no help for this function"
  end
  local owner = owner_of_value(x)
  if owner == "bpf" then return overview() end
  return owner and owner_text(owner) or ("there is no help for a %s"):format(type(x))
end

--- Prints what the reference says of a function, a table of options or results, or a handle.
-- @function bpf.help
-- @tparam[opt] any x a name as "map:select", "select" or "query_options", a function, a handle;
--   nothing for a list of the module's functions
-- @treturn nil nothing
-- @usage
-- bpf.help()
-- bpf.help "map:select"
-- bpf.help(map)
function help.print(x)
  help.show(x)
end

-- Shows the text for what was asked; the prompt has its own way.
function help.show(x)
  print(help.text(x))
end

-- ---- methods -----------------------------------------------------------------------

-- class:help(name) prints what a method of it does.
local function method_of(owner)
  return function(_, name)
    if name ~= nil and type(name) ~= "string" then
      error(("help: name of a method expected, got %s"):format(type(name)), 2)
    end
    help.show(name and owner .. ":" .. name or owner)
  end
end

--- Prints what a map can do, or what one of its methods does.
-- @function map:help
-- @tparam[opt] string name of a method
-- @treturn nil nothing
-- @usage
-- map:help "select"

--- Prints what a batch can do, or what one of its methods does.
-- @function batch:help
-- @tparam[opt] string name of a method
-- @treturn nil nothing
-- @usage
-- for batch in map:batches() do batch:help "copy" end

--- Prints what a snapshot can do, or what one of its methods does.
-- @function snapshot:help
-- @tparam[opt] string name of a method
-- @treturn nil nothing
-- @usage
-- local snapshot <close> = assert(map:snapshot())
-- snapshot:help "diff"

--- Prints what an object can do, or what one of its methods does.
-- @function object:help
-- @tparam[opt] string name of a method
-- @treturn nil nothing
-- @usage
-- local object <close> = assert(bpf.load "programs.bpf.o")
-- object:help()

--- Prints what a program can do, or what one of its methods does.
-- @function program:help
-- @tparam[opt] string name of a method
-- @treturn nil nothing
-- @usage
-- local object <close> = assert(bpf.load "programs.bpf.o")
-- object.programs.count_xdp:help "attach"

--- Prints what a link can do, or what one of its methods does.
-- @function link:help
-- @tparam[opt] string name of a method
-- @treturn nil nothing
-- @usage
-- local object <close> = assert(bpf.load "programs.bpf.o")
-- local link <close> = assert(object.programs.count_xdp:attach { xdp = "lo" })
-- link:help "pin"

for _, owner in ipairs { "map", "batch", "snapshot", "object", "program", "link" } do
  core.classes["luabpf." .. owner].help = method_of(owner)
end

return help
