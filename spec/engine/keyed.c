/* SPDX-License-Identifier: MIT */
/*
 * Keyed programs against the calls of bulk.c on a map with the same entries:
 * the same statuses, values, tallies, and the same map in the end. Deletion
 * by a condition against the interpreter.
 */
#include "asm.h"
#include "capability.h"
#include "lib/code/interp.h"
#include "lib/keys/keyed.h"
#include "lib/keys/live.h"
#include "maps.h"

#include <bpf/btf.h>
#include <errno.h>
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

static struct lb_log elog;
static struct lb_pool pool;

static const char *const op_names[] = { "get", "decide", "compare", "upsert", "noexist", "exist",
					"delete" };

struct kind {
	const char *name;
	enum bpf_map_type type;
	uint32_t flags;
	bool array;
};

static const struct kind kinds[] = {
	{ "hash", BPF_MAP_TYPE_HASH, 0, false },
	{ "hash, not preallocated,", BPF_MAP_TYPE_HASH, BPF_F_NO_PREALLOC, false },
	{ "lru_hash", BPF_MAP_TYPE_LRU_HASH, 0, false },
	{ "array", BPF_MAP_TYPE_ARRAY, 0, true },
	{ "percpu_hash", BPF_MAP_TYPE_PERCPU_HASH, 0, false },
	{ "lru_percpu_hash", BPF_MAP_TYPE_LRU_PERCPU_HASH, 0, false },
	{ "percpu_array", BPF_MAP_TYPE_PERCPU_ARRAY, 0, true },
};

#define NKINDS (sizeof(kinds) / sizeof(kinds[0]))

static struct lb_env env_of(const struct filled *f)
{
	return (struct lb_env){ .key_size = f->ks, .value_size = f->m.info.value_size,
				.ncpu = f->m.ncpu };
}

/* Another map with the same entries. */
static bool twin(struct filled *to, const struct filled *from, uint32_t flags)
{
	bool good = make(to, from->m.info.type, from->ks, from->m.info.value_size, 0,
			 from->m.info.max_entries, flags);

	free(to->keys);
	free(to->values);
	to->n = from->n;
	to->keys = malloc((size_t)to->n * to->ks + 1);
	to->values = malloc((size_t)to->n * to->vs + 1);
	memcpy(to->keys, from->keys, (size_t)to->n * to->ks);
	memcpy(to->values, from->values, (size_t)to->n * to->vs);
	for (uint32_t i = 0; i < to->n && good; i++)
		good = store(to, i);
	return good;
}

/* ---- requests ---------------------------------------------------------- */

struct request {
	uint32_t n;
	uint8_t *keys, *values, *status, *out;
};

/* Keys that are there, some twice, and keys that are not; values that are theirs, or nearly. */
static struct request request_for(const struct filled *f, uint32_t n, bool known)
{
	struct request r = { .n = n, .keys = malloc((size_t)n * f->ks),
			     .values = malloc((size_t)n * f->vs + 1), .status = calloc(1, n),
			     .out = malloc((size_t)n * f->vs + 1) };
	uint32_t size = f->m.info.value_size;

	for (uint32_t k = 0; k < n; k++) {
		uint32_t i = below(f->n);
		uint8_t *value = r.values + (size_t)k * f->vs;

		memcpy(r.keys + (size_t)k * f->ks, key_of(f, i), f->ks);
		memcpy(value, value_of(f, i), f->vs);
		if (!known && below(3) == 0) {
			i += f->n;
			memcpy(r.keys + (size_t)k * f->ks, &i, f->ks < 4 ? f->ks : 4);
		}
		if (below(2))
			value[below(f->m.ncpu ? f->m.ncpu : 1) * lb_cpu_stride(size) +
			      below(size)] ^= (uint8_t)(1u << below(8));
	}
	memset(r.out, 0x55, (size_t)n * f->vs);
	return r;
}

static void forget(struct request *r)
{
	free(r->keys);
	free(r->values);
	free(r->status);
	free(r->out);
}

