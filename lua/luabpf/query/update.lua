-- SPDX-License-Identifier: MIT

--- Changes of entries where they are: update_where. A walk inside the kernel changes
-- what matches; or the batch cursor finds what does, and a program that looks each key up
-- judges and changes it. Both store only the fields that are named (luabpf/lib/code/edit.h
-- says how), be it by text or by a function that is compiled. What Lua has to compute, it
-- computes on a copy, and a program stores it if the entry is unchanged. Single calls, which
-- replace whole values, have to be asked for, except where values have a spin lock: they take it.
--
-- A change is not made twice: no run is begun anew.
--
-- @module luabpf.query.update

local changes = require "luabpf.query.changes"
local core = require "luabpf.core"
local cpus = require "luabpf.query.cpus"
local edit = require "luabpf.query.edit"
local errors = require "luabpf.base.errors"
local judge = require "luabpf.query.judge"
local options = require "luabpf.base.options"
local pieces = require "luabpf.query.pieces"
local runs = require "luabpf.query.run"
local scan = require "luabpf.base.scan"

local map = core.classes["luabpf.map"]

-- ---- storing ------------------------------------------------------------------------

local function add(report, updated, missing, kept)
  report.updated = report.updated + updated
  report.missing = report.missing + missing
  report.kept = report.kept + kept
end

-- Raises why nothing can be stored.
local function refuse(query, why, errno)
  errors.throw(("%s: update_where: %s"):format(errors.label(query.facts.info), why), errno)
end

-- No program can be loaded: single calls, where they were asked for or take a spin lock.
local function no_program(query, run, why, errno)
  if run.cpus then refuse(query, why, errno) end
  local asked_for = run.engine == "batch" or run.engine == "walk"
  if asked_for or edit.lock(query.facts.env.value) then
    run.how, run.inexact = "calls", true
    return
  end
  refuse(query, why .. "; engine = \"batch\" changes entries by single calls", errno)
end

-- Whether what was computed is stored as what Lua computes is, since the program that computes it
-- is too complex: by one that exchanges values, if the whole value is still the one that was read.
local function exchanges_instead(run, report, why)
  if run.cpus or run.exchanges or not why:find("too complex", 1, true) then return false end
  run.exchanges, report.why = true, why .. ": entries are changed on copies"
  return true
end

-- By a program, else by single calls: `try`, given how, and what it gives.
local function stored(query, run, report, try)
  local updated, missing, kept, partial = try(run.how)
  while not updated and partial == nil and run.how == "program" do
    if not exchanges_instead(run, report, missing) then no_program(query, run, missing, kept) end
    updated, missing, kept, partial = try(run.how)
  end
  if updated then return add(report, updated, missing, kept) end
  if not partial then refuse(query, missing, kept) end
  add(report, table.unpack(partial, 1, 3))
  errors.throw(missing, kept)
end

-- Changes what was found, in pieces that do not go past the limit. by_lua: Lua judged or computed
-- it, on copies.
local function change(query, run, report, old, new, by_lua)
  pieces.each(run, report, old, #old, function(from, to)
    local was = pieces.part(old, from, to)
    stored(query, run, report, function(how)
      local is = (by_lua or run.exchanges) and pieces.part(new, from, to)
      if run.cpus and by_lua then return query.core:exchange_cpus(was, is) end
      if run.cpus then return cpus.change(run.tour, was) end
      if is then return query.core:exchange(was, is, how) end
      return query.core:change(was, run.packed, how)
    end)
  end)
end

-- ---- what Lua decides ---------------------------------------------------------------

-- Raises for an entry with a value that does not fit its field.
local function misfit(query, run, report, batch, i)
  local number, value = query.core:misfit(batch, i, run.packed)
  local message = ("%s: %s"):format(run.what, edit.misfit(query.plan, number, value))
  errors.throw(core.placed(message), nil, { partial = report, key = batch:key(i) })
end

-- Lets the function change copies of the entries: the copies, how many it got through, and the
-- error that ended it, or nil.
local function changed_by(f, batch)
  local new, n = batch:copy(), 0
  local ok, failure = judge.traced(function()
    for key, value in core.edits(new) do
      f(key, value)
      n = n + 1
    end
  end)
  return new, n, not ok and failure or nil
