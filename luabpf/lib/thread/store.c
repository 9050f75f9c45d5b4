/* SPDX-License-Identifier: MIT */
/*
 * Threads that store. See store.h; each is a pool of one (threads.h), so that it
 * has a queue of its own, which keeps the order of its entries.
 */
#include "lib/thread/store.h"
#include "lib/file/crc32c.h"
#include "lib/kernel/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>


struct lb_lane {
	struct lb_store *store;
	struct lb_workers thread;
	struct lb_kmap map;
	struct lb_pool pool;
	struct lb_many many;
	struct lb_parcel *share;	/* not handed over yet, or NULL */
	uint32_t wanted;		/* entries of the share that is being made */
	int err;
};

/* ---- threads ---------------------------------------------------------------------- */

static void count(struct lb_store *s, const struct lb_tally *t)
{
	uint32_t stored = t->stored + t->inserted + t->updated;
	uint32_t inserted = t->inserted + (s->spec.mode == LB_NOEXIST ? t->stored : 0);

	__atomic_fetch_add(&s->counts.inserted, inserted, __ATOMIC_RELAXED);
	__atomic_fetch_add(&s->counts.updated, stored - inserted, __ATOMIC_RELAXED);
	__atomic_fetch_add(&s->counts.skipped, t->done - stored, __ATOMIC_RELAXED);
}

/* Stores what is left of in. */
static int store(struct lb_lane *l, const struct lb_keys *in, struct lb_tally *t)
{
	const struct lb_store_spec *spec = &l->store->spec;
	const struct lb_many_map m = { &l->map, &l->pool, &l->many, spec->value };

	return spec->mode == LB_ANY ? lb_many_upsert(&m, in, t)
				    : lb_many_update(&m, in, spec->mode, t);
}

/*
 * In maps without preallocation an entry that is being replaced counts twice for a moment, so
 * that the map may seem full to other threads: only one that is alone knows. Source:
 * kernel/bpf/hashtab.c, alloc_htab_elem counts the new one, free_htab_elem the old one later.
 */
static int store_share(struct lb_lane *l, const struct lb_parcel *share)
{
	const struct lb_keys in = { .keys = share->bytes, .n = share->n,
				    .values = share->bytes + share->key_bytes };
	struct lb_tally t = { 0 };
	int err;

	if (!lb_can(&l->map, LB_CAN_UPDATE) || !l->map.info.key_size)
		return -LB_ENOTSUPP;
	pthread_rwlock_rdlock(&l->store->alone);
	err = store(l, &in, &t);
	pthread_rwlock_unlock(&l->store->alone);
	if (err == -E2BIG) {
		pthread_rwlock_wrlock(&l->store->alone);
		err = store(l, &in, &t);
		pthread_rwlock_unlock(&l->store->alone);
	}
	count(l->store, &t);
	return err;
}

static void cancel_all(struct lb_store *s)
{
	for (uint32_t i = 0; i < s->n; i++)
		lb_workers_cancel(&s->lanes[i].thread);
}

static void work(struct lb_workers *thread, uint32_t index)
{
	struct lb_lane *l = thread->data;
	struct lb_parcel *share;

	(void)index;
	while (!l->err && (share = lb_workers_take(thread))) {
		l->err = store_share(l, share);
		free(share);
	}
	/* All lanes have begun by now: shares come after that. */
	if (l->err)
		cancel_all(l->store);
}

/*
 * A key of a trie may be written in several ways, and what other types make of their keys is
 * not known here.
 */
static bool can_share(const struct lb_kmap *m)
{
	return lb_can(m, LB_KEYED);
}

static int start_lane(struct lb_store *s, struct lb_lane *l)
{
	l->store = s;
	lb_kmap_share(&l->map, s->spec.map, s->fd);
	return lb_workers_start(&l->thread, 1, work, l);
}

