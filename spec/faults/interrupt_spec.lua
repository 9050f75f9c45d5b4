-- SPDX-License-Identifier: MIT
--
-- Ctrl-C, as lua5.4 takes it: a signal's handler sets a hook, which raises. It is noticed wherever
-- an export or import waits for somebody else.

local folder = require "spec.support.folder"
local helper = require "spec.support.helper"
local injected = require "spec.support.injected"

-- What a call gives that Ctrl-C interrupts after 0.2 s: whether, and what it raised.
local function interrupted(call)
  local process = helper.process(([[
    local build, folder = ...
    local system = package.loadlib(build .. "/support/system.so", "luaopen_system")()
    local map = bpf.create { type = "hash", key = "u32", value = "u64", max_entries = 100 }
    map:update(1, 1)
    local start = bpf.now()
    system.interrupt(200000)
    local ok, message = pcall(function() %s end)
    print(ok, message, bpf.now() - start < 5e9)
    os.exit(0)
  ]]):format(call), os.getenv "LUABPF_BUILD" or ".build", folder.name)
  local text = process:read("a")
  process:close()
  return text
end

describe("Ctrl-C [fault 5] [fault 15]", function()
  before_each(function()
    folder.make()
    assert(os.execute("mkfifo " .. folder.path "fifo"))
  end)
  after_each(function() folder.remove() end)

  for what, call in pairs {
    ["an export opens a FIFO"] = [[map:export(folder .. "/fifo")]],
    ["an export opens a FIFO for a snapshot"] =
      [[map:export(folder .. "/fifo", { format = "snapshot" })]],
    ["an import opens a FIFO"] = [[map:import(folder .. "/fifo")]],
    ["an import by threads opens a FIFO"] = [[map:import(folder .. "/fifo", { workers = 2 })]],
    ["an import reads from a program"] = [[map:import(io.popen "exec sleep 8 2>/dev/null")]],
    ["an import reads a FIFO"] = [[
      os.execute("(exec sleep 8 >" .. folder .. "/fifo) >/dev/null 2>&1 &")
      map:import(folder .. "/fifo")]],
    ["CSV is read from a program"] = [[
      map:import(io.popen "echo key,value; exec sleep 8 2>/dev/null", { format = "csv" })]],
  } do
    it("is noticed while " .. what, function()
      assert.matches("^false\t.*interrupted!\ttrue\n$", interrupted(call))
    end)
  end
end)

describe("a FIFO", function()
  before_each(function() folder.make() end)
  after_each(function() folder.remove() end)

  it("[fault 5] is imported whole: it is not opened to guess its format #preload", function()
    local fifo = folder.path "fifo"
    assert(os.execute("mkfifo " .. fifo))
    local row <const> = '{"key":1,"value":1}\n'
    assert.same({ "1 1" }, injected.lines([[
      local fifo, file = ...
      local function opens(path)
        local map = bpf.create { type = "hash", key = "u32", value = "u64", max_entries = 100 }
        faults.arm(-1, 0)
        local inserted = select(2, faults.call(function() return map:import(path).inserted end))
        return faults.counts()[faults.kinds.open], inserted
      end
      local of_file = opens(file)
      os.execute(("cat %s >%s 2>/dev/null &"):format(file, fifo))
      local of_fifo, inserted = opens(fifo)
      io.write(of_file - of_fifo, " ", inserted, "\n")
    ]], fifo, folder.write("rows.jsonl", row)))
  end)
end)
