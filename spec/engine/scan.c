/* SPDX-License-Identifier: MIT */
/*
 * Kernel scans against the interpreter and plain C, on maps of every type that
 * the kernel walks: random conditions, sums, columns; special fields, large
 * values, fewer capabilities.
 */
#include "capability.h"
#include "scans.h"

#include <bpf/btf.h>
#include <errno.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- random scans ------------------------------------------------------ */

#define PARAMS 3
#define SUMS 5
#define COLUMNS 2

struct query {
	struct gen where, sums[SUMS], columns[COLUMNS];
	struct lb_sum sum[SUMS];
	struct lb_fragment column[COLUMNS];
	struct lb_reduction reductions[4];
	struct lb_scan_spec spec;
	uint64_t params[PARAMS];
};

static void random_reductions(struct query *q, struct lb_env *env)
{
	env->reductions = q->reductions;
	env->nreductions = env->ncpu ? 1 + below(4) : 0;
	for (uint32_t i = 0; i < env->nreductions; i++) {
		struct lb_reduction *r = &q->reductions[i];
		uint32_t log = below(4);

		while ((1u << log) > env->value_size)
			log--;
		*r = (struct lb_reduction){.op = below(4),
					   .cpu = below(env->ncpu),
					   .size = 1u << log,
					   .is_signed = below(2),
					   .big = below(2)};
		r->offset = below(env->value_size - r->size + 1);
		r->bits = below(2) ? 1 + below(8 * r->size) : 0;
		r->bit = r->bits ? below(8 * r->size - r->bits + 1) : 0;
	}
}

static void random_query(struct query *q, const struct filled *f)
{
	struct lb_env env = env_of(f);

	memset(q, 0, sizeof(*q));
	env.nparams = PARAMS;
	random_reductions(q, &env);
	q->spec.env = env;
	if (below(8))
		q->spec.where = gen_fragment(&q->where, &q->spec.env, 10 + below(50), true);
	for (int i = 0; i < SUMS; i++)
		q->sum[i] =
			(struct lb_sum){(enum lb_sum_op)i,
					gen_fragment(&q->sums[i], &q->spec.env, below(30), false)};
	for (int i = 0; i < COLUMNS; i++)
		q->column[i] = gen_fragment(&q->columns[i], &q->spec.env, below(30), false);
	q->spec.sums = q->sum;
	q->spec.nsums = SUMS;
	q->spec.columns = q->column;
	q->spec.ncolumns = COLUMNS;
	q->spec.keys = q->spec.values = true;
	for (int i = 0; i < PARAMS; i++)
		q->params[i] = below(2) ? rnd() : below(10);
}

static uint64_t joined(enum lb_sum_op op, uint64_t all, uint64_t v, bool first)
{
	if (first)
		return v;
	switch (op) {
	case LB_SUM:
		return all + v;
	case LB_MIN:
		return v < all ? v : all;
	case LB_MAX:
		return v > all ? v : all;
	case LB_SMIN:
		return (int64_t)v < (int64_t)all ? v : all;
	default:
		return (int64_t)v > (int64_t)all ? v : all;
	}
}

/* Entry i by the interpreter. */
static uint64_t interpret(const struct query *q, const struct lb_fragment *fr,
			  const struct filled *f, uint32_t i)
{
	struct lb_interp ip;

	if (lb_interp_init(&ip, fr, &q->spec.env, NULL))
		abort();
	return lb_interp_entry(&ip, key_of(f, i), value_of(f, i), q->params);
}

static uint32_t expect(const struct query *q, const struct filled *f, uint8_t *match,
		       uint64_t *sums)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < f->n; i++) {
		match[i] = !q->spec.where.n || interpret(q, &q->spec.where, f, i);
		for (int k = 0; k < SUMS && match[i]; k++)
			sums[k] = joined((enum lb_sum_op)k, sums[k],
					 interpret(q, &q->sum[k].of, f, i), n == 0);
		n += match[i];
	}
	return n;
}

/* Whether each stored row is that of an entry that matches, and of another one each. */
static bool rows_right(const struct query *q, const struct filled *f,
		       const struct lb_scan_result *r, uint8_t *match)
{
	for (uint32_t k = 0; k < r->stored; k++) {
		const uint8_t *key = r->rows.keys + (size_t)k * f->ks;
		uint32_t i = index_of(f, key);

		if (i >= f->n || !match[i] || memcmp(key, key_of(f, i), f->ks) != 0)
			return false;
		match[i] = 0;
		if (memcmp(r->rows.values + (size_t)k * f->vs, value_of(f, i), f->vs) != 0)
			return false;
		for (uint32_t c = 0; c < COLUMNS; c++)
			if (r->columns[k * COLUMNS + c] != interpret(q, &q->column[c], f, i))
				return false;
	}
	return true;
}

