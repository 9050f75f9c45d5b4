-- SPDX-License-Identifier: MIT
--
-- Fields: from a name or an index to the place of a value within its layout's
-- description (see layout:describe()). A place is { desc =, bit =, bits = }: the
-- type there, its offset in bits from the start of the key or value, and the
-- width when it is a bitfield.

local literal = require "luabpf.expr.literal"

local fields = {}

-- The place of a whole key or value.
function fields.root(desc)
  return { desc = desc, bit = 0 }
end

-- Calls see(field, bit) for each named member, those of anonymous members included.
local function each_member(desc, bit, see)
  for _, field in ipairs(desc.fields) do
    if field.name then
      see(field, bit + field.bit)
    else
      each_member(field.type, bit + field.bit, see)
    end
  end
end

-- The place of a member. Or nil and the reason.
-- @tparam table place
-- @tparam string name
-- @tparam string path what the place is called in messages
function fields.member(place, name, path)
  local kind = place.desc.kind
  if kind ~= "struct" and kind ~= "union" then
    return nil, ("'%s' is %s and has no fields"):format(path, fields.what(place.desc))
  end
  local found, names = nil, {}
  each_member(place.desc, place.bit, function(field, bit)
    names[#names + 1] = field.name
    if field.name == name then
      local bits = field.bits ~= 0 and field.bits or nil
      found = { desc = field.type, bit = bit, bits = bits }
    end
  end)
  if found then return found end
  return nil, ("no field '%s' in %s%s"):format(name, path, literal.suggest(name, names))
end

-- The place of an array's element, counted from 1. Or nil and the reason.
function fields.element(place, index, path)
  local desc = place.desc
  if desc.kind ~= "array" then
    return nil, ("'%s' is %s and has no elements"):format(path, fields.what(desc))
  end
  if index < 1 or index > desc.n then
    return nil, ("index %d of %s is outside 1 to %d"):format(index, path, desc.n)
  end
  return { desc = desc.elem, bit = place.bit + (index - 1) * desc.elem.size * 8 }
end

local words = {
  int = "an integer", bool = "a condition", float = "a float", text = "text", bytes = "bytes",
  ipv4 = "an IPv4 address", ipv6 = "an IPv6 address", ip = "an IP address", mac = "a MAC address",
  prefix4 = "an IPv4 prefix", prefix6 = "an IPv6 prefix", enum = "an enum",
  pointer = "a pointer", special = "a kernel object", array = "an array", struct = "a struct",
  union = "a union",
}

-- "an integer", "a struct", ...: the type in a message.
function fields.what(desc)
  return words[desc.kind]
end

return fields
