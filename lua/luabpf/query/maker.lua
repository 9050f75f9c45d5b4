-- SPDX-License-Identifier: MIT
--
-- What a Lua function makes of entries: rows with columns by name. A column has one
-- type, and nil is an empty place in it. Makers say what is wrong with what the
-- function gave by the function's own line.

local core = require "luabpf.core"
local judge = require "luabpf.query.judge"

local maker = {}
maker.__index = maker

local KINDS <const> = { number = "a number", string = "text", boolean = "a boolean",
  table = "a table" }

-- A maker of rows.
-- @tparam string what the option that the function was given as: "columns" or "group"
-- @tparam function f
-- @tparam[opt] string single the column of a result that is no table; without it tables are needed
-- @tparam[opt] table taken names that columns must not have, as a set
function maker.new(what, f, single, taken)
  return setmetatable({ what = what, f = f, single = single, taken = taken or {}, types = {},
    names = {} }, maker)
end

-- Raises, from within the call of the function.
local function refuse(self, text, ...)
  local info = debug.getinfo(self.f, "S")
  error(("%s:%d: %s"):format(info.short_src, info.linedefined, text:format(...)), 0)
end

local function new_column(self, name, kind)
  if type(name) ~= "string" then
    refuse(self, "columns have names, such as { size = value.bytes }, got [%s]", tostring(name))
  elseif self.taken[name] then
    refuse(self, "there are two columns '%s'; name one otherwise", name)
  elseif not KINDS[kind] then
    refuse(self, "column '%s' is a %s, which no row holds", name, kind)
  elseif self.single and kind == "table" then
    refuse(self, "column '%s' is a struct or a list, which is no group; name its fields", name)
  end
  self.types[name] = kind
  self.names[#self.names + 1] = name
  table.sort(self.names)
end

-- What stays when the loop moves on: views, in lists too, as the tables that they show.
local function kept(value)
  if type(value) == "userdata" then return core.copy(value) end
  if type(value) ~= "table" then return value end
  local copy = {}
  for k, v in next, value do copy[k] = kept(v) end
  return copy
end

-- Puts a value into a row.
local function put(self, row, name, value)
  if self.types[name] ~= "number" then value = kept(value) end
  local kind = type(value)
  if self.types[name] ~= kind then
    if self.types[name] then
      refuse(self, "column '%s' is %s in one entry and %s in another", name,
        KINDS[self.types[name]], KINDS[kind] or "a " .. kind)
    end
    new_column(self, name, kind)
  end
  row[name] = value
end

-- Notes the types of a row that was made elsewhere.
function maker:note(row)
  for name, value in next, row do put(self, row, name, value) end
end

local function is_view(value)
  return type(value) == "userdata"
end

-- The row of what the function gave.
local function row_of(self, result, ...)
  if select("#", ...) > 0 then
    refuse(self, "one result is taken, %s, and the function gave %d",
      self.single and "or a table of named columns" or "a table of named columns",
      1 + select("#", ...))
  end
  local row = {}
  if type(result) == "table" and result[1] == nil then
    for name, value in next, result do put(self, row, name, value) end
  elseif self.single and not is_view(result) and type(result) ~= "table" then
    if result ~= nil then put(self, row, self.single, result) end
  elseif self.single then
    refuse(self, "a struct or a list is no group; name its fields: { port = key.port }")
  else
    refuse(self, "a table of named columns expected, such as { size = value.bytes }, got %s",
      is_view(result) and "a view" or type(result) == "table" and "a list" or type(result))
  end
  return row
end

local function rows_of(self, batch, list)
  local f = self.f
  for key, value in batch:views() do list[#list + 1] = row_of(self, f(key, value)) end
  return list
end

-- The rows of a batch, a list.
function maker:rows(batch, report)
  local ok, list = judge.traced(rows_of, self, batch, {})
  if not ok then judge.raise(self.what, list, report) end
  return list
end

return maker
