/* SPDX-License-Identifier: MIT */
/*
 * What the engines make of answers that the kernel gives rarely: busy buckets,
 * memory that runs short, signals, refusals that leave the count at the
 * request. libbpf's batch calls and its update are defined here once more, so
 * that those of the engines pass by faults[] before they reach the kernel. Case
 * numbers are those of docs/kernel-cases.md.
 */
#include "check.h"

#include "lib/keys/bulk.h"
#include "lib/scan/source.h"

#define N 1000

/* What the next calls answer, in this order; then the kernel answers. */
static struct fault {
	int err;
	uint32_t did;		/* the call is done for that many entries at most */
	bool count_left;	/* nothing is done, the count stays at the request */
} faults[100];
static unsigned int nfaults, nused;

/* The largest call made. */
static uint64_t most_entries, most_bytes;
/* Of the value of an entry; 0: calls go to the kernel. */
static uint64_t pretended_stride;
static const uint8_t *next_values;
static bool in_order;

static void expect(int err, uint32_t did, bool count_left)
{
	faults[nfaults++] = (struct fault){ err, did, count_left };
}

static void expect_none(void)
{
	nfaults = nused = 0;
}

/* Nothing fits or is free: the kernel's position is the bucket that it stands at. */
static int stand_still(struct batch *b, int err)
{
	uint32_t at = 0;

	if (b->in)
		memcpy(&at, b->in, sizeof(at));
	if (b->out)
		memcpy(b->out, &at, sizeof(at));
	b->count = 0;
	return err;
}

static int answer(enum bpf_cmd cmd, struct batch *b)
{
	const struct fault *f = nused < nfaults ? &faults[nused++] : NULL;
	int err;

	if (f && f->count_left)
		return f->err;
	if (f && f->did == 0)
		return stand_still(b, f->err);
	if (f && b->count > f->did)
		b->count = f->did;
	err = batch(cmd, b);
	return !err && f ? f->err : err;
}

/* A call on values too large to be copied: only where they lie is looked at. */
static int pretend(const struct batch *b)
{
	in_order = in_order && (const uint8_t *)b->values == next_values;
	next_values += b->count * pretended_stride;
	if (b->count > most_entries)
		most_entries = b->count;
	if (b->count * pretended_stride > most_bytes)
		most_bytes = b->count * pretended_stride;
	return 0;
}

static int call(enum bpf_cmd cmd, struct batch b, uint32_t *count,
		const struct bpf_map_batch_opts *opts)
{
	int err;

	b.count = *count;
	b.elem_flags = opts ? opts->elem_flags : 0;
	err = pretended_stride ? pretend(&b) : answer(cmd, &b);
	*count = b.count;
	errno = err;
	return err ? -err : 0;
}

/* What const the kernel's pointers had is lost in bpf(2) anyway. */
static void *plain(const void *p)
{
	return (void *)(uintptr_t)p;
}

int bpf_map_lookup_batch(int fd, void *in, void *out, void *keys, void *values, __u32 *count,
			 const struct bpf_map_batch_opts *opts)
{
	return call(BPF_MAP_LOOKUP_BATCH, (struct batch){ .fd = fd, .in = in, .out = out,
		    .keys = keys, .values = values }, count, opts);
}

int bpf_map_lookup_and_delete_batch(int fd, void *in, void *out, void *keys, void *values,
				    __u32 *count, const struct bpf_map_batch_opts *opts)
{
	return call(BPF_MAP_LOOKUP_AND_DELETE_BATCH, (struct batch){ .fd = fd, .in = in,
		    .out = out, .keys = keys, .values = values }, count, opts);
}

int bpf_map_update_batch(int fd, const void *keys, const void *values, __u32 *count,
			 const struct bpf_map_batch_opts *opts)
{
	return call(BPF_MAP_UPDATE_BATCH, (struct batch){ .fd = fd, .keys = plain(keys),
		    .values = plain(values) }, count, opts);
}

