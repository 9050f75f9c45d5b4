-- SPDX-License-Identifier: MIT
--
-- Every public operation, as fault injection tries it: a list of tables with
--
--   name      the function of docs/reference.md that it is for; `as` tells several apart
--   setup     function(e): makes what it works on; without it: e.map, a hash of 1 to 40, ten
--             times the key as the value
--   run       function(e): the operation itself
--   right     function(e, ...): whether what run returned is the right answer; without it: that
--             it is not nil or false. Not called where the system refused
--   after     function(e, refused): what must hold after either; raises if it does not
--   keeps     a pattern: files that a failure may leave in e.folder
--   makes     a pattern: what it makes, whole. What is raised later, by a hook or memory, does not
--             undo it
--   ends      a pattern: what it makes, where a hook that raises as it ends
--             leaves it
--   waits     a signal that a handler takes ends it
--   prints    it writes to standard output
--   once      what cannot be tried a second time on the same handles
--   renew     function(e): puts back what run changed, before each time
--   probes    libbpf finds out in it what the kernel has, and remembers that for the whole process:
--             after a fault it may be refused for good
--   alone     a child must not do it as well
--
-- and e, made for each try, with functions that make things which are closed or removed after it:
-- see environment.lua. scripts/lint checks that every function of the reference is in the list.

local operations = {}

local list = {}
local part

--- Adds one. What only reads can be tried by several processes at once, and its answer tells
-- whether it is right without a look at the map.
function operations.add(operation)
  operation.shared = part == "queries" or part == "batches"
  operation.pure = operation.shared and not operation.renew and not operation.makes
  operation.title = operation.name .. (operation.as and " (" .. operation.as .. ")" or "")
  list[#list + 1] = operation
end

--- The list.
function operations.all()
  for _, name in ipairs { "module", "entries", "batches", "queries", "files", "objects",
    "events", "conntrack" } do
    part = name
    require("spec.support.faults.operations." .. name)
  end
  return list
end

return operations
