-- SPDX-License-Identifier: MIT
--
-- luabpf/bind/help_texts.h: for each function and table its text for the prompt.

local entry = require "entry"
local model = require "model"

local HEADER <const> = [[
/* SPDX-License-Identifier: MIT */
/*
 * The texts of help, each after the name of its function or table; a NUL ends each.
 * Made by `make docs` from the comments beside the code: not to be changed here.
 */
static const char TEXTS[] =
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

-- A name and its text as C writes them, a line of the text a line; a NUL ends both.
local function quoted(name, text)
  local lines = {}
  for line in (name .. "\0\n" .. text .. "\0\n"):gmatch "([^\n]*)\n" do
    local escaped = line:gsub('[\\"]', "\\%0"):gsub("%z", "\\0")
    local ending = line:find "%z" and "" or "\\n"
    lines[#lines + 1] = ('"%s%s"\n'):format(escaped, ending)
  end
  return table.concat(lines)
end

return function(all)
  local parts = {}
  for _, item in ipairs(all.functions) do
    parts[#parts + 1] = quoted(item.name, function_text(all, item))
  end
  for _, item in ipairs(all.tables) do
    local more = item.is and { item.is } or {}
    parts[#parts + 1] = quoted(item.name,
      ("%s\n\n%s"):format(item.name, body(item, entry.fields(item), more)))
  end
  return HEADER .. table.concat(parts) .. ";\n"
end
