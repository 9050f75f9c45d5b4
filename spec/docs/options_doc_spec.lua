-- SPDX-License-Identifier: MIT
--
-- The options of every function are the same in the running module, the reference, the declarations
-- for editors and the texts of help. What the module takes is found out by trying: each name that
-- is an option of anything is given to each function, which refuses it as unknown or not.

local bpf = require "luabpf"
local conntrack = require "luabpf.conntrack"
local core = require "luabpf.core"
local declared = require "luabpf.base.declared"
local helper = require "spec.support.helper"
local objects = require "spec.support.objects"

local texts = core.help_texts()

local KEY <const> = 1

-- What the calls below work on.
local w = {}

-- Values that get an option past what else is looked at.
local function with(options, name, value)
  if options[name] == nil then options[name] = value end
  return options
end

-- By function, a call of it with these options, or several where they are of two kinds. What it
-- says of other things does not matter.
local CALLS <const> = {
  ["bpf.bench"] = function(o) bpf.bench(w.map, with(o, "patience", 0)) end,
  ["bpf.create"] = { function(o) bpf.create(o) end,
    function(o) bpf.create(with(o, "from", w.snapshot)) end },
  ["bpf.load"] = function(o) bpf.load("/none", o) end,
  ["bpf.maps"] = function(o) bpf.maps(o) end,
  ["bpf.open"] = function(o) bpf.open(o) end,
  ["bpf.open_or_create"] = function(o) bpf.open_or_create(with(o, "pin", "/none")) end,
  ["bpf.snapshot"] = function(o) bpf.snapshot("/none", o) end,
  ["conntrack.start"] = function(o) conntrack.start(with(o, "object", "/none")) end,
  ["map:aggregate"] = function(o) w.map:aggregate(o) end,
  ["map:batches"] = function(o) w.map:batches(o) end,
  ["map:count"] = function(o) w.map:count(nil, o) end,
  ["map:delete"] = function(o) w.map:delete(KEY, o) end,
  ["map:delete_batch"] = function(o) w.map:delete_batch({ KEY }, o) end,
  ["map:delete_where"] = function(o) w.map:delete_where("value == 9", o) end,
  ["map:drain"] = function(o) w.map:drain(with(o, "where", "value == 9")) end,
  ["map:entries"] = function(o) w.map:entries(o) end,
  ["map:explain"] = function(o) w.map:explain(o) end,
  ["map:export"] = function(o) w.map:export(function() end, o) end,
  ["map:fold"] = function(o) w.map:fold({}, function() end, o) end,
  ["map:hist"] = function(o) w.map:hist("value", o) end,
  ["map:import"] = function(o) w.map:import("/none", o) end,
  ["map:lookup"] = function(o) w.map:lookup(KEY, o) end,
  ["map:lookup_batch"] = function(o) w.map:lookup_batch({ KEY }, o) end,
  ["map:next"] = function(o) w.map:next(KEY, o) end,
  ["map:parallel"] = function(o) w.map:parallel(o) end,
  ["map:peek"] = function(o) w.queue:peek(o) end,
  ["map:pin"] = function(o) w.map:pin("/none", o) end,
  ["map:pop"] = function(o) w.queue:pop(o) end,
  ["map:push"] = function(o) w.queue:push(1, o) end,
  ["map:reader"] = function(o) w.ring:reader(o) end,
  ["map:rows"] = function(o) w.map:rows(o) end,
  ["map:select"] = function(o) w.map:select(o) end,
  ["map:snapshot"] = function(o) w.map:snapshot(o) end,
  ["map:take"] = function(o) w.map:take(KEY, o) end,
  ["map:update"] = function(o) w.map:update(KEY, 1, o) end,
  ["map:update_batch"] = function(o) w.map:update_batch({ KEY }, { 1 }, o) end,
  ["map:update_where"] = function(o) w.map:update_where("value == 9", "value = 1", o) end,
  ["map:upsert_batch"] = function(o) w.map:upsert_batch({ KEY }, { 1 }, o) end,
  ["map:views"] = function(o) w.map:views(o) end,
  ["map:writer"] = function(o) w.user_ring:writer(o) end,
  ["program:attach"] = function(o) w.program:attach(o) end,
  ["program:run"] = function(o) w.program:run(o) end,
  ["reader:batches"] = function(o) w.reader:batches(o) end,
  ["reader:records"] = function(o) w.reader:records(o) end,
  ["snapshot:aggregate"] = function(o) w.snapshot:aggregate(o) end,
  ["snapshot:batches"] = function(o) w.snapshot:batches(o) end,
  ["snapshot:count"] = function(o) w.snapshot:count(nil, o) end,
  ["snapshot:diff"] = function(o) w.snapshot:diff(w.snapshot, o) end,
  ["snapshot:entries"] = function(o) w.snapshot:entries(o) end,
  ["snapshot:export"] = function(o) w.snapshot:export(function() end, o) end,
  ["snapshot:fold"] = function(o) w.snapshot:fold({}, function() end, o) end,
  ["snapshot:select"] = function(o) w.snapshot:select(o) end,
  ["snapshot:views"] = function(o) w.snapshot:views(o) end,
  ["tracker:cleanup"] = function(o) w.tracker:cleanup(o) end,
  ["tracker:list"] = function(o) w.tracker:list(o) end,
  ["tracker:stats"] = function(o) w.tracker:stats(o) end,
}

