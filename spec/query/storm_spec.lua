-- SPDX-License-Identifier: MIT
--
-- Changes while others write: processes whose programs add atomically to all entries, as often
-- as they can, or count plainly (bpf/storm.bpf.c). LUABPF_STORM=s (make storm): for so many seconds
-- each, and the figures of docs/updates.md are printed.

local bpf = require "luabpf"
local helper = require "spec.support.helper"

local PRINTED <const> = os.getenv "LUABPF_STORM"
local SECONDS <const> = tonumber(PRINTED) or 1
-- At least so often, on however slow a machine.
local ROUNDS <const> = 3
-- So many that processes are mostly at work inside the kernel, where they meet.
local ENTRIES <const> = 4096
local VALUE <const> = { "u64 n", "u64 m", "u32 state", "u32 seen" }

-- What takes a program some time to find out to be 0, between reading and storing.
local LONG <const> = "(value.n" .. (" * 3 // 3 % 1000003"):rep(25) .. ") * 0"

-- A process that makes a change of all entries again and again, each a run of a program, until the
-- entry with the last key is gone; it prints how many entries it has changed.
local CODE <const> = [[
local map = assert(bpf.open(arg[1]))
map.update_where(map, nil, arg[2], { engine = "kernel", dry_run = true })
io.write("ready\n")
io.flush()
local changed = 0
while map:lookup(0) do
  for _ = 1, 5 do
    local report = assert(map:update_where(arg[3], arg[2], { engine = "kernel" }))
    changed = changed + report.updated
  end
end
io.write(changed, "\n")
]]

local function note(...)
  if PRINTED then print(string.format(...)) end
end

-- Lets n processes run that code, which says "ready", works until key 0 is gone, and says how much
-- it did; does `work` meanwhile. How much they did together.
local function against(map, n, work, code, ...)
  local others = {}
  for i = 1, n do
    others[i] = helper.process(code, ...)
    assert.equal("ready", others[i]:read "l")
  end
  local stop = bpf.now() + math.floor(SECONDS * 1e9)
  local rounds = 0
  while bpf.now() < stop or rounds < ROUNDS do
    work()
    rounds = rounds + 1
  end
  map:delete(0)
  local changed = 0
  for _, other in ipairs(others) do
    changed = changed + math.tointeger(other:read "n")
    other:close()
  end
  return changed
end

local function storm(map, pin, n, change, where, work)
  assert(map:pin(pin))
  local changed = against(map, n, work, CODE, pin, change, where)
  map:unpin()
  return changed
end

-- A process that inserts and deletes entries behind the others until key 0 is gone.
local CHURN <const> = [[
local id, first = math.tointeger(arg[1]), math.tointeger(arg[2])
local map = assert(bpf.open(id))
while map:lookup(0) do
  for key = first, first + 900 do map:update(key, { state = key }) end
  for key = first, first + 900 do map:delete(key) end
end
]]

-- Those that stay.
local OLD <const> = ("key ~= 0 and key < %d"):format(ENTRIES)

local function filled()
  local map = helper.map { value = VALUE, max_entries = ENTRIES + 1000 }
  local keys, values = {}, {}
  for i = 1, ENTRIES do keys[i], values[i] = i - 1, {} end
  map:update_batch(keys, values)
  return map
end

local function sum(map, given)
  given = given or {}
  given.select = "sum(value.n) as n"
  return assert(map:aggregate(given))[1].n
end

