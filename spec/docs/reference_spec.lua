-- SPDX-License-Identifier: MIT
--
-- What is made from the doc comments: docs/reference.md, the declarations in types/, the texts of
-- help. They name every function of the public modules and every method of their classes, and none
-- that there is not; and the example of each runs. `make lint` sees that they are up to date.

local bpf = require "luabpf"
local conntrack = require "luabpf.conntrack"
local core = require "luabpf.core"
local helper = require "spec.support.helper"
local objects = require "spec.support.objects"
require "luabpf.file.snapshot" -- its class is complete then
require "luabpf.event.reader" -- and these
require "luabpf.event.symbol"
require "luabpf.event.wait"

local texts = core.help_texts()

-- Classes that users do not meet.
local INTERNAL <const> = { ["luabpf.cursor"] = true, ["luabpf.layout"] = true,
  ["luabpf.query"] = true, ["luabpf.rows"] = true, ["luabpf.agg"] = true, ["luabpf.topn"] = true,
  ["luabpf.snapshot_writer"] = true, ["luabpf.snapshot_cursor"] = true,
  ["luabpf.snapshot_diff"] = true, ["luabpf.decoder"] = true, ["luabpf.workers"] = true,
  ["luabpf.crew"] = true, ["luabpf.store"] = true, ["luabpf.row_writer"] = true,
  ["luabpf.row_reader"] = true, ["luabpf.output"] = true, ["luabpf.error"] = true,
  ["luabpf.globals"] = true, ["luabpf.folder"] = true }

local function read(path)
  local file <close> = assert(io.open(path))
  return file:read "a"
end

local function is_callable(value)
  local meta = getmetatable(value)
  return type(value) == "function" or type(value) == "table" and meta and meta.__call
end

-- Adds the names of a table's functions: "bpf.open", "map:lookup".
local function add(names, functions, prefix)
  for name, value in pairs(functions) do
    if is_callable(value) and not name:find "^_" then names[prefix .. name] = true end
  end
end

-- The methods of trackers, whose class only a tracker has.
local function tracker_class()
  local cgroup = objects.make_cgroup()
  local tracker = assert(conntrack.start { cgroup = cgroup, max_entries = 1 })
  tracker:close()
  objects.remove_cgroup(cgroup)
  return getmetatable(tracker)
end

-- All that users can call.
local function running()
  local names = {}
  add(names, bpf, "bpf.")
  add(names, bpf.iter, "bpf.iter.")
  add(names, conntrack, "conntrack.")
  add(names, tracker_class(), "tracker:")
  for class, methods in pairs(core.classes) do
    if not INTERNAL[class] then add(names, methods, class:match "[%w_]+$" .. ":") end
  end
  return names
end

-- Those names for which a pattern is found in a text.
local function found(text, pattern)
  local names = {}
  for name in text:gmatch(pattern) do names[name] = true end
  return names
end

describe("functions and methods are the same in the module and in", function()
  local names = running()

  it("the reference", function()
    local headings = {}
    for name in pairs(found(read "docs/reference.md", "\n### ([%w_.]+[.:][%w_]+)\n")) do
      headings[name] = true
    end
    assert.same(names, headings)
  end)

  it("the declarations for editors", function()
    local declared = {}
    for _, path in ipairs { "types/luabpf.lua", "types/conntrack.lua" } do
      for name in pairs(found(read(path), "\nfunction ([%w_.:]+)%(")) do declared[name] = true end
    end
    assert.same(names, declared)
  end)

  it("the texts of help", function()
    local helped = {}
    for name in pairs(texts) do
      if name:find "[.:]" then helped[name] = true end
    end
    assert.same(names, helped)
  end)
end)

describe("the reference", function()
  local text = read "docs/reference.md"

  it("has the defaults that there are", function()
    local section = text:match "\n### defaults\n(.-)\n### "
    local defaults = {}
    for name, value in section:gmatch "\n%* `([%w_]+)` .-Default:%s+(%w+)%." do
      defaults[name] = value == "true" or math.tointeger(value)
    end
    assert.same(bpf.defaults, defaults)
  end)

  it("has no link that leads nowhere", function()
    local anchors = found(text, "\n###? ([%w_]+)\n")
    for name in text:gmatch "%]%(#([%w_]+)%)" do assert(anchors[name], name) end
    for page in text:gmatch "%]%(([%w_-]+%.md)%)" do assert(io.open("docs/" .. page), page) end
  end)
end)

-- ---- the examples ----------------------------------------------------------------

-- The map that the page says the examples have.
local function example_map()
  local map = assert(bpf.create { type = "hash", name = helper.name(), max_entries = 1000,
    key = { "ipv4 addr", "be16 port", "u16 pad" }, value = { "u64 packets", "u64 bytes" } })
  for i = 1, 100 do
    map:update({ addr = "10.0.0." .. i % 5, port = i }, { packets = i, bytes = i * 100 })
  end
  return map
end

-- An example's code with names of this run: its pin, its files, the object file, its cgroup.
local function localized(code, pin, folder)
  code = code:gsub("/sys/fs/bpf/flows", pin)
  code = code:gsub('"(flows%.%w+)"', ('"%s/%%1"'):format(folder))
  code = code:gsub('"events%.bpf%.o"', '"bpf/events.bpf.o"')
  return (code:gsub('"programs%.bpf%.o"', ("%q"):format(objects.OBJECT)))
end

describe("the example of", function()
  local folder, cgroup = os.tmpname()

  setup(function()
    os.remove(folder)
    assert(os.execute("mkdir " .. folder))
    cgroup = objects.make_cgroup()
  end)

  teardown(function()
    os.execute("rm -r " .. folder)
    objects.remove_cgroup(cgroup)
  end)

  local function run(name, code)
    local map <close> = example_map()
    local tracker <close> = name:find "^tracker" and assert(conntrack.start { cgroup = cgroup })
      or nil
    local env = setmetatable({ map = map, bpf = bpf, conntrack = conntrack, tracker = tracker,
      CGROUP = cgroup }, { __index = _G })
    local pin, real = helper.pin(), _G.print
    rawset(_G, "print", function(...)
      for i = 1, select("#", ...) do tostring((select(i, ...))) end
    end)
    local ok, message = pcall(assert(load(localized(code, pin, folder), "=" .. name, "t", env)))
    rawset(_G, "print", real)
    assert(ok, message)
    assert.is_nil(io.open(pin), name .. " leaves its pin")
  end

  for part in (read "docs/reference.md":gsub("\n##", "\0##")):gmatch "%z### ([^%z]+)" do
    local name, entry = part:match "^([%w_.]+[.:][%w_]+)\n(.*)"
    if name then
      it(name .. " runs", function()
        run(name, assert(entry:match "\n```lua\n(.-)```", "there is none"))
      end)
    end
  end
end)
