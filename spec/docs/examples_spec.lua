-- SPDX-License-Identifier: MIT
--
-- The scripts in examples/. The demo as a whole is run by .ci/run (`make demo`);
-- here it is interrupted, killed, and left without its generator.

package.path = "examples/?.lua;" .. package.path

local bpf = require "luabpf"
local conntrack = require "luabpf.conntrack"
local helper = require "spec.support.helper"
local traffic = require "traffic"

local BUILD <const> = os.getenv "LUABPF_BUILD" or ".build"

-- Starts an example in a process: its output, with its process id as first line.
local function start(name, arguments, environment)
  return assert(io.popen(("LUA_PATH='%s' LUA_CPATH='%s' %s "
    .. "sh -c 'echo $$; exec lua5.4 examples/%s %s' 2>&1"):format(package.path, package.cpath,
    environment or "", name, arguments or "")))
end

-- What an example prints until its end, and whether it ends well.
local function run(name, arguments, environment)
  local pipe = start(name, arguments, environment)
  pipe:read "l"
  local text = pipe:read "a"
  return text, pipe:close() == true
end

-- Waits for the end of something, half a minute at most.
local function await(over)
  for _ = 1, 1500 do
    if over() then return true end
    bpf.sleep "20ms"
  end
  return false
end

describe("the demo", function()
  local function cgroup_of(pid)
    return ("%s/luabpf-demo-%d/cgroup.procs"):format(conntrack.cgroup_root(), pid)
  end

  -- Runs it until it has come to that step, then sends it the signal.
  local function stop_at(step, signal)
    local pipe = start("demo.lua", "", "LUABPF_BUILD='" .. BUILD .. "'")
    local pid = pipe:read "n"
    for line in pipe:lines() do
      if line:sub(1, #step) == step then break end
    end
    assert.truthy(io.open(cgroup_of(pid)))
    os.execute(("kill -%s %d"):format(signal, pid))
    local rest = pipe:read "a"
    return pid, pipe:close(), rest
  end

  it("leaves nothing behind when it is interrupted", function()
    for _, step in ipairs { "1.", "2.", "5." } do
      local pid, ended_well, rest = stop_at(step, "INT")
      assert.falsy(ended_well)
      assert.matches("interrupted!", rest, 1, true)
      assert.is_nil(io.open(cgroup_of(pid)))
    end
  end)

  it("leaves nothing behind when it is killed", function()
    local pid = stop_at("5.", "KILL")
    assert.is_true(await(function() return not io.open(cgroup_of(pid)) end))
  end)

  it("says what is missing, and leaves nothing behind", function()
    local pipe = start("demo.lua", "", "LUABPF_BUILD=/none")
    local pid = pipe:read "n"
    assert.matches("/none/traffic: not there", pipe:read "a", 1, true)
    assert.falsy(pipe:close())
    assert.is_nil(io.open(cgroup_of(pid)))
  end)
end)

describe("the scripts for a pinned tracker", function()
  local cgroup, tracker, pin

  setup(function()
    cgroup, pin = traffic.cgroup(helper.name()), helper.pin()
    tracker = assert(conntrack.start { cgroup = cgroup.path, max_entries = 1000, pin = pin })
  end)

  teardown(function()
    tracker:stop()
    cgroup:close()
  end)

  it("say how they are used", function()
    for _, name in ipairs { "sweep.lua", "top.lua" } do
      local text, ok = run(name, "--help")
      assert.is_true(ok, text)
      assert.equal("lua5.4 " .. name .. " [PIN", text:sub(1, #name + 12))
      for _, argument in ipairs { "PIN", "EVERY", "ROUNDS" } do
        assert.matches("\n  " .. argument .. " +%l", text)
      end
    end
  end)

  it("sweep.lua deletes what is idle", function()
    local now, list = bpf.now(), {}
    for i = 1, 10 do
      list[i] = { src_addr = "10.0.0.1", src_port = i, dst_addr = "10.0.0.2", dst_port = 80,
        last_seen = now - i * 60000000000 }
    end
    tracker:insert(list)
    local text, ok = run("sweep.lua", pin .. " 330s 1ms 2")
    assert.is_true(ok, text)
    assert.equal("5 of 10 connections deleted; 0 were about to be, and came back to life\n"
      .. "0 of 5 connections deleted; 0 were about to be, and came back to life\n", text)
    assert.equal(5, tracker.map:count())
  end)

  it("sweep.lua sweeps any map by a condition, and says what is wrong before it begins", function()
    local path = helper.pin()
    local limits <close> = helper.map { value = { "u64 last_seen" }, pin = path }
    finally(function() os.remove(path) end)
    for i = 1, 10 do limits:update(i, { last_seen = bpf.now() - i * 60000000000 }) end
    local text, ok = run("sweep.lua", path .. ' "now - value.last_seen > 330s" 1ms 2')
    assert.is_true(ok, text)
    assert.matches("^5 of 10 entries deleted; 0 were about to be, and came back", text)
    for arguments, said in pairs {
      [path .. " 5m"] = 'is no tracker: say what is idle, as "now - value.last_seen > 5m"',
      [path .. " \"value.seen > 5\""] = "no field 'seen' in value",
      [path .. " \"value.last_seen > 5\" soon"] = "EVERY is a time as 30s, not \"soon\"",
      [path .. " \"value.last_seen > 5\" 1s many"] = "ROUNDS is a number, not \"many\"",
      ["/sys/fs/bpf/nothing \"value.x > 5\""] = "/sys/fs/bpf/nothing: No such file or directory",
    } do
      text, ok = run("sweep.lua", arguments)
      assert.is_false(ok)
      assert.matches(said, text, 1, true)
      assert.is_nil(text:find "deleted;", text)
    end
    assert.equal(5, limits:count())
  end)

  it("top.lua shows who sends", function()
    tracker.map:clear()
    tracker:insert { { src_addr = "10.0.0.1", dst_addr = "10.0.0.2", bytes = 1000 } }
    local generator <close> = traffic.start(BUILD .. "/traffic", cgroup)
    generator:command("udp", "t", "127.0.0.1", 0, 1, 1, 10, 0, 0)
    local conn = generator:command("report", "t")[1]
    generator:tell("stream", "t", 60000, 1)
    local text, ok = run("top.lua", pin .. " 100ms 2")
    assert.is_true(ok, text)
    assert.matches(("2 connections, 1 of them active\nconnection +bytes/s\n"
      .. "udp 127%%.0%%.0%%.1:%d > 127%%.0%%.0%%.1:%d +%%d+\n"):format(conn.src_port,
      conn.dst_port), text)
    assert.equal(2, select(2, text:gsub("active", "")))
  end)
end)
