/* SPDX-License-Identifier: MIT */
/*
 * Aggregation of random rows against naive code: for each group, all rows are
 * gone through again.
 */
#include "lib/sum/agg.h"
#include "tap.h"

#include <errno.h>
#include <string.h>

#define ROWS 1200
#define GROUPS 2	/* columns that rows are grouped by */
#define VALUES 3	/* and others */
#define RAW 13		/* bytes that they are grouped by instead */
#define COLUMNS (GROUPS + VALUES)

struct row {
	uint64_t column[COLUMNS];
	uint8_t raw[RAW];
	bool match;
};

static struct row rows[ROWS];

#define ITEM(fn, column, is_signed) { LB_AGG_##fn, column, 0, is_signed }

static const struct lb_agg_item items[] = {
	{ .fn = LB_AGG_COUNT },
	ITEM(SUM, 0, false), ITEM(MIN, 0, false), ITEM(MIN, 0, true), ITEM(MAX, 1, false),
	ITEM(MAX, 1, true), ITEM(AVG, 2, false), ITEM(AVG, 2, true), ITEM(HIST, 0, false),
	ITEM(HIST, 2, true), ITEM(DISTINCT, 0, false), { LB_AGG_DISTINCT, 1, 2, false },
};

#define ITEMS (uint32_t)(sizeof(items) / sizeof(*items))

/* Small numbers of both signs, powers of two and what is beside them, anything. */
static uint64_t number(void)
{
	switch (below(3)) {
	case 0:
		return (uint64_t)((int64_t)below(9) - 4);
	case 1:
		return (1ull << below(64)) + below(3) - 1;
	default:
		return rnd();
	}
}

static void make_rows(void)
{
	for (uint32_t i = 0; i < ROWS; i++) {
		rows[i].column[0] = (uint64_t)((int64_t)below(5) - 2);
		rows[i].column[1] = below(12) << below(20);
		for (uint32_t v = 0; v < VALUES; v++)
			rows[i].column[GROUPS + v] = number();
		memset(rows[i].raw, (int)below(3), RAW);
		rows[i].raw[RAW - 1] = (uint8_t)below(10);
		rows[i].match = below(4) != 0;
	}
}

/* ---- naive answers ----------------------------------------------------- */

static struct lb_agg_spec spec;

static bool in_group(const struct row *r, const struct row *group)
{
	if (!r->match)
		return false;
	if (spec.group_bytes)
		return memcmp(r->raw, group->raw, RAW) == 0;
	return memcmp(r->column, group->column, spec.group_columns * 8) == 0;
}

static uint64_t naive_count(const struct row *group)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < ROWS; i++)
		n += in_group(&rows[i], group);
	return n;
}

static bool less(uint64_t a, uint64_t b, bool is_signed)
{
	return is_signed ? (int64_t)a < (int64_t)b : a < b;
}

static uint64_t naive_extreme(const struct row *group, const struct lb_agg_item *item)
{
	bool any = false;
	uint64_t found = 0;

	for (uint32_t i = 0; i < ROWS; i++) {
		uint64_t v = rows[i].column[GROUPS + item->column];
		bool better = item->fn == LB_AGG_MIN ? less(v, found, item->is_signed)
						     : less(found, v, item->is_signed);

		if (in_group(&rows[i], group) && (!any || better)) {
			any = true;
			found = v;
		}
	}
	return found;
}

static __int128 naive_sum(const struct row *group, const struct lb_agg_item *item)
{
	__int128 sum = 0;

	for (uint32_t i = 0; i < ROWS; i++) {
		uint64_t v = rows[i].column[GROUPS + item->column];

		if (in_group(&rows[i], group))
			sum += item->is_signed ? (__int128)(int64_t)v : (__int128)v;
	}
	return sum;
}

