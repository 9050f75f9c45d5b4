---@meta luabpf
-- SPDX-License-Identifier: MIT
--
-- What luabpf offers, for editors (lua-language-server: add this folder to
-- workspace.library). spec/docs/types_spec.lua checks that no method is missing.
--
-- Everywhere: absent is nil or false; the system's refusal is nil, message, errno;
-- misuse raises. Integers are 64-bit patterns.

---@class luabpf
---@field defaults table<string, any>
---@field errno table<string, integer>
---@field iter luabpf.iter
---@field _VERSION string
local bpf = {}

---A span of time: nanoseconds, or text as "30s".
---@alias luabpf.time integer|string

---What a map holds: a number, text, a list or a table of fields, by its layout.
---@alias luabpf.data any

---A type name ("u32") or C-like declarations ({ "ipv4 addr", "be16 port" }).
---@alias luabpf.declaration string|table

---Chooses entries: a Lua function, which gets views, or an expression.
---An expression compiled by bpf.compile.
---@class luabpf.expression
---@field text string
---@field kind "condition"|"signed"|"unsigned"

---@alias luabpf.where string|luabpf.expression|fun(key: luabpf.data, value: luabpf.data): any

-- ---- the module ------------------------------------------------------------------

---@class luabpf.open_options
---@field path? string a pin
---@field name? string
---@field id? integer
---@field fd? integer
---@field readonly? boolean
---@field key? luabpf.declaration
---@field value? luabpf.declaration

---Opens a map: a pin's path, a map's name (no slash) or id, or options. By name and id it
---needs CAP_SYS_ADMIN.
---@param what string|integer|luabpf.open_options
---@param more? luabpf.open_options after a path, name or id: readonly, key, value
---@return luabpf.map? map
---@return string? message
---@return integer? errno
function bpf.open(what, more) end

---@class luabpf.create_options
---@field type string "hash", "lru_hash", "array", "percpu_hash", ...
---@field name? string at most 15 bytes
---@field key? luabpf.declaration
---@field value? luabpf.declaration
---@field key_size? integer instead of key: binary strings
---@field value_size? integer
---@field max_entries? integer
---@field flags? string[] as "no_prealloc"
---@field pin? string
---@field inner? luabpf.create_options|luabpf.map for maps of maps

---@class luabpf.restore_options
---@field from luabpf.snapshot type, size, layouts and entries
---@field pin? string appears when the map is complete
---@field name? string another
---@field max_entries? integer another
---@field other_cpus? boolean take per-CPU values of a machine with another number of CPUs

---Creates a map.
---@param options luabpf.create_options|luabpf.restore_options
---@return luabpf.map? map
---@return string? message
---@return integer? errno
function bpf.create(options) end

---@class luabpf.load_options
---@field maps? table<string, { type: string?, max_entries: integer?, pin: string? }>
---@field globals? table<string, luabpf.data>

---Loads an object file of BPF programs.
---@param path string
---@param options? luabpf.load_options
---@return luabpf.object? object
---@return string? message with the verifier's log
---@return integer? errno
function bpf.load(path, options) end

---The maps of the kernel: an iterator of info tables, which prints as a table at the prompt.
---Needs CAP_SYS_ADMIN.
function bpf.maps() end

---The clock of bpf_ktime_get_ns, in nanoseconds.
---@return integer
function bpf.now() end

---The clock of bpf_ktime_get_boot_ns, in nanoseconds.
---@return integer
function bpf.boottime() end

---@param time luabpf.time
function bpf.sleep(time) end

---How many CPUs are possible: the length of per-CPU values.
---@return integer
function bpf.cpus() end

---What this kernel has, found by trying; prints as a table.
---@return table<string, any>
function bpf.features() end

---Opens a pinned program.
---@param path string
---@return luabpf.program? program
---@return string? message
---@return integer? errno
function bpf.open_program(path) end

---Opens a pinned link.
---@param path string
---@return luabpf.link? link
---@return string? message
---@return integer? errno
function bpf.open_link(path) end

---Compiles an expression for a map: reusable as `where`; prints as its instructions.
---@param text string
---@param map luabpf.map|luabpf.snapshot
---@return luabpf.expression
function bpf.compile(text, map) end

