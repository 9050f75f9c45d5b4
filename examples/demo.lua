-- SPDX-License-Identifier: MIT
--
-- What `make demo` runs: a connection table of the running kernel, filled by
-- real traffic of known amounts, read, summed up, walked in batches and cleaned
-- of what is idle. In the end its numbers are checked against what the sockets
-- say they sent: the exit status is 0 only if all agree.
--
-- The lines of Lua that are printed are the ones that run. Nothing is left
-- behind, even when this is interrupted: the tracker ends with its handle, the
-- traffic generator with its pipe, the cgroup with both.

package.path = arg[0]:gsub("[^/]*$", "") .. "?.lua;" .. package.path

local bpf = require "luabpf"
local show = require "luabpf.show.show"
local traffic = require "traffic"

local GENERATOR <const> = (os.getenv "LUABPF_BUILD" or ".build") .. "/traffic"

-- What is sent: commands of traffic.c. Those of the tag "live" go on sending during the cleanup.
local TRAFFIC <const> = {
  { "tcp", "web", "127.0.0.1", 8080, 12, 500, 40000 },
  { "tcp", "web", "::1", 8080, 6, 500, 250000 },
  { "udp", "dns", "127.0.0.1", 5300, 8, 2, 40, 2, 120 },
  { "udp", "dns", "::1", 5300, 4, 2, 40, 2, 120 },
  { "ping", "ping", "127.0.0.1", 5, 56 },
  { "ping", "ping", "::1", 5, 56 },
  { "tcp", "live", "127.0.0.1", 7000, 2, 1000, 1000 },
  { "udp", "live", "::1", 7000, 3, 20, 1200, 0, 0 },
}
local STREAM_MS <const>, PAUSE_MS <const> = 3500, 10

-- ---- how it looks ----------------------------------------------------------------

local colours = os.execute "test -t 1" and not os.getenv "NO_COLOR"

local function paint(code, text)
  return colours and ("\27[%sm%s\27[0m"):format(code, text) or text
end

local function title(text)
  print("\n" .. paint("1", text))
end

local function say(text)
  print((("\n" .. tostring(text)):gsub("\n([^\n])", "\n  %1"):sub(2)))
end

local env = setmetatable({ bpf = bpf, conntrack = require "luabpf.conntrack",
  print = function(...) print() say(...) end }, { __index = _G })

-- Shows lines of Lua and runs them.
local function lua(code)
  print()
  for line in code:gmatch("[^\n]+") do print("  " .. paint("36", "> " .. line)) end
  assert(load(code, "=demo", "t", env))()
end

local function commas(n)
  local text = tostring(n):reverse():gsub("(%d%d%d)", "%1,"):reverse()
  return (text:gsub("^,", ""))
end

-- ---- sums ---------------------------------------------------------------------------

local function total(conns)
  local sum = { packets = 0, bytes = 0 }
  for _, c in ipairs(conns) do
    sum.packets = sum.packets + c.packets + c.reply_packets
    sum.bytes = sum.bytes + c.bytes + c.reply_bytes
  end
  return sum
end

