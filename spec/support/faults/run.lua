-- SPDX-License-Identifier: MIT
--
-- Fault injection: every public operation, with every fault that can be made to happen to it.
--
--   make faults                          all of it: half an hour, two processes
--   make faults ARGS='--each=5 --seed=1' five of each operation, by chance; the same again with
--                                        the same seed
--   make faults ARGS='--seconds=60'      a minute of it, chosen by chance
--   make faults ARGS='--slice=2/6'       the second sixth of it; --workers=1 for one process
--   make faults ARGS='--only=map:count --fault="bpf PROG_LOAD"'      what these texts are in
--
-- For each operation (operations.lua) a first try without a fault counts what it calls; from that
-- come the faults (sections.lua): each call with each errno, as long as there are not too many of a
-- kind; of more calls than that, of allocations and of steps of hooks, some are taken by chance, so
-- that each seed has others. They are tried in children (try.lua). A case counts if its fault has
-- fired. It ends with the failures, if there are any, alike ones together, and a table by section;
-- the last line is "N cases, N failed", and the exit status is 0 if none has.

local faults = package.loadlib(os.getenv "LUABPF_FAULTS", "luaopen_faults")()
local operations = require "spec.support.faults.operations"
local sections = require "spec.support.faults.sections"
local try = require "spec.support.faults.try"

local options = {}
for _, word in ipairs(arg) do
  local name, value = word:match "^%-%-(%w+)=?(.*)$"
  options[assert(name, "what is " .. word .. "?")] = value
end
local seconds = tonumber(options.seconds or "") or 3600
local seed = math.tointeger(tonumber(options.seed or "") or os.time())
local workers = math.tointeger(tonumber(options.workers or "") or 2)
-- Faults of each operation that come before all others; with --each there are no others.
local first = math.tointeger(tonumber(options.each or "") or 5)
local slice, slices = (options.slice or "1/1"):match "^(%d+)/(%d+)$"

-- What is loaded when it is first needed is loaded now: no fault is to hit that.
local function load_all()
  local pipe <close> = assert(io.popen "find lua/luabpf -name '*.lua'")
  for path in pipe:lines() do
    require((path:match "^lua/(.*)%.lua$":gsub("/init$", ""):gsub("/", ".")))
  end
end

-- ---- a worker ----------------------------------------------------------------------

-- Past the last event: they are counted.
local NOTHING <const> = { section = "none", passing = true, begin = function(control)
  control.hook(math.maxinteger)
end, finish = function() return 1 end, tell = function(control, told)
  local _
  _, told.allocations, told.events = control.counted()
  for kind, n in pairs(control.counts()) do told["k" .. kind] = n end
  for _, folder in ipairs { "/proc", "/sys" } do
    told["touched " .. folder:sub(2)] = control.touched(folder) and 1 or 0
  end
end }

-- The numbers of calls that a try told, by kind.
local function counts_of(told)
  local counts = {}
  for name, value in pairs(told) do
    local kind = type(name) == "string" and name:match "^k(%d+)$"
    if kind then counts[math.tointeger(kind)] = value end
  end
  return counts
end

