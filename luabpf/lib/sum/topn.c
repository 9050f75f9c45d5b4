/* SPDX-License-Identifier: MIT */
/*
 * Sorting of rows, and the first N of them. See topn.h.
 */
#include "lib/sum/topn.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

#define SIGN (1ull << 63)

/* ---- ranks ------------------------------------------------------------- */

uint64_t lb_rank_word(uint64_t v, enum lb_word as, bool descending)
{
	if (as == LB_WORD_SIGNED)
		v ^= SIGN;
	else if (as == LB_WORD_BYTES)
		v = be64toh(v);
	return descending ? ~v : v;
}

/* The bits of an IEEE 754 number are in its order, those of negative ones in the reverse. */
uint64_t lb_rank_double(double v, bool descending)
{
	uint64_t bits;

	v = v == 0 ? 0 : v;	/* -0 is 0 */
	memcpy(&bits, &v, sizeof(bits));
	bits = bits & SIGN ? ~bits : bits | SIGN;
	return descending ? ~bits : bits;
}

static int compare_u64(uint64_t a, uint64_t b)
{
	return (a > b) - (a < b);
}

static int compare_words(const struct lb_ties *t, const uint8_t *a, const uint8_t *b)
{
	int c = 0;

	for (uint32_t i = 0; c == 0 && i < t->size / 8; i++) {
		enum lb_word as = t->as ? (enum lb_word)t->as[i] : LB_WORD_UNSIGNED;
		uint64_t x, y;

		memcpy(&x, a + (size_t)i * 8, 8);
		memcpy(&y, b + (size_t)i * 8, 8);
		c = compare_u64(lb_rank_word(x, as, false), lb_rank_word(y, as, false));
	}
	return c;
}

static int compare_keys(const struct lb_ties *t, const uint8_t *a, const uint8_t *b)
{
	if (t->size == 0)
		return 0;
	return t->words ? compare_words(t, a, b) : memcmp(a, b, t->size);
}

static int compare_more(const struct lb_ties *t, const uint64_t *a, const uint64_t *b)
{
	int c = 0;

	for (uint32_t i = 0; c == 0 && i < t->nmore; i++)
		c = compare_u64(a[i], b[i]);
	return c;
}

static int compare(const struct lb_rank *a, const struct lb_rank *b, const struct lb_ties *t)
{
	int c = compare_u64(a->by, b->by);

	if (c == 0 && t->nmore)
		c = compare_more(t, t->more + a->number * t->more_stride,
				 t->more + b->number * t->more_stride);
	if (c == 0)
		c = compare_keys(t, t->keys + a->number * t->stride,
				 t->keys + b->number * t->stride);
	return c ? c : compare_u64(a->number, b->number);
}

static int compare_voids(const void *a, const void *b, void *ties)
{
	return compare(a, b, ties);
}

void lb_rank_sort(struct lb_rank *ranks, uint64_t n, const struct lb_ties *ties)
{
	struct lb_ties t = *ties;

	if (n > 1)
		qsort_r(ranks, n, sizeof(*ranks), compare_voids, &t);
}

/* ---- a heap with the last rank on top ---------------------------------- */

static void swap(struct lb_rank *a, struct lb_rank *b)
{
	struct lb_rank was = *a;

	*a = *b;
	*b = was;
}

static void sift_up(struct lb_rank *heap, uint64_t at, const struct lb_ties *ties)
{
	while (at > 0 && compare(&heap[(at - 1) / 2], &heap[at], ties) < 0) {
		swap(&heap[(at - 1) / 2], &heap[at]);
		at = (at - 1) / 2;
	}
}

static void sift_down(struct lb_rank *heap, uint64_t n, uint64_t at, const struct lb_ties *ties)
{
	for (uint64_t child; (child = 2 * at + 1) < n; at = child) {
		if (child + 1 < n && compare(&heap[child], &heap[child + 1], ties) < 0)
			child++;
		if (compare(&heap[at], &heap[child], ties) >= 0)
			return;
		swap(&heap[at], &heap[child]);
	}
}

void lb_rank_offer(struct lb_rank *heap, uint64_t *n, uint64_t limit, const struct lb_rank *rank,
		   const struct lb_ties *ties)
{
	if (*n < limit) {
		heap[*n] = *rank;
		sift_up(heap, (*n)++, ties);
	} else if (limit > 0 && compare(rank, &heap[0], ties) < 0) {
		heap[0] = *rank;
		sift_down(heap, limit, 0, ties);
	}
}

/* ---- top N of a stream ------------------------------------------------- */

static size_t round_up(size_t size)
{
	return (size + 7) & ~(size_t)7;
}

void lb_topn_open(struct lb_topn *t, const struct lb_topn_spec *spec)
{
	*t = (struct lb_topn){
		.spec = *spec,
		.budget = { .limit = spec->memory },
		.key_at = (spec->norder - 1) * sizeof(uint64_t),
	};
	t->data_at = t->key_at + round_up(spec->key_size);
	t->row_size = t->data_at + round_up(spec->data_size);
}

