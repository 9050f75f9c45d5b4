-- SPDX-License-Identifier: MIT

--- From the texts of a query to something that runs: expressions parsed and
-- compiled against the layouts of the map, their fragments put together in a
-- core query. What is prepared is kept with the handle and used again.
--
-- What can be queried is a subject: a map, or a snapshot. Its source says how.
--
-- @module luabpf.query.prepare

local compile = require "luabpf.expr.compile"
local core = require "luabpf.core"
local cost = require "luabpf.query.cost"
local edit = require "luabpf.query.edit"
local expr = require "luabpf.expr.parse"
local order = require "luabpf.query.order"
local parameters = require "luabpf.expr.params"
local scan = require "luabpf.base.scan"
local slots = require "luabpf.query.slots"
require "luabpf.map.methods"

local prepare = {}

-- More than this many queries of one handle are not kept.
local MOST_KEPT <const> = 64
-- Words of 8 bytes that the columns of a row have together.
local MOST_WORDS <const> = core.limits.columns
-- An expression of more comparisons takes the verifier too long.
local MOST_COMPARISONS <const> = 1024

-- ---- what expressions mean in a map ---------------------------------------------

-- By handle: env, the prepared queries.
local kept = setmetatable({}, { __mode = "k" })

-- By class of subject, its source: a table of
--   check(subject)            raises unless it is open
--   facts(subject)            what is known of it, see prepare.facts
--   batches(subject, options) an iterator of batches of all its entries: batch_size, engine, raw
local sources = {}

local map_source = { check = core.check_map, batches = core.classes["luabpf.map"].batches }

function map_source.facts(self)
  local info = scan.info(self)
  local key, value = core.layouts(self)
  local kind = core.maptypes[info.type]
  local ncpu = kind.percpu and core.cpus() or nil
  return {
    info = info, kind = kind, handle = self, threads = true,
    obstacle = not kind.for_each and ("programs cannot walk %s maps"):format(kind.name) or nil,
    entry_bytes = info.key_size + (ncpu and core.cpu_stride(info.value_size) * ncpu
      or info.value_size),
    env = { key = key and key:describe(), value = value and value:describe(),
      key_size = info.key_size, value_size = info.value_size, ncpu = ncpu,
      unread = info.btf_id ~= 0 },
    zeros = value and value:specials() or {},
  }
end

sources["luabpf.map"] = map_source

-- Makes handles of a class subjects.
-- @tparam string class as "luabpf.map"
function prepare.add_source(class, source)
  sources[class] = source
end

-- The source of a subject; nil or false for anything else.
local function known(subject)
  local meta = getmetatable(subject)
  return type(meta) == "table" and sources[meta.__name]
end

-- Whether that can be queried: a map or a snapshot.
function prepare.is_subject(subject)
  return known(subject) and true or false
end

-- The source of a subject, which is open; raises for anything else.
function prepare.source(subject)
  local source = known(subject)
  if not source then return core.check_map(subject) end
  source.check(subject)
  return source
end

-- What is known of a subject whatever the query.
-- @treturn table info and kind (of maptype.c, or as if), handle (that core.query takes), obstacle
--   (why no program can walk it, or nil), threads (whether several may read it), entry_bytes, env
--   for expr.parse, zeros
function prepare.facts(subject)
  local source = prepare.source(subject)
  local facts = kept[subject]
  if not facts then
    facts = source.facts(subject)
    facts.queries, facts.n = {}, 0
    kept[subject] = facts
  end
  return facts
end

-- ---- compiled expressions --------------------------------------------------------

local compiled = { __name = "luabpf.expression" }
compiled.__index = compiled

function compiled:__tostring()
  return compile.listing(self.fragment):gsub("\n$", "")
end

--- An expression that `bpf.compile` compiled; `tostring` lists its instructions.
-- @table expression
-- @tfield string text the expression as it was given
-- @tfield "condition"|"signed"|"unsigned" kind what it gives

--- A condition: the text of an expression, a compiled one, or a function of key and value, which
-- gets views.
-- @table where
-- @is string|expression|fun(key:view,value:view):any

--- Columns: text with commas between them, a list, or a table of name = expression. "value.bytes
-- as b" names one.
-- @table columns
-- @is string|string[]|table<string,string>