static int by_calls(enum lb_keyed_op op, struct filled *f, struct request *r, struct lb_tally *t)
{
	struct lb_keys in = { r->keys, r->values, r->n, r->status };

	switch (op) {
	case LB_KEYED_GET:
		return lb_bulk_lookup(&f->m, &in, r->out, t);
	case LB_KEYED_COMPARE:
		return lb_bulk_delete_equal(&f->m, &in, t);
	case LB_KEYED_UPSERT:
		return lb_bulk_upsert(&f->m, &in, t);
	case LB_KEYED_NOEXIST:
		return lb_bulk_update(&f->m, &in, LB_NOEXIST, t);
	case LB_KEYED_EXIST:
		return lb_bulk_update(&f->m, &in, LB_EXIST, t);
	default:
		return lb_bulk_delete(&f->m, &in, t);
	}
}

static int by_program(const struct lb_keyed_spec *spec, struct filled *f, struct request *r,
		      struct lb_tally *t)
{
	struct lb_keys in = { r->keys, r->values, r->n, r->status };
	struct lb_region *region = NULL;
	struct lb_keyed k;
	int err = lb_keyed_open(&k, &f->m, spec);

	if (!err)
		err = lb_region_get(&pool, 1, &region);
	if (!err)
		memset(region->mem, 0xee, region->size);
	if (!err)
		err = lb_keyed_run(&k, &in, NULL, r->out, region, t, &elog);
	if (err)
		note("%s: %d: %s\n%s", op_names[spec->op], err, k.refused ? k.refused : "",
		     lb_log_tail(&elog, 20));
	lb_region_put(&pool, region);
	lb_keyed_close(&k);
	return err;
}

static bool same_entries(const struct filled *a, const struct filled *b, const struct request *r)
{
	uint8_t *va = calloc(1, a->vs + 8), *vb = calloc(1, b->vs + 8);
	bool same = true;

	for (uint32_t k = 0; k < r->n + a->n && same; k++) {
		const uint8_t *key = k < r->n ? r->keys + (size_t)k * a->ks : key_of(a, k - r->n);
		int ea = bpf_map_lookup_elem(a->m.fd, key, va);
		int eb = bpf_map_lookup_elem(b->m.fd, key, vb);

		same = ea == eb && (ea || memcmp(va, vb, a->vs) == 0);
	}
	free(va);
	free(vb);
	return same;
}

static bool agrees(enum lb_keyed_op op, const struct kind *kind, uint32_t ks, uint32_t vs,
		   uint32_t n, uint32_t requests)
{
	struct lb_keyed_spec spec = { .op = op };
	struct lb_tally ta = { 0 }, tb = { 0 };
	struct filled a, b;
	struct request ra, rb;
	bool good;

	if (!make(&a, kind->type, ks, vs, n, kind->array ? n : 2048, kind->flags) ||
	    !twin(&b, &a, kind->flags))
		return false;
	ra = request_for(&a, requests, kind->array && op != LB_KEYED_GET);
	rb = ra;
	rb.status = calloc(1, requests);
	rb.out = malloc((size_t)requests * a.vs + 1);
	memset(rb.out, 0x55, (size_t)requests * a.vs);
	spec.env = env_of(&a);
	good = by_calls(op, &a, &ra, &ta) == 0 && by_program(&spec, &b, &rb, &tb) == 0 &&
	       ta.done == requests && memcmp(&ta, &tb, sizeof(ta)) == 0 &&
	       memcmp(ra.status, rb.status, requests) == 0 &&
	       memcmp(ra.out, rb.out, (size_t)requests * a.vs) == 0 && same_entries(&a, &b, &ra);
	if (!good)
		note("%s %s %u/%u: done %u and %u", op_names[op], kind->name, ks, vs, ta.done,
		     tb.done);
	free(rb.status);
	free(rb.out);
	forget(&ra);
	drop(&a);
	drop(&b);
	return good;
}

static bool applies(enum lb_keyed_op op, const struct kind *kind)
{
	const struct lb_maptype *type = lb_maptype(kind->type);
	bool deletes = op == LB_KEYED_COMPARE || op == LB_KEYED_DELETE;

	if (op == LB_KEYED_DECIDE)
		return false;
	if (deletes && !(type->can & LB_CAN_DELETE))
		return false;
	return op == LB_KEYED_GET || deletes || !(type->can & LB_PERCPU);
}

