-- SPDX-License-Identifier: MIT
--
-- What the options of the tracker's methods ask for, as an expression of the language
-- of docs/expressions.md and its parameters. The names of the tracker's own parameters
-- begin with ct_.

local endpoint = require "luabpf.conntrack.endpoint"

local condition = {}
condition.__index = condition

-- Of the caller's text, if there is any.
function condition.new(given)
  local self = setmetatable({ terms = {}, params = {} }, condition)
  for name, value in pairs(given.params or {}) do self.params[name] = value end
  if type(given.where) == "string" then self:add("(" .. given.where .. ")") end
  return self
end

-- Adds a term, and the value of a parameter that it has.
function condition:add(term, name, value)
  self.terms[#self.terms + 1] = term
  if name then self.params[name] = value end
end

-- The whole as text; nil for nothing.
function condition:text()
  return self.terms[1] and table.concat(self.terms, " and ")
end

-- Takes an endpoint apart that must be one. Errors blame the caller of the method that calls this.
function condition.endpoint(text, what)
  if type(text) ~= "string" then
    error(("%s: an endpoint such as \"10.0.0.1:80\" expected, got %s"):format(what, type(text)), 3)
  end
  local addr, port = endpoint.parse(text)
  if addr or port then return { addr = addr, port = port } end
  error(("%s: %q is no endpoint; write \"10.0.0.1:80\", \"[::1]:80\", an address or \":80\"")
    :format(what, text), 3)
end

-- Says of each of the ends that it is, at a or b, or the other way round.
function condition:add_ends(ends)
  local ways = {}
  for way, sides in ipairs { { "a", "b" }, { "b", "a" } } do
    local parts = {}
    for i, each in ipairs(ends) do
      for _, field in ipairs { "addr", "port" } do
        local name = ("ct_%s%d"):format(field, i)
        self.params[name] = each[field]
        if each[field] then
          parts[#parts + 1] = ("key.%s.%s == $%s"):format(sides[i], field, name)
        end
      end
    end
    ways[way] = "(" .. table.concat(parts, " and ") .. ")"
  end
  self:add("(" .. table.concat(ways, " or ") .. ")")
end

return condition
