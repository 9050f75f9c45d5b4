-- SPDX-License-Identifier: MIT
--
-- What the parts of the benchmark share: the C baseline as a process that
-- takes commands, clocks, medians, maps to measure on, the machine's name.

local bpf = require "luabpf"

local harness = {}

function harness.fail(...)
  error(string.format(...), 0)
end

-- ---- the C baseline -----------------------------------------------------------

local baseline = {}
baseline.__index = baseline

--- Starts a program of bench/ with arguments. With pipes both ways: io.popen has one, a FIFO is
-- the other.
function harness.process(name, first, second)
  local program = (os.getenv "LUABPF_BUILD" or ".build") .. "/" .. name
  local fifo = os.tmpname()
  os.remove(fifo)
  assert(os.execute(("mkfifo -m 600 '%s'"):format(fifo)), "cannot make a FIFO")
  local command = ("'%s' '%s' '%s' > '%s'"):format(program, first, second, fifo)
  local commands = assert(io.popen(command, "w"))
  local answers = assert(io.open(fifo, "rb"))
  os.remove(fifo)
  return setmetatable({ commands = commands, answers = answers }, baseline)
end

--- Starts c_baseline (c_baseline.c) on a pinned map of so many entries.
function harness.baseline(pin, entries) return harness.process("c_baseline", pin, entries) end

function baseline:ask(command)
  self.commands:write(command, "\n")
  self.commands:flush()
  local line = self.answers:read("l")
  local result = line and line:match("^ok (.*)$")
  return result or error("the C baseline failed at '" .. command .. "'", 0)
end

--- Runs a task: result, nanoseconds by the clock, nanoseconds of the CPU.
function baseline:task(name)
  local ns, cpu, result = self:ask(name):match("^(%d+) (%d+) (.-) *$")
  return result, math.tointeger(ns), math.tointeger(cpu)
end

--- The packed records that both sides work with.
function baseline:give(what)
  local size = math.tointeger(self:ask("give " .. what))
  local records = self.answers:read(size)
  self.answers:read("l")
  return records
end

function baseline:close()
  self.commands:close()
  self.answers:close()
end

baseline.__close = baseline.close

-- ---- time and memory ------------------------------------------------------------

--- Result of fn(...), nanoseconds by the clock, nanoseconds of the CPU; without the garbage of what
-- ran before.
function harness.timed(fn, ...)
  collectgarbage()
  collectgarbage()
  local cpu, began = os.clock(), bpf.now()
  local result = fn(...)
  return result, bpf.now() - began, math.floor((os.clock() - cpu) * 1e9)
end

--- How long a loop of plain Lua takes just now: twice as long, say, while somebody else's work is
-- on the same core. It makes no garbage, so that what ran before does not matter. Nanoseconds;
-- best_pace is the least of all times it was asked.
function harness.pace()
  local began, pair = bpf.now(), { a = 1, b = 2 }
  for i = 1, 300000 do pair.a, pair.b = pair.b, pair.a ~ i end
  assert(pair.a)
  local ns = bpf.now() - began
  harness.best_pace = math.min(harness.best_pace or ns, ns)
  return ns
end

