-- SPDX-License-Identifier: MIT
--
-- Histograms as bars: a line for each step, with its count.

local grid = require "luabpf.show.grid"
local room = require "luabpf.show.room"

local bars = {}

-- Columns of the longest bar: where nothing is cut; at most; at least.
local USUAL <const>, MOST <const>, FEWEST <const> = 40, 60, 8

local function width_for(rows)
  local columns = room.columns()
  if not columns then return USUAL end
  local range, count = #"value", #"count"
  for _, row in ipairs(rows) do
    range, count = math.max(range, #row[1]), math.max(count, #row[2])
  end
  return math.max(math.min(columns - range - count - 4, MOST), FEWEST)
end

-- @tparam table hist list of { from =, to =, count = }
-- @tparam[opt=false] boolean signed whether from and to are
-- @treturn string
function bars.text(hist, signed)
  local format, most, rows = signed and "%d" or "%u", 1, {}
  for i, step in ipairs(hist) do
    most = math.max(most, step.count)
    local from, to = format:format(step.from), format:format(step.to)
    rows[i] = { from == to and from or from .. ".." .. to, ("%d"):format(step.count), "",
      numeric = { true, true } }
  end
  if #rows == 0 then return "no entries" end
  local width = width_for(rows)
  for i, step in ipairs(hist) do
    rows[i][3] = room.BLOCK:rep(math.ceil(step.count * width / most))
  end
  return grid.text({ "value", "count", "" }, rows)
end

-- Makes a list print so.
function bars.printable(hist, signed)
  return setmetatable(hist, { __name = "luabpf.hist",
    __tostring = function(self) return bars.text(self, signed) end })
end

return bars
