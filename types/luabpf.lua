---@meta luabpf
-- SPDX-License-Identifier: MIT
--
-- Made by `make docs` from the comments beside the code: not to be changed here.
-- docs/editors.md says how an editor finds it.

---What `bpf.bench` measured; times are in ns per entry.
---@class luabpf.bench_result
---@field sizes table[] the time for each batch size
---@field best integer the best batch size
---@field views number the time for a view, besides
---@field tables number the time for decoded tables, besides
---@field engines table[] the time of each engine for the condition
---@field why string which engine a query would take and why

---Columns: text with commas between them, a list, or a table of name = expression. "value.bytes as
---b" names one.
---@alias luabpf.columns string|string[]|table<string,string>

---Columns, or a function of views of key and value that gives a table of them: `{ size =
---value.bytes, port = key.port }`. A column has one type; nil is an empty place.
---@alias luabpf.computed_columns string|string[]|table<string,string>|fun(key:luabpf.view,value:luabpf.view):table

---Columns to group by, or a function of views of key and value: what it gives is the column `group`,
---or a table of columns.
---@alias luabpf.computed_groups string|string[]|table<string,string>|fun(key:luabpf.view,value:luabpf.view):any

---What `bpf.create` makes a map of.
---@class luabpf.create_options
---@field type string the type as bpftool names it: "hash", "lru_hash", "array", "percpu_hash", "lpm_trie" and so on
---@field name? string up to 15 letters, digits, `_` and `.` (default "")
---@field key? luabpf.declaration the layout of keys; arrays take "u32" without one
---@field value? luabpf.declaration the layout of values
---@field key_size? integer bytes of a key, which is a binary string then
---@field value_size? integer bytes of a value, which is a binary string then
---@field max_entries? integer how many entries there is room for (default 1)
---@field flags? string[] a list of "no_prealloc", "mmapable", "zero_seed" and so on: linux/bpf.h's in small letters
---@field pin? string a path in a bpffs, where the map lives on
---@field replace? boolean takes the place of a map that is pinned there, in one step (default false)
---@field inner? luabpf.create_options|luabpf.map for maps of maps: a map as they are to be, or the options for one
---@field map_extra? integer what some types take besides, as the number of hashes of a bloom filter (default 0)
---@field numa_node? integer the node whose memory it takes

---What a map holds: a number, text, a boolean, a list or a table of fields, as its layout says.
---@alias luabpf.data any

---A layout: a type name as "u32", a list of declarations as in C, or a layout that luabpf made of
---these.
---@alias luabpf.declaration string|table|userdata

---What functions take where an option is left out: `bpf.defaults`, which may be changed.
---@class luabpf.defaults
---@field batch_size? integer entries of a batch (default 4096)
---@field memory? integer bytes for the rows and groups of a query (default 67108864)
---@field budget? integer how long one run inside the kernel may take, in ns; 2000000000 where the kernel says that it is preemptible (default 250000000)
---@field compile? boolean whether functions as where are compiled (default true)
---@field checkpoint_interval? integer how often an export writes its checkpoint, in ns (default 1000000000)

---What a filtered delete did; `matched` is `deleted`, `missing`, `kept` and what `limit` cut off.
---@class luabpf.delete_report : luabpf.report
---@field deleted integer how many are gone
---@field missing integer how many somebody else had deleted before
---@field kept integer how many no longer matched, or had changed, when it was their turn

---One thing that has changed between two snapshots.
---@class luabpf.difference
---@field status "added"|"removed"|"changed" what became of the key
---@field key luabpf.data the key
---@field old? luabpf.data the value before, where there was one
---@field new? luabpf.data the value now, where there is one
---@field delta? luabpf.data of what changed the value's integer fields, new minus old; of per-CPU values the sums over the CPUs

---What an export wrote.
---@class luabpf.export_report
---@field entries integer how many are in the whole file
---@field bytes integer how long the file is
---@field seconds number how long it took
---@field resumed boolean whether it went on where another had stopped
---@field compiled? boolean|"partly" of a function as where, what of it runs without Lua
---@field asked? integer of a function as where, how many entries Lua judged
---@field workers? integer how many threads there were, where that was asked for
---@field deleted? integer how many a drain deleted
---@field missing? integer how many somebody else had deleted before a drain did
---@field changed? integer how many a drain left, since they had changed
---@field kept? string the file of an earlier drain, after a restart

---An expression that `bpf.compile` compiled; `tostring` lists its instructions.
---@class luabpf.expression
---@field text string the expression as it was given
---@field kind "condition"|"signed"|"unsigned" what it gives

---What `bpf.features` found: a field for each feature, and these.
---@class luabpf.features
---@field kernel string the kernel's release
---@field cpus integer how many CPUs are possible
---@field missing_privileges? string the capabilities that this process lacks; nil for none
---@field map_types table<string,boolean> by name, whether the kernel has the type

---What an import stored.
---@class luabpf.import_report
---@field inserted integer how many entries are new
---@field updated integer how many were replaced
---@field skipped integer how many `mode` left as they were
---@field seconds number how long it took
---@field resumed boolean whether it went on where another had stopped
---@field workers? integer how many threads there were, where that was asked for

---What the kernel tells of a map: the fields of struct bpf_map_info by their names, and some more.
---Prints as a table.
---@class luabpf.info
---@field id integer the number that the kernel gave it
---@field name string its name, up to 15 bytes; "" where it has none
---@field type string its type, as bpftool names it
---@field key_size integer bytes of a key
---@field value_size integer bytes of a value, on one CPU
---@field max_entries integer how many entries there is room for
---@field map_flags integer its flags as one number
---@field flags? string[] the names of its flags; not in the list of `bpf.maps`
---@field memlock? integer bytes of memory that it has; not in the list of `bpf.maps`
---@field frozen? boolean whether user space can only read it; not in the list of `bpf.maps`
---@field mapped? boolean of arrays made with the flag mmapable: whether this handle reads and writes them through memory, without system calls
---@field unmapped? string why it does not
---@field pin? string where this handle knows it to be pinned
---@field btf_id integer the id of its BTF; 0 where it has none
---@field map_extra integer what some types take besides, as the number of hashes of a bloom filter

---What of a map in an object file is to be other than the file says.
---@class luabpf.load_map
---@field type? string another type of map
---@field max_entries? integer room for another number of entries
---@field pin? string a path in a bpffs: the map there is taken, or made
---@field key? luabpf.declaration the layout of keys; over BTF it changes the types of the fields it names
---@field value? luabpf.declaration the layout of values; over BTF it changes the types of the fields it names

---What goes after a path, a name or an id in `bpf.open`.
---@class luabpf.more_open_options
---@field readonly? boolean opens it for reading only (default false)
---@field key? luabpf.declaration the layout of keys; over BTF it changes the types of the fields it names
---@field value? luabpf.declaration the layout of values; over BTF it changes the types of the fields it names

---What `bpf.open` takes in place of a path, name or id: one of the four ways, and the rest.
---@class luabpf.open_options : luabpf.more_open_options
---@field path? string a pin, in a bpffs
---@field name? string the map's name, of which the kernel keeps 15 bytes
---@field id? integer the map's id
---@field fd? integer a descriptor, which stays the caller's

---What `map:parallel` did.
---@class luabpf.parallel_report
---@field workers integer how many threads there were
---@field batches integer how many batches they had
---@field entries integer how many entries were in them
---@field matched integer how many the condition held for
---@field seconds number how long it took

---What is pinned in a BPF file system.
---@class luabpf.pinned
---@field path string its path
---@field kind "map"|"program"|"link"|"other" what it is; "other" is what could not be opened
---@field id? integer its id
---@field name? string of maps and programs that have one
---@field type? string the type, as the kernel calls it
---@field reason? string why it could not be opened

---The plan of a query.
---@class luabpf.plan
---@field engine "kernel"|"batch"|"walk" the one that would be used
---@field why string why it would
---@field estimates table<string,integer> ns by engine
---@field entries integer how many are expected
---@field row_bytes integer the size of a row
---@field groups string how the groups of an aggregation are found, "by index" (also ", inside the kernel") or "by hash"
---@field budget integer ns that a run inside the kernel may take
---@field budget_why string where that comes from: whether the kernel is preemptible, and who says so
---@field size table what the estimates are made of
---@field fragments table[] the compiled parts: `name` and `listing` of each
---@field compiled? boolean|"partly" of functions, what of them runs without Lua
---@field reasons? string[] of functions, what is left to Lua: "file:line: why"

