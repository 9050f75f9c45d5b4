/* SPDX-License-Identifier: MIT */
/*
 * Refreshes entries where they lie, as trackers do: looks them up and writes
 * last_seen. bench/race.c runs it again and again while others sweep the map.
 */
#include "race.h"

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, RACE_MOST);
	__type(key, __u32);
	__type(value, struct race_value);
} entries SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct race_done);
} done SEC(".maps");

static long refresh_one(__u32 i, void *arg)
{
	struct race_run *run = arg;
	__u32 zero = 0, key = race_key(run->first + i, run->total);
	struct race_done *record = bpf_map_lookup_elem(&done, &zero);
	struct race_value *value = bpf_map_lookup_elem(&entries, &key);

	if (!record || !value || key >= RACE_MOST)
		return 0;
	value->last_seen = bpf_ktime_get_ns();
	record->refreshed[key] = 1;
	run->refreshed++;
	return 0;
}

SEC("syscall")
int refresh(struct race_run *run)
{
	struct race_run own = { .first = run->first, .n = run->n, .total = run->total };

	bpf_loop(own.n, refresh_one, &own, 0);
	run->refreshed = own.refreshed;
	return 0;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
