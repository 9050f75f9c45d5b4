-- SPDX-License-Identifier: MIT
--
-- JSON for what is small: headers of files, notes beside them. Rows of exports
-- are written in C.
--
-- Integers stay integers, whatever their size within 64 bits. A list without
-- elements and a table without fields are both written as []. null is nil.

local json = {}

-- Deeper than any layout: each of its levels takes three here.
local MAX_DEPTH <const> = 256

-- ---- writing -------------------------------------------------------------------

local ESCAPES = { ['"'] = '\\"', ["\\"] = "\\\\", ["\b"] = "\\b", ["\f"] = "\\f", ["\n"] = "\\n",
  ["\r"] = "\\r", ["\t"] = "\\t" }

local function escape(c)
  return ESCAPES[c] or ("\\u%04x"):format(c:byte())
end

-- Bytes that are not UTF-8 become the characters of their numbers.
local function text(s)
  s = s:gsub('[%c"\\\127]', escape)
  if not utf8.len(s) then s = s:gsub("[\x80-\xff]", escape) end
  return '"' .. s .. '"'
end

local function number(n)
  if math.type(n) == "integer" then return ("%d"):format(n) end
  if n ~= n or n == math.huge or n == -math.huge then
    error("json: a number that JSON has no text for", 0)
  end
  return ("%.17g"):format(n)
end

local write

local function list(t, depth)
  local parts = {}
  for i, item in ipairs(t) do parts[i] = write(item, depth) end
  return "[" .. table.concat(parts, ",") .. "]"
end

local function object(t, depth)
  local names, parts = {}, {}
  for name in pairs(t) do
    if type(name) ~= "string" then error("json: a table that is neither list nor object", 0) end
    names[#names + 1] = name
  end
  table.sort(names)
  for i, name in ipairs(names) do parts[i] = text(name) .. ":" .. write(t[name], depth) end
  return "{" .. table.concat(parts, ",") .. "}"
end

function write(value, depth)
  local kind = type(value)
  if kind == "string" then return text(value) end
  if kind == "number" then return number(value) end
  if kind == "boolean" then return tostring(value) end
  if kind ~= "table" then error(("json: %s has no text"):format(kind), 0) end
  if depth > MAX_DEPTH then error("json: nested too deep", 0) end
  if #value > 0 or next(value) == nil then return list(value, depth + 1) end
  return object(value, depth + 1)
end

-- The JSON text of a value: tables are lists if they have an element 1, else objects, whose
-- names are sorted. Raises for what has no text.
-- @treturn string without line breaks
function json.encode(value)
  return write(value, 1)
end

-- ---- reading -------------------------------------------------------------------

local UNESCAPES = { ['"'] = '"', ["\\"] = "\\", ["/"] = "/", b = "\b", f = "\f", n = "\n",
  r = "\r", t = "\t" }

local function fail(at, message, ...)
  error(("json: byte %d: %s"):format(at, message:format(...)), 0)
end

local function skip(s, at)
  return s:find("[^ \t\r\n]", at) or #s + 1
end

-- The character of \uXXXX at the place after the u, and the place behind it.
local function read_unicode(s, at)
  local code = s:match("^%x%x%x%x", at)
  if not code then fail(at, "four hexadecimal digits expected") end
  local n = tonumber(code, 16)
  local low = n >= 0xd800 and n < 0xdc00 and s:match("^\\u(%x%x%x%x)", at + 4)
  low = low and tonumber(low, 16)
  if low and low >= 0xdc00 and low < 0xe000 then
    return utf8.char(0x10000 + ((n & 0x3ff) << 10 | low & 0x3ff)), at + 10
  end
  if n >= 0xd800 and n < 0xe000 then fail(at, "half of a surrogate pair") end
  return utf8.char(n), at + 4
end

local function read_text(s, at)
  local parts = {}
  at = at + 1
  while true do
    local stop = s:find('["\\%c]', at)
    if not stop then fail(#s + 1, "a string without end") end
    parts[#parts + 1] = s:sub(at, stop - 1)
    local c = s:sub(stop, stop)
    if c == '"' then return table.concat(parts), stop + 1 end
    if c ~= "\\" then fail(stop, "a control character in a string") end
    c = s:sub(stop + 1, stop + 1)
    local plain
    if c == "u" then
      plain, at = read_unicode(s, stop + 2)
    else
      plain, at = UNESCAPES[c], stop + 2
      if not plain then fail(stop, "an unknown escape") end
    end
    parts[#parts + 1] = plain
  end
end

local function read_number(s, at)
  local digits = s:match("^-?%d+", at)
  if not digits or digits:find("^-?0%d") then fail(at, "a value expected") end
  local rest = s:match("^%.%d+", at + #digits) or ""
  rest = rest .. (s:match("^[eE][+-]?%d+", at + #digits + #rest) or "")
  local value = rest == "" and math.tointeger(digits) or tonumber(digits .. rest)
  return value, at + #digits + #rest
end

local read

local function read_list(s, at, depth)
  local t = {}
  at = skip(s, at + 1)
  if s:sub(at, at) == "]" then return t, at + 1 end
  while true do
    t[#t + 1], at = read(s, at, depth)
    at = skip(s, at)
    local c = s:sub(at, at)
    if c == "]" then return t, at + 1 end
    if c ~= "," then fail(at, "',' or ']' expected") end
    at = at + 1
  end
end

local function read_object(s, at, depth)
  local t = {}
  at = skip(s, at + 1)
  if s:sub(at, at) == "}" then return t, at + 1 end
  while true do
    local name
    at = skip(s, at)
    if s:sub(at, at) ~= '"' then fail(at, "a name expected") end
    name, at = read_text(s, at)
    at = skip(s, at)
    if s:sub(at, at) ~= ":" then fail(at, "':' expected") end
    t[name], at = read(s, at + 1, depth)
    at = skip(s, at)
    local c = s:sub(at, at)
    if c == "}" then return t, at + 1 end
    if c ~= "," then fail(at, "',' or '}' expected") end
    at = at + 1
  end
end

local WORDS = { ["true"] = true, ["false"] = false }

function read(s, at, depth)
  if depth > MAX_DEPTH then fail(at, "nested too deep") end
  at = skip(s, at)
  local c = s:sub(at, at)
  if c == "{" then return read_object(s, at, depth + 1) end
  if c == "[" then return read_list(s, at, depth + 1) end
  if c == '"' then return read_text(s, at) end
  local word = s:match("^%l+", at)
  if word == "null" then return nil, at + 4 end
  if WORDS[word] ~= nil then return WORDS[word], at + #word end
  return read_number(s, at)
end

-- The value of a JSON text.
-- @tparam string s
-- @return the value; nil and what is wrong with the text
function json.decode(s)
  local ok, value, at = pcall(read, s, 1, 1)
  if not ok then return nil, value end
  at = skip(s, at)
  if at <= #s then return nil, ("json: byte %d: something follows the value"):format(at) end
  return value
end

return json
