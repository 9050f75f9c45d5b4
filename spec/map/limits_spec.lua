-- SPDX-License-Identifier: MIT
--
-- Where the kernel engine cannot do a query another one does, with the same answer, and the report
-- says why; asked for by name, it says why and does nothing.

local bpf = require "luabpf"
local core = require "luabpf.core"
local helper = require "spec.support.helper"
local support = require "spec.support.objects"

local function filled(n, given)
  local map = helper.map { max_entries = n }
  if given then map = helper.map(given) end
  local keys = {}
  for i = 1, n do keys[i] = i end
  assert(map:update_batch(keys, keys))
  return map
end

-- A condition of n comparisons that holds for even values.
local function comparisons(n)
  local list = {}
  for i = 1, n - 1 do list[i] = ("value ~ %d == %d"):format(i, 1000000 + 7 * i) end
  return "value % 2 == 0 or " .. table.concat(list, " or ")
end

describe("a query goes to the batch engine", function()
  after_each(helper.close_all)

  it("when there are more comparisons than the verifier takes", function()
    local map = filled(70000)
    for _, n in ipairs { 1024, 1025 } do
      local count, report = map:count(comparisons(n))
      assert.equal(35000, count)
      assert.equal(n <= 1024 and "kernel" or "batch", report.engine)
    end
    local _, report = map:count(comparisons(1025))
    assert.truthy(report.why:find("more comparisons than the verifier takes", 1, true))
    local n, message, errno = map:count(comparisons(1025), { engine = "kernel" })
    assert.is_nil(n)
    assert.truthy(message:find("engine \"kernel\": the expression has more comparisons", 1, true))
    assert.equal(bpf.errno.ENOTSUPP, errno)
    assert.equal(35000, map:delete_where(comparisons(1025)).deleted)
    local deleted
    deleted, message, errno = map:delete_where(comparisons(1025), { engine = "kernel" })
    assert.is_nil(deleted)
    assert.truthy(message:find("more comparisons", 1, true))
    assert.equal(bpf.errno.ENOTSUPP, errno)
    local ok, err = pcall(map:select { where = comparisons(1025), engine = "kernel" })
    assert.is_false(ok)
    assert.equal(bpf.errno.ENOTSUPP, err.errno)
    local rows
    rows, message = map:aggregate { where = comparisons(1025), engine = "kernel" }
    assert.is_nil(rows)
    assert.truthy(message:find("more comparisons", 1, true))
  end)

  it("when the verifier refuses the program, which is not tried again", function()
    -- Programs may not read the one map and not write the other.
    local map = filled(70000, { max_entries = 70000, flags = { "wronly_prog" } })
    local n, report = map:count("value % 2 == 0")
    assert.equal(35000, n)
    assert.equal("batch", report.engine)
    assert.truthy(report.why:find("the kernel's verifier refuses the program", 1, true), report.why)
    assert.truthy(report.why:find("\n.*forbidden"), report.why)
    local plan = map:explain { where = "value % 2 == 0" }
    assert.equal("batch", plan.engine)
    assert.equal(report.why, plan.why)
    local none, message, errno = map:count("value % 2 == 0", { engine = "kernel" })
    assert.is_nil(none)
    assert.truthy(message:find("engine \"kernel\": the kernel's verifier", 1, true), message)
    assert.equal(bpf.errno.EACCES, errno)
    local keys = {}
    for i = 1, 1000 do keys[i] = i end
    assert.equal(1000, select(2, map:lookup_batch(keys)))
    assert.equal(1000, map:delete_batch(keys, { if_equal = keys }))

    map = filled(70000, { max_entries = 70000, flags = { "rdonly_prog" } })
    assert.equal("kernel", select(2, map:count("value % 2 == 0")).engine)
    report = map:delete_where("value % 2 == 0")
    assert.equal(35000, report.deleted)
    assert.equal("batch", report.engine)
    assert.is_true(report.complete)
    assert.same({ inserted = 500, updated = 500 }, (map:upsert_batch(keys, keys)))
  end)

  it("when the time allowed is up, which deletes go on from", function()
    for _, flags in ipairs { {}, { "no_prealloc" } } do
      local map = filled(60000, { max_entries = 60000, flags = flags })
      local _, report = map:count("value > 5", { engine = "kernel", budget = "50us" })
      assert.equal("batch", report.engine)
      assert.equal("the walk inside the kernel was stopped at its time limit", report.why)
      assert.equal(60000, report.visited)
      assert.equal(59995, report.matched)
      assert.is_true(report.complete)
      local rows = map:aggregate { select = "count() as n, sum(value) as s", engine = "kernel",
        budget = "50us" }
      assert.same({ { n = 60000, s = 60000 * 60001 // 2 } }, rows)
      local n = 0
      for _ in map:select { engine = "kernel", budget = "50us", where = "value % 3 == 0" } do
        n = n + 1
      end
      assert.equal(20000, n)
      local told = 0
      report = map:delete_where("value % 3 == 0", { engine = "kernel", budget = "50us",
        on_delete = function(key, value)
          assert.equal(key, value)
          told = told + 1
        end })
      assert.equal(20000, report.deleted)
      assert.equal(20000, told)
      assert.equal("batch", report.engine)
      assert.truthy(report.why:find("time limit", 1, true))
      assert.is_true(report.complete)
      assert.equal(40000, map:count())
    end
  end)

  it("when a run would take longer than allowed", function()
    local map = filled(70000)
    local _, report = map:count("value > 5", { budget = "1us" })
    assert.equal("batch", report.engine)
    assert.equal("a run inside the kernel would take longer than the budget allows", report.why)
    assert.equal("batch", map:explain({ where = "value > 5", budget = "1us" }).engine)
  end)

  it("when the rows do not fit in the memory allowed", function()
    local map = filled(70000)
    local report, n = {}, 0
    for _ in map:select { where = "value > 0", memory = "70KiB", report = report } do n = n + 1 end
    assert.equal(70000, n)
    assert.equal("batch", report.engine)
    assert.equal("the rows would not fit in the memory allowed", report.why)
    report, n = {}, 0
    for _ in map:select { where = "value > 0", memory = "100KiB", report = report } do n = n + 1 end
    assert.equal(70000, n)
    assert.equal("batch", report.engine)
    assert.equal("70000 rows of 12 bytes do not fit in the memory allowed", report.why)
    assert.equal(70000, report.visited)
    assert.equal(70000, report.matched)
    local ok, err = pcall(map:select { engine = "kernel", memory = "100KiB" })
    assert.is_false(ok)
    assert.truthy(tostring(err):find("do not fit in the memory allowed", 1, true))
  end)

  it("not when more rows match than there was room for at first", function()
    -- Room for a quarter of what would take over 16 MiB; all of them match.
    local map = helper.map { max_entries = 70000, value = { "u64 n", "u8 rest[248]" } }
    local keys, values = {}, {}
    for i = 1, 70000 do keys[i], values[i] = i, ("<I8"):pack(i) .. ("\0"):rep(248) end
    assert(map:update_batch(keys, values, { raw = true }))
    local report, n = {}, 0
    for _ in map:select { where = "value.n > 0", columns = "value", engine = "kernel",
      budget = "1h", report = report } do n = n + 1 end
    assert.equal(70000, n)
    assert.equal("kernel", report.engine)
  end)

  it("when exactness is asked for, except of arrays", function()
    local map = filled(70000)
    local _, report = map:count("value > 5", { exact = true })
    assert.equal("batch", report.engine)
    assert.is_true(report.exact)
    assert.truthy(report.why:find("exact = true", 1, true))
    local array = helper.map { type = "array", max_entries = 70000 }
    _, report = array:count("value == 0", { exact = true })
    assert.equal("kernel", report.engine)
    assert.is_true(report.exact)
  end)

  it("when programs cannot walk the type of map", function()
    local trie = helper.map { type = "lpm_trie", key = "prefix4", max_entries = 300 }
    for i = 1, 200 do trie:update(("10.0.%d.0/24"):format(i), i) end
    for _, where in ipairs { "value > 50 and key in '10.0.0.0/8'",
      function(_, value) return value > 50 end } do
      local n, report = trie:count(where)
      assert.equal(150, n)
      assert.equal("batch", report.engine)
      assert.equal("programs cannot walk lpm_trie maps", report.why)
      local none, message, errno = trie:count(where, { engine = "kernel" })
      assert.is_nil(none)
      assert.truthy(message:find("programs cannot walk lpm_trie maps", 1, true))
      assert.equal(bpf.errno.ENOTSUPP, errno)
    end
    local report = trie:delete_where("value > 50")
    assert.equal(150, report.deleted)
    assert.equal("batch", report.engine)
    assert.is_true(report.complete)

    local inner = helper.map { type = "array" }
    local outer <close> = assert(bpf.create { type = "hash_of_maps", key = "u32", inner = inner,
      max_entries = 10 })
    for i = 1, 5 do assert(outer:update(i, inner)) end
    local n
    n, report = outer:count("key > 2")
    assert.equal(3, n)
    assert.equal("programs cannot walk hash_of_maps maps", report.why)
    assert.equal(3, outer:delete_where("key > 2").deleted)
    assert.equal(2, outer:count())
  end)

  it("of maps without keys nothing can be asked", function()
    local queue = helper.map { type = "queue" }
    queue:push(5)
    for _, engine in ipairs { "kernel", "batch", "walk" } do
      local n, message, errno = queue:count("value > 1", { engine = engine })
      assert.is_nil(n)
      assert.equal(bpf.errno.ENOTSUPP, errno, message)
    end
    local n, message, errno = queue:delete_where("value > 1")
    assert.is_nil(n)
    assert.truthy(message:find("not supported by queue maps", 1, true))
    assert.equal(bpf.errno.ENOTSUPP, errno)
    assert.equal(5, queue:peek())
  end)
end)

describe("special fields", function()
  local object

  before_each(function() object = assert(bpf.load "bpf/layouts.bpf.o") end)
  after_each(function() object:close() end)

  it("are zeros in rows and an error in expressions; what is beside them can be asked", function()
    local map = object.maps.guarded
    for i = 1, 40 do assert(map:update(i, { n = i, m = 2 * i })) end
    local engines = { "batch", "walk", "kernel" }
    local taken, message = map:count("value.n > 10", { engine = "kernel" })
    if not taken then
      assert.truthy(message:find("since Linux 6.6", 1, true), message)
      assert.is_false(helper.kernel_has(6, 6))
      assert.equal("batch", select(2, map:count "value.n > 10").engine)
      engines[3] = nil
    end
    for _, engine in ipairs(engines) do
      local n, report = map:count("value.n > 10 and value.m < 70", { engine = engine })
      assert.equal(24, n)
      assert.equal(engine, report.engine)
      local seen = 0
      for key, value in map:select { where = "value.n > 10", engine = engine } do
        assert.equal(key, value.n)
        assert.equal(2 * key, value.m)
        seen = seen + 1
      end
      assert.equal(30, seen)
    end
    assert.error_matches(function() map:count("value.lock > 0") end, "%^")
    assert.error_matches(function() map:count("value.timer == 0") end, "%^")
    local told = {}
    assert.equal(10, map:delete_where("value.n > 30", { on_delete = function(key, value)
      told[key] = value.m
    end }).deleted)
    assert.equal(80, told[40])
    assert.equal(10, map:delete_where("value.n > 20", { engine = "batch" }).deleted)
    assert.equal(10, map:delete_where(function(_, value) return value.n > 10 end).deleted)
    assert.equal(10, map:count())
  end)
end)

describe("without capabilities", function()
  after_each(helper.close_all)

  local QUERIES <const> = [[
    local map = assert(bpf.open { path = %q, key = "u32", value = "u64" })
    local n, report = map:count("value > 10")
    assert(n == 69990, n)
    assert(report.engine == %q, report.engine .. ": " .. report.why)
    local forced, message, errno = map:count("value > 10", { engine = "kernel" })
    if report.engine == "batch" then
      assert(report.why:find("CAP_BPF", 1, true), report.why)
      assert(forced == nil and errno == bpf.errno.EPERM, message)
      assert(message:find("CAP_BPF", 1, true), message)
    else
      assert(forced == n)
    end
    local seen = 0
    for _, value in map:select { where = "value > 69000" } do
      seen = seen + (value > 69000 and 1 or 0)
    end
    assert(seen == 1000, seen)
    report = map:delete_where("value > 60000")
    assert(report.deleted == 10000 and report.complete, report.deleted)
    report = map:delete_where(function(_, value) return value > 50000 end)
    assert(report.deleted == 10000, report.deleted)
    local keys = {}
    for i = 1, 1000 do keys[i] = 49500 + i end
    assert(select(2, map:lookup_batch(keys)) == 500)
    local counts = map:upsert_batch(keys, keys)
    assert(counts.inserted == 500 and counts.updated == 500)
    local deleted, missing, changed = map:delete_batch(keys, { if_equal = keys })
    assert(deleted == 1000 and missing == 0 and changed == 0)
    assert(map:count() == 49500)
  ]]

  local function check(engine, run)
    local map = filled(70000)
    local path = support.pin_path()
    assert(map:pin(path))
    finally(function() os.remove(path) end)
    local text, ok = run(QUERIES:format(path, engine))
    assert.is_true(ok, text)
    assert.equal("", text)
  end

  it("everything is done by system calls, and says so", function()
    check("batch", support.unprivileged)
  end)

  it("but CAP_BPF, everything is done inside the kernel", function()
    check("kernel", function(source)
      return support.elsewhere("setpriv --bounding-set=-all,+bpf --inh-caps=-all", source)
    end)
  end)
end)

describe("the element count", function()
  after_each(helper.close_all)

  it("sizes large maps, so that sparse ones are read by batches", function()
    local map = helper.map { max_entries = 1000000 }
    for i = 1, 500 do map:update(i, i) end
    if not core.element_count(map) then return pending("needs Linux 6.6: no element count") end
    assert.equal(500, core.element_count(map))
    local n, report = map:count("value > 100")
    assert.equal(400, n)
    assert.equal("batch", report.engine)
    assert.equal(500, map:explain({ where = "value > 1" }).entries)
  end)
end)
