-- SPDX-License-Identifier: MIT
--
-- Against a process that refreshes entries all the time: what sweeps delete wrongly, and what scans
-- count. A wrong delete is an entry that is gone although its refresh succeeded.
--
-- LUABPF_RACE=long (make race) takes minutes and prints what is in docs/semantics.md; the short
-- form asks for less, so that chance cannot fail it.

local bpf = require "luabpf"
local race = require "spec.support.race"

local LONG <const> = os.getenv "LUABPF_RACE" == "long"
local IDLE <const> = 10000000000
local N <const> = LONG and 100000 or 25000
local SWEEPS <const> = LONG and 150 or 3
local EVENTS <const> = LONG and 30 or math.huge -- of ours, that are enough for a figure
-- The baseline must have made so many wrong deletes, or nothing is shown.
local ENOUGH <const> = LONG and 3000 or 300
local FEWER <const> = LONG and 1000 or 20
local SCANS <const> = LONG and 10000 or 300

local function note(...)
  if LONG then print(string.format(...)) end
end

-- ---- wrong deletes -------------------------------------------------------------------

-- Sweeps until enough says so: per sweep, and per sweep at a rate of a million refreshes a second.
local function measure(refresher, how, sweep, enough)
  local total = { sweeps = 0, refreshes = 0, ns = 0, lost = 0 }
  repeat
    local refreshes, ns, lost = refresher:sweep(N, how, sweep)
    total.sweeps, total.lost = total.sweeps + 1, total.lost + lost
    total.refreshes, total.ns = total.refreshes + refreshes, total.ns + ns
  until enough(total)
  total.rate = total.refreshes * 1e3 / total.ns
  total.each = total.lost / total.sweeps / total.rate
  return total
end

local function tell(name, how, total, baseline)
  note("%-8s %-9s %3d sweeps, %.2f M refreshes/s, %5d wrong deletes, %8.2f per sweep, \z
    window %7.3f us, %s", how, name, total.sweeps, total.rate, total.lost,
    total.lost / total.sweeps, total.each, baseline and total.lost > 0 and
    ("1/%.0f of the baseline's"):format(baseline.each / total.each) or "-")
end

local SWEEPERS <const> = {
  { "kernel", "now - value.last_seen > $idle",
    { params = { idle = IDLE }, engine = "kernel", budget = "10s" } },
  { "batch", "now - value.last_seen > $idle", { params = { idle = IDLE }, engine = "batch" } },
  { "function", function(_, value) return bpf.now() - value.last_seen > IDLE end,
    { engine = "batch" } },
  LONG and { "walk", "now - value.last_seen > $idle",
    { params = { idle = IDLE }, engine = "walk" } } or nil,
}

describe("a sweep of entries that are refreshed all the time", function()
  for _, how in ipairs { "replace", "place" } do
    it("deletes hardly any wrongly: " .. how, function()
      local refresher <close> = race.start(131072)
      local baseline = measure(refresher, how, function() refresher:ask("sweep " .. IDLE) end,
        function(total)
          return total.lost >= ENOUGH and total.sweeps >= SWEEPS // 10 or total.sweeps == 200
        end)
      tell("baseline", how, baseline)
      if baseline.lost < ENOUGH then
        return pending("inconclusive: the sweep to compare with made few wrong deletes itself")
      end
      for _, sweeper in ipairs(SWEEPERS) do
        local name, where, given = table.unpack(sweeper)
        local total = measure(refresher, how, function()
          local report = assert(refresher.map:delete_where(where, given))
          assert(report.complete and report.engine == given.engine)
        end, function(so_far) return so_far.lost >= EVENTS or so_far.sweeps == SWEEPS end)
        tell(name, how, total, baseline)
        assert.is_true(total.each * FEWER <= baseline.each, ("%s: %.4f against %.2f"):format(name,
          total.each, baseline.each))
      end
    end)
  end
end)

-- ---- exactly once ----------------------------------------------------------------------

describe("aggregates of keys that are replaced all the time", function()
  local STABLE <const> = 200

  local function scan(map, given)
    given.select = { "count()", "sum(value.n) as sum", "min(value.n) as lo",
      "max(value.n) as hi", "distinct(key) as all" }
    return assert(map:aggregate(given))[1]
  end

  local function same(row, whole)
    for name, value in pairs(whole) do
      if row[name] ~= value then return false end
    end
    return true
  end

  it("are right when exact = true, in a storm that the kernel engine feels", function()
    -- Fifty keys in each of four buckets: a walk over one takes as long as a few replacements.
    local refresher <close> = race.start(256)
    refresher:ask("crowd " .. STABLE)
    local whole = scan(refresher.map, { engine = "batch" })
    assert.equal(STABLE, whole.all)
    refresher:ask("go replace")
    local wrong = 0
    for _ = 1, SCANS do
      if not same(scan(refresher.map, { exact = true, batch_size = 50 }), whole) then
        wrong = wrong + 1
      end
    end
    local felt, tried, stop = 0, 0, bpf.now() + 20000000000
    while (felt == 0 or LONG and tried < SCANS) and bpf.now() < stop do
      tried = tried + 1
      if refresher.map:count("true", { engine = "kernel" }) ~= STABLE then felt = felt + 1 end
    end
    refresher:ask("halt")
    note("exact: %d of %d scans right; kernel engine: %d of %d missed or repeated an entry",
      SCANS - wrong, SCANS, felt, tried)
    assert.equal(0, wrong)
    if felt == 0 then return pending("inconclusive: the storm was too weak") end
  end)
end)
