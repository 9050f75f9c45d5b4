/* SPDX-License-Identifier: MIT */
/*
 * Keyed programs: the spec, loading, running. See keyed.h; the program is
 * written in keycode.c.
 *
 * Keys, and values where the operation takes any, are copied into the region,
 * and values and statuses out of it: at most 16,384 at a time, and about 4 MiB.
 */
#include "lib/keys/keyed.h"
#include "lib/keys/keycode.h"
#include "lib/code/progshape.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

/* A region of that size is filled before another run is made. */
#define ROOM (4u << 20)
/* Runs without progress before what stands in the way is reported. */
#define MAX_RETRIES 64

/* ---- the spec --------------------------------------------------------- */

static bool stores(enum lb_keyed_op op)
{
	return op == LB_KEYED_UPSERT || op == LB_KEYED_NOEXIST || op == LB_KEYED_EXIST;
}

static bool deletes(enum lb_keyed_op op)
{
	return op == LB_KEYED_DECIDE || op == LB_KEYED_COMPARE || op == LB_KEYED_DELETE;
}

static bool takes_values(enum lb_keyed_op op)
{
	return stores(op) || op == LB_KEYED_COMPARE || op == LB_KEYED_EXCHANGE;
}

/* Of per-CPU maps these see the value of one CPU. */
static bool takes_one_cpu(enum lb_keyed_op op)
{
	return op == LB_KEYED_CHANGE || op == LB_KEYED_EXCHANGE;
}

static bool sizes_are_right(const struct lb_kmap *m, const struct lb_keyed_spec *spec)
{
	return spec->env.key_size == m->info.key_size &&
	       spec->env.value_size == m->info.value_size &&
	       spec->env.ncpu == (takes_one_cpu(spec->op) ? 0 : m->ncpu);
}

static const char *check_spec(const struct lb_kmap *m, const struct lb_keyed_spec *spec)
{
	const char *why = lb_env_check(&spec->env);

	if (why)
		return why;
	if (spec->op > LB_KEYED_EXCHANGE)
		return "unknown operation";
	if (!sizes_are_right(m, spec))
		return "the environment is not the map's";
	if (spec->op != LB_KEYED_DECIDE && spec->op != LB_KEYED_CHANGE &&
	    (spec->where.n || spec->copy || spec->env.nreductions))
		return "a condition where none is taken";
	if ((spec->op == LB_KEYED_CHANGE) != (spec->change.nwords > 0))
		return "a change where none is taken";
	why = lb_edit_check(&spec->change, &spec->env);
	if (why)
		return why;
	why = lb_spans_check(spec->zeros, spec->nzeros, spec->env.value_size);
	if (!why && spec->where.n)
		why = lb_fragment_check(&spec->where, &spec->env, NULL);
	return why;
}

/* Comparing is straight code over both values. */
static const char *check_compare(const struct lb_keyed_spec *spec)
{
	if (spec->env.ncpu > LB_UNROLLED_CPUS)
		return "values of more than 16 CPUs are not compared by a program";
	if (lb_env_stride(&spec->env) > LB_MAX_STRAIGHT)
		return "the values are too large to be compared by a program";
	return NULL;
}

static struct lb_live live_of(const struct lb_keyed_spec *spec)
{
	return (struct lb_live){ .env = &spec->env, .nzeros = spec->nzeros };
}

static bool copies(const struct lb_keyed_spec *spec)
{
	return spec->op == LB_KEYED_GET || spec->copy;
}

/* Why a sound spec cannot be a program for this map. */
static const char *check_map(const struct lb_kmap *m, const struct lb_keyed_spec *spec)
{
	struct lb_live live = live_of(spec);
	bool get = spec->op == LB_KEYED_GET;

	if (!lb_can(m, LB_KEYED) && !(get && lb_can(m, LB_PREFIX_KEY)))
		return "programs cannot do that with this type of map";
	if (deletes(spec->op) && !lb_can(m, LB_CAN_DELETE))
		return "entries of this type of map cannot be deleted";
	if (stores(spec->op) && m->ncpu)
		return "a program stores the value of one CPU only";
	if (spec->op == LB_KEYED_EXCHANGE && spec->env.value_size > LB_MAX_EXCHANGE)
		return "the values are too large to be compared and stored by a program";
	if (get && m->lock)
		return "values with a spin lock are read under it, by system calls";
	if (m->ncpu && !lb_cpus_in_order())
		return "the numbers of the possible CPUs have gaps";
	if (spec->op == LB_KEYED_COMPARE)
		return check_compare(spec);
	return copies(spec) ? lb_live_check(&live) : NULL;
}

