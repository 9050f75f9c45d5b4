-- SPDX-License-Identifier: MIT
--
-- A filter of LDoc's: writes what it has read from the doc comments as a Lua table into the file
-- that LUABPF_DOCS names, for make.lua. LDoc runs in an older Lua: nothing here is newer than 5.1.

-- A value as Lua text; strings, numbers, booleans and tables of these.
local function text_of(value)
  if type(value) ~= "table" then
    return type(value) == "string" and ("%q"):format(value) or tostring(value)
  end
  local parts = {}
  for key, field in pairs(value) do
    parts[#parts + 1] = ("[%s]=%s"):format(text_of(key), text_of(field))
  end
  return "{" .. table.concat(parts, ",") .. "}"
end

local function joined(tag)
  return type(tag) == "table" and table.concat(tag, "\n") or tag
end

-- Parameters of a function, or fields of a table, in their order.
local function fields_of(item, kind)
  local list, modifiers = {}, item.modifiers[kind] or {}
  local function add(name)
    local given = modifiers[name] or {}
    list[#list + 1] = { name = name, text = item.params.map[name], type = given.type,
      opt = given.opt }
    for _, field in ipairs(item.subparams[name] or {}) do add(field) end
  end
  for _, name in ipairs(item.params or {}) do add(name) end
  -- Options whose table is not named: it is one that may be left out.
  for parent, fields in pairs(item.subparams or {}) do
    if not item.params.map[parent] then
      list[#list + 1] = { name = parent, type = "table", opt = true, text = "named options" }
      for _, name in ipairs(fields) do add(name) end
    end
  end
  return list
end

local function results_of(item)
  local list = {}
  for i, text in ipairs(item.ret or {}) do
    local given = item.modifiers["return"][i] or {}
    list[i] = { text = text, type = given.type, opt = given.opt }
  end
  return list
end

local function item_of(module, item)
  local is_function = item.type == "function"
  local tags = item.tags
  return { module = module.name, file = module.file, line = item.lineno, kind = item.type,
    name = item.name, summary = item.summary, description = item.description,
    fields = fields_of(item, is_function and "param" or "field"), results = results_of(item),
    raise = joined(item.raise), refused = joined(tags.refused), partial = joined(tags.partial),
    kernel = joined(tags.kernel), privileges = joined(tags.privileges),
    extends = joined(tags.extends), is = joined(tags.is), usage = joined(item.usage) }
end

local function write(modules)
  local list = {}
  for module in modules:iter() do
    for item in module.items:iter() do
      list[#list + 1] = text_of(item_of(module, item))
    end
  end
  local file = assert(io.open(os.getenv "LUABPF_DOCS", "w"))
  file:write("return {\n", table.concat(list, ",\n"), "\n}\n")
  file:close()
end

return { write = write }
