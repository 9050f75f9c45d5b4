-- SPDX-License-Identifier: MIT
--
-- Checkpoints: how far an export or import has come, in a small file that is
-- replaced as a whole now and then. It says what it is of (boot, map, query,
-- layouts, file) and how many bytes of the file are done, so that one which was
-- killed goes on there, and nothing else does.
--
-- A checkpoint is worth nothing after the machine was started anew, as the map is
-- gone then; so it is not synced itself. What it speaks of is.
--
-- The file is one line of JSON, and its CRC32C on another.

local bytes = require "luabpf.base.bytes"
local core = require "luabpf.core"
local json = require "luabpf.file.json"
local outlet = require "luabpf.file.outlet"

local checkpoint = {}
checkpoint.__index = checkpoint

local VERSION <const> = 1
-- A checkpoint is due after so many bytes, however short the time.
local BYTES <const> = 64 << 20

-- What must be as it was, in the order in which it is compared, and the reasons.
local SAME <const> = {
  { "version", "it is of another version of luabpf" },
  { "boot_id", "it is from before the machine was started" },
  { "map_id", "it is of another map" },
  { "format", "it is of another format" },
  { "drain", "only one of the two is a drain" },
  { "mode", "it is of another mode" },
  { "file", "the file is another one, or was changed" },
  { "where", "it is of another query: where" },
  { "params", "it is of another query: params" },
  { "columns", "it is of another query: columns" },
  { "key", "the layout of keys is another one" },
  { "value", "the layout of values is another one" },
}

-- Whether two paths are of the same file, which need not be there.
local function same_file(path, other)
  local folder, name = path:match("^(.-)([^/]*)$")
  local other_folder, other_name = other:match("^(.-)([^/]*)$")
  if name ~= other_name then return false end
  local a, b = core.file_status(folder .. "."), core.file_status(other_folder .. ".")
  return a and b and a.device == b.device and a.inode == b.inode
end

-- Whether the file of a checkpoint, also while it is replaced, is one of those that the entries
-- are in.
function checkpoint.is_one_of(path, ...)
  for _, ending in ipairs { "", core.beside } do
    for _, other in ipairs { ... } do
      if same_file(path .. ending, other) then return true end
    end
  end
  return false
end

-- A checkpoint for work on that place.
-- @tparam string path of the checkpoint
-- @tparam table place a luabpf.outlet, or what has its refuse
-- @tparam table identity what work must have in common with it to go on: the names of SAME
-- @tparam integer interval ns between two
function checkpoint.new(path, place, identity, interval)
  identity.version, identity.boot_id = VERSION, core.boot_id()
  identity = json.decode(json.encode(identity))
  return setmetatable({ path = path, place = place, identity = identity, interval = interval,
    due = core.now() + interval, offset = 0 }, checkpoint)
end

function checkpoint:refuse(reason, errno)
  self.place.name = self.path
  self.place:refuse(("%s (restart = true begins anew)"):format(reason),
    errno or core.errno.ESTALE)
end

-- ---- reading ---------------------------------------------------------------------

-- The text of a file; nil where there is none, nil, message, errno where it cannot be read.
local function read_file(path)
  local file, message, errno = io.open(path, "rb")
  if not file then
    if errno == core.errno.ENOENT or errno == core.errno.ENOTDIR then return nil end
    return nil, message, errno
  end
  local _ <close> = file
  local text
  text, message, errno = file:read("a")
  -- That it is a folder is said where it is looked at whether one can be written.
  if errno == core.errno.EISDIR then return nil end
  return text, message, errno
end

-- The text of a checkpoint, nil if there is none. One that cannot be read raises an error object:
-- what it speaks of would be begun anew.
local function read_text(self)
  local text, message, errno = read_file(self.path)
  if message then self:refuse(message:gsub("^.-: ", "", 1), errno) end
  return text
end

-- What a record may have, by name: a pattern of text, or the largest number; those of REQUIRED it
-- has. What the fields say together is looked at where they are used.
local FIELDS <const> = { phase = "^%l+$", target = "^[^%z]+$", cursor = "^%x+$",
  offset = math.maxinteger, crc = 0xffffffff, inode = math.maxinteger, device = math.maxinteger,
  line = math.maxinteger, blocks = math.maxinteger, visited = math.maxinteger,
  entries = math.maxinteger, deleted = math.maxinteger, missing = math.maxinteger,
  changed = math.maxinteger, inserted = math.maxinteger, updated = math.maxinteger,
  skipped = math.maxinteger }
local REQUIRED <const> = {
  export = { "phase", "target", "offset", "crc", "inode", "device" },
  export_snapshot = { "phase", "target", "offset", "inode", "device" },
  import = { "offset", "inserted", "updated", "skipped", "line" },
  import_snapshot = { "offset", "inserted", "updated", "skipped" },
}

local function is_number(value, most)
  return math.type(value) == "integer" and value >= 0 and value <= most
end

local function fits(value, wanted)
  if type(wanted) == "number" then return is_number(value, wanted) end
  return type(value) == "string" and value:find(wanted) ~= nil
end

local function are_clocks(clocks)
  return clocks == nil or type(clocks) == "table" and is_number(clocks.now, math.maxinteger)
    and is_number(clocks.boottime, math.maxinteger)
end

local function has_all(record, names)
  for _, name in ipairs(names) do
    if record[name] == nil then return false end
  end
  return true
end