/* The context, which is the parameters, comes first in k->memory. */
static int copy_spec(struct lb_keyed *k, const struct lb_keyed_spec *from)
{
	size_t params = 8 * (size_t)from->env.nparams;
	size_t code = from->where.n * sizeof(*from->where.code);
	size_t reductions = from->env.nreductions * sizeof(*from->env.reductions);
	size_t zeros = from->nzeros * sizeof(*from->zeros), change = lb_edit_kept(&from->change);
	struct lb_keyed_spec *to = &k->spec;
	uint8_t *p;

	k->memory = calloc(1, params + code + change + lb_kept(reductions) + lb_kept(zeros) + 1);
	if (!k->memory)
		return -ENOMEM;
	p = (uint8_t *)k->memory + params;
	*to = *from;
	to->unrolled = from->unrolled ? from->unrolled : LB_UNROLLED_CPUS;
	to->where.code = lb_keep(&p, from->where.code, code);
	lb_edit_keep(&to->change, &from->change, &p);
	to->env.reductions = lb_keep(&p, from->env.reductions, reductions);
	to->zeros = lb_keep(&p, from->zeros, zeros);
	return 0;
}

int lb_keyed_open(struct lb_keyed *k, struct lb_kmap *map, const struct lb_keyed_spec *spec)
{
	int err;

	memset(k, 0, sizeof(*k));
	k->map = map;
	lb_program_init(&k->program);
	k->refused = check_spec(map, spec);
	err = lb_fragment_error(k->refused);
	if (!k->refused) {
		k->refused = check_map(map, spec);
		err = k->refused ? -LB_ENOTSUPP : copy_spec(k, spec);
	}
	if (err)
		lb_keyed_close(k);
	return err;
}

void lb_keyed_close(struct lb_keyed *k)
{
	lb_program_close(&k->program);
	free(k->memory);
	k->memory = NULL;
}

/* ---- the region ------------------------------------------------------- */

size_t lb_keyed_room(const struct lb_keyed *k, uint32_t n)
{
	size_t one = lb_keyed_key_room(&k->spec), all = (n < lb_keyed_chunk(k) ? n : lb_keyed_chunk(k)) * one;

	if (all > ROOM)
		all = one > ROOM ? one : ROOM;
	return all + lb_keyed_head_room(&k->spec) + 8;
}

uint32_t lb_keyed_capacity(const struct lb_keyed *k, size_t size)
{
	return lb_keyed_parts_in(k, size).capacity;
}

static int load_once(struct lb_keyed *k, struct lb_region *region, struct lb_log *log)
{
	struct lb_image image = { 0 };
	int err;

	lb_keyed_write(k, region, &image);
	k->ninsns = image.code.n;
	err = lb_program_load(&k->program, &image, region, &k->refused, log);
	lb_image_free(&image);
	return err;
}

int lb_keyed_load(struct lb_keyed *k, struct lb_region *region, struct lb_log *log)
{
	struct lb_live live = live_of(&k->spec);
	int err;

	if (lb_keyed_capacity(k, region->size) == 0)
		return -ENOSPC;
	if (k->program.fd >= 0 && k->program.region == region)
		return 0;
	err = load_once(k, region, log);
	/* Dynptrs came later than the rest, and not everywhere at once: try without. */
	if (err && err != -EPERM && !k->straight && copies(&k->spec) && lb_live_by_dynptr(&live) &&
	    k->spec.env.value_size <= LB_MAX_STRAIGHT) {
		k->straight = true;
		err = load_once(k, region, log);
	}
	return err;
}

/* ---- running ---------------------------------------------------------- */

/* One call of lb_keyed_run. */
struct job {
	struct lb_keyed *k;
	const struct lb_keys *in;
	uint8_t *values;
	struct lb_region *region;
	struct lb_keyed_parts parts;
	struct lb_tally *t;
};

