-- SPDX-License-Identifier: MIT

--- What a function reads from outside: upvalues, globals, fields of tables. It is read
-- once at the start of each run. Integers and strings become parameters; everything
-- else is a constant of the program, guarded: what was compiled is used again while
-- all guards hold. A table is guarded by being one, what is read from it apart.
--
-- @module luabpf.function.outside

local run = require "luabpf.function.run"

local outside = {}

-- What of a run says when it is good for another one.
outside.LISTS = { "guards", "relations", "params", "snapshots", "sets" }

-- Tables that a metatable leads to, one after the other.
local MOST_TABLES <const> = 8

-- Whether two values are one and the same; zeros are two.
function outside.alike(a, b)
  return rawequal(a, b) and math.type(a) == math.type(b) and (a ~= 0 or 1 / a == 1 / b)
end

-- Whether a value is one of those that are told apart by what they are, not what they hold.
function outside.is_object(v)
  local kind = type(v)
  return kind == "table" or kind == "function" or kind == "userdata" or kind == "thread"
end

-- A field of a table, or of the tables that its metatables have as __index; false as the second
-- result where a function would be asked.
function outside.field(t, key)
  for _ = 1, MOST_TABLES do
    local v = rawget(t, key)
    if v ~= nil then return v, true end
    local meta = debug.getmetatable(t)
    local index = meta and rawget(meta, "__index")
    if index == nil then return nil, true end
    if type(index) ~= "table" then return nil, false end
    t = index
  end
  return nil, false
end

-- What strings have under a name, as field().
local function method(name)
  local meta = debug.getmetatable("")
  local methods = meta and rawget(meta, "__index")
  if type(methods) ~= "table" then return nil, false end
  return outside.field(methods, name)
end

-- The value of a source, as it is now; false as the second result where a function would be asked.
function outside.resolve(src, root)
  if src.kind == "root" then return root, true end
  if src.kind == "method" then return method(src.key) end
  local of, is_known = outside.resolve(src.of, root)
  if src.kind == "upvalue" then
    if type(of) ~= "function" then return nil, is_known end
    local _, v = debug.getupvalue(of, src.key)
    return v, true
  end
  if type(of) ~= "table" then return nil, is_known end
  return outside.field(of, src.key)
end

local resolve = outside.resolve

-- Where something is read from: kind "root" (the function), "upvalue" of a function, "get": of a
-- table, or "method": of strings. Several may have one name; what tells them apart is the path.
function run:source(kind, of, key, name)
  local text = tostring(key)
  local path = ("%s %s %s %d:%s"):format(of and of.path or "", kind, type(key), #text, text)
  return self:unique("s" .. path, function()
    return { kind = kind, of = of, key = key, name = name, path = path }
  end)
end

local function chunk_of(f)
  local ok, chunk = pcall(string.dump, f)
  return ok and chunk or nil
end

local function guarded(v, src)
  local guard = { src = src, value = v }
  if type(v) == "table" then
    guard.value, guard.plain, guard.meta = nil, true, debug.getmetatable(v)
  end
  -- A closure that is made anew is the same if its code is: what it reads is guarded apart. It is
  -- not kept alive, nor is a handle.
  guard.chunk = type(v) == "function" and chunk_of(v) or nil
  if guard.chunk or type(v) == "userdata" then
    guard.value, guard.weak = nil, setmetatable({ v }, { __mode = "v" })
  end
  return guard
end

-- The value of a source.
function run:outside(src)
  local v = resolve(src, self.root)
  local kind = math.type(v) or type(v)
  if not self.fixed[src.path] and src.kind ~= "method" then
    if kind == "integer" then
      self.params[src.path] = { src = src, kind = kind }
      return self:int(self:tree("slot", {}, { key = src.path, src = src }, src.name))
    elseif kind == "string" then
      self.params[src.path] = { src = src, kind = kind }
      return self:unique("x" .. src.id, function() return { t = "text", src = src } end)
    end
  end
  self.guards[src.path] = guarded(v, src)
  if not outside.is_object(v) then return self:const(v) end
  -- One object may be read from several places, which need not have the same one in the next run.
  return self:unique("o" .. src.path, function() return { t = "const", v = v, src = src } end)
end

-- Whether two objects from outside are the same, which is guarded.
function run:same_object(a, b)
  local same = rawequal(a.v, b.v)
  self.relations[a.src.path .. "\1" .. b.src.path] = { a = a.src, b = b.src, same = same }
  return same
end

-- All of a table from outside, which is guarded whole; nil where it is too large.
function run:contents(value, most)
  local all, n = {}, 0
  for k, v in next, value.v do
    all[k], n = v, n + 1
    if n > most then return nil end
  end
  self.snapshots[value.src.path] = { src = value.src, all = all, n = n }
  return all
end

-- ---- whether all is as it was ---------------------------------------------------

local function is_still(guard, v)
  if guard.plain then return type(v) == "table" and rawequal(debug.getmetatable(v), guard.meta) end
  if guard.weak then
    return v ~= nil and rawequal(v, guard.weak[1])
      or guard.chunk and type(v) == "function" and chunk_of(v) == guard.chunk
  end
  return outside.alike(v, guard.value)
end

-- Whether a table has the contents of a snapshot: all, and n of them; false for what is no plain
-- table. True, which most sets have a lot of, needs no call.
function outside.same(snapshot, t)
  if type(t) ~= "table" or debug.getmetatable(t) then return false end
  local all, n = snapshot.all, 0
  for k, v in next, t do
    local was = all[k]
    if v ~= true and not outside.alike(was, v) or was ~= v then return false end
    n = n + 1
  end
  return n == snapshot.n
end

-- Whether what f reads from outside is as it was compiled for; parameters may have other values,
-- and sets that fit in as many slots.
-- @tparam table made guards, relations, params, snapshots, sets of a run
function outside.holds(made, f)
  for _, guard in pairs(made.guards) do
    local v, is_known = resolve(guard.src, f)
    if not is_known or not is_still(guard, v) then return false end
  end
  for _, one in pairs(made.relations) do
    if rawequal(resolve(one.a, f), (resolve(one.b, f))) ~= one.same then return false end
  end
  for _, param in pairs(made.params) do
    local v = resolve(param.src, f)
    if (math.type(v) or type(v)) ~= param.kind then return false end
    if param.fits and not param.fits(v) then return false end
  end
  for _, snapshot in pairs(made.snapshots) do
    if not outside.same(snapshot, resolve(snapshot.src, f)) then return false end
  end
  for _, set in pairs(made.sets) do
    if not set:refill(resolve(set.src, f)) then return false end
  end
  return true
end

-- Whether one of the tables that a source leads through is t.
local function leads_through(src, root, t)
  while src.kind ~= "root" do
    local v = resolve(src, root)
    for _ = 1, MOST_TABLES do
      if rawequal(v, t) then return true end
      local meta = type(v) == "table" and debug.getmetatable(v)
      v = meta and rawget(meta, "__index")
      if type(v) ~= "table" then break end
    end
    src = src.of
    if not src then return false end
  end
  return false
end

-- Whether f reads from outside what is in a table.
function outside.reads(made, f, t)
  for _, list in ipairs { made.guards, made.params, made.snapshots, made.sets } do
    for _, one in pairs(list) do
      if leads_through(one.src, f, t) then return true end
    end
  end
  return false
end

return outside
