-- SPDX-License-Identifier: MIT
--
-- Iterators and what composes them. An iterator is what a generic for takes:
-- function, state, control value, closing value. All of these take one as
-- their last arguments and give one back, so that they nest:
--
--   for key, value in iter.take(10, iter.filter(is_idle, map:entries())) do ... end
--
-- The closing value survives: leaving the loop closes the scan within.

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

--- Only what pred says yes to.
-- @tparam function pred called with what the iterator gives
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

--- What fn makes of each. Raises if fn returns nil, which would end the loop.
-- @tparam function fn called with what the iterator gives
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
-- @tparam integer n
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

--- Lists of n, the last one shorter. Each item is what the iterator gave: a list of two for key
-- and value. Not for views, which move along.
-- @tparam integer n at least 1
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

--- A lazy iterator: the values that producer yields, made one at a time when asked for.
-- @tparam function producer called with resource when the first value is wanted; yields values.
--   Its <close> variables are closed when the loop is left.
-- @param[opt] resource something with a close method, closed with the loop even if it never ran
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
