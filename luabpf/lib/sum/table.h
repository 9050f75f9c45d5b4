/* SPDX-License-Identifier: MIT */
/*
 * A hash table of records within a memory limit. A record is a key of some
 * 64-bit words and further words that belong to its owner; records are
 * numbered from 0 in the order they came, and stay. No Lua here.
 *
 * HOW IT WORKS. Records lie one after another in one array that grows; an
 * index of twice as many slots, open addressing with linear steps, has for
 * each record the upper half of its hash and its number. The hash is seeded
 * at random: keys come from the network.
 */
#ifndef LUABPF_LIB_SUM_TABLE_H
#define LUABPF_LIB_SUM_TABLE_H

#include "lib/sum/budget.h"

struct lb_table {
	struct lb_budget *budget;
	uint32_t key_words, record_words;
	uint32_t n;			/* records */
	uint32_t room;			/* records that there is memory for */
	uint64_t *records;
	uint64_t *index;		/* hash << 32 | number + 1; 0: free */
	uint64_t slots;			/* a power of two, or 0 */
	uint64_t seed;
};

/* An empty table; takes memory with the first record. */
void lb_table_open(struct lb_table *t, struct lb_budget *budget, uint32_t key_words,
		   uint32_t more_words);
/* May be called twice, and on zeroes. */
void lb_table_close(struct lb_table *t);
/*
 * The number of the record with this key; a new one, its further words zero,
 * if there is none. -ENOMEM, or -ENOBUFS past the limit.
 */
int64_t lb_table_put(struct lb_table *t, const uint64_t *key, bool *added);

/* Makes room for n more records: as many puts cannot fail then. 0, -ENOMEM or -ENOBUFS. */
int lb_table_reserve(struct lb_table *t, uint32_t n);

/* The number of the record with this key, -1 if there is none. */
int64_t lb_table_find(const struct lb_table *t, const uint64_t *key);

/* Bytes of its records, and of two slots for each. */
static inline size_t lb_table_size(const struct lb_table *t)
{
	return (size_t)t->n * (t->record_words + 2) * sizeof(uint64_t);
}

/* The words of a record, its key first; valid until the next put. */
static inline uint64_t *lb_table_record(const struct lb_table *t, uint32_t number)
{
	return t->records + (size_t)number * t->record_words;
}

#endif
