-- SPDX-License-Identifier: MIT
--
-- The compiler: the tree of an expression to a fragment, a run of BPF
-- instructions that luabpf/lib/code/fragment.h defines (r6 key, r7 value, r8 parameters,
-- r9 per-CPU slots, result in r0; no instruction newer than Linux 5.15). lower.lua
-- leaves integers and conditions, generator.lua and branch.lua write their instructions.

local expr = require "luabpf.expr.parse"
local generator = require "luabpf.expr.branch"
local lexer = require "luabpf.expr.lexer"
local limits = require "luabpf.core".limits
local lower = require "luabpf.expr.lower"
local params = require "luabpf.expr.params"
local sharing = require "luabpf.expr.sharing"
local width = require "luabpf.expr.width"

local compile = {}

local function fail(node, message)
  lexer.fail(node.source, node.first, message)
end

local function check_limits(ast, context, n)
  if n > limits.instructions then
    fail(ast, ("the expression is too large: %d instructions, at most %d")
      :format(n, limits.instructions))
  elseif #context.percpu > limits.reductions then
    fail(ast, ("more than %d fields are read over CPUs"):format(limits.reductions))
  elseif params.slots(context.params) > limits.params then
    fail(ast, ("the parameters take more than %d slots"):format(limits.params))
  end
end

local function context_of(env, shared)
  shared = shared or {}
  shared.params, shared.percpu = shared.params or {}, shared.percpu or {}
  return { env = env, params = shared.params, percpu = shared.percpu }
end

-- The instructions for a core tree, which sharing.plan has been over.
local function generated(core, kind, env)
  local self = generator.new(env)
  if kind == "condition" then
    self:result(core)
  else
    self:enter(core, 0, 0)
    self:integer(core, 0)
  end
  return self.again and generated(core, kind, env) or self
end

local function generate(ast, core, kind, context)
  local bits = kind == "condition" and 1 or width.of(core)
  local self = generated(sharing.plan(core), kind, context.env)
  check_limits(ast, context, self.asm.n)
  local code, listing = self.asm:assemble()
  return {
    code = code, n = self.asm.n, kind = kind, params = context.params, percpu = context.percpu,
    comparisons = self.asm.conditional, listing = listing, bits = bits,
  }
end

-- Compiles an expression that is an integer or a condition.
-- @tparam table ast from expr.parse
-- @tparam table env the env it was parsed with
-- @tparam[opt] table shared `params` and `percpu`, lists that the fragments of one query have in
--   common; they are made and added to
-- @treturn table `code` (packed instructions), `n` (how many), `kind` ("condition", "signed",
--   "unsigned"), `params` ({ name, kind, slot, slots, ... } each), `percpu` (reductions, as struct
--   lb_reduction in fragment.h), `comparisons` (conditional jumps), `listing` ({ index, text,
--   part } each), `bits` (that can differ in the result: width.lua). Raises
--   "expression:LINE:COLUMN: ..." when the expression cannot be compiled
function compile.fragment(ast, env, shared)
  if ast.kind == "raw" then
    fail(ast, ("%s is neither an integer nor a condition"):format(expr.text(ast)))
  end
  local context = context_of(env, shared)
  return generate(ast, lower.expression(ast, context), ast.kind, context)
end

-- Compiles a column: an expression of any kind.
-- @treturn table list of fragments, each giving one u64: the result; or, of text, an address or
--   another field that is no integer, its bytes, eight at a time, the first in the lowest byte
-- @treturn[opt] table the description of the field whose bytes they are; of an enum too, with
--   one fragment. nil for other integers and for conditions
function compile.column(ast, env, shared)
  if ast.kind ~= "raw" then
    return { compile.fragment(ast, env, shared) }, ast.op == "field" and ast.enum or nil
  end
  local context, list = context_of(env, shared), {}
  for offset = 0, ast.desc.size - 1, 8 do
    local core = lower.bytes(ast, context, offset, math.min(8, ast.desc.size - offset))
    list[#list + 1] = generate(ast, core, "unsigned", context)
  end
  return list, ast.desc
end

-- The instructions as text: index, instruction, and the part of the expression that it and the
-- following ones are for.
function compile.listing(fragment)
  local lines, longest, part = {}, 0, nil
  for _, line in ipairs(fragment.listing) do longest = math.max(longest, #line[2]) end
  for i, line in ipairs(fragment.listing) do
    local beside = line[3] ~= part and line[3] or ""
    local text = ("%4d  %-" .. longest .. "s  %s"):format(line[1], line[2], beside)
    lines[i], part = text:gsub(" +$", "") .. "\n", line[3]
  end
  return table.concat(lines)
end

return compile