int bpf_map_delete_batch(int fd, const void *keys, __u32 *count,
			 const struct bpf_map_batch_opts *opts)
{
	return call(BPF_MAP_DELETE_BATCH, (struct batch){ .fd = fd, .keys = plain(keys) }, count,
		    opts);
}

/* Single calls. */
static bool refused_singly(void)
{
	errno = nused < nfaults ? faults[nused++].err : 0;
	return errno != 0;
}

int bpf_map_update_elem(int fd, const void *key, const void *value, __u64 flags)
{
	union bpf_attr attr = { .map_fd = (uint32_t)fd, .key = (uintptr_t)key,
				.value = (uintptr_t)value, .flags = flags };

	if (refused_singly())
		return -errno;
	return syscall(SYS_bpf, BPF_MAP_UPDATE_ELEM, &attr, sizeof(attr)) < 0 ? -errno : 0;
}

int bpf_map_lookup_elem_flags(int fd, const void *key, void *value, __u64 flags)
{
	union bpf_attr attr = { .map_fd = (uint32_t)fd, .key = (uintptr_t)key,
				.value = (uintptr_t)value, .flags = flags };

	if (refused_singly())
		return -errno;
	return syscall(SYS_bpf, BPF_MAP_LOOKUP_ELEM, &attr, sizeof(attr)) < 0 ? -errno : 0;
}

int bpf_map_get_next_key(int fd, const void *key, void *next)
{
	union bpf_attr attr = { .map_fd = (uint32_t)fd, .key = (uintptr_t)key,
				.next_key = (uintptr_t)next };

	if (refused_singly())
		return -errno;
	return syscall(SYS_bpf, BPF_MAP_GET_NEXT_KEY, &attr, sizeof(attr)) < 0 ? -errno : 0;
}

/* ---- scans ------------------------------------------------------------ */

static const int passing[] = { EINTR, EBUSY, EAGAIN, EDEADLK, ETIMEDOUT, ENOMEM };
#define NPASSING (sizeof(passing) / sizeof(passing[0]))

static void adopt(struct lb_kmap *m, uint32_t max_entries)
{
	if (lb_kmap_adopt(m, new_map(BPF_MAP_TYPE_HASH, 8, 8, max_entries, 0)) < 0)
		give_up("the map's info");
}

/* Reads all of a source and closes it; how many keys came exactly once, or -errno. */
static int64_t read_source(struct lb_source *s, struct lb_scan_stats *stats)
{
	uint8_t seen[N] = { 0 };
	int64_t once = 0;
	int n;

	while ((n = lb_source_next(s)) > 0)
		for (int i = 0; i < n; i++)
			seen[((uint64_t *)(void *)s->buf.keys)[i]]++;
	if (stats)
		*stats = s->stats;
	lb_source_close(s);
	for (int i = 0; i < N; i++)
		once += seen[i] == 1;
	return n < 0 ? n : once;
}

static int64_t read_all(struct lb_kmap *m, uint32_t want, bool drain, struct lb_scan_stats *stats)
{
	struct lb_source s;

	if (lb_source_open(&s, m, want, drain, false) < 0)
		give_up("a scan");
	return read_source(&s, stats);
}

/* By single calls. */
static int64_t walk_all(struct lb_kmap *m, struct lb_scan_stats *stats)
{
	struct lb_source s;

	if (lb_source_open(&s, m, 256, false, true) < 0)
		give_up("a walk");
	return read_source(&s, stats);
}

/* Each answer once with entries, once without, and twice in a row. */
static void passing_trouble(bool drain)
{
	const char *what = drain ? "a drain" : "a scan";
	struct lb_scan_stats stats;
	struct lb_kmap m;

	for (size_t i = 0; i < NPASSING; i++) {
		adopt(&m, N);
		fill(m.fd, N);
		expect_none();
		expect(passing[i], 100, false);
		expect(passing[i], 0, false);
		expect(passing[i], 100, false);
		check(read_all(&m, 256, drain, &stats) == N && nused == nfaults,
		      "%s goes on after \"%s\", each entry once", what, strerror(passing[i]));
		equal((int64_t)stats.retried, 3, "and says how often that happened");
		lb_kmap_close(&m);
	}
	expect_none();
}