---Measures how fast a map can be read on this machine; reads only, about two seconds.
---@param map luabpf.map
---@param options? { where?: string, params?: table, sizes?: integer[], patience?: integer|string }
---@return table? result prints as tables: sizes, best, views, tables, engines, why
---@return string? message
---@return integer? errno
function bpf.bench(map, options) end

---Opens a snapshot file.
---@param path string
---@param options? { damaged?: boolean } what is intact; header().damage tells the rest
---@return luabpf.snapshot? snapshot
---@return string? message
---@return integer? errno
function bpf.snapshot(path, options) end

---A copy of a batch, or the table that a view is on, which stays valid.
---@param of luabpf.batch|luabpf.data
---@return luabpf.batch|luabpf.data
function bpf.copy(of) end

---A time in nanoseconds: from text as "10ms", "30s", "1.5h".
---@param time luabpf.time
---@return integer
function bpf.duration(time) end

---A size in bytes: from text as "64MiB".
---@param size integer|string
---@return integer
function bpf.size(size) end

-- ---- snapshots -----------------------------------------------------------------------

---Entries of a map as they were, in a file or in memory.
---@class luabpf.snapshot
---@operator len: integer
local snapshot = {}

---What it is of: the map's info, layouts, time, boot, counts; prints as a table.
---@return table header
function snapshot:header() end

---@param options? integer|{ batch_size?: integer, raw?: boolean }
---@return fun(): luabpf.batch? next raises an error object
function snapshot:batches(options) end

---@param options? integer|{ batch_size?: integer, raw?: boolean }
---@return fun(): luabpf.data?, luabpf.data? next raises an error object
function snapshot:entries(options) end

---@param options? integer|{ batch_size?: integer }
---@return fun(): luabpf.data?, luabpf.data? next views of key and value; raises an error object
function snapshot:views(options) end

---@param where? luabpf.where
---@param options? luabpf.query_options
---@return integer? count
---@return table|string? report or message
---@return integer? errno
function snapshot:count(where, options) end

---Writes the entries as JSON lines or CSV, as map:export.
---@param target string|file*|fun(text: string): any
---@param options? luabpf.export_options format, where, params, columns, progress, batch_size
---@return luabpf.export_report? report
---@return string? message
---@return integer? errno
---@return luabpf.export_report? partial
function snapshot:export(target, options) end

---@param options? luabpf.select_options
---@return fun(): table?, luabpf.data? next rows; raises an error object
function snapshot:select(options) end

---@param options? luabpf.aggregate_options
---@return table[]? rows
---@return table|string? report or message
---@return integer? errno
function snapshot:aggregate(options) end

---@class luabpf.difference
---@field status "added"|"removed"|"changed"
---@field key luabpf.data
---@field old? luabpf.data
---@field new? luabpf.data
---@field delta? luabpf.data of what changed: its integer fields, new minus old

---What has changed since an older snapshot.
---@param old luabpf.snapshot
---@param options? { memory?: integer|string }
---@return fun(): luabpf.difference? next raises an error object
function snapshot:diff(old, options) end

---The first n entries, which print as a table.
---@param n? integer
---@return table[] entries
function snapshot:head(n) end

---Its header and the layouts of key and value; prints as text.
---@return table
function snapshot:describe() end

---@return true
function snapshot:close() end

-- ---- maps --------------------------------------------------------------------------

---@class luabpf.map
---@operator len: integer
local map = {}

---@return table? info everything that the kernel tells
---@return string? message
---@return integer? errno
function map:info() end

---@param path string in bpffs
---@return true? ok
---@return string? message
---@return integer? errno
function map:pin(path) end

---@param path? string
---@return true? ok
---@return string? message
---@return integer? errno
function map:unpin(path) end

---No program and no process can write from now on, but programs that say they may.
---@return true? ok
---@return string? message
---@return integer? errno
function map:freeze() end

---@return integer
function map:fd() end

---@return true
function map:close() end

---The first entries, for the prompt: prints as a table.
---@param n? integer default 10
function map:head(n) end

---What the map is and what its entries are made of, for the prompt.
function map:describe() end

---@param key luabpf.data
---@return luabpf.data? value nil if absent
---@return string? message
---@return integer? errno
function map:lookup(key) end

---@param key luabpf.data
---@param value luabpf.data
---@param mode? "any"|"noexist"|"exist"|table
---@return boolean? stored false when the condition does not hold
---@return string? message
---@return integer? errno
function map:update(key, value, mode) end

