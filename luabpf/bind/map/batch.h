/* SPDX-License-Identifier: MIT */
/*
 * Cursors and batches for the binding files: cursor.c steps through a map,
 * batch.c holds what a step gave, view.c looks into it without decoding.
 */
#ifndef LUABPF_BATCH_H
#define LUABPF_BATCH_H

#include "bind/map/map.h"
#include "lib/scan/source.h"

/* User values of a batch. */
enum { LB_BATCH_OWNER = 1, LB_BATCH_MAP = 2, LB_BATCH_POSITION = 3, LB_BATCH_UVALUES = 3 };

struct lb_cursor {
	struct lb_lender lender;	/* its clock goes on with each step */
	struct lb_source src;
	struct lb_map *map;
	bool raw;
	bool open;
	bool complete;			/* the end was reached */
};

static inline bool lb_batch_valid(const struct lb_batch *b)
{
	return !b->lender || lb_lends(b->lender, b->step);
}

/* What lb_lent has room for without memory from Lua. */
#define LB_LENT_LOCAL 1024
/*
 * Bytes that were lent at that step, to be decoded: as they are if there is no lender,
 * else a copy, in local, which has LB_LENT_LOCAL bytes, or in a userdata that is pushed.
 * Raises where they are lent no more.
 */
const void *lb_lent(lua_State *L, const struct lb_lender *lender, uint64_t step, const void *bytes,
		    size_t size, void *local);

static inline bool lb_batch_has(const struct lb_batch *b, uint32_t i)
{
	return !b->present || b->present[i];
}

/* Pushes the key or the value of entry i, which exists. */
void lb_batch_push_key(lua_State *L, const struct lb_batch *b, uint32_t i);
void lb_batch_push_value(lua_State *L, const struct lb_batch *b, uint32_t i);
/* Pushes both; a queue or stack has no keys: the place in the batch, from 1, comes instead. */
void lb_batch_push_entry(lua_State *L, const struct lb_batch *b, uint32_t i);
/* Pushes the batch of the cursor's current step; cursor and map are stack indices. */
void lb_batch_push_step(lua_State *L, int cursor, int map);
/* Pushes a batch of n entries that the userdata at index owner lends; NULL: for good. */
struct lb_batch *lb_batch_borrow(lua_State *L, int owner, int map, struct lb_lender *lender,
				 const uint8_t *keys, const uint8_t *values, uint32_t n);

/*
 * Pushes an iterator over the decoded entries of the cursor at index 1, an
 * object that next, called with it, gets batches from: function, nil, nil, and
 * the cursor to be closed. Returns how many.
 */
int lb_entries(lua_State *L, lua_CFunction next);

/* Pushes what a scan did as a table. */
void lb_push_scan_report(lua_State *L, const struct lb_scan_stats *st, bool complete);

/* Pushes the position after the current step as a string that cursors take back. */
void lb_cursor_push_position(lua_State *L, struct lb_cursor *c);

/*
 * Pushes the function, the state and the control value of an iterator over
 * the batch at arg, whose views move along. Returns how many.
 */
int lb_views(lua_State *L, int arg);

#endif
