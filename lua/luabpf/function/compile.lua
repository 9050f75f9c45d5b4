-- SPDX-License-Identifier: MIT

--- Lua functions as conditions: from function(key, value) to what a query takes as
-- where. What is compiled is kept with the map, by the function's code, and used again
-- while what it read from outside is as it was (outside.lua): a closure made anew, with
-- other numbers, strings and sets, is the same program with other parameters.
--
-- @module luabpf.function.compile

local changes = require "luabpf.function.changes"
local emit = require "luabpf.function.emit"
local liveness = require "luabpf.function.liveness"
local load = require "luabpf.expr.load"
local outside = require "luabpf.function.outside"
local params = require "luabpf.expr.params"
local rows = require "luabpf.function.rows"
local run = require "luabpf.function.run"
require "luabpf.function.trees"
require "luabpf.function.places"
require "luabpf.function.compare"
require "luabpf.function.tables"
require "luabpf.function.calls"
require "luabpf.function.known"
require "luabpf.function.networks"
require "luabpf.function.loops"
require "luabpf.function.steps"
require "luabpf.function.effects"
require "luabpf.function.joins"

local compile = {}

-- Versions of one function that are kept: with other tables, other functions.
local MOST_KEPT <const> = 8
-- Functions of one map that are kept.
local MOST_FUNCTIONS <const> = 64
-- Reasons that are told in one line.
local MOST_REASONS <const> = 3

-- ---- fields that are read once --------------------------------------------------
--
-- An entry lives while it is judged: a field that is used twice must be read once, as by Lua. Such
-- fields are read into variables at the beginning. Slots of CPUs are read once as it is.