---How work reports while it goes on: true prints a line on standard error if that is a terminal, a
---function is called a few times a second with entries done, about how many there are (or nil) and
---seconds.
---@alias luabpf.progress boolean|fun(entries:integer,total:integer?,seconds:number)

---The options that all queries take.
---@class luabpf.query_options
---@field params? table<string,any> the values of `$name` in texts
---@field engine? "kernel"|"batch"|"walk" forces one; without it the cheapest that can
---@field exact? boolean keeps to the batch cursor, which misses nothing while entries are replaced (default false)
---@field memory? luabpf.size for rows and groups (default "64MiB")
---@field budget? luabpf.time how long one run inside the kernel may take; it holds its CPU for so long (default "250ms")
---@field batch_size? integer a hint, of the batch engine: a batch is whole buckets (default 4096)
---@field report? luabpf.report a table that is filled with the report
---@field compile? boolean of functions: true raises unless all of each is compiled, false has Lua run them for all entries; without it what can be is compiled

---What a reader has seen.
---@class luabpf.reader_stats
---@field records integer looked at
---@field bytes integer of them
---@field discarded integer given up by the program that had reserved them
---@field lost integer what perf buffers had no room for; a ring buffer has no such count
---@field backlog integer bytes that wait to be read now
---@field high_water integer the most bytes that a look found waiting in one buffer

---Many keys or values: a list, a packed string of records, or a batch, which serves as both.
---@alias luabpf.records luabpf.data[]|string|luabpf.batch

---What a query did.
---@class luabpf.report
---@field engine "kernel"|"batch"|"walk" the one that was used
---@field why string why it was
---@field visited integer how many entries were looked at
---@field matched integer how many the condition held for
---@field compiled? boolean|"partly" of functions, what of them runs without Lua
---@field asked? integer of functions, how many entries Lua ran them for
---@field complete boolean whether the whole map was looked at
---@field exact boolean whether entries that were there throughout were seen exactly once
---@field seconds number how long it took

---What `bpf.create` makes the map of a snapshot with: its type, size, layouts and entries.
---@class luabpf.restore_options
---@field from luabpf.snapshot a snapshot of whole entries, which stays open; per-CPU maps keep each CPU's value
---@field pin? string a path in a bpffs: the map appears there when it is complete; a try that was killed is gone on with
---@field replace? boolean takes the place of a map that is pinned there, in one step, when it is complete (default false)
---@field name? string another name than the snapshot's
---@field max_entries? integer another number of entries than the snapshot's
---@field other_cpus? boolean takes values of a machine with another number of CPUs: of those that both have (default false)

---What one `program:run` gave back.
---@class luabpf.run_result
---@field retval integer what the C program returned, a signed 32-bit integer
---@field data? string the packet as the program left it; nil for types without packets
---@field ctx? string the context as the program left it, if one was given
---@field ns? integer how long a run took on average; nil where the kernel does not time it

---The options of what reads a map from its start to its end.
---@class luabpf.scan_options
---@field batch_size? integer a hint: a batch is whole buckets (default 4096)
---@field from? string a batch's cursor: goes on after it
---@field raw? boolean binary strings come instead of decoded data (default false)
---@field engine? "batch"|"walk" "walk" asks for one key after the other: it may miss or repeat keys that are replaced meanwhile (default "batch")
---@field report? luabpf.scan_report a table that is filled when the loop ends

---What a scan did: `report = {}` in the options of an iterator is filled with it when the loop ends.
---@class luabpf.scan_report
---@field batches integer how many batches were given
---@field entries integer how many entries were in them
---@field calls integer how many system calls were made
---@field grown integer how often the buffer was too small for a bucket
---@field retried integer how often the kernel was asked again
---@field restarted integer how often a key walk had to begin anew, which may repeat entries
---@field complete boolean whether the end of the map was reached

---A size: bytes, or text as "64MiB" with the units B KiB MiB GiB.
---@alias luabpf.size integer|string

---What a snapshot is of.
---@class luabpf.snapshot_header
---@field type string the map's type
---@field name string the map's name
---@field id integer the map's id
---@field key_size integer bytes of a key
---@field value_size integer bytes of a value, on one CPU
---@field max_entries integer how many entries the map has room for
---@field map_flags integer the map's flags as one number
---@field flags string[] the names of the map's flags
---@field map_extra integer what some types take besides
---@field ncpu integer how many CPUs the values are of; 0: plain values
---@field key? table the layout of keys, described
---@field value? table the layout of values, described
---@field where? string the condition that was given
---@field columns? table the columns that were given
---@field time integer seconds since 1970 of when it was begun
---@field boottime integer the time since boot of when it was begun, in ns
---@field boot_id string which boot that was
---@field kernel string the kernel's release
---@field entries integer how many there are
---@field blocks integer in how many blocks
---@field bytes integer how long the file is
---@field damage? table[] with `damaged`: `reason`, `from` and `to` (bytes of the file), `after` (entries before it), `entries` (missing ones, nil where that is not known)

---The options of what reads a snapshot.
---@class luabpf.snapshot_scan_options
---@field batch_size? integer at most so many; a batch does not go past a block (default 4096)
---@field raw? boolean binary strings come instead of decoded data (default false)

---A span of time: nanoseconds, or text as "30s" with the units ns us ms s m h d.
---@alias luabpf.time integer|string

---What a change did; `matched` is `updated`, `missing` and `kept`.
---@class luabpf.update_report : luabpf.report
---@field updated integer how many were changed
---@field missing integer how many somebody else had deleted before
---@field kept integer how many no longer matched, or were changed by others again and again, when it was their turn

---What `map:upsert_batch` did.
---@class luabpf.upsert_counts
---@field inserted integer how many were absent before
---@field updated integer how many were replaced

---Who holds a map.
---@class luabpf.users
---@field programs table[] those that use it: `id`, `name`, `type`
---@field processes table[] those with a descriptor of it, as far as this process may see: `pid`, `name`

---Reads fields of a key or value out of a batch: `view.bytes`, `view.list[2]`, `#view.list`,
---`pairs(view)`. It is for reading, and valid until the next step; `bpf.copy(view)` is a table.
---@class luabpf.view

---A condition: the text of an expression, a compiled one, or a function of key and value, which gets
---views.
---@alias luabpf.where string|luabpf.expression|fun(key:luabpf.view,value:luabpf.view):any

---A run of entries in memory: what a scan, `lookup_batch`, `copy` or `pick` gave. `#batch` is how
---many there are. A batch of a scan is valid until the next step, and raises after it; what `copy`,
---`pick` and `lookup_batch` give stays.
---@class luabpf.batch
local batch = {}

---The same entries in memory of their own, which stays valid after the next step.
---@return luabpf.batch # the copy
function batch:copy() end

---The position after this batch, as a string. `map:batches { from = it }` goes on there, in another
---process too, of the same map and boot.
---@return string # the position
function batch:cursor() end

---Iterates over key and value, decoded. Keys that were not found are passed over. A queue or stack
---has no keys: the place in the batch comes instead.
---@return fun():luabpf.data?,luabpf.data? # an iterator over key and value
function batch:entries() end

---Prints what a batch can do, or what one of its methods does.
---@param name? string of a method
---@return nil # nothing
function batch:help(name) end

---The key of an entry, decoded.
---@param i integer which, from 1 to #batch
---@return luabpf.data # the key
function batch:key(i) end

---All keys of the batch, decoded.
---@return luabpf.data[] # a list
function batch:keys() end

---All keys and all values as two binary strings, one record after the other.
---@return string # the keys
---@return string # the values
function batch:packed() end

---Some of the entries as a batch of its own, which stays valid.
---@param list integer[] their indices, from 1 to #batch
---@return luabpf.batch # the entries, in that order
function batch:pick(list) end

---What the scan has done until this batch; nil for batches of other origin.
---@return luabpf.scan_report|nil # the counts
function batch:report() end

---The value of an entry, decoded.
---@param i integer which, from 1 to #batch
---@return luabpf.data|nil # the value; nil where a key that was looked up was absent
function batch:value(i) end

---All values of the batch, decoded; nil where a key was absent.
---@return luabpf.data[] # a list
function batch:values() end

---Iterates over key and value without decoding: one view of each that moves along. A field is read
---from the buffer where it is used. Scalars come as plain values.
---@return fun():luabpf.view?,luabpf.view? # an iterator over views of key and value
function batch:views() end

