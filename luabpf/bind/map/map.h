/* SPDX-License-Identifier: MIT */
/* The map handle for the other bindings: the userdata behind luabpf.map. */
#ifndef LUABPF_BIND_MAP_MAP_H
#define LUABPF_BIND_MAP_MAP_H

#include "bind/base.h"
#include "bind/value/builder.h"
#include "lib/kernel/kmap.h"
#include "lib/kernel/process.h"
#include "lib/kernel/region.h"
#include "lib/keys/keyset.h"

#define LB_MAP "luabpf.map"

/* User values of a map handle. */
enum {
	LB_MAP_KEY_LAYOUT = 1,
	LB_MAP_VALUE_LAYOUT,
	LB_MAP_PINS,		/* a list of where it was pinned or opened, or nil */
	LB_MAP_BUILDERS,	/* what map->builders points to */
	LB_MAP_BTF,		/* of events: the raw BTF of the object it is of, or nil */
	LB_MAP_UVALUES = LB_MAP_BTF
};

/* What a map's builders make. */
enum { LB_BUILD_KEY, LB_BUILD_VALUE, LB_BUILD_ENTRY, LB_BUILDERS };

struct lb_map {
	struct lb_kmap k;
	struct lb_pool pool;	/* regions for programs that work on the map */
	struct lb_many many;	/* programs for many given keys */
	struct lb_shape key;
	struct lb_shape value;
	struct lb_builder *builders;	/* of LB_BUILD_..., in a user value */
	struct lb_type stack;	/* of the values, where they are lists of addresses */
	bool detached;		/* says what entries look like that are not in the kernel */
};

/* For keyset.h. */
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
/* A new handle for a copy of the descriptor: lb_map_fill, called "map". */
int lb_map_push_copy(lua_State *L, int fd);
/* Adds the path at the top, which is popped, to the pins that the handle at idx knows. */
void lb_map_add_pin(lua_State *L, int idx);
/* Gives the handle types, which its user values keep; NULL: binary strings. */
void lb_map_set_shapes(struct lb_map *m, const struct lb_type *key, const struct lb_type *value);
/*
 * Gives the handle at idx, which nothing was decoded by yet, the layouts of key and value at the
 * top, which are popped. It keeps what it has for nil and for a layout of another size.
 */
void lb_map_take_layouts(lua_State *L, int idx);
/* What messages call the map: its name, or "map 17" in buf. */
const char *lb_map_label(const struct lb_map *m, char *buf, size_t size);
/* lb_fail for an operation on a map: "conns: lookup_batch: reason"; pushes nil, message, errno. */
int lb_map_fail(lua_State *L, const struct lb_map *m, const char *operation, int err);
/* The same, and the n values at the top as the partial: one as it is, several as a list. */
int lb_map_fail_partial(lua_State *L, const struct lb_map *m, const char *operation, int err,
			int n);

#endif