static bool random_agrees(struct filled *f, struct query *q)
{
	uint64_t sums[SUMS] = { 0 };
	uint8_t *match = calloc(1, f->n);
	struct lb_scan_args args = { .params = q->params };
	struct lb_scan_result r;
	struct lb_region *region = NULL;
	struct lb_scan s;
	uint32_t want = expect(q, f, match, sums);
	int err = lb_scan_open(&s, &f->m, &q->spec, &elog);
	bool good;

	if (!err)
		err = lb_region_get(&pool, lb_scan_room(&s, f->n), &region);
	if (!err)
		memset(region->mem, 0xee, region->size);
	if (!err)
		err = lb_scan_run(&s, &args, region, &r, &elog);
	good = !err && r.stop == LB_STOP_NONE && r.visited == f->n && r.matched == want &&
	       r.stored == want && (want == 0 || memcmp(sums, r.sums, sizeof(sums)) == 0) &&
	       rows_right(q, f, &r, match);
	if (err)
		explain(&s, err);
	else if (!good)
		note("visited %llu of %u, matched %llu of %u, stored %u, stop %d",
		     (unsigned long long)r.visited, f->n, (unsigned long long)r.matched, want,
		     r.stored, r.stop);
	lb_region_put(&pool, region);
	lb_scan_close(&s);
	free(match);
	return good;
}

static void random_scans(enum bpf_map_type type, uint32_t flags, const char *what)
{
	static const uint32_t key_sizes[] = { 1, 2, 3, 4, 5, 8, 13, 16, 40, 511 };
	static const uint32_t value_sizes[] = { 1, 3, 4, 8, 13, 17, 32, 56, 100, 512 };
	uint32_t wrong = 0, tried = 0;
	bool array = type == BPF_MAP_TYPE_ARRAY || type == BPF_MAP_TYPE_PERCPU_ARRAY;
	struct query q;
	struct filled f;

	for (uint32_t i = 0; i < 10; i++) {
		uint32_t ks = array ? 4 : key_sizes[i], n = 150;

		if (!make(&f, type, ks, value_sizes[below(10)], n, array ? n : 1024, flags)) {
			wrong++;
			continue;
		}
		for (int k = 0; k < 12; k++, tried++) {
			random_query(&q, &f);
			q.spec.unrolled = k & 1; /* 0: the default; 1: bpf_loop on any machine */
			wrong += !random_agrees(&f, &q);
		}
		drop(&f);
	}
	ok(wrong == 0 && tried == 120, "%u random scans of %s maps agree with the interpreter",
	   tried, what);
}

/* ---- special fields, large values --------------------------------------- */

/* Values of { u32 a; struct bpf_spin_lock lock; u64 b; } */
static int locked_map(void)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts);
	struct btf *btf = btf__new_empty();
	int u32 = btf__add_int(btf, "unsigned int", 4, 0);
	int u64 = btf__add_int(btf, "unsigned long long", 8, 0);
	int lock = btf__add_struct(btf, "bpf_spin_lock", 4);
	int fd;

	btf__add_field(btf, "val", u32, 0, 0);
	opts.btf_key_type_id = (uint32_t)u32;
	opts.btf_value_type_id = (uint32_t)btf__add_struct(btf, "value", 16);
	btf__add_field(btf, "a", u32, 0, 0);
	btf__add_field(btf, "lock", lock, 32, 0);
	btf__add_field(btf, "b", u64, 64, 0);
	btf__load_into_kernel(btf);
	opts.btf_fd = (uint32_t)btf__fd(btf);
	fd = bpf_map_create(BPF_MAP_TYPE_HASH, "engine", 4, 16, 100, &opts);
	btf__free(btf);
	return fd;
}

