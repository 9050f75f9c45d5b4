-- SPDX-License-Identifier: MIT
--
-- Random functions, seed by seed, for the specs that compare what is compiled with Lua; and why
-- some are not compiled.
--
-- LUABPF_SEED=n runs the functions of that seed only, LUABPF_FUNCTIONS=n another number,
-- LUABPF_FROM=n begins with that seed, LUABPF_FUZZ=s takes new seeds for so many seconds (make
-- fuzz).

local core = require "luabpf.core"

local fuzz = {}

local SEED <const> = math.tointeger(os.getenv "LUABPF_SEED")
local FROM <const> = math.tointeger(os.getenv "LUABPF_FROM") or 1
local FUZZ <const> = tonumber(os.getenv "LUABPF_FUZZ")
local FUNCTIONS <const> = math.tointeger(os.getenv "LUABPF_FUNCTIONS")

--- Texts of a seed. Of each there are two functions: the second is the same program with other
-- parameters, or another one.
fuzz.BY_SEED = 10

--- Of one seed alone nothing can be said about shares.
fuzz.is_one = SEED ~= nil

--- As pcall(f, ...), but what f raises names the seed.
function fuzz.with_seed(seed, f, ...)
  local ok, err = pcall(f, ...)
  if not ok then error(("LUABPF_SEED=%d: %s"):format(seed, err), 0) end
end

--- Calls run_seed(seed) for all seeds; the report is printed where somebody asked for more.
-- @tparam integer functions how many there are to be
-- @tparam function report gives a text
function fuzz.run(functions, run_seed, report)
  local first = SEED or FUZZ and os.time() * 1000 or FROM
  local last = SEED or FUZZ and math.maxinteger
    or first + (FUNCTIONS or functions) // (2 * fuzz.BY_SEED) - 1
  local stop = core.now() + (FUZZ or 1e9) * 1e9 // 1
  for seed = first, last do
    fuzz.with_seed(seed, run_seed, seed)
    if core.now() > stop then break end
  end
  if FUZZ or FUNCTIONS then print(report()) end
end

--- Calls run_seed(seed) for so many seeds, or for the one that is asked for.
function fuzz.seeds(n, run_seed)
  for seed = SEED or 1, SEED or n do run_seed(seed) end
end

--- Counts why a function is not compiled.
function fuzz.note(reasons, why)
  why = why:gsub("^.-:%d+: ", ""):gsub("'[^']*'", "'..'")
  reasons[why] = (reasons[why] or 0) + 1
end

--- Those, the most frequent first, as lines.
function fuzz.frequent(reasons)
  local list, lines = {}, {}
  for why, n in pairs(reasons) do list[#list + 1] = { n = n, why = why } end
  table.sort(list, function(a, b) return a.n > b.n end)
  for i = 1, math.min(#list, 25) do lines[i] = ("%6d  %s"):format(list[i].n, list[i].why) end
  return table.concat(lines, "\n")
end

return fuzz
