/* SPDX-License-Identifier: MIT */
/*
 * Aggregation. See agg.h.
 */
#include "lib/sum/agg.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SIGN (1ull << 63)
/* Rows whose groups are found before the items go over them: their states stay in the cache. */
#define CHUNK 256

struct lb_agg_state {
	struct lb_agg_item spec;
	uint32_t at;			/* its words in a record of the group table */
	struct lb_table values;		/* LB_AGG_DISTINCT: group number and value */
};

/* The first word of a group after its key. */
static uint32_t rows_at(const struct lb_agg *a)
{
	return a->groups.key_words;
}

static uint32_t item_words(enum lb_agg_fn fn)
{
	static const uint32_t words[] = {
		[LB_AGG_SUM] = 1, [LB_AGG_MIN] = 1, [LB_AGG_MAX] = 1,
		[LB_AGG_AVG] = 2, [LB_AGG_DISTINCT] = 1, [LB_AGG_HIST] = LB_HIST_SLOTS,
	};

	return fn == LB_AGG_COUNT ? 0 : words[fn];
}

/* ---- opening ----------------------------------------------------------- */

static uint32_t key_words(const struct lb_agg_spec *spec)
{
	return spec->group_bytes ? (spec->group_bytes + 7) / 8 : spec->group_columns;
}

/* Lays out the items' words behind the number of rows; returns the words of a record. */
static uint32_t place_items(struct lb_agg *a, const struct lb_agg_spec *spec)
{
	uint32_t at = key_words(spec) + 1;

	for (uint32_t i = 0; i < spec->nitems; i++) {
		struct lb_agg_state *item = &a->items[i];

		item->spec = spec->items[i];
		item->spec.width = item->spec.width ? item->spec.width : 1;
		item->at = at;
		at += item_words(item->spec.fn);
		if (item->spec.fn == LB_AGG_DISTINCT)
			lb_table_open(&item->values, &a->budget, 1 + item->spec.width, 0);
	}
	return at;
}

/* The widest thing put together in the scratch words: a key, or a group number and a value. */
static size_t scratch_words(const struct lb_agg_spec *spec)
{
	size_t words = key_words(spec) ? key_words(spec) : 1;

	for (uint32_t i = 0; i < spec->nitems; i++)
		if (spec->items[i].width > words)
			words = spec->items[i].width;
	return words + 1;
}

/* Minima are kept with the sign turned, so that they compare as unsigned words. */
static void begin_group(const struct lb_agg *a, uint32_t group)
{
	uint64_t *record = lb_table_record(&a->groups, group);

	for (uint32_t i = 0; i < a->spec.nitems; i++)
		if (a->items[i].spec.fn == LB_AGG_MIN)
			record[a->items[i].at] = UINT64_MAX;
}

/* The group with the key in a->scratch. */
static int64_t find_group(struct lb_agg *a)
{
	bool added;
	int64_t group = lb_table_put(&a->groups, a->scratch, &added);

	if (group >= 0 && added)
		begin_group(a, (uint32_t)group);
	return group;
}

/* Past the memory limit groups are found by hash. */
static void open_index(struct lb_agg *a)
{
	uint32_t bits = 0;

	for (uint32_t i = 0; a->spec.bits && i < a->spec.group_columns; i++)
		bits += a->spec.bits[i];
	if (!bits || bits > LB_AGG_INDEX_BITS)
		return;
	a->index_size = sizeof(*a->index) << bits;
	if (a->index_size > a->spec.memory / 4)
		return;
	a->index = lb_budget_resize(&a->budget, NULL, 0, a->index_size);
	if (a->index)
		memset(a->index, 0, a->index_size);
}

int lb_agg_open(struct lb_agg *a, const struct lb_agg_spec *spec)
{
	int64_t first = 0;

	*a = (struct lb_agg){ .spec = *spec, .budget = { .limit = spec->memory } };
	a->spec.items = NULL;
	a->items = calloc(spec->nitems + 1u, sizeof(*a->items));
	a->scratch = calloc(scratch_words(spec), sizeof(*a->scratch));
	if (!a->items || !a->scratch)
		return -ENOMEM;
	lb_table_open(&a->groups, &a->budget, key_words(spec),
		      place_items(a, spec) - key_words(spec));
	open_index(a);
	if (key_words(spec) == 0)
		first = find_group(a);
	return first < 0 ? (int)first : 0;
}

