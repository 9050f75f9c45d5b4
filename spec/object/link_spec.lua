-- SPDX-License-Identifier: MIT
--
-- luabpf.link: each kind of attachment runs its program, and leaves nothing behind when
-- it is detached, closed or collected. What touches lo or tracefs does it in namespaces
-- of its own.

local bpf = require "luabpf"
local helper = require "spec.support.helper"
local support = require "spec.support.objects"

local INGRESS <const>, EGRESS <const>, EITHER <const>, RAW <const> = 3, 4, 5, 7

-- Ids of the programs that bpftool sees attached to a cgroup.
local function attached(cgroup)
  local text = support.output("bpftool -j cgroup show " .. cgroup)
  local ids = {}
  for id in text:gmatch '"id":(%d+)' do ids[#ids + 1] = tonumber(id) end
  return ids
end

local raises = helper.raises

-- Runs source in namespaces of its own, where it must succeed and print "done" alone.
local function isolated(source)
  local text, ok = support.isolated("local object = assert(bpf.load(support.OBJECT))\n"
    .. "local programs, runs = object.programs, function(i) return object.globals.runs[i] end\n"
    .. "local function send() assert(os.execute \"bash -c 'echo x >/dev/udp/127.0.0.1/9'\") end\n"
    .. source .. "\nprint 'done'")
  assert.equal("done\n", text)
  assert.is_true(ok)
end

describe("luabpf.link", function()
  local object, programs, cgroup

  local function runs(i) return object.globals.runs[i] end

  before_each(function()
    object = assert(bpf.load(support.OBJECT))
    programs = object.programs
    cgroup = support.make_cgroup()
  end)

  after_each(function()
    object:close()
    support.remove_cgroup(cgroup)
  end)

  describe("of a cgroup", function()
    it("runs the program until it is detached", function()
      local link = assert(programs.count_egress:attach { cgroup = cgroup })
      assert.same({ programs.count_egress:info().id }, attached(cgroup))
      support.send_from(cgroup)
      local seen = runs(EGRESS)
      assert.is_true(seen > 0)
      assert.is_true(link:detach())
      assert.same({}, attached(cgroup))
      support.send_from(cgroup)
      assert.equal(seen, runs(EGRESS))
    end)

    it("takes the direction from the section or from the option", function()
      local kinds <const> = { ingress = "cgroup_inet_ingress", egress = "cgroup_inet_egress" }
      for direction, kind in pairs(kinds) do
        local a <close> = assert(programs["count_" .. direction]:attach { cgroup = cgroup })
        local b <close> = assert(programs.count_either:attach {
          cgroup = cgroup, direction = direction })
        assert.equal(kind, a:info().attach_type)
        assert.equal(kind, b:info().attach_type)
      end
      local link <close> = assert(programs.count_either:attach {
        cgroup = cgroup, direction = "egress" })
      assert.matches(" egress%)$", tostring(link))
      support.send_from(cgroup)
      assert.is_true(runs(EITHER) > 0)
      assert.equal(0, runs(INGRESS))
    end)

    it("tells what the kernel knows", function()
      local link <close> = assert(programs.count_ingress:attach { cgroup = cgroup })
      local info = link:info()
      assert.equal("cgroup", info.type)
      assert.equal(programs.count_ingress:info().id, info.prog_id)
      assert.is_true(info.id > 0 and info.cgroup_id > 0)
      assert.is_true(link:fd() > 2)
      assert.equal(("luabpf.link (count_ingress to cgroup %s)"):format(cgroup), tostring(link))
    end)

    it("outlives the program's handle and the object", function()
      local link = assert(programs.count_egress:attach { cgroup = cgroup })
      programs.count_egress:close()
      object:close()
      collectgarbage()
      support.send_from(cgroup)
      assert.is_true(runs(EGRESS) > 0)
      link:close()
      assert.same({}, attached(cgroup))
    end)

    it("detaches when it is closed, collected, or its block ends", function()
      assert(programs.count_egress:attach { cgroup = cgroup }):close()
      assert.same({}, attached(cgroup))
      assert(programs.count_egress:attach { cgroup = cgroup })
      collectgarbage()
      assert.same({}, attached(cgroup))
      do
        local link <close> = assert(programs.count_egress:attach { cgroup = cgroup })
        assert.equal(1, #attached(cgroup))
        assert.is_true(link:fd() > 2)
      end
      assert.same({}, attached(cgroup))
    end)

    it("is detached with its cgroup, and detach says nothing against it", function()
      local link = assert(programs.count_egress:attach { cgroup = cgroup })
      support.remove_cgroup(cgroup)
      assert.is_true(link:detach())
    end)
  end)

  describe("when closed", function()
    it("closes again, and raises for everything else", function()
      for _, finish in ipairs { "close", "detach" } do
        local link = assert(programs.count_egress:attach { cgroup = cgroup })
        assert.is_true(link[finish](link))
        assert.is_true(link:close())
        assert.equal("luabpf.link (closed)", tostring(link))
        for _, method in ipairs { "detach", "fd", "info", "pin" } do
          raises("link is closed", link[method], link, "/sys/fs/bpf/never")
        end
      end
    end)
  end)

  it("raises for a self that is no link", function()
    local link <close> = assert(programs.count_raw:attach())
    for _, method in ipairs { "close", "detach", "fd", "info", "pin" } do
      for _, self in ipairs { false, 1, "x", {}, object, programs.called } do
        raises("luabpf.link expected", link[method], self)
      end
      raises("luabpf.link expected", link[method])
    end
  end)

  describe("that is pinned", function()
    it("goes on after its handle, and is opened again", function()
      local path <const> = support.pin_path()
      finally(function() os.remove(path) end)
      local link = assert(programs.count_egress:attach { cgroup = cgroup })
      assert.is_true(link:pin(path))
      local id = link:info().id
      link:close()
      assert.equal(1, #attached(cgroup))
      local again = assert(bpf.open_link(path))
      assert.equal(id, again:info().id)
      assert.equal(("luabpf.link (%s)"):format(path), tostring(again))
      again:close()
      assert.equal(1, #attached(cgroup))
      os.remove(path)
      assert.same({}, attached(cgroup))
    end)

    it("goes on after its process", function()
      local path <const> = support.pin_path()
      finally(function() os.remove(path) end)
      local text, ok = support.elsewhere("", ([[
        local object = assert(bpf.load(support.OBJECT))
        assert(object.programs.count_egress:attach { cgroup = %q }):pin %q
      ]]):format(cgroup, path))
      assert.is_true(ok, text)
      assert.equal(1, #attached(cgroup))
      assert.is_true(bpf.open_link(path):detach())
    end)

    it("is detached by detach all the same", function()
      local path <const> = support.pin_path()
      finally(function() os.remove(path) end)
      local link = assert(programs.count_egress:attach { cgroup = cgroup })
      link:pin(path)
      assert.is_true(bpf.open_link(path):detach())
      assert.same({}, attached(cgroup))
      assert.equal(programs.count_egress:info().id, link:info().prog_id)
      link:close()
    end)

    it("is opened as a link only", function()
      local path <const> = support.pin_path()
      finally(function() os.remove(path) end)
      programs.called:pin(path)
      local link, message, errno = bpf.open_link(path)
      assert.is_nil(link)
      assert.equal(("open_link: %s is the pin of a program, not of a link"):format(path), message)
      assert.equal(bpf.errno.EINVAL, errno)
      assert.equal(bpf.errno.ENOENT, select(3, bpf.open_link "/sys/fs/bpf/none"))
      raises("string expected", bpf.open_link, nil)
    end)

    it("is not outside of bpffs, nor twice at one place", function()
      local path <const> = support.pin_path()
      finally(function() os.remove(path) end)
      local link <close> = assert(programs.count_egress:attach { cgroup = cgroup })
      assert.matches("not within a BPF file system", select(2, link:pin "/tmp/pin"))
      assert.is_true(link:pin(path))
      local ok, message, errno = link:pin(path)
      assert.is_nil(ok)
      assert.equal(("count_egress to cgroup %s: pin %s: File exists"):format(cgroup, path), message)
      assert.equal(bpf.errno.EEXIST, errno)
      raises("string expected", link.pin, link)
    end)
  end)

  describe("of a raw tracepoint", function()
    it("runs the program, by section and by name", function()
      for _, options in ipairs { {}, { tracepoint = "raw_syscalls:sys_enter" } } do
        local link = assert(programs.count_raw:attach(next(options) and options))
        local before = runs(RAW)
        os.remove "/nonexistent"
        assert.is_true(runs(RAW) > before)
        assert.equal("raw_tracepoint", link:info().type)
        assert.is_true(link:detach())
        before = runs(RAW)
        os.remove "/nonexistent"
        assert.equal(before, runs(RAW))
      end
    end)
  end)

  describe("of a tracepoint", function()
    it("runs the program, by section and by name, and can be pinned", function()
      isolated [[
        assert(os.execute("test -d /sys/kernel/tracing/events"
          .. " || mount -t tracefs tracefs /sys/kernel/tracing"))
        local path = support.pin_path()
        -- The kernel lets go of a pin's link in its own time.
        local function ended()
          for _ = 1, 100 do
            local before = runs(6)
            assert(os.execute "bash -c :")
            if runs(6) == before then return true end
            bpf.sleep "10ms"
          end
        end
        for _, options in ipairs { {}, { tracepoint = "syscalls:sys_enter_getppid" } } do
          local link = assert(programs.count_tracepoint:attach(next(options) and options))
          local before = runs(6)
          assert(os.execute "bash -c :")
          assert(runs(6) > before)
          assert(link:info().type == "perf_event")
          assert(link:pin(path))
          link:close()
          before = runs(6)
          assert(os.execute "bash -c :")
          assert(runs(6) > before)
          os.remove(path)
          assert(ended())
        end
        local _, message = programs.count_tracepoint:attach { tracepoint = "syscalls:nosuch" }
        assert(message == "count_tracepoint: attach: no tracepoint 'syscalls:nosuch'", message)
      ]]
    end)

    it("names tracefs if it is not mounted", function()
      isolated [[
        os.execute "umount /sys/kernel/tracing /sys/kernel/debug/tracing 2>/dev/null"
        os.execute "umount /sys/kernel/debug 2>/dev/null"
        local _, message = programs.count_tracepoint:attach {
          tracepoint = "syscalls:sys_enter_getppid" }
        assert(message:find("tracefs is not mounted", 1, true), message)
      ]]
    end)
  end)

  describe("of XDP", function()
    it("runs the program on an interface until it is detached", function()
      isolated [[
        local link = assert(programs.count_xdp:attach { xdp = "lo" })
        send()
        local seen = runs(1)
        assert(seen > 0)
        local info = link:info()
        assert(info.type == "xdp" and info.ifindex == 1 and info.interface == "lo")
        assert(support.output "bpftool net":find("xdp:\nlo(1)", 1, true))
        local _, message, errno = programs.count_xdp:attach { xdp = "lo" }
        assert(message == "count_xdp: attach: lo already has an XDP program", message)
        assert(errno == bpf.errno.EBUSY)
        assert(link:detach())
        send()
        assert(runs(1) == seen)
        assert(not support.output "bpftool net":find "lo%(1%)")
        assert(programs.count_xdp:attach { xdp = "lo" }):close()
        assert(not support.output "bpftool net":find "lo%(1%)")
      ]]
    end)
  end)

  describe("of tc", function()
    it("runs the program in both directions until it is detached", function()
      isolated [[
        local function filters(direction)
          local text = support.output("tc filter show dev lo " .. direction)
          return select(2, text:gsub("handle 0x", ""))
        end
        for _, direction in ipairs { "ingress", "egress" } do
          for _, finish in ipairs { "detach", "close" } do
            local link = assert(programs.count_tc:attach { tc = "lo", direction = direction })
            local before = runs(2)
            send()
            assert(runs(2) > before)
            assert(filters "ingress" == (direction == "ingress" and 1 or 0))
            assert(filters "egress" == (direction == "egress" and 1 or 0))
            local info = link:info()
            assert(info.type == "tc" and info.interface == "lo" and info.direction == direction)
            assert(info.handle > 0 and info.priority > 0 and link:fd() == nil)
            assert(link[finish](link))
            before = runs(2)
            send()
            assert(runs(2) == before)
            assert(filters "ingress" + filters "egress" == 0)
          end
        end
      ]]
    end)

    it("is ingress unless told, several side by side, and collected", function()
      isolated [[
        local first = assert(programs.count_tc:attach { tc = "lo" })
        local second = assert(programs.count_tc:attach { tc = "lo" })
        assert(first:info().direction == "ingress")
        assert(tostring(first) == "luabpf.link (count_tc to tc lo)", tostring(first))
        local function filters()
          return select(2, support.output "tc filter show dev lo ingress":gsub("handle 0x", ""))
        end
        assert(filters() == 2)
        second:close()
        assert(filters() == 1)
        first = nil
        collectgarbage()
        assert(filters() == 0)
      ]]
    end)

    it("cannot be pinned, and bears that its qdisc is gone", function()
      isolated [[
        local link = assert(programs.count_tc:attach { tc = "lo" })
        local ok, message, errno = link:pin(support.pin_path())
        assert(not ok and message:find "tc filters are not kernel links and cannot be pinned")
        assert(errno == bpf.errno.EOPNOTSUPP)
        assert(os.execute "tc qdisc del dev lo clsact")
        assert(link:detach())
      ]]
    end)
  end)

  it("gives its descriptors back, however it ends", function()
    local before = support.descriptors()
    local function attach(finish)
      local link = assert(programs.count_egress:attach { cgroup = cgroup })
      local raw = assert(programs.count_raw:attach())
      if finish ~= "collected" then
        link[finish](link)
        raw[finish](raw)
      end
    end
    for _, finish in ipairs { "close", "detach", "collected" } do
      for _ = 1, 3 do
        attach(finish)
        collectgarbage() -- before Linux 6.10 a raw tracepoint takes a program once
      end
    end
    assert.equal(before, support.descriptors())
  end)

  it("says which capabilities are missing", function()
    local path <const> = support.pin_path()
    finally(function() os.remove(path) end)
    local link <close> = assert(programs.count_egress:attach { cgroup = cgroup })
    link:pin(path)
    local text, ok = support.unprivileged(([[
      local link, message, errno = bpf.open_link %q
      if link then link, message, errno = link:detach() end
      assert(link or errno == bpf.errno.EPERM or errno == bpf.errno.EACCES, message)
    ]]):format(path))
    assert.is_true(ok, text)
  end)
end)
