-- SPDX-License-Identifier: MIT
--
-- Completion: what it offers in each place, and that it calls nothing and never raises.
-- LUABPF_FUZZ_PREFIXES: how many prefixes the fuzz tries, else a few thousand.

local bpf = require "luabpf"
local complete = require "luabpf.prompt.complete"
local core = require "luabpf.core"
local folder = require "spec.support.folder"
local helper = require "spec.support.helper"

local scope

local function at(text)
  local list = complete.at(text, scope)
  return list
end

local function has(text, ...)
  local list = at(text) or {}
  local found = {}
  for _, each in ipairs(list) do found[each] = true end
  if #list == 1 then found[list[1]:gsub("[\"']$", "")] = true end
  for _, each in ipairs { ... } do
    assert(found[each], ("%s: %s is not among %s"):format(text, each, table.concat(list, " ")))
  end
  return found
end

describe("completion", function()
  local map

  before_each(function()
    map = helper.map { key = { "ipv4 addr", "be16 port", "u16 pad" },
      value = { "u64 bytes", "u64 packets", "enum8 state { open = 0, shut = 5 }",
        { name = "inner", "u32 deep" } } }
    scope = { locals = { flows = { value = map } }, globals = { bpf = bpf, string = string,
      assert = rawget(_G, "assert"), help = bpf.help, table_of = { alpha = { beta = 1 } } } }
  end)
  after_each(helper.close_all)

  it("of names: globals, locals, keywords", function()
    has("", "bpf", "flows", "string", "local")
    assert.same({ "bpf" }, at "x = bp")
    assert.same({ "flows" }, at "flo")
    assert.same({ "function" }, at "funct")
    assert.same({}, at "nothing_begins_so")
  end)

  it("of fields and methods, in tables and __index tables", function()
    assert.same({ "beta" }, at "table_of.alpha.b")
    assert.same({ "alpha" }, at "x = 1; table_of.")
    assert.same({ "format" }, at "string.form")
    assert.same({ "format" }, at '("x"):form')
    assert.same({ "open", "open_link", "open_or_create", "open_program" }, at "bpf.open")
    has("flows:", "select", "count", "lookup", "describe", "hist")
    assert.same({ "delete", "delete_batch", "delete_where" }, at "print(flows:del")
    assert.same({ "take" }, at "bpf.iter.ta")
    assert.same({}, at "flows.x.y.")
  end)

  it("of what calls of luabpf's functions give", function()
    has('bpf.open("flows"):', "select", "count")
    has('bpf.open "flows":', "select")
    has('assert(bpf.open { name = "flows" }):', "select")
    has("bpf.load('x').programs.x = bpf.open_program(5):", "attach")
  end)

  it("of options, but for those that are there", function()
    local found = has("flows:select { wh", "where = ")
    assert.is_nil(found["limit = "])
    has("flows:select { ", "where = ", "columns = ", "sort = ")
    found = has("flows:select { where = 'x', ", "columns = ", "limit = ")
    assert.is_nil(found["where = "])
    has("flows:delete_where('key.port == 1', { dry", "dry_run = ")
    has("bpf.create { ty", "type = ")
    has("flows:select { engine = ", '"kernel"', '"batch"')
    assert.same({ 'kernel"' }, at 'flows:select { engine = "ke')
    assert.same({ "where = " }, at "flows:select { w")
    assert.same({ "false", "true" }, at "flows:delete_where('true', { dry_run = ")
  end)

  it("of what options and arguments may be", function()
    assert.same({ 'lpm_trie"' }, at 'bpf.create { type = "lpm')
    assert.same({ 'mmapable"' }, at 'bpf.create { type = "array", flags = { "mma')
    has("bpf.maps { type = ", '"hash"', '"ringbuf"')
    assert.same({ "any", "exist", "noexist" }, at 'flows:update({ port = 1 }, {}, "')
    assert.same({ "exist" }, { (at 'flows:update({ port = 1 }, {}, { mode = "e')[1]:sub(1, -2) })
    assert.same({ '"egress"', '"ingress"' }, at 'bpf.open_program(5):attach { direction = ')
    has("bpf.open { id = ", tostring(map:info().id))
  end)

  it("of the fields of keys and values, where a table of them is written", function()
    assert.same({ "addr = ", "pad = ", "port = " }, at "flows:lookup { ")
    assert.same({ "pad = " }, at "flows:delete { addr = '10.0.0.1', port = 1, p")
    assert.same({ "bytes = " }, at "flows:update({ port = 1 }, { by")
    assert.same({ "deep = " }, at "flows:update({ port = 1 }, { inner = { ")
    assert.same({ "addr = ", "port = " }, at "flows:lookup_batch { { port = 1 }, { pad = 1, ")
    assert.same({ '"open"', '"shut"' }, at "flows:update({ port = 1 }, { state = ")
    assert.same({ 'shut"' }, at 'flows:update({ port = 1 }, { state = "s')
    assert.same({ "raw = " }, at "flows:lookup({ port = 1 }, { ")
    assert.same({ "report = " }, at "flows:select { params = { a = 1 }, rep")
    assert.same({}, at "bpf.open('flows'):lookup { ad")
  end)

  it("closes what is whole, unless it is closed", function()
    local function rest(text, after) return (complete.at(text, scope, after)) end
    assert.same({ "kernel" }, rest('flows:select { engine = "ke', '" }'))
    assert.same({ "kernel'" }, rest("flows:select { engine = 'ke", " }"))
    assert.same({ "kernel" }, rest("flows:select { engine = [[ke", ""))
    assert.same({ "value." }, rest('flows:count "val', ""))
    assert.same({ "bytes" }, rest('flows:count "value.by', ""))
    assert.same({ "/sys/fs/bpf/" }, rest('flows:pin "', ""))
  end)

  it("of maps by name, id and pin", function()
    local info = map:info()
    has('bpf.open("' .. info.name:sub(1, 3), info.name)
    has('bpf.open "' .. info.name:sub(1, 3), info.name)
    has('bpf.open { name = "' .. info.name:sub(1, 3), info.name)
    has("bpf.open(", tostring(info.id), ('"%s"'):format(info.name))
    has("bpf.open(" .. tostring(info.id):sub(1, 1), tostring(info.id))
    local pin = helper.pin()
    assert(map:pin(pin))
    finally(function() map:unpin() end)
    has('bpf.open "' .. pin:sub(1, -2), pin)
    has('bpf.open "/sys/fs/bp', "/sys/fs/bpf/")
    has('bpf.open "', "/sys/fs/bpf/")
  end)

  it("of what programs are attached to", function()
    scope.locals.p = { value = setmetatable({}, { __index = core.classes["luabpf.program"] }) }
    has('p:attach { xdp = "', "lo")
    has('p:attach { tcx = "l', "lo")
    assert.same({ "/sys/fs/cgroup/" }, at 'p:attach { cgroup = "')
  end)

  it("of fields and functions in the texts of a map that the line names", function()
    assert.same({ "bytes" }, at 'flows:count "value.by')
    assert.same({ "addr", "pad", "port" }, at 'flows:count("key.')
    assert.same({ "deep" }, at 'flows:count "value.packets > 5 and value.inner.')
    assert.same({ "bytes" }, at 'flows:select { where = "value.by')
    assert.same({ "bytes" }, at 'flows:select { columns = { "key.addr", "value.by')
    assert.same({ "bytes" }, at 'flows:select { columns = "key.addr, value.by')
    assert.same({ "bytes" }, at 'flows:aggregate { select = { "sum(value.by')
    assert.same({ "bytes" }, at 'flows:hist "value.by')
    has('flows:count "', "key.", "value.", "now", "if(", "prefix(")
    has('flows:aggregate { select = "', "sum(", "count()")
    assert.same({ "shut'" }, at [[flows:count "value.state == 'sh]])
    assert.same({ "open", "shut" }, at [[flows:count "value.state == ']])
    assert.same({}, at 'flows:count "value.nothing.')
    assert.same({}, at 'bpf.open("flows"):count "value.')
  end)

  it("of the condition of a change as of what is changed", function()
    assert.same({ "bytes" }, at 'flows:update_where("value.by')
    assert.same({ "bytes" }, at 'flows:update_where("value.packets == 1", "value.by')
    assert.same({}, at 'flows:count("value.packets == 1", "value.by')
  end)

  it("of the parameters of functions that queries are given", function()
    has("flows:count(function(k, v) return v.", "bytes", "packets", "state", "inner")
    assert.same({ "addr", "pad", "port" }, at "flows:count(function(k, v) return k.")
    assert.same({ "deep" }, at "flows:update_where(nil, function(key, value) value.inner.")
    assert.same({ "bytes" }, at "flows:fold({ n = 0 }, function(acc, key, value) x = value.by")
    assert.same({ "port" }, at "flows:aggregate { limit = 3, group = function(k) return { a = k.po")
    assert.same({ "bytes" }, at "flows:delete_where('true', { on_delete = function(k, v) print(v.b")
    local percpu = helper.map { type = "percpu_hash", value = { "u32 n", "u8 list[2]",
      { name = "t[2]", "u16 a" } } }
    scope.locals.percpu = { value = percpu }
    assert.same({ "n" }, at "percpu:count(function(k, v) return v[1].n")
    assert.same({ "a" }, at "percpu:count(function(k, v) return v[1].t[2].")
    assert.same({ "a" }, at 'percpu:count("value[1].t[2].')
    -- Acc is none, nor are the parameters of other functions.
    assert.same({}, at "flows:fold({ n = 0 }, function(acc, key, value) acc.")
    assert.same({}, at "table_of.alpha(function(k, v) return v.")
    assert.same({}, at "flows:count(function(k, v) return x.")
    assert.same({}, at "flows:count(function(k, v) return v.bytes.")
  end)

  it("of options goes by what the method is called on, where classes share one", function()
    require "luabpf.file.snapshot"
    for _ = 1, 8 do has("flows:aggregate { re", "reset = ") end
  end)

  it("of names for help, of files elsewhere", function()
    assert.same({ 'map:select"' }, at 'help "map:sel')
    assert.same({ 'select"' }, at 'help "sel')
    assert.same({ 'expressions"' }, at 'help "expressions')
    assert.is_nil(has('help "ma', "map")["map:select"])
    has('help "map', "map", "map:select")
    assert.same({ 'delete_where"' }, at 'flows:help "delete_w')
    assert.same({}, at "-- flows:")
  end)

  it("of paths of files, from the root and from here", function()
    folder.make()
    finally(folder.remove)
    for _, name in ipairs { "alpha.o", "alpine.o", ".hidden.o" } do
      assert(io.open(folder.path(name), "w")):close()
    end
    os.execute("mkdir " .. folder.path "beta")
    local path = folder.path ""
    assert.same({ path .. "alpha.o", path .. "alpine.o" }, at(('bpf.load "%salp'):format(path)))
    assert.same({ path .. 'alpha.o"' }, at(('flows:export("%salpha'):format(path)))
    assert.same({ path .. "beta/" }, at(('io.open("%sb'):format(path)))
    assert.same({ path .. '.hidden.o"' }, at(('x = "%s.h'):format(path)))
    assert.same({ 'README.md"' }, at 'io.open("READ')
    assert.same({ 'docs/guide.md"' }, at 'io.open("docs/gui')
    assert.same({ 'guide.md"' }, complete.for_editor("", 'io.open("docs/gui', 14, "", scope))
  end)

  it("works over the lines of a chunk", function()
    assert.same({ "where = " }, complete.for_editor("flows:select {\n", "  wher", 2, "", scope))
    assert.same({ "bytes" }, complete.for_editor("", 'flows:count "value.by', 19, "", scope))
    assert.same({ "value.bytes" }, complete.for_editor("", 'flows:count "value.by', 13, "", scope))
  end)

  -- Objects that fail, count, or never end where anything of theirs is called.
  local called

  local function hostile()
    local function bad() called = called + 1 error "called" end
    local meta = {}
    for _, name in ipairs { "__index", "__newindex", "__pairs", "__len", "__tostring", "__call",
      "__eq", "__lt", "__le", "__concat", "__unm", "__name", "__close" } do
      meta[name] = bad
    end
    local guarded = setmetatable({ field = 1 }, meta)
    local loop = {}
    setmetatable(loop, { __index = loop })
    return { guarded = guarded, loop = loop, hidden = setmetatable({ x = 1 },
      { __metatable = false, __index = bad }), nested = { guarded = guarded, [guarded] = 1 },
      [guarded] = 1, [1] = 2, file = io.stdout, odd = setmetatable({}, { __index = 5, __name = 7 }),
      closed = map }
  end

  local LINES <const> = { 'guarded.field', 'guarded:f', 'loop.a.b', 'hidden.x:y(',
    'nested.guarded.f',
    'flows:select { where = "value.bytes > 5", columns = "key.addr", sort = "b', 'file:wri',
    'bpf.open("x"):count "value.x', 'for key, value in flows:entries() do print(key.',
    'flows:aggregate { group = "key.port", select = { "sum(value.bytes) as b", "co',
    'bpf.create { type = "hash", key = { "ipv4 addr" }, flags = { "',
    'local x <close> = assert(bpf.',
    'flows:delete_where("now - value.bytes > 30s", { dry_run = true, params = { a', 'x[1].y["z"].w',
    "flows:count [[value.", "f{g{h(i, j)}}.", "((((", "}}})", "a.b:c'd'.e", 'closed:count "value.' }

  it("calls nothing and never raises, whatever stands there #fuzz", function()
    called = 0
    for name, value in pairs(hostile()) do
      if type(name) == "string" then scope.locals[name] = { value = value } end
    end
    map:close()
    local n = math.tointeger(os.getenv "LUABPF_FUZZ_PREFIXES" or 3000)
    local seed = math.tointeger(os.getenv "SEED" or 7)
    math.randomseed(seed)
    local slow, clock = 0, os.clock
    for i = 1, n do
      local line = LINES[math.random(#LINES)]
      local text = line:sub(1, math.random(0, #line))
      for _ = 1, math.random(0, 3) do
        local k = math.random(0, #text)
        local other = LINES[math.random(#LINES)]
        text = text:sub(1, k) .. (math.random(2) == 1 and string.char(math.random(0, 255))
          or other:sub(math.random(#other))) .. text:sub(k + math.random(0, 2))
      end
      local start = clock()
      local ok, list, word = pcall(complete.found, text, scope)
      if clock() - start > 0.02 then slow = slow + 1 end
      assert(ok, ("seed %d, %d: %q: %s"):format(seed, i, text, tostring(list)))
      assert(type(word) == "string" and text:sub(-#word) == word or word == "", text)
      assert.equal(0, called, text)
    end
    if os.getenv "LUABPF_FUZZ_PREFIXES" then
      print(("%d prefixes, %d over 20 ms of CPU"):format(n, slow))
      assert(slow * 1000 <= n)
    end
  end)
end)