static void against_calls(const struct kind *kind)
{
	static const uint32_t key_sizes[] = { 1, 2, 3, 5, 16, 40, 511 };
	static const uint32_t value_sizes[] = { 1, 4, 8, 13, 32, 100, 600 };

	for (enum lb_keyed_op op = LB_KEYED_GET; op <= LB_KEYED_DELETE; op++) {
		uint32_t wrong = 0;

		if (!applies(op, kind))
			continue;
		for (int i = 0; i < 7; i++)
			wrong += !agrees(op, kind, kind->array ? 4 : key_sizes[i],
					 value_sizes[below(7)], 120, 400);
		ok(wrong == 0, "%s: %s does as system calls do", kind->name, op_names[op]);
	}
}

/* ---- large requests, large values --------------------------------------- */

static void large(void)
{
	struct kind hash = kinds[0];

	ok(agrees(LB_KEYED_GET, &hash, 8, 16, 1000, 20000), "20000 keys in several runs: get");
	ok(agrees(LB_KEYED_COMPARE, &hash, 8, 16, 1000, 20000), "... compare");
	ok(agrees(LB_KEYED_UPSERT, &hash, 8, 16, 1000, 20000), "... upsert");
	ok(agrees(LB_KEYED_GET, &hash, 8, 4096, 50, 200), "values of 4096 bytes: get");
	ok(agrees(LB_KEYED_COMPARE, &hash, 8, 4096, 50, 200), "... compare");
	ok(agrees(LB_KEYED_UPSERT, &hash, 8, 4096, 50, 200), "... upsert");
	ok(agrees(LB_KEYED_GET, &hash, 8, 40000, 10, 20), "values of 40000 bytes: get");
	ok(agrees(LB_KEYED_COMPARE, &hash, 8, 16384, 10, 20), "values of 16384 bytes: compare");
	ok(agrees(LB_KEYED_GET, &kinds[4], 8, 4000, 10, 40), "per-CPU values of 4000 bytes: get");
	ok(agrees(LB_KEYED_GET, &hash, 8, 16, 100, 1), "one key");
}

static void room(void)
{
	struct lb_keyed_spec spec = { .op = LB_KEYED_GET };
	struct lb_keyed k;
	struct filled f;

	make(&f, BPF_MAP_TYPE_HASH, 16, 32, 0, 10, 0);
	spec.env = env_of(&f);
	ok(lb_keyed_open(&k, &f.m, &spec) == 0, "opened without a region");
	ok(lb_keyed_capacity(&k, lb_keyed_room(&k, 100)) >= 100,
	   "the room for 100 keys holds them");
	ok(lb_keyed_capacity(&k, lb_keyed_room(&k, 1 << 20)) == LB_KEYED_CHUNK,
	   "a million keys go 16384 at a time");
	lb_keyed_close(&k);
	lb_keyed_close(&k);
	drop(&f);
	make(&f, BPF_MAP_TYPE_HASH, 16, 1 << 20, 0, 1, 0);
	spec.env = env_of(&f);
	ok(lb_keyed_open(&k, &f.m, &spec) == 0 && lb_keyed_room(&k, 1000) < 5 << 20 &&
	   lb_keyed_capacity(&k, lb_keyed_room(&k, 1000)) >= 3, "large values take about 4 MiB");
	lb_keyed_close(&k);
	drop(&f);
}

/* ---- decisions ----------------------------------------------------------- */

struct decision {
	struct gen gen;
	struct lb_keyed_spec spec;
	struct lb_reduction reduction;
	uint64_t params[2];
};

/* The key's first byte modulo 3: one of three answers, of which one deletes. */
static const struct bpf_insn three[] = { LOAD(B, 0, 6, 0), ALU_K(MOD, 0, 3) };

