-- SPDX-License-Identifier: MIT

--- Places in the key and the value: what reading a field gives, as views show it. An
-- integer is a tree of loads; structs and lists are places to look into; a bool splits
-- the run, as its byte may be neither 0 nor 1. A per-CPU value is the list it is: its
-- fields are slots that the executor fills (reductions of one CPU).
--
-- @module luabpf.function.places

local core = require "luabpf.core"
local fields = require "luabpf.expr.fields"
local load = require "luabpf.expr.load"
local run = require "luabpf.function.run"
local texts = require "luabpf.function.texts"
local tree = require "luabpf.expr.tree"

local MOST_ELEMENTS <const> = 64 -- of a list that is searched
local MOST_PERCPU <const> = core.limits.reductions

local function is_struct(desc) return desc.kind == "struct" or desc.kind == "union" end

-- What expr/load.lua reads of a place; size: so many bytes of it.
local function node_of(of, place, path, size)
  local desc = size and { kind = "bytes", size = size } or place.desc
  return { op = "field", kind = desc.signed and "signed" or "unsigned", of = of, desc = desc,
    bit = place.bit, bits = place.bits, args = {}, source = path, first = 1, last = #path,
    reduce = place.cpu and "cpu" or nil, cpu = place.cpu }
end

-- Trees have slots of the whole function: percpu.
local function context_of(self)
  return { env = self.env, params = {}, percpu = self.percpu }
end

run.context_of, run.node_of = context_of, node_of

local function key_of(name, of, place, size)
  return ("%s%s %d %s %d %s"):format(name, of, place.bit, place.bits, size, place.cpu)
end

-- Gives up where there are more than a program has room for.
function run:check_percpu()
  if #self.percpu > MOST_PERCPU then
    run.give_up(("it reads more than %d fields of CPUs"):format(MOST_PERCPU))
  end
end

-- A loaded tree, which is read once for all its uses: loaded is its key.
local function loaded(self, key, of, path, make)
  return self:unique(key, function()
    local made = tree.retyped(make(), true)
    made.loaded, made.field, made.text = key, of, path
    self:check_percpu()
    return made
  end)
end

-- The integer in a place.
function run:load(of, place, path)
  local desc = place.desc
  return loaded(self, key_of("f", of, place, desc.size), of, path, function()
    local made = load.integer(context_of(self), node_of(of, place, path), desc.signed)
    made.nonneg = not desc.signed and (place.bits or desc.size * 8) < 64
    return made
  end)
end

