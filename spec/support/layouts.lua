-- SPDX-License-Identifier: MIT
--
-- Layouts for the specs of expressions: a connection table's entry as
-- layout:describe() gives it, and the expressions of the golden listings.

local layouts = {}

local function int(name, size, signed, big)
  return { kind = "int", name = name, size = size, align = size, signed = signed or false,
    big = big or false }
end

local function plain(kind, size)
  return { kind = kind, name = kind, size = size, align = 1 }
end

local types = {
  u8 = int("u8", 1), u16 = int("u16", 2), u32 = int("u32", 4), u64 = int("u64", 8),
  s8 = int("s8", 1, true), s32 = int("s32", 4, true), s64 = int("s64", 8, true),
  be16 = int("be16", 2, false, true),
}

--- A struct of { name, type } pairs, one after the other; a number skips that many bytes.
function layouts.struct(name, members)
  local fields, offset = {}, 0
  for _, member in ipairs(members) do
    if type(member) == "number" then
      offset = offset + member
    else
      local desc = type(member[2]) == "string" and types[member[2]] or member[2]
      fields[#fields + 1] = { name = member[1], type = desc, bit = offset * 8, bits = member[3] }
      offset = offset + desc.size
    end
  end
  return { kind = "struct", name = name, size = offset, align = 1, fields = fields }
end

local state = { kind = "enum", name = "state", size = 4, align = 4, signed = false, values = {
  { name = "new", value = 0 }, { name = "established", value = 1 }, { name = "closed", value = 7 },
} }

-- A bitfield does not move on: the next member begins where it began.
local flags = int("u32", 4)

layouts.key = layouts.struct("conn_key", {
  { "src_addr", plain("ipv4", 4) }, { "dst_addr", plain("ipv4", 4) },
  { "src_port", "be16" }, { "dst_port", "be16" }, { "protocol", "u8" }, 3,
  { "peer", plain("ipv6", 16) }, { "gateway", plain("ip", 16) }, { "hw", plain("mac", 6) },
})

layouts.value = layouts.struct("conn_value", {
  { "last_seen", "u64" }, { "packets", "u64" }, { "bytes", "u64" },
  { "state", state }, { "delta", "s32" }, { "comm", plain("text", 16) },
  { "alive", plain("bool", 1) }, { "level", "s8" }, { "mss", "u16" },
  { "slots", { kind = "array", name = "u32[4]", elem = types.u32, n = 4, size = 16, align = 4 } },
  { "tuple", layouts.struct("tuple", { { "id", "u32" }, { "offset", "s64" } }) },
  { nil, layouts.struct("anonymous", { { "inner", "u16" } }) },
  { "id", plain("bytes", 4) },
  { "ratio", { kind = "float", name = "double", size = 8, align = 8 } },
  { "lock", { kind = "special", name = "bpf_spin_lock", size = 4, align = 4 } },
  { "name", plain("text", 8) },
})

for _, bits in ipairs { { "urgent", 0, 1 }, { "window", 1, 13 } } do
  table.insert(layouts.value.fields, { name = bits[1], type = flags, bits = bits[3],
    bit = layouts.value.size * 8 + bits[2] })
end
layouts.value.size = layouts.value.size + 4

--- Environments for expr.parse.
layouts.env = { key = layouts.key, value = layouts.value }
layouts.percpu = { key = layouts.key, value = layouts.value, ncpu = 4 }
layouts.scalars = { key = types.u32, value = types.s64 }
layouts.bytes = { key_size = 4, value_size = 8 }

--- name = { expression, environment }: see spec/golden.
layouts.golden = {
  idle = { "now - value.last_seen > 30s and value.state ~= 'established'", layouts.env },
  addresses = { [[key.src_addr in "10.0.0.0/8" or key.peer == "2001:db8::1"]] ..
    [[ or key.dst_addr in ("10.0.0.1", "192.168.0.0/20")]], layouts.env },
  parameters = { [[key.src_addr == $ip and value.comm == $comm and value.bytes >= $bytes]],
    layouts.env },
  ports = { "key.dst_port in (80, 443, 8080) and not value.alive", layouts.env },
  division = { "value.delta / value.tuple.offset + value.delta % 7", layouts.env },
  mixed = { "value.delta < value.bytes and value.tuple.offset == value.packets", layouts.env },
  bitfields = { "if(value.urgent == 1, value.window, value.slots[3])", layouts.env },
  percpu = { "value.bytes > 1MiB and cpu_max(value.packets) < 10 * value[2].packets",
    layouts.percpu },
  scalar = { "value * 2 + key", layouts.scalars },
  text = { "value.comm == 'nginx' or value.comm == value.name", layouts.env },
  folded = { "(2 + 3 * 4 > 10 and value.bytes >> 2 > 0) or false", layouts.env },
}

return layouts
