-- SPDX-License-Identifier: MIT
--
-- Sessions at the prompt as docs/prompt-sessions.md has them: what is typed, on which terminal,
-- over which maps; played in a terminal, and written down.
--
-- A step is a line; or { tab = line }, with TAB after it, and Ctrl-C then; { paste = text };
-- { resize = { columns, lines } }; { key = "C-c" }.

local core = require "luabpf.core"
local helper = require "spec.support.helper"
local terminal = require "spec.support.terminal"

local sessions = {}

-- ---- the maps -------------------------------------------------------------------------

local SECOND <const> = 1000000000

-- Connections, always in the same order: the flag makes the kernel hash without a random seed.
local function connections(name)
  local map = helper.map { name = name, max_entries = 1000, flags = { "zero_seed" },
    key = { "ipv4 src_addr", "ipv4 dst_addr", "be16 src_port", "be16 dst_port", "u8 protocol",
      "u8 pad[3]" },
    value = { "u64 last_seen", "u64 packets", "u64 bytes", "enum8 state { new = 0, open = 1 }",
      "char comm[16]", "u32 slots[20]", "bytes cookie[64]" } }
  for i = 1, 100 do
    map:update({ src_addr = ("10.0.%d.%d"):format(i % 4, i), dst_addr = "192.0.2.1",
      src_port = 40000 + i, dst_port = i % 3 == 0 and 443 or 80, protocol = 6 },
      { last_seen = i * SECOND, packets = i, bytes = i == 7 and -1 or i * i * 100,
        state = i % 2, comm = "process" .. i, slots = { 0, 0, 0, 0, 0, i, 3 },
        cookie = ("\xab"):rep(40) .. ("\0"):rep(24) })
  end
  return map
end

local function counters(name)
  local map = helper.map { type = "percpu_array", name = name, max_entries = 3,
    value = { "u64 packets", "u64 bytes" } }
  map:update(0, { { packets = 5, bytes = 700 }, { packets = 0, bytes = 0 } })
  return map
end

-- ---- what is typed ------------------------------------------------------------------------

local RESULTS <const> = {
  'local flows = bpf.open "CONNS"',
  "flows",
  "flows:head(3)",
  "flows:describe()",
  'flows:lookup { src_addr = "10.0.3.7", dst_addr = "192.0.2.1", src_port = 40007,'
    .. ' dst_port = 80, protocol = 6 }',
  'flows:rows { columns = "key.src_addr, value.bytes, value.comm", sort = "bytes", limit = 3 }',
  'flows:select { columns = "key.src_addr, value.bytes", sort = "bytes asc" }',
  'flows:rows { where = "value.packets < 3" }',
  'flows:aggregate { group = "key.dst_port", select = "sum(value.packets) as packets, count()" }',
  'flows:hist("value.bytes", { where = "value.packets < 60 and value.packets ~= 7" })',
  'flows:count "value.packets > 50"',
  'flows:delete_where("value.last_seen < 50s", { dry_run = true })',
  "bpf.vertical(flows:head(1))",
  'bpf.open("COUNTERS"):head()',
  "flows:lookup_batch { }, 5",
  "flows.select, print, function() end",
  "{ 1, 2, { a = { b = 'c' } } }",
  'bpf.open "there_is_none"',
  "flows:updat(1)",
  'flows:count "value.packts > 1"',
  'for batch in flows:batches() do print(#batch) print((batch:values())[1].comm ~= nil) end',
  '("long text "):rep(12)',
  "1 / 3, 2^53, -1, 0x7fffffffffffffff",
  "flows:entries()",
  "flows:lookup { src_adr = 1 }",
  "flows:snapshot()",
  'bpf.load "bpf/events.bpf.o"',
  'bpf.vertical(bpf.maps { name = "CONNS" })',
  "bpf.iter",
}

