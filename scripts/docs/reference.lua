-- SPDX-License-Identifier: MIT
--
-- docs/reference.md: template.md, in which a line
--
--   {{map: lookup update}}   becomes these functions of an owner, in this order,
--   {{map}}                  becomes those of its functions that no line names,
--   {{table query_options}}  becomes a table's fields,
--   {{tables}}               becomes all tables that no line names.

local entry = require "entry"
local model = require "model"

local function block(out, lines)
  if #lines > 0 then out(table.concat(lines, "\n") .. "\n") end
end

local function function_of(all, out, item)
  out(("### %s\n"):format(item.name))
  out(("`%s`\n"):format(entry.signature(all, item)))
  out(item.text .. "\n")
  block(out, entry.inputs(all, item))
  local outcome = table.concat(entry.outcome(item), " ")
  if outcome ~= "" then out(model.wrap(outcome, "") .. "\n") end
  if item.usage then out(("```lua\n%s\n```\n"):format((item.usage:gsub("%s+$", "")))) end
end

local function table_of(out, item)
  out(("### %s\n"):format(item.name))
  out(item.text .. "\n")
  if item.is then out(("`%s`\n"):format(item.is)) end
  block(out, entry.fields(item))
end

-- Which functions and tables the template names: "map:lookup", "query_options".
local function named(template)
  local names = {}
  for owner, list in template:gmatch "{{([%w_.]+):%s*([^}]+)}}" do
    for name in list:gmatch "%S+" do names[owner .. " " .. name] = true end
  end
  for name in template:gmatch "{{table ([%w_]+)}}" do names[name] = true end
  return names
end

local function rest_of(all, owner, names)
  local list = {}
  for _, item in ipairs(all.functions) do
    if item.owner == owner and not names[owner .. " " .. item.short] then list[#list + 1] = item end
  end
  return list
end

local function function_named(all, owner, name)
  return all.functions[owner .. ":" .. name] or all.functions[owner .. "." .. name]
    or error(("template.md: there is no %s in %s"):format(name, owner))
end

return function(all, template)
  local names, parts = named(template), {}
  local function out(text) parts[#parts + 1] = text end
  local function expand(line)
    local owner, list = line:match "^{{([%w_.]+):%s*(.+)}}$"
    local name = line:match "^{{table ([%w_]+)}}$"
    if owner then
      for each in list:gmatch "%S+" do
        function_of(all, out, function_named(all, owner, each))
      end
    elseif name then
      table_of(out, all.tables[name] or error("template.md: there is no table " .. name))
    elseif line == "{{tables}}" then
      for _, item in ipairs(all.tables) do if not names[item.name] then table_of(out, item) end end
    elseif line:find "^{{" then
      for _, item in ipairs(rest_of(all, line:match "[%w_.]+", names)) do
        function_of(all, out, item)
      end
    else
      out(line)
    end
  end
  for line in template:gmatch "(.-)\n" do expand(line) end
  return (table.concat(parts, "\n"):gsub("\n\n\n+", "\n\n"):gsub("\n*$", "\n"))
end
