-- SPDX-License-Identifier: MIT
--
-- The pages in docs/: the examples of each (blocks `lua`) run, one after the other as one
-- program, and print what the block `text` after them says, or nothing. Pages with a spec
-- of their own are left to it. And docs/reference.md has every public function.

local bpf = require "luabpf"
local core = require "luabpf.core"
local helper = require "spec.support.helper"

local PIN <const> = "/sys/fs/bpf/flows"

local function read(path)
  local file <close> = assert(io.open(path))
  return file:read "a"
end

local function lines_of(command)
  local pipe <close> = assert(io.popen(command))
  local list = {}
  for line in pipe:lines() do list[#list + 1] = line end
  return list
end

-- Whether another spec speaks of the page: it runs its examples.
local function has_own_spec(page)
  for _, spec in ipairs(lines_of "ls spec/*/*_spec.lua") do
    if not spec:find "/docs_spec" and read(spec):find(page, 1, true) then return true end
  end
end

-- The examples of a page: code, and what it prints.
local function examples_of(page)
  local list = {}
  for kind, text in read(page):gmatch "\n```(%l+)\n(.-)```" do
    if kind == "lua" then
      list[#list + 1] = { code = text, expected = "" }
    elseif kind == "text" then
      list[#list].expected = text
    end
  end
  return list
end

-- Runs the examples as one program, with a pin of this spec's: what each printed.
local function run(page, list)
  local outputs, at, code, pin = {}, 0, {}, helper.pin()
  local env = setmetatable({}, { __index = _G })
  function env.print(...)
    local words = table.pack(...)
    for i = 1, words.n do words[i] = tostring(words[i]) end
    outputs[at] = outputs[at] .. table.concat(words, "\t") .. "\n"
  end
  function env.__next()
    at = at + 1
    outputs[at] = ""
  end
  for i, example in ipairs(list) do code[i] = "__next()\n" .. example.code end
  local text = table.concat(code):gsub(PIN:gsub("%p", "%%%0"), pin)
  assert(load(text, "=" .. page, "t", env))()
  return outputs
end

describe("the examples of", function()
  for _, page in ipairs(lines_of "ls docs/*.md") do
    local list = examples_of(page)
    if #list > 0 and not has_own_spec(page) then
      it(page .. " print what it says", function()
        local outputs = run(page, list)
        for i, example in ipairs(list) do
          assert.equal(example.expected, outputs[i], example.code)
        end
      end)
    end
  end
end)

describe("docs/reference.md", function()
  local text = read "docs/reference.md"
  local declared = read "types/luabpf.lua"

  local function callable(value)
    local meta = getmetatable(value)
    return type(value) == "function" or type(value) == "table" and meta and meta.__call
  end

  -- Each name in functions, written behind a prefix, is in the page.
  local function check(functions, prefix)
    for name, value in pairs(functions) do
      if callable(value) then
        local call = prefix .. name .. "("
        assert(text:find("`" .. call, 1, true), call .. ") is missing")
      end
    end
  end

  it("has every function of the module", function()
    check(bpf, "bpf.")
    check(bpf.iter, "bpf.iter.")
    for name in pairs(bpf.defaults) do assert(text:find("`" .. name .. "`", 1, true), name) end
  end)

  it("has every method of the classes that users meet", function()
    for class, methods in pairs(core.classes) do
      local name = class:match "[%w_]+$"
      if declared:find("\nlocal " .. name .. " = {}", 1, true) then check(methods, name .. ":") end
    end
  end)

  it("has no function that there is not", function()
    for owner, name in text:gmatch "`(%l+)[:.]([%w_]+)%(" do
      local functions = core.classes["luabpf." .. owner] or owner == "bpf" and bpf
      if functions then assert(functions[name], owner .. ":" .. name) end
    end
  end)
end)
