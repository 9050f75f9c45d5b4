-- SPDX-License-Identifier: MIT
--
-- What records are: from the option `layout` of map:reader to the layouts and
-- tags that the C side tells records apart by.

local core = require "luabpf.core"
local layout = require "luabpf.layout.layout"
local types = require "luabpf.layout.types"

local kinds = {}

local function fail(message, ...)
  core.misuse("reader: option 'layout': " .. message:format(...))
end

-- The name of a type in BTF, "struct event", where text is one and not the type of a declaration.
local function btf_name(text)
  if text:find("\0", 1, true) then return nil end
  if text:find "^struct%s+[%a_]" or text:find "^union%s+[%a_]" then
    return (text:gsub("%s+", " "))
  end
end

-- What to do where no BTF has the type.
local function missing(name)
  local variable = name:match "[%w_]+$"
  return ("no BTF of the programs that use this map has %s: clang keeps a type only where a map, a "
    .. "variable or a parameter has it. Add to the program\n  const %s *unused_%s "
    .. "__attribute__((unused));\nor write the layout out"):format(name, name, variable)
end

-- The layout of one kind; nil, message, errno.
local function one(map, given)
  local name = type(given) == "string" and btf_name(given)
  if not name then
    local ok, made = pcall(layout.new, given, "layout", 0, { open = true })
    if ok then return made end
    core.misuse("reader: " .. tostring(made))
  end
  local found, message, errno = core.event_layout(map, name)
  if not found and errno == core.errno.ENOENT then message = missing(name) end
  if not found then return nil, message, errno end
  local ok, made = pcall(types.renamed, found)
  if ok then return made end
  core.misuse("reader: " .. tostring(made))
end

-- The numbers that tell kinds apart, in order; field is not one of them.
local function tags_of(given)
  local tags = {}
  for tag in pairs(given) do
    if tag ~= "field" then
      if math.type(tag) ~= "integer" then
        fail("the tag of a record is an integer, got %s", tostring(tag))
      end
      tags[#tags + 1] = tag
    end
  end
  table.sort(tags)
  if #tags == 0 then fail("no layouts beside field = %q", given.field) end
  if #tags > core.max_kinds then fail("more than %d kinds of records", core.max_kinds) end
  return tags
end

local function tagged(map, given)
  if type(given.field) ~= "string" then
    fail("field: string expected, got %s", type(given.field))
  end
  local what = { layouts = {}, tags = tags_of(given), field = given.field }
  for i, tag in ipairs(what.tags) do
    local found, message, errno = one(map, given[tag])
    if not found then return nil, message, errno end
    what.layouts[i] = found
  end
  return what
end

-- Reads the option.
-- @param map the map
-- @param given name, declarations, layout, list by tag, or nil
-- @treturn table { layouts =, tags =, field = } for core.reader; nil, message, errno
function kinds.read(map, given)
  if given == nil then return { layouts = {} } end
  if type(given) == "table" and given.field ~= nil then return tagged(map, given) end
  local found, message, errno = one(map, given)
  if not found then return nil, message, errno end
  return { layouts = { found } }
end

return kinds
