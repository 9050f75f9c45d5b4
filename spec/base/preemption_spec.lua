-- SPDX-License-Identifier: MIT
--
-- Whether the kernel is preemptible, from what kernels say; and the budget that follows.

local bpf = require "luabpf"
local helper = require "spec.support.helper"
local preemption = require "luabpf.base.preemption"

local DYNAMIC <const> = "#1 SMP PREEMPT_DYNAMIC Debian 6.1.90-1 (2024-05-03)\n"

-- The budget in ms where these files have that, and no others.
local function budget(version, files)
  files = files or {}
  files["/proc/sys/kernel/version"] = version
  files["/proc/sys/kernel/osrelease"] = "6.1.0-21-amd64\n"
  local ns, why = preemption.budget(function(path) return files[path] end)
  return ns // 1000000, why
end

describe("the default budget", function()
  after_each(helper.close_all)

  it("is larger where the kernel says that it is preemptible", function()
    local DEBUG <const>, LINE <const> = "/sys/kernel/debug/sched/preempt", "/proc/cmdline"
    local CONFIG <const> = "/boot/config-6.1.0-21-amd64"
    for _, case in ipairs {
      { 2000, "#1 SMP PREEMPT Thu Jan 1", nil, "PREEMPT in its version" },
      { 2000, "#1 SMP PREEMPT_RT Thu Jan 1", nil, "PREEMPT_RT in its version" },
      { 250, "#1 SMP Thu Jan 1", nil, "no PREEMPT in its version" },
      { 250, DYNAMIC, nil, "does not tell" },
      { 2000, DYNAMIC, { [DEBUG] = "none voluntary (full)\n" }, DEBUG },
      { 2000, DYNAMIC, { [DEBUG] = "none voluntary full (lazy)\n" }, "lazy" },
      { 250, DYNAMIC, { [DEBUG] = "none (voluntary) full\n", [LINE] = "preempt=full" }, DEBUG },
      { 2000, DYNAMIC, { [LINE] = "quiet preempt=none preempt=full ro\n" }, "command line" },
      { 250, DYNAMIC, { [LINE] = "nopreempt=full preempt=voluntary\n" }, "voluntary" },
      { 2000, DYNAMIC, { [LINE] = "quiet", [CONFIG] = "#\nCONFIG_PREEMPT=y\n" }, CONFIG },
      { 250, DYNAMIC, { [CONFIG] = "CONFIG_PREEMPT_DYNAMIC=y\nCONFIG_PREEMPT_NONE=y\n" }, "none" },
    } do
      local ms, why = budget(case[2], case[3])
      assert.equal(case[1], ms, why)
      assert.truthy(why:find(case[4], 1, true), why)
    end
  end)

  -- Where specs run on emulated machines they have another default.
  it("is in bpf.defaults from the beginning", function()
    local process = helper.process_with("LUA_INIT=", "print(bpf.defaults.budget)")
    local text = process:read "a"
    process:close()
    assert.equal(preemption.budget() .. "\n", text)
  end)

  it("is what explain says, and how it came about", function()
    local map, before = helper.map(), bpf.defaults.budget
    finally(function() bpf.defaults.budget = before end)
    local ns, why = preemption.budget()
    bpf.defaults.budget = ns
    local plan = map:explain()
    assert.equal(ns, plan.budget)
    assert.equal(why, plan.budget_why)
    assert.truthy(tostring(plan):find(why, 1, true))
    plan = map:explain { budget = "10ms" }
    assert.equal(10000000, plan.budget)
    assert.equal("it was asked for", plan.budget_why)
    bpf.defaults.budget = "3s"
    plan = map:explain()
    assert.equal(3000000000, plan.budget)
    assert.equal("bpf.defaults.budget was changed", plan.budget_why)
  end)
end)
