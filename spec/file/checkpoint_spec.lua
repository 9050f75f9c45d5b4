-- SPDX-License-Identifier: MIT
--
-- Exports that are interrupted: killed at any moment, out of disk space, by an
-- error. With a checkpoint they go on and the file ends up complete; drains
-- lose nothing.

local bpf = require "luabpf"
local checkpoint = require "luabpf.file.checkpoint"
local core = require "luabpf.core"
local folder = require "spec.support.folder"
local helper = require "spec.support.helper"
local json = require "luabpf.file.json"

local path, content, write, names = folder.path, folder.content, folder.write, folder.names

local function exists(name)
  return core.file_status(path(name)) ~= nil
end

local function resize(size)
  assert(os.execute(("mount -o remount,size=%s %s"):format(size, folder.name)))
end

local function filled(n, first)
  local map = helper.map { max_entries = n + 1000, value = { "u64 a", "u64 b" } }
  local keys, values = {}, {}
  for i = 1, n do keys[i], values[i] = (first or 0) + i, { a = i, b = i * 1000003 } end
  assert.equal(n, map:update_batch(keys, values))
  return map
end

local function check(key, value)
  if value.a ~= key or value.b ~= key * 1000003 then error("wrong value of " .. key) end
end

-- Key to value of the rows in a file; raises for a key that is there twice.
local function rows_of(name)
  local rows, n = {}, 0
  for line in io.lines(path(name)) do
    local key, a, b = line:match '^{"key":(%d+),"value":{"a":(%d+),"b":(%d+)}}$'
    key = assert(math.tointeger(key), line)
    if rows[key] then error("key twice: " .. key) end
    rows[key], n = { a = math.tointeger(a), b = math.tointeger(b) }, n + 1
  end
  return rows, n
end

local function assert_all(name, n)
  local rows, found = rows_of(name)
  assert.equal(n, found)
  for i = 1, n do check(i, rows[i]) end
end

-- The right entries of a snapshot file.
local function count_snapshot(name)
  local snapshot <close> = assert(bpf.snapshot(path(name)))
  return (snapshot:count "value.b == value.a * 1000003")
end

before_each(function()
  folder.make "64m"
end)

after_each(function()
  folder.remove()
  helper.close_all()
end)

-- Exports to x with a checkpoint c until the file system is full. The options to go on with.
local function interrupted(map, options)
  options = options or {}
  options.checkpoint, options.batch_size = path "c", options.batch_size or 100
  options.checkpoint_interval = 0
  os.remove(path "x")
  resize "128k"
  local result, message, errno, partial = map:export(path "x", options)
  assert.is_nil(result)
  assert.truthy(message:find("No space left on device", 1, true), message)
  assert.equal(bpf.errno.ENOSPC, errno)
  assert.truthy(partial.entries > 0)
  assert.is_false(exists "x")
  resize "64m"
  return options
end

