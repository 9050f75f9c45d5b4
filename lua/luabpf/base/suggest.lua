-- SPDX-License-Identifier: MIT
--
-- What somebody may have meant who wrote a name that there is not.

local suggest = {}

-- How many letters must be changed, added or left out to make b of a.
local function distance(a, b)
  local row = {}
  for j = 0, #b do row[j] = j end
  for i = 1, #a do
    local diagonal
    diagonal, row[0] = row[0], i
    for j = 1, #b do
      local cost = a:byte(i) == b:byte(j) and 0 or 1
      diagonal, row[j] = row[j], math.min(row[j] + 1, row[j - 1] + 1, diagonal + cost)
    end
  end
  return row[#b]
end

-- The candidate that is closest to the name, if one is close: two letters off at most.
-- @tparam string name
-- @tparam table candidates a list of names
function suggest.closest(name, candidates)
  local best, least = nil, math.min(3, #name)
  for _, candidate in ipairs(candidates) do
    local d = distance(name:lower():sub(1, 64), candidate:lower():sub(1, 64))
    if d < least then best, least = candidate, d end
  end
  return best
end

-- The keys of a table that are text, sorted: as candidates.
function suggest.names(of)
  local names = {}
  for name in pairs(of) do
    if type(name) == "string" then names[#names + 1] = name end
  end
  table.sort(names)
  return names
end

-- "; did you mean 'x'?" when a candidate is close to the name, else "".
function suggest.ending(name, candidates)
  local best = suggest.closest(name, candidates)
  return best and ("; did you mean '%s'?"):format(best) or ""
end

return suggest