static void special(void)
{
	struct lb_span lock = { 4, 4 };
	struct lb_fragment b = FRAGMENT(LOAD(DW, 0, 7, 8));
	struct lb_sum sum = { LB_SUM, b };
	uint32_t wrong = 0;
	uint64_t total = 0;
	struct filled f;
	struct lb_region *region = NULL;
	struct lb_scan s;
	struct lb_scan_result r = { .stored = 0 };

	if (!ok(fill(&f, locked_map(), 100), "a map with a spin lock in its values"))
		return;
	struct lb_scan_spec spec = { .env = env_of(&f), .keys = true, .values = true,
				     .sums = &sum, .nsums = 1, .zeros = &lock, .nzeros = 1 };
	int err = lb_scan_open(&s, &f.m, &spec, &elog);

	err = err ? err : lb_region_get(&pool, 1, &region);
	if (!err)
		memset(region->mem, 0xee, region->size);
	err = err ? err : RUN(region, .params = NULL);
	if (!kernel_at_least(6, 6)) {
		ok(err && s.refused && strstr(s.refused, "Linux 6.6"), "refused: %s", s.refused);
		lb_region_put(&pool, region);
		lb_scan_close(&s);
		drop(&f);
		return;
	}
	if (err)
		explain(&s, err);
	for (uint32_t k = 0; k < r.stored; k++) {
		uint8_t want[16];

		memcpy(want, value_of(&f, index_of(&f, r.rows.keys + k * 4)), 16);
		memset(want + 4, 0, 4);
		wrong += memcmp(r.rows.values + k * 16, want, 16) != 0;
		total += *(uint64_t *)(void *)(want + 8);
	}
	ok(!err && wrong == 0 && r.stored == 100 && r.sums[0] == total,
	   "rows carry zeros in place of the lock");
	lb_scan_close(&s);
	spec.nzeros = 0;
	err = lb_scan_open(&s, &f.m, &spec, &elog);
	err = err ? err : lb_scan_load(&s, region, &elog);
	ok(err == -EACCES && s.refused && strstr(lb_log_tail(&elog, 10), "bpf_spin_lock"),
	   "a program that reads it is refused, with the verifier's log");
	lb_scan_close(&s);
	lb_region_put(&pool, region);
	drop(&f);
}

/* zeros: one byte that is not copied, which excludes dynptrs. */
static void large_values(uint32_t size, bool zeros)
{
	struct lb_span zero = { 33, 1 };
	uint32_t wrong = 0;
	struct filled f;
	struct lb_region *region = NULL;
	struct lb_scan s;
	struct lb_scan_result r = { .stored = 0 };

	make(&f, BPF_MAP_TYPE_HASH, 4, size, 50, 50, 0);
	struct lb_scan_spec spec = { .env = env_of(&f), .keys = true, .values = true,
				     .zeros = &zero, .nzeros = zeros };
	int err = lb_scan_open(&s, &f.m, &spec, &elog);

	err = err ? err : lb_region_get(&pool, lb_scan_room(&s, 50), &region);
	err = err ? err : RUN(region, .params = NULL);
	if (err)
		explain(&s, err);
	for (uint32_t k = 0; k < r.stored; k++) {
		uint8_t *want = value_of(&f, index_of(&f, r.rows.keys + k * 4));

		if (zeros)
			want[33] = 0;
		wrong += memcmp(r.rows.values + (size_t)k * size, want, size) != 0;
	}
	ok(!err && wrong == 0 && r.stored == 50, "values of %u bytes%s, %u instructions", size,
	   zeros ? " copied by straight code" : "", s.ninsns);
	lb_region_put(&pool, region);
	lb_scan_close(&s);
	drop(&f);
}

/* As much of everything as a spec may have: the stack and the context hold it. */
static void largest(enum bpf_map_type type)
{
	struct lb_reduction reductions[LB_MAX_REDUCTIONS];
	struct lb_fragment columns[LB_MAX_COLUMNS];
	struct lb_sum sums[LB_MAX_SUMS];
	static uint64_t params[LB_MAX_PARAMS];
	struct lb_fragment last = FRAGMENT(LOAD(DW, 0, 8, 8 * (LB_MAX_PARAMS - 1)), STORE(0, -128),
					   LOAD(DW, 0, 10, -128));
	struct filled f;
	struct lb_region *region = NULL;
	struct lb_scan s;
	struct lb_scan_result r;

	make(&f, type, 4, 64, 100, 100, 0);
	params[LB_MAX_PARAMS - 1] = 42;
	for (uint32_t i = 0; i < LB_MAX_REDUCTIONS; i++)
		reductions[i] = (struct lb_reduction){ .op = i % 3, .offset = i, .size = 4,
						       .is_signed = i & 1 };
	for (uint32_t i = 0; i < LB_MAX_SUMS; i++)
		sums[i] = (struct lb_sum){ i % 5, last };
	for (uint32_t i = 0; i < LB_MAX_COLUMNS; i++)
		columns[i] = last;
	struct lb_scan_spec spec = {.env = env_of(&f),
				    .sums = sums,
				    .nsums = LB_MAX_SUMS,
				    .columns = columns,
				    .ncolumns = LB_MAX_COLUMNS,
				    .unrolled = 1};

	spec.env.nparams = LB_MAX_PARAMS;
	spec.env.reductions = reductions;
	spec.env.nreductions = f.m.ncpu ? LB_MAX_REDUCTIONS : 0;
	int err = lb_scan_open(&s, &f.m, &spec, &elog);

	err = err ? err : lb_region_get(&pool, lb_scan_room(&s, 100), &region);
	err = err ? err : RUN(region, .params = params);
	if (err)
		explain(&s, err);
	ok(!err && r.stored == 100 && r.columns[99 * LB_MAX_COLUMNS + 63] == 42 &&
		   r.sums[0] == 4200 && r.sums[63] == 42,
	   "the largest spec of a %s map, %u instructions", f.m.type->name, s.ninsns);
	lb_region_put(&pool, region);
	lb_scan_close(&s);
	drop(&f);
}

