/* SPDX-License-Identifier: MIT */
/*
 * Top N and full sorts of random rows, against sorting a copy of all of them.
 */
#include "tap.h"
#include "lib/sum/topn.h"

#include <errno.h>
#include <string.h>

#define ROWS 5000
#define KEY 13
#define DATA 12

struct row {
	uint64_t by, text;
	uint8_t key[KEY];
	uint8_t data[DATA];
	bool match;
};

static struct row rows[ROWS], sorted[ROWS];
static struct lb_order order[4];
static struct lb_topn_spec spec;

/* Few different values, of both signs, so that there are ties; keys are all different. */
static void make_rows(void)
{
	static const uint64_t far[] = { 0, 1, UINT64_MAX, 1ull << 63, INT64_MAX };

	for (uint32_t i = 0; i < ROWS; i++) {
		rows[i].by = below(4) ? (uint64_t)((int64_t)below(400) - 200) : far[below(5)];
		rows[i].text = (uint64_t)below(3) << 56 | (uint64_t)below(3) << below(9);
		rnd_bytes(rows[i].key, KEY);
		memcpy(rows[i].key + 5, &i, sizeof(i));
		rows[i].key[0] &= 1;
		rnd_bytes(rows[i].data, DATA);
		rows[i].match = below(3) != 0;
	}
}

static int naive_word(const struct lb_order *o, const struct row *a, const struct row *b)
{
	const uint64_t *x = o->column ? &a->text : &a->by, *y = o->column ? &b->text : &b->by;
	int c;

	if (o->as == LB_WORD_BYTES)
		c = memcmp(x, y, sizeof(*x));
	else if (o->as == LB_WORD_SIGNED)
		c = ((int64_t)*x > (int64_t)*y) - ((int64_t)*x < (int64_t)*y);
	else
		c = (*x > *y) - (*x < *y);
	return o->descending ? -c : c;
}

static int naive_order(const void *x, const void *y)
{
	const struct row *a = x, *b = y;
	int c = 0;

	for (uint32_t i = 0; c == 0 && i < spec.norder; i++)
		c = naive_word(&order[i], a, b);
	return c ? c : memcmp(a->key, b->key, KEY);
}

static uint32_t naive(bool matching)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < ROWS; i++)
		if (!matching || rows[i].match)
			sorted[n++] = rows[i];
	qsort(sorted, n, sizeof(*sorted), naive_order);
	return n;
}

/* Adds rows [from, to) in blocks of random size; a dense column has only the matching rows. */
static int add_rows(struct lb_topn *t, uint32_t from, uint32_t to, bool matching, bool dense)
{
	uint64_t by[300][2];
	uint8_t match[300];
	int err = 0;

	while (!err && from < to) {
		uint32_t n = 1 + below(300), taken = 0;
		struct lb_topn_block b = {
			.first = { by[0], 2 }, .keys = rows[from].key, .data = rows[from].data,
			.key_stride = sizeof(*rows), .data_stride = sizeof(*rows),
			.match = matching ? match : NULL, .dense = dense,
		};

		b.n = n = n < to - from ? n : to - from;
		for (uint32_t i = 0; i < n; i++) {
			match[i] = rows[from + i].match;
			if (!dense || !matching || match[i]) {
				by[taken][0] = rows[from + i].by;
				by[taken++][1] = rows[from + i].text;
			}
		}
		err = lb_topn_add(t, &b);
		from += n;
	}
	return err;
}

static bool same_rows(const struct lb_topn *t, uint64_t n)
{
	for (uint64_t i = 0; i < n; i++)
		if (memcmp(lb_topn_key(t, i), sorted[i].key, KEY) != 0 ||
		    memcmp(lb_topn_data(t, i), sorted[i].data, DATA) != 0)
			return false;
	return true;
}

static void check(uint64_t limit, bool matching)
{
	const uint32_t n = naive(matching);
	const uint64_t want = limit < n ? limit : n;
	struct lb_topn t;
	bool good;

	spec.limit = limit;
	lb_topn_open(&t, &spec);
	good = add_rows(&t, 0, ROWS / 2, matching, false) == 0 &&
	       add_rows(&t, ROWS / 2, ROWS, matching, true) == 0 && lb_topn_sort(&t) == want && same_rows(&t, want);
	ok(good, "%u words, %s, %s, %s rows: first %llu", spec.norder,
	   order[0].as ? "signed" : "unsigned", order[0].descending ? "descending" : "ascending",
	   matching ? "matching" : "all", (unsigned long long)limit);
	lb_topn_close(&t);
	lb_topn_close(&t);
}