local function tagged(conns, tag)
  local some = {}
  for _, c in ipairs(conns) do
    if c.tag == tag then some[#some + 1] = c end
  end
  return some
end

-- How many of conns the table has with the very numbers of the sockets.
local function count_equal(conns)
  local found, message = env.tracker:query(conns)
  if not found then error(message, 0) end
  local equal = 0
  for i, c in ipairs(conns) do
    local f = found[i] or {}
    if f.packets == c.packets and f.bytes == c.bytes and f.reply_packets == c.reply_packets
      and f.reply_bytes == c.reply_bytes then
      equal = equal + 1
    end
  end
  return equal
end

-- ---- checks -------------------------------------------------------------------------

local checks = {}

local function check(what, expected, got)
  checks[#checks + 1] = { what = what, expected = expected, got = got, ok = expected == got }
end

local function count_failed()
  local failed = 0
  for _, c in ipairs(checks) do
    if not c.ok then failed = failed + 1 end
  end
  return failed
end

local function print_checks()
  local rows = {}
  for i, c in ipairs(checks) do
    rows[i] = { c.ok and "ok" or "WRONG", c.what, commas(c.expected), commas(c.got),
      numeric = { [3] = true, [4] = true } }
  end
  print()
  say(show.table({ "", "", "sent", "found" }, rows))
end

local function pid()
  local file <close> = assert(io.open "/proc/self/stat")
  return file:read "n"
end

-- ---- the steps ------------------------------------------------------------------------

local function start_tracker(cgroup)
  title "1. The tracker: a BPF program that sees each packet of the sockets of a cgroup"
  env.cgroup = cgroup.path
  print()
  say("cgroup is " .. cgroup.path .. ", made for this demo.")
  lua "tracker = assert(conntrack.start { cgroup = cgroup })\nprint(tracker)"
end

-- The connections that were made, as their sockets account for them.
local function make_traffic(generator)
  title "2. Traffic in that cgroup: TCP, UDP and ICMP over IPv4 and IPv6, from lo to lo"
  local rows = {}
  for i, command in ipairs(TRAFFIC) do
    generator:command(table.unpack(command))
    local protocol, tag, address, port, n = table.unpack(command)
    if protocol == "ping" then port, n = "", 1 end
    rows[i] = { tag, protocol, address, port, n, numeric = { [4] = true } }
  end
  print()
  say(show.table({ "name", "kind", "address", "port", "connections" }, rows))
  local conns = generator:command("report", "*")
  local sum = total(conns)
  print()
  say(("The sockets account for %s packets, %s bytes with their headers.")
    :format(commas(sum.packets), commas(sum.bytes)))
  return conns
end

local function read_table(conns)
  title "3. The table: one entry per connection, both directions in it"
  lua "print(tracker:list { limit = 12 })"
  lua "stats = tracker:stats { top = 3 }\nprint(stats)"
  local sum, stats = total(conns), env.stats
  check("connections", #conns, stats.connections)
  check("packets of both directions", sum.packets, stats.packets)
  check("bytes of both directions", sum.bytes, stats.bytes)
  check("connections right in all their numbers", #conns, count_equal(conns))
end

local function walk(conns)
  title "4. A lazy walk: a batch per step, one system call each; fields read where they are used"
  lua [[
batches, seen, bytes = 0, 0, 0
for batch in tracker.map:batches(16) do
  batches, seen = batches + 1, seen + #batch
  for _, value in batch:views() do bytes = bytes + value.bytes + value.reply_bytes end
end
print(("%d batches, %d connections, %d bytes"):format(batches, seen, bytes))]]
  check("connections walked in batches", #conns, env.seen)
  check("bytes walked in batches", total(conns).bytes, env.bytes)
end

-- Gives back how many packets were sent in all.
local function clean(generator, conns)
  title "5. A filtered delete: what was idle for a second goes, what is sending meanwhile stays"
  generator:tell("stream", "live", STREAM_MS, PAUSE_MS)
  bpf.sleep "2s"
  lua [[
report = tracker:cleanup { idle = "1s" }
print(("%d visited, %d deleted, %d left, in %.1f ms"):format(
  report.visited, report.deleted, report.visited - report.deleted, report.seconds * 1000))
print(tracker:list())]]
  generator:wait()
  local live = generator:command("report", "live")
  check("idle connections deleted", #conns - #live, env.report.deleted)
  check("live connections left", #live, env.tracker.map:count())
  check("live connections right in all their numbers", #live, count_equal(live))
  return total(conns).packets - total(tagged(conns, "live")).packets + total(live).packets
end

local function check_counters(packets)
  local counters = env.tracker:counters()
  check("packets by the program's own count, with these", packets, counters.counted)
  check("packets seen, less those seen twice on lo", packets, counters.seen - counters.repeated)
end

local function demo()
  local cgroup <close> = traffic.cgroup("luabpf-demo-" .. pid())
  local generator <close> = traffic.start(GENERATOR, cgroup)
  -- Else another program's pings would reach this one's sockets too, and be counted rightly.
  generator:command "private"
  start_tracker(cgroup)
  local tracker <close> = env.tracker
  local conns = make_traffic(generator)
  read_table(conns)
  walk(conns)
  check_counters(clean(generator, conns))
  tracker:stop()
  return total(conns)
end

local function report(sent, seconds)
  title "6. What the sockets sent, and what was found"
  check("cgroups left behind", 0, io.open(env.cgroup .. "/cgroup.procs") and 1 or 0)
  print_checks()
  local failed = count_failed()
  print()
  if failed > 0 then
    print(paint("1;31", ("%d of %d checks disagree."):format(failed, #checks)))
    return false
  end
  print(paint("1;32", ("All %d checks agree: the table has the %s packets and %s bytes that were "
    .. "sent. %.1f s."):format(#checks, commas(sent.packets), commas(sent.bytes), seconds)))
  return true
end

print(paint("1", "luabpf: a connection table of the running kernel, from Lua"))
local begun = bpf.now()
local ok, sent = pcall(demo)
if not ok then io.stderr:write("\ndemo: ", tostring(sent), "\n") end
os.exit(ok and report(sent, (bpf.now() - begun) / 1e9), true)
