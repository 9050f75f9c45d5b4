-- SPDX-License-Identifier: MIT
--
-- What may stand in a string of a call of luabpf's, by what the string is for: names and pins of
-- maps, interfaces, cgroups, the parts of an expression over the fields of a map.

local core = require "luabpf.core"
local declared = require "luabpf.base.declared"
local functions = require "luabpf.expr.functions"
local texts = require "luabpf.show.help_texts"
local things = require "luabpf.prompt.things"
local topics = require "luabpf.show.topics"

local words = {}

-- ---- the system's names ------------------------------------------------------------------

-- Names in a folder that are looked at.
local MOST_NAMES <const> = 2000

local function folder_names(path)
  return core.list_folder(path) or {}
end

-- The paths that a path may go on to: folders with a slash at their end. fits(path) says which of
-- the others are wanted; nil: none.
local function paths(given, fits)
  local folder, list = given:match "^(.*/)" or "/", {}
  for i, name in ipairs(folder_names(folder)) do
    if i > MOST_NAMES then break end
    local path = folder .. name
    if #path >= #given and path:sub(1, #given) == given then
      if core.list_folder(path) then
        list[#list + 1] = path .. "/"
      elseif fits and fits(path) then
        list[#list + 1] = path
      end
    end
  end
  return list
end

local function pins_of(kind)
  return function(given)
    return paths(given, function(path)
      local pin = core.pinned(path)
      return pin and (not kind or pin.kind == kind) or false
    end)
  end
end

local function map_names()
  local names = {}
  for _, info in ipairs(core.maps() or {}) do
    if info.name ~= "" then names[#names + 1] = info.name end
  end
  return names
end

local function map_name_or_pin(given)
  if given:find "^/" then return pins_of "map"(given) end
  local names = map_names()
  names[#names + 1] = "/sys/fs/bpf/"
  return names
end

local function interfaces()
  return folder_names "/sys/class/net"
end

local function cgroups(given)
  if not given:find "^/" then return { "/sys/fs/cgroup/" } end
  return paths(given)
end

local function help_names()
  local names = {}
  for name in next, texts do names[#names + 1] = name end
  for name in next, topics do names[#names + 1] = name end
  return names
end

-- By function, then by the argument's number or the option's name.
local SYSTEM <const> = {
  ["bpf.open"] = { map_name_or_pin, path = pins_of "map", name = map_names },
  ["bpf.maps"] = { name = map_names },
  ["bpf.pins"] = { paths },
  ["bpf.open_program"] = { pins_of "program", path = pins_of "program" },
  ["bpf.open_link"] = { pins_of "link", path = pins_of "link" },
  ["bpf.tc_filters"] = { interfaces },
  ["program:attach"] = { xdp = interfaces, tc = interfaces, tcx = interfaces, netkit = interfaces,
    cgroup = cgroups },
  ["conntrack.start"] = { cgroup = cgroups },
  ["bpf.help"] = { help_names },
  ["map:pin"] = { pins_of() }, ["program:pin"] = { pins_of() }, ["link:pin"] = { pins_of() },
}
-- Options of any function that are paths of pins.
local PINS <const> = { pin = pins_of() }

-- ---- expressions --------------------------------------------------------------------------

-- Options that are expressions.
local OPTIONS <const> = { where = true, columns = true, select = true, sort = true, group = true }
-- How many of the first arguments are expressions.
local ARGUMENTS <const> = { ["map:count"] = 1, ["map:delete_where"] = 1, ["map:update_where"] = 2,
  ["map:hist"] = 1, ["snapshot:count"] = 1, ["bpf.compile"] = 1 }
local SUMS <const> = { "count()", "sum(", "min(", "max(", "avg(", "distinct(", "hist(" }
local PLAIN <const> = { "now", "boottime", "and ", "or ", "not ", "in " }

-- The descriptions of key and value of what a method is called on; nil where it has none in hand.
local function layouts_of(callee)
  local subject = callee.owner and callee.owner.value
  local class = subject ~= nil and things.class_of(subject)
  if type(subject) ~= "userdata" then return nil end
  if class == "map" then
    local key, value = core.layouts(subject)
    return { key = key and key:describe(), value = value and value:describe() }
  elseif class == "snapshot" then
    local header = core.classes["luabpf.snapshot"].header(subject)
    return { key = header.key, value = header.value }
  end
end

-- Calls see(name, type) for the fields that a description has in this place.
local function each_field(desc, see)
  for _, field in ipairs(desc and desc.fields or {}) do
    if field.name then see(field.name, field.type) else each_field(field.type, see) end
  end
end

local function field_type(desc, name)
  local found
  each_field(desc, function(each, kind)
    if each == name then found = kind end
  end)
  return found
end

-- The description at the end of a path, "value.in.addr".
local function at_path(layouts, path)
  local desc
  for name in path:gsub("%[%d*%]", ""):gmatch "[^.]+" do
    if desc then
      desc = field_type(desc, name)
    else
      desc = layouts[name]
    end
    if not desc then return nil end
  end
  return desc
end

local function is_struct(desc)
  return desc and desc.fields ~= nil
end

local function fields_of(desc)
  local list = {}
  each_field(desc, function(name, kind)
    list[#list + 1] = name .. (is_struct(kind) and "." or "")
  end)
  return list
end

-- What may begin a part of an expression.
local function beginnings(layouts, option)
  local list = table.move(PLAIN, 1, #PLAIN, 1, {})
  for name in next, functions do list[#list + 1] = name .. "(" end
  if option == "select" then table.move(SUMS, 1, #SUMS, #list + 1, list) end
  if option == "sort" then list[#list + 1], list[#list + 2] = "asc", "desc" end
  for _, side in ipairs { "key", "value" } do
    if layouts[side] then list[#list + 1] = side .. (is_struct(layouts[side]) and "." or "") end
  end
  return list
end

-- The names of an enum that a field is compared with: est of "value.state == 'est".
local function enum_names(layouts, before)
  local path = before:match "([%w_.%[%]]+)%s*[=~<>]+%s*'$"
  local desc, list = path and at_path(layouts, path), {}
  for i, each in ipairs(desc and desc.values or {}) do list[i] = each.name .. "'" end
  return list
end

-- The end of an expression: what may stand there, and the word that it would replace.
local function expression(layouts, text, option)
  local before, quoted = text:match "^(.*')([^']*)$"
  if before and select(2, before:gsub("'", "")) % 2 == 1 then
    return enum_names(layouts, before), quoted
  end
  local path = text:match "[%w_.%[%]]*$"
  local owner, name = path:match "^(.*)%.([%w_]*)$"
  if not owner then return beginnings(layouts, option), path end
  return fields_of(at_path(layouts, owner)), name
end

-- ---- what is asked for ---------------------------------------------------------------------

-- What may stand in the string that is being written.
-- @tparam table at of things.call_at
-- @tparam string text the string so far
-- @treturn table|nil list of candidates; nil where only the names of files are left
-- @treturn string the part of text that they are to replace
function words.inside(at, text)
  local name = things.name_of(at.callee)
  local which = at.option or at.argument
  local of = name and SYSTEM[name] and SYSTEM[name][which] or at.option and name and PINS[which]
  if of then return of(text), text end
  local choices = name and at.option and declared[name] and declared[name][at.option]
  if type(choices) == "table" then return choices, text end
  local is_first = not at.option and name and at.argument <= (ARGUMENTS[name] or 0)
  if name and OPTIONS[which] or is_first then
    local layouts = layouts_of(at.callee)
    if layouts then return expression(layouts, text, at.option) end
    return {}, text
  end
  return nil, text
end

-- The names of options that a call takes; nil for none.
function words.options(at)
  local name = things.name_of(at.callee)
  return name and at.braces and declared[name]
end

-- What an option is chosen from, in quotes; nil where it is not.
function words.choices(at)
  local name = things.name_of(at.callee)
  local choices = name and at.option and declared[name] and declared[name][at.option]
  if type(choices) ~= "table" then return nil end
  local list = {}
  for i, choice in ipairs(choices) do list[i] = ('"%s"'):format(choice) end
  return list
end

-- What may be the first argument of bpf.open: names in quotes, and ids.
function words.openable(at)
  if things.name_of(at.callee) ~= "bpf.open" or at.argument ~= 1 then return nil end
  local list = {}
  for _, info in ipairs(core.maps() or {}) do
    list[#list + 1] = tostring(info.id)
    if info.name ~= "" then list[#list + 1] = ('"%s"'):format(info.name) end
  end
  return list
end

return words
