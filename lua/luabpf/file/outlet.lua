-- SPDX-License-Identifier: MIT
--
-- Where an export goes: a file that appears whole under its name, something
-- that is no regular file (a pipe, a terminal), a Lua file handle, or a function
-- that is called with text. What the system refuses is raised as an error object.

local core = require "luabpf.core"
local errors = require "luabpf.base.errors"

local outlet = {}
outlet.__index = outlet

-- Bytes of a temporary file that a function gets at a time.
local CHUNK <const> = 256 << 10

-- The result of a call, or its nil, message, errno as an error object that names the place.
local function must(self, result, message, errno)
  if result ~= nil then return result end
  errors.throw(("%s: export: %s: %s"):format(self.what, self.name, message), errno)
end

-- Raises an error object: what is exported, where to, and the reason.
function outlet:refuse(reason, errno)
  must(self, nil, reason, errno)
end

-- Passes on what a call gave, or raises its nil, message, errno.
function outlet:must(...)
  return must(self, ...)
end

-- The name of the part beside a file. That of a drain is another one: what it holds is nowhere
-- else any more.
function outlet.part_of(path, drain)
  return path .. (drain and ".drain.part" or ".part")
end

function outlet:part_path(drain)
  return outlet.part_of(self.path, drain)
end

local function open_file(self, given)
  self.part = self:part_path(given.drain)
  self.name = self.part
  -- It is self.out already when the part is made.
  local function open()
    return core.output({ path = self.part, summed = given.summed }, self)
  end
  local out, message, errno = open()
  if errno == core.errno.EAGAIN then
    -- It may be one of a coroutine that nobody resumes any more, and is not collected yet.
    collectgarbage()
    out, message, errno = open()
  end
  if out then return end
  self.out = nil
  if errno == core.errno.EAGAIN then message = "another export is writing it" end
  must(self, nil, message, errno)
end

-- Finds out what kind of place a target is; opens nothing.
-- @tparam string what the export's name in messages
-- @param target path, "-", file handle or function, checked by the caller
function outlet.new(what, target)
  local self = setmetatable({ what = what, name = tostring(target) }, outlet)
  if target == "-" then target = io.stdout end
  if type(target) == "function" then
    self.call, self.name = target, "the function"
  elseif type(target) ~= "string" then
    self.handle, self.name = target, "the file handle"
  else
    local status = core.file_status(target)
    if status and status.kind == "folder" then
      self:refuse("Is a directory", core.errno.EISDIR)
    end
    self.path, self.is_device = target, status ~= nil and status.kind == "device"
    self.is_file = not self.is_device
  end
  return self
end

-- Opens it. Of a file: the part beside it, locked; the rest are options of it.
-- @tparam table given drain, summed (keeps a checksum), spool (a function's bytes go through a
--   temporary file)
function outlet:open(given)
  if self.is_file then return open_file(self, given) end
  if self.is_device then
    self.out = must(self, core.output { device = self.path })
  elseif given.spool and self.call then
    self.spool = must(self, core.temporary_file())
    self.out = must(self, core.output { handle = self.spool })
  else
    self.out = must(self, core.output { handle = self.handle })
  end
end

-- Calls the function with text. One that returns nil or false and a message has failed.
local function deliver(self, text)
  if text == "" then return end
  local ok, message, errno = self.call(text)
  if not ok and message ~= nil then
    self:refuse(tostring(message), math.type(errno) == "integer" and errno or core.errno.EIO)
  end
end

-- Writes text.
function outlet:write(text)
  must(self, self.out:write(text))
end

-- Writes rows: of a batch, or of a query.
-- @tparam luabpf.row_writer writer
function outlet:rows(writer, block)
  local at, n = 1, #block
  while at <= n do
    at = must(self, self.out:rows(writer, block, at))
    if self.call and at <= n then deliver(self, self.out:take()) end
  end
end

-- Writes rows that threads have.
-- @tparam luabpf.crew crew
-- @tparam integer ns how long to wait for some
-- @return how many, 0 if none came in time, false when all are written
function outlet:text(crew, ns)
  local rows = must(self, crew:text(self.out, ns))
  if self.call then deliver(self, self.out:take()) end
  return rows
end

-- Everything has left this process, and a file's bytes are on its disk.
function outlet:sync()
  if self.call and not self.spool then deliver(self, self.out:take()) end
  must(self, self.out:sync())
end

local function unspool(self)
  self.spool:seek("set")
  for text in self.spool:lines(CHUNK) do deliver(self, text) end
  self.spool:close()
end

-- Ends it: a file gets its name.
-- @tparam[opt] function before called between the last sync and the new name
function outlet:finish(before)
  self:sync()
  if self.spool then unspool(self) end
  if before then before() end
  if self.is_file then
    self.name = self.path
    must(self, self.out:permit(self.path))
    must(self, core.rename(self.part, self.path))
  end
  self:close()
end

-- Gives it up. keep: the part of a file stays.
function outlet:abandon(keep)
  if self.out and self.is_file and not keep then self.out:remove(self.part) end
  if self.spool and io.type(self.spool) == "file" then self.spool:close() end
  self:close()
end

function outlet:close()
  if self.out then self.out:close() end
  self.out = nil
end

outlet.__close = outlet.close

return outlet