end

-- Those of the first n entries whose values differ.
local function differing(old, new, n)
  local _, was = old:packed()
  local _, is = new:packed()
  local stride, list = #was // #old, {}
  for i = 1, n do
    local from, to = (i - 1) * stride + 1, i * stride
    if was:sub(from, to) ~= is:sub(from, to) then list[#list + 1] = i end
  end
  return list
end

-- Changes what the function changes of entries that match.
local function by_function(query, run, report, batch)
  if #batch == 0 or pieces.room(run, report) <= 0 then return end
  report.asked = report.asked + #batch
  local new, n, failure = changed_by(run.change, batch)
  local list = differing(batch, new, n)
  change(query, run, report, batch:pick(list), new:pick(list), true)
  if failure then judge.raise("change", failure, report) end
end

-- What of a batch matches.
local function matching(query, run, report, batch)
  if run.filter then return judge.filtered(batch, run.filter, report) end
  local also = run.ask and select(2, judge.match(query, batch, run, report))
  return query.core:pick(batch, run.packed, also)
end

-- Entries that were left to Lua: whether they match is asked, what they get is computed here.
local function by_lua(query, run, report, batch)
  if pieces.room(run, report) <= 0 then return end
  if run.change then return by_function(query, run, report, matching(query, run, report, batch)) end
  local hits = run.ask and judge.asked(batch, run, report) or pieces.indices(1, #batch)
  local old, new, unfit = query.core:propose(batch, run.packed, hits)
  change(query, run, report, old, new, true)
  if unfit and pieces.room(run, report) > 0 then misfit(query, run, report, batch, unfit[1]) end
end

-- ---- the cursor ---------------------------------------------------------------------

local function sweep(self, query, plan, run, report)
  for batch in runs.blocks(self, query, plan, run, report) do
    report.visited = report.visited + #batch
    local hits = run.filter and judge.hits(batch, run.filter, report)
    local old, new, asked = query.core:propose(batch, run.packed, hits or nil)
    change(query, run, report, old, new, run.filter ~= nil)
    if asked and run.filter and run.change then
      by_function(query, run, report, batch:pick(asked))
    elseif asked and run.filter then
      misfit(query, run, report, batch, asked[1])
    elseif asked then
      by_lua(query, run, report, batch:pick(asked))
    end
    if pieces.room(run, report) <= 0 then return end
  end
  report.complete = true
end

-- ---- the kernel engine ----------------------------------------------------------------

-- True when it is done; false when nothing was: the cursor has to.
local function in_kernel(query, plan, run, report)
  local result, found = runs.walk(query, plan, run, report, { dry = run.dry_run,
    limit = run.limit, budget = 0 })
  local _ <close> = found
  if not result then return false end
  report.visited, report.matched = result.visited, result.matched - result.cut
  add(report, result.updated, 0, result.kept)
  if result.asked > 0 then by_lua(query, run, report, found:asked()) end
  report.complete = result.stop == "none"
  if result.stop == "visits" then
    errors.throw(("%s: update_where: %s"):format(errors.label(query.facts.info),
      runs.STOPPED.visits), core.errno.EAGAIN)
  end
  return true
end

-- ---- by a function --------------------------------------------------------------------

local function sweep_by_function(self, query, plan, run, report)
  for batch in runs.sources(self, query, plan, run, report) do
    report.visited = report.visited + #batch
    by_function(query, run, report, matching(query, run, report, batch))
    if pieces.room(run, report) <= 0 then return end
  end
  report.complete = true
end

-- Changes values of CPUs of what was found, up to one that does not fit.
local function change_cpus(query, run, report, found)
  local bad, plan, number, value = cpus.misfit(run.tour, found)
  change(query, run, report, bad and pieces.part(found, 1, bad - 1) or found)
  if not bad or pieces.room(run, report) <= 0 then return end
  errors.throw(("%s: %s"):format(run.what, edit.misfit(plan, number, value)), nil,
    { partial = report, key = found:key(bad) })
end

-- Values of CPUs.
local function sweep_cpus(self, query, run, report)
  for batch in runs.batches(self, run, report) do
    report.visited = report.visited + #batch
    local found = matching(query, run, report, batch)
    if run.change then
      by_function(query, run, report, found)
    else
      change_cpus(query, run, report, found)
    end
    if pieces.room(run, report) <= 0 then return end
  end
  report.complete = true
end

local function update(self, query, plan, run, report)
  if run.cpus then return sweep_cpus(self, query, run, report) end
  if run.change and not run.computed.made then
    return sweep_by_function(self, query, plan, run, report)
  end
  if run.filter or not in_kernel(query, plan, run, report) then
    sweep(self, query, plan, run, report)
  end
end

-- ---- update_where -----------------------------------------------------------------------

-- Query, plan and report of a run; nil, message, errno.
local function begin(self, run, where, what)
  local change_plan = changes.plan(self, run, what, 4)
  if not run.cpus then
    local query, plan, report = runs.begin(self, "update", run, { where = where,
      change = change_plan })
    if query then run.inexact = query.plan.inexact end
    return query, plan, report
  end
  local query, plan, errno = runs.prepare(self, "entries", run, { where = where }, 4)
  if not query then return nil, plan, errno end
  run.tour = run.change and {} or cpus.tour(self, change_plan, run.params)
  for _, one in ipairs(run.tour) do run.inexact = run.inexact or one.query.plan.inexact end
  cpus.pack(query, run, run.tour)
  local report = runs.report(plan, run)
  local ok, message, code = cpus.by_cursor(query, run, report)
  if not ok then return nil, message, code end
  return query, plan, report
end

--- What a change did; `matched` is `updated`, `missing` and `kept`.
-- @table update_report
-- @extends report
-- @tfield integer updated how many were changed
-- @tfield integer missing how many somebody else had deleted before
-- @tfield integer kept how many no longer matched, or were changed by others again and again, when
--   it was their turn

--- Changes fields of the entries that match, where they are: only what is named is written, each
-- field on its own, with atomic instructions where the field has a place for them; docs/updates.md
-- says what that is worth against other writers. The right sides read the entry before any of them
-- is stored.
-- @tparam[opt] where where the condition; nil: all entries
-- @tparam string|fun(key:view,value:view) change assignments, "value.packets = 0, value.flags =
--   value.flags | 1"; or a function that assigns to fields of the value, `value.packets = 0`, which
--   is compiled. What of it only Lua can do Lua does on copies of entries, and what it changed is
--   stored if the entry is still the same, else the entry counts as `kept`
-- @tparam[opt] query_options options what all queries take
-- @tparam[opt=false] boolean options.dry_run only counts what would be changed
-- @tparam[opt] integer options.limit at most so many
-- @treturn update_report what was done
-- @error the kernel refuses, or lets no program change the map: `engine = "batch"` asks for single
--   calls then, which replace whole values
-- @partial update_report what was done until then
-- @raise a text that does not compile, naming line and column; a value that does not fit its
--   field, and what the function raises: nothing of that entry is stored
-- @kernel 5.14, 5.17 for maps that are too large for one walk, 5.19 for per-CPU maps, whose values
--   are changed each on its own CPU: `value.f = ...` on all, `value[2].f = ...` on one
-- @privileges CAP_BPF
-- @usage
-- print(map:update_where("value.packets > 10", "value.packets = value.packets - 10").updated)
function map:update_where(where, what, given)
  local run = runs.new("update_where", given, options.of "map:update_where")
  core.check_map(self)
  local kind = scan.kind_of(self)
  if not kind.can_update or kind.fd_values or not kind.batch_lookup then
    return errors.unsupported(scan.info(self), "update_where")
  end
  run.limit = options.integer("update_where", "limit", run.given.limit, 0, math.maxinteger)
  run.dry_run, run.how, run.cpus = run.given.dry_run, "program", kind.percpu
  local query, plan, report = begin(self, run, where, what)
  if not query then return nil, plan, report end
  report.updated, report.missing, report.kept = 0, 0, 0
  if run.change then judge.begin_computed(run, report) end
  local message, errno
  if run.limit ~= 0 then
    local _
    _, message, errno = errors.caught(nil, pcall(update, self, query, plan, run, report))
  end
  runs.finish(query, run, report)
  if message then return nil, message, errno, report end
  return report
end
