-- SPDX-License-Identifier: MIT
--
-- Operations on one entry, and on many given ones.

local operations = require "spec.support.faults.operations"

local add = operations.add

local function queue(e)
  e.map = e:make { type = "queue", keyless = true }
  for i = 1, 3 do assert(e.map:push(i)) end
end

local function bloom(e)
  e.map = e:make { type = "bloom_filter", keyless = true }
  assert(e.map:push(7))
end

local function refill(e) e:fill(e.map) end

-- Nothing but what run may have changed: keys from 41 on are its own.
local function others_stay(e)
  local all = e:contents(e.map)
  for i = 4, e.N do assert(all[i] == i * 10, "an entry has changed") end
end

add { name = "map:lookup", run = function(e) return e.map:lookup(7) end,
  right = function(_, value) return value == 70 end }
add { name = "map:lookup", as = "absent", run = function(e) return e.map:lookup(77) end,
  right = function(_, value) return value == nil end }
add { name = "map:lookup", as = "per CPU", setup = function(e)
  e.map = e:make { type = "percpu_array", max_entries = 3 }
end, run = function(e) return e.map:lookup(2) end,
  right = function(_, values) return values[1] == 0 end }
add { name = "map:update", run = function(e) return e.map:update(41, 410) end,
  after = others_stay, right = function(e) return e.map:lookup(41) == 410 end }
add { name = "map:update", as = "noexist",
  run = function(e) return e.map:update(1, 0, "noexist") end, after = function(e)
    assert(e:is_whole(e.map), "an entry has changed")
  end, right = function(_, stored) return stored == false end }
add { name = "map:delete", renew = refill, run = function(e) return e.map:delete(1) end,
  after = others_stay, right = function(e) return e.map:lookup(1) == nil end }
add { name = "map:take", renew = refill, run = function(e) return e.map:take(1) end,
  after = others_stay,
  right = function(e, value) return value == 10 and e.map:lookup(1) == nil end }
add { name = "map:next", run = function(e)
  local n, last = 0, nil
  repeat
    local key, message, errno = e.map:next(last)
    if message then return nil, message, errno end
    n, last = n + 1, key
  until not key
  return n
end, right = function(e, n) return n == e.N + 1 end }
add { name = "map:push", alone = true, setup = queue, run = function(e) return e.map:push(4) end }
add { name = "map:push", as = "bloom filter", setup = bloom,
  run = function(e) return e.map:push(8) end, right = function(e) return e.map:peek(8) end }
add { name = "map:pop", alone = true, setup = queue, renew = function(e)
  while e.map:pop() do end
  for i = 1, 3 do assert(e.map:push(i)) end
end, run = function(e) return e.map:pop() end,
  right = function(_, value) return value == 1 or value == 2 end }
add { name = "map:peek", setup = queue, run = function(e) return e.map:peek() end,
  right = function(_, value) return value == 1 end }
add { name = "map:peek", as = "bloom filter", setup = bloom,
  run = function(e) return e.map:peek(7) end }

-- ---- many entries ------------------------------------------------------------------

local KEYS <const> = { 1, 2, 3, 77 }

local function lookup_batch(e, options)
  return e.map:lookup_batch(KEYS, options)
end

local function found_three(_, values, n)
  return n == 3 and values[1] == 10 and values[3] == 30 and values[4] == nil
end

add { name = "map:lookup_batch", run = lookup_batch, right = found_three }
add { name = "map:lookup_batch", as = "an LRU map, touched", setup = function(e)
  e.map = e:filled { type = "lru_hash", max_entries = 400 }
end, run = function(e) return lookup_batch(e, { touch = true }) end, right = found_three }
add { name = "map:lookup_batch", as = "a trie", setup = function(e)
  e.map = e:make { type = "lpm_trie", key = "prefix4" }
  assert(e.map:update("10.0.0.0/8", 5))
end, run = function(e) return e.map:lookup_batch { "10.0.0.0/8", "11.0.0.0/8" } end,
  right = function(_, values, n) return n == 1 and values[1] == 5 end }
add { name = "map:lookup_batch", as = "packed", run = function(e)
  return e.map:lookup_batch(("<I4I4"):pack(1, 77), { status = true })
end, right = function(_, batch, n)
  return n == 1 and batch:value(1) == 10 and batch:value(2) == nil
end }

-- Stored: keys 41 to 44, and 1 to 3 anew.
local NEW <const> = { 1, 2, 3, 41, 42, 43, 44 }
local VALUES <const> = { 10, 20, 30, 410, 420, 430, 440 }

local function all_stored(e)
  local all = e:contents(e.map)
  for i, key in ipairs(NEW) do
    if all[key] ~= VALUES[i] then return false end
  end
  return true
end

for _, mode in ipairs { "any", "noexist", "exist" } do
  local stored = mode == "any" and 7 or mode == "noexist" and 4 or 3
  add { name = "map:update_batch", as = mode, renew = refill, after = others_stay,
    run = function(e) return e.map:update_batch(NEW, VALUES, { mode = mode }) end,
    right = function(e, n) return n == stored and (mode == "exist" or all_stored(e)) end }
end
add { name = "map:update_batch", as = "an array", setup = function(e)
  e.map = e:make { type = "array", max_entries = 50 }
end, run = function(e) return e.map:update_batch(NEW, VALUES) end,
  right = function(e, n) return n == 7 and all_stored(e) end }
add { name = "map:upsert_batch", renew = refill, after = others_stay,
  run = function(e) return e.map:upsert_batch(NEW, VALUES) end,
  right = function(e, done)
    return done.inserted == 4 and done.updated == 3 and all_stored(e)
  end }
add { name = "map:delete_batch", renew = refill, after = others_stay,
  run = function(e) return e.map:delete_batch { 1, 77, 2, 3 } end,
  right = function(e, deleted, missing)
    return deleted == 3 and missing == 1 and not e.map:lookup(3)
  end }
add { name = "map:delete_batch", as = "if equal", renew = refill, after = others_stay,
  run = function(e) return e.map:delete_batch({ 1, 77, 2, 3 }, { if_equal = { 10, 0, 20, 9 } }) end,
  right = function(e, deleted, missing, changed)
    return deleted == 2 and missing == 1 and changed == 1 and e.map:lookup(3) == 30
  end }
add { name = "map:clear", renew = refill, run = function(e) return e.map:clear() end,
  right = function(e, n) return n == e.N and e.map:next() == nil end }
add { name = "map:clear", as = "an array", setup = function(e)
  e.map = e:make { type = "array", max_entries = 50 }
  e.map:update(3, 3)
end, run = function(e) return e.map:clear() end,
  right = function(e) return e.map:lookup(3) == 0 end }
