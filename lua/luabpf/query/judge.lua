-- SPDX-License-Identifier: MIT

--- Lua functions as where. What of one is compiled runs wherever text would; the entries
-- that it leaves to Lua, and all of them where nothing is compiled, are judged here, on
-- views of copies, so that the answer is Lua's own and so are its errors.
--
-- A run has, of a function: fn (the function), compiled (true, "partly", false), made
-- (what was compiled), ask (the function, if entries may be left to it), filter (the
-- function, if Lua judges all of them) and why Lua does.
--
-- @module luabpf.query.judge

local canary = require "luabpf.function.canary"
local defaults = require "luabpf.base.defaults"
local errors = require "luabpf.base.errors"
local later = require "luabpf.base.later"
local listing = require "luabpf.function.listing"
local prepare = require "luabpf.query.prepare"

local judge = {}

-- Most scripts do without functions, and the compiler is large.
local compiled = later.call("luabpf.function.compile", "where")

-- A function that asks about every so many is begun in Lua the next times.
local OFTEN <const>, FEW <const> = 8, 1024
-- Runs until what asks often is tried again.
local PATIENCE <const> = 32

-- ---- beginning -----------------------------------------------------------------

-- Why functions are not compiled, whatever they are.
local function obstacle(run)
  local wanted = run.given.compile
  if wanted == nil then wanted = defaults.compile end
  if not wanted then return "compile = false" end
  if debug.gethook() then return "a debug hook is set, which has to see the function" end
  return canary.obstacle()
end

-- What is compiled of a function, or false; why a run is to begin in Lua, if it is; what the
-- compiler made. Errors blame the caller of level.
-- @tparam string what the option that the function is
-- @tparam[opt] table purpose of function/compile.lua
-- @tparam[opt] string why it is not compiled, whatever it is
local function compiled_for(self, run, what, f, level, purpose, why)
  why = obstacle(run) or why
  local made = not why and compiled(f, prepare.facts(self), purpose) or nil
  local how_much = made and made.compiled or false
  if not how_much then why = why or made.why end
  if run.given.compile and how_much ~= true then
    error(("%s: %s: %s"):format(run.what, what, why or made.reasons[1]), level + 1)
  end
  if how_much and made.often and made.often > 0 and run.what ~= "explain" then
    made.often = made.often - 1
    why = "it left too many entries to Lua: " .. made.reasons[1]
  end
  return how_much, why, made
end

-- Raises, for the caller of level, where threads are to run a function that Lua runs, and why.
function judge.check_workers(run, why, level)
  if not why or run.workers == 1 then return end
  error(("%s: workers do not run this function: %s; map:parallel does"):format(run.what, why),
    level + 1)
end

-- Takes a function as where. Errors blame the caller of level.
-- @treturn table|nil what prepare.query takes as where; nil where Lua judges all entries
function judge.take(self, run, f, level)
  local how_much, why, made = compiled_for(self, run, "where", f, level + 1)
  run.fn, run.compiled = f, how_much
  if why then
    run.filter, run.lua_why = f, why
    return nil
  end
  run.made, run.ask = made, made.asks and f or nil
  return made
end

-- ---- what functions compute ---------------------------------------------------------

-- What functions are compiled for (function/compile.lua), by option.
judge.purposes = { columns = { key = "\1columns", single = false },
  group = { key = "\1group", single = "group" } }

-- Takes a function as columns, groups, fold or change: run.computed, with made where a run is to
-- begin with what is compiled of it. Errors blame the caller of level.
-- @tparam string what the option that it is
-- @tparam[opt] table purpose of function/compile.lua
-- @tparam[opt] string why it is not compiled, whatever it is
function judge.take_computed(self, run, what, f, level, purpose, why)
  local computed = { what = what, fn = judge.function_of(f) }
  local made
  computed.compiled, computed.why, made = compiled_for(self, run, what, computed.fn, level + 1,
    purpose, why)
  judge.check_workers(run, computed.why, level + 1)
  run.computed = computed
  if not computed.why then
    computed.made, made.what = made, what
  end
end

-- Has Lua run all of a function that is compiled.
function judge.run_by_lua(run, why)
  run.computed.made, run.computed.why = nil, why
end

-- Lua has to run the whole function, as some entry needs it.
function judge.leave_to_lua(run, report)
  local computed = run.computed
  local asks = computed.made.asks and computed.made or run.made
  asks.often = PATIENCE
  judge.run_by_lua(run, "some entry needs Lua: " .. asks.reasons[1])
  report.visited, report.matched, report.asked, report.complete = 0, 0, 0, false
  report.why = computed.why
end

-- What is compiled of all functions of a run.
function judge.compiled(run)
  local computed = run.computed
  if not computed then return run.compiled end
  if not run.fn or run.compiled == computed.compiled then return computed.compiled end
  return "partly"
end

-- Into a report that is about to be filled: what is compiled.
function judge.begin_computed(run, report)
  local computed = run.computed
  report.compiled = judge.compiled(run)
  report.asked = report.asked or 0
  if computed.why then report.why = computed.why end
end

