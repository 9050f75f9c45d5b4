-- SPDX-License-Identifier: MIT
--
-- What is left where something fails half way: pins, parts of files, filters, links, memory of
-- states that were closed.

local bpf = require "luabpf"
local folder = require "spec.support.folder"
local helper = require "spec.support.helper"
local injected = require "spec.support.injected"
local objects = require "spec.support.objects"
local system = require "spec.support.system"

local LIBRARY <const> = os.getenv "LUABPF_BUILD" .. "/faults.so"

-- As objects.isolated, with faults: see spec/support/injected.lua.
local function isolated(code)
  return objects.elsewhere("unshare -nm sh -c 'ip link set lo up && LD_PRELOAD=" .. LIBRARY
    .. " exec \"$@\"' sh", ([[
      local faults = package.loadlib(%q, "luaopen_faults")()
      local function failing(kind, at, errno, f, lasting)
        faults.arm(faults.kinds[kind], at, bpf.errno[errno], lasting)
        return select(2, faults.call(f))
      end
      local function filters()
        local pipe <close> = io.popen "tc filter show dev lo ingress"
        return select(2, pipe:read "a":gsub(" handle ", ""))
      end
      local object = assert(bpf.load "bpf/objects.bpf.o")
      local program = object.programs.count_tc
    ]]):format(LIBRARY) .. code)
end

describe("what is left:", function()
  after_each(function()
    system.fail_allocation(0)
    helper.close_all()
  end)

  it("no pin that its map does not know, where Lua has no memory", function()
    local n = 0
    while true do
      n = n + 1
      local map, path = helper.map(), helper.pin()
      system.fail_allocation(n)
      local ok, message = pcall(map.pin, map, path)
      system.fail_allocation(0)
      local there <close> = bpf.open(path)
      assert.equal(ok, there ~= nil, message)
      if ok then
        assert.is_true(map:unpin())
        break
      end
    end
    assert(n > 1)
  end)

  describe("of an export", function()
    before_each(function() folder.make() end)
    after_each(folder.remove)

    it("nothing, where its part cannot be looked at #preload", function()
      assert.same({ "5\t0" }, injected.lines([[
        local path = ...
        local map = assert(bpf.create { type = "hash", key = "u32", value = "u64",
          max_entries = 9 })
        local errno
        local n = 0
        for at = 1, 12 do
          for _, lasting in ipairs { false, true } do
            local done, _, refused = failing("stat", at, "EIO", function()
              return map:export(path)
            end, lasting)
            errno = not done and refused or errno
            os.remove(path)
            if os.remove(path .. ".part") then n = n + 1 end
          end
        end
        print(errno, n)
      ]], folder.path "out"))
    end)

    it("its part, where its checkpoint cannot be looked at #preload", function()
      assert.same({ "true" }, injected.lines([[
        local path = ...
        local map = assert(bpf.create { type = "hash", key = "u32", value = "u64",
          max_entries = 90 })
        for i = 1, 40 do map:update(i, i) end
        local function run()
          return map:export(path, { checkpoint = path .. ".c", checkpoint_interval = 0,
            batch_size = 8 })
        end
        local at, all = 0, true
        repeat
          at = at + 1
          local report = failing("stat", at, "EIO", run, true)
          local again, message = run()
          if not again then print(at, message) end
          all = all and again and again.entries == 40
        until report or at > 60
        print(all)
      ]], folder.path "out"))
    end)
  end)

  it("[fault 22] no filter of an attach whose answer is lost #preload", function()
    assert.equal("true\ttrue\t0\n", (isolated [[
      local refused, messages = false, true
      for _, kind in ipairs { "send", "receive", "socket" } do
        for at = 1, 12 do
          for _, lasting in ipairs { false, true } do
            local link, message, errno = failing(kind, at, "ENOBUFS", function()
              return program:attach { tc = "lo" }
            end, lasting)
            if link then link:close() end
            refused = refused or not link
            messages = messages and (link or message:find "No buffer space" and errno == 105)
          end
        end
      end
      collectgarbage()
      print(refused, messages ~= nil, filters())
    ]]))
  end)

  it("[fault 22] a filter that cannot be seen is said, and goes with a collection #preload",
    function()
      assert.equal("true\t1\t0\n", (isolated [[
        local said
        for at = 1, 12 do
          collectgarbage()
          local link, message = failing("receive", at, "ENOBUFS", function()
            return program:attach { tc = "lo" }
          end, true)
          if not link and filters() == 1 then
            said = message:find("a filter may be there all the same", 1, true) ~= nil
            break
          end
        end
        io.write(tostring(said), "\t", filters(), "\t")
        collectgarbage()
        print(filters())
      ]]))
    end)

  it("no link in the way of the next, which an error has left", function()
    assert.equal("true\n", (objects.isolated [[
      local object = assert(bpf.load "bpf/objects.bpf.o")
      local program = object.programs.count_xdp
      collectgarbage "stop"
      pcall(function()
        local link = assert(program:attach { xdp = "lo" })
        error(link)
      end)
      print(assert(program:attach { xdp = "lo" }):close())
    ]]))
  end)

  it("no log that libbpf goes on to write to, where a call has raised #preload", function()
    assert.same({ "false\ttrue" }, injected.lines [[
      local object = assert(bpf.load "bpf/objects.bpf.o")
      local link = assert(object.programs.count_raw:attach())
      local ok = pcall(link.close, {})
      local BTF_LOAD <const> = 18
      local map = failing(BTF_LOAD, 1, "EINVAL", function()
        return bpf.create { type = "hash", key = "u32", value = "u64", max_entries = 9 }
      end)
      print(ok, map ~= nil)
    ]])
  end)

  -- Initial-exec: luabpf/lib/kernel/log.c
  it("[fault 25] a process, where there is no memory for what a thread has alone #preload",
    function()
      assert.same({ "nil\ttrue" }, injected.lines [[
        local object, message = failing("malloc", 1, "ENOMEM", function()
          return bpf.load "bpf/objects.bpf.o"
        end, true)
        print(object, type(message) == "string")
      ]])
    end)

  it("[fault 25] of states that are closed, nothing", function()
    assert.equal("true", helper.process([[
      package.path, package.cpath = package.path .. ";./?.lua", package.cpath
      local system = require "spec.support.system"
      local code = [=[
        local bpf = require "luabpf"
        local map = assert(bpf.create { type = "hash", key = { "ipv4 addr", "u32 port" },
          value = { "u64 packets[4]", "char name[16]" }, max_entries = 50 })
        for i = 1, 40 do
          map:update({ addr = "10.0.0." .. i, port = i }, { packets = { i, i, i, i }, name = "n" })
        end
        for key, value in map:entries() do assert(key.port == value.packets[1]) end
        for _, value in map:views() do assert(value.name == "n") end
        assert(map:count "value.packets[1] > 20" == 20)
        local object = assert(bpf.load "bpf/objects.bpf.o")
        assert(object.globals)
      ]=]
      system.states(20, code)
      local held = system.states(20, code)
      print(held < 20 * 100 or held)
    ]]):read "l")
  end)
end)
