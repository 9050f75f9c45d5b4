-- SPDX-License-Identifier: MIT
--
-- luabpf.object: loading, its options and its errors, and the global variables.

local bpf = require "luabpf"
local support = require "spec.support.objects"

local OBJECT <const> = support.OBJECT

-- Loads the object, which must work.
local function load(options)
  return assert(bpf.load(OBJECT, options))
end

-- The message and errno of a load that the system refuses.
local function refusal(path, options)
  local object, message, errno = bpf.load(path, options)
  assert.is_nil(object)
  assert.is_string(message)
  return message, errno
end

local function sorted_names(handles)
  local names = {}
  for name in pairs(handles) do names[#names + 1] = name end
  table.sort(names)
  return table.concat(names, " ")
end

local function write_file(text)
  local path = os.tmpname()
  local file <close> = assert(io.open(path, "w"))
  file:write(text)
  return path
end

describe("bpf.load", function()
  it("gives the maps, programs and globals by their names", function()
    local object <close> = load()
    assert.equal("jumps points unpreallocated", sorted_names(object.maps))
    assert.equal("called count_egress count_either count_ingress count_raw count_tc "
      .. "count_tracepoint count_xdp", sorted_names(object.programs))
    assert.equal(200, object.globals.tiny)
    assert.is_nil(object.nothing)
    assert.error_matches(function() object:nothing() end, "object has no method 'nothing'")
    assert.is_nil(object.maps.nothing)
  end)

  it("prints what it loaded", function()
    local object <close> = load()
    assert.equal("luabpf.object (bpf/objects.bpf.o 3 maps 8 programs)", tostring(object))
    local lines = {}
    for line in tostring(object.maps):gmatch "[^\n]+" do lines[#lines + 1] = line end
    assert.equal(3, #lines)
    assert.matches("^jumps = luabpf%.map %(jumps prog_array ", lines[1])
    assert.matches("^points = luabpf%.map %(points hash ", lines[2])
  end)

  it("refuses a file that is not there, or not an object of BPF programs", function()
    local message, errno = refusal "/nonexistent.bpf.o"
    assert.equal("/nonexistent.bpf.o: No such file or directory", message)
    assert.equal(bpf.errno.ENOENT, errno)

    local path <const> = write_file "this is no object file, whatever its length may be: "
    message, errno = refusal(path)
    os.remove(path)
    assert.equal(path .. ": not an ELF file", message)
    assert.equal(bpf.errno.ENOEXEC, errno)

    assert.matches("not of BPF programs", (refusal "/bin/sh"))
    message, errno = refusal "/tmp"
    assert.equal("/tmp: Is a directory", message)
    assert.equal(bpf.errno.EISDIR, errno)
  end)

  it("refuses an object file that is cut off", function()
    local file <close> = assert(io.open(OBJECT, "rb"))
    local path <const> = write_file(file:read(1000))
    local message, errno = refusal(path)
    os.remove(path)
    assert.matches("not a valid BPF object file", message, 1, true)
    assert.equal(bpf.errno.EINVAL, errno)
  end)

  it("raises for options that it does not know and values of the wrong type", function()
    local cases <const> = {
      { { bogus = 1 }, "load: unknown option 'bogus'" },
      { { maps = 1 }, "load: option 'maps': table expected, got number" },
      { { maps = { {} } }, "maps: names expected, got a key of type number" },
      { { maps = { points = 1 } }, "maps.points: table expected, got number" },
      { { maps = { points = { size = 1 } } }, "maps.points: unknown option 'size'" },
      { { maps = { nothing = {} } }, "maps.nothing: the object has no such map" },
      { { maps = { [".data"] = {} } }, "the object has no such map (its maps: points, "
        .. "unpreallocated, jumps)" },
      { { maps = { points = { type = 1 } } }, "maps.points.type: name of a map type expected" },
      { { maps = { points = { type = "bag" } } }, "maps.points.type: no such map type: 'bag'" },
      { { maps = { points = { max_entries = 0 } } }, "maps.points.max_entries: integer from 1" },
      { { maps = { points = { max_entries = 1.5 } } }, "maps.points.max_entries: integer from 1" },
      { { maps = { points = { max_entries = "9" } } }, "maps.points.max_entries: integer from 1" },
      { { maps = { points = { max_entries = 1 << 32 } } }, "integer from 1 to 4294967295" },
      { { maps = { points = { pin = true } } }, "maps.points.pin: path expected, got boolean" },
      { { globals = "x" }, "load: option 'globals': table expected, got string" },
      { { globals = { nothing = 1 } }, "globals.nothing: the object has no such variable" },
      { { globals = { hidden = 1 } }, "globals.hidden: the variable is static" },
      { { globals = { LINUX_KERNEL_VERSION = 1 } }, "is the kernel's configuration" },
      { { globals = { tiny = 256 } }, "globals.tiny: " },
      { { globals = { tiny = "x" } }, "globals.tiny: " },
      { { globals = { label = ("x"):rep(17) } }, "globals.label: " },
      { { globals = { colour = "PINK" } }, "globals.colour: " },
      { { globals = { centre = { z = 1 } } }, "globals.centre" },
      { { globals = { list = { 1, 2, 3, 4 } } }, "globals.list" },
    }
    for _, case in ipairs(cases) do
      local ok, message = pcall(bpf.load, OBJECT, case[1])
      assert.is_false(ok, case[2])
      assert.truthy(tostring(message):find(case[2], 1, true),
        ("expected %q in %q"):format(case[2], message))
    end
    assert.has_error(function() bpf.load() end)
    assert.has_error(function() bpf.load(OBJECT, 1) end)
  end)

  describe("maps", function()
    it("changes the type and the size", function()
      local object <close> = load {
        maps = { points = { type = "lru_hash", max_entries = 1234 }, unpreallocated = {} },
      }
      local info = object.maps.points:info()
      assert.equal("lru_hash", info.type)
      assert.equal(1234, info.max_entries)
      assert.equal("hash", object.maps.unpreallocated:info().type)
      assert.equal(8, object.maps.unpreallocated:info().max_entries)
    end)

    it("refuses a type that the map's flags do not fit", function()
      assert.error_matches(function()
        load { maps = { unpreallocated = { type = "lru_hash" } } }
      end, "maps.unpreallocated.type: lru_hash maps cannot have the flag no_prealloc")
      assert.error_matches(function()
        load { maps = { points = { type = "lpm_trie" } } }
      end, "maps.points.type: lpm_trie maps need the flag no_prealloc")
    end)

    it("pins a map, and takes the one that is pinned", function()
      local path <const> = support.pin_path()
      finally(function() os.remove(path) end)
      local first <close> = load { maps = { points = { pin = path } } }
      first.maps.points:update(7, { x = 70, y = 71 })
      local second <close> = load { maps = { points = { pin = path } } }
      assert.equal(first.maps.points:info().id, second.maps.points:info().id)
      assert.same({ x = 70, y = 71 }, second.maps.points:lookup(7))
      assert.is_true(second.maps.points:unpin())
      assert.is_false(support.exists(path))
    end)

    it("says in what a pinned map differs, or that it is none", function()
      local path <const> = support.pin_path()
      finally(function() os.remove(path) end)
      local first <close> = load { maps = { points = { pin = path } } }
      assert.equal(("%s: load: maps.points: the map pinned at %s does not fit: "
        .. "its max_entries is 16, not 17"):format(OBJECT, path),
        (refusal(OBJECT, { maps = { points = { pin = path, max_entries = 17 } } })))
      assert.matches("its type is hash, not lru_hash",
        refusal(OBJECT, { maps = { points = { pin = path, type = "lru_hash" } } }))
      assert.is_true(first.maps.points:unpin())
      assert.is_true(first.programs.called:pin(path))
      assert.matches(path .. " is the pin of a program, not of a map",
        refusal(OBJECT, { maps = { points = { pin = path } } }), 1, true)
    end)

    it("refuses a pin outside of bpffs, and leaves none behind", function()
      local path <const> = support.pin_path()
      local message = refusal(OBJECT,
        { maps = { points = { pin = path }, jumps = { pin = "/tmp/" .. support.unique "pin" } } })
      assert.matches("is not on BPF FS", message)
      assert.is_false(support.exists(path))
    end)
  end)

  describe("a program that the verifier refuses", function()
    it("is named, with the end of the verifier's log in the message", function()
      local message, errno = refusal(OBJECT, { globals = { refused = true } })
      assert.matches("^bpf/objects%.bpf%.o: load: the kernel refuses program called: ", message)
      assert.matches("invalid mem access 'map_value_or_null'", message, 1, true)
      assert.equal(bpf.errno.EACCES, errno)
    end)

    it("says nothing on stderr", function()
      local text, ok = support.elsewhere("", [[
        assert(not bpf.load(support.OBJECT, { globals = { refused = true } }))
        assert(not bpf.load(support.OBJECT, { maps = { points = { pin = "/tmp/none" } } }))
      ]])
      assert.equal("", text)
      assert.is_true(ok)
    end)

    it("leaves no descriptors", function()
      local before = support.descriptors()
      for _ = 1, 3 do refusal(OBJECT, { globals = { refused = true } }) end
      assert.equal(before, support.descriptors())
    end)
  end)

  it("says which capabilities are missing", function()
    local text, ok = support.unprivileged [[
      local object, message, errno = bpf.load(support.OBJECT)
      assert(not object and errno == bpf.errno.EPERM)
      print(message)
    ]]
    assert.is_true(ok, text)
    assert.matches("lacks CAP_BPF", text)
  end)
end)

describe("global variables", function()
  local values <const> = {
    tiny = 200, small = 60000, medium = 4000000000, large = 0xfedcba9876543210,
    tiny_signed = -100, small_signed = -30000, medium_signed = -2000000000,
    large_signed = -5000000000, ready = true, label = "start", colour = "GREEN",
    list = { 7, 8, 9 }, elsewhere = 11, step = 2, origin = "file", centre = { x = 10, y = 20 },
    refused = false, answer = 0, sum = 0, runs = { 0, 0, 0, 0, 0, 0, 0, 0 },
  }

  it("of each kind are read as the object file has them", function()
    local object <close> = load()
    for name, value in pairs(values) do assert.same(value, object.globals[name], name) end
    local shape = object.globals.shape
    assert.same({ x = 3, y = -4 }, shape.corner)
    assert.same({ 1, 2, 3, 4 }, shape.flags)
    assert.equal(5, shape.kind)
    assert.equal(1000, shape.weight)
    assert.equal(0, shape.whole)
  end)

  it("are set before the load, constants too, and the rest stays", function()
    local object <close> = load { globals = {
      tiny = 1, large = -1, tiny_signed = -128, ready = false, label = "set", colour = "BLUE",
      list = { 1, 2 }, elsewhere = 12, step = 3, origin = "spec", centre = { x = -1 },
      shape = { corner = { y = 5 }, weight = 7 }, runs = { 1 }, answer = -2147483648,
    } }
    local globals = object.globals
    assert.equal(1, globals.tiny)
    assert.equal(-1, globals.large)
    assert.equal(-128, globals.tiny_signed)
    assert.is_false(globals.ready)
    assert.equal("set", globals.label)
    assert.equal("BLUE", globals.colour)
    assert.same({ 1, 2, 0 }, globals.list)
    assert.equal(12, globals.elsewhere)
    assert.equal(3, globals.step)
    assert.equal("spec", globals.origin)
    assert.same({ x = -1, y = 0 }, globals.centre)
    assert.equal(5, globals.shape.corner.y)
    assert.equal(7, globals.shape.weight)
    assert.same({ 1, 0, 0, 0, 0, 0, 0, 0 }, globals.runs)
    assert.equal(-2147483648, globals.answer)
    assert.equal(60000, globals.small)
  end)

  it("are shared with the programs after the load", function()
    local object <close> = load { globals = { step = 100, sum = 1000 } }
    local globals, called = object.globals, object.programs.called
    globals.answer = -7
    globals.elsewhere = 20
    assert.equal(-7, called:run { ctx = ("\0"):rep(24) }.retval)
    assert.equal(1000 + 100 + 1 + 20, globals.sum)
    globals.sum = 5
    called:run { ctx = ("\0"):rep(24) }
    assert.equal(5 + 121, globals.sum)
    assert.equal(2, globals.runs[8])
  end)

  it("are written one by one", function()
    local object <close> = load()
    local globals = object.globals
    for name in pairs(values) do
      if not ({ step = 1, origin = 1, centre = 1, refused = 1 })[name] then
        local value = name == "colour" and "RED" or name == "label" and "" or values[name]
        globals[name] = value
        assert.same(value, globals[name], name)
      end
    end
    globals.shape = { whole = 1 << 32, flags = { 9 } }
    assert.equal(1 << 32, globals.shape.whole)
    assert.same({ 0, 1 }, globals.shape.half)
    assert.same({ 9, 0, 0, 0 }, globals.shape.flags)
    assert.equal(11, globals.elsewhere)
  end)

  it("refuse what cannot be written", function()
    local object <close> = load()
    local globals = object.globals
    for name, message in pairs {
      step = "globals.step: the variable is constant once loaded: give its value to load",
      centre = "globals.centre: the variable is constant once loaded",
      LINUX_KERNEL_VERSION = "globals.LINUX_KERNEL_VERSION: the variable is the kernel's",
      hidden = "unknown global variable 'hidden'",
      nothing = "unknown global variable 'nothing'",
      tiny = "globals.tiny: ",
    } do
      local ok, err = pcall(function() globals[name] = -1 end)
      assert.is_false(ok, name)
      assert.truthy(err:find(message, 1, true), err)
    end
    assert.error_matches(function() return globals.nothing end, "unknown global variable")
    assert.error_matches(function() return globals[1] end, "unknown global variable '1'")
    assert.equal(2, globals.step)
    assert.equal(200, globals.tiny)
  end)

  it("have the kernel's configuration among them", function()
    local object <close> = load()
    local version = object.globals.LINUX_KERNEL_VERSION
    assert.is_true(version >= 5 << 16 | 15 << 8)
  end)

  it("are listed by pairs and printed", function()
    local object <close> = load()
    local seen, n = {}, 0
    for name, value in pairs(object.globals) do
      seen[name] = value
      n = n + 1
    end
    for name, value in pairs(values) do assert.same(value, seen[name], name) end
    assert.equal(n, select(2, tostring(object.globals):gsub(" = ", "")))
    local text = "\n" .. tostring(object.globals) .. "\n"
    assert.truthy(text:find("\nsmall_signed = -30000\n", 1, true))
    assert.truthy(text:find("\nlarge = 18364758544493064720\n", 1, true))
    assert.truthy(text:find("\nstep (constant) = 2\n", 1, true))
    assert.truthy(text:find("\nlist = { u32[3] }\n", 1, true), text)
    assert.truthy(text:find("\ncolour = GREEN\n", 1, true), text)
  end)

  it("are printed a line each, with nothing that a terminal obeys", function()
    local object <close> = load { globals = { label = "a\27[2J\nb\xff" } }
    assert.truthy(("\n" .. tostring(object.globals) .. "\n"):find(
      "\nlabel = \"a\\27[2J\\nb\\255\"\n", 1, true), tostring(object.globals))
  end)

  it("outlive the object", function()
    local object = load()
    local globals, called = object.globals, object.programs.called
    object:close()
    object = nil -- luacheck: ignore
    collectgarbage()
    globals.answer = 9
    assert.equal(9, called:run { ctx = ("\0"):rep(24) }.retval)
    called:close()
    collectgarbage()
    globals.answer = 10
    assert.equal(10, globals.answer)
  end)
end)

describe("luabpf.object", function()
  it("bears that a finalizer is called by hand", function()
    local object = load()
    local globals, called = object.globals, object.programs.called
    for _, handle in ipairs { globals, called, object } do getmetatable(handle).__gc(handle) end
    assert.error_matches(function() return globals.tiny end, "unknown global variable 'tiny'")
    assert.error_matches(function() globals.tiny = 1 end, "unknown global variable 'tiny'")
    assert.is_nil(next({ pairs(globals)(globals) }))
    assert.equal("", tostring(globals))
    assert.error_matches(function() called:info() end, "program is closed")
    assert.is_true(object:close())
  end)

  it("closes twice, and its handles stay usable", function()
    local object = load()
    local points <close> = object.maps.points
    assert.is_true(object:close())
    assert.is_true(object:close())
    assert.matches("closed%)$", tostring(object))
    assert.is_true(points:update(1, { x = 1, y = 2 }))
    assert.equal(1, object.globals.tiny and points:lookup(1).x)
    assert.equal("xdp", object.programs.count_xdp:info().type)
  end)

  it("gives all descriptors back, closed or collected in any order", function()
    local before = support.descriptors()
    for round = 1, 4 do
      local object = load()
      local kept = {
        object.maps.points, object.programs.called, object.programs.count_raw:attach(),
        object.globals, object,
      }
      if round == 1 then object:close() end
      -- Another one of them is the last to go each time.
      object = nil -- luacheck: ignore
      for i = 1, #kept do
        kept[(i + round) % #kept + 1] = nil
        collectgarbage()
      end
    end
    assert.equal(before, support.descriptors())
  end)

  it("is collected, although its programs refer to it", function()
    local weak = setmetatable({ load() }, { __mode = "v" })
    collectgarbage()
    collectgarbage()
    assert.is_nil(weak[1])
  end)

  it("closes at the end of its block", function()
    local kept
    do
      local object <close> = load()
      kept = object
      assert.matches("programs%)$", tostring(object))
    end
    assert.matches("closed%)$", tostring(kept))
  end)

  it("frees handles that nobody has when descriptors run out", function()
    local text, ok = support.elsewhere("sh -c 'ulimit -n 60; exec \"$@\"' sh", [[
      collectgarbage "stop"
      for _ = 1, 8 do assert(bpf.load(support.OBJECT)) end
      print "done"
    ]])
    assert.equal("done\n", text)
    assert.is_true(ok)
  end)
end)