-- How often each loaded tree is used in a graph, in a list with its order.
local function uses_of(self, graph)
  local uses, order = {}, {}
  local function count(tree)
    if tree.loaded then
      local base = self.made[tree.loaded]
      if not uses[base] then order[#order + 1] = base end
      uses[base] = (uses[base] or 0) + 1
      return
    end
    for _, arg in ipairs(tree.args or {}) do count(arg) end
  end
  run.each_node(graph, function(node)
    for _, move in ipairs(node.moves or node.stores or {}) do count(move.tree) end
    if node.test then count(node.test) end
  end)
  return uses, order
end

-- A copy of a loaded tree, which itself becomes a variable.
local function into_slot(tree, slot)
  local read = {}
  for k, v in pairs(tree) do read[k] = v end
  tree.op, tree.args, tree.slot = "held", {}, slot
  return { slot = slot, tree = read }
end

local function read_once(self, graph)
  local uses, order = uses_of(self, graph)
  local moves = {}
  -- Keys do not change: theirs is only time.
  for _, of in ipairs { "value", "key" } do
    for _, tree in ipairs(order) do
      local again = tree.field == of and uses[tree] > 1 and tree.op ~= "reduced"
      local slot = again and self:new_slot()
      if slot then
        moves[#moves + 1] = into_slot(tree, slot)
      elseif again and of == "value" and not self.env.ncpu then
        run.give_up "too many fields are used more than once"
      end
    end
  end
  for i = #moves, 1, -1 do graph = { moves = { moves[i] }, next = graph } end
  return graph
end

-- ---- compiling ------------------------------------------------------------------

local function begin(self, f)
  local p, why = liveness.of(f)
  if not p then run.give_up(why) end
  local frame = { p = p, f = { v = f, src = self.root_src }, pc = 1, r = {} }
  for r = 0, p.params - 1 do frame.r[r] = self:const(nil) end
  local at = 0
  if self.purpose then self:begin_effects(frame) end
  if self.purpose and self.purpose.acc then frame.r[0], at = self:acc(), 1 end
  if p.params <= at then return self:explore(frame) end
  return self:argument(frame, at, "key", function(with_key)
    if p.params == at + 1 then return self:explore(with_key) end
    return self:argument(with_key, at + 1, "value", function(with_both)
      return self:explore(with_both)
    end)
  end)
end

-- What the graph stores in writable slots, as what the run computes (query/slots.lua).
local function computed_of(self, graph)
  if self.purpose.acc then return { words = #self.purpose.acc, outputs = {} } end
  if self.purpose.targets then return changes.finish(self, graph) end
  return graph ~= run.LUA and rows.finish(self, graph) or nil
end

local function attempt(f, env, fixed, spent, purpose)
  local self = run.new(f, env, fixed, spent, purpose)
  local graph = begin(self, f)
  if purpose then self.computed = computed_of(self, graph) end
  -- What changes an entry works on a copy, and is begun again where that was overtaken.
  self.graph = purpose and purpose.targets and graph or read_once(self, graph)
  self:check_percpu()
  return self
end

-- Compiles, with parameters as constants where they have to be. nil and why not.
local function compiled(f, env, purpose)
  local fixed, spent = {}, { n = 0 }
  while true do
    local ok, result = pcall(attempt, f, env, fixed, spent, purpose)
    if ok then return result end
    if type(result) ~= "table" or not result.gave_up then error(result, 0) end
    if not result.src or fixed[result.src] then return nil, result.why end
    fixed[result.src] = true
  end
end

-- ---- the fragment ---------------------------------------------------------------

-- What a parameter's slots hold in a run.
local function reader(made, tree)
  local src, pack = tree.src, tree.pack
  return function()
    local v = outside.resolve(src, made.ref.f)
    return pack and pack(v) or ("<i8"):pack(v)
  end
end

-- Tells trees their slots in the fragment's context. Functions of one query have clocks together,
-- and fields of CPUs (emit.lua).
local function bind(made, context)
  for _, tree in ipairs(made.slots) do
    if tree.clock then
      tree.index = params.entry(context, tree.clock, { kind = "clock" }).slot
    else
      tree.index = params.entry(context, made.key .. " " .. tree.key, { kind = "outside",
        slots = tree.n or 1, read = reader(made, tree), is_table = tree.is_table }).slot
    end
  end
  for _, tree in ipairs(made.behind) do tree.index = tree.behind.index + tree.offset_in end
end

-- What of a run is needed for its fragment: no more, as the rest holds values from outside.
local function keep(made, self)
  made.graph, made.percpu = self.graph, self.percpu
  made.slots_of_frame, made.nslots = self.slots_of_frame, self.nslots
  made.slots, made.behind = {}, {}
  for _, tree in pairs(self.made) do
    if tree.op == "slot" then
      local list = rawget(tree, "behind") and made.behind or made.slots
      list[#list + 1] = tree
    end
  end
  table.sort(made.slots, function(a, b) return a.id < b.id end)
end

local function reason_text(reason)
  local source = reason.source:gsub("^[@=]", "")
  if source:find "\n" or #source > 60 then source = '[string "..."]' end
  return ("%s:%s: %s"):format(source, reason.line or "?", reason.text)
end

-- Whether a graph has a leaf of that result.
local function has_leaf(graph, leaf)
  local found = false
  run.each_node(graph, function(node) found = found or node == leaf end)
  return found
end

local made_class = {}
made_class.__index = made_class

-- The fragment, for prepare.query: where of a query whose shared lists these are. The one that was
-- made to see whether it fits is taken where these are empty.
function made_class:build(shared)
  local first = self.first
  self.first = nil
  if first and #shared.params == 0 and #shared.percpu == 0 then
    table.move(first.params, 1, #first.params, 1, shared.params)
    table.move(first.percpu, 1, #first.percpu, 1, shared.percpu)
    return first
  end
  local context = { params = shared.params, percpu = shared.percpu }
  bind(self, context)
  context.cpu_slots = load.merged(self.percpu, context.percpu)
  return emit.graph(self.graph, context, self.slots_of_frame, self.nslots, function(leaf)
    return changes.stores(leaf, self.targets)
  end)
end

-- Takes what the function reads from outside, for the parameters of a run.
function made_class:read_outside(f)
  outside.holds(self, f)
  self.ref.f = f
end

local ids = 0

local function new_made(f)
  ids = ids + 1
  local made = setmetatable({ key = "\1function " .. ids,
    ref = setmetatable({ f = f }, { __mode = "v" }), reasons = {} }, made_class)
  for _, list in ipairs(outside.LISTS) do made[list] = {} end
  return made
end

local function failed(f, why)
  local made = new_made(f)
  made.compiled, made.why = false, why
  return made
end

-- Limits of fragments are met when one is made: tried once.
local function check_size(made)
  local shared = { params = {}, percpu = {} }
  if made.words then params.reserve(shared.params, made.words) end
  local ok, err = pcall(made.build, made, shared)
  if ok then
    made.n, made.first = err.n, not made.words and err or nil
    return true
  end
  if type(err) ~= "table" or not err.gave_up then error(err, 0) end
  made.why = err.why
  return false
end

-- Why no path ends in what is compiled: which of the reasons it is, the paths do not tell.
local function why_of(reasons)
  local text = table.concat(reasons, "; ", 1, math.min(#reasons, MOST_REASONS))
  return #reasons > MOST_REASONS and text .. "; ..." or text
end

local function make(f, env, purpose)
  local made = new_made(f)
  local self, why = compiled(f, env, purpose)
  if not self then return failed(f, why) end
  for name, value in pairs(self.computed or {}) do made[name] = value end
  made.computed = self.computed ~= nil
  for _, list in ipairs(outside.LISTS) do made[list] = self[list] end
  keep(made, self)
  for i, reason in ipairs(self.reasons) do made.reasons[i] = reason_text(reason) end
  if self.graph == run.LUA then
    made.compiled, made.why = false, why_of(made.reasons)
  elseif not check_size(made) then
    made.compiled = false
  else
    made.asks = has_leaf(self.graph, run.LUA)
    made.compiled = made.asks and "partly" or true
  end
  return made
end

-- What was compiled of a function on that map.
local function versions_of(facts, chunk)
  local known = facts.functions
  if not known or known.n >= MOST_FUNCTIONS then
    known = { n = 0, by_chunk = {} }
    facts.functions = known
  end
  if not known.by_chunk[chunk] then
    known.n, known.by_chunk[chunk] = known.n + 1, {}
  end
  return known.by_chunk[chunk]
end

-- A function as where, or for another purpose: a table of key (a text for it) and either acc (the
-- names of accumulators, integers and strings: the function takes them first and changes them), or
-- single (the column of a result that is no table made in the function, or false): it gives rows;
-- or targets (an empty list): it assigns to fields.
-- @tparam function f
-- @tparam table facts of prepare.facts: what was compiled is kept there
-- @tparam[opt] table purpose
-- @treturn table compiled (true, "partly" where some path needs Lua, false), why (of false),
--   reasons (texts "file:line: why"), asks, key and build for prepare.query, n (instructions); of a
--   purpose what slots.lua in query says is computed
function compile.where(f, facts, purpose)
  local ok, chunk = pcall(string.dump, f)
  if not ok then return failed(f, "it is no Lua function") end
  local list = versions_of(facts, chunk .. (purpose and purpose.key or ""))
  for _, made in ipairs(list) do
    if outside.holds(made, f) then
      made.ref.f = f
      return made
    end
  end
  local done, made = pcall(make, f, facts.env, purpose)
  if not done then
    -- That may be another the next time.
    if made == "not enough memory" then error(made, 0) end
    made = failed(f, "it cannot be compiled: " .. tostring(made))
  end
  if #list >= MOST_KEPT then table.remove(list, 1) end
  list[#list + 1] = made
  return made
end

return compile
