// SPDX-License-Identifier: MIT
/*
 * Tells which programs are executed: an event for each through a ring buffer,
 * and a table of what was executed how often. For examples/execs.lua and the
 * scripts with loop libraries beside it.
 */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#define MAX_PATH 256

/* The event sched:sched_process_exec. Source: its file `format` in tracefs. */
struct exec_context {
	__u64 common;
	__u32 filename;		/* where the text lies: the lower 16 bits are an offset */
	__s32 pid;
	__s32 old_pid;
};

struct exec {
	__u64 when;		/* ns since boot, bpf_ktime_get_ns */
	__u32 pid;
	__u32 uid;
	char comm[16];
	char path[];		/* the rest of the record */
};

const struct exec *unused_exec __attribute__((unused));

struct buffer {
	char bytes[sizeof(struct exec) + MAX_PATH] __attribute__((aligned(8)));
};

struct program {
	char comm[16];
};

struct times {
	__u64 runs;
	__u64 last_seen;
};

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 18);
} execs SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 10000);
	__type(key, struct program);
	__type(value, struct times);
} programs SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct buffer);
} buffers SEC(".maps");

__u64 missed;			/* events that the ring had no room for */

static void count(const struct exec *e)
{
	struct program key;
	struct times *times, first = { .runs = 1, .last_seen = e->when };

	__builtin_memcpy(key.comm, e->comm, sizeof(key.comm));
	times = bpf_map_lookup_elem(&programs, &key);
	if (!times) {
		bpf_map_update_elem(&programs, &key, &first, BPF_ANY);
		return;
	}
	__sync_fetch_and_add(&times->runs, 1);
	times->last_seen = e->when;
}

SEC("tracepoint/sched/sched_process_exec")
int on_exec(struct exec_context *ctx)
{
	__u32 zero = 0;
	struct buffer *b = bpf_map_lookup_elem(&buffers, &zero);
	struct exec *e;
	long length;

	if (!b)
		return 0;
	e = (struct exec *)b->bytes;
	e->when = bpf_ktime_get_ns();
	e->pid = bpf_get_current_pid_tgid() >> 32;
	e->uid = (__u32)bpf_get_current_uid_gid();
	bpf_get_current_comm(e->comm, sizeof(e->comm));
	length = bpf_probe_read_kernel_str(b->bytes + sizeof(*e), MAX_PATH,
					   (void *)ctx + (__u16)ctx->filename);
	if (length < 0 || length > MAX_PATH)
		length = 0;
	count(e);
	if (bpf_ringbuf_output(&execs, b->bytes, sizeof(*e) + length, 0))
		__sync_fetch_and_add(&missed, 1);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
