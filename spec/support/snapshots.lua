-- SPDX-License-Identifier: MIT
--
-- What specs of snapshots, their differences and maps rebuilt from them share.

local core = require "luabpf.core"
local helper = require "spec.support.helper"
local json = require "luabpf.file.json"
local snapshot = require "luabpf.file.snapshot"

local support = {}

support.VALUE = { "u64 bytes", "s32 change", "u16 small:4", "u16 rest:12", "ipv4 via",
  { name = "inner", "u8 list[2]", "char text[6]" } }

-- The same numbers in every run: from 1 to n.
local state = 42

function support.random(n)
  state = (state * 6364136223846793005 + 1442695040888963407) & math.maxinteger
  return (state >> 32) % n + 1
end

function support.random_bytes(n)
  local parts = {}
  for i = 1, n do parts[i] = string.char(support.random(256) - 1) end
  return table.concat(parts)
end

local paths = {}

-- A name for a file that goes when the test ends. In memory: thousands are written.
function support.new_path()
  local path = "/dev/shm/" .. helper.name()
  paths[#paths + 1] = path
  return path
end

function support.clean_up()
  helper.close_all()
  for _, path in ipairs(paths) do os.remove(path) end
  paths = {}
end

-- The map's entries, in a file, by blocks of batch_size.
function support.save(map, path, batch_size)
  local file <close> = assert(io.open(path, "w"))
  local writer <close> = assert(snapshot.writer { map = map, fd = file })
  for batch in map:batches(batch_size) do assert(writer:add(batch)) end
  return assert(writer:finish())
end

function support.read(path)
  local file <close> = assert(io.open(path, "rb"))
  return file:read("a")
end

function support.write(path, text)
  local file <close> = assert(io.open(path, "wb"))
  assert(file:write(text))
end

-- A value as text, so that tables can be compared as keys of others.
function support.text_of(value)
  if type(value) ~= "table" then return ("%s:%s"):format(math.type(value) or type(value), value) end
  local names, parts = {}, {}
  for name in pairs(value) do names[#names + 1] = name end
  table.sort(names, function(a, b) return tostring(a) < tostring(b) end)
  for i, name in ipairs(names) do
    parts[i] = tostring(name) .. "=" .. support.text_of(value[name])
  end
  return "{" .. table.concat(parts, ",") .. "}"
end

-- What an iterator of key and value gives: text of the key to text of the value, and how many.
function support.collect(...)
  local all, n = {}, 0
  for key, value in ... do
    key = support.text_of(key)
    assert(all[key] == nil, "a key came twice")
    all[key], n = support.text_of(value), n + 1
  end
  return all, n
end

function support.structs(n, given)
  local options = { key = { "ipv4 addr", "be16 port" }, value = support.VALUE, max_entries = n }
  for name, value in pairs(given or {}) do options[name] = value end
  local map = helper.map(options)
  for i = 1, n do
    assert(map:update({ addr = "10.0.0." .. i % 200, port = i }, { bytes = i * 1000, change = -i,
      small = i % 16, rest = i % 4096, via = "192.168.0.1",
      inner = { list = { i % 256, 7 }, text = "ab" } }))
  end
  return map
end

function support.message_of(f, ...)
  local ok, err = pcall(f, ...)
  assert(not ok, "nothing was raised")
  return tostring(err)
end

-- Writes a file of a per-CPU hash map of u32 with that many CPUs, which has one entry: key 5.
function support.save_percpu(path, ncpu, packed)
  local real = helper.map { type = "percpu_hash", value = "u32" }:snapshot()
  local header = json.decode((core.snapshot_header(real)))
  header.ncpu = ncpu
  local handle = core.detached { type = 5, name = "x", key_size = 4, value_size = 4, ncpu = ncpu }
  local file <close> = assert(io.open(path, "w"))
  local writer <close> = assert(core.snapshot_writer { fd = file, handle = handle,
    header = json.encode(header) })
  local same_size = helper.map { value_size = 8 * ncpu }
  same_size:update(5, packed)
  for batch in same_size:batches() do assert(writer:add(batch)) end
  assert(writer:finish())
end

return support
