-- SPDX-License-Identifier: MIT
--
-- What an export writes, by format: rows of text, or the blocks of a snapshot. A
-- sink knows the format and writes to an outlet, which knows the place.
--
--   new(subject, run, place)    nothing is written yet
--   begin(), resume(mark, record)   at the start, or where a checkpoint says
--   add(block)                  a batch, or rows of a query
--   collect(crew, ns)           what threads have: how many, 0 if none came in so many
--                               ns, false at the end
--   position()                  bytes so far, their checksum if they have one, blocks
--   finish()                    the bytes of all; close()

local core = require "luabpf.core"
local prepare = require "luabpf.query.prepare"
local snapshot = require "luabpf.file.snapshot"

-- ---- rows of text -------------------------------------------------------------------

local rows_sink = {}
rows_sink.__index = rows_sink

function rows_sink.new(subject, run, place)
  local writer = place:must(core.row_writer(prepare.facts(subject).handle, run.format,
    run.columns and run.columns.outputs))
  return setmetatable({ place = place, writer = writer }, rows_sink)
end

function rows_sink:begin()
  self.place:write(self.writer:header())
end

function rows_sink.resume(_, mark, record)
  mark:seek(record)
end

-- Of a file that only lacks its name.
rows_sink.check = rows_sink.resume

function rows_sink:add(block)
  self.place:rows(self.writer, block)
end

function rows_sink:collect(crew, ns)
  return self.place:text(crew, ns)
end

-- Bytes so far; synced ones have a checksum.
function rows_sink:position()
  return self.place.out:position()
end

function rows_sink:finish() return (self:position()) end
function rows_sink:close() self.writer:close() end

-- ---- snapshots ----------------------------------------------------------------------

-- Writes blocks past the outlet's buffer.
local snapshot_sink = {}
snapshot_sink.__index = snapshot_sink

function snapshot_sink.new(self, run, place)
  return setmetatable({ map = self, run = run, place = place }, snapshot_sink)
end

local function open_snapshot(self, resume)
  local run = self.run
  self.writer = self.place:must(snapshot.writer { map = self.map, fd = self.place.out:fd(),
    where = run.fn and "a function" or run.where, query = run.columns,
    columns = run.columns and true, resume = resume })
end

function snapshot_sink:begin()
  self.place:must(self.place.out:flush())
  open_snapshot(self)
end

function snapshot_sink:resume(_, record)
  open_snapshot(self, { offset = record.offset, entries = record.entries, blocks = record.blocks })
end

function snapshot_sink.check() end

-- Raises where the file was closed meanwhile, whose descriptor may be another file's now.
local function check_open(self)
  self.place.out:fd()
end

function snapshot_sink:add(block)
  check_open(self)
  self.place:must(self.writer:add(block))
end

function snapshot_sink:collect(crew, ns)
  check_open(self)
  return self.place:must(crew:blocks(ns))
end

function snapshot_sink:position()
  if not self.writer or self.bytes then return self.bytes or 0 end
  local offset, _, blocks = self.writer:position()
  return offset, nil, blocks
end

-- Leaves an open file behind what it has, as rows do.
function snapshot_sink:finish()
  check_open(self)
  self.bytes = self.place:must(self.writer:finish())
  if self.place.handle then self.place.handle:seek("end") end
  return self.bytes
end

function snapshot_sink:close()
  if self.writer then self.writer:close() end
end

-- By format.
return { jsonl = rows_sink, csv = rows_sink, snapshot = snapshot_sink }
