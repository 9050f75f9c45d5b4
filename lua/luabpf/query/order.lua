-- SPDX-License-Identifier: MIT
--
-- Orders: what `sort` asks for, as the words that rows are sorted by. A sort is text,
-- "bytes desc, key.addr": columns by their name, or expressions, the first decides
-- most. Numbers go from the largest down, text and addresses from the smallest up, by
-- their bytes; asc and desc say it. What that leaves equal goes by key.

local core = require "luabpf.core"
local expr = require "luabpf.expr.parse"
local fields = require "luabpf.expr.fields"
local literal = require "luabpf.expr.literal"

local order = {}

-- Words that rows are sorted by.
local MOST <const> = core.limits.order

-- How a word of a column is ordered: "unsigned", "signed" or "bytes".
function order.of_words(ast)
  return ast.kind == "raw" and "bytes" or ast.kind == "signed" and "signed" or "unsigned"
end

local function is_descending(item, as)
  if item.direction then return item.direction == "desc" end
  return as ~= "bytes"
end

-- Raises where a column has no order.
local function check(what, name, ast)
  if ast.kind ~= "raw" or literal.has_pattern(ast.desc) then return end
  error(("%s: sort: '%s' is %s, which has no order"):format(what, name, fields.what(ast.desc)), 0)
end

-- Adds the words of a column, which begin at word.
local function add(list, item, ast, word, words, made)
  local as = order.of_words(ast)
  for i = 0, words - 1 do
    list[#list + 1] = made(word + i, as, is_descending(item, as))
  end
end

local function check_length(what, list)
  if #list <= MOST then return list end
  error(("%s: sort: the columns to sort by have more than %d bytes"):format(what, 8 * MOST), 0)
end

local function output_of(parts, name)
  for _, output in ipairs(parts.outputs) do
    if output.name == name then return output end
  end
end

local function names_of(list)
  local names = {}
  for _, each in ipairs(list) do names[each.name] = true end
  return names
end

-- The order of a select: of its columns (parts.outputs), and of expressions that become hidden
-- columns by add_words(title, ast), which returns their number.
-- @treturn table list of { column =, as =, descending = } as core.topn takes it
function order.of_rows(parts, sort, add_words)
  local list = {}
  local function made(column, as, descending)
    return { column = column, as = as, descending = descending }
  end
  for _, item in ipairs(expr.orders(sort, parts.env, names_of(parts.outputs))) do
    local output = output_of(parts, item.name)
    local ast, word = output and output.ast or item.ast, output and output.word
    check("select", item.text, ast)
    if not output then word = #parts.columns end
    add(list, item, ast, word, output and output.words or add_words("sort", ast), made)
  end
  return check_length("select", list)
end

local function item_order(parts, item)
  for i, name in ipairs(parts.item_names) do
    if name == item.name and parts.items[i].fn == "hist" then
      error(("aggregate: sort: '%s' is a histogram"):format(name), 0)
    elseif name == item.name then
      return { by = "item", which = i - 1, descending = item.direction ~= "asc" }
    end
  end
end

-- The order of an aggregation's groups: by group columns (parts.outputs) and results
-- (parts.item_names).
-- @treturn table list of { by =, which =, descending = } as agg:result takes it
function order.of_groups(parts, sort)
  local list, names = {}, names_of(parts.outputs)
  local function made(column, _, descending)
    return { by = "column", which = column, descending = descending }
  end
  for _, name in ipairs(parts.item_names) do names[name] = true end
  for _, item in ipairs(expr.orders(sort, nil, names)) do
    local output = output_of(parts, item.name)
    if output then
      check("aggregate", item.text, output.ast)
      add(list, item, output.ast, output.word, output.words, made)
    else
      list[#list + 1] = item_order(parts, item)
        or error(("aggregate: sort: no column '%s'"):format(item.text), 0)
    end
  end
  return check_length("aggregate", list)
end

return order
