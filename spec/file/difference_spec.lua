-- SPDX-License-Identifier: MIT
--
-- Differences of snapshots (lua/luabpf/file/difference.lua), against a plain computation.

local bpf = require "luabpf"
local helper = require "spec.support.helper"
local support = require "spec.support.snapshots"

local random, new_path, clean_up, save, read, write, text_of, structs, message_of, save_percpu =
  support.random, support.new_path, support.clean_up, support.save, support.read, support.write,
  support.text_of, support.structs, support.message_of, support.save_percpu

describe("snapshot:diff", function()
  after_each(clean_up)

  -- The differences by key: text of the key to text of the rest.
  local function differences(new, old, given)
    local all, n = {}, 0
    for change in new:diff(old, given) do
      local key = text_of(change.key)
      assert(all[key] == nil, "a key came twice")
      change.key = nil
      all[key], n = text_of(change), n + 1
    end
    return all, n
  end

  it("tells what was added, removed and changed, and by how much", function()
    local map = structs(100)
    local old <close> = map:snapshot()
    local one, two = { addr = "10.0.0.1", port = 1 }, { addr = "10.0.0.2", port = 2 }
    local before = map:lookup(one)
    local after = { bytes = 5, change = 3, small = 9, rest = 0, via = "10.0.0.1",
      inner = { list = { 0, 8 }, text = "c" } }
    map:update(one, after)
    local gone = map:take(two)
    map:update({ addr = "10.9.9.9", port = 9 }, after)
    local new <close> = map:snapshot()
    assert.same({
      [text_of(one)] = text_of { status = "changed", old = before, new = after, delta = {
        bytes = -995, change = 4, small = 8, rest = -1, inner = { list = { -1, 1 } } } },
      [text_of(two)] = text_of { status = "removed", old = gone },
      [text_of { addr = "10.9.9.9", port = 9 }] = text_of { status = "added", new = after },
    }, (differences(new, old)))
    assert.same({}, (differences(new, new)))
    assert.equal(3, select(2, differences(old, new)))
  end)

  it("agrees with a plain computation, whichever is smaller and however little memory", function()
    for _, sizes in ipairs { { 3000, 2000 }, { 2000, 3000 }, { 0, 50 }, { 50, 0 }, { 9, 9 } } do
      local maps = {}
      for i = 1, 2 do
        maps[i] = helper.map { key = "u32", value = "u64", max_entries = 4096 }
        for _ = 1, sizes[i] do maps[i]:update(random(4000), random(3)) end
      end
      local wanted = {}
      for key, value in maps[2]:entries() do
        local old = maps[1]:lookup(key)
        local status = old == nil and "added" or old ~= value and "changed"
        if status then
          wanted[text_of(key)] = text_of { status = status, old = old, new = value,
            delta = old and value - old }
        end
      end
      for key, value in maps[1]:entries() do
        if not maps[2]:lookup(key) then
          wanted[text_of(key)] = text_of { status = "removed", old = value }
        end
      end
      local old <close> = maps[1]:snapshot()
      local new <close> = maps[2]:snapshot()
      assert.same(wanted, (differences(new, old)))
      assert.same(wanted, (differences(new, old, { memory = "32KiB" })))
    end
  end)

  it("does not look at the bytes between the values of CPUs", function()
    local path = new_path()
    save_percpu(path, 2, string.pack("<I4I4I4I4", 1, 0, 2, 0))
    local old <close> = assert(bpf.snapshot(path))
    os.remove(path)
    save_percpu(path, 2, string.pack("<I4I4I4I4", 1, 7, 2, 8))
    local new <close> = assert(bpf.snapshot(path))
    assert.same({}, (differences(new, old)))
  end)

  it("sums up per-CPU values", function()
    local map = helper.map { type = "percpu_array", value = { "u32 n" }, max_entries = 3 }
    local old <close> = map:snapshot()
    local list = {}
    for cpu = 1, bpf.cpus() do list[cpu] = { n = cpu } end
    map:update(1, list)
    local new <close> = map:snapshot()
    local n = 0
    for change in new:diff(old) do
      n = n + 1
      assert.same({ "changed", 1, list }, { change.status, change.key, change.new })
      assert.same({ n = bpf.cpus() * (bpf.cpus() + 1) // 2 }, change.delta)
    end
    assert.equal(1, n)
  end)

  it("compares columns by name and place", function()
    local map = structs(10)
    local columns = { "value.bytes", "value.via" }
    local old <close> = map:snapshot { columns = columns }
    map:update({ addr = "10.0.0.3", port = 3 }, { bytes = 1, via = "1.1.1.1" })
    local new <close> = map:snapshot { columns = columns }
    for change in new:diff(old) do assert.same({ bytes = -2999 }, change.delta) end
  end)

  it("refuses what cannot be compared", function()
    local a <close> = structs(3):snapshot()
    local b <close> = helper.map():snapshot()
    local c <close> = structs(3, { key = { "ipv4 addr", "be16 port", "u16 more" } }):snapshot()
    local list <close> = helper.map { type = "percpu_hash" }:snapshot()
    assert.matches("the keys have 8 and 4 bytes", message_of(a.diff, a, b))
    assert.matches("the keys have different layouts", message_of(a.diff, a, c))
    assert.matches("CPUs", message_of(list.diff, list, b))
    assert.matches("luabpf.snapshot expected, got nil", message_of(a.diff, a))
    assert.matches("luabpf.snapshot expected", message_of(a.diff, a, { header = print }))
    assert.matches("unknown option 'mem'", message_of(a.diff, a, a, { mem = 1 }))
    assert.matches("need more than 10 bytes", message_of(function()
      for _ in a:diff(a, { memory = 10 }) do break end
    end))
    c:close()
    assert.matches("closed", message_of(a.diff, a, c))
    local step = a:diff(a)
    a:close()
    assert.matches("snapshot is closed", message_of(step))
  end)

  it("refuses a damaged one, which lacks entries that were there", function()
    local map, path = structs(20), new_path()
    save(map, path, 8)
    write(path, read(path):sub(1, -800))
    local damaged <close> = assert(bpf.snapshot(path, { damaged = true }))
    local taken <close> = map:snapshot()
    assert.matches("damaged", message_of(taken.diff, taken, damaged))
  end)
end)