---The module, as `require` gives it.
---@class luabpf.bpf
---@field _VERSION string the version of luabpf
---@field errno table<string|integer,integer|string> `bpf.errno.ENOENT` and the others; and from number to name
---@field defaults luabpf.defaults what is taken where an option is left out; may be changed
---@field iter table iterators that work on iterators
local bpf = {}

---@class luabpf.bpf_bench_options
---@field where? string an expression to compare the engines with; one that all entries match without it
---@field params? table<string,any> the values of `$name` in it
---@field sizes? integer[] the batch sizes to try
---@field patience? luabpf.time how long one figure may take (default "200ms")

---Measures, in about two seconds, how fast a map can be read here. Reads only.
---@param map luabpf.map the map
---@param options? luabpf.bpf_bench_options named options
---@return luabpf.bench_result? # the figures, which print as tables
---@return string? # message
---@return integer? # errno
function bpf.bench(map, options) end

---The time since boot, with what the machine slept: the clock of `bpf_ktime_get_boot_ns`.
---@return integer # nanoseconds
function bpf.boottime() end

---Compiles an expression or a function for a map, once: reusable as `where`. `tostring` lists the
---instructions beside the parts of the expression, or under the lines of the source.
---@param what string|function the text of an expression, or a function of key and value
---@param map luabpf.map|luabpf.snapshot whose fields it reads
---@return luabpf.expression # the compiled expression
function bpf.compile(what, map) end

---What stays of a batch or a view when the iterator goes on.
---@param of luabpf.batch|luabpf.view a batch, or a view of a key or value; any other value comes back as it is
---@return luabpf.batch|luabpf.data # a copy of the batch, or the table that the view is on
function bpf.copy(of) end

---How many CPUs are possible, which is the length of per-CPU values, and how many are online.
---@return integer # CPUs that are possible
---@return integer # CPUs that are online
function bpf.cpus() end

---Creates a map, or makes the map of a snapshot again.
---@param options luabpf.create_options|luabpf.restore_options a type, sizes and what else there is; or `from` a snapshot, entries too
---@return luabpf.map? # the map
---@return string? # message
---@return integer? # errno
function bpf.create(options) end

---The nanoseconds of a time.
---@param time luabpf.time an integer, or text as "1.5s" or "-30s"
---@return integer # nanoseconds
function bpf.duration(time) end

---What this kernel has, found by trying: true, false, or nil where this process may not find out.
---Prints as a table.
---@return luabpf.features # the findings
function bpf.features() end

---Prints what the reference says of a function, a table of options or results, or a handle.
---@param x? any a name as "map:select", "select" or "query_options", a function, a handle; nothing for a list of the module's functions
---@return nil # nothing
function bpf.help(x) end

---@class luabpf.bpf_load_options
---@field maps? table<string,luabpf.load_map> by name, what is other than the file says
---@field globals? table<string,luabpf.data> values of global variables, by name, before the programs see them

---Loads a BPF object file: its maps and programs, into the kernel. Attaches nothing.
---
---Needs what the programs need: CAP_NET_ADMIN, CAP_PERFMON.
---@param path string the file, as clang made it
---@param options? luabpf.bpf_load_options named options
---@return luabpf.object? # the maps, programs and global variables
---@return string? # message
---@return integer? # errno
function bpf.load(path, options) end

---@class luabpf.bpf_maps_options
---@field name? string only maps of this name, of which the kernel keeps 15 bytes
---@field type? string only maps of this type, as bpftool names it
---@field id? integer only the map of this id

---The maps of the running kernel: a list of their infos, which prints as a table. The list is an
---iterator too: `for info in bpf.maps() do`.
---
---Needs CAP_SYS_ADMIN.
---@param options? luabpf.bpf_maps_options named options
---@return luabpf.info[]? # the list
---@return string? # message
---@return integer? # errno
function bpf.maps(options) end

---The time since boot, without what the machine slept: the clock of `bpf_ktime_get_ns`.
---@return integer # nanoseconds
function bpf.now() end

---Opens a map that exists.
---
---Needs CAP_SYS_ADMIN by name or id.
---@param which string|integer|luabpf.open_options a pin's path (it has a slash), a map's name, an id; or a table that says it
---@param options? luabpf.more_open_options after a path, name or id
---@return luabpf.map? # the map, which closes itself with its `<close>` variable or the garbage collector
---@return string? # message
---@return integer? # errno
function bpf.open(which, options) end

---Opens a link that is pinned.
---
---Linux 5.7.
---@param path string the pin, in a bpffs
---@return luabpf.link? # the link
---@return string? # message
---@return integer? # errno
function bpf.open_link(path) end

---Opens the map that is pinned there, if it fits what is asked for; else creates one and pins it.
---@param options luabpf.create_options as of `bpf.create`, `pin` with them; a map that is there fits if its type, sizes, max_entries and flags are those
---@return luabpf.map? # the map
---@return (boolean|string)? # whether it was created
---@return integer? # errno
function bpf.open_or_create(options) end

---Opens a program that is pinned.
---@param path string the pin, in a bpffs
---@return luabpf.program? # the program
---@return string? # message
---@return integer? # errno
function bpf.open_program(path) end

---What a BPF file system holds, folders in it too: a list that prints as a table.
---
---Needs CAP_BPF.
---@param folder? string where to look
---@return luabpf.pinned[]? # the list, in the order of names
---@return string? # message
---@return integer? # errno
function bpf.pins(folder) end

---Waits until one of several is ready: readers, signals, timers, and what else has `pollfd`, as the
---objects of cqueues do. Its `events` says for what, "r", "w" or "rw"; at a `timeout` of 0 it is
---ready at once.
---@param list table what is waited for
---@param timeout? integer|string ns or text; none: waits for ever
---@return table? # those that are ready, in the order of the list; empty at the timeout
---@return (?string|string)? # "signal" when a handler took a signal
---@return integer? # errno
function bpf.poll(list, timeout) end

---The network of an address, as `prefix` has it in expressions.
---@param address string as a view shows it: "10.1.2.3", "2001:db8::1"
---@param length integer how many bits of it count
---@return string # "10.1.2.0/24"
function bpf.prefix(address, length) end

---Takes signals in place of their handlers, in this thread, until it is closed.
---@param ... string names: "TERM", "INT", "HUP", "USR1" and so on
---@return luabpf.signals? # the handle
---@return string? # message
---@return integer? # errno
function bpf.signals(...) end

---The bytes of a size.
---@param size luabpf.size an integer, or text as "64KiB"
---@return integer # bytes
function bpf.size(size) end

---Sleeps, or waits for a signal that a handler takes.
---@param time luabpf.time how long; not negative
---@return boolean # false where a signal ended it early
function bpf.sleep(time) end

---@class luabpf.bpf_snapshot_options
---@field damaged? boolean gives what is intact of a damaged file, which is read as a whole; `header().damage` says what is missing (default false)

---Opens a snapshot file. Blocks are checked as they are read: a loop over a damaged one raises an
---error object.
---@param path string the file
---@param options? luabpf.bpf_snapshot_options named options
---@return luabpf.snapshot? # the snapshot
---@return string? # message
---@return integer? # errno
function bpf.snapshot(path, options) end

---The name of an address in the kernel, or in a process: "do_unlinkat+0x10". What is in a module has
---its name after it, "nf_conntrack_in+0x44 [nf_conntrack]". In a process, where a file has no name
---for the address, it is the file's and the place in it, "[libc.so.6]+0x8f2a0".
---
---Needs CAP_SYSLOG to see the kernel's addresses; of processes of other users CAP_SYS_PTRACE.
---@param address integer the address
---@param pid? integer the process; none: the kernel
---@return ?string? # the name; nil for an address that is in nothing
---@return string? # message
---@return integer? # errno
function bpf.symbol(address, pid) end

---Text up to its first NUL, as expressions compare it; views show all of it.
---@param text string what a view shows
---@return string # what is before the NUL
function bpf.text(text) end

---Makes a timer that is due again and again.
---@param every integer|string ns or text, from one time to the next; first after as much
---@return luabpf.timer? # the timer
---@return string? # message
---@return integer? # errno
function bpf.timer(every) end

---Says of what type fields are, by the name of the C struct that has them, for every map that is
---opened or loaded later, and the records of events: BTF has `__be32` where an address is meant.
---What `bpf.open` or `bpf.load` is told of one map goes over it.
---@param by_name? table<string,table|string|boolean> the name of a struct, union or typedef, to the types of fields by their names, or to one type that it is as a whole; false forgets it
---@return table # all that is known now, in the same form
function bpf.types(by_name) end

