/* SPDX-License-Identifier: MIT */
/*
 * Kernel scans: the spec, loading, running. See scan.h; the program is written
 * in scancode.c.
 */
#include "lib/scan/scan.h"
#include "lib/scan/scancode.h"
#include "lib/code/progshape.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- the spec --------------------------------------------------------- */

static const char *check_fragments(const struct lb_scan_spec *spec)
{
	const char *why = spec->where.n ? lb_fragment_check(&spec->where, &spec->env, NULL) : NULL;

	for (uint32_t i = 0; i < spec->nsums && !why; i++)
		why = spec->sums[i].op > LB_SMAX
			      ? "unknown sum"
			      : lb_fragment_check(&spec->sums[i].of, &spec->env, NULL);
	for (uint32_t i = 0; i < spec->ncolumns && !why; i++)
		why = lb_fragment_check(&spec->columns[i], &spec->env, NULL);
	return why;
}

static bool index_is_sound(const struct lb_scan_spec *spec)
{
	uint32_t bits = 0;

	if (spec->nindex > spec->ncolumns || spec->keys || spec->values || spec->remove)
		return false;
	for (uint32_t i = 0; i < spec->nindex && bits <= LB_MAX_INDEX_BITS; i++)
		bits += spec->bits[i];
	for (uint32_t i = 0; i < spec->ncolumns - spec->nindex; i++)
		if (spec->ops[i] > LB_SMAX)
			return false;
	return bits <= LB_MAX_INDEX_BITS;
}

/* Changes come alone, or with sums of what they take. */
static const char *check_change(const struct lb_scan_spec *spec)
{
	bool rows = spec->keys || spec->values || (spec->ncolumns && !spec->nindex);

	if (!spec->change.nwords)
		return NULL;
	if (rows || spec->remove || spec->env.ncpu || spec->env.nreductions || !spec->asked)
		return "bad change";
	return lb_edit_check(&spec->change, &spec->env);
}

static const char *check_spec(const struct lb_kmap *m, const struct lb_scan_spec *spec)
{
	const char *why = lb_env_check(&spec->env);

	if (why)
		return why;
	if (spec->env.key_size != m->info.key_size || spec->env.value_size != m->info.value_size ||
	    spec->env.ncpu != m->ncpu)
		return "the environment is not the map's";
	if (spec->nsums > LB_MAX_SUMS || spec->ncolumns > LB_MAX_COLUMNS)
		return "too many sums or columns";
	if (spec->nsums && spec->remove)
		return "sums of what is deleted";
	if (spec->nindex && !index_is_sound(spec))
		return "bad groups";
	why = lb_spans_check(spec->zeros, spec->nzeros, spec->env.value_size);
	if (!why)
		why = check_change(spec);
	return why ? why : check_fragments(spec);
}

static struct lb_live live_of(const struct lb_scan_spec *spec)
{
	return (struct lb_live){ .env = &spec->env, .nzeros = spec->nzeros };
}

/* Why a sound spec cannot be a program for this map. */
static const char *check_map(const struct lb_kmap *m, const struct lb_scan_spec *spec)
{
	struct lb_live live = live_of(spec);

	if (!lb_can(m, LB_FOR_EACH))
		return "the kernel does not walk this type of map";
	if (spec->remove && !lb_can(m, LB_CAN_DELETE))
		return "entries of this type of map cannot be deleted";
	if (spec->env.ncpu && !lb_cpus_in_order())
		return "the numbers of the possible CPUs have gaps";
	if ((spec->keys || spec->asked) && spec->env.key_size > LB_MAX_STRAIGHT)
		return "the keys are too large to be copied by a program";
	return spec->values || spec->asked ? lb_live_check(&live) : NULL;
}

static size_t code_size(const struct lb_fragment *f)
{
	return f->n * sizeof(*f->code);
}

static size_t context_size(const struct lb_scan_spec *spec)
{
	return 8 * ((size_t)spec->env.nparams + LB_AT_SUMS + spec->nsums);
}

static size_t memory_size(const struct lb_scan_spec *spec)
{
	size_t size = context_size(spec) + code_size(&spec->where);

	size += lb_edit_kept(&spec->change);
	size += lb_kept(spec->env.nreductions * sizeof(*spec->env.reductions));
	size += lb_kept(spec->nsums * sizeof(*spec->sums));
	size += lb_kept(spec->ncolumns * sizeof(*spec->columns));
	size += lb_kept(spec->nzeros * sizeof(*spec->zeros));
	if (spec->nindex)
		size += lb_kept(spec->nindex) + lb_kept(spec->ncolumns - spec->nindex);
	for (uint32_t i = 0; i < spec->nsums; i++)
		size += code_size(&spec->sums[i].of);
	for (uint32_t i = 0; i < spec->ncolumns; i++)
		size += code_size(&spec->columns[i]);
	return size;
}