/* ---- refusals and capabilities ------------------------------------------ */

static void refused(const char *what, struct filled *f, const struct lb_scan_spec *spec, int want)
{
	struct lb_scan s;
	int err = lb_scan_open(&s, &f->m, spec, &elog);

	if (!ok(err == want && s.refused, "refuses %s: %s", what, s.refused ? s.refused : "?"))
		note("%d", err);
	lb_scan_close(&s);
}

static void refusals(void)
{
	struct lb_fragment bad = FRAGMENT(LOAD(DW, 0, 7, 9));
	struct lb_fragment good = FRAGMENT(ALU_K(MOV, 0, 1));
	struct lb_sum sum = { LB_SUM, good };
	struct lb_span spans[] = { { 8, 4 }, { 4, 4 } };
	struct filled hash, array, queue;

	make(&hash, BPF_MAP_TYPE_HASH, 8, 16, 0, 10, 0);
	make(&array, BPF_MAP_TYPE_ARRAY, 4, 16, 0, 10, 0);
	make(&queue, BPF_MAP_TYPE_QUEUE, 0, 16, 0, 10, 0);
	refused("a fragment that reads past the value", &hash,
		&(struct lb_scan_spec){ .env = env_of(&hash), .where = bad }, -EINVAL);
	refused("sums of what is deleted", &hash,
		&(struct lb_scan_spec){
			.env = env_of(&hash), .sums = &sum, .nsums = 1, .remove = true},
		-EINVAL);
	refused("another map's sizes", &hash, &(struct lb_scan_spec){.env = env_of(&array)},
		-EINVAL);
	refused("spans out of order", &hash,
		&(struct lb_scan_spec){.env = env_of(&hash), .zeros = spans, .nzeros = 2}, -EINVAL);
	refused("to delete from an array", &array,
		&(struct lb_scan_spec){ .env = env_of(&array), .remove = true }, -LB_ENOTSUPP);
	refused("a queue", &queue, &(struct lb_scan_spec){ .env = env_of(&queue) }, -LB_ENOTSUPP);
	drop(&hash);
	drop(&array);
	drop(&queue);
}

static int in_child(struct filled *f, struct query *q, bool bpf)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		struct lb_scan s;
		int err = only_capability(bpf) ? 0 : 3;

		memset(&pool, 0, sizeof(pool));
		if (!err && bpf)
			err = !random_agrees(f, q);
		else if (!err) {
			q->spec.keys = q->spec.values = false;
			q->spec.ncolumns = 0;
			err = lb_scan_open(&s, &f->m, &q->spec, &elog) == -EPERM && s.refused ? 0
											      : 4;
		}
		fflush(stdout);
		_exit(err);
	}
	waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void capabilities(void)
{
	struct filled f, percpu;
	struct query q;
	int wrong = 0;

	make(&f, BPF_MAP_TYPE_HASH, 13, 100, 200, 200, 0);
	make(&percpu, BPF_MAP_TYPE_PERCPU_HASH, 13, 20, 200, 200, 0);
	for (int i = 0; i < 10; i++) {
		random_query(&q, &f);
		wrong += in_child(&f, &q, true);
		random_query(&q, &percpu);
		q.spec.unrolled = i & 1;
		wrong += in_child(&percpu, &q, true);
	}
	ok(wrong == 0, "CAP_BPF alone is enough");
	random_query(&q, &f);
	ok(in_child(&f, &q, false) == 0, "without it the reason is told");
	drop(&f);
	drop(&percpu);
}

int main(void)
{
	lb_log_install();
	rnd_seed();
	random_scans(BPF_MAP_TYPE_HASH, 0, "hash");
	random_scans(BPF_MAP_TYPE_HASH, BPF_F_NO_PREALLOC, "hash, not preallocated,");
	random_scans(BPF_MAP_TYPE_LRU_HASH, 0, "lru_hash");
	random_scans(BPF_MAP_TYPE_ARRAY, 0, "array");
	random_scans(BPF_MAP_TYPE_PERCPU_HASH, 0, "percpu_hash");
	random_scans(BPF_MAP_TYPE_LRU_PERCPU_HASH, 0, "lru_percpu_hash");
	random_scans(BPF_MAP_TYPE_PERCPU_ARRAY, 0, "percpu_array");
	special();
	large_values(513, false);
	large_values(4096, false);
	large_values(40000, false);
	large_values(513, true);
	large_values(16384, true);
	largest(BPF_MAP_TYPE_HASH);
	largest(BPF_MAP_TYPE_PERCPU_HASH);
	refusals();
	capabilities();
	lb_pool_close(&pool);
	return tap_end();
}
