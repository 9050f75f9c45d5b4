-- SPDX-License-Identifier: MIT
--
-- Readers of ring buffers and perf buffers (lua/luabpf/event/reader.lua,
-- luabpf/bind/event, luabpf/lib/event), fed by the programs of bpf/events.bpf.c.

local bpf = require "luabpf"
local helper = require "spec.support.helper"

local raises = helper.raises

local pins = {}

-- A pin of the program for another process; remove_pins() takes it away.
local function pinned(program)
  local path = helper.pin()
  assert(program:pin(path))
  pins[#pins + 1] = path
  return path
end

local function remove_pins()
  for _, path in ipairs(pins) do os.remove(path) end
  pins = {}
end

describe("a reader of a ring buffer", function()
  local object, ring, globals, programs

  before_each(function()
    object = assert(bpf.load "bpf/events.bpf.o")
    ring, globals, programs = object.maps.ring, object.globals, object.programs
  end)
  after_each(function()
    remove_pins()
    object:close()
    helper.close_all()
  end)

  local function send(n)
    globals.times = n
    assert(programs.send:run())
  end

  local function numbers_now(reader, options)
    options = options or {}
    options.timeout = "0s"
    local list = {}
    for event in reader:records(options) do list[#list + 1] = event.number end
    return list
  end

  local function from_to(first, last)
    local list = {}
    for i = first, last do list[#list + 1] = i end
    return list
  end

  it("gives decoded records of a type of the object's BTF", function()
    local reader <close> = assert(ring:reader { layout = "struct event" })
    send(2)
    local event = assert(reader:next "1s")
    assert.equal(0, event.number)
    assert.equal(helper.comm(), event.comm)
    assert.equal(24, #event.rest)
    assert.equal(1, reader:next("1s").number)
    assert.same({ nil, "timeout" }, { reader:next "0s" })
  end)

  it("finds the type in the BTF of the programs that use the map", function()
    local again <close> = assert(bpf.open(ring:info().id))
    local reader <close> = assert(again:reader { layout = "struct event" })
    send(1)
    assert.equal(0, reader:next("1s").number)
  end)

  it("says what to do where no BTF has the type", function()
    local reader, message, errno = ring:reader { layout = "struct missing" }
    assert.is_nil(reader)
    assert.matches("ring: reader: .*const struct missing %*unused_missing __attribute__", message)
    assert.equal(bpf.errno.ENOENT, errno)
  end)

  it("takes declarations, and bytes without a layout", function()
    do
      local reader <close> = assert(ring:reader {
        layout = { "u64 number", "u64 when", "u32 length", "u32 cpu",
          "char comm[]" } })
      send(1)
      local event = assert(reader:next "1s")
      assert.equal(0, event.number)
      assert.equal(helper.comm(), event.comm)
    end
    local reader <close> = assert(ring:reader())
    send(1)
    local bytes = reader:next "1s"
    assert.equal(64, #bytes)
    assert.equal(1, ("<I8"):unpack(bytes))
  end)

  it("takes names apart by a tag", function()
    local reader <close> = assert(ring:reader {
      layout = { field = "kind", [1] = "struct opened", [2] = "struct closed" } })
    assert(programs.send_kinds:run())
    assert.same({ kind = 1, length = 5, name = "hello" }, reader:next "1s")
    assert.same({ kind = 2, result = -3 }, reader:next "1s")
  end)

  it("gives the bytes and the reason of what fits no layout", function()
    local reader <close> = assert(ring:reader {
      layout = { field = "kind", [1] = { "u32 kind", "u32 other" } } })
    assert(programs.send_kinds:run())
    local bytes, why = reader:next "1s"
    assert.equal(40, #bytes)
    assert.matches("a record of 40 bytes, layout has 8", why)
    bytes, why = reader:next "1s"
    assert.equal("\2\0\0\0\253\255\255\255", bytes)
    assert.equal("no layout for records with kind = 2", why)
    globals.size = 8
    assert(programs.send_any:run())
    local seen = {}
    for batch in reader:batches { timeout = "0s" } do
      for view, reason in batch:views() do seen[#seen + 1] = { view, reason } end
    end
    assert.equal(1, #seen)
    assert.equal(("\0"):rep(8), seen[1][1])
    assert.equal("no layout for records with kind = 0", seen[1][2])
  end)

  it("gives each record once and in order, over many rounds of the ring", function()
    local reader <close> = assert(ring:reader { layout = "struct event" })
    local all, expected = {}, 0
    for _ = 1, 300 do
      send(197)
      for batch in reader:batches { timeout = "0s", batch_size = 64 } do
        for view in batch:views() do
          assert(view.number == expected, "out of order")
          expected = expected + 1
        end
        all[#all + 1] = #batch
      end
    end
    assert.equal(300 * 197, expected)
    assert.equal(0, globals.failed)
    assert.equal(64, math.max(table.unpack(all)))
  end)

  it("reads sizes from 8 to 4,000 bytes", function()
    local reader <close> = assert(ring:reader())
    for size = 8, 4000, 13 do
      globals.size = size
      assert(programs.send_any:run())
      assert.equal(size, #(reader:next "1s"))
    end
  end)

  it("counts what the programs could not reserve in no count of its own, and loses nothing else",
    function()
      local reader <close> = assert(ring:reader { layout = "struct event" })
      send(2000)
      local failed = globals.failed
      assert.is_true(failed > 0)
      assert.same(from_to(0, 2000 - failed - 1), numbers_now(reader))
    end)

  it("passes over discarded records and counts them", function()
    globals.every = 3
    local reader <close> = assert(ring:reader { layout = "struct event" })
    send(10)
    assert.same({ 1, 2, 4, 5, 7, 8 }, numbers_now(reader))
    local stats = reader:stats()
    assert.equal(6, stats.records)
    assert.equal(4, stats.discarded)
    assert.equal(384, stats.bytes)
    assert.equal(0, stats.backlog)
    assert.equal(720, stats.high_water)
    assert.matches("records +6\n", tostring(stats))
  end)

  it("leaves the rest in the ring at a limit and at a break", function()
    local reader <close> = assert(ring:reader { layout = "struct event" })
    send(10)
    assert.same({ 0, 1, 2 }, numbers_now(reader, { limit = 3 }))
    for event in reader:records() do
      if event.number == 4 then break end
    end
    assert.equal(5, reader:next("1s").number)
    for batch in reader:batches { batch_size = 2 } do
      assert.equal(6, batch:record(1).number)
      break
    end
    assert.same({ 8, 9 }, numbers_now(reader))
  end)

  it("releases what was given when the loop raises", function()
    local reader <close> = assert(ring:reader { layout = "struct event" })
    send(3)
    raises("enough", function()
      for _ in reader:records() do error "enough" end
    end)
    assert.same({ 1, 2 }, numbers_now(reader))
  end)

  it("goes on at the first record that was not released, after a kill too", function()
    send(10)
    local process = helper.process([[
      local map = bpf.open(math.tointeger(...))
      local reader = assert(map:reader { layout = { "u64 number", "bytes rest[]" }, take = true })
      for event in reader:records() do
        print(event.number)
        io.stdout:flush()
        if event.number == 3 then os.execute "kill -9 $PPID" end
      end
    ]], tostring(ring:info().id))
    process:read "a"
    process:close()
    local reader <close> = assert(ring:reader { layout = "struct event", take = true })
    assert.same(from_to(3, 9), numbers_now(reader))
  end)

  it("gives what lay there at the timeout, however full the ring is kept", function()
    local reader <close> = assert(ring:reader { layout = "struct event" })
    local seen = 0
    send(10)
    for _ in reader:records { timeout = "100ms" } do
      seen = seen + 1
      send(10) -- more than is taken, until the ring is full
    end
    assert.is_true(seen > 10)
    assert.is_true(reader:stats().backlog > 0)
  end)

  it("finds records that were sent without a wake-up", function()
    local reader <close> = assert(ring:reader { layout = "struct event" })
    globals.wake = 1 -- BPF_RB_NO_WAKEUP
    local process = helper.process([[
      local program = assert(bpf.open_program(...))
      bpf.sleep "200ms"
      program:run()
    ]], pinned(programs.send))
    assert.equal(0, reader:next("20s").number)
    process:close()
  end)

  it("sums a field up in C", function()
    local reader <close> = assert(ring:reader { layout = "struct event" })
    send(500)
    local sum, n = 0, 0
    for batch in reader:batches { timeout = "0s" } do
      local added, had = batch:sum "length"
      local by_views = 0
      for view in batch:views() do by_views = by_views + view.length end
      assert.equal(by_views, added)
      assert.equal(#batch, had)
      sum, n = sum + added, n + had
    end
    assert.equal(globals.sum, sum)
    assert.equal(500, n)
  end)

  it("has one reader in a process, and none while another process holds the map", function()
    local id = ring:info().id
    do
      local reader <close> = assert(ring:reader())
      assert.is_false(reader:closed())
      local _, message, errno = ring:reader()
      assert.equal("ring: reader: this process has a reader of it already", message)
      assert.equal(bpf.errno.EBUSY, errno)
      assert(ring:reader { take = true }):close()
    end
    local process = helper.process([[
      local map = bpf.open(math.tointeger(...))
      print "ready" io.stdout:flush()
      bpf.sleep "20s"
    ]], tostring(id))
    assert.equal("ready", process:read "l")
    local _, message, errno = ring:reader()
    assert(message:find(" (" .. helper.comm() .. ") holds the map", 1, true), message)
    assert.matches("^ring: reader: process %d+ %(", message)
    assert.equal(bpf.errno.EBUSY, errno)
    assert(ring:reader { take = true }):close()
    os.execute(("kill %s"):format(message:match "process (%d+)"))
    process:close()
    assert(ring:reader()):close()
  end)

  it("is told when another reader has moved the position", function()
    local reader <close> = assert(ring:reader { layout = "struct event" })
    local other <close> = assert(ring:reader { layout = "struct event", take = true })
    send(2)
    assert.equal(0, other:next("1s").number)
    raises("another reader has moved the position", reader.next, reader, "1s")
  end)

  it("makes views and batches of a step that is over unusable", function()
    local reader <close> = assert(ring:reader { layout = "struct event" })
    send(3)
    local kept, batch
    for each in reader:batches { timeout = "0s" } do
      batch = each
      for view in batch:views() do kept = view end
      raises("stale", function() return kept.number end)
      for view in batch:views() do
        kept = view
        break
      end
      assert.equal(0, kept.number)
      assert.same(batch:record(1), bpf.copy(kept))
    end
    raises("stale", function() return kept.number end)
    raises("stale", function() return #batch end)
    assert.equal("luabpf.events (stale)", tostring(batch))
  end)

  it("ends loops when it is closed, and says so", function()
    local reader = assert(ring:reader { layout = "struct event" })
    send(3)
    local seen = 0
    for _ in reader:records() do
      seen = seen + 1
      reader:close()
    end
    assert.equal(1, seen)
    assert.same({ nil, "closed" }, { reader:next() })
    assert.equal("luabpf.reader (closed)", tostring(reader))
    assert.equal(1, reader:stats().records > 0 and 1 or 0)
    local again <close> = assert(ring:reader { layout = "struct event" })
    assert.is_true(#numbers_now(again) <= 2)
  end)

  it("cannot be made with a handle for reading only", function()
    local again <close> = assert(bpf.open { id = ring:info().id, readonly = true })
    local reader, message = again:reader()
    assert.is_nil(reader)
    assert.matches("ring: reader: a handle for reading only cannot be mapped", message)
  end)

  it("names what is wrong with its options", function()
    raises("reader: unknown option 'lay'", function() ring:reader { lay = "u32" } end)
    raises("no type 'u33'", function() ring:reader { layout = "u33" } end)
    raises("only the last field of an event has no length", function()
      ring:reader { layout = { "char name[]", "u32 n" } }
    end)
    raises("has no integer field 'what'", function()
      ring:reader { layout = { field = "what", [1] = { "u32 n" } } }
    end)
    raises("the tag of a record is an integer, got x", function()
      ring:reader { layout = { field = "what", x = { "u32 what" } } }
    end)
    local reader <close> = assert(ring:reader())
    raises("records: unknown option 'limits'", function() reader:records { limits = 1 } end)
    raises("records: option 'timeout'", function() reader:records { timeout = "soon" } end)
    raises("next: integer or text", function() reader:next "soon" end)
    raises("sum: no integer field 'x'", function()
      send(1)
      for batch in reader:batches { timeout = "0s" } do batch:sum "x" end
    end)
    local map = helper.map()
    local _, message = map:reader()
    assert.matches("reader: not supported by hash maps", message)
  end)

  it("leaves no descriptor and no mapping behind", function()
    local before = helper.descriptors()
    for _ = 1, 50 do
      local reader <close> = assert(ring:reader { layout = "struct event" })
      send(1)
      reader:next "1s"
    end
    assert.equal(before, helper.descriptors())
  end)
end)

describe("a reader of perf buffers", function()
  local object, perf, globals, program
  local FRAME <const> = ("x"):rep(64)

  before_each(function()
    object = assert(bpf.load "bpf/events.bpf.o")
    perf, globals, program = object.maps.perf, object.globals, object.programs.send_perf
  end)
  after_each(function()
    remove_pins()
    object:close()
  end)

  local function send(n)
    for _ = 1, n do assert(program:run { data = FRAME }) end
  end

  it("gives records and the CPU that sent them", function()
    local reader <close> = assert(perf:reader { layout = "struct event" })
    send(5)
    local seen = 0
    for event, why, cpu in reader:records { timeout = "0s" } do
      assert.is_nil(why)
      assert.equal(event.cpu, cpu)
      seen = seen + 1
    end
    assert.equal(5, seen)
  end)

  it("tells what was lost: what was read and what was lost is all", function()
    local lost, seen = 0, 0
    local reader <close> = assert(perf:reader { layout = "struct event", pages = 1,
      on_lost = function(n, cpu)
        lost = lost + n
        assert.is_true(math.type(cpu) == "integer")
      end })
    local function read()
      for _ in reader:records { timeout = "0s" } do seen = seen + 1 end
    end
    for _ = 1, 20 do
      send(100)
      read()
    end
    -- What did not fit is told with the next event of that CPU.
    for _ = 1, 20 do
      send(1)
      read()
    end
    assert.is_true(lost > 0)
    assert.equal(lost, reader:stats().lost)
    assert.is_true(seen + lost <= globals.next)
    assert.is_true(globals.next - seen - lost <= 100, globals.next - seen - lost)
  end)

  it("reads records that wrap round", function()
    local reader <close> = assert(perf:reader { layout = "struct event", pages = 1 })
    local expected = {}
    for _ = 1, 400 do
      send(3)
      for event in reader:records { timeout = "0s" } do expected[event.number] = event.comm end
    end
    for number = 0, 1199 do assert(expected[number] == "lua5.4", number) end
  end)

  it("wakes up for an event", function()
    local reader <close> = assert(perf:reader { layout = "struct event" })
    local process = helper.process([[
      local program = assert(bpf.open_program(...))
      bpf.sleep "200ms"
      program:run { data = ("x"):rep(64) }
    ]], pinned(program))
    assert.equal(0, reader:next("20s").number)
    process:close()
  end)

  -- Where a CPU may be taken away from everybody: the emulated machines of `make test-kernels`.
  if os.getenv "LUABPF_HOTPLUG" then
    it("follows CPUs that go and come", function()
      local reader <close> = assert(perf:reader { layout = "struct event" })
      local path = pinned(program)
      local function online(state)
        assert(os.execute(("echo %d >/sys/devices/system/cpu/cpu1/online"):format(state)))
      end
      -- The CPUs that events come from, when both are asked for one.
      local function cpus()
        local seen = {}
        for cpu = 0, 1 do
          os.execute(("taskset %d lua5.4 -e '"
            .. 'local bpf = require "luabpf" '
            .. 'assert(bpf.open_program("%s")):run { data = ("x"):rep(64) }\' 2>/dev/null')
            :format(1 << cpu, path))
        end
        for _, _, cpu in reader:records { timeout = "2s" } do seen[cpu] = true end
        return seen
      end
      assert.same({ [0] = true, [1] = true }, cpus())
      online(0)
      assert.is_true(cpus()[0])
      online(1)
      reader:next "2s"
      assert.same({ [0] = true, [1] = true }, cpus())
    end)
  end

  it("wants a power of two of pages", function()
    raises("reader: option 'pages': a power of two expected, got 3", function()
      perf:reader { pages = 3 }
    end)
  end)
end)

describe("a writer of a user ring buffer", function()
  local object

  before_each(function() object = assert(bpf.load "bpf/events.bpf.o") end)
  after_each(function() object:close() end)

  it("gives records to a program", function()
    local writer <close> = assert(object.maps.commands:writer { layout = "struct command" })
    assert.is_true(writer:write { number = 1, value = 42 })
    assert.is_true(writer:write { number = 2, value = 8 })
    assert(object.programs.drain:run())
    assert.equal(2, object.globals.taken)
    assert.equal(50, object.globals.values)
  end)

  it("says when the ring is full, and takes bytes without a layout", function()
    local writer <close> = assert(object.maps.commands:writer())
    local n = 0
    while writer:write(("<I4I4"):pack(n, 1)) do n = n + 1 end
    assert.equal(256, n)
    local ok, message, errno = writer:write "12345678"
    assert.is_nil(ok)
    assert.matches("commands: write %(the ring is full%)", message)
    assert.equal(bpf.errno.ENOSPC, errno)
    assert(object.programs.drain:run())
    assert.equal(256, object.globals.values)
    assert.is_true(writer:write "12345678")
    raises("binary string", writer.write, writer, {})
  end)

  it("is of user ring buffers", function()
    local writer, message = object.maps.ring:writer()
    assert.is_nil(writer)
    assert.matches("ring: writer: not supported by ringbuf maps", message)
  end)
end)
