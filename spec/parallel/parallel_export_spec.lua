-- SPDX-License-Identifier: MIT
--
-- map:export by several threads (lua/luabpf/file/export.lua, luabpf/lib/thread/crew.c, packer.c):
-- the same rows as by one, or the same entries of a snapshot, whatever happens to
-- the map, and nothing left of threads that were stopped.

local bpf = require "luabpf"
local core = require "luabpf.core"
local folder = require "spec.support.folder"
local helper = require "spec.support.helper"
local json = require "luabpf.file.json"
local snapshot = require "luabpf.file.snapshot"

local path, names = folder.path, folder.names

local function filled(kind, n)
  local map = helper.make(kind, n)
  assert.equal(n, map:update_batch(helper.entries(kind, 0, n - 1)))
  return map
end

local function with(options, workers, report)
  local all = { workers = workers, batch_size = 128, report = report }
  for name, value in pairs(options) do all[name] = value end
  return all
end

-- The sorted lines of an export, those before the first row apart, and its report.
local function rows_of(map, options, workers)
  local parts = {}
  local report = assert(map:export(function(text) parts[#parts + 1] = text end,
    with(options, workers)))
  local text = table.concat(parts)
  assert.equal(#text, report.bytes)
  local lines, header = {}, nil
  for line in text:gmatch("([^\n]*)\n") do lines[#lines + 1] = line end
  if options.format == "csv" then header = table.remove(lines, 1) end
  assert.equal(report.entries, #lines)
  table.sort(lines)
  return lines, header, report
end

local function text_of(value)
  return type(value) == "table" and json.encode(value) or value
end

-- What a snapshot file has: key to value, as text where they are tables, and its header. All of it
-- is checked, twice: by a loop to its end, and block by block, as if it were damaged.
local function entries_of(name)
  local all, n = {}, 0
  local file <close> = assert(bpf.snapshot(path(name)))
  for key, value in file:entries() do
    key = text_of(key)
    assert(all[key] == nil, "a key came twice")
    all[key], n = text_of(value), n + 1
  end
  assert.equal(n, #file)
  local whole <close> = assert(bpf.snapshot(path(name), { damaged = true }))
  local header = whole:header()
  assert.is_nil(header.damage)
  assert.equal(n, header.entries)
  return all, header
end

-- assert.same takes a second for as many as fill blocks.
local function assert_same(all, others)
  for key, value in pairs(all) do
    if others[key] ~= value then error("another value of " .. key) end
  end
  for key in pairs(others) do
    if not all[key] then error("another entry: " .. key) end
  end
end

-- The same of an export.
local function snapshot_of(map, options, workers)
  local report = assert(map:export(path "x.snapshot", with(options, workers)))
  local all, header = entries_of "x.snapshot"
  assert.same({ header.entries, header.bytes }, { report.entries, report.bytes })
  return all, header, report
end

local function size_of(name)
  return core.file_status(path(name)).size
end

-- 5000 entries with a text each.
local function named()
  local map = helper.map { max_entries = 5000, value = { "u64 a", "char name[20]", "u32 b" } }
  local keys, values = {}, {}
  for i = 1, 5000 do keys[i], values[i] = i, { a = i, name = "n" .. i, b = i % 10 } end
  map:update_batch(keys, values)
  return map
end

before_each(function()
  folder.make()
end)

after_each(function()
  folder.remove()
  helper.close_all()
end)

describe("an export by several threads", function()
  for _, kind in ipairs(helper.types) do
    it("has the rows of one by one: " .. (kind.label or kind.type), function()
      local map = filled(kind, 1000)
      for _, options in ipairs { {}, { format = "csv" }, { columns = "key as k" } } do
        local lines, header = rows_of(map, options, 1)
        for _, workers in ipairs { 2, 5 } do
          local other, same_header, report = rows_of(map, options, workers)
          assert.same(lines, other)
          assert.equal(header, same_header)
          -- Without buckets to share out, one thread reads.
          assert.equal(core.maptypes[kind.type].position == "bucket" and workers or 1,
            report.workers)
        end
      end
    end)
  end

  for _, kind in ipairs(helper.types) do
    it("has the entries of one by one in a snapshot: " .. (kind.label or kind.type), function()
      local map = filled(kind, 1000)
      for _, options in ipairs { {}, { where = "key in (3, 4)" }, { columns = "key as k" } } do
        -- Keys of tries are no numbers.
        if options.where and kind.key then options.where = "key in '10.0.3.0/24'" end
        local all, header = snapshot_of(map, options, 1)
        for _, workers in ipairs { 2, 5 } do
          local others, other, report = snapshot_of(map, options, workers)
          assert_same(all, others)
          assert.same({ header.where, header.columns }, { other.where, other.columns })
          assert.equal(core.maptypes[kind.type].position == "bucket" and workers or 1,
            report.workers)
        end
      end
    end)
  end

  it("has blocks of a bounded size, in a snapshot of any size of entries", function()
    for size, entries in pairs { [8] = 60000, [500] = 3000, [300000] = 6 } do
      local map = helper.map { value_size = size, max_entries = entries }
      local keys, values = {}, {}
      for i = 1, entries do
        keys[i], values[i] = i, string.char(i % 251):rep(size)
      end
      assert.equal(entries, map:update_batch(keys, values))
      for _, options in ipairs { {}, { where = "key % 3 != 0" } } do
        local all, header = snapshot_of(map, options, 3)
        assert_same((snapshot_of(map, options, 1)), all)
        -- Full ones of 256 KiB, but for the last of each thread.
        local most = math.max(1, (256 << 10) // (4 + size))
        assert.truthy(header.blocks >= header.entries / most)
        assert.truthy(header.blocks <= header.entries // most + 3)
      end
    end
  end)

  it("is a snapshot of what matches, and of columns of several words", function()
    local map = named()
    for _, options in ipairs {
      { where = "value.b == $b", params = { b = 3 } },
      { where = bpf.compile("value.b == 3", map) },
      { where = "value.b == $b", params = { b = 3, more = 7 },
        columns = { "value.name", "key + value.a + $more as sum", "value.b" } },
    } do
      local all, header = snapshot_of(map, options, 1)
      assert.equal(500, header.entries)
      assert_same(all, (snapshot_of(map, options, 3)))
    end
    assert.same({}, (snapshot_of(map, { where = "value.b > 10" }, 3)))
    assert.same({}, (snapshot_of(helper.map(), {}, 2)))
  end)

  it("writes a snapshot to an open file, a pipe, a function", function()
    local map = filled(helper.types[1], 5000)
    local all = snapshot_of(map, {}, 1)
    local function same(name) assert_same(all, (entries_of(name))) end
    local file <close> = assert(io.open(path "file", "w"))
    local report = assert(map:export(file, { format = "snapshot", workers = 3 }))
    -- What is written next comes behind it.
    assert.equal(report.bytes, file:seek())
    same "file"
    local pipe = assert(io.popen("cat >" .. path "pipe", "w"))
    assert(map:export(pipe, { format = "snapshot", workers = 3 }))
    pipe:close()
    same "pipe"
    local parts = {}
    assert(map:export(function(text) parts[#parts + 1] = text end,
      { format = "snapshot", workers = 3 }))
    folder.write("function", table.concat(parts))
    same "function"
  end)

  it("is of what matches, with parameters, and of columns of several words", function()
    local map = named()
    for _, options in ipairs {
      { where = "value.b == $b", params = { b = 3 } },
      { where = bpf.compile("value.b == 3", map), format = "csv" },
      { where = "value.b == 3", columns = { "value.name", "key + value.a as sum", "value.b" } },
    } do
      local lines = rows_of(map, options, 1)
      assert.equal(500, #lines)
      assert.same(lines, (rows_of(map, options, 3)))
    end
    assert.same({}, (rows_of(map, { where = "value.b > 10" }, 3)))
    assert.same({}, (rows_of(helper.map(), {}, 2)))
  end)

  it("has rows that are longer than what a thread gathers", function()
    local map = helper.map { value_size = 40000, max_entries = 40 }
    for i = 1, 40 do map:update(i, ("%04d"):format(i):rep(10000)) end
    local lines = rows_of(map, {}, 1)
    assert.truthy(#lines[1] > 80000)
    assert.same(lines, (rows_of(map, {}, 2)))
  end)

  it("goes to a path, an open file, a pipe, and tells how far it is", function()
    local map, seen, report = filled(helper.types[1], 20000), nil, {}
    local one = assert(map:export(path "one"))
    local result = assert(map:export(path "many", { workers = 2, report = report,
      progress = function(...) seen = { ... } end }))
    assert.same({ one.entries, one.bytes, 2 }, { result.entries, result.bytes, result.workers })
    assert.equal(one.bytes, size_of "many")
    assert.same({ 20000, true }, { report.entries, report.complete })
    assert.equal(20000, seen[1])
    local file <close> = assert(io.open(path "open", "w"))
    file:write("first\n")
    assert(map:export(file, { workers = 3 }))
    file:write("last\n")
    file:close()
    assert.equal(one.bytes + 11, size_of "open")
    assert(os.execute(("sort %s >%s"):format(path "one", path "sorted")))
    assert(os.execute("mkfifo " .. path "pipe"))
    local reader = io.popen("sort " .. path "pipe" .. " | cmp - " .. path "sorted" .. " 2>&1")
    assert(map:export(path "pipe", { workers = 2 }))
    assert.equal("", reader:read("a"))
    reader:close()
    assert.same({ "many", "one", "open", "pipe", "sorted" }, names())
  end)

  it("has stable keys once while others come and go", function()
    local map = helper.map { max_entries = 22000 }
    local keys = {}
    for i = 1, 20000 do keys[i] = i end
    map:update_batch(keys, keys)
    finally(helper.storm(map, 20000, 37))
    for workers = 2, 6 do
      local seen = {}
      assert(map:export(path "x.jsonl", { workers = workers, batch_size = 256 }))
      for line in io.lines(path "x.jsonl") do
        local key = json.decode(line).key
        seen[key] = (seen[key] or 0) + 1
      end
      for i = 1, 20000 do assert(seen[i] == 1, "a key came not once") end
      assert(map:export(path "x.snapshot", { workers = workers, batch_size = 256 }))
      local taken <close> = assert(bpf.snapshot(path "x.snapshot"))
      seen = {}
      for key in taken:entries() do seen[key] = (seen[key] or 0) + 1 end
      for i = 1, 20000 do assert(seen[i] == 1, "a key came not once") end
    end
  end)

  it("says what workers do not go with", function()
    local map = helper.map()
    local by_lua = { where = function() return #{ 1 } == 1 end }
    for what, options in pairs { ["a checkpoint"] = { checkpoint = path "c" },
      ["a drain"] = { drain = true, format = "snapshot" }, ["makes a table"] = by_lua } do
      options.workers = 2
      assert.error_matches(function() map:export(path "x", options) end,
        what .. "$")
      options.workers = 1
      assert(map:export(path "x", options))
    end
    for _, workers in ipairs { 0, 257, 1.5 } do
      assert.error_matches(function() map:export(path "x", { workers = workers }) end, "workers")
    end
    assert.error_matches(function() map:snapshot():export(path "x", { workers = 2 }) end,
      "unknown option 'workers'")
  end)
end)

describe("an export by several threads that fails", function()
  local map, before, open

  before_each(function()
    map = filled(helper.types[1], 20000)
    -- With what the handle keeps: the query, the program that counts the entries.
    map:export(path "x", { workers = 4, progress = function() end })
    os.remove(path "x")
    before, open = helper.threads(), helper.descriptors()
  end)

  after_each(function()
    assert.equal(before, helper.threads())
    assert.equal(open, helper.descriptors())
  end)

  it("leaves no half file when the disk is full", function()
    assert(os.execute(("mount -t tmpfs -o size=128k none %s"):format(folder.name)))
    finally(function() os.execute("umount " .. folder.name) end)
    for _, name in ipairs { "x.jsonl", "x.snapshot" } do
      for _, workers in ipairs { 4, 1 } do
        local report = {}
        local result, message, errno, partial = map:export(path(name),
          { workers = workers, batch_size = 128, report = report })
        assert.is_nil(result)
        assert.equal(("%s: export: %s.part: No space left on device"):format(map:info().name,
          path(name)), message)
        assert.equal(bpf.errno.ENOSPC, errno)
        assert.equal(workers, partial.workers)
        assert.truthy(partial.entries < 20000)
        -- Threads may have read all before the write that fails.
        assert.truthy(workers > 1 or not report.complete)
        assert.truthy(report.batches > 0 and report.entries >= partial.entries)
        assert.same({}, names())
      end
    end
  end)

  it("says that a pipe was closed, and sends no signal", function()
    for _, format in ipairs { "jsonl", "snapshot" } do
      local pipe = assert(io.popen("head -c 1 >/dev/null", "w"))
      local result, message, errno = map:export(pipe, { workers = 2, format = format })
      pipe:close()
      assert.is_nil(result)
      assert.truthy(message:find("Broken pipe", 1, true), message)
      assert.equal(bpf.errno.EPIPE, errno)
    end
  end)

  it("ends when a function fails, or raises, or closes the file", function()
    local calls = 0
    local result, message, _, partial = map:export(function()
      calls = calls + 1
      return nil, "connection reset"
    end, { workers = 4, batch_size = 16 })
    assert.is_nil(result)
    assert.truthy(message:find("the function: connection reset", 1, true), message)
    assert.equal(1, calls)
    assert.truthy(partial.entries < 20000)
    assert.error_matches(function()
      map:export(function() error "no luck" end, { workers = 4, batch_size = 16 })
    end, "no luck")
    -- Slow enough for progress to be shown before the end.
    local pipe = assert(io.popen("sleep 0.4; cat >/dev/null", "w"))
    assert.error_matches(function()
      map:export(pipe, { workers = 4, progress = function() error "seen enough" end })
    end, "seen enough")
    pipe:close()
    pipe = assert(io.popen("sleep 0.4; cat >/dev/null", "w"))
    assert.error_matches(function()
      map:export(pipe, { workers = 2, progress = function() pipe:close() end })
    end, "the file was closed")
    for workers = 1, 2 do
      pipe = assert(io.popen("sleep 0.4; cat >/dev/null", "w"))
      assert.error_matches(function()
        map:export(pipe, { workers = workers, format = "snapshot", batch_size = 256,
          progress = function() pipe:close() end })
      end, "the file was closed")
    end
    assert.same({}, names())
  end)

  it("outlives a map that is closed meanwhile", function()
    local other, pipe = filled(helper.types[1], 20000),
      assert(io.popen("sleep 0.4; cat >/dev/null", "w"))
    local calls = 0
    local report = assert(other:export(pipe, { workers = 2, progress = function()
      calls = calls + 1
      other:close()
    end }))
    pipe:close()
    assert.truthy(calls > 1)
    assert.equal(20000, report.entries)
  end)

  -- What export.lua makes of core, used wrongly.
  it("keeps the writer of rows as long as threads write by it", function()
    local query
    local real = core.crew
    core.crew = function(given, holder)
      query = given.query
      return real(given, holder)
    end
    map:export("/dev/null", { workers = 2 })
    core.crew = real
    local writer = core.row_writer(map, "jsonl")
    local function crew_of(row_writer)
      return (core.crew { query = query, params = "", workers = 2, batch_size = 64,
        writer = row_writer })
    end
    local crew = crew_of(writer)
    assert.error_matches(function() crew:blocks(0) end, "hand over something else")
    -- It is freed when the crew is closed.
    writer:close()
    assert.error_matches(function() writer:header() end, "row writer is closed")
    assert.error_matches(function() crew:finish() end, "threads are running")
    local out = core.output {}
    assert.truthy(crew:text(out, 1000000000) > 0)
    local stopped = crew:report()
    assert.is_false(stopped.complete)
    assert.truthy(stopped.entries < 20000)
    assert.is_true(crew:wait(0))
    crew:close()
    assert.error_matches(function() crew:text(out, 0) end, "crew is closed")
    out:close()
    assert.error_matches(function() crew_of(writer) end, "row writer is closed")
    local other <close> = helper.map { key = "u64" }
    assert.error_matches(function() crew_of(core.row_writer(other, "csv")) end,
      "a map with other sizes")
    other:close()
    assert.error_matches(function()
      crew_of(core.row_writer(map, "csv", { { name = "x" } }))
    end, "too few columns")
    crew_of(core.row_writer(map, "jsonl")) -- left to the collector
    collectgarbage()

    local file <close> = assert(io.open(path "y.snapshot", "w"))
    local function snapshot_writer(of)
      return assert(snapshot.writer { map = of, fd = file })
    end
    writer = snapshot_writer(map)
    crew = crew_of(writer)
    assert.error_matches(function() crew:text(out, 0) end, "hand over something else")
    assert.truthy(crew:blocks(1000000000) > 0)
    writer:close()
    assert.error_matches(function() crew:blocks(0) end, "writer is closed")
    crew:close()
    assert.error_matches(function() crew_of(writer) end, "writer is closed")
    local large <close> = helper.map { value_size = 16 }
    assert.error_matches(function() crew_of(snapshot_writer(large)) end, "entries of other sizes")
    assert.error_matches(function() crew_of(file) end, "row_writer expected")
    large:close()
    file:close()
    os.remove(path "y.snapshot")
    collectgarbage()
  end)
end)
