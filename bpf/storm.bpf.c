/* SPDX-License-Identifier: MIT */
/*
 * Counts as programs do that have no atomic instructions: v->n += 1. For
 * spec/query/storm_spec.lua, which resets the counts meanwhile.
 */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#define STORM_MOST 4096

struct storm_value {
	__u64 n, m;
	__u32 state, seen;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, STORM_MOST);
	__type(key, __u32);
	__type(value, struct storm_value);
} own SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, STORM_MOST);
	__type(key, __u32);
	__type(value, struct storm_value);
} shared SEC(".maps");

/* Key 0 ends the storm and is not counted. */
static __always_inline long count(void *map, __u32 i, __u32 *added)
{
	__u32 key = i + 1;
	struct storm_value *v = bpf_map_lookup_elem(map, &key);

	if (v) {
		v->n += 1;
		*added += 1;
	}
	return 0;
}

static long count_own(__u32 i, __u32 *added)
{
	return count(&own, i, added);
}

static long count_shared(__u32 i, __u32 *added)
{
	return count(&shared, i, added);
}

SEC("tc")
int plain_own(struct __sk_buff *skb)
{
	__u32 added = 0;

	bpf_loop(STORM_MOST, count_own, &added, 0);
	return added;
}

SEC("tc")
int plain_shared(struct __sk_buff *skb)
{
	__u32 added = 0;

	bpf_loop(STORM_MOST, count_shared, &added, 0);
	return added;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