local COMPLETION <const> = {
  'local flows = bpf.open "CONNS"',
  { tab = "bpf.o" },
  { tab = "flows:lookup" },
  { tab = 'bpf.open "PART' },
  { tab = 'flows:select { wh' },
  { tab = 'flows:select { where = "value.packets > 5", co' },
  { tab = 'flows:select { engine = "' },
  { tab = 'flows:select { engine = "k' },
  { tab = "flows:lookup { src" },
  { tab = 'flows:update({ dst_port = 80 }, { state = "' },
  { tab = 'bpf.create { type = "lpm' },
  { tab = 'flows:delete_where("true", { dry_run = ' },
  { tab = 'flows:count "val' },
  { tab = 'flows:count "pre' },
  { tab = 'flows:count "value.' },
  { tab = 'flows:count "value.state == ' .. "'" },
  { tab = 'flows:aggregate { select = "su' },
  { tab = 'flows:select { columns = { "key.d' },
  { tab = 'flows:select { columns = "key.src_addr", sort = "value.pa' },
  { tab = 'bpf.open_program(5):attach { xdp = "l' },
  { tab = 'bpf.open_program(5):attach { cgroup = "' },
  { tab = 'bpf.open "/sys/fs/bp' },
  { tab = 'bpf.load "bpf/eve' },
  { tab = 'help "map:sel' },
  { tab = 'help "selec' },
  { tab = "flo" },
}

local HELP <const> = {
  'help "bpf.duration"',
  'help "expressions"',
  'help "map:slect"',
  "help(bpf.now)",
}

-- Lists that have more in the next version: played, not recorded.
local LISTS <const> = {
  'local flows = bpf.open "CONNS"',
  "help()", "", "q", "flows:help()", "", "q", "help(bpf.iter)", 'help "query_options"', "q",
  "bpf.features()", { tab = "flows:" }, { tab = "bpf." }, { tab = "flows:select { " },
  "bpf.defaults", "flows:info()", "flows:users()", 'flows:explain { where = "value.bytes > 5" }',
  "bpf.vertical(flows:describe())", "_G",
}

local PASTE <const> = {
  { paste = [[
local flows = bpf.open "CONNS"
local total = 0
for key, value in flows:entries() do
  if key.dst_port == 443 then total = total + value.packets end
end
print("packets to 443:", total)]] },
  "total",
  "local once <close> = flows:head(1)",
  "x = = 1",
  "for i = 1, 2 do",
  "print(i)",
  "end",
  "1, 2, 3",
  "_, _2, _3",
}

local RESIZE <const> = {
  'local flows = bpf.open "CONNS"',
  "flows:head(2)",
  { resize = { 60, 20 } },
  "flows:head(2)",
  { resize = { 120, 40 } },
  "flows:head(2)",
}

-- What somebody does who knows the map of a tool by name, with help and TAB.
local TASKS <const> = {
  'bpf.maps { name = "CONNS" }',
  { tab = 'bpf.open "PART' },
  'local flows = bpf.open "CONNS"',
  "flows:describe()",
  "flows:head(2)",
  { tab = "flows:ro" },
  { tab = 'flows:rows { columns = "key.src_addr, value.by' },
  'flows:rows { columns = "key.src_addr, value.bytes", sort = "bytes", limit = 3 }',
  { tab = 'flows:hist "value.pa' },
  'flows:hist "value.packets"',
  { tab = 'flows:delete_where("now - value.last_seen > 1m", { dr' },
  'flows:delete_where("now - value.last_seen > 1m and key.dst_port == 443", { dry_run = true })',
  'flows:delete_where("now - value.last_seen > 1m and key.dst_port == 443")',
  'flows:export("/tmp/CONNS.jsonl", { columns = "key.src_addr, value.packets" })',
  'help "expressions"',
  'flows:aggregate { group = "prefix(key.src_addr, 24) as net", select = "sum(value.packets) as n",'
    .. ' sort = "n" }',
  "local before = flows:snapshot()",
  "flows:delete((flows:next()))",
  { tab = "flows:snapshot():di" },
  "for change in flows:snapshot():diff(before) do print(change.status, change.key.src_addr) end",
}

sessions.list = {
  { title = "Results, 60 columns", columns = 60, lines = 40, steps = RESULTS },
  { title = "Results, 80 columns", columns = 80, lines = 40, steps = RESULTS },
  { title = "Results, 200 columns", columns = 200, lines = 40, steps = RESULTS },
  { title = "Completion", columns = 80, lines = 40, steps = COMPLETION },
  { title = "Help", columns = 80, lines = 30, steps = HELP },
  { title = "Lists", columns = 60, lines = 30, steps = LISTS, unrecorded = true },
  { title = "A pasted script", columns = 80, lines = 40, steps = PASTE },
  { title = "Eight tasks", columns = 80, lines = 40, steps = TASKS },
  { title = "A terminal that is resized", columns = 80, widest = 120, lines = 24,
    steps = RESIZE },
}

