-- SPDX-License-Identifier: MIT
--
-- Tries of an operation under faults, in a child, and what is checked of each:
--
--   it ends, not by a signal, in time, and prints nothing
--   it gives the right answer, or nil, message, errno, or raises an error object of both
--   what is raised as text is what Lua or the hook raises, and nothing else
--   afterwards, without the fault, the same handles give the right answer
--   no descriptor, thread, mapping, pin or file stays that a run without faults does not leave
--
-- Faults that are over when the call is, and have left no problem, are followed by others in the
-- same child, on the same handles, until one does not fire there: what it waits for was done by an
-- earlier try, so it has a child in which it is the first.

local environment = require "spec.support.faults.environment"

local try = {}

local SECONDS <const> = 60

--- What may stay of a try, as control.held counts it.
try.HELD = { "descriptors", "threads", "mapped maps" }

-- A fault is a table with
--   section, kind, name: where it is counted, and how it is told apart
--   begin(control, e), finish(control): inject it; finish gives how often it fired
--   raises: what it makes Lua raise, as a pattern
--   passing: when it is over nothing is left of it
--   blind: the map cannot be asked for what became of it

-- What Lua says where luabpf's own code is wrong.
local INTERNAL <const> = { "attempt to ", "assertion failed", "bad argument", "%.lua:%d+:",
  "stack traceback", "C stack overflow" }

local function internal(message)
  for _, pattern in ipairs(INTERNAL) do
    if message:find(pattern) then return true end
  end
  return message == ""
end

-- nil, message, errno as the contract has it.
local function is_refusal(message, errno)
  return type(message) == "string" and not internal(message) and math.type(errno) == "integer"
    and errno > 0
end

local function fields_of(object)
  local message, errno
  if type(object) == "table" then message, errno = object.message, object.errno end
  return message, errno
end

local function shown(...)
  local parts = table.pack(...)
  for i = 1, parts.n do parts[i] = tostring(parts[i]) end
  return table.concat(parts, ", "):gsub("\n.*", "")
end

-- "right", "refused", "raised", or "wrong"; and what was said, or what is wrong.
local function judge(operation, e, fault, ok, ...)
  local first, message, errno = ...
  if not ok then
    if type(first) == "table" and is_refusal(fields_of(first)) then
      return "refused", shown(first)
    end
    if fault.raises and tostring(first):find(fault.raises) then return "raised", shown(first) end
    return "wrong", "raised: " .. shown(first)
  end
  if not first and message ~= nil then
    if is_refusal(message, errno) then return "refused", shown(message) end
    if fault.raises and tostring(message):find(fault.raises) then
      return "raised", shown(message)
    end
    return "wrong", "no refusal: " .. shown(...)
  end
  if fault.blind and not operation.pure then return "right" end
  if not operation.right then
    if first then return "right" end
    return "wrong", "gave " .. shown(...)
  end
  local called, right = pcall(operation.right, e, ...)
  if called and right then return "right" end
  return "wrong", called and "the answer is wrong: " .. shown(...)
    or "the answer cannot be used: " .. shown(right)
end

local function default_setup(e) e.map = e:filled() end

-- Whether a name matches one of the patterns.
local function is_one_of(name, patterns)
  for pattern in patterns:gmatch "[^\0]+" do
    if name:find(pattern) then return true end
  end
  return false
end

