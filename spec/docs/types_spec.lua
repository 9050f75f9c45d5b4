-- SPDX-License-Identifier: MIT
--
-- types/luabpf.lua, the declarations for editors, names every function of the
-- module and every method of its classes, and none that there is not.

local bpf = require "luabpf"
local core = require "luabpf.core"
require "luabpf.file.snapshot" -- its class is complete then

-- Classes that users do not meet.
local INTERNAL <const> = { ["luabpf.cursor"] = true, ["luabpf.layout"] = true,
  ["luabpf.query"] = true, ["luabpf.rows"] = true, ["luabpf.agg"] = true, ["luabpf.topn"] = true,
  ["luabpf.snapshot_writer"] = true, ["luabpf.snapshot_cursor"] = true,
  ["luabpf.snapshot_diff"] = true,
  ["luabpf.decoder"] = true, ["luabpf.workers"] = true, ["luabpf.crew"] = true,
  ["luabpf.store"] = true,
  ["luabpf.row_writer"] = true, ["luabpf.row_reader"] = true, ["luabpf.output"] = true }

-- The functions that the file declares: names by table ("bpf", "map", ...).
local function declared()
  local names = setmetatable({}, { __index = function(all, table)
    all[table] = {}
    return all[table]
  end })
  for line in io.lines "types/luabpf.lua" do
    local table, name = line:match "^function (%w+)[.:]([%w_]+)"
    if table then names[table][name] = true end
  end
  return names
end

-- The names of what can be called in a table.
local function callable(functions)
  local names = {}
  for name, value in pairs(functions) do
    local meta = getmetatable(value)
    if type(value) == "function" or type(value) == "table" and meta and meta.__call then
      names[name] = true
    end
  end
  return names
end

describe("the declarations for editors", function()
  local names = declared()

  it("have every function of the module", function()
    assert.same(callable(bpf), names.bpf)
  end)

  it("have every function of bpf.iter", function()
    assert.same(callable(bpf.iter), names.iter)
  end)

  for class, methods in require "pl.tablex".sort(core.classes) do
    if not INTERNAL[class] then
      it("have every method of " .. class, function()
        assert.same(callable(methods), names[class:match "%w+$"])
      end)
    end
  end
end)
