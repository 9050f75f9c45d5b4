/* SPDX-License-Identifier: MIT */
/*
 * What a luabpf.query is, for the files that have its methods: query.c, deletions.c, changes.c,
 * folds.c.
 */
#ifndef LUABPF_BIND_QUERY_QUERYSTATE_H
#define LUABPF_BIND_QUERY_QUERYSTATE_H

#include "bind/map/map.h"
#include "bind/query/rowset.h"
#include "lib/keys/keyed.h"
#include "lib/scan/scan.h"

#define LB_QUERY "luabpf.query"

/* User values: the map, a table that keeps code and arrays. */
enum { LB_QUERY_MAP = 1, LB_QUERY_KEPT, LB_QUERY_UVALUES = LB_QUERY_KEPT };

/* A keyed program of a query, loaded when it is first needed. */
struct lb_query_program {
	struct lb_keyed keyed;
	bool open, refused;
};

/* Two judge given keys and delete, the second copies what it deletes; two change, likewise. */
enum { LB_DECIDER, LB_DECIDER_COPY, LB_QUERY_CHANGER, LB_QUERY_TAKER, LB_EXCHANGER, LB_NPROGRAMS };

struct lb_query {
	struct lb_map *map;
	struct lb_scan_spec spec;	/* what it points to is kept by the user value */
	struct lb_interp where;		/* where.f.n 0: everything matches */
	struct lb_interp *columns;
	struct lb_interp decide, *values;	/* of the change */
	uint8_t *match;			/* enum lb_answer of each entry of the block at hand; malloc'd */
	uint32_t room;
	uint32_t matched;		/* counts fillings of match, to notice others */
	struct lb_scan scan;
	bool scan_open;
	struct lb_scan_result last;	/* of the last scan, whose rows are last_rows; NULL: none */
	const struct lb_rows *last_rows;
	struct lb_query_program programs[LB_NPROGRAMS];
	bool reaches_cpus;		/* this process may run on all CPUs, as was tried */
};

/* The query at index 1, of a map that is open; live: in the kernel. */
struct lb_query *lb_check_query(lua_State *L, bool live);
/* The parameter slots at index idx: a packed string of the right size. */
const uint64_t *lb_query_params(lua_State *L, const struct lb_query *q, int idx);
/* The batch at index idx as a block of this query's map. */
struct lb_block lb_query_block(lua_State *L, const struct lb_query *q, int idx);
/*
 * Gets a program of the query ready for n keys: opened by that spec, if it is not yet, and loaded,
 * with a region of the map's pool. 0, or -errno: then there is no region.
 */
int lb_query_program_begin(struct lb_query *q, struct lb_query_program *p,
			   const struct lb_keyed_spec *spec, uint32_t n, struct lb_region **region,
			   struct lb_log *log);
/*
 * Puts the n entries one after the other of which status says wanted: keys has their keys, which
 * come from `from`, values their values, which lie there at their entries' places. How many.
 */
uint32_t lb_query_gather(const struct lb_query *q, const uint8_t *from, uint8_t *keys,
			 uint8_t *values, const uint8_t *status, enum lb_status wanted, uint32_t n);
/* Whether a list of indices of entries is at idx; raises for anything else but nil. */
bool lb_query_has_list(lua_State *L, int idx);
#endif