---Anything with a field a line: each row of a list or select, a key or value, what the prompt would
---cut otherwise.
---@param x any a list of rows, a select, a decoded key or value
---@return table # what prints so
function bpf.vertical(x) end

---Whether an address lies in a prefix, as `in` has it in expressions.
---@param address string as a view shows it: "10.0.0.1", "2001:db8::1", or a prefix
---@param prefix string "10.0.0.0/8", "2001:db8::/32", or an address
---@return boolean # whether it does; false for what is no address
function bpf.within(address, prefix) end

---@class luabpf.bpf.iter
bpf.iter = {}

---Lists of n, the last one shorter; each item is a list of two for key and value. Not for views,
---which move along.
---@param n integer at least 1
---@param ... any the iterator, with all its values
---@return fun():table? # an iterator of lists
function bpf.iter.chunk(n, ...) end

---Only what a function says yes to.
---@param pred fun(...:any):any called with what the iterator gives
---@param ... any the iterator, with all its values
---@return fun():any # an iterator
function bpf.iter.filter(pred, ...) end

---The values that a function yields, made one at a time when asked for.
---@param producer fun(resource:any) called with the resource when the first value is wanted; its `<close>` variables are closed when the loop is left
---@param resource? any something with a `close` method, closed with the loop even if it never ran
---@return fun():any # an iterator
function bpf.iter.lazy(producer, resource) end

---What a function makes of each.
---@param fn fun(...:any):any called with what the iterator gives
---@param ... any the iterator, with all its values
---@return fun():any # an iterator
function bpf.iter.map(fn, ...) end

---The first n.
---@param n integer how many
---@param ... any the iterator, with all its values
---@return fun():any # an iterator
function bpf.iter.take(n, ...) end

---The records of one step of a reader, where they lie, until its next step. `#events` is their
---number.
---@class luabpf.events
local events = {}

---The bytes of the i-th record.
---@param i integer from 1
---@return string # the bytes
function events:packed(i) end

---The i-th record, decoded.
---@param i integer from 1
---@return luabpf.data # the record; its bytes, where it fits no layout
---@return ?string # why it comes as bytes
---@return ?integer # the CPU, of perf buffers
function events:record(i) end

---Iterates over the records, decoded: event, reason and CPU as with `events:views`.
---@return fun():luabpf.data,string?,integer? # an iterator
function events:records() end

---Adds a field up over all records that have it, modulo 2^64.
---@param field string an integer field of the layout
---@return integer # the sum
---@return integer # how many records had it
function events:sum(field) end

---Iterates over the records as views, which read fields where they lie, each until the next step. A
---record that fits no layout comes as a binary string, and the reason after it. Of perf buffers the
---CPU is the third.
---@return fun():luabpf.view|string,string?,integer? # an iterator
function events:views() end

---A program that is attached to something.
---@class luabpf.link
local link = {}

---Closes the handle; again does nothing. The program is detached unless the link is pinned or open
---elsewhere.
---@return true? # the handle is closed
---@return string? # message
---@return integer? # errno
function link:close() end

---Detaches the program now, whoever else holds the link, and closes the handle. Tracing links and
---probes the kernel cannot detach by force: they end with their last pin and handle.
---
---Linux 5.9.
---@return true? # the program is detached
---@return string? # message
---@return integer? # errno
function link:detach() end

---The descriptor of a kernel link, which stays the handle's.
---@return integer|nil # the descriptor; nil for what is no kernel link (tc filters, probes)
function link:fd() end

---Prints what a link can do, or what one of its methods does.
---@param name? string of a method
---@return nil # nothing
function link:help(name) end

---What the kernel tells of the link. By type: `cgroup_id`, `attach_type` (cgroup); `ifindex`,
---`interface` (xdp); `attach_type`, `target_obj_id`, `target_btf_id` (tracing); `netns_ino`,
---`attach_type` (netns). A tc filter is no kernel link and has `type` "tc", `ifindex`, `interface`,
---`direction`, `handle`, `priority`.
---
---Linux 5.8.
---@return table? # `type`, `id`, `prog_id`, and what the type has
---@return string? # message
---@return integer? # errno
function link:info() end

---Pins the link: the program stays attached after this process, until the pin is removed and no
---handle is left. Not for tc filters and probes, which are no kernel links.
---
---Linux 5.7.
---@param path string where, in a bpffs; names there have no dots
---@return true? # the link is pinned
---@return string? # message
---@return integer? # errno
function link:pin(path) end

---A handle on a map of the kernel. `#map` is max_entries, `pairs(map)` the same as `map:entries()`.
---`map1 == map2` says whether both are the same map of the kernel, `tostring(map)` its name, type
---and sizes.
---@class luabpf.map
local map = {}

---@class luabpf.map_aggregate_options : luabpf.query_options
---@field where? luabpf.where the condition
---@field group? luabpf.computed_groups the columns to group by; without them there is one row
---@field select? luabpf.columns what of each group: "sum(value.bytes) as bytes"
---@field sort? string groups and results, separated by commas, in the order that select has; ties and the rest by group
---@field limit? integer at most so many rows, with `group`
---@field workers? integer threads that the batch engine may use (default 1)
---@field reset? boolean|string|string[] true: the fields inside `sum()`, else those named, are exchanged with zero in one step with reading them: nothing that is added to them atomically meanwhile is lost or counted twice; without `limit`

---Sums up the matching entries, in groups. Functions are `count()`, `sum`, `min`, `max`, `avg` (a
---float), `distinct` and `hist` (a list of `{ from, to, count }` by powers of two).
---@param options? luabpf.map_aggregate_options what all queries take
---@return table[]? # the rows, which print as a table; exactly one without `group`
---@return (luabpf.report|string)? # what was done
---@return integer? # errno
---@return table[]? # partial
function map:aggregate(options) end

---Reads the map a batch at a time: one system call per step, memory for one batch. Of a hash map
---every key that is present throughout is seen exactly once, whatever else happens.
---
---Linux 5.6, for arrays too, for per-CPU arrays 5.13; elsewhere keys are walked.
---@param options? integer|luabpf.scan_options the batch size, or a table
---@return fun():luabpf.batch? # an iterator of batches, each valid until the next
function map:batches(options) end

---Deletes all entries; of an array, sets them to zeros.
---@return integer? # how many
---@return string? # message
---@return integer? # errno
---@return integer? # partial
function map:clear() end

---Closes the handle; again does nothing. A pinned map lives on, and so does one that programs use. A
---`local map <close>` and the garbage collector do the same.
---@return true # the handle is closed
function map:close() end

---@class luabpf.map_count_options : luabpf.query_options
---@field workers? integer threads that the batch engine may use (default 1)

---How many entries match; without a condition how many there are: an array always has max_entries.
---Large maps are not walked for that where the kernel counts their entries itself.
---
---Linux 6.6 for the kernel's own count.
---@param where? luabpf.where the condition
---@param options? luabpf.map_count_options what all queries take
---@return integer? # how many
---@return luabpf.report? # with a condition or options, what was done
---@return integer? # errno
function map:count(where, options) end

---@class luabpf.map_delete_options
---@field raw? boolean a string is the bytes of the key (default false)

---Deletes the entry of a key.
---@param key luabpf.data the key, as its layout says
---@param options? luabpf.map_delete_options named options
---@return boolean? # whether it was there
---@return string? # message
---@return integer? # errno
function map:delete(key, options) end

---@class luabpf.map_delete_batch_options
---@field if_equal? luabpf.records values: only entries that still have theirs are deleted
---@field raw? boolean strings in lists are the bytes of keys, and of values in if_equal (default false)
---@field status? boolean a word for each key as one more result: "deleted", "missing", "changed", "not done" (default false)

---Deletes many entries, going on past keys that are absent.
---@param keys luabpf.records a list of keys, a packed string of them, or a batch
---@param options? luabpf.map_delete_batch_options named options
---@return integer? # how many were deleted
---@return (integer|string)? # how many were absent
---@return integer? # with `if_equal`, how many had another value by then
---@return string[]? # with `status`, a word for each key, after the others
function map:delete_batch(keys, options) end

