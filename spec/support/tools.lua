-- SPDX-License-Identifier: MIT
--
-- lua5.4 spec/support/tools.lua: looks at the maps of Debian's libbpf-tools and of bpftrace while
-- they run, as the prompt shows them at 60, 80 and 200 columns, and checks that no line is wider,
-- nothing is an address, there is no run of zeros and no kilobyte of digits. What it saw at 80
-- columns goes to docs/prompt-tools.md. Tools that this kernel does not run are named.

local bpf = require "luabpf"
local display = require "luabpf.show.display"
local room = require "luabpf.show.room"

-- Those that attach by BTF alone, so that kernels without tracepoints run them too.
local TOOLS <const> = { "runqlat", "softirqs", "hardirqs", "cpudist", "offcputime", "wakeuptime",
  "biolatency", "bitesize", "runqslower", "drsnoop", "klockstat", { "bpftrace", [[bpftrace -e '
    interval:ms:20 { @calls[comm, pid] = count(); @ns = hist(nsecs % 100000); @start[tid] = nsecs; }
  ']] } }

local shown, problems, seen = {}, {}, 0

local function check(what, text, columns)
  for line in (text .. "\n"):gmatch "(.-)\n" do
    local bad = room.width(line) > columns and "wider than the terminal"
      or line:find ": 0x%x%x%x" and "an address" or line:find(("0"):rep(16)) and "a run of zeros"
      or line:find "0, 0, 0, 0, 0" and "a run of zeros" or #line:gsub("%X", "") > 900 and "digits"
    if bad then
      problems[#problems + 1] = ("%s, %d columns: %s: %s"):format(what, columns, bad, line)
    end
  end
end

local function look(what, x)
  for _, columns in ipairs { 60, 80, 200 } do
    local text = room.within(columns, 24, display.text, x)
    check(what, text, columns)
    if columns == 80 then shown[#shown + 1] = ("> %s\n%s\n"):format(what, text) end
  end
end

-- A field of a value that is a number, for hist.
local function number_field(desc, path)
  if desc and desc.kind == "int" then return path end
  for _, field in ipairs(desc and desc.fields or {}) do
    local found = field.name and number_field(field.type, path .. "." .. field.name)
    if found then return found end
  end
end

local function look_at(tool, map)
  local info = map:info()
  seen = seen + 1
  local what = ("%s: %s"):format(tool, info.name)
  look(what .. ":describe()", (map:describe()))
  local head = map:head(5)
  if head then look(what .. ":head(5)", head) end
  local field = number_field(map:describe().value, "value")
  local ok, hist = pcall(map.hist, map, field or "value")
  if ok and hist then look(("%s:hist %q"):format(what, field or "value"), hist) end
end

local function ids()
  local set = {}
  for _, info in ipairs(bpf.maps()) do set[info.id] = true end
  return set
end

-- A map, by its name where no other map has it.
local function open(info)
  local map = bpf.open(info.name)
  return map and map:info().id == info.id and map or bpf.open(info.id)
end

-- The ids of the maps that processes of that name hold.
local function held_by(tool)
  local set = {}
  local pipe <close> = io.popen(("cat $(pgrep -x %s | sed 's|.*|/proc/&/fdinfo/*|') 2>/dev/null")
    :format(tool))
  for line in pipe:lines() do
    local id = line:match "^map_id:%s*(%d+)"
    if id then set[math.tointeger(id)] = true end
  end
  return set
end

local function is_its_own(info)
  return info.name ~= "" and not info.name:find "%.rodata" and not info.name:find "^libbpf"
    and not info.name:find "^%.?luabpf"
end

-- Looks at the maps that a tool holds besides those that there were: how many.
local function look_at_new(tool, before)
  local n, held = 0, held_by(tool)
  for _, info in ipairs(bpf.maps()) do
    local wanted = held[info.id] and not before[info.id] and is_its_own(info)
    local map <close> = wanted and open(info) or nil
    if map then
      look_at(tool, map)
      n = n + 1
    end
  end
  return n
end

local function run(tool, command)
  local before, n = ids(), 0
  local pid = io.popen(("timeout 30 %s >/dev/null 2>&1 & echo $!"):format(command)):read "l"
  for _ = 1, 8 do
    bpf.sleep "2s"
    os.execute "ls -R /usr/share/doc >/dev/null"
    n = look_at_new(tool, before)
    if n > 0 then break end
  end
  os.execute(("kill %s 2>/dev/null"):format(pid))
  print(("%s: %d maps"):format(tool, n))
end

for _, tool in ipairs(arg[1] and { table.concat(arg, " ") } or TOOLS) do
  local name = type(tool) == "table" and tool[1] or tool:match "^%S+"
  run(name, type(tool) == "table" and tool[2] or tool)
end
for _, problem in ipairs(problems) do print(problem) end
print(("%d maps, %d problems"):format(seen, #problems))
local file <close> = assert(io.open("docs/prompt-tools.md", "w"))
file:write("# Maps of other people's tools\n\n",
  "What the prompt shows of the maps of Debian's libbpf-tools and of bpftrace, 80 columns wide,\n",
  "by `lua5.4 spec/support/tools.lua`.\n\n```\n", table.concat(shown, "\n"), "```\n")
os.exit(#problems == 0)
