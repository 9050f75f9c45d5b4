/* SPDX-License-Identifier: MIT */
/*
 * Work on many given keys by keyed programs (keyed.h) where one is worth
 * loading and the kernel takes it, else by batch and single calls (bulk.h). The
 * answer is the same either way. No Lua here.
 *
 * The programs belong to a map handle and stay loaded with it. One that the
 * kernel refused is not tried again.
 */
#ifndef LUABPF_LIB_KEYS_KEYSET_H
#define LUABPF_LIB_KEYS_KEYSET_H

#include "lib/keys/elemcount.h"
#include "lib/keys/keyed.h"

#define LB_MAX_SPANS 64

/* Zeroed memory is a valid one: nothing loaded. */
struct lb_many {
	struct lb_keyed *keyed[LB_KEYED_DELETE + 1];
	bool refused[LB_KEYED_DELETE + 1];
	struct lb_elemcount *count;
	bool uncounted;		/* the kernel does not count this map's entries */
};

/* What the programs work on. */
struct lb_many_map {
	struct lb_kmap *k;
	struct lb_pool *pool;
	struct lb_many *many;
	const struct lb_type *value;	/* NULL: unknown */
};

/* lb_bulk_lookup. In LRU maps by single calls, which leave the order of use alone, unless touch. */
int lb_many_lookup(const struct lb_many_map *m, const struct lb_keys *in, uint8_t *values,
		   bool touch, struct lb_tally *t);
/* lb_bulk_update, lb_bulk_upsert, lb_bulk_delete_equal. */
int lb_many_update(const struct lb_many_map *m, const struct lb_keys *in, enum lb_mode mode,
		   struct lb_tally *t);
int lb_many_upsert(const struct lb_many_map *m, const struct lb_keys *in, struct lb_tally *t);
int lb_many_delete_equal(const struct lb_many_map *m, const struct lb_keys *in,
			 struct lb_tally *t);

/* lb_elemcount_run with a program that is kept: 0 and *count, or -errno. */
int lb_many_count(const struct lb_many_map *m, uint64_t *count);

/* Unloads everything. May be called twice. */
void lb_many_close(struct lb_many *many);

#endif
