-- SPDX-License-Identifier: MIT
--
-- What `luarocks make` installs: every Lua file, the BPF objects that they load, and
-- a module that exports its entry point only and leaves Lua to the interpreter.
-- .ci/run installs it all into a tree of its own.

local ROCKSPEC <const> = "rockspec/luabpf-scm-1.rockspec"

local function lines(command)
  local pipe <close> = assert(io.popen(command))
  local list = {}
  for line in pipe:lines() do list[#list + 1] = line end
  return list
end

local function rockspec()
  local spec = {}
  assert(loadfile(ROCKSPEC, "t", spec))()
  return spec
end

local function contents(path)
  local file <close> = assert(io.open(path))
  return file:read "a"
end

describe("the rockspec", function()
  it("lists every Lua file under the name it is required by", function()
    local expected = {}
    for _, path in ipairs(lines "find lua -name '*.lua'") do
      expected[path:match "^lua/(.+)%.lua$":gsub("/", ".")] = path
    end
    assert.same(expected, rockspec().build.install.lua)
  end)

  it("has make install each BPF object that a Lua file looks for", function()
    local found = 0
    local tree = os.tmpname()
    finally(function() os.execute("rm -rf '" .. tree .. "'") end)
    assert(os.remove(tree))
    assert(os.execute("make -s --no-print-directory install-bpf LUADIR='" .. tree .. "'"))
    for _, path in ipairs(lines "find lua -name '*.lua'") do
      for module in contents(path):gmatch '"(luabpf%.bpf%.[%w_.]+)"' do
        assert(package.searchpath(module, tree .. "/?.bpf.o"))
        found = found + 1
      end
    end
    assert(found > 0)
  end)

  it("depends on Lua only, and looks for libbpf with LuaRocks", function()
    local spec = rockspec()
    assert.same({ "lua >= 5.4, < 5.5" }, spec.dependencies)
    assert.same({ LIBBPF = { header = "bpf/libbpf.h", library = "bpf" } },
      spec.external_dependencies)
  end)
end)

describe("the module", function()
  local core = assert(package.searchpath("luabpf.core", package.cpath))

  it("exports luaopen_luabpf_core only", function()
    local names = {}
    for _, line in ipairs(lines("nm -D --defined-only '" .. core .. "'")) do
      names[#names + 1] = line:match "%S+$"
    end
    assert.same({ "luaopen_luabpf_core" }, names)
  end)

  it("is not linked with liblua", function()
    local libraries = table.concat(lines("readelf -d '" .. core .. "'"), "\n")
    assert.matches("libbpf", libraries)
    assert.not_matches("liblua", libraries)
  end)
end)
