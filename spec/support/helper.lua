-- SPDX-License-Identifier: MIT
--
-- What specs share: maps that close themselves, every type of map as a matrix,
-- counts of what a process holds open, another process that works on a map.

local bpf = require "luabpf"
local core = require "luabpf.core"

local helper = {}

local counter = 0

--- A name that no other map, pin or cgroup of any spec has: up to 15 characters.
function helper.name()
  counter = counter + 1
  helper.pid = helper.pid or io.open("/proc/self/stat"):read("n")
  return ("s%x_%d"):format(helper.pid, counter)
end

local opened = {}

local keyless = { queue = true, stack = true, bloom_filter = true }

--- Creates a map with defaults for what is left out; helper.close_all() closes it.
function helper.map(given)
  local options = { type = "hash", key = "u32", value = "u64", max_entries = 100,
    name = helper.name() }
  for name, value in pairs(given or {}) do options[name] = value end
  if options.key_size or keyless[options.type] then options.key = nil end
  if options.value_size then options.value = nil end
  local map = assert(bpf.create(options))
  opened[#opened + 1] = map
  return map
end

--- Closes what helper.map made; for after_each.
function helper.close_all()
  for _, map in ipairs(opened) do map:close() end
  opened = {}
end

-- How much is in a folder of this process in /proc. Not by popen, whose own pipe would be counted
-- now and then.
local function count_in(folder)
  local list, n = os.tmpname(), 0
  os.execute(("ls /proc/%d/%s >%s"):format(helper.pid, folder, list))
  for _ in io.lines(list) do n = n + 1 end
  os.remove(list)
  return n
end

--- Open descriptors of this process, garbage collected first.
function helper.descriptors()
  collectgarbage()
  collectgarbage()
  return count_in "fd"
end

--- What the kernel calls this process, and those that run Lua for the specs: "lua5.4", but the
-- dynamic linker where that was given Lua to run (`make tsan`).
function helper.comm()
  local file <close> = assert(io.open "/proc/self/comm")
  return file:read "l"
end

--- Threads of this process.
function helper.threads()
  return count_in "task"
end

--- A pin path that nothing has.
function helper.pin()
  return "/sys/fs/bpf/" .. helper.name()
end

--- The types of map that hold entries under keys, and what one of each is made with.
-- get(i): the i-th key from 0, val(i): a value.
local function number(i) return i end

local function percpu(i)
  local list = {}
  for cpu = 1, (bpf.cpus()) do list[cpu] = i * 10 + cpu end
  return list
end

local function prefix(i)
  return ("10.%d.%d.0/24"):format(i // 256, i % 256)
end

helper.types = {
  { type = "hash", key_of = number, value_of = number, deletes = true, takes = true },
  { type = "hash", flags = { "no_prealloc" }, key_of = number, value_of = number, deletes = true,
    takes = true, label = "hash without preallocation" },
  { type = "lru_hash", key_of = number, value_of = number, deletes = true, takes = true,
    room = 4 },
  { type = "lru_hash", flags = { "no_common_lru" }, key_of = number, value_of = number,
    deletes = true, takes = true, room = 8, label = "lru_hash per CPU" },
  { type = "percpu_hash", key_of = number, value_of = percpu, deletes = true, takes = true },
  { type = "lru_percpu_hash", key_of = number, value_of = percpu, deletes = true, takes = true,
    room = 4 },
  { type = "array", key_of = number, value_of = number, fixed = true },
  { type = "array", flags = { "mmapable" }, key_of = number, value_of = number, fixed = true,
    label = "array that can be mapped" },
  { type = "percpu_array", key_of = number, value_of = percpu, fixed = true },
  { type = "lpm_trie", key = "prefix4", key_of = prefix, value_of = number, deletes = true },
}

--- A map of one of helper.types with room for n entries.
function helper.make(kind, n, more)
  local given = { type = kind.type, flags = kind.flags, key = kind.key,
    max_entries = n * (kind.room or 1) }
  for name, value in pairs(more or {}) do given[name] = value end
  return helper.map(given)
end

--- Keys and values of the entries from to to (from 0).
function helper.entries(kind, from, to)
  local keys, values = {}, {}
  for i = from, to do
    keys[#keys + 1], values[#values + 1] = kind.key_of(i), kind.value_of(i)
  end
  return keys, values
end

--- What a scan gave, as key -> value; raises for a key given twice.
function helper.collect(...)
  local all, n = {}, 0
  for key, value in ... do
    if all[key] ~= nil then error("key given twice: " .. tostring(key)) end
    all[key], n = value, n + 1
  end
  return all, n
end

--- As helper.process; before: what the command begins with, variables of its environment.
function helper.process_with(before, code, ...)
  local path = os.tmpname()
  local file <close> = assert(io.open(path, "w"))
  file:write("local bpf = require 'luabpf'\nos.remove(", ("%q"):format(path), ")\n", code)
  file:close()
  local command = { "LUA_PATH='" .. package.path .. "' LUA_CPATH='" .. package.cpath .. "'",
    before, "exec " .. (os.getenv "LUABPF_LUA" or "lua5.4"), path }
  for _, argument in ipairs { ... } do command[#command + 1] = "'" .. argument .. "'" end
  return assert(io.popen(table.concat(command, " ") .. " 2>&1"))
end

--- Runs Lua code in another process, which has bpf and the arguments as its varargs. LUABPF_LUA:
-- the command for it, with what a sanitizer must load first.
-- @treturn file its output; close() waits for its end
function helper.process(code, ...)
  return helper.process_with("", code, ...)
end

--- Checks that a call raises, with that text in the message.
function helper.raises(text, call, ...)
  local ok, message = pcall(call, ...)
  assert(not ok, "nothing was raised: " .. text)
  message = tostring(message)
  assert(message:find(text, 1, true), ("expected %q in %q"):format(text, message))
end

--- How many steps of Lua's a call takes, roughly: one that spins takes more the longer it does so.
function helper.steps(call)
  local n = 0
  debug.sethook(function() n = n + 100 end, "", 100)
  call()
  debug.sethook()
  return n
end

--- Another process that replaces every step-th of the keys 1 to n of a map all the time, and
-- inserts and deletes others from 1,000,000 on. It is at work when this returns.
-- @treturn function ends it; key 0 is in the map then
function helper.storm(map, n, step)
  local process = helper.process([[
    local id, last, step = ...
    local map = bpf.open(math.tointeger(id))
    last, step = math.tointeger(last), math.tointeger(step)
    print("ready") io.stdout:flush()
    local n = 0
    while not map:lookup(0) do
      for i = 1, last, step do map:update(i, n, "exist") end
      for i = 1, 300 do
        map:update(1000000 + i, n)
        map:delete(1000000 + (i + n) % 300)
      end
      n = n + 1
    end
  ]], tostring(map:info().id), tostring(n), tostring(step))
  local function stop()
    map:update(0, 0)
    process:close()
  end
  if process:read("l") == "ready" then return stop end
  stop()
  error("the other process did not begin", 2)
end

--- Whether the running kernel is at least that version: for pending("needs Linux 6.6: ...").
function helper.kernel_has(major, minor)
  local has_major, has_minor = core.release():match("^(%d+)%.(%d+)")
  has_major, has_minor = tonumber(has_major), tonumber(has_minor)
  return has_major > major or has_major == major and has_minor >= minor
end

helper.name()

--- What a map holds: raw values by raw keys; of per-CPU maps the values joined.
function helper.contents(map)
  local all = {}
  for key, value in map:entries { raw = true } do
    all[key] = type(value) == "table" and table.concat(value, "|") or value
  end
  return all
end

--- What an import did: inserted, updated, skipped.
function helper.import_counts(report)
  return { report.inserted, report.updated, report.skipped }
end

return helper