-- Two tries without a fault, the second on the handles of the first: what the operation calls,
-- and what of it each time (again: by kind).
local function clean_run(operation, place)
  local tries = {}
  try.all(faults, operation, { NOTHING, NOTHING }, { 99, 0, 99 }, place.base, place.cgroup,
    function(_, result) tries[#tries + 1] = result end)
  local clean, last = tries[1], tries[#tries]
  clean.counts, clean.again = counts_of(clean), tries[2] and counts_of(last) or {}
  table.move(last.problems, 1, tries[2] and #last.problems or 0, #clean.problems + 1,
    clean.problems)
  for i = 1, 3 do clean["held" .. i] = last["held" .. i] end
  return clean
end

local function matches(text, pattern)
  return not pattern or text:find(pattern, 1, true) ~= nil
end

-- What a fault of that section is not for.
local function fits(operation, fault)
  if fault.section == "fork" then
    local shared = operation.shared and not operation.renew and not operation.once
    return fault.both == (shared or false) and not operation.once and not operation.alone
  end
  -- A loop over events ends where a handler took a signal.
  if operation.waits and fault.name:find "EINTR" then return false end
  -- What is printed goes to a file, and it is Lua that writes it.
  if fault.kind == "filesize" then return not operation.prints end
  return true
end

-- In an order that does not depend on that of tables.
local function sorted(list)
  table.sort(list, function(a, b)
    return a.section .. a.name < b.section .. b.name
  end)
  return list
end

-- Those of this run's slice.
local function in_slice(list)
  local some = {}
  for i = tonumber(slice), #list, tonumber(slices) do some[#some + 1] = list[i] end
  return some
end

local function faults_of(operation, clean)
  local list = {}
  for _, section in ipairs(sections.order) do
    sections[section](function(fault)
      if fits(operation, fault) and matches(fault.name, options.fault)
        and matches(section, options.section) then
        list[#list + 1] = fault
      end
    end, clean, faults)
  end
  return in_slice(sorted(list))
end

local function say(...)
  io.stdout:write(table.concat({ ... }, "\t"), "\n")
  io.stdout:flush()
end

-- Whether the case counts: its fault has fired.
local function counts(fault, result)
  if fault.counted == "refused" then return result.verdict ~= "right" end
  return result.fired > 0
end

-- Tries them, and says what came of each; how many were tried.
local function try_all(operation, list, allowed, place, is_over)
  return try.all(faults, operation, list, allowed, place.base, place.cgroup,
    function(fault, result)
      if fault.refuses == false and result.verdict == "refused" then
        table.insert(result.problems, "refused: " .. tostring(result.said))
      end
      if not counts(fault, result) and #result.problems == 0 then return end
      say("case", fault.section, fault.kind, result.verdict or "lost", #result.problems)
      for _, problem in ipairs(result.problems) do
        say("problem", fault.section, operation.title,
          result.place and ("%s: %s"):format(fault.name, result.place) or fault.name, problem)
      end
    end, is_over)
end

local function shuffle(list)
  for i = #list, 2, -1 do
    local j = math.random(i)
    list[i], list[j] = list[j], list[i]
  end
  return list
end

-- Faults that one child can have one after the other come last.
local function alone_first(list)
  local ordered = {}
  for _, passing in ipairs { false, true } do
    for _, fault in ipairs(list) do
      if (fault.passing or false) == passing then ordered[#ordered + 1] = fault end
    end
  end
  return ordered
end

-- The faults of an operation, the same and in the same order each time; the first few are told
-- apart. They are not kept: what is in memory here is in each child's.
local function lists_of(operation, clean)
  math.randomseed(seed, operation.number)
  local list = shuffle(faults_of(operation, clean))
  local others = options.each and {} or table.move(list, first + 1, #list, 1, {})
  return table.move(list, 1, math.min(#list, first), 1, {}), alone_first(others)
end

-- What an operation calls, and what may stay of it; nil if it fails by itself.
local function clean_of(operation, place)
  local clean = clean_run(operation, place)
  if clean.verdict ~= "right" or #clean.problems > 0 then
    say("problem", "none", operation.title, "no fault", table.concat(clean.problems, "; "))
    return nil
  end
  clean.allowed = { clean.held1, clean.held2, clean.held3 }
  return clean
end

local function mine(worker)
  local all, list, n = operations.all(), {}, 0
  table.sort(all, function(a, b) return a.title < b.title end)
  for i, operation in ipairs(all) do
    operation.number = i
    if matches(operation.title, options.only) then
      n = n + 1
      if n % workers == worker then list[#list + 1] = operation end
    end
  end
  return list
end

-- A few cases of each operation first: in a minute or two all have a turn.
local function work(worker)
  load_all()
  math.randomseed(seed)
  local place = { base = ("%s/f%x"):format(options.folder, faults.pid()), cgroup = options.cgroup }
  local deadline, cleans, left = os.time() + seconds, {}, 0
  local function is_over() return os.time() >= deadline end
  local list = shuffle(mine(worker))
  for _, operation in ipairs(list) do
    local clean = not is_over() and clean_of(operation, place)
    if clean then
      cleans[operation] = clean
      try_all(operation, lists_of(operation, clean), clean.allowed, place)
    end
  end
  for _, operation in ipairs(list) do
    local clean = cleans[operation]
    if clean then
      local _, rest = lists_of(operation, clean)
      collectgarbage()
      left = left + #rest - try_all(operation, rest, clean.allowed, place, is_over)
    end
  end
  say("left", left)
end

-- ---- all of it -----------------------------------------------------------------------

-- A worker's own network, cgroup and mounts, files in memory among them; the cgroup goes when it is
-- done.
local START <const> = [[exec unshare -nm sh -c '
  ip link set lo up
  folder=$(mktemp -d) && mount -t tmpfs tmpfs $folder && mkdir $folder/cgroup &&
    mount -t cgroup2 cgroup2 $folder/cgroup || exit
  cgroup=$folder/cgroup/faults_$$
  mkdir $cgroup
  nice -n %d env LD_PRELOAD=%s \
    %s spec/support/faults/run.lua --folder=$folder --cgroup=$cgroup --worker=%d %s
  status=$?
  rmdir $cgroup
  umount $folder/cgroup $folder && rmdir $folder
  exit $status
']]

local function start(worker)
  local given = {}
  for name, value in pairs(options) do given[#given + 1] = ("--%s=\"%s\""):format(name, value) end
  local nice = math.tointeger(tonumber(options.nice or "")) or 19
  return assert(io.popen(START:format(nice, os.getenv "LUABPF_FAULTS",
    os.getenv "LUABPF_LUA" or "lua5.4", worker, table.concat(given, " ") .. " --seed=" .. seed)))
end

local function split(line)
  local fields = {}
  for field in line:gmatch "[^\t]+" do fields[#fields + 1] = field end
  return fields
end

local function tally(totals, section, verdict, problems)
  local row = totals[section] or { cases = 0, right = 0, refused = 0, raised = 0, failed = 0 }
  totals[section] = row
  row.cases = row.cases + 1
  if problems > 0 then
    row.failed = row.failed + 1
  else
    row[verdict] = row[verdict] + 1
  end
end

local function read(totals, failures, line)
  local f = split(line)
  if f[1] == "case" then
    tally(totals, f[2], f[4], math.tointeger(f[5]))
    tally(totals, "all", f[4], math.tointeger(f[5]))
  elseif f[1] == "left" then
    totals.left = totals.left + math.tointeger(f[2])
  elseif f[1] == "problem" then
    local what = f[3] .. ": " .. tostring(f[5]):gsub("0x%x+", "0x"):gsub("f%x+_[%x_]+", "NAME")
    local known = failures[what]
    if not known then
      known = { n = 0, example = f[4], what = what }
      failures[what], failures[#failures + 1] = known, known
    end
    known.n = known.n + 1
  else
    failures[#failures + 1] = { n = 1, what = line, example = "a worker's own words" }
  end
end

local function print_totals(totals)
  print(("%-12s %8s %8s %8s %8s %8s"):format("section", "cases", "right", "refused", "raised",
    "failed"))
  for _, section in ipairs { "call", "allocation", "hook", "signal", "fork", "limit", "missing",
    "seccomp", "all" } do
    local row = totals[section]
    if row then
      print(("%-12s %8d %8d %8d %8d %8d"):format(section, row.cases, row.right, row.refused,
        row.raised, row.failed))
    end
  end
end

local function print_failures(failures)
  table.sort(failures, function(a, b) return a.n > b.n end)
  for _, known in ipairs(failures) do
    print(("%6d  %s\n        as with %s"):format(known.n, known.what, known.example))
  end
end

local function lead()
  local started = os.time()
  print(("faults: seed %d"):format(seed))
  local pipes, totals, failures = {}, { left = 0 }, {}
  for worker = 0, workers - 1 do pipes[#pipes + 1] = start(worker) end
  for _, pipe in ipairs(pipes) do
    for line in pipe:lines() do read(totals, failures, line) end
    local ok, how, status = pipe:close()
    if not ok then
      failures[#failures + 1] = { n = 1, what = ("a worker's end: %s %d"):format(how, status),
        example = "no fault" }
    end
  end
  print_failures(failures)
  print_totals(totals)
  print(("%d s; %d cases were left out for want of time"):format(os.time() - started, totals.left))
  local all = totals.all or { cases = 0, failed = 0 }
  print(("%d cases, %d failed"):format(all.cases,
    #failures > 0 and math.max(1, all.failed) or all.failed))
  os.exit(#failures == 0 and all.cases > 0)
end

if options.worker then work(math.tointeger(options.worker)) else lead() end
