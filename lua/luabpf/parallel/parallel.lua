-- SPDX-License-Identifier: MIT

--- map:parallel: the entries of a map, worked on by several threads. Each has a
-- Lua state of its own (worker.lua), functions go there as copies (transfer.lua).
--
-- @module luabpf.parallel.parallel

local core = require "luabpf.core"
local defaults = require "luabpf.base.defaults"
local later = require "luabpf.base.later"
local judge = require "luabpf.query.judge"
local options = require "luabpf.base.options"
local prepare = require "luabpf.query.prepare"
local scan = require "luabpf.base.scan"
local transfer = require "luabpf.parallel.transfer"

local map = core.classes["luabpf.map"]

-- Globals of a worker that are modules.
local MODULES <const> = { bpf = "luabpf" }

local function new_job(self, given)
  local facts = prepare.facts(self)
  local job = { fd = self:fd(), key = facts.env.key, value = facts.env.value, map = given.map,
    reduce = given.reduce, modules = MODULES }
  job.batch_size = options.integer("parallel", "batch_size", given.batch_size, 1, 0xffffffff,
    defaults.batch_size, 4)
  if given.params and (given.where == nil or type(given.where) == "function") then
    error("parallel: params go with text", 3)
  end
  if type(given.where) == "function" then
    job.where = given.where
    -- What cannot be compiled is refused here, not by a worker.
    if given.compile then judge.take(self, { what = "parallel", given = given }, given.where, 3) end
    job.by_lua = given.compile == false or given.compile == nil and not defaults.compile
  elseif given.where ~= nil then
    job.where = prepare.text(given.where, "parallel", 4)
    job.given = given.params
    job.params = prepare.params(prepare.query(self, "entries", { where = job.where,
      params = given.params }), given.params)
  end
  return job, facts
end

-- The text of each worker's job: the same, or its own buckets.
local function texts_of(job, facts, n)
  local texts = {}
  if facts.kind.position ~= "bucket" then
    local text = transfer.pack(job, "parallel")
    for i = 1, n do texts[i] = text end
    return texts, true
  end
  local buckets = core.buckets(facts.info.max_entries)
  n = math.min(n, buckets)
  for i = 1, n do
    job.first, job.last = buckets * (i - 1) // n, buckets * i // n
    texts[i] = transfer.pack(job, "parallel")
  end
  return texts, false
end

-- Reads the map here, for all workers.
local function feed(self, workers, batch_size)
  for batch in map.batches(self, batch_size) do
    local pushed = false
    while pushed == false do pushed = workers:push(batch, scan.PATIENCE) end
    if pushed == nil then break end
  end
  workers:finish()
end

-- The message and errno of the first worker that the system refused something. What else a worker
-- raised is raised.
local function first_error(results)
  for i, result in ipairs(results) do
    if result.errno then return ("parallel: worker %d: %s"):format(i, result.text), result.errno end
    if not result.ok then
      error(("parallel: worker %d: %s"):format(i, result.text), 0)
    end
  end
end

-- What the workers came to, put together.
local function gather(results, given, report)
  local result, has, list = nil, false, {}
  for _, one in ipairs(results) do
    local done = transfer.unpack(one.text)
    report.batches = report.batches + done.batches
    report.entries = report.entries + done.entries
    report.matched = report.matched + done.matched
    table.move(done.list, 1, #done.list, #list + 1, list)
    if done.has then
      if has then result = given.reduce(result, done.result) else result = done.result end
      has = true
    end
  end
  if not given.reduce then return list end
  if has then return result end
  return given.initial
end

--- What `map:parallel` did.
-- @table parallel_report
-- @tfield integer workers how many threads there were
-- @tfield integer batches how many batches they had
-- @tfield integer entries how many entries were in them
-- @tfield integer matched how many the condition held for
-- @tfield number seconds how long it took

--- Works on the map with several threads, each in a Lua state of its own. Functions are copied
-- with what their local variables from outside hold: nil, booleans, numbers, strings, tables, Lua
-- functions; modules go by name. Of globals there are Lua's own and `bpf`.
-- @tparam fun(batch:batch):any options.map called with each batch, in a worker
-- @tparam[opt] fun(a:any,b:any):any options.reduce puts two results together; needed with more
--   than one result
-- @tparam[opt] any options.initial the result for an empty map
-- @tparam[opt] integer options.workers threads; as many as CPUs are online without it
-- @tparam[opt] where options.where the condition
-- @tparam[opt] table<string,any> options.params the values of `$name` in the condition
-- @tparam[opt=4096] integer options.batch_size a hint: a batch is whole buckets
-- @tparam[opt] boolean options.compile as of `map:count`
-- @treturn any the result
-- @treturn parallel_report what was done
-- @error the kernel refuses, or threads cannot be started
-- @raise what a worker raised, and what cannot be copied, naming the variable
-- @usage
-- local total = map:parallel { workers = 2,
--   map = function(batch)
--     local n = 0
--     for _, value in batch:views() do n = n + value.packets end
--     return n
--   end,
--   reduce = function(a, b) return a + b end }
-- print(total)
function map:parallel(given)
  local start = core.now()
  given = options.check("parallel", given, options.of "map:parallel")
  if not given.map then error("parallel: option 'map': function expected, got nil", 2) end
  core.check_map(self)
  local _, online = core.cpus()
  local n = options.integer("parallel", "workers", given.workers, 1, core.max_workers,
    math.min(online, core.max_workers))
  local job, facts = new_job(self, given)
  local texts, queued = texts_of(job, facts, n)
  local workers <close>, message, errno = core.workers { jobs = texts,
    path = later.absolute(package.path), cpath = later.absolute(package.cpath) }
  if not workers then return nil, message, errno end
  if queued then feed(self, workers, job.batch_size) end
  while not workers:wait(scan.PATIENCE) do end
  local results = workers:results()
  message, errno = first_error(results)
  if message then return nil, message, errno end
  local report = { workers = #texts, batches = 0, entries = 0, matched = 0 }
  local result = gather(results, given, report)
  report.seconds = (core.now() - start) / 1e9
  return result, report
end
