-- SPDX-License-Identifier: MIT
--
-- What a run changes or deletes of a batch, a piece at a time: no piece goes past the
-- limit of the run.

local pieces = {}

-- How many more may be changed or deleted; in a dry run, would be.
function pieces.room(run, report)
  if not run.limit then return math.huge end
  return run.limit - (run.dry_run and report.matched or report.deleted or report.updated)
end

-- The indices of a batch, or of a part of it.
function pieces.indices(from, to)
  local list = {}
  for i = from, to do list[#list + 1] = i end
  return list
end

-- The entries of a batch from one index to another.
function pieces.part(batch, from, to)
  if from == 1 and to == #batch then return batch end
  return batch:pick(pieces.indices(from, to))
end

-- Calls act(from, to) for the pieces of a batch that are within the limit, of `most` entries at
-- most; in a dry run they are only counted. What the limit cuts off is not counted as matched, as
-- in the kernel engine, which stops there.
function pieces.each(run, report, batch, most, act)
  local at = 1
  while at <= #batch do
    local left = pieces.room(run, report)
    if left <= 0 then return end
    local last = math.min(#batch, at + left - 1, at + most - 1) // 1
    report.matched = report.matched + last - at + 1
    if not run.dry_run then act(at, last) end
    at = last + 1
  end
end

return pieces