/* The context comes first in s->memory. */
static int copy_spec(struct lb_scan *s, const struct lb_scan_spec *from)
{
	struct lb_scan_spec *to = &s->spec;
	struct lb_fragment *columns;
	struct lb_sum *sums;
	uint8_t *p;

	s->memory = calloc(1, memory_size(from));
	if (!s->memory)
		return -ENOMEM;
	p = (uint8_t *)s->memory + context_size(from);
	*to = *from;
	to->unrolled = from->unrolled ? from->unrolled : LB_UNROLLED_CPUS;
	to->where.code = lb_keep(&p, from->where.code, code_size(&from->where));
	lb_edit_keep(&to->change, &from->change, &p);
	to->env.reductions = lb_keep(&p, from->env.reductions,
				  from->env.nreductions * sizeof(*from->env.reductions));
	to->zeros = lb_keep(&p, from->zeros, from->nzeros * sizeof(*from->zeros));
	if (from->nindex) {
		to->bits = lb_keep(&p, from->bits, from->nindex);
		to->ops = lb_keep(&p, from->ops, from->ncolumns - from->nindex);
	}
	to->sums = sums = lb_keep(&p, from->sums, from->nsums * sizeof(*sums));
	to->columns = columns = lb_keep(&p, from->columns, from->ncolumns * sizeof(*columns));
	for (uint32_t i = 0; i < from->nsums; i++)
		sums[i].of.code = lb_keep(&p, sums[i].of.code, code_size(&sums[i].of));
	for (uint32_t i = 0; i < from->ncolumns; i++)
		columns[i].code = lb_keep(&p, columns[i].code, code_size(&columns[i]));
	return 0;
}

int lb_scan_open(struct lb_scan *s, struct lb_kmap *map, const struct lb_scan_spec *spec,
		 struct lb_log *log)
{
	int err;

	memset(s, 0, sizeof(*s));
	s->map = map;
	lb_program_init(&s->program);
	s->refused = check_spec(map, spec);
	err = lb_fragment_error(s->refused);
	if (!s->refused) {
		s->refused = check_map(map, spec);
		err = s->refused ? -LB_ENOTSUPP : copy_spec(s, spec);
	}
	if (!err && !lb_scan_has_rows(s))
		err = lb_scan_load(s, NULL, log);
	if (err)
		lb_scan_close(s);
	return err;
}

void lb_scan_close(struct lb_scan *s)
{
	lb_program_close(&s->program);
	free(s->memory);
	s->memory = NULL;
}

/* ---- loading ---------------------------------------------------------- */

static int load_once(struct lb_scan *s, struct lb_region *region, struct lb_log *log)
{
	struct lb_image image = { 0 };
	int err;

	lb_scan_write(s, region, &image);
	s->ninsns = image.code.n;
	err = lb_program_load(&s->program, &image, region, &s->refused, log);
	lb_image_free(&image);
	return err;
}

/* Dynptrs came later than the rest, not everywhere at once: small values go without. */
static bool goes_straight(const struct lb_scan_spec *spec)
{
	struct lb_live live = live_of(spec);

	return (spec->values || spec->asked) && lb_live_by_dynptr(&live) && spec->env.value_size <= LB_MAX_STRAIGHT;
}

int lb_scan_load(struct lb_scan *s, struct lb_region *region, struct lb_log *log)
{
	int err;

	if (!lb_scan_has_rows(s))
		region = NULL;
	else if (!region || region->size < lb_scan_room(s, lb_row_size(&s->spec) ? 1 : 0))
		return -ENOSPC;
	if (s->program.fd >= 0 && s->program.region == region)
		return 0;
	err = load_once(s, region, log);
	if (err && err != -EPERM && !s->straight && goes_straight(&s->spec)) {
		s->straight = true;
		err = load_once(s, region, log);
	}
	return err;
}

/* ---- running ---------------------------------------------------------- */

bool lb_scan_has_rows(const struct lb_scan *s)
{
	return lb_row_size(&s->spec) > 0 || s->spec.asked || s->spec.env.ntables;
}

size_t lb_scan_room(const struct lb_scan *s, uint64_t rows)
{
	uint64_t row = lb_row_size(&s->spec), rest = lb_scan_head(&s->spec) + 16;

	if (s->spec.nindex)
		rows = lb_records(&s->spec);
	return row && rows > (SIZE_MAX - rest) / row ? SIZE_MAX : (size_t)(rows * row + rest);
}

uint32_t lb_scan_capacity(const struct lb_scan *s, size_t size)
{
	return lb_row_areas_in(&s->spec, size).capacity;
}

