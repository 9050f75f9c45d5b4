/* SPDX-License-Identifier: MIT */
/*
 * Sorting of rows by one 64-bit column, ties by key: the first N without
 * sorting all, or all. No Lua here.
 *
 * HOW IT WORKS. A rank is what a row is sorted by, turned so that the smaller
 * unsigned word comes first, and the row's number; keys are looked at for ties
 * only. Of a stream, the first N so far are a heap with the last of them on
 * top: a row that does not come before it is passed over after one comparison.
 */
#ifndef LUABPF_LIB_SUM_TOPN_H
#define LUABPF_LIB_SUM_TOPN_H

#include "lib/sum/budget.h"

/* ---- ranks ------------------------------------------------------------- */

struct lb_rank {
	uint64_t by;		/* from lb_rank_int or lb_rank_double */
	uint64_t number;	/* row */
};

/* The keys that decide ties. Key n is at keys + n * stride. */
struct lb_ties {
	const uint8_t *keys;
	size_t stride;
	uint32_t size;			/* bytes compared; 0: ties go by number */
	bool words;			/* compare 64-bit words instead of bytes */
	uint64_t signed_words;		/* bit i: word i is signed */
};

uint64_t lb_rank_int(uint64_t v, bool is_signed, bool descending);
/* v is not NaN. */
uint64_t lb_rank_double(double v, bool descending);
/*
 * Offers one rank to the first limit ones, which heap has room for: n are there
 * so far. They are in order after lb_rank_sort.
 */
void lb_rank_offer(struct lb_rank *heap, uint64_t *n, uint64_t limit, const struct lb_rank *rank,
		   const struct lb_ties *ties);
void lb_rank_sort(struct lb_rank *ranks, uint64_t n, const struct lb_ties *ties);

/* ---- top N of a stream of rows ----------------------------------------- */

#define LB_ALL_ROWS UINT64_MAX

struct lb_topn_spec {
	uint64_t limit;			/* rows wanted; LB_ALL_ROWS: all, sorted */
	uint32_t key_size;		/* bytes of a row's key, not 0; decides ties */
	uint32_t data_size;		/* bytes kept beside it */
	bool is_signed, descending;	/* the column sorted by */
	size_t memory;			/* bytes that the rows kept may take */
};

struct lb_topn_block {
	uint32_t n;
	struct lb_column by;
	const uint8_t *keys, *data;		/* row i at keys + i * key_stride, ... */
	size_t key_stride, data_stride;
	const uint8_t *match;			/* a byte a row, 0: left out; NULL: all take part */
	bool dense;				/* the column has only the rows that take part */
};

struct lb_topn {
	struct lb_topn_spec spec;
	struct lb_budget budget;
	size_t data_at, row_size;	/* a row: its key, its data from data_at on; multiples of 8 */
	struct lb_rank *ranks;
	uint8_t *rows;
	uint64_t n;			/* rows kept */
	uint64_t ranks_room, room;
};

/* Takes memory with the first row. */
void lb_topn_open(struct lb_topn *t, const struct lb_topn_spec *spec);
/* May be called twice, and on zeroes. */
void lb_topn_close(struct lb_topn *t);
/* 0; -ENOMEM, or -ENOBUFS past the limit: what was added until then is of no use. */
int lb_topn_add(struct lb_topn *t, const struct lb_topn_block *block);
/* Adds the rows that from has, which must have the same specification. As lb_topn_add. */
int lb_topn_merge(struct lb_topn *t, const struct lb_topn *from);
/* Puts the rows in order; nothing may be added afterwards. Returns how many there are. */
uint64_t lb_topn_sort(struct lb_topn *t);
/* What the last failure was, as text that names the limit. */
const char *lb_topn_error(const struct lb_topn *t, char *buf, size_t size);

/* The row at a place, from 0, after lb_topn_sort. */
static inline const uint8_t *lb_topn_key(const struct lb_topn *t, uint64_t place)
{
	return t->rows + t->ranks[place].number * t->row_size;
}

/* Aligned for words. */
static inline const uint8_t *lb_topn_data(const struct lb_topn *t, uint64_t place)
{
	return lb_topn_key(t, place) + t->data_at;
}

#endif