static void random_decision(struct decision *d, const struct filled *f)
{
	memset(d, 0, sizeof(*d));
	d->spec.op = LB_KEYED_DECIDE;
	d->spec.copy = below(2);
	d->spec.unrolled = below(2);
	d->spec.env = env_of(f);
	d->spec.env.nparams = 2;
	if (f->m.ncpu) {
		d->reduction =
			(struct lb_reduction){.op = below(3), .size = 1, .is_signed = below(2)};
		d->spec.env.reductions = &d->reduction;
		d->spec.env.nreductions = 1;
	}
	d->spec.where = gen_fragment(&d->gen, &d->spec.env, below(60), true);
	if (below(3) == 0)
		d->spec.where = (struct lb_fragment){ three, 2 };
	d->params[0] = rnd();
	d->params[1] = below(5);
}

/* What becomes of the k-th key, given which entries are gone already. */
static enum lb_status decided(const struct decision *d, const struct filled *f,
			      const struct request *r, uint32_t k, bool *gone)
{
	uint32_t i = index_of(f, r->keys + (size_t)k * f->ks);
	struct lb_interp ip;

	if (i >= f->n || gone[i])
		return LB_ST_MISSING;
	lb_interp_init(&ip, &d->spec.where, &d->spec.env, NULL);
	if (lb_interp_entry(&ip, key_of(f, i), value_of(f, i), d->params) != LB_YES)
		return LB_ST_CHANGED;
	gone[i] = true;
	return LB_ST_DELETED;
}

/* The statuses, the copies of what was deleted, and what is left. */
static bool decision_right(const struct decision *d, const struct filled *f,
			   const struct request *r)
{
	bool gone[300] = { false }, right = true;
	uint8_t *untouched = malloc(f->vs);

	memset(untouched, 0x55, f->vs);
	for (uint32_t k = 0; k < r->n && right; k++) {
		enum lb_status want = decided(d, f, r, k, gone);
		bool copied = d->spec.copy && want == LB_ST_DELETED;
		uint32_t i = index_of(f, r->keys + (size_t)k * f->ks);

		right = r->status[k] == want &&
			memcmp(r->out + (size_t)k * f->vs, copied ? value_of(f, i) : untouched,
			       f->vs) == 0;
	}
	for (uint32_t i = 0; i < f->n && right; i++)
		right = present(f, i) == !gone[i];
	free(untouched);
	return right;
}

static bool decides(const struct kind *kind, uint32_t vs)
{
	struct lb_tally t = { 0 };
	struct lb_region *region = NULL;
	struct lb_keyed k;
	struct decision d;
	struct filled f;
	struct request r;
	int err;
	bool good;

	if (!make(&f, kind->type, 5, vs, 300, 1200, kind->flags))
		return false;
	random_decision(&d, &f);
	r = request_for(&f, 400, false);
	struct lb_keys in = { r.keys, NULL, r.n, r.status };

	err = lb_keyed_open(&k, &f.m, &d.spec);
	err = err ? err : lb_region_get(&pool, lb_keyed_room(&k, 400), &region);
	err = err ? err : lb_keyed_run(&k, &in, d.params, r.out, region, &t, &elog);
	if (err)
		note("%d: %s\n%s", err, k.refused ? k.refused : "", lb_log_tail(&elog, 20));
	good = !err && t.done == 400 && decision_right(&d, &f, &r);
	lb_region_put(&pool, region);
	lb_keyed_close(&k);
	forget(&r);
	drop(&f);
	return good;
}

/* Judged as they are read, without a program. */
static void live(void)
{
	struct lb_env env = { .key_size = 5, .value_size = 8 };
	struct lb_fragment where = { three, 2 };
	struct lb_tally t = { 0 };
	uint8_t keys[5 * 300], values[8 * 300];
	uint32_t left = 0, wrong = 0;
	struct lb_interp ip;
	struct filled f;

	make(&f, BPF_MAP_TYPE_HASH, 5, 8, 300, 300, 0);
	struct lb_block all = { key_of(&f, 0), value_of(&f, 0), 300 };

	lb_interp_init(&ip, &where, &env, NULL);
	int err = lb_live_delete(&f.m, &ip, NULL, &all, keys, values, &t);

	for (uint32_t i = 0; i < 300; i++) {
		bool stays = key_of(&f, i)[0] % 3 != LB_YES;

		left += stays;
		wrong += bpf_map_lookup_elem(f.m.fd, key_of(&f, i), values) != (stays ? 0 : -ENOENT);
	}
	ok(!err && wrong == 0 && t.changed == left && t.deleted == 300 - left,
	   "judged as they are read: what is answered with yes is deleted, nothing else");
	drop(&f);
}

