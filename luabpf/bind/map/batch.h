/* SPDX-License-Identifier: MIT */
/* The class luabpf.batch for the binding files that make batches or read them. */
#ifndef LUABPF_BIND_MAP_BATCH_H
#define LUABPF_BIND_MAP_BATCH_H

#include "bind/map/lender.h"
#include "bind/map/map.h"
#include "lib/scan/source.h"

#define LB_BATCH "luabpf.batch"

/* User values of a batch. */
enum { LB_BATCH_OWNER = 1, LB_BATCH_MAP = 2, LB_BATCH_POSITION = 3, LB_BATCH_UVALUES = 3 };

/*
 * n entries in flat buffers: borrowed ones, or memory of its own. User values:
 * the owner, the map, and a copy's position.
 */
struct lb_batch {
	struct lb_lender *lender;	/* NULL: own memory */
	uint64_t step;			/* the lender's clock when it was made */
	const struct lb_source *source;	/* NULL: not of a scan that can go on */
	struct lb_map *map;
	const uint8_t *keys, *values;
	const uint8_t *present;		/* 1 byte an entry; NULL: all are */
	uint32_t n;
	bool raw;
};

/* The batch at arg, which must still be valid: raises otherwise. */
struct lb_batch *lb_check_batch(lua_State *L, int arg);
/* The batch at arg, or NULL if something else is there. */
struct lb_batch *lb_test_batch(lua_State *L, int arg);
/*
 * Pushes a batch of n entries with memory of its own, keys and values to be
 * filled in; with_present adds the byte per entry.
 */
struct lb_batch *lb_batch_new(lua_State *L, int map, uint32_t n, bool with_present,
			      uint8_t **keys, uint8_t **values, uint8_t **present);

static inline bool lb_batch_valid(const struct lb_batch *b)
{
	return !b->lender || lb_lends(b->lender, b->step);
}

static inline bool lb_batch_has(const struct lb_batch *b, uint32_t i)
{
	return !b->present || b->present[i];
}

/* Pushes the key or the value of entry i, which exists. */
void lb_batch_push_key(lua_State *L, const struct lb_batch *b, uint32_t i);
void lb_batch_push_value(lua_State *L, const struct lb_batch *b, uint32_t i);
/* Pushes both; a queue or stack has no keys: the place in the batch, from 1, comes instead. */
void lb_batch_push_entry(lua_State *L, const struct lb_batch *b, uint32_t i);
/* Pushes a batch of n entries that the userdata at index owner lends; NULL: for good. */
struct lb_batch *lb_batch_borrow(lua_State *L, int owner, int map, struct lb_lender *lender,
				 const uint8_t *keys, const uint8_t *values, uint32_t n);

#endif
