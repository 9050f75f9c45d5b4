/* SPDX-License-Identifier: MIT */
/*
 * The map handle for the other bindings: the userdata behind luabpf.map, and
 * keys and values on their way between Lua and flat buffers.
 */
#ifndef LUABPF_MAP_H
#define LUABPF_MAP_H

#include "bind/base.h"
#include "bind/value/builder.h"
#include "lib/kernel/kmap.h"
#include "lib/kernel/process.h"
#include "lib/kernel/region.h"
#include "lib/keys/keyset.h"

/* User values of a map handle. */
enum {
	LB_MAP_KEY_LAYOUT = 1,
	LB_MAP_VALUE_LAYOUT = 2,
	LB_MAP_PATH = 3,	/* where it was pinned or opened, or nil */
	LB_MAP_BUILDERS = 4,	/* what map->builders points to */
	LB_MAP_UVALUES = 4,
};

/* What a map's builders make. */
enum { LB_BUILD_KEY, LB_BUILD_VALUE, LB_BUILD_ENTRY, LB_BUILDERS };

struct lb_map {
	const void *mark;	/* what only maps have */
	const void *raw;	/* Lua's one string "raw", to tell the option by */
	struct lb_kmap k;
	struct lb_pool pool;	/* regions for programs that work on the map */
	struct lb_many many;	/* programs for many given keys */
	struct lb_shape key;
	struct lb_shape value;
	struct lb_builder *builders;	/* of LB_BUILD_..., in a user value */
	bool detached;		/* says what entries look like that are not in the kernel */
};

/* For many.h. */
static inline struct lb_many_map lb_map_many(struct lb_map *m)
{
	return (struct lb_many_map){ &m->k, &m->pool, &m->many, m->value.type };
}

/* The open map at arg; raises otherwise. */
struct lb_map *lb_check_map(lua_State *L, int arg);
/* The map at arg, closed or not; raises if it is not one. */
struct lb_map *lb_to_map(lua_State *L, int arg);
/* The map at arg, open or detached: what has shapes; raises otherwise. */
struct lb_map *lb_check_shapes(lua_State *L, int arg);
/* Pushes a closed handle. */
struct lb_map *lb_map_new(lua_State *L);
/*
 * Fills the handle at the top of the stack from fd, which it owns from then
 * on. Returns 1, or 3 with nil, WHAT: reason, errno.
 */
int lb_map_fill(lua_State *L, struct lb_map *m, int fd, const char *what);
/* Gives the handle types, which its user values keep; NULL: binary strings. */
void lb_map_set_shapes(struct lb_map *m, const struct lb_type *key, const struct lb_type *value);
/* What messages call the map: its name, or "map 17" in buf. */
const char *lb_map_label(const struct lb_map *m, char *buf, size_t size);
/* lb_fail for an operation on a map: "conns: lookup_batch: reason"; pushes nil, message, errno. */
int lb_map_fail(lua_State *L, const struct lb_map *m, const char *operation, int err);

/* ---- batches ---------------------------------------------------------- */

/*
 * What owns memory that batches borrow: a cursor, rows of a query. The clock
 * goes on whenever what was borrowed before is void: it may be freed then.
 *
 * Anything may run where Lua allocates memory or calls a function, finalizers
 * and debug hooks, which may close the lender, or raise. So what is lent is
 * copied before it is decoded (lb_lent), and its clock is looked at again after
 * memory was allocated; nothing has to be given back.
 */
struct lb_lender {
	uint64_t clock;
	uint64_t process;	/* the only one that may read it; 0: children too */
};

static inline bool lb_lends(const struct lb_lender *lender, uint64_t step)
{
	return lender->clock == step && (!lender->process || lender->process == lb_process());
}

/*
 * n entries in flat buffers: borrowed ones, or memory of its own. User values:
 * the owner, the map, and a copy's cursor.
 */
struct lb_batch {
	struct lb_lender *lender;	/* NULL: own memory */
	uint64_t step;			/* the lender's clock when it was made */
	struct lb_cursor *cursor;	/* NULL: not of a scan that can go on */
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
/* The bytes a view at idx shows, and their size; NULL if no view is there. Raises if stale. */
const void *lb_view_bytes(lua_State *L, int idx, size_t *size);

#endif
