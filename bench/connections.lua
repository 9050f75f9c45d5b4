-- SPDX-License-Identifier: MIT
--
-- The C baseline's data for Lua: its constants (connections.h, c_baseline.c), and its
-- packed keys and values as lists of tables.

local connections = {}

--- An entry last seen before is idle: one in ten.
connections.CUT = 1000000000

--- How often the first keys are looked up, by one.
connections.ROUNDS = 100000

-- The records of a packed string, as tables with those fields.
local function unpack(format, packed, names)
  local list, pos = {}, 1
  while pos <= #packed do
    local values = table.pack(string.unpack(format, packed, pos))
    local item = {}
    for i, name in ipairs(names) do item[name] = values[i] end
    list[#list + 1], pos = item, values[values.n]
  end
  return list
end

local KEY_FIELDS <const> = { "src_addr", "dst_addr", "src_port", "dst_port", "protocol" }
local VALUE_FIELDS <const> = { "last_seen", "packets", "bytes", "flags" }

function connections.keys(packed)
  return unpack("=I4I4I2I2I4", packed, KEY_FIELDS)
end

function connections.values(packed)
  return unpack("=i8i8i8i8", packed, VALUE_FIELDS)
end

--- Keys and values that are in the map: as lists of tables, and packed.
function connections.present(bench)
  local keys, values = bench.c:give "present keys", bench.c:give "present values"
  return connections.keys(keys), connections.values(values), keys, values
end

return connections
