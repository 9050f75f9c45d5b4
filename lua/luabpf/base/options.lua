-- SPDX-License-Identifier: MIT

--- Options and the quantities in them: what every function that takes a table
-- of options needs. Errors name the option and blame the caller.
--
-- @module luabpf.base.options

local core = require "luabpf.core"
local later = require "luabpf.base.later"

local declared = later.module "luabpf.base.declared"
local suggest = later.module "luabpf.base.suggest"
local units = later.module "luabpf.base.units"

local options = {}

-- The options of a function, as its doc comment declares them: for options.check.
-- @tparam string name "map:count", or a table of options as "scan_options"
-- @treturn table name of the option to type: as type() says it, several with "|" between, a list of
--   the texts that may be chosen, or true for any
function options.of(name)
  return declared[name] or error(("no options of '%s' are documented"):format(name))
end

local function quoted(choices)
  return '"' .. table.concat(choices, '", "') .. '"'
end

local function is_one_of(value, choices)
  for _, choice in ipairs(choices) do
    if value == choice then return true end
  end
  return false
end

-- What a value is not, as it should be; nil where it is.
local function expected(value, wanted)
  if type(wanted) == "table" then return not is_one_of(value, wanted) and quoted(wanted) or nil end
  for kind in wanted:gmatch "%a+" do
    if type(value) == kind then return nil end
  end
  return (wanted:gsub("|(%a+)$", " or %1"):gsub("|", ", "))
end

-- What a message says was given.
local function given_text(value, wanted)
  if type(wanted) ~= "table" then return type(value) end
  return type(value) == "string" and ("%q"):format(value) or tostring(value)
end

-- Options that are paths or names of the system's.
local PATHS = { path = true, pin = true, checkpoint = true, cgroup = true, xdp = true, tc = true,
  tcx = true, netkit = true, uprobe = true }

-- Raises for a path that a NUL byte would cut, where the system reads it.
-- @tparam string what names the call and the argument in messages
-- @param value anything; what is no string is not looked at
-- @tparam[opt=3] integer level whom errors blame, as in error()
-- @return value
function options.path(what, value, level)
  if type(value) == "string" and value:find("\0", 1, true) then
    error(("%s: %q has a NUL byte"):format(what, value), level or 3)
  end
  return value
end

-- A text of one line that is short enough for a message, in quotes; else an ellipsis.
local function shortly(text)
  return #text <= 60 and not text:find "[%c\"]" and ('"%s"'):format(text) or "..."
end

-- How the options are written that a query was given a text or a function in place of.
local function written(given, known)
  if not known.where then return "" end
  if type(given) == "function" then return "; write { where = function(key, value) ... end }" end
  if type(given) ~= "string" then return "" end
  local name = known.select and given:find "^%s*%a+%(" and "select" or "where"
  return ("; write { %s = %s }"):format(name, shortly(given))
end

-- The options of a call, checked: an empty table for nil.
-- @tparam string what names the call in messages
-- @param given what the caller passed
-- @tparam table known of options.of
-- @tparam[opt=3] integer level whom errors blame, as in error()
function options.check(what, given, known, level)
  level = level or 3
  if given == nil then return {} end
  if type(given) ~= "table" then
    error(("%s: table of options expected, got %s%s"):format(what, type(given),
      written(given, known)), level)
  end
  for name, value in pairs(given) do
    local wanted = known[name]
    if not wanted then
      error(("%s: unknown option '%s'%s"):format(what, tostring(name),
        suggest.ending(tostring(name), suggest.names(known))), level)
    end
    local instead = wanted ~= true and expected(value, wanted)
    if instead then
      error(("%s: option '%s': %s expected, got %s"):format(what, name, instead,
        given_text(value, wanted)), level)
    end
    if PATHS[name] then options.path(("%s: option '%s'"):format(what, name), value, level + 1) end
  end
  return given
end

-- Raises where a function that takes no options is given some.
function options.none(what, given)
  if type(given) == "table" then error(("%s: no options are taken"):format(what), 3) end
end

-- Raises for what C has found wrong in the options of one of its functions.
core.refuse_options_with(function(name, given)
  return options.check(name:match "[^:.]+$", given, options.of(name), 3)
end)

-- An integer option within bounds; default where it is nil.
function options.integer(what, name, value, min, max, default, level)
  if value == nil then return default end
  local n = math.type(value) and math.tointeger(value)
  if not n or n < min or n > max then
    error(("%s: option '%s': integer from %d to %d expected, got %s"):format(what, name, min, max,
      tostring(value)), level or 3)
  end
  return n
end

-- One of a few texts; default where it is nil.
function options.choice(what, name, value, choices, default, level)
  if value == nil then return default end
  if is_one_of(value, choices) then return value end
  error(("%s: option '%s': %s expected, got %s"):format(what, name, quoted(choices),
    given_text(value, choices)), level or 3)
end

-- What the kinds of quantities are called: their units (of units.lua), an example, what integers of
-- them are.
local TIME <const> = { units = "TIMES", example = "30s", whole = "ns" }
local SIZE <const> = { units = "SIZES", example = "64MiB", whole = "bytes" }

-- A text that is a quantity, spaces around and within; nil and why it is none.
local function read(text, kind)
  local sign, number, unit = text:match("^%s*(%-?)([%d.]+)%s*(%a+)%s*$")
  if not number then return nil, "form" end
  local n, why = units.read(number .. unit, units[kind.units])
  if n and n < 0 then return nil, "large" end
  return n and (sign == "-" and -n or n), why
end

-- Errors blame as error() with that level would in the function that calls options.*, which
-- tail calls this; without a tail call it is one more.
local function quantity(value, what, kind, level)
  if math.type(value) and math.tointeger(value) then return math.tointeger(value) end
  local n, why
  if type(value) == "string" then n, why = read(value, kind) end
  if n then return n end
  what = what or "argument"
  if why == "large" then error(("%s: %q is too large"):format(what, value), level + 1) end
  if why == "fraction" then
    error(("%s: %q is no whole number of %s"):format(what, value, kind.whole), level + 1)
  end
  error(("%s: integer or text such as %q expected, got %s"):format(what, kind.example,
    type(value) == "string" and ("%q"):format(value) or tostring(value)), level + 1)
end

--- A span of time: nanoseconds, or text as "30s" with the units ns us ms s m h d.
-- @table time
-- @is integer|string

-- A duration in nanoseconds.
-- @param value integer nanoseconds, or text: "10ms", "-30s", "1.5h"; units ns us ms s m h d
-- @tparam[opt] string what names it in the error that is raised for anything else
-- @tparam[opt=2] integer level whom that error blames, as in error()
-- @treturn integer
function options.duration(value, what, level)
  return quantity(value, what, TIME, level or 2)
end

local function not_negative(n, what, level)
  if n < 0 then
    error(("%s: %d is negative"):format(what or "argument", n), level + 1)
  end
  return n
end

-- A duration that something takes or lasts: options.duration, but not negative.
function options.period(value, what, level)
  level = level or 2
  local ns = quantity(value, what, TIME, level + 1)
  return not_negative(ns, what, level)
end

--- A size: bytes, or text as "64MiB" with the units B KiB MiB GiB.
-- @table size
-- @is integer|string

-- A size in bytes.
-- @param value integer bytes, or text: "64MiB"; units B KiB MiB GiB
-- @tparam[opt] string what names it in the error that is raised for anything else
-- @tparam[opt=2] integer level whom that error blames, as in error()
-- @treturn integer
function options.size(value, what, level)
  level = level or 2
  local bytes = quantity(value, what, SIZE, level + 1)
  return not_negative(bytes, what, level)
end

return options