/* Whoever wants to be alone comes first, or it would wait for all that the others have. */
static void init_lock(pthread_rwlock_t *lock)
{
	pthread_rwlockattr_t attr;

	pthread_rwlockattr_init(&attr);
	pthread_rwlockattr_setkind_np(&attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
	pthread_rwlock_init(lock, &attr);
	pthread_rwlockattr_destroy(&attr);
}

int lb_store_start(struct lb_store *s, const struct lb_store_spec *spec)
{
	int err = 0;

	memset(s, 0, sizeof(*s));
	s->spec = *spec;
	s->fd = -1;
	s->n = can_share(spec->map) ? spec->workers : 1;
	if (s->n == 0 || s->n > LB_MAX_WORKERS)
		return -EINVAL;
	s->lanes = calloc(s->n, sizeof(*s->lanes));
	if (!s->lanes)
		return -ENOMEM;
	init_lock(&s->alone);
	s->fd = fcntl(spec->map->fd, F_DUPFD_CLOEXEC, 0);
	if (s->fd < 0)
		err = -errno;
	for (uint32_t i = 0; i < s->n && !err; i++)
		err = start_lane(s, &s->lanes[i]);
	s->started = !err;
	if (err)
		lb_store_close(s);
	return err;
}

/* ---- sharing out ------------------------------------------------------------------ */

_Static_assert(LB_MAX_WORKERS <= UINT8_MAX + 1, "places has a byte for each entry");

static int make_places(struct lb_store *s, uint32_t n)
{
	if (n <= s->room)
		return 0;
	free(s->places);
	s->places = malloc(n);
	s->room = s->places ? n : 0;
	return s->places ? 0 : -ENOMEM;
}

/* Which lane each entry goes to, and how many go to each. */
static void choose_lanes(struct lb_store *s, const uint8_t *keys, uint32_t n)
{
	uint32_t size = s->lanes[0].map.info.key_size;

	for (uint32_t i = 0; i < s->n; i++)
		s->lanes[i].wanted = 0;
	for (uint32_t i = 0; i < n; i++) {
		uint64_t hash = lb_crc32c(0, keys + (size_t)i * size, size);

		s->places[i] = (uint8_t)(hash * s->n >> 32);
		s->lanes[s->places[i]].wanted++;
	}
}

static void drop_shares(struct lb_store *s)
{
	for (uint32_t i = 0; i < s->n; i++) {
		free(s->lanes[i].share);
		s->lanes[i].share = NULL;
	}
}

/* Empty shares with room for what is wanted. */
static int make_shares(struct lb_store *s)
{
	for (uint32_t i = 0; i < s->n; i++) {
		struct lb_lane *l = &s->lanes[i];
		size_t keys = (size_t)l->wanted * l->map.info.key_size;
		size_t values = (size_t)l->wanted * l->map.value_stride;

		if (!l->wanted)
			continue;
		l->share = malloc(sizeof(*l->share) + keys + values);
		if (!l->share) {
			drop_shares(s);
			return -ENOMEM;
		}
		*l->share = (struct lb_parcel){ .key_bytes = keys, .value_bytes = values };
	}
	return 0;
}

static void append(struct lb_parcel *share, const uint8_t *key, size_t key_size,
		   const uint8_t *value, size_t value_size)
{
	memcpy(share->bytes + share->n * key_size, key, key_size);
	memcpy(share->bytes + share->key_bytes + share->n * value_size, value, value_size);
	share->n++;
}

int lb_store_add(struct lb_store *s, const uint8_t *keys, const uint8_t *values, uint32_t n)
{
	size_t key_size = s->lanes[0].map.info.key_size, stride = s->lanes[0].map.value_stride;
	int err = make_places(s, n);

	if (err)
		return err;
	choose_lanes(s, keys, n);
	err = make_shares(s);
	for (uint32_t i = 0; i < n && !err; i++)
		append(s->lanes[s->places[i]].share, keys + i * key_size, key_size,
		       values + i * stride, stride);
	return err;
}

bool lb_store_holds(const struct lb_store *s)
{
	for (uint32_t i = 0; i < s->n; i++)
		if (s->lanes[i].share)
			return true;
	return false;
}

/* ---- handing over ----------------------------------------------------------------- */

/* Whether the lane has no share left to hand over. */
static bool hand_over(struct lb_lane *l, uint64_t ns)
{
	bool cancelled = false;

	if (!l->share)
		return true;
	if (!lb_workers_push(&l->thread, l->share, ns, &cancelled) && !cancelled)
		return false;
	l->share = NULL;
	return true;
}

/* Those that have room first. */
bool lb_store_pass(struct lb_store *s, uint64_t ns)
{
	for (uint32_t i = 0; i < s->n; i++)
		hand_over(&s->lanes[i], 0);
	for (uint32_t i = 0; i < s->n; i++)
		if (!hand_over(&s->lanes[i], ns))
			return false;
	return true;
}

bool lb_store_idle(struct lb_store *s, uint64_t ns)
{
	for (uint32_t i = 0; i < s->n; i++)
		if (!lb_workers_idle(&s->lanes[i].thread, ns))
			return false;
	return true;
}

/* ---- the end ------------------------------------------------------------------------ */

bool lb_store_failed(struct lb_store *s)
{
	return lb_workers_cancelled(&s->lanes[0].thread);
}

/* A thread that fails cancels the others: none is freed before all have ended. */
static void end_threads(struct lb_store *s)
{
	cancel_all(s);
	for (uint32_t i = 0; i < s->n; i++)
		while (!lb_workers_wait(&s->lanes[i].thread, LB_SECOND))
			;
}

int lb_store_end(struct lb_store *s)
{
	int err = 0;

	if (s->started)
		end_threads(s);
	s->started = false;
	for (uint32_t i = 0; i < s->n; i++) {
		lb_workers_stop(&s->lanes[i].thread);
		if (!err)
			err = s->lanes[i].err;
	}
	return err;
}

struct lb_store_counts lb_store_counts(const struct lb_store *s)
{
	return (struct lb_store_counts){
		.inserted = __atomic_load_n(&s->counts.inserted, __ATOMIC_RELAXED),
		.updated = __atomic_load_n(&s->counts.updated, __ATOMIC_RELAXED),
		.skipped = __atomic_load_n(&s->counts.skipped, __ATOMIC_RELAXED),
	};
}

static void close_lane(struct lb_lane *l)
{
	lb_many_close(&l->many);
	lb_pool_close(&l->pool);
	/* The descriptor is the store's. */
	l->map.fd = -1;
	lb_kmap_close(&l->map);
}

bool lb_store_foreign(const struct lb_store *s)
{
	return s->lanes && lb_workers_foreign(&s->lanes[0].thread);
}

void lb_store_close(struct lb_store *s)
{
	if (lb_store_foreign(s))
		s->lanes = NULL;
	if (!s->lanes)
		return;
	lb_store_end(s);
	drop_shares(s);
	for (uint32_t i = 0; i < s->n; i++)
		close_lane(&s->lanes[i]);
	if (s->fd >= 0)
		close(s->fd);
	pthread_rwlock_destroy(&s->alone);
	free(s->lanes);
	free(s->places);
	s->lanes = NULL;
	s->places = NULL;
	s->room = 0;
}
