-- SPDX-License-Identifier: MIT
--
-- What help knows besides functions and tables: bpf.help "expressions", "functions", "updates".

local functions = require "luabpf.expr.functions"

local topics = {
expressions = [[
expressions

What where, columns, group, select and sort take; they run inside the kernel
where that is possible.

  key.port  value.in.addr  value.list[1]   fields; key and value for scalars
  $idle                  a parameter: params = { idle = "30s" }
  5 0x1f 30s 5m 2h 10ms  numbers and times in ns; 64KiB 1MiB: sizes in bytes
  '10.0.0.1'  'open'     an address, the name of an enum, text
  now  boottime          the clocks: bpf.now(), bpf.boottime()

  or and not  < > <= >= ~= ==  in  | ~ & << >>  + -  * / // %
                         as Lua has them; / truncates
  key.addr in '10.0.0.0/8'   key.port in (80, 443)   key.port in $set
  value.n  value[2].n    of per-CPU maps: the sum over CPUs; that of one
FUNCTIONS

columns   "key.addr, value.bytes as size"
select    count() sum(x) min(x) max(x) avg(x) distinct(x) hist(x)
sort      "size", "size asc, key.addr": largest first for numbers

    map:count "now - value.last_seen > 30s and key.port == 443"
    map:select { where = "value.bytes > 1MiB", sort = "value.bytes" }

docs/expressions.md has all of it.]],

functions = [[
functions

A Lua function of key and value, where a query takes text. It gets views, is
compiled and runs inside the kernel; what only Lua can do is left to Lua.

  where = f              f(key, value): whether the entry counts; also
                         map:count(f), map:delete_where(f), update_where
  columns = f            of select and rows: a table of named columns
  group = f              of aggregate: a value, or a table of columns
  map:fold(acc, f)       f(acc, key, value) adds to accumulators
  map:update_where(w, f) f assigns to fields of the value

  integers, and or not, if, for i = 1, n, ipairs(list), return
  key.port  value.in.addr  value.list[1]   an enum is its name, else a number
  text == "x"  #text  text:sub(1, 3)  text:find("^word")
  variables, sets { [80] = true } and functions from outside
  math.min max abs floor  bpf.now()  bpf.duration "5m"
  bpf.within(key.addr, "10.0.0.0/8")  bpf.prefix(key.addr, 24)

The report's compiled, asked and why say what ran where, map:explain { where =
f } shows it; compile = true raises unless no entry can need Lua.

    map:count(function(key, value) return web[key.port] and value.n > 9 end)

docs/functions.md has all of it.]],

updates = [[
updates

Entries changed where they are, inside the kernel, only what is named of them.

  map:update_where("value.state == 1", "value.state = 2, value.n = value.n + 1")
  map:update_where(nil, function(key, value) value.slots[1] = 0 end)
                         dry_run = true only counts, limit = 10, params = {}
  map:aggregate { select = "sum(value.packets) as n", reset = true }
  map:select { columns = "key, value.packets", reset = "value.packets" }
                         read and zeroed in one step: nothing is lost

The report has matched, updated, kept (somebody else was quicker) and missing.
help "map:update_where" has the options, docs/updates.md what it is worth
against others who write.]],

prompt = [[
the prompt

  x                 shows a value; _ is the last result, _1 _2 ... all of them
  local x = 1       stays for the session; a function keeps those that it was
                    made with
  TAB               names, methods, options; maps in bpf.open "", fields in
                    where = ""
  help(x)           of a function or a handle; help "map:select"; help
                    "expressions", "functions", "updates"
  bpf.vertical(x)   a field a line: what a table had no room for
  Ctrl-C            ends what runs, or the line; Ctrl-D leaves

docs/prompt.md has more.]],
}

-- The functions of expressions, as many to a line as there is room for.
local function forms()
  local lines, names = { "" }, {}
  for name in pairs(functions) do names[#names + 1] = name end
  table.sort(names)
  for _, name in ipairs(names) do
    local form = "  " .. functions[name].form
    if #lines[#lines] + #form > 78 then lines[#lines + 1] = "" end
    lines[#lines] = lines[#lines] .. form
  end
  return table.concat(lines, "\n")
end

topics.expressions = topics.expressions:gsub("FUNCTIONS", (forms():gsub("%%", "%%%%")))

return topics
