/* SPDX-License-Identifier: MIT */
/*
 * Aggregation: rows are grouped by some of their columns, or by raw bytes, and
 * each group has counts, sums, extremes, means, numbers of distinct values and
 * histograms of others. Within a memory limit. No Lua here.
 *
 * HOW IT WORKS. A group is a record of a hash table (table.h): its key, the
 * number of its rows, then the words of each item. Where few groups are possible
 * (ports, protocols) an array of all of them stands in the hash's place. Rows come in blocks; the
 * groups of a few hundred rows are found first, then each item goes over these
 * rows in a loop of its own. Distinct values of all groups are in one more
 * table for each such item, under group number and value: a value that is new
 * there adds one to its group.
 *
 * Several workers may each fill an aggregation with the same specification,
 * which are merged afterwards.
 */
#ifndef LUABPF_LIB_SUM_AGG_H
#define LUABPF_LIB_SUM_AGG_H

#include "lib/sum/budget.h"
#include "lib/sum/table.h"
#include "lib/sum/topn.h"

/* Histogram slots: 0 for negative values, 1 for zero, 2 + n for those from 2^n to 2^(n+1) - 1. */
#define LB_HIST_SLOTS 66

enum lb_agg_fn {
	LB_AGG_COUNT,
	LB_AGG_SUM,		/* modulo 2^64 */
	LB_AGG_MIN,
	LB_AGG_MAX,
	LB_AGG_AVG,		/* over an exact sum of 128 bits */
	LB_AGG_DISTINCT,	/* exact */
	LB_AGG_HIST,
};

struct lb_agg_item {
	enum lb_agg_fn fn;
	uint32_t column;	/* of the values; not read by LB_AGG_COUNT */
	uint32_t width;		/* LB_AGG_DISTINCT: a value is this many columns from there on; 0 is 1 */
	bool is_signed;		/* of the column; SUM: for sorting only */
};

/* As many as the words of a group have together where groups are found by index. */
#define LB_AGG_INDEX_BITS 16

struct lb_agg_spec {
	const struct lb_agg_item *items;
	uint32_t nitems;
	uint32_t group_columns;		/* 0 without group_bytes: one group, of all rows */
	uint32_t group_bytes;		/* not 0: group by raw bytes instead */
	/*
	 * How many low bits of each group column tell it from others, kept as it is; not more
	 * than LB_AGG_INDEX_BITS together. NULL: groups are found by hash.
	 */
	const uint8_t *bits;
	const uint8_t *as;		/* an enum lb_word for each group column, for sorting; kept as it
					 * is, NULL: all are unsigned */
	size_t memory;			/* bytes that groups and distinct values may take */
};

struct lb_agg_block {
	uint32_t n;				/* rows */
	const struct lb_column *groups;		/* group_columns of them */
	const uint8_t *raw;			/* group_bytes of row i at raw + i * raw_stride */
	size_t raw_stride;
	const struct lb_column *values;
	const uint8_t *match;			/* a byte a row, 0: left out; NULL: all take part */
	bool dense;				/* the columns have only the rows that take part */
};

struct lb_agg_state;		/* an item and where its words are, in agg.c */

struct lb_agg {
	struct lb_agg_spec spec;	/* its items are not kept */
	struct lb_budget budget;
	struct lb_table groups;
	struct lb_agg_state *items;
	uint32_t *index;		/* by the bits: a group's number + 1; NULL: by hash */
	size_t index_size;		/* bytes */
	uint64_t *scratch;		/* one key, or group number and value */
	struct lb_rank *order;		/* of groups, once sorted */
	size_t order_size;		/* bytes */
};

/* 0 or -ENOMEM. a must be closed, also after a failure. */
int lb_agg_open(struct lb_agg *a, const struct lb_agg_spec *spec);
/* May be called twice, and on zeroes. */
void lb_agg_close(struct lb_agg *a);

/* Makes room for n rows of new groups and new values: they can be added then. As lb_agg_add. */
int lb_agg_reserve(struct lb_agg *a, uint32_t n);
/* Bytes that its groups and distinct values need, without room that is reserved. */
size_t lb_agg_size(const struct lb_agg *a);
/* 0; -ENOMEM, or -ENOBUFS past the limit: what was added until then is of no use. */
int lb_agg_add(struct lb_agg *a, const struct lb_agg_block *block);
/* Adds a group that was summed up elsewhere: its key, rows, and what each item but COUNT has, which
 * is SUM, MIN or MAX. As lb_agg_add. */
int lb_agg_add_group(struct lb_agg *a, const uint64_t *key, uint64_t rows, const uint64_t *sums);
/* Adds what from, of the same specification, has; the limit of a holds. As lb_agg_add. */
int lb_agg_merge(struct lb_agg *a, const struct lb_agg *from);
/* What the last failure was, as text that names the limit. */
const char *lb_agg_error(const struct lb_agg *a, char *buf, size_t size);

/* ---- results: groups are numbered as they came ------------------------- */

/* group_columns words, or group_bytes bytes. */
const void *lb_agg_key(const struct lb_agg *a, uint32_t group);
/* 0 only without grouping: no minimum, maximum or mean then. */
uint64_t lb_agg_rows(const struct lb_agg *a, uint32_t group);
/* COUNT, SUM, MIN, MAX, DISTINCT. */
uint64_t lb_agg_int(const struct lb_agg *a, uint32_t group, uint32_t item);
/* AVG. */
double lb_agg_mean(const struct lb_agg *a, uint32_t group, uint32_t item);
/* HIST: LB_HIST_SLOTS counts. */
const uint64_t *lb_agg_hist(const struct lb_agg *a, uint32_t group, uint32_t item);
/* Smallest and largest value of a histogram slot, signed ones for slot 0. */
void lb_hist_bounds(uint32_t slot, uint64_t *from, uint64_t *to);

/* What to sort groups by; ties go by the whole key, smallest first. */
enum lb_agg_by { LB_BY_COLUMN, LB_BY_ITEM };

struct lb_agg_sort {
	enum lb_agg_by by;
	uint32_t which;		/* group column, or item (not HIST) */
	bool descending;	/* the column or item */
};

/*
 * Finds the first limit groups in the order wanted, without sorting the
 * others. nsorts may be 0. Returns how many, or as lb_agg_add.
 */
int64_t lb_agg_sort(struct lb_agg *a, const struct lb_agg_sort *sorts, uint32_t nsorts,
		    uint32_t limit);
/* The group at a place, from 0, after lb_agg_sort. */
static inline uint32_t lb_agg_at(const struct lb_agg *a, uint32_t place)
{
	return (uint32_t)a->order[place].number;
}

#endif
