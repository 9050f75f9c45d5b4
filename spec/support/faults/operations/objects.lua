-- SPDX-License-Identifier: MIT
--
-- Objects, programs, links. Each try has its own; the interface lo is one of a network namespace
-- of the harness, the cgroup one that it made.

local bpf = require "luabpf"
local operations = require "spec.support.faults.operations"

local add = operations.add

local OBJECT <const> = "bpf/objects.bpf.o"

-- What only the very end of the call before has left.
local function without_pin(e) os.remove(e.at) end

local function loaded(e)
  e.object = e:own(assert(bpf.load(OBJECT)))
  e.program = e.object.programs.count_egress
end

local function attached(e)
  loaded(e)
  e.link = e:own(assert(e.program:attach { cgroup = e.cgroup }))
end

add { name = "bpf.load", probes = true, setup = function() end,
  run = function() return bpf.load(OBJECT, { globals = { step = 3 } }) end,
  right = function(e, object)
    e:own(object)
    return object.globals.step == 3 and object.maps.points:describe().value ~= nil
      and object.programs.called:info().type ~= nil
  end }

add { name = "bpf.load", as = "with layouts", probes = true, setup = function() end,
  run = function()
    return bpf.load("bpf/addresses.bpf.o", { maps = { flows = { key = { "ipv4 saddr" } } } })
  end,
  right = function(e, object)
    e:own(object)
    return object.maps.flows:describe().key.fields[1].type.kind == "ipv4"
  end }

add { name = "bpf.load", as = "with a pin", probes = true, setup = function(e) e.at = e:pin() end,
  run = function(e) return bpf.load(OBJECT, { maps = { points = { pin = e.at } } }) end,
  right = function(e, object)
    e:own(object)
    return object.maps.points:unpin()
  end, renew = without_pin, ends = "^pin " }

add { name = "object:close", probes = true, setup = function() end, run = function()
  local object, message, errno = bpf.load(OBJECT, { maps = { points = { max_entries = 2 } } })
  if not object then return nil, message, errno end
  return object:close()
end }

local function on_program(operation)
  operation.setup = operation.setup or loaded
  add(operation)
end

on_program { name = "program:info", run = function(e) return e.program:info() end,
  right = function(_, info) return info.name == "count_egress" end }
on_program { name = "program:fd", run = function(e) return e.program:fd() end }
on_program { name = "program:close", run = function(e) return e.program:close() end, once = true }
on_program { name = "program:pin", setup = function(e)
  loaded(e)
  e.at = e:pin()
end, run = function(e) return e.program:pin(e.at) end, renew = without_pin, ends = "^pin ",
  right = function(e) return os.remove(e.at) end }
on_program { name = "program:run", run = function(e)
  return e.object.programs.count_xdp:run { data = ("\0"):rep(64) }
end, right = function(_, result) return result.retval == 2 and #result.data == 64 end }
on_program { name = "bpf.open_program", setup = function(e)
  loaded(e)
  e.at = e:pin()
  assert(e.program:pin(e.at))
end, run = function(e) return bpf.open_program(e.at) end,
  right = function(e, program) return e:own(program):info().name == "count_egress" end }

-- No descriptor keeps a filter: what an error has left goes with the next collection. One that
-- stays is taken away, or every later try had it.
local function no_filter(e)
  collectgarbage()
  if not e:filters() then return end
  os.execute "tc qdisc del dev lo clsact"
  error "a filter stays"
end

-- A child that was limited to nothing cannot take its filter away.
local function without_filters(e)
  os.execute "tc qdisc del dev lo clsact 2>/dev/null"
  loaded(e)
end

-- An attachment, which must be gone when its link is closed.
local function attach(as, program, options)
  on_program { name = "program:attach", as = as,
    setup = as == "tc" and without_filters or nil, run = function(e)
    local given = options and {}
    for name, value in pairs(options or {}) do
      given[name] = name == "cgroup" and e.cgroup or value
    end
    return e.object.programs[program]:attach(given)
  end, right = function(e, link) return e:own(link):close() end,
    after = as == "tc" and no_filter or nil }
end

attach("cgroup", "count_egress", { cgroup = true })
attach("xdp", "count_xdp", { xdp = "lo" })
attach("tc", "count_tc", { tc = "lo" })
attach("raw tracepoint", "count_raw")

on_program { name = "link:info", setup = attached, run = function(e) return e.link:info() end,
  right = function(_, info) return info.type == "cgroup" end }
on_program { name = "link:fd", setup = attached, run = function(e) return e.link:fd() end }
on_program { name = "link:detach", setup = attached, run = function(e) return e.link:detach() end,
  once = true }
on_program { name = "link:close", setup = attached, run = function(e) return e.link:close() end,
  once = true }
on_program { name = "link:close", as = "tc", setup = function(e)
  without_filters(e)
  e.link = e:own(assert(e.object.programs.count_tc:attach { tc = "lo" }))
end, run = function(e) return e.link:close() end, once = true,
  after = function(e, refused)
    e.link = refused and e.link
    if refused then e.link:close() end
    no_filter(e)
  end }
on_program { name = "link:pin", setup = function(e)
  attached(e)
  e.at = e:pin()
end, run = function(e) return e.link:pin(e.at) end, renew = without_pin, ends = "^pin ",
  right = function(e) return os.remove(e.at) end }
on_program { name = "bpf.open_link", setup = function(e)
  attached(e)
  e.at = e:pin()
  assert(e.link:pin(e.at))
end, run = function(e) return bpf.open_link(e.at) end,
  right = function(e, link) return e:own(link):info().type == "cgroup" end }

for name, handle in pairs { object = "object", program = "program", link = "link" } do
  on_program { name = name .. ":help", prints = true, setup = attached,
    run = function(e) return e[handle]:help "close" end, right = function() return true end }
end