-- An expression compiled for a map, as bpf.compile gives it.
function prepare.compile(text, map)
  if type(text) ~= "string" then
    core.misuse(("compile: text expected, got %s"):format(type(text)))
  end
  if not known(map) then
    core.misuse(("compile: map or snapshot expected, got %s"):format(type(map)))
  end
  local env = prepare.facts(map).env
  local ast = expr.parse(text, env)
  return setmetatable({ text = text, kind = ast.kind, fragment = compile.fragment(ast, env) },
    compiled)
end

-- The text of a `where` that is text or a compiled expression; nil for nothing.
-- @tparam integer level whom the error for anything else blames, as in error() here
function prepare.text(where, what, level)
  if where == nil or type(where) == "string" then return where end
  if type(where) == "table" and where.build then return where end
  local meta = getmetatable(where)
  if type(meta) == "table" and meta.__name == compiled.__name then return where.text end
  error(("%s: where: text, compiled expression or function expected, got %s"):format(what,
    type(where)), level)
end

-- ---- the parts of a query --------------------------------------------------------

-- What texts mean; sets: the lists and sets among the parameters, which are compiled in.
local function env_of(facts, sets)
  return sets and setmetatable({ sets = sets }, { __index = facts.env }) or facts.env
end

-- The same for a run with these parameters.
function prepare.env(subject, values)
  return env_of(prepare.facts(subject), (parameters.sets(values)))
end

local function new_parts(facts, sets)
  return { facts = facts, env = env_of(facts, sets), shared = { params = {}, percpu = {} },
    comparisons = 0, columns = {}, bits = {}, outputs = {}, listings = {} }
end

