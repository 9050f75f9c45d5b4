/* SPDX-License-Identifier: MIT */
/*
 * Rows of queries for the binding files: rowset.c holds them and decodes them,
 * query.c makes them. A row has any of key, value and columns, which are u64 words.
 */
#ifndef LUABPF_BIND_QUERY_ROWSET_H
#define LUABPF_BIND_QUERY_ROWSET_H

#include "bind/map/batch.h"
#include "lib/code/interp.h"
#include "lib/kernel/region.h"

#define LB_ROWS "luabpf.rows"
#define LB_DECODER "luabpf.decoder"

struct lb_rows {
	struct lb_lender lender;
	struct lb_map *map;
	uint32_t n, ncolumns;
	bool records;			/* groups that a scan summed up (scanspec.h), no rows */
	const uint8_t *keys, *values;	/* NULL: rows have none */
	const uint64_t *columns;	/* ncolumns apart */
	struct lb_block asked;		/* whole entries that Lua has to judge, no rows */
	/* What holds them: */
	uint8_t *memory;		/* malloc'd, or NULL */
	size_t room;			/* bytes of memory */
	struct lb_region *region;	/* checked out of the map's pool, or NULL */
};

/* Pushes empty rows of the map at that index. */
struct lb_rows *lb_rows_new(lua_State *L, int map);
/* Room for n rows in memory of their own; what was there is void. False: out of memory. */
bool lb_rows_reserve(struct lb_rows *r, uint32_t n, bool keys, bool values, uint32_t ncolumns);
/* Gives the memory back, unless it is being read; what was borrowed is void. May be called twice. */
void lb_rows_release(struct lb_rows *r);
/* The rows at arg; raises otherwise. */
struct lb_rows *lb_check_rows(lua_State *L, int arg);

/* One column of results: an integer, or a type whose bytes are the words. */
struct lb_output {
	uint32_t word;			/* where it begins in a row's words */
	const struct lb_type *type;	/* NULL: an integer */
};

struct lb_decoder {
	uint32_t n, nwords;		/* outputs; words a row must have */
	struct lb_output outputs[];
};

/* The decoder at arg, checked to need no more than nwords words. */
const struct lb_decoder *lb_check_decoder(lua_State *L, int arg, uint32_t nwords);
/* Sets the outputs of one row in the table at the top; names is the index of decoder's names. */
void lb_decode_into(lua_State *L, const struct lb_decoder *d, int names, const uint64_t *words);
/* Pushes the names of the decoder at index arg, for lb_decode_into. */
void lb_decoder_names(lua_State *L, int arg);

/* Pushes the map of the query at arg. */
void lb_query_map(lua_State *L, int arg);

#endif
