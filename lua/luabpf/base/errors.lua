-- SPDX-License-Identifier: MIT
--
-- What a call that the system refused gives its caller: nil, message, errno,
-- partial. Inside, and to the callers of iterators, such a failure travels as an
-- error object: { message, errno, ... } of the class core.error.

local core = require "luabpf.core"

local errors = {}

-- Sources that begin as this one does are luabpf's: core.misuse, and what raises in C, blames the
-- closest function on the stack that is none of these.
local home = debug.getinfo(1, "S").source:match "^(@.*[/\\])base[/\\]errors%.lua$"
if home then core.home(home) end

-- What a map is called in messages.
-- @tparam table info its name and id
function errors.label(info)
  return info.name ~= "" and info.name or ("map %s"):format(info.id)
end

-- What a method returns that a type of map has no way to do.
function errors.unsupported(info, what)
  return nil, ("%s: %s: not supported by %s maps"):format(errors.label(info), what, info.type),
    core.errno.ENOTSUPP
end

-- Raises an error object.
-- @tparam[opt] table fields what is known of a half-done job
function errors.throw(message, errno, fields)
  fields = fields or {}
  fields.message, fields.errno = message, errno
  error(setmetatable(fields, core.error), 0)
end

-- The results of a pcall: those of the function, or nil, message, errno, partial where it raised
-- an error object of the system's. What else it raised is raised again.
function errors.caught(partial, ok, err, ...)
  if ok then return err, ... end
  if type(err) == "table" and getmetatable(err) == core.error and err.errno then
    return nil, err.message, err.errno, partial
  end
  error(err, 0)
end

return errors