local function read(path)
  local file <close> = assert(io.open(path))
  return file:read "a"
end

-- All names that are options of anything, and one that is not.
local function all_names()
  local names = { frobnicate = true }
  for _, options in pairs(declared) do
    for name in pairs(options) do names[name] = true end
  end
  return names
end

-- A value that no option takes, and one of each type that some take.
local NONE <const> = { coroutine.create(print) }
local ALL <const> = { NONE[1], true, 1, "x", {}, print }

-- Whether a function refuses an option as unknown, whatever its value.
local function is_unknown(call, name, values)
  local said = ("unknown option '%s'"):format(name)
  for _, value in ipairs(values) do
    local ok, message = pcall(call, { [name] = value })
    if ok or not tostring(message):find(said, 1, true) then return false end
  end
  return true
end

-- Adds the options that a function takes. Those that it should are not tried out in earnest.
local function add_taken(found, call, documented)
  for name in pairs(all_names()) do
    if not is_unknown(call, name, documented[name] and NONE or ALL) then found[name] = true end
  end
end

-- ---- what is written ----------------------------------------------------------------

-- The options that a page has of a function: its own, and the fields of the tables it names.
-- @tparam function section_of gives the text of an entry by its name
local function written(section_of, name, patterns)
  local found = {}
  local function add_fields(of)
    local text = section_of(of)
    for field in text:gmatch(patterns.field) do found[field] = true end
    for parent in text:gmatch(patterns.fields_of) do add_fields(parent) end
  end
  local text = section_of(name)
  for option in text:gmatch(patterns.option) do found[option] = true end
  for parent in text:gmatch(patterns.fields_of) do add_fields(parent) end
  return found
end

local reference = read "docs/reference.md"

local function of_reference(name)
  local function section(of)
    local first = select(2, reference:find(("\n### %s\n"):format(of), 1, true))
    return reference:sub(first, reference:find("\n##", first + 1, true))
  end
  return written(section, name, { option = "\n%* `[%w_]+%.([%w_]+)`", field = "\n%* `([%w_]+)`",
    fields_of = "\n%* the fields of %[([%w_]+)%]" })
end

local function of_help(name)
  return written(function(of) return "\n" .. texts[of] end, name,
    { option = "\n%* [%w_]+%.([%w_]+) %(", field = "\n%* ([%w_]+) %(",
      fields_of = "\n%* the fields of ([%w_]+)" })
end

local types = read "types/luabpf.lua" .. read "types/conntrack.lua"

-- Adds the fields of a class and of those that it inherits from.
local function add_class(found, class)
  local parents, fields = types:match("\n%-%-%-@class " .. class:gsub("%.", "%%.")
    .. "(:? ?[^\n]*)\n(.-)\n\n")
  for name in ("\n" .. fields):gmatch "\n%-%-%-@field ([%w_]+)" do found[name] = true end
  for parent in parents:gmatch "[%w_.]+" do add_class(found, parent) end
end

-- The classes of the parameter that takes the options.
local function of_types(name)
  local found = {}
  local comment = types:match("\n\n([^\n]*\n[-@][^\0]-)\nfunction " .. name:gsub("%.", "%%.")
    .. "%(")
  comment = comment:match ".*\n\n(.*)" or comment
  for class in comment:gmatch "luabpf%.[%w_.]*options" do add_class(found, class) end
  return found
end

-- ---- the comparison -------------------------------------------------------------------

describe("the options of", function()
  setup(function()
    w.map = helper.map()
    w.map:update(KEY, 1)
    w.queue = helper.map { type = "queue", value = "u32", max_entries = 2 }
    w.ring = helper.map { type = "ringbuf", key_size = 0, value_size = 0, max_entries = 4096 }
    w.user_ring = helper.map { type = "user_ringbuf", key_size = 0, value_size = 0,
      max_entries = 4096 }
    w.reader = assert(w.ring:reader())
    w.ring = helper.map { type = "ringbuf", key_size = 0, value_size = 0, max_entries = 4096 }
    w.snapshot = assert(w.map:snapshot())
    w.object = assert(bpf.load(objects.OBJECT))
    w.program = w.object.programs.count_xdp
    w.cgroup = objects.make_cgroup()
    w.tracker = assert(conntrack.start { cgroup = w.cgroup, max_entries = 10 })
  end)

  teardown(function()
    w.tracker:stop()
    objects.remove_cgroup(w.cgroup)
    w.reader:close()
    w.object:close()
    helper.close_all()
  end)

  for name, calls in pairs(CALLS) do
    it(name .. " are the same everywhere", function()
      local real = {}
      for _, call in ipairs(type(calls) == "table" and calls or { calls }) do
        add_taken(real, call, declared[name])
      end
      assert.is_nil(real.frobnicate)
      assert.same(real, of_reference(name), "the reference")
      assert.same(real, of_help(name), "help")
      assert.same(real, of_types(name), "the declarations for editors")
    end)
  end

  it("every function that has any are compared here", function()
    for name in pairs(declared) do
      assert(not name:find "[.:]" or CALLS[name], name)
    end
  end)
end)
