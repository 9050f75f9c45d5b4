-- SPDX-License-Identifier: MIT
--
-- bpf.types, and the layouts that bpf.load and bpf.open are given over BTF and over bpf.types.

local bpf = require "luabpf"
local objects = require "spec.support.objects"

local OBJECT <const> = "bpf/addresses.bpf.o"

local KEY <const> = { saddr = "10.0.0.1", daddr = "10.0.0.2", source = "02:00:00:00:00:01",
  port = 443 }

-- Loads the object with options for some of its maps.
local function load(maps)
  return assert(bpf.load(OBJECT, { maps = maps }))
end

-- What a call raises, without its place.
local function message_of(fn, ...)
  local ok, message = pcall(fn, ...)
  assert.is_false(ok)
  return (tostring(message):gsub("^%S+:%d+: ", ""))
end

describe("bpf.types", function()
  after_each(function()
    local none = {}
    for name in pairs(bpf.types()) do none[name] = false end
    bpf.types(none)
  end)

  it("says what fields and whole structs are, in maps that are opened and loaded later", function()
    local before <close> = load()
    bpf.types { flow_key = { saddr = "ipv4", daddr = "ipv4" }, mac_address = "mac",
      flow_value = { via = "ipv4[2]", state = "enum8 { new, old = 3 } : 4" } }
    local object <close> = load()
    local flows = object.maps.flows
    local value = { back = KEY, packets = 7, via = { "192.0.2.1", "192.0.2.2" }, flags = 1,
      state = "old" }
    assert(flows:update(KEY, value))
    assert.same(value, flows:lookup(KEY))
    assert.same(KEY, flows:next())
    assert.equal(1, (flows:count "value.back.saddr in '10.0.0.0/8' and value.state == 'old'"))

    local opened <close> = assert(bpf.open { fd = flows:fd() })
    assert.same(value, opened:lookup(KEY))
    assert.same({ saddr = 0x0a000001, daddr = 0x0a000002, port = 443,
      source = { bytes = { 2, 0, 0, 0, 0, 1 } } },
      assert(before.maps.flows:update({ saddr = 0x0a000001, daddr = 0x0a000002, port = 443,
        source = { bytes = { 2, 0, 0, 0, 0, 1 } } }, {})) and before.maps.flows:next())
  end)

  it("go under what one map is opened with, and can be forgotten", function()
    local object <close> = load()
    bpf.types { flow_key = { saddr = "ipv4", daddr = "ipv4" }, mac_address = "mac" }
    local mine <close> = assert(bpf.open { fd = object.maps.flows:fd(),
      key = { "bytes[4] daddr" } })
    mine:update({ saddr = "10.0.0.1", daddr = "\10\0\0\2", source = KEY.source, port = 443 }, {})
    assert.equal("\10\0\0\2", mine:next().daddr)
    local all = bpf.types { mac_address = false }
    assert.same({ flow_key = { saddr = "ipv4", daddr = "ipv4" } }, all)
    all.flow_key.saddr = "changed"
    local later <close> = assert(bpf.open { fd = object.maps.flows:fd() })
    assert.same({ saddr = "10.0.0.1", daddr = "10.0.0.2", port = 443,
      source = { bytes = { 2, 0, 0, 0, 0, 1 } } }, later:next())
    bpf.types { flow_key = false }
    assert.same({}, bpf.types())
  end)

  it("are given and taken as copies, with what is in them", function()
    local inner = { name = "tuple", "ipv4 addr" }
    bpf.types { pair = { inner } }
    inner[1] = "nothing"
    bpf.types().pair[1][1] = "changed"
    assert.same({ pair = { { name = "tuple", "ipv4 addr" } } }, bpf.types())
  end)

  it("hold for the records of events that are read by the name of their type", function()
    bpf.types { event = { rest = "bytes[24]" } }
    local object <close> = assert(bpf.load "bpf/events.bpf.o")
    local reader <close> = assert(object.maps.ring:reader { layout = "struct event" })
    object.globals.times = 1
    assert(object.programs.send:run())
    for event in reader:records { timeout = "0s" } do assert.equal(24, #event.rest) end
    bpf.types { event = { rst = "bytes[24]" } }
    reader:close()
    assert.equal("reader: bpf.types: event.rst: the map has no such field; did you mean 'rest'?",
      message_of(object.maps.ring.reader, object.maps.ring, { layout = "struct event" }))
  end)

  it("take lists of declarations too, for structs within", function()
    bpf.types { flow_value = { { name = "back", "ipv4 saddr" }, via = "ipv4[2]" } }
    local object <close> = load()
    local flows = object.maps.flows
    flows:update({}, { back = { saddr = "10.0.0.7" }, via = { "10.0.0.8", "10.0.0.9" } })
    local value = flows:lookup {}
    assert.same({ "10.0.0.7", "10.0.0.8", "10.0.0.9" },
      { value.back.saddr, value.via[1], value.via[2] })
    assert.equal(0, value.back.daddr)
  end)

  it("raise at once for what is no type", function()
    local cases <const> = {
      { 5, "types: table expected, got number" },
      { { "flow_key" }, "types: 1: the name of a type of BTF expected, got number" },
      { { flow_key = 5 },
        "types: flow_key: fields with their types, a type, or false expected, got number" },
      { { flow_key = true },
        "types: flow_key: fields with their types, a type, or false expected, got boolean" },
      { { flow_key = {} }, "types: flow_key: no fields" },
      { { flow_key = { saddr = 4 } },
        "types: flow_key.saddr: the type as text expected, got number (inner structs: "
          .. "{ name = \"saddr\", ... })" },
      { { flow_key = { saddr = "u32 x" } },
        [[types: flow_key.saddr: "u32 x saddr": 'saddr' is too much]] },
    }
    for _, case in ipairs(cases) do
      assert.equal(case[2], message_of(bpf.types, case[1]))
    end
    assert.matches("types: flow_key.saddr: \"ipv5 saddr\": no type 'ipv5'",
      message_of(bpf.types, { flow_key = { saddr = "ipv5" } }), 1, true)
    assert.matches("types: mac_address: \"mack\": no type 'mack'",
      message_of(bpf.types, { flow_key = { saddr = "ipv4" }, mac_address = "mack" }), 1, true)
    assert.same({}, bpf.types())
  end)

  it("say where a name of a field is none, also within lists", function()
    local ok, message = pcall(function()
      bpf.types { inner = { { name = 5, "u32 a" } } }
      finally(function() bpf.types { inner = false } end)
      assert(bpf.load "bpf/layouts.bpf.o"):close()
    end)
    assert.is_nil(tostring(message):find "attempt to index")
    assert.is_true(ok or tostring(message):find("not a name", 1, true) ~= nil)
  end)

  it("raise for fields that the struct has not, and leave nothing open", function()
    local object <close> = load()
    local fd = object.maps.flows:fd()
    local cases <const> = {
      { { flow_key = { sadr = "ipv4" } },
        "bpf.types: flow_key.sadr: the map has no such field; did you mean 'saddr'?" },
      { { flow_key = { saddr = "ipv6" } },
        "bpf.types: flow_key.saddr: ipv6 has 16 bytes, the map's be32 has 4" },
      { { mac_address = "ipv4" },
        "bpf.types: mac_address: ipv4 has 4 bytes, the map's mac_address has 6" },
    }
    local descriptors = objects.descriptors()
    for _, case in ipairs(cases) do
      bpf.types(case[1])
      assert.equal("open: " .. case[2], message_of(bpf.open, { fd = fd }))
      assert.equal("load: " .. case[2], message_of(bpf.load, OBJECT))
      bpf.types { flow_key = false, mac_address = false }
    end
    assert.equal(descriptors, objects.descriptors())
  end)
end)

describe("bpf.load with layouts", function()
  it("changes the types of the fields that they name", function()
    local object <close> = load {
      flows = { key = { "ipv4 saddr", "ipv4 daddr", "mac source" }, max_entries = 5 },
      routes4 = { key = "prefix4" },
      sizes = { key = "ipv4", value = { "u32 hits", "u32 misses" } },
    }
    local maps = object.maps
    assert.equal(5, #maps.flows)
    maps.flows:update(KEY, { packets = 3 })
    assert.same(KEY, maps.flows:next())
    assert.equal(3, maps.flows:lookup(KEY).packets)
    maps.routes4:update("10.1.0.0/16", 1)
    assert.equal("10.1.0.0/16", maps.routes4:next())
    maps.sizes:update("10.0.0.1", { hits = 1, misses = 2 })
    assert.same({ hits = 1, misses = 2 }, maps.sizes:lookup "10.0.0.1")
  end)

  it("raises where they do not fit, before anything is loaded or pinned", function()
    local pin <const> = objects.pin_path()
    local cases <const> = {
      { { key = { "ipv4 sadr" } }, "load: maps.flows.key.sadr: the map has no such field; did you "
        .. "mean 'saddr'?" },
      { { key = "u32" }, "load: maps.flows.key: u32 has 4 bytes, the map's flow_key has 16" },
      { { key = { "ipv6 saddr" } },
        "load: maps.flows.key.saddr: ipv6 has 16 bytes, the map's be32 has 4" },
      { { value = 5 }, "maps.flows.value: layout expected, got number" },
    }
    for _, case in ipairs(cases) do
      local options = { flows = { pin = pin } }
      for name, value in pairs(case[1]) do options.flows[name] = value end
      assert.equal(case[2], message_of(bpf.load, OBJECT, { maps = options }))
      assert.is_false(objects.exists(pin))
    end
    assert.equal("load: maps.sizes.value: the layout has 4 bytes, the map's value has 8",
      message_of(bpf.load, OBJECT, { maps = { sizes = { value = "u32" } } }))
  end)
end)
