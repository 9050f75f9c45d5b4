/* SPDX-License-Identifier: MIT */
/*
 * Threads over one map. See crew.h; the buckets are split as in source.h.
 */
#include "lib/thread/crew.h"

#include "lib/kernel/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What one thread has: a map handle with buffers of its own, its sums or its parcels. */
struct lb_crew_member {
	struct lb_kmap map;
	struct lb_source source;
	struct lb_agg agg;
	struct lb_column *columns;
	uint64_t *words;
	uint8_t *match;
	uint32_t room;			/* entries that words and match are for */
	uint64_t visited, matched;
	struct asked {
		uint8_t *keys, *values;
		uint32_t n, room;	/* entries */
	} asked;
	struct lb_packer packer;
	int err;
};

static int make_room(const struct lb_crew_spec *s, struct lb_crew_member *m, uint32_t n)
{
	if (n <= m->room)
		return 0;
	free(m->match);
	free(m->words);
	m->room = 0;
	m->match = malloc(n);
	m->words = malloc(((size_t)n * s->ncolumns + 1) * sizeof(*m->words));
	if (!m->match || !m->words)
		return -ENOMEM;
	m->room = n;
	return 0;
}

static uint32_t judge(const struct lb_crew_spec *s, struct lb_crew_member *m,
		      const struct lb_block *block)
{
	if (s->where)
		return lb_interp_match(s->where, block, s->params, m->match);
	memset(m->match, LB_YES, block->n);
	return block->n;
}

/* Room for one more entry that others judge. */
static int grow_asked(const struct lb_crew *c, struct asked *a)
{
	size_t ks = c->spec.map->info.key_size, vs = c->spec.map->value_stride;
	uint32_t room = a->room ? 2 * a->room : 256;
	uint8_t *p;

	if ((uint64_t)room * (ks + vs) > c->spec.most_asked / c->n)
		return -EDQUOT;
	p = realloc(a->keys, room * ks + 1);
	if (!p)
		return -ENOMEM;
	a->keys = p;
	p = realloc(a->values, room * vs + 1);
	if (!p)
		return -ENOMEM;
	a->values = p;
	a->room = room;
	return 0;
}

/* Keeps what where left to others. */
static int keep_asked(const struct lb_crew *c, struct lb_crew_member *m,
		      const struct lb_block *block)
{
	size_t ks = c->spec.map->info.key_size, vs = c->spec.map->value_stride;
	struct asked *a = &m->asked;
	int err = 0;

	for (uint32_t i = 0; i < block->n && !err; i++) {
		if (m->match[i] != LB_ASK)
			continue;
		if (a->n == a->room)
			err = grow_asked(c, a);
		if (err)
			return err;
		memcpy(a->keys + a->n * ks, block->keys + i * ks, ks);
		memcpy(a->values + a->n * vs, block->values + i * vs, vs);
		a->n++;
	}
	return err;
}

/* Columns lie one after the other, so that each is an array of its own. */
static int sum_up(const struct lb_crew_spec *s, struct lb_crew_member *m,
		  const struct lb_block *block, uint32_t n)
{
	struct lb_agg_block rows = { .dense = true, .n = n };

	lb_interp_rows(s->where, s->columns, s->ncolumns, block, s->params, m->match, m->words, n, 1);
	for (uint32_t i = 0; i < s->ncolumns; i++)
		m->columns[i] = (struct lb_column){ m->words + (size_t)i * n, 1 };
	rows.groups = m->columns;
	rows.values = m->columns + s->agg->group_columns;
	return lb_agg_add(&m->agg, &rows);
}

/* Columns lie row after row. */
static int pack(const struct lb_crew_spec *s, struct lb_crew_member *m,
		const struct lb_block *block)
{
	lb_interp_rows(s->where, s->columns, s->ncolumns, block, s->params, m->match, m->words, 1,
		       s->ncolumns);
	return lb_packer_add(&m->packer, block, m->match, m->words);
}

/* ---- threads ---------------------------------------------------------------------- */

static int add_block(struct lb_crew *c, struct lb_crew_member *m, const struct lb_block *block)
{
	const struct lb_crew_spec *s = &c->spec;
	int err = make_room(s, m, block->n);
	uint32_t n;

	if (err)
		return err;
	n = judge(s, m, block);
	m->visited += block->n;
	m->matched += n;
	__atomic_fetch_add(&c->visited, block->n, __ATOMIC_RELAXED);
	if (s->asks)
		err = keep_asked(c, m, block);
	if (err)
		return err;
	if (n && s->agg)
		err = sum_up(s, m, block, n);
	else if (n && s->pack.form)
		err = pack(s, m, block);
	return err;
}

static void work(struct lb_workers *workers, uint32_t index)
{
	struct lb_crew *c = workers->data;
	struct lb_crew_member *m = &c->members[index];
	int n = 0;

	while (!m->err && !lb_workers_cancelled(workers) &&
	       (n = lb_source_next(&m->source)) > 0) {
		const struct lb_block block = { m->source.buf.keys, m->source.buf.values,
						(uint32_t)n };

		m->err = add_block(c, m, &block);
	}
	if (n < 0)
		m->err = n;
	if (!m->err)
		m->err = lb_packer_flush(&m->packer);
	if (m->err)
		lb_workers_cancel(workers);
}

