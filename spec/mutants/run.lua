-- SPDX-License-Identifier: MIT
--
-- Whether the differential fuzz finds wrong versions of the compiler (list.lua): each is
-- tried on random functions until one gives another answer than Lua: a few first, and
-- more only where these do not find it. make mutants.
--
--   lua5.4 spec/mutants/run.lua [FUNCTIONS] [PART OF A NAME]
--
-- Ends with 1 if one is not found that should be, or found that should not.

local mutants = require "spec.mutants.list"

local MOST <const> = math.tointeger(arg[1]) or 20000
local STAGES <const> = { 400, 4000, MOST } -- functions
local BY_SEED <const> = 20 -- functions of a seed, as in the spec
local ONLY <const> = arg[2]

local function read(path)
  local file <close> = assert(io.open(path))
  return file:read "a"
end

local function write(path, text)
  local file <close> = assert(io.open(path, "w"))
  file:write(text)
end

local function path_of(mutant)
  local folder = mutant[2]:find "/" and "" or "function/"
  return ("lua/luabpf/%s%s.lua"):format(folder, mutant[2])
end

local function changed(mutant)
  local text = read(path_of(mutant))
  local from, to = text:find(mutant[3], 1, true)
  assert(from, mutant[1] .. ": its text is not in the file")
  return text:sub(1, from - 1) .. mutant[4] .. text:sub(to + 1)
end

-- Runs the fuzz over functions from one number to another; whether it failed, and its output.
local function fuzz(folder, from, to)
  local command = ("cd '%s' && LUABPF_FROM=%d LUABPF_FUNCTIONS=%d lua5.4 spec/run.lua "
    .. "spec/function/differential_spec.lua 2>&1"):format(folder, from // BY_SEED + 1, to - from)
  local pipe = io.popen(command)
  local output = pipe:read "a"
  return not pipe:close(), output
end

-- Runs it beside a copy of the Lua files; whether it found the mutant, and what it printed last.
local function try(mutant, folder)
  assert(os.execute(("rm -rf '%s' && mkdir -p '%s' && cp -r lua '%s/' && ln -s \"$PWD\"/* "
    .. "\"$PWD\"/.busted '%s/' 2>/dev/null; test -d '%s/lua/luabpf'"):format(folder, folder, folder,
    folder, folder)))
  write(("%s/%s"):format(folder, path_of(mutant)), changed(mutant))
  local from, found, output = 0, false, ""
  for _, stage in ipairs(STAGES) do
    local to = math.min(stage, MOST)
    if found or to == from then break end
    found, output = fuzz(folder, from, to)
    from = to
  end
  return found, output
end

io.stdout:setvbuf "line"
local folder = os.tmpname()
os.remove(folder)
local found, wrong = 0, 0
for _, mutant in ipairs(mutants) do
  if not ONLY or mutant[1]:find(ONLY, 1, true) then
    local caught, output = try(mutant, folder)
    found = found + (caught and 1 or 0)
    local seed = output:match "LUABPF_SEED=(%d+)"
    local how = caught and "found" or "NOT found"
    if mutant.same then how = how .. " (" .. mutant.same .. ")" end
    if caught == (mutant.same ~= nil) then wrong = wrong + 1 end
    print(("%-45s %s%s"):format(mutant[1], how, seed and ", seed " .. seed or ""))
  end
end
os.execute(("rm -rf '%s'"):format(folder))
print(("%d of %d found, %d not as they should be"):format(found, #mutants, wrong))
os.exit(wrong == 0)
