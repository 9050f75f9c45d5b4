/* SPDX-License-Identifier: MIT */
/*
 * Work on many given keys. See bulk.h; what the kernel's batch calls do is in
 * kernel/bpf/syscall.c, generic_map_update_batch and generic_map_delete_batch.
 */
#include "lib/keys/bulk.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

/* Repeated calls without progress before ENOMEM or a busy bucket is reported. */
#define MAX_RETRIES 64

static const uint8_t *key_at(const struct lb_kmap *m, const struct lb_keys *in, uint32_t i)
{
	return in->keys + (size_t)i * m->info.key_size;
}

static const uint8_t *value_at(const struct lb_kmap *m, const struct lb_keys *in, uint32_t i)
{
	return in->values + (size_t)i * m->value_stride;
}

static void mark(const struct lb_keys *in, uint32_t from, uint32_t n, enum lb_status what)
{
	if (in->status)
		memset(in->status + from, what, n);
}

/*
 * After an error the kernel's count is the number done, but before any work
 * it is still the request: an error with everything done does not exist.
 */
static uint32_t done_of(uint32_t count, uint32_t asked)
{
	return count < asked ? count : 0;
}

int lb_bulk_lookup(struct lb_kmap *m, const struct lb_keys *in, uint8_t *values,
		   struct lb_tally *t)
{
	for (; t->done < in->n; t->done++) {
		uint8_t *value = values + (size_t)t->done * m->value_stride;
		const uint8_t *key = key_at(m, in, t->done), *mapped = lb_kmap_value(m, key, false);
		bool found = mapped ||
			bpf_map_lookup_elem_flags(m->fd, key, value, lb_lock_flag(m)) == 0;

		if (mapped)
			lb_mapping_copy(value, mapped, m->info.value_size);

		if (!found && errno != ENOENT)
			return -errno;
		found ? t->found++ : t->missing++;
		mark(in, t->done, 1, found ? LB_ST_FOUND : LB_ST_MISSING);
	}
	return 0;
}

/* ---- update ----------------------------------------------------------- */

static int update_batches(struct lb_kmap *m, const struct lb_keys *in, struct lb_tally *t)
{
	LIBBPF_OPTS(bpf_map_batch_opts, opts, .elem_flags = lb_lock_flag(m));
	unsigned int retries = 0;

	while (t->done < in->n) {
		uint32_t asked = lb_kmap_call_limit(m, in->n - t->done), count = asked;
		int err = bpf_map_update_batch(m->fd, key_at(m, in, t->done),
					       value_at(m, in, t->done), &count, &opts);
		uint32_t did = err ? done_of(count, asked) : asked;

		err = err ? errno : 0;
		mark(in, t->done, did, LB_ST_STORED);
		t->done += did;
		t->stored += did;
		retries = did ? 0 : retries + 1;
		if (err && (!lb_transient(err) || retries > MAX_RETRIES))
			return -err;
		if (err)
			sched_yield();
	}
	return 0;
}

static int update_one(struct lb_kmap *m, const struct lb_keys *in, uint32_t i, uint64_t flags)
{
	for (unsigned int retries = 0;; retries++) {
		int err = bpf_map_update_elem(m->fd, key_at(m, in, i), value_at(m, in, i),
					      flags | lb_lock_flag(m)) < 0 ? errno : 0;

		if (!lb_transient(err) || retries >= MAX_RETRIES)
			return err;
		sched_yield();
	}
}

static int update_singly(struct lb_kmap *m, const struct lb_keys *in, enum lb_mode mode,
			 struct lb_tally *t)
{
	static const uint64_t flags[] = { BPF_ANY, BPF_NOEXIST, BPF_EXIST };

	for (; t->done < in->n; t->done++) {
		int err = update_one(m, in, t->done, flags[mode]);
		enum lb_status what = LB_ST_STORED;

		if (mode == LB_NOEXIST && err == EEXIST)
			what = LB_ST_EXISTS;
		else if (mode == LB_EXIST && err == ENOENT)
			what = LB_ST_MISSING;
		else if (err)
			return -err;
		t->stored += what == LB_ST_STORED;
		t->missing += what == LB_ST_MISSING;
		mark(in, t->done, 1, what);
	}
	return 0;
}

/* Up to the first key that there is no value for, which is left to the kernel. */
static void update_mapped(struct lb_kmap *m, const struct lb_keys *in, struct lb_tally *t)
{
	uint32_t first = t->done;

	for (; t->done < in->n; t->done++) {
		uint8_t *mapped = lb_kmap_value(m, key_at(m, in, t->done), true);

		if (!mapped)
			break;
		lb_mapping_copy(mapped, value_at(m, in, t->done), m->info.value_size);
	}
	mark(in, first, t->done - first, LB_ST_STORED);
	t->stored += t->done - first;
}

