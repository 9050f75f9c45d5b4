/* SPDX-License-Identifier: MIT */
/*
 * Several threads that store entries into one map. Entries are shared out by
 * their keys: those with the same key are stored by one thread, in the order in
 * which they come, so that the map and the counts are as if one thread stored
 * all. No Lua here, and none in the threads.
 *
 *	err = lb_store_start(&s, &spec);
 *	err = lb_store_add(&s, keys, values, n);	shares them out, copied
 *	while (!lb_store_pass(&s, ns)) ...	hands the shares over, where there is room
 *	while (!lb_store_idle(&s, ns)) ...	until all that was added is stored
 *	err = lb_store_end(&s);		joins: 0, or why a thread failed, which stops all
 *	lb_store_close(&s);
 *
 * Each thread has a queue of a few shares, a map handle and programs of its own.
 * Maps whose keys are not told apart by their bytes have one thread.
 */
#ifndef LUABPF_LIB_THREAD_STORE_H
#define LUABPF_LIB_THREAD_STORE_H

#include "lib/keys/keyset.h"
#include "lib/thread/threads.h"

struct lb_store_spec {
	const struct lb_kmap *map;	/* open at the start */
	const struct lb_type *value;	/* stays as long as it runs; NULL: unknown */
	enum lb_mode mode;		/* LB_ANY: counts what is inserted and what updated */
	uint32_t workers;
};

/* What was stored, and what its mode left out. */
struct lb_store_counts {
	uint64_t inserted, updated, skipped;
};

struct lb_lane;

struct lb_store {
	struct lb_store_spec spec;
	struct lb_lane *lanes;		/* one for each thread */
	uint32_t n;
	bool started;			/* all threads; not for them */
	int fd;				/* of the map, its own */
	pthread_rwlock_t alone;		/* held by whoever stores; for writing, to be the only one */
	uint8_t *places;		/* the lane of each entry that is being shared out */
	uint32_t room;
	struct lb_store_counts counts;	/* so far; atomic */
};

/* 0 or -errno with nothing running. Zeroed memory is one that has not begun. */
int lb_store_start(struct lb_store *s, const struct lb_store_spec *spec);
/*
 * Shares out n entries, key_size and value_stride apart; what was added before must have been
 * handed over. 0, or -ENOMEM with none of them added.
 */
int lb_store_add(struct lb_store *s, const uint8_t *keys, const uint8_t *values, uint32_t n);
/* Whether lb_store_pass has work left. */
bool lb_store_holds(const struct lb_store *s);
/* True when all shares are in the queues; false after about so many ns. */
bool lb_store_pass(struct lb_store *s, uint64_t ns);
/* True when all that was handed over is stored; false after about so many ns. */
bool lb_store_idle(struct lb_store *s, uint64_t ns);
/*
 * Whether a thread has failed: the others end then, and pass and idle are true. Not after
 * lb_store_end.
 */
bool lb_store_failed(struct lb_store *s);
/* Ends the threads, and leaves what is in their queues. 0 or the first one's -errno. */
int lb_store_end(struct lb_store *s);
/* Those of all threads; final after the end, and true of what was added while idle. */
struct lb_store_counts lb_store_counts(const struct lb_store *s);
/* As lb_workers_foreign: only lb_store_close may be called then, which forgets it. */
bool lb_store_foreign(const struct lb_store *s);
/* Ends the threads, frees. May be called twice. */
void lb_store_close(struct lb_store *s);

#endif
