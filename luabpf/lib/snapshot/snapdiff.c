/* SPDX-License-Identifier: MIT */
/*
 * Comparing snapshots. See snapdiff.h.
 *
 * A record of the table has the key's words, the value's, and one that is not
 * 0 once the entry was met in the other snapshot.
 */
#include "lib/snapshot/snapdiff.h"

#include "lib/file/crc32c.h"
#include "lib/layout/layout.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Reading everything more often than this would take longer than anybody waits. */
#define MAX_PASSES 1024
/* The table's index has at most four slots for a record, and while it grows the old one too. */
#define INDEX_BYTES 48

static uint32_t words(uint32_t size)
{
	return (size + 7) / 8;
}

/* So many passes that a part of the keys fits, an eighth to spare for parts that are not even. */
static uint64_t passes_for(const struct lb_diff *d, uint64_t entries, size_t memory)
{
	/* The array of records doubles when it is full. */
	uint64_t record = (uint64_t)d->table.record_words * 16 + INDEX_BYTES;
	unsigned __int128 need = (unsigned __int128)entries * record * 9 / 8;

	return memory ? (uint64_t)(need / memory) + 1 : UINT64_MAX;
}

int lb_diff_open(struct lb_diff *d, const struct lb_snap *news, const struct lb_snap *olds,
		 const struct lb_diff_values *values, size_t memory)
{
	uint64_t passes;

	*d = (struct lb_diff){ .budget = { .limit = memory } };
	d->kept_is_old = olds->entries <= news->entries;
	d->kept = d->kept_is_old ? olds : news;
	d->read = d->kept_is_old ? news : olds;
	d->cpu_size = values->size;
	d->ncpu = values->ncpu ? values->ncpu : 1;
	d->cpu_stride = lb_cpu_stride(values->size);
	lb_table_open(&d->table, &d->budget, words(news->key_size), words(news->value_size) + 1);
	passes = passes_for(d, d->kept->entries, memory);
	if (passes > MAX_PASSES) {
		d->budget.err = -ENOBUFS;
		return -ENOBUFS;
	}
	d->passes = (uint32_t)passes;
	d->key = calloc(words(news->key_size), sizeof(*d->key));
	if (!d->key)
		return -ENOMEM;
	lb_snap_start(&d->cursor, d->kept);
	return 0;
}

void lb_diff_close(struct lb_diff *d)
{
	lb_table_close(&d->table);
	lb_snap_stop(&d->cursor);
	free(d->key);
	d->key = NULL;
	d->state = LB_DIFF_END;
}

/* ---- keys and values ---------------------------------------------------- */

/* Whether the key is of this pass; then its words are in d->key. */
static bool take_key(struct lb_diff *d, const uint8_t *key)
{
	uint32_t size = d->kept->key_size;

	if (d->passes > 1 && (uint64_t)lb_crc32c(0, key, size) * d->passes >> 32 != d->pass)
		return false;
	memcpy(d->key, key, size);	/* the bytes behind it stay zero */
	return true;
}

static uint8_t *value_of(const struct lb_diff *d, uint64_t *record)
{
	return (uint8_t *)(record + d->table.key_words);
}

static bool equal(const struct lb_diff *d, const uint8_t *a, const uint8_t *b)
{
	for (uint32_t cpu = 0; cpu < d->ncpu; cpu++) {
		size_t at = (size_t)cpu * d->cpu_stride;

		if (memcmp(a + at, b + at, d->cpu_size) != 0)
			return false;
	}
	return true;
}

/* ---- the states --------------------------------------------------------- */

/* Begins to read the blocks of one of the two. */
static void start(struct lb_diff *d, const struct lb_snap *s)
{
	lb_snap_stop(&d->cursor);
	lb_snap_start(&d->cursor, s);
	d->n = d->at = 0;
}

/* The next block: its entries, 0 at the end, -errno. */
static int64_t next_block(struct lb_diff *d, struct lb_snap_fault *fault)
{
	int64_t n = lb_snap_next(&d->cursor, fault);

	d->failed = n < 0 ? d->cursor.snap : NULL;
	d->n = n > 0 ? (uint32_t)n : 0;
	d->at = 0;
	return n;
}

