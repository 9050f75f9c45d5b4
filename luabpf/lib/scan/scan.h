/* SPDX-License-Identifier: MIT */
/*
 * The kernel scan: a program that walks a map inside the kernel with
 * bpf_for_each_map_elem, judges every entry, and counts, sums up, copies or
 * deletes those that match. No Lua here.
 *
 *	err = lb_scan_open(&s, map, &spec, &log);
 *	err = lb_scan_run(&s, &args, region, &result, &log);	again and again
 *	lb_scan_close(&s);
 *
 * HOW IT WORKS. One callback does the work for an entry. Its numbers (visited,
 * matched, ...) and the parameters lie in the program's context, 64-bit slots
 * that are written back; rows go to a region, which the program has the
 * address of: a scan with rows is loaded when it is run with a region, and
 * again only when that is another one.
 *
 * It needs Linux 5.14 and CAP_BPF. A run cannot be interrupted or resumed. It
 * sees every entry of a map at rest once; while others replace entries (update
 * of an existing key) it may miss or repeat one that is being replaced.
 */
#ifndef LUABPF_LIB_SCAN_SCAN_H
#define LUABPF_LIB_SCAN_SCAN_H

#include "lib/code/interp.h"
#include "lib/scan/scanspec.h"

struct lb_scan_args {
	const uint64_t *params;		/* env.nparams and env.ntables slots */
	uint64_t limit;			/* act on this many matches; 0: on all */
	bool count_on;			/* past the limit go on counting; else stop there */
	bool dry;			/* delete nothing: rows and counts as if */
	uint64_t deadline;		/* of clock.h, lb_monotonic(), to stop at; 0: none */
	uint64_t max_visits;		/* 0: twice max_entries */
};

/*
 * matched = deleted + missing + cut in a scan that deletes, updated + kept + cut in one
 * that changes. stored < matched -
 * cut in one that does not: the region was too small, the counts hold all the
 * same, and lb_scan_room(s, matched - cut) bytes would do on a map at rest.
 */
struct lb_scan_result {
	uint64_t visited, matched;
	uint64_t deleted;
	uint64_t missing;		/* matched, and gone before the deletion */
	uint64_t cut;			/* matched after the limit was reached */
	uint64_t updated;		/* changed */
	uint64_t kept;			/* not, or not wholly: other writers were quicker */
	uint64_t sums[LB_MAX_SUMS];	/* minima and maxima mean nothing if nothing matched */
	const uint64_t *written;	/* the writable parameters at the end, until the next run */
	enum lb_stop stop;
	int error;			/* -errno for LB_STOP_ERROR */
	/* Rows, in the region until it is given back or used again. */
	uint32_t stored;
	struct lb_block rows;		/* keys and values where asked for; n = stored */
	const uint64_t *columns;	/* ncolumns apart */
	struct lb_block asked;		/* what others have to judge: neither matched nor stored */
};

/* Whether stop leaves part of the map unvisited. */
static inline bool lb_scan_complete(const struct lb_scan_result *r)
{
	return r->stop == LB_STOP_NONE;
}

/*
 * Copies and checks the spec; loads the program if it has no rows. 0, -EINVAL
 * for a bad spec, -LB_ENOTSUPP where the map cannot be scanned so, or the
 * kernel's refusal; s->refused says why. s is closed after a failure.
 */
int lb_scan_open(struct lb_scan *s, struct lb_kmap *map, const struct lb_scan_spec *spec,
		 struct lb_log *log);
/* May be called twice. */
void lb_scan_close(struct lb_scan *s);

/* Whether it has rows or may ask: then a region is needed. */
bool lb_scan_has_rows(const struct lb_scan *s);
/* Bytes of region for that many rows. */
size_t lb_scan_room(const struct lb_scan *s, uint64_t rows);
/* Rows that a region of size bytes holds. */
uint32_t lb_scan_capacity(const struct lb_scan *s, size_t size);

/* Loads the program for a region, unless it is. What lb_scan_run does first. */
int lb_scan_load(struct lb_scan *s, struct lb_region *region, struct lb_log *log);
/*
 * Runs it. 0 with the result, which may be partial (see stop), or -errno with
 * nothing done: the kernel refused to load or to run the program.
 */
int lb_scan_run(struct lb_scan *s, const struct lb_scan_args *args, struct lb_region *region,
		struct lb_scan_result *out, struct lb_log *log);

#endif
