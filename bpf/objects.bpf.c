/* SPDX-License-Identifier: MIT */
/*
 * What the specs of objects, programs and links load: a global variable of
 * each kind, a program of each type that can be attached or run, maps whose
 * options a spec changes. Every program counts its runs in runs[].
 */
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <stdbool.h>

#include <bpf/bpf_helpers.h>

enum colour { RED, GREEN = 5, BLUE = -3 };
enum place { XDP, TC, INGRESS, EGRESS, EITHER, TRACEPOINT, RAW, CALLED, PLACES };

struct point {
	__s32 x, y;
};

struct shape {
	struct point corner;
	__u8 flags[4];
	__u32 kind : 3;
	__u32 weight : 29;
	union {
		__u64 whole;
		__u32 half[2];
	};
};

/* ---- global variables --------------------------------------------------- */

__u8 tiny = 200;
__u16 small = 60000;
__u32 medium = 4000000000u;
__u64 large = 0xfedcba9876543210ull;
__s8 tiny_signed = -100;
__s16 small_signed = -30000;
__s32 medium_signed = -2000000000;
__s64 large_signed = -5000000000ll;
bool ready = true;
char label[16] = "start";
enum colour colour = GREEN;
struct shape shape = { .corner = { 3, -4 }, .flags = { 1, 2, 3, 4 }, .kind = 5, .weight = 1000 };
__u32 list[3] = { 7, 8, 9 };

__u64 runs[PLACES];
__u64 sum;
__s32 answer;

__u32 elsewhere SEC(".data.custom") = 11;

const volatile __u32 step = 2;
const volatile char origin[16] = "file";
const volatile struct point centre = { 10, 20 };
/* Makes the verifier refuse the program called: it then follows a null pointer. */
const volatile bool refused;

extern int LINUX_KERNEL_VERSION __kconfig;

/* The compiler may put the value of a static variable where it is used. */
static volatile __u32 hidden = 1;

/* ---- maps ---------------------------------------------------------------- */

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16);
	__type(key, __u32);
	__type(value, struct point);
} points SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 8);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u32);
	__type(value, __u64);
} unpreallocated SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 4);
	__type(key, __u32);
	__type(value, __u32);
} jumps SEC(".maps");

/* ---- programs ------------------------------------------------------------ */

static void count(enum place where)
{
	__sync_fetch_and_add(&runs[where], 1);
}

/* Turns the first byte over of packets whose type is 0xaa.. */
SEC("xdp")
int count_xdp(struct xdp_md *ctx)
{
	__u8 *data = (__u8 *)(long)ctx->data, *end = (__u8 *)(long)ctx->data_end;

	count(XDP);
	if (data + 14 <= end && data[12] == 0xaa)
		data[0] ^= 0xff;
	return XDP_PASS;
}

/* Marks the packet, and makes one that begins with 0xaa longer by what answer says. */
SEC("tc")
int count_tc(struct __sk_buff *skb)
{
	__u8 first = 0;

	count(TC);
	skb->mark = skb->mark * 2 + 1;
	bpf_skb_load_bytes(skb, 0, &first, 1);
	if (first == 0xaa && answer > 0)
		bpf_skb_change_tail(skb, skb->len + (__u32)answer, 0);
	return TC_ACT_UNSPEC;
}

SEC("cgroup_skb/ingress")
int count_ingress(struct __sk_buff *skb)
{
	count(INGRESS);
	return 1;
}

SEC("cgroup_skb/egress")
int count_egress(struct __sk_buff *skb)
{
	count(EGRESS);
	return 1;
}

/* The section does not say which direction. */
SEC("cgroup/skb")
int count_either(struct __sk_buff *skb)
{
	count(EITHER);
	return 1;
}

SEC("tracepoint/syscalls/sys_enter_getppid")
int count_tracepoint(void *ctx)
{
	count(TRACEPOINT);
	return 0;
}

SEC("raw_tracepoint/sys_enter")
int count_raw(struct bpf_raw_tracepoint_args *ctx)
{
	count(RAW);
	sum = ctx->args[0];
	return 0;
}

/* The context: two addends, and where their sum goes. */
struct addition {
	__u64 a, b, sum;
};

SEC("syscall")
int called(struct addition *ctx)
{
	__u32 key = 1;
	struct point *p = bpf_map_lookup_elem(&points, &key);

	count(CALLED);
	ctx->sum = ctx->a + ctx->b;
	sum += step + hidden + elsewhere;
	if (refused)
		return p->x;
	if (LINUX_KERNEL_VERSION < 0x050f00)
		return -1;
	if (p)
		p->x++;
	return answer;
}

char LICENSE[] SEC("license") = "GPL";
