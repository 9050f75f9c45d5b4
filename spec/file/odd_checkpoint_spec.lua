-- SPDX-License-Identifier: MIT
--
-- Checkpoints whose checksums are right and whose fields are not: every field is of every other
-- type in turn (a part of them, all with LUABPF_FUZZ). What they speak of is gone on with, or
-- refused in plain words.

local core = require "luabpf.core"
local folder = require "spec.support.folder"
local helper = require "spec.support.helper"
local json = require "luabpf.file.json"
local odd = require "spec.support.odd"

local path, content, write = folder.path, folder.content, folder.write

before_each(function() folder.make "48k" end)

after_each(function()
  folder.remove()
  helper.close_all()
end)

local function filled(n)
  local map = helper.map { max_entries = 2 * n }
  for i = 1, n do map:update(i, i) end
  return map
end

-- Leaves an export that the full disk has stopped.
local function stop(map, options)
  assert.is_nil((map:export(path "x", options)))
  assert(os.execute("mount -o remount,size=64m " .. folder.name))
end

-- Calls again() after each change of the record in the checkpoint c, with the files as
-- they were: the results are to be plain.
local function check(files, again)
  local record = json.decode((content("c"):match "^[^\n]*"))
  local before, faults, n = {}, {}, 0
  for _, name in ipairs(files) do before[name] = content(name) end
  odd.each_change(record, function(field, value)
    if not odd.is_chosen() then return end
    -- Written over: an inode is what a record knows a file by.
    for name, text in pairs(before) do write(name, text) end
    local line = json.encode(record)
    write("c", ("%s\n%08x\n"):format(line, core.crc32c(line)))
    local ok, report, message, errno = pcall(again)
    local wrong = not ok and "raised: " .. tostring(report)
      or not report and (odd.internal(message) or not errno and "no errno: " .. message)
    if wrong then
      faults[#faults + 1] = ("%s = %s: %s"):format(field, odd.text(value), wrong)
    end
    n = n + 1
    -- A finished one has given the part its name.
    for _, name in ipairs(files) do
      local part, whole = path(name), path((name:gsub("%.part$", "")))
      if not core.file_status(part) and core.file_status(whole) then os.rename(whole, part) end
    end
  end)
  assert.equal("", table.concat(faults, "\n"))
  assert.is_true(n > 50)
end

describe("an odd checkpoint of an export", function()
  for _, case in ipairs {
    { format = "jsonl" }, { format = "csv", columns = "key, value", where = "value > 0" },
    { format = "snapshot" }, { format = "jsonl", where = "now > value" },
  } do
    it(("to %s is plain%s [fault 26]"):format(case.format, case.where and ", with a condition"
      or ""), function()
      local map = filled(5000)
      local options = { checkpoint = path "c", checkpoint_interval = 0, batch_size = 64 }
      for name, value in pairs(case) do options[name] = value end
      stop(map, options)
      check({ "x.part" }, function() return map:export(path "x", options) end)
    end)
  end

  it("by a drain is plain [fault 26]", function()
    local map = filled(5000)
    local options = { checkpoint = path "c", drain = true, batch_size = 64 }
    stop(map, options)
    local part
    for _, name in ipairs(folder.names()) do part = name:match "^x%..+$" or part end
    check({ part }, function() return map:export(path "x", options) end)
  end)
end)

describe("an odd checkpoint of an import", function()
  for _, format in ipairs { "jsonl", "snapshot" } do
    it(("from %s is plain [fault 26]"):format(format), function()
      local from, to = filled(700), helper.map { max_entries = 500 }
      assert(from:export(path "x", { format = format }))
      local options = { checkpoint = path "c", batch_size = 64 }
      assert.is_nil((to:import(path "x", options)))
      -- It is of that file, as it was changed last.
      check({}, function()
        to:clear()
        return to:import(path "x", options)
      end)
    end)
  end
end)
