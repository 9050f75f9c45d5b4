-- SPDX-License-Identifier: MIT
--
-- Many events: all of them, in order, none twice, whatever their sizes, however full the buffers
-- are, and whoever is killed meanwhile. LUABPF_LONG=1 sends ten million.

local bpf = require "luabpf"
local helper = require "spec.support.helper"

local MANY <const> = os.getenv "LUABPF_LONG" and 10000000 or 200000
local FRAME <const> = ("x"):rep(64)

local objects, pins = {}, {}

local function load()
  local object = assert(bpf.load "bpf/events.bpf.o")
  objects[#objects + 1] = object
  return object
end

local function pinned(program)
  local path = helper.pin()
  assert(program:pin(path))
  pins[#pins + 1] = path
  return path
end

local function clean_up()
  for _, path in ipairs(pins) do os.remove(path) end
  for _, object in ipairs(objects) do object:close() end
  objects, pins = {}, {}
end

-- Another process that runs `send` again and again until it has sent all there is to send.
local function sender(object, n)
  object.globals.last, object.globals.times = n, 500
  return helper.process([[
    local program = assert(bpf.open_program(...))
    while assert(program:run()).retval == 0 do end
  ]], pinned(object.programs.send))
end

-- The number in the first bytes of a record.
local function number_of(bytes)
  return (("<I" .. math.min(#bytes, 8)):unpack(bytes))
end

describe("a ring buffer", function()
  after_each(clean_up)

  it("that is written all the time gives every record, in order, none twice", function()
    local object = load()
    local reader <close> = assert(object.maps.ring:reader { layout = "struct event" })
    local process, expected = sender(object, MANY), 0
    for batch in reader:batches { limit = MANY, timeout = "10m" } do
      for view in batch:views() do
        if view.number ~= expected then error(("%d after %d"):format(view.number, expected - 1)) end
        expected = expected + 1
      end
    end
    process:close()
    assert.equal(MANY, expected)
    assert.same({ nil, "timeout" }, { reader:next "0s" })
    assert.equal(MANY, reader:stats().records)
    assert.equal(0, reader:stats().backlog)
  end)

  it("gives records of every size from 1 to 4,000 bytes, over many rounds", function()
    local object = load()
    local reader <close> = assert(object.maps.ring:reader())
    local globals, sent = object.globals, 0
    for round = 1, 4000 do
      globals.size = (round * 1237) % 4000 + 1
      globals.times = 1 + round % 12
      assert(object.programs.send_any:run())
      for bytes in reader:records { timeout = "0s" } do
        assert(#bytes == globals.size)
        local bits = 8 * math.min(#bytes, 8)
        assert(number_of(bytes) == (bits == 64 and sent or sent & (1 << bits) - 1))
        sent = sent + 1
      end
      assert(sent == globals.next)
    end
    assert.equal(0, globals.failed)
  end)

  it("that is full holds what the program could reserve, and the program's count agrees", function()
    local object = load()
    local reader <close> = assert(object.maps.ring:reader { layout = "struct event" })
    local globals, expected, asked = object.globals, 0, 0
    for round = 1, 50 do
      globals.times = 700 + 31 * round
      asked = asked + globals.times
      assert(object.programs.send:run())
      for event in reader:records { timeout = "0s", limit = 400 } do
        assert(event.number == expected)
        expected = expected + 1
      end
    end
    for event in reader:records { timeout = "0s" } do
      assert(event.number == expected)
      expected = expected + 1
    end
    assert.is_true(globals.failed > 0)
    assert.equal(asked, expected + globals.failed)
  end)

  it("passes over discarded records, however many lie there", function()
    local object = assert(bpf.load("bpf/events.bpf.o", {
      maps = { ring = { max_entries = 1 << 24 } } }))
    objects[1] = object
    local reader <close> = assert(object.maps.ring:reader { layout = "struct event" })
    object.globals.every, object.globals.times = 1, 200000
    assert(object.programs.send:run())
    object.globals.every, object.globals.times = 0, 1
    assert(object.programs.send:run())
    local list = {}
    for event in reader:records { timeout = "0s" } do list[#list + 1] = event.number end
    assert.same({ 200000 }, list)
    assert.equal(200000, reader:stats().discarded)
    assert.equal(0, reader:stats().backlog)
  end)

  it("is polled together with another one", function()
    local both, left = {}, 2
    for i = 1, 2 do
      local object = load()
      both[i] = { reader = assert(object.maps.ring:reader { layout = "struct event" }),
        process = sender(object, MANY // 10), expected = 0 }
    end
    local readers = { both[1].reader, both[2].reader }
    while left > 0 do
      for _, ready in ipairs(assert(bpf.poll(readers, "60s"))) do
        local one = ready == readers[1] and both[1] or both[2]
        for event in ready:records { timeout = "0s" } do
          assert(event.number == one.expected)
          one.expected = one.expected + 1
        end
        if one.expected == MANY // 10 then
          left, one.expected = left - 1, one.expected + 1
        end
      end
    end
    for _, one in ipairs(both) do
      one.process:close()
      one.reader:close()
    end
  end)

  it("goes on at the first record not released, whoever was killed", function()
    local object = load()
    local total <const>, id = 20000, object.maps.ring:info().id
    local process, expected = sender(object, total), 0
    repeat
      -- Prints what it read, batch by batch, and is killed in the midst of a batch.
      local reading = helper.process([[
        local id, from = ...
        local map = bpf.open(math.tointeger(id))
        local reader = assert(map:reader { layout = { "u64 number", "bytes rest[]" }, take = true })
        local seen = 0
        for batch in reader:batches { batch_size = 100, timeout = "2s" } do
          for event in batch:records() do
            io.write(event.number, "\n")
            seen = seen + 1
            if seen == 3950 then
              io.stdout:flush()
              os.execute "kill -9 $PPID"
            end
          end
        end
      ]], id)
      local first
      for line in reading:lines() do
        local number = math.tointeger(line)
        if not first then
          -- The batch in which the one before was killed was not released.
          assert(number <= expected and number > expected - 100, line)
          first, expected = number, number
        end
        assert(number == expected, line)
        expected = expected + 1
      end
      reading:close()
    until expected == total
    process:close()
  end)

  it("gives what is larger or smaller than its layout as bytes, with the reason", function()
    local object = load()
    local reader <close> = assert(object.maps.ring:reader { layout = "struct event" })
    for _, size in ipairs { 1, 63, 64, 65, 4000 } do
      object.globals.size = size
      assert(object.programs.send_any:run())
      local event, why = reader:next "0s"
      if size == 64 then
        assert.equal("table", type(event))
        assert.is_nil(why)
      else
        assert.equal(size, #event)
        assert.equal(("a record of %d bytes, event has 64"):format(size), why)
      end
    end
  end)

  it("gives a list at the end of records, whole elements only", function()
    local object = load()
    local reader <close> = assert(object.maps.ring:reader {
      layout = { "u64 number", "bytes rest[]" } })
    object.globals.size = 9
    assert(object.programs.send_any:run())
    assert.same({ number = 0, rest = "\0" }, (reader:next "0s"))
    object.globals.size = 8
    assert(object.programs.send_any:run())
    assert.same({ number = 1, rest = "" }, (reader:next "0s"))
  end)
end)

describe("a perf buffer", function()
  after_each(clean_up)

  -- Runs a pinned program so often on every CPU.
  local function on_each_cpu(path, times)
    for cpu = 0, (bpf.cpus()) - 1 do
      os.execute(("taskset %x lua5.4 -e '%s' 2>/dev/null"):format(1 << cpu,
        ('assert(require("luabpf").open_program("%s")):run { data = ("x"):rep(64), times = %d }')
          :format(path, times)))
    end
  end

  it("gives every event in the order of its CPU, none twice", function()
    local object = load()
    local reader <close> = assert(object.maps.perf:reader { layout = "struct event" })
    local program, seen, newest, total = object.programs.send_perf, 0, {}, MANY
    for _ = 1, total // 1000 do
      assert(program:run { data = FRAME, times = 1000 })
      for batch in reader:batches { timeout = "0s" } do
        for event, _, cpu in batch:views() do
          local number = event.number
          if number <= (newest[cpu] or -1) then error("not in order: " .. number) end
          newest[cpu], seen = number, seen + 1
        end
      end
    end
    assert.equal(0, object.globals.failed)
    assert.equal(total, seen)
    assert.equal(0, reader:stats().lost)
  end)

  it("tells exactly what it had no room for", function()
    local object = load()
    local lost, seen = 0, 0
    local reader <close> = assert(object.maps.perf:reader { layout = "struct event", pages = 1,
      on_lost = function(n) lost = lost + n end })
    local path = pinned(object.programs.send_perf)
    local function read()
      for _ in reader:records { timeout = "0s" } do seen = seen + 1 end
    end
    for _ = 1, 5 do
      on_each_cpu(path, 500)
      read()
    end
    on_each_cpu(path, 1) -- what did not fit is told with the CPU's next event
    read()
    assert.is_true(object.globals.failed > 0)
    assert.equal(object.globals.failed, lost)
    assert.equal(lost, reader:stats().lost)
    assert.equal(object.globals.next, seen + lost)
  end)

  it("gives events of every size, also those that wrap round", function()
    local object = load()
    local reader <close> = assert(object.maps.perf:reader { pages = 4 })
    local globals, program, count = object.globals, object.programs.send_perf_sized, 0
    for round = 1, 2000 do
      globals.size = (round * 1237) % 4000 + 1
      assert(program:run { data = FRAME, times = 1 + round % 3 })
      for bytes in reader:records { timeout = "0s" } do
        -- The kernel pads: length and event are a multiple of 8 bytes.
        assert(#bytes == ((globals.size + 4 + 7) & ~7) - 4)
        assert(globals.size < 8 or number_of(bytes) < globals.next)
        count = count + 1
      end
      assert(count == globals.next)
    end
    assert.equal(0, globals.failed)
  end)

  it("gives what is larger or smaller than its layout as bytes, with the reason", function()
    local object = load()
    local reader <close> = assert(object.maps.perf:reader { layout = "struct event" })
    for _, size in ipairs { 1, 52, 64, 70, 4000 } do
      object.globals.size = size
      assert(object.programs.send_perf_sized:run { data = FRAME })
      local event, why, cpu = reader:next "0s"
      assert.equal("integer", math.type(cpu))
      if size == 64 then
        assert.equal("table", type(event))
      else
        assert.matches("a record of %d+ bytes, event has 64", why)
        assert.is_true(#event >= size)
      end
    end
  end)

  it("is empty after its reader was killed, and goes on with the next", function()
    local object = load()
    local id = object.maps.perf:info().id
    local path = pinned(object.programs.send_perf)
    local process = helper.process([[
      local map = bpf.open(math.tointeger(...))
      local reader = assert(map:reader { take = true })
      print "ready" io.stdout:flush()
      reader:next()
      os.execute "kill -9 $PPID"
    ]], id)
    assert.equal("ready", process:read "l")
    on_each_cpu(path, 1)
    process:read "a"
    process:close()
    local before = object.globals.next
    local reader <close> = assert(object.maps.perf:reader { layout = "struct event" })
    assert.same({ nil, "timeout" }, { reader:next "0s" })
    on_each_cpu(path, 1)
    local event = assert(reader:next "5s")
    assert.is_true(event.number >= before)
  end)
end)
