-- SPDX-License-Identifier: MIT
--
-- luabpf.program: info, pins, test runs, and what attach refuses. Attachments that
-- work are in link_spec.lua.

local bpf = require "luabpf"
local helper = require "spec.support.helper"
local support = require "spec.support.objects"

local FRAME <const> = ("\1"):rep(12) .. "\8\0" .. ("\2"):rep(50)
local ADDITION <const> = "i8i8i8"

local raises = helper.raises

describe("luabpf.program", function()
  local object, programs

  before_each(function()
    object = assert(bpf.load(support.OBJECT))
    programs = object.programs
  end)

  after_each(function()
    object:close()
  end)

  it("has name and type", function()
    assert.equal("count_xdp", programs.count_xdp.name)
    assert.equal("xdp", programs.count_xdp.type)
    assert.equal("sched_cls", programs.count_tc.type)
    assert.equal("cgroup_skb", programs.count_either.type)
    assert.equal("tracepoint", programs.count_tracepoint.type)
    assert.equal("raw_tracepoint", programs.count_raw.type)
    assert.equal("syscall", programs.called.type)
    -- The kernel keeps 15 bytes only.
    assert.equal("count_tracepoint", programs.count_tracepoint.name)
    assert.equal("count_tracepoin", programs.count_tracepoint:info().name)
    assert.is_nil(programs.called.nothing)
    assert.error_matches(function() programs.called:nothing() end,
      "program has no method 'nothing'")
  end)

  it("tells what the kernel knows", function()
    local info = programs.called:info()
    assert.equal("called", info.name)
    assert.equal("syscall", info.type)
    assert.matches("^%x+$", info.tag)
    assert.equal(16, #info.tag)
    assert.is_true(info.gpl_compatible)
    assert.is_true(info.id > 0 and info.xlated_prog_len > 0 and info.btf_id > 0)
    assert.is_true(info.load_time <= bpf.boottime())
    local points, found = object.maps.points:info().id, false
    for _, id in ipairs(info.map_ids) do found = found or id == points end
    assert.is_true(found)
    assert.equal(("luabpf.program (called syscall id %d)"):format(info.id),
      tostring(programs.called))
  end)

  it("is what bpftool sees", function()
    local info = programs.called:info()
    local text = support.output("bpftool -j prog show id " .. info.id)
    assert.truthy(text:find(('"tag":"%s"'):format(info.tag), 1, true), text)
    assert.truthy(text:find(('"bytes_xlated":%d'):format(info.xlated_prog_len), 1, true), text)
    local ids = table.concat(info.map_ids, ",")
    assert.truthy(text:find(('"map_ids":[%s]'):format(ids), 1, true), text)
  end)

  it("goes into a map of programs", function()
    assert.is_true(object.maps.jumps:update(1, programs.called))
    assert.equal(programs.called:info().id, object.maps.jumps:lookup(1))
    programs.called:close()
    raises("program is closed", object.maps.jumps.update, object.maps.jumps, 2, programs.called)
  end)

  describe("when closed", function()
    it("raises for everything but close and printing", function()
      local called = programs.called
      assert.is_true(called:close())
      assert.is_true(called:close())
      assert.equal("luabpf.program (closed)", tostring(called))
      assert.equal("called", called.name)
      for _, method in ipairs { "info", "fd", "pin", "attach", "run" } do
        raises("program is closed", called[method], called, "/sys/fs/bpf/never")
      end
    end)

    it("leaves the kernel's program to those who have it", function()
      local path <const> = support.pin_path()
      finally(function() os.remove(path) end)
      local id = programs.called:info().id
      programs.called:pin(path)
      programs.called:close()
      object:close()
      local again <close> = assert(bpf.open_program(path))
      assert.equal(id, again:info().id)
    end)
  end)

  it("raises for a self that is no program", function()
    for _, method in ipairs { "info", "fd", "pin", "attach", "run", "close" } do
      local call = programs.called[method]
      for _, self in ipairs { false, 1, "x", {}, object, object.maps.points } do
        raises("luabpf.program expected", call, self)
      end
      raises("luabpf.program expected", call)
    end
  end)

  describe("pins", function()
    it("and is opened again", function()
      local path <const> = support.pin_path()
      finally(function() os.remove(path) end)
      assert.is_true(programs.called:pin(path))
      local again = assert(bpf.open_program(path))
      assert.equal("called", again.name)
      assert.equal("syscall", again.type)
      assert.not_equal(programs.called:fd(), again:fd())
      assert.equal(3, select(3, ADDITION:unpack(again:run { ctx = ADDITION:pack(1, 2, 0) }.ctx)))
      raises("opened from a pin has no section", again.attach, again)
      again:close()
    end)

    it("not where a pin is, outside of bpffs, or with a dot", function()
      local path <const> = support.pin_path()
      finally(function() os.remove(path) end)
      assert.is_true(programs.called:pin(path))
      local ok, message, errno = programs.called:pin(path)
      assert.is_nil(ok)
      assert.equal(("called: pin %s: File exists"):format(path), message)
      assert.equal(bpf.errno.EEXIST, errno)
      assert.matches("not within a BPF file system", select(2, programs.called:pin "/tmp/pin"))
      assert.matches("names of pins have no dots", select(2, programs.called:pin(path .. ".a")))
      assert.matches("there is no folder /sys/fs/bpf/no/",
        select(2, programs.called:pin "/sys/fs/bpf/no/pin"), 1, true)
      raises("string expected", programs.called.pin, programs.called)
    end)

    it("are opened as what they are", function()
      local path <const> = support.pin_path()
      finally(function() os.remove(path) end)
      object.maps.points:pin(path)
      local program, message, errno = bpf.open_program(path)
      assert.is_nil(program)
      assert.equal(("open_program: %s is the pin of a map, not of a program"):format(path), message)
      assert.equal(bpf.errno.EINVAL, errno)
      assert.equal("open_program: /sys/fs/bpf/none: No such file or directory",
        select(2, bpf.open_program "/sys/fs/bpf/none"))
      assert.matches("is not a pin of a map, program or link", select(2, bpf.open_program "/tmp"))
      raises("string expected", bpf.open_program, {})
    end)
  end)

  describe("run", function()
    it("runs an XDP program on a packet", function()
      local result = assert(programs.count_xdp:run { data = FRAME })
      assert.equal(2, result.retval)
      assert.equal(FRAME, result.data)
      assert.is_nil(result.ctx)
      assert.is_true(result.ns >= 0)
      assert.equal(1, object.globals.runs[1])
    end)

    it("gives the packet back as the program left it", function()
      local frame = ("\1"):rep(12) .. "\xaa\0" .. ("\2"):rep(50)
      assert.equal("\xfe" .. frame:sub(2), programs.count_xdp:run { data = frame }.data)
      object.globals.answer = 1000
      frame = "\xaa" .. FRAME:sub(2)
      local longer = programs.count_tc:run { data = frame }.data
      assert.equal(#frame + 1000, #longer)
      assert.equal(frame, longer:sub(1, #frame))
    end)

    it("runs it as often as told", function()
      assert(programs.count_xdp:run { data = FRAME, times = 1000 })
      assert.equal(1000, object.globals.runs[1])
      assert(programs.count_ingress:run { data = FRAME, times = 3 })
      assert.equal(3, object.globals.runs[3])
    end)

    it("takes a context and gives it back", function()
      -- struct __sk_buff: mark is the third u32.
      local function mark(ctx) return ("<I4"):unpack(ctx, 9) end
      local result = assert(programs.count_tc:run { data = FRAME, ctx = "" })
      assert.equal(-1, result.retval)
      assert.equal(1, mark(result.ctx))
      result = assert(programs.count_tc:run { data = FRAME, ctx = ("<I4I4I4"):pack(0, 0, 20) })
      assert.equal(41, mark(result.ctx))
      -- struct xdp_md: data, data_end.
      result = assert(programs.count_xdp:run { data = FRAME, ctx = "" })
      assert.equal(#FRAME, ("<I4"):unpack(result.ctx, 5))
      local ok, message, errno = programs.count_xdp:run { data = FRAME, ctx = "abc" }
      assert.is_nil(ok)
      assert.matches("count_xdp: run: the kernel does not take this packet", message, 1, true)
      assert.equal(bpf.errno.EINVAL, errno)
    end)

    it("runs a program of type syscall on a context", function()
      object.globals.answer = -95
      local given <const> = ADDITION:pack(40, 2, 0)
      local result = assert(programs.called:run { ctx = given })
      assert.equal(-95, result.retval)
      assert.equal(ADDITION:pack(40, 2, 42), result.ctx)
      assert.is_nil(result.data)
      assert.is_nil(result.ns)
      -- Strings are values: the kernel wrote into a copy.
      assert.equal(ADDITION:pack(40, 2, 0), given)
    end)

    it("refuses a context that the program reads past", function()
      for _, ctx in ipairs { "", "x", ("x"):rep(23) } do
        local ok, message, errno = programs.called:run { ctx = ctx }
        assert.is_nil(ok)
        assert.matches(("does not take these %d bytes of ctx: the program reads past them"):
          format(#ctx), message, 1, true)
        assert.equal(bpf.errno.EINVAL, errno)
      end
      assert.is_nil((programs.called:run()))
    end)

    it("runs a raw tracepoint program on its arguments", function()
      assert.equal(0, programs.count_raw:run { ctx = ("<i8i8"):pack(77, 0) }.retval)
      assert.equal(77, object.globals.sum)
    end)

    it("says which types cannot be run", function()
      local ok, message, errno = programs.count_tracepoint:run()
      assert.is_nil(ok)
      assert.equal("count_tracepoint: run: programs of type tracepoint cannot be run without "
        .. "being attached", message)
      assert.equal(bpf.errno.ENOTSUPP, errno)
    end)

    it("raises for what the type cannot be given", function()
      local xdp, called, raw = programs.count_xdp, programs.called, programs.count_raw
      raises("run: option 'data': programs of type xdp need a packet", xdp.run, xdp)
      raises("run: option 'data': programs of type xdp need a packet", xdp.run, xdp, { ctx = "" })
      raises("run: option 'data': at least 14 bytes", xdp.run, xdp, { data = "short" })
      raises("run: option 'data': programs of type syscall take none",
        called.run, called, { data = FRAME })
      raises("run: option 'times': programs of type syscall run once",
        called.run, called, { times = 2 })
      raises("run: option 'ctx': at most 65535 bytes",
        called.run, called, { ctx = ("x"):rep(65536) })
      raises("run: option 'data': programs of type raw_tracepoint take none",
        raw.run, raw, { data = FRAME })
    end)

    it("raises for wrong options", function()
      local xdp = programs.count_xdp
      raises("run: unknown option 'packet'", xdp.run, xdp, { packet = FRAME })
      raises("run: unknown option '1'", xdp.run, xdp, { FRAME })
      raises("run: table of options expected, got string", xdp.run, xdp, FRAME)
      raises("run: option 'data': string expected, got number", xdp.run, xdp, { data = 5 })
      raises("run: option 'ctx': string expected, got table",
        xdp.run, xdp, { data = FRAME, ctx = {} })
      for _, times in ipairs { "2", true } do
        raises("run: option 'times': number expected, got " .. type(times), xdp.run, xdp,
          { data = FRAME, times = times })
      end
      for _, times in ipairs { 0, -1, 1.5, 1 << 31 } do
        raises("run: option 'times': integer from 1 to 2147483647 expected", xdp.run, xdp,
          { data = FRAME, times = times })
      end
    end)

    it("refuses a packet that is too large", function()
      local ok, message = programs.count_ingress:run { data = ("x"):rep(100000) }
      assert.is_nil(ok)
      assert.matches("the kernel does not take this packet of 100000 bytes", message, 1, true)
    end)
  end)

  describe("attach", function()
    it("raises unless exactly one target is given", function()
      local xdp = programs.count_xdp
      raises("attach: a target is missing: one of cgroup, xdp, tc, tracepoint", xdp.attach, xdp, {})
      raises("attach: a target is missing", xdp.attach, xdp, { direction = "ingress" })
      raises("attach: options 'xdp' and 'tc': only one target",
        xdp.attach, xdp, { xdp = "lo", tc = "lo" })
      raises("attach: unknown option 'device'", xdp.attach, xdp, { device = "lo" })
      raises("attach: table of options expected, got string", xdp.attach, xdp, "lo")
      raises("attach: option 'xdp': string expected, got number", xdp.attach, xdp, { xdp = 1 })
      raises("attach: option 'cgroup': string expected, got boolean",
        xdp.attach, xdp, { cgroup = true })
    end)

    it("raises for a direction that does not apply", function()
      local xdp, ingress = programs.count_xdp, programs.count_ingress
      raises("attach: option 'direction' goes with 'cgroup' and 'tc', not with 'xdp'",
        xdp.attach, xdp, { xdp = "lo", direction = "ingress" })
      raises('attach: option \'direction\': "ingress", "egress" expected, got "in"',
        ingress.attach, ingress, { cgroup = "/", direction = "in" })
      raises('attach: option \'direction\': "ingress", "egress" expected, got 1',
        ingress.attach, ingress, { cgroup = "/", direction = 1 })
    end)

    -- What the system refuses: program, options, message after "NAME: attach: ".
    local root <const> = support.cgroup_root()
    for name, cases in pairs {
      count_xdp = {
        { { cgroup = root }, "a program of type xdp cannot be attached to a cgroup" },
        { { tc = "lo" }, "a program of type xdp cannot be attached to tc" },
        { { tracepoint = "a:b" }, "a program of type xdp cannot be attached to a tracepoint" },
        { { xdp = "nosuch0" }, "no network interface 'nosuch0'" },
        { nil, 'the program\'s section, "xdp", does not say what to attach it to' },
      },
      count_tc = {
        { { xdp = "lo" }, "a program of type sched_cls cannot be attached to XDP" },
        { { tc = "nosuch0" }, "no network interface 'nosuch0'" },
      },
      count_ingress = {
        { { cgroup = "/nonexistent" }, "/nonexistent: No such file or directory" },
        { { cgroup = "/tmp" }, "/tmp is not a folder of a cgroup2 file system" },
        { { cgroup = root, direction = "egress" }, "the section of the program says the other" },
      },
      count_either = {
        { { cgroup = root }, "the section of the program does not say which direction" },
      },
      count_tracepoint = {
        { { tracepoint = "syscalls" }, "'syscalls' is not a tracepoint" },
        { { tracepoint = "../a:b" }, "'../a:b' is not a tracepoint" },
        { { tracepoint = ":b" }, "':b' is not a tracepoint" },
      },
      count_raw = {
        { { tracepoint = "raw_syscalls:nosuch" }, "no raw tracepoint 'nosuch'" },
        { { xdp = "lo" }, "a program of type raw_tracepoint cannot be attached to XDP" },
      },
      called = {
        { nil, 'the program\'s section, "syscall", does not say what to attach it to' },
      },
    } do
      it("says why it refuses " .. name, function()
        for _, case in ipairs(cases) do
          local link, message, errno = programs[name]:attach(case[1])
          assert.is_nil(link)
          assert.is_true(errno > 0)
          assert.equal(name .. ": attach: " .. case[2],
            message:sub(1, #name + #": attach: " + #case[2]))
        end
      end)
    end

    it("needs the object for the section only", function()
      object:close()
      raises("object is closed: attaching by section needs it", programs.count_raw.attach,
        programs.count_raw)
      local link <close> = assert(programs.count_raw:attach {
        tracepoint = "raw_syscalls:sys_enter" })
      assert.equal("raw_tracepoint", link:info().type)
      os.remove "/nonexistent"
      assert.is_true(object.globals.runs[7] > 0)
    end)

    it("leaves no descriptors when it is refused", function()
      local before = support.descriptors()
      programs.count_ingress:attach { cgroup = "/tmp" }
      programs.count_ingress:attach { cgroup = support.cgroup_root(), direction = "egress" }
      programs.count_xdp:attach { xdp = "nosuch0" }
      programs.count_xdp:attach()
      assert.equal(before, support.descriptors())
    end)
  end)

  it("says which capabilities are missing", function()
    local path <const> = support.pin_path()
    finally(function() os.remove(path) end)
    programs.count_tc:pin(path)
    -- Kernels from 5.19 on let whoever can open the pin have the program.
    local text, ok = support.unprivileged(([[
      local program, message, errno = bpf.open_program %q
      if program then
        program, message, errno = program:attach { tc = "lo" }
        assert(message:find("lacks CAP_NET_ADMIN", 1, true), message)
      end
      assert(not program and (errno == bpf.errno.EPERM or errno == bpf.errno.EACCES), message)
    ]]):format(path))
    assert.is_true(ok, text)
  end)
end)
