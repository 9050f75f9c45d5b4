-- SPDX-License-Identifier: MIT
--
-- The table of docs/kernel-cases.md says where each case is shown: it is shown there.

local CASES <const> = 47

local texts = {}

local function text(path)
  if not texts[path] then
    local file <close> = assert(io.open(path))
    texts[path] = file:read "a"
  end
  return texts[path]
end

-- The rows of the tables: by case number, the list of files in the last column.
local function rows()
  local found = {}
  for line in io.lines "docs/kernel-cases.md" do
    local number, files = line:match "^| (%d+) | .* | ([^|]+) |$"
    if number then
      assert(not found[tonumber(number)], "case " .. number .. " has two rows")
      found[tonumber(number)] = files
    end
  end
  return found
end

describe("docs/kernel-cases.md", function()
  local found = rows()

  it("has every case", function()
    for number = 1, CASES do assert(found[number], "case " .. number .. " has no row") end
  end)

  it("names files that show it", function()
    for number, files in pairs(found) do
      for file in files:gmatch "[^, ]+" do
        assert(text("spec/" .. file):find(("[case %d]"):format(number), 1, true),
          ("case %d is not in spec/%s"):format(number, file))
      end
    end
  end)
end)
