-- SPDX-License-Identifier: MIT

--- Readers of events: loops over what ring buffers and perf buffers hold.
--
-- The C side (bind/event/reader.c) looks and lends; here are the loops, their
-- timeouts, what is called when events are lost, and whose the events are. What
-- a look finds counts as given only when a loop hands it on: what is in between,
-- on_lost or an error, loses nothing.
-- Loops are plain functions: coroutines of a loop library can wait within them.
--
-- @module luabpf.event.reader

local core = require "luabpf.core"
local errors = require "luabpf.base.errors"
local holders = require "luabpf.event.holders"
local kinds = require "luabpf.event.kinds"
local options = require "luabpf.base.options"
local show = require "luabpf.show.show"
local wait = require "luabpf.event.wait"

local EINTR <const> = core.errno.EINTR

local map = core.classes["luabpf.map"]
local reader = core.classes["luabpf.reader"]
-- Of C: it raises for what is no reader.
local closed = reader.closed

-- What a reader does with losses, by reader; gone with it.
local on_lost = setmetatable({}, { __mode = "k" })

-- ---- opening ---------------------------------------------------------------------

-- Pages of a perf buffer: a power of two.
local function check_pages(pages)
  pages = options.integer("reader", "pages", pages, 1, 1 << 16, 64, 5)
  if pages & (pages - 1) ~= 0 then
    error(("reader: option 'pages': a power of two expected, got %d"):format(pages), 4)
  end
  return pages
end

--- A reader of a ring buffer or of perf buffers.
-- @table reader

--- Opens a reader of the events of a map: a ring buffer, or a perf event array. A map has one
-- reader: positions and buffers are the map's.
-- @function map:reader
-- @tparam[opt] table options as listed below
-- @tparam[opt] any options.layout what a record is: the name of a struct ("struct event"), which is
--   looked for in the BTF of the object that the map was loaded with, else of the programs that use
--   it; declarations, the last of which may be "char name[]" or "bytes name[]"; or, where a field
--   tells records apart, `{ field = "kind", [1] = layout, [2] = layout }`. Left out: records are
--   binary strings
-- @tparam[opt=64] integer options.pages of each CPU's perf buffer; a power of two
-- @tparam[opt] function options.on_lost called with a number and a CPU when its perf buffer had no
--   room for so many events
-- @tparam[opt=false] boolean options.take reads although another process holds the map, and may
--   be its reader
-- @treturn reader the reader
-- @error the map has a reader (EBUSY), no BTF has the type (ENOENT), the handle is for reading only
-- @raise the layout is none
-- @kernel 5.8 for ring buffers
-- @privileges CAP_PERFMON for perf buffers, CAP_SYS_ADMIN to look for types in the BTF of programs
-- @usage
-- local object <close> = assert(bpf.load "events.bpf.o")
-- local reader <close> = assert(object.maps.ring:reader { layout = "struct event" })
-- assert(object.programs.send:run())
-- for event in reader:records { timeout = "0s" } do print(event.number, event.comm) end
function map:reader(given)
  given = options.check("reader", given, options.of "map:reader")
  local pages = check_pages(given.pages)
  core.check_map(self)
  local info = core.known_info(self)
  local what, message, errno = kinds.read(self, given.layout)
  if not what then return nil, ("%s: reader: %s"):format(errors.label(info), message), errno end
  if not given.take then
    message = holders.of(self, info)
    if message then return nil, message, core.errno.EBUSY end
  end
  what.pages = pages
  local new
  new, message, errno = core.reader(self, what)
  if new then on_lost[new] = given.on_lost end
  return new, message, errno
end

-- ---- steps -----------------------------------------------------------------------

-- Tells what was lost: whether there was something.
local function tell_losses(self)
  local tell, told = on_lost[self], false
  if tell then
    for cpu, n in core.reader_lost, self do
      told = true
      tell(n, cpu)
      if closed(self) then break end
    end
  end
  return told