static int put(struct lb_diff *d, uint32_t i)
{
	uint32_t key_size = d->kept->key_size, value_size = d->kept->value_size;
	int64_t number;
	bool added;

	if (!take_key(d, d->cursor.keys + (size_t)i * key_size))
		return 0;
	number = lb_table_put(&d->table, d->key, &added);
	if (number < 0)
		return (int)number;
	memcpy(value_of(d, lb_table_record(&d->table, (uint32_t)number)),
	       d->cursor.values + (size_t)i * value_size, value_size);
	return 0;
}

/* Fills the table with the keys of this pass. */
static int load(struct lb_diff *d, struct lb_snap_fault *fault)
{
	uint32_t key_words = d->table.key_words;
	int64_t n;
	int err = 0;

	lb_table_close(&d->table);
	lb_table_open(&d->table, &d->budget, key_words, words(d->kept->value_size) + 1);
	start(d, d->kept);
	while (!err && (n = next_block(d, fault)) != 0) {
		if (n < 0)
			return (int)n;
		for (uint32_t i = 0; !err && i < d->n; i++)
			err = put(d, i);
	}
	start(d, d->read);
	d->state = LB_DIFF_READ;
	return err;
}

/* An entry that only one of the two has. */
static int only(const struct lb_diff *d, bool kept, const uint8_t *key, const uint8_t *value,
		struct lb_difference *out)
{
	bool old = kept == d->kept_is_old;

	*out = (struct lb_difference){ .status = old ? LB_REMOVED : LB_ADDED, .key = key,
				       .old = old ? value : NULL, .new = old ? NULL : value };
	return 1;
}

/* Looks up entry i of the block: 1 if it differs. */
static int compare(struct lb_diff *d, uint32_t i, struct lb_difference *out)
{
	const uint8_t *key = d->cursor.keys + (size_t)i * d->read->key_size;
	const uint8_t *value = d->cursor.values + (size_t)i * d->read->value_size, *other;
	uint64_t *record;
	int64_t number;

	if (!take_key(d, key))
		return 0;
	number = lb_table_find(&d->table, d->key);
	if (number < 0)
		return only(d, false, key, value, out);
	record = lb_table_record(&d->table, (uint32_t)number);
	record[d->table.record_words - 1] = 1;
	other = value_of(d, record);
	if (equal(d, value, other))
		return 0;
	*out = (struct lb_difference){ .status = LB_CHANGED, .key = key,
				       .old = d->kept_is_old ? other : value,
				       .new = d->kept_is_old ? value : other };
	return 1;
}

static int read_on(struct lb_diff *d, struct lb_difference *out, struct lb_snap_fault *fault)
{
	for (;;) {
		int64_t n;

		while (d->at < d->n)
			if (compare(d, d->at++, out))
				return 1;
		n = next_block(d, fault);
		if (n < 0)
			return (int)n;
		if (n == 0)
			break;
	}
	d->state = LB_DIFF_REST;
	return 0;
}

/* What is left in the table was not met; then the next pass, or the end. */
static int rest(struct lb_diff *d, struct lb_difference *out)
{
	while (d->at < d->table.n) {
		uint64_t *record = lb_table_record(&d->table, d->at++);

		if (!record[d->table.record_words - 1])
			return only(d, true, (const uint8_t *)record, value_of(d, record), out);
	}
	d->state = ++d->pass < d->passes ? LB_DIFF_LOAD : LB_DIFF_END;
	return 0;
}

int lb_diff_next(struct lb_diff *d, struct lb_difference *out, struct lb_snap_fault *fault)
{
	int rc = 0;

	*fault = (struct lb_snap_fault){ 0 };
	while (rc == 0) {
		switch (d->state) {
		case LB_DIFF_LOAD:
			rc = load(d, fault);
			break;
		case LB_DIFF_READ:
			rc = read_on(d, out, fault);
			break;
		case LB_DIFF_REST:
			rc = rest(d, out);
			break;
		case LB_DIFF_END:
			return 0;
		}
	}
	if (rc < 0)
		d->state = LB_DIFF_END;
	return rc;
}
