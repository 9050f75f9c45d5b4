-- SPDX-License-Identifier: MIT

--- Changes of entries as core.query takes them: what is stored in which cells, and the
-- fragments that compute it. A plan is made of assignments in text (expr/assign.lua), of
-- a function, which Lua runs, or of fields that are reset.
--
-- @module luabpf.query.edit

local assign = require "luabpf.expr.assign"
local cells = require "luabpf.expr.cells"
local compile = require "luabpf.expr.compile"
local core = require "luabpf.core"
local tree = require "luabpf.expr.tree"

local edit = {}

local MOST <const> = core.limits.stores
-- Of entries that are left to Lua, in a walk.
local ASKED_BYTES <const> = 8 << 20

-- ---- stores -----------------------------------------------------------------------

local function same_place(a, b)
  local bit, bits = cells.extent(a)
  local other_bit, other_bits = cells.extent(b)
  return a.of == b.of and bit == other_bit and bits == other_bits
end

-- Whether a tree reads any of the bits of a field of the value.
local function reads(ast, place)
  return tree.any(ast, function(node)
    return node.op == "field" and node.of == "value" and cells.touches(node, place)
  end)
end

-- What is added where a field gets itself plus something, or less something; nil else.
local function addend(one)
  local target, value = one.target, one.value
  if not cells.is_word(target, 8) or value.op ~= "+" and value.op ~= "-" then return nil end
  local a, b = value.args[1], value.args[2]
  if value.op == "+" and b.op == "field" and same_place(b, target) then a, b = b, a end
  if a.op ~= "field" or not same_place(a, target) or reads(b, target) then return nil end
  if value.op == "+" then return b end
  return setmetatable({ op = "neg", kind = "signed", args = { b } }, { __index = b })
end

-- What has to be known of a store of a place: cell, at (its first bit), bits, signed, big, name.
-- @tparam table place desc, bit, bits
local function store_of(place, name, value_size)
  local found, why = cells.of(place, value_size)
  if not found then error(("'%s' cannot be stored: %s"):format(name, why), 0) end
  local desc, bit, bits = place.desc, cells.extent(place)
  return { cell = found, at = bit, bits = bits, name = name, place = place,
    signed = desc.signed, big = desc.big and desc.size > 1 and not place.bits or false }
end

-- Puts stores in order, once all are known; raises where two are of one field.
local function in_cells(plan)
  for i, store in ipairs(plan.stores) do
    for j = 1, i - 1 do
      if cells.touches(plan.stores[j].place, store.place) then
        error(("'%s' and '%s' are of one place, which is changed once in a call"):format(
          plan.stores[j].name, store.name), 0)
      end
    end
  end
  if #plan.stores > MOST then
    error(("more than %d fields are changed in one call"):format(MOST), 0)
  end
  plan.cells = cells.share(plan.stores)
  for _, one in ipairs(plan.cells) do plan.inexact = plan.inexact or one.how == "plain" end
  return plan
end

-- ---- text -------------------------------------------------------------------------

local function of_assignment(one, value_size)
  local store = store_of(one.target, one.name, value_size)
  store.value, store.text = one.value, one.text
  local added = store.cell.how == "exchange" and addend(one)
  if added then
    store.value, store.cell = added, { offset = store.cell.offset, size = 8, how = "add" }
  end
  store.positive = store.signed and store.value.kind == "unsigned"
  return store
end

-- The plan of assignments.
function edit.of_text(text, env)
  local plan = { key = text, stores = {} }
  for i, one in ipairs(assign.parse(text, env)) do
    plan.stores[i] = of_assignment(one, env.value_size)
  end
  return in_cells(plan)
end

-- ---- values of CPUs -----------------------------------------------------------------

-- A tree for the program of one CPU: the fields of its value are those of a value that is alone.
-- Raises where it reads another's, or where cpu is nil and it reads any.
local function of_one(ast, cpu, target)
  if ast.op == "field" and ast.of == "value" then
    if not cpu then
      error(("'%s' stands for all CPUs, which get what reads no value; value[1]... is one CPU's, "
        .. "and a function assigns to each: for cpu = 1, #value do value[cpu]... end")
        :format(target), 0)
    elseif ast.cpu ~= cpu then
      error(("'%s' is changed on its own CPU, and reads value[%d] alone, not '%s'"):format(target,
        cpu, ast.path), 0)
    end
    return setmetatable({ reduce = false, cpu = false }, { __index = ast })
  end
  if not ast.args or #ast.args == 0 then return ast end
  local args = {}
  for i, arg in ipairs(ast.args) do args[i] = of_one(arg, cpu, target) end
  return setmetatable({ args = args }, { __index = ast })
end

-- The plan of what a CPU's value gets: assignments to all, and to that one.
local function plan_of_cpu(list, cpu, text, env)
  local plan = { key = ("\1cpu %s %s"):format(cpu, text), stores = {} }
  for _, one in ipairs(list) do
    if not one.target.cpu or one.target.cpu == cpu then
      plan.stores[#plan.stores + 1] = of_assignment({ target = one.target, name = one.name,
        text = one.text, value = of_one(one.value, one.target.cpu, one.name) }, env.value_size)
    end
  end
  return #plan.stores > 0 and in_cells(plan) or nil
end

