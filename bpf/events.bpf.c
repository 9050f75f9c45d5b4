// SPDX-License-Identifier: MIT
/*
 * What the specs and the benchmark of events load: programs that are run by
 * hand (`program:run`) and send records of which the reader knows all: their
 * number, or what they are.
 */
#include <linux/bpf.h>
#include <stdbool.h>

#include <bpf/bpf_helpers.h>

#define MAX_RECORD 4096

struct event {
	__u64 number;
	__u64 when;		/* ns, bpf_ktime_get_ns */
	__u32 length;
	__u32 cpu;
	char comm[16];
	__u8 rest[24];
};

struct opened {
	__u32 kind;
	__u32 length;
	char name[32];
};

struct closed {
	__u32 kind;
	__s32 result;
};

/* clang keeps the types of these. */
const struct event *unused_event __attribute__((unused));
const struct opened *unused_opened __attribute__((unused));
const struct closed *unused_closed __attribute__((unused));

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 16);
} ring SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY);
	__uint(key_size, 4);
	__uint(value_size, 4);
} perf SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_USER_RINGBUF);
	__uint(max_entries, 4096);
} commands SEC(".maps");

__u64 next;			/* number of the next record */
__u64 last;			/* `send` ends when so many were sent; 0: never */
__u64 failed;			/* what the ring had no room for */
__u64 sum;			/* of the lengths of those sent */
__u32 times = 1;		/* records of one run */
__u32 size = sizeof(struct event);
__u32 every;			/* each such record is discarded; 0: none */
__u64 wake;			/* flags of the submission */

static __u8 bytes[MAX_RECORD];

static void fill(struct event *e, __u64 number)
{
	e->number = number;
	e->when = bpf_ktime_get_ns();
	e->length = (__u32)number % 1000;
	e->cpu = bpf_get_smp_processor_id();
	bpf_get_current_comm(e->comm, sizeof(e->comm));
}

static bool is_over(void)
{
	return last && next >= last;
}

static long send_event(__u32 i, void *unused)
{
	struct event *e;
	__u64 number;

	if (is_over())
		return 1;
	e = bpf_ringbuf_reserve(&ring, sizeof(*e), 0);
	if (!e) {
		__sync_fetch_and_add(&failed, 1);
		return 0;
	}
	number = __sync_fetch_and_add(&next, 1);
	fill(e, number);
	if (every && number % every == 0) {
		bpf_ringbuf_discard(e, wake);
	} else {
		__sync_fetch_and_add(&sum, e->length);
		bpf_ringbuf_submit(e, wake);
	}
	return 0;
}

/* Returns whether all that it is to send is sent. */
SEC("syscall")
int send(void *ctx)
{
	bpf_loop(times, send_event, NULL, 0);
	return is_over();
}

/* A record of `size` bytes, the first of which are its number, as many as there are. */
static long send_sized(__u32 i, void *unused)
{
	__u32 n = size;

	if (n < 1 || n > MAX_RECORD)
		return 1;
	*(__u64 *)bytes = next;
	if (bpf_ringbuf_output(&ring, bytes, n, wake))
		failed++;
	else
		next++;
	return 0;
}

SEC("syscall")
int send_any(void *ctx)
{
	bpf_loop(times, send_sized, NULL, 0);
	return 0;
}

SEC("syscall")
int send_kinds(void *ctx)
{
	struct opened *o = bpf_ringbuf_reserve(&ring, sizeof(*o), 0);
	struct closed *c;

	if (o) {
		*o = (struct opened){ .kind = 1, .length = 5, .name = "hello" };
		bpf_ringbuf_submit(o, 0);
	}
	c = bpf_ringbuf_reserve(&ring, sizeof(*c), 0);
	if (c) {
		*c = (struct closed){ .kind = 2, .result = -3 };
		bpf_ringbuf_submit(c, 0);
	}
	return 0;
}

/* A record that is reserved now and committed `late` nanoseconds later. */
__u64 late;

static long until(__u32 i, void *end)
{
	return bpf_ktime_get_ns() >= *(__u64 *)end;
}

SEC("syscall")
int send_late(void *ctx)
{
	struct event *e = bpf_ringbuf_reserve(&ring, sizeof(*e), 0);
	__u64 end = bpf_ktime_get_ns() + late;

	if (!e)
		return 1;
	bpf_loop(1 << 23, until, &end, 0);
	fill(e, next);
	bpf_ringbuf_submit(e, 0);
	return 0;
}

SEC("tc")
int send_perf(struct __sk_buff *ctx)
{
	/* Linux 6.1 tells programs of this type no comm. */
	struct event e = { .when = bpf_ktime_get_ns(), .comm = "lua5.4" };

	e.number = __sync_fetch_and_add(&next, 1);
	e.cpu = bpf_get_smp_processor_id();
	if (bpf_perf_event_output(ctx, &perf, BPF_F_CURRENT_CPU, &e, sizeof(e)))
		__sync_fetch_and_add(&failed, 1);
	return 0;
}

/* As send_sized. */
SEC("tc")
int send_perf_sized(struct __sk_buff *ctx)
{
	__u32 n = size;

	if (n < 1 || n > MAX_RECORD)
		return 1;
	*(__u64 *)bytes = next;
	if (bpf_perf_event_output(ctx, &perf, BPF_F_CURRENT_CPU, bytes, n))
		failed++;
	else
		next++;
	return 0;
}

/* ---- stacks ----------------------------------------------------------------- */

struct {
	__uint(type, BPF_MAP_TYPE_STACK_TRACE);
	__uint(max_entries, 64);
	__uint(key_size, 4);
	__uint(value_size, 8 * 127);
} stacks SEC(".maps");

__s64 kernel_stack = -1, user_stack = -1;

/* The stack of who runs it. */
SEC("raw_tp")
int take_stacks(void *ctx)
{
	kernel_stack = bpf_get_stackid(ctx, &stacks, 0);
	user_stack = bpf_get_stackid(ctx, &stacks, BPF_F_USER_STACK);
	return 0;
}

/* ---- records from user space ------------------------------------------------ */

struct command {
	__u32 number;
	__u32 value;
};

const struct command *unused_command __attribute__((unused));

__u64 taken, values;

static long take(struct bpf_dynptr *dynptr, void *unused)
{
	struct command c;

	if (bpf_dynptr_read(&c, sizeof(c), dynptr, 0, 0))
		return 1;
	taken++;
	values += c.value;
	return 0;
}

SEC("syscall")
int drain(void *ctx)
{
	bpf_user_ringbuf_drain(&commands, take, NULL, 0);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
