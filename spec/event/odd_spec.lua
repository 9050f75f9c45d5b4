-- SPDX-License-Identifier: MIT
--
-- Readers, writers and waits in odd hands: closed, forked, read by two, called back in the midst,
-- with strange layouts. Nothing is lost, nothing dies, nothing stays open.

local bpf = require "luabpf"
local helper = require "spec.support.helper"
local system = require "spec.support.system"

local raises = helper.raises

local FRAME <const> = ("x"):rep(64)
local object, ring, globals, programs

local function send(n)
  globals.times = n
  assert(programs.send:run())
end

local function open(options)
  options = options or {}
  options.layout = options.layout or "struct event"
  return assert(ring:reader(options))
end

local function numbers(reader, options)
  options = options or {}
  options.timeout = options.timeout or "0s"
  local list = {}
  for event in reader:records(options) do list[#list + 1] = event.number end
  return list
end

local function before()
  object = assert(bpf.load "bpf/events.bpf.o")
  ring, globals, programs = object.maps.ring, object.globals, object.programs
end

local function after()
  object:close()
  helper.close_all()
end

describe("loops over one reader", function()
  before_each(before)
  after_each(after)

  it("may be within each other: each record is given once", function()
    local reader <close> = open()
    send(10)
    local seen = {}
    for event in reader:records { timeout = "0s" } do
      seen[#seen + 1] = event.number
      for inner in reader:records { timeout = "0s", limit = 2 } do
        seen[#seen + 1] = inner.number
      end
    end
    assert.same({ 0, 1, 2, 3, 4, 5, 6, 7, 8, 9 }, seen)
  end)

  it("end where they were to end, whatever loops there were meanwhile", function()
    local reader <close> = open()
    send(10)
    local seen = 0
    for _ in reader:records { timeout = "0s" } do
      seen = seen + 1
      send(1)
      numbers(reader, { limit = 0 })
      for _ in reader:batches { timeout = "0s", limit = 1 } do break end
    end
    assert.equal(5, seen) -- the other five were taken by the inner loops
  end)

  it("leave no mark when they are abandoned", function()
    local reader <close> = open()
    send(2)
    local step = reader:records { timeout = "0s" }
    assert.equal(0, step().number)
    send(2)
    assert.is_true(reader:dirty())
    assert.same({ reader }, bpf.poll({ reader }, "0s"))
    assert.equal(1, reader:next("0s").number)
    assert.same({ 2, 3 }, numbers(reader))
    assert.is_nil(step())
  end)

  it("lose no batch when an error comes from anywhere, as Ctrl-C does", function()
    local reader <close> = open()
    local seen, interrupted = {}, 0
    for i = 1, 150 do
      local n, before_it = 0, #seen
      send(20)
      pcall(function()
        debug.sethook(function()
          n = n + 1
          if n == i then error "interrupted!" end
        end, "", 1)
        for event in reader:records { timeout = "0s" } do seen[#seen + 1] = event.number end
      end)
      debug.sethook()
      if n >= i then interrupted = interrupted + 1 end
      for event in reader:records { timeout = "0s" } do seen[#seen + 1] = event.number end
      -- The one that was on its way to the loop may be gone with the error, no other.
      assert(#seen - before_it >= 19, i)
    end
    for i = 2, #seen do assert(seen[i] > seen[i - 1]) end
    assert.is_true(interrupted > 50)
  end)

  it("give each record once, also to who reads on in the midst of a step", function()
    local reader <close> = open()
    for _, read in ipairs {
      function(see)
        for batch in reader:batches { timeout = "0s" } do
          for i = 1, #batch do see(batch:record(i)) end
        end
      end,
      function(see) for event in reader:records { timeout = "0s" } do see(event) end end,
      function(see) see(reader:next "0s") end,
    } do
      local i, n = 0, nil
      repeat
        i, n = i + 1, 0
        local seen = {}
        local function see(event) seen[#seen + 1] = event.number end
        send(4)
        local step = reader:records { timeout = "0s" }
        debug.sethook(function()
          n = n + 1
          if n ~= i then return end
          debug.sethook()
          local event = step()
          if event then see(event) end
        end, "", 1)
        pcall(read, see) -- it may find its batch stale
        debug.sethook()
        for event in reader:records { timeout = "0s" } do see(event) end
        table.sort(seen)
        for k = 2, #seen do assert(seen[k] ~= seen[k - 1], "twice") end
      until n < i
      assert.is_true(i > 50)
    end
  end)

  it("lose no batch when memory is short", function()
    local reader <close> = open()
    local seen = {}
    local function read()
      for event in reader:records { timeout = "0s" } do seen[#seen + 1] = event.number end
    end
    for i = 1, 60 do
      local before_it = #seen
      send(5)
      collectgarbage()
      system.fail_allocation(i)
      pcall(read)
      system.fail_allocation(0)
      for event in reader:records { timeout = "0s" } do seen[#seen + 1] = event.number end
      assert(#seen - before_it >= 4, i)
    end
    for i = 2, #seen do assert(seen[i] > seen[i - 1]) end
  end)
end)

describe("a closed reader", function()
  before_each(before)
  after_each(after)

  it("ends its loops, and says so elsewhere", function()
    local reader = open()
    send(5)
    for batch in reader:batches() do
      reader:close()
      raises("stale", function() return #batch end)
      raises("stale", function() batch:record(1) end)
    end
    local step = reader:records()
    assert.is_nil(step())
    assert.same({ nil, "closed" }, { reader:next() })
    raises("pollfd: reader is closed", function() reader:pollfd() end)
    raises("getfd: reader is closed", function() reader:getfd() end)
    raises("dirty: reader is closed", function() reader:dirty() end)
    raises("timeout: reader is closed", function() reader:timeout() end)
    raises("reader is closed", function() bpf.poll({ reader }, "1s") end)
    assert.equal(0, reader:stats().backlog)
    assert.equal("r", reader:events())
    reader:close()
  end)

  it("is closed by the garbage collector, not while a loop over its batch is there", function()
    local function left()
      local reader = open()
      send(3)
      for batch in reader:batches { timeout = "0s" } do
        local views = batch:views()
        if views then return views end
      end
    end
    local views = left()
    collectgarbage()
    collectgarbage()
    raises("this process has a reader of it already", function() assert(ring:reader()) end)
    raises("stale", views)
    left, views = nil, nil -- luacheck: ignore
    collectgarbage()
    collectgarbage()
    assert(ring:reader()):close()
  end)

  it("stands while its map is closed", function()
    local reader <close> = open()
    local perf = object.maps.perf
    local other <close> = assert(perf:reader { layout = "struct event" })
    send(2)
    ring:close()
    perf:close()
    assert.equal(0, reader:next("0s").number)
    assert(programs.send_perf:run { data = FRAME })
    assert.equal(2, other:next("1s").number)
    raises("map is closed", function() ring:reader() end)
  end)

  it("waits for records while its map is closed, and does not spin", function()
    local reader <close> = open()
    local path = helper.pin()
    assert(programs.send:pin(path))
    ring:close()
    local taken = helper.steps(function()
      assert.same({ nil, "timeout" }, { reader:next "1s" })
    end)
    assert.is_true(taken < 10000, taken)
    local process = helper.process([[
      local program = assert(bpf.open_program(...))
      bpf.sleep "300ms"
      program:run()
    ]], path)
    assert.equal(0, reader:next("20s").number)
    process:close()
    os.remove(path)
  end)

  it("takes nothing out of the map that took its descriptor's number", function()
    local perf = assert(bpf.create { type = "perf_event_array", name = helper.name(),
      max_entries = (bpf.cpus()) })
    local reader = assert(perf:reader())
    perf:close()
    local others = {}
    for i = 1, 4 do
      others[i] = helper.map { type = "hash", key = "u32", value = "u64" }
      for cpu = 0, (bpf.cpus()) - 1 do assert(others[i]:update(cpu, 1)) end
    end
    reader:close()
    for i = 1, 4 do assert.equal((bpf.cpus()), others[i]:count()) end
  end)
end)

describe("two readers of perf buffers", function()
  before_each(before)
  after_each(after)

  it("close each for itself: the one that took the events keeps them", function()
    local perf = object.maps.perf
    local first = assert(perf:reader { layout = "struct event" })
    local second <close> = assert(perf:reader { layout = "struct event", take = true })
    first:close()
    assert(programs.send_perf:run { data = FRAME })
    assert.equal(0, globals.failed)
    assert.equal(0, second:next("1s").number)
  end)

  it("leave the map empty", function()
    assert(object.maps.perf:reader()):close()
    assert(programs.send_perf:run { data = FRAME })
    assert.equal(1, globals.failed)
  end)
end)

describe("on_lost", function()
  before_each(before)
  after_each(after)

  -- Events for a reader that has room for few; whoever is next is told of losses.
  local function overflow(reader)
    assert(programs.send_perf:run { data = FRAME, times = 400 })
    local n = 0
    for _ in reader:records { timeout = "0s" } do n = n + 1 end
    assert(programs.send_perf:run { data = FRAME })
    return n
  end

  it("may read, close and raise: no event is lost by it", function()
    local inner, reader = 0
    reader = assert(object.maps.perf:reader { layout = "struct event", pages = 1,
      on_lost = function()
        for _ in reader:records { timeout = "0s", limit = 1 } do inner = inner + 1 end
      end })
    local seen = 0
    for _ = 1, 20 do
      seen = seen + overflow(reader) + #numbers(reader)
    end
    assert.is_true(reader:stats().lost > 0 and inner > 0)
    assert.is_true(globals.next - globals.failed - seen - inner == 0)
    reader:close()
  end)

  it("that raises ends the loop, and what was found comes again", function()
    local reader <close> = assert(object.maps.perf:reader { layout = "struct event", pages = 1,
      on_lost = function() error "too slow" end })
    local seen, raised = 0, 0
    for _ = 1, 20 do
      assert(programs.send_perf:run { data = FRAME, times = 100 })
      for _ = 1, 3 do
        local ok, message = pcall(function()
          for _ in reader:records { timeout = "0s" } do seen = seen + 1 end
        end)
        if not ok then
          assert.matches("too slow", message)
          raised = raised + 1
        end
      end
    end
    assert.is_true(raised > 0)
    assert.equal(globals.next - globals.failed, seen)
  end)

  it("that closes the reader ends the loop", function()
    local reader
    reader = assert(object.maps.perf:reader { layout = "struct event", pages = 1,
      on_lost = function() reader:close() end })
    for _ = 1, 20 do
      if reader:closed() then break end
      overflow(reader)
      numbers(reader)
    end
    assert.is_true(reader:closed())
    assert.same({ nil, "closed" }, { reader:next() })
  end)
end)

describe("a child that was forked", function()
  before_each(before)
  after_each(after)

  -- What a child does with the reader and a batch of its parent's.
  local function misuse(reader, batch)
    return system.child(function()
      raises("stale", function() return #batch end)
      raises("of the process that this one was forked from", reader.next, reader, "0s")
      reader:close()
      collectgarbage()
      return true
    end)
  end

  local function check(map, program, options)
    local reader <close> = assert(map:reader { layout = "struct event" })
    for _ = 1, 3 do assert(program:run(options)) end
    for batch in reader:batches { timeout = "0s" } do
      local first = batch:record(1).number
      assert.equal("true", misuse(reader, batch))
      assert.equal(first, batch:record(1).number)
      assert.is_true(reader:stats().backlog > 0)
    end
    assert.equal(0, reader:stats().backlog)
    assert(program:run(options))
    assert.equal("table", type((reader:next "1s")))
  end

  it("cannot read what is its parent's, and moves no position by closing it", function()
    check(ring, programs.send)
    check(object.maps.perf, programs.send_perf, { data = FRAME })
  end)

  it("has a reader of its own when the parent's is closed", function()
    local reader = open()
    reader:close()
    send(1)
    assert.equal("0", system.child(function()
      local mine <close> = open { take = true }
      return mine:next("0s").number
    end))
  end)
end)

describe("a layout of records", function()
  before_each(before)
  after_each(after)

  it("may be of any type, and any size", function()
    globals.size = 8
    for layout, expected in pairs { u64 = 0, ["bytes[8]"] = ("\0"):rep(8),
      ["u16[4]"] = { 0, 0, 0, 0 } } do
      globals.next = 0
      local reader <close> = assert(ring:reader { layout = layout })
      assert(programs.send_any:run())
      assert(programs.send_any:run())
      assert.same(expected, (reader:next "0s"))
      for batch in reader:batches { timeout = "0s" } do
        for event in batch:views() do assert.equal(type(expected), type(event)) end
      end
    end
    local reader <close> = assert(ring:reader { layout = { "u64 number", "bytes rest[67108864]" } })
    assert(programs.send_any:run())
    local bytes, why = reader:next "0s"
    assert.equal(8, #bytes)
    assert.matches("a record of 8 bytes, layout has 67108872", why)
  end)

  it("tells kinds apart by tables that are tables", function()
    raises("layout", function() ring:reader { layout = {} } end)
    raises("layout", function() ring:reader { layout = { field = "kind" } } end)
    raises("layout", function() ring:reader { layout = { field = {}, [1] = "u32" } } end)
    raises("layout", function() ring:reader { layout = { field = "kind", [1] = 5 } } end)
    raises("layout", function() ring:reader { layout = function() end } end)
    raises("lies elsewhere", function()
      ring:reader { layout = { field = "kind", [1] = { "u32 kind" },
        [2] = { "u32 n", "u32 kind" } } }
    end)
    local many = { field = "kind" }
    for i = 1, 257 do many[i] = { "u32 kind" } end
    raises("more than 256 kinds", function() ring:reader { layout = many } end)
    -- Metamethods are asked as everywhere in Lua, and their errors are theirs.
    raises("mine", function()
      ring:reader { layout = setmetatable({ "u32 n" }, { __index = function() error "mine" end }) }
    end)
    local proxy = setmetatable({ field = "kind" }, { __pairs = function()
      return next, { field = "kind", [1] = "struct opened", [2] = "struct closed" }, nil
    end, __index = { [1] = "struct opened", [2] = "struct closed" } })
    local reader <close> = assert(ring:reader { layout = proxy })
    assert(programs.send_kinds:run())
    assert.equal("hello", reader:next("0s").name)
  end)

  it("blames the line of the script", function()
    local _, message = pcall(function()
      return ring:reader { layout = { field = "what", [1] = { "u32 n" } } }
    end)
    assert.matches("^[^:]*odd_spec%.lua:%d+: reader: layout", message)
    local _, why = pcall(function() bpf.poll { { pollfd = function() end } } end)
    assert.matches("^[^:]*odd_spec%.lua:%d+: poll: pollfd gave no descriptor",
      why)
  end)
end)

describe("a map that is frozen or for reading only", function()
  before_each(before)
  after_each(after)

  it("has no reader, and says why", function()
    local frozen = helper.map { type = "ringbuf", key_size = 0, value_size = 0, max_entries = 4096 }
    assert(frozen:freeze())
    local reader, message = frozen:reader()
    assert.is_nil(reader)
    assert.matches("reader: .*nor a frozen map", message)
    local pin = helper.pin()
    assert(ring:pin(pin))
    local again <close> = assert(bpf.open { path = pin, readonly = true })
    local none, why = again:reader { take = true }
    assert.is_nil(none)
    assert.matches("for reading only", why)
    ring:unpin()
  end)
end)

describe("a writer", function()
  before_each(before)
  after_each(after)

  it("takes records of any size up to the ring's, and refuses others", function()
    local writer <close> = assert(object.maps.commands:writer())
    assert.is_true(writer:write(""))
    assert.is_true(writer:write(("x"):rep(4000)))
    local ok, message, errno = writer:write(("x"):rep(5000))
    assert.is_nil(ok)
    assert.matches("commands: write", message)
    assert.equal(bpf.errno.E2BIG, errno)
    ok, message, errno = writer:write(("x"):rep(200))
    assert.is_nil(ok)
    assert.matches("commands: write %(the ring is full%)", message)
    assert.equal(bpf.errno.ENOSPC, errno)
    writer:close()
    raises("writer is closed", function() writer:write "12345678" end)
  end)

  it("wants the layout of one record, of one length", function()
    local commands = object.maps.commands
    raises("writer: option 'layout': the layout of one kind of record expected", function()
      commands:writer { layout = { field = "number", [1] = "struct command" } }
    end)
    raises("ends with the rest of a record", function()
      commands:writer { layout = { "u32 number", "char name[]" } }
    end)
    local none, message = commands:writer { layout = "struct missing" }
    assert.is_nil(none)
    assert.matches("commands: writer: ", message)
    local writer <close> = assert(commands:writer { layout = "struct command" })
    raises("record.number", function() writer:write { number = "x" } end)
    raises("record.n: unknown field", function() writer:write { n = 1 } end)
    raises("write", function() writer:write() end)
  end)

  it("stands while its map is closed", function()
    local commands = object.maps.commands
    local writer <close> = assert(commands:writer { layout = "struct command" })
    commands:close()
    assert.is_true(writer:write { number = 1, value = 42 })
    assert(programs.drain:run())
    assert.equal(42, globals.values)
  end)
end)

describe("signals taken twice", function()
  it("are let through when the last handle is closed", function()
    local process = helper.process [[
      local first, second = bpf.signals("TERM", "TERM"), bpf.signals "TERM"
      first:close()
      os.execute "kill -TERM $PPID"
      print(second:next "5s")
      io.stdout:flush()
      second:close()
      os.execute "kill -TERM $PPID"
      print "not reached"
    ]]
    assert.equal("TERM\n", process:read "a")
    process:close()
  end)

  it("and what is closed twice says so", function()
    local stop = assert(bpf.signals "USR1")
    stop:close()
    stop:close()
    raises("handle of signals is closed", function() stop:next "0s" end)
    raises("handle of signals is closed", function() bpf.poll { stop } end)
  end)
end)

describe("everything that waits", function()
  it("leaves no descriptor behind", function()
    local n = helper.descriptors()
    for _ = 1, 30 do
      local loaded <close> = assert(bpf.load "bpf/events.bpf.o")
      local list = { assert(loaded.maps.ring:reader()),
        assert(loaded.maps.perf:reader { pages = 1 }), assert(bpf.timer "10h"),
        assert(bpf.signals "USR2"), assert(loaded.maps.commands:writer()) }
      for i, each in ipairs(list) do
        if i % 2 == 0 then each:close() end
      end
    end
    assert.equal(n, helper.descriptors())
  end)

  it("may be more than a thousand at once", function()
    local before_limit = system.limit("files", 4096)
    local list = {}
    for i = 1, 1500 do list[i] = assert(bpf.timer "10h") end
    list[1501] = assert(bpf.timer "10ms")
    assert.same({ list[1501] }, bpf.poll(list, "5s"))
    for _, each in ipairs(list) do each:close() end
    system.limit("files", before_limit)
  end)
end)
