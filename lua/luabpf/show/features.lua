-- SPDX-License-Identifier: MIT

--- What the running kernel has of what luabpf can use.
--
-- @module luabpf.show.features

local canary = require "luabpf.function.canary"
local core = require "luabpf.core"
local show = require "luabpf.show.show"

-- Source: linux/bpf.h, enum bpf_prog_type and enum bpf_func_id.
local SYSCALL_PROGRAM <const> = 31
local HELPERS = {
  { "for_each_map_elem", 164, "5.13", "queries run inside the kernel" },
  { "loop", 181, "5.17", "many keys in one system call" },
  { "map_lookup_percpu_elem", 195, "5.19", "sums over CPUs inside the kernel" },
  { "dynptr_read", 201, "5.19", "rows of more than 512 bytes" },
}

local function text(features)
  local rows = {}
  for _, row in ipairs(features.list) do
    local has = row.present
    rows[#rows + 1] = { row.name, has == nil and "unknown" or has and "yes" or "no", row.since,
      row.use }
  end
  local head = ("Linux %s, %d CPUs"):format(features.kernel, features.cpus)
  if features.missing_privileges then
    head = head .. "; this process lacks " .. features.missing_privileges
  end
  return head .. "\n\n" .. show.table({ "feature", "present", "since", "for" }, rows)
end

local function add(features, name, present, since, use)
  features[name] = present
  features.list[#features.list + 1] = { name = name, present = present, since = since, use = use }
end

--- What `bpf.features` found: a field for each feature, and these.
-- @table features
-- @tfield string kernel the kernel's release
-- @tfield integer cpus how many CPUs are possible
-- @tfield[opt] string missing_privileges the capabilities that this process lacks; nil for none
-- @tfield table<string,boolean> map_types by name, whether the kernel has the type

--- What this kernel has, found by trying: true, false, or nil where this process may not find out.
-- Prints as a table.
-- @function bpf.features
-- @treturn features the findings
-- @usage
-- print(bpf.features().kernel)
return function()
  local features = { kernel = core.release(), cpus = core.cpus(), list = {}, map_types = {},
    missing_privileges = core.missing_privileges() }
  add(features, "syscall_programs", core.probe_program_type(SYSCALL_PROGRAM), "5.14",
    "queries run inside the kernel")
  for _, helper in ipairs(HELPERS) do
    local name, number, since, use = table.unpack(helper)
    add(features, name, core.probe_helper(SYSCALL_PROGRAM, number), since, use)
  end
  add(features, "functions", canary.obstacle() == nil, "Lua 5.4",
    "Lua functions run inside the kernel")
  for _, kind in ipairs(core.maptypes) do
    features.map_types[kind.name] = core.probe_map_type(kind.id)
  end
  return show.printable(features, text)
end