---@param key luabpf.data
---@return boolean? deleted false when absent
---@return string? message
---@return integer? errno
function map:delete(key) end

---Looks up and deletes in one step.
---@param key luabpf.data
---@return luabpf.data? value nil if absent
---@return string? message
---@return integer? errno
function map:take(key) end

---The key after this one; the first without one.
---@param key? luabpf.data
---@return luabpf.data? key nil at the end
---@return string? message
---@return integer? errno
function map:next(key) end

---@param value luabpf.data
---@return boolean? stored
---@return string? message
---@return integer? errno
function map:push(value) end

---@return luabpf.data? value nil if empty
---@return string? message
---@return integer? errno
function map:pop() end

---@return luabpf.data? value nil if empty
---@return string? message
---@return integer? errno
function map:peek() end

---A list of keys or values, a packed string of records, or a batch.
---@alias luabpf.records luabpf.data[]|string|luabpf.batch

---@class luabpf.lookup_batch_options
---@field raw? boolean binary strings instead of tables
---@field status? boolean a status per key as one more result
---@field touch? boolean in LRU maps: entries are marked as used, which is faster

---@param keys luabpf.records
---@param options? luabpf.lookup_batch_options
---@return luabpf.data[]|luabpf.batch? values with holes where a key is absent
---@return integer|string? found
---@return integer? errno
---@return any partial
function map:lookup_batch(keys, options) end

---@param keys luabpf.records
---@param values? luabpf.records not with a batch
---@param options? { mode: "any"|"noexist"|"exist"?, status: boolean? }
---@return integer? stored
---@return string? message
---@return integer? errno
---@return integer? partial
function map:update_batch(keys, values, options) end

---@param keys luabpf.records
---@param options? { if_equal: luabpf.records?, status: boolean? }
---@return integer? deleted
---@return integer|string? missing
---@return integer? changed
function map:delete_batch(keys, options) end

---@param keys luabpf.records
---@param values? luabpf.records
---@param options? table
---@return { inserted: integer, updated: integer }? counts
---@return string? message
---@return integer? errno
function map:upsert_batch(keys, values, options) end

---How many entries match; without where, how many there are.
---@param where? luabpf.where
---@param options? luabpf.count_options
---@return integer? count
---@return luabpf.report|string|nil report or message
---@return integer? errno
function map:count(where, options) end

---Deletes all entries; sets those of arrays to zeros.
---@return integer? cleared
---@return string? message
---@return integer? errno
function map:clear() end

---@class luabpf.batches_options
---@field batch_size? integer
---@field from? string a batch's cursor: goes on after it
---@field raw? boolean binary strings instead of decoded data
---@field engine? "batch"|"walk"
---@field report? table filled with what the scan did

---Iterates over batches; each is valid until the next step. Raises an object with message,
---errno and partial.
---@param batch_size? integer|luabpf.batches_options
---@return fun(): luabpf.batch?
function map:batches(batch_size) end

---Iterates over entries.
---@param options? luabpf.batches_options
---@return fun(): luabpf.data?, luabpf.data?
function map:entries(options) end

---Iterates over views, which move along; reading a field reads the batch.
---@param options? luabpf.batches_options
---@return fun(): luabpf.data?, luabpf.data?
function map:views(options) end

---@class luabpf.drain_options : luabpf.query_options
---@field where? luabpf.where hand over those that match only
---@field limit? integer with where: at most so many
---@field raw? boolean binary strings instead of tables

---Iterates over batches, which are taken out of the map.
---@param options? integer|luabpf.drain_options
---@return fun(): luabpf.batch?
function map:drain(options) end

---What a query did.
---@class luabpf.report
---@field engine "kernel"|"batch"|"walk" the one that was used
---@field why string why it was
---@field visited integer entries looked at
---@field matched integer
---@field complete boolean the whole map was looked at
---@field exact boolean entries that were there throughout were seen exactly once
---@field seconds number

---@class luabpf.delete_report : luabpf.report
---@field deleted integer
---@field missing integer gone before they could be deleted
---@field kept integer no longer matching, or changed, before they could be deleted

---The options that all queries take.
---@class luabpf.query_options
---@field params? table<string, integer|string|boolean> values of $name in the text
---@field engine? "kernel"|"batch"|"walk" forces one
---@field exact? boolean keep to the batch cursor
---@field memory? integer|string bytes for rows and groups
---@field budget? integer|string ns that a run inside the kernel may take
---@field batch_size? integer
---@field report? table filled with the report

