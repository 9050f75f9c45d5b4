-- SPDX-License-Identifier: MIT

--- Differences of snapshots: which pairs can be compared, and the iterator over what
-- snapdiff.c finds.
--
-- @module luabpf.file.difference

local core = require "luabpf.core"
local defaults = require "luabpf.base.defaults"
local options = require "luabpf.base.options"
local snapshot = require "luabpf.file.snapshot"

local class = core.classes["luabpf.snapshot"]

-- A text that is the same for descriptions of the same fields, whatever their types are called.
local function shape_of(desc)
  if not desc then return "bytes" end
  local parts = { desc.kind, desc.size, desc.signed and "s" or "", desc.big and "b" or "",
    desc.n or "", desc.elem and shape_of(desc.elem) or "" }
  for _, field in ipairs(desc.fields or {}) do
    parts[#parts + 1] = ("%s@%d:%d=(%s)"):format(field.name or "", field.bit, field.bits or 0,
      shape_of(field.type))
  end
  return table.concat(parts, " ")
end

-- Why entries of the two cannot be compared, or nil.
local function unlike(new, old)
  if new.damage or old.damage then return "a damaged snapshot lacks entries that were there" end
  for _, what in ipairs { "key", "value" } do
    local size = what .. "_size"
    if new[size] ~= old[size] then
      return ("the %ss have %d and %d bytes"):format(what, new[size], old[size])
    elseif shape_of(new[what]) ~= shape_of(old[what]) then
      return ("the %ss have different layouts"):format(what)
    end
  end
  if new.ncpu ~= old.ncpu then
    return ("the values are of %d and %d CPUs"):format(new.ncpu, old.ncpu)
  end
  return new.key_size == 0 and "entries without keys" or nil
end

--- One thing that has changed between two snapshots.
-- @table difference
-- @tfield "added"|"removed"|"changed" status what became of the key
-- @tfield data key the key
-- @tfield[opt] data old the value before, where there was one
-- @tfield[opt] data new the value now, where there is one
-- @tfield[opt] data delta of what changed the value's integer fields, new minus old; of per-CPU
--   values the sums over the CPUs

--- What has changed since an older snapshot of the same map, or of one with the same key and
-- value.
-- @function snapshot:diff
-- @tparam snapshot old the older one
-- @tparam[opt="64MiB"] size options.memory for the entries of the smaller one; with less both are
--   read several times
-- @treturn fun():difference? an iterator of differences, in no order
-- @raise snapshots that cannot be compared; an error object where a block is damaged
-- @usage
-- local before <close> = assert(map:snapshot())
-- map:delete { addr = "10.0.0.1", port = 1 }
-- local after <close> = assert(map:snapshot())
-- for change in after:diff(before) do print(change.status, change.key.port) end -- removed, 1
function class:diff(old, given)
  given = options.check("diff", given, options.of "snapshot:diff")
  snapshot.check(self, "diff", 3)
  snapshot.check(old, "diff", 3)
  local memory = options.size(given.memory or defaults.memory, "diff: option 'memory'", 2)
  local why = unlike(self:header(), old:header())
  if why then error("diff: " .. why, 2) end
  local diff = core.snapshot_diff(self, old, memory)
  return function() return diff:next() end, nil, nil, diff
end