static void tell(struct lb_tally *t, enum lb_status status)
{
	switch (status) {
	case LB_ST_FOUND:
		t->found++;
		break;
	case LB_ST_MISSING:
		t->missing++;
		break;
	case LB_ST_STORED:
		t->stored++;
		break;
	case LB_ST_INSERTED:
		t->inserted++;
		break;
	case LB_ST_UPDATED:
		t->updated++;
		break;
	case LB_ST_DELETED:
		t->deleted++;
		break;
	case LB_ST_CHANGED:
		t->changed++;
		break;
	default: /* LB_ST_EXISTS has no counter */
		break;
	}
}

static void copy_in(const struct job *j, uint32_t n)
{
	size_t ks = j->k->spec.env.key_size, vs = lb_keyed_value_size(&j->k->spec);
	struct lb_keyed_head *head = (struct lb_keyed_head *)(void *)j->region->mem;
	uint32_t from = j->t->done;

	*head = (struct lb_keyed_head){ .n = n, .cpu = j->k->cpu };
	memcpy(j->region->mem + j->parts.keys, j->in->keys + from * ks, n * ks);
	if (takes_values(j->k->spec.op))
		memcpy(j->region->mem + j->parts.values, j->in->values + from * vs, n * vs);
}

/* The first n keys of the run are done: their statuses, and the values that came with them. */
static void copy_out(const struct job *j, uint32_t n)
{
	const uint8_t *status = j->region->mem + j->parts.status;
	const uint8_t *values = j->region->mem + j->parts.values;
	size_t vs = lb_env_stride(&j->k->spec.env);
	uint8_t wanted = j->k->spec.op == LB_KEYED_GET	    ? LB_ST_FOUND
			 : j->k->spec.op == LB_KEYED_CHANGE ? LB_ST_UPDATED : LB_ST_DELETED;
	bool copied = copies(&j->k->spec);

	for (uint32_t i = 0; i < n; i++, j->t->done++) {
		if (copied && status[i] == wanted)
			memcpy(j->values + j->t->done * vs, values + i * vs, vs);
		if (j->in->status)
			j->in->status[j->t->done] = status[i];
		tell(j->t, (enum lb_status)status[i]);
	}
}

/* An upsert may lose its race twice. */
static bool worth_retrying(enum lb_keyed_op op, int err)
{
	if (op == LB_KEYED_UPSERT && (err == -ENOENT || err == -EEXIST))
		return true;
	return lb_transient(-err);
}

/* One run of the program, over as many keys as it takes. 0 or what stopped it. */
static int run_once(struct job *j)
{
	const struct lb_keyed_head *head = (const struct lb_keyed_head *)(void *)j->region->mem;
	uint32_t n = j->in->n - j->t->done;
	int err;

	if (n > j->parts.capacity)
		n = j->parts.capacity;
	copy_in(j, n);
	err = lb_program_run(&j->k->program, j->k->memory, 8 * j->k->spec.env.nparams);
	if (err)
		return err;
	/* An error in bpf_loop itself, -E2BIG, is no number of keys. */
	if (head->went > n)
		return (int)(int64_t)head->went;
	err = (int)(int32_t)head->error;
	copy_out(j, err ? (uint32_t)head->went - 1 : (uint32_t)head->went);
	return err;
}

int lb_keyed_run(struct lb_keyed *k, const struct lb_keys *in, const uint64_t *params,
		 uint8_t *values, struct lb_region *region, struct lb_tally *tally,
		 struct lb_log *log)
{
	struct job j = { .k = k, .in = in, .values = values, .region = region, .t = tally };
	unsigned int retries = 0;
	int err = lb_keyed_load(k, region, log);

	if (err)
		return err;
	if (k->spec.env.nparams)
		memcpy(k->memory, params, 8 * (size_t)k->spec.env.nparams);
	if (k->spec.env.ntables)
		memcpy(region->mem + LB_KEYED_HEAD, params + k->spec.env.nparams,
		       8 * (size_t)k->spec.env.ntables);
	j.parts = lb_keyed_parts_in(k, region->size);
	while (tally->done < in->n) {
		uint32_t before = tally->done;

		err = run_once(&j);
		retries = tally->done > before ? 0 : retries + 1;
		if (err && (!worth_retrying(k->spec.op, err) || retries > MAX_RETRIES))
			return err;
		if (err)
			sched_yield();
	}
	return 0;
}