--- Median of a list of numbers, which is sorted, and what lies between smallest and largest as a
-- part of it.
function harness.median(list)
  table.sort(list)
  local n = #list
  local median = (list[(n + 1) // 2] + list[n // 2 + 1]) / 2
  return median, median > 0 and (list[n] - list[1]) / median or 0.0
end

--- Median nanoseconds of so many runs of fn(...); cpu: of the CPU.
function harness.time(runs, cpu, fn, ...)
  local list = {}
  for i = 1, runs do
    local _, ns, cpu_ns = harness.timed(fn, ...)
    list[i] = cpu and cpu_ns or ns
  end
  return (harness.median(list))
end

--- Nanoseconds of fn(...) by the clock of the benchmark, divided by n: the median of three runs, or
-- of one.
function harness.per(bench, n, fn, ...)
  return harness.time(bench.quick and 1 or 3, bench.cpu, fn, ...) / n
end

--- A loop that does nothing.
function harness.exhaust(...)
  for _ in ... do end
end

--- A number with so many digits after the point; none, as an integer.
function harness.round(n, digits)
  if not digits then return math.floor(n + 0.5) end
  return tonumber(("%%.%df"):format(digits):format(n))
end

-- A field of /proc/self/status that is given in kB, in bytes.
local function status(field)
  for line in io.lines("/proc/self/status") do
    local kb = line:match("^" .. field .. ":%s*(%d+) kB")
    if kb then return math.tointeger(kb) * 1024 end
  end
end

--- By how many bytes resident memory grew while fn(...) ran, at most.
function harness.growth(fn, ...)
  collectgarbage()
  collectgarbage()
  local before = status("VmRSS")
  local clear <close> = assert(io.open("/proc/self/clear_refs", "w"))
  assert(clear:write("5"))  -- the peak from here on: proc(5)
  assert(clear:flush())
  fn(...)
  return status("VmHWM") - before
end

-- ---- maps -----------------------------------------------------------------------

--- A folder for files that are compared: in memory where that can be, else the disk decides.
-- @treturn table path; removed with what is in it when closed
function harness.folder()
  local path = ("%s/luabpf_bench_%d"):format(
    os.execute("test -w /dev/shm") and "/dev/shm" or "/tmp", harness.pid)
  assert(os.execute("mkdir -p -m 700 " .. path))
  return setmetatable({ path = path }, { __close = function() os.execute("rm -r " .. path) end })
end

-- Records i, as many as they are, of that size: a number that looks random, and zeros.
local function records(from, to, size, percpu)
  local list, rest = {}, ("\0"):rep(math.max(size - 8, 0))
  for i = from, to do
    local bytes = string.pack("=I4I4", i * 2654435761 & 0xffffffff, i) .. rest
    if size < 8 then bytes = bytes:sub(1, size) end
    list[#list + 1] = percpu and bytes:rep(percpu) or bytes
  end
  return table.concat(list)
end

--- Fills a map of binary strings with the entries 1 to n.
function harness.fill(map, n)
  local info = map:info()
  local percpu = info.type:find("percpu", 1, true) and (bpf.cpus())
  local value_size = percpu and (info.value_size + 7) // 8 * 8 or info.value_size
  for from = 1, n, 4096 do
    local to = math.min(from + 4095, n)
    assert(map:update_batch(records(from, to, info.key_size),
      records(from, to, value_size, percpu)))
  end
end

--- A map with n entries of u64 fields (key.a; value.a, value.b, ...), which may be closed.
-- @tparam table given as for bpf.create; entries: how many it holds; key_size, value_size;
--   label, which is ignored
function harness.map(given)
  local options = { type = "hash", max_entries = given.entries, name = "luabpf_bench" }
  for name, value in pairs(given) do options[name] = value end
  options.entries, options.key_size, options.value_size, options.label = nil, nil, nil, nil
  options.key = harness.layout(given.key_size or 16)
  options.value = harness.layout(given.value_size or 32)
  local array = options.type:find("array", 1, true)
  if array then options.key = "u32" end
  local map = assert(bpf.create(options))
  if not array then harness.fill(map, given.entries) end
  return map
end

--- The layout of a struct of that size: u64 a, b, ..., or u32 if it is smaller.
function harness.layout(size)
  if size < 8 then return { "u32 a" } end
  local fields = {}
  for i = 1, math.min(size // 8, 4) do fields[i] = "u64 " .. ("abcd"):sub(i, i) end
  if size > 32 then fields[#fields + 1] = ("bytes[%d] rest"):format(size - 32) end
  return fields
end

-- ---- the machine ----------------------------------------------------------------

local function first_line(path, pattern)
  local file <close> = io.open(path)
  for line in file and file:lines() or function() end do
    local found = line:match(pattern)
    if found then return found end
  end
  return "unknown"
end

--- What is measured on, for the record.
function harness.machine()
  return {
    cpu = first_line("/proc/cpuinfo", "^model name%s*:%s*(.+)$"), cpus = bpf.cpus(),
    kernel = bpf.features().kernel, lua = _VERSION, date = os.date("!%Y-%m-%d"),
    load = tonumber(first_line("/proc/loadavg", "^(%S+)")),
    memory = math.tointeger(first_line("/proc/meminfo", "^MemTotal:%s*(%d+)")) // 1024,
  }
end

harness.pid = io.open("/proc/self/stat"):read("n")

return harness