describe("an export with a checkpoint", function()
  it("goes on where the disk was full, and leaves nothing but the file", function()
    local map = filled(20000)
    local options = interrupted(map)
    assert.same({ "c", "x.part" }, names())
    local report = assert(map:export(path "x", options))
    assert.is_true(report.resumed)
    assert.equal(20000, report.entries)
    assert.equal(report.bytes, #content "x")
    assert_all("x", 20000)
    assert.same({ "x" }, names())
    report = assert(map:export(path "x", options))
    assert.is_false(report.resumed)
  end)

  it("goes on in every format, with where, parameters and columns", function()
    local map = filled(20000)
    interrupted(map, { format = "csv" })
    assert(map:export(path "x", { format = "csv", checkpoint = path "c" }))
    local _, lines = content "x":gsub("\r\n", "")
    assert.equal(20001, lines)

    local options = interrupted(map, { format = "snapshot" })
    assert.is_true(map:export(path "x", options).resumed)
    assert.equal(20000, count_snapshot "x")

    options = interrupted(map, { where = "value.a % $m < 3", params = { m = 4 },
      columns = { "key as k", "value.b" } })
    assert.is_true(map:export(path "x", options).resumed)
    _, lines = content "x":gsub('{"k":%d+,"b":%d+}\n', "")
    assert.equal(15000, lines)

    local stop = 5000
    options = { checkpoint = path "c", checkpoint_interval = 0, batch_size = 100,
      where = function(key)
        if key == stop then error "stop" end
        return true
      end }
    assert.error_matches(function() map:export(path "x", options) end, "stop")
    stop = nil
    assert(map:export(path "x", options))
    assert_all("x", 20000)
  end)

  it("keeps the clocks of its query", function()
    local map = filled(20000)
    local options = interrupted(map, { where = "now > 0", columns = { "now as n" } })
    assert(map:export(path "x", options))
    local first = content("x"):match("{.-}\n")
    for line in io.lines(path "x") do assert.equal(first, line .. "\n") end
  end)

  it("is refused with the reason where it does not fit", function()
    local map = filled(20000)
    local options = interrupted(map)
    local other = filled(10)
    local function refused(reason, on, change)
      local given = {}
      for name, value in pairs(options) do given[name] = value end
      for name, value in pairs(change or {}) do given[name] = value end
      local result, message, errno = (on or map):export(path "x", given)
      assert.is_nil(result, reason)
      assert.truthy(message:find(reason, 1, true), message)
      assert.truthy(message:find("restart = true", 1, true), message)
      assert.truthy(errno)
      assert.is_false(exists "x")
    end
    local map_id, other_id = map:info().id, other:info().id
    refused(("it is of another map (id %d, this one is %d)"):format(map_id, other_id), other)
    refused("another format", map, { format = "csv" })
    refused("another query: where", map, { where = "value.a > 1" })
    refused("another query: where", map, { where = function() return true end })
    refused("another query: columns", map, { columns = "key" })
    local again <close> = assert(bpf.open { id = map_id, value = { "s64 a" } })
    refused("the layout of values is another one", again)

    local part, mark = content "x.part", content "c"
    local line = mark:match("^[^\n]+"):gsub('"boot_id":"', '%00')
    write("c", ("%s\n%08x\n"):format(line, core.crc32c(line)))
    refused "from before the machine was started"
    for _, text in ipairs { "", "x", mark:sub(1, -3), mark:gsub("entries", "entriez") } do
      write("c", text)
      refused "no checkpoint, or damaged"
    end
    write("c", mark)

    local record = json.decode(mark:match("^[^\n]+"))
    for _, at in ipairs { 1, record.offset // 2, record.offset } do
      local changed = part:sub(1, at - 1) .. "#" .. part:sub(at + 1)
      write("x.part", changed)
      refused "x.part was changed"
      assert.equal(changed, content "x.part")
    end
    write("x.part", part:sub(1, record.offset - 1))
    refused "x.part is shorter than it was"
    os.rename(path "x.part", path "y")
    refused "x.part is gone"
    write("x.part", part)
    refused "x.part is another file"
    assert.is_true(os.rename(path "y", path "x.part"))
    write("x.part", part)
    assert(map:export(path "x", options))
    assert_all("x", 20000)
  end)

  it("begins anew with restart", function()
    local map = filled(20000)
    local options = interrupted(map)
    options.restart, options.where = true, "value.a <= 10"
    local report = assert(map:export(path "x", options))
    assert.is_false(report.resumed)
    assert_all("x", 10)
    assert.same({ "x" }, names())
  end)

  it("only gives the file its name if that is all that was missing", function()
    for _, format in ipairs { "jsonl", "snapshot" } do
      local map = filled(500)
      local options = { checkpoint = path "c", format = format }
      options.where = function()
        os.execute("mkdir -p " .. path "x")
        return true
      end
      local result, message = map:export(path "x", options)
      assert.is_nil(result)
      assert.truthy(message:find "directory", message)
      assert.same({ "c", "x", "x.part" }, names())
      assert(os.remove(path "x"))
      local part = content "x.part"
      write("x.part", part .. "\n")
      assert.is_nil((map:export(path "x", options)))
      write("x.part", part)
      map:clear()
      local report = assert(map:export(path "x", options))
      assert.equal(500, report.entries)
      assert.equal(part, content "x")
      assert.same({ "x" }, names())
      os.remove(path "x")
    end
  end)

  it("is written now and then, or after each batch", function()
    local map, seen = filled(2000), {}
    assert(map:export(path "x", { checkpoint = path "c", batch_size = 1,
      where = function()
        seen[#seen + 1] = exists "c"
        return true
      end }))
    assert.is_false(seen[#seen])
    seen = {}
    assert(map:export(path "x", { checkpoint = path "c", batch_size = 1, checkpoint_interval = "0s",
      where = function()
        seen[#seen + 1] = exists "c"
        return true
      end }))
    assert.is_false(seen[1])
    assert.is_true(seen[#seen])
  end)

  it("needs a path, and tells misuse", function()
    local map = filled(10)
    for message, options in pairs {
      ["option 'checkpoint' goes with a path"] = { checkpoint = path "c" },
      ["option 'restart' goes with a checkpoint"] = { restart = true },
      ["checkpoint_interval"] = { checkpoint_interval = "soon" },
    } do
      assert.error_matches(function() map:export(function() end, options) end, message)
    end
    local result, message = map:export("/dev/null", { checkpoint = path "c" })
    assert.is_nil(result)
    assert.truthy(message:find "regular file")
  end)

  it("is refused before anything is done where it cannot be written", function()
    local map = filled(10)
    assert(os.execute(("mkdir '%s'"):format(path "d")))
    assert(map:export(path "from"))
    assert(os.execute(("mkdir '%s'"):format(path "c.new")))
    local long = ("n"):rep(253)
    for name, reason in pairs { d = "d: Is a directory", c = "c: Is a directory",
      ["none/c"] = "none/c: No such file or directory", ["from/c"] = "c: Not a directory",
      [long] = long .. ": File name too long" } do
      for _, call in ipairs { function(options) return map:export(path "x", options) end,
        function(options) return map:import(path "from", options) end } do
        local result, message, _, report = call { checkpoint = path(name) }
        assert.is_nil(result)
        assert.equal(reason, message:sub(-#reason))
        assert.equal(0, report.entries or report.inserted)
      end
    end
    assert.matches(": No such file", select(2, map:export(path "x", { checkpoint = "" })))
    assert.same({ "c.new", "d", "from" }, names())
    assert(os.execute(("rmdir '%s' '%s'"):format(path "d", path "c.new")))
  end)

  it("has a file of its own, or it would replace what was exported", function()
    local map = filled(10)
    for target, checkpoints in pairs { x = { "x", "./x", "x.part", "x.drain.part" },
      ["x.new"] = { "x" } } do
      for _, name in ipairs(checkpoints) do
        for _, drain in ipairs { false, true } do
          assert.error_matches(function()
            map:export(path(target), { checkpoint = path(name), drain = drain })
          end, "^export: option 'checkpoint': it needs a file of its own$")
        end
      end
    end
    assert.same({}, names())
    assert.truthy(map:export(path "x", { checkpoint = path "x.c" }))
    assert.equal(10, map:count())
  end)
end)

-- Exports to x as one does that is killed after the file has got its name.
local function killed_at_the_end(map, options)
  local real = checkpoint.remove
  checkpoint.remove = function(self)
    if exists "x" then error "killed" end
    real(self)
  end
  local ok, message = pcall(map.export, map, path "x", options)
  checkpoint.remove = real
  assert.is_false(ok)
  assert.truthy(message:find "killed")
end

describe("an export that is killed after its last step but one", function()
  local clock = { columns = { "key as k", "now as n" } }

  local function given(options)
    for name, value in pairs(clock) do options[name] = value end
    return options
  end

  it("says that it is done if the file is there", function()
    for _, options in ipairs { given { drain = true, checkpoint = path "c" },
      given { checkpoint = path "c", format = "csv" } } do
      local map = filled(500)
      killed_at_the_end(map, options)
      assert.same({ "c", "x" }, names())
      local file, mark = content "x", content "c"
      local report = assert(map:export(path "x", options))
      assert.same({ true, 500, #file }, { report.resumed, report.entries, report.bytes })
      assert.same({ "x" }, names())
      assert.equal(file, content "x")
      -- Another file in its place, or one that was changed, is none of ours.
      for _, text in ipairs { file .. "\n", "" } do
        write("c", mark)
        write("x", text)
        local result, message = map:export(path "x", options)
        assert.is_nil(result)
        assert.truthy(message:find("part is gone", 1, true), message)
        assert.equal(text, content "x")
      end
      os.remove(path "x")
      os.remove(path "c")
    end
  end)

  it("begins anew if the file was taken away", function()
    for _, options in ipairs { given { drain = true }, given { drain = true, format = "snapshot" },
      given { checkpoint = path "c" } } do
      local map = filled(500)
      killed_at_the_end(map, options)
      local file = content "x"
      os.rename(path "x", path "y")
      map:clear()
      map:update(7, { a = 1 })
      if not options.drain then
        assert.error_matches(function()
          map:export(path "x", { checkpoint = path "c", where = function() error "stop" end })
        end, "stop")
        assert.same({ "y" }, names())
        -- As it was before that.
        killed_at_the_end(map, options)
        os.rename(path "x", path "y")
        file = content "y"
      end
      options.where = "now > 0"
      local report = assert(map:export(path "x", options))
      assert.same({ false, 1 }, { report.resumed, report.entries })
      assert.equal(options.drain and 0 or 1, map:count())
      assert.same({ "x", "y" }, names())
      assert.equal(file, content "y")
      -- The clock is that of the second one.
      if options.checkpoint then
        local before, now = file:match '"n":(%d+)', content("x"):match '"n":(%d+)'
        assert.truthy(math.tointeger(now) > math.tointeger(before))
      end
      os.remove(path "x")
      os.remove(path "y")
    end
  end)

  it("is refused if its checkpoint is of another path or boot", function()
    local map, options = filled(500), given { checkpoint = path "c", drain = true }
    killed_at_the_end(map, options)
    os.remove(path "x")
    local result, message = map:export(path "y", options)
    assert.is_nil(result)
    assert.truthy(message:find("y.drain.part is gone", 1, true), message)
    local line = content("c"):match("^[^\n]+"):gsub('"boot_id":"', '%00')
    write("c", ("%s\n%08x\n"):format(line, core.crc32c(line)))
    result, message = map:export(path "x", options)
    assert.is_nil(result)
    assert.truthy(message:find("before the machine was started", 1, true), message)
  end)
end)

-- Starts an export in another process, kills it after so many ns, and says whether it was then
-- in the middle of it.
local function kill_export(map, options, delay)
  local child = helper.process([[
    local id, path, options = ...
    local map <close> = bpf.open(math.tointeger(id))
    print((io.open("/proc/self/stat"):read("n")))
    io.stdout:flush()
    assert(map:export(path, load("return " .. options)())) ]],
    tostring(map:info().id), path "x", options)
  local pid = assert(child:read("n"))
  bpf.sleep(delay)
  os.execute(("kill -9 %d 2>/dev/null"):format(pid))
  local output = child:read("a")
  child:close()
  assert.equal("\n", output)
  return not exists "x"
end

-- Kills exports at random moments until so many were hit in the middle; after every few kills, the
-- export is let come to its end, and checked.
local function kill_often(times, map, options, look)
  local middle, kills, longest = 0, 0, 30000000
  while middle < times do
    for _ = 1, 5 do
      kills = kills + 1
      if kill_export(map, options, math.random(0, longest)) then
        middle = middle + 1
      else
        longest = math.max(5000000, longest // 2)
        break
      end
    end
    look(exists "x")
    os.remove(path "x")
  end
  return middle, kills
end

describe("an export that is killed", function()
  -- All of the 50 in the long form, LUABPF_LONG=1.
  local times = os.getenv "LUABPF_LONG" and 50 or 10

  it("ends up complete, each entry once", function()
    -- Enough for kills to hit it on a busy machine too, where sleeps are long.
    local n <const> = 100000
    local map = filled(n)
    local options = ("{ checkpoint = %q, checkpoint_interval = 0, batch_size = 500 }")
      :format(path "c")
    local resumed = 0
    local middle, kills = kill_often(times, map, options, function(done)
      if not done then
        local report = assert(map:export(path "x", load("return " .. options)()))
        resumed = resumed + (report.resumed and 1 or 0)
      end
      assert_all("x", n)
      os.remove(path "c")
      assert.is_false(exists "x.part")
    end)
    assert.truthy(middle >= times and middle * 10 >= kills * 8)
    assert.truthy(resumed > 0)
  end)

  it("loses nothing when it drains, and has at most a batch twice", function()
    local n = 30000
    local map = filled(n)
    local options = "{ drain = true, batch_size = 500 }"
    local kept = {}
    local function take()
      local rows = rows_of "x"
      for key, value in pairs(rows) do
        kept[key] = (kept[key] or 0) + 1
        check(key, value)
      end
    end
    local round = 0
    kill_often(times // 2, map, options, function(done)
      round = round + 1
      -- Killed between its last two steps, an export says that it is done.
      if not done or exists "x.ckpt" then
        assert(map:export(path "x", { drain = true, batch_size = 500 }))
      end
      take()
      assert(map:export(path "x", { drain = true }))
      take()
      local twice = 0
      for i = 1, n do
        if not kept[i] then error("lost: " .. i) end
        if kept[i] > 1 then twice = twice + 1 end
      end
      assert.truthy(twice <= 5 * 600, twice)
      assert.equal(0, map:count())
      kept = {}
      local keys, values = {}, {}
      for i = 1, n do keys[i], values[i] = i, { a = i, b = i * 1000003 } end
      assert.equal(n, map:update_batch(keys, values))
    end)
  end)
end)

describe("a drain by export", function()
  it("makes columns of parameters and clocks, its own and those of where", function()
    local map = filled(20)
    local options = { drain = true, where = "value.a > $least and now > 0",
      columns = { "key + $more as k", "now as n" }, params = { least = 15, more = 100 } }
    assert.equal(5, assert(map:export(path "x", options)).deleted)
    local sum = 0
    for line in io.lines(path "x") do sum = sum + line:match '^{"k":(%d+),"n":%d+}$' end
    assert.equal(5 * 100 + 16 + 17 + 18 + 19 + 20, sum)
    assert.error_matches(function()
      map:export(path "x", { drain = true, columns = "key as k", params = { most = 1 } })
    end, "params.most: no such parameter")
    assert.error_matches(function()
      map:export(path "x", { drain = true, columns = "key + $more as k" })
    end, "params.more: missing")
    assert.equal(15, map:count())
  end)

  it("deletes what it wrote, and reports it", function()
    local map = filled(1000)
    local report = assert(map:export(path "x", { drain = true }))
    assert.same({ 1000, 1000, 0, 0 },
      { report.entries, report.deleted, report.missing, report.changed })
    assert.equal(0, map:count())
    assert_all("x", 1000)
    assert.same({ "x" }, names())
  end)

  it("takes what matches; of columns, the entries", function()
    local map = filled(1000)
    assert(map:export(path "x", { drain = true, where = "value.a <= 300" }))
    assert_all("x", 300)
    assert.equal(700, map:count())
    local report = assert(map:export(path "x", { drain = true, columns = "key as k",
      where = function(key) return key <= 400 end }))
    assert.equal(100, report.deleted)
    assert.equal(600, map:count())
    report = assert(map:export(path "x", { drain = true, columns = "key as k", format = "snapshot",
      where = "value.a <= $n", params = { n = 500 } }))
    assert.equal(100, report.deleted)
    local snapshot <close> = bpf.snapshot(path "x")
    assert.equal(100, #snapshot)
  end)

  it("leaves what was changed meanwhile", function()
    local map = filled(100)
    local report = assert(map:export(path "x", { drain = true, where = function(key)
      if key == 7 then map:update(7, { a = 1 }) end
      if key == 8 then map:delete(8) end
      return true
    end }))
    assert.same({ 100, 98, 1, 1 },
      { report.entries, report.deleted, report.missing, report.changed })
    assert.equal(1, map:count())
    assert.same({ a = 1, b = 0 }, map:lookup(7))
  end)

  it("loses nothing when the disk is full", function()
    for _, format in ipairs { "jsonl", "snapshot" } do
      local map = filled(20000)
      resize "256k"
      local options = { drain = true, batch_size = 500, format = format }
      local result, message, errno, partial = map:export(path "x", options)
      assert.is_nil(result)
      assert.equal(bpf.errno.ENOSPC, errno, message)
      assert.equal(20000, map:count() + partial.deleted)
      assert.same({ "x.ckpt", "x.drain.part" }, names())
      resize "64m"
      local report = assert(map:export(path "x", options))
      assert.is_true(report.resumed)
      if format == "jsonl" then
        assert_all("x", 20000)
      else
        assert.equal(20000, count_snapshot "x")
      end
      os.remove(path "x")
    end
  end)

  it("deletes nothing that a function or a pipe did not take", function()
    local map, taken = filled(5000), 0
    local result, _, _, partial = map:export(function(text)
      if taken > 0 then return nil, "enough" end
      local _, lines = text:gsub("\n", "")
      taken = taken + lines
    end, { drain = true, batch_size = 1000 })
    assert.is_nil(result)
    assert.equal(taken, partial.deleted)
    assert.equal(5000 - taken, map:count())
    local pipe = assert(io.popen("exec head -c 1 >/dev/null", "w"))
    map = filled(50000)
    result, _, _, partial = map:export(pipe, { drain = true, batch_size = 1000 })
    pipe:close()
    assert.is_nil(result)
    assert.equal(50000, map:count() + partial.deleted)
  end)

  it("keeps the file of one that was given up", function()
    local map = filled(20000)
    resize "256k"
    assert.is_nil((map:export(path "x", { drain = true, batch_size = 500 })))
    resize "64m"
    local part = content "x.drain.part"
    os.rename(path "x.ckpt", path "away")
    local result, message, errno = map:export(path "x", { drain = true })
    assert.is_nil(result)
    assert.equal(bpf.errno.EEXIST, errno)
    assert.truthy(message:find("was not finished", 1, true))
    assert(map:export(path "x"))
    assert.equal(part, content "x.drain.part")
    local report = assert(map:export(path "x", { drain = true, restart = true }))
    assert.equal(path "x.1", report.kept)
    assert.equal(part, content "x.1")
    assert.equal(0, map:count())
  end)

  it("is refused by maps that cannot delete", function()
    local map = helper.map { type = "array" }
    local result, message, errno = map:export(path "x", { drain = true })
    assert.is_nil(result)
    assert.truthy(message:find "not supported by array maps")
    assert.equal(bpf.errno.ENOTSUPP, errno)
  end)
end)
