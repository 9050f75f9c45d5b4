-- SPDX-License-Identifier: MIT
--
-- Object files that are damaged, and BTF that the kernel does not take.

local bpf = require "luabpf"
local folder = require "spec.support.folder"
local injected = require "spec.support.injected"

local FUZZ <const> = tonumber(os.getenv "LUABPF_FUZZ")

local function read(path)
  local file <close> = assert(io.open(path, "rb"))
  return file:read "a"
end

-- A file like that object with some of its text changed for text of the same length.
local function changed(path, from, to)
  assert.equal(#from, #to)
  local text, n = read(path):gsub(from:gsub("%W", "%%%0"), to)
  assert.is_true(n > 0)
  return folder.write("changed.bpf.o", text)
end

describe("BTF that the kernel refuses", function()
  before_each(function() folder.make() end)
  after_each(function() folder.remove() end)

  it("[fault 8] because of a float that is not aligned is mended, and that is said", function()
    local object <close> = assert(bpf.load "bpf/oddbtf.bpf.o")
    assert.equal(2, #object.warnings)
    assert.matches("float that is not aligned %(sample%.load%)", object.warnings[1])
    assert.matches("sample%.weight", object.warnings[2])
    local samples, guarded = object.maps.samples, object.maps.table
    local value = { tag = 3, load = 1.5, list = { 1, 2 }, weight = -0.25 }
    assert(samples:update(1, value))
    assert.same(value, samples:lookup(1))
    assert.equal(1, (samples:count "value.tag == 3"))
    -- The lock is there: programs take it, and so do reading and writing.
    assert(guarded:update(0, { n = 40 }))
    object.programs.count:run { data = ("x"):rep(64) }
    assert.equal(41, guarded:lookup(0).n)
    -- All that have the map know its fields.
    local same <close> = assert(bpf.open(samples:info().id))
    assert.same(value, same:lookup(1))
  end)

  it("[fault 8] for another reason leaves the layouts of the object, and is said", function()
    -- A name that is no identifier, as other languages have them.
    local path = changed("bpf/layouts.bpf.o", "\0counts\0", "\0coun<s\0")
    local object <close> = assert(bpf.load(path))
    local sound <close> = assert(bpf.load "bpf/layouts.bpf.o")
    assert.equal(1, #object.warnings)
    assert.matches("the kernel refuses the object's BTF: .*coun<s.*Invalid name",
      object.warnings[1])
    assert.same({}, sound.warnings)
    local n = 0
    for name, map in pairs(object.maps) do
      assert.equal(0, map:info().btf_id)
      for _, side in ipairs { "key", "value" } do
        local described, expected = map:describe()[side], sound.maps[name]:describe()[side]
        assert.equal(expected.size, described.size)
        assert.equal(#(expected.fields or {}), #(described.fields or {}), name)
      end
      n = n + 1
    end
    assert.is_true(n > 5)
    -- The kernel knows of no lock, so none is asked for.
    local guarded = object.maps.guarded
    assert(guarded:update(1, { n = 5, m = 6 }))
    assert.equal(6, guarded:lookup(1).m)
  end)

  it("[fault 8] is named where a program needs it", function()
    local path = changed("bpf/oddbtf.bpf.o", "\0guarded\0", "\0guard<d\0")
    local object, message = bpf.load(path)
    assert.is_nil(object)
    assert.matches("refuses program count: Invalid argument %(and the object's BTF", message)
  end)

  it("[fault 8] for a moment only is an error, not a loss #preload", function()
    local lines = injected.lines [[
      -- libbpf tries out what the kernel can first.
      assert(bpf.load "bpf/oddbtf.bpf.o"):close()
      for _, name in ipairs { "ENOMEM", "EMFILE", "EAGAIN", "EINTR" } do
        -- BPF_BTF_LOAD; after a failure libbpf tries again to have the kernel's log.
        local object, _, errno = failing(18, 1, name, function()
          return bpf.load "bpf/oddbtf.bpf.o"
        end, true)
        print(name, object, errno == bpf.errno[name])
      end
      local object = assert(bpf.load "bpf/oddbtf.bpf.o")
      print(object.maps.samples:info().btf_id > 0)
    ]]
    assert.same({ "ENOMEM\tnil\ttrue", "EMFILE\tnil\ttrue", "EAGAIN\tnil\ttrue",
      "EINTR\tnil\ttrue", "true" }, lines)
  end)

  it("[fault 8] of a map alone is said, for a moment only it is an error #preload", function()
    -- BPF_MAP_CREATE, of the first map; libbpf tries it again without BTF.
    local lines = injected.lines [[
      assert(bpf.load "bpf/layouts.bpf.o"):close()
      for _, name in ipairs { "EINVAL", "ENOMEM" } do
        local object, message, errno = failing(0, 1, name, function()
          return bpf.load "bpf/layouts.bpf.o"
        end)
        print(object and object.warnings[1], errno == bpf.errno[name])
        if object then
          local without = 0
          for _, map in pairs(object.maps) do
            if map:info().btf_id == 0 then
              without = without + 1
              print(map:describe().value.fields ~= nil)
            end
          end
          print(without)
        end
      end
    ]]
    assert.matches("^maps%.%w+: the kernel takes it without BTF only\tfalse$", lines[1])
    assert.same({ "true", "1", "nil\ttrue" }, { table.unpack(lines, 2) })
  end)
end)

describe("a damaged object file", function()
  before_each(function() folder.make() end)
  after_each(function() folder.remove() end)

  -- Where the section of that name lies in an object: its offset, and that of its header.
  local function section(text, wanted)
    local shoff, shnum, names = string.unpack("<I8", text, 41), string.unpack("<I2I2", text, 61)
    local function header(i)
      local at = shoff + 64 * i
      local name, _, _, _, offset, size = string.unpack("<I4I4I8I8I8I8", text, at + 1)
      return name, offset, size, at
    end
    local _, strings = header(names)
    for i = 0, shnum - 1 do
      local name, offset, _, at = header(i)
      if string.unpack("z", text, strings + name + 1) == wanted then return offset, at end
    end
  end

  -- The message of loading an object with bytes at an offset that are others.
  local function refused(text, at, bytes)
    local path = folder.write("x.bpf.o", text:sub(1, at) .. bytes .. text:sub(at + #bytes + 1))
    local object, message, errno = bpf.load(path)
    assert.is_nil(object)
    assert.equal(bpf.errno.EINVAL, errno, message)
    return message:match "not a valid BPF object file %((.*)%)$" or message
  end

  it("[fault 26] is told by what is wrong with it", function()
    local text = read "bpf/oddbtf.bpf.o"
    local btf, btf_header = section(text, ".BTF")
    local ext, symbols = section(text, ".BTF.ext"), section(text, ".symtab")
    local ones = ("\xff"):rep(8)
    assert.equal("it has no sections", refused(text, 40, ("\xf8\xff"):rep(4)))
    assert.equal("a section lies outside of the file", refused(text, btf_header + 24, ones))
    assert.equal("a symbol has no name", refused(text, symbols + 24, ones:sub(1, 4)))
    assert.equal("a symbol is of a section that there is not",
      refused(text, symbols + 24 + 6, "\xf0\x00"))
    assert.equal(".BTF: a damaged header", refused(text, btf + 12, ones:sub(1, 4)))
    assert.equal(".BTF: a type refers to what there is not",
      refused(text, btf + 24 + 8, ones:sub(1, 4)))
    assert.equal(".BTF: a type that is made of itself",
      refused(text, btf + 24, "\0\0\0\0\0\0\0\x08\1\0\0\0"))
    assert.equal(".BTF.ext: a damaged header", refused(text, ext + 4, ones:sub(1, 4)))
  end)

  it("[fault 26] cut anywhere, is refused", function()
    local text = read "bpf/layouts.bpf.o"
    for length = 64, #text - 1, 97 do
      local object, message = bpf.load(folder.write("x.bpf.o", text:sub(1, length)))
      assert.is_nil(object, length)
      assert.matches("not a valid BPF object file", message, 1, true)
    end
  end)

  it("[fault 26] crashes nothing", function()
    local first = (tonumber(os.getenv "SEED") or os.time()) * 1000000
    local objects = "bpf/layouts.bpf.o bpf/objects.bpf.o bpf/oddbtf.bpf.o bpf/execs.bpf.o"
    local pipe <close> = assert(io.popen(("'%s/engine/fuzz_object' %d %s %s 2>&1"):format(
      os.getenv "LUABPF_BUILD" or ".build", first, FUZZ and "0 " .. FUZZ or "1500", objects)))
    local output = pipe:read "a"
    local found, loaded = output:match "(%d+) refused by the check.*, (%d+) loaded"
    assert(pipe:close() and found, output)
    assert.is_true(tonumber(found) > 0 and tonumber(loaded) > 0, output)
  end)
end)

describe("an object file", function()
  it("[fault 26] is a regular one", function()
    local path = os.tmpname()
    os.remove(path)
    assert(os.execute("mkfifo " .. path))
    finally(function() os.remove(path) end)
    local object, message, errno = bpf.load(path)
    assert.same({ nil, path .. ": not a regular file", bpf.errno.ENOEXEC },
      { object, message, errno })
  end)

  it("has maps and globals of the names that its path gives them", function()
    local object <close> = assert(bpf.load "bpf/objects.bpf.o")
    local found
    for _, id in ipairs(object.programs.called:info().map_ids or {}) do
      local map <close> = assert(bpf.open(id))
      found = found or map:info().name:match "^objects%."
    end
    assert.equal("objects.", found)
  end)
end)