---@class luabpf.map_delete_where_options : luabpf.query_options
---@field dry_run? boolean only counts what would be deleted (default false)
---@field limit? integer at most so many
---@field on_delete? fun(key:luabpf.data,value:luabpf.data) called after each deletion, 256 of them at a time: a process that is killed loses so many calls at most (an export with `drain` is for what must not be lost); if it raises, the error has `undelivered`

---Deletes the entries that match, each judged on the live entry immediately before it is deleted.
---@param where luabpf.where the condition
---@param options? luabpf.map_delete_where_options what all queries take
---@return luabpf.delete_report? # what was done
---@return string? # message
---@return integer? # errno
---@return luabpf.delete_report? # partial
function map:delete_where(where, options) end

---What the map is: its info, and the fields of key and value with their types, offsets and sizes.
---Times of the first entry are told by the clock that they fit.
---@return table? # `info`, `key`, `value`: prints as text
---@return string? # message
---@return integer? # errno
function map:describe() end

---@class luabpf.map_drain_options : luabpf.query_options
---@field where? luabpf.where the condition
---@field limit? integer at most so many, with `where`
---@field raw? boolean binary strings come instead of decoded data (default false)

---Iterates over batches that are taken out of the map: each entry is handed over once. With `where`
---only what matches is taken, and without the scan's options `from` and `engine`.
---
---Linux 5.6, hash types, queues and stacks.
---@param options? integer|luabpf.map_drain_options the batch size, or a table
---@return fun():luabpf.batch? # an iterator of batches, each valid until the next
function map:drain(options) end

---Iterates over key and value, decoded; `pairs(map)` is the same.
---@param options? integer|luabpf.scan_options the batch size, or a table
---@return fun():luabpf.data?,luabpf.data? # an iterator of keys and values
function map:entries(options) end

---@class luabpf.map_explain_options : luabpf.query_options
---@field where? luabpf.where the condition
---@field columns? luabpf.computed_columns as of `map:select`
---@field group? luabpf.computed_groups as of `map:aggregate`
---@field select? luabpf.columns as of `map:aggregate`
---@field sort? string as of `map:select` and `map:aggregate`
---@field limit? integer as of `map:select` and `map:aggregate`
---@field fold? fun(acc:table,key:luabpf.view,value:luabpf.view) as of `map:fold`
---@field initial? table the accumulators of that
---@field delete? boolean the plan of `map:delete_where` (default false)
---@field change? string|fun(key:luabpf.view,value:luabpf.view) the plan of `map:update_where` with that change

---What a query would do: its engine and why, the cost, the instructions. Runs nothing.
---@param options? luabpf.map_explain_options what all queries take
---@return luabpf.plan # the plan, which prints as text
function map:explain(options) end

---@class luabpf.map_export_options
---@field format? "jsonl"|"csv"|"snapshot" what the path ends in without it, else "jsonl"
---@field where? luabpf.where the condition
---@field params? table<string,any> the values of `$name` in texts
---@field columns? luabpf.columns what of each entry, in place of key and value
---@field checkpoint? string a file that remembers how far it has come: the same call goes on there after a kill
---@field checkpoint_interval? luabpf.time how often; after each 64 MiB besides (default "1s")
---@field restart? boolean begins anew whatever the checkpoint says (default false)
---@field drain? boolean deletes what was written and synced, if it is unchanged (default false)
---@field progress? luabpf.progress true: a line on a terminal; or what is called now and then
---@field workers? integer threads that read and format; without a checkpoint or drain (default 1)
---@field batch_size? integer a hint: a batch is whole buckets (default 4096)
---@field compile? boolean as of `map:count`
---@field report? luabpf.scan_report a table that is filled with what the scan did

---Writes each entry as a line of JSON or CSV, or a snapshot file, with memory for one batch. Of a
---hash map every key that is present throughout is written once.
---@param target string|file*|fun(text:string):any a path, under which the file appears whole; an open file; "-"; or what is called with text of whole rows
---@param options? luabpf.map_export_options named options
---@return luabpf.export_report? # what was written, which prints as a table
---@return string? # message
---@return integer? # errno
---@return luabpf.export_report? # partial
function map:export(target, options) end

---The descriptor of the handle, which stays the handle's and goes with it.
---@return integer # the descriptor
function map:fd() end

---@class luabpf.map_fold_options : luabpf.query_options
---@field where? luabpf.where the condition

---Folds the matching entries into accumulators: calls a function for each entry, in no promised
---order, each once. If it raises, or the system refuses, the accumulators are as they were. Where
---the accumulators are integers and the function compiles (docs/functions.md), the kernel runs it;
---one entry that needs Lua makes the whole fold Lua's, from the start. `bpf.copy(key)` is what may
---be kept of a view.
---@param acc table the accumulators
---@param f fun(acc:table,key:luabpf.view,value:luabpf.view) changes them
---@param options? luabpf.map_fold_options what all queries take
---@return table? # acc, changed
---@return (luabpf.report|string)? # what was done
---@return integer? # errno
function map:fold(acc, f, options) end

---Makes the map read-only for user space, for ever; programs go on writing.
---@return true? # the map is frozen
---@return string? # message
---@return integer? # errno
function map:freeze() end

---The first entries, as a table at the prompt.
---@param n? integer how many
---@return table[]? # a list of `{ key =, value = }`, which prints as a table
---@return string? # message
---@return integer? # errno
function map:head(n) end

---Prints what a map can do, or what one of its methods does.
---@param name? string of a method
---@return nil # nothing
function map:help(name) end

---@class luabpf.map_hist_options : luabpf.query_options
---@field where? luabpf.where the condition
---@field bars? boolean whether it prints as bars (default true)
---@field workers? integer threads that the batch engine may use (default 1)

---A histogram of what an expression gives, by powers of two.
---@param expression string what of each entry: "value.bytes"
---@param options? luabpf.map_hist_options what all queries take
---@return table[]? # a list of `{ from =, to =, count = }`
---@return (luabpf.report|string)? # what was done
---@return integer? # errno
function map:hist(expression, options) end

---@class luabpf.map_import_options
---@field format? "jsonl"|"csv"|"snapshot" what the file begins with without it, of pipes "jsonl"
---@field mode? "any"|"noexist"|"exist" "noexist" keeps what is there, "exist" only replaces it (default "any")
---@field dry_run? boolean only counts what would be done to the map as it is now (default false)
---@field checkpoint? string a file that remembers how far it has come: the same call goes on there after a kill
---@field restart? boolean begins anew whatever the checkpoint says (default false)
---@field progress? luabpf.progress true: a line on a terminal; or what is called now and then
---@field workers? integer threads that store; of keys that stand twice the order holds (default 1)
---@field batch_size? integer entries at a time, of each worker (default 4096)

---Stores the entries of a file. A row that is wrong ends it, named by line and field; those before
---it are stored.
---@param source string|file*|luabpf.snapshot a path, "-", an open file, or a snapshot
---@param options? luabpf.map_import_options named options
---@return luabpf.import_report? # what was stored
---@return string? # message
---@return integer? # errno
---@return luabpf.import_report? # partial
function map:import(source, options) end

---All that the kernel tells about the map.
---@return luabpf.info? # the fields, which print as a table
---@return string? # message
---@return integer? # errno
function map:info() end

---@class luabpf.map_lookup_options
---@field raw? boolean the value comes as a binary string, and a string is the bytes of the key (default false)

---The value of a key, or nil where it is absent.
---@param key luabpf.data the key, as its layout says
---@param options? luabpf.map_lookup_options named options
---@return luabpf.data? # the value, a list of one for each CPU in per-CPU maps; nil where the key is absent
---@return string? # message
---@return integer? # errno
function map:lookup(key, options) end

---@class luabpf.map_lookup_batch_options
---@field raw? boolean values come as binary strings, and strings in the list are the bytes of keys (default false)
---@field status? boolean a word for each key as one more result: "found", "missing", "not done" (default false)
---@field touch? boolean in LRU maps: entries are marked as used, which is faster (default false)

---The values of many keys, thousands with each system call.
---
---Linux 5.17, where a program looks up thousands in one call; elsewhere single calls give the same answers.
---@param keys luabpf.records a list of keys, a packed string of them, or a batch
---@param options? luabpf.map_lookup_batch_options named options
---@return (luabpf.data[]|luabpf.batch)? # for a list of keys a list of values, nil where a key is absent; else a batch
---@return (integer|string)? # how many were found
---@return string[]? # with `status`, a word for each key
---@return table? # partial
function map:lookup_batch(keys, options) end

---@class luabpf.map_next_options
---@field raw? boolean the key comes as a binary string, and may be given as one (default false)

