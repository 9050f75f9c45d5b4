-- SPDX-License-Identifier: MIT
--
-- One try of an operation under one fault, in a child of its own, and what is checked of it:
--
--   it ends, not by a signal, in time, and prints nothing
--   it gives the right answer, or nil, message, errno, or raises an error object of both
--   what is raised as text is what Lua or the hook raises, and nothing else
--   afterwards, without the fault, the same handles give the right answer
--   no descriptor, thread, mapping, pin or file stays that a run without faults does not leave

local environment = require "spec.support.faults.environment"

local try = {}

local SECONDS <const> = 15

--- What may stay of a try, as control.held counts it.
try.HELD = { "descriptors", "threads", "mapped maps" }

-- A fault is a table with
--   section, kind, name: where it is counted, and how it is told apart
--   begin(control, e), finish(control): inject it; finish gives how often it fired
--   raises: what it makes Lua raise, as a pattern
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

-- "right", "refused", "raised", or "wrong" and why.
local function judge(operation, e, fault, ok, ...)
  local first, message, errno = ...
  if not ok then
    if type(first) == "table" and is_refusal(fields_of(first)) then return "refused" end
    if fault.raises and tostring(first):find(fault.raises) then return "raised" end
    return "wrong", "raised: " .. shown(first)
  end
  if not first and message ~= nil then
    if is_refusal(message, errno) then return "refused" end
    if fault.raises and tostring(message):find(fault.raises) then return "raised" end
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

-- Names that are in now and not in before, but for those that may be left.
local function more(before, now, keeps, refused)
  local left = {}
  for name in pairs(now) do
    local kept = false
    for pattern in (refused and keeps or ""):gmatch "[^\0]+" do
      kept = kept or name:find(pattern) ~= nil
    end
    if not before[name] and not kept then left[#left + 1] = name end
  end
  table.sort(left)
  return left
end

-- What is held now beyond what was held before and what is allowed, as text; "" if nothing is.
local function excess(control, before, allowed)
  local problems = {}
  for i, n in ipairs { control.held() } do
    local more_of = n - before[i] - allowed[i]
    if more_of > 0 then
      problems[#problems + 1] = ("%d %s stay"):format(more_of, try.HELD[i])
    end
  end
  return table.concat(problems, ", ")
end

-- What a fault left to the collector is looked at after that; it takes longer than most tries.
local function leaked(control, before, allowed, fault)
  if fault.section ~= "call" then collectgarbage() end
  for _ = 1, 2 do
    if excess(control, before, allowed) == "" then return nil end
    collectgarbage()
  end
  local text = excess(control, before, allowed)
  return text ~= "" and ("%s; the last descriptor is %s"):format(text, control.last()) or nil
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
local function finished(control, operation, e, fault, tell, ...)
  tell("fired", fault.finish(control))
  if fault.tell then fault.tell(control, tell) end
  return judge(operation, e, fault, ...)
end

-- In the child.
local function inside(control, operation, fault, allowed, folder, cgroup)
  local told = {}
  local function tell(word, text)
    told[#told + 1] = word .. "=" .. tostring(text):gsub("\n", " ")
  end
  local function problem(text) tell("problem", text) end
  local e = environment.new(control, folder, cgroup)
  e.fault = fault.section
  local setup = operation.setup or default_setup
  setup(e)
  if operation.renew then operation.renew(e) end
  local files, held = e:files(), table.pack(control.held())
  fault.begin(control, e, operation)
  local verdict, why = finished(control, operation, e, fault, tell,
    control.call(operation.run, e))
  tell("verdict", verdict)
  if why then problem(why) end
  if operation.after and not fault.blind then
    local ok, message = pcall(operation.after, e, verdict ~= "right")
    if not ok then problem(shown(message)) end
  end
  local left = verdict ~= "right" and more(files, e:files(), operation.keeps, true) or {}
  if left[1] then problem("left: " .. table.concat(left, ", ")) end
  if not operation.once and not fault.blind then again(operation, e, problem) end
  e:close()
  e.map, e.object, e.program, e.link, e.snapshot, e.file = nil, nil, nil, nil, nil, nil
  local leak = leaked(control, held, allowed, fault)
  if leak then problem(leak) end
  for i, n in ipairs { control.held() } do tell("held" .. i, n - held[i]) end
  return table.concat(told, "\n")
end

local n = 0

--- Tries it. allowed: how many of try.HELD stay without a fault too.
-- @treturn table fired, verdict, problems (a list), held1 to held3: what more is held after it; and
-- what the fault told
function try.run(control, operation, fault, allowed, base, cgroup)
  n = n + 1
  local folder = ("%s_%x"):format(base, n)
  local text, ending, noise = control.run(function()
    return inside(control, operation, fault, allowed, folder, cgroup)
  end, SECONDS)
  environment.remove(control, folder)
  local result = { problems = {}, fired = 0 }
  for word, value in text:gmatch "(%w+)=([^\n]*)" do
    if word == "problem" then
      table.insert(result.problems, value)
    else
      result[word] = math.tointeger(value) or value
    end
  end
  if ending ~= "exit 0" then table.insert(result.problems, 1, ending) end
  if not result.verdict and ending == "exit 0" then table.insert(result.problems, 1, text) end
  if noise ~= "" and not operation.prints then
    table.insert(result.problems, "printed: " .. shown(noise))
  end
  -- What did not come to an end was at least begun.
  if not result.verdict then result.fired = 1 end
  return result
end

return try