---@class luabpf.count_options : luabpf.query_options
---@field workers? integer threads that the batch engine may use

---@class luabpf.delete_options : luabpf.query_options
---@field dry_run? boolean only count
---@field limit? integer delete at most so many
---@field on_delete? fun(key: luabpf.data, value: luabpf.data) called after each deletion

---Deletes the entries that match, each judged again immediately before it is deleted.
---@param where luabpf.where
---@param options? luabpf.delete_options
---@return luabpf.delete_report? report
---@return string? message
---@return integer? errno
---@return luabpf.delete_report? partial
function map:delete_where(where, options) end

---@alias luabpf.columns string|string[]|table<string, string>

---@class luabpf.select_options : luabpf.query_options
---@field where? luabpf.where
---@field columns? luabpf.columns without them, rows are key and value
---@field sort? string a column or an expression, largest first; "... asc": smallest first
---@field limit? integer

---The matching entries, or columns of them.
---@param options? luabpf.select_options
---@return fun(): table?, luabpf.data? next rows; raises an error object
function map:select(options) end

---@class luabpf.aggregate_options : luabpf.count_options
---@field where? luabpf.where
---@field group? luabpf.columns
---@field select? luabpf.columns "sum(value.bytes) as bytes", count min max avg distinct hist
---@field sort? string
---@field limit? integer

---Sums up the matching entries, in groups.
---@param options? luabpf.aggregate_options
---@return table[]? rows one without group
---@return luabpf.report|string|nil report or message
---@return integer? errno
function map:aggregate(options) end

---@class luabpf.export_options
---@field format? "jsonl"|"csv"|"snapshot" what the path ends in, if left out; else "jsonl"
---@field where? luabpf.where
---@field params? table<string, luabpf.data>
---@field columns? luabpf.columns instead of key and value
---@field checkpoint? string a file that remembers how far it has come: the same call goes on there
---@field checkpoint_interval? luabpf.time
---@field restart? boolean discards the checkpoint
---@field drain? boolean deletes what was written and synced, if it is unchanged
---@field progress? boolean|fun(entries: integer, total: integer?, seconds: number)
---@field workers? integer threads that read and format, in any format (default 1)
---@field batch_size? integer
---@field report? table filled with what the scan did

---@class luabpf.export_report
---@field entries integer of the whole file
---@field bytes integer
---@field seconds number
---@field resumed boolean
---@field workers? integer threads there were, if that was asked for
---@field deleted? integer of a drain
---@field missing? integer
---@field changed? integer
---@field kept? string the file of an earlier drain, after a restart

---Writes the entries as JSON lines, CSV or a snapshot file.
---@param target string|file*|fun(text: string): any a path, "-", or what is called with rows
---@param options? luabpf.export_options
---@return luabpf.export_report? report
---@return string? message
---@return integer? errno
---@return luabpf.export_report? partial
function map:export(target, options) end

---@class luabpf.import_options
---@field format? "jsonl"|"csv"|"snapshot" what the file begins with, if left out
---@field mode? "any"|"noexist"|"exist"
---@field dry_run? boolean only counts
---@field checkpoint? string a file that remembers how far it has come: the same call goes on there
---@field restart? boolean discards the checkpoint
---@field progress? boolean|fun(entries: integer, total: integer?, seconds: number)
---@field workers? integer threads that store (default 1)
---@field batch_size? integer

---@class luabpf.import_report
---@field inserted integer
---@field updated integer
---@field skipped integer
---@field seconds number
---@field resumed boolean
---@field workers? integer threads there were, if that was asked for

---Stores the entries of a file in the map.
---@param source string|file*|luabpf.snapshot a path, "-", an open file, or a snapshot
---@param options? luabpf.import_options
---@return luabpf.import_report? report
---@return string? message with the line and field of what is wrong
---@return integer? errno
---@return luabpf.import_report? partial
function map:import(source, options) end

---@class luabpf.parallel_options
---@field map fun(batch: luabpf.batch): any called in the workers
---@field reduce? fun(a: any, b: any): any puts two results together
---@field initial? any the result for an empty map
---@field workers? integer threads; default the CPUs that are online
---@field where? luabpf.where
---@field params? table<string, integer|string|boolean>
---@field batch_size? integer