-- Whether a record is one that save() may have written.
local function is_record(record)
  if type(record) ~= "table" or type(record.identity) ~= "table" then return false end
  for name, wanted in pairs(FIELDS) do
    if record[name] ~= nil and not fits(record[name], wanted) then return false end
  end
  local what = record.phase and "export" or "import"
  if record.identity.format == "snapshot" then what = what .. "_snapshot" end
  if not has_all(record, REQUIRED[what]) or record.line == 0 then return false end
  -- A drain's first record is of nothing yet, the last one of no place to go on at.
  local begun = what == "export_snapshot" and record.offset > 0 and record.phase == "running"
  return are_clocks(record.clocks) and (not begun or has_all(record, { "entries", "blocks" }))
end

-- The record of a checkpoint's text; nil if it is none.
local function parse(text)
  local line, sum = text:match("^([^\n]+)\n(%x+)\n$")
  if not line or ("%08x"):format(core.crc32c(line)) ~= sum then return nil end
  local record = json.decode(line)
  return is_record(record) and record or nil
end

local function compare(self, identity)
  for _, rule in ipairs(SAME) do
    local name, reason = rule[1], rule[2]
    local old, new = identity[name], self.identity[name]
    if old ~= new then
      if name == "map_id" then reason = ("%s (id %s, this one is %d)"):format(reason, old, new) end
      self:refuse(reason)
    end
  end
end

-- Whether a record is of an export that had come to its end, and the file has been taken away
-- since. "finished" is saved before the part gets its final name, so one of the two is there until
-- then. After a power failure a name may be gone that nobody took away.
local function is_over(record, target)
  return record.phase == "finished" and record.target == target
    and record.identity.boot_id == core.boot_id() and not core.file_status(target)
    and not core.file_status(outlet.part_of(target, record.identity.drain))
end

-- Raises an error object where no checkpoint can be written: better now than after an hour.
local function check(self)
  local ok, message, errno = core.can_replace(self.path)
  if ok then return end
  self.place.name = self.path
  self.place:refuse(message, errno)
end

-- What the checkpoint says, if there is one. Raises an error object if it is of something else,
-- and if there is none and cannot be.
-- @treturn table|nil offset, crc, inode, device, entries, ..., cursor; phase. nil too where it is
--   of an export that is over: what it was of does not matter any more
function checkpoint:load()
  self.text = read_text(self)
  if not self.text then
    check(self)
    return nil
  end
  local record = parse(self.text)
  if not record then self:refuse("it is no checkpoint, or damaged", core.errno.EBADMSG) end
  if is_over(record, self.place.path) then return nil end
  self.clocks = record.clocks
  compare(self, record.identity)
  record.cursor = record.cursor and bytes.unhex(record.cursor)
  return record
end

-- The clocks of the run that a checkpoint is of, whatever else it is: for parameters of its query.
-- @tparam string path
-- @tparam string target where the run writes
-- @treturn table|nil now, boottime; nil too of one that is over
function checkpoint.clocks_of(path, target)
  local text = read_file(path)
  local record = text and parse(text)
  return record and not is_over(record, target) and record.clocks or nil
end

-- Whether the file under that name is the one a record is of.
local function is_file_of(record, path)
  local status = core.file_status(path)
  return status and status.inode == record.inode and status.device == record.device and status
end

-- Opens the part that a record is of.
-- @tparam table options of outlet:open
-- @treturn boolean false if the file has its final name already
function checkpoint:open(record, options)
  local place = self.place
  local part = place:part_path(options.drain)
  if not is_file_of(record, part) then
    local status = is_file_of(record, place.path)
    if record.phase == "finished" and status and status.size == record.offset then return false end
    self:refuse(core.file_status(part) and ("%s is another file"):format(part)
      or ("%s is gone"):format(part))
  end
  place:open(options)
  if read_text(self) ~= self.text then
    place:refuse("another export has gone on meanwhile", core.errno.EAGAIN)
  end
  self.offset = record.offset
  return true
end

local CHANGED <const> = { [core.errno.ENODATA] = "%s is shorter than it was",
  [core.errno.EBADMSG] = "%s was changed" }

-- Goes on where the record says, if what comes before is as it was; cuts off the rest.
function checkpoint:seek(record)
  local ok, message, errno = self.place.out:seek(record.offset, record.crc)
  if not ok then self:refuse((CHANGED[errno] or message):format(self.place.part), errno) end
end

-- Checks that nothing was added to a complete file.
function checkpoint:check_size(record)
  if core.file_status(self.place.part).size ~= record.offset then
    self:refuse(("%s was changed"):format(self.place.part), core.errno.EBADMSG)
  end
end

-- ---- writing ---------------------------------------------------------------------

-- Whether it is time for the next one.
function checkpoint:is_due(offset)
  return offset - self.offset >= BYTES or core.now() >= self.due
end

-- Replaces the file. What the record speaks of must be synced.
-- @tparam table record numbers and text; cursor: a cursor string
function checkpoint:save(record)
  local copy = { identity = self.identity, clocks = self.clocks }
  for name, value in pairs(record) do copy[name] = value end
  copy.cursor = copy.cursor and bytes.hex(copy.cursor)
  local line = json.encode(copy)
  local ok, message, errno = core.replace_file(self.path,
    ("%s\n%08x\n"):format(line, core.crc32c(line)))
  if not ok then
    self.place.name = self.path
    self.place:refuse(message, errno)
  end
  self.offset, self.due = record.offset, core.now() + self.interval
end

-- The work is done.
function checkpoint:remove()
  os.remove(self.path)
end

return checkpoint
