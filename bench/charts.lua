-- SPDX-License-Identifier: MIT
--
-- Writes docs/performance.md and the charts in it from what the benchmark
-- measured:
--
--   lua5.4 bench/charts.lua docs/performance.json docs
--
-- The first is the output of bench.lua --all --json. Charts are plain SVG,
-- without a background, in colours that can be read on white and on black.

local json = require "luabpf.file.json"

local WIDTH <const> = 720
local COLOURS <const> = { "#2f81f7", "#d29922", "#2da44e", "#bf6bd6" }

local STYLE <const> = [[
<style>
text { font: 12px sans-serif; fill: #57606a }
.title { font-weight: bold; fill: #24292f }
.grid { stroke: #8c959f; stroke-opacity: .35 }
.limit { stroke: #cf222e; stroke-width: 2 }
@media (prefers-color-scheme: dark) {
  text { fill: #9da7b3 }
  .title { fill: #e6edf3 }
}
</style>
]]

-- ---- SVG -------------------------------------------------------------------------

local function escape(text)
  return (tostring(text):gsub("[&<>]", { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;" }))
end

local canvas = {}
canvas.__index = canvas

local function new_canvas(title, height)
  local self = setmetatable({ height = height, parts = {} }, canvas)
  self:text(0, 16, title, 'class="title"')
  return self
end

function canvas:add(format, ...)
  self.parts[#self.parts + 1] = format:format(...)
end

function canvas:text(x, y, text, attributes)
  self:add('<text x="%.0f" y="%.0f" %s>%s</text>', x, y, attributes or "", escape(text))
end

function canvas:line(x1, y1, x2, y2, class)
  self:add('<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" class="%s"/>', x1, y1, x2, y2, class)
end

function canvas:__tostring()
  return ('<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d">\n%s%s\n</svg>\n')
    :format(WIDTH, self.height, WIDTH, STYLE, table.concat(self.parts, "\n"))
end

-- A number that steps of the axis up to most are multiples of: 1, 2 or 5 times a power of ten.
local function step_of(most)
  local step = 10.0 ^ math.floor(math.log(most / 4, 10))
  for _, times in ipairs { 5, 2 } do
    if most / (step * times) >= 4 then return step * times end
  end
  return step
end

-- A number without zeros behind its point.
local function plain(n)
  return n == math.floor(n) and ("%d"):format(math.tointeger(n)) or ("%.4g"):format(n)
end

--- Horizontal bars. rows: { label, value }; mark: a limit for all of them.
local function bars(title, rows, format, mark)
  local left, row_height, top = 330, 22, 30
  local c = new_canvas(title, top + #rows * row_height + 24)
  local most = mark or 0
  for _, row in ipairs(rows) do most = math.max(most, row[2]) end
  local scale, step = (WIDTH - left - 70) / most, step_of(most)
  local bottom = top + #rows * row_height
  for i = 0, math.floor(most / step) do
    local x = left + i * step * scale
    c:line(x, top, x, bottom, "grid")
    c:text(x, bottom + 16, plain(i * step), 'text-anchor="middle"')
  end
  for i, row in ipairs(rows) do
    local y = top + (i - 1) * row_height
    c:text(left - 8, y + 15, row[1], 'text-anchor="end"')
    c:add('<rect x="%d" y="%d" width="%.1f" height="14" rx="2" fill="%s"/>', left, y + 4,
      math.max(row[2] * scale, 1), COLOURS[1])
    c:text(left + row[2] * scale + 6, y + 15, format:format(row[2]))
  end
  if mark then c:line(left + mark * scale, top, left + mark * scale, bottom, "limit") end
  return tostring(c)
end

-- The axes of lines(): places of x on a scale of powers of two, and of y from 0.
local function axes(c, xs, most, box)
  local first, last = math.log(xs[1], 2), math.log(xs[#xs], 2)
  local function place_x(x)
    return box.left + (math.log(x, 2) - first) / (last - first) * (box.right - box.left)
  end
  local function place_y(y) return box.bottom - y / most * (box.bottom - box.top) end
  local step = step_of(most)
  for i = 0, math.floor(most / step) do
    c:line(box.left, place_y(i * step), box.right, place_y(i * step), "grid")
    c:text(box.left - 6, place_y(i * step) + 4, plain(i * step), 'text-anchor="end"')
  end
  for _, x in ipairs(xs) do
    c:text(place_x(x), box.bottom + 16, plain(x), 'text-anchor="middle"')
  end
  return place_x, place_y
end

--- Lines over xs. series: list of name and ys.
local function lines(title, xs, series)
  local box = { left = 60, right = WIDTH - 30, top = 30 + 18 * #series, bottom = 300 }
  local c = new_canvas(title, 330)
  local most = 0
  for _, s in ipairs(series) do most = math.max(most, table.unpack(s.ys)) end
  local place_x, place_y = axes(c, xs, most, box)
  for i, s in ipairs(series) do
    local points = {}
    for j, y in ipairs(s.ys) do points[j] = ("%.1f,%.1f"):format(place_x(xs[j]), place_y(y)) end
    c:add('<polyline fill="none" stroke="%s" stroke-width="2" points="%s"/>', COLOURS[i],
      table.concat(points, " "))
    c:add('<rect x="%d" y="%d" width="14" height="4" fill="%s"/>', box.left, 22 + 18 * i,
      COLOURS[i])
    c:text(box.left + 20, 28 + 18 * i, s.name)
  end
  return tostring(c)
end

-- ---- charts of what was measured ---------------------------------------------------

local function table_named(document, name)
  for _, t in ipairs(document.tables) do
    if t.name == name then return t end
  end
  error(("no table '%s': the benchmark must be run with --all"):format(name), 0)
end

local function column(t, at)
  local list = {}
  for i, row in ipairs(t.rows) do list[i] = row[at] end
  return list
end

-- All columns after the first, as lines.
local function lines_of(t, title, first, last)
  local series = {}
  for at = first, last do
    series[#series + 1] = { name = t.columns[at], ys = column(t, at) }
  end
  return lines(title, column(t, 1), series)
end

local function bars_of(t, title, at)
  local rows = {}
  for i, row in ipairs(t.rows) do rows[i] = { row[1], row[at] } end
  return bars(title, rows, "%d")
end

local charts = {}

function charts.figures(document)
  local rows = {}
  for _, f in ipairs(document.figures) do
    if f.unit == "ratio" and f.against == "C" then rows[#rows + 1] = { f.name, f.value } end
  end
  return bars("Time of luabpf, where C over libbpf takes 1", rows, "%.2f", 1)
end

function charts.sizes(document)
  return lines_of(table_named(document, "batch sizes"), "Reading the map by batch size", 3, 3)
end

function charts.entries(document)
  return lines_of(table_named(document, "entries"), "ns per entry by the entries of the map", 2, 5)
end

function charts.statistics(document)
  return bars_of(table_named(document, "statistics"), "Sums over all entries, ns per entry", 2)
end

function charts.decoding(document)
  return bars_of(table_named(document, "decoding"), "What decoding adds to a walk, ns per entry",
    3)
end

-- ---- the page --------------------------------------------------------------------

local function markdown_table(columns, rows)
  local out = { "| " .. table.concat(columns, " | ") .. " |" }
  out[2] = "|" .. (" --- |"):rep(#columns)
  for _, row in ipairs(rows) do
    local cells = {}
    for i, cell in ipairs(row) do
      cells[i] = math.type(cell) == "float" and plain(cell) or tostring(cell)
    end
    out[#out + 1] = "| " .. table.concat(cells, " | ") .. " |"
  end
  return table.concat(out, "\n")
end

local UNITS <const> = {
  ratio = function(f, n)
    return ("%.2f of %s"):format(n, f.against == "C" and "C" or "the first")
  end,
  faster = function(_, n) return ("%.2f times"):format(n) end,
  added = function(_, n) return ("%.0f ns"):format(n) end,
  ns = function(_, n) return ("%.1f us"):format(n / 1000) end,
  bytes = function(_, n) return ("%.1f MiB"):format(n / (1 << 20)) end,
  factor = function(_, n) return ("factor %.2f"):format(n) end,
}

local function figures_table(document)
  local rows = {}
  for i, f in ipairs(document.figures) do
    local unit = UNITS[f.unit]
    rows[i] = { f.name, unit(f, f.value), unit(f, f.limit),
      f.base and ("%.0f"):format(f.base) or "", f.ours and ("%.0f"):format(f.ours) or "",
      f.pass and "PASS" or "MISS" }
  end
  return markdown_table({ "figure", "measured", "limit", "C or first, ns", "luabpf, ns", "" },
    rows)
end

local PAGE <const> = [[
# Performance

This page is written by `make performance` from one run of `make bench ARGS="--all"` on the machine
below. Run it on yours; `bpf.bench(map)` measures a map of your own. [Scale](scale.md) says what the
figures mean for maps and fleets that are larger than this machine.

%s

%s

The figures are medians of %d runs. Each is compared with a program in C over libbpf
(`bench/c_baseline.c`) that does the same work on the same map, or with another way of luabpf; both
sides take turns, so that what disturbs one disturbs the other. A loop of plain Lua is timed before
and after each side: where it is slowed down by other work, up to three times as many turns are
taken, and those count in which it was slowed down least, whatever the two sides took.

Trust the ratios more than the nanoseconds: on a machine with other work the latter differ by half
from run to run, and figures close to their limit then pass once and miss once. Several threads are
measured by the clock, and need CPUs that nobody else uses.

## What luabpf is held to

%d of %d figures are within their limits, with %s entries of 16 + 32 bytes.

![Time as a part of C's](charts/figures.svg)

%s

Two lines tell what tables cost rather than luabpf, and are beyond their limits wherever Lua makes
tables as slowly as here: what decoding adds, of which the line after it says how much tables made
by Lua's own constructors add, and a lookup whose key and value are tables, which is as dear as
packing and unpacking by hand. Keys and values that are numbers or binary strings need none.

## Reading a map

![By batch size](charts/sizes.svg)

From 256 entries a batch on, larger ones save little: what costs is the entry, not the call. They
take memory, and one call lasts longer. The default of 4,096 stays in the cache.

![By the size of the map](charts/entries.svg)

![Sums](charts/statistics.svg)

A query that the kernel can answer is cheapest there: nothing but its result is copied out. At
4,000,000 entries `count(where)` goes to the batch engine by itself: a run inside the kernel would
take longer than the default budget of 250 ms allows.

![Decoding](charts/decoding.svg)

A table for each key and each value costs more than reading them does: four fifths of that is Lua
making and collecting such tables (by instructions), which any Lua script pays. Views read a field
where it is used, and queries leave out what is not asked for.

## All tables
]]

local function about(machine)
  return ("%s, %d CPUs, %d MiB of memory; Linux %s; %s; %s; load %.1f when the\nrun began."):format(
    machine.cpu, machine.cpus, machine.memory, machine.kernel, machine.lua, machine.date,
    machine.load)
end

local CLOCKS <const> = {
  wall = "Times are by the clock.",
  cpu = "Times are of the CPU, not by the clock, because the machine was busy with other work; "
    .. "what\nseveral threads do is by the clock all the same, and suffers.",
}

local function capital(text)
  return (text:gsub("^%l", string.upper))
end

local function page(document)
  local passed = 0
  for _, f in ipairs(document.figures) do passed = passed + (f.pass and 1 or 0) end
  local parts = { PAGE:format(about(document.machine), CLOCKS[document.clock], document.runs,
    passed, #document.figures, document.entries, figures_table(document)) }
  for _, t in ipairs(document.tables) do
    parts[#parts + 1] = ("### %s\n\n%s:\n\n%s\n"):format(capital(t.name), capital(t.title),
      markdown_table(t.columns, t.rows))
  end
  return table.concat(parts, "\n")
end

-- ---- the program -------------------------------------------------------------------

local function write(path, text)
  local file <close> = assert(io.open(path, "w"))
  assert(file:write(text))
end

local function run(source, folder)
  local file <close> = assert(io.open(source))
  local document = json.decode(file:read "a")
  assert(os.execute(("mkdir -p '%s/charts'"):format(folder)))
  for name, draw in pairs(charts) do
    write(("%s/charts/%s.svg"):format(folder, name), draw(document))
  end
  write(folder .. "/performance.md", page(document))
end

run(arg[1] or "docs/performance.json", arg[2] or "docs")
