-- SPDX-License-Identifier: MIT
--
-- Operations of the module itself: maps come and go, what the kernel and the machine tell.

local bpf = require "luabpf"
local operations = require "spec.support.faults.operations"

local add = operations.add

local function nothing() end

local function is_map(map)
  return map:info().type ~= nil
end

-- A map whose layouts came along.
local function has_layouts(map)
  local about = map:describe()
  return about.key ~= nil and about.value ~= nil and is_map(map)
end

-- What only the very end of the call before has left; see ends.
local function without_pin(e) os.remove(e.at) end

add { name = "bpf.create", setup = nothing, run = function(e)
  return bpf.create { type = "hash", name = e:name(), key = "u32",
    value = { "u64 a", "u32 b[3]", "char name[8]" }, max_entries = 9 }
end, right = function(e, map)
  e:own(map)
  return has_layouts(map) and map:describe().value.fields[3].name == "name"
end }

add { name = "bpf.create", as = "with a pin", setup = function(e) e.at = e:pin() end,
  run = function(e)
    return bpf.create { type = "array", value = "u64", max_entries = 9, pin = e.at }
  end,
  right = function(e, map)
    e:own(map)
    return has_layouts(map) and map:unpin()
  end, renew = without_pin, ends = "^pin ",
}

add { name = "bpf.open_or_create", setup = function(e) e.at = e:pin() end, run = function(e)
  return bpf.open_or_create { type = "array", value = "u64", max_entries = 9, pin = e.at }
end, renew = without_pin, ends = "^pin ", right = function(e, map)
  e:own(map)
  return is_map(map) and map:unpin()
end }

add { name = "bpf.pins", run = function() return bpf.pins "/sys/fs/bpf" end,
  right = function(_, list) return type(list) == "table" end }

add { name = "map:users", run = function(e) return e.map:users() end,
  right = function(_, users) return type(users.processes) == "table" end }

add { name = "bpf.create", as = "a map of maps", setup = nothing, run = function()
  return bpf.create { type = "array_of_maps", max_entries = 2,
    inner = { type = "array", value = "u32", max_entries = 3 } }
end, right = function(e, map) return is_map(e:own(map)) end }

add { name = "bpf.create", as = "of a snapshot", setup = function(e)
  e.map = e:filled()
  assert(e.map:export(e:path "s", { format = "snapshot" }))
  e.snapshot = e:own(assert(bpf.snapshot(e:path "s")))
  e.at = e:pin()
end, run = function(e)
  return bpf.create { from = e.snapshot, name = e:name(), pin = e.at }
end, renew = without_pin, ends = "^pin [^_]+_[^_]+_[^_]+$", right = function(e, map)
  e:own(map)
  return e:is_whole(map) and map:unpin()
end }

local function with_pin(e)
  e.map = e:filled()
  e.at = e:pin()
  assert(e.map:pin(e.at))
end

local function opened(e, map)
  return has_layouts(e:own(map)) and e:is_whole(map)
end

add { name = "bpf.open", as = "path", setup = with_pin, right = opened,
  run = function(e) return bpf.open(e.at) end }
local function with_info(e)
  e.map = e:filled()
  e.info = assert(e.map:info())
end

add { name = "bpf.open", as = "name", setup = with_info, right = opened,
  run = function(e) return bpf.open(e.info.name) end }
add { name = "bpf.open", as = "id", setup = with_info, right = opened,
  run = function(e) return bpf.open(e.info.id) end }
add { name = "bpf.open", as = "descriptor", right = opened,
  run = function(e) return bpf.open { fd = e.map:fd() } end }

add { name = "bpf.maps", run = function() return bpf.maps() end, right = function(e, list)
  local id = e.map:info().id
  for info in list do
    if info.id == id then return true end
  end
  return false
end }

add { name = "bpf.snapshot", setup = function(e)
  e.map = e:filled()
  assert(e.map:export(e:path "s", { format = "snapshot" }))
end, run = function(e) return bpf.snapshot(e:path "s") end, right = function(e, snapshot)
  return e:own(snapshot):count() == e.N
end }

add { name = "bpf.compile", run = function(e)
  return bpf.compile("value > 100 and key % 2 == 0", e.map)
end, right = function(e, where) return e.map:count(where) == 15 end }

add { name = "bpf.bench", run = function(e)
  return bpf.bench(e.map, { sizes = { 16 }, patience = "1ms" })
end }

-- False is an answer too, but a wrong one of a kernel that has it.
add { name = "bpf.features", setup = nothing, run = function()
  return bpf.features()
end, right = function(_, found) return type(found.kernel) == "string" and found.cpus > 0 end }