end

-- Where looks of a reader end, if anywhere: the loops over it may have marks of their own.
local marks = setmetatable({}, { __mode = "k" })

local function end_at(self, ends)
  if marks[self] ~= ends then
    core.reader_end_at(self, ends)
    marks[self] = ends
  end
end

-- Past the deadline: what lies there at this moment is still given, and no more.
local function mark(self, at)
  if at.deadline and not at.ends and core.now() >= at.deadline then
    at.ends = core.reader_mark(self)
    marks[self] = at.ends
  else
    end_at(self, at.ends)
  end
end

-- How many records a look at the reader finds, waited for a while; nil and what ends the loop, if
-- something does.
local function look(self, n, at)
  mark(self, at)
  local found, _, errno = core.reader_look(self, n, at.ends and 0 or wait.slice(at.deadline))
  if errno == EINTR then return nil, "signal" end
  -- The function that is told may have read on, or closed the reader: what was found comes again.
  if tell_losses(self) then return core.reader_release(self) end
  if found or not at.ends then return found end
  if not core.reader_ready(self, true) then return nil, "timeout" end
end

-- How many records there are, up to n, waited for; nil and "closed", "timeout", or "signal" if that
-- is to end it.
local function await(self, n, at)
  while not closed(self) do
    local found, why = look(self, n, at)
    if found or why then return found, why end
  end
  return nil, "closed"
end

-- Ends a loop however it is left: what was given is released.
local loop = {}
loop.__index = loop

function loop:__close()
  if not closed(self.reader) then
    end_at(self.reader, nil)
    core.reader_release(self.reader)
  end
end

local function begin(self, deadline)
  closed(self) -- raises for what is no reader
  return setmetatable({ reader = self, deadline = deadline }, loop)
end

-- How many records one look takes.
local BATCH <const> = 256

--- Iterates over the records, decoded. Each is released when the next is asked for or the loop
-- ends, also by a break or an error. A record that fits no layout comes as its bytes, and the
-- reason after it. Of perf buffers the CPU is the third.
-- @function reader:records
-- @tparam[opt] table options as listed below
-- @tparam[opt] integer|string options.timeout from the start of the loop: what lies there when it
--   is over is still given; "0s": what is there now; none: waits for ever
-- @tparam[opt] integer options.limit so many records; the rest stays in the buffer
-- @treturn fun():data?,string?,integer? an iterator, which ends early where a handler took a signal
-- @raise an error object where another reader took the position
-- @usage
-- local object <close> = assert(bpf.load "events.bpf.o")
-- local reader <close> = assert(object.maps.ring:reader { layout = "struct event" })
-- assert(object.programs.send:run())
-- for event in reader:records { timeout = "1s", limit = 1 } do print(event.number) end
function reader:records(given)
  given = options.check("records", given, options.of "reader:records")
  local left = options.integer("records", "limit", given.limit, 0, math.maxinteger, math.maxinteger)
  local at = begin(self, wait.deadline(given.timeout, "records: option 'timeout'", 2))
  local step = core.reader_steps(self)
  local function advance()
    local found
    while true do
      local event, why, cpu = step(found)
      if event ~= nil then
        left = left - 1
        return event, why, cpu
      end
      found = left > 0 and await(self, math.min(left, BATCH), at)
      if not found then return at:__close() end
    end
  end
  return advance, nil, nil, at
end