/* Refused before the kernel looks at the map, at the first call and in the midst of a scan. */
static void trouble_before_the_map(bool drain)
{
	struct lb_kmap m;

	for (size_t i = 0; i < NPASSING; i++) {
		adopt(&m, N);
		fill(m.fd, N);
		expect_none();
		expect(passing[i], 0, true);
		expect(0, 256, false);
		expect(passing[i], 0, true);
		check(read_all(&m, 256, drain, NULL) == N && nused == nfaults,
		      "[case 12] %s refused with \"%s\" gives each entry once, and no others",
		      drain ? "a drain" : "a scan", strerror(passing[i]));
		lb_kmap_close(&m);
	}
	expect_none();
}

/* Of the calls that a key walk begins with: next key, lookup, next key. */
static void trouble_of_a_walk(void)
{
	struct lb_scan_stats stats;
	struct lb_kmap m;

	adopt(&m, N);
	fill(m.fd, N);
	for (size_t i = 0; i < NPASSING; i++) {
		expect_none();
		expect(passing[i], 0, true);
		expect(0, 0, true);
		expect(passing[i], 0, true);
		expect(0, 0, true);
		expect(passing[i], 0, true);
		check(walk_all(&m, &stats) == N && nused == nfaults && stats.retried == 3,
		      "a key walk goes on after \"%s\", each entry once", strerror(passing[i]));
	}
	expect_none();
	for (int i = 0; i < 100; i++)
		expect(EAGAIN, 0, true);
	check(walk_all(&m, NULL) == -EAGAIN && nused < nfaults, "but not for ever");
	expect_none();
	lb_kmap_close(&m);
}

/* As many as were asked for, then a bucket is busy: they are gone from the map. */
static void full_batch_then_trouble(void)
{
	struct lb_kmap m;

	adopt(&m, N);
	fill(m.fd, N);
	expect_none();
	expect(EBUSY, 250, false);
	equal(read_all(&m, 250, true, NULL), N, "a drain keeps a full batch that ends in trouble");
	expect_none();
	lb_kmap_close(&m);
}

/* Arrays know no bucket that does not fit: the scan must not begin past index 0. */
static void no_space_for_an_array(void)
{
	struct lb_source s;
	struct lb_kmap m;

	if (lb_kmap_adopt(&m, new_map(BPF_MAP_TYPE_ARRAY, 4, 8, N, 0)) < 0)
		give_up("the map's info");
	expect_none();
	expect(ENOSPC, 0, true);
	if (lb_source_open(&s, &m, 256, false, false) < 0)
		give_up("a scan");
	equal(lb_source_next(&s), -ENOSPC, "ENOSPC of a call that looked at no map is an error");
	check(lb_source_next(&s) == 256 && *(uint32_t *)(void *)s.buf.keys == 0,
	      "and the next one begins at index 0");
	lb_source_close(&s);
	expect_none();
	lb_kmap_close(&m);
}

static void lasting_trouble(void)
{
	struct lb_kmap m;

	adopt(&m, N);
	fill(m.fd, N);
	expect_none();
	for (int i = 0; i < 100; i++)
		expect(EBUSY, 0, false);
	equal(read_all(&m, 256, false, NULL), -EBUSY, "a bucket that stays busy is an error");
	check(nused > 10 && nused < 100, "after a number of tries");
	expect_none();
	lb_kmap_close(&m);
}

static void refusals(void)
{
	const int refused[] = { EINVAL, EPERM, EBADF, LB_ENOTSUPP, EFAULT, ENOENT, ENOSPC };
	struct lb_kmap m;

	adopt(&m, N);
	fill(m.fd, N);
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		struct lb_source s;

		expect_none();
		expect(refused[i], 0, true);
		if (lb_source_open(&s, &m, 256, false, false) < 0)
			give_up("a scan");
		check(lb_source_next(&s) == -refused[i] && s.n == 0 && s.stats.entries == 0,
		      "[case 12] errno %d with the count at the request gives no entries",
		      refused[i]);
		lb_source_close(&s);
	}
	expect_none();
	lb_kmap_close(&m);
}