static uint64_t first_sum(enum lb_sum_op op)
{
	switch (op) {
	case LB_MIN:
		return UINT64_MAX;
	case LB_SMIN:
		return INT64_MAX;
	case LB_SMAX:
		return (uint64_t)INT64_MIN;
	default:
		return 0;
	}
}

/* Empty groups. */
static void fill_records(const struct lb_scan *s, const struct lb_region *region)
{
	const struct lb_scan_spec *spec = &s->spec;
	uint32_t words = lb_row_size(spec) / 8;
	uint64_t *record = (uint64_t *)(void *)(region->mem +
						lb_row_areas_in(spec, region->size).columns);

	for (uint32_t n = lb_records(spec); n > 0; n--, record += words) {
		record[0] = 0;
		for (uint32_t i = 1; i < words; i++)
			record[i] = first_sum((enum lb_sum_op)spec->ops[i - 1]);
	}
}

static uint64_t *fill_context(struct lb_scan *s, const struct lb_scan_args *a)
{
	uint64_t *ctx = s->memory, *at = ctx + s->spec.env.nparams;
	uint64_t visits = 2 * (uint64_t)s->map->info.max_entries;

	if (s->spec.env.nparams)
		memcpy(ctx, a->params, 8 * (size_t)s->spec.env.nparams);
	memset(at, 0, 8 * LB_AT_SUMS);
	at[LB_AT_LEFT] = a->limit ? a->limit : UINT64_MAX;
	at[LB_AT_COUNT_ON] = a->count_on;
	at[LB_AT_DRY] = a->dry;
	at[LB_AT_DEADLINE] = a->deadline ? a->deadline : UINT64_MAX;
	at[LB_AT_MAX_VISITS] = a->max_visits ? a->max_visits : visits;
	for (uint32_t i = 0; i < s->spec.nsums; i++)
		at[LB_AT_SUMS + i] = first_sum(s->spec.sums[i].op);
	return at;
}

static void locate_rows(const struct lb_scan *s, const struct lb_region *region,
			struct lb_scan_result *out)
{
	struct lb_row_areas rows = lb_row_areas_in(&s->spec, region->size);

	out->columns = (const uint64_t *)(const void *)(region->mem + rows.columns);
	out->rows.keys = region->mem + rows.keys;
	out->rows.values = region->mem + rows.values;
	out->rows.n = out->stored;
	out->asked.keys = region->mem + rows.asked_keys;
	out->asked.values = region->mem + rows.asked_values;
}

static void read_context(const struct lb_scan *s, const uint64_t *at, struct lb_scan_result *out)
{
	out->visited = at[LB_AT_VISITED];
	out->matched = at[LB_AT_MATCHED];
	out->deleted = at[LB_AT_DELETED];
	out->missing = at[LB_AT_MISSING];
	out->cut = at[LB_AT_CUT];
	out->updated = at[LB_AT_UPDATED];
	out->kept = at[LB_AT_KEPT];
	out->stored = s->spec.nindex ? lb_records(&s->spec) : (uint32_t)at[LB_AT_ROWS];
	out->asked.n = (uint32_t)at[LB_AT_ASKED];
	out->stop = (enum lb_stop)at[LB_AT_STOP];
	for (uint32_t i = 0; i < s->spec.nsums; i++)
		out->sums[i] = at[LB_AT_SUMS + i];
	out->written = s->memory;
	/* The entry it stopped at was not dealt with. */
	if (out->stop == LB_STOP_FULL || out->stop == LB_STOP_ERROR || out->stop == LB_STOP_ASKED)
		out->visited--;
	if (out->stop == LB_STOP_ERROR)
		out->error = (int32_t)at[LB_AT_ERROR];
}

int lb_scan_run(struct lb_scan *s, const struct lb_scan_args *args, struct lb_region *region,
		struct lb_scan_result *out, struct lb_log *log)
{
	int err = lb_scan_load(s, region, log);
	uint64_t *at;

	if (err)
		return err;
	memset(out, 0, sizeof(*out));
	at = fill_context(s, args);
	if (s->spec.env.ntables)
		memcpy(region->mem, args->params + s->spec.env.nparams,
		       8 * (size_t)s->spec.env.ntables);
	if (s->spec.nindex)
		fill_records(s, region);
	err = lb_program_run(&s->program, s->memory, (uint32_t)context_size(&s->spec));
	if (err)
		return err;
	if ((int64_t)at[LB_AT_WALKED] < 0)
		return (int)(int64_t)at[LB_AT_WALKED];
	read_context(s, at, out);
	if (lb_scan_has_rows(s))
		locate_rows(s, region, out);
	return 0;
}