static void orders(void)
{
	static const uint64_t limits[] = { 0, 1, 2, 10, 1000, ROWS, LB_ALL_ROWS };

	spec = (struct lb_topn_spec){ .order = order, .key_size = KEY, .data_size = DATA,
				       .memory = 1 << 20 };
	for (uint32_t i = 0; i < sizeof(limits) / sizeof(*limits); i++)
		for (uint32_t how = 0; how < 24; how++) {
			spec.norder = 1 + how / 8;
			order[1] = (struct lb_order){ 1, LB_WORD_BYTES, how & 1 };
			order[2] = (struct lb_order){ 1, LB_WORD_UNSIGNED, true };
			/* The first decides less often. */
			order[0].column = how / 16;
			order[0].as = how & 1 ? LB_WORD_SIGNED : LB_WORD_UNSIGNED;
			order[0].descending = how & 2;
			check(limits[i], how & 4);
		}
}

static void empty(void)
{
	struct lb_topn t = { .n = 0 };

	lb_topn_close(&t);
	spec.limit = 10;
	lb_topn_open(&t, &spec);
	ok(lb_topn_sort(&t) == 0, "no rows: none in order");
	lb_topn_close(&t);
}

/* Rows without data; a limit on memory that the rows kept reach or do not. */
static void memory(void)
{
	char text[128];
	struct lb_topn t;

	spec = (struct lb_topn_spec){ .limit = LB_ALL_ROWS, .order = order, .norder = 1,
				       .key_size = KEY, .memory = 50 << 10 };
	lb_topn_open(&t, &spec);
	ok(add_rows(&t, 0, ROWS, false, false) == -ENOBUFS, "too many rows for the memory");
	ok(strcmp(lb_topn_error(&t, text, sizeof(text)),
		  "sorted rows need more than 50 KiB (option 'memory')") == 0, "... says so");
	ok(t.budget.used <= spec.memory && t.n == spec.memory / 32, "... which they filled");
	lb_topn_close(&t);
	spec.limit = 100;
	lb_topn_open(&t, &spec);
	naive(false);
	ok(add_rows(&t, 0, ROWS, false, false) == 0 && lb_topn_sort(&t) == 100,
	   "the first 100 of them fit");
	lb_topn_close(&t);
}

static int compare_doubles(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* Ranks of numbers that are not whole, ties by words with a sign. */
static void ranks(void)
{
	double v[] = { 0.5, -0.5, 0, 1e300, -1e300, 3, -3, 1e-310, -1e-310, 2.5 };
	const uint32_t n = sizeof(v) / sizeof(*v);
	bool up = true, down = true, words;
	struct lb_rank heap[3];
	int64_t keys[] = { 5, -1, 0, INT64_MIN, 7 };
	uint8_t as[] = { LB_WORD_SIGNED };
	struct lb_ties ties = { .keys = (const uint8_t *)keys, .stride = 8, .size = 8,
				.words = true, .as = as };
	uint64_t kept = 0;

	qsort(v, n, sizeof(*v), compare_doubles);
	for (uint32_t i = 1; i < n; i++) {
		up = up && lb_rank_double(v[i - 1], false) < lb_rank_double(v[i], false);
		down = down && lb_rank_double(v[i - 1], true) > lb_rank_double(v[i], true);
	}
	ok(up && down, "ranks of floating point numbers");
	ok(lb_rank_double(-0.0, false) == lb_rank_double(0.0, false), "minus zero is zero");
	for (uint32_t i = 0; i < 5; i++)
		lb_rank_offer(heap, &kept, 3, &(struct lb_rank){ .number = i }, &ties);
	lb_rank_sort(heap, kept, &ties);
	words = heap[0].number == 3 && heap[1].number == 1 && heap[2].number == 2;
	ok(kept == 3 && words, "ties by signed words");
	as[0] = LB_WORD_UNSIGNED;
	lb_rank_sort(heap, kept, &ties);
	ok(heap[0].number == 2 && heap[1].number == 3 && heap[2].number == 1,
	   "ties by unsigned words");
}

int main(void)
{
	rnd_seed();
	make_rows();
	orders();
	empty();
	memory();
	ranks();
	return tap_end();
}
