-- SPDX-License-Identifier: MIT
--
-- Declarations for editors (LuaCATS) from the model: a file for each public module.

local model = require "model"

-- The name that a documented table or class has for editors.
local function full(item)
  return item.public == "luabpf" and "luabpf." .. item.name
    or ("luabpf.%s.%s"):format(item.public, item.name)
end

-- A type as doc comments write it, its names made full; what is in quotes is a choice.
local function type_of(all, text)
  return ((text or "any"):gsub('"?[%a_][%w_.]*', all.names))
end

local function optional(text)
  text = text:gsub("|nil$", "")
  return text:find "%?$" and text or text:find("[|(]") and ("(%s)?"):format(text) or text .. "?"
end

local function comment(out, item)
  local text = item.text
  if item.kernel then text = ("%s\n\nLinux %s."):format(text, item.kernel:gsub("%.$", "")) end
  if item.privileges then
    text = ("%s\n\nNeeds %s."):format(text, item.privileges:gsub("%.$", ""))
  end
  for line in (text .. "\n"):gmatch "(.-)\n" do out("---%s", line) end
end

local function field_line(all, out, field)
  out("---@field %s%s %s %s%s", field.name, field.optional and "?" or "", type_of(all, field.type),
    field.text, field.default and (" (default %s)"):format(field.default) or "")
end

local function table_of(all, out, item)
  comment(out, item)
  if item.is then
    out("---@alias %s %s", full(item), type_of(all, item.is))
  else
    local parent = item.extends and " : " .. type_of(all, item.extends) or ""
    out("---@class %s%s", full(item), parent)
    for _, field in ipairs(item.fields) do field_line(all, out, field) end
  end
end

-- A function's own options become a class of their own name.
local function options_class(all, out, item)
  local name = ("luabpf.%s_%s_options"):format(item.owner, item.short)
  local parents = table.concat(model.options_types(all, item), ", ")
  out("---@class %s%s", name, parents ~= "" and " : " .. type_of(all, parents) or "")
  for _, field in ipairs(item.options) do field_line(all, out, field) end
  out ""
  return name
end

local function param_type(all, item, param, class)
  local text = type_of(all, param.type)
  if class and param.name == item.options_name then
    local parent = model.options_types(all, item)[1]
    text = text:gsub(parent and "[%w_.]*" .. parent or "%f[%w]table%f[^%w]", class)
  end
  return text
end

-- Results; where the system may refuse, nil, message, errno and what was done till then besides.
local function returns(all, out, item)
  local refusal = item.refused and { "nil", "string", "integer", item.partial
    and type_of(all, item.partial:match "^%S+") }
  for i = 1, math.max(#item.results, refusal and #refusal or 0) do
    local result, other = item.results[i], refusal and refusal[i]
    local text = result and type_of(all, result.type)
    if not text then
      text = optional(other)
    elseif other == "nil" or result.opt then
      text = optional(text)
    elseif other then
      text = optional(text:gsub("%?$", "") .. "|" .. other)
    end
    local what = result and result.text or ({ "", "message", "errno", "partial" })[i]
    out("---@return %s # %s", text, what)
  end
end

local function function_of(all, out, item)
  local class = #item.options > 0 and options_class(all, out, item)
  local names = {}
  comment(out, item)
  for i, param in ipairs(item.params) do
    names[i] = param.name
    out("---@param %s%s %s %s", param.name, param.optional and "?" or "",
      param_type(all, item, param, class), param.text)
  end
  returns(all, out, item)
  out("function %s(%s) end", item.name, table.concat(names, ", "))
end

-- The owners of functions in a module, and their functions.
local function owners_of(all, public)
  local owners, order = {}, {}
  for _, item in ipairs(all.functions) do
    if item.public == public then
      if not owners[item.owner] then
        owners[item.owner] = {}
        order[#order + 1] = item.owner
      end
      table.insert(owners[item.owner], item)
    end
  end
  return order, owners
end

local function class_of(public, owner)
  if owner == "bpf" then return "luabpf" end
  if owner == public then return "luabpf." .. public end
  return public == "luabpf" and "luabpf." .. owner or ("luabpf.%s.%s"):format(public, owner)
end

-- What the names in types stand for.
local function add_names(all)
  all.names = {}
  for _, item in ipairs(all.tables) do all.names[item.name] = full(item) end
  for _, item in ipairs(all.functions) do
    all.names[item.owner] = class_of(item.public, item.owner)
  end
end

local HEADER <const> = [[
---@meta %s
-- SPDX-License-Identifier: MIT
--
-- Made by `make docs` from the comments beside the code: not to be changed here.
-- docs/editors.md says how an editor finds it.
]]

-- The text of the file for a module, "luabpf" or what comes after "luabpf.".
return function(all, public)
  local lines = {}
  local function out(text, ...)
    lines[#lines + 1] = select("#", ...) > 0 and text:format(...) or text
  end
  add_names(all)
  out(HEADER, public == "luabpf" and "luabpf" or "luabpf." .. public)
  local order, owners = owners_of(all, public)
  for _, item in ipairs(all.tables) do
    if item.public == public and not owners[item.name] then
      table_of(all, out, item)
      out ""
    end
  end
  local main = public == "luabpf" and "bpf" or public
  for _, owner in ipairs(order) do
    local item = all.tables[owner]
    if item then
      table_of(all, out, item)
    else
      out("---@class %s", class_of(public, owner))
    end
    out(owner:find(".", 1, true) and "%s = {}\n" or "local %s = {}\n", owner)
    for _, each in ipairs(owners[owner]) do
      function_of(all, out, each)
      out ""
    end
  end
  out("return %s", main)
  return table.concat(lines, "\n") .. "\n"
end
