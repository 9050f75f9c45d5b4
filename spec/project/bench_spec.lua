-- SPDX-License-Identifier: MIT
--
-- The benchmark on a small map: both sides do the same work, and a result that
-- differs is a failure. Its times are not looked at.

local build <const> = os.getenv "LUABPF_BUILD" or ".build"

-- Runs it with the C baseline of a folder: output, exit status.
local function bench(folder, arguments)
  local command = "LUA_PATH='%s' LUA_CPATH='%s' LUABPF_BUILD='%s' lua5.4 bench/bench.lua %s 2>&1"
  local pipe = io.popen(command:format(package.path, package.cpath, folder, arguments))
  local output = pipe:read "a"
  local _, _, status = pipe:close()
  return output, status or 0
end

-- A folder with a shell script for a baseline; $REAL is the real one.
local function fake_baseline(script)
  local folder = os.tmpname()
  os.remove(folder)
  assert(os.execute("mkdir " .. folder))
  local file <close> = assert(io.open(folder .. "/c_baseline", "w"))
  file:write("#!/bin/sh\nREAL='", build, "/c_baseline'\n", script, "\n")
  assert(os.execute("chmod +x " .. folder .. "/c_baseline"))
  return setmetatable({ path = folder }, { __close = function()
    os.execute("rm -r " .. folder)
  end })
end

-- Pins of benchmarks that have ended; another one may be running.
local function pins()
  local listing <close> = io.popen "ls -d /sys/fs/bpf/luabpf_bench_* 2>/dev/null"
  local left = {}
  for path in listing:lines() do
    if not io.open(("/proc/%s/stat"):format(path:match "bench_(%d+)")) then
      left[#left + 1] = path
    end
  end
  return table.concat(left, "\n")
end

describe("bench", function()
  it("prints a line for each case", function()
    local output, status = bench(build, "--quick --entries 1000 --runs 1 --all")
    assert.equal(0, status, output)
    local figures = select(2, output:gsub("%f[^\n%z][PM]I?A?SS  ", ""))
    assert.is_true(figures >= 30, output)
    local _, tables = output:gsub("\n\n%l[%l ]*: [^\n]+\n", "")
    assert.equal(16, tables, output)
    for _, what in ipairs { "two workers: Lua parallel", "snapshot file against a raw dump",
      "batch (1000)", "optimum", "10% full" } do
      assert(output:find(what, 1, true), what)
    end
  end)

  it("leaves out the tables that take long, and none of the figures", function()
    local output, status = bench(build, "--entries 500 --runs 1 --cpu ^lookup$ ^small$")
    assert.equal(0, status, output)
    assert.matches("^\nlookup: .*\nsmall: ", output)
    output = bench(build, "--quick --entries 500 --runs 1 --json nothing sizes")
    assert.equal(3, select(2, output:gsub('"name"', "")), output)
  end)

  it("prints JSON, of chosen cases", function()
    local output, status = bench(build, "--entries 500 --runs 2 --json nothing growth")
    assert.equal(0, status, output)
    assert.matches('^{"clock":"wall","entries":500,"figures":%[{.*"name":"walk: batches.*}%],'
      .. '"machine":{.*},"runs":2,"tables":%[%]}\n$', output)
    assert.matches('"pass":%a+.*"unit":"ratio","value":[%d.e-]+', output)
    assert.not_matches("upsert", output)
  end)

  it("is made a page and charts", function()
    local output, status = bench(build, "--quick --entries 500 --runs 1 --all --json")
    assert.equal(0, status, output)
    local folder <close> = fake_baseline ""
    local file <close> = assert(io.open(folder.path .. "/run.json", "w"))
    assert(file:write(output))
    file:close()
    local command = "LUA_PATH='%s' LUA_CPATH='%s' lua5.4 bench/charts.lua %s/run.json %s 2>&1"
    local pipe <close> = io.popen(command:format(package.path, package.cpath, folder.path,
      folder.path))
    assert.equal("", pipe:read "a")
    local page <close> = assert(io.open(folder.path .. "/performance.md"))
    local text, charts = page:read "a", 0
    assert.matches("| walk: batches%(4096%), nothing decoded | %d+%.%d+ of C | 1%.05 of C |", text)
    for path in text:gmatch "!%[[^%]]+%]%(([^)]+)%)" do
      local chart <close> = assert(io.open(folder.path .. "/" .. path))
      local svg = chart:read "a"
      assert.matches("^<svg xmlns=.*</svg>\n$", svg)
      assert.not_matches("[^%w]nan[^%w]", svg)
      assert.not_matches("[^%w]inf[^%w]", svg)
      charts = charts + 1
    end
    assert.equal(5, charts)
  end)

  it("fails when a result is wrong", function()
    local folder <close> = fake_baseline [["$REAL" "$@" | sed -u 's/ count=/ count=1/']]
    local output, status = bench(folder.path, "--entries 500 --runs 1 nothing")
    assert.equal(1, status)
    assert.matches("nothing decoded: wrong result\n  C: +count=1500\n  luabpf: count=500", output)
  end)

  it("fails when the baseline does", function()
    local folder <close> = fake_baseline "exit 1"
    local output, status = bench(folder.path, "--entries 500 nothing")
    assert.equal(1, status)
    assert.matches("the C baseline failed at 'fill'", output)
  end)

  it("says what it takes", function()
    local output, status = bench(build, "--help")
    assert.equal(0, status)
    assert.matches("bench%.lua %[%-%-quick", output)
    assert.not_matches("SPDX", output)
  end)

  it("refuses options it does not know", function()
    local output, status = bench(build, "--fast")
    assert.equal(1, status)
    assert.matches("unknown option %-%-fast", output)
  end)

  it("leaves no pins behind", function()
    local before = pins()
    bench(build, "--entries 500 --runs 1 nothing")
    assert.equal(before, pins())
  end)
end)