-- ---- playing ------------------------------------------------------------------------------

-- How long TAB may take before what is there counts, ns.
local TAB_TIME <const> = 150000000

-- What is another each time, and what stands for it.
local MASKS <const> = {
  { "(%f[%w]id +)%d+", "%1#" }, { "memlock +%d+", "memlock      #" },
  { "btf_id +%d+", "btf_id       #" }, { "seconds +[%d.e-]+", "seconds  #" },
  { "%d+%.%d %a+ ago", "# ago" }, { "%d+ maps %d+ programs", "# maps # programs" },
  { "luabpf %d+%.%d+%.%d+", "luabpf #" },
  -- Which engine is taken is a matter of its costs.
  { "%-%- %l+ engine", "-- # engine" },
  { "\nengine +%l+\nwhy [^\n]+", "\nengine    #\nwhy       #" },
  { "\nexact +%l+", "\nexact     #" }, { " id %d+%)", " id #)" },
}

local function masked(text, names)
  for _, each in ipairs(names) do text = text:gsub(each[2], each[1]) end
  for _, mask in ipairs(MASKS) do text = text:gsub(mask[1], mask[2]) end
  -- bpf.maps(): the id stands first.
  return (text:gsub("\n *%d+(  %l[%l_]+  CONNS)", "\n#%1"):gsub("\n +id  type", "\nid  type"))
end

local function with_names(text, names)
  for _, each in ipairs(names) do text = text:gsub(each[1], each[2]) end
  return text
end

local function play_step(term, step, names, before)
  if type(step) == "string" then
    term:enter(with_names(step, names))
  elseif step.tab then
    term:type(with_names(step.tab, names))
    term:settle(before, true)
    term:press "Tab"
    core.sleep(TAB_TIME)
    before = term:settle(nil, true)
    term:press "C-c"
  elseif step.paste then
    term:paste(with_names(step.paste, names))
    term:press "Enter"
  elseif step.resize then
    term:resize(table.unpack(step.resize))
    core.sleep(TAB_TIME)
    return term:settle()
  elseif step.key then
    term:press(step.key)
  end
  return term:settle(before)
end

local serial = 0

-- Plays a session in a terminal, over maps of its own.
-- @treturn string what is on the terminal then
function sessions.play(session)
  serial = serial + 1
  -- Of one width, since columns are as wide as names.
  local tail = ("%05x%02d"):format(math.tointeger(helper.pid) % 0x100000, serial)
  -- What stands for names in steps and on the page, and the names; PART is the begin of one.
  local names = { { "CONNS", "con" .. tail .. "ns" }, { "COUNTERS", "count" .. tail },
    { "PART", "con" .. tail } }
  connections(names[1][2])
  counters(names[2][2])
  local term <close> = terminal.open { columns = session.columns, lines = session.lines,
    command = (os.getenv "LUABPF_LUA" or "lua5.4") .. " -l luabpf.prompt",
    env = { LUA_PATH = package.path, LUA_CPATH = package.cpath, LUABPF_HISTORY = "",
      LUABPF_EDITOR = session.editor or "" } }
  local text = term:settle()
  for _, step in ipairs(session.steps) do text = play_step(term, step, names, text) end
  os.remove(("/tmp/%s.jsonl"):format(names[1][2]))
  return masked(text, names)
end

-- ---- the page -------------------------------------------------------------------------------

local PAGE <const> = "docs/prompt-sessions.md"
local HEAD <const> = [[
# Sessions at the prompt

Recorded in terminals of several widths, by `lua5.4 spec/support/record.lua`; a spec plays them
again and compares. What is another each time (ids, times) is replaced by `#`.
]]

function sessions.block(session, text)
  return ("\n## %s\n\n```\n%s\n```\n"):format(session.title, text)
end

-- Writes the page anew.
function sessions.record()
  local file <close> = assert(io.open(PAGE, "w"))
  file:write(HEAD)
  for _, session in ipairs(sessions.list) do
    if not session.unrecorded then
      file:write(sessions.block(session, sessions.play(session)))
      helper.close_all()
    end
  end
end

function sessions.page()
  local file <close> = assert(io.open(PAGE))
  return file:read "a"
end

return sessions
