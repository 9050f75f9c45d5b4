-- SPDX-License-Identifier: MIT
--
-- What specs of odd input share: values that a field of a file may have instead of its own, and
-- what an error must not say.

local odd = {}

--- What stands for no value at all.
odd.NOTHING = {}

--- Values of each type, numbers of each size.
odd.VALUES = { odd.NOTHING, true, false, 0, 1, -1, 7, 1.5, 1e300, 0xffffffff, 1 << 32, 1 << 53,
  math.maxinteger, math.mininteger, "", "x", "-1", ("y"):rep(300), "a\0b", "\xff\n", {}, { 1 },
  { a = 1 }, { {} } }

--- Calls put(t, name, value) for each field of a table of tables, at any depth, and each odd value,
-- then puts the field's own back. A value that the field has already is left out.
function odd.each_change(t, call, path)
  local names = {}
  for name in pairs(t) do names[#names + 1] = name end
  table.sort(names, function(a, b) return tostring(a) < tostring(b) end)
  for _, name in ipairs(names) do
    local own, here = t[name], (path and path .. "." or "") .. tostring(name)
    for _, value in ipairs(odd.VALUES) do
      if value ~= own then
        if value == odd.NOTHING then t[name] = nil else t[name] = value end
        call(here, value)
      end
    end
    t[name] = own
    if type(own) == "table" then odd.each_change(own, call, here) end
  end
end

local turn = os.time()

--- Whether a case is one of those of this run: one of three, with LUABPF_FUZZ all.
function odd.is_chosen()
  turn = turn + 1
  return os.getenv "LUABPF_FUZZ" ~= nil or turn % 3 == 0
end

--- A value as text.
function odd.text(value)
  if value == odd.NOTHING then return "nothing" end
  return type(value) == "table" and "a table" or ("%q"):format(value):gsub("\n", "n")
end

-- What Lua and C say of a mistake of luabpf's own.
local INTERNAL <const> = { "attempt to ", "assertion failed", "bad argument", "expected, got no",
  "number has no integer", "stack overflow", "invalid value", "invalid key", "luabpf/[%w_/]+%.lua:",
  "invalid format", "invalid option" }

--- The text of an error, if it is one that users must not see; else nil.
function odd.internal(err)
  local text = tostring(err)
  for _, pattern in ipairs(INTERNAL) do
    if text:find(pattern) then return text end
  end
  return nil
end

return odd
