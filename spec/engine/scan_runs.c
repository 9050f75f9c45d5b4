/* SPDX-License-Identifier: MIT */
/*
 * What a run of a kernel scan may be told, and what it does then: limits, deletion,
 * keys that are asked about, regions that are full.
 */
#include "scans.h"
#include "lib/kernel/clock.h"

#include <errno.h>

/* value[0] < parameter 0, the first byte */
#define LESS FRAGMENT(LOAD(B, 1, 7, 0), LOAD(DW, 2, 8, 0), ALU_K(MOV, 0, 1), \
		      JMP_X(JLT, 1, 2, 1), ALU_K(MOV, 0, 0))

/* A hash map of 1000 entries whose values begin with i % 100. */
static bool make_hundreds(struct filled *f, uint32_t flags)
{
	bool made = make(f, BPF_MAP_TYPE_HASH, 8, 16, 1000, 1000, flags);

	for (uint32_t i = 0; i < 1000 && made; i++) {
		value_of(f, i)[0] = (uint8_t)(i % 100);
		made = store(f, i);
	}
	return made;
}

static void limits(void)
{
	uint64_t ten = 10;
	struct filled f;
	struct lb_scan s;
	struct lb_scan_result r;

	if (!ok(make_hundreds(&f, 0), "a map of 1000 entries"))
		return;
	struct lb_scan_spec spec = { .env = env_of(&f), .where = LESS };

	spec.env.nparams = 1;
	int err = lb_scan_open(&s, &f.m, &spec, &elog);

	if (!ok(err == 0, "a scan that counts is loaded without a region"))
		explain(&s, err);
	err = RUN(NULL, .params = &ten);
	ok(!err && r.matched == 100 && r.visited == 1000 && lb_scan_complete(&r), "it counts");
	err = RUN(NULL, .params = &ten, .limit = 7);
	ok(!err && r.matched == 7 && r.cut == 0 && r.visited < 1000 && r.stop == LB_STOP_LIMIT,
	   "a limit stops it");
	err = RUN(NULL, .params = &ten, .limit = 7, .count_on = true);
	ok(!err && r.matched == 100 && r.cut == 93 && r.visited == 1000 && lb_scan_complete(&r),
	   "or it counts on past the limit");
	err = RUN(NULL, .params = &ten, .deadline = lb_monotonic());
	ok(!err && r.visited < 1000 && r.stop == LB_STOP_DEADLINE, "a deadline stops it");
	err = RUN(NULL, .params = &ten, .max_visits = 300);
	ok(!err && r.visited == 512 && r.stop == LB_STOP_VISITS,
	   "a number of visits does, looked at every 256");
	lb_scan_close(&s);
	lb_scan_close(&s);
	drop(&f);
}

static void deletes(uint32_t flags, const char *what)
{
	uint64_t ten = 10, all = 255;
	struct filled f;
	struct lb_scan s;
	struct lb_scan_result r;

	make_hundreds(&f, flags);
	struct lb_scan_spec spec = { .env = env_of(&f), .where = LESS, .remove = true };

	spec.env.nparams = 1;
	int err = lb_scan_open(&s, &f.m, &spec, &elog);

	if (err)
		explain(&s, err);
	err = err ? err : RUN(NULL, .params = &ten, .dry = true);
	ok(!err && r.matched == 100 && r.deleted == 0 && count_present(&f) == 1000,
	   "%s: a dry run deletes nothing", what);
	err = err ? err : RUN(NULL, .params = &ten, .limit = 30, .count_on = true);
	ok(!err && r.matched == 100 && r.deleted == 30 && r.cut == 70 && count_present(&f) == 970,
	   "%s: a limit keeps the rest", what);
	err = err ? err : RUN(NULL, .params = &ten);
	ok(!err && r.matched == 70 && r.deleted == 70 && r.missing == 0 && count_present(&f) == 900,
	   "%s: what matches is deleted", what);
	for (uint32_t i = 0, wrong = 0; i < 1000; i++) {
		wrong += present(&f, i) == (i % 100 < 10);
		if (i == 999)
			ok(wrong == 0, "%s: and nothing else", what);
	}
	err = err ? err : RUN(NULL, .params = &all);
	ok(!err && r.deleted == 900 && r.visited == 900 && count_present(&f) == 0,
	   "%s: all the rest", what);
	lb_scan_close(&s);
	drop(&f);
}

