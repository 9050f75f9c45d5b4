-- SPDX-License-Identifier: MIT
--
-- Parameters of functions that a query is given: in flows:count(function(k, v) return v. the
-- fields of v are those of the map's value.

local things = require "luabpf.prompt.things"
local words = require "luabpf.prompt.words"

local parameters = {}

-- The name that the path begins with which ends with the token at i, "v" of v.list[2].inner, and
-- what follows it, with some index: ".list[1].inner". nil for other things.
local function path_at(list, i)
  local rest = ""
  while list[i] do
    local token, before = list[i], list[i - 1]
    if token.text == "]" and list[i - 2] and list[i - 2].text == "[" then
      rest, i = "[1]" .. rest, i - 3
    elseif token.kind ~= "name" then
      return nil
    elseif not before or before.text ~= "." then
      return token.text, rest
    else
      rest, i = "." .. token.text .. rest, i - 2
    end
  end
end

-- Which parameter of the function whose keyword is at i has that name; nil for none.
local function position(list, i, name)
  local n = 0
  for k = i + 2, #list do
    local token = list[k]
    if token.kind == "name" then
      n = n + 1
      if token.text == name then return n end
    elseif token.text ~= "," then
      return nil
    end
  end
end

-- The fields of what a path ends in that begins with a parameter; nil where it is none of a
-- query's function.
-- @tparam table list of tokens.of
-- @tparam integer i of the path's last token
-- @tparam table scope of things.lua
function parameters.names(list, i, scope)
  local name, rest = path_at(list, i)
  for k = name and i or 0, 1, -1 do
    local n = list[k].text == "function" and position(list, k, name)
    if n then
      local at = things.call_at(table.move(list, 1, k - 1, 1, {}), scope)
      return at and words.members(at, n, rest)
    end
  end
  return nil
end

return parameters
