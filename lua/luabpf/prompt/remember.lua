-- SPDX-License-Identifier: MIT
--
-- At the prompt the keys and values that a map's methods give are known by their layout, so that
-- they show their fields in order and with their types. The methods are wrapped for that; scripts,
-- which have no prompt, call them as they are.

local core = require "luabpf.core"
local display = require "luabpf.show.display"

local remember = {}

-- What a method gives: a value, a list of values, a key.
local METHODS <const> = { lookup = "value", take = "value", peek = "value", pop = "value",
  next = "key", lookup_batch = "values" }

local function describe(map, side)
  local key, value = core.layouts(map)
  local layout = key and side == "key" and key or side ~= "key" and value or nil
  local percpu = side ~= "key" and core.maptypes[core.known_info(map).type].percpu
  return layout and layout:describe(), percpu and core.cpus() or nil
end

local function note(map, side, result)
  local desc, ncpu = describe(map, side)
  if side == "values" then
    for _, each in pairs(result) do display.remember(each, desc, ncpu) end
  else
    display.remember(result, desc, ncpu)
  end
end

-- Wraps the methods of maps, once.
function remember.begin()
  local map = core.classes["luabpf.map"]
  if remember.begun then return end
  remember.begun = true
  for name, side in pairs(METHODS) do
    map[name] = core.noted(map[name], function(self, result) note(self, side, result) end)
  end
end

return remember