int lb_bulk_update(struct lb_kmap *m, const struct lb_keys *in, enum lb_mode mode,
		   struct lb_tally *t)
{
	if (mode != LB_NOEXIST)
		update_mapped(m, in, t);
	if (mode == LB_ANY && lb_can(m, LB_BATCH_UPDATE))
		return update_batches(m, in, t);
	return update_singly(m, in, mode, t);
}

/*
 * Replace, else insert; a key that another writer inserts in between exists
 * at the next attempt.
 */
static int upsert_one(struct lb_kmap *m, const struct lb_keys *in, uint32_t i, bool *inserted)
{
	int err = EEXIST;

	for (unsigned int tries = 0; err == EEXIST && tries < MAX_RETRIES; tries++) {
		*inserted = false;
		err = update_one(m, in, i, BPF_EXIST);
		if (err != ENOENT)
			return err;
		*inserted = true;
		err = update_one(m, in, i, BPF_NOEXIST);
	}
	return err;
}

int lb_bulk_upsert(struct lb_kmap *m, const struct lb_keys *in, struct lb_tally *t)
{
	for (; t->done < in->n; t->done++) {
		bool inserted;
		int err = upsert_one(m, in, t->done, &inserted);

		if (err)
			return -err;
		inserted ? t->inserted++ : t->updated++;
		mark(in, t->done, 1, inserted ? LB_ST_INSERTED : LB_ST_UPDATED);
	}
	return 0;
}

/* ---- delete ----------------------------------------------------------- */

static int delete_one(struct lb_kmap *m, const struct lb_keys *in, struct lb_tally *t)
{
	bool gone = bpf_map_delete_elem(m->fd, key_at(m, in, t->done)) == 0;

	if (!gone && errno != ENOENT)
		return -errno;
	gone ? t->deleted++ : t->missing++;
	mark(in, t->done, 1, gone ? LB_ST_DELETED : LB_ST_MISSING);
	t->done++;
	return 0;
}

/* One DELETE_BATCH: it stops at the first missing key, which is passed over. */
static int delete_call(struct lb_kmap *m, const struct lb_keys *in, struct lb_tally *t)
{
	uint32_t asked = lb_kmap_call_limit(m, in->n - t->done), count = asked;
	int err = bpf_map_delete_batch(m->fd, key_at(m, in, t->done), &count, NULL) < 0 ? errno : 0;
	uint32_t did = err ? done_of(count, asked) : asked;

	mark(in, t->done, did, LB_ST_DELETED);
	t->done += did;
	t->deleted += did;
	if (err != ENOENT)
		return -err;
	mark(in, t->done, 1, LB_ST_MISSING);
	t->done++;
	t->missing++;
	return 0;
}

int lb_bulk_delete(struct lb_kmap *m, const struct lb_keys *in, struct lb_tally *t)
{
	unsigned int retries = 0;

	while (t->done < in->n) {
		uint32_t before = t->done;
		int err = lb_can(m, LB_BATCH_DELETE) ? delete_call(m, in, t)
						     : delete_one(m, in, t);

		retries = t->done > before ? 0 : retries + 1;
		if (err && (!lb_transient(-err) || retries > MAX_RETRIES))
			return err;
		if (err)
			sched_yield();
	}
	return 0;
}

bool lb_value_equal(const struct lb_kmap *m, const uint8_t *a, const uint8_t *b)
{
	uint32_t step = lb_cpu_stride(m->info.value_size);

	if (!m->ncpu)
		return memcmp(a, b, m->value_stride) == 0;
	for (uint32_t cpu = 0; cpu < m->ncpu; cpu++)
		if (memcmp(a + cpu * step, b + cpu * step, m->info.value_size) != 0)
			return false;
	return true;
}

static int delete_if_equal(struct lb_kmap *m, const struct lb_keys *in, uint8_t *now,
			   struct lb_tally *t)
{
	const uint8_t *key = key_at(m, in, t->done);

	if (bpf_map_lookup_elem_flags(m->fd, key, now, lb_lock_flag(m)) < 0) {
		if (errno != ENOENT)
			return -errno;
		t->missing++;
		mark(in, t->done++, 1, LB_ST_MISSING);
		return 0;
	}
	if (lb_value_equal(m, now, value_at(m, in, t->done)))
		return delete_one(m, in, t);
	t->changed++;
	mark(in, t->done++, 1, LB_ST_CHANGED);
	return 0;
}

int lb_bulk_delete_equal(struct lb_kmap *m, const struct lb_keys *in, struct lb_tally *t)
{
	uint8_t *now = malloc(m->value_stride ? m->value_stride : 1);
	int err = now ? 0 : -ENOMEM;

	while (!err && t->done < in->n)
		err = delete_if_equal(m, in, now, t);
	free(now);
	return err;
}
