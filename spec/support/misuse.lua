-- SPDX-License-Identifier: MIT
--
-- Misuse, generated: every registered function called with every unfit value in every
-- place, and with pairs of them. Run by spec/map/misuse_spec.lua in a process of its own, so
-- that a crash is seen and the call that made it is known:
--
--   require("spec.support.misuse").run(group, journal)
--
-- group is one of misuse.groups(). The file `journal` always holds the call being made;
-- the first complaints are printed, a line each; the last line is "done N calls".
--
-- A call may return anything or raise; what it may not do is crash, hang, raise a message
-- that says nothing of the call, or break the handles that it was not given.

local bpf = require "luabpf"
local conntrack = require "luabpf.conntrack"
local core = require "luabpf.core"
local support = require "spec.support.objects"

local misuse = {}

-- Calls with two unfit values, for each function; taken from all pairs by a fixed sequence.
local PAIRS <const> = 80

-- ---- handles ---------------------------------------------------------------------

local world = {}

local function new_map(given)
  local options = { type = "hash", key = "u32", value = { "u64 n", "u32 list[2]" },
    max_entries = 64 }
  for name, value in pairs(given or {}) do options[name] = value or nil end
  return assert(bpf.create(options))
end

local function closed(handle)
  handle:close()
  return handle
end

-- A view of the map's first entry, and the batch it reads.
local function view_of(map)
  local batch = map:batches(4)():copy()
  local _, view = batch:views()()
  return view, batch
end

local function stale_of(map)
  local cursor = core.cursor(map, { batch_size = 4 })
  local batch = cursor:next()
  local _, view = batch:views()()
  cursor:close()
  return batch, view
end

local function error_object()
  return select(2, pcall(function()
    for _ in new_map { type = "stack_trace", value = false, value_size = 8 }:entries() do break end
  end))
end

local function load_object()
  return assert(bpf.load(support.OBJECT))
end

local function add_maps(w)
  w.map = new_map()
  for i = 1, 20 do w.map:update(i, { n = i }) end
  w.queue = new_map { type = "queue", key = false, key_size = 0 }
  w.array = new_map { type = "percpu_array", value = "u64" }
  w.bytes = new_map { value_size = 40000, value = false }
  w.closed_map = closed(new_map())
  w.view, w.batch = view_of(w.map)
  w.stale_batch, w.stale_view = stale_of(w.map)
  w.cursor = core.cursor(w.map, { batch_size = 4 })
  w.closed_cursor = closed(core.cursor(w.map, { batch_size = 4 }))
  w.layout = core.layouts(w.map)
  w.snapshot = w.map:snapshot()
end

local function add_objects(w)
  w.object = load_object()
  if not w.closed_object then
    w.closed_object = load_object()
    w.closed_program = w.closed_object.programs.count_xdp
    w.closed_globals = w.closed_object.globals
    w.closed_object:close()
  end
  w.program = w.object.programs.count_raw
  w.handles, w.globals = w.object.maps, w.object.globals
  w.error, w.list = w.error or error_object(), w.list or bpf.maps()
end

local function add_link(w)
  collectgarbage() -- before Linux 6.10 a raw tracepoint takes a program once
  w.closed_link = w.closed_link or closed(assert(w.program:attach()))
  w.link = assert(w.program:attach())
end

-- What makes the handles that queries and parallel work keep to themselves.
local INTERNAL <const> = { "query", "agg", "topn", "workers", "decoder", "crew", "store",
  "snapshot_cursor", "snapshot_writer", "snapshot_diff" }

-- Calls f: the arguments that those of core were last called with.
local function caught_arguments(f)
  local real, arguments = {}, {}
  for _, name in ipairs(INTERNAL) do
    real[name] = core[name]
    core[name] = function(...)
      arguments[name] = table.pack(...)
      return real[name](...)
    end
  end
  f()
  for name, maker in pairs(real) do core[name] = maker end
  return arguments
end

