/* SPDX-License-Identifier: MIT */
/*
 * A ring buffer of BPF programs (BPF_MAP_TYPE_RINGBUF, Linux 5.8) on its
 * mappings: one page with the reader's position, which we write, and one with
 * the writers', followed by the data twice in a row, so that no record wraps.
 * Source: kernel/bpf/ringbuf.c, include/uapi/linux/bpf.h.
 *
 * The position is the map's: it outlives the reader.
 */
#ifndef LUABPF_LIB_EVENT_RING_H
#define LUABPF_LIB_EVENT_RING_H

#include "lib/event/record.h"

#include <stdbool.h>
#include <stddef.h>

struct lb_ring {
	uint64_t *consumer;		/* the page we write; NULL: not mapped */
	const uint64_t *producer;
	const uint8_t *data;
	size_t page, size;
	uint64_t at;			/* where the next look begins */
	uint64_t released;		/* what was stored last */
	uint64_t counted;		/* what lies before it is in the counts */
	uint64_t end;			/* looks end there; UINT64_MAX: nowhere */
};

/* Maps the ring buffer of size bytes: 0 or -errno. */
int lb_ring_map(struct lb_ring *r, int fd, uint32_t size);
/* May be called twice, and of zeros. */
void lb_ring_unmap(struct lb_ring *r);

/*
 * Up to n committed records after those of the last look, discarded ones
 * passed over. How many: 0 where there are none, or the next one is not yet
 * committed; -EBUSY when the position is not what was stored: another reader
 * has it; -EIO for a record that cannot be.
 */
int lb_ring_look(struct lb_ring *r, struct lb_record *out, uint32_t n, struct lb_event_stats *st);
/* Gives the space before that position back. */
void lb_ring_release(struct lb_ring *r, uint64_t position);
/* Bytes from the last release to the writers' position. */
uint64_t lb_ring_backlog(const struct lb_ring *r);
/*
 * Whether a record lies there that a look could take, or one that was discarded;
 * marked: before the end.
 */
bool lb_ring_ready(const struct lb_ring *r, bool marked);

#endif