/* A bucket that never fits, whatever the size. */
static void growing_without_end(void)
{
	struct lb_scan_stats stats;
	struct lb_kmap m;

	adopt(&m, N);
	fill(m.fd, N);
	expect_none();
	for (int i = 0; i < 100; i++)
		expect(ENOSPC, 0, false);
	equal(read_all(&m, 1, false, &stats), -E2BIG, "a bucket that never fits is an error");
	equal((int64_t)stats.grown, 16, "once the buffer has 65,536 entries");
	expect_none();
	lb_kmap_close(&m);
}

/* ---- given keys ------------------------------------------------------- */

static uint64_t keys[N], values[N];
static uint8_t status[N];

static struct lb_keys given(void)
{
	for (uint64_t i = 0; i < N; i++) {
		keys[i] = i;
		values[i] = i * 10;
		status[i] = LB_ST_NONE;
	}
	return (struct lb_keys){ .keys = (uint8_t *)keys, .values = (uint8_t *)values, .n = N,
				 .status = status };
}

static bool all(enum lb_status what)
{
	for (int i = 0; i < N; i++)
		if (status[i] != what)
			return false;
	return true;
}

static void passing_trouble_of_writes(void)
{
	struct lb_kmap m;

	for (size_t i = 0; i < NPASSING; i++) {
		struct lb_tally stored = { 0 }, deleted = { 0 };
		struct lb_keys in = given();

		adopt(&m, N);
		expect_none();
		expect(passing[i], 0, true);
		expect(passing[i], 300, false);
		expect(passing[i], 0, false);
		check(lb_bulk_update(&m, &in, LB_ANY, &stored) == 0 && stored.stored == N &&
		      count_keys(m.fd) == N && all(LB_ST_STORED),
		      "update goes on after \"%s\"", strerror(passing[i]));
		expect_none();
		expect(passing[i], 0, true);
		expect(passing[i], 300, false);
		check(lb_bulk_delete(&m, &in, &deleted) == 0 && deleted.deleted == N &&
		      count_keys(m.fd) == 0 && all(LB_ST_DELETED),
		      "delete goes on after \"%s\"", strerror(passing[i]));
		lb_kmap_close(&m);
	}
	expect_none();
}

/* Single calls: upserts, and updates with a condition. */
static void passing_trouble_of_single_writes(void)
{
	struct lb_kmap m;

	for (size_t i = 0; i < NPASSING; i++) {
		struct lb_tally stored = { 0 }, upserted = { 0 };
		struct lb_keys in = given();

		adopt(&m, N);
		expect_none();
		expect(passing[i], 0, true);
		expect(passing[i], 0, true);
		check(lb_bulk_update(&m, &in, LB_NOEXIST, &stored) == 0 && stored.stored == N &&
		      count_keys(m.fd) == N && all(LB_ST_STORED),
		      "an update with a condition goes on after \"%s\"", strerror(passing[i]));
		expect_none();
		expect(passing[i], 0, true);
		check(lb_bulk_upsert(&m, &in, &upserted) == 0 && upserted.updated == N &&
		      all(LB_ST_UPDATED), "an upsert goes on after \"%s\"", strerror(passing[i]));
		lb_kmap_close(&m);
	}
	expect_none();
}

static void lasting_trouble_of_single_writes(void)
{
	struct lb_tally t = { 0 };
	struct lb_keys in = given();
	struct lb_kmap m;

	adopt(&m, N);
	expect_none();
	for (int i = 0; i < 100; i++)
		expect(ENOMEM, 0, true);
	check(lb_bulk_upsert(&m, &in, &t) == -ENOMEM && t.done == 0 && nused < nfaults,
	      "an upsert gives up where memory stays short");
	expect_none();
	lb_kmap_close(&m);
}

