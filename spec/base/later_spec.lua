-- SPDX-License-Identifier: MIT
--
-- Modules that are loaded by the first call that needs them (lua/luabpf/base/later.lua): found when
-- luabpf is loaded, whatever the process does until then. Each case is a process of its own.

local core = require "luabpf.core"
local folder = require "spec.support.folder"

local PATHS <const> = [[
package.path, package.cpath = %q, %q
local lfs = require "lfs"
]]

local function output_of(script, path)
  local file = os.tmpname()
  finally(function() os.remove(file) end)
  local out <close> = assert(io.open(file, "w"))
  out:write(PATHS:format(path or package.path, package.cpath), script)
  out:close()
  local pipe <close> = assert(io.popen("lua5.4 " .. file .. " 2>&1"))
  return pipe:read "a"
end

local MAP <const> = [[
local bpf = require "luabpf"
local map = assert(bpf.create { type = "hash", key = "u32", value = "u64", max_entries = 64 })
for i = 1, 10 do map:update(i, i) end
local path = os.tmpname()
local cleanup <close> = setmetatable({}, { __close = function() os.remove(path) end })
]]

local ALL <const> = [[
assert(map:count "value > 4" == 6)
assert(#tostring(map:explain { where = "value > 4" }) > 0)
assert(map:export(path).entries == 10 and map:import(path).updated == 10)
assert(map:snapshot():count "value > 4" == 6)
assert(bpf.create({ from = map:snapshot() }):count() == 10)
assert(bpf.features().kernel and bpf.bench(map, { patience = "1ms" }).entries == 10)
assert(map:delete_where("value > 4").deleted == 6)
]]

-- A path that depends on the working folder, which is this checkout's.
local RELATIVE <const> = "./lua/?.lua;./lua/?/init.lua;"
  .. package.path:gsub("[^;]*/lua/%?[^;]*;", "")

describe("a text that is read without its comments", function()
  -- The text as it is, and as it is read: both compiled, with the numbers of their lines.
  local function same(text)
    folder.make()
    finally(folder.remove)
    local file <close> = assert(io.open(folder.path "x.lua", "w"))
    file:write(text):flush()
    local left = core.read_lua(folder.path "x.lua")
    assert.equal(string.dump(assert(load(text, "=x"))), string.dump(assert(load(left, "=x"))))
    return left
  end

  it("means the same: each module", function()
    local pipe <close> = assert(io.popen "find lua -name '*.lua'")
    local n = 0
    for path in pipe:lines() do
      local file <close> = assert(io.open(path))
      same(file:read "a")
      n = n + 1
    end
    assert.is_true(n > 100)
  end)

  it("means the same: where strings have several lines, it is left as it is", function()
    for _, text in ipairs { "return [[\n  -- a\n]]", "return [==[\n  -- a\n]==]",
      "return 'a\\\n  -- b'", "return 'a\\z\n  -- b'", "--[[\n  x = 1\n]] return 2" } do
      assert.equal(text, same(text))
    end
    for text, left in pairs { [""] = "", ["--"] = "--", ["x = 1\n  --"] = "x = 1\n--",
      ["  -- a\n\tx = 1 -- b\n"] = "\nx = 1 -- b\n", ["x = 3 -\n  - 1"] = "x = 3 -\n- 1" } do
      assert.equal(left, same(text))
    end
  end)
end)

describe("what is loaded later", function()
  it("is found in another working folder", function()
    assert.equal("done", output_of(MAP .. [[lfs.chdir "/"
]] .. ALL .. [[io.write "done"]], RELATIVE))
  end)

  it("is found by the threads of map:parallel too", function()
    assert.equal("10", output_of(MAP .. [[
lfs.chdir "/"
io.write((map:parallel { workers = 2, where = "value > 0", map = function(b)
  return bpf.now() > 0 and #b
end, reduce = function(a, b) return a + b end }))]], RELATIVE))
  end)

  it("is found by the connection tracker too: its BPF object", function()
    local message = output_of([[
local conntrack = require "luabpf.conntrack"
lfs.chdir "/"
local _, message = conntrack.start { cgroup = "/nowhere" }
io.write(message)]], RELATIVE)
    assert.matches("/nowhere", message)
    assert.not_matches("bpf.o", message)
  end)

  it("needs no file descriptor", function()
    assert.equal("6 10", output_of(MAP .. [[
local held = {}
repeat
  held[#held + 1] = io.open "/dev/null"
until #held > 0 and not io.open "/dev/null"
local matched = map:count("value > 4", { engine = "batch" })
local text = {}
local report = assert(map:export(function(part) text[#text + 1] = part end))
io.write(matched, " ", report.entries)]]))
  end)

  it("is most of all: tables, layouts, queries, files and expressions among it", function()
    local names = output_of [[
require "luabpf"
for name in pairs(package.loaded) do
  if name:find "^luabpf" then io.write(name, "\n") end
end]]
    assert.matches("luabpf.map.open\n", names)
    for _, room in ipairs { "show", "layout", "query", "expr", "file", "event", "parallel" } do
      assert.not_matches("luabpf%." .. room, names)
    end
  end)

  it("is there for help, and for a declaration, without a descriptor in another folder", function()
    assert.equal("luabpf.map (t hash 4->8 max 64)\n", output_of([[
local bpf = require "luabpf"
lfs.chdir "/"
local held = {}
repeat
  held[#held + 1] = io.open "/dev/null"
until #held > 0 and not io.open "/dev/null"
bpf.types { flow = { addr = "ipv4" } }
bpf.types { flow = false }
local printed = {}
print = function(...) printed[#printed + 1] = ... end
bpf.help "map:count"
assert(printed[1]:find "How many entries match")
for i = 1, 8 do held[i]:close() end
local map = bpf.create { type = "hash", name = "t", key = "u32", value = "u64", max_entries = 64 }
io.write((tostring(map):gsub(" id %d+", "")), "\n")]], RELATIVE))
  end)

  it("is the same when modules have been forgotten, and loaded again", function()
    assert.equal("6 6 10 1", output_of(MAP .. [[
local snapshot = map:snapshot()
for name in pairs(package.loaded) do
  if name:find "^luabpf" then package.loaded[name] = nil end
end
io.write(snapshot:count(bpf.compile("value > 4", snapshot)), " ", map:count("value > 4"), " ")
local other = require "luabpf"
io.write(map:export(path).entries, " ")
local new <close> = other.create { type = "hash", key = "u32", value = "u64", max_entries = 8 }
new:update(1, 1)
assert(require "luabpf.base.iter" == other.iter)
io.write(new:export(path).entries)]]))
  end)

  it("may come from another searcher than that for files", function()
    assert.equal("10", output_of([[
table.insert(package.searchers, 2, function(name)
  local path = name:find "^luabpf" and package.searchpath(name, package.hidden)
  return path and loadfile(path), "bundle"
end)
package.hidden, package.path = package.path, ""
]] .. MAP .. "io.write(map:export(path).entries)"))
  end)

  -- A copy of the Lua files, after that command in their folder; what requiring it says.
  local function said_after(command)
    folder.make()
    finally(folder.remove)
    assert(os.execute(("cp -r lua/luabpf %s && cd %s/luabpf && %s"):format(folder.name, folder.name,
      command)))
    local path = folder.path "?.lua;" .. folder.path "?/init.lua"
    return output_of([[require "luabpf"]], path)
  end

  it("is said to be out of reach where its file cannot be opened", function()
    assert.matches("module 'luabpf.file.json' not found: .*/json.lua: Too many levels of symbolic",
      said_after "ln -sf json.lua file/json.lua")
  end)

  it("is missed at once where it is not there", function()
    assert.matches("module 'luabpf.file.json' not found", said_after "rm file/json.lua")
  end)
end)