static void decisions(const struct kind *kind)
{
	static const uint32_t value_sizes[] = { 1, 8, 13, 32, 700 };
	uint32_t wrong = 0;

	for (int i = 0; i < 25; i++)
		wrong += !decides(kind, value_sizes[i % 5]);
	ok(wrong == 0, "%s: 25 random conditions decide as the interpreter", kind->name);
}

/* ---- errors, races -------------------------------------------------------- */

static void full(void)
{
	struct lb_keyed_spec spec = { .op = LB_KEYED_UPSERT };
	struct lb_tally ta = { 0 }, tb = { 0 };
	struct filled a, b;
	struct request ra, rb;
	uint32_t i;

	make(&a, BPF_MAP_TYPE_HASH, 4, 8, 5, 10, 0);
	twin(&b, &a, 0);
	ra = request_for(&a, 30, true);
	for (i = 0; i < 30; i++)
		memcpy(ra.keys + 4 * i, &i, 4);
	rb = ra;
	rb.status = calloc(1, 30);
	spec.env = env_of(&a);
	int ea = by_calls(LB_KEYED_UPSERT, &a, &ra, &ta), eb = by_program(&spec, &b, &rb, &tb);

	ok(ea == -E2BIG && eb == -E2BIG && tb.done == 10 && memcmp(&ta, &tb, sizeof(ta)) == 0 &&
		   memcmp(ra.status, rb.status, 30) == 0,
	   "a full map: the error, and what was done before it");
	free(rb.status);
	forget(&ra);
	drop(&a);
	drop(&b);
}

static volatile bool stopping;

static void *churn(void *arg)
{
	struct filled *f = arg;

	for (uint32_t i = 0; !stopping; i = (i + 1) % f->n) {
		bpf_map_delete_elem(f->m.fd, key_of(f, i));
		if (i & 1)
			bpf_map_update_elem(f->m.fd, key_of(f, i), value_of(f, i), BPF_ANY);
	}
	return NULL;
}

static void races(void)
{
	struct lb_keyed_spec spec = { .op = LB_KEYED_UPSERT };
	uint32_t wrong = 0, inserted = 0, updated = 0;
	struct filled f;
	struct request r;
	pthread_t thread;

	make(&f, BPF_MAP_TYPE_HASH, 8, 8, 50, 500, 0);
	r = request_for(&f, 5000, true);
	spec.env = env_of(&f);
	pthread_create(&thread, NULL, churn, &f);
	for (int i = 0; i < 40; i++) {
		struct lb_tally t = { 0 };

		wrong += by_program(&spec, &f, &r, &t) != 0 || t.inserted + t.updated != 5000;
		inserted += t.inserted;
		updated += t.updated;
	}
	stopping = true;
	pthread_join(thread, NULL);
	ok(wrong == 0 && inserted && updated, "upserts against another writer");
	note("%u inserted, %u updated", inserted, updated);
	forget(&r);
	drop(&f);
}

/* ---- tries, special fields, refusals ----------------------------------------- */

