-- SPDX-License-Identifier: MIT
--
-- docs/architecture.md and CONTRIBUTING.md: what they name is there. A file stands in backticks by
-- its path; a function stands in backticks in the same paragraph, item or row as a path, and one of
-- the files there has it.

local function read(path)
  local file <close> = assert(io.open(path))
  return file:read "a"
end

local function exists(path)
  return os.rename(path, path) ~= nil
end

-- The paragraphs, items and rows of a page, each on one line.
local function pieces_of(page)
  local pieces = {}
  for line in read(page):gmatch "([^\n]*)\n" do
    local goes_on = pieces[1] and pieces[#pieces] ~= "" and not line:find "^[%d*|#-]" and line ~= ""
    if goes_on then
      pieces[#pieces] = pieces[#pieces] .. " " .. line
    else
      pieces[#pieces + 1] = line
    end
  end
  return pieces
end

-- The paths that a page names, and each piece's names with its paths.
local function named(page)
  local paths, pieces = {}, {}
  for i, piece in ipairs(pieces_of(page)) do
    local one = { paths = {}, names = {} }
    for code in piece:gmatch "`([^`]+)`" do
      if code:find "^[%l_]+/[%w_./]*$" or code:find "^[%w_]+%.%l+$" and exists(code) then
        paths[#paths + 1] = code
        one.paths[#one.paths + 1] = code
      elseif code:find "^%l+[_.][%l_][%l_]+$" or code:find "^map:[%l_]+$" then
        one.names[#one.names + 1] = code
      end
    end
    pieces[i] = one
  end
  return paths, pieces
end

local function any_has(paths, name)
  for _, path in ipairs(paths) do
    local text = path:find "%.[chl]" and read(path) or ""
    if text:find(name:gsub("^%l+%.", ""), 1, true) then return true end
  end
  return false
end

for _, page in ipairs { "docs/architecture.md", "CONTRIBUTING.md" } do
  describe(page, function()
    it("names files and folders that are there", function()
      local paths = named(page)
      assert(#paths > 10)
      for _, path in ipairs(paths) do assert(exists(path), path .. " is not there") end
    end)
  end)
end

describe("docs/architecture.md", function()
  it("names functions that are in the files beside them", function()
    local _, pieces = named "docs/architecture.md"
    local checked = 0
    for _, piece in ipairs(pieces) do
      for _, name in ipairs(#piece.paths > 0 and piece.names or {}) do
        assert(any_has(piece.paths, name), name .. " is in none of "
          .. table.concat(piece.paths, ", "))
        checked = checked + 1
      end
    end
    assert(checked > 30)
  end)
end)