-- Entries that Lua computed something of, into the report. Those that it judged are in there.
function judge.note_computed(run, report, n)
  if not run.filter then report.asked = report.asked + n - (run.agreed or 0) end
  run.agreed = nil
end

-- The parameters of a query: what the function reads from outside is read now.
function judge.params(query, run, now, boottime)
  if run.made then run.made:read_outside(run.fn) end
  local computed = run.computed
  if computed and computed.made then computed.made:read_outside(computed.fn) end
  return prepare.params(query, run.params, now, boottime)
end

-- Into a report that is about to be filled: what is compiled.
function judge.begin_report(run, report)
  if not run.fn then return end
  report.compiled, report.asked = run.compiled, 0
  if run.filter then report.why = run.lua_why end
end

-- Notices a function that asks often.
function judge.notice(run, report)
  if not report.asked or report.asked <= FEW or report.asked * OFTEN <= report.visited then
    return
  end
  local computed = run.computed
  if run.ask then run.made.often = PATIENCE end
  if computed and computed.made and computed.made.asks then computed.made.often = PATIENCE end
end

-- A walk inside the kernel had no room for what is left to Lua.
function judge.notice_stop(run)
  local computed = run.computed
  if run.made then run.made.often = PATIENCE end
  if computed and computed.made then computed.made.often = PATIENCE end
end

-- ---- compiled by hand -----------------------------------------------------------

local by_hand = { __name = "luabpf.function" }

function by_hand:__tostring()
  return (listing.text(self.fragment):gsub("\n$", ""))
end

--- Compiles an expression or a function for a map, once: reusable as `where`. `tostring` lists the
-- instructions beside the parts of the expression, or under the lines of the source.
-- @function bpf.compile
-- @tparam string|function what the text of an expression, or a function of key and value
-- @tparam map|snapshot map whose fields it reads
-- @treturn expression the compiled expression
-- @raise a text that does not compile, naming line and column; of a function of which Lua would
--   have to judge entries, "file:line: reason"
-- @usage
-- local busy = bpf.compile("value.packets > 50", map)
-- print(bpf.compile(function(key, value) return value.packets > 50 end, map))
function judge.compile(what, map)
  if type(what) ~= "function" then return prepare.compile(what, map) end
  local f = what
  if not prepare.is_subject(map) then
    error(("compile: map or snapshot expected, got %s"):format(type(map)), 2)
  end
  local why = canary.obstacle()
  local made = not why and compiled(f, prepare.facts(map))
  if why or made.compiled ~= true then
    error(("compile: %s"):format(why or made.why or made.reasons[1]), 2)
  end
  return setmetatable({ fn = f, kind = "function", n = made.n,
    fragment = made:build { params = {}, percpu = {} } }, by_hand)
end

-- The function of what bpf.compile gave, or what was given. By name: modules may be loaded
-- twice.
function judge.function_of(where)
  local meta = getmetatable(where)
  local is_ours = type(meta) == "table" and meta.__name == by_hand.__name
  return is_ours and where.fn or where
end

-- ---- judging -------------------------------------------------------------------

local function judge_batch(batch, f, hits)
  local i = 0
  for key, value in batch:views() do
    i = i + 1
    if f(key, value) then hits[#hits + 1] = i end
  end
  return hits
end

local function with_traceback(cause)
  return { cause = cause, traceback = debug.traceback(tostring(cause), 2) }
end

-- Calls what calls a user's function: true and its results; or false and its failure, for
-- judge.raise.
function judge.traced(f, ...)
  return xpcall(f, with_traceback, ...)
end

-- Raises what a user's function raised.
-- @tparam string what the function is, as "where"
function judge.raise(what, failure, report)
  -- Out of memory: Lua calls no handler then.
  if type(failure) ~= "table" then error(failure, 0) end
  errors.throw(("%s: %s"):format(what, tostring(failure.cause)), nil,
    { partial = report, cause = failure.cause, traceback = failure.traceback })
end

-- The indices of the entries in a batch that a Lua function says yes to. The report counts those
-- that were judged, and goes with its errors.
function judge.hits(batch, f, report)
  if report and report.asked then report.asked = report.asked + #batch end
  local ok, hits = judge.traced(judge_batch, batch, f, {})
  if not ok then judge.raise("where", hits, report) end
  return hits
end

-- Those entries, as a batch.
function judge.filtered(batch, f, report)
  local hits = judge.hits(batch, f, report)
  return #hits == #batch and batch or batch:pick(hits)
end

-- The same of a batch that was left to Lua: the indices.
function judge.asked(batch, run, report)
  local hits = judge.hits(batch, run.ask, report)
  run.agreed = (run.agreed or 0) + #hits
  return hits
end

-- How many of a batch match; and the indices of those that Lua says yes to, for the query's rows
-- and pick.
function judge.match(query, batch, run, report)
  local n, asked = query.core:match(batch, run.packed)
  if not asked then return n end
  local also = judge.asked(batch:pick(asked), run, report)
  for i, hit in ipairs(also) do also[i] = asked[hit] end
  return n + #also, also
end

return judge