---The key after a key, in the order in which the kernel keeps them. While others delete, the order
---may begin anew: `map:entries` is the sure way to see all.
---@param key? luabpf.data the key before it; the first key without one
---@param options? luabpf.map_next_options named options
---@return luabpf.data? # the key; nil at the end
---@return string? # message
---@return integer? # errno
function map:next(key, options) end

---@class luabpf.map_parallel_options
---@field map fun(luabpf.batch:luabpf.batch):any called with each batch, in a worker
---@field reduce? fun(a:any,b:any):any puts two results together; needed with more than one result
---@field initial? any the result for an empty map
---@field workers? integer threads; as many as CPUs are online without it
---@field where? luabpf.where the condition
---@field params? table<string,any> the values of `$name` in the condition
---@field batch_size? integer a hint: a batch is whole buckets (default 4096)
---@field compile? boolean as of `map:count`

---Works on the map with several threads, each in a Lua state of its own. Functions are copied with
---what their local variables from outside hold: nil, booleans, numbers, strings, tables, Lua
---functions; modules go by name. Of globals there are Lua's own and `bpf`.
---@param options? luabpf.map_parallel_options named options
---@return any? # the result
---@return (luabpf.parallel_report|string)? # what was done
---@return integer? # errno
function map:parallel(options) end

---@class luabpf.map_peek_options
---@field raw? boolean the value comes as a binary string; of a bloom filter it is given as one (default false)

---The next value of a queue or a stack, left where it is; of a bloom filter, whether a value may be
---in it.
---@param value? luabpf.data what a bloom filter is asked for; of queues and stacks the options come here
---@param options? luabpf.map_peek_options named options
---@return (luabpf.data|boolean)? # the value, nil where there is none; of a bloom filter true or false
---@return string? # message
---@return integer? # errno
function map:peek(value, options) end

---@class luabpf.map_pin_options
---@field replace? boolean takes the place of a map that is pinned there, in one step: whoever opens the path finds one or the other (default false)

---Pins the map in a BPF file system: it lives on after this process.
---@param path string where, in a bpffs such as /sys/fs/bpf; names there have no dots
---@param options? luabpf.map_pin_options named options
---@return true? # the map is pinned
---@return string? # message
---@return integer? # errno
function map:pin(path, options) end

---@class luabpf.map_pop_options
---@field raw? boolean the value comes as a binary string (default false)

---Takes the next value out of a queue or a stack.
---@param options? luabpf.map_pop_options named options
---@return luabpf.data? # the value; nil where there is none
---@return string? # message
---@return integer? # errno
function map:pop(options) end

---@class luabpf.map_push_options
---@field mode? "any"|"exist" "exist" drops the oldest value when the queue is full (default "any")
---@field raw? boolean a string is the bytes of the value (default false)

---Adds a value to a queue, a stack or a bloom filter.
---
---Linux 5.16 for bloom filters.
---@param value luabpf.data the value, as its layout says
---@param mode? "any"|"exist"|luabpf.map_push_options "exist" drops the oldest value when the queue is full; or a table of options
---@return boolean? # true
---@return string? # message
---@return integer? # errno
function map:push(value, mode) end

---@class luabpf.map_reader_options
---@field layout? any what a record is: the name of a struct ("struct event"), which is looked for in the BTF of the object that the map was loaded with, else of the programs that use it; declarations, the last of which may be "char name[]" or "bytes name[]"; or, where a field tells records apart, `{ field = "kind", [1] = layout, [2] = layout }`. Left out: records are binary strings
---@field pages? integer of each CPU's perf buffer; a power of two (default 64)
---@field on_lost? function called with a number and a CPU when its perf buffer had no room for so many events
---@field take? boolean reads although another process holds the map, and may be its reader (default false)

---Opens a reader of the events of a map: a ring buffer, or a perf event array. A map has one reader:
---positions and buffers are the map's.
---
---Linux 5.8 for ring buffers.
---
---Needs CAP_PERFMON for perf buffers, CAP_SYS_ADMIN to look for types in the BTF of programs.
---@param options? luabpf.map_reader_options as listed below
---@return luabpf.reader? # the reader
---@return string? # message
---@return integer? # errno
function map:reader(options) end

---@class luabpf.map_rows_options : luabpf.query_options
---@field where? luabpf.where the condition
---@field columns? luabpf.computed_columns what of each entry; without them `{ key =, value = }`
---@field sort? string as in `map:select`
---@field limit? integer at most so many

---The rows of `map:select` as a list.
---@param options? luabpf.map_rows_options what all queries take
---@return table[]? # the list, which prints as a table
---@return (luabpf.report|string)? # what was done
---@return integer? # errno
function map:rows(options) end

---@class luabpf.map_select_options : luabpf.query_options
---@field where? luabpf.where the condition
---@field columns? luabpf.computed_columns what of each entry; without them key and value come
---@field sort? string columns or expressions, separated by commas: numbers from the largest down, text and addresses from the smallest up, by their bytes; "... asc" and "... desc" say it; ties go by key
---@field limit? integer at most so many
---@field reset? string|string[] fields of the value, integers of 32 or 64 bits, that are exchanged with zero in one step with reading them: nothing that is added to them atomically meanwhile is lost. Rows come by batches, and a loop that is left early has taken the batch that it was in; without `sort` and `limit`, and not printed

---The matching entries, or columns of them. It runs when the first row is asked for.
---@param options? luabpf.map_select_options what all queries take
---@return fun():table?,luabpf.data? # an iterator of tables by column names, or of key and value; it prints as a table of its first rows, for which it is run once more, and `rows` gives all as a list
function map:select(options) end

---@class luabpf.map_snapshot_options
---@field where? luabpf.where the condition
---@field params? table<string,any> the values of `$name` in texts
---@field columns? luabpf.columns they become the value of each key; those of per-CPU maps are sums over the CPUs
---@field batch_size? integer a hint: a batch is whole buckets (default 4096)
---@field compile? boolean as of `map:count`
---@field report? luabpf.scan_report a table that is filled with what the scan did

---The entries as they are now, in memory. Of a hash map every key that is present throughout is in
---it once.
---@param options? luabpf.map_snapshot_options named options
---@return luabpf.snapshot? # the snapshot
---@return string? # message
---@return integer? # errno
function map:snapshot(options) end

---A stack of a stack_trace map as names, innermost first; an address without a name as "0x...".
---
---Needs as `bpf.symbol`.
---@param id integer what bpf_get_stackid gave the program
---@param pid? integer whose stack it is (BPF_F_USER_STACK); none: the kernel's
---@return ?table? # a list of names; nil where there is no such stack
---@return string? # message
---@return integer? # errno
function map:stack(id, pid) end

---@class luabpf.map_take_options
---@field raw? boolean the value comes as a binary string, and a string is the bytes of the key (default false)

---Looks up and deletes in one step: what is given is gone, and nobody else gets it.
---
---Linux 5.14, hash types.
---@param key luabpf.data the key, as its layout says
---@param options? luabpf.map_take_options named options
---@return luabpf.data? # the value; nil where the key is absent
---@return string? # message
---@return integer? # errno
function map:take(key, options) end

---Removes the pin that this handle made or was opened from: of several the newest, so that a second
---call removes the one before. What another program has pinned there by now stays.
---@return true? # the pin is gone
---@return string? # message
---@return integer? # errno
function map:unpin() end

---@class luabpf.map_update_options
---@field mode? "any"|"noexist"|"exist" "noexist" stores only where the key is absent, "exist" only where it is there (default "any")
---@field raw? boolean strings are the bytes of key and value (default false)

---Stores a value under a key.
---@param key luabpf.data the key, as its layout says
---@param value luabpf.data the value; fields that are left out are zero
---@param mode? "any"|"noexist"|"exist"|luabpf.map_update_options the condition, or a table of options
---@return boolean? # true; false where the condition does not hold
---@return string? # message
---@return integer? # errno
function map:update(key, value, mode) end

---@class luabpf.map_update_batch_options
---@field mode? "any"|"noexist"|"exist" "noexist" stores only what is absent, "exist" only what is there (default "any")
---@field raw? boolean strings in lists are the bytes of keys and values (default false)
---@field status? boolean a word for each key as one more result: "stored", "exists", "missing", "not done" (default false)