void lb_agg_close(struct lb_agg *a)
{
	lb_table_close(&a->groups);
	for (uint32_t i = 0; a->items && i < a->spec.nitems; i++)
		lb_table_close(&a->items[i].values);
	free(a->items);
	free(a->scratch);
	lb_budget_free(&a->budget, a->index, a->index ? a->index_size : 0);
	lb_budget_free(&a->budget, a->order, a->order_size);
	memset(a, 0, sizeof(*a));
}

const char *lb_agg_error(const struct lb_agg *a, char *buf, size_t size)
{
	return lb_budget_error(&a->budget, "groups and distinct values", buf, size);
}

/* ---- adding rows ------------------------------------------------------- */

/* Some rows of a block that take part. */
struct chunk {
	const struct lb_agg_block *block;
	uint32_t next;			/* row of the block to go on with */
	uint32_t taken;			/* rows that took part before this chunk */
	uint32_t n;
	uint32_t raw[CHUNK];		/* row of the block */
	uint32_t row[CHUNK];		/* row in the columns */
	uint32_t group[CHUNK];
	uint64_t *state[CHUNK];		/* the group's record */
};

/* The next rows that take part; false if there are none. */
static bool choose_rows(struct chunk *c)
{
	const struct lb_agg_block *b = c->block;

	c->taken += c->n;
	for (c->n = 0; c->n < CHUNK && c->next < b->n; c->next++) {
		if (b->match && !b->match[c->next])
			continue;
		c->raw[c->n] = c->next;
		c->row[c->n] = b->dense ? c->taken + c->n : c->next;
		c->n++;
	}
	return c->n > 0;
}

/* Puts the key of row j into a->scratch. */
static void gather_key(struct lb_agg *a, const struct chunk *c, uint32_t j)
{
	const struct lb_agg_block *b = c->block;

	if (a->spec.group_bytes) {
		memcpy(a->scratch, b->raw + c->raw[j] * b->raw_stride, a->spec.group_bytes);
		return;
	}
	for (uint32_t i = 0; i < a->spec.group_columns; i++)
		a->scratch[i] = lb_column_get(&b->groups[i], c->row[j]);
}

static uint32_t index_of(const struct lb_agg *a, const struct chunk *c, uint32_t j)
{
	const struct lb_column *columns = c->block->groups;
	uint64_t index = 0;

	for (uint32_t i = 0; i < a->spec.group_columns; i++) {
		uint64_t v = lb_column_get(&columns[i], c->row[j]);

		index = index << a->spec.bits[i] | (v & ((1ull << a->spec.bits[i]) - 1));
	}
	return (uint32_t)index;
}

/* The group of row j, by index where there is one. */
static int64_t group_of(struct lb_agg *a, const struct chunk *c, uint32_t j)
{
	uint32_t *slot = a->index ? &a->index[index_of(a, c, j)] : NULL;
	int64_t group;

	if (slot && *slot)
		return *slot - 1;
	gather_key(a, c, j);
	group = find_group(a);
	if (slot && group >= 0)
		*slot = (uint32_t)group + 1;
	return group;
}

static int find_groups(struct lb_agg *a, struct chunk *c)
{
	memset(a->scratch, 0, rows_at(a) * sizeof(*a->scratch));
	for (uint32_t j = 0; j < c->n; j++) {
		int64_t group = group_of(a, c, j);

		if (group < 0)
			return (int)group;
		c->group[j] = (uint32_t)group;
	}
	for (uint32_t j = 0; j < c->n; j++) {
		c->state[j] = lb_table_record(&a->groups, c->group[j]);
		c->state[j][rows_at(a)]++;
	}
	return 0;
}

