-- SPDX-License-Identifier: MIT
--
-- Names of addresses, and stacks (lua/luabpf/event/symbol.lua, luabpf/lib/kernel/kallsyms.c,
-- procsyms.c, elfsyms.c).

local bpf = require "luabpf"
local helper = require "spec.support.helper"
local support = require "spec.support.objects"

local raises = helper.raises

-- The lines of /proc/kallsyms whose address no other line has: address and name.
local function own_addresses()
  local names, times, list = {}, {}, {}
  for line in io.lines "/proc/kallsyms" do
    local address, kind, name = line:match "^(%x+) (%a) (%S+)$"
    if address then
      times[address] = (times[address] or 0) + 1
      if kind == "T" or kind == "t" then names[address] = name end
    end
  end
  for address, name in pairs(names) do
    if times[address] == 1 then list[#list + 1] = { math.tointeger("0x" .. address), name } end
  end
  return list
end

describe("bpf.symbol", function()
  it("names addresses of the kernel, and how far they are in", function()
    local list = own_addresses()
    assert.is_true(#list > 1000)
    for i = 1, #list, #list // 200 do
      local address, name = table.unpack(list[i])
      assert.equal(name .. "+0x0", bpf.symbol(address))
      assert.equal(name .. "+0x1", bpf.symbol(address + 1))
    end
    for _, each in ipairs(list) do
      if each[2] == "do_unlinkat" then
        assert.equal("do_unlinkat+0x10", bpf.symbol(each[1] + 16))
      end
    end
  end)

  it("gives nil for what is in nothing", function()
    assert.is_nil(bpf.symbol(0))
    assert.is_nil(bpf.symbol(-1))
    assert.is_nil(bpf.symbol(1 << 46))
    assert.is_nil(bpf.symbol(1 << 62, helper.pid))
  end)

  it("says why the addresses are hidden", function()
    local message = support.unprivileged "print(bpf.symbol(1))"
    assert.matches("^nil\tsymbol: all addresses .*CAP_SYSLOG", message)
    assert.matches(("\t%d\n$"):format(bpf.errno.EACCES), message)
  end)

  -- Where an executable mapping of the file whose path has that in it is: start, offset, path.
  local function mapping(part)
    for line in io.lines "/proc/self/maps" do
      local start, offset, path = line:match "^(%x+)%-%x+ r%-x%S* (%x+) %S+ %S+ +(%S.*)$"
      if path and path:find(part, 1, true) then
        return math.tointeger("0x" .. start), math.tointeger("0x" .. offset), path
      end
    end
  end

  it("names addresses of a process, by the symbols of its files", function()
    local start, offset, path = mapping "core.so"
    local checked = 0
    for line in io.popen("nm -D --defined-only " .. path):lines() do
      local value, name = line:match "^(%x+) T (luaopen_%S+)$"
      if value then
        -- What a linker writes: code lies in the file where it is in memory, or pages further.
        local headers = io.popen("readelf -lW " .. path):read "a"
        for at, address, size in headers:gmatch "LOAD +0x(%x+) 0x(%x+) 0x%x+ 0x(%x+)" do
          at, address, size = tonumber(at, 16), tonumber(address, 16), tonumber(size, 16)
          local v = tonumber(value, 16)
          if v >= address and v < address + size then
            local place = start + (v - address + at) - offset
            assert.equal(name .. "+0x0", bpf.symbol(place, helper.pid))
            assert.equal(name .. "+0x1", bpf.symbol(place + 1, helper.pid))
            checked = checked + 1
          end
        end
      end
    end
    assert.equal(1, checked)
  end)

  it("gives the file and the place in it where that has no name", function()
    for line in io.lines "/proc/self/maps" do
      -- The first page of a file: headers.
      local start, path = line:match "^(%x+)%-%x+ r%-%-p 00000000 %S+ %S+ +(%S+)$"
      if path and path:find "core%.so" then
        assert.equal(("[%s]+0x5"):format(path:match "[^/]*$"),
          bpf.symbol(math.tointeger("0x" .. start) + 5, helper.pid))
      end
    end
    for line in io.lines "/proc/self/maps" do
      local vdso = line:match "^(%x+)%-.*%[vdso%]$"
      if vdso then assert.equal("[vdso]+0x1", bpf.symbol(tonumber(vdso, 16) + 1, helper.pid)) end
    end
  end)

  it("reads what is mapped, also of a process whose file is gone", function()
    local copy = os.tmpname()
    assert(os.execute(("cp \"$(command -v lua5.4)\" %s && chmod +x %s"):format(copy, copy)))
    local pipe = io.popen("exec " .. copy .. [[ -e "print(io.open('/proc/self/stat'):read 'n')
      io.stdout:flush() os.execute 'exec sleep 5 >/dev/null'"]])
    local pid = pipe:read "n"
    os.remove(copy)
    local first
    for line in io.lines(("/proc/%d/maps"):format(pid)) do
      first = first or line:match("^(%x+)%-%x+ r%-x%S* .*" .. copy)
    end
    local name = bpf.symbol(tonumber(first, 16), pid)
    os.execute("kill " .. pid)
    pipe:close()
    assert.is_string(name)
  end)

  it("keeps no descriptor, and says what is missing", function()
    local before = helper.descriptors()
    local none, message, errno = bpf.symbol(1, 0x7ffffffe)
    assert.is_nil(none)
    assert.matches("symbol: process 2147483646: No such process", message)
    assert.equal(bpf.errno.ESRCH, errno)
    for _ = 1, 20 do bpf.symbol(mapping "core.so", helper.pid) end
    assert.equal(before, helper.descriptors())
    raises("symbol: an address, an integer, expected, got string", bpf.symbol, "x")
    raises("symbol: pid: the number of a process expected, got x", bpf.symbol, 1, "x")
    raises("symbol: pid: the number of a process expected, got 0", bpf.symbol, 1, 0)
  end)
end)

describe("a map of stacks", function()
  local object

  before_each(function()
    object = assert(bpf.load "bpf/events.bpf.o")
    assert(object.programs.take_stacks:run())
  end)
  after_each(function()
    object:close()
    helper.close_all()
  end)

  it("has lists of addresses, as many as there are", function()
    local id = object.globals.kernel_stack
    assert.is_true(id >= 0)
    local addresses = assert(object.maps.stacks:lookup(id))
    assert.is_true(#addresses > 2 and #addresses < 127)
    for _, address in ipairs(addresses) do assert.is_true(address < 0) end -- in the upper half
    local again <close> = assert(bpf.open(object.maps.stacks:info().id))
    assert.same(addresses, again:lookup(id))
    local seen = {}
    for key, value in again:entries() do seen[key] = value end
    assert.same(addresses, seen[id])
    assert.equal(127 * 8, #again:lookup(id, { raw = true }))
  end)

  it("gives them as names", function()
    local names = assert(object.maps.stacks:stack(object.globals.kernel_stack))
    assert.matches("bpf_prog_test_run_raw_tp%+0x%x+", table.concat(names, " "))
    local own = assert(object.maps.stacks:stack(object.globals.user_stack, helper.pid))
    assert.matches("^syscall%+0x%x+$", own[1])
  end)

  it("says what it has not", function()
    assert.is_nil(object.maps.stacks:stack(63))
    local none, message = object.maps.stacks:stack(object.globals.user_stack, 0x7ffffffe)
    assert.is_nil(none)
    assert.matches("No such process", message)
    raises("stack: its values are no lists of addresses", function()
      local map = helper.map()
      map:update(1, 1)
      map:stack(1)
    end)
    raises("stack: its values are no lists of addresses", function()
      local map = helper.map { value = { "u32 a", "u32 b" } }
      map:update(1, { a = 1, b = 2 })
      map:stack(1)
    end)
    raises("stack: id: ", function() object.maps.stacks:stack(-14) end)
    raises("stack: id: ", function() object.maps.stacks:stack("x") end)
    raises("stack: pid: the number of a process expected", function()
      object.maps.stacks:stack(1, "x")
    end)
  end)

  it("of places in files is left as it is", function()
    local map = helper.map { type = "stack_trace", flags = { "stack_build_id" }, key_size = 4,
      value_size = 32 * 8 }
    assert.is_nil(map:lookup "\0\0\0\0")
  end)
end)
