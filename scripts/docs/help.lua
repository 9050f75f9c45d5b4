-- SPDX-License-Identifier: MIT
--
-- lua/luabpf/show/help_texts.lua: for each function and table its text for the prompt, and what
-- there is of each owner.

local entry = require "entry"
local model = require "model"

local HEADER <const> = [[
-- SPDX-License-Identifier: MIT
--
-- The texts of help, by the name of a function or table. Made by `make docs` from the comments
-- beside the code: not to be changed here.

return {
]]

-- Text of the reference without its marks.
local function plain(text)
  return (text:gsub("%[([^]]-)%]%(#[%w_]+%)", "%1"):gsub("`", ""))
end

local function body(item, lines, more)
  local parts = { item.text }
  if #lines > 0 then parts[#parts + 1] = table.concat(lines, "\n") end
  for _, text in ipairs(more) do parts[#parts + 1] = model.wrap(text, "") end
  return plain(table.concat(parts, "\n\n"))
end

local function function_text(all, item)
  local text = ("%s\n\n%s"):format(entry.signature(all, item),
    body(item, entry.inputs(all, item), entry.outcome(item)))
  if not item.usage then return text end
  return ("%s\n\n%s"):format(text, (("\n" .. item.usage:gsub("%s+$", "")):gsub("\n", "\n    ")
    :sub(2)))
end

-- A Lua string in long brackets that fit.
local function quoted(text)
  local equals = "="
  while text:find("]" .. equals .. "]", 1, true) do equals = equals .. "=" end
  return ("[%s[\n%s]%s]"):format(equals, text, equals)
end

return function(all)
  local parts = {}
  for _, item in ipairs(all.functions) do
    parts[#parts + 1] = ("[%q] = %s,\n"):format(item.name, quoted(function_text(all, item)))
  end
  for _, item in ipairs(all.tables) do
    local more = item.is and { item.is } or {}
    parts[#parts + 1] = ("[%q] = %s,\n"):format(item.name,
      quoted(("%s\n\n%s"):format(item.name, body(item, entry.fields(item), more))))
  end
  return HEADER .. table.concat(parts) .. "}\n"
end
