-- SPDX-License-Identifier: MIT

--- Changes of the values that CPUs have (per-CPU maps): each is changed by a run of a program on
-- its own CPU, so that what programs there add without atomic instructions is not lost. The
-- cursor finds what matches, a batch at a time; the condition is judged then, over all CPUs.
-- A tour is a list of { first, last, query, packed }: the CPUs, from 1, and what changes theirs.
--
-- @module luabpf.query.cpus

local core = require "luabpf.core"
local errors = require "luabpf.base.errors"
local params = require "luabpf.expr.params"
local prepare = require "luabpf.query.prepare"
local runs = require "luabpf.query.run"

local cpus = {}

-- Why no walk inside the kernel does it.
cpus.WHY = "values of CPUs are changed each on its own CPU, a batch at a time"

-- Takes a walk inside the kernel out of a plan: true; nil, message, errno where it was asked for.
function cpus.by_cursor(query, run, report)
  if report.engine ~= "kernel" then return true end
  local ok, message, errno = errors.caught(nil, pcall(runs.give_up, query, run, report, cpus.WHY))
  if message then return ok, message, errno end
  return true
end

-- The tour of plans of edit.lua: { first, last, plan } each.
function cpus.tour(self, plans, values)
  local tour = {}
  for i, one in ipairs(plans) do
    tour[i] = { first = one.first or 1, last = one.last or core.cpus(),
      query = prepare.query(self, "one_cpu", { change = one.plan, params = values }) }
  end
  return tour
end

-- The parameters of a run for the query that finds entries, and for all of a tour, which have them
-- together.
function cpus.pack(query, run, tour)
  local all, now, boottime = {}, core.now(), core.boottime()
  if run.made then run.made:read_outside(run.fn) end
  for _, one in ipairs(tour) do
    table.move(one.query.shared.params, 1, #one.query.shared.params, #all + 1, all)
  end
  local list = query.shared.params
  table.move(list, 1, #list, #all + 1, all)
  local function packed(of)
    return prepare.located("", pcall(params.pack, of, params.named(of, run.params), now, boottime))
  end
  prepare.located("", pcall(params.check_names, all, run.params or {}))
  for _, one in ipairs(tour) do one.packed = packed(one.query.shared.params) end
  run.packed = packed(list)
end

-- Whether all that a plan stores fits, whatever it is.
local function always_fits(plan)
  for _, store in ipairs(plan.stores) do
    if store.bits < 64 then return false end
  end
  return true
end

-- The first entry of a batch with a value that does not fit its field: its index, the plan, the
-- number of the store, the value. nil where all fit.
function cpus.misfit(tour, batch)
  local found, plan, number, value
  for _, one in ipairs(tour) do
    for i = 1, always_fits(one.query.plan) and 0 or (found or #batch + 1) - 1 do
      for cpu = one.first, one.last do
        local n, v = one.query.core:misfit(batch, i, one.packed, cpu)
        if n and (not found or i < found) then
          found, plan, number, value = i, one.query.plan, n, v
        end
      end
    end
  end
  return found, plan, number, value
end

-- Changes a batch by a tour: as query:change.
function cpus.change(tour, batch)
  local updated, missing, kept, states
  for _, one in ipairs(tour) do
    updated, missing, kept, states = one.query.core:change_cpus(batch, one.packed, one.first,
      one.last, states)
    if not updated then return nil, missing, kept, states end
  end
  return updated, missing, kept
end

return cpus