static uint64_t min(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t max(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* Adds a 128-bit number to the two words at sum. */
static void add_wide(uint64_t *sum, uint64_t low, uint64_t high)
{
	sum[0] += low;
	sum[1] += high + (sum[0] < low);
}

static uint32_t hist_slot(uint64_t v, bool is_signed)
{
	if (is_signed && v & SIGN)
		return 0;
	return v ? 2 + 63 - (uint32_t)__builtin_clzll(v) : 1;
}

/* Counts the values that their group did not have yet. */
static int add_distinct(struct lb_agg *a, struct lb_agg_state *item, const struct chunk *c)
{
	const struct lb_column *columns = &c->block->values[item->spec.column];
	bool added;

	for (uint32_t j = 0; j < c->n; j++) {
		int64_t number;

		a->scratch[0] = c->group[j];
		for (uint32_t i = 0; i < item->spec.width; i++)
			a->scratch[1 + i] = lb_column_get(&columns[i], c->row[j]);
		number = lb_table_put(&item->values, a->scratch, &added);
		if (number < 0)
			return (int)number;
		c->state[j][item->at] += added;
	}
	return 0;
}

#define EACH_ROW(c, j) for (uint32_t j = 0; j < (c)->n; j++)

/* One loop for each function, so that what is the same for all rows is decided once. */
static int add_item(struct lb_agg *a, struct lb_agg_state *item, const struct chunk *c)
{
	const struct lb_column *column = &c->block->values[item->spec.column];
	const uint64_t turn = item->spec.is_signed ? SIGN : 0;
	const uint32_t at = item->at;
	uint64_t *const *state = c->state;

	switch (item->spec.fn) {
	case LB_AGG_COUNT:
		break;
	case LB_AGG_SUM:
		EACH_ROW(c, j)
			state[j][at] += lb_column_get(column, c->row[j]);
		break;
	case LB_AGG_MIN:
		EACH_ROW(c, j)
			state[j][at] = min(state[j][at], lb_column_get(column, c->row[j]) ^ turn);
		break;
	case LB_AGG_MAX:
		EACH_ROW(c, j)
			state[j][at] = max(state[j][at], lb_column_get(column, c->row[j]) ^ turn);
		break;
	case LB_AGG_AVG:
		EACH_ROW(c, j) {
			uint64_t v = lb_column_get(column, c->row[j]);

			add_wide(&state[j][at], v, v & turn ? UINT64_MAX : 0);
		}
		break;
	case LB_AGG_HIST:
		EACH_ROW(c, j)
			state[j][at + hist_slot(lb_column_get(column, c->row[j]), turn)]++;
		break;
	case LB_AGG_DISTINCT:
		return add_distinct(a, item, c);
	}
	return 0;
}

int lb_agg_reserve(struct lb_agg *a, uint32_t n)
{
	int err = lb_table_reserve(&a->groups, n);

	for (uint32_t i = 0; !err && i < a->spec.nitems; i++)
		if (a->items[i].spec.fn == LB_AGG_DISTINCT)
			err = lb_table_reserve(&a->items[i].values, n);
	return err;
}

size_t lb_agg_size(const struct lb_agg *a)
{
	size_t size = lb_table_size(&a->groups) + (a->index ? a->index_size : 0);

	for (uint32_t i = 0; i < a->spec.nitems; i++)
		if (a->items[i].spec.fn == LB_AGG_DISTINCT)
			size += lb_table_size(&a->items[i].values);
	return size;
}

int lb_agg_add(struct lb_agg *a, const struct lb_agg_block *block)
{
	struct chunk c;
	int err = 0;

	c.block = block;
	c.next = c.taken = c.n = 0;
	while (!err && choose_rows(&c)) {
		err = find_groups(a, &c);
		for (uint32_t i = 0; !err && i < a->spec.nitems; i++)
			err = add_item(a, &a->items[i], &c);
	}
	return err;
}

int lb_agg_add_group(struct lb_agg *a, const uint64_t *key, uint64_t rows, const uint64_t *sums)
{
	uint64_t *state;
	int64_t group;

	memcpy(a->scratch, key, rows_at(a) * sizeof(*key));
	group = find_group(a);
	if (group < 0)
		return (int)group;
	state = lb_table_record(&a->groups, (uint32_t)group);
	state[rows_at(a)] += rows;
	for (uint32_t i = 0; i < a->spec.nitems; i++) {
		const struct lb_agg_state *item = &a->items[i];
		uint64_t turn = item->spec.is_signed ? SIGN : 0, v = sums[item->spec.column];

		if (item->spec.fn == LB_AGG_SUM)
			state[item->at] += v;
		else if (item->spec.fn == LB_AGG_MIN)
			state[item->at] = min(state[item->at], v ^ turn);
		else if (item->spec.fn == LB_AGG_MAX)
			state[item->at] = max(state[item->at], v ^ turn);
	}
	return 0;
}

/* ---- merging ----------------------------------------------------------- */

static void merge_item(const struct lb_agg_state *item, uint64_t *to, const uint64_t *from)
{
	to += item->at;
	from += item->at;
	switch (item->spec.fn) {
	case LB_AGG_SUM:
		to[0] += from[0];
		break;
	case LB_AGG_MIN:
		to[0] = min(to[0], from[0]);
		break;
	case LB_AGG_MAX:
		to[0] = max(to[0], from[0]);
		break;
	case LB_AGG_AVG:
		add_wide(to, from[0], from[1]);
		break;
	case LB_AGG_HIST:
		for (uint32_t i = 0; i < LB_HIST_SLOTS; i++)
			to[i] += from[i];
		break;
	case LB_AGG_COUNT:		/* the number of rows */
	case LB_AGG_DISTINCT:		/* merge_distinct */
		break;
	}
}

/* Adds the groups of from, whose numbers here go to numbers. */
static int merge_groups(struct lb_agg *a, const struct lb_agg *from, uint32_t *numbers)
{
	for (uint32_t g = 0; g < from->groups.n; g++) {
		const uint64_t *record = lb_table_record(&from->groups, g);
		int64_t group;
		uint64_t *state;

		memcpy(a->scratch, record, rows_at(a) * sizeof(*record));
		group = find_group(a);
		if (group < 0)
			return (int)group;
		numbers[g] = (uint32_t)group;
		state = lb_table_record(&a->groups, numbers[g]);
		state[rows_at(a)] += record[rows_at(a)];
		for (uint32_t i = 0; i < a->spec.nitems; i++)
			merge_item(&a->items[i], state, record);
	}
	return 0;
}

static int merge_distinct(struct lb_agg *a, struct lb_agg_state *item,
			  const struct lb_agg_state *from, const uint32_t *numbers)
{
	bool added;

	for (uint32_t v = 0; v < from->values.n; v++) {
		const uint64_t *record = lb_table_record(&from->values, v);
		uint32_t group = numbers[record[0]];
		int64_t number;

		a->scratch[0] = group;
		memcpy(a->scratch + 1, record + 1, item->spec.width * sizeof(*record));
		number = lb_table_put(&item->values, a->scratch, &added);
		if (number < 0)
			return (int)number;
		lb_table_record(&a->groups, group)[item->at] += added;
	}
	return 0;
}

int lb_agg_merge(struct lb_agg *a, const struct lb_agg *from)
{
	size_t size = (from->groups.n + 1ull) * sizeof(uint32_t);
	uint32_t *numbers = lb_budget_resize(&a->budget, NULL, 0, size);
	int err;

	if (!numbers)
		return a->budget.err;
	err = merge_groups(a, from, numbers);
	for (uint32_t i = 0; !err && i < a->spec.nitems; i++)
		if (a->items[i].spec.fn == LB_AGG_DISTINCT)
			err = merge_distinct(a, &a->items[i], &from->items[i], numbers);
	lb_budget_free(&a->budget, numbers, size);
	return err;
}

/* ---- results ----------------------------------------------------------- */

const void *lb_agg_key(const struct lb_agg *a, uint32_t group)
{
	return lb_table_record(&a->groups, group);
}

uint64_t lb_agg_rows(const struct lb_agg *a, uint32_t group)
{
	return lb_table_record(&a->groups, group)[rows_at(a)];
}

static const uint64_t *words_of(const struct lb_agg *a, uint32_t group, uint32_t item)
{
	return lb_table_record(&a->groups, group) + a->items[item].at;
}

uint64_t lb_agg_int(const struct lb_agg *a, uint32_t group, uint32_t item)
{
	const struct lb_agg_item *spec = &a->items[item].spec;
	bool turned = spec->is_signed && (spec->fn == LB_AGG_MIN || spec->fn == LB_AGG_MAX);

	if (spec->fn == LB_AGG_COUNT)
		return lb_agg_rows(a, group);
	return words_of(a, group, item)[0] ^ (turned ? SIGN : 0);
}

double lb_agg_mean(const struct lb_agg *a, uint32_t group, uint32_t item)
{
	const uint64_t *sum = words_of(a, group, item);
	unsigned __int128 total = (unsigned __int128)sum[1] << 64 | sum[0];
	double rows = (double)lb_agg_rows(a, group);

	return (a->items[item].spec.is_signed ? (double)(__int128)total : (double)total) / rows;
}

const uint64_t *lb_agg_hist(const struct lb_agg *a, uint32_t group, uint32_t item)
{
	return words_of(a, group, item);
}

void lb_hist_bounds(uint32_t slot, uint64_t *from, uint64_t *to)
{
	*from = slot == 0 ? SIGN : slot == 1 ? 0 : 1ull << (slot - 2);
	*to = slot == 0 ? UINT64_MAX : slot == 1 ? 0 : 2 * (*from - 1) + 1;
}

/* ---- sorting ----------------------------------------------------------- */

static uint64_t rank_of(const struct lb_agg *a, const struct lb_agg_sort *sort, uint32_t group)
{
	const uint64_t *key = lb_agg_key(a, group);
	const struct lb_agg_item *item;

	if (sort->by == LB_BY_COLUMN)
		return lb_rank_word(key[sort->which], a->spec.as ? (enum lb_word)a->spec.as[sort->which]
				    : LB_WORD_UNSIGNED, sort->descending);
	item = &a->items[sort->which].spec;
	if (item->fn == LB_AGG_AVG)
		return lb_rank_double(lb_agg_mean(a, group, sort->which), sort->descending);
	return lb_rank_word(lb_agg_int(a, group, sort->which),
			    item->is_signed ? LB_WORD_SIGNED : LB_WORD_UNSIGNED, sort->descending);
}

static struct lb_ties ties_of(const struct lb_agg *a)
{
	return (struct lb_ties){
		.keys = (const uint8_t *)a->groups.records,
		.stride = a->groups.record_words * sizeof(uint64_t),
		.size = a->spec.group_bytes ? a->spec.group_bytes : a->spec.group_columns * 8,
		.words = a->spec.group_bytes == 0,
		.as = a->spec.as,
	};
}

static void drop_order(struct lb_agg *a)
{
	lb_budget_free(&a->budget, a->order, a->order_size);
	a->order = NULL;
}

/* What groups are sorted by but the first: words of all groups. */
static uint64_t *rank_more(struct lb_agg *a, const struct lb_agg_sort *sorts, uint32_t n,
			   size_t *size)
{
	uint64_t *more;

	*size = ((size_t)a->groups.n * n + 1) * sizeof(*more);
	more = lb_budget_resize(&a->budget, NULL, 0, *size);
	for (uint32_t g = 0; more && g < a->groups.n; g++)
		for (uint32_t i = 0; i < n; i++)
			more[(size_t)g * n + i] = rank_of(a, &sorts[i], g);
	return more;
}

static uint64_t put_in_order(struct lb_agg *a, const struct lb_agg_sort *first, uint64_t keep,
			     const struct lb_ties *ties)
{
	uint64_t found = 0;

	for (uint32_t g = 0; g < a->groups.n; g++) {
		struct lb_rank rank = { .by = first ? rank_of(a, first, g) : 0, .number = g };

		lb_rank_offer(a->order, &found, keep, &rank, ties);
	}
	lb_rank_sort(a->order, found, ties);
	return found;
}

int64_t lb_agg_sort(struct lb_agg *a, const struct lb_agg_sort *sorts, uint32_t nsorts,
		    uint32_t limit)
{
	uint64_t keep = limit < a->groups.n ? limit : a->groups.n, found;
	uint32_t nmore = nsorts > 1 ? nsorts - 1 : 0;
	struct lb_ties ties = ties_of(a);
	uint64_t *more;
	size_t size;

	drop_order(a);
	a->order_size = (keep + 1) * sizeof(*a->order);
	a->order = lb_budget_resize(&a->budget, NULL, 0, a->order_size);
	more = a->order ? rank_more(a, nmore ? sorts + 1 : NULL, nmore, &size) : NULL;
	if (!more)
		return a->budget.err;
	ties.more = more;
	ties.more_stride = ties.nmore = nmore;
	found = put_in_order(a, nsorts ? sorts : NULL, keep, &ties);
	lb_budget_free(&a->budget, more, size);
	return (int64_t)found;
}