static uint64_t naive_distinct(const struct row *group, const struct lb_agg_item *item)
{
	size_t size = (item->width ? item->width : 1) * 8;
	uint32_t at = GROUPS + item->column;
	uint64_t n = 0;

	for (uint32_t i = 0; i < ROWS; i++) {
		bool known = !in_group(&rows[i], group);

		for (uint32_t j = 0; !known && j < i; j++)
			known = in_group(&rows[j], group) &&
				memcmp(&rows[j].column[at], &rows[i].column[at], size) == 0;
		n += !known;
	}
	return n;
}

static bool hist_right(const struct row *group, const struct lb_agg_item *item,
		       const uint64_t *got)
{
	uint64_t total = 0;

	for (uint32_t slot = 0; slot < LB_HIST_SLOTS; slot++) {
		uint64_t from, to, n = 0;

		lb_hist_bounds(slot, &from, &to);
		for (uint32_t i = 0; i < ROWS; i++) {
			uint64_t v = rows[i].column[GROUPS + item->column];
			bool negative = item->is_signed && (int64_t)v < 0;

			if (in_group(&rows[i], group) && negative == (slot == 0))
				n += v >= from && v <= to;
		}
		if (got[slot] != n)
			return false;
		total += n;
	}
	return total == naive_count(group);
}

static bool item_right(const struct lb_agg *a, uint32_t g, uint32_t i, const struct row *group)
{
	const struct lb_agg_item *item = &items[i];

	switch (item->fn) {
	case LB_AGG_COUNT:
		return lb_agg_int(a, g, i) == naive_count(group);
	case LB_AGG_SUM:
		return lb_agg_int(a, g, i) == (uint64_t)naive_sum(group, item);
	case LB_AGG_MIN:
	case LB_AGG_MAX:
		return lb_agg_int(a, g, i) == naive_extreme(group, item);
	case LB_AGG_AVG:
		return lb_agg_mean(a, g, i) ==
		       (double)naive_sum(group, item) / (double)naive_count(group);
	case LB_AGG_DISTINCT:
		return lb_agg_int(a, g, i) == naive_distinct(group, item);
	case LB_AGG_HIST:
		return hist_right(group, item, lb_agg_hist(a, g, i));
	}
	return false;
}

/* ---- checks ------------------------------------------------------------ */

/* How rows are handed over. */
enum form { ROW_BY_ROW, COLUMN_BY_COLUMN, DENSE };

/* Row-major or column-major copies of n rows; in the dense form of the matching ones only. */
static void lay_out(const struct row *from, uint32_t n, enum form form, uint64_t *out,
		    struct lb_column *columns)
{
	size_t row_step = form == COLUMN_BY_COLUMN ? 1 : COLUMNS;
	size_t column_step = form == COLUMN_BY_COLUMN ? ROWS : 1;
	uint32_t taken = 0;

	for (uint32_t i = 0; i < n; i++) {
		if (form == DENSE && !from[i].match)
			continue;
		for (uint32_t c = 0; c < COLUMNS; c++)
			out[taken * row_step + c * column_step] = from[i].column[c];
		taken++;
	}
	for (uint32_t c = 0; c < COLUMNS; c++)
		columns[c] = (struct lb_column){ out + c * column_step, row_step };
}

static int add_rows(struct lb_agg *a, uint32_t from, uint32_t to, enum form form)
{
	static uint64_t words[ROWS * COLUMNS];
	struct lb_column columns[COLUMNS];
	uint8_t match[ROWS];
	int err = 0;

	while (!err && from < to) {
		uint32_t n = below(700);
		struct lb_agg_block b = {
			.groups = columns, .values = columns + GROUPS, .raw = rows[from].raw,
			.raw_stride = sizeof(*rows), .match = match, .dense = form == DENSE,
		};

		b.n = n = n < to - from ? n : to - from;
		for (uint32_t i = 0; i < n; i++)
			match[i] = rows[from + i].match;
		lay_out(&rows[from], n, form, words, columns);
		err = lb_agg_add(a, &b);
		from += n;
	}
	return err;
}