describe("while programs add atomically", function()
  after_each(helper.close_all)

  local function taken_by(how, take)
    local map, taken = filled(), 0
    local rounds = 0
    local added = storm(map, helper.pin(), 2, "value.n = value.n + 1", OLD, function()
      taken, rounds = taken + take(map), rounds + 1
    end)
    assert.is_true(rounds >= ROUNDS and added > ENTRIES)
    local all = taken + sum(map)
    note("atomic adds, %s: %d added, difference %d, %d rounds", how, added, all - added, rounds)
    return added, all
  end

  it("reset loses and repeats nothing, in every engine", function()
    for _, engine in ipairs { "kernel", "batch" } do
      local added, all = taken_by("reset, " .. engine, function(map)
        return sum(map, { reset = true, engine = engine, batch_size = 512 })
      end)
      assert.equal(added, all)
    end
  end)

  it("reset with too little memory for its groups neither", function()
    local short = 0
    local added, all = taken_by("reset with little memory", function(map)
      local rows, _, errno, partial = map:aggregate { group = "key, value.m", reset = true,
        select = "sum(value.n) as n", memory = "64KiB", batch_size = 256 }
      short = short + (errno == bpf.errno.ENOMEM and 1 or 0)
      local n = 0
      for _, row in ipairs(rows or partial) do n = n + row.n end
      return n
    end)
    assert.is_true(short > 0)
    assert.equal(added, all)
  end)

  it("reset while other entries come and go neither", function()
    local churner
    local added, all = taken_by("reset under churn", function(map)
      churner = churner or helper.process(CHURN, map:info().id, ENTRIES)
      return sum(map, { reset = true, engine = map:count() % 2 == 0 and "kernel" or "batch" })
    end)
    churner:close()
    assert.equal(added, all)
  end)

  it("select with reset neither", function()
    local added, all = taken_by("select with reset", function(map)
      local n = 0
      for row in map:select { columns = "value.n", reset = "value.n" } do n = n + row.n end
      return n
    end)
    assert.equal(added, all)
  end)

  it("reading and zeroing in two steps does: the storm is strong enough", function()
    local added, all = taken_by("read and written", function(map)
      local n = 0
      for key, value in map:entries() do
        n = n + value.n
        value.n = 0
        if key ~= 0 then map:update(key, value, "exist") end
      end
      return n
    end)
    assert.is_true(added ~= all)
  end)

  it("additions by both are all there", function()
    local map, own = filled(), 0
    local added = storm(map, helper.pin(), 2, "value.n = value.n + 1", "key ~= 0", function()
      for _, engine in ipairs { "kernel", "batch" } do
        own = own + assert(map:update_where("key ~= 0", "value.n = value.n + 1, value.m = 3",
          { engine = engine })).updated
      end
    end)
    note("atomic adds, f = f + 1: %d added, %d by update_where, difference %d", added, own,
      sum(map) - added - own)
    assert.equal(added + own, sum(map))
  end)

  it("additions by a function are all there", function()
    local map, own = filled(), 0
    local added = storm(map, helper.pin(), 2, "value.n = value.n + 1", "key ~= 0", function()
      for _, engine in ipairs { "kernel", "batch" } do
        own = own + assert(map:update_where("key ~= 0", function(_, value)
          value.n = value.n + 1
          if value.seen ~= 3 then value.seen = 3 end
        end, { engine = engine, compile = true })).updated
      end
    end)
    note("atomic adds, f = f + 1 by a function: %d added, %d by update_where, difference %d", added,
      own, sum(map) - added - own)
    assert.equal(added + own, sum(map))
  end)

  it("a change that is computed is made of what is there", function()
    local map, own = filled(), 0
    local added = storm(map, helper.pin(), 1, "value.n = value.n + 1", "key ~= 0", function()
      local report = assert(map:update_where("key ~= 0", "value.n = value.n + 1 + " .. LONG,
        { engine = "kernel" }))
      own = own + report.updated
    end)
    note("atomic adds, computed: %d added, %d by update_where, difference %d", added, own,
      sum(map) - added - own)
    assert.equal(added + own, sum(map))
  end)
end)

