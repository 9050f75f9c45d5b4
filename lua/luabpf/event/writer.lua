-- SPDX-License-Identifier: MIT

--- Writers of user ring buffers: records that BPF programs take.
--
-- @module luabpf.event.writer

local core = require "luabpf.core"
local errors = require "luabpf.base.errors"
local kinds = require "luabpf.event.kinds"
local options = require "luabpf.base.options"

local map = core.classes["luabpf.map"]

--- Opens a writer of a user ring buffer.
-- @function map:writer
-- @tparam[opt] table options as listed below
-- @tparam[opt] any options.layout what records are: the name of a struct, declarations or a layout;
--   left out: binary strings
-- @treturn writer the writer
-- @error the map is no user ring buffer, or no BTF has the type (ENOENT)
-- @raise the layout is none, tells kinds of records apart, or ends with the rest of a record: write
--   binary strings then
-- @kernel 6.1
-- @usage
-- local object <close> = assert(bpf.load "events.bpf.o")
-- local writer <close> = assert(object.maps.commands:writer { layout = "struct command" })
-- assert(writer:write { number = 1, value = 42 })
function map:writer(given)
  given = options.check("writer", given, options.of "map:writer")
  local what, message, errno = kinds.read(self, given.layout)
  if not what then
    return nil, ("%s: writer: %s"):format(errors.label(core.known_info(self)), message), errno
  end
  if what.tags then
    error("writer: option 'layout': the layout of one kind of record expected", 2)
  end
  return core.writer(self, what.layouts[1])
end
