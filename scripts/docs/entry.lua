-- SPDX-License-Identifier: MIT
--
-- What the reference and the help have in common: how a function is called, and the lines that
-- tell of its parameters, options, results and errors. In the reference code stands in backticks.

local model = require "model"

local entry = {}

-- How a function is called: "map:count([where [, options]])".
function entry.signature(all, item)
  local params = item.params
  local last = params[#params]
  if model.has_options(all, item) and not (last and last.name == (item.options_name or
    last.name)) then
    params = table.move(params, 1, #params, 1, {})
    params[#params + 1] = { name = item.options_name, optional = true }
  end
  local text, closing = "", ""
  for i, param in ipairs(params) do
    local comma = i > 1 and ", " or ""
    if param.optional then
      text, closing = text .. (i > 1 and " [" or "[") .. comma .. param.name, closing .. "]"
    else
      text = text .. comma .. param.name
    end
  end
  return ("%s(%s%s)"):format(item.name, text, closing)
end

-- Of a type in words: "integer|string" is "integer or string".
local function type_words(text)
  return (text:gsub("%?$", ""):gsub("|", " or "))
end

-- A parameter or field as an item of a list; a field of options says that it is needed.
local function field_line(field, prefix, needed)
  local default = field.default and (" Default: %s."):format(field.default) or ""
  local text = field.text:gsub("%.$", "")
  return model.wrap(("* `%s` (%s%s): %s.%s"):format(prefix .. field.name, type_words(field.type),
    needed and not field.optional and ", needed" or "", text, default), "  ")
end

local function inherited(lines, name)
  lines[#lines + 1] = ("* the fields of [%s](#%s)"):format(name, name)
end

-- The lines of a function's parameters, its options after the one that holds them.
function entry.inputs(all, item)
  local lines = {}
  for _, param in ipairs(item.params) do
    if not (param.name == item.options_name and param.type == "table") then
      lines[#lines + 1] = field_line(param, "")
    end
  end
  for _, field in ipairs(item.options) do
    lines[#lines + 1] = field_line(field, item.options_name .. ".", true)
  end
  for _, name in ipairs(model.options_types(all, item)) do inherited(lines, name) end
  return lines
end

function entry.fields(item)
  local lines = {}
  for i, field in ipairs(item.fields) do
    lines[i] = field_line(field, "", item.name:find "options$")
  end
  if item.extends then inherited(lines, item.extends) end
  return lines
end

local function sentence(text)
  return (text:gsub("%.$", "")) .. "."
end

-- What a function gives, refuses, raises and needs: paragraphs.
function entry.outcome(item)
  local parts, gives = {}, {}
  for i, result in ipairs(item.results) do
    gives[i] = ("%s%s"):format(type_words(result.type or ""), result.text ~= "" and ": "
      .. result.text:gsub("%.$", "") or "")
  end
  if #gives > 0 then parts[1] = "Gives " .. table.concat(gives, "; and ") .. "." end
  if item.refused then
    local partial = item.partial and "; the fourth result is " .. item.partial:gsub("^%S+%s*", "")
      or ""
    parts[#parts + 1] = ("nil, message, errno: %s%s"):format(item.refused:gsub("%.$", ""),
      sentence(partial))
  end
  if item.raise then parts[#parts + 1] = "Raises: " .. sentence(item.raise) end
  if item.kernel then parts[#parts + 1] = "Linux " .. sentence(item.kernel) end
  if item.privileges then parts[#parts + 1] = "Needs " .. sentence(item.privileges) end
  return parts
end

return entry