---Stores many entries; all are encoded before the first reaches the kernel.
---
---Linux 5.6; elsewhere single calls give the same answers.
---@param keys luabpf.records a list of keys, a packed string of them, or a batch, which has the values too
---@param values? luabpf.records as many values, in the same order; not with a batch
---@param options? luabpf.map_update_batch_options named options
---@return integer? # how many were stored
---@return string[]? # with `status`, a word for each key
---@return integer? # errno
---@return integer? # partial
function map:update_batch(keys, values, options) end

---@class luabpf.map_update_where_options : luabpf.query_options
---@field dry_run? boolean only counts what would be changed (default false)
---@field limit? integer at most so many

---Changes fields of the entries that match, where they are: only what is named is written, each
---field on its own, with atomic instructions where the field has a place for them; docs/updates.md
---says what that is worth against other writers. The right sides read the entry before any of them
---is stored.
---
---Linux 5.14, 5.17 for maps that are too large for one walk, 5.19 for per-CPU maps, whose values are changed each on its own CPU: `value.f = ...` on all, `value[2].f = ...` on one.
---
---Needs CAP_BPF.
---@param where? luabpf.where the condition; nil: all entries
---@param change string|fun(key:luabpf.view,value:luabpf.view) assignments, "value.packets = 0, value.flags = value.flags | 1"; or a function that assigns to fields of the value, `value.packets = 0`, which is compiled. What of it only Lua can do Lua does on copies of entries, and what it changed is stored if the entry is still the same, else the entry counts as `kept`
---@param options? luabpf.map_update_where_options what all queries take
---@return luabpf.update_report? # what was done
---@return string? # message
---@return integer? # errno
---@return luabpf.update_report? # partial
function map:update_where(where, change, options) end

---@class luabpf.map_upsert_batch_options
---@field raw? boolean strings in lists are the bytes of keys and values (default false)
---@field status? boolean a word for each key as one more result: "inserted", "updated", "not done" (default false)

---Stores many entries and tells apart what was there: replaces what exists and inserts what does
---not. A key given twice is inserted, then updated.
---@param keys luabpf.records a list of keys, a packed string of them, or a batch, which has the values too
---@param values? luabpf.records as many values, in the same order; not with a batch
---@param options? luabpf.map_upsert_batch_options named options
---@return luabpf.upsert_counts? # how many were inserted and updated
---@return string[]? # with `status`, a word for each key
---@return integer? # errno
---@return luabpf.upsert_counts? # partial
function map:upsert_batch(keys, values, options) end

---The programs and processes that hold the map, this process among them; prints as a table. Pins
---hold it too: `bpf.pins`.
---
---Needs CAP_SYS_ADMIN.
---@return luabpf.users? # the lists
---@return string? # message
---@return integer? # errno
function map:users() end

---Iterates over views of key and value, which move along: fields are read from the batch where they
---are used.
---@param options? integer|luabpf.scan_options the batch size, or a table
---@return fun():luabpf.view?,luabpf.view? # an iterator of views
function map:views(options) end

---@class luabpf.map_writer_options
---@field layout? any what records are: the name of a struct, declarations or a layout; left out: binary strings

---Opens a writer of a user ring buffer.
---
---Linux 6.1.
---@param options? luabpf.map_writer_options as listed below
---@return luabpf.writer? # the writer
---@return string? # message
---@return integer? # errno
function map:writer(options) end

---What `bpf.load` loaded: the maps, programs and global variables of an object file, by name.
---@class luabpf.object
---@field maps table<string,luabpf.map> the maps
---@field programs table<string,luabpf.program> the programs
---@field globals table<string,luabpf.data> the global variables: read and written in the loaded programs
---@field warnings string[] what of the file the kernel did not take, and goes without: BTF that it refuses; mostly empty
local object = {}

---Frees what libbpf keeps of the object; again does nothing. Maps, programs, global variables and
---links stay usable; only `program:attach` by section needs the object.
---@return true # the object is closed
function object:close() end

---Prints what an object can do, or what one of its methods does.
---@param name? string of a method
---@return nil # nothing
function object:help(name) end

---A program that is loaded into the kernel.
---@class luabpf.program
---@field name string its name in the object file, or the kernel's 15 bytes of it
---@field type string its type, as bpftool names it
local program = {}

---@class luabpf.program_attach_options
---@field cgroup? string a folder of a cgroup2 file system
---@field xdp? string an interface
---@field tc? string an interface
---@field tracepoint? string "category:event"; for raw tracepoint programs the event counts alone
---@field direction? "ingress"|"egress" of `tc`, and of `cgroup` where the section does not say it (default "ingress")

---Attaches the program: it runs from then on, until the link is closed or detached. A link that is
---pinned keeps it running after that. Without options the section of the program says what to attach
---to, and the object must still be open. A `tc` filter is no kernel link and outlives this process
---when it is killed.
---
---Linux 5.7 for cgroups, 5.9 for XDP, 5.15 for tracepoints.
---
---Needs CAP_NET_ADMIN, for tracepoints CAP_PERFMON.
---@param options? luabpf.program_attach_options named options
---@return luabpf.link? # the link
---@return string? # message
---@return integer? # errno
function program:attach(options) end

---Closes the handle; again does nothing. The program stays loaded while a link, a pin, the open
---object or another handle has it.
---@return true # the handle is closed
function program:close() end

---The descriptor of the handle, which stays the handle's and goes with it.
---@return integer # the descriptor
function program:fd() end

---Prints what a program can do, or what one of its methods does.
---@param name? string of a method
---@return nil # nothing
function program:help(name) end

---What the kernel tells of the program: the fields of struct bpf_prog_info by their names. `map_ids`
---is a list. `run_time_ns` and `run_cnt` count while the sysctl kernel.bpf_stats_enabled is 1.
---@return table? # the fields
---@return string? # message
---@return integer? # errno
function program:info() end

---Pins the program in a BPF file system: it stays loaded. Its links are pinned by themselves.
---@param path string where, in a bpffs; names there have no dots
---@return true? # the program is pinned
---@return string? # message
---@return integer? # errno
function program:pin(path) end

---@class luabpf.program_run_options
---@field data? string a packet, beginning with its Ethernet header, for the types that work on packets
---@field ctx? string the context: struct __sk_buff or struct xdp_md, where "" stands for the packet's own; the argument of "syscall" programs; the arguments of raw tracepoints, 8 bytes each
---@field times? integer how often to run it; types that work on packets only (default 1)

---Runs the program now, on a packet or a context, without attaching it.
---
---Linux 5.14 for "syscall" programs.
---@param options? luabpf.program_run_options named options
---@return luabpf.run_result? # what the program gave back
---@return string? # message
---@return integer? # errno
function program:run(options) end

---A reader of a ring buffer or of perf buffers.
---@class luabpf.reader
local reader = {}

---@class luabpf.reader_batches_options
---@field batch_size? integer records of one step, at most (default 256)
---@field timeout? integer|string from the start of the loop: what lies there when it is over is still given; "0s": what is there now; none: waits for ever
---@field limit? integer so many records; the rest stays in the buffer

---Iterates over batches of records, which are read where they lie and released at the next step or
---when the loop ends, also by a break or an error.
---@param options? luabpf.reader_batches_options as listed below
---@return fun():luabpf.events? # an iterator, which ends early where a handler took a signal
function reader:batches(options) end

---Closes the reader; a loop or wait that goes on meanwhile ends. What was given last is released,
---what was not given stays in a ring buffer. Again does nothing.
---@return true # it is closed
function reader:close() end

---Tells whether the reader is closed.
---@return boolean # whether it is
function reader:closed() end

---Tells copas and `socket.select` whether records lie there without a wait.
---@return boolean # whether they do
function reader:dirty() end

---What the descriptor is waited for, as cqueues wants to know.
---@return string # "r"
function reader:events() end

---The same as `pollfd`, for copas and `socket.select`.
---@return integer # the descriptor
function reader:getfd() end

---The next record, decoded and released.
---@param timeout? integer|string ns or text; none: waits for ever
---@return ?luabpf.data # the record; of one that fits no layout its bytes; nil when none came
---@return ?string # why it comes as bytes, or why none came: "timeout", "closed", or "signal" when a handler took one
---@return ?integer # the CPU, of perf buffers
function reader:next(timeout) end

---The descriptor that becomes readable when events may have come: the reader's own, edge-triggered.
---Look as soon as it does, and after `reader:timeout()` in any case.
---@return integer # the descriptor, which stays the reader's
function reader:pollfd() end