local function work(map)
  for _ in map:select { columns = "value.n", where = "value.n > 1", sort = "n", limit = 3 } do end
  map:count("value.n > 1", { engine = "batch", exact = true })
  for _ in map:snapshot():entries() do end
  for _ in map:snapshot():diff(map:snapshot()) do end
  map:aggregate { group = "key", select = { "sum(value.n)" }, engine = "batch", workers = 2 }
  assert(map:import(map:snapshot(), { workers = 2 }))
  assert(map:parallel { workers = 1, map = function(batch) return #batch end,
    reduce = function(a, b) return a + b end } == 20)
end

local recorded

-- The first argument as it was given; the crew's query and aggregation are closed by now.
local function revived(given, w)
  if type(given) ~= "table" then return given end
  local copy = {}
  for name, value in pairs(given) do copy[name] = value end
  if copy.agg then copy.query, copy.agg = w.query, w.agg end
  return copy
end

local function add_internal(w)
  if not recorded then
    local map = new_map()
    for i = 1, 20 do map:update(i, { n = i }) end
    recorded = caught_arguments(function() work(map) end)
  end
  for _, name in ipairs(INTERNAL) do
    local arguments = recorded[name]
    if arguments then
      w[name] = core[name](revived(arguments[1], w), table.unpack(arguments, 2, arguments.n))
    end
  end
end

local function add_tracker(w)
  local options = { cgroup = misuse.cgroup, max_entries = 64 }
  w.closed_tracker = w.closed_tracker or closed(assert(conntrack.start(options)))
  w.tracker = assert(conntrack.start(options))
end

-- What makes handles, and whether all that it made can still be used.
local parts = {
  { make = add_maps, whole = function(w)
    return pcall(w.map.fd, w.map) and w.cursor:report() and pcall(w.batch.key, w.batch, 1)
      and pcall(w.queue.fd, w.queue)
  end },
  { make = add_internal, whole = function(w) return pcall(w.query.instructions, w.query) end },
  { make = add_objects, whole = function(w) return pcall(w.program.fd, w.program) end },
  { make = add_link, whole = function(w) return pcall(w.link.fd, w.link) end },
  { make = add_tracker, whole = function(w) return pcall(w.tracker.map.fd, w.tracker.map) end },
}

-- Makes what is not there yet, and again what a call closed.
local function mend(group)
  for i, part in ipairs(parts) do
    local wanted = part.make ~= add_tracker or group == "tracker"
    if wanted and not (part.made and part.whole(world)) then
      parts[i].made = true
      part.make(world)
    end
  end
end

-- ---- unfit values ----------------------------------------------------------------

local function cyclic()
  local t = { name = "x" }
  t[1], t.inner = t, t
  return t
end

local function hostile()
  return setmetatable({}, { __index = function() error "from a callback" end,
    __len = function() return 1 << 40 end, __pairs = function() error "from a callback" end,
    __tostring = function() return 1 end, __call = function() error "from a callback" end })
end

local closed_file = io.tmpfile()
closed_file:close()

local plain = {
  { "nil", nil }, { "false", false }, { "true", true }, { "-1", -1 }, { "0", 0 }, { "1", 1 },
  { "1.5", 1.5 }, { "2^53+1", (1 << 53) + 1 }, { "2^63 as float", 2.0 ^ 63 },
  { "mininteger", math.mininteger }, { "maxinteger", math.maxinteger }, { "2^32", 1 << 32 },
  { "nan", 0 / 0 }, { "inf", math.huge }, { "''", "" }, { "'x'", "x" }, { "'\\0'", "\0" },
  { "'%s%n'", "%s%n" }, { "100 kB", ("k"):rep(100000) }, { "{}", {} },
  { "odd keys", { [1.5] = 1, [true] = 2, [print] = 3 } }, { "holes", { 1, nil, 3, [9] = 4 } },
  { "fields", { n = "x", list = { {} }, data = 1, where = 1 } },
  { "cyclic table", cyclic() }, { "hostile table", hostile() },
  { "function", function() end }, { "thread", coroutine.create(print) },
  { "light userdata", debug.upvalueid(cyclic, 1) }, { "io.stdout", io.stdout },
  { "closed file", closed_file },
}

