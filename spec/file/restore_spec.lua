-- SPDX-License-Identifier: MIT
--
-- Maps rebuilt from snapshots (lua/luabpf/file/restore.lua).

local bpf = require "luabpf"
local core = require "luabpf.core"
local helper = require "spec.support.helper"
local support = require "spec.support.snapshots"

local new_path, clean_up, save, collect, structs, message_of, save_percpu = support.new_path,
  support.clean_up, support.save, support.collect, support.structs, support.message_of,
  support.save_percpu

describe("bpf.create{ from = snapshot }", function()
  after_each(clean_up)

  for _, kind in ipairs(helper.types) do
    it("makes a map of type " .. (kind.label or kind.type) .. " again", function()
      local map = helper.make(kind, 200)
      map:update_batch(helper.entries(kind, 0, 149))
      local taken <close> = map:snapshot { batch_size = 32 }
      local made <close> = assert(bpf.create { from = taken })
      local was, is = map:info(), made:info()
      for _, name in ipairs { "type", "name", "key_size", "value_size", "max_entries",
        "map_flags" } do
        assert.equal(was[name], is[name], name)
      end
      assert.same(map:describe().value, made:describe().value)
      assert.same((collect(map:entries())), (collect(made:entries())))
    end)
  end

  it("takes another name and another size", function()
    local taken <close> = structs(50):snapshot()
    local made <close> = assert(bpf.create { from = taken, name = "other", max_entries = 4096 })
    assert.same({ "other", 4096, 50 }, { made:info().name, #made, made:count() })
  end)

  it("pins it when it is complete", function()
    local taken <close>, pin = structs(50):snapshot(), helper.pin()
    finally(function() os.remove(pin) end)
    local made <close> = assert(bpf.create { from = taken, pin = pin })
    assert.equal(pin, made:info().pin)
    assert.equal(50, made:count())
    assert.same({ nil, core.errno.ENOENT }, { bpf.open(pin .. "_part"), (select(3, bpf.open(pin
      .. "_part"))) })
    local again, message, errno = bpf.create { from = taken, pin = pin }
    assert.same({ nil, core.errno.EEXIST }, { again, errno })
    assert.matches("File exists", message)
  end)

  it("leaves out flags that the kernel sets by itself [fault 7]", function()
    for _, type in ipairs { "devmap", "devmap_hash" } do
      local map = helper.map { type = type, key = "u32", value = "u32", max_entries = 4 }
      assert(map:update(1, 1))
      local copy <close> = assert(bpf.create { from = map:snapshot(), name = helper.name() })
      assert.same(map:info().flags, copy:info().flags)
      assert.equal(1, copy:lookup(1))
    end
  end)

  it("goes on with one that was cut off", function()
    local map, pin = structs(100), helper.pin()
    local part = pin .. "_part"
    finally(function() os.remove(pin) os.remove(part) end)
    local taken <close> = map:snapshot { batch_size = 10 }
    local early <close> = helper.map { key = { "ipv4 addr", "be16 port" }, value = support.VALUE,
      max_entries = 100, name = taken:header().name, pin = part }
    local n, seen = 0, nil
    for batch in taken:batches() do
      n = n + 1
      if n > 4 then break end
      early:update_batch(batch)
      seen = seen or batch:key(1)
    end
    -- What was stored is left alone: it is not written again.
    local mark = map:lookup(seen)
    mark.bytes = 12345
    early:update(seen, mark)
    local made <close> = assert(bpf.create { from = taken, pin = pin })
    assert.equal(early:info().id, made:info().id)
    assert.equal(100, made:count())
    assert.equal(12345, made:lookup(seen).bytes)
    made:update(seen, (map:lookup(seen)))
    assert.same((collect(map:entries())), (collect(made:entries())))
  end)

  it("goes on when the process was killed", function()
    local map, path, pin = structs(90), new_path(), helper.pin()
    finally(function() os.remove(pin) os.remove(pin .. "_part") end)
    save(map, path, 8)
    local process = helper.process([[
      local methods, n = require("luabpf.core").classes["luabpf.map"], 0
      local update_batch = methods.update_batch
      function methods.update_batch(...)
        n = n + 1
        if n == 5 then os.execute("kill -9 $PPID") end
        return update_batch(...)
      end
      local path, pin = ...
      bpf.create { from = bpf.snapshot(path), pin = pin }
      print "not reached"
    ]], path, pin)
    assert.equal("", process:read("a"))
    process:close()
    local part <close> = assert(bpf.open(pin .. "_part"))
    assert.is_true(part:count() > 0 and part:count() < 90)
    local taken <close> = assert(bpf.snapshot(path))
    local made <close> = assert(bpf.create { from = taken, pin = pin })
    assert.equal(part:info().id, made:info().id)
    assert.same((collect(map:entries())), (collect(made:entries())))
  end)

  it("leaves a map of another kind alone that is in its way", function()
    local taken <close>, pin = structs(5):snapshot(), helper.pin()
    local part = pin .. "_part"
    finally(function() os.remove(part) end)
    helper.map { pin = part }
    local made, message, errno = bpf.create { from = taken, pin = pin }
    assert.same({ nil, core.errno.EEXIST }, { made, errno })
    assert.matches("another kind", message)
  end)

  it("leaves nothing behind when the entries do not fit", function()
    local taken <close>, pin = structs(50):snapshot(), helper.pin()
    for _, where in ipairs { { pin = pin }, {} } do
      local made, message, errno = bpf.create { from = taken, max_entries = 10, pin = where.pin }
      assert.same({ nil, core.errno.E2BIG }, { made, errno })
      assert.matches("full", message)
    end
    assert.is_nil((bpf.open(pin)))
    assert.is_nil((bpf.open(pin .. "_part")))
  end)

  it("refuses what cannot be made again", function()
    local map = structs(3)
    local columns <close> = map:snapshot { columns = "value.bytes" }
    local inner = { type = "hash", key = "u32", value = "u32" }
    local outer <close> = helper.map { type = "hash_of_maps", value = "u32",
      inner = inner }:snapshot()
    for reason, taken in pairs { ["columns"] = columns, ["values of hash_of_maps"] = outer } do
      local made, message, errno = bpf.create { from = taken }
      assert.same({ nil, core.errno.ENOTSUPP }, { made, errno })
      assert.matches(reason, message)
    end
    assert.matches("unknown option 'type'", message_of(bpf.create, { from = columns,
      type = "hash" }))
    assert.matches("from': luabpf.snapshot expected", message_of(bpf.create, { from = map }))
    columns:close()
    assert.matches("closed", message_of(bpf.create, { from = columns }))
  end)

  it("takes values of another number of CPUs only when told", function()
    local path, here = new_path(), (bpf.cpus())
    for _, ncpu in ipairs { here + 3, 1 } do
      local packed, wanted = "", {}
      for cpu = 1, ncpu do packed = packed .. string.pack("<I4I4", cpu * 10, 0) end
      for cpu = 1, here do wanted[cpu] = cpu <= ncpu and cpu * 10 or 0 end
      save_percpu(path, ncpu, packed)
      local taken <close> = assert(bpf.snapshot(path))
      local made, message, errno = bpf.create { from = taken }
      if ncpu ~= here then
        assert.same({ nil, core.errno.ENOTSUPP }, { made, errno })
        assert.matches(("of %d CPUs, this machine has %d"):format(ncpu, here), message)
        made = assert(bpf.create { from = taken, other_cpus = true })
      end
      assert.same(wanted, made:lookup(5))
      made:close()
    end
  end)
end)
