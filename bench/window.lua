-- SPDX-License-Identifier: MIT
--
-- The window of conditional deletes: how long an entry can still change between the look
-- at it and its deletion, after which a change is lost.
--
--   lua5.4 bench/window.lua [SECONDS]      from the checkout, as root, after make
--
-- One process (the refresher) sets an entry to "idle" and then to "live", again and again,
-- and looks whether it is still there: an entry that was live may not be gone. Another
-- (this one) deletes it all the time if it is idle. A look and a delete that take p seconds
-- together, of which w lie between the two, lose w / p of the changes that come at the same
-- time: w = p * lost / changes.

package.path = "lua/?.lua;lua/?/init.lua;" .. package.path
package.cpath = "./?.so;" .. package.cpath

local bpf = require "luabpf"

local IDLE <const>, LIVE <const> = 1, 2

-- ---- the refresher -----------------------------------------------------------------

-- Until the map's key 0 is there: how many changes from idle to live there were, and how many
-- of them are lost.
local function refresh(map)
  local changes, lost = 0, 0
  while not map:lookup(0) do
    for _ = 1, 1000 do
      map:update(1, IDLE)
      if map:update(1, LIVE, "exist") then
        changes = changes + 1
        if not map:lookup(1) then lost = lost + 1 end
      end
    end
  end
  print(changes, lost)
end

-- ---- the sweeper -------------------------------------------------------------------

local KEY <const>, WANTED <const> = string.pack("<I4", 1), string.pack("<I8", IDLE)

-- Each does the work of one look and, if the entry is idle, one delete.
local ways = {
  { name = "lookup, then delete, in Lua", step = function(map)
    if map:lookup(1) == IDLE then map:delete(1) end
  end },
  { name = "delete_batch, if_equal", step = function(map)
    map:delete_batch(KEY, { if_equal = WANTED })
  end },
  { name = "delete_where in the kernel", step = function(map)
    map:delete_where("value == 1", { engine = "kernel" })
  end },
  { name = "delete_where by batches", step = function(map)
    map:delete_where("value == 1", { engine = "batch" })
  end },
}

local function measure(way, seconds)
  local map <close> = assert(bpf.create { type = "hash", key = "u32", value = "u64",
    max_entries = 8 })
  local refresher <close> = assert(io.popen(("lua5.4 bench/window.lua --refresh %d"):format(
    map:info().id)))
  local steps, start = 0, bpf.now()
  while bpf.now() - start < seconds * bpf.duration "1s" do
    for _ = 1, 100 do way.step(map) end
    steps = steps + 100
  end
  local period = (bpf.now() - start) / steps
  map:update(0, 0)
  local changes, lost = refresher:read("n", "n")
  return period, changes, lost
end

if arg[1] == "--refresh" then
  refresh(assert(bpf.open(math.tointeger(arg[2]))))
  return
end

print(("%-30s %10s %10s %8s %12s"):format("", "ns a step", "changes", "lost", "window"))
for _, way in ipairs(ways) do
  local period, changes, lost = measure(way, tonumber(arg[1]) or 5)
  print(("%-30s %10.0f %10d %8d %9.0f ns"):format(way.name, period, changes, lost,
    period * lost / math.max(changes, 1)))
end
