-- SPDX-License-Identifier: MIT
--
-- What an export writes, by format (lua/luabpf/file/sink.lua): the same entries by each way to each
-- place, a header where the format has one, and a report that says what there is.

local bpf = require "luabpf"
local folder = require "spec.support.folder"
local helper = require "spec.support.helper"

local FORMATS <const> = { "jsonl", "csv", "snapshot" }

local function filled(n)
  local map = helper.map { key = "u32", value = { "u64 a", "u64 b" }, max_entries = n + 1 }
  for i = 1, n do assert(map:update(i, { a = i * 3, b = i })) end
  return map
end

-- The entries of a file: key to value.a.
local function entries_of(path, format)
  local found = {}
  local map <close> = assert(bpf.create { type = "hash", key = "u32", value = { "u64 a", "u64 b" },
    max_entries = 10000, name = helper.name() })
  assert(map:import(path, { format = format }))
  for key, value in map:entries() do found[key] = value.a end
  return found
end

local function expected(n)
  local list = {}
  for i = 1, n do list[i] = i * 3 end
  return list
end

describe("an export in each format", function()
  before_each(function() folder.make() end)
  after_each(function()
    folder.remove()
    helper.close_all()
  end)

  it("has the same entries in a file, an open file and pieces of text", function()
    local map = filled(300)
    for _, format in ipairs(FORMATS) do
      local path = folder.path(format)
      local report = assert(map:export(path, { format = format }))
      assert.same(expected(300), entries_of(path, format), format)
      assert.equal(#folder.content(format), report.bytes, format)
      assert.equal(300, report.entries, format)

      local file <close> = assert(io.open(folder.path "open", "w+b"))
      assert.equal(report.bytes, assert(map:export(file, { format = format })).bytes, format)
      file:close()
      assert.same(expected(300), entries_of(folder.path "open", format), format)

      local pieces = {}
      assert.equal(report.bytes, assert(map:export(function(text)
        pieces[#pieces + 1] = text
        return true
      end, { format = format })).bytes, format)
      assert.same(expected(300), entries_of(folder.write("pieces", table.concat(pieces)), format),
        format)
    end
  end)

  it("has the same entries by threads", function()
    local map = filled(3000)
    for _, format in ipairs(FORMATS) do
      local path = folder.path(format)
      local report = assert(map:export(path, { format = format, workers = 2 }))
      assert.same(expected(3000), entries_of(path, format), format)
      assert.equal(#folder.content(format), report.bytes, format)
    end
  end)

  it("begins with its header, also where there is no entry", function()
    local map = filled(0)
    assert(map:export(folder.path "csv", { format = "csv" }))
    assert(map:export(folder.path "jsonl", { format = "jsonl" }))
    assert(map:export(folder.path "snapshot", { format = "snapshot" }))
    assert.equal("key,value.a,value.b\n", folder.content("csv"):gsub("\r", ""))
    assert.equal("", folder.content "jsonl")
    local none <close> = assert(bpf.snapshot(folder.path "snapshot"))
    assert.equal(0, none:count())
  end)

  it("leaves an open file behind what it wrote", function()
    local map = filled(50)
    for _, format in ipairs(FORMATS) do
      local file <close> = assert(io.open(folder.path(format), "w+b"))
      local report = assert(map:export(file, { format = format }))
      assert.equal(report.bytes, file:seek())
      assert(file:write "behind")
      file:close()
      assert.equal(report.bytes + 6, #folder.content(format), format)
      assert.equal("behind", folder.content(format):sub(-6), format)
    end
  end)

  it("ends where the open file is closed meanwhile, and writes to no other", function()
    local map = filled(2000)
    for _, format in ipairs(FORMATS) do
      local file, other = assert(io.open(folder.path(format), "w+b")), nil
      local ok, message = pcall(function()
        return assert(map:export(file, { format = format, batch_size = 64, compile = false,
          where = function(key)
            if key and not other then
              file:close()
              other = assert(io.open(folder.path "other", "w+b"))
            end
            return true
          end }))
      end)
      assert.is_false(ok, format)
      assert.matches("closed", tostring(message), nil, nil, format)
      other:close()
      assert.equal("", folder.content "other", format)
    end
  end)
end)