static void tries(void)
{
	struct lb_keyed_spec spec = { .op = LB_KEYED_GET };
	struct lb_tally ta = { 0 }, tb = { 0 };
	uint8_t out[200 * 4], status[200];
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = BPF_F_NO_PREALLOC);
	struct filled f;
	struct request r;

	fill(&f, bpf_map_create(BPF_MAP_TYPE_LPM_TRIE, "engine", 8, 4, 100, &opts), 0);
	for (uint32_t i = 0; i < 60; i++) {
		uint32_t key[2] = { below(33), (uint32_t)rnd() };

		bpf_map_update_elem(f.m.fd, key, &i, BPF_ANY);
	}
	r = (struct request){ .n = 200, .keys = malloc(1600), .status = calloc(1, 200),
			      .out = calloc(200, 4) };
	for (uint32_t k = 0; k < 200; k++) {
		uint32_t key[2] = { 32, (uint32_t)rnd() };

		memcpy(r.keys + 8 * k, key, 8);
	}
	spec.env = env_of(&f);
	int ea = by_calls(LB_KEYED_GET, &f, &r, &ta);

	memcpy(out, r.out, sizeof(out));
	memcpy(status, r.status, sizeof(status));
	int eb = by_program(&spec, &f, &r, &tb);

	ok(!ea && !eb && memcmp(&ta, &tb, sizeof(ta)) == 0 &&
		   memcmp(out, r.out, sizeof(out)) == 0 && memcmp(status, r.status, 200) == 0,
	   "lpm_trie: get does as system calls do, %u found", tb.found);
	free(r.keys);
	free(r.status);
	free(r.out);
	drop(&f);
}

/* Values of { u32 a; struct bpf_spin_lock lock; } */
static int locked_map(void)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts);
	struct btf *btf = btf__new_empty();
	int u32 = btf__add_int(btf, "unsigned int", 4, 0), lock, fd;

	lock = btf__add_struct(btf, "bpf_spin_lock", 4);
	btf__add_field(btf, "val", u32, 0, 0);
	opts.btf_key_type_id = (uint32_t)u32;
	opts.btf_value_type_id = (uint32_t)btf__add_struct(btf, "value", 8);
	btf__add_field(btf, "a", u32, 0, 0);
	btf__add_field(btf, "lock", lock, 32, 0);
	btf__load_into_kernel(btf);
	opts.btf_fd = (uint32_t)btf__fd(btf);
	fd = bpf_map_create(BPF_MAP_TYPE_HASH, "engine", 4, 8, 100, &opts);
	btf__free(btf);
	return fd;
}

static void special(void)
{
	struct lb_span lock = { 4, 4 };
	struct lb_keyed_spec spec = { .op = LB_KEYED_COMPARE, .zeros = &lock, .nzeros = 1 };
	struct lb_tally t = { 0 };
	struct lb_keyed k;
	struct filled f;
	struct request r;

	if (!ok(fill(&f, locked_map(), 50), "a map with a spin lock in its values"))
		return;
	f.m.lock = true;
	spec.env = env_of(&f);
	r = request_for(&f, 50, true);
	for (uint32_t i = 0; i < 50; i++) {
		memcpy(r.keys + 4 * i, key_of(&f, i), 4);
		memcpy(r.values + 8 * i, value_of(&f, i), 4);
		memset(r.values + 8 * i + 4, 0, 4);
		r.values[8 * i] ^= i & 1;
	}
	int err = by_program(&spec, &f, &r, &t);
	bool has = kernel_at_least(6, 6);

	ok(has ? !err && t.deleted == 25 && t.changed == 25 : err == -EINVAL && t.done == 0,
	   has ? "compare leaves the lock out" : "compare is refused by this kernel");
	t = (struct lb_tally){ 0 };
	spec.op = LB_KEYED_UPSERT;
	err = by_program(&spec, &f, &r, &t);
	ok(has ? !err && t.updated == 25 && t.inserted == 25 : err == -EINVAL && t.done == 0,
	   has ? "upsert stores beside it" : "upsert is refused by this kernel");
	spec.op = LB_KEYED_GET;
	ok(lb_keyed_open(&k, &f.m, &spec) == -LB_ENOTSUPP && k.refused, "get is refused");
	forget(&r);
	drop(&f);
}

static void refused(const char *what, struct filled *f, struct lb_keyed_spec spec, int want)
{
	struct lb_keyed k;
	int err;

	if (!spec.env.key_size)
		spec.env = env_of(f);
	err = lb_keyed_open(&k, &f->m, &spec);
	if (!ok(err == want && k.refused, "refuses %s: %s", what, k.refused ? k.refused : "?"))
		note("%d", err);
	lb_keyed_close(&k);
}

#define SPEC(...) ((struct lb_keyed_spec){ __VA_ARGS__ })