-- The plans of assignments to values of CPUs, each for the CPUs first to last.
-- @treturn table list of { first, last, plan }
function edit.of_cpus(text, env)
  local list, named, plans = assign.parse(text, env), {}, {}
  for _, one in ipairs(list) do
    if one.target.cpu then named[one.target.cpu] = true end
  end
  local cpu = 1
  while cpu <= env.ncpu do
    local last = cpu
    while not named[cpu] and last < env.ncpu and not named[last + 1] do last = last + 1 end
    local plan = plan_of_cpu(list, named[cpu] and cpu, text, env)
    if plan then plans[#plans + 1] = { first = cpu, last = last, plan = plan } end
    cpu = last + 1
  end
  return plans
end

-- The plan of a Lua function, which stores by itself, in copies.
function edit.of_function()
  return { key = "\1function", stores = {}, cells = {} }
end

-- The plan of a function that is compiled (function/changes.lua).
function edit.of_compiled(made, env)
  if #made.targets == 0 then error(made.reasons[1] or "it assigns to no field", 0) end
  local plan = { key = made.key, stores = {}, made = made }
  for i, target in ipairs(made.targets) do
    local store = store_of(target.place, target.path, env.value_size)
    if target.added and store.cell.how == "exchange" then
      store.cell = { offset = store.cell.offset, size = 8, how = "add" }
    else
      target.added = false
    end
    store.target, plan.stores[i] = target, store
  end
  in_cells(plan)
  for i, store in ipairs(plan.stores) do store.target.index = i - 1 end
  return plan
end

-- ---- reset ------------------------------------------------------------------------

local function take(place)
  local desc, name = place.desc, place.path
  local size = desc and desc.size
  if place.op ~= "field" or place.of ~= "value" then
    error("fields of the value are reset, such as value.packets", 0)
  elseif place.reduce and place.reduce ~= "sum" then
    error(("'%s' is not reset: each CPU's value is, and their sum is value.f"):format(name), 0)
  elseif desc.kind ~= "int" or place.bits or size ~= 4 and size ~= 8
    or place.bit % (8 * size) ~= 0 then
    error(("'%s' cannot be exchanged with zero: integers of 32 and 64 bits can, where the offset "
      .. "is a multiple of the size"):format(name), 0)
  end
  return { cell = { offset = place.bit // 8, size = size, how = "take" }, at = place.bit,
    bits = 8 * size, name = name, place = place }
end

-- The plan of fields that are read and zeroed: nodes of expr.parse.
function edit.of_reset(list)
  if #list == 0 then error("reset: no fields are named", 0) end
  local plan, seen, names = { stores = {} }, {}, {}
  for _, place in ipairs(list) do
    local store = take(place)
    if not seen[store.at] then
      seen[store.at], plan.stores[#plan.stores + 1] = true, store
      names[#names + 1] = store.at .. ":" .. store.bits
    end
  end
  plan.key = "\1reset " .. table.concat(names, " ")
  return in_cells(plan)
end

-- ---- the spin lock ----------------------------------------------------------------

local function lock_in(desc, bit)
  if desc.kind == "special" then return desc.name == "bpf_spin_lock" and bit // 8 or nil end
  for _, field in ipairs(desc.fields or {}) do
    local found = lock_in(field.type, bit + field.bit)
    if found then return found end
  end
end

-- The offset of the spin lock in values of that description; nil where there is none.
function edit.lock(desc)
  return desc and lock_in(desc, 0)
end

-- ---- the spec ---------------------------------------------------------------------

-- Room for entries that are left to Lua: a walk that changes cannot begin anew, so for all where a
-- function may ask. What does not fit ends it with the first such entry.
local function room_for_asked(plan, parts)
  local facts, asks = parts.facts, parts.most_asked or plan.made and plan.made.asks
  local most = facts.info.max_entries
  parts.most_asked = 1
  if asks and most * facts.entry_bytes <= ASKED_BYTES then
    parts.most_asked = most
  elseif asks then
    parts.refused = "the function may leave more entries to Lua than there is room for"
  end
end

-- Into the spec of a query.
-- @tparam function note of prepare.lua: notes a fragment for listings
-- @tparam function note_function of prepare.lua: the same for what is compiled of a function
function edit.add(plan, parts, spec, note, note_function)
  room_for_asked(plan, parts)
  if #parts.columns > 0 and not parts.record_bytes then
    parts.refused = "groups that are found by hash are taken a batch at a time"
  end
  parts.plan = plan
  spec.words, spec.puts, spec.nwritable = plan.cells, {}, #plan.stores
  for i, store in ipairs(plan.stores) do
    local fragment = store.value
      and note(parts, store.name, compile.fragment(store.value, parts.env, parts.shared))
    spec.puts[i] = { word = store.word, bit = store.bit, bits = store.bits,
      signed = store.signed or false, positive = store.positive or false, big = store.big,
      code = fragment and fragment.code }
  end
  if plan.made then spec.decide = note_function(parts, "change", plan.made).code end
  spec.lock, spec.one_cpu = edit.lock(parts.facts.env.value), parts.env.ncpu == false
end

-- ---- what does not fit --------------------------------------------------------------

-- Why the value of a store does not fit its field.
function edit.misfit(plan, number, value)
  local store = plan.stores[number]
  local shown = (store.positive or store.value and store.value.kind == "unsigned") and "%u" or "%d"
  return ("%s: %s does not fit %s of %d bits"):format(store.text or store.name,
    shown:format(value), store.signed and "a signed field" or "an unsigned field", store.bits)
end

return edit
