-- SPDX-License-Identifier: MIT
--
-- map:import by several threads (lua/luabpf/file/import.lua, luabpf/lib/thread/store.c): the map
-- and the counts are as by one, also of keys that stand twice; checkpoints speak
-- of what is stored; nothing is left of threads that were stopped.

local bpf = require "luabpf"
local core = require "luabpf.core"
local folder = require "spec.support.folder"
local helper = require "spec.support.helper"

local path, write = folder.path, folder.write

local MODES <const> = { "any", "noexist", "exist" }

local contents, counts = helper.contents, helper.import_counts

-- JSON lines of the keys from first to last.
local function lines(first, last, value)
  local list = {}
  for i = first, last do
    list[#list + 1] = ('{"key":%d,"value":%d}\n'):format(i, value or i * 3)
  end
  return table.concat(list)
end

-- The rows of n entries of a kind, each key about three times with other values, in any order.
local function rows_of(kind, n)
  local map, rows = helper.make(kind, n), {}
  local keys = helper.entries(kind, 0, n - 1)
  for _ = 1, 3 do
    local values = {}
    for i = 1, n do values[i] = kind.value_of(math.random(0, 1 << 20)) end
    assert(map:update_batch(keys, values))
    map:export(function(text)
      for row in text:gmatch "[^\n]+\n" do rows[#rows + 1] = row end
    end)
  end
  for i = #rows, 2, -1 do
    local other = math.random(i)
    rows[i], rows[other] = rows[other], rows[i]
  end
  return table.concat(rows)
end

before_each(function()
  folder.make()
end)

after_each(function()
  folder.remove()
  helper.close_all()
end)

describe("an import by several threads", function()
  for _, kind in ipairs(helper.types) do
    it("stores what one stores, in each mode: " .. (kind.label or kind.type), function()
      math.randomseed(11)
      local n = 700
      local file = write("x.jsonl", rows_of(kind, n))
      local keys, values = helper.entries(kind, 0, n // 3)
      -- Hashes and arrays are shared out. Shares of 256 and more are stored by programs.
      local shared = core.maptypes[kind.type].position ~= "trie"
      for _, mode in ipairs(MODES) do
        local wanted, wanted_counts
        for _, case in ipairs { { 1, 64 }, { 2, 64 }, { 7, 64 }, { 3, 2100 }, { 2, 1 << 16 } } do
          local map = helper.make(kind, n)
          assert(map:update_batch(keys, values))
          local report = assert(map:import(file, { mode = mode, workers = case[1],
            batch_size = case[2] }))
          assert.equal(shared and case[1] or 1, report.workers)
          wanted, wanted_counts = wanted or contents(map), wanted_counts or counts(report)
          assert.same(wanted_counts, counts(report))
          assert.same(wanted, contents(map))
          map:close()
        end
      end
    end)
  end

  it("reads all formats, and values of a byte", function()
    local from = helper.map { key = "u16", value = "u8", max_entries = 5000 }
    local keys, values = {}, {}
    for i = 1, 5000 do keys[i], values[i] = i, i % 251 end
    assert(from:update_batch(keys, values))
    for _, format in ipairs { "jsonl", "csv", "snapshot" } do
      assert(from:export(path "x", { format = format }))
      local map = helper.map { key = "u16", value = "u8", max_entries = 5000 }
      assert.same({ 5000, 0, 0 }, counts(assert(map:import(path "x", { workers = 2 }))))
      assert.same(contents(from), contents(map))
    end
    local map, snapshot = helper.map { key = "u16", value = "u8", max_entries = 5000 },
      from:snapshot()
    assert.same({ 5000, 0, 0 }, counts(assert(map:import(snapshot, { workers = 3 }))))
    assert.same(contents(from), contents(map))
  end)

  it("keeps the order of prefixes that are the same, however they are written", function()
    local map = helper.map { type = "lpm_trie", key = { "u32 bits", "bytes data[4]" } }
    local rows = {}
    for i = 1, 2000 do
      rows[i] = ('{"key":{"bits":8,"data":"0a00%04x"},"value":%d}\n'):format(i * 7, i)
    end
    local report = assert(map:import(write("x", table.concat(rows)), { workers = 4,
      batch_size = 100 }))
    assert.same({ 1, 1999, 0 }, counts(report))
    assert.equal(2000, map:lookup { bits = 32, data = "\10\1\2\3" })
  end)

  it("fills a map to its last place while threads replace entries", function()
    local rows = {}
    for i = 1, 4000 do rows[i] = lines(i % 7 + 1, i % 7 + 1, i) end
    for i = 1, 9 do rows[400 * i] = lines(100 + i, 100 + i) end
    local file = write("x", table.concat(rows))
    for _ = 1, 100 do
      local map = helper.map { flags = { "no_prealloc" }, max_entries = 16 }
      assert.same({ 16, 3984, 0 }, counts(assert(map:import(file, { workers = 4,
        batch_size = 4000 }))))
      map:close()
    end
  end)

  -- Each has a node of the map under way, and there are no others.
  it("stores in LRU maps that have fewer places than there are threads", function()
    local file = write("x", lines(1, 3000):rep(3))
    for _, mode in ipairs(MODES) do
      local map = helper.map { type = "lru_hash", max_entries = 1 }
      local report = assert(map:import(file, { workers = 8, batch_size = 16, mode = mode }))
      assert.equal(9000, report.inserted + report.updated + report.skipped)
      map:close()
    end
  end)

  it("only counts in a dry run, and says how many threads there were", function()
    local map = helper.map { max_entries = 5000 }
    local file = write("x", lines(1, 5000))
    map:update(1, 1)
    local report = assert(map:import(file, { workers = 4, dry_run = true }))
    assert.same({ 4999, 1, 0 }, counts(report))
    assert.equal(1, report.workers)
    assert.equal(1, map:count())
    assert.equal(1, assert(map:import(file, { workers = 1 })).workers)
    assert.is_nil(assert(map:import(file)).workers)
  end)

  it("takes from 1 to 256 of them", function()
    local map = helper.map()
    for _, workers in ipairs { 0, -1, 257, 1.5, math.maxinteger } do
      assert.error_matches(function() map:import(path "x", { workers = workers }) end,
        "^import: option 'workers': integer from 1 to 256 expected, got ")
    end
    assert.error_matches(function() map:import(path "x", { workers = "2" }) end,
      "^import: option 'workers': number expected, got string$")
    assert.same({ 100, 0, 0 }, counts(assert(map:import(write("x", lines(1, 100)),
      { workers = 256 }))))
  end)
end)

describe("a checkpoint of several threads", function()
  local real = core.replace_file

  after_each(function()
    core.replace_file = real
  end)

  -- Rows of that length, so that an offset says how many come before it.
  local function even_lines(first, last)
    local list = {}
    for i = first, last do list[#list + 1] = ('{"key":%6d,"value":%8d}\n'):format(i, i * 3) end
    return table.concat(list), #list[1]
  end

  it("comes now and then, and speaks of what is in the map", function()
    local map = helper.map { max_entries = 20000 }
    local text, length = even_lines(1, 20000)
    local saved = 0
    core.replace_file = function(name, record)
      local before = record:match '"offset":(%d+)' // length
      assert.equal(before, map:count())
      assert.equal(before, math.tointeger(record:match '"inserted":(%d+)'))
      saved = saved + 1
      return real(name, record)
    end
    local file = write("x", text)
    assert(map:import(file, { workers = 3, batch_size = 50, checkpoint = path "c" }))
    assert.truthy(saved >= 400 // 16 and saved < 200, saved)
    assert.is_nil(core.file_status(path "c"))
    -- By one worker each batch has one.
    saved = 0
    map:clear()
    assert(map:import(file, { batch_size = 50, checkpoint = path "c" }))
    assert.equal(400, saved)
    finally(function() bpf.defaults.checkpoint_interval = 1000000000 end)
    bpf.defaults.checkpoint_interval = 0
    saved = 0
    map:clear()
    assert(map:import(file, { workers = 2, batch_size = 50, checkpoint = path "c" }))
    assert.equal(400, saved)
  end)

  it("lets it go on after failures: a full map, a row that is wrong", function()
    local map, others = helper.map { max_entries = 3000 }, {}
    for i = 1, 1000 do others[i] = 10000 + i end
    assert(map:update_batch(others, others))
    local file = write("x", (even_lines(1, 3000)))
    local options = { workers = 2, checkpoint = path "c", batch_size = 50 }
    local result, _, errno, partial = map:import(file, options)
    assert.is_nil(result)
    assert.equal(bpf.errno.E2BIG, errno)
    assert.equal(2000, partial.inserted)
    assert.equal(1000, (map:delete_batch(others)))
    local report = assert(map:import(file, options))
    assert.is_true(report.resumed)
    assert.equal(3000, report.inserted + report.updated)
    assert.equal(3000, (map:count "value == key * 3"))

    map:clear()
    local text, length = even_lines(1, 1010)
    local bad = write("y", text .. "{}\n" .. lines(1011, 3000))
    result, _, errno, partial = map:import(bad, options)
    assert.is_nil(result)
    assert.equal(bpf.errno.EBADMSG, errno)
    assert.equal(1010, partial.inserted)
    -- All before the row is done for good.
    assert.equal(1010, folder.content "c":match '"offset":(%d+)' // length)
    result, _, _, partial = map:import(bad, options)
    assert.is_nil(result)
    assert.is_true(partial.resumed)
    assert.same({ 1010, 0, 0 }, counts(partial))
  end)

  -- As by Ctrl-C, which may come at any moment of Lua.
  it("speaks of nothing that was read but not stored", function()
    local map = helper.map { max_entries = 3000 }
    local file = write("x", (even_lines(1, 3000)))
    local options = { workers = 2, checkpoint = path "c", batch_size = 50 }
    local reader, n = core.classes["luabpf.row_reader"], 0
    local next = reader.next
    finally(function() reader.next = next end)
    reader.next = function(...)
      local batch = next(...)
      n = n + 1
      if n == 20 then error("interrupted!", 0) end
      return batch
    end
    assert.error_matches(function() map:import(file, options) end, "^interrupted!$")
    reader.next = next
    assert.equal(950, map:count())
    local report = assert(map:import(file, options))
    assert.is_true(report.resumed)
    assert.same({ 3000, 0, 0 }, counts(report))
    assert.equal(3000, (map:count "value == key * 3"))
  end)

  -- Starts an import in another process, and kills it after so many ns: the offset of its
  -- checkpoint, nil if it has none.
  local function killed(map, file, delay)
    local child = helper.process([[
      local id, file, mark = ...
      local map <close> = bpf.open(math.tointeger(id))
      print((io.open("/proc/self/stat"):read("n")))
      io.stdout:flush()
      map:import(file, { checkpoint = mark, batch_size = 50, workers = 2 }) ]],
      tostring(map:info().id), file, path "c")
    local pid = assert(child:read "n")
    bpf.sleep(delay)
    os.execute(("kill -9 %d 2>/dev/null"):format(pid))
    child:close()
    return core.file_status(path "c") and folder.content "c":match '"offset":(%d+)'
  end

  it("lets it go on after kills, and everything is there", function()
    local n = 50000
    local text, length = even_lines(1, n)
    local file = write("x", text)
    local map = helper.map { max_entries = n }
    -- ns: how long an import takes is the machine's, and a sanitizer's, affair.
    local stopped, tries, longest = 0, 0, 60000000
    while stopped < 5 do
      tries = tries + 1
      assert(tries < 100, "no kill comes between two checkpoints")
      local offset = killed(map, file, math.random(0, longest))
      if not offset then
        longest = map:count() == n and longest // 2 or longest * 2
        map:clear()
      else
        stopped = stopped + 1
        assert.equal(offset // length,
          (map:count(("key <= %d and value == key * 3"):format(offset // length))))
      end
    end
    assert.is_true(assert(map:import(file, { checkpoint = path "c", workers = 2 })).resumed)
    assert.equal(n, map:count())
    assert.equal(n, (map:count "value == key * 3"))
  end)
end)

describe("an import by several threads that fails", function()
  local map, before, open

  before_each(function()
    map = helper.map { max_entries = 20000 }
    -- With what the handle keeps.
    map:import(write("x", lines(1, 1000)))
    map:count()
    map:clear()
    before, open = helper.threads(), helper.descriptors()
  end)

  after_each(function()
    assert.equal(before, helper.threads())
    assert.equal(open, helper.descriptors())
  end)

  -- The same as by one thread: message, errno.
  local function fails_alike(into, file, options)
    local alone = { into:import(file, options) }
    into:clear()
    options.workers = 3
    local result, message, errno, partial = into:import(file, options)
    assert.is_nil(result)
    assert.equal(alone[2], message)
    assert.equal(alone[3], errno)
    return partial, alone[4]
  end

  it("because the map is full says so, and what was stored", function()
    local file = write("x", lines(1, 3000))
    for _, case in ipairs { { "any", 64 }, { "any", 3000 }, { "noexist", 64 },
      { "noexist", 3000 } } do
      local small <close> = helper.map { max_entries = 1000 }
      local partial = fails_alike(small, file, { mode = case[1], batch_size = case[2] })
      assert.equal(1000, small:count())
      assert.same({ 1000, 0, 0 }, counts(partial))
      assert.equal(1000, (small:count "value == key * 3"))
    end
  end)

  it("at a row that is wrong has stored those before it", function()
    local file = write("x", lines(1, 3333) .. "{}\n" .. lines(3334, 9999))
    for _, size in ipairs { 10, 4096 } do
      local partial, alone = fails_alike(map, file, { batch_size = size })
      assert.same(counts(alone), counts(partial))
      assert.equal(3333, map:count())
      map:clear()
    end
  end)

  it("at damage in a snapshot has stored the blocks before it", function()
    local values = helper.map { value_size = 4096, max_entries = 4000 }
    for i = 1, 4000 do values:update(i, ("%08d"):format(i):rep(512)) end
    assert(values:export(path "s", { format = "snapshot" }))
    local whole = folder.content "s"
    write("s", whole:sub(1, 9000000) .. "#" .. whole:sub(9000002))
    values:clear()
    local partial, alone = fails_alike(values, path "s", {})
    assert.same(counts(alone), counts(partial))
    assert.truthy(partial.inserted > 1000 and partial.inserted < 4000)
    values:close()
  end)

  it("because the type of map cannot be written has stored nothing", function()
    local traces <close> = helper.map { type = "stack_trace" }
    for _, mode in ipairs(MODES) do
      local report, message, errno, partial = traces:import(write("x", lines(1, 5)),
        { mode = mode, workers = 2 })
      assert.is_nil(report)
      assert.truthy(message:find("not supported", 1, true), message)
      assert.equal(bpf.errno.ENOTSUPP, errno)
      assert.same({ 0, 0, 0 }, counts(partial))
    end
  end)

  -- Rows that come slowly enough for progress to be shown before the end: a block of the reader
  -- (256 KiB) and more, and the rest.
  local function slow_rows()
    write("x", lines(1, 15000))
    write("y", lines(15001, 20000))
    return assert(io.popen(("cat %s; sleep 0.4; cat %s"):format(path "x", path "y")))
  end

  it("because a function raises, or closes the file, has stopped its threads", function()
    for _, size in ipairs { 10, 1000 } do
      local pipe = slow_rows()
      assert.error_matches(function()
        map:import(pipe, { workers = 4, batch_size = size,
          progress = function() error "seen enough" end })
      end, "seen enough")
      pipe:close()
    end
    local pipe = slow_rows()
    assert.error_matches(function()
      map:import(pipe, { workers = 2, batch_size = 10, progress = function()
        if io.type(pipe) == "file" then pipe:close() end
      end })
    end, "the file was closed")
  end)

  it("in a coroutine that is given up has stopped its threads", function()
    -- Nothing of it stays in this function's registers.
    local function give_up()
      local pipe <close> = slow_rows()
      local work = coroutine.wrap(function()
        map:import(pipe, { workers = 4, batch_size = 10, progress = coroutine.yield })
      end)
      assert.truthy(work() > 0)
      assert.equal(before + 4, helper.threads())
    end
    give_up()
    collectgarbage()
    collectgarbage()
  end)

  it("does not because the map is closed meanwhile", function()
    local other <close> = assert(bpf.open { id = map:info().id })
    local pipe = slow_rows()
    local report = assert(other:import(pipe, { workers = 2, batch_size = 10,
      progress = function() other:close() end }))
    pipe:close()
    assert.same({ 20000, 0, 0 }, counts(report))
    assert.equal(20000, map:count())
  end)

  -- What import.lua makes of core, used wrongly.
  it("tells misuse of the threads", function()
    map:update(1, 1)
    local store = core.store(map, "any", 2)
    local batch = map:batches()():copy()
    store:add(batch)
    assert.error_matches(function() store:add(batch) end, "is not handed over")
    assert.is_false(store:idle(0))
    repeat local passed = store:pass(1000000) until passed
    repeat local idle = store:idle(1000000) until idle
    assert.same({ 0, 1, 0 }, { store:counts() })
    assert.error_matches(function() store:add(map) end, "luabpf.batch expected")
    local other <close> = helper.map { key = "u64" }
    other:update(1, 1)
    assert.error_matches(function() store:add(other:batches()():copy()) end,
      "the batch is of a map with other sizes")
    assert.error_matches(function() store:add(map:lookup_batch("\9\9\9\9")) end,
      "entries without a value")
    store:add(batch)
    store:close()
    store:close()
    assert.error_matches(function() store:pass(0) end, "store is closed")
    assert.same({ 0, 1, 0 }, { store:counts() })
    assert.error_matches(function() core.store(map, "all", 2) end, "invalid option 'all'")
    assert.error_matches(function() core.store(map, "any", 257) end, "257 is not within")
    -- Left to the collector.
    core.store(map, "any", 3):add(batch)
    core.store(map, "any", 3)
    collectgarbage()
    collectgarbage()
  end)
end)
