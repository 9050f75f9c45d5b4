-- SPDX-License-Identifier: MIT
--
-- What help knows besides functions and tables: bpf.help "expressions".

return {
expressions = [[
expressions

What where, columns, group, select and sort take. They run inside the kernel where that is possible.

  key.src_port  value.bytes  value.in.addr  value.list[1]   fields; key and value alone for scalars
  $idle                        a parameter: params = { idle = "30s" }
  5  0x1f  30s 5m 2h 1d 10ms  64KiB 1MiB    numbers, times in ns, sizes in bytes
  '10.0.0.1'  'established'    an address, the name of an enum, text
  now  boottime                the clocks of bpf_ktime_get_ns and bpf_ktime_get_boot_ns

  or and not  < > <= >= ~= ==  in  | ~ & << >>  + -  * / // %     as Lua has them; / truncates
  key.addr in '10.0.0.0/8'     key.port in (80, 443)     key.port in $set
  if(condition, a, b)          prefix(key.addr, 24)
  cpu_max(value.n) cpu_min(value.n) value[2].n      of per-CPU maps; else the sum over CPUs

columns   "key.src_addr, value.bytes as size"
select    count() sum(x) min(x) max(x) avg(x) distinct(x) hist(x)
sort      "size", "size asc, key.src_addr": largest first for numbers

    map:count "now - value.last_seen > 30s and key.dst_port == 443"
    map:select { where = "value.bytes > 1MiB", columns = "key.src_addr, value.bytes", limit = 5 }

docs/expressions.md has all of it.]],

prompt = [[
the prompt

  x                 shows a value; _ is the last result, _1 _2 ... all of them
  local x = 1       stays for the session; a function keeps those that it was made with
  TAB               names, methods, options, maps in bpf.open("", fields in where = ""
  help(x)           of a function or a handle; help "map:select", help "expressions"
  bpf.vertical(x)   a field a line: what a table had no room for
  Ctrl-C            ends what runs, or the line; Ctrl-D leaves

docs/prompt.md has more.]],
}