static void refusals(void)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = BPF_F_NO_PREALLOC);
	struct bpf_insn one[] = {ALU_K(MOV, 0, 1)}, call[] = {INSN(BPF_JMP | BPF_CALL, 0, 0, 0, 5)};
	struct filled hash, array, percpu, trie, queue;

	make(&hash, BPF_MAP_TYPE_HASH, 8, 40000, 0, 10, 0);
	make(&array, BPF_MAP_TYPE_ARRAY, 4, 16, 0, 10, 0);
	make(&percpu, BPF_MAP_TYPE_PERCPU_HASH, 8, 16, 0, 10, 0);
	make(&queue, BPF_MAP_TYPE_QUEUE, 0, 16, 0, 10, 0);
	fill(&trie, bpf_map_create(BPF_MAP_TYPE_LPM_TRIE, "engine", 8, 4, 100, &opts), 0);
	refused("to delete from an array", &array, SPEC(.op = LB_KEYED_DELETE), -LB_ENOTSUPP);
	refused("to store in a per-CPU map", &percpu, SPEC(.op = LB_KEYED_UPSERT), -LB_ENOTSUPP);
	refused("a queue", &queue, SPEC(.op = LB_KEYED_GET), -LB_ENOTSUPP);
	refused("to delete from a trie", &trie, SPEC(.op = LB_KEYED_DELETE), -LB_ENOTSUPP);
	refused("to compare large values", &hash, SPEC(.op = LB_KEYED_COMPARE), -LB_ENOTSUPP);
	refused("a condition for get", &array, SPEC(.op = LB_KEYED_GET, .where = {one, 1}),
		-EINVAL);
	refused("a bad condition", &hash, SPEC(.op = LB_KEYED_DECIDE, .where = {call, 1}), -EINVAL);
	refused("another map's sizes", &hash, SPEC(.op = LB_KEYED_GET, .env = env_of(&array)),
		-EINVAL);
	drop(&hash);
	drop(&array);
	drop(&percpu);
	drop(&trie);
	drop(&queue);
}

/* In a child with CAP_BPF only. The trie's program needs more. */
static int with_bpf_only(struct filled *hash, struct filled *trie)
{
	struct lb_keyed_spec spec = { .op = LB_KEYED_GET, .env = env_of(hash) };
	struct lb_tally t = { 0 };
	struct request r = request_for(hash, 100, true);
	struct lb_region *region;
	struct lb_keyed k;

	memset(&pool, 0, sizeof(pool));
	if (!only_capability(true) || by_program(&spec, hash, &r, &t) || t.found != 100)
		return 1;
	spec.env = env_of(trie);
	if (lb_keyed_open(&k, &trie->m, &spec) || lb_region_get(&pool, 1, &region))
		return 2;
	return lb_keyed_load(&k, region, &elog) == -EPERM && strstr(k.refused, "CAP_PERFMON") ? 0
											      : 3;
}

static void capabilities(void)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = BPF_F_NO_PREALLOC);
	struct filled hash, trie;
	int status;
	pid_t pid;

	make(&hash, BPF_MAP_TYPE_HASH, 8, 16, 100, 100, 0);
	fill(&trie, bpf_map_create(BPF_MAP_TYPE_LPM_TRIE, "engine", 8, 4, 100, &opts), 0);
	fflush(stdout);
	pid = fork();
	if (pid == 0)
		_exit(with_bpf_only(&hash, &trie));
	waitpid(pid, &status, 0);
	ok(WIFEXITED(status) && WEXITSTATUS(status) == 0,
	   "CAP_BPF alone is enough, but for tries, and that is told");
	drop(&hash);
	drop(&trie);
}

int main(void)
{
	lb_log_install();
	rnd_seed();
	for (size_t i = 0; i < NKINDS; i++)
		against_calls(&kinds[i]);
	for (size_t i = 0; i < NKINDS; i++)
		if (!kinds[i].array)
			decisions(&kinds[i]);
	live();
	large();
	room();
	full();
	races();
	tries();
	special();
	refusals();
	capabilities();
	lb_pool_close(&pool);
	return tap_end();
}
