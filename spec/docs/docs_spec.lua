-- SPDX-License-Identifier: MIT
--
-- The pages in docs/: the examples of each (blocks `lua`) run, one after the other as one
-- program, and print what the block `text` after them says, or nothing. Pages with a spec
-- of their own are left to it.

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
  text = text:gsub('"events%.bpf%.o"', '"bpf/events.bpf.o"')
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