local function note(parts, title, fragment)
  parts.comparisons = parts.comparisons + fragment.comparisons
  parts.listings[#parts.listings + 1] = { title, fragment }
  return fragment
end

-- The same for a function, which may be too much beside what else the query has.
local function note_function(parts, title, made)
  local ok, fragment = pcall(made.build, made, parts.shared)
  if ok then return note(parts, title, fragment) end
  if type(fragment) ~= "table" or not fragment.gave_up then error(fragment, 0) end
  core.misuse(("%s: with the rest of the query %s; compile = false leaves functions to Lua")
    :format(title, fragment.why))
end

local function add_function(parts, made)
  local fragment = note_function(parts, "where", made)
  parts.where, parts.instructions = fragment, fragment.run
  if made.asks then parts.most_asked = cost.most_asked(parts.facts) end
end

-- What a function computes of what matches is done by the program that judges.
local function add_computed(parts, made)
  local fragment = note_function(parts, made.what, made)
  parts.where = slots.joined(parts.where, fragment)
  parts.instructions = parts.where.run
  if made.asks then parts.most_asked = cost.most_asked(parts.facts) end
end

local function add_where(parts, text)
  if not text then return end
  if type(text) == "table" then return add_function(parts, text) end
  local ast = expr.condition(text, parts.env)
  parts.where = note(parts, "where", compile.fragment(ast, parts.env, parts.shared))
end

-- Raises where a row would become too wide with this column.
local function check_width(parts, title, ast)
  local size = ast.kind == "raw" and ast.desc.size or 8
  if #parts.columns + (size + 7) // 8 <= MOST_WORDS then return end
  error(("column '%s' has %d bytes, and there is room for %d in a row"):format(title, size,
    8 * (MOST_WORDS - #parts.columns)), 0)
end

-- Adds the words of one column: their number, and what they decode to.
local function add_words(parts, title, ast)
  check_width(parts, title, ast)
  local list, desc = compile.column(ast, parts.env, parts.shared)
  for _, fragment in ipairs(list) do
    parts.columns[#parts.columns + 1] = note(parts, title, fragment).code
    parts.bits[#parts.columns] = fragment.bits
  end
  return #list, desc
end

local function add_column(parts, name, ast)
  local word = #parts.columns
  local words, desc = add_words(parts, name, ast)
  if ast.kind == "condition" then desc = { kind = "bool", name = "bool", size = 1, align = 1 } end
  parts.outputs[#parts.outputs + 1] = { name = name, layout = desc and core.layout(desc),
    ast = ast, word = word, words = words, signed = ast.kind == "signed" }
end

-- ---- kinds of queries ------------------------------------------------------------

local build = {}

-- What matches, added to accumulators.
function build.fold() end

-- Entries: whole keys and values, or nothing of them.
function build.entries(_, given, spec)
  spec.keys, spec.values = given.rows, given.rows
end

-- Whole keys and columns, which stand for the value; without columns, entries.
function build.keyed(parts, given, spec)
  spec.keys, spec.values = true, not given.columns
  if not given.columns then return end
  slots.add(parts, slots.columns(given.columns, parts.env, {}), add_column)
  if #parts.outputs == 0 then core.misuse("columns: none given") end
end

function build.delete(_, given, spec)
  spec.remove = true
  spec.keys, spec.values = given.rows, given.rows
end

-- Changes of what matches.
function build.update(parts, given, spec)
  edit.add(given.change, parts, spec, note, note_function)
end

-- Changes of the values that CPUs have, as a program sees them: one at a time.
build.one_cpu = build.update

function build.select(parts, given, spec)
  if given.columns then
    slots.add(parts, slots.columns(given.columns, parts.env, {}), add_column)
    if #parts.outputs == 0 then core.misuse("select: columns: none given") end
  else
    spec.keys, spec.values = true, true
  end
  if given.change then edit.add(given.change, parts, spec, note, note_function) end
  if not given.sort then return end
  spec.keys = true
  parts.sort = order.of_rows(parts, given.sort, function(...) return add_words(parts, ...) end)
end

local SUM_OPS = { sum = { "sum", "sum" }, min = { "min", "smin" }, max = { "max", "smax" } }

-- Whether all is counts, sums and extremes of everything: then programs compute them.
local function is_plain(groups, items)
  for _, item in ipairs(items) do
    if item.fn ~= "count" and not SUM_OPS[item.fn] then return false end
  end
  return #groups == 0 and not slots.are(groups)
end

local function add_sums(parts, items, spec)
  spec.sums, parts.sums, parts.items = {}, {}, items
  for i, item in ipairs(items) do
    parts.sums[i] = { name = item.name, fn = item.fn }
    if item.fn ~= "count" then
      local fragment = compile.fragment(item.arg, parts.env, parts.shared)
      note(parts, item.name, fragment)
      spec.sums[#spec.sums + 1] = { code = fragment.code,
        op = SUM_OPS[item.fn][item.arg.kind == "signed" and 2 or 1] }
      parts.sums[i].at = #spec.sums
    end
  end
end

-- The bits of each word of the groups, where there are few enough groups for an index of all that
-- are possible.
local function index_of(parts)
  local bits, all = {}, 0
  for word = 1, parts.group_words do
    bits[word] = parts.bits[word]
    all = all + bits[word]
  end
  return parts.group_words > 0 and all <= core.most_index_bits and bits or nil
end

-- What programs make of a column (enum lb_sum_op), signed or not.
local RECORD_OPS = { sum = { 0, 0 }, min = { 1, 3 }, max = { 2, 4 } }

-- Lets programs sum up groups by index, where all that is asked for are counts, sums and extremes.
local function add_records(parts, items, spec)
  local ops = {}
  for _, item in ipairs(items) do
    local of = RECORD_OPS[item.fn]
    if of then
      ops[#ops + 1] = of[item.arg.kind == "signed" and 2 or 1]
    elseif item.fn ~= "count" then
      return
    end
  end
  local bits = 0
  for _, n in ipairs(parts.index) do bits = bits + n end
  spec.index, spec.ops = parts.index, ops
  parts.record_bytes = (8 * (1 + #ops)) << bits
end

-- The columns of the groups, then those of the values.
-- plain: programs may sum them up.
local function add_groups(parts, groups, items, spec, plain)
  slots.add(parts, groups, add_column)
  parts.group_words, parts.as = #parts.columns, {}
  for _, output in ipairs(parts.outputs) do
    for _ = 1, output.words do parts.as[#parts.as + 1] = order.of_words(output.ast) end
  end
  parts.index = index_of(parts)
  parts.items = {}
  for i, item in ipairs(items) do
    local column = #parts.columns - parts.group_words
    local words = item.arg and add_words(parts, item.name, item.arg) or 0
    parts.items[i] = { fn = item.fn, column = column, width = words,
      signed = item.arg and item.arg.kind == "signed" }
  end
  if plain and parts.index then add_records(parts, items, spec) end
end

function build.aggregate(parts, given, spec)
  local env, names = parts.env, {}
  local groups = given.group and slots.columns(given.group, env, names) or {}
  local items = expr.aggregates(given.select or "count()", env, names)
  parts.item_names = {}
  for i, item in ipairs(items) do parts.item_names[i] = item.name end
  if given.plain and is_plain(groups, items) then
    add_sums(parts, items, spec)
  else
    add_groups(parts, groups, items, spec, given.plain)
  end
  parts.order = given.sort and order.of_groups(parts, given.sort) or {}
  if given.change then edit.add(given.change, parts, spec, note, note_function) end
end

-- ---- preparing -------------------------------------------------------------------

local canonical = slots.canonical
prepare.canonical = canonical

local function new_query(facts, kind, given, sets)
  local parts = new_parts(facts, sets)
  local computed = slots.of(given)
  if kind == "one_cpu" then parts.env = setmetatable({ ncpu = false }, { __index = parts.env }) end
  if given.change then parameters.reserve(parts.shared.params, #given.change.stores) end
  if computed then parameters.reserve(parts.shared.params, computed.words) end
  add_where(parts, given.where)
  if computed and computed.build then add_computed(parts, computed) end
  local spec = {}
  build[kind](parts, given, spec)
  spec.where, spec.asked = parts.where and parts.where.code, parts.most_asked
  spec.columns, spec.reductions = parts.columns, parts.shared.percpu
  spec.nwritable = computed and computed.words or spec.nwritable
  spec.nparams, spec.zeros = parameters.slots(parts.shared.params), facts.zeros
  spec.ntables = parameters.table_slots(parts.shared.params)
  if #parts.outputs > 0 or parts.order then parts.decoder = core.decoder(parts.outputs) end
  parts.too_long = parts.comparisons > MOST_COMPARISONS
  parts.row_bytes = 8 * #parts.columns + (spec.keys and facts.info.key_size or 0)
    + (spec.values and facts.entry_bytes - facts.info.key_size or 0)
  parts.ncolumns, parts.values = #parts.columns, spec.values
  parts.core = core.query(facts.handle, spec)
  return parts
end

-- A query ready to run, kept with the handle.
-- @tparam string kind "entries", "keyed", "delete", "update", "one_cpu", "select", "aggregate"
-- @tparam table given where (text, of function/compile.lua, or nil), columns, group, select, sort;
--   change: a plan of edit.lua; rows: whole entries are handed over; plain: programs may sum up
--   what has no groups
-- @treturn table core (luabpf.query), shared (params), decoder, row_bytes, ...
function prepare.query(subject, kind, given)
  local facts, where = prepare.facts(subject), given.where
  local sets, contents = parameters.sets(given.params)
  local key = table.concat({ kind, type(where) == "table" and where.key or where or "\0",
    given.rows and "r" or "",
    given.columns and canonical(given.columns) or "", given.group and canonical(given.group) or "",
    given.select and canonical(given.select) or "", given.sort and tostring(given.sort) or "",
    given.plain and "p" or "", given.change and given.change.key or "",
    given.fold and given.fold.key or "",
    contents }, "\2")
  local query = facts.queries[key]
  if query then return query end
  query = new_query(facts, kind, given, sets)
  if facts.n >= MOST_KEPT then facts.queries, facts.n = {}, 0 end
  facts.queries[key], facts.n = query, facts.n + 1
  return query
end

-- The parameter slots of one run.
-- @tparam[opt] integer now what it reads as clocks, ns; without them, what they are
-- @tparam[opt] integer boottime
function prepare.params(query, values, now, boottime)
  local params = query.shared.params
  if #params == 0 and not (values and next(values)) then return "" end
  return parameters.pack(params, values, now or core.now(), boottime or core.boottime())
end

-- ---- mistakes --------------------------------------------------------------------

-- What a function gave, or its error: one about a text or its parameters is raised for the line
-- that the text came from.
-- @tparam string before what its message begins with
function prepare.located(before, ok, err, ...)
  if ok then return err, ... end
  if type(err) == "string" and (err:find "^expression:" or not err:find "^[^\n:]+:%d+:") then
    core.misuse(before .. err)
  end
  error(err, 0)
end

for _, name in ipairs { "compile", "query", "params" } do
  local fn = prepare[name]
  prepare[name] = function(...) return prepare.located("", pcall(fn, ...)) end
end

return prepare
