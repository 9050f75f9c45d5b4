-- SPDX-License-Identifier: MIT
--
-- lua/luabpf/base/declared.lua: the options of each function, which base/options.lua holds what
-- callers give against. A type becomes what type() says, several with "|" between them; texts in
-- quotes become the list of what may be chosen; what can be told no closer becomes true.

local model = require "model"

local HEADER <const> = [[
-- SPDX-License-Identifier: MIT
--
-- The options of functions and their types. Made by `make docs` from the comments beside the
-- code: not to be changed here.

return {
]]

local LUA <const> = { integer = "number", number = "number", string = "string", boolean = "boolean",
  table = "table", ["function"] = "function", userdata = "userdata" }

-- What a type is to the check: its aliases followed.
local function expand(all, text)
  local choices, kinds, seen = {}, {}, {}
  local function add(kind)
    for word in kind:gmatch "[^|]+" do
      if not seen[word] then kinds[#kinds + 1] = word end
      seen[word] = true
    end
  end
  text = text:gsub("%b()", ""):gsub("%b<>", ""):gsub("%b{}", "table")
  for part in text:gmatch "[^|]+" do
    local item = all.tables[part]
    local kind = LUA[part] or part:find "%[%]$" and "table" or part:find "^fun" and "function"
      or part == "table" and "table"
    if part:find '^"' then
      choices[#choices + 1] = part
    elseif item and item.is then
      local more = expand(all, item.is)
      if type(more) ~= "string" or more == "true" or more:find "^{" then return more end
      add(more:sub(2, -2))
    elseif kind or item or model.is_class(all, part) then
      add(kind or model.is_class(all, part) and "userdata" or "table")
    else
      return "true"
    end
  end
  if #choices > 0 then
    return #kinds == 0 and "{ " .. table.concat(choices, ", ") .. " }" or "true"
  end
  return ("%q"):format(table.concat(kinds, "|"))
end

local function options_text(all, list)
  local parts = {}
  for _, field in ipairs(list) do
    if not field.name:find(".", 1, true) then
      parts[#parts + 1] = ("%s = %s"):format(field.name, expand(all, field.type or "any"))
    end
  end
  return "{ " .. table.concat(parts, ",\n    ") .. " }"
end

return function(all)
  local parts = {}
  for _, item in ipairs(all.functions) do
    if model.has_options(all, item) then
      parts[#parts + 1] = ("  [%q] = %s,\n"):format(item.name,
        options_text(all, model.flat(all, item)))
    end
  end
  for _, item in ipairs(all.tables) do
    if item.name:find "options$" then
      parts[#parts + 1] = ("  [%q] = %s,\n"):format(item.name,
        options_text(all, model.flat(all, item)))
    end
  end
  return HEADER .. table.concat(parts) .. "}\n"
end