add { name = "bpf.copy", run = function(e)
  for batch in e.map:batches(8) do
    local copy = bpf.copy(batch)
    return copy
  end
end, right = function(_, batch) return #batch >= 1 and batch:value(1) == batch:key(1) * 10 end }

-- Whether a call gives what it always gives.
local function constant(name, call, expected)
  add { name = name, setup = nothing, run = call, right = function(_, value)
    return expected == nil and value ~= nil or value == expected
  end }
end

constant("bpf.now", bpf.now)
constant("bpf.boottime", bpf.boottime)
constant("bpf.cpus", bpf.cpus)
constant("bpf.types", function()
  return bpf.types { never_seen = { addr = "ipv4" } }.never_seen.addr
end, "ipv4")
constant("bpf.duration", function() return bpf.duration "1.5s" end, 1500000000)
constant("bpf.size", function() return bpf.size "64KiB" end, 65536)
constant("bpf.prefix", function() return bpf.prefix("10.1.2.3", 8) end, "10.0.0.0/8")
constant("bpf.within", function() return bpf.within("10.1.2.3", "10.0.0.0/8") end, true)
constant("bpf.text", function() return bpf.text "nginx\0\1" end, "nginx")
constant("bpf.errno", function() return bpf.errno.ENOENT end, 2)
constant("bpf.defaults", function() return bpf.defaults.batch_size end, 4096)
-- Whether it slept, or a signal ended it.
add { name = "bpf.sleep", setup = nothing, run = function() return bpf.sleep "10us" end,
  right = function(_, slept) return type(slept) == "boolean" end }

-- ---- iterators ------------------------------------------------------------------

-- Keys and values that an iterator gave: how many, and the sum of the keys.
local function sum(...)
  local n, total = 0, 0
  for key in ... do n, total = n + 1, total + key end
  return n, total
end

local function sums_to(n, total)
  return function(_, got_n, got_total) return got_n == n and got_total == total end
end

add { name = "bpf.iter.filter", run = function(e)
  return sum(bpf.iter.filter(function(key) return key > 38 end, e.map:entries()))
end, right = sums_to(2, 79) }
add { name = "bpf.iter.map", run = function(e)
  return sum(bpf.iter.map(function(key) return key * 2 end, e.map:entries()))
end, right = sums_to(40, 1640) }
add { name = "bpf.iter.take", run = function(e)
  return (sum(bpf.iter.take(5, e.map:entries())))
end, right = function(_, n) return n == 5 end }
add { name = "bpf.iter.chunk", run = function(e)
  local n = 0
  for list in bpf.iter.chunk(7, e.map:entries()) do n = n + #list end
  return n
end, right = function(e, n) return n == e.N end }
add { name = "bpf.iter.lazy", run = function(e)
  return sum(bpf.iter.lazy(function()
    for key in e.map:entries() do coroutine.yield(key) end
  end))
end, right = sums_to(40, 820) }

-- ---- handles ---------------------------------------------------------------------

add { name = "map:info", run = function(e) return e.map:info() end,
  right = function(e, info) return info.type == "hash" and info.max_entries == 2 * e.N end }
add { name = "map:pin", setup = function(e)
  e.map = e:filled()
  e.at = e:pin()
end, renew = without_pin, ends = "^pin ", run = function(e) return e.map:pin(e.at) end,
  right = function(e)
  local again <close> = assert(bpf.open(e.at))
  return again == e.map and e.map:unpin()
end }
add { name = "map:unpin", setup = with_pin, run = function(e) return e.map:unpin() end,
  once = true, keeps = "^pin " }
add { name = "map:freeze", run = function(e) return e.map:freeze() end, once = true }
add { name = "map:fd", run = function(e) return e.map:fd() end,
  right = function(_, fd) return fd >= 0 end }
add { name = "map:close", run = function(e)
  local map, message, errno = bpf.open { fd = e.map:fd() }
  if not map then return nil, message, errno end
  return map:close()
end }
add { name = "map:head", run = function(e) return e.map:head(3) end,
  right = function(_, list) return #list == 3 and #tostring(list) > 0 end }
add { name = "map:describe", run = function(e) return e.map:describe() end,
  right = function(_, about) return about.key and about.value and #tostring(about) > 0 end }

-- ---- help ------------------------------------------------------------------------

local function yes() return true end

add { name = "bpf.vertical", right = function(_, text) return #tostring(text) > 0 end,
  run = function(e) return bpf.vertical { map = tostring(e.map) } end }
add { name = "bpf.help", prints = true, setup = nothing, right = yes,
  run = function() return bpf.help "map:select" end }
add { name = "map:help", prints = true, right = yes,
  run = function(e) return e.map:help "select" end }
