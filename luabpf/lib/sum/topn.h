/* SPDX-License-Identifier: MIT */
/*
 * Sorting of rows by 64-bit columns, ties by key: the first N without sorting
 * all, or all. No Lua here.
 *
 * HOW IT WORKS. A rank is what a row is sorted by, turned so that the smaller
 * unsigned word comes first, and the row's number; what else rows are sorted by,
 * and keys, are looked at for ties only. Of a stream, the first N so far are a heap with the last of them on
 * top: a row that does not come before it is passed over after one comparison.
 */
#ifndef LUABPF_LIB_SUM_TOPN_H
#define LUABPF_LIB_SUM_TOPN_H

#include "lib/sum/budget.h"

/* ---- ranks ------------------------------------------------------------- */

struct lb_rank {
	uint64_t by;		/* from lb_rank_word or lb_rank_double */
	uint64_t number;	/* row */
};

/* How a word of a column is ordered. */
enum lb_word {
	LB_WORD_UNSIGNED,
	LB_WORD_SIGNED,
	LB_WORD_BYTES,		/* eight bytes of text or an address, the first of them lowest */
};

/* One of the words that rows are sorted by. */
struct lb_order {
	uint32_t column;
	enum lb_word as;
	bool descending;
};

/* What decides ties: more words, then keys. Those of rank n are n * stride further on. */
struct lb_ties {
	const uint8_t *keys;
	size_t stride;
	uint32_t size;			/* bytes compared; 0: ties go by number */
	bool words;			/* compare 64-bit words instead of bytes */
	const uint8_t *as;		/* an enum lb_word for each of them; NULL: unsigned */
	const uint64_t *more;		/* from lb_rank_word */
	size_t more_stride;		/* words */
	uint32_t nmore;
};

uint64_t lb_rank_word(uint64_t v, enum lb_word as, bool descending);
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
/* Words that rows may be sorted by. */
#define LB_MAX_ORDER 64

struct lb_topn_spec {
	uint64_t limit;			/* rows wanted; LB_ALL_ROWS: all, sorted */
	uint32_t key_size;		/* bytes of a row's key, not 0; decides ties */
	uint32_t data_size;		/* bytes kept beside it */
	const struct lb_order *order;	/* what rows are sorted by; the caller's */
	uint32_t norder;		/* not 0 */
	size_t memory;			/* bytes that the rows kept may take */
};

struct lb_topn_block {
	uint32_t n;
	struct lb_column first;			/* column 0; the others follow it */
	const uint8_t *keys, *data;		/* row i at keys + i * key_stride, ... */
	size_t key_stride, data_stride;
	const uint8_t *match;			/* a byte a row, 0: left out; NULL: all take part */
	bool dense;				/* the column has only the rows that take part */
};

struct lb_topn {
	struct lb_topn_spec spec;
	struct lb_budget budget;
	/* A row: the words but the first, its key, its data; multiples of 8 bytes. */
	size_t key_at, data_at, row_size;
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
/* Puts the rows in order; nothing may be added afterwards. Returns how many there are. */
uint64_t lb_topn_sort(struct lb_topn *t);
/* What the last failure was, as text that names the limit. */
const char *lb_topn_error(const struct lb_topn *t, char *buf, size_t size);

/* The row at a place, from 0, after lb_topn_sort. */
static inline const uint8_t *lb_topn_key(const struct lb_topn *t, uint64_t place)
{
	return t->rows + t->ranks[place].number * t->row_size + t->key_at;
}

/* Aligned for words. */
static inline const uint8_t *lb_topn_data(const struct lb_topn *t, uint64_t place)
{
	return lb_topn_key(t, place) - t->key_at + t->data_at;
}

#endif
