-- SPDX-License-Identifier: MIT

--- Folds: a Lua function that adds each entry to accumulators. Entries that match are
-- handed over whole, and Lua runs the function on views of them. If anything fails, the
-- accumulators are what they were.
--
-- @module luabpf.query.fold

local blocks = require "luabpf.query.blocks"
local core = require "luabpf.core"
local errors = require "luabpf.base.errors"
local judge = require "luabpf.query.judge"
local options = require "luabpf.base.options"
local runs = require "luabpf.query.run"

local map = core.classes["luabpf.map"]

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

-- ---- by Lua -----------------------------------------------------------------------------

local function fold_batch(batch, f, acc)
  for key, value in batch:views() do f(acc, key, value) end
end

local function by_lua(self, query, plan, run, report)
  local next_block, closing = blocks.of(self, query, plan, run, report)
  local _ <close> = closing
  local f, acc = run.computed.fn, run.acc
  for block in next_block do
    judge.note_computed(run, report, #block)
    local ok, failure = judge.traced(fold_batch, block:batch(), f, acc)
    if not ok then judge.raise("fold", failure, report) end
  end
  return acc
end

-- By Lua; when it fails, the accumulators are as they were.
local function safely(self, query, plan, run, report)
  local before = contents(run.acc, {}, {})
  local ok, acc = pcall(by_lua, self, query, plan, run, report)
  if ok then return acc, runs.finish(query, run, report) end
  restore(before)
  error(acc, 0)
end

--- Folds the matching entries into accumulators: calls a function for each entry, in no promised
-- order, each once. If it raises, or the system refuses, the accumulators are as they were.
-- @tparam table acc the accumulators
-- @tparam fun(acc:table,key:view,value:view) f changes them
-- @tparam[opt] query_options options what all queries take
-- @tparam[opt] where options.where the condition
-- @treturn table acc, changed
-- @treturn report what was done
-- @error the kernel refuses
-- @raise what the function raises, with `partial`, the report, and `traceback`
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
  judge.take_computed(self, run, "function", f, 2)
  local query, plan, report = runs.begin(self, "entries", run,
    { where = run.given.where, rows = true })
  if not query then return nil, plan, report end
  judge.begin_computed(run, report)
  return errors.caught(nil, pcall(safely, self, query, plan, run, report))
end

return { fold = map.fold }
