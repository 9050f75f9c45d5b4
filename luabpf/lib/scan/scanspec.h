/* SPDX-License-Identifier: MIT */
/*
 * What a kernel scan does (scan.h), as those see it who write its instructions
 * (scancode.c) and who run it (scan.c). No Lua here.
 */
#ifndef LUABPF_LIB_SCAN_SCANSPEC_H
#define LUABPF_LIB_SCAN_SCANSPEC_H

#include "lib/code/edit.h"
#include "lib/code/program.h"
#include "lib/kernel/kmap.h"

#define LB_MAX_SUMS 64
#define LB_MAX_INDEX_BITS 16
/* Words of a row, 32 KiB. */
#define LB_MAX_COLUMNS 4096

enum lb_sum_op {
	LB_SUM,			/* modulo 2^64 */
	LB_MIN, LB_MAX,		/* unsigned */
	LB_SMIN, LB_SMAX,	/* signed */
};

/* One number computed over all matches. */
struct lb_sum {
	enum lb_sum_op op;
	struct lb_fragment of;
};

/*
 * What a scan does. The counts of entries come with every run; the rest is up
 * to the spec. The fragments run in one environment: its parameters and
 * reductions are common to all.
 */
struct lb_scan_spec {
	struct lb_env env;		/* key_size, value_size and ncpu are those of the map */
	struct lb_fragment where;	/* n 0: every entry matches */
	const struct lb_sum *sums;
	uint32_t nsums;			/* 0 in a scan that deletes */
	/* Rows: of each match any of key, value, columns. */
	bool keys, values;
	const struct lb_fragment *columns;
	uint32_t ncolumns;
	/*
	 * Groups in place of rows, where nindex is not 0: so many columns come first, and
	 * the low bits[i] bits of each say together which record of the region an entry is
	 * added to: a count, then what ops[i] makes of the columns behind them. No keys and
	 * values then, and nothing is deleted.
	 */
	uint32_t nindex;
	const uint8_t *bits;		/* LB_MAX_INDEX_BITS together */
	const uint8_t *ops;		/* enum lb_sum_op */
	const struct lb_span *zeros;	/* special fields: rows carry zeros there */
	uint32_t nzeros;
	/*
	 * Deletes what matches. Rows are handed over then: a row is stored for
	 * each entry that was deleted, and the scan stops before the first
	 * one that does not fit.
	 */
	bool remove;
	/*
	 * Changes what matches, where it lies; nwords 0: nothing. No rows then: sums and
	 * groups are of the copy that the change was decided on, or took.
	 */
	struct lb_edit change;
	/*
	 * How many entries that where leaves to others (LB_ASK) there is room for; 0: it
	 * leaves none. They are handed over whole, beside the rows, and the walk goes on.
	 */
	uint32_t asked;
	uint32_t unrolled;		/* CPUs that are read without a loop; 0: up to 16 */
};

struct lb_scan {
	struct lb_kmap *map;		/* the caller's, open as long as the scan is run */
	struct lb_scan_spec spec;	/* copied, with everything it points to */
	void *memory;
	struct lb_program program;
	bool straight;			/* dynptrs were refused: rows are copied by straight code */
	uint32_t ninsns;		/* of the program as loaded last, for reports */
	const char *refused;		/* why open or run failed: static text, or NULL */
};

enum lb_stop {
	LB_STOP_NONE,			/* the whole map was visited */
	LB_STOP_LIMIT,
	LB_STOP_DEADLINE,
	LB_STOP_VISITS,
	LB_STOP_FULL,			/* a deletion whose row does not fit was not made */
	LB_STOP_ERROR,			/* a deletion failed otherwise: error */
	LB_STOP_ASKED,			/* where leaves more entries to others than there is room for */
};

#endif
