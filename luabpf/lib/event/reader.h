/* SPDX-License-Identifier: MIT */
/*
 * A reader of events, of either kind of buffer: records are looked at where
 * they lie, released, and waited for.
 *
 *	n = lb_reader_look(r, records, room);	0: wait, then look again
 *	...
 *	lb_reader_release(r);			and look again
 *
 * Waiting is by an epoll of the reader's own that is edge-triggered: to the
 * kernel a ring is readable as long as a record at its head is reserved and
 * not committed, which would make waiting spin. An empty ring is waited for
 * itself, which is faster. Records that were committed without a wake-up are
 * no edge: who waits looks again now and then.
 */
#ifndef LUABPF_LIB_EVENT_READER_H
#define LUABPF_LIB_EVENT_READER_H

#include "lib/event/perf.h"
#include "lib/event/ring.h"
#include "lib/kernel/kmap.h"

struct lb_reader {
	int epoll;			/* -1: closed */
	int map;			/* the ring buffer, which is waited for; -1: none */
	struct lb_ring ring;
	struct lb_perf perf;
	struct lb_event_stats stats;
	struct lb_record last;		/* of those that were given */
	bool held;			/* it was given, and is not yet released */
	uint32_t looked;		/* perf buffers: the ring of the last look */
	uint64_t process;		/* whose it is: not that of a child made by fork */
	uint64_t follow;		/* when to look for CPUs that came or went; ns */
};

/* Whether maps of the type have a reader. */
static inline bool lb_reader_can(const struct lb_kmap *m)
{
	return lb_can(m, LB_EVENT_RING) || lb_can(m, LB_EVENT_PERF);
}

/* pages: of each perf buffer. 0 or -errno. */
int lb_reader_open(struct lb_reader *r, const struct lb_kmap *m, uint32_t pages);
/* Releases nothing. May be called twice. */
void lb_reader_close(struct lb_reader *r);

/*
 * What lb_ring_look and lb_perf_look return; what was given of the last look is
 * released before. -ECHILD in a process that the reader's was forked into.
 */
int lb_reader_look(struct lb_reader *r, struct lb_record *out, uint32_t n);
/*
 * Gives back the space of what was given of the last look. What was not given
 * comes again. Nothing in a process that was forked.
 */
void lb_reader_release(struct lb_reader *r);
/* All of the last look is given. */
void lb_reader_give_all(struct lb_reader *r);
/* The next record of it is; the one before is released. */
void lb_reader_give(struct lb_reader *r, const struct lb_record *record);
/*
 * Waits for ms milliseconds at most: 1 when there may be records, 0, or -errno:
 * -EINTR where a handler took a signal.
 */
int lb_reader_wait(struct lb_reader *r, int ms);
/* Whether a look could find something; marked: before its end. */
bool lb_reader_ready(const struct lb_reader *r, bool marked);
/*
 * The same for who waited for the descriptor: where nothing can be found, as the head of the
 * ring is not committed yet, it is readable no longer.
 */
bool lb_reader_woken(struct lb_reader *r);

/* How many rings there are. */
uint32_t lb_reader_rings(const struct lb_reader *r);
/* From now on looks end at what lies there now; ends: room for that position of each ring. */
void lb_reader_mark(struct lb_reader *r, uint64_t *ends);
/* From now on looks end there; NULL: nowhere. */
void lb_reader_end_at(struct lb_reader *r, const uint64_t *ends);
/* Bytes that wait to be released. */
uint64_t lb_reader_backlog(const struct lb_reader *r);

#endif
