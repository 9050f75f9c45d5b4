-- SPDX-License-Identifier: MIT
--
-- What a change is to do: from the text or the function that update_where is given to a plan of
-- edit.lua.

local edit = require "luabpf.query.edit"
local judge = require "luabpf.query.judge"
local prepare = require "luabpf.query.prepare"

local changes = {}

-- The plan of what is compiled of a function; nil where Lua runs all of it: run.computed says why.
local function compiled(self, run, f, level)
  judge.take_computed(self, run, "change", f, level, { key = "\1change", targets = {} },
    run.cpus and "values of CPUs are changed by Lua, each on its own CPU" or nil)
  local computed = run.computed
  if not computed.made then return nil end
  local ok, plan = pcall(edit.of_compiled, computed.made, prepare.facts(self).env)
  if ok then return plan end
  computed.compiled, computed.made, computed.why = false, nil, plan
  if run.given.compile then
    error(("%s: change: %s"):format(run.what, plan), level)
  end
end

-- Run.change is the function.
local function of_function(self, run, f, level)
  local value = prepare.facts(self).env.value
  if not run.cpus and (not value or not value.fields) then
    error(("%s: change: the value has no fields that a function could assign to; text can: "
      .. "'value = value + 1'"):format(run.what), level)
  end
  run.change = f
  local plan = compiled(self, run, f, level + 1)
  return plan or edit.of_function()
end

-- The plan of a change: text or a function; of per-CPU maps, where run.cpus, those of edit.of_cpus.
-- @tparam integer level whom errors blame, as in error() here
function changes.plan(self, run, what, level)
  what = judge.function_of(what)
  if type(what) == "function" then
    local plan = of_function(self, run, what, level + 1)
    return plan
  elseif type(what) ~= "string" then
    error(("%s: change: text or function expected, got %s%s"):format(run.what, type(what),
      what == nil and "; the condition comes before it, nil for all entries" or ""), level)
  end
  run.has_text = true
  local of = run.cpus and edit.of_cpus or edit.of_text
  return prepare.located("", pcall(of, what, prepare.env(self, run.params)))
end

return changes
