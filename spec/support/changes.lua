-- SPDX-License-Identifier: MIT
--
-- Random Lua functions that assign to fields of the value: as functions.lua, with other statements.

local functions = require "spec.support.functions"

local changes = setmetatable({}, { __index = functions })
changes.__index = changes

function changes.new(seed)
  return setmetatable(functions.new(seed), changes)
end

local FIELDS <const> = { ".packets", ".i1", ".i2", ".i3", ".i4", ".b1", ".b2", ".sub.x", ".sub.y",
  ".other.z", ".n[1]", ".m[2]" }

local function add(self, indent, format, ...)
  self.out[#self.out + 1] = ("  "):rep(indent) .. format:format(...)
end

-- Mostly of what fits in all of them.
local function small(self)
  return ("(%s) & %d"):format(self:integer(self:int(0, 2)), self:pick { 1, 7, 15, 63 })
end

local assignments = {
  function(self, field) return self:int(1, 3) == 1 and self:integer(1) or small(self), field end,
  function(self, field) return field .. self:pick { " + ", " - " } .. self:integer(0), field end,
  function(self) return "value.packets + " .. self:integer(1), "value.packets" end,
  function(self, field) return field .. " // " .. self:pick { "2", "3", "-2" }, field end,
  function(self, field) return "value" .. self:pick(FIELDS), field end,
  function(self)
    return self:pick { "true", "false", "not value.alive", self:condition(1), "3", "1" },
      "value.alive"
  end,
  function(self)
    return self:pick { "'new'", "'up'", "'upx'", "'down'", "5", "value.state", "'nope'", "1" },
      "value.state"
  end,
  function(self)
    return self:pick { "'ng'", "value.comm", "'too long for any of them'" }, "value.comm"
  end,
  function(self, field) return self:pick { "nil", "1.0", "1.5", "'7'", "value.alive" }, field end,
  function(self) return self:integer(0), self:pick { "value.nothing", "value.n[9]", "key.lev" } end,
}

-- How often each is taken, of 30.
local OFTEN <const> = { 9, 15, 18, 20, 23, 26, 28, 29, 30 }

local function assign(self, indent)
  local n, which = self:int(1, 30), 1
  while OFTEN[which] and n > OFTEN[which] do which = which + 1 end
  -- What no path survives is rare.
  if which >= 8 and self:int(1, 3) > 1 then which = 1 end
  local value, field = assignments[which](self, "value" .. self:pick(FIELDS))
  local case = self:int(1, 12)
  if case == 1 then
    add(self, indent, "bump(value, %s)", self:integer(0))
  elseif case == 2 then
    local a, b = "value" .. self:pick(FIELDS), "value" .. self:pick(FIELDS)
    add(self, indent, "%s, %s = %s, %s", a, b, b, a)
  elseif case <= 4 then
    add(self, indent, "if %s then %s = %s end", self:condition(1), field, value)
  else
    add(self, indent, "%s = %s", field, value)
  end
end

function changes:statement(d, indent)
  if self:int(1, 10) <= 5 then return functions.statement(self, d, indent) end
  assign(self, indent)
end

local TAIL <const> = [[
local function bump(v, x)
  v.packets = v.packets + 1
  if x > 3 then v.sub.x = (v.sub.x + 1) & 255 else v.other.z = x & 127 end
end
return function(key, value)
]]

--- The text of a function, as functions:source.
function changes:source()
  self.scope, self.names, self.out = { vars = {}, set = {}, cpus = {} }, 0, {}
  for _ = 1, self:int(1, 4) do self:statement(2, 1) end
  assign(self, 1)
  return functions.HEAD .. TAIL .. table.concat(self.out, "\n") .. "\nend\n"
end

return changes
