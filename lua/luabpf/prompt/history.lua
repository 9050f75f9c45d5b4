-- SPDX-License-Identifier: MIT
--
-- What was typed, kept in a file across sessions: an entry a line, a line's end in it written as
-- \n. The file is for its owner alone. Where it cannot be written, nothing is kept, silently.

local core = require "luabpf.core"

local history = {}

-- Entries that are loaded; a file of more than twice as many is cut to so many.
local MOST <const> = 1000

-- Where it is: LUABPF_HISTORY, else below XDG_STATE_HOME or HOME; nil for nowhere.
function history.path()
  local path = os.getenv "LUABPF_HISTORY"
  if path then return path ~= "" and path or nil end
  local state = os.getenv "XDG_STATE_HOME"
  if state and state:find "^/" then return state .. "/luabpf_history" end
  local home = os.getenv "HOME"
  return home and home:find "^/" and home .. "/.luabpf_history" or nil
end

local function encoded(entry)
  return (entry:gsub("[\\\n]", { ["\\"] = "\\\\", ["\n"] = "\\n" }))
end

local function decoded(line)
  return (line:gsub("\\(.)", function(c) return c == "n" and "\n" or c end))
end

-- The entries of a file, the oldest first: at most MOST, and how many there were.
local function read(path)
  local all, file <close> = {}, io.open(path)
  for line in file and file:lines() or function() end do all[#all + 1] = line end
  return table.move(all, math.max(#all - MOST + 1, 1), #all, 1, {}), #all
end

-- Makes the file one of those lines.
local function rewrite(path, lines)
  local new = path .. "~"
  os.remove(new)
  if core.append_private(new, table.concat(lines, "\n") .. "\n") then os.rename(new, path) end
end

-- The entries that are kept, the oldest first.
function history.load(path)
  local lines, n = read(path)
  if n > 2 * MOST then rewrite(path, lines) end
  for i, line in ipairs(lines) do lines[i] = decoded(line) end
  return lines
end

function history.add(path, entry)
  core.append_private(path, encoded(entry) .. "\n")
end

return history