describe("while programs change states", function()
  after_each(helper.close_all)

  -- Others take 2 to 3 and 0 to 1, this one 1 to 2 and 3 to 0: each step is made once only if no
  -- state is overwritten.
  -- The same steps by a function; the states that it looks at are those that it is given.
  it("a transition by a function overwrites no other state", function()
    local map, steps, from, to = filled(), 0, 1, 2
    local function step(key, value)
      if key ~= 0 and value.state == from then value.state, value.m = to, value.m + 1 end
    end
    local theirs = storm(map, helper.pin(), 2,
      "value.state = value.state + 1, value.n = value.n + 1",
      "key ~= 0 and value.state % 2 == " .. LONG, function()
        for _, one in ipairs { { 1, 2 }, { 3, 0 } } do
          from, to = one[1], one[2]
          steps = steps + assert(map:update_where(nil, step, { engine = "kernel" })).updated
        end
      end)
    local odd = map:count "key ~= 0 and value.state % 2 == 1"
    note("transitions by a function: %d of theirs, %d of ours, overwritten %d", theirs, steps,
      theirs - steps - odd)
    assert.equal(steps, map:aggregate { select = "sum(value.m) as m" }[1].m)
    assert.equal(theirs, steps + odd)
  end)

  it("a transition overwrites no other state", function()
    local map, steps = filled(), 0
    local theirs = storm(map, helper.pin(), 2,
      "value.state = value.state + 1, value.n = value.n + 1",
      "key ~= 0 and value.state % 2 == " .. LONG, function()
        for _, step in ipairs { { 1, 2 }, { 3, 0 } } do
          steps = steps + assert(map:update_where("key ~= 0 and value.state == $from",
            "value.state = $to, value.m = value.m + 1",
            { engine = "kernel", params = { from = step[1], to = step[2] } })).updated
        end
      end)
    -- One more of theirs for each entry that is left in an odd state.
    local odd = map:count "key ~= 0 and value.state % 2 == 1"
    local two = map:count "key ~= 0 and value.state == 2"
    note("transitions: %d of theirs, %d of ours, overwritten %d", theirs, steps,
      theirs - steps - odd)
    assert.equal(steps, map:aggregate { select = "sum(value.m) as m" }[1].m)
    assert.equal(theirs, sum(map))
    assert.equal(theirs, steps + odd)
    assert.is_true(two <= ENTRIES)
  end)
end)

-- ---- programs that count plainly -------------------------------------------------------

-- A process that runs a program of storm.bpf.o on the map `name` at a pin.
local PLAIN <const> = [[
local name, pin = ...
local object = assert(bpf.load("bpf/storm.bpf.o", { maps = { [name] = { pin = pin } } }))
local map, program = object.maps[name], object.programs["plain_" .. name]
io.write("ready\n")
io.flush()
local packet, added = ("\0"):rep(64), 0
while map:lookup(0) do added = added + program:run { data = packet }.retval end
io.write(added, "\n")
]]

describe("while programs count plainly", function()
  -- Fills the map `name`, lets two processes count in it, takes again and again: how much they
  -- added, and how much was taken and left.
  local function counted(name, zero, take)
    local pin = helper.pin()
    local object <close> = assert(bpf.load("bpf/storm.bpf.o",
      { maps = { [name] = { pin = pin } } }))
    local map, taken, rounds = object.maps[name], 0, 0
    local keys, values = {}, {}
    for i = 1, ENTRIES do keys[i], values[i] = i - 1, zero end
    map:update_batch(keys, values)
    local added = against(map, 2, function()
      taken, rounds = taken + take(map), rounds + 1
    end, PLAIN, name, pin)
    map:unpin()
    assert.is_true(rounds >= ROUNDS and added > ENTRIES)
    return added, taken + sum(map), rounds
  end

  local function reset(map) return sum(map, { reset = true }) end

  local function by_hand(map)
    local n = 0
    for key, value in map:entries() do
      for cpu, one in ipairs(value) do
        n = n + one.n
        value[cpu].n = 0
      end
      if key ~= 0 then map:update(key, value, "exist") end
    end
    return n
  end

  local zeros = {}
  for cpu = 1, bpf.cpus() do zeros[cpu] = {} end

  it("reset of values that CPUs have loses and repeats nothing", function()
    local added, all, rounds = counted("own", zeros, reset)
    note("plain adds, per CPU, reset: %d added, difference %d, %d resets", added, all - added,
      rounds)
    assert.equal(added, all)
  end)

  it("reading and zeroing them in two steps does", function()
    local added, all, rounds = counted("own", zeros, by_hand)
    note("plain adds, per CPU, read and written: %d added, difference %d, %d rounds", added,
      all - added, rounds)
    assert.is_true(added ~= all)
  end)

  -- Nothing is promised of these; the page has the figures.
  if PRINTED then
    it("in a map that all CPUs share", function()
      local added, all, rounds = counted("shared", {}, reset)
      note("plain adds, shared, reset: %d added, difference %d, %d resets", added, all - added,
        rounds)
    end)

    it("in a map that all CPUs share, without reset", function()
      local added, all = counted("shared", {}, function()
        bpf.sleep "1ms"
        return 0
      end)
      note("plain adds, shared, no reset: %d added, difference %d", added, all - added)
    end)
  end
end)