-- The first bytes of a place, 1 to 8, as an integer, the first the lowest.
function run:bytes(of, place, path, n)
  return loaded(self, key_of("b", of, place, n), of, path, function()
    local made = load.bytes(context_of(self), node_of(of, place, path, n), place.bit // 8, n)
    made.nonneg = n < 8
    return made
  end)
end

-- A bool's byte or an enum's number.
local function number_in(self, of, place, path)
  local desc = place.desc
  local made = self:load(of, { desc = { kind = "int", size = desc.size, big = desc.big,
    signed = desc.kind == "enum" and desc.signed }, bit = place.bit, bits = place.bits,
    cpu = place.cpu }, path)
  made.of_bool = made.of_bool or desc.kind == "bool"
  return made
end

-- The number in a place of an integer, a bool or an enum.
function run:number_at(of, place, path)
  local kind = place.desc.kind
  local is_other = kind == "bool" or kind == "enum"
  return (is_other and number_in or self.load)(self, of, place, path)
end

-- What kind of value a type is, other than integers and bools.
local function kind_of(desc)
  if is_struct(desc) then return "view" end
  if desc.kind == "array" then return "array" end
  if desc.kind == "enum" then return "enum" end
  return texts.known(desc) and "raw" or nil
end

-- What reading a place gives: a value; of a bool the tree of its byte, as "bool".
-- @tparam[opt] table changed the number that the function has put there
local function at(self, of, place, path, changed)
  local desc = place.desc
  if desc.kind == "int" or desc.kind == "pointer" then
    return self:int(changed or self:load(of, place, path))
  elseif desc.kind == "bool" then
    return "bool", changed or number_in(self, of, place, path)
  end
  local t = kind_of(desc)
  if not t then
    return self:unique("o" .. path, function()
      return { t = "opaque", why = ("'%s' is %s"):format(path, fields.what(desc)) }
    end)
  end
  local key = ("v%s %d %s %s"):format(of, place.bit, path, changed and changed.id)
  return self:unique(key, function()
    return { t = t, of = of, place = place, path = path, desc = desc, is_table = place.is_table,
      tree = t == "enum" and (changed or number_in(self, of, place, path)) or nil }
  end)
end

-- Whether the function changes the entry: its lists are views then, as its structs are.
function run.is_change(self)
  return self.purpose and self.purpose.targets and true or false
end

-- register = what is in the place. A node where the path splits.
function run:read(frame, register, of, place, path)
  local changed
  local holds_others = is_struct(place.desc) or place.desc.kind == "array"
  if run.is_change(self) and of == "value" and not holds_others then
    changed = self:changed_at(frame, place)
    if changed == false then
      return self:lua(frame, "'%s' shares bytes with another field", path)
    end
  end
  local value, byte = at(self, of, place, path, changed)
  if value ~= "bool" then
    frame.r[register] = value
    return nil
  end
  local function set(v) return function(f) f.r[register] = v end end
  return self:split(frame, self:compare("==", byte, self:number(0)), set(self:const(false)),
    function(f)
      return self:split(f, self:compare("==", byte, self:number(1)), set(self:const(true)),
        set(self:int(byte)))
    end)
end

-- register = the argument, "key" or "value"; the node of what follows, by go(frame).
function run:argument(frame, register, of, go)
  local desc = self.env[of] or { kind = "bytes", size = self.env[of .. "_size"] }
  local place = fields.root(desc)
  if of == "value" and self.env.ncpu then
    place = { desc = { kind = "array", n = self.env.ncpu, elem = desc, size = desc.size }, bit = 0,
      percpu = true }
  end
  local value, byte = at(self, of, place, of)
  local function with(v)
    local f = run.copied(frame)
    f.r[register] = v
    return go(f)
  end
  if value ~= "bool" then return with(value) end
  return self:branch(frame, self:compare("==", byte, self:number(0)), with(self:const(false)),
    self:branch(frame, self:compare("==", byte, self:number(1)), with(self:const(true)),
      with(self:int(byte))))
end

-- ---- looking into places --------------------------------------------------------

-- Element i of a list, or nil; structs in lists of the map are tables, those of CPUs and those of
-- an entry that is changed are views.
function run:element(list, i)
  local place = list.place
  if not place.percpu then
    local made = fields.element(place, i, list.path)
    if made then made.is_table, made.cpu = not run.is_change(self), place.cpu end
    return made
  end
  if i < 1 or i > place.desc.n then return nil end
  return { desc = place.desc.elem, bit = 0, cpu = i }
end

function run.element_path(list, i)
  return ("%s[%d]"):format(list.path, i)
end

-- register = element i of a list, nil past it.
function run:read_element(frame, register, list, i)
  local place = self:element(list, i)
  if not place then
    frame.r[register] = self:const(nil)
    return nil
  end
  return self:read(frame, register, list.of, place, run.element_path(list, i))
end

-- register = view[name].
function run:read_member(frame, register, view, key)
  if key.t ~= "const" or type(key.v) ~= "string" then
    return self:lua(frame, "a field is named by %s", run.what(key))
  end
  local place, why = fields.member(view.place, key.v, view.path)
  if not place and view.is_table then
    frame.r[register] = self:const(nil)
    frame.pc = frame.pc + 1
    return nil
  elseif not place then
    return self:lua(frame, "raises: %s", why)
  end
  place.is_table, place.cpu = view.is_table, view.place.cpu
  frame.pc = frame.pc + 1
  return self:read(frame, register, view.of, place, view.path .. "." .. key.v)
end

-- By an index that depends on the entry: each in turn, past them nil.
local function search(self, frame, register, list, index)
  local n = list.place.desc.n
  local function from(f, i)
    if i > n then
      f.r[register] = self:const(nil)
      return self:explore(f)
    end
    return self:split(f, self:compare("==", index, self:number(i)), function(g)
      return self:read_element(g, register, list, i)
    end, function(g) return from(g, i + 1) end)
  end
  return from(frame, 1)
end

-- register = list[key].
function run:read_list(frame, register, list, key)
  run.need_constant(key)
  if key.t == "int" then
    if list.place.desc.n > MOST_ELEMENTS then
      return self:lua(frame, "a list of %d is indexed with what depends on the entry",
        list.place.desc.n)
    end
    frame.pc = frame.pc + 1
    return search(self, frame, register, list, key.tree)
  elseif key.t ~= "const" then
    return self:lua(frame, "a list is indexed with %s", run.what(key))
  end
  local n = math.type(key.v) and math.tointeger(key.v)
  if not n and list.place.percpu then
    return self:lua(frame, "raises: a per-CPU value is a list")
  end
  frame.pc = frame.pc + 1
  return self:read_element(frame, register, list, n or 0)
end

return run
