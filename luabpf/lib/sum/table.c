/* SPDX-License-Identifier: MIT */
/*
 * A hash table of records. See table.h.
 */
#include "lib/sum/table.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

#define FIRST_SLOTS 64
/* A number + 1 must fit in half a slot. */
#define MAX_RECORDS (UINT32_MAX - 1)

void lb_table_open(struct lb_table *t, struct lb_budget *budget, uint32_t key_words,
		   uint32_t more_words)
{
	*t = (struct lb_table){ .budget = budget, .key_words = key_words,
				.record_words = key_words + more_words };
	if (getrandom(&t->seed, sizeof(t->seed), GRND_NONBLOCK) != sizeof(t->seed))
		t->seed = (uintptr_t)t;		/* early in the boot only */
}

void lb_table_close(struct lb_table *t)
{
	if (!t->budget)
		return;
	lb_budget_free(t->budget, t->records, (size_t)t->room * t->record_words * 8);
	lb_budget_free(t->budget, t->index, t->slots * 8);
	*t = (struct lb_table){ .budget = NULL };
}

/* Both halves of the product of each word: every bit reaches every other (as wyhash does). */
static uint64_t hash(const struct lb_table *t, const uint64_t *key)
{
	uint64_t h = t->seed;

	for (uint32_t i = 0; i < t->key_words; i++) {
		unsigned __int128 m = (unsigned __int128)(h ^ key[i]) * 0x9e3779b97f4a7c15u;

		h = (uint64_t)m ^ (uint64_t)(m >> 64);
	}
	return h;
}

static bool same(const struct lb_table *t, uint32_t number, const uint64_t *key)
{
	const uint64_t *record = lb_table_record(t, number);

	for (uint32_t i = 0; i < t->key_words; i++)
		if (record[i] != key[i])
			return false;
	return true;
}

/* ---- growing ----------------------------------------------------------- */

/* Slots are found by the lower half of the hash, which the index keeps. */
static void reinsert(uint64_t *index, uint64_t slots, uint64_t entry)
{
	uint64_t at = (entry >> 32) & (slots - 1);

	while (index[at])
		at = (at + 1) & (slots - 1);
	index[at] = entry;
}

static int grow_index(struct lb_table *t)
{
	uint64_t slots = t->slots ? t->slots * 2 : FIRST_SLOTS;
	uint64_t *index = lb_budget_resize(t->budget, NULL, 0, slots * 8);

	if (!index)
		return t->budget->err;
	memset(index, 0, slots * 8);
	for (uint64_t i = 0; i < t->slots; i++)
		if (t->index[i])
			reinsert(index, slots, t->index[i]);
	lb_budget_free(t->budget, t->index, t->slots * 8);
	t->index = index;
	t->slots = slots;
	return 0;
}

static int grow_records(struct lb_table *t)
{
	size_t size = (size_t)t->record_words * 8;
	uint64_t room = lb_budget_grow(t->budget, t->room, MAX_RECORDS, size);
	uint64_t *records;

	if (room == t->room)
		return t->budget->err;
	records = lb_budget_resize(t->budget, t->records, t->room * size, room * size);
	if (!records)
		return t->budget->err;
	t->records = records;
	t->room = (uint32_t)room;
	return 0;
}

/* Half of the slots stay free. */
int lb_table_reserve(struct lb_table *t, uint32_t n)
{
	int err = 0;

	while (!err && (t->n + (uint64_t)n) * 2 > t->slots)
		err = grow_index(t);
	while (!err && t->n + (uint64_t)n > t->room)
		err = grow_records(t);
	return err;
}

/* ---- looking up -------------------------------------------------------- */

static int64_t append(struct lb_table *t, const uint64_t *key, uint64_t h)
{
	int err = lb_table_reserve(t, 1);
	uint64_t *record;

	if (err)
		return err;
	record = lb_table_record(t, t->n);
	memcpy(record, key, t->key_words * sizeof(*key));
	memset(record + t->key_words, 0, (t->record_words - t->key_words) * sizeof(*key));
	reinsert(t->index, t->slots, h << 32 | (t->n + 1));
	return t->n++;
}

/* The number of the record whose key has hash h, -1 if there is none. */
static int64_t find(const struct lb_table *t, const uint64_t *key, uint64_t h)
{
	uint64_t at = (uint32_t)h;

	for (; t->slots && t->index[at &= t->slots - 1]; at++) {
		uint64_t entry = t->index[at];

		if (entry >> 32 == (uint32_t)h && same(t, (uint32_t)entry - 1, key))
			return (uint32_t)entry - 1;
	}
	return -1;
}

int64_t lb_table_find(const struct lb_table *t, const uint64_t *key)
{
	return find(t, key, hash(t, key));
}

int64_t lb_table_put(struct lb_table *t, const uint64_t *key, bool *added)
{
	uint64_t h = hash(t, key);
	int64_t number = find(t, key, h);

	*added = number < 0;
	return *added ? append(t, key, h) : number;
}