---Works on the map with several threads, each in a Lua state of its own.
---@param options luabpf.parallel_options
---@return any result
---@return table report workers, batches, entries, matched, seconds
function map:parallel(options) end

---@class luabpf.plan
---@field engine string
---@field why string
---@field estimates table<string, integer> ns by engine
---@field entries integer expected
---@field row_bytes integer
---@field fragments { name: string, listing: string }[]

---What a query would do: its engine and why, the cost, the instructions. Nothing is run.
---@param options? luabpf.select_options|luabpf.aggregate_options
---@return luabpf.plan
function map:explain(options) end

---@class luabpf.snapshot_options
---@field where? luabpf.where
---@field params? table<string, luabpf.data>
---@field columns? luabpf.columns they become the value of each key
---@field batch_size? integer
---@field report? table filled with what the scan did

---The entries as they are now, in memory.
---@param options? luabpf.snapshot_options
---@return luabpf.snapshot? snapshot
---@return string? message
---@return integer? errno
function map:snapshot(options) end

-- ---- batches -----------------------------------------------------------------------

---@class luabpf.batch
---@operator len: integer
local batch = {}

---@param i integer from 1
---@return luabpf.data
function batch:key(i) end

---@param i integer from 1
---@return luabpf.data? value nil where there is none
function batch:value(i) end

---@return luabpf.data[]
function batch:keys() end

---@return luabpf.data[]
function batch:values() end

---@return fun(): luabpf.data?, luabpf.data?
function batch:entries() end

---One pair of views that moves along; reading a field reads the buffer.
---@return fun(): luabpf.data?, luabpf.data?
function batch:views() end

---@return string keys
---@return string values
function batch:packed() end

---A place to go on from, in another process too: map:batches { from = cursor }.
---@return string
function batch:cursor() end

---Some of the entries.
---@param indices integer[]
---@return luabpf.batch
function batch:pick(indices) end

---What the scan did so far; nil for a batch of other origin.
---@return table?
function batch:report() end

---A batch that stays valid.
---@return luabpf.batch
function batch:copy() end

-- ---- objects -----------------------------------------------------------------------

---@class luabpf.object
---@field maps table<string, luabpf.map>
---@field programs table<string, luabpf.program>
---@field globals table<string, luabpf.data>
local object = {}

---@return true
function object:close() end

---@class luabpf.program
---@field name string
---@field type string
local program = {}

---@class luabpf.attach_options
---@field cgroup? string a folder of cgroup2
---@field xdp? string an interface
---@field tc? string an interface
---@field tracepoint? string "category:event"
---@field direction? "ingress"|"egress"

---Without options as the program's section says.
---@param options? luabpf.attach_options exactly one target
---@return luabpf.link? link
---@return string? message
---@return integer? errno
function program:attach(options) end

---@param options? { data: string?, ctx: string?, times: integer? }
---@return { retval: integer, data: string?, ctx: string?, ns: integer? }? result
---@return string? message
---@return integer? errno
function program:run(options) end

---@return table? info
---@return string? message
---@return integer? errno
function program:info() end

---@return integer
function program:fd() end

---@param path string in bpffs
---@return true? ok
---@return string? message
---@return integer? errno
function program:pin(path) end

---@return true
function program:close() end

---@class luabpf.link
local link = {}

---@return table? info
---@return string? message
---@return integer? errno
function link:info() end

---@return integer? fd nil for a tc filter
function link:fd() end

---The program stays attached after this process.
---@param path string in bpffs
---@return true? ok
---@return string? message
---@return integer? errno
function link:pin(path) end

---Detaches the program now, whoever else holds the link.
---@return true? ok
---@return string? message
---@return integer? errno
function link:detach() end

---@return true
function link:close() end

-- ---- iterators ----------------------------------------------------------------------

---Composes iterators. The iterator comes last, so that all its values arrive.
---@class luabpf.iter
local iter = {}

---@param pred fun(...): any
function iter.filter(pred, ...) end

---@param fn fun(...): ...
function iter.map(fn, ...) end

---@param n integer
function iter.take(n, ...) end

---@param n integer
function iter.chunk(n, ...) end

---The values that a coroutine yields, made when asked for.
---@param producer fun(resource: any)
---@param resource? any closed with the loop
function iter.lazy(producer, resource) end

return bpf
