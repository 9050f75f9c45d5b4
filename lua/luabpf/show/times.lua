-- SPDX-License-Identifier: MIT
--
-- Fields that are times: a program stores what bpf_ktime_get_ns, bpf_ktime_get_boot_ns or the
-- wall clock gave it, and nothing says so but the field's name and how close it is to now.

local core = require "luabpf.core"

local times = {}

local WORDS <const> = { "seen", "time", "stamp", "start", "expire", "created", "updated", "since",
  "last", "until" }
local SECOND <const> = 1000000000
-- A time that is further away is taken for something else.
local FARTHEST <const> = 365 * 86400 * SECOND

local function sounds_like_time(name)
  name = name:lower()
  for _, word in ipairs(WORDS) do
    if name:find(word, 1, true) then return true end
  end
  return name:find "_ns$" or name:find "^ts$" or name:find "_ts$" or name:find "^ts_"
end

local UNITS <const> = { { 86400 * SECOND, "d" }, { 3600 * SECOND, "h" }, { 60 * SECOND, "min" },
  { SECOND, "s" }, { 1000000, "ms" }, { 1000, "us" }, { 1, "ns" } }

-- "3.2 s".
function times.span(ns)
  for _, unit in ipairs(UNITS) do
    if ns >= unit[1] then return ("%.1f %s"):format(ns / unit[1], unit[2]) end
  end
  return "0 s"
end

local function by_clock(value, now, clock)
  local ago = now - value
  if ago >= 0 and ago <= FARTHEST then return ("%s ago by %s"):format(times.span(ago), clock) end
  if ago < 0 and -ago <= FARTHEST then return ("in %s by %s"):format(times.span(-ago), clock) end
end

-- What a value is by one of the clocks; nil if it is near none of them.
local function told(value)
  if value < SECOND then return nil end
  if value <= core.boottime() + FARTHEST then
    return by_clock(value, core.now(), "bpf.now()")
  end
  return by_clock(value, os.time() * SECOND, "the wall clock")
end

-- The times among the fields of a value, a line each.
-- @tparam table|nil desc the value's description
-- @param value as decoded
function times.of(desc, value)
  local lines = {}
  local function look(fields, data, path)
    for _, field in ipairs(fields or {}) do
      local name = field.name
      local at = name and type(data) == "table" and data[name]
      if not name then
        look(field.type.fields, data, path)
      elseif field.type.fields then
        look(field.type.fields, at, path .. "." .. name)
      elseif math.type(at) == "integer" and field.type.size == 8 and sounds_like_time(name) then
        local text = told(at)
        lines[#lines + 1] = text and ("%s.%s of the first entry: %s"):format(path, name, text)
      end
    end
  end
  look(desc and desc.fields, value, "value")
  return lines
end

return times
