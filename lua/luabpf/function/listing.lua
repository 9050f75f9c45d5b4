-- SPDX-License-Identifier: MIT

--- The listing of a function that was compiled: its instructions under the lines of the
-- source that they are for, and what is left to Lua.
--
-- @module luabpf.function.listing

local listing = {}

-- The lines of a chunk's source: of its file, or of its text.
local function lines_of(source)
  local lines = {}
  local text = source
  if source:find "^@" then
    local file <close> = io.open(source:sub(2))
    text = file and file:read "a" or ""
  elseif source:find "^=" then
    text = ""
  end
  for line in (text .. "\n"):gmatch "(.-)\n" do lines[#lines + 1] = line end
  return lines
end

local function name_of(source)
  local name = source:gsub("^[@=]", "")
  return name:find "\n" and '[string "..."]' or name
end

-- What stands above the instructions of a line.
local function heading(sources, source, number)
  sources[source] = sources[source] or lines_of(source)
  local text = sources[source][number] or ""
  return ("%s:%s: %s"):format(name_of(source), number, text:match "^%s*(.-)%s*$")
end

local function width_of(fragment)
  local width = 0
  for _, one in ipairs(fragment.listing) do width = math.max(width, #one[2]) end
  return width
end

-- The instructions as text: under each line of the source those that it became.
-- @tparam table fragment of emit.lua: listing of { index, text, part, { source, line } }
function listing.text(fragment)
  local out, sources, last, part = {}, {}, nil, nil
  local format = "%4d  %-" .. width_of(fragment) .. "s  %s"
  for _, one in ipairs(fragment.listing) do
    local at = one[4]
    local line = at and at.line and heading(sources, at.source, at.line)
    if line and line ~= last then out[#out + 1], last, part = line, line, nil end
    local text = format:format(one[1], one[2], one[3] ~= part and one[3] or "")
    out[#out + 1], part = text:gsub(" +$", ""), one[3]
  end
  return table.concat(out, "\n") .. "\n"
end

-- What is left to Lua, as text; nil where nothing is.
-- @tparam table reasons texts
function listing.reasons(reasons)
  return #reasons > 0 and table.concat(reasons, "\n") .. "\n" or nil
end

return listing
