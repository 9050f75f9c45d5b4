/* SPDX-License-Identifier: MIT */
/*
 * Keyed programs of a map handle, with bulk calls in their place where they
 * are no use. See keyset.h.
 */
#include "lib/keys/keyset.h"

#include "lib/kernel/momentary.h"
#include "lib/layout/special.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* A single call takes about 1.2 us, loading a program about 0.4 ms. */
#define WORTH_LOADING 256u
/* A run of a program takes as long as a few single calls. */
#define WORTH_RUNNING 16u

/* ---- programs --------------------------------------------------------- */

/* NULL, with the reason in *err: negative. */
static struct lb_keyed *open_keyed(const struct lb_many_map *m, enum lb_keyed_op op, int *err)
{
	struct lb_span zeros[LB_MAX_SPANS];
	struct lb_keyed_spec spec = {
		.op = op, .zeros = zeros,
		.nzeros = lb_special_spans(m->value, zeros, LB_MAX_SPANS),
		.env = { .key_size = m->k->info.key_size, .value_size = m->k->info.value_size,
			 .ncpu = m->k->ncpu },
	};
	struct lb_keyed *k;

	*err = -LB_ENOTSUPP;
	if (spec.nzeros > LB_MAX_SPANS)
		return NULL;
	*err = -ENOMEM;
	k = malloc(sizeof(*k));
	if (k)
		*err = lb_keyed_open(k, m->k, &spec);
	if (k && *err) {
		free(k);
		k = NULL;
	}
	return k;
}

/* Opened if need be; NULL if there is none for this map. */
static struct lb_keyed *keyed(const struct lb_many_map *m, enum lb_keyed_op op)
{
	struct lb_many *many = m->many;
	int err = 0;

	if (many->refused[op])
		return NULL;
	if (!many->keyed[op])
		many->keyed[op] = open_keyed(m, op, &err);
	many->refused[op] = err && !lb_momentary(err);
	return many->keyed[op];
}

static void refuse(struct lb_many *many, enum lb_keyed_op op)
{
	many->refused[op] = true;
	lb_keyed_close(many->keyed[op]);
	free(many->keyed[op]);
	many->keyed[op] = NULL;
}

static bool is_loaded(const struct lb_many *many, enum lb_keyed_op op)
{
	return many->keyed[op] && many->keyed[op]->program.fd >= 0;
}

/*
 * Does what a program does of the work. What is left, because there is no
 * program or it met an error, is for bulk.h, which meets the error too if it
 * is one of the map's.
 */
static void run_keyed(const struct lb_many_map *m, enum lb_keyed_op op, const struct lb_keys *in,
		      uint8_t *values, uint32_t worth, struct lb_tally *t)
{
	uint32_t least = is_loaded(m->many, op) ? WORTH_RUNNING : worth;
	struct lb_keyed *k = in->n >= least ? keyed(m, op) : NULL;
	struct lb_region *region = NULL;
	struct lb_log log;
	int err;

	if (!k || !lb_kmap_allows(m->k, op != LB_KEYED_GET))
		return;
	if (lb_region_get(m->pool, lb_keyed_room(k, in->n), &region))
		return;
	err = lb_keyed_load(k, region, &log);
	if (!err)
		lb_keyed_run(k, in, NULL, values, region, t, &log);
	else if (!lb_momentary(err))
		refuse(m->many, op);
	lb_region_put(m->pool, region);
}

int lb_many_lookup(const struct lb_many_map *m, const struct lb_keys *in, uint8_t *values,
		   bool touch, struct lb_tally *t)
{
	if ((touch || !lb_can(m->k, LB_EVICTS)) && !lb_kmap_mapped(m->k, false))
		run_keyed(m, LB_KEYED_GET, in, values, WORTH_LOADING, t);
	return lb_bulk_lookup(m->k, in, values, t);
}

int lb_many_update(const struct lb_many_map *m, const struct lb_keys *in, enum lb_mode mode,
		   struct lb_tally *t)
{
	if (mode != LB_ANY)
		run_keyed(m, mode == LB_NOEXIST ? LB_KEYED_NOEXIST : LB_KEYED_EXIST, in, NULL,
			  WORTH_LOADING, t);
	return lb_bulk_update(m->k, in, mode, t);
}

int lb_many_upsert(const struct lb_many_map *m, const struct lb_keys *in, struct lb_tally *t)
{
	run_keyed(m, LB_KEYED_UPSERT, in, NULL, WORTH_LOADING, t);
	return lb_bulk_upsert(m->k, in, t);
}

/* However few: between comparing and deleting a program lets less time pass than two calls do. */
int lb_many_delete_equal(const struct lb_many_map *m, const struct lb_keys *in,
			 struct lb_tally *t)
{
	if (!m->k->lock)
		run_keyed(m, LB_KEYED_COMPARE, in, NULL, 1, t);
	return lb_bulk_delete_equal(m->k, in, t);
}

/* ---- counting --------------------------------------------------------- */

static int open_count(const struct lb_many_map *m)
{
	struct lb_log log;
	int err;

	m->many->count = malloc(sizeof(*m->many->count));
	if (!m->many->count)
		return -ENOMEM;
	err = lb_elemcount_open(m->many->count, m->k, &log);
	if (err) {
		free(m->many->count);
		m->many->count = NULL;
	}
	return err;
}

int lb_many_count(const struct lb_many_map *m, uint64_t *count)
{
	int err = m->many->uncounted || !lb_kmap_allows(m->k, false) ? -LB_ENOTSUPP : 0;

	if (!err && !m->many->count)
		err = open_count(m);
	m->many->uncounted = err && !lb_momentary(err);
	return err ? err : lb_elemcount_run(m->many->count, count);
}

void lb_many_close(struct lb_many *many)
{
	for (int op = 0; op <= LB_KEYED_DELETE; op++) {
		if (many->keyed[op])
			refuse(many, (enum lb_keyed_op)op);
		many->refused[op] = true;
	}
	if (many->count)
		lb_elemcount_close(many->count);
	free(many->count);
	many->count = NULL;
	many->uncounted = true;
}
