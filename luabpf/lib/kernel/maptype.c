/* SPDX-License-Identifier: MIT */
/*
 * The table of map types. Sources: Linux 6.12 kernel/bpf (the map_*_batch
 * members of each struct bpf_map_ops, map_lookup_elem and its sys variants);
 * versions from the commits that added them.
 */
#include "lib/kernel/maptype.h"

#include <string.h>

#define SINGLE (LB_CAN_LOOKUP | LB_CAN_UPDATE | LB_CAN_DELETE)
#define HASH_CAN (SINGLE | LB_CAN_TAKE | LB_BATCH_LOOKUP | LB_BATCH_DRAIN | LB_BATCH_UPDATE | \
		  LB_BATCH_DELETE | LB_FOR_EACH | LB_KEYED | LB_SUM_COUNT)
#define ARRAY_CAN (LB_CAN_LOOKUP | LB_CAN_UPDATE | LB_BATCH_LOOKUP | LB_BATCH_UPDATE | \
		   LB_FIXED | LB_KEY_INDEX | LB_FOR_EACH | LB_KEYED)
#define FD_ARRAY_CAN (LB_CAN_UPDATE | LB_CAN_DELETE | LB_FD_VALUES | LB_KEY_INDEX)
#define QUEUE_CAN (LB_KEYLESS | LB_PUSH | LB_POP)
#define OF_MAPS (LB_MAP_VALUES | LB_FD_VALUES)

static const struct lb_maptype types[] = {
	{ 1, "hash", LB_POS_BUCKET, HASH_CAN | LB_LOCKABLE, "3.19", "5.6" },
	{ 2, "array", LB_POS_INDEX, ARRAY_CAN | LB_LOCKABLE | LB_MAPPABLE, "3.19", "5.6" },
	{ 3, "prog_array", LB_POS_KEY, FD_ARRAY_CAN | LB_CAN_LOOKUP, "4.2", NULL },
	{ 4, "perf_event_array", LB_POS_KEY, FD_ARRAY_CAN | LB_EVENT_PERF, "4.3", NULL },
	{ 5, "percpu_hash", LB_POS_BUCKET, HASH_CAN | LB_PERCPU, "4.6", "5.6" },
	{ 6, "percpu_array", LB_POS_INDEX, ARRAY_CAN | LB_PERCPU, "4.6", "5.13" },
	{ 7, "stack_trace", LB_POS_KEY, LB_CAN_LOOKUP | LB_CAN_DELETE | LB_STACKS, "4.6", NULL },
	{ 8, "cgroup_array", LB_POS_KEY, FD_ARRAY_CAN, "4.8", NULL },
	{ 9, "lru_hash", LB_POS_BUCKET, HASH_CAN | LB_EVICTS, "4.10", "5.6" },
	{ 10, "lru_percpu_hash", LB_POS_BUCKET, HASH_CAN | LB_EVICTS | LB_PERCPU, "4.10", "5.6" },
	{ 11, "lpm_trie", LB_POS_TRIE,
	  SINGLE | LB_BATCH_LOOKUP | LB_BATCH_UPDATE | LB_BATCH_DELETE | LB_NEEDS_NO_PREALLOC |
	  LB_PREFIX_KEY, "4.11", "5.13" },
	{ 12, "array_of_maps", LB_POS_INDEX,
	  SINGLE | LB_BATCH_LOOKUP | LB_BATCH_UPDATE | OF_MAPS | LB_KEY_INDEX, "4.12", "5.17" },
	{ 13, "hash_of_maps", LB_POS_BUCKET,
	  SINGLE | LB_BATCH_LOOKUP | LB_BATCH_DRAIN | LB_BATCH_UPDATE | LB_BATCH_DELETE | OF_MAPS |
	  LB_SUM_COUNT, "4.12", "5.17" },
	{ 14, "devmap", LB_POS_KEY, SINGLE | LB_KEY_INDEX | LB_SETS_RDONLY, "4.14", NULL },
	{ 15, "sockmap", LB_POS_KEY,
	  SINGLE | LB_FD_VALUES | LB_KEY_INDEX | LB_WIDE_VALUES, "4.14", NULL },
	{ 16, "cpumap", LB_POS_KEY, SINGLE | LB_KEY_INDEX, "4.15", NULL },
	{ 17, "xskmap", LB_POS_KEY, FD_ARRAY_CAN, "4.18", NULL },
	{ 18, "sockhash", LB_POS_KEY, SINGLE | LB_FD_VALUES | LB_WIDE_VALUES, "4.18", NULL },
	{ 19, "cgroup_storage", LB_POS_KEY, LB_CAN_LOOKUP | LB_CAN_UPDATE, "4.19", NULL },
	{ 20, "reuseport_sockarray", LB_POS_KEY,
	  FD_ARRAY_CAN | LB_CAN_LOOKUP | LB_WIDE_VALUES, "4.19", NULL },
	{ 21, "percpu_cgroup_storage", LB_POS_KEY,
	  LB_CAN_LOOKUP | LB_CAN_UPDATE | LB_PERCPU, "4.20", NULL },
	{ 22, "queue", LB_POS_POP, QUEUE_CAN, "4.20", NULL },
	{ 23, "stack", LB_POS_POP, QUEUE_CAN, "4.20", NULL },
	{ 24, "sk_storage", LB_POS_NONE, SINGLE | LB_FD_VALUES | LB_NEEDS_NO_PREALLOC, "5.2", NULL },
	{ 25, "devmap_hash", LB_POS_KEY, SINGLE | LB_SETS_RDONLY, "5.4", NULL },
	{ 26, "struct_ops", LB_POS_KEY, SINGLE, "5.6", NULL },
	{ 27, "ringbuf", LB_POS_NONE, LB_ROUNDS_SIZE | LB_EVENT_RING, "5.8", NULL },
	{ 28, "inode_storage", LB_POS_NONE, SINGLE | LB_NEEDS_NO_PREALLOC, "5.10", NULL },
	{ 29, "task_storage", LB_POS_NONE, SINGLE | LB_NEEDS_NO_PREALLOC, "5.11", NULL },
	{ 30, "bloom_filter", LB_POS_NONE, LB_KEYLESS | LB_PUSH, "5.16", NULL },
	{ 31, "user_ringbuf", LB_POS_NONE, LB_ROUNDS_SIZE | LB_EVENT_WRITE, "6.1", NULL },
	{ 32, "cgrp_storage", LB_POS_NONE, SINGLE | LB_NEEDS_NO_PREALLOC, "6.2", NULL },
	{ 33, "arena", LB_POS_NONE, LB_ROUNDS_SIZE, "6.9", NULL },
};

#define NTYPES (sizeof(types) / sizeof(types[0]))

static const struct lb_maptype unknown = { 0, "unknown", LB_POS_NONE, 0, "?", NULL };

const struct lb_maptype *lb_maptype_at(uint32_t i)
{
	return i < NTYPES ? &types[i] : NULL;
}

const struct lb_maptype *lb_maptype(uint32_t id)
{
	/* The table is in the order of enum bpf_map_type, which begins at 1. */
	return id >= 1 && id <= NTYPES ? &types[id - 1] : &unknown;
}

const struct lb_maptype *lb_maptype_by_name(const char *name)
{
	for (uint32_t i = 0; i < NTYPES; i++)
		if (strcmp(types[i].name, name) == 0)
			return &types[i];
	return NULL;
}
