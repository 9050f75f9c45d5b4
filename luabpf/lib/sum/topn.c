/* SPDX-License-Identifier: MIT */
/*
 * Sorting of rows, and the first N of them. See topn.h.
 */
#include "lib/sum/topn.h"

#include <stdlib.h>
#include <string.h>

#define SIGN (1ull << 63)

/* ---- ranks ------------------------------------------------------------- */

uint64_t lb_rank_int(uint64_t v, bool is_signed, bool descending)
{
	v = is_signed ? v ^ SIGN : v;
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
		bool is_signed = i < 64 && (t->signed_words >> i & 1);
		uint64_t x, y;

		memcpy(&x, a + (size_t)i * 8, 8);
		memcpy(&y, b + (size_t)i * 8, 8);
		c = compare_u64(lb_rank_int(x, is_signed, false), lb_rank_int(y, is_signed, false));
	}
	return c;
}

static int compare_keys(const struct lb_ties *t, const uint8_t *a, const uint8_t *b)
{
	if (t->size == 0)
		return 0;
	return t->words ? compare_words(t, a, b) : memcmp(a, b, t->size);
}

static int compare(const struct lb_rank *a, const struct lb_rank *b, const struct lb_ties *t)
{
	int c = compare_u64(a->by, b->by);

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
		.data_at = round_up(spec->key_size),
		.row_size = round_up(spec->key_size) + round_up(spec->data_size),
	};
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
	return (struct lb_ties){ .keys = t->rows, .stride = t->row_size, .size = t->spec.key_size };
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

static void store(struct lb_topn *t, uint64_t number, const uint8_t *key, const uint8_t *data)
{
	uint8_t *row = t->rows + number * t->row_size;

	memcpy(row, key, t->spec.key_size);
	if (t->spec.data_size)
		memcpy(row + t->data_at, data, t->spec.data_size);
}

static int append(struct lb_topn *t, uint64_t by, const uint8_t *key, const uint8_t *data)
{
	struct lb_ties ties;
	int err = t->n == t->room ? grow(t) : 0;

	if (err)
		return err;
	store(t, t->n, key, data);
	t->ranks[t->n] = (struct lb_rank){ .by = by, .number = t->n };
	t->n++;
	ties = ties_of(t);
	if (t->spec.limit != LB_ALL_ROWS)
		sift_up(t->ranks, t->n - 1, &ties);
	return 0;
}

/* Takes the place of the last row kept, if it comes before that one. */
static void replace(struct lb_topn *t, uint64_t by, const uint8_t *key, const uint8_t *data)
{
	struct lb_ties ties = ties_of(t);
	struct lb_rank *top = &t->ranks[0];

	if (by > top->by ||
	    (by == top->by && compare_keys(&ties, key, t->rows + top->number * t->row_size) >= 0))
		return;
	store(t, top->number, key, data);
	top->by = by;
	sift_down(t->ranks, t->n, 0, &ties);
}

static int add(struct lb_topn *t, uint64_t by, const uint8_t *key, const uint8_t *data)
{
	if (t->n < t->spec.limit)
		return append(t, by, key, data);
	if (t->n > 0)
		replace(t, by, key, data);
	return 0;
}

int lb_topn_add(struct lb_topn *t, const struct lb_topn_block *b)
{
	size_t taken = 0;
	int err = 0;

	for (size_t i = 0; !err && i < b->n; i++) {
		uint64_t v;

		if (b->match && !b->match[i])
			continue;
		v = lb_column_get(&b->by, b->dense ? taken : i);
		taken++;
		err = add(t, lb_rank_int(v, t->spec.is_signed, t->spec.descending),
			  b->keys + i * b->key_stride,
			  b->data ? b->data + i * b->data_stride : NULL);
	}
	return err;
}

int lb_topn_merge(struct lb_topn *t, const struct lb_topn *from)
{
	int err = 0;

	for (uint64_t i = 0; !err && i < from->n; i++)
		err = add(t, from->ranks[i].by, lb_topn_key(from, i), lb_topn_data(from, i));
	return err;
}

uint64_t lb_topn_sort(struct lb_topn *t)
{
	struct lb_ties ties = ties_of(t);

	lb_rank_sort(t->ranks, t->n, &ties);
	return t->n;
}
