-- SPDX-License-Identifier: MIT
--
-- Changes while others write: processes whose programs add atomically to all entries, as often
-- as they can. LUABPF_STORM=s: for so many seconds each.

local bpf = require "luabpf"
local helper = require "spec.support.helper"

local SECONDS <const> = tonumber(os.getenv "LUABPF_STORM") or 1
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

local function storm(map, pin, n, change, where, work)
  assert(map:pin(pin))
  local others = {}
  for i = 1, n do
    others[i] = helper.process(CODE, pin, change, where)
    assert.equal("ready", others[i]:read "l")
  end
  local stop = bpf.now() + math.floor(SECONDS * 1e9)
  while bpf.now() < stop do work() end
  map:delete(0)
  local changed = 0
  for _, other in ipairs(others) do
    changed = changed + math.tointeger(other:read "n")
    other:close()
  end
  map:unpin()
  return changed
end

local function filled()
  local map = helper.map { value = VALUE, max_entries = ENTRIES }
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

  local function taken_by(take)
    local map, taken = filled(), 0
    local rounds = 0
    local added = storm(map, helper.pin(), 2, "value.n = value.n + 1", "key ~= 0", function()
      taken, rounds = taken + take(map), rounds + 1
    end)
    assert.is_true(rounds > 2 and added > ENTRIES * 5)
    return added, taken + sum(map)
  end

  it("reset loses and repeats nothing, in every engine", function()
    for _, engine in ipairs { "kernel", "batch" } do
      local added, all = taken_by(function(map)
        return sum(map, { reset = true, engine = engine, batch_size = 512 })
      end)
      assert.equal(added, all)
    end
  end)

  it("select with reset neither", function()
    local added, all = taken_by(function(map)
      local n = 0
      for row in map:select { columns = "value.n", reset = "value.n" } do n = n + row.n end
      return n
    end)
    assert.equal(added, all)
  end)

  it("reading and zeroing in two steps does: the storm is strong enough", function()
    local added, all = taken_by(function(map)
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
    assert.equal(added + own, sum(map))
  end)

  it("a change that is computed is made of what is there", function()
    local map, own = filled(), 0
    local added = storm(map, helper.pin(), 1, "value.n = value.n + 1", "key ~= 0", function()
      local report = assert(map:update_where("key ~= 0", "value.n = value.n + 1 + " .. LONG,
        { engine = "kernel" }))
      own = own + report.updated
    end)
    assert.equal(added + own, sum(map))
  end)
end)

describe("while programs change states", function()
  after_each(helper.close_all)

  -- Others take 2 to 3 and 0 to 1, this one 1 to 2 and 3 to 0: each step is made once only if no
  -- state is overwritten.
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
    assert.equal(steps, map:aggregate { select = "sum(value.m) as m" }[1].m)
    assert.equal(theirs, sum(map))
    assert.equal(theirs, steps + odd)
    assert.is_true(two <= ENTRIES)
  end)
end)
