/* SPDX-License-Identifier: MIT */
/*
 * Threads that work for one call, and a queue: it feeds them, or they fill it. No
 * Lua here: what a worker does is a function of the caller's (workers.c, crew.c, store.c).
 *
 *	lb_workers_start(p, n, work)	n threads, all signals blocked in them
 *	lb_workers_push(p, &block, ns)	a block for any of them; waits for room
 *	lb_workers_finish(p)		no more blocks come
 *	lb_workers_collect(p, ns, &ended)	where workers push: what one of them has
 *	lb_workers_idle(p, ns)		true once what was pushed has been worked on
 *	lb_workers_wait(p, ns)		true once all have ended
 *	lb_workers_stop(p)			cancels, joins, frees; may be called twice
 *
 * A worker takes blocks with lb_workers_take and looks at lb_workers_cancelled now
 * and then; one that fails calls lb_workers_cancel, which ends the others.
 *
 * A child that was forked has the pool and none of its threads, which may have held
 * the mutex: there only lb_workers_foreign and lb_workers_stop may be called.
 */
#ifndef LUABPF_LIB_THREAD_THREADS_H
#define LUABPF_LIB_THREAD_THREADS_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LB_MAX_WORKERS 256
/* Blocks that may wait for each worker. */
#define LB_QUEUE_BLOCKS 2

/*
 * Entries on their way to a worker or from one, one allocation, keys first; or n
 * rows of text, as keys.
 */
struct lb_parcel {
	struct lb_parcel *next;
	uint32_t n;
	uint32_t sum;			/* of a snapshot's block: lb_snap_sum */
	size_t key_bytes, value_bytes;
	uint8_t bytes[];
};

struct lb_workers;

/* What a thread runs; index is from 0. */
typedef void lb_work(struct lb_workers *p, uint32_t index);

struct lb_workers {
	pthread_mutex_t mutex;
	pthread_cond_t changed;		/* of anything below */
	pthread_t threads[LB_MAX_WORKERS];
	uint32_t n;			/* threads that were started; not for them */
	uint32_t running;
	uint32_t waiting;		/* of those: for a block */
	uint32_t queued, most;		/* parcels that wait, and that may */
	struct lb_parcel *first, *last;
	bool finished, cancelled, ready;
	uint64_t process;		/* that the threads are in: lb_process() */
	lb_work *work;
	void *data;			/* the caller's */
};

/* Zeroed memory is a pool that has not begun. 0 or -errno, with nothing running. */
int lb_workers_start(struct lb_workers *p, uint32_t n, lb_work *work, void *data);
/* Puts a parcel, owned by the pool from then on, into the queue. False if there was no room for
 * so many ns, or the pool was cancelled (then the parcel is freed, and *cancelled set). */
bool lb_workers_push(struct lb_workers *p, struct lb_parcel *parcel, uint64_t ns, bool *cancelled);
/* The next parcel, the caller's from then on; NULL when no more will come, or after a cancel. */
struct lb_parcel *lb_workers_take(struct lb_workers *p);
/*
 * The next parcel that a worker has pushed, the caller's from then on. NULL where none came for so
 * many ns, and with *ended set where none will.
 */
struct lb_parcel *lb_workers_collect(struct lb_workers *p, uint64_t ns, bool *ended);
/*
 * True when the queue is empty and all workers wait for more in lb_workers_take, or after a
 * cancel; false after so many ns.
 */
bool lb_workers_idle(struct lb_workers *p, uint64_t ns);
void lb_workers_finish(struct lb_workers *p);
void lb_workers_cancel(struct lb_workers *p);
bool lb_workers_cancelled(struct lb_workers *p);
/* True when all workers have ended; false after so many ns. */
bool lb_workers_wait(struct lb_workers *p, uint64_t ns);
/* Where the pool is foreign it is only forgotten, with what it holds. */
void lb_workers_stop(struct lb_workers *p);
/* Whether this is a child of the process that the threads are in. What they were working on must
 * be left as it is, for good: it may be half changed. */
bool lb_workers_foreign(const struct lb_workers *p);

#endif
