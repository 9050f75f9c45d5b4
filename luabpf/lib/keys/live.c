/* SPDX-License-Identifier: MIT */
/*
 * Read, judge, delete, a key at a time. See live.h.
 */
#include "lib/keys/live.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>

/* What a call on one entry says: 1, or 0 where there is none, which is counted, or -errno. */
static int outcome(int rc, struct lb_tally *t)
{
	if (rc == 0)
		return 1;
	if (errno != ENOENT)
		return -errno;
	t->missing++;
	return 0;
}

static int read_one(const struct lb_kmap *m, const uint8_t *key, uint8_t *value, struct lb_tally *t)
{
	return outcome(bpf_map_lookup_elem_flags(m->fd, key, value, lb_lock_flag(m)), t);
}

/* 1 when the entry was deleted, 0 when not, -errno. value has room for one. */
static int delete_one(const struct lb_kmap *m, const struct lb_interp *where,
		      const uint64_t *params, const uint8_t *key, uint8_t *value,
		      struct lb_tally *t)
{
	int rc = read_one(m, key, value, t);

	if (rc <= 0)
		return rc;
	if (where && lb_interp_entry(where, key, value, params) != LB_YES) {
		t->changed++;
		return 0;
	}
	rc = outcome(bpf_map_delete_elem(m->fd, key), t);
	t->deleted += rc > 0;
	return rc;
}

int lb_live_delete(const struct lb_kmap *m, const struct lb_interp *where, const uint64_t *params,
		   const struct lb_block *block, uint8_t *keys, uint8_t *values,
		   struct lb_tally *t)
{
	size_t ks = m->info.key_size, vs = m->value_stride;

	for (uint32_t i = 0; i < block->n; i++) {
		const uint8_t *key = block->keys + i * ks;
		uint32_t at = t->deleted;
		int rc = delete_one(m, where, params, key, values + at * vs, t);

		if (rc < 0)
			return rc;
		if (rc)
			memcpy(keys + at * ks, key, ks);
	}
	return 0;
}

/* ---- changes ---------------------------------------------------------- */

static int write_one(const struct lb_kmap *m, const uint8_t *key, const uint8_t *value,
		     struct lb_tally *t)
{
	int rc = outcome(bpf_map_update_elem(m->fd, key, value, BPF_EXIST | lb_lock_flag(m)), t);

	t->updated += rc > 0;
	return rc < 0 ? rc : 0;
}

int lb_live_change(const struct lb_kmap *m, const struct lb_edit_interp *x, uint64_t *params,
		   const struct lb_keys *in, uint8_t *value, struct lb_tally *t)
{
	int err = 0;

	for (; t->done < in->n && err >= 0; t->done += err >= 0) {
		const uint8_t *key = in->keys + (size_t)t->done * m->info.key_size;
		uint32_t store;

		err = read_one(m, key, value, t);
		if (err <= 0)
			continue;
		if (lb_edit_apply(x, key, value, params, &store) == LB_YES)
			err = write_one(m, key, value, t);
		else
			t->changed++;
	}
	return err < 0 ? err : 0;
}

int lb_live_exchange(const struct lb_kmap *m, const struct lb_keys *in, uint8_t *value,
		     struct lb_tally *t)
{
	int err = 0;

	for (; t->done < in->n && err >= 0; t->done += err >= 0) {
		const uint8_t *key = in->keys + (size_t)t->done * m->info.key_size;
		const uint8_t *was = in->values + 2 * (size_t)t->done * m->value_stride;

		err = read_one(m, key, value, t);
		if (err <= 0)
			continue;
		if (lb_value_equal(m, value, was))
			err = write_one(m, key, was + m->value_stride, t);
		else
			t->changed++;
	}
	return err < 0 ? err : 0;
}