static int prepare(struct lb_crew *c, uint32_t i)
{
	const struct lb_crew_spec *s = &c->spec;
	struct lb_crew_member *m = &c->members[i];
	uint64_t buckets = lb_buckets(s->map->info.max_entries);
	int err;

	lb_kmap_share(&m->map, s->map, c->fd);
	m->packer = (struct lb_packer){ .spec = &s->pack, .workers = &c->workers };
	m->columns = calloc(s->ncolumns + 1, sizeof(*m->columns));
	if (!m->columns)
		return -ENOMEM;
	err = lb_source_open(&m->source, &m->map, s->batch_size, false, false);
	if (!err && c->n > 1)
		lb_source_range(&m->source, (uint32_t)(buckets * i / c->n),
				(uint32_t)(buckets * (i + 1) / c->n));
	if (!err && s->agg)
		err = lb_agg_open(&m->agg, s->agg);
	return err;
}

int lb_crew_start(struct lb_crew *c, const struct lb_crew_spec *spec)
{
	int err = 0;

	memset(c, 0, sizeof(*c));
	c->spec = *spec;
	c->spec.pack.ncolumns = spec->ncolumns;
	c->spec.pack.key_size = spec->map->info.key_size;
	c->spec.pack.value_stride = spec->map->value_stride;
	c->n = spec->map->type->position == LB_POS_BUCKET ? spec->workers : 1;
	if (c->n > lb_buckets(spec->map->info.max_entries))
		c->n = lb_buckets(spec->map->info.max_entries);
	if (c->n == 0 || c->n > LB_MAX_WORKERS)
		return -EINVAL;
	c->members = calloc(c->n, sizeof(*c->members));
	if (!c->members)
		return -ENOMEM;
	c->fd = fcntl(spec->map->fd, F_DUPFD_CLOEXEC, 0);
	if (c->fd < 0)
		err = -errno;
	for (uint32_t i = 0; i < c->n && !err; i++)
		err = prepare(c, i);
	if (!err)
		err = lb_workers_start(&c->workers, c->n, work, c);
	if (err)
		lb_crew_close(c);
	return err;
}

void lb_crew_cancel(struct lb_crew *c)
{
	lb_workers_cancel(&c->workers);
	while (!lb_crew_wait(c, LB_SECOND))
		;
}

int lb_crew_end(struct lb_crew *c, struct lb_agg *agg, struct lb_crew_result *out)
{
	int err = 0;

	memset(out, 0, sizeof(*out));
	for (uint32_t i = 0; i < c->n; i++) {
		struct lb_crew_member *m = &c->members[i];

		/* Those that were cancelled have none of their own. */
		if (m->err && (!err || err == -ECANCELED))
			err = m->err;
		out->visited += m->visited;
		out->matched += m->matched;
		out->asked += m->asked.n;
	}
	/* All or nothing, as the caller may do it in another way. */
	for (uint32_t i = 0; i < c->n && agg && !err; i++)
		err = lb_agg_merge(agg, &c->members[i].agg);
	out->full = err == -ENOBUFS;
	out->often = err == -EDQUOT;
	return err;
}

void lb_crew_asked(const struct lb_crew *c, uint8_t *keys, uint8_t *values)
{
	size_t ks = c->spec.map->info.key_size, vs = c->spec.map->value_stride;

	for (uint32_t i = 0; i < c->n; i++) {
		const struct asked *a = &c->members[i].asked;

		if (!a->n)
			continue;
		memcpy(keys, a->keys, a->n * ks);
		memcpy(values, a->values, a->n * vs);
		keys += a->n * ks;
		values += a->n * vs;
	}
}

struct lb_scan_stats lb_crew_stats(const struct lb_crew *c)
{
	struct lb_scan_stats all = { 0 };

	for (uint32_t i = 0; i < c->n; i++) {
		const struct lb_scan_stats *one = &c->members[i].source.stats;

		all.batches += one->batches;
		all.entries += one->entries;
		all.calls += one->calls;
		all.grown += one->grown;
		all.retried += one->retried;
		all.restarted += one->restarted;
	}
	return all;
}

static void dismiss(struct lb_crew_member *m)
{
	lb_source_close(&m->source);
	lb_agg_close(&m->agg);
	/* The descriptor is the crew's. */
	m->map.fd = -1;
	lb_kmap_close(&m->map);
	free(m->columns);
	free(m->words);
	free(m->match);
	free(m->asked.keys);
	free(m->asked.values);
	lb_packer_close(&m->packer);
}

void lb_crew_close(struct lb_crew *c)
{
	bool foreign = lb_workers_foreign(&c->workers);

	lb_workers_stop(&c->workers);
	for (uint32_t i = 0; c->members && i < c->n && !foreign; i++)
		dismiss(&c->members[i]);
	if (c->members && c->fd >= 0)
		close(c->fd);
	if (!foreign)
		free(c->members);
	c->members = NULL;
	c->n = 0;
}