-- All unfit values: name and value, those of the world as they are now.
local function values()
  local all = table.move(plain, 1, #plain, 1, {})
  local names = {}
  for name in pairs(world) do names[#names + 1] = name end
  table.sort(names)
  for _, name in ipairs(names) do all[#all + 1] = { name, world[name] } end
  return all
end

-- ---- functions -------------------------------------------------------------------

-- Arguments that fit, where a call without any never gets far. By "group.name".
local fit = {
  ["map.lookup"] = function(w) return w.map, 1 end,
  ["map.update"] = function(w) return w.map, 1, { n = 1 }, "any" end,
  ["map.delete"] = function(w) return w.map, 1000 end,
  ["map.take"] = function(w) return w.map, 1000 end,
  ["map.push"] = function(w) return w.queue, { n = 1 }, "exist" end,
  ["map.pop"] = function(w) return w.queue end,
  ["map.lookup_batch"] = function(w) return w.map, { 1, 2 }, { status = true } end,
  ["map.update_batch"] = function(w) return w.map, { 1, 2 }, { {}, {} }, { mode = "any" } end,
  ["map.upsert_batch"] = function(w) return w.map, { 1, 2 }, { {}, {} }, { status = true } end,
  ["map.delete_batch"] = function(w) return w.map, { 1000, 1001 }, { if_equal = { {}, {} } } end,
  ["map.delete_where"] = function(w) return w.map, function() end, { limit = 1 } end,
  ["map.update_where"] = function(w) return w.map, "value.n > 1", "value.n = 1", { limit = 1 } end,
  ["map.count"] = function(w) return w.map, "value.n > $x", { params = { x = 1 } } end,
  ["map.select"] = function(w) return w.map, { columns = "value.n", sort = "n", limit = 2 } end,
  ["map.aggregate"] = function(w)
    return w.map, { group = "key", select = "sum(value.n)", sort = "n", limit = 2 }
  end,
  ["map.explain"] = function(w) return w.map, { where = "value.n > 1" } end,
  ["bpf.compile"] = function(w) return "value.n > 1", w.map end,
  ["map.parallel"] = function(w) return w.map, { workers = 1, map = function() end } end,
  ["batch.key"] = function(w) return w.batch, 1 end,
  ["batch.value"] = function(w) return w.batch, 1 end,
  ["batch.pick"] = function(w) return w.batch, { 1 } end,
  ["core.cursor"] = function(w) return w.map, { batch_size = 4 } end,
  ["core.set_types"] = function(w) return w.map, w.layout end,
  ["core.layouts"] = function(w) return w.map end,
  ["core.pin_path"] = function(w) return w.map end,
  ["core.create"] = function() return { type = 1, name = "x", key_size = 4, value_size = 4 } end,
  ["bpf.load"] = function() return support.OBJECT, { maps = {}, globals = { tiny = 1 } } end,
  ["bpf.create"] = function() return { type = "hash", key = "u32", value = "u32" } end,
  ["iter.filter"] = function(w) return function() end, w.map:entries() end,
  ["iter.map"] = function(w) return function() return 1 end, w.map:entries() end,
  ["iter.take"] = function(w) return 1, w.map:entries() end,
  ["iter.chunk"] = function(w) return 1, w.map:entries() end,
  ["program.run"] = function(w) return w.program, { ctx = ("\0"):rep(8), times = 1 } end,
  ["view.__index"] = function(w) return w.view, "n" end,
  ["globals.__index"] = function(w) return w.globals, "tiny" end,
  ["globals.__newindex"] = function(w) return w.globals, "tiny", 1 end,
  ["tracker.find"] = function(w) return w.tracker, "10.0.0.1:1", "10.0.0.2:2" end,
  ["tracker.cleanup"] = function(w) return w.tracker, { idle = "1h" } end,
}

-- Calls that take long when nothing is wrong with them (they load programs, undo that, or list
-- all maps): the first place only, no pairs.
local heavy = { ["conntrack.start"] = true, ["bpf.load"] = true, ["core.load"] = true,
  ["bpf.features"] = true, ["tracker.close"] = true, ["tracker.stop"] = true,
  ["tracker.__close"] = true,
  ["bpf.maps"] = true, ["core.maps"] = true, ["list.__tostring"] = true, ["link.close"] = true,
  ["link.detach"] = true, ["link.__close"] = true, ["link.__gc"] = true }

-- Functions that write to the files they are told.
local writers <const> = { export = true, output = true, replace_file = true, rename = true }

-- What would do as it is told: sleep for years, write to this folder or this script's output.
local function skipped(name, value)
  if name == "sleep" then return math.type(value) and value > 1000 end
  return writers[name] and (value == "x" or value == "%s%n" or value == io.stdout)
end

-- What does only what it is told: raises, prints.
local OBEDIENT <const> = { misuse = true, home = true, help = true }

local function functions_of(source)
  local found = {}
  for name, value in pairs(source) do
    local meta = getmetatable(value)
    if type(name) == "string" and not OBEDIENT[name]
      and (type(value) == "function" or meta and meta.__call) then
      found[name] = value
    end
  end
  return found
end

-- Functions and metamethods of a class, from the registry: those that no module shows too.
local function class(name)
  local meta = debug.getregistry()[name]
  local found = functions_of(meta)
  for method, f in pairs(functions_of(core.classes[name] or {})) do found[method] = f end
  return found
end

-- The iterators that methods give, as functions to call.
local function iterators()
  return { entries = world.map:entries(), views = (world.map:views()),
    batches = (world.map:batches(4)), drain = (world.map:drain(4)),
    batch_entries = world.batch:entries(), batch_views = (world.batch:views()),
    globals = (pairs(world.globals)) }
end

--- The groups of functions: their names, sorted.
function misuse.groups()
  local names = { "bpf", "core", "iter", "conntrack", "tracker", "list", "iterators" }
  for name in pairs(debug.getregistry()) do
    local short = type(name) == "string" and name:match "^luabpf%.([%w_]+)$"
    if short and short ~= "classes" then names[#names + 1] = short end
  end
  table.sort(names)
  return names
end

local sources = {
  bpf = function() return functions_of(bpf) end,
  core = function() return functions_of(core) end,
  iter = function() return functions_of(bpf.iter) end,
  conntrack = function() return functions_of(conntrack) end,
  tracker = function() return functions_of(getmetatable(world.tracker)) end,
  list = function() return functions_of(getmetatable(world.list)) end,
  iterators = iterators,
}

-- ---- calls -----------------------------------------------------------------------

local calls, complaints, journal = 0, 0, nil

-- The first complaints; a group that has one mostly has many.
local function say(group, name, what, message)
  complaints = complaints + 1
  if complaints > 20 then return end
  print(("%s.%s(%s): %s"):format(group, name, what, message:sub(1, 300):gsub("\n", " ")))
end

local function text_of(err)
  if type(err) == "string" then return err end
  if type(err) ~= "table" or getmetatable(err) ~= core.error then return nil end
  return tostring(err)
end

-- What a message has that does not name the function: the class, the argument, the option, the
-- field, or a path to one ("keys[2].list: ...").
local telling = { "luabpf%.%a", "bad argument #%d", "bad self", "option", "stale", "no field",
  "unknown global variable", "a struct has no", "views are for reading", "is closed",
  "[%a_][%w_.%[%]]*: ",
  "expression:%d+:%d+: " }

-- What is wrong with an error that was raised; nil if nothing is. `attempt to` is Lua's own
-- word for a value that nobody checked.
local function complaint(err, name)
  local text = text_of(err)
  if not text then return "raised " .. tostring(err) end
  text = text:sub(1, 1000)
  if text:find("from a callback", 1, true) then return nil end
  if text:find("attempt to", 1, true) then return text end
  local said = text:find(name, 1, true)
  for _, pattern in ipairs(telling) do said = said or text:find(pattern) end
  if not said then return "says nothing of the call: " .. text end
end

-- Calls f under the name, so that messages have it.
local function named(f, name)
  local source = "local o, pack = ... return function(...) local r = pack(o.%s(...)) return r end"
  return load(source:format(name))({ [name] = f }, table.pack)
end

local function check(group, name, what, ok, result)
  if not ok then
    local wrong = complaint(result, name)
    if wrong then say(group, name, what, wrong) end
  elseif result[1] == nil and type(result[2]) == "string" and group ~= "core"
    and group ~= "iterators" and math.type(result[3]) ~= "integer" then
    say(group, name, what, "nil and a message without errno: " .. result[2])
  end
end

local function call(group, name, f, what, arguments)
  journal:seek("set")
  journal:write(("%s.%s(%s)%s\n"):format(group, name, what, (" "):rep(40)))
  journal:flush()
  calls = calls + 1
  check(group, name, what, pcall(f, table.unpack(arguments, 1, arguments.n)))
  mend(group)
end

local function describe(list)
  local words = {}
  for i, item in ipairs(list) do words[i] = ("#%d %s"):format(item[1], item[2]) end
  return table.concat(words, ", ")
end

-- The arguments that fit, with those of `places` put in: { place, name of value, value }.
local function with(group, name, places)
  local fitting = fit[group .. "." .. name]
  local arguments = fitting and table.pack(fitting(world)) or table.pack(world[group])
  for _, item in ipairs(places) do
    arguments[item[1]] = item[3]
    arguments.n = math.max(arguments.n, item[1])
  end
  return arguments
end

-- How many places a function has; one more is tried. C functions do not say.
local function places_of(f)
  if type(f) ~= "function" then return 2 end
  local info = debug.getinfo(f, "u")
  return info.isvararg and 4 or info.nparams + 1
end

local function single(group, name, f, place)
  for _, value in ipairs(values()) do
    if not skipped(name, value[2]) then
      local places = { { place, value[1], value[2] } }
      call(group, name, f, describe(places), with(group, name, places))
    end
  end
end

-- Pairs of values in the first three places, in a fixed sequence.
local function double(group, name, f, count)
  local state = #name * 7919
  local function pick(n)
    state = (state * 1103515245 + 12345) & 0x7fffffff
    return (state >> 8) % n + 1
  end
  for _ = 1, PAIRS do
    local all = values()
    local first = pick(count)
    local second = first % count + 1
    local one, two = all[pick(#all)], all[pick(#all)]
    if not skipped(name, one[2]) and not skipped(name, two[2]) then
      local places = { { first, one[1], one[2] }, { second, two[1], two[2] } }
      call(group, name, f, describe(places), with(group, name, places))
    end
  end
end

local function try_function(group, name, f)
  local place_count = heavy[group .. "." .. name] and 1 or places_of(f)
  local callable = named(f, name)
  call(group, name, callable, "", { n = 0 })
  for place = 1, place_count do single(group, name, callable, place) end
  if place_count > 1 then double(group, name, callable, math.min(place_count, 3)) end
end

local function sorted(functions)
  local names = {}
  for name in pairs(functions) do names[#names + 1] = name end
  table.sort(names)
  return names
end

--- Tries all functions of a group. See the top of this file.
function misuse.run(group, journal_path, cgroup)
  misuse.cgroup = cgroup
  journal = assert(io.open(journal_path, "w"))
  mend(group)
  local functions = (sources[group] or function() return class("luabpf." .. group) end)()
  for _, name in ipairs(sorted(functions)) do try_function(group, name, functions[name]) end
  collectgarbage()
  print(("done %d calls"):format(calls))
end

return misuse
