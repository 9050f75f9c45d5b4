-- SPDX-License-Identifier: MIT
--
-- Files that exports write where others may write too: links, files and locks of others,
-- permissions; and signals while they wait.

local bpf = require "luabpf"
local folder = require "spec.support.folder"
local helper = require "spec.support.helper"
local system = require "spec.support.system"

local UMASK_022 <const> = 18

local function read(path)
  local file = io.open(path, "rb")
  if not file then return nil end
  local _ <close> = file
  return file:read("a")
end

local function write(path, text)
  local file <close> = assert(io.open(path, "wb"))
  file:write(text)
end

local function run(command, ...)
  assert(os.execute(command:format(...)))
end

-- The permissions of a file, "644", and its owner.
local function mode_of(path)
  local pipe <close> = io.popen(("stat -c '%%a %%u' '%s'"):format(path))
  return pipe:read("l")
end

local function filled(n)
  local map = helper.map { max_entries = n }
  local keys = {}
  for i = 1, n do keys[i] = i end
  assert.equal(n, map:update_batch(keys, keys))
  return map
end

describe("files of exports", function()
  local dir, umask
  before_each(function()
    folder.make()
    dir = folder.name
    umask = system.umask(UMASK_022)
  end)
  after_each(function()
    system.umask(umask)
    helper.close_all()
    folder.remove()
  end)

  it("[fault 13] are not written through symbolic links", function()
    local map = filled(10)
    write(dir .. "/victim", "secret\n")
    for _, part in ipairs { "out.jsonl.part", "o2.jsonl.drain.part", "c.ckpt.new" } do
      run("ln -s victim '%s/%s'", dir, part)
    end
    local report, message = map:export(dir .. "/out.jsonl")
    assert.is_nil(report)
    assert.truthy(message:find("out.jsonl.part: a symbolic link is in its place", 1, true), message)
    report, message = map:export(dir .. "/o2.jsonl", { drain = true })
    assert.is_nil(report)
    assert.truthy(message:find("o2.jsonl.drain.part: a symbolic link", 1, true), message)
    report, message = map:export(dir .. "/o3.jsonl", { checkpoint = dir .. "/c.ckpt",
      checkpoint_interval = "1ns", batch_size = 1 })
    assert.is_nil(report)
    assert.truthy(message:find("c.ckpt: a symbolic link is in its place", 1, true), message)
    assert.equal("secret\n", read(dir .. "/victim"))
    assert.equal(10, map:count())
  end)

  it("[fault 13] take the place of a link, not of what it leads to", function()
    local map = filled(10)
    write(dir .. "/real", "old\n")
    run("ln -s real '%s/link.jsonl'", dir)
    assert(map:export(dir .. "/link.jsonl"))
    assert.equal("old\n", read(dir .. "/real"))
    assert.equal("644 0", mode_of(dir .. "/link.jsonl"))
  end)

  it("[fault 13] may be read by no more than what they replace", function()
    local map = filled(10)
    local path = dir .. "/private.jsonl"
    for _, mode in ipairs { "600", "640", "666", "400" } do
      write(path, "x")
      run("chmod %s '%s'", mode, path)
      assert(map:export(path))
      assert.equal(mode .. " 0", mode_of(path))
      os.remove(path)
    end
    assert(map:export(path))
    assert.equal("644 0", mode_of(path))
    run("chmod 666 '%s'; chown 1000 '%s'", path, path)
    assert(map:export(path))
    assert.equal("644 0", mode_of(path))
    run("chmod 640 '%s'; chgrp 1000 '%s'", path, path)
    assert(map:export(path))
    assert.equal("640 0", mode_of(path))
  end)

  it("[fault 13] are closed to others until they are whole, checkpoints keep their permissions",
    function()
      local map = filled(300)
      local path, seen, kept = dir .. "/out.jsonl", nil, nil
      write(dir .. "/c.ckpt", "")
      os.remove(dir .. "/c.ckpt")
      assert(map:export(path, { checkpoint = dir .. "/c.ckpt", checkpoint_interval = "1ns",
        batch_size = 10, where = function()
          seen = seen or mode_of(path .. ".part")
          if not kept and read(dir .. "/c.ckpt") then
            run("chmod 600 '%s/c.ckpt'", dir)
            kept = 0
          elseif kept == 0 then
            kept = mode_of(dir .. "/c.ckpt")
          end
          return true
        end }))
      assert.equal("600 0", seen)
      assert.equal("600 0", kept)
    end)

  it("[fault 13] spool files are not inherited", function()
    local map = filled(10)
    local list
    assert(map:export(function()
      list = list or io.popen("ls -l /proc/self/fd"):read("a")
      return true
    end, { format = "snapshot" }))
    assert.is_nil(list:find("deleted", 1, true), list)
  end)

  it("[fault 23] a part of another user, or with a second name, is refused", function()
    local map = filled(10)
    local path = dir .. "/out.jsonl"
    write(path .. ".part", "theirs")
    run("chown 1000 '%s.part'; chmod 666 '%s.part'", path, path)
    local report, message = map:export(path)
    assert.is_nil(report)
    assert.truthy(message:find("a file of another user is in its place", 1, true), message)
    assert.equal("theirs", read(path .. ".part"))
    run("chown 0 '%s.part'; ln '%s.part' '%s/second'", path, path, dir)
    report, message = map:export(path)
    assert.is_nil(report)
    assert.truthy(message:find("second name", 1, true), message)
    assert.equal("theirs", read(dir .. "/second"))
    run("rm '%s/second'", dir)
    assert(map:export(path))
    assert.is_nil(read(path):find("theirs", 1, true))
  end)

  it("[fault 23] no other user's lock holds an export up", function()
    local map = filled(10)
    local path, tried = dir .. "/out.jsonl", nil
    run("chmod 755 '%s'", dir)
    assert(map:export(path, { where = function()
      tried = tried or os.execute(("setpriv --reuid=1000 --clear-groups test -r '%s.part' "
        .. "2>/dev/null"):format(path)) or "refused"
      return true
    end }))
    assert.equal("refused", tried)
  end)

  it("[fault 23] a checkpoint that cannot be read is not begun anew", function()
    local map = filled(300)
    local path, ckpt = dir .. "/out.jsonl", dir .. "/c.ckpt"
    local given = { checkpoint = ckpt, checkpoint_interval = "1ns", batch_size = 10 }
    local n = 0
    given.where = function()
      n = n + 1
      if n == 100 then error("stop") end
      return true
    end
    assert.is_false(pcall(map.export, map, path, given))
    local part = assert(read(path .. ".part"))
    local open = io.open
    io.open = function(name, ...)   -- luacheck: ignore
      if name == ckpt then return nil, name .. ": Input/output error", bpf.errno.EIO end
      return open(name, ...)
    end
    local ok, result, message, errno = pcall(map.export, map, path, given)
    io.open = open   -- luacheck: ignore
    assert.same({ true, nil, bpf.errno.EIO }, { ok, result, errno })
    assert.truthy(message:find("c.ckpt: Input/output error", 1, true), message)
    assert.equal(part, read(path .. ".part"))
    assert.equal(300, assert(map:export(path, given)).entries)
  end)

  it("[fault 11] a child of the process that writes adds nothing and removes nothing", function()
    local map = filled(300)
    local path, child = dir .. "/out.jsonl", nil
    local report, message = map:export(path, { where = function()
      if not child then child = system.fork() end
      return true
    end })
    if child == 0 then
      system.exit(not report and message:find("forked", 1, true) and 0 or 1)
    end
    assert(report, message)
    assert.same({ "exit", 0 }, { system.wait(child) })
    assert.equal(300, select(2, read(path):gsub("\n", "")))
  end)
end)

