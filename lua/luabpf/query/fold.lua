-- SPDX-License-Identifier: MIT

--- Folds: a Lua function that adds each entry to accumulators. Where all of them are
-- integers and the function compiles, they are writable slots of the program that judges,
-- in a walk inside the kernel or over batches. Else, or where one entry needs Lua, entries
-- that match are handed over whole, and Lua runs the function on views of all of them. If
-- anything fails, the accumulators are what they were.
--
-- @module luabpf.query.fold

local blocks = require "luabpf.query.blocks"
local core = require "luabpf.core"
local errors = require "luabpf.base.errors"
local handover = require "luabpf.query.handover"
local judge = require "luabpf.query.judge"
local options = require "luabpf.base.options"
local outside = require "luabpf.function.outside"
local runs = require "luabpf.query.run"

local map = core.classes["luabpf.map"]

-- Accumulators that a program has.
local MOST <const> = 64

-- ---- what accumulators were -----------------------------------------------------------

-- What a table and those in it hold: a list of { table, copy }. Tables with metatables are left.
local function contents(t, list, seen)
  if seen[t] or debug.getmetatable(t) and #list > 0 then return list end
  local copy = {}
  seen[t], list[#list + 1] = true, { t, copy }
  for k, v in next, t do
    copy[k] = v
    if type(v) == "table" then contents(v, list, seen) end
  end
  return list
end

local function restore(list)
  for _, one in ipairs(list) do
    local t, copy = one[1], one[2]
    for k in next, t do rawset(t, k, nil) end
    for k, v in next, copy do rawset(t, k, v) end
  end
end

local VIEW <const> = debug.getregistry()["luabpf.view"]

local function is_view(x)
  return type(x) == "userdata" and debug.getmetatable(x) == VIEW
end

-- Raises where a table, or those in it, hold a view: it shows nothing when the loop is over.
local function check_kept(acc, f)
  local list, seen, i = { acc }, { [acc] = true }, 1
  while list[i] do
    for k, v in next, list[i] do
      if is_view(k) or is_view(v) then
        local info = debug.getinfo(f, "S")
        error(("fold: %s:%d: the accumulators hold a view, which is over with the fold; "
          .. "bpf.copy(view) is a table that stays"):format(info.short_src, info.linedefined), 0)
      elseif type(v) == "table" and not seen[v] then
        seen[v], list[#list + 1] = true, v
      end
    end
    i = i + 1
  end
end

-- ---- by Lua -----------------------------------------------------------------------------

local function fold_batch(batch, f, acc)
  for key, value in batch:views() do f(acc, key, value) end
end

local function fold_all(self, query, plan, run, report)
  local next_batch, closing = handover.batches(self, query, plan, run, report)
  local _ <close> = closing
  local f, acc = run.computed.fn, run.acc
  for batch in next_batch do
    local ok, failure = judge.traced(fold_batch, batch, f, acc)
    if not ok then judge.raise("fold", failure, report) end
  end
  check_kept(acc, f)
  return acc
end

-- When it fails, the accumulators are as they were.
local function safely(self, query, plan, run, report)
  local before = contents(run.acc, {}, {})
  local ok, acc = pcall(fold_all, self, query, plan, run, report)
  if ok then return acc, runs.finish(query, run, report) end
  restore(before)
  error(acc, 0)
end

-- Errors blame as level says, as in error() here.
local function by_lua(self, run, level)
  local query, plan, report = runs.begin(self, "entries", run,
    { where = run.given.where, rows = true }, level + 2)
  if not query then return nil, plan, report end
  judge.begin_computed(run, report)
  return errors.caught(nil, pcall(safely, self, query, plan, run, report))
end

-- ---- by what is compiled ------------------------------------------------------------------

local folds = {}

-- What the function is compiled for; nil and why not, where the accumulators are not integers.
function folds.purpose(acc)
  local names, key = {}, {}
  if debug.getmetatable(acc) then return nil, "the accumulators have a metatable" end
  for name, value in next, acc do
    if math.type(value) ~= "integer" then
      return nil, ("accumulator '%s' is no integer"):format(tostring(name))
    elseif type(name) ~= "string" and math.type(name) ~= "integer" then
      return nil, "accumulators are named by what is neither text nor an integer"
    end
    names[#names + 1] = name
  end
  if #names > MOST then return nil, ("there are more than %d accumulators"):format(MOST) end
  table.sort(names, function(a, b)
    if type(a) == type(b) then return a < b end
    return type(a) == "number"
  end)
  for i, name in ipairs(names) do
    key[i] = ("%s %d:%s"):format(type(name), #tostring(name), name)
  end
  return { key = "\1fold " .. table.concat(key, " "), acc = names }
end

-- Takes the function: run.computed and run.names, which are the accumulators in their order.
-- Errors blame the caller of level.
local function take(self, run, f, level)
  local purpose, why = folds.purpose(run.acc)
  judge.take_computed(self, run, "function", f, level + 1, purpose, why)
  local computed = run.computed
  run.names = purpose and purpose.acc
  if computed.made and outside.reads(computed.made, computed.fn, run.acc) then
    judge.run_by_lua(run, "it reads the accumulators from outside")
  end
end

-- The accumulators as slots.
local function packed(acc, names)
  local words = {}
  for i, name in ipairs(names) do words[i] = ("<i8"):pack(acc[name]) end
  return table.concat(words)
end

-- By a walk inside the kernel: the slots; false where an entry is left to Lua; nil where the cursor
-- has to do it.
local function in_kernel(query, plan, run, report)
  if run.filter then return nil end
  local result, rows = runs.try_kernel(query, plan, run, report)
  local _ <close> = rows
  if not result then return nil end
  return result.asked == 0 and result.written
end

-- Over batches, likewise.
local function over_batches(self, query, plan, run, report, written)
  for batch in blocks.batches(self, query, plan, run, report) do
    local n, after = query.core:fold(batch, run.packed, written)
    if not n then return false end
    report.matched, written = report.matched + n, after
  end
  return written
end

-- The accumulators, changed; nil where Lua has to do it all.
local function compiled(self, query, plan, run, report)
  local before = packed(run.acc, run.names)
  run.packed = before .. run.packed:sub(#before + 1)
  local written = in_kernel(query, plan, run, report)
  if written == nil then written = over_batches(self, query, plan, run, report, before) end
  if not written then return nil end
  for i, name in ipairs(run.names) do
    run.acc[name] = ("<i8"):unpack(written, 8 * i - 7)
  end
  return run.acc, runs.finish(query, run, report)
end

local function fold(self, run, level)
  local made = run.computed.made
  if not made or made.words == 0 then return by_lua(self, run, level) end
  local query, plan, report = runs.begin(self, "fold", run,
    { where = run.given.where, fold = made }, level + 2)
  if not query then return nil, plan, report end
  judge.begin_computed(run, report)
  local acc, message, errno = errors.caught(nil, pcall(compiled, self, query, plan, run, report))
  if acc then return acc, message end
  if message then return nil, message, errno end
  judge.leave_to_lua(run, report)
  return by_lua(self, run, level)
end

--- Folds the matching entries into accumulators: calls a function for each entry, in no promised
-- order, each once. If it raises, or the system refuses, the accumulators are as they were. Where
-- the accumulators are integers and the function compiles (docs/functions.md), the kernel runs it;
-- one entry that needs Lua makes the whole fold Lua's, from the start. `bpf.copy(key)` is what may
-- be kept of a view.
-- @tparam table acc the accumulators
-- @tparam fun(acc:table,key:view,value:view) f changes them
-- @tparam[opt] query_options options what all queries take
-- @tparam[opt] where options.where the condition
-- @treturn table acc, changed
-- @treturn report what was done
-- @error the kernel refuses
-- @raise what the function raises, with `partial`, the report, and `traceback`; accumulators that
--   hold a view
-- @usage
-- local sums = map:fold({ packets = 0, most = 0 }, function(acc, key, value)
--   acc.packets = acc.packets + value.packets
--   if value.bytes > acc.most then acc.most = value.bytes end
-- end)
-- print(sums.packets, sums.most)
function map:fold(acc, f, given)
  local run = runs.new("fold", given, options.of "map:fold")
  if type(acc) ~= "table" then
    error(("fold: accumulators: table expected, got %s"):format(type(acc)), 2)
  elseif type(judge.function_of(f)) ~= "function" then
    error(("fold: function of accumulators, key and value expected, got %s"):format(type(f)), 2)
  end
  run.acc = acc
  take(self, run, f, 2)
  return fold(self, run, 2)
end

folds.fold = map.fold

return folds
