/* SPDX-License-Identifier: MIT */
/*
 * The codec (codec.c): the only place that turns bytes into Lua values and
 * back. And the class luabpf.layout (describe.c), which holds a struct
 * lb_layout for Lua.
 */
#ifndef LUABPF_CODEC_H
#define LUABPF_CODEC_H

#include "lib/layout/layout.h"

#include <lua.h>

#define LB_LAYOUT "luabpf.layout"
/* A field of the registry that is not nil in a state which is being closed, all its work done. */
#define LB_CLOSING "luabpf.closing"

/* Where in the caller's arguments a value stands: "keys[17].src_port". */
struct lb_path {
	const struct lb_path *up;	/* NULL: this is the start */
	const char *name;		/* NULL: an index */
	lua_Integer index;
};

/*
 * Pushes the value of the shape at p: one Lua value. raw: a binary string; of
 * a per-CPU value, a list of them. Raises only when out of memory.
 */
void lb_push(lua_State *L, const struct lb_shape *shape, const void *p, bool raw);
/* The same for one type, without per-CPU list; for a member, with its bit offset and width. */
void lb_push_type(lua_State *L, const struct lb_type *type, const void *p);
void lb_push_member(lua_State *L, const struct lb_member *m, const void *base);
/*
 * What has no size of its own, text, bytes or an array without a length at the
 * end of a record: size bytes at p.
 */
void lb_push_rest(lua_State *L, const struct lb_type *type, const void *p, uint32_t size);

/*
 * Encodes the Lua value at index idx into the shape->stride bytes at out,
 * padding zeroed. A per-CPU value is a list or a binary string of the stride.
 * No metamethod runs. Raises an error that begins with the path.
 */
void lb_encode(lua_State *L, int idx, const struct lb_shape *shape, void *out,
	       const struct lb_path *path);

/* Raises "PATH: message". */
int lb_path_error(lua_State *L, const struct lb_path *path, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* ---- the class luabpf.layout ------------------------------------------- */

/* Pushes a new luabpf.layout that owns layout; NULL pushes nil. Frees it when out of memory. */
void lb_layout_push(lua_State *L, struct lb_layout *layout);
/* The layout at idx, or NULL if the value there is not one. */
const struct lb_layout *lb_layout_test(lua_State *L, int idx);

#endif
