-- SPDX-License-Identifier: MIT
--
-- What the doc comments say, put in order: functions and tables by name, their texts in one line,
-- the options of each function with those that it inherits. What is missing (a sentence, a type,
-- an example) is collected as complaints, each with the file and line of the comment.

local model = {}

-- Public modules that are loaded by a require of their own; all else belongs to luabpf.
model.MODULES = { "conntrack" }

local complaints

local function complain(item, text, ...)
  complaints[#complaints + 1] = ("%s:%d: %s: %s"):format(item.file, item.line, item.name,
    text:format(...))
end

-- Text in one line; a paragraph stays one.
local function trim(text)
  return (text:gsub("^%s+", ""):gsub("%s+$", ""))
end

local function one_line(text)
  return text and trim(text:gsub("%s*\n%s*", " "))
end

-- Paragraphs; a list keeps its lines.
local function paragraphs(text)
  local parts = {}
  for part in (text:gsub("\n[ \t]*\n", "\0") .. "\0"):gmatch "(.-)%z" do
    part = trim(part)
    parts[#parts + 1] = part:find "^[*-] " and part:gsub("\n ?", "\n")
      or model.wrap(one_line(part), "")
  end
  return table.concat(parts, "\n\n")
end

local function is_sentence(text)
  return text:find "^[%u`#\"]" and text:find "[.:]$" and text:find "%s"
end

local function module_of(item)
  local name = item.module:match "^luabpf%.(%w+)"
  for _, module in ipairs(model.MODULES) do
    if name == module then return module end
  end
  return "luabpf"
end

local function check_field(item, field, what)
  if not field.type then complain(item, "%s '%s' has no type", what, field.name) end
  if not field.text:find "%S%s+%S" then complain(item, "%s '%s' has no text", what, field.name) end
end

-- A field's text without line ends, its default as text.
local function tidy(item, field, what)
  field.text = one_line(field.text)
  field.optional = field.opt ~= nil
  field.default = field.opt ~= true and field.opt or nil
  check_field(item, field, what)
  return field
end

-- Parameters, and apart from them the fields of the one that is a table of options.
local function split(item)
  local params, options = {}, {}
  for _, field in ipairs(item.fields) do
    local parent, name = field.name:match "^([%w_]+)%.([%w_.]+)$"
    tidy(item, field, parent and "option" or "parameter")
    if parent then
      field.name, item.options_name = name, parent
      options[#options + 1] = field
    else
      params[#params + 1] = field
    end
  end
  return params, options
end

local function add_function(all, item)
  item.owner, item.separator, item.short = item.name:match "^([%w_.]-)([.:])([%w_]+)$"
  if not item.owner then return complain(item, "is no owner.name or owner:name") end
  item.params, item.options = split(item)
  for _, result in ipairs(item.results) do result.text = one_line(result.text) end
  for _, tag in ipairs { "raise", "refused", "partial", "kernel", "privileges" } do
    item[tag] = one_line(item[tag])
  end
  if item.kernel and not item.kernel:find "^%d" then
    complain(item, "@kernel does not begin with a version")
  end
  if not item.usage then complain(item, "has no @usage") end
  if #item.results == 0 then complain(item, "has no @treturn") end
  all.functions[#all.functions + 1], all.functions[item.name] = item, item
end

local function add_table(all, item)
  for _, field in ipairs(item.fields) do tidy(item, field, "field") end
  item.extends, item.is = one_line(item.extends), item.is and item.is:gsub("%s", "")
  all.tables[#all.tables + 1], all.tables[item.name] = item, item
end

-- The options of a function or the fields of a table with all that it inherits: a list, by name.
function model.flat(all, item)
  local list, seen = {}, {}
  local function add(fields)
    for _, field in ipairs(fields) do
      if not seen[field.name] then
        seen[field.name] = true
        list[#list + 1] = field
      end
    end
  end
  local function inherit(name)
    local parent = all.tables[name]
    if not parent then return end
    add(parent.fields)
    if parent.extends then inherit(parent.extends) end
  end
  add(item.options or item.fields)
  if not item.options then
    inherit(item.extends)
  else
    for _, name in ipairs(model.options_types(all, item)) do inherit(name) end
  end
  return list
end

-- The documented tables that a function's options are, if they are some: a list of names.
function model.options_types(all, item)
  local names = {}
  for _, param in ipairs(item.params) do
    for name in (param.type or ""):gmatch "[%w_]+" do
      if all.tables[name] and name:find "options$" then names[#names + 1] = name end
    end
  end
  return names
end

-- Whether the function takes a table of options.
function model.has_options(all, item)
  return #item.options > 0 or #model.options_types(all, item) > 0
end

-- Whether a name is that of a class: there are methods.
function model.is_class(all, name)
  for _, item in ipairs(all.functions) do
    if item.owner == name and item.separator == ":" then return true end
  end
end

-- Text in lines of at most 100 characters, a list's indented after the first.
function model.wrap(text, indent)
  local lines, line = {}, ""
  for word in text:gmatch "%S+" do
    if #line + #word >= 98 and line ~= "" then
      lines[#lines + 1] = line
      line = indent .. word
    else
      line = line == "" and word or line .. " " .. word
    end
  end
  lines[#lines + 1] = line
  return table.concat(lines, "\n")
end

local function check_names(all)
  for _, item in ipairs(all.tables) do
    if item.extends and not all.tables[item.extends] then
      complain(item, "extends '%s', which is not documented", item.extends)
    end
  end
end

local function by_name(a, b) return a.name < b.name end

-- The model of the list that dump.lua wrote, and the list of complaints.
function model.read(list)
  complaints = {}
  local all = { functions = {}, tables = {} }
  for _, item in ipairs(list) do
    item.public = module_of(item)
    item.summary = one_line(item.summary)
    item.text = paragraphs(item.summary .. " " .. (item.description or ""))
    if not is_sentence(item.summary) then complain(item, "begins with no sentence") end
    if (all.functions[item.name] or all.tables[item.name]) then complain(item, "is there twice") end
    if item.kind == "function" then add_function(all, item) else add_table(all, item) end
  end
  table.sort(all.functions, by_name)
  table.sort(all.tables, by_name)
  check_names(all)
  return all, complaints
end

return model