/* A deletion hands its rows over in as many runs as the region makes necessary. */
static void handed_over(void)
{
	uint64_t limit = 60;
	uint32_t runs = 0, got = 0, wrong = 0;
	bool seen[1000] = { false };
	struct filled f;
	struct lb_pool own = { 0 };
	struct lb_region *region = NULL;
	struct lb_scan s;
	struct lb_scan_result r = { .stop = LB_STOP_FULL };

	/* Values are large, so that the smallest region does not hold all. */
	make(&f, BPF_MAP_TYPE_HASH, 5, 400, 1000, 1000, 0);
	for (uint32_t i = 0; i < 1000; i++) {
		value_of(&f, i)[0] = (uint8_t)(i % 100);
		store(&f, i);
	}
	struct lb_scan_spec spec = { .env = env_of(&f), .where = LESS, .keys = true, .values = true,
				     .remove = true };

	spec.env.nparams = 1;
	int err = lb_scan_open(&s, &f.m, &spec, &elog);

	err = err ? err : lb_region_get(&own, 1, &region);
	err = err ? err : RUN(region, .params = &limit, .dry = true);
	if (err)
		explain(&s, err);
	ok(!err && r.matched == 600 && r.stored == lb_scan_capacity(&s, region->size) &&
	   r.stored < 600 && lb_scan_complete(&r), "a dry run with a region too small counts on");
	r.stop = LB_STOP_FULL;
	for (; !err && r.stop == LB_STOP_FULL && runs < 10; runs++) {
		err = RUN(region, .params = &limit);
		wrong += r.stored != r.deleted || r.matched != r.deleted;
		for (uint32_t k = 0; k < r.stored; k++, got++) {
			uint32_t i = index_of(&f, r.rows.keys + k * f.ks);

			wrong += i >= 1000 || seen[i] || i % 100 >= 60 || present(&f, i) ||
				 memcmp(r.rows.values + k * f.vs, value_of(&f, i), f.vs) != 0;
			seen[i % 1000] = true;
		}
	}
	ok(!err && wrong == 0 && got == 600 && count_present(&f) == 400,
	   "every deleted entry is handed over once, and as it was");
	ok(runs > 2 && lb_scan_complete(&r),
	   "in several runs: each stops before a row that does not fit");
	limit = 255;
	err = err ? err : RUN(region, .params = &limit);
	ok(!err && r.stop == LB_STOP_FULL && r.visited == r.deleted && r.deleted == r.stored,
	   "the entry it stops at is not counted");
	lb_region_put(&own, region);
	lb_pool_close(&own);
	lb_scan_close(&s);
	drop(&f);
}

/* The key's first byte modulo 3 is the answer. */
#define THREE FRAGMENT(LOAD(B, 0, 6, 0), ALU_K(MOD, 0, 3))

/* Whether the entries left to others are those, whole, each once. */
static bool asked_right(const struct filled *f, const struct lb_scan_result *r)
{
	bool seen[1000] = { false };

	for (uint32_t k = 0; k < r->asked.n; k++) {
		uint32_t i = index_of(f, r->asked.keys + (size_t)k * f->ks);

		if (i >= f->n || seen[i] || key_of(f, i)[0] % 3 != LB_ASK ||
		    memcmp(r->asked.values + (size_t)k * f->vs, value_of(f, i), f->vs) != 0)
			return false;
		seen[i] = true;
	}
	return true;
}

/* What where leaves to others is handed over beside the rows, and not acted on. */
static void asked(enum bpf_map_type type, const char *what)
{
	bool array = type == BPF_MAP_TYPE_ARRAY;
	uint32_t count[3] = { 0 }, wrong = 0;
	struct filled f;
	struct lb_region *region = NULL;
	struct lb_scan s;
	struct lb_scan_result r;

	make(&f, type, array ? 4 : 7, 13, 1000, 1000, 0);
	for (uint32_t i = 0; i < 1000; i++)
		count[key_of(&f, i)[0] % 3]++;
	struct lb_scan_spec spec = { .env = env_of(&f), .where = THREE, .asked = 1000 };
	int err = lb_scan_open(&s, &f.m, &spec, &elog);

	err = err ? err : lb_region_get(&pool, lb_scan_room(&s, 0), &region);
	err = err ? err : RUN(region, .params = NULL);
	if (err)
		explain(&s, err);
	ok(!err && lb_scan_complete(&r) && r.visited == 1000 && r.matched == count[LB_YES] &&
	   r.asked.n == count[LB_ASK] && asked_right(&f, &r), "%s: a count leaves entries to others",
	   what);
	lb_region_put(&pool, region);
	lb_scan_close(&s);

	spec.keys = spec.values = true;
	spec.remove = !array;
	err = lb_scan_open(&s, &f.m, &spec, &elog);
	err = err ? err : lb_region_get(&pool, lb_scan_room(&s, 1000), &region);
	err = err ? err : RUN(region, .params = NULL);
	for (uint32_t k = 0; k < r.stored; k++)
		wrong += r.rows.keys[(size_t)k * f.ks] % 3 != LB_YES;
	ok(!err && r.stored == count[LB_YES] && wrong == 0 && r.asked.n == count[LB_ASK] &&
	   asked_right(&f, &r) && count_present(&f) == (array ? 1000 : 1000 - count[LB_YES]),
	   "%s: so does one with rows, or that deletes: they stay", what);
	lb_region_put(&pool, region);
	lb_scan_close(&s);

	spec.asked = 10;
	err = lb_scan_open(&s, &f.m, &spec, &elog);
	err = err ? err : lb_region_get(&pool, lb_scan_room(&s, 1000), &region);
	err = err ? err : RUN(region, .params = NULL);
	ok(!err && r.stop == LB_STOP_ASKED && r.asked.n == 10 && !lb_scan_complete(&r),
	   "%s: it stops where there is no room for them", what);
	lb_region_put(&pool, region);
	lb_scan_close(&s);
	drop(&f);
}

