-- SPDX-License-Identifier: MIT
--
-- The order of rows that Lua functions made: by columns, the first that differs decides.
-- Numbers go from the largest down, text from the smallest up, true before false; asc and
-- desc say it. An empty place comes last.

local core = require "luabpf.core"
local expr = require "luabpf.expr.parse"

local arrange = {}

-- What `sort` names: a list of { name =, direction = "asc", "desc" or nil }.
function arrange.parse(what, text)
  local ok, list = pcall(expr.orders, text, nil, {})
  if not ok then
    core.misuse(("%s: sort: rows of a function are sorted by the names of its columns: %s"):format(
      what, list))
  end
  return list
end

-- Raises where a column is not there, or has no order. types: by name, as type() says.
function arrange.check(what, list, types, names)
  for _, item in ipairs(list) do
    local kind = types[item.name]
    if not kind and #names > 0 then
      core.misuse(("%s: sort: no column '%s'; there are %s"):format(what, item.name,
        table.concat(names, ", ")))
    elseif kind == "table" then
      core.misuse(("%s: sort: '%s' is a table, which has no order"):format(what, item.name))
    end
  end
end

-- What is compared: truths as numbers; what is no number is an empty place.
local function compared(value)
  if value == true then return 1 elseif value == false then return 0 end
  if value ~= value then return nil end
  return value
end

-- Whether a comes before b; nil where they are equal. unsigned: integers are.
local function before(a, b, direction, unsigned)
  a, b = compared(a), compared(b)
  if a == b then return nil end
  if a == nil or b == nil then return b == nil end
  local descending = direction == "desc" or not direction and type(a) ~= "string"
  if descending then a, b = b, a end
  if unsigned and math.type(a) == "integer" and math.type(b) == "integer" then
    return math.ult(a, b)
  end
  return a < b
end

-- Sorts rows. What is equal goes by `ties`, and then by the order that it came in.
-- @tparam table rows
-- @tparam table list of arrange.parse
-- @tparam[opt] table unsigned names of columns whose integers are, as a set
-- @tparam[opt] table keys by row: text that decides what is left equal
function arrange.rows(rows, list, unsigned, keys)
  unsigned = unsigned or {}
  table.sort(rows, function(a, b)
    for _, item in ipairs(list) do
      local name = item.name
      local first = before(a[name], b[name], item.direction, unsigned[name])
      if first ~= nil then return first end
    end
    return keys ~= nil and keys[a] < keys[b]
  end)
  return rows
end

return arrange
