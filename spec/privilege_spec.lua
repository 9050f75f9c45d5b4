-- SPDX-License-Identifier: MIT
--
-- Processes with few privileges: every way in says which capability it lacks, and with
-- CAP_BPF alone the work on maps goes on. They run as nobody, by setpriv of util-linux,
-- on copies of the module and the Lua files, which nobody may read wherever the checkout is.

local support = require "spec.support.objects"

local NOBODY <const> = "setpriv --reuid=65534 --regid=65534 --clear-groups"
local BPF_ONLY <const> = NOBODY .. " --inh-caps=+bpf --ambient-caps=+bpf"

-- What each script begins with. refused() checks a refusal and that it names the capabilities.
local PRELUDE <const> = [[
  local bpf = require "luabpf"
  local function refused(capabilities, result, message, errno)
    assert(result == nil, "was not refused")
    assert(errno == bpf.errno.EPERM or errno == bpf.errno.EACCES, errno)
    assert(message:find("this process lacks " .. capabilities, 1, true), message)
  end
]]

describe("a process", function()
  local folder

  setup(function()
    folder = os.tmpname()
    os.remove(folder)
    local module = assert(package.searchpath("luabpf.core", package.cpath))
    assert(os.execute(([[mkdir -p %s/luabpf && cp -r lua/luabpf %s && cp %s %s/luabpf/core.so &&
      cp bpf/*.bpf.o %s && chmod -R a+rX %s]]):format(folder, folder, module, folder, folder,
      folder)))
  end)

  teardown(function() os.execute("rm -r " .. folder) end)

  -- Runs a script in the folder, with nothing but what is in it; it must end well.
  local function run(prefix, script)
    local path = folder .. "/script.lua"
    local file <close> = assert(io.open(path, "w"))
    file:write(PRELUDE, script, "\nprint 'done'\n")
    file:flush()
    local text = support.output(([[cd %s && chmod a+r script.lua && LUA_CPATH='./?.so' \
      LUA_PATH='./?.lua;./?/init.lua' %s lua5.4 script.lua]]):format(folder, prefix))
    assert.equal("done\n", text)
  end

  describe("without any capability", function()
    it("is told what creating a map needs", function()
      run(NOBODY, [[
        refused("CAP_BPF", bpf.create { type = "hash", key = "u32", value = "u64" })
        refused("CAP_BPF", bpf.create { type = "array", value = "u32", pin = "/sys/fs/bpf/x" })
        refused("CAP_BPF", bpf.create { type = "array_of_maps",
          inner = { type = "array", value = "u32" } })
      ]])
    end)

    it("is told what opening by id or name, and listing, need", function()
      run(NOBODY, [[
        refused("CAP_SYS_ADMIN", bpf.open(1))
        refused("CAP_SYS_ADMIN", bpf.open "conns")
        refused("CAP_SYS_ADMIN", bpf.maps())
        local ok, err = pcall(function() for _ in bpf.maps() do error "none" end end)
        refused("CAP_SYS_ADMIN", ok or nil, err.message, err.errno)
      ]])
    end)

    it("is told what loading programs needs", function()
      run(NOBODY, [[
        refused("CAP_BPF and CAP_PERFMON and CAP_NET_ADMIN", bpf.load "objects.bpf.o")
        local conntrack = require "luabpf.conntrack"
        refused("CAP_BPF", conntrack.start { object = "conntrack.bpf.o" })
      ]])
    end)

    it("gets an error for a pin that it may not reach", function()
      local private = support.pin_path()
      assert(os.execute("mkdir -m 700 " .. private))
      finally(function() os.execute("rmdir " .. private) end)
      run(NOBODY, ([[
        local path = "%s/none"
        for name, open in pairs { open = bpf.open, program = bpf.open_program,
            link = bpf.open_link, tracker = require "luabpf.conntrack".open } do
          local handle, message, errno = open(path)
          assert(handle == nil and errno == bpf.errno.EACCES, name)
          assert(message:find(path, 1, true), message)
        end
      ]]):format(private))
    end)

    it("is told that it cannot know what the kernel has", function()
      run(NOBODY, [[
        local features = bpf.features()
        assert(features.missing_privileges
          == "CAP_BPF and CAP_PERFMON and CAP_NET_ADMIN and CAP_SYS_ADMIN")
        for _, feature in ipairs(features.list) do
          -- Whether Lua's functions compile is no secret of the kernel's.
          assert(feature.present == nil or feature.name == "functions", feature.name)
        end
        assert(next(features.map_types) == nil)
        assert(tostring(features):find("this process lacks CAP_BPF", 1, true))
        assert(tostring(features):find("unknown", 1, true))
      ]])
    end)

    it("has the clocks, the quantities and the iterators", function()
      run(NOBODY, [[
        assert(bpf.now() > 0 and bpf.now() <= bpf.boottime() and bpf.cpus() > 0)
        assert(bpf.sleep "1ms" and bpf.duration "1s" == 1000000000 and bpf.size "1KiB" == 1024)
        for key in bpf.iter.take(1, pairs { 1, 2 }) do assert(key == 1) end
      ]])
    end)

    -- Layouts are given: reading BTF by its id is for CAP_SYS_ADMIN.
    it("works on a map whose pin it may open", function()
      if not require("spec.support.helper").kernel_has(5, 19) then
        pending "needs Linux 5.19: before, the system call is closed to processes without CAP_BPF"
        return
      end
      run(support.unshare(), ([[
        local script = assert(io.open("inner.lua", "w"))
        script:write [=[
          local options = { path = "bpffs/map", key = "u32", value = "u32" }
          local map = assert(require "luabpf".open(options))
          assert(map:lookup(1) == 2 and map:update(2, 3) and map:count() == 2)
          assert(map:delete_batch { 1, 2, 3 } == 2)
        ]=]
        script:close()
        assert(os.execute "mkdir bpffs && mount -t bpf -o mode=0777 none bpffs")
        local map <close> = assert(bpf.create { type = "hash", key = "u32", value = "u32",
          max_entries = 8, pin = "bpffs/map" })
        assert(map:update(1, 2) and os.execute "chmod 666 bpffs/map && chmod a+r inner.lua")
        assert(os.execute "%s lua5.4 inner.lua")
        assert(map:count() == 0)
        os.execute "umount bpffs"
      ]]):format(NOBODY))
    end)
  end)

  describe("with CAP_BPF alone", function()
    it("creates maps and works on them, one entry and many", function()
      run(BPF_ONLY, [[
        local map <close> = assert(bpf.create { type = "hash", key = "u32", value = { "u64 n" },
          max_entries = 1000 })
        local keys, values = {}, {}
        for i = 1, 500 do keys[i], values[i] = i, { n = i } end
        assert(map:update_batch(keys, values) == 500)
        assert(map:lookup(7).n == 7 and map:update(7, { n = 8 }, "exist") and map:take(7).n == 8)
        assert(select(2, map:lookup_batch(keys)) == 499)
        assert(map:upsert_batch(keys, values).updated == 499)
        local seen = 0
        for batch in map:batches(64) do seen = seen + #batch end
        assert(seen == 500 and map:count() == 500)
        assert(map:delete_where(function(_, value) return value.n <= 100 end).deleted == 100)
        assert(map:delete_batch(keys) == 400)
        assert(map:describe().info.name == "" and #map:head() == 0)
      ]])
    end)

    it("is told what opening by id and name needs", function()
      run(BPF_ONLY, [[
        local map <close> = assert(bpf.create { type = "array", value = "u32", name = "mine" })
        refused("CAP_SYS_ADMIN", bpf.open(map:info().id))
        refused("CAP_SYS_ADMIN", bpf.open "mine")
        refused("CAP_SYS_ADMIN", bpf.maps())
      ]])
    end)

    it("is told what programs that look at packets need", function()
      run(BPF_ONLY, [[ refused("CAP_PERFMON and CAP_NET_ADMIN", bpf.load "objects.bpf.o") ]])
    end)

    it("finds out what it may use, and leaves open what it may not", function()
      run(BPF_ONLY, [[
        local features = bpf.features()
        assert(features.syscall_programs and features.map_types.hash)
        assert(features.map_types.devmap == nil)
      ]])
    end)
  end)

  it("in a user namespace is told which capabilities do not count there, and no advice", function()
    if not select(2, support.output "unshare -Ur true") then
      pending "this machine lets nobody have user namespaces"
      return
    end
    run("unshare -Ur", [[
      local function told(capabilities, result, message, errno)
        assert(result == nil and errno == bpf.errno.EPERM)
        assert(message:find("in a user namespace " .. capabilities .. " do", 1, true), message)
        assert(not message:find "\n", message)
      end
      told("CAP_BPF", bpf.create { type = "hash", key = "u32", value = "u64" })
      told("CAP_BPF and CAP_PERFMON and CAP_NET_ADMIN", bpf.load "objects.bpf.o")
      told("CAP_SYS_ADMIN", bpf.maps())
    ]])
  end)
end)