static void too_small(void)
{
	struct filled f;
	struct lb_pool own = { 0 };
	struct lb_region *region = NULL;
	struct lb_scan s;
	struct lb_scan_result r;
	struct lb_fragment column = FRAGMENT(LOAD(DW, 0, 6, 0));

	make(&f, BPF_MAP_TYPE_HASH, 8, 8, 20000, 20000, 0);
	struct lb_scan_spec spec = { .env = env_of(&f), .columns = &column, .ncolumns = 1 };
	int err = lb_scan_open(&s, &f.m, &spec, &elog);

	ok(!err && RUN(NULL, .params = NULL) == -ENOSPC,
	   "rows without a region are refused");
	err = lb_region_get(&own, 1, &region);
	err = err ? err : RUN(region, .params = NULL);
	ok(!err && r.matched == 20000 && r.stored == lb_scan_capacity(&s, region->size) &&
	   r.stored < 20000 && lb_scan_complete(&r), "a query counts on when the region is full");
	lb_region_put(&own, region);
	err = err ? err : lb_region_get(&own, lb_scan_room(&s, r.matched), &region);
	err = err ? err : RUN(region, .params = NULL);
	uint64_t sum = 0;

	for (uint32_t k = 0; k < r.stored; k++)
		sum += (uint32_t)r.columns[k];
	ok(!err && r.stored == 20000 && sum == 19999u * 20000 / 2,
	   "and has all rows in one of the size it counted");
	lb_region_put(&own, region);
	lb_pool_close(&own);
	lb_scan_close(&s);
	drop(&f);
}

/* A program goes with the region it was loaded for, and is loaded for another one. */
static void regions(void)
{
	struct lb_pool own = { 0 };
	struct lb_region *a = NULL, *b = NULL;
	struct filled f;
	struct lb_scan s;
	struct lb_scan_result r;
	struct lb_scan_args args = { .params = NULL };

	make_hundreds(&f, 0);
	struct lb_scan_spec spec = { .env = env_of(&f), .keys = true };
	int err = lb_scan_open(&s, &f.m, &spec, &elog);

	err = err ? err : lb_region_get(&own, 1, &a);
	err = err ? err : lb_region_get(&own, 1, &b);
	err = err ? err : lb_scan_run(&s, &args, a, &r, &elog);
	if (!err)
		memset(b->mem, 0xee, b->size);
	err = err ? err : lb_scan_run(&s, &args, b, &r, &elog);
	ok(!err && r.stored == 1000 && r.rows.keys >= b->mem && r.rows.keys < b->mem + b->size &&
	   index_of(&f, r.rows.keys) < 1000, "another region: the rows are there");
	lb_region_put(&own, a);
	lb_region_put(&own, b);
	ok(s.program.fd < 0, "a program is unloaded with its region");
	err = err ? err : lb_region_get(&own, 1, &a);
	err = err ? err : lb_scan_run(&s, &args, a, &r, &elog);
	ok(!err && r.stored == 1000, "and loaded again when it is run");
	lb_region_put(&own, a);
	lb_scan_close(&s);
	ok(own.spare && !own.spare->users, "a closed scan has left its region");
	lb_pool_close(&own);
	drop(&f);
}

int main(void)
{
	lb_log_install();
	rnd_seed();
	limits();
	deletes(0, "hash");
	deletes(BPF_F_NO_PREALLOC, "not preallocated");
	handed_over();
	asked(BPF_MAP_TYPE_HASH, "hash");
	asked(BPF_MAP_TYPE_ARRAY, "array");
	asked(BPF_MAP_TYPE_PERCPU_HASH, "percpu_hash");
	too_small();
	regions();
	lb_pool_close(&pool);
	return tap_end();
}