/* Refused before any work: the count is the request's. */
static void refused_writes(void)
{
	struct lb_tally stored = { 0 }, deleted = { 0 };
	struct lb_keys in = given();
	struct lb_kmap m;

	adopt(&m, N);
	expect_none();
	expect(EPERM, 0, true);
	check(lb_bulk_update(&m, &in, LB_ANY, &stored) == -EPERM && stored.stored == 0 &&
	      all(LB_ST_NONE), "[case 12] a refused update has stored nothing");
	expect(EPERM, 0, true);
	check(lb_bulk_delete(&m, &in, &deleted) == -EPERM && deleted.deleted == 0 &&
	      all(LB_ST_NONE), "[case 12] a refused delete has deleted nothing");
	expect_none();
	lb_kmap_close(&m);
}

/* Part of the work, then an error that does not pass: what was done is told. */
static void partial_writes(void)
{
	struct lb_tally stored = { 0 }, deleted = { 0 };
	struct lb_keys in = given();
	struct lb_kmap m;

	adopt(&m, N);
	expect_none();
	expect(EPERM, 300, false);
	check(lb_bulk_update(&m, &in, LB_ANY, &stored) == -EPERM && stored.stored == 300 &&
	      stored.done == 300 && status[299] == LB_ST_STORED && status[300] == LB_ST_NONE,
	      "an update that fails after 300 keys says so");
	expect(EPERM, 200, false);
	check(lb_bulk_delete(&m, &in, &deleted) == -EPERM && deleted.deleted == 200 &&
	      deleted.done == 200 && count_keys(m.fd) == 100,
	      "a delete that fails after 200 keys says so");
	expect_none();
	lb_kmap_close(&m);
}

/* Values of 1 MiB at addresses that nothing is read from. */
static void large_writes(void)
{
	struct lb_tally t = { 0 }, small = { 0 };
	struct lb_keys in = given();
	struct lb_kmap m;

	adopt(&m, N);
	m.value_stride = pretended_stride = 1u << 20;
	in.n = 5000;
	in.status = NULL;
	next_values = in.values;
	in_order = true;
	check(lb_bulk_update(&m, &in, LB_ANY, &t) == 0 && t.stored == 5000 && in_order,
	      "[case 44] 5000 values of 1 MiB are written in order, each once");
	check(most_bytes < 1u << 31, "[case 44] and no call covers 2 GiB");
	m.value_stride = pretended_stride = 1;
	in.n = 1000000;
	next_values = in.values;
	most_entries = 0;
	check(lb_bulk_update(&m, &in, LB_ANY, &small) == 0 && in_order &&
	      most_entries == LB_MAX_CALL,
	      "[case 15] a million small ones: no call covers more than 65,536");
	pretended_stride = 0;
	lb_kmap_close(&m);
}

/* A call cannot be interrupted: what is asked for in one is limited. */
static void large_scans(void)
{
	struct lb_source s;
	struct lb_kmap m;

	adopt(&m, N);
	m.info.max_entries = 10000000;
	if (lb_source_open(&s, &m, 10000000, false, false) < 0)
		give_up("a scan");
	equal(s.want, LB_MAX_CALL, "[case 15] a scan in steps of ten million: steps of 65,536");
	lb_source_close(&s);
	m.value_stride = 1u << 20;
	if (lb_source_open(&s, &m, 0, false, false) < 0)
		give_up("a scan");
	check(s.want > 1 && (uint64_t)s.want * m.value_stride <= 65u << 20,
	      "of large values as many as 64 MiB have");
	lb_source_close(&s);
	lb_kmap_close(&m);
}

int main(void)
{
	passing_trouble(false);
	passing_trouble(true);
	trouble_before_the_map(false);
	trouble_before_the_map(true);
	trouble_of_a_walk();
	full_batch_then_trouble();
	no_space_for_an_array();
	lasting_trouble();
	refusals();
	growing_without_end();
	passing_trouble_of_writes();
	passing_trouble_of_single_writes();
	lasting_trouble_of_single_writes();
	refused_writes();
	partial_writes();
	large_writes();
	large_scans();
	return done();
}
