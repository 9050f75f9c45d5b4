-- SPDX-License-Identifier: MIT
--
-- require "luabpf" loads what every script uses. Everything else is loaded by the
-- first call that needs it (base/later.lua), whichever that is: each is made in a new
-- process.

local bpf = require "luabpf"

local START <const> = [[
local bpf = require "luabpf"
local map = assert(bpf.create { type = "hash", key = "u32", value = "u64", max_entries = 64 })
for i = 1, 10 do map:update(i, i) end
local path = os.tmpname()
local cleanup <close> = setmetatable({}, { __close = function() os.remove(path) end })
]]

-- What is written by each, which is the first of its process that needs a module loaded late.
local FIRST <const> = {
  ["count"] = { "io.write((map:count 'value > 4'))", "6" },
  ["select"] = { "for _, v in map:select { where = 'key == 3' } do io.write(v) end", "3" },
  ["aggregate"] = { "io.write(map:aggregate({ select = 'sum(value) as n' })[1].n)", "55" },
  ["delete_where"] = { "io.write(map:delete_where('value > 4').deleted)", "6" },
  ["drain"] = { "for b in map:drain { where = 'value > 4' } do io.write(#b) end", "6" },
  ["explain"] = { "io.write(type(map:explain { where = 'value > 4' }))", "table" },
  ["export"] = { "io.write(map:export(path).entries)", "10" },
  ["import"] = { "io.open(path, 'w'):write('{\"key\":1,\"value\":7}\\n'):close() "
    .. "io.write(map:import(path).updated, map:lookup(1))", "17" },
  ["snapshot"] = { "local s = map:snapshot() io.write(s:count 'value > 4', s:aggregate({ select = "
    .. "'count() as n' })[1].n, #s:head(2), s:export(path).entries)", "610210" },
  ["parallel"] = { "io.write((map:parallel { workers = 2, map = function(b) return #b end, "
    .. "reduce = function(a, b) return a + b end }))", "10" },
  ["bpf.snapshot"] = { "io.write(select(2, bpf.snapshot('/nowhere/x')):match 'No such file')",
    "No such file" },
  ["bpf.create from"] = { "io.write((bpf.create { from = map:snapshot() }:count()))", "10" },
  ["bpf.compile"] = { "io.write(map:count(bpf.compile('value > 4', map)), '')", "6" },
  ["bpf.features"] = { "io.write(type(bpf.features().kernel))", "string" },
  ["bpf.bench"] = { "io.write(bpf.bench(map, { patience = '1ms' }).entries)", "10" },
}

local function output_of(script)
  local command = "LUA_PATH='%s' LUA_CPATH='%s' lua5.4 - <<'END' 2>&1\n%s\nEND"
  local pipe <close> = assert(io.popen(command:format(package.path, package.cpath, script)))
  return pipe:read "a"
end

describe("require \"luabpf\"", function()
  for what, case in pairs(FIRST) do
    it("loads what is needed when it is first needed: " .. what, function()
      assert.equal(case[2], output_of(START .. case[1]))
    end)
  end

  it("loads nothing that reading and writing a map do without", function()
    assert.equal("", output_of(START .. [[
for key, value in map:entries() do assert(key == value) end
assert(#map:head(3) == 3 and map:info().name == "" and map:clear() == 10)
for name in pairs(package.loaded) do
  for _, room in ipairs { "expr", "query", "file", "parallel" } do
    if name:find("^luabpf%." .. room) then io.write(name, " ") end
  end
end]]))
  end)

  -- As busted does to the modules that a block of a spec has loaded.
  it("works on when modules are forgotten, with what they have made", function()
    assert.equal("6 45 10 6", output_of(START .. [[
local where = bpf.compile("value > 4", map)
local snapshot = map:snapshot()
for name in pairs(package.loaded) do
  if name:find "^luabpf%." then package.loaded[name] = nil end
end
local sums = map:aggregate { where = where, select = "sum(value) as n" }
io.write(map:count(where), " ", sums[1].n, " ", snapshot:export(path).entries, " ",
  map:delete_where(where).deleted)]]))
  end)

  it("shows every method and function at once", function()
    local core = require "luabpf.core"
    for _, name in ipairs { "select", "delete_where", "explain", "export", "import", "snapshot" } do
      assert.equal("function", type(core.classes["luabpf.map"][name]))
    end
    assert.equal("function", type(bpf.compile))
  end)

  it("blames the caller of what is loaded late", function()
    local out = output_of(START .. "map:select { x = 1 }")
    assert.equal("lua5.4: stdin:6: select: unknown option 'x'", out:match "^[^\n(]*[^\n( ]")
  end)
end)
