-- SPDX-License-Identifier: MIT
--
-- What bpftool shows of a map, for specs: local bpftool = require "spec.support.bpftool".

local bpftool = {}

-- ---- JSON ------------------------------------------------------------------------

-- Numbers come as the 64-bit pattern of the integer: a general parser would round large ones.

local value

local ESCAPES <const> = { b = "\b", f = "\f", n = "\n", r = "\r", t = "\t" }

local function text(s, at)
  local parts = {}
  while true do
    local plain, mark, next_at = s:match('^([^"\\]*)(["\\])()', at)
    parts[#parts + 1] = assert(plain, "a string without an end")
    if mark == '"' then return table.concat(parts), next_at end
    local code = s:match("^u(%x%x%x%x)", next_at)
    local letter = s:sub(next_at, next_at)
    parts[#parts + 1] = code and utf8.char(tonumber(code, 16)) or ESCAPES[letter] or letter
    at = next_at + (code and 5 or 1)
  end
end

local function number(s, at)
  local sign, digits, next_at = s:match("^(%-?)(%d+)()", at)
  assert(digits, "no JSON at " .. s:sub(at, at + 20))
  local n = 0
  for digit in digits:gmatch "%d" do n = n * 10 + tonumber(digit) end
  return sign == "-" and -n or n, next_at
end

-- Elements up to the closing bracket; element(at) takes one and returns where it ends.
local function elements(s, at, close, element)
  if s:sub(at, at) == close then return at + 1 end
  repeat
    at = element(at)
    local mark = s:sub(at, at)
    at = at + 1
  until mark ~= ","
  assert(s:sub(at - 1, at - 1) == close, "no JSON at " .. s:sub(at - 1, at + 20))
  return at
end

local function list(s, at)
  local items = {}
  at = elements(s, at, "]", function(from)
    local item, next_at = value(s, from)
    items[#items + 1] = item
    return next_at
  end)
  return items, at
end

local function object(s, at)
  local members = {}
  at = elements(s, at, "}", function(from)
    local name, item
    name, from = text(s, from + 1)
    item, from = value(s, from + 1)
    members[name] = item
    return from
  end)
  return members, at
end

function value(s, at)
  local mark = s:sub(at, at)
  if mark == "{" then return object(s, at + 1) end
  if mark == "[" then return list(s, at + 1) end
  if mark == '"' then return text(s, at + 1) end
  if s:find("^true", at) then return true, at + 4 end
  if s:find("^false", at) then return false, at + 5 end
  return number(s, at)
end

-- ---- maps ------------------------------------------------------------------------

-- The bytes of { "0x1f", "0x02" } as a string.
local function bytes(hex)
  local chars = {}
  for i, byte in ipairs(hex) do chars[i] = string.char(tonumber(byte)) end
  return table.concat(chars)
end

local function run(arguments)
  local pipe <close> = io.popen("bpftool -j " .. arguments .. " 2>&1")
  local output = pipe:read "a"
  return assert(value(output, 1), output)
end

--- The entries of a map.
-- @return a table by the key's bytes of { key =, value = } as bpftool formats them by BTF;
--   values = list, one for each CPU, in per-CPU maps; raw = the value's bytes (a list of them)
function bpftool.dump(map)
  local entries = {}
  for _, entry in ipairs(run("map dump id " .. map:info().id)) do
    local shown = entry.formatted
    local found = { key = shown.key, value = shown.value, raw = entry.value and bytes(entry.value) }
    if entry.values then
      found.values, found.raw = {}, {}
      for i, of_cpu in ipairs(entry.values) do
        found.values[i], found.raw[i] = shown.values[i].value, bytes(of_cpu.value)
      end
    end
    entries[bytes(entry.key)] = found
  end
  return entries
end

return bpftool