---@class luabpf.reader_records_options
---@field timeout? integer|string from the start of the loop: what lies there when it is over is still given; "0s": what is there now; none: waits for ever
---@field limit? integer so many records; the rest stays in the buffer

---Iterates over the records, decoded. Each is released when the next is asked for or the loop ends,
---also by a break or an error. A record that fits no layout comes as its bytes, and the reason after
---it. Of perf buffers the CPU is the third.
---@param options? luabpf.reader_records_options as listed below
---@return fun():luabpf.data?,string?,integer? # an iterator, which ends early where a handler took a signal
function reader:records(options) end

---What the reader has seen so far; prints as a table.
---@return luabpf.reader_stats # the counts
function reader:stats() end

---Seconds after which the reader wants a look whatever its descriptor says, for cqueues: what was
---sent without a wake-up is found then.
---@return number # 0 when records lie there; never nil
function reader:timeout() end

---Signals that come as values, in place of their handlers.
---@class luabpf.signals
local signals = {}

---Lets the signals through again, unless another handle takes them; one that has come and was not
---taken is delivered. Again does nothing.
---@return true # it is closed
function signals:close() end

---Tells copas and `socket.select` whether something is there without a wait.
---@return boolean # false: the descriptor says it
function signals:dirty() end

---What the descriptor is waited for, as cqueues wants to know.
---@return string # "r"
function signals:events() end

---The same as `pollfd`, for copas and `socket.select`.
---@return integer # the descriptor
function signals:getfd() end

---Waits for a signal.
---@param timeout? integer|string ns or text; none: waits for ever
---@return ?string? # its name, "TERM"; nil when none came
---@return (?string|string)? # why none came: "timeout", or "signal" when a handler took another one
---@return integer? # errno
function signals:next(timeout) end

---The descriptor that is readable when a signal has come.
---@return integer # the descriptor, which stays the handle's
function signals:pollfd() end

---Seconds after which it wants a look in any case, as cqueues wants to know.
---@return nil # it wants none
function signals:timeout() end

---The entries of a map as they were, in a file or in memory. `#snapshot` is how many can be read.
---@class luabpf.snapshot
local snapshot = {}

---@class luabpf.snapshot_aggregate_options : luabpf.query_options
---@field where? luabpf.where the condition
---@field group? luabpf.computed_groups the columns to group by; without them there is one row
---@field select? luabpf.columns what of each group: "sum(value.bytes) as bytes"
---@field sort? string a group or a result, largest first; "... asc": smallest first
---@field limit? integer at most so many rows, with `group`
---@field workers? integer threads that the batch engine may use (default 1)

---Sums up the matching entries, in groups, as `map:aggregate`.
---@param options? luabpf.snapshot_aggregate_options what all queries take
---@return table[]? # the rows, which print as a table; exactly one without `group`
---@return (luabpf.report|string)? # what was done
---@return integer? # errno
function snapshot:aggregate(options) end

---Reads the snapshot a batch at a time.
---@param options? integer|luabpf.snapshot_scan_options the batch size, or a table
---@return fun():luabpf.batch? # an iterator of batches, each valid until the next
function snapshot:batches(options) end

---Closes the file, or frees the memory; again does nothing. Batches of it stay valid.
---@return true # the snapshot is closed
function snapshot:close() end

---@class luabpf.snapshot_count_options : luabpf.query_options
---@field workers? integer threads that the batch engine may use (default 1)

---How many entries match, as `map:count`; without a condition how many there are.
---@param where? luabpf.where the condition
---@param options? luabpf.snapshot_count_options what all queries take
---@return integer? # how many
---@return luabpf.report? # with a condition or options, what was done
---@return integer? # errno
function snapshot:count(where, options) end

---What the snapshot is of: its header, and the fields of key and value with their types, offsets and
---sizes.
---@return table # `header`, `key`, `value`: prints as text
function snapshot:describe() end

---@class luabpf.snapshot_diff_options
---@field memory? luabpf.size for the entries of the smaller one; with less both are read several times (default "64MiB")

---What has changed since an older snapshot of the same map, or of one with the same key and value.
---@param old luabpf.snapshot the older one
---@param options? luabpf.snapshot_diff_options named options
---@return fun():luabpf.difference? # an iterator of differences, in no order
function snapshot:diff(old, options) end

---Iterates over key and value, decoded.
---@param options? integer|luabpf.snapshot_scan_options the batch size, or a table
---@return fun():luabpf.data?,luabpf.data? # an iterator of keys and values
function snapshot:entries(options) end

---@class luabpf.snapshot_export_options
---@field format? "jsonl"|"csv" what the path ends in without it, else "jsonl"
---@field where? luabpf.where the condition
---@field params? table<string,any> the values of `$name` in texts
---@field columns? luabpf.columns what of each entry, in place of key and value
---@field progress? luabpf.progress true: a line on a terminal; or what is called now and then
---@field batch_size? integer entries at a time (default 4096)
---@field compile? boolean as of `map:count`

---Writes the entries of the snapshot as lines of JSON or CSV, as `map:export` does.
---@param target string|file*|fun(text:string):any a path, under which the file appears whole; an open file; "-"; or what is called with text of whole rows
---@param options? luabpf.snapshot_export_options named options
---@return luabpf.export_report? # what was written, which prints as a table
---@return string? # message
---@return integer? # errno
---@return luabpf.export_report? # partial
function snapshot:export(target, options) end

---@class luabpf.snapshot_fold_options : luabpf.query_options
---@field where? luabpf.where the condition

---Folds the matching entries into accumulators, as `map:fold`.
---@param acc table the accumulators
---@param f fun(acc:table,key:luabpf.view,value:luabpf.view) changes them
---@param options? luabpf.snapshot_fold_options what all queries take
---@return table? # acc, changed
---@return (luabpf.report|string)? # what was done
---@return integer? # errno
function snapshot:fold(acc, f, options) end

---The first entries, as a table at the prompt.
---@param n? integer how many
---@return table[] # a list of `{ key =, value = }`, which prints as a table
function snapshot:head(n) end

---What the snapshot is of.
---@return luabpf.snapshot_header # the map's info, layouts, time, boot, counts; prints as a table
function snapshot:header() end

---Prints what a snapshot can do, or what one of its methods does.
---@param name? string of a method
---@return nil # nothing
function snapshot:help(name) end

---@class luabpf.snapshot_select_options : luabpf.query_options
---@field where? luabpf.where the condition
---@field columns? luabpf.computed_columns what of each entry; without them key and value come
---@field sort? string a column, or an integer expression: largest first; "... asc": smallest first
---@field limit? integer at most so many

---The matching entries, or columns of them, as `map:select`.
---@param options? luabpf.snapshot_select_options what all queries take
---@return fun():table?,luabpf.data? # an iterator of tables by column names, or of key and value
function snapshot:select(options) end

---Iterates over views of key and value, which move along.
---@param options? integer|luabpf.snapshot_scan_options the batch size, or a table
---@return fun():luabpf.view?,luabpf.view? # an iterator of views
function snapshot:views(options) end

---A timer that is due again and again.
---@class luabpf.timer
local timer = {}

---Ends the timer. Again does nothing.
---@return true # it is closed
function timer:close() end

---Tells copas and `socket.select` whether something is there without a wait.
---@return boolean # false: the descriptor says it
function timer:dirty() end

---What the descriptor is waited for, as cqueues wants to know.
---@return string # "r"
function timer:events() end

---The same as `pollfd`, for copas and `socket.select`.
---@return integer # the descriptor
function timer:getfd() end

---Waits until the timer is due.
---@param timeout? integer|string ns or text; none: waits for ever
---@return ?integer? # how often it was due since it was last asked; nil when it was not
---@return (?string|string)? # why not: "timeout", or "signal" when a handler took one
---@return integer? # errno
function timer:next(timeout) end

---The descriptor that is readable when the timer is due.
---@return integer # the descriptor, which stays the timer's
function timer:pollfd() end

---Seconds after which it wants a look in any case, as cqueues wants to know.
---@return nil # it wants none
function timer:timeout() end

---A writer of a user ring buffer: gives records to the BPF programs that drain it.
---@class luabpf.writer
local writer = {}

---Closes the writer; what was written stays for the programs. Again does nothing.
---@return true # it is closed
function writer:close() end

---Gives a record to the programs that drain the ring.
---@param record luabpf.data bytes, or with a layout what it encodes
---@return true? # it is written
---@return string? # message
---@return integer? # errno
function writer:write(record) end

return bpf
