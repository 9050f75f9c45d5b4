-- SPDX-License-Identifier: MIT
--
-- Whether a function is compiled as it should be and then says what Lua says, in the kernel
-- and the batch engine.

local bpf = require "luabpf"
local helper = require "spec.support.helper"

local agree = {}

--- A map of fields of all kinds.
function agree.map()
  local map = assert(bpf.create { type = "hash", name = helper.name(), max_entries = 300,
    key = { "u32 id", "ipv4 addr", "u16 port" }, value = { "u64 packets", "s32 delta",
      "char comm[8]", "char name[16]", "bool on", "enum8 state { new = 0, up = 1, upx = 1 }",
      "u32 n[3]", "ip peer", { name = "sub", "s8 x" } } })
  for i = 1, 200 do
    assert(map:update({ id = i, addr = "10.0." .. i % 3 .. ".1", port = i % 50 },
      { packets = i * 1000003 % 97, delta = i % 7 - 3, comm = i % 2 == 0 and "nginx" or "ng",
        name = i % 5 == 0 and "sixteen letters." or "x", on = i % 3 == 0, state = i % 4 == 0 and 5
        or i % 2, n = { i % 3, 2, i }, peer = i % 2 == 0 and "10.0.0.1" or "2001:db8::1",
        sub = { x = -(i % 100) } }))
  end
  return map
end

--- Raises unless a function is compiled so (true, "partly") and all agree on how many match.
function agree.on(map, f, compiled)
  local wanted = map:count(f, { compile = false })
  for _, engine in ipairs { "kernel", "batch" } do
    local n, report = map:count(f, { engine = engine })
    if report.compiled ~= compiled or n ~= wanted then
      error(("%s: %s, compiled: %s (%s); Lua: %d"):format(engine, n, report.compiled, report.why,
        wanted), 2)
    end
  end
  return wanted
end

return agree
