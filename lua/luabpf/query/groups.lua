-- SPDX-License-Identifier: MIT

--- What aggregations give: the row that a program summed up, groups, and how both print.
--
-- @module luabpf.query.groups

local core = require "luabpf.core"
local judge = require "luabpf.query.judge"
local prepare = require "luabpf.query.prepare"
local present = require "luabpf.query.present"
local runs = require "luabpf.query.run"

local groups = {}

-- The only row, from what the program summed up.
function groups.plain_row(query, result)
  local row = {}
  for _, sum in ipairs(query.sums) do
    if sum.fn == "count" then
      row[sum.name] = result.matched
    elseif sum.fn == "sum" or result.matched > 0 then
      row[sum.name] = result.sums[sum.at]
    end
  end
  return { row }
end

-- memory: what it may take at most, bytes; the run's own.
function groups.new_agg(query, run, memory)
  return core.agg { items = query.items, groups = query.group_words, as = query.as,
    bits = query.index, memory = memory or run.memory }
end

function groups.result_of(query, run, agg)
  return agg:result { decoder = query.decoder, names = query.item_names, order = query.order,
    limit = run.given.group and run.given.limit or nil }
end

-- A list as it is given to the caller, and the report.
function groups.finished(query, run, report, list)
  return present.sums(query, list), runs.finish(query, run, report)
end

-- Rows instead of sums.
function groups.by_rows(self, run, parts)
  parts.plain = nil
  local query = prepare.query(self, "aggregate", parts)
  run.packed = judge.params(query, run)
  return query
end

return groups