-- Names that are in now and not in before, but for those that may be left.
local function more(before, now, operation, fault, told)
  local left, keeps = {}, operation.keeps or ""
  if fault.raises and operation.makes then keeps = keeps .. "\0" .. operation.makes end
  if told.last and operation.ends then keeps = keeps .. "\0" .. operation.ends end
  for name in pairs(now) do
    if not before[name] and not is_one_of(name, keeps) then left[#left + 1] = name end
  end
  table.sort(left)
  return left
end

-- What is held beyond what was held before and what is allowed, once all is closed and collected;
-- nil if nothing is. Collecting takes longer than most tries: it is done where something stays.
local function leaked(control, before, allowed)
  local problems
  for _ = 1, 3 do
    problems = {}
    for i, n in ipairs { control.held() } do
      local excess = n - before[i] - allowed[i]
      if excess > 0 then problems[#problems + 1] = ("%d %s stay"):format(excess, try.HELD[i]) end
    end
    if #problems == 0 then return nil end
    collectgarbage()
  end
  return ("%s; the last descriptor is %s"):format(table.concat(problems, ", "), control.last())
end

-- The same again without a fault.
local function again(operation, e, problem)
  if operation.renew then operation.renew(e) end
  local verdict, why = judge(operation, e, {}, pcall(operation.run, e))
  if verdict ~= "right" then
    problem("afterwards " .. verdict .. (why and ": " .. why or ""))
  end
end

-- The fault is over before anything is looked at. What run gave is not kept.
local function finished(control, operation, e, fault, told, ...)
  told.fired = fault.finish(control)
  if fault.tell then fault.tell(control, told) end
  local ok, first = ...
  e.raised = not ok and first or nil
  return judge(operation, e, fault, ...)
end

local NAMES <const> = { "map", "object", "program", "link", "snapshot", "file", "tracker" }

-- One fault, on what is set up; files: what there was.
local function one(control, operation, e, fault, files)
  local told, problems = {}, {}
  local function problem(text) problems[#problems + 1] = text end
  local owned = #e.owned
  e.fault = fault.section
  if operation.renew then operation.renew(e) end
  fault.begin(control, e, operation)
  local verdict, why = finished(control, operation, e, fault, told,
    control.call(operation.run, e))
  told.verdict, told.said = verdict, verdict == "refused" and why or nil
  if verdict == "wrong" then problem(why) end
  if operation.after and not fault.blind then
    local ok, message = pcall(operation.after, e, verdict ~= "right", told)
    if not ok then problem(shown(message)) end
  end
  local left = verdict ~= "right" and more(files, e:files(), operation, fault, told) or {}
  if left[1] then problem("left: " .. table.concat(left, ", ")) end
  if not (operation.once or operation.probes or fault.blind) then again(operation, e, problem) end
  e:close(owned)
  return told, problems
end

local function told_text(told, problems)
  local lines = {}
  for word, value in pairs(told) do lines[#lines + 1] = word .. "=" .. tostring(value) end
  for _, text in ipairs(problems) do lines[#lines + 1] = "problem=" .. text:gsub("\n", " ") end
  return table.concat(lines, "\n") .. "\n"
end

-- Tries of a child that go without a collection: that writes to all memory which is shared with the
-- parent, and takes longer than many a try.
local UNCOLLECTED <const> = 10

-- In the child: the faults from the first on, while they leave nothing behind.
local function tries(control, operation, e, faults, first)
  local files = e:files()
  for i = first, #faults do
    control.tell(("case=%d\n"):format(i))
    local told, problems = one(control, operation, e, faults[i], files)
    if i > first and told.fired == 0 then return end
    control.tell(told_text(told, problems))
    if operation.once or not faults[i].passing or #problems > 0 then return end
    if not operation.pure then e:tidy(files) end
    if i - first == UNCOLLECTED then collectgarbage "restart" end
  end
end

local function inside(control, operation, faults, first, allowed, folder, cgroup)
  collectgarbage "stop"
  local e, held = environment.new(control, folder, cgroup), table.pack(control.held())
  local setup = operation.setup or default_setup
  setup(e)
  tries(control, operation, e, faults, first)
  e:close()
  for _, name in ipairs(NAMES) do e[name] = nil end
  local leak = leaked(control, held, allowed)
  local now = table.pack(control.held())
  local told = {}
  for i, n in ipairs(now) do told["held" .. i] = n - held[i] end
  control.tell(told_text(told, { leak }))
end

-- What a child told, by the number of the fault.
local function results_of(text)
  local results, result = {}, nil
  for word, value in text:gmatch "([%w ]+)=([^\n]*)" do
    if word == "case" then
      result = { problems = {}, fired = 0 }
      results[math.tointeger(value)] = result
    elseif word == "problem" then
      if not result then error("the harness: " .. value, 0) end
      table.insert(result.problems, value)
    else
      result[word] = math.tointeger(tonumber(value) or "") or value
    end
  end
  return results
end

local n = 0

-- One child: the results, and the fault to go on with.
local function some(control, operation, faults, first, allowed, base, cgroup)
  n = n + 1
  local folder = ("%s_%x"):format(base, n)
  local text, ending, noise = control.run(function()
    inside(control, operation, faults, first, allowed, folder, cgroup)
  end, SECONDS)
  environment.remove(control, folder)
  local results = results_of(text)
  local last = first + math.max(#results - first, 0)
  while results[last + 1] do last = last + 1 end
  local result = results[last] or { problems = {}, fired = 0 }
  results[last] = result
  if ending ~= "exit 0" then table.insert(result.problems, 1, ending) end
  if noise ~= "" and not operation.prints then
    table.insert(result.problems, "printed: " .. shown(noise))
  end
  if not result.verdict and #result.problems == 0 then
    results[last] = nil
    return results, math.max(last, first + 1)
  end
  -- What did not come to an end was at least begun.
  if not result.verdict then result.fired = 1 end
  return results, last + 1
end

--- Tries it under each of a list of faults, until is_over() says that time is up.
-- @param allowed how many of try.HELD stay without a fault too
-- @param each function(fault, result) called with each result: fired, verdict, problems (a list),
--   held1 to held3: what more is held after it; and what the fault told
-- @treturn integer how many were tried
function try.all(control, operation, faults, allowed, base, cgroup, each, is_over)
  local first = 1
  while first <= #faults and not (is_over and is_over()) do
    local results, following = some(control, operation, faults, first, allowed, base, cgroup)
    for i = first, following - 1 do
      if results[i] then each(faults[i], results[i]) end
    end
    first = following
  end
  return first - 1
end

return try