--- Iterates over batches of records, which are read where they lie and released at the next step
-- or when the loop ends, also by a break or an error.
-- @function reader:batches
-- @tparam[opt] table options as listed below
-- @tparam[opt=256] integer options.batch_size records of one step, at most
-- @tparam[opt] integer|string options.timeout from the start of the loop: what lies there when it
--   is over is still given; "0s": what is there now; none: waits for ever
-- @tparam[opt] integer options.limit so many records; the rest stays in the buffer
-- @treturn fun():events? an iterator, which ends early where a handler took a signal
-- @raise an error object where another reader took the position
-- @usage
-- local object <close> = assert(bpf.load "events.bpf.o")
-- local reader <close> = assert(object.maps.ring:reader { layout = "struct event" })
-- assert(object.programs.send:run())
-- for batch in reader:batches { timeout = "0s" } do print(#batch, batch:sum "length") end
function reader:batches(given)
  given = options.check("batches", given, options.of "reader:batches")
  local size = options.integer("batches", "batch_size", given.batch_size, 1, 65536, BATCH)
  local left = options.integer("batches", "limit", given.limit, 0, math.maxinteger, math.maxinteger)
  local at = begin(self, wait.deadline(given.timeout, "batches: option 'timeout'", 2))
  local function advance()
    local found = left > 0 and await(self, math.min(left, size), at)
    if not found then return at:__close() end
    left = left - found
    return core.reader_batch(self)
  end
  return advance, nil, nil, at
end

--- The next record, decoded and released.
-- @function reader:next
-- @tparam[opt] integer|string timeout ns or text; none: waits for ever
-- @treturn ?data the record; of one that fits no layout its bytes; nil when none came
-- @treturn ?string why it comes as bytes, or why none came: "timeout", "closed", or "signal" when a
--   handler took one
-- @treturn ?integer the CPU, of perf buffers
-- @raise an error object where another reader took the position
-- @usage
-- local object <close> = assert(bpf.load "events.bpf.o")
-- local reader <close> = assert(object.maps.ring:reader { layout = "struct event" })
-- print(reader:next "10ms") -- nil timeout
function reader:next(timeout)
  local at <close> = begin(self, wait.deadline(timeout, "next", 2))
  local found, why = await(self, 1, at)
  if not found then return nil, why end
  return core.reader_record(self)
end

-- ---- the rest --------------------------------------------------------------------

local STATS <const> = { "records", "bytes", "discarded", "lost", "backlog", "high_water" }

--- What a reader has seen.
-- @table reader_stats
-- @tfield integer records looked at
-- @tfield integer bytes of them
-- @tfield integer discarded given up by the program that had reserved them
-- @tfield integer lost what perf buffers had no room for; a ring buffer has no such count
-- @tfield integer backlog bytes that wait to be read now
-- @tfield integer high_water the most bytes that a look found waiting in one buffer

--- What the reader has seen so far; prints as a table.
-- @function reader:stats
-- @treturn reader_stats the counts
-- @usage
-- print(bpf.load("events.bpf.o").maps.ring:reader():stats().records) -- 0
function reader:stats()
  return show.printable(core.reader_counts(self), function(counts)
    return show.fields(STATS, counts)
  end)
end

--- Seconds after which the reader wants a look whatever its descriptor says, for cqueues: what was
-- sent without a wake-up is found then.
-- @function reader:timeout
-- @treturn number 0 when records lie there; never nil
-- @usage
-- print(bpf.load("events.bpf.o").maps.ring:reader():timeout()) -- 0.1
function reader:timeout()
  return core.reader_ready(self) and 0 or wait.SLICE / 1e9
end

--- What the descriptor is waited for, as cqueues wants to know.
-- @function reader:events
-- @treturn string "r"
-- @usage
-- print(bpf.load("events.bpf.o").maps.ring:reader():events()) -- r
function reader.events() return "r" end

--- Tells copas and `socket.select` whether records lie there without a wait.
-- @function reader:dirty
-- @treturn boolean whether they do
-- @usage
-- print(bpf.load("events.bpf.o").maps.ring:reader():dirty()) -- false
function reader:dirty() return core.reader_ready(self) end

--- The same as `pollfd`, for copas and `socket.select`.
-- @function reader:getfd
-- @treturn integer the descriptor
-- @usage
-- print(bpf.load("events.bpf.o").maps.ring:reader():getfd())
reader.getfd = reader.pollfd

return reader
