-- SPDX-License-Identifier: MIT
--
-- Pins of maps, what a bpffs holds, who holds a map (bind/map/pin.c, lua/luabpf/map/pins.lua).

local bpf = require "luabpf"
local helper = require "spec.support.helper"
local system = require "spec.support.system"

local FOLDER <const> = "/sys/fs/bpf/"

-- The pins whose names begin like that.
local function names(prefix)
  local found = {}
  for _, pin in ipairs(assert(bpf.pins())) do
    if pin.path:find(FOLDER .. prefix, 1, true) == 1 then found[#found + 1] = pin.path end
  end
  return found
end

local function id_at(pin)
  local map <close> = assert(bpf.open(pin))
  return map:info().id
end

describe("[fault 10] pins", function()
  local pin
  before_each(function() pin = helper.pin() end)
  after_each(function()
    helper.close_all()
    os.execute(("rm -rf %s %s_*"):format(pin, pin))
  end)

  it("are removed only while they are this map's", function()
    local a, b = helper.map(), helper.map()
    assert(a:pin(pin))
    os.remove(pin)
    assert(b:pin(pin))
    local ok, message, errno = a:unpin()
    assert.same({ nil, bpf.errno.ESTALE }, { ok, errno })
    assert.truthy(message:find("unpin " .. pin .. ": the pin is of something else by now", 1, true),
      message)
    assert.equal(b:info().id, id_at(pin))
    assert.is_true(b:unpin())
    assert.is_nil((a:unpin()))
  end)

  it("are all known, the newest is removed first", function()
    local map = helper.map()
    assert(map:pin(pin .. "_1"))
    assert(map:pin(pin .. "_2"))
    assert.equal(pin .. "_2", map:info().pin)
    assert.is_true(map:unpin())
    assert.same({ pin .. "_1" }, names(pin:sub(#FOLDER + 1)))
    assert.is_true(map:unpin())
    assert.same({}, names(pin:sub(#FOLDER + 1)))
    assert.is_nil((map:unpin()))
  end)

  it("that somebody else removed are forgotten", function()
    local map = helper.map()
    assert(map:pin(pin .. "_1"))
    assert(map:pin(pin .. "_2"))
    os.remove(pin .. "_2")
    local ok, _, errno = map:unpin()
    assert.same({ nil, bpf.errno.ENOENT }, { ok, errno })
    assert.is_true(map:unpin())
  end)

  it("are renewed in one step", function()
    local a, b = helper.map(), helper.map()
    assert(a:pin(pin, { replace = true }))
    assert.equal(a:info().id, id_at(pin))
    local ok, _, errno = b:pin(pin)
    assert.same({ nil, bpf.errno.EEXIST }, { ok, errno })
    assert(b:pin(pin, { replace = true }))
    assert.equal(b:info().id, id_at(pin))
    assert.same({ pin }, names(pin:sub(#FOLDER + 1)))
    assert.is_nil((a:unpin()))
    assert.is_true(b:unpin())
  end)

  it("are there at any time while they are renewed", function()
    local first = helper.map()
    assert(first:pin(pin))
    local child = system.fork()
    if child == 0 then
      for _ = 1, 300 do
        local map <close> = bpf.create { type = "array", value = "u32" }
        map:pin(pin, { replace = true })
      end
      system.exit(0)
    end
    local opened = 0
    for _ = 1, 300 do
      assert(bpf.open(pin)):close()
      opened = opened + 1
    end
    assert.same({ "exit", 0 }, { system.wait(child) })
    assert.equal(300, opened)
    os.remove(pin)
  end)

  it("of programs are not replaced", function()
    local object <close> = assert(bpf.load "bpf/objects.bpf.o")
    local map = helper.map()
    assert(object.programs.count_xdp:pin(pin))
    local ok, message = map:pin(pin, { replace = true })
    assert.is_nil(ok)
    assert.truthy(message:find("is the pin of a program, not of a map", 1, true), message)
    local program <close> = assert(bpf.open_program(pin))
    os.remove(pin)
    assert.is_not_nil(program)
  end)

  it("refuse options that there are not", function()
    local map = helper.map()
    helper.raises("unknown option 'replac'", map.pin, map, pin, { replac = true })
    helper.raises("option 'replace': boolean expected, got number", map.pin, map, pin,
      { replace = 1 })
    helper.raises("option 'replace' goes with pin", bpf.create, { type = "array", value = "u32",
      replace = true })
  end)

  it("are made with create, also in the place of another", function()
    local given = { type = "array", value = "u32", max_entries = 3, pin = pin }
    local a <close> = assert(bpf.create(given))
    local map, _, errno = bpf.create(given)
    assert.same({ nil, bpf.errno.EEXIST }, { map, errno })
    given.replace = true
    local b <close> = assert(bpf.create(given))
    assert.equal(b:info().id, id_at(pin))
    assert.are_not.equal(a:info().id, b:info().id)
    assert.is_true(b:unpin())
  end)

  it("[fault 27] are made of snapshots when these are complete, in the place of another, or not",
    function()
      local map = helper.map { max_entries = 500 }
      for i = 1, 500 do map:update(i, i) end
      local snapshot <close> = assert(map:snapshot())
      local a <close> = assert(bpf.create { from = snapshot, pin = pin })
      assert.equal(pin, a:info().pin)
      local other, _, errno = bpf.create { from = snapshot, pin = pin }
      assert.same({ nil, bpf.errno.EEXIST }, { other, errno })
      assert.equal(a:info().id, id_at(pin))
      local b <close> = assert(bpf.create { from = snapshot, pin = pin, replace = true,
        max_entries = 1000 })
      assert.equal(b:info().id, id_at(pin))
      assert.same({ 500, 1000 }, { b:count(), #b })
      assert.same({ pin }, names(pin:sub(#FOLDER + 1)))
      -- Full before its end: nothing is left, and what was there stays.
      other = bpf.create { from = snapshot, pin = pin, replace = true, max_entries = 10 }
      assert.is_nil(other)
      assert.equal(b:info().id, id_at(pin))
      assert.same({ pin }, names(pin:sub(#FOLDER + 1)))
      assert.is_true(b:unpin())
    end)
end)

describe("bpf.pins", function()
  after_each(helper.close_all)

  it("lists what a bpffs holds, folders too, and prints as a table", function()
    local pin = helper.pin()
    local folder = pin .. "_d"
    assert(os.execute("mkdir " .. folder))
    local object <close> = assert(bpf.load "bpf/objects.bpf.o")
    local map = helper.map()
    assert(map:pin(pin))
    assert(object.programs.count_xdp:pin(folder .. "/program"))
    local link <close> = assert(object.programs.count_xdp:attach { xdp = "lo" })
    assert(link:pin(folder .. "/link"))
    local found = {}
    for _, each in ipairs(assert(bpf.pins())) do found[each.path] = each end
    assert.same({ path = pin, kind = "map", id = map:info().id, name = map:info().name,
      type = "hash" }, found[pin])
    assert.same({ path = folder .. "/program", kind = "program", name = "count_xdp", type = "xdp",
      id = object.programs.count_xdp:info().id }, found[folder .. "/program"])
    assert.same({ path = folder .. "/link", kind = "link", type = "xdp", id = link:info().id },
      found[folder .. "/link"])
    local list = assert(bpf.pins(folder .. "/"))
    assert.equal(2, #list)
    assert.truthy(tostring(list):find(folder .. "/link +link +%d+ +xdp"), tostring(list))
    os.execute(("rm -rf %s %s"):format(pin, folder))
    local none, message, errno = bpf.pins(folder)
    assert.same({ nil, bpf.errno.ENOENT }, { none, errno })
    assert.truthy(message:find(folder, 1, true))
    helper.raises("path of a folder expected, got number", bpf.pins, 3)
  end)
end)

describe("map:users", function()
  after_each(helper.close_all)

  it("are programs and processes that hold the map", function()
    local object <close> = assert(bpf.load "bpf/conntrack.bpf.o")
    local map = object.maps.conns
    local users = assert(map:users())
    local programs, here = {}, false
    for _, program in ipairs(users.programs) do programs[program.name] = program end
    assert.equal(object.programs.ingress:info().id, programs.ingress.id)
    assert.equal("cgroup_skb", programs.egress.type)
    for _, process in ipairs(users.processes) do here = here or process.pid == helper.pid end
    assert.is_true(here)
    assert.truthy(tostring(users):find("program +%d+ +egress +cgroup_skb"), tostring(users))
    local alone = helper.map()
    users = assert(alone:users())
    assert.same({}, users.programs)
    assert.equal(1, #users.processes)
    assert.equal(helper.pid, users.processes[1].pid)
  end)
end)
