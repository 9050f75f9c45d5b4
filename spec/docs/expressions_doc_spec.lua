-- SPDX-License-Identifier: MIT
--
-- Runs the examples of docs/expressions.md: the entry is stored in a map and
-- read back, and each line of an `expr` block evaluated on its bytes.

local bpf_machine = require "spec.support.bpf_machine"
local compile = require "luabpf.expr.compile"
local evaluator = require "spec.support.evaluator"
local expr = require "luabpf.expr.parse"
local helper = require "spec.support.helper"
local layout = require "luabpf.layout.layout"
local parameters = require "luabpf.expr.params"
local word = require "luabpf.base.word"

local function page()
  local file <close> = assert(io.open("docs/expressions.md"))
  return file:read("a")
end

-- The bytes of the entry, as the kernel has them.
local function stored(given)
  local map = helper.map { key = given.key, value = given.value, max_entries = 1 }
  assert(map:update(given.entry[1], given.entry[2]))
  for batch in map:batches() do return batch:packed() end
end

local function written(value, kind)
  if kind ~= "unsigned" then return tostring(value) end
  return word.text(value)
end

local function run(text, env, entry)
  local ast = expr.parse(text, env)
  local fragment = compile.fragment(ast, env)
  local params = {}
  for _, param in ipairs(fragment.params) do params[param.name] = entry.params[param.name] end
  local r0 = bpf_machine.run(fragment.code, { key = entry.key, value = entry.value,
    params = parameters.pack(fragment.params, params, entry.now, entry.boottime) })
  if fragment.kind == "condition" then r0 = r0 == 1 end
  return written(r0, fragment.kind), ast
end

describe("docs/expressions.md", function()
  after_each(helper.close_all)

  it("says what its examples give", function()
    local text, n = page(), 0
    local given = assert(load("return {" .. text:match("```entry\n(.-)```") .. "}"))()
    local env = { key = layout.new(given.key, "key"):describe(),
      value = layout.new(given.value, "value"):describe() }
    given.key, given.value = stored(given)
    for block in text:gmatch("```expr\n(.-)```") do
      for line in block:gmatch("[^\n]+") do
        local example, result = line:match("^(.-)%s+%-%-> (.*)$")
        local wanted = result:match("^error: (.*)$")
        local ok, got, ast = pcall(run, example, env, given)
        n = n + 1
        if wanted then
          assert.is_false(ok, line)
          assert.truthy(got:find(wanted, 1, true), line .. "\n" .. got)
        else
          assert.equal(result, got, line)
          if not example:find("$", 1, true) then
            assert.equal(result, written(evaluator.run(ast, given), ast.kind), line)
          end
        end
      end
    end
    assert.truthy(n > 40)
  end)

  it("names columns and aggregates in ways that are possible", function()
    local given = assert(load("return {" .. page():match("```entry\n(.-)```") .. "}"))()
    local env = { key = layout.new(given.key, "key"):describe(),
      value = layout.new(given.value, "value"):describe() }
    local names = {}
    for line in page():gmatch("\n(%l+ = [^\n]*)") do
      local set = {}
      if line:find("^columns") or line:find("^select") then assert(load(line, line, "t", set))() end
      for _, column in ipairs(set.columns and expr.columns(set.columns, env) or {}) do
        names[#names + 1] = column.name
      end
      for _, column in ipairs(set.select and expr.aggregates(set.select, env) or {}) do
        names[#names + 1] = column.name
      end
    end
    assert.same({ "src_addr", "size", "src_addr", "b", "bytes", "flows" }, names)
  end)

  it("shows the error as it is", function()
    local shown = page():match("\n\n(    expression:.-)\n\n"):gsub("^    ", ""):gsub("\n    ", "\n")
    local value = layout.new({ "u64 bytes" }, "value"):describe()
    local _, message = pcall(expr.parse, "now - value.byts > 3", { value = value })
    assert.equal(shown, message)
  end)
end)
