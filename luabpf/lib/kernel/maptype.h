/* SPDX-License-Identifier: MIT */
/*
 * Everything that depends on the type of a map, in one table. No other file
 * asks which type a map has; it asks what the type can do.
 */
#ifndef LUABPF_LIB_KERNEL_MAPTYPE_H
#define LUABPF_LIB_KERNEL_MAPTYPE_H

#include <stdbool.h>
#include <stdint.h>

/* What the position of a scan is. */
enum lb_position {
	LB_POS_NONE,	/* keys cannot be enumerated */
	LB_POS_BUCKET,	/* LOOKUP_BATCH with a u32 bucket number */
	LB_POS_INDEX,	/* LOOKUP_BATCH with the last index read */
	LB_POS_TRIE,	/* LOOKUP_BATCH with the last prefix read */
	LB_POS_KEY,	/* get_next_key only */
	LB_POS_POP,	/* no keys: values are popped */
};

/* What the type allows; where a batch call is missing, single calls do the same. */
enum {
	LB_CAN_LOOKUP = 1 << 0,		/* values can be read from user space */
	LB_CAN_UPDATE = 1 << 1,
	LB_CAN_DELETE = 1 << 2,
	LB_CAN_TAKE = 1 << 3,		/* single lookup_and_delete, Linux 5.14; queues 4.20 */
	LB_BATCH_LOOKUP = 1 << 4,
	LB_BATCH_DRAIN = 1 << 5,	/* LOOKUP_AND_DELETE_BATCH */
	LB_BATCH_UPDATE = 1 << 6,
	LB_BATCH_DELETE = 1 << 7,
	LB_PERCPU = 1 << 8,		/* a value per possible CPU */
	LB_KEYLESS = 1 << 9,		/* queue, stack, bloom filter */
	LB_PUSH = 1 << 10,
	LB_POP = 1 << 11,
	LB_MAP_VALUES = 1 << 12,	/* values are maps: fds when written, ids when read */
	LB_FIXED = 1 << 13,		/* every index up to max_entries always exists */
	LB_FD_VALUES = 1 << 14,		/* values written are file descriptors */
	LB_EVICTS = 1 << 15,		/* LRU */
	LB_FOR_EACH = 1 << 16,		/* bpf_for_each_map_elem walks it, Linux 5.13 */
	LB_KEYED = 1 << 17,		/* a SYSCALL program may look up and write it */
	LB_SUM_COUNT = 1 << 18,		/* bpf_map_sum_elem_count counts it, Linux 6.6 */
	LB_KEY_INDEX = 1 << 19,		/* keys are indexes from 0 to max_entries - 1 */
	LB_NEEDS_NO_PREALLOC = 1 << 20,	/* cannot be created without BPF_F_NO_PREALLOC */
	LB_ROUNDS_SIZE = 1 << 21,	/* max_entries is bytes or pages, not entries */
	LB_LOCKABLE = 1 << 22,		/* BPF_F_LOCK where the value has a bpf_spin_lock */
	LB_PREFIX_KEY = 1 << 23,	/* key is a prefix length and data; lookup is longest match */
	LB_MAPPABLE = 1 << 24,		/* with BPF_F_MMAPABLE, Linux 5.5 */
	LB_WIDE_VALUES = 1 << 25,	/* values are read where they have 8 bytes, else ENOSPC */
	LB_SETS_RDONLY = 1 << 26,	/* the kernel adds BPF_F_RDONLY_PROG, and refuses it when asked */
	LB_EVENT_RING = 1 << 27,	/* a reader takes records from its mapping */
	LB_EVENT_PERF = 1 << 28,	/* a reader takes records from perf buffers put into it */
	LB_EVENT_WRITE = 1 << 29,	/* a writer gives records to BPF programs */
	LB_STACKS = 1 << 30,		/* values are addresses, as many as there are, then zeros */
};

struct lb_maptype {
	uint32_t id;			/* enum bpf_map_type */
	const char *name;		/* as libbpf and bpftool spell it */
	enum lb_position position;
	uint32_t can;			/* LB_CAN_*, ... */
	const char *since;		/* kernel version that brought it */
	const char *batch_since;	/* ... its batch calls; NULL: none */
};

/* The type with that number; "unknown", which can do nothing, for others. Never NULL. */
const struct lb_maptype *lb_maptype(uint32_t id);
/* NULL if there is no such name. */
const struct lb_maptype *lb_maptype_by_name(const char *name);
/* The i-th entry of the table, NULL past its end. */
const struct lb_maptype *lb_maptype_at(uint32_t i);

#endif
