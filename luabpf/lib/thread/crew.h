/* SPDX-License-Identifier: MIT */
/*
 * Several threads that read one map: each scans its own buckets, judges them by
 * the interpreter, and adds to an aggregation of its own, which are merged at
 * the end; or hands over rows of text or blocks of a snapshot, which whoever waits
 * collects. No Lua here, and none in the threads.
 *
 *	err = lb_crew_start(&c, &spec);
 *	while (!lb_crew_wait(&c, ns)) ...	whoever waits may give up
 *	while (!ended) parcel = lb_crew_collect(&c, ns, &ended)	the same where they hand over
 *	err = lb_crew_end(&c, agg, &result);	joins; merges into agg
 *
 * Maps without buckets are read by one thread. Parcels are bounded: a thread that
 * is ahead of whoever collects waits for it.
 */
#ifndef LUABPF_LIB_THREAD_CREW_H
#define LUABPF_LIB_THREAD_CREW_H

#include "lib/sum/agg.h"
#include "lib/code/interp.h"
#include "lib/kernel/kmap.h"
#include "lib/thread/packer.h"
#include "lib/scan/source.h"
#include "lib/thread/threads.h"

struct lb_crew_spec {
	const struct lb_kmap *map;	/* open at the start; what is below stays as long as it runs */
	const struct lb_interp *where;	/* NULL: everything matches */
	const struct lb_interp *columns;
	uint32_t ncolumns;		/* 0: count only */
	const uint64_t *params;
	const struct lb_agg_spec *agg;	/* for the columns: groups, then values; NULL: count only */
	struct lb_pack_spec pack;	/* what is handed over, without agg: form, writer, columns */
	/*
	 * Where may leave entries to others: they are copied, up to so many bytes in all, and
	 * neither matched nor handed over.
	 */
	bool asks;
	size_t most_asked;
	uint32_t workers, batch_size;
};

struct lb_crew_result {
	uint64_t visited, matched;
	bool full;			/* past the memory limit of the aggregation: -ENOBUFS */
	bool often;			/* past most_asked: -EDQUOT */
	uint32_t asked;			/* entries that others have to judge */
};

struct lb_crew_member;

struct lb_crew {
	struct lb_workers workers;
	struct lb_crew_spec spec;
	struct lb_crew_member *members;
	uint32_t n;
	int fd;				/* of the map, the crew's own */
	uint64_t visited;		/* entries so far; atomic */
};

/* 0 or -errno with nothing running. Zeroed memory is a crew that has not begun. */
int lb_crew_start(struct lb_crew *c, const struct lb_crew_spec *spec);
static inline bool lb_crew_wait(struct lb_crew *c, uint64_t ns)
{
	return lb_workers_wait(&c->workers, ns);
}
/*
 * A parcel of any of the threads, the caller's to free: n whole rows in key_bytes bytes, or a block
 * of n entries. NULL where none came for so many ns, and with *ended set where none will.
 */
static inline struct lb_parcel *lb_crew_collect(struct lb_crew *c, uint64_t ns, bool *ended)
{
	return lb_workers_collect(&c->workers, ns, ended);
}
/* Entries read so far. */
static inline uint64_t lb_crew_visited(const struct lb_crew *c)
{
	return __atomic_load_n(&c->visited, __ATOMIC_RELAXED);
}
/* Ends what runs, within the time of a batch; what was not collected is not. */
void lb_crew_cancel(struct lb_crew *c);
/* What their scans did, all in one; after all have ended. */
struct lb_scan_stats lb_crew_stats(const struct lb_crew *c);
/*
 * After all have ended: 0 with the result, agg (NULL: none) having what they
 * added; or the first member's -errno.
 */
int lb_crew_end(struct lb_crew *c, struct lb_agg *agg, struct lb_crew_result *out);
/* Copies what others have to judge, result.asked entries. */
void lb_crew_asked(const struct lb_crew *c, uint8_t *keys, uint8_t *values);
/* Cancels what runs, frees. May be called twice. */
void lb_crew_close(struct lb_crew *c);

#endif
