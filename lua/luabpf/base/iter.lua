-- SPDX-License-Identifier: MIT

--- Iterators and what composes them. An iterator is what a generic for takes:
-- function, state, control value, closing value. All of these take one as
-- their last arguments and give one back, so that they nest:
--
--   for key, value in iter.take(10, iter.filter(is_idle, map:entries())) do ... end
--
-- The closing value survives: leaving the loop closes the scan within.
--
-- @module luabpf.base.iter

local iter = {}

local function check_function(f, what)
  if type(f) ~= "function" and not (getmetatable(f) or {}).__call then
    error(("%s: function expected, got %s"):format(what, type(f)), 3)
  end
end

local function check_iterator(f, what)
  if f == nil then
    error(("%s: an iterator expected as the last argument, such as map:entries()"):format(what), 3)
  end
end

local function check_count(n, what)
  local count = math.type(n) and math.tointeger(n)
  if not count or count < 0 then
    error(("%s: count expected, got %s"):format(what, tostring(n)), 3)
  end
  return count
end

--- Only what a function says yes to.
-- @function bpf.iter.filter
-- @tparam fun(...:any):any pred called with what the iterator gives
-- @tparam any ... the iterator, with all its values
-- @treturn fun():any an iterator
-- @usage
-- for key in bpf.iter.filter(function(key) return key.port > 50 end, map:entries()) do
--   print(key.port)
-- end
function iter.filter(pred, f, state, control, closing)
  check_function(pred, "filter")
  check_iterator(f, "filter")
  local function step(...)
    control = ...
    if control == nil then return nil end
    if pred(...) then return ... end
    return step(f(state, control))
  end
  return function() return step(f(state, control)) end, nil, nil, closing
end

--- What a function makes of each.
-- @function bpf.iter.map
-- @tparam fun(...:any):any fn called with what the iterator gives
-- @tparam any ... the iterator, with all its values
-- @treturn fun():any an iterator
-- @raise a function that returns nil, which would end the loop
-- @usage
-- for port in bpf.iter.map(function(key) return key.port end, map:entries()) do print(port) end
function iter.map(fn, f, state, control, closing)
  check_function(fn, "map")
  check_iterator(f, "map")
  local function checked(...)
    if (...) == nil then error("map: the function returned nil", 0) end
    return ...
  end
  local function step(...)
    control = ...
    if control == nil then return nil end
    return checked(fn(...))
  end
  return function() return step(f(state, control)) end, nil, nil, closing
end

--- The first n.
-- @function bpf.iter.take
-- @tparam integer n how many
-- @tparam any ... the iterator, with all its values
-- @treturn fun():any an iterator
-- @usage
-- for key in bpf.iter.take(3, map:entries()) do print(key.addr) end
function iter.take(n, f, state, control, closing)
  n = check_count(n, "take")
  check_iterator(f, "take")
  local function step(...)
    control = ...
    return ...
  end
  return function()
    if n <= 0 then return nil end
    n = n - 1
    return step(f(state, control))
  end, nil, nil, closing
end

--- Lists of n, the last one shorter; each item is a list of two for key and value. Not for views,
-- which move along.
-- @function bpf.iter.chunk
-- @tparam integer n at least 1
-- @tparam any ... the iterator, with all its values
-- @treturn fun():table? an iterator of lists
-- @usage
-- for list in bpf.iter.chunk(10, map:entries()) do print(#list, list[1][1].addr) end
function iter.chunk(n, f, state, control, closing)
  n = check_count(n, "chunk")
  if n == 0 then error("chunk: at least 1 expected", 2) end
  check_iterator(f, "chunk")
  local ended = false
  local function item(...)
    control = ...
    if control == nil then
      ended = true
      return nil
    end
    return select("#", ...) > 1 and { ... } or control
  end
  return function()
    local list = {}
    while not ended and #list < n do list[#list + 1] = item(f(state, control)) end
    return list[1] ~= nil and list or nil
  end, nil, nil, closing
end

-- ---- coroutines ----------------------------------------------------------------

-- Closes what the coroutine holds, and what was made for it before it ran.
local closer = {}

function closer:__close()
  coroutine.close(self.co)
  if self.resource then self.resource:close() end
end

--- The values that a function yields, made one at a time when asked for.
-- @function bpf.iter.lazy
-- @tparam fun(resource:any) producer called with the resource when the first value is wanted; its
--   `<close>` variables are closed when the loop is left
-- @tparam[opt] any resource something with a `close` method, closed with the loop even if it
--   never ran
-- @treturn fun():any an iterator
-- @usage
-- for n in bpf.iter.lazy(function() for i = 1, 3 do coroutine.yield(i) end end) do print(n) end
function iter.lazy(producer, resource)
  check_function(producer, "lazy")
  local co = coroutine.create(producer)
  local function step(ok, ...)
    if not ok then error((...), 0) end
    if coroutine.status(co) == "dead" then return nil end
    return ...
  end
  return function()
    if coroutine.status(co) == "dead" then return nil end
    return step(coroutine.resume(co, resource))
  end, nil, nil, setmetatable({ co = co, resource = resource }, closer)
end

return iter