void lb_topn_close(struct lb_topn *t)
{
	lb_budget_free(&t->budget, t->ranks, t->ranks_room * sizeof(*t->ranks));
	lb_budget_free(&t->budget, t->rows, t->room * t->row_size);
	*t = (struct lb_topn){ .n = 0 };
}

const char *lb_topn_error(const struct lb_topn *t, char *buf, size_t size)
{
	return lb_budget_error(&t->budget, "sorted rows", buf, size);
}

static struct lb_ties ties_of(const struct lb_topn *t)
{
	return (struct lb_ties){
		.keys = t->rows + t->key_at, .stride = t->row_size, .size = t->spec.key_size,
		.more = (const uint64_t *)(const void *)t->rows,
		.more_stride = t->row_size / sizeof(uint64_t), .nmore = t->spec.norder - 1,
	};
}

static int grow_ranks(struct lb_topn *t, uint64_t room)
{
	size_t size = sizeof(*t->ranks);
	struct lb_rank *ranks = lb_budget_resize(&t->budget, t->ranks, t->ranks_room * size,
						 room * size);

	if (!ranks)
		return t->budget.err;
	t->ranks = ranks;
	t->ranks_room = room;
	return 0;
}

static int grow_rows(struct lb_topn *t, uint64_t room)
{
	uint8_t *rows = lb_budget_resize(&t->budget, t->rows, t->room * t->row_size,
					 room * t->row_size);

	if (!rows)
		return t->budget.err;
	t->rows = rows;
	t->room = room;
	return 0;
}

static int grow(struct lb_topn *t)
{
	uint64_t room = lb_budget_grow(&t->budget, t->room, t->spec.limit,
				       sizeof(*t->ranks) + t->row_size);
	int err = room == t->room ? t->budget.err : 0;

	if (!err && room > t->ranks_room)
		err = grow_ranks(t, room);
	return err ? err : grow_rows(t, room);
}

/* A row that is offered. */
struct offer {
	uint64_t by[LB_MAX_ORDER];	/* from lb_rank_word */
	const uint8_t *key, *data;
};

static void store(struct lb_topn *t, uint64_t number, const struct offer *o)
{
	uint8_t *row = t->rows + number * t->row_size;

	memcpy(row, o->by + 1, t->key_at);
	memcpy(row + t->key_at, o->key, t->spec.key_size);
	if (t->spec.data_size)
		memcpy(row + t->data_at, o->data, t->spec.data_size);
}

static int append(struct lb_topn *t, const struct offer *o)
{
	struct lb_ties ties;
	int err = t->n == t->room ? grow(t) : 0;

	if (err)
		return err;
	store(t, t->n, o);
	t->ranks[t->n] = (struct lb_rank){ .by = o->by[0], .number = t->n };
	t->n++;
	ties = ties_of(t);
	if (t->spec.limit != LB_ALL_ROWS)
		sift_up(t->ranks, t->n - 1, &ties);
	return 0;
}

/* Takes the place of the last row kept, if it comes before that one. */
static void replace(struct lb_topn *t, const struct offer *o)
{
	struct lb_ties ties = ties_of(t);
	struct lb_rank *top = &t->ranks[0];
	int c = compare_u64(o->by[0], top->by);

	if (c == 0)
		c = compare_more(&ties, o->by + 1, ties.more + top->number * ties.more_stride);
	if (c == 0)
		c = compare_keys(&ties, o->key, ties.keys + top->number * t->row_size);
	if (c >= 0)
		return;
	store(t, top->number, o);
	top->by = o->by[0];
	sift_down(t->ranks, t->n, 0, &ties);
}

static int add(struct lb_topn *t, const struct offer *o)
{
	if (t->n < t->spec.limit)
		return append(t, o);
	if (t->n > 0)
		replace(t, o);
	return 0;
}

/* The words that row i of the columns is sorted by. */
static void rank_row(const struct lb_topn *t, const struct lb_column *first, size_t i,
		     struct offer *o)
{
	for (uint32_t k = 0; k < t->spec.norder; k++) {
		const struct lb_order *order = &t->spec.order[k];

		o->by[k] = lb_rank_word(first->at[i * first->stride + order->column], order->as,
					order->descending);
	}
}

int lb_topn_add(struct lb_topn *t, const struct lb_topn_block *b)
{
	size_t taken = 0;
	int err = 0;

	for (size_t i = 0; !err && i < b->n; i++) {
		struct offer o;

		if (b->match && !b->match[i])
			continue;
		rank_row(t, &b->first, b->dense ? taken : i, &o);
		taken++;
		o.key = b->keys + i * b->key_stride;
		o.data = b->data ? b->data + i * b->data_stride : NULL;
		err = add(t, &o);
	}
	return err;
}

uint64_t lb_topn_sort(struct lb_topn *t)
{
	struct lb_ties ties = ties_of(t);

	lb_rank_sort(t->ranks, t->n, &ties);
	return t->n;
}
