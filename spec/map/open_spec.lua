-- SPDX-License-Identifier: MIT
--
-- Creating, opening and listing maps (lua/luabpf/map/open.lua, luabpf/bind/map/map.c).

local bpf = require "luabpf"
local core = require "luabpf.core"
local helper = require "spec.support.helper"
local objects = require "spec.support.objects"

describe("create", function()
  after_each(helper.close_all)

  -- What the types need beyond defaults; those that user space cannot create are left out.
  local special = {
    ringbuf = { max_entries = 4096 }, user_ringbuf = { max_entries = 4096 },
    arena = { max_entries = 1, flags = { "mmapable" } },
    lpm_trie = { key = "prefix4", value = "u32" },
    array_of_maps = { inner = { type = "array", key = "u32", value = "u32" } },
    hash_of_maps = { key = "u32", inner = { type = "array", key = "u32", value = "u32" } },
    stack_trace = { key = "u32", value_size = 64 },
    cgroup_storage = { key_size = 8, value = "u64", max_entries = 0 },
    percpu_cgroup_storage = { key_size = 8, value = "u64", max_entries = 0 },
    sk_storage = { key = "u32", value = "u64", max_entries = 0 },
    inode_storage = { key = "u32", value = "u64", max_entries = 0 },
    task_storage = { key = "u32", value = "u64", max_entries = 0 },
    cgrp_storage = { key = "u32", value = "u64", max_entries = 0 },
    queue = { value = "u32" }, stack = { value = "u32" }, bloom_filter = { value = "u32" },
    sockhash = { key = "u32" }, devmap_hash = { key = "u32", value = "u32" },
    devmap = { value = "u32" }, cpumap = { value = "u32" },
  }

  for _, kind in ipairs(core.maptypes) do
    if kind.name ~= "struct_ops" then -- its value is a type of the kernel's BTF
      it("makes " .. kind.name, function()
        local major, minor = kind.since:match("^(%d+)%.(%d+)")
        if not helper.kernel_has(tonumber(major), tonumber(minor)) then
          return pending(("needs Linux %s: %s"):format(kind.since, kind.name))
        end
        local given = { type = kind.name, max_entries = 4, name = helper.name() }
        if not special[kind.name] then
          if not kind.key_index then given.key = "u32" end
          if not (kind.fd_values or kind.map_values) then given.value = "u32" end
        end
        for name, value in pairs(special[kind.name] or {}) do given[name] = value end
        local map <close> = assert(bpf.create(given))
        local info = map:info()
        assert.equal(kind.name, info.type)
        assert.equal(given.name, info.name)
        assert.truthy(tostring(map):find(kind.name, 1, true))
      end)
    end
  end

  it("[case 41] reports the rounded size of a per-CPU LRU", function()
    local cpus = bpf.cpus()
    local map = helper.map { type = "lru_hash", max_entries = 2 * cpus + 1,
      flags = { "no_common_lru" } }
    assert.equal(3 * cpus, #map)
  end)

  it("names what is wrong with the options", function()
    local function fails(text, given)
      local ok, message = pcall(function()
        local map = bpf.create(given)
        map:close()
      end)
      assert.is_false(ok)
      assert.truthy(message:find(text, 1, true), message)
      assert.truthy(message:find("open_spec.lua", 1, true), message)
    end
    fails("unknown option 'max_entrys'", { type = "hash", max_entrys = 3 })
    fails("option 'type': missing", { key = "u32", value = "u32" })
    fails("unknown map type 'hsh'", { type = "hsh" })
    fails("option 'key': missing", { type = "hash", value = "u32" })
    fails("option 'value': missing", { type = "hash", key = "u32" })
    fails("key and key_size are given", { type = "hash", key = "u32", key_size = 4, value = "u32" })
    fails("has 16 bytes, the kernel keeps 15",
      { type = "hash", key = "u32", value = "u32", name = "abcdefghijklmnop" })
    fails("letters, digits", { type = "hash", key = "u32", value = "u32", name = "a b" })
    fails("unknown flag 'no_preallocc'",
      { type = "hash", key = "u32", value = "u32", flags = { "no_preallocc" } })
    fails("always preallocated",
      { type = "lru_hash", key = "u32", value = "u32", flags = { "no_prealloc" } })
    fails("option 'max_entries'", { type = "hash", key = "u32", value = "u32", max_entries = -1 })
    fails("option 'max_entries'", { type = "hash", key = "u32", value = "u32", max_entries = 1.5 })
    fails("hold no maps", { type = "hash", key = "u32", value = "u32", inner = {} })
    fails("table of options expected", 5)
  end)

  it("returns the system's refusals", function()
    local map, message, errno = bpf.create { type = "hash", key = "u32", value = "u32",
      max_entries = 0, name = "nothing" }
    assert.is_nil(map)
    assert.equal("nothing: create: Invalid argument (max_entries is 0)", message)
    assert.equal(bpf.errno.EINVAL, errno)
  end)

  it("pins what it creates, and leaves nothing when the pin is refused", function()
    local path = helper.pin()
    local map = helper.map { pin = path }
    assert.equal(path, map:info().pin)
    local other, message, errno = bpf.create { type = "hash", key = "u32", value = "u64",
      max_entries = 1, pin = path }
    assert.is_nil(other)
    assert.equal(bpf.errno.EEXIST, errno)
    assert.truthy(message:find(path, 1, true))
    assert.is_true(map:unpin())
    assert.is_nil(map:info().pin)
  end)

  it("gives the fields to bpftool", function()
    local map = helper.map { key = { "ipv4 addr", "be16 port" }, value = { "u64 bytes" } }
    assert(map:update({ addr = "10.0.0.1", port = 80 }, { bytes = 7 }))
    local pipe <close> = io.popen("bpftool -j map dump id " .. map:info().id)
    local text = pipe:read("a")
    assert.truthy(text:find('"bytes":7', 1, true), text)
    assert.truthy(text:find('"addr":', 1, true), text)
  end)
end)

describe("open", function()
  after_each(helper.close_all)

  it("finds a map by path, name, id and descriptor", function()
    local path = helper.pin()
    local map = helper.map { pin = path }
    local info = map:info()
    map:update(1, 2)
    for _, which in ipairs { path, info.name, info.id, { path = path }, { name = info.name },
      { id = info.id }, { fd = map:fd() } } do
      local again <close> = assert(bpf.open(which))
      assert.equal(map, again)
      assert.equal(2, again:lookup(1))
    end
    map:unpin()
  end)

  it("takes options after a path, name or id", function()
    local path = helper.pin()
    local map = helper.map { pin = path, key_size = 4, value_size = 8 }
    local info = map:info()
    map:update(("k"):rep(4), ("v"):rep(8))
    for _, which in ipairs { path, info.name, info.id } do
      local again <close> = assert(bpf.open(which, { key = "char[4]", value = "char[8]",
        readonly = true }))
      assert.equal("vvvvvvvv", again:lookup "kkkk")
      assert.equal(bpf.errno.EPERM, select(3, again:update("a", "b")))
    end
    map:unpin()
  end)

  it("keeps a pinned map after its handle", function()
    local path = helper.pin()
    do
      local map <close> = helper.map { pin = path }
      map:update(5, 6)
    end
    local map <close> = assert(bpf.open(path))
    assert.equal(6, map:lookup(5))
    assert.equal(path, map:info().pin)
    assert.is_true(map:unpin())
    assert.is_nil((bpf.open(path)))
  end)

  it("says which ids share a name", function()
    local name = helper.name()
    local a, b = helper.map { name = name }, helper.map { name = name }
    local map, message = bpf.open(name)
    assert.is_nil(map)
    assert.truthy(message:find(tostring(a:info().id), 1, true))
    assert.truthy(message:find(tostring(b:info().id), 1, true))
  end)

  it("compares the 15 characters that the kernel keeps", function()
    local name = (helper.name() .. "_0123456789abc"):sub(1, 15)
    local map = helper.map { name = name }
    local again <close> = assert(bpf.open(name .. "def"))
    assert.equal(map, again)
  end)

  it("tells what it did not find", function()
    local function fails(text, errno, which)
      local map, message, code = bpf.open(which)
      assert.is_nil(map)
      assert.truthy(message:find(text, 1, true), message)
      assert.equal(errno, code)
    end
    fails("/sys/fs/bpf/none_here: No such file", bpf.errno.ENOENT, "/sys/fs/bpf/none_here")
    fails("no_such_map_x: no map of that name", bpf.errno.ENOENT, "no_such_map_x")
    local close = helper.map { name = "close" .. math.tointeger(helper.pid) }:info().name
    fails(("%sx: no map of that name; did you mean '%s'?"):format(close, close),
      bpf.errno.ENOENT, close .. "x")
    fails("map id 4294967294: No such file", bpf.errno.ENOENT, 4294967294)
    fails("not of a map", bpf.errno.EINVAL, { fd = 0 })
    fails("fd 987654: Bad file descriptor", bpf.errno.EBADF, { fd = 987654 })
  end)

  it("names what is wrong with the arguments", function()
    assert.error_matches(function() bpf.open {} end, "one of path, name, id and fd")
    assert.error_matches(function() bpf.open { id = 1, fd = 2 } end, "one of path, name, id and fd")
    assert.error_matches(function() bpf.open { pth = "x" } end, "unknown option 'pth'")
    assert.error_matches(function() bpf.open { id = -1 } end, "option 'id'")
    assert.error_matches(function() bpf.open("x", { path = "/y" }) end, "unknown option 'path'")
    assert.error_matches(function() bpf.open("x", 7) end, "table of options expected")
    assert.error_matches(function() bpf.open({ id = 1 }, { readonly = true }) end, "one table")
    assert.error_matches(function() bpf.open { fd = 1, readonly = true } end, "readonly goes with")
    assert.error_matches(function() bpf.open(true) end, "pin path, name, id or table expected")
  end)

  it("[case 39] keeps to the rights of the handle", function()
    local map = helper.map()
    map:update(1, 2)
    local id = map:info().id
    local reader <close> = assert(bpf.open { id = id, readonly = true })
    assert.equal(2, reader:lookup(1))
    local ok, message, errno = reader:update(1, 3)
    assert.is_nil(ok)
    assert.equal(bpf.errno.EPERM, errno)
    assert.truthy(message:find("Operation not permitted", 1, true), message)
    assert.equal(bpf.errno.EPERM, select(3, reader:delete(1)))
    assert.equal(bpf.errno.EPERM, select(3, reader:update_batch({ 1 }, { 3 })))
    assert.has_error(function() for _ in reader:drain() do error("drained") end end)
    assert.equal(2, map:lookup(1))
    assert.is_true(map:freeze())
    assert.is_true(map:info().frozen)
    assert.equal(bpf.errno.EPERM, select(3, map:update(1, 3)))
    assert.equal(2, map:lookup(1))
  end)

  it("types fields over what BTF says", function()
    local map = helper.map { key = { "u32 addr", "u32 port" }, value = { "u64 bytes" } }
    map:update({ addr = 0x0100007f, port = 1 }, { bytes = 5 })
    local typed <close> = assert(bpf.open { id = map:info().id, key = { "ipv4 addr" } })
    local key = next((helper.collect(typed:entries())))
    assert.same({ addr = "127.0.0.1", port = 1 }, key)
    assert.same({ bytes = 5 }, typed:lookup { addr = "127.0.0.1", port = 1 })
  end)

  it("types a map without BTF", function()
    local map = helper.map { key_size = 4, value_size = 8 }
    map:update("\1\0\0\0", "\2\0\0\0\0\0\0\0")
    local typed <close> = assert(bpf.open { id = map:info().id, key = "u32", value = "u64" })
    assert.equal(2, typed:lookup(1))
    assert.error_matches(function()
      bpf.open { id = map:info().id, key = "u64" }
    end, "key: the layout has 8 bytes, the map's key has 4")
  end)
end)

-- Calls f with pins, and removes them.
local function with_pins(n, f)
  local pins = {}
  for k = 1, n do pins[k] = helper.pin() end
  local ok, err = pcall(f, table.unpack(pins))
  for _, pin in ipairs(pins) do os.remove(pin) end
  if not ok then error(err, 0) end
end

describe("open takes maps only [fault 1]:", function()
  it("not the pin or descriptor of a program or a link", function()
    local object <close> = assert(bpf.load "bpf/objects.bpf.o")
    local program = object.programs.count_xdp
    with_pins(2, function(of_program, of_link)
      assert(program:pin(of_program))
      local link <close> = assert(program:attach { xdp = "lo" })
      assert(link:pin(of_link))
      for path, what in pairs { [of_program] = "a program", [of_link] = "a link" } do
        local map, message, errno = bpf.open(path)
        assert.is_nil(map)
        local wanted = ("%s is the pin of %s, not of a map"):format(path, what)
        assert.truthy(message:find(wanted, 1, true))
        assert.equal(bpf.errno.EINVAL, errno)
        assert.is_nil(bpf.open(path, { readonly = true }))
      end
    end)
    local map, message = bpf.open { fd = program:fd() }
    assert.is_nil(map)
    assert.truthy(message:find("is of a program, not of a map", 1, true))
  end)

  it("every type of map that this kernel has", function()
    local function is_there(given)
      local major, minor = core.maptypes[given.type].since:match "^(%d+)%.(%d+)"
      return helper.kernel_has(tonumber(major), tonumber(minor))
    end
    local list = { { type = "queue", value = "u32" }, { type = "stack", value = "u32" },
      { type = "bloom_filter", value = "u32" }, { type = "ringbuf", max_entries = 4096 },
      { type = "user_ringbuf", max_entries = 4096 }, { type = "arena", flags = { "mmapable" } },
      { type = "sk_storage", flags = { "no_prealloc" }, max_entries = 0, key = "u32",
        value = "u32" }, { type = "perf_event_array" }, { type = "stack_trace", key = "u32",
        value_size = 64 }, { type = "lpm_trie", key = "prefix4", value = "u32" } }
    for _, given in bpf.iter.filter(function(_, each) return is_there(each) end, ipairs(list)) do
      local map <close> = assert(bpf.create(given))
      local again <close> = assert(bpf.open { fd = map:fd() })
      assert.equal(map, again)
    end
  end)

  it("no ordinary file, which is said", function()
    local path = os.tmpname()
    local _, message = bpf.open(path)
    os.remove(path)
    assert.truthy(message:find("is not a pin of a map, program or link", 1, true))
  end)

  it("and names readonly where a pin may be read only", function()
    local text = objects.elsewhere(objects.unshare(), ([[
      local folder = os.tmpname()
      os.remove(folder)
      assert(os.execute(("mkdir -m 755 %s && mount -t bpf none %s"):format(folder, folder)))
      local map <close> = assert(bpf.create { type = "array", value = "u32", max_entries = 1 })
      assert(map:pin(folder .. "/m"))
      os.execute(("chmod 755 %s; chmod 444 %s/m"):format(folder, folder))
      local script = os.tmpname()
      local file = io.open(script, "w")
      file:write(("local bpf = require 'luabpf' local pin = %q "):format(folder .. "/m"),
        "print(select(2, bpf.open(pin))) print(bpf.open(pin, { readonly = true }))")
      file:close()
      os.execute("chmod 644 " .. script)
      os.execute("setpriv --reuid=65534 --inh-caps=+bpf --ambient-caps=+bpf --bounding-set=+bpf "
        .. "lua5.4 " .. script)
      os.remove(script)
      os.execute(("umount %s; rmdir %s"):format(folder, folder))
    ]]))
    assert.truthy(text:find("readonly = true opens it", 1, true), text)
    assert.truthy(text:find("luabpf.map (", 1, true), text)
  end)
end)

describe("paths with a NUL byte raise [fault 9]:", function()
  it("in all that takes one", function()
    local map = helper.map()
    local object <close> = assert(bpf.load "bpf/objects.bpf.o")
    local program = object.programs.count_xdp
    local bad = "/sys/fs/bpf/" .. helper.name() .. "\0.new"
    local file = os.tmpname() .. "\0.tmp"
    for what, call in pairs {
      pin = function() return map:pin(bad) end,
      open = function() return bpf.open(bad) end,
      open_path = function() return bpf.open { path = bad } end,
      create = function()
        return bpf.create { type = "hash", key = "u32", value = "u32", pin = bad }
      end,
      load = function() return bpf.load("bpf/objects.bpf.o\0x") end,
      load_pin = function()
        return bpf.load("bpf/objects.bpf.o", { maps = { points = { pin = bad } } })
      end,
      program_pin = function() return program:pin(bad) end,
      open_program = function() return bpf.open_program(bad) end,
      open_link = function() return bpf.open_link(bad) end,
      export = function() return map:export(file) end,
      checkpoint = function() return map:export("/tmp/x", { checkpoint = file }) end,
      import = function() return map:import(file) end,
      snapshot = function() return bpf.snapshot(file) end,
      restore = function() return bpf.create { from = map:snapshot(), pin = bad } end,
      -- Names and texts, which C would cut as well.
      cgroup = function() return object.programs.count_egress:attach { cgroup = bad } end,
      xdp = function() return program:attach { xdp = "lo\0x" } end,
      tc = function() return object.programs.count_tc:attach { tc = "lo\0x" } end,
      tracepoint = function()
        return object.programs.count_tracepoint:attach { tracepoint = "sched:sched_switch\0x" }
      end,
      load_map = function()
        return bpf.load("bpf/objects.bpf.o", { maps = { ["points\0x"] = {} } })
      end,
      load_global = function()
        return bpf.load("bpf/objects.bpf.o", { globals = { ["tiny\0x"] = 1 } })
      end,
    } do
      local ok, message = pcall(call)
      assert.is_false(ok, what)
      assert.truthy(tostring(message):find("NUL byte", 1, true), what .. ": " .. tostring(message))
    end
    os.remove((file:gsub("\0.*", "")))
    helper.close_all()
  end)

  it("and words are not taken for what is before one", function()
    for _, call in ipairs {
      function() bpf.load("bpf/objects.bpf.o", { maps = { points = { type = "hash\0x" } } }) end,
      function() bpf.load("bpf/objects.bpf.o", { maps = { points = { ["pin\0x"] = "/x" } } }) end,
      function() local handle = bpf.signals "TERM\0x" return handle end,
    } do
      assert.is_false((pcall(call)))
    end
    local map = helper.map()
    local ok, message = pcall(function()
      local made = bpf.create { from = map:snapshot(), name = "no name" }
      return made
    end)
    assert.is_false(ok)
    assert.matches("open_spec.lua:%d+: create: option 'name'", message)
    helper.close_all()
  end)
end)

describe("unpin [fault 10]", function()
  after_each(helper.close_all)

  it("leaves a pin that is another map's by now", function()
    local a, b = helper.map(), helper.map()
    with_pins(1, function(pin)
      assert(a:pin(pin))
      os.remove(pin)
      assert(b:pin(pin))
      local ok, message, errno = a:unpin()
      assert.is_nil(ok)
      assert.truthy(message:find("the pin is of something else by now", 1, true))
      assert.equal(bpf.errno.ESTALE, errno)
      local still <close> = assert(bpf.open(pin))
      assert.equal(b, still)
      assert.equal(bpf.errno.ENOENT, select(3, a:unpin()))
      os.remove(pin)
      local object <close> = assert(bpf.load "bpf/objects.bpf.o")
      assert(object.programs.count_xdp:pin(pin))
      assert.equal(bpf.errno.ESTALE, select(3, b:unpin()))
      assert(bpf.open_program(pin)):close()
    end)
  end)

  it("knows all pins of the handle, the newest first", function()
    local map = helper.map()
    with_pins(2, function(one, two)
      assert(map:pin(one) and map:pin(two))
      assert.equal(two, map:info().pin)
      assert.is_true(map:unpin())
      assert.equal(one, map:info().pin)
      assert.is_true(map:unpin())
      assert.is_nil(map:info().pin)
      assert.is_nil(bpf.open(one) or bpf.open(two))
      assert.is_nil(map:unpin())
    end)
  end)
end)

describe("maps", function()
  after_each(helper.close_all)

  it("lists the kernel's maps, loops, and prints as a table", function()
    local map = helper.map()
    local info, found = map:info(), nil
    local list = assert(bpf.maps())
    for entry in list do if entry.id == info.id then found = entry end end
    assert.equal(info.name, found.name)
    assert.equal("hash", found.type)
    local again = 0
    for _ in list do again = again + 1 end
    assert.equal(#list, again)
    assert.truthy(tostring(list):find(info.name, 1, true))
  end)
end)
