-- SPDX-License-Identifier: MIT
--
-- What may stand in a string of a call of luabpf's, by what the string is for: names and pins of
-- maps, interfaces, cgroups, the parts of an expression over the fields of a map.

local core = require "luabpf.core"
local declared = require "luabpf.base.declared"
local functions = require "luabpf.expr.functions"
local help = require "luabpf.show.help"
local maps = require "luabpf.map.open"
local things = require "luabpf.prompt.things"
local topics = require "luabpf.show.topics"

local words = {}

-- ---- the system's names ------------------------------------------------------------------

-- Names in a folder that are looked at.
local MOST_NAMES <const> = 2000

local function folder_names(path)
  return core.list_folder(path) or {}
end

-- Whether there is a folder of that path.
local function is_folder(path)
  local file <close> = io.open(path .. "/.")
  return file ~= nil
end

-- The paths that a path may go on to: folders with a slash at their end. fits(path) says which of
-- the others are wanted; nil: none. Names that begin with a dot are left out unless it is written.
local function paths(given, fits)
  local folder, list = given:match "^(.*/)" or "", {}
  local hidden = given:sub(#folder + 1, #folder + 1) == "."
  for i, name in ipairs(folder_names(folder == "" and "." or folder)) do
    if i > MOST_NAMES then break end
    local path = folder .. name
    if path:sub(1, #given) == given and (hidden or name:sub(1, 1) ~= ".") then
      if is_folder(path) then
        list[#list + 1] = path .. "/"
      elseif fits and fits(path) then
        list[#list + 1] = path
      end
    end
  end
  return list
end

local function files(given)
  return paths(given, function() return true end)
end

local BPFFS <const> = "/sys/fs/bpf/"

local function pins_of(kind)
  return function(given)
    if given == "" then return { BPFFS } end
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
  names[#names + 1] = BPFFS
  return names
end

local function interfaces()
  return folder_names "/sys/class/net"
end

local function cgroups(given)
  if not given:find "^/" then return { "/sys/fs/cgroup/" } end
  return paths(given)
end

-- Names for help: whole ones, once their owner is written, and what stands after the owner.
local function help_names(given)
  local names = {}
  for name in next, topics do names[#names + 1] = name end
  for name in next, help.texts do
    local owner, short = name:match "^(.+[.:])([%w_]+)$"
    if not owner or given:sub(1, #owner - 1) == owner:sub(1, -2) then names[#names + 1] = name end
    names[#names + 1] = short
  end
  return names
end

-- The names of the methods of what help is a method of.
local function method_names(_, at)
  local names, owner = {}, things.name_of(at.callee):match "^(.*:)help$"
  for name in next, help.texts do
    if name:sub(1, #owner) == owner then names[#names + 1] = name:sub(#owner + 1) end
  end
  return names
end

local function map_types()
  local names = {}
  for i, kind in ipairs(core.maptypes) do names[i] = kind.name end
  return names
end

local function map_flags()
  return maps.flag_names(maps.ALL_FLAGS)
end

-- By function, then by the argument's number or the option's name.
local SYSTEM <const> = {
  ["bpf.open"] = { map_name_or_pin, path = pins_of "map", name = map_names },
  ["bpf.maps"] = { name = map_names, type = map_types },
  ["bpf.create"] = { type = map_types, flags = map_flags },
  ["bpf.open_or_create"] = { type = map_types, flags = map_flags },
  ["bpf.pins"] = { paths },
  ["bpf.open_program"] = { pins_of "program", path = pins_of "program" },
  ["bpf.open_link"] = { pins_of "link", path = pins_of "link" },
  ["bpf.tc_filters"] = { interfaces },
  ["program:attach"] = { xdp = interfaces, tc = interfaces, tcx = interfaces, netkit = interfaces,
    cgroup = cgroups },
  ["conntrack.start"] = { cgroup = cgroups },
  ["bpf.help"] = { help_names },
  ["map:help"] = { method_names }, ["batch:help"] = { method_names },
  ["snapshot:help"] = { method_names }, ["object:help"] = { method_names },
  ["program:help"] = { method_names }, ["link:help"] = { method_names },
  ["map:pin"] = { pins_of() }, ["program:pin"] = { pins_of() }, ["link:pin"] = { pins_of() },
}
-- Options of any function that are paths of pins.
local PINS <const> = { pin = pins_of() }
-- Arguments that are an option in short.
local SHORT <const> = { ["map:update"] = { [3] = "mode" }, ["map:push"] = { [2] = "mode" },
  ["map:update_batch"] = { [3] = "mode" } }

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

-- The description at the end of a path: "value.in.addr", "value.list[2]", of a CPU "value[2].n".
local function at_path(layouts, path)
  local desc
  for name, indexes in path:gmatch "([^.%[]+)([^.]*)" do
    if desc then
      desc = field_type(desc, name)
    else
      desc = layouts[name]
    end
    if not desc then return nil end
    for _ in indexes:gmatch "%[" do desc = desc.elem or desc end
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

local function enum_names(desc)
  local list = {}
  for i, each in ipairs(desc and desc.values or {}) do list[i] = each.name end
  return list
end

-- The names of an enum that a field is compared with: est of "value.state == 'est".
local function compared_names(layouts, before)
  local path = before:match "([%w_.%[%]]+)%s*[=~<>]+%s*'$"
  return enum_names(path and at_path(layouts, path))
end

-- The end of an expression: what may stand there, the word that it would replace, and what closes
-- that, if anything does.
local function expression(layouts, text, option)
  local before, quoted = text:match "^(.*')([^']*)$"
  if before and select(2, before:gsub("'", "")) % 2 == 1 then
    return compared_names(layouts, before), quoted, "'"
  end
  local path = text:match "[%w_.%[%]]*$"
  local owner, name = path:match "^(.*)%.([%w_]*)$"
  if not owner then return beginnings(layouts, option), path end
  return fields_of(at_path(layouts, owner)), name
end

-- ---- keys and values -----------------------------------------------------------------------

-- Arguments that are keys or values, or lists of them.
local DATA <const> = { ["map:lookup"] = { "key" }, ["map:delete"] = { "key" },
  ["map:take"] = { "key" }, ["map:next"] = { "key" }, ["map:update"] = { "key", "value" },
  ["map:push"] = { "value" }, ["map:lookup_batch"] = { "key" }, ["map:delete_batch"] = { "key" },
  ["map:update_batch"] = { "key", "value" }, ["map:upsert_batch"] = { "key", "value" } }

-- The description of the key or value whose table is being written; nil elsewhere, false where it
-- is not known.
local function data_of(at)
  local name = at.braces and things.name_of(at.callee)
  local side = name and DATA[name] and DATA[name][at.argument]
  if not side then return nil end
  local layouts = layouts_of(at.callee)
  local desc = layouts and layouts[side] or false
  if not at.within then return desc end
  return desc and field_type(desc, at.within) or false
end

-- ---- what is asked for ---------------------------------------------------------------------

-- What the system knows for this place: a function of the text so far; nil for none.
local function system_names(at)
  local name = things.name_of(at.callee)
  local which = at.option or at.argument
  return name and SYSTEM[name] and SYSTEM[name][which] or at.option and name and PINS[which] or nil
end

-- The names that a text is one of; nil where there is no such list.
local function choices_of(at)
  local name = things.name_of(at.callee)
  local option = at.option or name and SHORT[name] and SHORT[name][at.argument]
  local choices = name and option and declared[name] and declared[name][option]
  if type(choices) == "table" then return choices end
  local desc = at.option and data_of(at)
  local field = desc and field_type(desc, at.option)
  return field and field.values and enum_names(field) or nil
end

local function is_expression(at)
  local name = things.name_of(at.callee)
  local is_first = not at.option and name and at.argument <= (ARGUMENTS[name] or 0)
  return name and OPTIONS[at.option] or is_first
end

-- By option: functions of key and value beside those that stand for expressions.
local FUNCTIONS <const> = { change = true, on_delete = true }
local SIDES <const> = { "key", "value" }

-- The fields that parameter n of a function has which stands there, at a path within it (".inner");
-- nil for what is no key or value.
function words.members(at, n, path)
  local name = things.name_of(at.callee)
  local folds = at.option == "fold" or name and name:find ":fold$" and at.argument == 2
  if not name or not (folds or FUNCTIONS[at.option] or is_expression(at)) then return nil end
  local side = SIDES[folds and n - 1 or n]
  local layouts = side and layouts_of(at.callee)
  local list = layouts and fields_of(at_path(layouts, side .. path)) or {}
  for i, field in ipairs(list) do list[i] = field:gsub("%.$", "") end
  return list
end

-- What may stand in the string that is being written.
-- @tparam table at of things.call_at
-- @tparam string text the string so far
-- @tparam string|nil quote what ends the string
-- @treturn table list of candidates
-- @treturn string the part of text that they are to replace
-- @treturn string|nil what closes a candidate that is whole
function words.inside(at, text, quote)
  local of = system_names(at)
  if of then return of(text, at), text, quote end
  local choices = choices_of(at)
  if choices then return choices, text, quote end
  if is_expression(at) then
    local layouts = layouts_of(at.callee)
    if layouts then return expression(layouts, text, at.option) end
    return {}, text
  end
  return files(text), text, quote
end

words.files = files

-- The names that may begin a field of the table that is being written: options of a call, fields
-- of a key or value; nil where nothing is known.
function words.fields(at)
  local desc = data_of(at)
  local names = {}
  if desc ~= nil then
    each_field(desc or nil, function(name) names[#names + 1] = name end)
    return names
  end
  local name = not at.within and at.braces and things.name_of(at.callee)
  for option in next, name and declared[name] or {} do names[#names + 1] = option end
  return #names > 0 and names or nil
end

local function quoted(list)
  local texts_of = {}
  for i, text in ipairs(list) do texts_of[i] = ('"%s"'):format(text) end
  return texts_of
end

local function ids()
  local list = {}
  for i, info in ipairs(core.maps() or {}) do list[i] = tostring(info.id) end
  return list
end

-- What may stand as the value of an option, or as an argument, where that is one of a few things;
-- nil elsewhere.
function words.values(at)
  local name = things.name_of(at.callee)
  local which = at.option or at.argument
  if name == "bpf.open" and which == 1 then
    local list = ids()
    return table.move(quoted(map_names()), 1, MOST_NAMES, #list + 1, list)
  elseif (name == "bpf.open" or name == "bpf.maps") and which == "id" then
    return ids()
  elseif name and at.option and declared[name] and declared[name][which] == "boolean" then
    return { "false", "true" }
  end
  local choices = choices_of(at)
  if choices then return quoted(choices) end
  local of = at.option and system_names(at)
  return of and quoted(of("", at))
end

return words
