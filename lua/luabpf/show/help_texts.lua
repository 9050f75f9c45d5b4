-- SPDX-License-Identifier: MIT
--
-- The texts of help, by the name of a function or table. Made by `make docs` from the comments
-- beside the code: not to be changed here.

return {
["batch:copy"] = [=[
batch:copy()

The same entries in memory of their own, which stays valid after the next step.

Gives batch: the copy.

    local kept = {}
    for batch in map:batches() do kept[#kept + 1] = batch:copy() end
    print(#kept[1])]=],
["batch:cursor"] = [=[
batch:cursor()

The position after this batch, as a string. map:batches { from = it } goes on there, in another
process too, of the same map and boot.

Gives string: the position.

Raises: a batch that no scan made.

    local from
    for batch in map:batches(10) do
      from = batch:cursor()
      break
    end
    for batch in map:batches { from = from } do print(#batch) end]=],
["batch:entries"] = [=[
batch:entries()

Iterates over key and value, decoded. Keys that were not found are passed over. A queue or stack
has no keys: the place in the batch comes instead.

Gives fun():data?,data: an iterator over key and value.

    for batch in map:batches() do
      for key, value in batch:entries() do print(key.addr, value.packets) end
    end]=],
["batch:help"] = [=[
batch:help([name])

Prints what a batch can do, or what one of its methods does.

* name (string): of a method.

Gives nil: nothing.

    for batch in map:batches() do batch:help "copy" end]=],
["batch:key"] = [=[
batch:key(i)

The key of an entry, decoded.

* i (integer): which, from 1 to #batch.

Gives data: the key.

Raises: an index outside the batch, a batch that is no longer valid.

    for batch in map:batches() do print(batch:key(1).addr) end]=],
["batch:keys"] = [=[
batch:keys()

All keys of the batch, decoded.

Gives data[]: a list.

    for batch in map:batches() do print(#batch:keys()) end]=],
["batch:packed"] = [=[
batch:packed()

All keys and all values as two binary strings, one record after the other.

Gives string: the keys; and string: the values.

    for batch in map:batches() do
      local keys, values = batch:packed()
      print(#keys // #batch, #values // #batch) -- the sizes of a key and a value
    end]=],
["batch:pick"] = [=[
batch:pick(list)

Some of the entries as a batch of its own, which stays valid.

* list (integer[]): their indices, from 1 to #batch.

Gives batch: the entries, in that order.

    for batch in map:batches() do
      local busy = {}
      for i = 1, #batch do
        if batch:value(i).packets > 90 then busy[#busy + 1] = i end
      end
      print(map:delete_batch(batch:pick(busy)))
    end]=],
["batch:report"] = [=[
batch:report()

What the scan has done until this batch; nil for batches of other origin.

Gives scan_report or nil: the counts.

    for batch in map:batches(10) do print(batch:report().entries) end]=],
["batch:value"] = [=[
batch:value(i)

The value of an entry, decoded.

* i (integer): which, from 1 to #batch.

Gives data or nil: the value; nil where a key that was looked up was absent.

Raises: an index outside the batch, a batch that is no longer valid.

    for batch in map:batches() do print(batch:value(#batch).packets) end]=],
["batch:values"] = [=[
batch:values()

All values of the batch, decoded; nil where a key was absent.

Gives data[]: a list.

    for batch in map:batches() do print(batch:values()[1].packets) end]=],
["batch:views"] = [=[
batch:views()

Iterates over key and value without decoding: one view of each that moves along. A field is read
from the buffer where it is used. Scalars come as plain values.

Gives fun():view?,view: an iterator over views of key and value.

    local bytes = 0
    for batch in map:batches() do
      for _, value in batch:views() do bytes = bytes + value.bytes end
    end
    print(bytes)]=],
["bpf.bench"] = [=[
bpf.bench(map [, options])

Measures, in about two seconds, how fast a map can be read here. Reads only.

* map (map): the map.
* options.where (string): an expression to compare the engines with; one that all entries match
  without it.
* options.params (table<string,any>): the values of $name in it.
* options.sizes (integer[]): the batch sizes to try.
* options.patience (time): how long one figure may take. Default: "200ms".

Gives bench_result: the figures, which print as tables.

nil, message, errno: the kernel refuses, or the map has no entries.

    print(bpf.bench(map, { sizes = { 64, 256 }, patience = "1ms" }))]=],
["bpf.boottime"] = [=[
bpf.boottime()

The time since boot, with what the machine slept: the clock of bpf_ktime_get_boot_ns.

Gives integer: nanoseconds.

    print(bpf.boottime() >= bpf.now()) -- true]=],
["bpf.compile"] = [=[
bpf.compile(what, map)

Compiles an expression or a function for a map, once: reusable as where. tostring lists the
instructions beside the parts of the expression, or under the lines of the source.

* what (string or function): the text of an expression, or a function of key and value.
* map (map or snapshot): whose fields it reads.

Gives expression: the compiled expression.

Raises: a text that does not compile, naming line and column; of a function of which Lua would
have to judge entries, "file:line: reason".

    local busy = bpf.compile("value.packets > 50", map)
    print(bpf.compile(function(key, value) return value.packets > 50 end, map))]=],
["bpf.copy"] = [=[
bpf.copy(of)

What stays of a batch or a view when the iterator goes on.

* of (batch or view): a batch, or a view of a key or value; any other value comes back as it is.

Gives batch or data: a copy of the batch, or the table that the view is on.

    local kept
    for _, value in map:views() do kept = kept or bpf.copy(value) end
    print(kept.packets)]=],
["bpf.cpus"] = [=[
bpf.cpus()

How many CPUs are possible, which is the length of per-CPU values, and how many are online.

Gives integer: CPUs that are possible; and integer: CPUs that are online.

    local possible, online = bpf.cpus()
    print(possible, online)]=],
["bpf.create"] = [=[
bpf.create(options)

Creates a map, or makes the map of a snapshot again.

* options (create_options or restore_options): a type, sizes and what else there is; or from a
  snapshot, entries too.
* the fields of create_options
* the fields of restore_options

Gives map: the map.

nil, message, errno: the kernel refuses the combination, there is something at pin, or memory is
short.

Raises: an option that does not fit the type, a layout that cannot be.

    local flows <close> = assert(bpf.create { type = "hash", name = "flows", max_entries = 1000,
      key = { "ipv4 addr", "be16 port", "u16 pad" }, value = { "u64 packets", "u64 bytes" } })
    print(#flows) -- 1000]=],
["bpf.duration"] = [=[
bpf.duration(time)

The nanoseconds of a time.

* time (time): an integer, or text as "1.5s" or "-30s".

Gives integer: nanoseconds.

Raises: a text that is no time, or has a fraction of a nanosecond.

    print(bpf.duration "1.5s") -- 1500000000]=],
["bpf.features"] = [=[
bpf.features()

What this kernel has, found by trying: true, false, or nil where this process may not find out.
Prints as a table.

Gives features: the findings.

    print(bpf.features().kernel)]=],
["bpf.help"] = [=[
bpf.help([x])

Prints what the reference says of a function, a table of options or results, or a handle.

* x (any): a name as "map:select", "select" or "query_options", a function, a handle; nothing
  for a list of the module's functions.

Gives nil: nothing.

    bpf.help()
    bpf.help "map:select"
    bpf.help(map)]=],
["bpf.iter.chunk"] = [=[
bpf.iter.chunk(n, ...)

Lists of n, the last one shorter; each item is a list of two for key and value. Not for views,
which move along.

* n (integer): at least 1.
* ... (any): the iterator, with all its values.

Gives fun():table: an iterator of lists.

    for list in bpf.iter.chunk(10, map:entries()) do print(#list, list[1][1].addr) end]=],
["bpf.iter.filter"] = [=[
bpf.iter.filter(pred, ...)

Only what a function says yes to.

* pred (fun(...:any):any): called with what the iterator gives.
* ... (any): the iterator, with all its values.

Gives fun():any: an iterator.

    for key in bpf.iter.filter(function(key) return key.port > 50 end, map:entries()) do
      print(key.port)
    end]=],
["bpf.iter.lazy"] = [=[
bpf.iter.lazy(producer [, resource])

The values that a function yields, made one at a time when asked for.

* producer (fun(resource:any)): called with the resource when the first value is wanted; its
  <close> variables are closed when the loop is left.
* resource (any): something with a close method, closed with the loop even if it never ran.

Gives fun():any: an iterator.

    for n in bpf.iter.lazy(function() for i = 1, 3 do coroutine.yield(i) end end) do print(n) end]=],
["bpf.iter.map"] = [=[
bpf.iter.map(fn, ...)

What a function makes of each.

* fn (fun(...:any):any): called with what the iterator gives.
* ... (any): the iterator, with all its values.

Gives fun():any: an iterator.

Raises: a function that returns nil, which would end the loop.

    for port in bpf.iter.map(function(key) return key.port end, map:entries()) do print(port) end]=],
["bpf.iter.take"] = [=[
bpf.iter.take(n, ...)

The first n.

* n (integer): how many.
* ... (any): the iterator, with all its values.

Gives fun():any: an iterator.

    for key in bpf.iter.take(3, map:entries()) do print(key.addr) end]=],
["bpf.load"] = [=[
bpf.load(path [, options])

Loads a BPF object file: its maps and programs, into the kernel. Attaches nothing.

* path (string): the file, as clang made it.
* options.maps (table<string,load_map>): by name, what is other than the file says.
* options.globals (table<string,data>): values of global variables, by name, before the programs
  see them.

Gives object: the maps, programs and global variables.

nil, message, errno: the file is none, or the kernel refuses: the message has the verifier's log.

Raises: a map, global or option that there is not, named by its path.

Needs what the programs need: CAP_NET_ADMIN, CAP_PERFMON.

    local object <close> = assert(bpf.load "programs.bpf.o")
    for name, loaded in pairs(object.maps) do print(name, loaded) end]=],
["bpf.maps"] = [=[
bpf.maps([options])

The maps of the running kernel: a list of their infos, which prints as a table. The list is an
iterator too: for info in bpf.maps() do.

* options.name (string): only maps of this name, of which the kernel keeps 15 bytes.
* options.type (string): only maps of this type, as bpftool names it.
* options.id (integer): only the map of this id.

Gives info[]: the list.

nil, message, errno: this process may not see them.

Raises: a type that there is not; in a for, an error object in place of nil, message, errno.

Needs CAP_SYS_ADMIN.

    for info in bpf.maps { type = "hash" } do print(info.id, info.name) end]=],
["bpf.now"] = [=[
bpf.now()

The time since boot, without what the machine slept: the clock of bpf_ktime_get_ns.

Gives integer: nanoseconds.

    print(bpf.now())]=],
["bpf.open"] = [=[
bpf.open(which [, options])

Opens a map that exists.

* which (string or integer or open_options): a pin's path (it has a slash), a map's name, an id;
  or a table that says it.
* options (more_open_options): after a path, name or id.
* the fields of open_options
* the fields of more_open_options

Gives map: the map, which closes itself with its <close> variable or the garbage collector.

nil, message, errno: there is no such map, or this process may not open it; a name that several
maps have lists their ids.

Raises: a layout that does not fit the sizes of the map.

Needs CAP_SYS_ADMIN by name or id.

    assert(map:pin "/sys/fs/bpf/flows")
    local same <close> = assert(bpf.open("/sys/fs/bpf/flows", { readonly = true }))
    print(same == map) -- true
    map:unpin()]=],
["bpf.open_link"] = [=[
bpf.open_link(path)

Opens a link that is pinned.

* path (string): the pin, in a bpffs.

Gives link: the link.

nil, message, errno: there is no such pin, or it is of something else.

Linux 5.7.

    local object <close> = assert(bpf.load "programs.bpf.o")
    local link <close> = assert(object.programs.count_xdp:attach { xdp = "lo" })
    assert(link:pin "/sys/fs/bpf/flows")
    local again <close> = assert(bpf.open_link "/sys/fs/bpf/flows")
    os.remove "/sys/fs/bpf/flows"]=],
["bpf.open_or_create"] = [=[
bpf.open_or_create(options)

Opens the map that is pinned there, if it fits what is asked for; else creates one and pins it.

* options (create_options): as of bpf.create, pin with them; a map that is there fits if its
  type, sizes, max_entries and flags are those.
* the fields of create_options

Gives map: the map; and boolean: whether it was created.

nil, message, errno: the map there does not fit (the message says what), something else is there,
or the kernel refuses.

Raises: an option that does not fit the type, a layout that cannot be.

    local flows, created = assert(bpf.open_or_create { type = "hash", key = "u32", value = "u64",
      max_entries = 1000, pin = "/sys/fs/bpf/flows" })
    print(created) -- true
    flows:unpin()]=],
["bpf.open_program"] = [=[
bpf.open_program(path)

Opens a program that is pinned.

* path (string): the pin, in a bpffs.

Gives program: the program.

nil, message, errno: there is no such pin, or it is of something else.

    local object <close> = assert(bpf.load "programs.bpf.o")
    assert(object.programs.count_xdp:pin "/sys/fs/bpf/flows")
    local program <close> = assert(bpf.open_program "/sys/fs/bpf/flows")
    os.remove "/sys/fs/bpf/flows"]=],
["bpf.pins"] = [=[
bpf.pins([folder])

What a BPF file system holds, folders in it too: a list that prints as a table.

* folder (string): where to look. Default: "/sys/fs/bpf".

Gives pinned[]: the list, in the order of names.

nil, message, errno: there is no such folder, or this process may not read it.

Needs CAP_BPF.

    assert(map:pin "/sys/fs/bpf/flows")
    for _, pin in ipairs(assert(bpf.pins())) do print(pin.path, pin.kind, pin.id) end
    map:unpin()]=],
["bpf.poll"] = [=[
bpf.poll(list [, timeout])

Waits until one of several is ready: readers, signals, timers, and what else has pollfd, as the
objects of cqueues do. Its events says for what, "r", "w" or "rw"; at a timeout of 0 it is
ready at once.

* list (table): what is waited for.
* timeout (integer or string): ns or text; none: waits for ever.

Gives table: those that are ready, in the order of the list; empty at the timeout; and ?string:
"signal" when a handler took a signal.

nil, message, errno: the system refuses to wait, as for a descriptor that is closed (EBADF).

    local tick <close> = bpf.timer "10ms"
    local stop <close> = bpf.signals "TERM"
    print(bpf.poll({ stop, tick }, "10s")[1] == tick) -- true]=],
["bpf.prefix"] = [=[
bpf.prefix(address, length)

The network of an address, as prefix has it in expressions.

* address (string): as a view shows it: "10.1.2.3", "2001:db8::1".
* length (integer): how many bits of it count.

Gives string: "10.1.2.0/24".

Raises: for what is no address, or no length of one.

    print((map:count(function(key) return bpf.prefix(key.addr, 8) == "10.0.0.0/8" end)))]=],
["bpf.signals"] = [=[
bpf.signals(...)

Takes signals in place of their handlers, in this thread, until it is closed.

* ... (string): names: "TERM", "INT", "HUP", "USR1" and so on.

Gives signals: the handle.

nil, message, errno: no descriptor is left.

Raises: there is no signal of that name.

    local stop <close> = bpf.signals("TERM", "HUP")]=],
["bpf.size"] = [=[
bpf.size(size)

The bytes of a size.

* size (size): an integer, or text as "64KiB".

Gives integer: bytes.

Raises: a text that is no size.

    print(bpf.size "64KiB") -- 65536]=],
["bpf.sleep"] = [=[
bpf.sleep(time)

Sleeps, or waits for a signal that a handler takes.

* time (time): how long; not negative.

Gives boolean: false where a signal ended it early.

Raises: a text that is no time.

    bpf.sleep "1ms"]=],
["bpf.snapshot"] = [=[
bpf.snapshot(path [, options])

Opens a snapshot file. Blocks are checked as they are read: a loop over a damaged one raises an
error object.

* path (string): the file.
* options.damaged (boolean): gives what is intact of a damaged file, which is read as a whole;
  header().damage says what is missing. Default: false.

Gives snapshot: the snapshot.

nil, message, errno: the file is none, or is damaged.

    assert(map:export "flows.snapshot")
    local snapshot <close> = assert(bpf.snapshot "flows.snapshot")
    print(#snapshot, snapshot:header().name)]=],
["bpf.symbol"] = [=[
bpf.symbol(address [, pid])

The name of an address in the kernel, or in a process: "do_unlinkat+0x10". What is in a module has
its name after it, "nf_conntrack_in+0x44 [nf_conntrack]". In a process, where a file has no name
for the address, it is the file's and the place in it, "[libc.so.6]+0x8f2a0".

* address (integer): the address.
* pid (integer): the process; none: the kernel.

Gives ?string: the name; nil for an address that is in nothing.

nil, message, errno: the kernel shows no addresses (EACCES), there is no such process (ESRCH), its
mappings cannot be read.

Needs CAP_SYSLOG to see the kernel's addresses; of processes of other users CAP_SYS_PTRACE.

    local file <close> = assert(io.open "/proc/kallsyms")
    for line in file:lines() do
      local address = line:match "^(%x+) T do_unlinkat$"
      if address then print(bpf.symbol(math.tointeger("0x" .. address) + 16)) end -- do_unlinkat+0x10
    end]=],
["bpf.text"] = [=[
bpf.text(text)

Text up to its first NUL, as expressions compare it; views show all of it.

* text (string): what a view shows.

Gives string: what is before the NUL.

Raises: for what is no string.

    print((bpf.text("nginx\\0\\1")))]=],
["bpf.timer"] = [=[
bpf.timer(every)

Makes a timer that is due again and again.

* every (integer or string): ns or text, from one time to the next; first after as much.

Gives timer: the timer.

nil, message, errno: no descriptor is left.

    local tick <close> = bpf.timer "10ms"
    tick:next()]=],
["bpf.types"] = [=[
bpf.types([by_name])

Says of what type fields are, by the name of the C struct that has them, for every map that is
opened or loaded later, and the records of events: BTF has __be32 where an address is meant.
What bpf.open or bpf.load is told of one map goes over it.

* by_name (table<string,table or string or boolean>): the name of a struct, union or typedef, to
  the types of fields by their names, or to one type that it is as a whole; false forgets it.

Gives table: all that is known now, in the same form.

Raises: a type that there is not, at once; a field that the struct has not, or a type of another
size, when a map with that struct is opened.

    bpf.types { flow_key = { saddr = "ipv4", daddr = "ipv4" }, mac_addr = "mac" }
    print(bpf.types().flow_key.saddr) -- ipv4
    bpf.types { flow_key = false, mac_addr = false }]=],
["bpf.vertical"] = [=[
bpf.vertical(x)

Anything with a field a line: each row of a list or select, a key or value, what the prompt would
cut otherwise.

* x (any): a list of rows, a select, a decoded key or value.

Gives table: what prints so.

    print(bpf.vertical(map:head(2)))]=],
["bpf.within"] = [=[
bpf.within(address, prefix)

Whether an address lies in a prefix, as in has it in expressions.

* address (string): as a view shows it: "10.0.0.1", "2001:db8::1", or a prefix.
* prefix (string): "10.0.0.0/8", "2001:db8::/32", or an address.

Gives boolean: whether it does; false for what is no address.

Raises: if prefix is no address or prefix.

    print((map:count(function(key) return bpf.within(key.addr, "10.0.0.0/8") end)))]=],
["conntrack.cgroup_root"] = [=[
conntrack.cgroup_root()

Where the unified cgroup hierarchy (cgroup2) is mounted.

Gives string: the path.

nil, message, errno: it is mounted nowhere.

    print(conntrack.cgroup_root())]=],
["conntrack.open"] = [=[
conntrack.open(path)

Opens a tracker that was started with a pin, in this process or another.

* path (string): the pin.

Gives tracker: the tracker, which goes on when the handle is closed.

nil, message, errno: there is no such pin, or it is of something else.

    local started = assert(conntrack.start { cgroup = CGROUP, pin = "/sys/fs/bpf/flows" })
    started:close()
    local tracker = assert(conntrack.open "/sys/fs/bpf/flows")
    tracker:stop()]=],
["conntrack.start"] = [=[
conntrack.start([options])

Starts the tracker on a cgroup, or on the whole machine: what its sockets send and receive, not
what it forwards.

* options.cgroup (string): a directory of the unified hierarchy; the sockets of its processes,
  and of cgroups in it, are tracked. Default: "the root of cgroup2".
* options.max_entries (integer): how many connections the table has room for. Default: 65536.
* options.type ("hash" or "lru_hash"): "hash": a full table takes no new connections;
  "lru_hash": it gives up those that have been idle longest. Default: "hash".
* options.pin (string): a path in a bpffs: the tracker goes on after this process; one that is
  pinned there is taken up, if it is as asked for.
* options.object (string): the path of conntrack.bpf.o, where it is not the one that came with
  luabpf.

Gives tracker: the tracker, which ends with its handle unless it is pinned.

nil, message, errno: there is no such cgroup, something else is at pin, or the kernel refuses.

Needs CAP_NET_ADMIN and CAP_PERFMON.

    local tracker <close> = assert(conntrack.start { cgroup = CGROUP, max_entries = 1000 })
    print(tracker)]=],
["events:packed"] = [=[
events:packed(i)

The bytes of the i-th record.

* i (integer): from 1.

Gives string: the bytes.

    local object <close> = assert(bpf.load "events.bpf.o")
    local reader <close> = assert(object.maps.ring:reader())
    assert(object.programs.send:run())
    for batch in reader:batches { timeout = "0s" } do print(#batch:packed(1)) end]=],
["events:record"] = [=[
events:record(i)

The i-th record, decoded.

* i (integer): from 1.

Gives data: the record; its bytes, where it fits no layout; and ?string: why it comes as bytes;
and ?integer: the CPU, of perf buffers.

    local object <close> = assert(bpf.load "events.bpf.o")
    local reader <close> = assert(object.maps.ring:reader { layout = "struct event" })
    assert(object.programs.send:run())
    for batch in reader:batches { timeout = "0s" } do print(batch:record(1).number) end]=],
["events:records"] = [=[
events:records()

Iterates over the records, decoded: event, reason and CPU as with events:views.

Gives fun():data,string?,integer: an iterator.

    local object <close> = assert(bpf.load "events.bpf.o")
    local reader <close> = assert(object.maps.ring:reader { layout = "struct event" })
    assert(object.programs.send:run())
    for batch in reader:batches { timeout = "0s" } do
      for event in batch:records() do print(event.comm) end
    end]=],
["events:sum"] = [=[
events:sum(field)

Adds a field up over all records that have it, modulo 2^64.

* field (string): an integer field of the layout.

Gives integer: the sum; and integer: how many records had it.

Raises: no layout of the reader has such a field.

    local object <close> = assert(bpf.load "events.bpf.o")
    local reader <close> = assert(object.maps.ring:reader { layout = "struct event" })
    assert(object.programs.send:run())
    for batch in reader:batches { timeout = "0s" } do print(batch:sum "length") end]=],
["events:views"] = [=[
events:views()

Iterates over the records as views, which read fields where they lie, each until the next step. A
record that fits no layout comes as a binary string, and the reason after it. Of perf buffers the
CPU is the third.

Gives fun():view or string,string?,integer: an iterator.

    local object <close> = assert(bpf.load "events.bpf.o")
    local reader <close> = assert(object.maps.ring:reader { layout = "struct event" })
    assert(object.programs.send:run())
    for batch in reader:batches { timeout = "0s" } do
      for event in batch:views() do print(event.number) end
    end]=],
["link:close"] = [=[
link:close()

Closes the handle; again does nothing. The program is detached unless the link is pinned or open
elsewhere.

Gives true: the handle is closed.

nil, message, errno: a tc filter could not be removed: the handle stays open, to be tried again.

    local object <close> = assert(bpf.load "programs.bpf.o")
    local link = assert(object.programs.count_xdp:attach { xdp = "lo" })
    link:close()]=],
["link:detach"] = [=[
link:detach()

Detaches the program now, whoever else holds the link, and closes the handle. Tracing links and
probes the kernel cannot detach by force: they end with their last pin and handle.

Gives true: the program is detached.

nil, message, errno: the kernel refuses; the handle stays open.

Linux 5.9.

    local object <close> = assert(bpf.load "programs.bpf.o")
    local link = assert(object.programs.count_xdp:attach { xdp = "lo" })
    assert(link:detach())]=],
["link:fd"] = [=[
link:fd()

The descriptor of a kernel link, which stays the handle's.

Gives integer or nil: the descriptor; nil for what is no kernel link (tc filters, probes).

    local object <close> = assert(bpf.load "programs.bpf.o")
    local link <close> = assert(object.programs.count_xdp:attach { xdp = "lo" })
    print(link:fd())]=],
["link:help"] = [=[
link:help([name])

Prints what a link can do, or what one of its methods does.

* name (string): of a method.

Gives nil: nothing.

    local object <close> = assert(bpf.load "programs.bpf.o")
    local link <close> = assert(object.programs.count_xdp:attach { xdp = "lo" })
    link:help "pin"]=],
["link:info"] = [=[
link:info()

What the kernel tells of the link. By type: cgroup_id, attach_type (cgroup); ifindex,
interface (xdp); attach_type, target_obj_id, target_btf_id (tracing); netns_ino,
attach_type (netns). A tc filter is no kernel link and has type "tc", ifindex, interface,
direction, handle, priority.

Gives table: type, id, prog_id, and what the type has.

nil, message, errno: the kernel refuses.

Linux 5.8.

    local object <close> = assert(bpf.load "programs.bpf.o")
    local link <close> = assert(object.programs.count_xdp:attach { xdp = "lo" })
    print(link:info().interface) -- lo]=],
["link:pin"] = [=[
link:pin(path)

Pins the link: the program stays attached after this process, until the pin is removed and no
handle is left. Not for tc filters and probes, which are no kernel links.

* path (string): where, in a bpffs; names there have no dots.

Gives true: the link is pinned.

nil, message, errno: there is something at that path, no bpffs, or the link is none of the
kernel's.

Linux 5.7.

    local object <close> = assert(bpf.load "programs.bpf.o")
    local link <close> = assert(object.programs.count_xdp:attach { xdp = "lo" })
    assert(link:pin "/sys/fs/bpf/flows")
    os.remove "/sys/fs/bpf/flows"]=],
["map:aggregate"] = [=[
map:aggregate([options])

Sums up the matching entries, in groups. Functions are count(), sum, min, max, avg (a
float), distinct and hist (a list of { from, to, count } by powers of two).

* options (query_options): what all queries take.
* options.where (where): the condition.
* options.group (computed_groups): the columns to group by; without them there is one row.
* options.select (columns): what of each group: "sum(value.bytes) as bytes".
* options.sort (string): groups and results, separated by commas, in the order that select has;
  ties and the rest by group.
* options.limit (integer): at most so many rows, with group.
* options.workers (integer): threads that the batch engine may use. Default: 1.
* options.reset (boolean or string or string[]): true: the fields inside sum(), else those
  named, are exchanged with zero in one step with reading them: nothing that is added to them
  atomically meanwhile is lost or counted twice; without limit.
* the fields of query_options

Gives table[]: the rows, which print as a table; exactly one without group; and report: what was
done.

nil, message, errno: the kernel refuses, or the groups need more than memory; the fourth result
is with reset, what was taken until then.

Raises: a text that does not compile, naming line and column.

    print(map:aggregate { group = "key.addr", select = { "sum(value.bytes) as bytes", "count()" },
      sort = "bytes", limit = 3 })]=],
["map:batches"] = [=[
map:batches([options])

Reads the map a batch at a time: one system call per step, memory for one batch. Of a hash map
every key that is present throughout is seen exactly once, whatever else happens.

* options (integer or scan_options): the batch size, or a table.
* the fields of scan_options

Gives fun():batch: an iterator of batches, each valid until the next.

Raises: an error object with message, errno and partial where the kernel refuses.

Linux 5.6, for arrays too, for per-CPU arrays 5.13; elsewhere keys are walked.

    for batch in map:batches(1024) do
      print(#batch, batch:key(1).addr, batch:value(1).packets)
    end]=],
["map:clear"] = [=[
map:clear()

Deletes all entries; of an array, sets them to zeros.

Gives integer: how many.

nil, message, errno: the kernel refuses; the fourth result is how many until then.

    print(map:clear(), map:count()) -- how many there were, 0]=],
["map:close"] = [=[
map:close()

Closes the handle; again does nothing. A pinned map lives on, and so does one that programs use. A
local map <close> and the garbage collector do the same.

Gives true: the handle is closed.

    map:close()
    print(map) -- luabpf.map (closed)]=],
["map:count"] = [=[
map:count([where [, options]])

How many entries match; without a condition how many there are: an array always has max_entries.
Large maps are not walked for that where the kernel counts their entries itself.

* where (where): the condition.
* options (query_options): what all queries take.
* options.workers (integer): threads that the batch engine may use. Default: 1.
* the fields of query_options

Gives integer: how many; and report: with a condition or options, what was done.

nil, message, errno: the kernel refuses, or a query needs more than memory.

Raises: a text that does not compile, naming line and column.

Linux 6.6 for the kernel's own count.

    print(map:count(), (map:count "value.packets > 50"))]=],
["map:delete"] = [=[
map:delete(key [, options])

Deletes the entry of a key.

* key (data): the key, as its layout says.
* options.raw (boolean): a string is the bytes of the key. Default: false.

Gives boolean: whether it was there.

nil, message, errno: the kernel refuses: arrays have no entries to delete.

Raises: a key that the layout does not take, a closed map.

    print(map:delete { addr = "10.0.0.1", port = 1 }) -- true]=],
["map:delete_batch"] = [=[
map:delete_batch(keys [, options])

Deletes many entries, going on past keys that are absent.

* keys (records): a list of keys, a packed string of them, or a batch.
* options.if_equal (records): values: only entries that still have theirs are deleted.
* options.raw (boolean): strings in lists are the bytes of keys, and of values in if_equal.
  Default: false.
* options.status (boolean): a word for each key as one more result: "deleted", "missing",
  "changed", "not done". Default: false.

Gives integer: how many were deleted; and integer: how many were absent; and integer: with
if_equal, how many had another value by then; and string[]: with status, a word for each key,
after the others.

nil, message, errno: the kernel refuses; the fourth result is the results until then, as a list.

Raises: a key or value that the layout does not take, named by its place in the list.

    print(map:delete_batch { { addr = "10.0.0.1", port = 1 }, { addr = "192.0.2.1" } }) -- 1, 1]=],
["map:delete_where"] = [=[
map:delete_where(where [, options])

Deletes the entries that match, each judged on the live entry immediately before it is deleted.

* where (where): the condition.
* options (query_options): what all queries take.
* options.dry_run (boolean): only counts what would be deleted. Default: false.
* options.limit (integer): at most so many.
* options.on_delete (fun(key:data,value:data)): called after each deletion, 256 of them at a
  time: a process that is killed loses so many calls at most (an export with drain is for what
  must not be lost); if it raises, the error has undelivered.
* the fields of query_options

Gives delete_report: what was done.

nil, message, errno: the kernel refuses; the fourth result is what was done until then.

Raises: a text that does not compile, naming line and column.

    local report = assert(map:delete_where("value.packets < $few", { params = { few = 10 } }))
    print(report.deleted, report.kept)]=],
["map:describe"] = [=[
map:describe()

What the map is: its info, and the fields of key and value with their types, offsets and sizes.
Times of the first entry are told by the clock that they fit.

Gives table: info, key, value: prints as text.

nil, message, errno: the kernel refuses.

    print(map:describe())]=],
["map:drain"] = [=[
map:drain([options])

Iterates over batches that are taken out of the map: each entry is handed over once. With where
only what matches is taken, and without the scan's options from and engine.

* options (integer or query_options): the batch size, or a table.
* options.where (where): the condition.
* options.limit (integer): at most so many, with where.
* options.raw (boolean): binary strings come instead of decoded data. Default: false.
* the fields of query_options

Gives fun():batch: an iterator of batches, each valid until the next.

Raises: an error object where the type of map has no drain, or the kernel refuses.

Linux 5.6, hash types, queues and stacks.

    for batch in map:drain { where = "value.packets < 10" } do print(#batch) end]=],
["map:entries"] = [=[
map:entries([options])

Iterates over key and value, decoded; pairs(map) is the same.

* options (integer or scan_options): the batch size, or a table.
* the fields of scan_options

Gives fun():data?,data: an iterator of keys and values.

Raises: an error object with message, errno and partial where the kernel refuses.

    for key, value in map:entries() do print(key.addr, value.packets) end]=],
["map:explain"] = [=[
map:explain([options])

What a query would do: its engine and why, the cost, the instructions. Runs nothing.

* options (query_options): what all queries take.
* options.where (where): the condition.
* options.columns (computed_columns): as of map:select.
* options.group (computed_groups): as of map:aggregate.
* options.select (columns): as of map:aggregate.
* options.sort (string): as of map:select and map:aggregate.
* options.limit (integer): as of map:select and map:aggregate.
* options.fold (fun(acc:table,key:view,value:view)): as of map:fold.
* options.initial (table): the accumulators of that.
* options.delete (boolean): the plan of map:delete_where. Default: false.
* the fields of query_options

Gives plan: the plan, which prints as text.

Raises: a text that does not compile, naming line and column.

    print(map:explain { where = "value.packets > 50" })]=],
["map:export"] = [=[
map:export(target [, options])

Writes each entry as a line of JSON or CSV, or a snapshot file, with memory for one batch. Of a
hash map every key that is present throughout is written once.

* target (string or file* or fun(text:string):any): a path, under which the file appears whole;
  an open file; "-"; or what is called with text of whole rows.
* options.format ("jsonl" or "csv" or "snapshot"): what the path ends in without it, else
  "jsonl".
* options.where (where): the condition.
* options.params (table<string,any>): the values of $name in texts.
* options.columns (columns): what of each entry, in place of key and value.
* options.checkpoint (string): a file that remembers how far it has come: the same call goes on
  there after a kill.
* options.checkpoint_interval (time): how often; after each 64 MiB besides. Default: "1s".
* options.restart (boolean): begins anew whatever the checkpoint says. Default: false.
* options.drain (boolean): deletes what was written and synced, if it is unchanged. Default:
  false.
* options.progress (progress): true: a line on a terminal; or what is called now and then.
* options.workers (integer): threads that read and format; without a checkpoint or drain.
  Default: 1.
* options.batch_size (integer): a hint: a batch is whole buckets. Default: 4096.
* options.compile (boolean): as of map:count.
* options.report (scan_report): a table that is filled with what the scan did.

Gives export_report: what was written, which prints as a table.

nil, message, errno: the file cannot be written, the kernel refuses, or the checkpoint does not
fit; the fourth result is what was written until then.

Raises: a text that does not compile, naming line and column.

    local report = assert(map:export("flows.jsonl", { where = "value.packets > 50" }))
    print(report.entries, report.bytes)]=],
["map:fd"] = [=[
map:fd()

The descriptor of the handle, which stays the handle's and goes with it.

Gives integer: the descriptor.

Raises: a closed map.

    print(map:fd())]=],
["map:fold"] = [=[
map:fold(acc, f [, options])

Folds the matching entries into accumulators: calls a function for each entry, in no promised
order, each once. If it raises, or the system refuses, the accumulators are as they were. Where
the accumulators are integers and the function compiles (docs/functions.md), the kernel runs it;
one entry that needs Lua makes the whole fold Lua's, from the start.

* acc (table): the accumulators.
* f (fun(acc:table,key:view,value:view)): changes them.
* options (query_options): what all queries take.
* options.where (where): the condition.
* the fields of query_options

Gives table: acc, changed; and report: what was done.

nil, message, errno: the kernel refuses.

Raises: what the function raises, with partial, the report, and traceback.

    local sums = map:fold({ packets = 0, most = 0 }, function(acc, key, value)
      acc.packets = acc.packets + value.packets
      if value.bytes > acc.most then acc.most = value.bytes end
    end)
    print(sums.packets, sums.most)]=],
["map:freeze"] = [=[
map:freeze()

Makes the map read-only for user space, for ever; programs go on writing.

Gives true: the map is frozen.

nil, message, errno: the kernel refuses, as it does for maps that are mapped for writing: an array
made with the flag mmapable, while another handle that wrote to it is open.

    local settings <close> = assert(bpf.create { type = "array", value = "u32", max_entries = 1 })
    settings:update(0, 7)
    assert(settings:freeze())
    print(settings:update(0, 8)) -- nil and the reason]=],
["map:head"] = [=[
map:head([n])

The first entries, as a table at the prompt.

* n (integer): how many. Default: 10.

Gives table[]: a list of { key =, value = }, which prints as a table.

nil, message, errno: the kernel refuses the scan.

    print(map:head(3))]=],
["map:help"] = [=[
map:help([name])

Prints what a map can do, or what one of its methods does.

* name (string): of a method.

Gives nil: nothing.

    map:help "select"]=],
["map:hist"] = [=[
map:hist(expression [, options])

A histogram of what an expression gives, by powers of two.

* expression (string): what of each entry: "value.bytes".
* options (query_options): what all queries take.
* options.where (where): the condition.
* options.bars (boolean): whether it prints as bars. Default: true.
* options.workers (integer): threads that the batch engine may use. Default: 1.
* the fields of query_options

Gives table[]: a list of { from =, to =, count = }; and report: what was done.

nil, message, errno: the kernel refuses.

Raises: a text that does not compile, naming line and column.

    print(map:hist "value.bytes")]=],
["map:import"] = [=[
map:import(source [, options])

Stores the entries of a file. A row that is wrong ends it, named by line and field; those before
it are stored.

* source (string or file* or snapshot): a path, "-", an open file, or a snapshot.
* options.format ("jsonl" or "csv" or "snapshot"): what the file begins with without it, of
  pipes "jsonl".
* options.mode ("any" or "noexist" or "exist"): "noexist" keeps what is there, "exist" only
  replaces it. Default: "any".
* options.dry_run (boolean): only counts what would be done to the map as it is now. Default:
  false.
* options.checkpoint (string): a file that remembers how far it has come: the same call goes on
  there after a kill.
* options.restart (boolean): begins anew whatever the checkpoint says. Default: false.
* options.progress (progress): true: a line on a terminal; or what is called now and then.
* options.workers (integer): threads that store; of keys that stand twice the order holds.
  Default: 1.
* options.batch_size (integer): entries at a time, of each worker. Default: 4096.

Gives import_report: what was stored.

nil, message, errno: the file cannot be read, a row is wrong, the map is full, or the kernel
refuses; the fourth result is what was stored until then.

    assert(map:export "flows.csv")
    map:clear()
    print(map:import("flows.csv").inserted)]=],
["map:info"] = [=[
map:info()

All that the kernel tells about the map.

Gives info: the fields, which print as a table.

nil, message, errno: the kernel refuses.

    print(map:info().type) -- hash]=],
["map:lookup"] = [=[
map:lookup(key [, options])

The value of a key, or nil where it is absent.

* key (data): the key, as its layout says.
* options.raw (boolean): the value comes as a binary string, and a string is the bytes of the
  key. Default: false.

Gives data or nil: the value, a list of one for each CPU in per-CPU maps; nil where the key is
absent.

nil, message, errno: the kernel refuses the lookup.

Raises: a key that the layout does not take, a closed map.

    local value = map:lookup { addr = "10.0.0.1", port = 1 }
    print(value.packets, value.bytes)]=],
["map:lookup_batch"] = [=[
map:lookup_batch(keys [, options])

The values of many keys, thousands with each system call.

* keys (records): a list of keys, a packed string of them, or a batch.
* options.raw (boolean): values come as binary strings, and strings in the list are the bytes of
  keys. Default: false.
* options.status (boolean): a word for each key as one more result: "found", "missing", "not
  done". Default: false.
* options.touch (boolean): in LRU maps: entries are marked as used, which is faster. Default:
  false.

Gives data[] or batch: for a list of keys a list of values, nil where a key is absent; else a
batch; and integer: how many were found; and string[]: with status, a word for each key.

nil, message, errno: the kernel refuses a lookup; the fourth result is the values, how many were
found, and with status the words.

Raises: a key that the layout does not take, named by its place in the list.

Linux 5.17, where a program looks up thousands in one call; elsewhere single calls give the same
answers.

    local values, found = map:lookup_batch {
      { addr = "10.0.0.1", port = 1 }, { addr = "10.0.0.2", port = 2 }, { addr = "192.0.2.1" } }
    print(found, values[1].packets, values[3]) -- 2, a number, nil]=],
["map:next"] = [=[
map:next([key [, options]])

The key after a key, in the order in which the kernel keeps them. While others delete, the order
may begin anew: map:entries is the sure way to see all.

* key (data): the key before it; the first key without one.
* options.raw (boolean): the key comes as a binary string, and may be given as one. Default:
  false.

Gives data or nil: the key; nil at the end.

nil, message, errno: the type of map has no keys to walk.

    local first = map:next()
    local second = map:next(first)
    print(first.addr, second.addr)]=],
["map:parallel"] = [=[
map:parallel([options])

Works on the map with several threads, each in a Lua state of its own. Functions are copied with
what their local variables from outside hold: nil, booleans, numbers, strings, tables, Lua
functions; modules go by name. Of globals there are Lua's own and bpf.

* options.map (fun(batch:batch):any, needed): called with each batch, in a worker.
* options.reduce (fun(a:any,b:any):any): puts two results together; needed with more than one
  result.
* options.initial (any): the result for an empty map.
* options.workers (integer): threads; as many as CPUs are online without it.
* options.where (where): the condition.
* options.params (table<string,any>): the values of $name in the condition.
* options.batch_size (integer): a hint: a batch is whole buckets. Default: 4096.
* options.compile (boolean): as of map:count.

Gives any: the result; and parallel_report: what was done.

nil, message, errno: the kernel refuses, or threads cannot be started.

Raises: what a worker raised, and what cannot be copied, naming the variable.

    local total = map:parallel { workers = 2,
      map = function(batch)
        local n = 0
        for _, value in batch:views() do n = n + value.packets end
        return n
      end,
      reduce = function(a, b) return a + b end }
    print(total)]=],
["map:peek"] = [=[
map:peek([value [, options]])

The next value of a queue or a stack, left where it is; of a bloom filter, whether a value may be
in it.

* value (data): what a bloom filter is asked for; of queues and stacks the options come here.
* options.raw (boolean): the value comes as a binary string; of a bloom filter it is given as
  one. Default: false.

Gives data or boolean or nil: the value, nil where there is none; of a bloom filter true or false.

nil, message, errno: the map is of another type.

    local queue <close> = assert(bpf.create { type = "queue", value = "u32", max_entries = 4 })
    queue:push(7)
    print(queue:peek(), queue:pop()) -- 7, 7]=],
["map:pin"] = [=[
map:pin(path [, options])

Pins the map in a BPF file system: it lives on after this process.

* path (string): where, in a bpffs such as /sys/fs/bpf; names there have no dots.
* options.replace (boolean): takes the place of a map that is pinned there, in one step: whoever
  opens the path finds one or the other. Default: false.

Gives true: the map is pinned.

nil, message, errno: there is something at that path, no bpffs is there, or this process may not
write.

    assert(map:pin("/sys/fs/bpf/flows", { replace = true }))
    map:unpin()]=],
["map:pop"] = [=[
map:pop([options])

Takes the next value out of a queue or a stack.

* options.raw (boolean): the value comes as a binary string. Default: false.

Gives data or nil: the value; nil where there is none.

nil, message, errno: the map is of another type.

    local stack <close> = assert(bpf.create { type = "stack", value = "u32", max_entries = 4 })
    stack:push(1)
    stack:push(2)
    print(stack:pop(), stack:pop(), stack:pop()) -- 2, 1, nil]=],
["map:push"] = [=[
map:push(value [, mode])

Adds a value to a queue, a stack or a bloom filter.

* value (data): the value, as its layout says.
* mode ("any" or "exist" or table): "exist" drops the oldest value when the queue is full; or a
  table of options. Default: "any".
* mode.mode ("any" or "exist"): "exist" drops the oldest value when the queue is full. Default:
  "any".
* mode.raw (boolean): a string is the bytes of the value. Default: false.

Gives boolean: true.

nil, message, errno: the queue is full, or the map is of another type.

Linux 5.16 for bloom filters.

    local queue <close> = assert(bpf.create { type = "queue", value = "u32", max_entries = 4 })
    queue:push(7)
    print(queue:pop()) -- 7]=],
["map:reader"] = [=[
map:reader([options])

Opens a reader of the events of a map: a ring buffer, or a perf event array. A map has one reader:
positions and buffers are the map's.

* options.layout (any): what a record is: the name of a struct ("struct event"), which is looked
  for in the BTF of the object that the map was loaded with, else of the programs that use it;
  declarations, the last of which may be "char name[]" or "bytes name[]"; or, where a field tells
  records apart, { field = "kind", [1] = layout, [2] = layout }. Left out: records are binary
  strings.
* options.pages (integer): of each CPU's perf buffer; a power of two. Default: 64.
* options.on_lost (function): called with a number and a CPU when its perf buffer had no room
  for so many events.
* options.take (boolean): reads although another process holds the map, and may be its reader.
  Default: false.

Gives reader: the reader.

nil, message, errno: the map has a reader (EBUSY), no BTF has the type (ENOENT), the handle is for
reading only.

Raises: the layout is none.

Linux 5.8 for ring buffers.

Needs CAP_PERFMON for perf buffers, CAP_SYS_ADMIN to look for types in the BTF of programs.

    local object <close> = assert(bpf.load "events.bpf.o")
    local reader <close> = assert(object.maps.ring:reader { layout = "struct event" })
    assert(object.programs.send:run())
    for event in reader:records { timeout = "0s" } do print(event.number, event.comm) end]=],
["map:rows"] = [=[
map:rows([options])

The rows of map:select as a list.

* options (query_options): what all queries take.
* options.where (where): the condition.
* options.columns (computed_columns): what of each entry; without them { key =, value = }.
* options.sort (string): as in map:select.
* options.limit (integer): at most so many.
* the fields of query_options

Gives table[]: the list, which prints as a table; and report: what was done.

nil, message, errno: the kernel refuses, or the rows need more than memory.

Raises: a text that does not compile, naming line and column.

    print(map:rows { columns = "key.addr, value.bytes", sort = "bytes", limit = 3 })]=],
["map:select"] = [=[
map:select([options])

The matching entries, or columns of them. It runs when the first row is asked for.

* options (query_options): what all queries take.
* options.where (where): the condition.
* options.columns (computed_columns): what of each entry; without them key and value come.
* options.sort (string): columns or expressions, separated by commas: numbers from the largest
  down, text and addresses from the smallest up, by their bytes; "... asc" and "... desc" say it;
  ties go by key.
* options.limit (integer): at most so many.
* options.reset (string or string[]): fields of the value, integers of 32 or 64 bits, that are
  exchanged with zero in one step with reading them: nothing that is added to them atomically
  meanwhile is lost. Rows come by batches, and a loop that is left early has taken the batch that
  it was in; without sort and limit, and not printed.
* the fields of query_options

Gives fun():table?,data: an iterator of tables by column names, or of key and value; it prints as
a table of its first rows, for which it is run once more, and rows gives all as a list.

Raises: a text that does not compile, naming line and column; an error object where the system
refuses.

    for row in map:select { where = "value.packets > 50", columns = "key.addr, value.bytes as size",
      sort = "size", limit = 3 } do
      print(row.addr, row.size)
    end]=],
["map:snapshot"] = [=[
map:snapshot([options])

The entries as they are now, in memory. Of a hash map every key that is present throughout is in
it once.

* options.where (where): the condition.
* options.params (table<string,any>): the values of $name in texts.
* options.columns (columns): they become the value of each key; those of per-CPU maps are sums
  over the CPUs.
* options.batch_size (integer): a hint: a batch is whole buckets. Default: 4096.
* options.compile (boolean): as of map:count.
* options.report (scan_report): a table that is filled with what the scan did.

Gives snapshot: the snapshot.

nil, message, errno: the kernel refuses.

Raises: a text that does not compile, naming line and column.

    local before <close> = assert(map:snapshot())
    map:update({ addr = "10.0.0.1", port = 1 }, { packets = 1000 })
    local after <close> = assert(map:snapshot())
    for change in after:diff(before) do print(change.status, change.key.port) end]=],
["map:stack"] = [=[
map:stack(id [, pid])

A stack of a stack_trace map as names, innermost first; an address without a name as "0x...".

* id (integer): what bpf_get_stackid gave the program.
* pid (integer): whose stack it is (BPF_F_USER_STACK); none: the kernel's.

Gives ?table: a list of names; nil where there is no such stack.

nil, message, errno: the addresses are hidden, or the process is gone.

Raises: the map holds no addresses of stacks.

Needs as bpf.symbol.

    local stacks <close> = assert(bpf.create { type = "stack_trace", name = "stacks", key = "u32",
      value_size = 8 * 32, max_entries = 64 })
    print(stacks:stack(1)) -- nil]=],
["map:take"] = [=[
map:take(key [, options])

Looks up and deletes in one step: what is given is gone, and nobody else gets it.

* key (data): the key, as its layout says.
* options.raw (boolean): the value comes as a binary string, and a string is the bytes of the
  key. Default: false.

Gives data or nil: the value; nil where the key is absent.

nil, message, errno: the type of map cannot do it.

Linux 5.14, hash types.

    local value = map:take { addr = "10.0.0.1", port = 1 }
    print(value.packets, map:lookup { addr = "10.0.0.1", port = 1 }) -- the second is nil]=],
["map:unpin"] = [=[
map:unpin()

Removes the pin that this handle made or was opened from: of several the newest, so that a second
call removes the one before. What another program has pinned there by now stays.

Gives true: the pin is gone.

nil, message, errno: none is known, something else is pinned there by now (ESTALE), or this
process may not remove it.

    assert(map:pin "/sys/fs/bpf/flows")
    assert(map:unpin())]=],
["map:update"] = [=[
map:update(key, value [, mode])

Stores a value under a key.

* key (data): the key, as its layout says.
* value (data): the value; fields that are left out are zero.
* mode ("any" or "noexist" or "exist" or table): the condition, or a table of options. Default:
  "any".
* mode.mode ("any" or "noexist" or "exist"): "noexist" stores only where the key is absent,
  "exist" only where it is there. Default: "any".
* mode.raw (boolean): strings are the bytes of key and value. Default: false.

Gives boolean: true; false where the condition does not hold.

nil, message, errno: the map is full, or the kernel refuses.

Raises: a key or value that the layout does not take, a closed map.

    assert(map:update({ addr = "10.0.0.1", port = 80 }, { packets = 1, bytes = 60 }))
    print(map:update({ addr = "10.0.0.1", port = 80 }, { packets = 2 }, "noexist")) -- false]=],
["map:update_batch"] = [=[
map:update_batch(keys [, values [, options]])

Stores many entries; all are encoded before the first reaches the kernel.

* keys (records): a list of keys, a packed string of them, or a batch, which has the values too.
* values (records): as many values, in the same order; not with a batch.
* options.mode ("any" or "noexist" or "exist"): "noexist" stores only what is absent, "exist"
  only what is there. Default: "any".
* options.raw (boolean): strings in lists are the bytes of keys and values. Default: false.
* options.status (boolean): a word for each key as one more result: "stored", "exists",
  "missing", "not done". Default: false.

Gives integer: how many were stored; and string[]: with status, a word for each key.

nil, message, errno: the map is full, or the kernel refuses; the fourth result is how many were
stored until then.

Raises: a key or value that the layout does not take, named by its place in the list.

Linux 5.6; elsewhere single calls give the same answers.

    local keys, values = {}, {}
    for i = 1, 100 do
      keys[i], values[i] = { addr = "10.1.0.1", port = i }, { packets = i }
    end
    print(map:update_batch(keys, values)) -- 100]=],
["map:update_where"] = [=[
map:update_where([where, change [, options]])

Changes fields of the entries that match, where they are: only what is named is written, each
field on its own, with atomic instructions where the field has a place for them; docs/updates.md
says what that is worth against other writers. The right sides read the entry before any of them
is stored.

* where (where): the condition; nil: all entries.
* change (string or fun(key:view,value:view)): assignments, "value.packets = 0, value.flags =
  value.flags | 1"; or a function that assigns to fields of the value, value.packets = 0. Lua
  runs it on a copy of each entry that matches, and what it changed is stored if the entry is
  still the same, else the entry counts as kept.
* options (query_options): what all queries take.
* options.dry_run (boolean): only counts what would be changed. Default: false.
* options.limit (integer): at most so many.
* the fields of query_options

Gives update_report: what was done.

nil, message, errno: the kernel refuses, or lets no program change the map: engine = "batch"
asks for single calls then, which replace whole values; the fourth result is what was done until
then.

Raises: a text that does not compile, naming line and column; a value that does not fit its field,
and what the function raises: nothing of that entry is stored.

Linux 5.14, 5.17 for maps that are too large for one walk, 5.19 for per-CPU maps, whose values are
changed each on its own CPU: value.f = ... on all, value[2].f = ... on one.

Needs CAP_BPF.

    print(map:update_where("value.packets > 10", "value.packets = value.packets - 10").updated)]=],
["map:upsert_batch"] = [=[
map:upsert_batch(keys [, values [, options]])

Stores many entries and tells apart what was there: replaces what exists and inserts what does
not. A key given twice is inserted, then updated.

* keys (records): a list of keys, a packed string of them, or a batch, which has the values too.
* values (records): as many values, in the same order; not with a batch.
* options.raw (boolean): strings in lists are the bytes of keys and values. Default: false.
* options.status (boolean): a word for each key as one more result: "inserted", "updated", "not
  done". Default: false.

Gives upsert_counts: how many were inserted and updated; and string[]: with status, a word for
each key.

nil, message, errno: the map is full, or the kernel refuses; the fourth result is the counts until
then.

Raises: a key or value that the layout does not take, named by its place in the list.

    local counts = map:upsert_batch({ { addr = "10.0.0.1", port = 1 }, { addr = "10.1.0.1" } },
      { { packets = 5 }, { packets = 6 } })
    print(counts.inserted, counts.updated) -- 1, 1]=],
["map:users"] = [=[
map:users()

The programs and processes that hold the map, this process among them; prints as a table. Pins
hold it too: bpf.pins.

Gives users: the lists.

nil, message, errno: this process may not see programs.

Needs CAP_SYS_ADMIN.

    print(map:users())]=],
["map:views"] = [=[
map:views([options])

Iterates over views of key and value, which move along: fields are read from the batch where they
are used.

* options (integer or scan_options): the batch size, or a table.
* the fields of scan_options

Gives fun():view?,view: an iterator of views.

Raises: an error object with message, errno and partial where the kernel refuses.

    local bytes = 0
    for _, value in map:views() do bytes = bytes + value.bytes end
    print(bytes)]=],
["map:writer"] = [=[
map:writer([options])

Opens a writer of a user ring buffer.

* options.layout (any): what records are: the name of a struct, declarations or a layout; left
  out: binary strings.

Gives writer: the writer.

nil, message, errno: the map is no user ring buffer, or no BTF has the type (ENOENT).

Raises: the layout is none, tells kinds of records apart, or ends with the rest of a record: write
binary strings then.

Linux 6.1.

    local object <close> = assert(bpf.load "events.bpf.o")
    local writer <close> = assert(object.maps.commands:writer { layout = "struct command" })
    assert(writer:write { number = 1, value = 42 })]=],
["object:close"] = [=[
object:close()

Frees what libbpf keeps of the object; again does nothing. Maps, programs, global variables and
links stay usable; only program:attach by section needs the object.

Gives true: the object is closed.

    local object = assert(bpf.load "programs.bpf.o")
    local maps = object.maps
    object:close()]=],
["object:help"] = [=[
object:help([name])

Prints what an object can do, or what one of its methods does.

* name (string): of a method.

Gives nil: nothing.

    local object <close> = assert(bpf.load "programs.bpf.o")
    object:help()]=],
["program:attach"] = [=[
program:attach([options])

Attaches the program: it runs from then on, until the link is closed or detached. A link that is
pinned keeps it running after that. Without options the section of the program says what to attach
to, and the object must still be open. A tc filter is no kernel link and outlives this process
when it is killed.

* options.cgroup (string): a folder of a cgroup2 file system.
* options.xdp (string): an interface.
* options.tc (string): an interface.
* options.tracepoint (string): "category:event"; for raw tracepoint programs the event counts
  alone.
* options.direction ("ingress" or "egress"): of tc, and of cgroup where the section does not
  say it. Default: "ingress".

Gives link: the link.

nil, message, errno: the kernel refuses, or there is no such cgroup, interface or event.

Raises: more than one target, none, and a direction that does not apply.

Linux 5.7 for cgroups, 5.9 for XDP, 5.15 for tracepoints.

Needs CAP_NET_ADMIN, for tracepoints CAP_PERFMON.

    local object <close> = assert(bpf.load "programs.bpf.o")
    local link <close> = assert(object.programs.count_xdp:attach { xdp = "lo" })
    print(link)]=],
["program:close"] = [=[
program:close()

Closes the handle; again does nothing. The program stays loaded while a link, a pin, the open
object or another handle has it.

Gives true: the handle is closed.

    local object <close> = assert(bpf.load "programs.bpf.o")
    object.programs.count_xdp:close()]=],
["program:fd"] = [=[
program:fd()

The descriptor of the handle, which stays the handle's and goes with it.

Gives integer: the descriptor.

    local object <close> = assert(bpf.load "programs.bpf.o")
    print(object.programs.count_xdp:fd())]=],
["program:help"] = [=[
program:help([name])

Prints what a program can do, or what one of its methods does.

* name (string): of a method.

Gives nil: nothing.

    local object <close> = assert(bpf.load "programs.bpf.o")
    object.programs.count_xdp:help "attach"]=],
["program:info"] = [=[
program:info()

What the kernel tells of the program: the fields of struct bpf_prog_info by their names. map_ids
is a list. run_time_ns and run_cnt count while the sysctl kernel.bpf_stats_enabled is 1.

Gives table: the fields.

nil, message, errno: the kernel refuses.

    local object <close> = assert(bpf.load "programs.bpf.o")
    print(object.programs.count_xdp:info().id)]=],
["program:pin"] = [=[
program:pin(path)

Pins the program in a BPF file system: it stays loaded. Its links are pinned by themselves.

* path (string): where, in a bpffs; names there have no dots.

Gives true: the program is pinned.

nil, message, errno: there is something at that path, or no bpffs.

    local object <close> = assert(bpf.load "programs.bpf.o")
    assert(object.programs.count_xdp:pin "/sys/fs/bpf/flows")
    local program <close> = assert(bpf.open_program "/sys/fs/bpf/flows")
    os.remove "/sys/fs/bpf/flows"]=],
["program:run"] = [=[
program:run([options])

Runs the program now, on a packet or a context, without attaching it.

* options.data (string): a packet, beginning with its Ethernet header, for the types that work
  on packets.
* options.ctx (string): the context: struct __sk_buff or struct xdp_md, where "" stands for the
  packet's own; the argument of "syscall" programs; the arguments of raw tracepoints, 8 bytes
  each.
* options.times (integer): how often to run it; types that work on packets only. Default: 1.

Gives run_result: what the program gave back.

nil, message, errno: the kernel refuses the packet or the context.

Raises: what the type of program cannot be given.

Linux 5.14 for "syscall" programs.

    local object <close> = assert(bpf.load "programs.bpf.o")
    local result = assert(object.programs.count_xdp:run { data = ("\0"):rep(64) })
    print(result.retval)]=],
["reader:batches"] = [=[
reader:batches([options])

Iterates over batches of records, which are read where they lie and released at the next step or
when the loop ends, also by a break or an error.

* options.batch_size (integer): records of one step, at most. Default: 256.
* options.timeout (integer or string): from the start of the loop: what lies there when it is
  over is still given; "0s": what is there now; none: waits for ever.
* options.limit (integer): so many records; the rest stays in the buffer.

Gives fun():events: an iterator, which ends early where a handler took a signal.

Raises: an error object where another reader took the position.

    local object <close> = assert(bpf.load "events.bpf.o")
    local reader <close> = assert(object.maps.ring:reader { layout = "struct event" })
    assert(object.programs.send:run())
    for batch in reader:batches { timeout = "0s" } do print(#batch, batch:sum "length") end]=],
["reader:close"] = [=[
reader:close()

Closes the reader; a loop or wait that goes on meanwhile ends. What was given last is released,
what was not given stays in a ring buffer. Again does nothing.

Gives true: it is closed.

    bpf.load("events.bpf.o").maps.ring:reader():close()]=],
["reader:closed"] = [=[
reader:closed()

Tells whether the reader is closed.

Gives boolean: whether it is.

    print(bpf.load("events.bpf.o").maps.ring:reader():closed())]=],
["reader:dirty"] = [=[
reader:dirty()

Tells copas and socket.select whether records lie there without a wait.

Gives boolean: whether they do.

    print(bpf.load("events.bpf.o").maps.ring:reader():dirty()) -- false]=],
["reader:events"] = [=[
reader:events()

What the descriptor is waited for, as cqueues wants to know.

Gives string: "r".

    print(bpf.load("events.bpf.o").maps.ring:reader():events()) -- r]=],
["reader:getfd"] = [=[
reader:getfd()

The same as pollfd, for copas and socket.select.

Gives integer: the descriptor.

    print(bpf.load("events.bpf.o").maps.ring:reader():getfd())]=],
["reader:next"] = [=[
reader:next([timeout])

The next record, decoded and released.

* timeout (integer or string): ns or text; none: waits for ever.

Gives ?data: the record; of one that fits no layout its bytes; nil when none came; and ?string:
why it comes as bytes, or why none came: "timeout", "closed", or "signal" when a handler took one;
and ?integer: the CPU, of perf buffers.

Raises: an error object where another reader took the position.

    local object <close> = assert(bpf.load "events.bpf.o")
    local reader <close> = assert(object.maps.ring:reader { layout = "struct event" })
    print(reader:next "10ms") -- nil timeout]=],
["reader:pollfd"] = [=[
reader:pollfd()

The descriptor that becomes readable when events may have come: the reader's own, edge-triggered.
Look as soon as it does, and after reader:timeout() in any case.

Gives integer: the descriptor, which stays the reader's.

    print(bpf.load("events.bpf.o").maps.ring:reader():pollfd())]=],
["reader:records"] = [=[
reader:records([options])

Iterates over the records, decoded. Each is released when the next is asked for or the loop ends,
also by a break or an error. A record that fits no layout comes as its bytes, and the reason after
it. Of perf buffers the CPU is the third.

* options.timeout (integer or string): from the start of the loop: what lies there when it is
  over is still given; "0s": what is there now; none: waits for ever.
* options.limit (integer): so many records; the rest stays in the buffer.

Gives fun():data?,string?,integer: an iterator, which ends early where a handler took a signal.

Raises: an error object where another reader took the position.

    local object <close> = assert(bpf.load "events.bpf.o")
    local reader <close> = assert(object.maps.ring:reader { layout = "struct event" })
    assert(object.programs.send:run())
    for event in reader:records { timeout = "1s", limit = 1 } do print(event.number) end]=],
["reader:stats"] = [=[
reader:stats()

What the reader has seen so far; prints as a table.

Gives reader_stats: the counts.

    print(bpf.load("events.bpf.o").maps.ring:reader():stats().records) -- 0]=],
["reader:timeout"] = [=[
reader:timeout()

Seconds after which the reader wants a look whatever its descriptor says, for cqueues: what was
sent without a wake-up is found then.

Gives number: 0 when records lie there; never nil.

    print(bpf.load("events.bpf.o").maps.ring:reader():timeout()) -- 0.1]=],
["signals:close"] = [=[
signals:close()

Lets the signals through again, unless another handle takes them; one that has come and was not
taken is delivered. Again does nothing.

Gives true: it is closed.

    bpf.signals("USR1"):close()]=],
["signals:dirty"] = [=[
signals:dirty()

Tells copas and socket.select whether something is there without a wait.

Gives boolean: false: the descriptor says it.

    print(bpf.signals("USR1"):dirty()) -- false]=],
["signals:events"] = [=[
signals:events()

What the descriptor is waited for, as cqueues wants to know.

Gives string: "r".

    print(bpf.signals("USR1"):events()) -- r]=],
["signals:getfd"] = [=[
signals:getfd()

The same as pollfd, for copas and socket.select.

Gives integer: the descriptor.

    print(bpf.signals("USR1"):getfd())]=],
["signals:next"] = [=[
signals:next([timeout])

Waits for a signal.

* timeout (integer or string): ns or text; none: waits for ever.

Gives ?string: its name, "TERM"; nil when none came; and ?string: why none came: "timeout", or
"signal" when a handler took another one.

    local stop <close> = bpf.signals "USR1"
    print(stop:next "10ms") -- nil timeout]=],
["signals:pollfd"] = [=[
signals:pollfd()

The descriptor that is readable when a signal has come.

Gives integer: the descriptor, which stays the handle's.

    local stop <close> = bpf.signals "USR1"
    print(stop:pollfd())]=],
["signals:timeout"] = [=[
signals:timeout()

Seconds after which it wants a look in any case, as cqueues wants to know.

Gives nil: it wants none.

    print(bpf.signals("USR1"):timeout()) -- nil]=],
["snapshot:aggregate"] = [=[
snapshot:aggregate([options])

Sums up the matching entries, in groups, as map:aggregate.

* options (query_options): what all queries take.
* options.where (where): the condition.
* options.group (computed_groups): the columns to group by; without them there is one row.
* options.select (columns): what of each group: "sum(value.bytes) as bytes".
* options.sort (string): a group or a result, largest first; "... asc": smallest first.
* options.limit (integer): at most so many rows, with group.
* options.workers (integer): threads that the batch engine may use. Default: 1.
* the fields of query_options

Gives table[]: the rows, which print as a table; exactly one without group; and report: what was
done.

nil, message, errno: a block is damaged, or the groups need more than memory.

    local snapshot <close> = assert(map:snapshot())
    print(snapshot:aggregate { group = "key.addr", select = "sum(value.bytes) as bytes" })]=],
["snapshot:batches"] = [=[
snapshot:batches([options])

Reads the snapshot a batch at a time.

* options (integer or snapshot_scan_options): the batch size, or a table.
* the fields of snapshot_scan_options

Gives fun():batch: an iterator of batches, each valid until the next.

Raises: an error object where a block is damaged.

    local snapshot <close> = assert(map:snapshot())
    for batch in snapshot:batches(10) do print(#batch) end]=],
["snapshot:close"] = [=[
snapshot:close()

Closes the file, or frees the memory; again does nothing. Batches of it stay valid.

Gives true: the snapshot is closed.

    local snapshot = assert(map:snapshot())
    snapshot:close()]=],
["snapshot:count"] = [=[
snapshot:count([where [, options]])

How many entries match, as map:count; without a condition how many there are.

* where (where): the condition.
* options (query_options): what all queries take.
* options.workers (integer): threads that the batch engine may use. Default: 1.
* the fields of query_options

Gives integer: how many; and report: with a condition or options, what was done.

nil, message, errno: a block is damaged.

    local snapshot <close> = assert(map:snapshot())
    print((snapshot:count "value.packets > 50"))]=],
["snapshot:describe"] = [=[
snapshot:describe()

What the snapshot is of: its header, and the fields of key and value with their types, offsets and
sizes.

Gives table: header, key, value: prints as text.

    local snapshot <close> = assert(map:snapshot())
    print(snapshot:describe())]=],
["snapshot:diff"] = [=[
snapshot:diff(old [, options])

What has changed since an older snapshot of the same map, or of one with the same key and value.

* old (snapshot): the older one.
* options.memory (size): for the entries of the smaller one; with less both are read several
  times. Default: "64MiB".

Gives fun():difference: an iterator of differences, in no order.

Raises: snapshots that cannot be compared; an error object where a block is damaged.

    local before <close> = assert(map:snapshot())
    map:delete { addr = "10.0.0.1", port = 1 }
    local after <close> = assert(map:snapshot())
    for change in after:diff(before) do print(change.status, change.key.port) end -- removed, 1]=],
["snapshot:entries"] = [=[
snapshot:entries([options])

Iterates over key and value, decoded.

* options (integer or snapshot_scan_options): the batch size, or a table.
* the fields of snapshot_scan_options

Gives fun():data?,data: an iterator of keys and values.

Raises: an error object where a block is damaged.

    local snapshot <close> = assert(map:snapshot())
    for key, value in snapshot:entries() do print(key.addr, value.packets) end]=],
["snapshot:export"] = [=[
snapshot:export(target [, options])

Writes the entries of the snapshot as lines of JSON or CSV, as map:export does.

* target (string or file* or fun(text:string):any): a path, under which the file appears whole;
  an open file; "-"; or what is called with text of whole rows.
* options.format ("jsonl" or "csv"): what the path ends in without it, else "jsonl".
* options.where (where): the condition.
* options.params (table<string,any>): the values of $name in texts.
* options.columns (columns): what of each entry, in place of key and value.
* options.progress (progress): true: a line on a terminal; or what is called now and then.
* options.batch_size (integer): entries at a time. Default: 4096.
* options.compile (boolean): as of map:count.

Gives export_report: what was written, which prints as a table.

nil, message, errno: the file cannot be written, or a part of the snapshot is damaged; the fourth
result is what was written until then.

    local snapshot <close> = assert(map:snapshot())
    print(snapshot:export("flows.csv").entries)]=],
["snapshot:fold"] = [=[
snapshot:fold(acc, f [, options])

Folds the matching entries into accumulators, as map:fold.

* acc (table): the accumulators.
* f (fun(acc:table,key:view,value:view)): changes them.
* options (query_options): what all queries take.
* options.where (where): the condition.
* the fields of query_options

Gives table: acc, changed; and report: what was done.

nil, message, errno: a block is damaged.

Raises: what the function raises, with partial, the report, and traceback.

    local snapshot <close> = assert(map:snapshot())
    print(snapshot:fold({ n = 0 }, function(acc) acc.n = acc.n + 1 end).n)]=],
["snapshot:head"] = [=[
snapshot:head([n])

The first entries, as a table at the prompt.

* n (integer): how many. Default: 10.

Gives table[]: a list of { key =, value = }, which prints as a table.

Raises: an error object where a block is damaged.

    local snapshot <close> = assert(map:snapshot())
    print(snapshot:head(3))]=],
["snapshot:header"] = [=[
snapshot:header()

What the snapshot is of.

Gives snapshot_header: the map's info, layouts, time, boot, counts; prints as a table.

    local snapshot <close> = assert(map:snapshot())
    print(snapshot:header().entries)]=],
["snapshot:help"] = [=[
snapshot:help([name])

Prints what a snapshot can do, or what one of its methods does.

* name (string): of a method.

Gives nil: nothing.

    local snapshot <close> = assert(map:snapshot())
    snapshot:help "diff"]=],
["snapshot:select"] = [=[
snapshot:select([options])

The matching entries, or columns of them, as map:select.

* options (query_options): what all queries take.
* options.where (where): the condition.
* options.columns (computed_columns): what of each entry; without them key and value come.
* options.sort (string): a column, or an integer expression: largest first; "... asc": smallest
  first.
* options.limit (integer): at most so many.
* the fields of query_options

Gives fun():table?,data: an iterator of tables by column names, or of key and value.

Raises: a text that does not compile, naming line and column; an error object where a block is
damaged.

    local snapshot <close> = assert(map:snapshot())
    for row in snapshot:select { columns = "key.addr, value.bytes", limit = 3 } do
      print(row.addr)
    end]=],
["snapshot:views"] = [=[
snapshot:views([options])

Iterates over views of key and value, which move along.

* options (integer or snapshot_scan_options): the batch size, or a table.
* the fields of snapshot_scan_options

Gives fun():view?,view: an iterator of views.

Raises: an error object where a block is damaged.

    local snapshot <close> = assert(map:snapshot())
    for key, value in snapshot:views() do print(key.addr, value.packets) end]=],
["timer:close"] = [=[
timer:close()

Ends the timer. Again does nothing.

Gives true: it is closed.

    bpf.timer("1s"):close()]=],
["timer:dirty"] = [=[
timer:dirty()

Tells copas and socket.select whether something is there without a wait.

Gives boolean: false: the descriptor says it.

    print(bpf.timer("1s"):dirty()) -- false]=],
["timer:events"] = [=[
timer:events()

What the descriptor is waited for, as cqueues wants to know.

Gives string: "r".

    print(bpf.timer("1s"):events()) -- r]=],
["timer:getfd"] = [=[
timer:getfd()

The same as pollfd, for copas and socket.select.

Gives integer: the descriptor.

    print(bpf.timer("1s"):getfd())]=],
["timer:next"] = [=[
timer:next([timeout])

Waits until the timer is due.

* timeout (integer or string): ns or text; none: waits for ever.

Gives ?integer: how often it was due since it was last asked; nil when it was not; and ?string:
why not: "timeout", or "signal" when a handler took one.

    local tick <close> = bpf.timer "10ms"
    print(tick:next() >= 1) -- true]=],
["timer:pollfd"] = [=[
timer:pollfd()

The descriptor that is readable when the timer is due.

Gives integer: the descriptor, which stays the timer's.

    local tick <close> = bpf.timer "1s"
    print(tick:pollfd())]=],
["timer:timeout"] = [=[
timer:timeout()

Seconds after which it wants a look in any case, as cqueues wants to know.

Gives nil: it wants none.

    print(bpf.timer("1s"):timeout()) -- nil]=],
["tracker:cleanup"] = [=[
tracker:cleanup([options])

Deletes idle connections, each judged on its live entry immediately before. A time for the state
comes before one for the protocol, and that before idle; a connection for which none of them
says a time is kept.

* options.idle (time): how long nothing was sent.
* options.per_protocol (table<protocol,time>): the same by protocol.
* options.per_state (table<state,time>): the same by state.
* options.where (string or fun(key:any,value:any):any): a condition on the entry that must hold
  too.
* options.params (table<string,any>): the values of $name in where.
* options.dry_run (boolean): only counts. Default: false.
* options.limit (integer): at most so many.
* options.on_delete (fun(connection:connection)): called after each deletion.

Gives table: the report of map:delete_where.

nil, message, errno: the kernel refuses; the fourth result is the report until then.

    print(tracker:cleanup { idle = "5m", per_protocol = { udp = "30s" } }.deleted)]=],
["tracker:close"] = [=[
tracker:close()

Closes the handle. A pinned tracker goes on; another one ends with its handle.

Gives true: the handle is closed.

    local tracker = assert(conntrack.start { cgroup = CGROUP })
    tracker:close()]=],
["tracker:counters"] = [=[
tracker:counters()

What became of all packets that were looked at, by name.

Gives table<string,integer>: the counters.

nil, message, errno: the kernel refuses.

    print(tracker:counters().seen)]=],
["tracker:find"] = [=[
tracker:find(a [, b])

The connections of an endpoint, or between two in whichever order. Two whole ones, addresses with
ports, are looked up without reading the table.

* a (string): an endpoint: "10.0.0.1:80", "[::1]:80", an address, ":80".
* b (string): the other end.

Gives connection[]: the connections.

nil, message, errno: the kernel refuses the scan.

    print(tracker:find "10.0.0.1")]=],
["tracker:insert"] = [=[
tracker:insert(list)

Stores many connections, replacing what is there.

* list (connection[]): the connections.

Gives integer: how many were stored.

nil, message, errno: the table is full, or the kernel refuses; the fourth result is how many until
then.

    print(tracker:insert {
      { src_addr = "10.0.0.1", src_port = 1, dst_addr = "10.0.0.2", dst_port = 80 } })]=],
["tracker:list"] = [=[
tracker:list([options])

The connections, as a list that prints as a table.

* options.protocol (protocol): only this protocol.
* options.state (state): only in this state.
* options.endpoint (string): one end, whichever: "10.0.0.1:80", "[::1]:80", an address, ":80".
* options.idle (time): nothing was sent for at least so long.
* options.where (string or fun(key:any,value:any):any): a condition on the entry.
* options.params (table<string,any>): the values of $name in where.
* options.sort (string): a field, largest first, or "FIELD asc"; without it bytes of both
  directions. Default: "bytes".
* options.limit (integer): at most so many.

Gives connection[]: the connections.

nil, message, errno: the kernel refuses the scan.

    print(tracker:list { protocol = "tcp", sort = "packets", limit = 10 })]=],
["tracker:query"] = [=[
tracker:query(list)

Looks up many connections.

* list (connection[]): protocol, addresses and ports count, in either direction.

Gives connection[]: those found, at the same places; nil where there is none; and integer: how
many were found.

nil, message, errno: the kernel refuses a lookup.

    local found, n = tracker:query {
      { src_addr = "10.0.0.1", src_port = 1, dst_addr = "10.0.0.2", dst_port = 80 } }
    print(n, found[1])]=],
["tracker:remove"] = [=[
tracker:remove(list)

Deletes many connections.

* list (connection[]): protocol, addresses and ports count, in either direction.

Gives integer: how many were deleted; and integer: how many were not there.

nil, message, errno: the kernel refuses.

    print(tracker:remove {
      { src_addr = "10.0.0.1", src_port = 1, dst_addr = "10.0.0.2", dst_port = 80 } })]=],
["tracker:stats"] = [=[
tracker:stats([options])

Sums up the table, inside the kernel where it can; prints as tables.

* options.top (integer): how many ports and connections to rank. Default: 10.

Gives stats: the sums.

nil, message, errno: the kernel refuses the scan.

    print(tracker:stats { top = 3 })]=],
["tracker:stop"] = [=[
tracker:stop()

Ends tracking: detaches the programs, removes the pins, closes the handle.

Gives true: the tracker is gone.

nil, message, errno: a pin cannot be removed.

    local tracker = assert(conntrack.start { cgroup = CGROUP })
    tracker:stop()]=],
["writer:close"] = [=[
writer:close()

Closes the writer; what was written stays for the programs. Again does nothing.

Gives true: it is closed.

    bpf.load("events.bpf.o").maps.commands:writer():close()]=],
["writer:write"] = [=[
writer:write(record)

Gives a record to the programs that drain the ring.

* record (data): bytes, or with a layout what it encodes.

Gives true: it is written.

nil, message, errno: the ring is full (ENOSPC), or smaller than the record (E2BIG).

    local object <close> = assert(bpf.load "events.bpf.o")
    local writer <close> = assert(object.maps.commands:writer { layout = "struct command" })
    assert(writer:write { number = 1, value = 42 })]=],
["batch"] = [=[
batch

A run of entries in memory: what a scan, lookup_batch, copy or pick gave. #batch is how
many there are. A batch of a scan is valid until the next step, and raises after it; what copy,
pick and lookup_batch give stays.]=],
["bench_result"] = [=[
bench_result

What bpf.bench measured; times are in ns per entry.

* sizes (table[]): the time for each batch size.
* best (integer): the best batch size.
* views (number): the time for a view, besides.
* tables (number): the time for decoded tables, besides.
* engines (table[]): the time of each engine for the condition.
* why (string): which engine a query would take and why.]=],
["bpf"] = [=[
bpf

The module, as require gives it.

* _VERSION (string): the version of luabpf.
* errno (table<string or integer,integer or string>): bpf.errno.ENOENT and the others; and
  from number to name.
* defaults (defaults): what is taken where an option is left out; may be changed.
* iter (table): iterators that work on iterators.]=],
["columns"] = [=[
columns

Columns: text with commas between them, a list, or a table of name = expression. "value.bytes as
b" names one.

string|string[]|table<string,string>]=],
["computed_columns"] = [=[
computed_columns

Columns, or a function of views of key and value that gives a table of them: { size =
value.bytes, port = key.port }. A column has one type; nil is an empty place.

string|string[]|table<string,string>|fun(key:view,value:view):table]=],
["computed_groups"] = [=[
computed_groups

Columns to group by, or a function of views of key and value: what it gives is the column group,
or a table of columns.

string|string[]|table<string,string>|fun(key:view,value:view):any]=],
["connection"] = [=[
connection

A connection. To insert one, addresses are needed; what is left out besides is "tcp", "new", 0,
now.

* protocol (protocol): which protocol. Default: "tcp".
* src_addr (string): the initiator: who sent the first packet.
* src_port (integer): the initiator's port; of ICMP both are the identifier of the echo.
  Default: 0.
* dst_addr (string): the responder.
* dst_port (integer): the responder's port. Default: 0.
* state (state): of TCP, as its flags show; others are "new", and "established" once the
  responder has answered. Default: "new".
* packets (integer): sent by the initiator. Default: 0.
* bytes (integer): sent by the initiator, from the IP header on. Default: 0.
* reply_packets (integer): sent by the responder. Default: 0.
* reply_bytes (integer): sent by the responder. Default: 0.
* first_seen (integer): when it began, in ns, on the clock of bpf.now. Default: "now".
* last_seen (integer): when something was sent last, in ns. Default: "now".]=],
["create_options"] = [=[
create_options

What bpf.create makes a map of.

* type (string, needed): the type as bpftool names it: "hash", "lru_hash", "array",
  "percpu_hash", "lpm_trie" and so on.
* name (string): up to 15 letters, digits, _ and .. Default: "".
* key (declaration): the layout of keys; arrays take "u32" without one.
* value (declaration): the layout of values.
* key_size (integer): bytes of a key, which is a binary string then.
* value_size (integer): bytes of a value, which is a binary string then.
* max_entries (integer): how many entries there is room for. Default: 1.
* flags (string[]): a list of "no_prealloc", "mmapable", "zero_seed" and so on: linux/bpf.h's in
  small letters.
* pin (string): a path in a bpffs, where the map lives on.
* replace (boolean): takes the place of a map that is pinned there, in one step. Default: false.
* inner (create_options or map): for maps of maps: a map as they are to be, or the options for
  one.
* map_extra (integer): what some types take besides, as the number of hashes of a bloom filter.
  Default: 0.
* numa_node (integer): the node whose memory it takes.]=],
["data"] = [=[
data

What a map holds: a number, text, a boolean, a list or a table of fields, as its layout says.

any]=],
["declaration"] = [=[
declaration

A layout: a type name as "u32", a list of declarations as in C, or a layout that luabpf made of
these.

string|table|userdata]=],
["defaults"] = [=[
defaults

What functions take where an option is left out: bpf.defaults, which may be changed.

* batch_size (integer): entries of a batch. Default: 4096.
* memory (integer): bytes for the rows and groups of a query. Default: 67108864.
* budget (integer): how long one run inside the kernel may take, in ns; 2000000000 where the
  kernel says that it is preemptible. Default: 250000000.
* compile (boolean): whether functions as where are compiled. Default: true.
* checkpoint_interval (integer): how often an export writes its checkpoint, in ns. Default:
  1000000000.]=],
["delete_report"] = [=[
delete_report

What a filtered delete did; matched is deleted, missing, kept and what limit cut off.

* deleted (integer): how many are gone.
* missing (integer): how many somebody else had deleted before.
* kept (integer): how many no longer matched, or had changed, when it was their turn.
* the fields of report]=],
["difference"] = [=[
difference

One thing that has changed between two snapshots.

* status ("added" or "removed" or "changed"): what became of the key.
* key (data): the key.
* old (data): the value before, where there was one.
* new (data): the value now, where there is one.
* delta (data): of what changed the value's integer fields, new minus old; of per-CPU values the
  sums over the CPUs.]=],
["events"] = [=[
events

The records of one step of a reader, where they lie, until its next step. #events is their
number.]=],
["export_report"] = [=[
export_report

What an export wrote.

* entries (integer): how many are in the whole file.
* bytes (integer): how long the file is.
* seconds (number): how long it took.
* resumed (boolean): whether it went on where another had stopped.
* compiled (boolean or "partly"): of a function as where, what of it runs without Lua.
* asked (integer): of a function as where, how many entries Lua judged.
* workers (integer): how many threads there were, where that was asked for.
* deleted (integer): how many a drain deleted.
* missing (integer): how many somebody else had deleted before a drain did.
* changed (integer): how many a drain left, since they had changed.
* kept (string): the file of an earlier drain, after a restart.]=],
["expression"] = [=[
expression

An expression that bpf.compile compiled; tostring lists its instructions.

* text (string): the expression as it was given.
* kind ("condition" or "signed" or "unsigned"): what it gives.]=],
["features"] = [=[
features

What bpf.features found: a field for each feature, and these.

* kernel (string): the kernel's release.
* cpus (integer): how many CPUs are possible.
* missing_privileges (string): the capabilities that this process lacks; nil for none.
* map_types (table<string,boolean>): by name, whether the kernel has the type.]=],
["group"] = [=[
group

A sum over connections.

* connections (integer): how many.
* packets (integer): of both directions.
* bytes (integer): of both directions.]=],
["import_report"] = [=[
import_report

What an import stored.

* inserted (integer): how many entries are new.
* updated (integer): how many were replaced.
* skipped (integer): how many mode left as they were.
* seconds (number): how long it took.
* resumed (boolean): whether it went on where another had stopped.
* workers (integer): how many threads there were, where that was asked for.]=],
["info"] = [=[
info

What the kernel tells of a map: the fields of struct bpf_map_info by their names, and some more.
Prints as a table.

* id (integer): the number that the kernel gave it.
* name (string): its name, up to 15 bytes; "" where it has none.
* type (string): its type, as bpftool names it.
* key_size (integer): bytes of a key.
* value_size (integer): bytes of a value, on one CPU.
* max_entries (integer): how many entries there is room for.
* map_flags (integer): its flags as one number.
* flags (string[]): the names of its flags; not in the list of bpf.maps.
* memlock (integer): bytes of memory that it has; not in the list of bpf.maps.
* frozen (boolean): whether user space can only read it; not in the list of bpf.maps.
* mapped (boolean): of arrays made with the flag mmapable: whether this handle reads and writes
  them through memory, without system calls.
* unmapped (string): why it does not.
* pin (string): where this handle knows it to be pinned.
* btf_id (integer): the id of its BTF; 0 where it has none.
* map_extra (integer): what some types take besides, as the number of hashes of a bloom filter.]=],
["link"] = [=[
link

A program that is attached to something.]=],
["load_map"] = [=[
load_map

What of a map in an object file is to be other than the file says.

* type (string): another type of map.
* max_entries (integer): room for another number of entries.
* pin (string): a path in a bpffs: the map there is taken, or made.
* key (declaration): the layout of keys; over BTF it changes the types of the fields it names.
* value (declaration): the layout of values; over BTF it changes the types of the fields it
  names.]=],
["map"] = [=[
map

A handle on a map of the kernel. #map is max_entries, pairs(map) the same as map:entries().
map1 == map2 says whether both are the same map of the kernel, tostring(map) its name, type
and sizes.]=],
["more_open_options"] = [=[
more_open_options

What goes after a path, a name or an id in bpf.open.

* readonly (boolean): opens it for reading only. Default: false.
* key (declaration): the layout of keys; over BTF it changes the types of the fields it names.
* value (declaration): the layout of values; over BTF it changes the types of the fields it
  names.]=],
["object"] = [=[
object

What bpf.load loaded: the maps, programs and global variables of an object file, by name.

* maps (table<string,map>): the maps.
* programs (table<string,program>): the programs.
* globals (table<string,data>): the global variables: read and written in the loaded programs.
* warnings (string[]): what of the file the kernel did not take, and goes without: BTF that it
  refuses; mostly empty.]=],
["open_options"] = [=[
open_options

What bpf.open takes in place of a path, name or id: one of the four ways, and the rest.

* path (string): a pin, in a bpffs.
* name (string): the map's name, of which the kernel keeps 15 bytes.
* id (integer): the map's id.
* fd (integer): a descriptor, which stays the caller's.
* the fields of more_open_options]=],
["parallel_report"] = [=[
parallel_report

What map:parallel did.

* workers (integer): how many threads there were.
* batches (integer): how many batches they had.
* entries (integer): how many entries were in them.
* matched (integer): how many the condition held for.
* seconds (number): how long it took.]=],
["pinned"] = [=[
pinned

What is pinned in a BPF file system.

* path (string): its path.
* kind ("map" or "program" or "link" or "other"): what it is; "other" is what could not be
  opened.
* id (integer): its id.
* name (string): of maps and programs that have one.
* type (string): the type, as the kernel calls it.
* reason (string): why it could not be opened.]=],
["plan"] = [=[
plan

The plan of a query.

* engine ("kernel" or "batch" or "walk"): the one that would be used.
* why (string): why it would.
* estimates (table<string,integer>): ns by engine.
* entries (integer): how many are expected.
* row_bytes (integer): the size of a row.
* groups (string): how the groups of an aggregation are found, "by index" (also ", inside the
  kernel") or "by hash".
* budget (integer): ns that a run inside the kernel may take.
* budget_why (string): where that comes from: whether the kernel is preemptible, and who says
  so.
* size (table): what the estimates are made of.
* fragments (table[]): the compiled parts: name and listing of each.
* compiled (boolean or "partly"): of functions, what of them runs without Lua.
* reasons (string[]): of functions, what is left to Lua: "file:line: why".]=],
["port"] = [=[
port

A sum over the connections of a responder's port.

* protocol (protocol): the port's protocol.
* port (integer): the port's number.
* the fields of group]=],
["program"] = [=[
program

A program that is loaded into the kernel.

* name (string): its name in the object file, or the kernel's 15 bytes of it.
* type (string): its type, as bpftool names it.]=],
["progress"] = [=[
progress

How work reports while it goes on: true prints a line on standard error if that is a terminal, a
function is called a few times a second with entries done, about how many there are (or nil) and
seconds.

boolean|fun(entries:integer,total:integer?,seconds:number)]=],
["protocol"] = [=[
protocol

The protocol of a connection.

"tcp"|"udp"|"icmp"|"icmpv6"]=],
["query_options"] = [=[
query_options

The options that all queries take.

* params (table<string,any>): the values of $name in texts.
* engine ("kernel" or "batch" or "walk"): forces one; without it the cheapest that can.
* exact (boolean): keeps to the batch cursor, which misses nothing while entries are replaced.
  Default: false.
* memory (size): for rows and groups. Default: "64MiB".
* budget (time): how long one run inside the kernel may take; it holds its CPU for so long.
  Default: "250ms".
* batch_size (integer): a hint, of the batch engine: a batch is whole buckets. Default: 4096.
* report (report): a table that is filled with the report.
* compile (boolean): of functions: true raises unless all of each is compiled, false has Lua run
  them for all entries; without it what can be is compiled.]=],
["reader"] = [=[
reader

A reader of a ring buffer or of perf buffers.]=],
["reader_stats"] = [=[
reader_stats

What a reader has seen.

* records (integer): looked at.
* bytes (integer): of them.
* discarded (integer): given up by the program that had reserved them.
* lost (integer): what perf buffers had no room for; a ring buffer has no such count.
* backlog (integer): bytes that wait to be read now.
* high_water (integer): the most bytes that a look found waiting in one buffer.]=],
["records"] = [=[
records

Many keys or values: a list, a packed string of records, or a batch, which serves as both.

data[]|string|batch]=],
["report"] = [=[
report

What a query did.

* engine ("kernel" or "batch" or "walk"): the one that was used.
* why (string): why it was.
* visited (integer): how many entries were looked at.
* matched (integer): how many the condition held for.
* compiled (boolean or "partly"): of functions, what of them runs without Lua.
* asked (integer): of functions, how many entries Lua ran them for.
* complete (boolean): whether the whole map was looked at.
* exact (boolean): whether entries that were there throughout were seen exactly once.
* seconds (number): how long it took.]=],
["restore_options"] = [=[
restore_options

What bpf.create makes the map of a snapshot with: its type, size, layouts and entries.

* from (snapshot, needed): a snapshot of whole entries, which stays open; per-CPU maps keep each
  CPU's value.
* pin (string): a path in a bpffs: the map appears there when it is complete; a try that was
  killed is gone on with.
* replace (boolean): takes the place of a map that is pinned there, in one step, when it is
  complete. Default: false.
* name (string): another name than the snapshot's.
* max_entries (integer): another number of entries than the snapshot's.
* other_cpus (boolean): takes values of a machine with another number of CPUs: of those that
  both have. Default: false.]=],
["run_result"] = [=[
run_result

What one program:run gave back.

* retval (integer): what the C program returned, a signed 32-bit integer.
* data (string): the packet as the program left it; nil for types without packets.
* ctx (string): the context as the program left it, if one was given.
* ns (integer): how long a run took on average; nil where the kernel does not time it.]=],
["scan_options"] = [=[
scan_options

The options of what reads a map from its start to its end.

* batch_size (integer): a hint: a batch is whole buckets. Default: 4096.
* from (string): a batch's cursor: goes on after it.
* raw (boolean): binary strings come instead of decoded data. Default: false.
* engine ("batch" or "walk"): "walk" asks for one key after the other: it may miss or repeat
  keys that are replaced meanwhile. Default: "batch".
* report (scan_report): a table that is filled when the loop ends.]=],
["scan_report"] = [=[
scan_report

What a scan did: report = {} in the options of an iterator is filled with it when the loop ends.

* batches (integer): how many batches were given.
* entries (integer): how many entries were in them.
* calls (integer): how many system calls were made.
* grown (integer): how often the buffer was too small for a bucket.
* retried (integer): how often the kernel was asked again.
* restarted (integer): how often a key walk had to begin anew, which may repeat entries.
* complete (boolean): whether the end of the map was reached.]=],
["signals"] = [=[
signals

Signals that come as values, in place of their handlers.]=],
["size"] = [=[
size

A size: bytes, or text as "64MiB" with the units B KiB MiB GiB.

integer|string]=],
["snapshot"] = [=[
snapshot

The entries of a map as they were, in a file or in memory. #snapshot is how many can be read.]=],
["snapshot_header"] = [=[
snapshot_header

What a snapshot is of.

* type (string): the map's type.
* name (string): the map's name.
* id (integer): the map's id.
* key_size (integer): bytes of a key.
* value_size (integer): bytes of a value, on one CPU.
* max_entries (integer): how many entries the map has room for.
* map_flags (integer): the map's flags as one number.
* flags (string[]): the names of the map's flags.
* map_extra (integer): what some types take besides.
* ncpu (integer): how many CPUs the values are of; 0: plain values.
* key (table): the layout of keys, described.
* value (table): the layout of values, described.
* where (string): the condition that was given.
* columns (table): the columns that were given.
* time (integer): seconds since 1970 of when it was begun.
* boottime (integer): the time since boot of when it was begun, in ns.
* boot_id (string): which boot that was.
* kernel (string): the kernel's release.
* entries (integer): how many there are.
* blocks (integer): in how many blocks.
* bytes (integer): how long the file is.
* damage (table[]): with damaged: reason, from and to (bytes of the file), after
  (entries before it), entries (missing ones, nil where that is not known).]=],
["snapshot_scan_options"] = [=[
snapshot_scan_options

The options of what reads a snapshot.

* batch_size (integer): at most so many; a batch does not go past a block. Default: 4096.
* raw (boolean): binary strings come instead of decoded data. Default: false.]=],
["state"] = [=[
state

The state of a connection.

"new"|"syn_sent"|"syn_received"|"established"|"fin_wait"|"close_wait"|"closing"|"closed"|"reset"]=],
["stats"] = [=[
stats

What tracker:stats sums up.

* reply_packets (integer): of them the responders'.
* reply_bytes (integer): of them the responders'.
* packets_per_connection (number): on average.
* bytes_per_connection (number): on average.
* protocols (table<protocol,group>): sums by protocol.
* states (table<state,group>): sums by state.
* ports (port[]): the responders' ports, the busiest first.
* top (connection[]): the connections with the most bytes.
* oldest (connection): the one that began first.
* the fields of group]=],
["time"] = [=[
time

A span of time: nanoseconds, or text as "30s" with the units ns us ms s m h d.

integer|string]=],
["timer"] = [=[
timer

A timer that is due again and again.]=],
["tracker"] = [=[
tracker

A connection tracker: the programs that watch and the table that they fill.

* map (map): the table, a map like any other.]=],
["update_report"] = [=[
update_report

What a change did; matched is updated, missing and kept.

* updated (integer): how many were changed.
* missing (integer): how many somebody else had deleted before.
* kept (integer): how many no longer matched, or were changed by others again and again, when it
  was their turn.
* the fields of report]=],
["upsert_counts"] = [=[
upsert_counts

What map:upsert_batch did.

* inserted (integer): how many were absent before.
* updated (integer): how many were replaced.]=],
["users"] = [=[
users

Who holds a map.

* programs (table[]): those that use it: id, name, type.
* processes (table[]): those with a descriptor of it, as far as this process may see: pid,
  name.]=],
["view"] = [=[
view

Reads fields of a key or value out of a batch: view.bytes, view.list[2], #view.list,
pairs(view). It is for reading, and valid until the next step; bpf.copy(view) is a table.]=],
["where"] = [=[
where

A condition: the text of an expression, a compiled one, or a function of key and value, which gets
views.

string|expression|fun(key:view,value:view):any]=],
["writer"] = [=[
writer

A writer of a user ring buffer: gives records to the BPF programs that drain it.]=],
}