/* The first row that belongs to a group of the result. */
static const struct row *row_of(const struct lb_agg *a, uint32_t g)
{
	const void *key = lb_agg_key(a, g);

	for (uint32_t i = 0; i < ROWS; i++)
		if (rows[i].match &&
		    (spec.group_bytes ? memcmp(rows[i].raw, key, RAW) == 0
				      : memcmp(rows[i].column, key, spec.group_columns * 8) == 0))
			return &rows[i];
	return NULL;
}

static uint32_t naive_groups(void)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < ROWS; i++) {
		bool known = !rows[i].match;

		for (uint32_t j = 0; !known && j < i; j++)
			known = in_group(&rows[j], &rows[i]);
		n += !known;
	}
	return n;
}

static void check_items(const struct lb_agg *a, const char *what)
{
	ok(a->groups.n == naive_groups(), "%s: number of groups", what);
	for (uint32_t i = 0; i < ITEMS; i++) {
		bool right = true;

		for (uint32_t g = 0; right && g < a->groups.n; g++) {
			const struct row *group = row_of(a, g);

			right = group && item_right(a, g, i, group);
		}
		ok(right, "%s: item %u (function %d)", what, i, items[i].fn);
	}
}

/* By the key alone. */
#define NO_SORT ((enum lb_agg_by)9)

/* The first column of a group is signed. */
static const uint8_t as[] = { LB_WORD_SIGNED, LB_WORD_UNSIGNED };

/* Does a come before b, or are they the same? */
static bool in_order(const struct lb_agg *a, const struct lb_agg_sort *sort, uint32_t g, uint32_t h)
{
	const struct lb_agg_item *item = &items[sort->which];
	const uint64_t *x = lb_agg_key(a, g), *y = lb_agg_key(a, h);
	uint64_t v = 0, w = 0;

	if (sort->by == LB_BY_ITEM && item->fn == LB_AGG_AVG) {
		double m = lb_agg_mean(a, g, sort->which), n = lb_agg_mean(a, h, sort->which);

		if (m != n)
			return (m < n) != sort->descending;
	} else if (sort->by == LB_BY_ITEM) {
		v = lb_agg_int(a, g, sort->which);
		w = lb_agg_int(a, h, sort->which);
		if (v != w)
			return less(v, w, item->is_signed) != sort->descending;
	} else if (sort->by == LB_BY_COLUMN && x[sort->which] != y[sort->which]) {
		return less(x[sort->which], y[sort->which], sort->which == 0) != sort->descending;
	}
	if (spec.group_bytes)
		return memcmp(x, y, RAW) < 0;
	return x[0] == y[0] ? x[1] < y[1] : (int64_t)x[0] < (int64_t)y[0];
}

/* All of the first limit are in order, and none of the others belongs before the last of them. */
static bool sorted(struct lb_agg *a, const struct lb_agg_sort *sort, uint32_t limit)
{
	uint32_t n = a->groups.n, want = limit < n ? limit : n;
	bool right = lb_agg_sort(a, sort, sort->by == NO_SORT ? 0 : 1, limit) == want;
	bool *first = calloc(n, sizeof(*first));

	for (uint32_t i = 0; right && i < want; i++) {
		right = i == 0 || in_order(a, sort, lb_agg_at(a, i - 1), lb_agg_at(a, i));
		first[lb_agg_at(a, i)] = true;
	}
	for (uint32_t g = 0; right && want && g < n; g++)
		right = first[g] || in_order(a, sort, lb_agg_at(a, want - 1), g);
	free(first);
	return right;
}

