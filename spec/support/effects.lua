-- SPDX-License-Identifier: MIT
--
-- Random Lua functions that give rows, groups or change accumulators: as functions.lua, with other
-- results and statements.

local functions = require "spec.support.functions"

local effects = setmetatable({}, { __index = functions })
effects.__index = effects

--- A generator. kind: "columns", "group" or "fold".
function effects.new(seed, kind)
  local self = setmetatable(functions.new(seed), effects)
  self.kind = kind
  return self
end

local NAMES <const> = { "a", "b", "c", "d" }

-- By column, what it may be: of one type mostly.
local function value_for(self, name)
  local n = self:int(1, 30)
  if n == 1 then return "nil" end
  if n == 2 then return self:integer(1) .. " / 2" end
  if n == 3 then return "'t' .. key.id" end
  if name == "a" or name == "b" then return self:integer(self:int(0, 2)) end
  if name == "c" then
    return ("(%s) %s"):format(self:condition(1),
      self:pick { "and true or false", "and true or nil" })
  end
  local fields = { "key.addr", ".comm", ".hw", ".any", ".raw", ".net", ".state", "'one'" }
  self.field_text = self.field_text or self:pick(fields)
  local field = self:int(1, 12) == 1 and self:pick(fields) or self.field_text
  return field:find "^%." and self:value() .. field or field
end

local function table_text(self)
  local parts = { self.kind == "columns" and "id = key.id" or nil }
  for _, name in ipairs(NAMES) do
    if self:int(1, 3) > 1 then
      parts[#parts + 1] = ("%s = %s"):format(name, value_for(self, name))
    end
  end
  return "{ " .. table.concat(parts, ", ") .. " }"
end

--- What a path returns.
function effects:answer(text)
  if self.kind == "fold" then return text end
  if self.kind == "columns" then return self:int(1, 3) == 1 and "row" or table_text(self) end
  self.whole = self.whole or self:pick { "a", "a", "c", "d", "table" }
  if self.whole == "table" then return self:int(1, 3) == 1 and "row" or table_text(self) end
  return value_for(self, self.whole)
end

local function add(self, indent, format, ...)
  self.out[#self.out + 1] = ("  "):rep(indent) .. format:format(...)
end

local ACC <const> = { "acc.n", "acc.sum", "acc.most", "acc[1]" }

local function fold_statement(self, indent)
  local a, b = self:pick(ACC), self:pick(ACC)
  local case = self:int(1, 12)
  if case <= 5 then
    add(self, indent, "%s = %s %s %s", a, a, self:pick { "+", "-", "~", "*" }, self:integer(1))
  elseif case <= 7 then
    add(self, indent, "if %s %s %s then %s = %s end", self:integer(0), self:pick { "<", ">", "==" },
      b, a, self:integer(1))
  elseif case == 8 then
    add(self, indent, "%s, %s = %s, %s", a, b, b, a)
  elseif case == 9 then
    add(self, indent, "%s = math.max(%s, %s)", a, b, self:integer(1))
  elseif case == 10 then
    add(self, indent, "bump(acc, %s)", self:integer(0))
  elseif case == 11 then
    add(self, indent, "if %s then %s = %s end", self:condition(1), a, self:integer(1))
  else
    add(self, indent, "local held = %s %s = %s + held", a, b, self:integer(0))
  end
end

function effects:statement(d, indent)
  if self:int(1, 10) <= 6 then return functions.statement(self, d, indent) end
  if self.kind == "fold" then return fold_statement(self, indent) end
  local name = self:pick(NAMES)
  add(self, indent, "row.%s = %s", name, value_for(self, name))
end

local TAIL <const> = {
  fold = "local function bump(acc, x) if x > 3 then acc.n = acc.n + 1 else acc.sum = x end end\n"
    .. "return function(acc, key, value)\n",
  columns = "return function(key, value)\n  local row = { id = key.id }\n",
  group = "return function(key, value)\n  local row = {}\n",
}

--- The text of a function, as functions:source.
function effects:source(percpu)
  self.percpu, self.scope, self.names, self.out = percpu, { vars = {}, set = {}, cpus = {} }, 0, {}
  self.field_text, self.whole = nil, nil
  for _ = 1, self:int(1, 4) do self:statement(2, 1) end
  if self.kind == "fold" then
    fold_statement(self, 1)
  else
    add(self, 1, "return %s", self:answer "")
  end
  return functions.HEAD .. TAIL[self.kind] .. table.concat(self.out, "\n") .. "\nend\n"
end

--- Accumulators for a fold.
function effects:accumulators()
  return { n = self:int(0, 5), sum = self:any_int(), most = self:int(-3, 3), self:int(0, 9) }
end

return effects
