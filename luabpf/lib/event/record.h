/* SPDX-License-Identifier: MIT */
/*
 * What the readers of ring buffers and of perf buffers share: records where
 * they lie, and what is counted.
 */
#ifndef LUABPF_LIB_EVENT_RECORD_H
#define LUABPF_LIB_EVENT_RECORD_H

#include <stdint.h>

struct lb_record {
	const uint8_t *data;
	uint32_t size;
	uint32_t ring;		/* of a perf buffer: which; else 0 */
	uint64_t end;		/* the position after it */
};

struct lb_event_stats {
	uint64_t records, bytes;	/* seen */
	uint64_t discarded;		/* given up by the program that had reserved them */
	uint64_t lost;			/* perf buffers: what the kernel says did not fit */
	uint64_t high_water;		/* most bytes that a look found waiting in one ring */
};

/* One look passes over no more discarded records than this. */
#define LB_MOST_PASSED 65536u

/* Positions and heads are shared with the kernel. */
static inline uint64_t lb_position_load(const uint64_t *p)
{
	return __atomic_load_n(p, __ATOMIC_ACQUIRE);
}

/*
 * Whoever stores a position and then looks for records must not have the two
 * change places: a program that commits in between wakes only a reader whose
 * position it sees (kernel/bpf/ringbuf.c, bpf_ringbuf_commit).
 */
static inline void lb_position_store(uint64_t *p, uint64_t v)
{
	__atomic_store_n(p, v, __ATOMIC_RELEASE);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

#endif
