-- SPDX-License-Identifier: MIT
--
-- The room that text has: so many columns and lines of a terminal, while something is shown at the
-- prompt (room.within); else none is set, and nothing is cut. And what fits text into it: how many
-- columns a text takes, cutting it with an ellipsis, breaking it into lines.

local room = {}

-- What is in force: columns, lines; nil where nothing is cut.
local now

function room.columns() return now and now.columns end
function room.lines() return now and now.lines end

local function restore(before, ok, ...)
  now = before
  if not ok then error((...), 0) end
  return ...
end

-- Calls a function with that room in force.
-- @tparam integer|nil columns nil: nothing is cut
-- @tparam integer|nil lines
function room.within(columns, lines, fn, ...)
  local before = now
  now = columns and { columns = columns, lines = lines }
  return restore(before, pcall(fn, ...))
end

-- Whether what is long is cut there.
function room.cuts() return now ~= nil and not now.whole end

-- Calls a function in the same room, but nothing is cut: what is long goes on in more lines.
function room.whole(fn, ...)
  local before = now
  now = now and { columns = now.columns, lines = now.lines, whole = true }
  return restore(before, pcall(fn, ...))
end

-- ---- what the terminal knows ---------------------------------------------------------

local function says_utf8(name)
  local value = os.getenv(name)
  if value and value ~= "" then return value:lower():find "utf%-?8" ~= nil end
  return nil
end

local utf8_terminal = says_utf8 "LC_ALL"
if utf8_terminal == nil then utf8_terminal = says_utf8 "LC_CTYPE" end
if utf8_terminal == nil then utf8_terminal = says_utf8 "LANG" end

room.ELLIPSIS = utf8_terminal and "…" or "..."
room.TIMES = utf8_terminal and "×" or "x"
-- What bars are made of.
room.BLOCK = utf8_terminal and "█" or "#"

-- ---- widths --------------------------------------------------------------------------

-- First and last of the characters that take two columns, or none.
local WIDE <const> = { { 0x1100, 0x115f }, { 0x2e80, 0xa4cf }, { 0xac00, 0xd7a3 },
  { 0xf900, 0xfaff }, { 0xfe30, 0xfe6f }, { 0xff00, 0xff60 }, { 0xffe0, 0xffe6 },
  { 0x1f300, 0x1f64f }, { 0x1f900, 0x1f9ff }, { 0x20000, 0x3fffd } }
local NARROW <const> = { { 0x300, 0x36f }, { 0x200b, 0x200f }, { 0xfe00, 0xfe0f } }

local function is_among(code, ranges)
  for _, range in ipairs(ranges) do
    if code >= range[1] and code <= range[2] then return true end
  end
  return false
end

local function columns_of(code)
  if code < 0x300 then return 1 end
  return is_among(code, WIDE) and 2 or is_among(code, NARROW) and 0 or 1
end

-- How many columns a text takes; each byte one where it is no UTF-8.
function room.width(text)
  if not text:find "[\x80-\xff]" then return #text end
  if not utf8.len(text) then return #text end
  local n = 0
  for _, code in utf8.codes(text) do n = n + columns_of(code) end
  return n
end

-- The beginning of a text that takes at most so many columns, and the rest.
function room.split(text, wanted)
  if not text:find "[\x80-\xff]" or not utf8.len(text) then
    return text:sub(1, wanted), text:sub(wanted + 1)
  end
  local n = 0
  for at, code in utf8.codes(text) do
    n = n + columns_of(code)
    if n > wanted then return text:sub(1, at - 1), text:sub(at) end
  end
  return text, ""
end

-- A text that takes at most so many columns: the end is cut, with an ellipsis.
function room.cut(text, wanted)
  if room.width(text) <= wanted then return text end
  local mark = room.width(room.ELLIPSIS) <= wanted and room.ELLIPSIS or ""
  local part = room.split(text, wanted - room.width(mark))
  if mark ~= "" and part:sub(-#mark) == mark then return part end
  return part .. mark
end

-- Where a line of at most so many columns may end: after the last blank in it, if that is not in
-- its first half.
local function broken(line, wanted)
  local first, rest = room.split(line, wanted)
  local before, after = first:match "^(.*) (%S*)$"
  if rest:sub(1, 1) ~= " " and before and #before > #first // 2 then
    return before, after .. rest
  end
  return first, (rest:gsub("^ ", ""))
end

-- A text in lines of at most so many columns.
-- @treturn table list of lines
function room.wrap(text, wanted)
  local lines = {}
  for line in (text .. "\n"):gmatch "(.-)\n" do
    while room.width(line) > wanted do
      lines[#lines + 1], line = broken(line, math.max(wanted, 1))
    end
    lines[#lines + 1] = line
  end
  return lines
end

-- An integer with a comma after every three digits.
function room.grouped(n)
  local digits = ("%d"):format(n):reverse():gsub("(%d%d%d)", "%1,"):reverse()
  return (digits:gsub("^(%-?),", "%1"))
end

return room