static void check_sorts(struct lb_agg *a, const char *what)
{
	bool right = true;

	for (uint32_t how = 0; right && how < ITEMS * 2; how++) {
		struct lb_agg_sort sort = { LB_BY_ITEM, how / 2, how & 1 };

		if (items[sort.which].fn != LB_AGG_HIST)
			right = sorted(a, &sort, 7) && sorted(a, &sort, UINT32_MAX);
	}
	ok(right, "%s: sorted by items", what);
	for (uint32_t how = 0; right && how < spec.group_columns * 2; how++)
		right = sorted(a, &(struct lb_agg_sort){ LB_BY_COLUMN, how / 2, how & 1 }, 9);
	ok(right, "%s: sorted by group columns", what);
	ok(sorted(a, &(struct lb_agg_sort){ NO_SORT, 0, false }, UINT32_MAX) &&
	   sorted(a, &(struct lb_agg_sort){ NO_SORT, 0, false }, 0), "%s: sorted by key", what);
}

static void check(const char *what)
{
	struct lb_agg a, part;

	spec.items = items;
	spec.nitems = ITEMS;
	spec.as = as;
	spec.memory = 8 << 20;
	ok(lb_agg_open(&a, &spec) == 0 && lb_agg_open(&part, &spec) == 0, "%s: open", what);
	ok(add_rows(&a, 0, 400, ROW_BY_ROW) == 0 && add_rows(&a, 400, 800, DENSE) == 0 &&
	   add_rows(&part, 800, ROWS, COLUMN_BY_COLUMN) == 0 && lb_agg_merge(&a, &part) == 0,
	   "%s: rows in three forms, and a merge", what);
	check_items(&a, what);
	check_sorts(&a, what);
	lb_agg_close(&part);
	lb_agg_close(&a);
	lb_agg_close(&a);
}

/* ---- no rows, limits --------------------------------------------------- */

static void empty(void)
{
	struct lb_agg a;

	spec.group_columns = spec.group_bytes = 0;
	lb_agg_open(&a, &spec);
	ok(a.groups.n == 1 && lb_agg_rows(&a, 0) == 0 && lb_agg_int(&a, 0, 0) == 0 &&
	   lb_agg_int(&a, 0, 1) == 0 && lb_agg_int(&a, 0, 10) == 0,
	   "without rows and grouping: one group, of none");
	lb_agg_close(&a);
	spec.group_columns = GROUPS;
	lb_agg_open(&a, &spec);
	ok(a.groups.n == 0 && lb_agg_sort(&a, NULL, 0, 9) == 0,
	   "without rows: no groups");
	lb_agg_close(&a);
}

/* Groups that are all different, by the thousand, until the memory is full. */
static void memory(const struct lb_agg_item *item, uint32_t columns, uint32_t least)
{
	uint64_t words[256], total = 0;
	struct lb_column column = { words, 1 };
	struct lb_agg_block b = { .n = 256, .groups = &column, .values = &column };
	struct lb_agg_spec s = { .items = item, .nitems = 1, .group_columns = columns,
				 .memory = 1 << 20 };
	struct lb_agg a;
	char text[128];
	int err = lb_agg_open(&a, &s);

	for (; !err && total < 1000000; total += 256) {
		for (uint32_t i = 0; i < 256; i++)
			words[i] = (total + i) << 32;
		err = lb_agg_add(&a, &b);
	}
	ok(err == -ENOBUFS && a.budget.used <= s.memory, "the memory limit holds");
	ok(total >= least, "... after %llu rows", (unsigned long long)total);
	ok(strcmp(lb_agg_error(&a, text, sizeof(text)),
		  "groups and distinct values need more than 1 MiB (option 'memory')") == 0,
	   "... and is named");
	lb_agg_close(&a);
}

int main(void)
{
	static const struct lb_agg_item sum = ITEM(SUM, 0, false), distinct = ITEM(DISTINCT, 0, false);

	rnd_seed();
	make_rows();
	spec = (struct lb_agg_spec){ .group_columns = GROUPS };
	check("by columns");
	spec = (struct lb_agg_spec){ .group_bytes = RAW };
	check("by bytes");
	spec = (struct lb_agg_spec){ .group_columns = 0 };
	check("ungrouped");
	empty();
	memory(&sum, 1, 16000);
	memory(&distinct, 0, 16000);
	return tap_end();
}