describe("signals", function()
  local dir
  before_each(function()
    folder.make()
    dir = folder.name
  end)
  after_each(function()
    system.storm(0)
    helper.close_all()
    folder.remove()
  end)

  it("[fault 15] Ctrl-C is noticed while an export waits in a full pipe", function()
    for _, format in ipairs { "jsonl", "snapshot" } do
      local process = helper.process([[
        local build, format = ...
        local system = package.loadlib(build .. "/support/system.so", "luaopen_system")()
        local map = bpf.create { type = "hash", key = "u32", value = "u64", max_entries = 100000 }
        local keys = {}
        for i = 1, 100000 do keys[i] = i end
        map:update_batch(keys, keys)
        local pipe = io.popen("exec sleep 10 >/dev/null 2>&1", "w")
        local start = bpf.now()
        system.interrupt(200000)
        local ok, message = pcall(map.export, map, pipe, { format = format })
        print(ok, message, bpf.now() - start < 5e9)
        os.exit(0)
      ]], os.getenv "LUABPF_BUILD" or ".build", format)
      local text = process:read("a")
      process:close()
      assert.truthy(text:find("^false\t.*interrupted!\ttrue\n$"), text)
    end
  end)

  it("[fault 15] a file past the limit of the process is EFBIG, not the end of it", function()
    local map = filled(100000)
    for _, format in ipairs { "jsonl", "csv", "snapshot" } do
      local text = assert(system.child(function()
        system.limit("file_size", 65536)
        return select(3, map:export(dir .. "/out." .. format))
      end))
      assert.equal(tostring(bpf.errno.EFBIG), text)
      assert.is_nil(read(dir .. "/out." .. format))
    end
  end)

  it("[fault 5] that are handled do not end exports and imports through FIFOs and pipes", function()
    local map = filled(20000)
    local path, fifo = dir .. "/all.jsonl", dir .. "/fifo"
    assert(map:export(path))
    run("mkfifo '%s'", fifo)
    system.storm(2000)
    run("(sleep 0.2; cat '%s' >'%s') >/dev/null 2>&1 &", path, fifo)
    local report, message = map:import(fifo)
    assert(report, message)
    assert.equal(20000, report.updated)
    run("(sleep 0.2; cat '%s' >'%s/copy') >/dev/null 2>&1 &", fifo, dir)
    assert(map:export(fifo))
    report, message = map:import(io.popen(("sleep 0.1; cat '%s'; sleep 0.1"):format(path)))
    assert(report, message)
    assert.equal(20000, report.updated)
    local pipe = io.popen(("sleep 0.2; cat >'%s/other'"):format(dir), "w")
    pipe:write("first\n")
    assert(map:export(pipe))
    system.storm(0)
    pipe:close()
    local function sorted(text)
      local lines = {}
      for line in text:gmatch("[^\n]+") do lines[#lines + 1] = line end
      table.sort(lines)
      return table.concat(lines, "\n")
    end
    local all, other = sorted(read(path)), read(dir .. "/other")
    assert.equal("first\n", other:sub(1, 6))
    assert.is_true(sorted(other:sub(7)) == all)
    assert.is_true(sorted(read(dir .. "/copy")) == all)
  end)
end)
